//! The AWS of a process that may never need it: found the first time that somebody asks (an EKS cluster, an `aws-secret:`).

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_smithy_http_client::tls;
use futures::future::BoxFuture;
use pilothouse_operations::secrets::{SecretSource, SecretUnavailable};
use tokio::sync::OnceCell;

use crate::secrets_manager::SecretsManager;

/// The standard configuration of AWS: variables, profiles, the machine's role.
pub(crate) async fn standard_config() -> SdkConfig {
    // Another part of the process may have installed it first, and that is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https();
    aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await
}

/// The standard AWS credentials, looked for when they are first asked for.
#[derive(Debug, Default)]
pub struct LazyCredentials {
    config: OnceCell<SdkConfig>,
}

impl ProvideCredentials for LazyCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let config = self.config.get_or_init(standard_config).await;
            match config.credentials_provider() {
                Some(provider) => provider.provide_credentials().await,
                None => Err(CredentialsError::not_loaded("no AWS credentials are configured")),
            }
        })
    }
}

/// The variables that name an endpoint of Secrets Manager.
const ENDPOINTS: [&str; 2] = ["AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL"];

/// Secrets Manager for a system that runs outside of AWS: only where its endpoint is named.
#[derive(Default)]
pub struct LazySecrets {
    source: OnceCell<SecretsManager>,
}

impl SecretSource for LazySecrets {
    fn fetch<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<String, SecretUnavailable>> {
        Box::pin(async move {
            if !ENDPOINTS.iter().any(|variable| std::env::var_os(variable).is_some_and(|v| !v.is_empty())) {
                return Err(SecretUnavailable {
                    reference: format!("aws-secret:{name}"),
                    reason: format!(
                        "this installation runs outside of AWS; name the endpoint in {}, or use env: or file:",
                        ENDPOINTS[0]
                    ),
                });
            }
            let start = || async {
                SecretsManager::new(aws_sdk_secretsmanager::Client::new(&standard_config().await))
            };
            self.source.get_or_init(start).await.fetch(name).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn outside_of_aws_a_secret_of_aws_is_refused_with_what_to_do() {
        let error = LazySecrets::default().fetch("shop/kube").await.unwrap_err().to_string();
        assert!(
            error.contains("AWS_ENDPOINT_URL_SECRETS_MANAGER") && error.contains("use env: or file:"),
            "{error}"
        );
    }
}
