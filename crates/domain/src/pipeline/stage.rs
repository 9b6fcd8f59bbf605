//! A stage of an environment: the keys that every stage has, and those of its type.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ClusterOrder;
use super::clusters::MOST_CLUSTERS;
use super::schema::{DNS_LABEL, FREE_NAME};
use crate::duration::Span;
use crate::traffic_guard::TrafficGuard;

/// One step of an environment's work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StageSpec {
    /// The stage's name, unique in its environment.
    #[schemars(regex(pattern = FREE_NAME), length(max = 100))]
    pub name: String,
    /// What the stage does: the name of a stage type.
    #[serde(rename = "type")]
    pub stage_type: String,
    /// The stages that must have ended first (T26); none: it starts with the environment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// Which of the stages in `dependsOn` must have succeeded (T28); all when absent.
    #[serde(default, skip_serializing_if = "Requires::is_default")]
    pub requires: Requires,
    /// Runs whatever the stages in `dependsOn` came to, also after a failure that ends the deployment and while it is
    /// cancelled or stopped; begins when they are at their end, and all before them. A cancel does not end it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub always_run: bool,
    /// What its failure does to the others (T27).
    #[serde(default, skip_serializing_if = "FailurePolicy::is_default")]
    pub on_failure: FailurePolicy,
    /// How long it may take before it fails (T29); its type's own limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// An expression, `${ … }`; the stage is skipped when it is false (T31).
    #[serde(rename = "if", default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// What undoes the deployment when this stage fails (V1); what the environment says when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<StageRollback>,
    /// The least that it must leave ready behind each Service whose pods it takes away (T15); what the environment says when
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic_guard: Option<TrafficGuard>,
    /// The notifications that are told what happens in this stage: that it started, succeeded, failed, or waits for a
    /// person (T32).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<String>,
    /// The cluster account that it acts on; the environment's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = DNS_LABEL), length(max = 63))]
    pub cluster: Option<String>,
    /// The cluster accounts that it runs in, once in each: as `NAME (CLUSTER)`, with a run, a snapshot and an undo of its
    /// own (X9). What depends on it waits for all of them; where its failure fails the deployment, a failure in one ends
    /// it in the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MOST_CLUSTERS), inner(regex(pattern = DNS_LABEL), length(max = 63)))]
    pub clusters: Vec<String>,
    /// In which order it runs in its `clusters`; in all at once when absent.
    #[serde(default, skip_serializing_if = "ClusterOrder::is_default")]
    pub cluster_order: ClusterOrder,
    /// In a release: the stage of the pipeline that was written out to this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub each_of: Option<String>,
    /// The keys of the stage's type.
    #[serde(flatten)]
    #[schemars(skip)]
    pub options: Map<String, Value>,
}

/// What undoes the deployment when a stage fails (V1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StageRollback {
    /// The pipeline of the same application that is run as the rollback.
    #[schemars(regex(pattern = DNS_LABEL), length(max = 63))]
    pub pipeline: String,
}

/// Which of the stages that a stage depends on must have succeeded before it may begin (T28). All of them are at
/// their end by then, whatever this says. A stage that was skipped by its condition, and one whose failure is ignored,
/// count as succeeded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "RequiresWritten", into = "RequiresWritten")]
#[schemars(with = "RequiresWritten")]
pub enum Requires {
    /// All of them.
    #[default]
    All,
    /// At least one of them.
    Any,
    /// These; the others are only waited for.
    Named(Vec<String>),
}

impl Requires {
    fn is_default(&self) -> bool {
        *self == Self::All
    }
}

/// How [`Requires`] is written in a file.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Requires")]
enum RequiresWritten {
    /// How many of them.
    Word(RequiresWord),
    /// These; the others are only waited for.
    Names(Vec<String>),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum RequiresWord {
    /// All of them.
    All,
    /// At least one of them.
    Any,
}

impl From<RequiresWritten> for Requires {
    fn from(written: RequiresWritten) -> Self {
        match written {
            RequiresWritten::Word(RequiresWord::All) => Self::All,
            RequiresWritten::Word(RequiresWord::Any) => Self::Any,
            RequiresWritten::Names(names) => Self::Named(names),
        }
    }
}

impl From<Requires> for RequiresWritten {
    fn from(requires: Requires) -> Self {
        match requires {
            Requires::All => Self::Word(RequiresWord::All),
            Requires::Any => Self::Word(RequiresWord::Any),
            Requires::Named(names) => Self::Names(names),
        }
    }
}

/// What the failure of a stage does to the others (T27).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailurePolicy {
    /// Nothing new starts and the attempt fails.
    #[default]
    FailPipeline,
    /// This branch ends, the others finish, then the attempt fails.
    FailBranch,
    /// This branch ends, the others finish, and the attempt can still succeed.
    StopBranch,
    /// The stages after it go on; the attempt ends partially succeeded.
    Ignore,
}

impl FailurePolicy {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
    fn is_default(&self) -> bool {
        *self == Self::FailPipeline
    }
}
