//! An environment of the pipeline: where it is, what it waits for, and what undoes it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::DNS_LABEL;
use super::{Approvals, Gates, LaneSpec, StageSpec};
use crate::duration::Span;
use crate::schedule::Schedule;
use crate::traffic_guard::TrafficGuard;

/// The most stages of one environment.
pub(super) const MOST_STAGES: usize = 200;

/// A place that the release is deployed to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnvironmentSpec {
    /// The environment's name, unique in the pipeline: lower case letters, digits and `-`, at most 63.
    #[schemars(regex(pattern = DNS_LABEL), length(max = 63))]
    pub name: String,
    /// The environments that must have succeeded first; none: it starts with the release.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// Whether it starts by itself.
    #[serde(default, skip_serializing_if = "Start::is_default")]
    pub start: Start,
    /// Whether those of `after` that succeeded only in part are enough; `true` when absent.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub accept_partial: bool,
    /// When its deployments start: at a time of the day, or within windows; at once when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// The cluster account; `default` when absent.
    #[serde(default = "default_cluster")]
    #[schemars(regex(pattern = DNS_LABEL), length(max = 63))]
    pub cluster: String,
    /// The namespace that objects without one are put into.
    #[schemars(regex(pattern = DNS_LABEL), length(max = 63))]
    pub namespace: String,
    /// How many deployments it takes at once, and what becomes of the others; one after the other when absent.
    #[serde(default, skip_serializing_if = "LaneSpec::is_default")]
    pub lane: LaneSpec,
    /// Who must say yes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvals: Option<Approvals>,
    /// How long a cancel may take: what still runs then is left as it is, and the record says so. `60s` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_timeout: Option<Span>,
    /// How long a deployment there may stay paused or interrupted before it is stopped; `30d` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_timeout: Option<Span>,
    /// Whether the last lines of a container that failed are kept with the stage as evidence (X10); `true` when absent. What looks like a
    /// secret is masked in them, but a log may hold others.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub capture_logs: bool,
    /// What must hold before the first stage and after the last (A34-A38).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gates: Option<Gates>,
    /// The least that its stages must leave ready behind each Service whose pods they take away (T15): a number, a share such
    /// as `50%`, or `off`; `1` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic_guard: Option<TrafficGuard>,
    /// What undoes a failed attempt.
    #[serde(default, skip_serializing_if = "RollbackPolicy::is_default")]
    pub rollback: RollbackPolicy,
    /// The stages, a graph by `dependsOn`.
    #[schemars(length(min = 1, max = MOST_STAGES))]
    pub stages: Vec<StageSpec>,
}

impl EnvironmentSpec {
    /// The stage of that name.
    #[must_use]
    pub fn stage(&self, name: &str) -> Option<&StageSpec> {
        self.stages.iter().find(|stage| stage.name == name)
    }
}

/// How an environment starts once those before it have succeeded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// By itself.
    #[default]
    Automatic,
    /// When a person starts it.
    Manual,
}

impl Start {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
    fn is_default(&self) -> bool {
        *self == Self::Automatic
    }
}

/// What undoes a failed attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RollbackPolicy {
    /// Whether a rollback may run, and by whom it is started.
    #[serde(default)]
    pub policy: RollbackMode,
    /// With `on_failure`: the causes that start it; `[stage_failed]` when absent.
    #[serde(default = "stage_failed")]
    pub causes: Vec<RollbackCause>,
    /// The pipeline of the same application that is run as the rollback, with the artifacts of the last release that
    /// succeeded here (V1, V7); when absent, what was there before is restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = DNS_LABEL), length(max = 63))]
    pub pipeline: Option<String>,
    /// How long a whole rollback may take before it fails; `15m` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
}

impl RollbackPolicy {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for RollbackPolicy {
    fn default() -> Self {
        Self { policy: RollbackMode::default(), causes: stage_failed(), pipeline: None, timeout: None }
    }
}

/// Whether a rollback may run, and by whom it is started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RollbackMode {
    /// Never.
    Never,
    /// When a person asks for it.
    #[default]
    Manual,
    /// By itself, when the attempt ends for one of the causes.
    OnFailure,
}

/// Why an attempt ended without success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RollbackCause {
    /// A stage failed, for whatever reason.
    StageFailed,
    /// A stage failed because it did not come to its end in its time.
    StageTimedOut,
    /// The approval was rejected, or nobody answered in time.
    ApprovalRejected,
    /// A gate failed.
    GateFailed,
    /// Somebody cancelled or stopped it after its stages had begun.
    Canceled,
}

fn stage_failed() -> Vec<RollbackCause> {
    vec![RollbackCause::StageFailed]
}

fn default_cluster() -> String {
    "default".to_owned()
}

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
const fn is_true(flag: &bool) -> bool {
    *flag
}
