//! What is told of credentials that cannot be used: which part of them it is, and never what is written there.
//!
//! The texts of the libraries beneath are of no use for that: they quote the lines around a fault, a path that may be a key
//! put into the wrong field, the password in a proxy's address, and all that a credential plugin printed. What is told here
//! ends in records.

use std::error::Error;

use kube::client::AuthError;
use kube::config::{KubeconfigError, LoadDataError};

/// Why a kubeconfig cannot be read.
pub(crate) fn of_kubeconfig(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::Parse(error) => match error.location() {
            Some(at) => {
                format!(
                    "line {}, column {} is not that of a kubeconfig; correct it there",
                    at.line(),
                    at.column()
                )
            }
            None => "it is not the YAML of a kubeconfig".to_owned(),
        },
        KubeconfigError::CurrentContextNotSet => "it has no `current-context`; name a context".to_owned(),
        KubeconfigError::LoadContext(name) => format!("it has no context {name:?}; name another"),
        KubeconfigError::LoadClusterOfContext(name) => {
            format!("its context names the cluster {name:?}, which it does not have")
        }
        KubeconfigError::MissingClusterUrl => "its cluster has no `server`".to_owned(),
        KubeconfigError::ParseClusterUrl(_) => {
            "`server` is not an address; write for example https://10.0.0.1:6443".to_owned()
        }
        KubeconfigError::ParseProxyUrl(_) => "`proxy-url` is not an address".to_owned(),
        KubeconfigError::LoadCertificateAuthority(error) => data("certificate-authority", error),
        KubeconfigError::LoadClientCertificate(error) => data("client-certificate", error),
        KubeconfigError::LoadClientKey(error) => data("client-key", error),
        KubeconfigError::ParseCertificates(_) => "its certificate authority is not PEM".to_owned(),
        KubeconfigError::KindMismatch | KubeconfigError::ApiVersionMismatch => {
            "its documents are not of one kind and version".to_owned()
        }
        _ => "it cannot be used".to_owned(),
    }
}

fn data(key: &str, error: &LoadDataError) -> String {
    match error {
        LoadDataError::DecodeBase64(_) => format!("`{key}-data` is not base64"),
        LoadDataError::ReadFile(error, _) => {
            format!("the file that `{key}` names cannot be read: {}", error.kind())
        }
        LoadDataError::NoBase64DataOrFile => format!("`{key}` and `{key}-data` are both missing"),
    }
}

/// Why no client can be made of an address and credentials.
pub(crate) fn of_client(error: &kube::Error) -> String {
    match error {
        kube::Error::InferKubeconfig(error) => of_kubeconfig(error),
        kube::Error::Auth(error) => of_auth(error),
        kube::Error::RustlsTls(_) => {
            "the client's certificate, its key or the certificate authority is not PEM that TLS can use"
                .to_owned()
        }
        kube::Error::ProxyProtocolUnsupported { .. } | kube::Error::ProxyProtocolDisabled { .. } => {
            "a proxy is set, by `proxy-url` or HTTPS_PROXY, and no proxy is spoken to; take it away"
                .to_owned()
        }
        _ => "no client can be made of it".to_owned(),
    }
}

/// Why there are no credentials to send.
pub(crate) fn of_auth(error: &AuthError) -> String {
    match error {
        AuthError::InvalidBasicAuth(_) => {
            "the user or the password has characters that cannot be sent".to_owned()
        }
        AuthError::InvalidBearerToken(_) => "the token has characters that no token has".to_owned(),
        AuthError::ReadTokenFile(error, _) => {
            format!("the file that `tokenFile` names cannot be read: {}", error.kind())
        }
        AuthError::MissingCommand => "`exec` names no command".to_owned(),
        AuthError::AuthExecStart(error) => {
            format!("the credential plugin cannot be started: {}", error.kind())
        }
        AuthError::AuthExecRun { out, .. } => {
            format!("the credential plugin failed with {}; run it by hand to see why", out.status)
        }
        _ => {
            "the credential plugin gave no credentials that can be used; run it by hand to see why".to_owned()
        }
    }
}

/// The failure to get credentials that an error comes from, if it does.
pub(crate) fn auth_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a AuthError> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(found) = error.downcast_ref::<AuthError>() {
            return Some(found);
        }
        at = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::config::Kubeconfig;

    #[test]
    fn of_a_kubeconfig_that_does_not_parse_only_the_place_is_told() {
        for (text, told) in [
            ("hunter2", "line 1"),
            ("users:\n- name: a\n  user: {token: [hunter2]}\n", "line 3"),
            ("users:\n- name: a\n  user:\n    token: hunter2\n   broken: {\n", "line"),
            ("clusters: [{name: hunter2, cluster: {insecure-skip-tls-verify: hunter2}}]", "line 1"),
        ] {
            let error = Kubeconfig::from_yaml(text).unwrap_err();
            assert!(error.to_string().contains("hunter2"), "the library has told it so far: {error}");
            let said = of_kubeconfig(&error);
            assert!(said.contains(told) && !said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn a_key_in_the_wrong_field_is_not_quoted() {
        let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
        let said = of_kubeconfig(&KubeconfigError::LoadClientKey(LoadDataError::ReadFile(
            missing(),
            "hunter2".into(),
        )));
        assert_eq!(said, "the file that `client-key` names cannot be read: entity not found");
        let said = of_auth(&AuthError::ReadTokenFile(missing(), "hunter2".into()));
        assert_eq!(said, "the file that `tokenFile` names cannot be read: entity not found");
    }

    #[test]
    fn what_a_credential_plugin_printed_and_a_proxys_password_are_not_told() {
        let said = of_client(&kube::Error::Auth(AuthError::AuthExec("printed hunter2".to_owned())));
        assert!(said.starts_with("the credential plugin") && !said.contains("hunter2"), "{said}");
        let proxy = "http://ann:hunter2@proxy:3128".parse().unwrap();
        let said = of_client(&kube::Error::ProxyProtocolUnsupported { proxy_url: Box::new(proxy) });
        assert!(said.contains("proxy-url") && !said.contains("hunter2"), "{said}");
    }
}
