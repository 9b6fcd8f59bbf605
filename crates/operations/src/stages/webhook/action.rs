//! What is known of the calls of a run, as its record keeps it.

use jiff::Timestamp;
use pilothouse_domain::stage::{StageRun, StageStatus};
use pilothouse_store::Transaction;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::OperationError;
use crate::stages::StageContext;

/// How often a note is written anew because somebody else wrote meanwhile: a receiver that calls back.
const TRIES: u32 = 10;

/// What is known of the calls that were made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Action {
    /// How many calls were answered in a way that asks for another, or not at all.
    pub(super) attempts: u32,
    /// Not before this is the next call, or the next look at the status.
    pub(super) next: Timestamp,
    /// What the call was answered, once its completion is waited for: it is not made again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) called: Option<Called>,
    /// What the receiver said when it called back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) called_back: Option<CalledBack>,
}

/// A call that was made, and is not at its end with that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Called {
    /// The output so far: `{webhook: …}`.
    pub(super) output: Value,
    /// Where its status is asked for; absent where the receiver calls back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) status_url: Option<String>,
    /// How often it was asked.
    pub(super) asked: u32,
}

/// What a receiver says of what it was called for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CallbackStatus {
    /// It is done.
    Succeeded,
    /// It failed.
    Failed,
}

/// How a receiver called back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CalledBack {
    /// What it came to.
    pub(crate) status: CallbackStatus,
    /// What the receiver says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
    /// What later stages may read of it.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub(crate) data: Value,
    /// When it called.
    pub(crate) at: Timestamp,
}

impl CalledBack {
    /// Whether it says the same, whenever: then it is the same call, repeated.
    pub(crate) fn repeats(&self, other: &Self) -> bool {
        (self.status, &self.message, &self.data) == (other.status, &other.message, &other.data)
    }
}

impl Action {
    pub(super) fn of(run: &StageRun) -> Option<Self> {
        serde_json::from_value(run.action.clone()).ok()
    }

    pub(super) fn value(&self) -> Result<Value, OperationError> {
        serde_json::to_value(self)
            .map_err(|e| OperationError::Inconsistent(format!("the action cannot be written: {e}")))
    }
}

/// Changes the action in the run's record as it is now, and gives it as it is then; `None` when the run is watched no more, or others
/// keep writing: then it is looked at again.
pub(super) async fn note(
    stage: &StageContext<'_>,
    progress: &str,
    change: impl Fn(&mut Action),
) -> Result<Option<Action>, OperationError> {
    let store = &stage.context.store;
    for _ in 0..TRIES {
        let Some(run) = store.stage_run(&stage.run.at, &stage.run.stage).await? else { return Ok(None) };
        if run.record.status != StageStatus::Running {
            return Ok(None);
        }
        let Some(mut action) = Action::of(&run.record) else { return Ok(None) };
        change(&mut action);
        let progress = Some(progress.to_owned());
        let next = StageRun { action: action.value()?, progress, ..run.record.clone() };
        match stage.context.commit(Transaction::new().replace(&run, &next)).await? {
            true => return Ok(Some(action)),
            false => continue,
        }
    }
    Ok(None)
}
