//! What an administrator set for the whole installation: limits (A19, A20) and freezes (X14).

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attempt::Attempt;
use crate::ids::FreezeId;
use crate::lane::LaneName;

/// The installation's settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// How much may be under way at once.
    #[serde(default)]
    pub limits: Limits,
    /// What keeps deployments from beginning, the oldest first.
    #[serde(default)]
    pub freezes: Vec<LineStop>,
}

/// How much may be under way at once. What is not limited is not counted: a limit counts those that begin after it was
/// set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    /// How many deployments in the whole installation; no limit when absent (A20).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub deployments: Option<u32>,
    /// How many deployments in each of these cluster accounts (A19); no limit in the others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub clusters: BTreeMap<String, u32>,
}

impl Limits {
    /// How many may hold that lane at once, if it has a limit. Environments have theirs in the pipeline.
    #[must_use]
    pub fn of(&self, lane: &LaneName) -> Option<u32> {
        match lane {
            LaneName::Installation {} => self.deployments,
            LaneName::Cluster { name } => self.clusters.get(name).copied(),
            LaneName::Environment { .. } | LaneName::Freeze {} => None,
        }
    }

    /// The lanes that have more room by `self` than by `before`: who waits there may go on.
    #[must_use]
    pub fn widened_since(&self, before: &Self) -> Vec<LaneName> {
        let clusters = before.clusters.keys().map(|name| LaneName::Cluster { name: name.clone() });
        let lanes = std::iter::once(LaneName::Installation {}).chain(clusters);
        lanes
            .filter(|lane| before.of(lane).is_some_and(|was| self.of(lane).is_none_or(|is| is > was)))
            .collect()
    }
}

/// The line is stopped: no deployment that it covers begins, until it ends. What deploys already goes on, and
/// rollbacks are never held (X14).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LineStop {
    /// Its id.
    pub id: FreezeId,
    /// The application that it is for; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// The environments of that name that it is for; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The cluster account whose deployments it is for; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Why.
    pub reason: String,
    /// Who stopped the line.
    pub by: String,
    /// When.
    pub since: Timestamp,
    /// When it ends by itself; when somebody ends it, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl LineStop {
    /// Whether it is over by `now`.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// Whether it keeps that attempt to these cluster accounts from beginning. A rollback, or a deployment that was started
    /// in spite of it, is not held.
    #[must_use]
    pub fn covers(&self, attempt: &Attempt, clusters: &[&str], now: Timestamp) -> bool {
        let here = self.application.as_ref().is_none_or(|name| *name == attempt.application)
            && self.environment.as_ref().is_none_or(|name| *name == attempt.at.environment)
            && self.cluster.as_ref().is_none_or(|name| clusters.contains(&name.as_str()));
        here && !self.is_over(now) && !attempt.is_urgent()
    }
}

impl Settings {
    /// What keeps the attempt to these cluster accounts from beginning, if anything does: of several the one that lasts the
    /// longest.
    #[must_use]
    pub fn freeze_of(&self, attempt: &Attempt, clusters: &[&str], now: Timestamp) -> Option<&LineStop> {
        let covering = self.freezes.iter().filter(|freeze| freeze.covers(attempt, clusters, now));
        covering.max_by_key(|freeze| (freeze.until.is_none(), freeze.until))
    }
}

/// What keeps an attempt from beginning, as its record has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Frozen {
    /// The freeze.
    pub freeze: FreezeId,
    /// Who stopped the line.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When that ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Since when the attempt is held.
    pub since: Timestamp,
}

impl Frozen {
    /// What a freeze makes of an attempt that is held since then.
    #[must_use]
    pub fn by(freeze: &LineStop, since: Timestamp) -> Self {
        Self {
            freeze: freeze.id.clone(),
            by: freeze.by.clone(),
            reason: freeze.reason.clone(),
            until: freeze.until,
            since,
        }
    }

    /// In a sentence.
    #[must_use]
    pub fn summary(&self) -> String {
        let until = self.until.map(|until| format!(", until {until:.0}")).unwrap_or_default();
        let lift = format!("`pilothouse freeze lift {}` ends it", self.freeze);
        format!("the line is stopped by {}: {}{until}; {lift}", self.by, self.reason)
    }
}

/// A deployment that begins in spite of freezes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FreezeOverride {
    /// Who takes it upon themselves.
    pub by: String,
    /// Why.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn attempt() -> Attempt {
        let value = serde_json::json!({
            "id": "dep_00000000010000000000000000", "release": "rel_00000000010000000000000000",
            "environment": "prod", "number": 1, "application": "shop", "kind": { "kind": "deploy" },
            "state": { "state": "Queued" }, "control": "running", "restarts": 0,
            "createdAt": "2026-11-21T09:00:00Z", "createdBy": "ann", "lastModifiedBy": "ann",
        });
        serde_json::from_value(value).unwrap()
    }

    fn freeze(n: u128, environment: Option<&str>, until: Option<i64>) -> LineStop {
        LineStop {
            id: FreezeId::new(ulid::Ulid::from_parts(1, n)),
            application: None,
            environment: environment.map(str::to_owned),
            cluster: None,
            reason: "the checkout fails".to_owned(),
            by: "ann".to_owned(),
            since: at(0),
            until: until.map(at),
        }
    }

    #[test]
    fn a_freeze_holds_what_it_names_until_it_is_over() {
        let attempt = attempt();
        assert!(freeze(1, None, None).covers(&attempt, &["west"], at(10)));
        assert!(freeze(1, Some("prod"), Some(11)).covers(&attempt, &["west"], at(10)));
        assert!(!freeze(1, Some("prod"), Some(10)).covers(&attempt, &["west"], at(10)));
        assert!(!freeze(1, Some("dev"), None).covers(&attempt, &["west"], at(10)));
        let other = LineStop { application: Some("bank".to_owned()), ..freeze(1, None, None) };
        assert!(!other.covers(&attempt, &["west"], at(10)));
        let on = |name: &str| LineStop { cluster: Some(name.to_owned()), ..freeze(1, None, None) };
        assert!(
            on("west").covers(&attempt, &["west"], at(10)) && !on("east").covers(&attempt, &["west"], at(10))
        );
        assert!(on("east").covers(&attempt, &["west", "east"], at(10)));
        let urgent = FreezeOverride { by: "ann".to_owned(), reason: "the fix".to_owned() };
        let urgent = Attempt { freeze_override: Some(urgent), ..attempt };
        assert!(!freeze(1, None, None).covers(&urgent, &["west"], at(10)));
    }

    #[test]
    fn of_several_freezes_the_longest_is_named() {
        let attempt = attempt();
        let named = |freezes: &[LineStop]| {
            let settings = Settings { freezes: freezes.to_vec(), ..Settings::default() };
            settings.freeze_of(&attempt, &["west"], at(1)).map(|freeze| freeze.id.clone())
        };
        let (short, long, open) = (freeze(1, None, Some(5)), freeze(2, None, Some(9)), freeze(3, None, None));
        assert_eq!(named(&[short.clone(), long.clone()]), Some(long.id.clone()));
        assert_eq!(named(&[open.clone(), long, short]), Some(open.id));
        assert_eq!(named(&[]), None);
    }

    #[test]
    fn only_lanes_that_have_more_room_are_widened() {
        let limits = |deployments: Option<u32>, prod: Option<u32>| Limits {
            deployments,
            clusters: prod.map(|n| ("prod".to_owned(), n)).into_iter().collect(),
        };
        let cluster = LaneName::Cluster { name: "prod".to_owned() };
        let before = limits(Some(3), Some(2));
        assert_eq!(limits(Some(3), None).widened_since(&before), std::slice::from_ref(&cluster));
        assert_eq!(limits(Some(4), Some(1)).widened_since(&before), [LaneName::Installation {}]);
        assert_eq!(limits(None, Some(3)).widened_since(&before), [LaneName::Installation {}, cluster]);
        assert!(limits(Some(1), None).widened_since(&limits(None, None)).is_empty());
    }
}
