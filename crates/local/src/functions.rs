//! AWS Lambda in this process: the functions by name, called with the very events that Step Functions would send.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use futures::future::BoxFuture;
use pilothouse_asl::{FunctionError, Tasks};
use pilothouse_function_kit::StepError;
use pilothouse_operations::Context;
use serde_json::Value;

/// The end of the process after a step: how a test finds out what a crash at that point does.
///
/// Written `run-stage:begin` or `run-stage:begin:2` for the second such step. The process kills itself as `kill -9`
/// would, after the step's handler has returned and before the engine learns of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Halt {
    step: String,
    nth: u32,
}

impl std::str::FromStr for Halt {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (step, nth) = match text.rsplit_once(':') {
            Some((step, nth)) if nth.chars().all(|c| c.is_ascii_digit()) && !nth.is_empty() => {
                (step, nth.parse().map_err(|_| format!("`{nth}` is no count"))?)
            }
            _ => (text, 1),
        };
        Ok(Self { step: step.to_owned(), nth })
    }
}

/// What goes wrong with a call of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepFault {
    /// It is never called; the caller sees an error that may pass.
    Lost,
    /// It is called, and its answer is lost.
    AnswerLost,
    /// It is called twice.
    Repeated,
}

/// Decides for each call, given as `run-stage:begin`, what goes wrong with it.
pub type StepFaults = Arc<dyn Fn(&str) -> Option<StepFault> + Send + Sync>;

/// The functions that the state machines call.
pub(crate) struct Functions {
    context: OnceLock<Context>,
    halt: Option<(Halt, Mutex<u32>)>,
    faults: Option<StepFaults>,
}

impl Functions {
    pub(crate) fn new(halt: Option<Halt>, faults: Option<StepFaults>) -> Self {
        Self { context: OnceLock::new(), halt: halt.map(|h| (h, Mutex::new(0))), faults }
    }

    /// Gives the functions what they work with; the engine that calls them had to exist first.
    pub(crate) fn ready(&self, context: Context) {
        // A second call would be a mistake of this crate; the first stays.
        let _ = self.context.set(context);
    }

    async fn call(&self, name: &str, event: Value) -> Result<Value, FunctionError> {
        let context = self
            .context
            .get()
            .ok_or_else(|| FunctionError::service("ResourceNotReadyException", "the system is starting"))?;
        let result = match name {
            "advance-deployment" => pilothouse_advance_deployment::handle(context, event).await,
            "run-stage" => pilothouse_run_stage::handle(context, event).await,
            other => {
                let message = format!("there is no function `{other}`");
                return Err(FunctionError::service("ResourceNotFoundException", message));
            }
        };
        result.map_err(|StepError { error_type, message }| FunctionError::new(error_type, message))
    }

    fn halt_after(&self, step: &str) {
        let Some((halt, seen)) = &self.halt else { return };
        if halt.step != step {
            return;
        }
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen += 1;
        if *seen == halt.nth {
            let me = rustix::process::getpid();
            // The signal cannot be refused; the error is that of a system without it.
            let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
        }
    }
}

impl Tasks for Functions {
    fn invoke<'a>(
        &'a self,
        function: &'a str,
        payload: Value,
    ) -> BoxFuture<'a, Result<Value, FunctionError>> {
        let name = pilothouse_asl::function_name(function);
        let step = payload.get("step").and_then(Value::as_str).unwrap_or("-");
        let step = format!("{name}:{step}");
        Box::pin(async move {
            let lost =
                || FunctionError::service("ServiceException", "the call was lost (a fault of the test)");
            let fault = self.faults.as_ref().and_then(|decide| decide(&step));
            if fault == Some(StepFault::Lost) {
                return Err(lost());
            }
            if fault == Some(StepFault::Repeated) {
                let _ = self.call(name, payload.clone()).await;
            }
            let result = self.call(name, payload).await;
            self.halt_after(&step);
            if let Err(error) = &result {
                tracing::warn!(%step, %error, "the step failed");
            }
            if fault == Some(StepFault::AnswerLost) { Err(lost()) } else { result }
        })
    }
}
