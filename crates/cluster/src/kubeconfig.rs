//! A cluster from a kubeconfig.

use std::time::Duration;

use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::cluster::Cluster;
use crate::error::ClusterError;

/// Where a kubeconfig comes from, and so what it may make this process do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KubeconfigOrigin {
    /// A file of the person who runs this process: it may start its credential plugins and read the files it names.
    Local,
    /// Sent to Pilothouse and stored: it may neither start programs nor read files of this machine.
    Stored,
}

impl Cluster {
    /// Connects to the cluster of a kubeconfig, by its current context or by `context`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ClusterError::Kubeconfig`] when it does not parse, the context is unknown, the credentials cannot be loaded, or a
    /// stored one would start a program or read a file.
    pub async fn from_kubeconfig(
        yaml: &str,
        context: Option<&str>,
        origin: KubeconfigOrigin,
    ) -> Result<Self, ClusterError> {
        let kubeconfig = Kubeconfig::from_yaml(yaml).map_err(|error| wrong(error.to_string()))?;
        if origin == KubeconfigOrigin::Stored {
            refuse_local_reach(&kubeconfig)?;
        }
        let options =
            KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .map_err(|error| wrong(error.to_string()))?;
        config.connect_timeout = Some(Duration::from_secs(5));
        // Retries are ours (see `RetryPolicy`).
        config.default_retry = false;
        Ok(Self::new(Client::try_from(config).map_err(|error| wrong(error.to_string()))?))
    }
}

fn wrong(message: String) -> ClusterError {
    ClusterError::Kubeconfig { message }
}

fn refuse_local_reach(kubeconfig: &Kubeconfig) -> Result<(), ClusterError> {
    for user in &kubeconfig.auth_infos {
        if let Some(key) = user.auth_info.as_ref().and_then(reaching_key) {
            return Err(wrong(format!(
                "user {:?} has `{key}`, which a stored kubeconfig may not use; put a token or the certificate's data into it",
                user.name
            )));
        }
    }
    let by_file = |cluster: &kube::config::Cluster| cluster.certificate_authority.is_some();
    match kubeconfig.clusters.iter().find(|c| c.cluster.as_ref().is_some_and(by_file)) {
        Some(cluster) => Err(wrong(format!(
            "cluster {:?} has `certificate-authority`, which a stored kubeconfig may not use; use `certificate-authority-data`",
            cluster.name
        ))),
        None => Ok(()),
    }
}

fn reaching_key(user: &AuthInfo) -> Option<&'static str> {
    [
        ("exec", user.exec.is_some()),
        ("auth-provider", user.auth_provider.is_some()),
        ("tokenFile", user.token_file.is_some()),
        ("client-certificate", user.client_certificate.is_some()),
        ("client-key", user.client_key.is_some()),
    ]
    .into_iter()
    .find_map(|(key, used)| used.then_some(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kubeconfig(user: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{{name: a, context: {{cluster: a, user: a}}}}]\n\
             clusters: [{{name: a, cluster: {{server: 'http://127.0.0.1:1'}}}}]\nusers: [{{name: a, user: {user}}}]\n"
        )
    }

    #[tokio::test]
    async fn a_stored_kubeconfig_may_not_start_programs_or_read_files() {
        for (user, key) in [
            ("{exec: {apiVersion: client.authentication.k8s.io/v1, command: /bin/sh}}", "exec"),
            ("{tokenFile: /etc/shadow}", "tokenFile"),
            ("{client-key: /root/key}", "client-key"),
        ] {
            let result = Cluster::from_kubeconfig(&kubeconfig(user), None, KubeconfigOrigin::Stored).await;
            let error = result.err().unwrap();
            assert!(error.to_string().contains(key), "{error}");
        }
    }

    #[tokio::test]
    async fn an_unknown_context_is_named() {
        let text = kubeconfig("{token: abc}");
        assert!(Cluster::from_kubeconfig(&text, None, KubeconfigOrigin::Stored).await.is_ok());
        let error =
            Cluster::from_kubeconfig(&text, Some("prod"), KubeconfigOrigin::Stored).await.err().unwrap();
        assert_eq!(error.code(), "ClusterKubeconfig");
        assert!(error.to_string().contains("prod"), "{error}");
    }
}
