//! An environment of a release: its status is derived from its latest attempt, and stored nowhere.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attempt::{Attempt, AttemptState, AttemptStatus, Control};
use crate::pipeline::{EnvironmentSpec, Start};

/// The documents' statuses of an environment (A5-A11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the documents' own names, A5-A11 in order")]
pub enum EnvironmentStatus {
    NotStarted,
    InProgress,
    Succeeded,
    PartiallySucceeded,
    Canceled,
    Rejected,
    Failed,
    Queued,
    Scheduled,
}

impl EnvironmentStatus {
    /// The status that follows from the latest attempt, if there is one (A5-A12).
    #[must_use]
    pub fn derive(latest: Option<&Attempt>) -> Self {
        let Some(attempt) = latest else { return Self::NotStarted };
        match &attempt.state {
            AttemptState::Queued | AttemptState::QueuedForAgent | AttemptState::QueuedForPipeline => {
                Self::Queued
            }
            AttemptState::Scheduled { .. } | AttemptState::Deferred { .. } => Self::Scheduled,
            AttemptState::EvaluatingGatesBefore | AttemptState::GatesFailedBefore { .. } => Self::NotStarted,
            AttemptState::PendingBefore | AttemptState::ApprovedBefore => Self::InProgress,
            AttemptState::RejectedBefore { .. } | AttemptState::RejectedAfter { .. } => Self::Rejected,
            AttemptState::CanceledBefore { .. } | AttemptState::CanceledAfter { .. } => Self::Canceled,
            state => match state.status() {
                AttemptStatus::Succeeded => Self::Succeeded,
                AttemptStatus::PartiallySucceeded => Self::PartiallySucceeded,
                AttemptStatus::Failed => Self::Failed,
                AttemptStatus::InProgress | AttemptStatus::NotDeployed => Self::InProgress,
            },
        }
    }
}

/// The environments that may start by themselves now: not skipped, never attempted, automatic, and all that they come
/// after have passed.
///
/// An environment has passed when its latest attempt is a deployment (not a rollback) that succeeded, or succeeded in part
/// where the one that follows takes that (`acceptPartial`), and nobody stopped it on the way (N12). A skipped one has passed as soon as those before it have.
#[must_use]
pub fn startable<'a>(
    environments: &'a [EnvironmentSpec],
    skipped: &BTreeSet<String>,
    attempts: &[Attempt],
) -> Vec<&'a EnvironmentSpec> {
    let standing = Standing { environments, skipped, attempts };
    environments
        .iter()
        .filter(|e| e.start == Start::Automatic && !skipped.contains(&e.name))
        .filter(|e| standing.latest(&e.name).is_none())
        .filter(|e| e.after.iter().all(|before| standing.passed(before, e)))
        .collect()
}

struct Standing<'a> {
    environments: &'a [EnvironmentSpec],
    skipped: &'a BTreeSet<String>,
    attempts: &'a [Attempt],
}

impl Standing<'_> {
    fn latest(&self, name: &str) -> Option<&Attempt> {
        self.attempts.iter().filter(|a| a.at.environment == name).max_by_key(|a| a.at.number)
    }

    /// Whether the environment `name` lets `follower` start. The order of environments has no cycle: that was checked when
    /// the pipeline was saved.
    fn passed(&self, name: &str, follower: &EnvironmentSpec) -> bool {
        if self.skipped.contains(name) {
            let skipped = self.environments.iter().find(|e| e.name == name);
            return skipped.is_some_and(|e| e.after.iter().all(|before| self.passed(before, follower)));
        }
        self.latest(name).is_some_and(|a| {
            let enough = a.state.status() == AttemptStatus::Succeeded
                || (follower.accept_partial && a.state.is_success());
            let stopped = matches!(a.control, Control::Stopping | Control::Stopped);
            enough && !stopped && !a.is_rollback()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::AttemptRef;
    use crate::ids::{AttemptId, ReleaseId};

    /// dev, then test, then prod; `prod` takes nothing partial.
    fn chain() -> Vec<EnvironmentSpec> {
        let stages = serde_json::json!([{ "name": "A", "type": "wait" }]);
        let chain = serde_json::json!([
            { "name": "dev", "namespace": "x", "stages": stages },
            { "name": "test", "namespace": "x", "after": ["dev"], "stages": stages },
            { "name": "prod", "namespace": "x", "after": ["test"], "acceptPartial": false, "stages": stages },
        ]);
        serde_json::from_value(chain).unwrap()
    }

    fn attempt(environment: &str, state: &AttemptState) -> Attempt {
        let release = ReleaseId::new(ulid::Ulid::from_parts(1, 1));
        let attempt = serde_json::json!({
            "id": AttemptId::new(ulid::Ulid::from_parts(2, 1)), "application": "shop", "kind": { "kind": "deploy" },
            "state": state, "control": Control::Running, "restarts": 0, "createdAt": "2026-11-21T09:00:00Z",
            "createdBy": "system", "lastModifiedBy": "system",
            "release": release, "environment": environment, "number": 1,
        });
        let at = AttemptRef { release, environment: environment.to_owned(), number: 1 };
        Attempt { at, ..serde_json::from_value(attempt).unwrap() }
    }

    fn names(skipped: &[&str], attempts: &[Attempt]) -> Vec<String> {
        let skipped = skipped.iter().map(|name| (*name).to_owned()).collect();
        startable(&chain(), &skipped, attempts).into_iter().map(|e| e.name.clone()).collect()
    }

    #[test]
    fn a_skipped_environment_has_passed_once_those_before_it_have() {
        assert_eq!(names(&[], &[]), ["dev"]);
        assert_eq!(names(&["dev"], &[]), ["test"]);
        assert_eq!(names(&["dev", "test"], &[]), ["prod"]);
        assert_eq!(names(&["test"], &[]), ["dev"], "prod waits for dev, by way of test");
        assert_eq!(names(&["test"], &[attempt("dev", &AttemptState::Succeeded)]), ["prod"]);
        let failed = AttemptState::PhaseFailed { reason: "x".to_owned() };
        assert!(names(&["test"], &[attempt("dev", &failed)]).is_empty());
    }

    #[test]
    fn n12_nothing_follows_by_itself_what_was_stopped() {
        let stopped = Attempt { control: Control::Stopped, ..attempt("dev", &AttemptState::Succeeded) };
        assert!(names(&[], &[stopped]).is_empty());
    }

    #[test]
    fn a_partial_success_is_enough_only_where_the_follower_takes_it() {
        let partial = |environment| attempt(environment, &AttemptState::PartiallySucceeded);
        assert_eq!(names(&[], &[partial("dev")]), ["test"]);
        let dev = attempt("dev", &AttemptState::Succeeded);
        assert!(names(&[], &[dev.clone(), partial("test")]).is_empty());
        assert_eq!(names(&[], &[dev, attempt("test", &AttemptState::Succeeded)]), ["prod"]);
        assert!(names(&["test"], &[partial("dev")]).is_empty(), "also by way of a skipped one");
    }
}
