//! The steps of `stage.asl.json`. Each reads the records again; calling one twice is harmless (invariant 2).

mod begin;
mod cancel;
mod end;
mod observe;
pub(crate) mod scope;
mod snapshot;
mod together;
mod wait;

use pilothouse_domain::attempt::Attempt;
use pilothouse_domain::pipeline::{EnvironmentSpec, StageSpec};
use pilothouse_domain::release::Release;
use pilothouse_domain::stage::{StageRun, stages_of};
use pilothouse_store::Versioned;
use serde::{Deserialize, Serialize};

pub use begin::begin;
pub(crate) use begin::{Evaluated, evaluate};
pub(crate) use cancel::end_overdue;
pub use end::fail;
pub(crate) use end::{close_question, event};
pub use observe::observe;
pub(crate) use scope::{in_cluster, scope};
pub(crate) use together::is_ended_by_another;
pub(crate) use wait::is_answered;
pub use wait::{answered, await_answer};

use crate::executions::ExecutionInput;
use crate::stages::StageContext;
use crate::{Context, OperationError};

/// Which stage a step is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageInput {
    /// The attempt's execution.
    #[serde(flatten)]
    pub execution: ExecutionInput,
    /// The stage's name.
    pub stage: String,
}

/// What the definition does next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "next", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum StageNext {
    /// Watch it.
    Observe,
    /// Wait for an answer.
    Await {
        /// At most so long.
        timeout_seconds: i64,
    },
    /// Begin again: it was held back, and may not be any more.
    Begin,
    /// It is at its end.
    Ended,
}

/// What every step of a stage loads.
pub(crate) struct Loaded {
    pub(crate) release: Release,
    pub(crate) attempt: Versioned<Attempt>,
    pub(crate) stages: Vec<StageSpec>,
    pub(crate) run: Option<Versioned<StageRun>>,
}

impl Loaded {
    pub(crate) async fn new(context: &Context, input: &StageInput) -> Result<Self, OperationError> {
        let attempt = context.current(&input.execution).await?;
        let release = context.release(&input.execution.at.release).await?.record.seen_by(&attempt.record);
        let run = context.store.stage_run(&input.execution.at, &input.stage).await?;
        let stages = stages_of(&release, &attempt.record);
        Ok(Self { release, attempt, stages, run })
    }

    pub(crate) fn spec(&self, stage: &str) -> Result<&StageSpec, OperationError> {
        self.stages
            .iter()
            .find(|s| s.name == stage)
            .ok_or_else(|| OperationError::Inconsistent(format!("the attempt has no stage `{stage}`")))
    }

    pub(crate) fn environment(&self) -> Result<&EnvironmentSpec, OperationError> {
        let name = &self.attempt.record.at.environment;
        self.release
            .environment(name)
            .ok_or_else(|| OperationError::Inconsistent(format!("the release has no environment `{name}`")))
    }

    pub(crate) fn stage<'a>(
        &'a self,
        context: &'a Context,
        run: &'a StageRun,
    ) -> Result<StageContext<'a>, OperationError> {
        Ok(StageContext {
            context,
            release: &self.release,
            attempt: &self.attempt.record,
            environment: self.environment()?,
            spec: self.spec(&run.stage)?,
            run,
            rehearsal: None,
            foreseen: &[],
        })
    }
}
