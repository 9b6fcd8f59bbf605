//! AWS JSON 1.0: the requests and answers of the Step Functions API, so that AWS's own clients work unchanged.

mod executions;
mod history;
mod machines;
mod request;
mod tasks;

use serde_json::{Value, json};

use crate::{Engine, Error};
use request::Request;

/// An HTTP answer; its content type is [`CONTENT_TYPE`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireResponse {
    /// 200, 400 for a refused request, or 503 after [`Engine::shut_down`].
    pub status: u16,
    /// A JSON document; for a refusal `{"__type": "<code>", "message": "<text>"}`.
    pub body: Vec<u8>,
}

/// The content type of requests and answers.
pub const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// The service's name in `X-Amz-Target`.
const SERVICE: &str = "AWSStepFunctions.";

/// A refused request: the error code and the message.
#[derive(Debug)]
struct Refused {
    status: u16,
    code: &'static str,
    message: String,
    /// Further members of the answer.
    reason: Option<&'static str>,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        let status = if error == Error::ShutDown { 503 } else { 400 };
        Self { status, code: error.code(), message: error.aws_message(), reason: None }
    }
}

impl Refused {
    fn validation(message: impl Into<String>) -> Self {
        Self { status: 400, code: "ValidationException", message: message.into(), reason: None }
    }
}

type Answer = Result<Value, Refused>;

/// What answers an action.
type Action = fn(&Engine, &Request) -> Answer;

/// The actions that exist, with what answers them.
const ACTIONS: [(&str, Action); 14] = [
    ("CreateStateMachine", machines::create),
    ("UpdateStateMachine", machines::update),
    ("DescribeStateMachine", machines::describe),
    ("ListStateMachines", machines::list),
    ("ValidateStateMachineDefinition", machines::validate),
    ("DescribeStateMachineForExecution", machines::describe_for_execution),
    ("StartExecution", executions::start),
    ("StopExecution", executions::stop),
    ("DescribeExecution", executions::describe),
    ("ListExecutions", executions::list),
    ("GetExecutionHistory", history::get),
    ("SendTaskSuccess", tasks::success),
    ("SendTaskFailure", tasks::failure),
    ("SendTaskHeartbeat", tasks::heartbeat),
];

/// Answers one request. `target` is the `X-Amz-Target` header, such as `AWSStepFunctions.StartExecution`.
///
/// It is asynchronous because some actions of the API answer only when something has happened.
#[expect(clippy::unused_async, reason = "actions that wait for an execution will need it")]
pub async fn handle(engine: &Engine, target: &str, body: &[u8]) -> WireResponse {
    match answer(engine, target, body) {
        Ok(document) => WireResponse { status: 200, body: document.to_string().into_bytes() },
        Err(refused) => {
            let mut document = json!({"__type": refused.code, "message": refused.message});
            if let Some(reason) = refused.reason {
                document["reason"] = reason.into();
            }
            WireResponse { status: refused.status, body: document.to_string().into_bytes() }
        }
    }
}

fn answer(engine: &Engine, target: &str, body: &[u8]) -> Answer {
    let action = target
        .strip_prefix(SERVICE)
        .and_then(|action| ACTIONS.iter().find(|(name, _)| *name == action))
        .ok_or_else(|| Refused {
            status: 400,
            code: "UnknownOperationException",
            message: format!("the operation {target:?} does not exist in this engine"),
            reason: None,
        })?;
    let request = Request::parse(body)?;
    (action.1)(engine, &request)
}

/// A date on the wire: seconds since the epoch, with a fraction.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of this age are exact in an f64")]
fn date(ms: i64) -> Value {
    (ms as f64 / 1_000.0).into()
}
