//! `pilothouse cluster`: the clusters that are deployed to (T9, T10).

use std::path::Path;

use clap::{ArgGroup, Args, Subcommand};
use pilothouse_domain::secret::SecretRef;
use pilothouse_serve_api::api::{ClusterCredentials, ClusterView, List, SetCluster, Verification};

use super::Session;
use crate::client::{Reply, Request};
use crate::failure::Failure;
use crate::output::table;
use crate::view::ago;

/// What can be done with cluster accounts.
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Add a cluster, or change how it is reached; it is asked what it allows.
    Add(Box<AddArgs>),
    /// List clusters.
    Ls {
        /// Only those whose name holds this text.
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Where to go on.
        #[arg(long)]
        cursor: Option<String>,
    },
    /// Show how a cluster is reached, and what it said when it was last asked.
    Show {
        /// The cluster.
        name: String,
    },
    /// Ask a cluster anew what it allows.
    Verify {
        /// The cluster.
        name: String,
    },
    /// Remove a cluster that nothing uses.
    Rm {
        /// The cluster.
        name: String,
    },
}

/// How a cluster is reached: by a kubeconfig, by a token, or as EKS by the installation's AWS identity.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("way").args(["kubeconfig", "token_from", "eks"]).required(true)))]
pub(crate) struct AddArgs {
    /// Its name, as pipelines use it.
    name: String,
    /// Where the kubeconfig is kept: file:PATH, env:NAME or aws-secret:NAME.
    #[arg(long, value_name = "SECRET")]
    kubeconfig: Option<SecretRef>,
    /// The context of the kubeconfig; the current one when absent.
    #[arg(long, requires = "kubeconfig")]
    context: Option<String>,
    /// The address of the API server.
    #[arg(long, value_name = "URL", conflicts_with = "kubeconfig")]
    server: Option<String>,
    /// A file with the certificate of the authority that signs the server's (PEM, or base64 of it as EKS shows it).
    #[arg(long, value_name = "FILE", requires = "server")]
    ca: Option<String>,
    /// Where the token of a service account is kept: file:PATH, env:NAME or aws-secret:NAME.
    #[arg(long, value_name = "SECRET", requires = "server")]
    token_from: Option<SecretRef>,
    /// The name of an EKS cluster.
    #[arg(long, value_name = "CLUSTER", requires_all = ["region", "server"])]
    eks: Option<String>,
    /// The region of the EKS cluster.
    #[arg(long, requires = "eks")]
    region: Option<String>,
    /// Ask for the permissions in this namespace only; may be given several times.
    #[arg(long = "namespace", value_name = "NAME")]
    namespaces: Vec<String>,
}

pub(crate) async fn run(session: &Session, command: ClusterCommand) -> Result<(), Failure> {
    match command {
        ClusterCommand::Add(args) => {
            let ask = SetCluster { credentials: credentials(&args)?, namespaces: args.namespaces.clone() };
            show(session, Request::put(&["v1", "clusters", &args.name]).json(&ask)).await
        }
        ClusterCommand::Ls { search, limit, cursor } => list(session, search, limit, cursor).await,
        ClusterCommand::Show { name } => show(session, Request::get(&["v1", "clusters", &name])).await,
        ClusterCommand::Verify { name } => {
            show(session, Request::post(&["v1", "clusters", &name, "verify"])).await
        }
        ClusterCommand::Rm { name } => {
            let reply: Reply<()> = session.client.send(Request::delete(&["v1", "clusters", &name])).await?;
            session.output.answer(&reply.json, || format!("cluster {name} is removed"));
            Ok(())
        }
    }
}

fn credentials(args: &AddArgs) -> Result<ClusterCredentials, Failure> {
    let ca = args.ca.as_deref().map(certificate).transpose()?;
    let server = args.server.clone().unwrap_or_default();
    if let Some(source) = &args.kubeconfig {
        return Ok(ClusterCredentials::Kubeconfig { source: source.clone(), context: args.context.clone() });
    }
    if let Some(token) = &args.token_from {
        return Ok(ClusterCredentials::ServiceAccount { server, ca, token: token.clone() });
    }
    match (&args.eks, &args.region) {
        (Some(cluster), Some(region)) => {
            Ok(ClusterCredentials::Eks { cluster: cluster.clone(), region: region.clone(), server, ca })
        }
        _ => Err(Failure::usage("say how it is reached: --kubeconfig, --server with --token-from, or --eks")),
    }
}

/// The PEM in a file, `file:` before its name or not. What is in base64 as a whole, as in a kubeconfig, is decoded.
fn certificate(path: &str) -> Result<String, Failure> {
    use base64::Engine as _;
    let path = Path::new(path.strip_prefix("file:").unwrap_or(path));
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    if text.contains("-----BEGIN") {
        return Ok(text);
    }
    let packed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let decoded = base64::engine::general_purpose::STANDARD.decode(packed).ok();
    let pem = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    pem.filter(|pem| pem.contains("-----BEGIN"))
        .ok_or_else(|| Failure::usage(format!("{} holds no certificate in PEM", path.display())))
}

async fn show(session: &Session, request: Request) -> Result<(), Failure> {
    let reply: Reply<ClusterView> = session.client.send(request).await?;
    let now = session.now();
    session.output.answer(&reply.json, || described(&reply.body, &|at| ago(now, at)));
    Ok(())
}

/// An account and what it may do, one line for each permission that is missing.
fn described(cluster: &ClusterView, ago: &dyn Fn(jiff::Timestamp) -> String) -> String {
    let (asked, version) = match &cluster.verification {
        Verification::Unverified => (None, None),
        Verification::Verified { at, version, .. } => (Some(*at), Some(version.as_str())),
        Verification::Failed { at, version, .. } => (Some(*at), version.as_deref()),
    };
    let when = asked.map(|at| format!(", {}", ago(at))).unwrap_or_default();
    let mut lines = vec![
        format!("cluster  {}", cluster.name),
        format!("reached  {}", cluster.credentials),
        format!("status   {}{when}", cluster.verification.summary()),
    ];
    lines.extend(version.map(|version| format!("version  {version}")));
    if !cluster.namespaces.is_empty() {
        lines.push(format!("asked    in {}", cluster.namespaces.join(", ")));
    }
    let missing = cluster.verification.missing();
    if !missing.is_empty() {
        lines.push("missing".to_owned());
        lines.extend(missing.iter().map(|lacking| {
            format!("  {lacking}{}", if lacking.required { " (every deployment needs it)" } else { "" })
        }));
    }
    lines.join("\n")
}

async fn list(
    session: &Session,
    search: Option<String>,
    limit: u32,
    cursor: Option<String>,
) -> Result<(), Failure> {
    let request = Request::get(&["v1", "clusters"])
        .query("search", search)
        .query("limit", Some(limit))
        .query("cursor", cursor);
    let reply: Reply<List<ClusterView>> = session.client.send(request).await?;
    let now = session.now();
    session.output.answer(&reply.json, || {
        let rows = reply.body.items.iter().map(|cluster| {
            let (at, version) = match &cluster.verification {
                Verification::Unverified => (String::new(), ""),
                Verification::Verified { at, version, .. } => (ago(now, *at), version.as_str()),
                Verification::Failed { at, version, .. } => (ago(now, *at), version.as_deref().unwrap_or("")),
            };
            let status = cluster.verification.summary();
            vec![cluster.name.clone(), status, version.to_owned(), at, cluster.credentials.to_string()]
        });
        let nothing = "no clusters; add one with `pilothouse cluster add NAME --kubeconfig file:PATH`";
        let shown = table(&["cluster", "status", "version", "asked", "reached"], rows.collect(), nothing);
        match &reply.body.next {
            Some(next) => format!("{shown}\nmore: pilothouse cluster ls --cursor {next}"),
            None => shown,
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_missing_is_told_one_line_each() {
        let cluster: ClusterView = serde_json::from_value(json!({
            "name": "eu", "createdAt": "2026-11-21T09:00:00Z", "createdBy": "ann", "namespaces": ["dev"],
            "credentials": { "kind": "serviceAccount", "server": "https://eu:6443", "token": "env:EU" },
            "verification": {
                "status": "failed", "at": "2026-11-21T09:00:00Z", "version": "v1.36.0",
                "reason": "it is not allowed to list pods in dev: needed for watching rollouts",
                "missing": [
                    { "namespace": "dev", "resource": "pods", "verbs": ["list"], "required": true, "usedFor": "watching rollouts" },
                    { "namespace": "dev", "resource": "jobs.batch", "verbs": ["get", "create"], "required": false, "usedFor": "running Jobs" },
                ],
            },
        }))
        .unwrap();
        insta::assert_snapshot!(described(&cluster, &|_| "just now".to_owned()), @r"
        cluster  eu
        reached  https://eu:6443, token env:EU
        status   Failed: it is not allowed to list pods in dev: needed for watching rollouts, just now
        version  v1.36.0
        asked    in dev
        missing
          list pods in dev: needed for watching rollouts (every deployment needs it)
          get, create jobs.batch in dev: needed for running Jobs
        ");
    }

    #[test]
    fn a_certificate_is_read_as_pem_or_as_eks_shows_it() {
        use base64::Engine as _;
        let folder = tempfile::tempdir().unwrap();
        let pem = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let plain = write("ca.pem", pem);
        let packed = write("ca.b64", &base64::engine::general_purpose::STANDARD.encode(pem));
        assert_eq!(certificate(&plain).unwrap(), pem);
        assert_eq!(certificate(&format!("file:{packed}")).unwrap(), pem);
        assert!(certificate(&write("other", "hello")).is_err());
        assert!(certificate("/nowhere").is_err());
    }
}
