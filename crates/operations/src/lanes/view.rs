//! A lane as it is shown: who holds it, and who stands in line.

use std::collections::BTreeSet;

use jiff::Timestamp;
use pilothouse_domain::attempt::{Attempt, AttemptRef};
use pilothouse_domain::lane::{Holder, LaneName, Waiting};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lane_of_environment;
use crate::{Context, OperationError};

/// How many deployments under way are looked at for a list of lanes.
const LOOKED_AT: usize = 1000;

/// A lane: who holds it, and who waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LaneView {
    /// Which lane.
    #[serde(flatten)]
    pub lane: LaneName,
    /// How many may hold it at once, where an administrator limits that; an environment's limit is in its pipeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_once: Option<u32>,
    /// Who holds it, in the order in which they came in.
    pub holders: Vec<HolderView>,
    /// Who waits, the first first.
    pub line: Vec<WaitingView>,
}

/// One who holds a lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HolderView {
    /// The attempt.
    pub attempt: AttemptRef,
    /// The fencing number.
    pub fence: u64,
    /// Since when.
    pub since: Timestamp,
}

/// One who waits for a lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaitingView {
    /// The attempt.
    pub attempt: AttemptRef,
    /// Whether it goes before all that are not: a rollback, or a deployment in spite of a freeze.
    pub urgent: bool,
    /// Since when it waits.
    pub since: Timestamp,
}

/// An attempt's place in a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlaceView {
    /// Which lane it waits for.
    #[serde(flatten)]
    pub lane: LaneName,
    /// Its place, counted from 1.
    pub place: u32,
    /// How many may be in at once; absent: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_once: Option<u32>,
    /// Who is in.
    pub holders: Vec<AttemptRef>,
    /// Who stands right before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<AttemptRef>,
    /// The same in a phrase.
    pub summary: String,
}

impl From<&Holder> for HolderView {
    fn from(holder: &Holder) -> Self {
        Self { attempt: holder.attempt.clone(), fence: holder.fence, since: holder.since }
    }
}

impl From<&Waiting> for WaitingView {
    fn from(waiting: &Waiting) -> Self {
        Self { attempt: waiting.attempt.clone(), urgent: waiting.urgent, since: waiting.since }
    }
}

/// Who holds a lane, and who waits for it. Nobody, for one that nothing was deployed to.
///
/// # Errors
/// [`OperationError`] when it cannot be read.
pub async fn view_lane(context: &Context, lane: &LaneName) -> Result<LaneView, OperationError> {
    let lease = context.store.lease(lane).await?;
    let line = context.store.waiting(lane).await?;
    let holders = lease.map(|lease| lease.record.holders).unwrap_or_default();
    Ok(LaneView {
        at_once: context.limits().await?.of(lane),
        holders: holders.iter().map(HolderView::from).collect(),
        line: line.iter().map(|waiting| WaitingView::from(&waiting.record)).collect(),
        lane: lane.clone(),
    })
}

/// The lanes of the installation and of its clusters that are limited, then those of environments in which something of
/// the `application` (all, when absent) is under way. Of more than a thousand deployments under way the first thousand are
/// looked at.
///
/// # Errors
/// [`OperationError`] when they cannot be read.
pub async fn list_lanes(
    context: &Context,
    application: Option<&str>,
) -> Result<Vec<LaneView>, OperationError> {
    let mut lanes = limited(context).await?;
    let mut busy = BTreeSet::new();
    let (mut seen, mut cursor) = (0, None);
    while seen < LOOKED_AT {
        let page = context.store.attempts_open(100, cursor.as_ref()).await?;
        cursor = page.next.clone();
        for attempt in page.records() {
            seen += 1;
            if application.is_none_or(|name| name == attempt.application) {
                busy.insert(lane_of_environment(&attempt));
            }
        }
        if cursor.is_none() {
            break;
        }
    }
    for lane in busy {
        let view = view_lane(context, &lane).await?;
        if !view.holders.is_empty() || !view.line.is_empty() {
            lanes.push(view);
        }
    }
    Ok(lanes)
}

/// The lanes that an administrator limits, with who is in them.
///
/// # Errors
/// [`OperationError`] when they cannot be read.
pub async fn limited(context: &Context) -> Result<Vec<LaneView>, OperationError> {
    let limits = context.limits().await?;
    let installation = limits.deployments.map(|_| LaneName::Installation {});
    let clusters = limits.clusters.into_keys().map(|name| LaneName::Cluster { name });
    let mut views = Vec::new();
    for lane in installation.into_iter().chain(clusters) {
        views.push(view_lane(context, &lane).await?);
    }
    Ok(views)
}

/// Where the attempt stands in line, if it waits for room and has a place.
///
/// # Errors
/// [`OperationError`] when it cannot be read.
pub async fn line_of(context: &Context, attempt: &Attempt) -> Result<Option<PlaceView>, OperationError> {
    let Some(stand) = context.stand_of(attempt).await? else { return Ok(None) };
    let line = context.store.waiting(&stand.lane).await?;
    let Some(index) = line.iter().position(|waiting| waiting.record.id == attempt.id) else {
        return Ok(None);
    };
    let holders =
        context.store.lease(&stand.lane).await?.map(|lease| lease.record.holders).unwrap_or_default();
    let holders: Vec<AttemptRef> = holders.into_iter().map(|holder| holder.attempt).collect();
    let behind = index.checked_sub(1).and_then(|before| line.get(before)).map(|w| w.record.attempt.clone());
    let place = u32::try_from(index + 1).unwrap_or(u32::MAX);
    let summary = summary(&stand.lane, place, stand.at_once, &holders, behind.as_ref());
    Ok(Some(PlaceView { lane: stand.lane, place, at_once: stand.at_once, holders, behind, summary }))
}

fn summary(
    lane: &LaneName,
    place: u32,
    at_once: Option<u32>,
    holders: &[AttemptRef],
    behind: Option<&AttemptRef>,
) -> String {
    let line = match behind {
        Some(before) => format!("{} in line behind release {}", ordinal(place), before.release),
        None => "first in line".to_owned(),
    };
    let taken = match (lane, holders) {
        (_, []) => String::new(),
        (LaneName::Environment { .. }, [one]) => format!(", held by release {}", one.release),
        (LaneName::Environment { .. }, several) => format!(", held by {} releases", several.len()),
        (_, several) => {
            let most = at_once.map(|most| format!(" of {most}")).unwrap_or_default();
            format!(", {}{most} taken", several.len())
        }
    };
    format!("{line} for {lane}{taken}")
}

fn ordinal(n: u32) -> String {
    let end = match (n % 10, n % 100) {
        (1, rest) if rest != 11 => "st",
        (2, rest) if rest != 12 => "nd",
        (3, rest) if rest != 13 => "rd",
        _ => "th",
    };
    format!("{n}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_line_is_told_in_a_phrase() {
        let release = |n: u128| AttemptRef {
            release: pilothouse_domain::ids::ReleaseId::new(ulid::Ulid::from_parts(1, n)),
            environment: "prod".to_owned(),
            number: 1,
        };
        let prod = LaneName::environment("shop", "prod");
        let (one, two) = (release(1), release(2));
        assert_eq!(
            summary(&prod, 3, Some(1), std::slice::from_ref(&one), Some(&two)),
            format!(
                "3rd in line behind release {} for the environment `prod`, held by release {}",
                two.release, one.release
            )
        );
        assert_eq!(
            summary(&LaneName::Installation {}, 1, Some(2), &[one, two], None),
            "first in line for the installation's limit, 2 of 2 taken"
        );
        assert_eq!(
            [1, 2, 3, 4, 11, 12, 21, 103, 113].map(ordinal).join(" "),
            "1st 2nd 3rd 4th 11th 12th 21st 103rd 113th"
        );
    }
}
