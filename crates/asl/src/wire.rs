//! AWS JSON 1.0.
use crate::Engine;

/// An HTTP answer: `content-type: application/x-amz-json-1.0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireResponse {
    /// HTTP status: 200, 400 or 500.
    pub status: u16,
    /// The JSON document.
    pub body: Vec<u8>,
}

/// Answers one request. `target` is the `X-Amz-Target` header (`AWSStepFunctions.StartExecution`).
#[expect(clippy::unused_async, unused_variables, reason = "signatures first")]
pub async fn handle(engine: &Engine, target: &str, body: &[u8]) -> WireResponse {
    unimplemented!()
}
