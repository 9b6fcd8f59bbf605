//! A cluster from a kubeconfig.

use std::time::Duration;

use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig, NamedAuthInfo, NamedCluster};
use kube::{Client, Config};

use crate::account::{is_loopback, server_address};
use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::unusable;

/// Whose a kubeconfig is, and so what it may make this process do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KubeconfigOrigin {
    /// The person's who started this process with it: it may start credential plugins, as it does under `kubectl`.
    Own,
    /// An account's, kept in a file or a variable where this process runs: it may read the files that it names, and start
    /// nothing.
    Local,
    /// An account's, kept elsewhere: it may neither start programs nor read files of this machine.
    Stored,
}

impl Cluster {
    /// Connects to the cluster of a kubeconfig, by its current context or by `context`. Nothing is sent yet.
    ///
    /// Only what that context names counts; other users and clusters of the file may have what they like.
    ///
    /// # Errors
    /// [`ClusterError::Kubeconfig`], which quotes nothing of its content, when it does not parse, the context is unknown, the
    /// credentials cannot be loaded or would be sent to whoever answers, or it would start a program or read a file that one
    /// of this origin may not.
    pub async fn from_kubeconfig(
        yaml: &str,
        context: Option<&str>,
        origin: KubeconfigOrigin,
    ) -> Result<Self, ClusterError> {
        let kubeconfig =
            Kubeconfig::from_yaml(yaml).map_err(|error| wrong(unusable::of_kubeconfig(&error)))?;
        let (user, cluster) = chosen(&kubeconfig, context);
        user.map_or(Ok(()), |user| check_user(user, origin)).map_err(wrong)?;
        cluster.map_or(Ok(()), |cluster| check_cluster(cluster, origin)).map_err(wrong)?;
        let options =
            KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .map_err(|error| wrong(unusable::of_kubeconfig(&error)))?;
        config.connect_timeout = Some(Duration::from_secs(5));
        // Retries are ours (see `RetryPolicy`).
        config.default_retry = false;
        Ok(Self::new(Client::try_from(config).map_err(|error| wrong(unusable::of_client(&error)))?))
    }
}

fn wrong(message: String) -> ClusterError {
    ClusterError::Kubeconfig { message }
}

/// The user and the cluster of the context; what is missing, `kube` tells by name.
fn chosen<'a>(
    kubeconfig: &'a Kubeconfig,
    context: Option<&str>,
) -> (Option<&'a NamedAuthInfo>, Option<&'a NamedCluster>) {
    let name = context.or(kubeconfig.current_context.as_deref());
    let context = kubeconfig.contexts.iter().find(|context| Some(context.name.as_str()) == name);
    let Some(context) = context.and_then(|named| named.context.as_ref()) else { return (None, None) };
    let user = kubeconfig.auth_infos.iter().find(|user| Some(&user.name) == context.user.as_ref());
    (user, kubeconfig.clusters.iter().find(|cluster| cluster.name == context.cluster))
}

fn check_user(user: &NamedAuthInfo, origin: KubeconfigOrigin) -> Result<(), String> {
    let Some(info) = &user.auth_info else { return Ok(()) };
    let NamedAuthInfo { name, .. } = user;
    if let Some(key) = starting_key(info).filter(|_| origin != KubeconfigOrigin::Own) {
        return Err(format!(
            "user {name:?} has `{key}`, and the kubeconfig of a cluster account starts no programs; put the token of a service \
             account into it, or add an EKS cluster with `--eks`"
        ));
    }
    match reading_key(info).filter(|_| origin == KubeconfigOrigin::Stored) {
        Some(key) => Err(format!(
            "user {name:?} has `{key}`, and a kubeconfig that is not kept in a file or variable here reads no files; put a \
             token or the certificate's data into it"
        )),
        None => Ok(()),
    }
}

fn check_cluster(cluster: &NamedCluster, origin: KubeconfigOrigin) -> Result<(), String> {
    let Some(info) = &cluster.cluster else { return Ok(()) };
    let NamedCluster { name, .. } = cluster;
    if info.certificate_authority.is_some() && origin == KubeconfigOrigin::Stored {
        return Err(format!(
            "cluster {name:?} has `certificate-authority`, and a kubeconfig that is not kept in a file or variable here reads \
             no files; use `certificate-authority-data`"
        ));
    }
    let Some(server) = &info.server else { return Ok(()) };
    let address = server_address(server).map_err(|why| format!("cluster {name:?}: {why}"))?;
    // Nobody sits between two programs of one machine.
    if info.insecure_skip_tls_verify == Some(true) && !is_loopback(&address) {
        return Err(format!(
            "cluster {name:?} has `insecure-skip-tls-verify`, so its credentials would be sent to whoever answers; take it \
             away, and put its authority into `certificate-authority-data`"
        ));
    }
    Ok(())
}

/// What makes `kube` start a program.
fn starting_key(user: &AuthInfo) -> Option<&'static str> {
    used([("exec", user.exec.is_some()), ("auth-provider", user.auth_provider.is_some())])
}

/// What makes `kube` read a file.
fn reading_key(user: &AuthInfo) -> Option<&'static str> {
    used([
        ("tokenFile", user.token_file.is_some()),
        ("client-certificate", user.client_certificate.is_some()),
        ("client-key", user.client_key.is_some()),
    ])
}

fn used<const N: usize>(keys: [(&'static str, bool); N]) -> Option<&'static str> {
    keys.into_iter().find_map(|(key, used)| used.then_some(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLUGIN: &str = "{exec: {apiVersion: client.authentication.k8s.io/v1, command: /bin/false}}";

    /// The contexts `a`, the current one, and `b`.
    fn two(user_a: &str, cluster_a: &str, user_b: &str, cluster_b: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: a\n\
             contexts: [{{name: a, context: {{cluster: a, user: a}}}}, {{name: b, context: {{cluster: b, user: b}}}}]\n\
             clusters: [{{name: a, cluster: {cluster_a}}}, {{name: b, cluster: {cluster_b}}}]\n\
             users: [{{name: a, user: {user_a}}}, {{name: b, user: {user_b}}}]\n"
        )
    }

    fn kubeconfig(user: &str, cluster: &str) -> String {
        two(user, cluster, "{}", "{server: 'https://127.0.0.1:1'}")
    }

    const HERE: &str = "{server: 'http://127.0.0.1:1'}";

    async fn refused(text: &str, context: Option<&str>, origin: KubeconfigOrigin) -> String {
        let error = Cluster::from_kubeconfig(text, context, origin).await.err().expect("a refusal");
        assert_eq!(error.code(), "ClusterKubeconfig");
        error.to_string()
    }

    #[tokio::test]
    async fn an_accounts_kubeconfig_starts_no_program_wherever_it_is_kept() {
        for (user, key) in
            [(PLUGIN, "`exec`"), ("{auth-provider: {name: gcp, config: {}}}", "`auth-provider`")]
        {
            for origin in [KubeconfigOrigin::Local, KubeconfigOrigin::Stored] {
                let error = refused(&kubeconfig(user, HERE), None, origin).await;
                assert!(error.contains(key) && error.contains("`--eks`"), "{error}");
            }
        }
        let own = refused(&kubeconfig(PLUGIN, HERE), None, KubeconfigOrigin::Own).await;
        assert!(own.contains("the credential plugin failed"), "it was started: {own}");
    }

    #[tokio::test]
    async fn only_a_kubeconfig_that_is_kept_here_reads_files() {
        for (user, key) in [
            ("{tokenFile: /no/such/file}", "tokenFile"),
            ("{client-key: /no/key, client-certificate-data: ''}", "client-key"),
        ] {
            let error = refused(&kubeconfig(user, HERE), None, KubeconfigOrigin::Stored).await;
            assert!(error.contains("reads no files") && error.contains(key), "{error}");
            let error = refused(&kubeconfig(user, HERE), None, KubeconfigOrigin::Local).await;
            assert!(error.contains("cannot be read: entity not found") && error.contains(key), "{error}");
        }
        let authority = "{server: 'https://10.0.0.1', certificate-authority: /no/such/file}";
        let error = refused(&kubeconfig("{}", authority), None, KubeconfigOrigin::Stored).await;
        assert!(error.contains("use `certificate-authority-data`"), "{error}");
    }

    #[tokio::test]
    async fn what_the_chosen_context_does_not_name_stands_against_nothing() {
        let text =
            two("{token: abc}", HERE, PLUGIN, "{server: 'http://10.0.0.1', insecure-skip-tls-verify: true}");
        for context in [None, Some("a")] {
            assert!(Cluster::from_kubeconfig(&text, context, KubeconfigOrigin::Stored).await.is_ok());
        }
        let error = refused(&text, Some("b"), KubeconfigOrigin::Stored).await;
        assert!(error.contains("user \"b\" has `exec`"), "{error}");
    }

    #[tokio::test]
    async fn credentials_are_sent_to_nobody_who_merely_answers() {
        for (cluster, told) in [
            ("{server: 'http://10.0.0.1:8080'}", "would send the token in the clear"),
            ("{server: 'https://10.0.0.1', insecure-skip-tls-verify: true}", "`insecure-skip-tls-verify`"),
            ("{server: 'https://ann:hunter2@10.0.0.1'}", "holds a user or a password"),
            ("{server: 'https://ann:hun ter2@10.0.0.1'}", "holds a user or a password"),
        ] {
            for origin in [KubeconfigOrigin::Own, KubeconfigOrigin::Local, KubeconfigOrigin::Stored] {
                let error = refused(&kubeconfig("{token: hunter2}", cluster), None, origin).await;
                assert!(error.contains(told) && !error.contains("ter2"), "{error}");
            }
        }
        let here = "{server: 'https://127.0.0.1:1', insecure-skip-tls-verify: true}";
        assert!(
            Cluster::from_kubeconfig(&kubeconfig("{token: abc}", here), None, KubeconfigOrigin::Stored)
                .await
                .is_ok()
        );
    }

    #[tokio::test]
    async fn a_broken_kubeconfig_and_a_bare_token_are_refused_without_their_words() {
        for text in ["hunter2", "token: hunter2\n  user: {", "users: [{name: a, user: {token: [hunter2]}}]"] {
            let error = refused(text, None, KubeconfigOrigin::Stored).await;
            assert!(!error.contains("hunter2"), "{error}");
        }
        for (key, told) in [
            ("{client-certificate-data: aHVudGVyMg==, client-key-data: aHVudGVyMg==}", "is not PEM"),
            (
                "{client-certificate-data: aHVudGVyMg==, client-key-data: 'hunter2!'}",
                "`client-key-data` is not base64",
            ),
        ] {
            let text = kubeconfig(key, "{server: 'https://127.0.0.1:1'}");
            let error = refused(&text, None, KubeconfigOrigin::Stored).await;
            assert!(error.contains(told), "{error}");
            assert!(!error.contains("hunter2") && !error.contains("aHVudGVyMg"), "{error}");
        }
    }

    #[tokio::test]
    async fn an_unknown_context_is_named() {
        let text = kubeconfig("{token: abc}", HERE);
        assert!(Cluster::from_kubeconfig(&text, None, KubeconfigOrigin::Stored).await.is_ok());
        let error = refused(&text, Some("prod"), KubeconfigOrigin::Stored).await;
        assert!(error.contains("prod"), "{error}");
    }
}
