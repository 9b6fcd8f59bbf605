//! The engine's handle.
use std::sync::Arc;
use std::time::Duration;

use crate::{Clock, Error, Execution, HistoryEvent, Started, StateMachine, StatusName, Tasks};

/// A cheap handle to one engine; clones share it.
#[derive(Clone)]
pub struct Engine {
    _inner: Arc<()>,
}

/// Sets up an [`Engine`].
pub struct EngineBuilder {
    _private: (),
}

/// How much of an execution's history is kept for `GetExecutionHistory`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryKept {
    /// Every event, as AWS does.
    All,
    /// The latest events only.
    Last(usize),
    /// None; events are only counted.
    None,
}

#[expect(unused_variables, clippy::missing_const_for_fn, reason = "signatures first")]
impl EngineBuilder {
    /// Seeds every random choice (default 0).
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        self
    }
    /// The region in ARNs (default `us-east-1`).
    #[must_use]
    pub fn region(self, region: &str) -> Self {
        self
    }
    /// The account in ARNs (default `123456789012`).
    #[must_use]
    pub fn account(self, account: &str) -> Self {
        self
    }
    /// How much history to keep (default all).
    #[must_use]
    pub fn history(self, kept: HistoryKept) -> Self {
        self
    }
    /// How long an ended execution can be described (default 90 days).
    #[must_use]
    pub fn retention(self, retention: Duration) -> Self {
        self
    }
    /// The engine.
    #[must_use]
    pub fn build(self) -> Engine {
        unimplemented!()
    }
}

#[expect(unused_variables, reason = "signatures first")]
impl Engine {
    /// A builder.
    pub fn builder(tasks: Arc<dyn Tasks>, clock: Arc<dyn Clock>) -> EngineBuilder {
        unimplemented!()
    }
    /// Creates a machine; returns its ARN.
    pub fn create_state_machine(&self, name: &str, definition: &str) -> Result<Arc<str>, Error> {
        unimplemented!()
    }
    /// Replaces a machine's definition; running executions keep the old one.
    pub fn update_state_machine(&self, arn: &str, definition: &str) -> Result<(), Error> {
        unimplemented!()
    }
    /// One machine.
    pub fn describe_state_machine(&self, arn: &str) -> Result<StateMachine, Error> {
        unimplemented!()
    }
    /// All machines by name.
    pub fn list_state_machines(&self) -> Vec<StateMachine> {
        unimplemented!()
    }
    /// Starts an execution; `name: None` makes one up; `input` is JSON text.
    pub fn start_execution(
        &self,
        machine_arn: &str,
        name: Option<&str>,
        input: &str,
    ) -> Result<Started, Error> {
        unimplemented!()
    }
    /// Stops an execution; returns when it ended (ms). Harmless on an ended one.
    pub fn stop_execution(&self, arn: &str, error: Option<&str>, cause: Option<&str>) -> Result<i64, Error> {
        unimplemented!()
    }
    /// One execution.
    pub fn describe_execution(&self, arn: &str) -> Result<Execution, Error> {
        unimplemented!()
    }
    /// Executions of a machine, latest first.
    pub fn list_executions(
        &self,
        machine_arn: &str,
        status: Option<StatusName>,
    ) -> Result<Vec<Execution>, Error> {
        unimplemented!()
    }
    /// The kept history.
    pub fn get_execution_history(&self, arn: &str) -> Result<Vec<HistoryEvent>, Error> {
        unimplemented!()
    }
    /// Answers a task token; `output` is JSON text.
    pub fn send_task_success(&self, token: &str, output: &str) -> Result<(), Error> {
        unimplemented!()
    }
    /// Fails a task token.
    pub fn send_task_failure(
        &self,
        token: &str,
        error: Option<&str>,
        cause: Option<&str>,
    ) -> Result<(), Error> {
        unimplemented!()
    }
    /// Pushes a task's heartbeat deadline forward.
    pub fn send_task_heartbeat(&self, token: &str) -> Result<(), Error> {
        unimplemented!()
    }
    /// Resolves when the execution has ended.
    pub async fn wait(&self, arn: &str) -> Result<Execution, Error> {
        unimplemented!()
    }
    /// Forgets everything at once, as a killed process would: no further invocation, no effect.
    pub fn shut_down(&self) {
        unimplemented!()
    }
}

/// One event of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEventPlaceholder;
