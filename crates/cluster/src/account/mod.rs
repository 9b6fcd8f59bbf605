//! A cluster by its address: credentials that are no kubeconfig (T9), and what they may do (T10).

mod permissions;
mod role;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::json;

pub use permissions::{MissingPermission, PERMISSIONS, Permission};
pub use role::cluster_role;

use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::unusable;

/// Where an API server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAddress {
    /// `https://host:6443`. Plain `http` only on this machine.
    pub url: String,
    /// The PEM of the authorities that sign its certificate; those that everybody trusts when absent.
    pub ca: Option<String>,
}

/// Where the bearer token of each request comes from: a text that stays, or one that is made anew before it expires.
pub trait TokenSource: Send + Sync {
    /// A token that is good now.
    ///
    /// # Errors
    /// Why there is none, for people, without secrets.
    fn token(&self) -> BoxFuture<'_, Result<String, String>>;
}

impl Cluster {
    /// A cluster at an address, with a token in each request. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ClusterError::Account`] when the address or the certificate cannot be used, or the token would be sent in the clear.
    pub async fn at_server(
        server: &ServerAddress,
        tokens: Arc<dyn TokenSource>,
    ) -> Result<Self, ClusterError> {
        check_address(&server.url)?;
        let mut cluster = json!({ "server": server.url });
        if let Some(pem) = &server.ca {
            check_authorities(pem)?;
            cluster["certificate-authority-data"] = STANDARD.encode(pem).into();
        }
        let kubeconfig: Kubeconfig = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "account",
            "contexts": [{ "name": "account", "context": { "cluster": "account", "user": "account" } }],
            "clusters": [{ "name": "account", "cluster": cluster }],
            "users": [{ "name": "account", "user": {} }],
        }))
        .map_err(|_| wrong("the address and the certificate make no configuration"))?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        let mut config = config.map_err(|error| wrong(unusable::of_kubeconfig(&error)))?;
        config.connect_timeout = Some(Duration::from_secs(5));
        config.default_retry = false;
        let client = Client::try_from(config).map_err(|error| wrong(unusable::of_client(&error)))?;
        Ok(Self::new(client).with_tokens(tokens))
    }
}

fn wrong(message: impl Into<String>) -> ClusterError {
    ClusterError::Account { message: message.into() }
}

/// Whether an address can be used, and does not send a token in the clear.
///
/// # Errors
/// [`ClusterError::Account`] with what to write instead.
pub fn check_address(url: &str) -> Result<(), ClusterError> {
    server_address(url).map(drop).map_err(wrong)
}

/// The address, if it can be used and does not send a token in the clear; else what to write instead.
pub(crate) fn server_address(url: &str) -> Result<http::Uri, String> {
    // Before anything of it is quoted.
    if url.contains('@') {
        return Err("the address holds a user or a password; give a token instead".to_owned());
    }
    let shown: String = url.chars().take(200).collect();
    let uri: http::Uri = url.parse().map_err(|_| {
        format!("`{shown}` is not the address of an API server; write for example https://10.0.0.1:6443")
    })?;
    match (uri.scheme_str(), uri.host()) {
        (Some("https"), Some(_)) => Ok(uri),
        (Some("http"), Some(_)) if is_loopback(&uri) => Ok(uri),
        (Some("http"), Some(_)) => Err(format!("`{shown}` would send the token in the clear; use https")),
        _ => Err(format!("`{shown}` is not the address of an API server; it begins with https://")),
    }
}

/// Whether what is sent there stays on this machine.
pub(crate) fn is_loopback(uri: &http::Uri) -> bool {
    matches!(uri.host(), Some("127.0.0.1" | "localhost" | "[::1]"))
}

/// Whether a text holds certificates in PEM.
///
/// # Errors
/// [`ClusterError::Account`] with what was expected.
pub fn check_authorities(pem: &str) -> Result<(), ClusterError> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    if pem.contains("PRIVATE KEY-----") {
        return Err(wrong(
            "the certificate of the authority comes with a private key; give the certificate alone",
        ));
    }
    let bodies: Vec<&str> =
        pem.split(BEGIN).skip(1).map(|rest| rest.split(END).next().unwrap_or("")).collect();
    let readable = |body: &&str| {
        let text: String = body.chars().filter(|c| !c.is_whitespace()).collect();
        STANDARD.decode(text).is_ok_and(|der| der.first() == Some(&0x30))
    };
    if bodies.is_empty() || !bodies.iter().all(readable) || pem.matches(END).count() != bodies.len() {
        return Err(wrong(format!("the certificate of the authority is not PEM: it begins with `{BEGIN}`")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl TokenSource for Fixed {
        fn token(&self) -> BoxFuture<'_, Result<String, String>> {
            Box::pin(async { Ok("hunter2".to_owned()) })
        }
    }

    #[tokio::test]
    async fn a_token_is_not_sent_in_the_clear() {
        let at = |url: &str| ServerAddress { url: url.to_owned(), ca: None };
        for (url, told) in [
            ("http://10.0.0.1:8080", "in the clear"),
            ("ftp://10.0.0.1", "begins with https://"),
            ("10.0.0.1", "begins with https://"),
            ("not an address", "is not the address"),
            ("https://ann:hunter2@10.0.0.1", "holds a user"),
            ("https://ann:hunter2 @10.0.0.1", "holds a user"),
        ] {
            let error = Cluster::at_server(&at(url), Arc::new(Fixed)).await.err().unwrap();
            assert_eq!(error.code(), "ClusterAccount");
            assert!(error.to_string().contains(told) && !error.to_string().contains("hunter2"), "{error}");
        }
        assert!(Cluster::at_server(&at("http://127.0.0.1:1"), Arc::new(Fixed)).await.is_ok());
    }

    #[test]
    fn only_certificates_are_taken_for_the_authority() {
        let whole = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        assert!(check_authorities(whole).is_ok() && check_authorities(&whole.repeat(2)).is_ok());
        for text in [
            "",
            "MAA=",
            "-----BEGIN CERTIFICATE-----\nMAA=",
            "-----BEGIN CERTIFICATE-----\n%%\n-----END CERTIFICATE-----",
            "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\nsecret",
        ] {
            let error = check_authorities(text).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
