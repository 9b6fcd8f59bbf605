//! Step Functions, as the use cases need it: start, look, stop, and answer a callback token.

use aws_sdk_sfn::Client;
use aws_sdk_sfn::config::http::HttpResponse;
use aws_sdk_sfn::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_sfn::types::ExecutionStatus;
use pilothouse_domain::attempt::{Attempt, AttemptRef};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The input of a deployment's execution, and part of every step's: ids only (invariant 4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionInput {
    /// The attempt.
    #[serde(flatten)]
    pub at: AttemptRef,
    /// Which of the attempt's executions this is: an older one is refused.
    pub restarts: u32,
}

impl ExecutionInput {
    /// The input of the attempt's present execution.
    #[must_use]
    pub fn of(attempt: &Attempt) -> Self {
        Self { at: attempt.at.clone(), restarts: attempt.restarts }
    }
}

/// Step Functions refused, or could not be reached.
#[derive(Debug, thiserror::Error)]
#[error("step functions: cannot {operation}: {message}")]
pub struct EngineError {
    operation: &'static str,
    code: Option<String>,
    message: String,
    retryable: bool,
}

impl EngineError {
    fn new<E: ProvideErrorMetadata + std::error::Error + 'static>(
        operation: &'static str,
        error: &SdkError<E, HttpResponse>,
    ) -> Self {
        let code = error.code().map(str::to_owned);
        let refused = matches!(error, SdkError::ServiceError(e) if !e.raw().status().is_server_error());
        let throttled = code.as_deref().is_some_and(|c| c.contains("Throttl") || c.contains("LimitExceeded"));
        let message = match error.message() {
            Some(message) => format!("{}: {message}", code.as_deref().unwrap_or("error")),
            None => DisplayErrorContext(error).to_string(),
        };
        Self { operation, code, message, retryable: !refused || throttled }
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }
}

/// How an execution stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecutionState {
    /// It runs, or waits.
    Running,
    /// It came to an end, well or not.
    Ended,
    /// There is no such execution.
    Missing,
}

/// The two state machines of an installation.
#[derive(Debug, Clone)]
pub struct Executions {
    client: Client,
    deployment_arn: String,
}

impl Executions {
    /// Runs deployments on the state machine `deployment_arn`.
    #[must_use]
    pub fn new(client: Client, deployment_arn: impl Into<String>) -> Self {
        Self { client, deployment_arn: deployment_arn.into() }
    }

    /// Starts the attempt's present execution. Starting it twice is harmless.
    ///
    /// # Errors
    /// [`EngineError`] when Step Functions refuses or cannot be reached.
    pub async fn start(&self, attempt: &Attempt) -> Result<(), EngineError> {
        let input = serde_json::to_string(&ExecutionInput::of(attempt)).unwrap_or_default();
        let sent = self
            .client
            .start_execution()
            .state_machine_arn(&self.deployment_arn)
            .name(attempt.execution_name())
            .input(input)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(()),
            Err(e) if e.code() == Some("ExecutionAlreadyExists") => Ok(()),
            Err(e) => Err(EngineError::new("start the execution", &e)),
        }
    }

    /// Starts the execution of an attempt that was just stored. When that fails the attempt stands nevertheless, and its
    /// maker has done what was asked: `sweep` starts what is missing.
    pub(crate) async fn start_or_leave(&self, attempt: &Attempt) {
        if let Err(error) = self.start(attempt).await {
            tracing::warn!(%error, attempt = %attempt.id, "the execution is left for sweep to start");
        }
    }

    /// How the attempt's present execution stands.
    ///
    /// # Errors
    /// [`EngineError`] when Step Functions cannot be reached.
    pub async fn state(&self, attempt: &Attempt) -> Result<ExecutionState, EngineError> {
        let arn = self.arn(attempt);
        match self.client.describe_execution().execution_arn(arn).send().await {
            Ok(found) if *found.status() == ExecutionStatus::Running => Ok(ExecutionState::Running),
            Ok(found) if found.status().as_str() == "PENDING_REDRIVE" => Ok(ExecutionState::Running),
            Ok(_) => Ok(ExecutionState::Ended),
            Err(e) if e.code() == Some("ExecutionDoesNotExist") => Ok(ExecutionState::Missing),
            Err(e) => Err(EngineError::new("describe the execution", &e)),
        }
    }

    /// Answers a callback token. One that nobody waits for any more is no error: the wait ended another way.
    ///
    /// # Errors
    /// [`EngineError`] when Step Functions cannot be reached.
    pub async fn answer(&self, token: &str, output: &Value) -> Result<(), EngineError> {
        let sent = self.client.send_task_success().task_token(token).output(output.to_string()).send().await;
        match sent {
            Ok(_) => Ok(()),
            Err(e) if matches!(e.code(), Some("TaskTimedOut" | "TaskDoesNotExist" | "InvalidToken")) => {
                tracing::debug!(code = e.code(), "nobody waits for this token any more");
                Ok(())
            }
            Err(e) => Err(EngineError::new("answer a callback token", &e)),
        }
    }

    fn arn(&self, attempt: &Attempt) -> String {
        // A version or alias at the end of the state machine's ARN is no part of its executions'.
        let mut parts: Vec<&str> = self.deployment_arn.split(':').take(7).collect();
        if let Some(kind) = parts.get_mut(5) {
            *kind = "execution";
        }
        format!("{}:{}", parts.join(":"), attempt.execution_name())
    }
}

impl EngineError {
    /// The service's name of the error, when it gave one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }
}
