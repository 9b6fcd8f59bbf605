//! `aws-secret:` references: AWS Secrets Manager.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{DisplayErrorContext, ProvideErrorMetadata as _};
use futures::future::BoxFuture;
use pilothouse_operations::secrets::{SecretSource, SecretUnavailable};
use tokio::time::Instant;

/// How long a value is used before it is read again: a rotated secret is noticed after that.
const USED_FOR: Duration = Duration::from_secs(60);
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads secrets, each at most once a minute. The values stay in this process.
pub struct SecretsManager {
    client: Client,
    read: Mutex<BTreeMap<String, (Instant, String)>>,
}

impl SecretsManager {
    /// Reads by this client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client, read: Mutex::default() }
    }

    async fn ask(&self, name: &str) -> Result<String, SecretUnavailable> {
        let refused = |reason: String| SecretUnavailable { reference: format!("aws-secret:{name}"), reason };
        let asking = self.client.get_secret_value().secret_id(name).send();
        let answer = tokio::time::timeout(PATIENCE, asking)
            .await
            .map_err(|_| refused(format!("no answer within {} s", PATIENCE.as_secs())))?
            .map_err(|error| {
                refused(match error.code() {
                    Some("ResourceNotFoundException") => "there is no such secret in this region".to_owned(),
                    Some("AccessDeniedException") => {
                        "this installation may not read it; allow `secretsmanager:GetSecretValue` on it"
                            .to_owned()
                    }
                    Some("DecryptionFailure") => {
                        "it cannot be decrypted; allow `kms:Decrypt` on its key".to_owned()
                    }
                    _ => DisplayErrorContext(&error).to_string(),
                })
            })?;
        answer.secret_string.ok_or_else(|| refused("it is binary; store it as text".to_owned()))
    }
}

impl SecretSource for SecretsManager {
    fn fetch<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<String, SecretUnavailable>> {
        Box::pin(async move {
            let known = self.read.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
            if let Some((_, value)) = known.filter(|(at, _)| at.elapsed() < USED_FOR) {
                return Ok(value);
            }
            let value = self.ask(name).await?;
            let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            read.retain(|_, (at, _)| at.elapsed() < USED_FOR);
            read.insert(name.to_owned(), (Instant::now(), value.clone()));
            Ok(value)
        })
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_secretsmanager::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
    use serde_json::json;
    use wiremock::matchers::{body_partial_json, header};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    fn source(server: &MockServer) -> SecretsManager {
        let config = aws_sdk_secretsmanager::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("a", "b", None, None, "test"))
            .endpoint_url(server.uri())
            .retry_config(RetryConfig::disabled())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        SecretsManager::new(Client::from_conf(config))
    }

    async fn answers(server: &MockServer, name: &str, status: u16, body: serde_json::Value, times: u64) {
        Mock::given(header("x-amz-target", "secretsmanager.GetSecretValue"))
            .and(body_partial_json(json!({ "SecretId": name })))
            .respond_with(ResponseTemplate::new(status).set_body_json(body))
            .expect(times)
            .mount(server)
            .await;
    }

    #[tokio::test]
    async fn a_secret_is_read_once_and_used_for_a_minute() {
        let server = MockServer::start().await;
        answers(&server, "shop/kube", 200, json!({ "SecretString": "hunter2" }), 1).await;
        let source = source(&server);
        assert_eq!(source.fetch("shop/kube").await.unwrap(), "hunter2");
        assert_eq!(source.fetch("shop/kube").await.unwrap(), "hunter2");
    }

    #[tokio::test]
    async fn what_cannot_be_read_says_why() {
        let server = MockServer::start().await;
        let kind = |name: &str| json!({ "__type": name, "message": "no" });
        answers(&server, "none", 400, kind("ResourceNotFoundException"), 1).await;
        answers(&server, "denied", 400, kind("AccessDeniedException"), 1).await;
        answers(&server, "binary", 200, json!({ "SecretBinary": "AAAA" }), 1).await;
        let source = source(&server);
        for (name, told) in [
            ("none", "there is no such secret"),
            ("denied", "secretsmanager:GetSecretValue"),
            ("binary", "it is binary"),
        ] {
            let error = source.fetch(name).await.unwrap_err().to_string();
            assert!(error.contains(told) && error.contains(&format!("aws-secret:{name}")), "{error}");
        }
    }
}
