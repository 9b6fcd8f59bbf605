//! The shapes in which a release is shown (H2, H3, H8, T66).

use std::collections::BTreeMap;

use jiff::Timestamp;
use pilothouse_domain::approval::{Approval, Decision, Shown, Subject, Verdict};
use pilothouse_domain::artifact::Artifact;
use pilothouse_domain::attempt::{AttemptRef, AttemptStatus, Control, OperationStatus};
use pilothouse_domain::environment::EnvironmentStatus;
use pilothouse_domain::ids::{ApprovalId, AttemptId, ReleaseId};
use pilothouse_domain::pipeline::{OnExpiry, Order, Requires, RollbackMode, Start};
use pilothouse_domain::release::{Abandoned, Cause, ReleaseStatus};
use pilothouse_domain::settings::{FreezeOverride, Frozen};
use pilothouse_domain::stage::StageStatus;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::gates::GateView;
use super::waits::StageWait;
use crate::lanes::PlaceView;

/// A release with everything that happened in it, ready to be shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseView {
    /// Its id.
    pub id: ReleaseId,
    /// The application it belongs to.
    pub application: String,
    /// The pipeline it runs.
    pub pipeline: String,
    /// The pipeline's revision, counted from 1.
    pub revision: u32,
    /// Whether it may still act.
    pub status: ReleaseStatus,
    /// What it came to so far, over all environments.
    pub outcome: Outcome,
    /// Whether nothing runs and nothing is waited for.
    pub at_rest: bool,
    /// What it carries.
    pub artifacts: Vec<Artifact>,
    /// Its launch parameters.
    pub parameters: BTreeMap<String, String>,
    /// What started it.
    pub cause: Cause,
    /// The same in one phrase.
    pub trigger: String,
    /// Who gave it up, and why, once somebody did (A4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abandoned: Option<Abandoned>,
    /// When it was created.
    pub created_at: Timestamp,
    /// Its environments, each after those that it comes after.
    pub environments: Vec<EnvironmentView>,
}

/// What a release came to. Of two environments' ends the greater one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// Nothing was started.
    NotStarted,
    /// Something runs, or waits in line.
    InProgress,
    /// All that is under way waits for a person.
    AwaitingPerson,
    /// It is at rest, and every environment that was begun succeeded.
    Succeeded,
    /// It is at rest, and a stage failed whose failure is ignored.
    PartiallySucceeded,
    /// It is at rest, and an environment's last deployment was taken back.
    RolledBack,
    /// It is at rest, and an environment's last attempt was cancelled.
    Canceled,
    /// It is at rest, and an environment's last attempt was rejected.
    Rejected,
    /// It is at rest, and an environment's last attempt failed.
    Failed,
}

impl Outcome {
    /// Whether it is at rest and did not come to what was wanted.
    #[must_use]
    pub fn is_failure(self) -> bool {
        matches!(self, Self::RolledBack | Self::Canceled | Self::Rejected | Self::Failed)
    }
}

/// An environment of a release (H8).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentView {
    /// Its name.
    pub name: String,
    /// Its status, derived from its latest attempt (A5-A11).
    pub status: EnvironmentStatus,
    /// When it starts, while it waits for a time (A11).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_scheduled_time: Option<Timestamp>,
    /// When its deployments start, in words; absent: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// Whether this release leaves it out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
    /// Whether it starts by itself.
    pub start: Start,
    /// The environments that must have succeeded first.
    pub after: Vec<String>,
    /// The cluster account.
    pub cluster: String,
    /// The namespace.
    pub namespace: String,
    /// Whether a rollback may run, and by whom it is started.
    pub rollback_policy: RollbackMode,
    /// What keeps the release from starting here by itself (X4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<HoldView>,
    /// Its deployment attempts, the first first.
    pub attempts: Vec<AttemptView>,
}

/// Why a release does not start in an environment by itself: what it carries was taken back there (X4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HoldView {
    /// The release that was taken back.
    pub release: ReleaseId,
    /// What triggered that.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

/// How a rollback goes about it (V1, X4).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RollbackView {
    /// The release whose deployment the environment goes back to; absent when nothing was deployed there before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restores: Option<ReleaseId>,
    /// The pipeline that it runs; absent: it restores the snapshots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<String>,
    /// That pipeline's revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u32>,
    /// Why it does not run the pipeline that is named for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When all of it must be at its end, once it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
}

/// What an attempt is for, without its details.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AttemptPurpose {
    /// The first attempt in an environment.
    Deploy,
    /// A retry.
    Redeploy,
    /// Takes another attempt back.
    Rollback,
}

/// The names that Code Stream gives to executions (V15), and those for the ends that it does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExecutionName {
    /// It is not at its end.
    Running,
    /// It ended well; a rollback too.
    Completed,
    /// It ended, and is being taken back.
    RollingBack,
    /// It was taken back.
    RollbackCompleted,
    /// Taking it back failed, or was cancelled.
    RollbackFailed,
    /// It failed, or was rejected.
    Failed,
    /// It was cancelled.
    Canceled,
}

/// A deployment attempt (A1, H3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttemptView {
    /// Its id.
    pub id: AttemptId,
    /// Counted from 1 in the environment.
    pub number: u32,
    /// What it is for.
    pub kind: AttemptPurpose,
    /// The broad class of its state (A12).
    pub status: AttemptStatus,
    /// The reason behind it (A12).
    pub operation_status: OperationStatus,
    /// The same as Code Stream would call it (V15).
    pub execution: ExecutionName,
    /// Why, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where it stands in line, while it waits for room: in its environment, the installation or its cluster (X2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<PlaceView>,
    /// The freeze that keeps it from beginning, while one does (X14).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<Frozen>,
    /// Who let it begin in spite of freezes, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze_override: Option<FreezeOverride>,
    /// What may run inside it.
    pub control: Control,
    /// While it is paused or interrupted: when it is stopped unless somebody resumes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume_by: Option<Timestamp>,
    /// Whether something is still to be done for it.
    pub open: bool,
    /// Who or what created it.
    pub created_by: String,
    /// Who changed it last.
    pub last_modified_by: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its stages began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The number of the attempt that takes this one back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back_by: Option<u32>,
    /// The attempt that this one takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<AttemptRef>,
    /// What triggered the rollback (V16).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_trigger: Option<String>,
    /// How a rollback goes about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<RollbackView>,
    /// Who asked for the rollback that follows when the cancel is over (H6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_requested_by: Option<String>,
    /// The attempt whose stages that succeeded it took over (H5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continues: Option<u32>,
    /// The release whose hold was overridden by whoever started it (X4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overrides: Option<ReleaseId>,
    /// Why they did, if they said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_reason: Option<String>,
    /// Its stages in topological order, those that have not begun too.
    pub stages: Vec<StageView>,
    /// The decisions that it asked for, in the order in which they were asked.
    pub approvals: Vec<ApprovalView>,
    /// Its gates that were opened, the one before the stages first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<GateView>,
}

/// Where a stage stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum StageState {
    /// It has not begun; it may yet.
    NotStarted,
    /// It runs.
    Running,
    /// It waits for a person, or for the end of a wait.
    AwaitingAnswer,
    /// It ended well.
    Succeeded,
    /// Its condition was false.
    Skipped,
    /// It never began, because of what happened before it.
    NotRun,
    /// It failed.
    Failed,
    /// It was cancelled while it ran.
    Canceled,
}

impl From<&StageStatus> for StageState {
    fn from(status: &StageStatus) -> Self {
        match status {
            StageStatus::Running => Self::Running,
            StageStatus::AwaitingAnswer { .. } => Self::AwaitingAnswer,
            StageStatus::Succeeded => Self::Succeeded,
            StageStatus::Skipped { .. } => Self::Skipped,
            StageStatus::NotRun { .. } => Self::NotRun,
            StageStatus::Failed { .. } => Self::Failed,
            StageStatus::Canceled { .. } => Self::Canceled,
        }
    }
}

impl StageState {
    /// Whether it is under way.
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(self, Self::Running | Self::AwaitingAnswer)
    }
}

/// A stage of an attempt (T66).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StageView {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub stage_type: String,
    /// The stages that must end first.
    pub depends_on: Vec<String>,
    /// Which of them must have succeeded; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires: Option<Requires>,
    /// It runs whatever the stages before it came to, also after a failure or a cancel.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub always_run: bool,
    /// The cluster account that it acts on, if not the environment's (X9).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Where it stands.
    pub status: StageState,
    /// Why it failed, was skipped or did not run; who cancelled it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What proves it: the pod, its state and event (H12, X10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Value>,
    /// How it stands just now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it must have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// What it waits for, while it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<StageWait>,
    /// The release that it started (T36).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub child: Option<ReleaseId>,
    /// Whether what it changed can be taken back: a snapshot is stored (V10).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undoable: bool,
    /// The attempt in which it ran, when this one took it over (H5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried_from: Option<u32>,
    /// What else there is to know of how it ended: fields that others changed and that a rollback left, for one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What later stages may read.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub output: Value,
}

/// A decision that was asked for (A15, A24, T35).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalView {
    /// Its id.
    pub id: ApprovalId,
    /// The release.
    pub release: ReleaseId,
    /// The application.
    pub application: String,
    /// The environment.
    pub environment: String,
    /// The attempt that waits for it.
    pub attempt: u32,
    /// What is asked for.
    pub asks: Asks,
    /// The stage that asks, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// The answers to choose from; empty: approve or reject.
    pub inputs: Vec<String>,
    /// Who may decide: `role approver`, `user alice`.
    pub approvers: Vec<String>,
    /// Whether they are asked all at once or in turn.
    pub order: Order,
    /// Who is asked now; empty when it has ended.
    pub asked: Vec<String>,
    /// Those who may not decide, as they started the release or the deployment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<String>,
    /// How many must say yes.
    pub required: u32,
    /// How many did.
    pub given: u32,
    /// What to look at first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// Whether it waits for decisions.
    pub pending: bool,
    /// Whether it came to a yes; false while it is pending.
    pub approved: bool,
    /// How it stands: `pending (0 of 1 given)`, `approved by ann`.
    pub standing: String,
    /// The answer that was chosen (T35).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// When the deployment is to start, if it was approved for a later time (A18).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defer_until: Option<Timestamp>,
    /// Who decided what, when, from where, and what they saw.
    pub decisions: Vec<Decision>,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it expires.
    pub deadline: Timestamp,
    /// What it comes to then.
    pub on_expiry: OnExpiry,
    /// When it was decided or expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// What the approvers are shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Box<Shown>>,
    /// Its SHA-256: sent as `saw` with a decision, it binds the decision to it (X6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown_hash: Option<String>,
}

/// What an approval is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Asks {
    /// The deployment may start (A15).
    BeforeDeployment,
    /// The deployment may count as succeeded (A25).
    AfterDeployment,
    /// A stage may go on (A24, T35).
    Stage,
}

impl From<&Approval> for ApprovalView {
    fn from(approval: &Approval) -> Self {
        let names =
            |list: &[pilothouse_domain::pipeline::Approver]| list.iter().map(ToString::to_string).collect();
        let pending = approval.is_pending();
        let excluded = if approval.self_approval { Vec::new() } else { approval.started_by.clone() };
        let (approved, defer_until) = match approval.verdict() {
            Some(Verdict::Approved { defer_until, .. }) => (true, defer_until),
            _ => (false, None),
        };
        Self {
            id: approval.id.clone(),
            release: approval.at.release.clone(),
            application: approval.application.clone(),
            environment: approval.at.environment.clone(),
            attempt: approval.at.number,
            asks: match approval.subject {
                Subject::BeforeDeployment => Asks::BeforeDeployment,
                Subject::AfterDeployment => Asks::AfterDeployment,
                Subject::Stage { .. } => Asks::Stage,
            },
            stage: approval.subject.stage().map(str::to_owned),
            inputs: approval.inputs.clone(),
            approvers: names(&approval.approvers),
            order: approval.order,
            asked: if pending { names(approval.asked()) } else { Vec::new() },
            excluded,
            required: approval.required,
            given: approval.given(),
            instructions: approval.instructions.clone(),
            pending,
            approved,
            standing: approval.status_summary(),
            input: approval.input().map(str::to_owned),
            defer_until,
            decisions: approval.decisions.clone(),
            created_at: approval.created_at,
            deadline: approval.deadline,
            on_expiry: approval.on_expiry,
            ended_at: approval.ended_at,
            shown: approval.shown.clone(),
            shown_hash: approval.shown_hash.clone(),
        }
    }
}
