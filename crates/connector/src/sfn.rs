//! Step Functions in this process: any function from target and body to status and body, behind the real SDK client.

use std::future::Future;
use std::sync::Arc;

use aws_sdk_sfn::config::retry::RetryConfig;
use aws_sdk_sfn::config::timeout::TimeoutConfig;
use aws_sdk_sfn::config::{BehaviorVersion, Region, StalledStreamProtectionConfig};
use aws_smithy_async::rt::sleep::TokioSleep;

use crate::transport::{ENDPOINT, InProcess};

/// The SDK client onto `handle`, which gets the target (`AWSStepFunctions.StartExecution`) and the JSON body, and
/// gives the status and the JSON body of the answer.
#[must_use]
pub fn client<F>(handle: F) -> aws_sdk_sfn::Client
where
    F: Fn(&str, &[u8]) -> (u16, Vec<u8>) + Send + Sync + 'static,
{
    client_async(move |target, body| {
        let answer = handle(&target, &body);
        async move { answer }
    })
}

/// As [`client`], for a handler that waits: `StartSyncExecution` and `GetActivityTask` do.
#[must_use]
pub fn client_async<F, W>(handle: F) -> aws_sdk_sfn::Client
where
    F: Fn(String, Vec<u8>) -> W + Send + Sync + 'static,
    W: Future<Output = (u16, Vec<u8>)> + Send + 'static,
{
    let handle = Arc::new(handle);
    let transport = InProcess::new("states", move |target, body| {
        let handle = Arc::clone(&handle);
        Box::pin(async move { Some(handle(target, body).await) })
    });
    let config = aws_sdk_sfn::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .endpoint_url(ENDPOINT)
        .allow_no_auth()
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .sleep_impl(TokioSleep::new())
        .http_client(transport)
        .build();
    aws_sdk_sfn::Client::from_conf(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_reads_the_handlers_answer_and_its_errors() {
        let sfn = client(|target, body| {
            let input: serde_json::Value = serde_json::from_slice(body).unwrap();
            match target {
                "AWSStepFunctions.StartExecution" => {
                    assert_eq!(input["name"], "dep_1-0");
                    (200, br#"{"executionArn":"arn:e","startDate":1.5}"#.to_vec())
                }
                _ => (400, br#"{"__type":"TaskTimedOut","message":"too late"}"#.to_vec()),
            }
        });
        let start = sfn.start_execution().state_machine_arn("arn:m").name("dep_1-0").send().await.unwrap();
        assert_eq!(start.execution_arn(), "arn:e");
        let late = sfn.send_task_success().task_token("t").output("{}").send().await.unwrap_err();
        assert!(late.into_service_error().is_task_timed_out());
    }
}
