//! What can be told about a cluster account, and about a pipeline's clusters, before any cluster is asked.

use std::collections::BTreeSet;

use pilothouse_cluster::{check_address, check_authorities};
use pilothouse_domain::cluster_account::ClusterCredentials;
use pilothouse_domain::pipeline::PipelineSpec;
use pilothouse_domain::problem::{Problem, Problems, did_you_mean};

use super::SetCluster;
use crate::{Context, OperationError};

const LONGEST_NAME: usize = 63;
/// Each is asked for every permission.
const MOST_NAMESPACES: usize = 10;
/// The most bytes of a release's record that its pipeline may take: DynamoDB takes items of 400 KB.
const MOST_BYTES: usize = 350_000;

/// Lower case letters, digits and inner `-`.
fn is_label(text: &str) -> bool {
    let plain = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    plain && !text.is_empty() && text.len() <= LONGEST_NAME && !text.starts_with('-') && !text.ends_with('-')
}

/// Everything that is wrong with an account in itself.
pub(super) fn check(ask: &SetCluster) -> Result<(), OperationError> {
    let mut problems = Vec::new();
    if !is_label(&ask.name) {
        let rule = "a cluster's name is made of lower case letters, digits and inner `-`, at most 63";
        problems.push(Problem::new("name", rule));
    }
    if ask.namespaces.len() > MOST_NAMESPACES {
        let message = format!("at most {MOST_NAMESPACES} namespaces are asked for their permissions");
        problems.push(
            Problem::new("namespaces", message).with_hint("leave them out to ask for the whole cluster"),
        );
    }
    let mut seen = BTreeSet::new();
    for (index, namespace) in ask.namespaces.iter().enumerate() {
        if !is_label(namespace) || !seen.insert(namespace) {
            let message = "it is no namespace's name, or there twice";
            problems.push(Problem::new(format!("namespaces[{index}]"), message));
        }
    }
    match &ask.credentials {
        ClusterCredentials::Kubeconfig { context: Some(context), .. } if context.trim().is_empty() => {
            problems.push(
                Problem::new("context", "the context's name is empty")
                    .with_hint("leave it out for the current one"),
            );
        }
        ClusterCredentials::Kubeconfig { .. } => {}
        ClusterCredentials::ServiceAccount { server, ca, .. } => {
            server_problems(server, ca.as_ref(), &mut problems);
        }
        ClusterCredentials::Eks { cluster, region, server, ca } => {
            server_problems(server, ca.as_ref(), &mut problems);
            // Both go into a signed address.
            if !is_label(region) {
                problems.push(Problem::new("region", "that is no region; write for example `eu-central-1`"));
            }
            let named = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if cluster.is_empty() || cluster.len() > 100 || !cluster.chars().all(named) {
                let message = "an EKS cluster's name is made of letters, digits, `-` and `_`, at most 100";
                problems.push(Problem::new("cluster", message));
            }
        }
        ClusterCredentials::InProcess {} => {
            problems.push(Problem::new("credentials", "only `pilothouse up` brings a cluster of its own"));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(OperationError::Invalid(Problems(problems))) }
}

fn server_problems(server: &str, ca: Option<&String>, problems: &mut Vec<Problem>) {
    if let Err(error) = check_address(server) {
        problems.push(Problem::new("server", error.to_string()));
    }
    if let Some(Err(error)) = ca.map(|pem| check_authorities(pem)) {
        problems.push(Problem::new("ca", error.to_string()));
    }
}

/// What a saved pipeline is told about its clusters: a warning for each name that no account has. Refused is one that would
/// not fit into a release with every stage in each of its clusters.
pub(crate) async fn check_pipeline_clusters(
    context: &Context,
    spec: &PipelineSpec,
) -> Result<Vec<Problem>, OperationError> {
    let several = spec.environments.iter().flat_map(|e| &e.stages).any(|stage| !stage.clusters.is_empty());
    if several {
        let written_out = serde_json::to_vec(&spec.clone().over_clusters()).map_or(0, |bytes| bytes.len());
        if written_out > MOST_BYTES {
            let message = format!(
                "with each stage in each of its clusters it takes {written_out} bytes, and a release holds {MOST_BYTES}"
            );
            let problem = Problem::new("environments", message);
            let hint = "use fewer clusters, or smaller manifests";
            return Err(OperationError::Invalid(Problems::from(problem.with_hint(hint))));
        }
    }
    let mut warnings = Vec::new();
    let mut known = BTreeSet::new();
    for (index, environment) in spec.environments.iter().enumerate() {
        for name in environment.clusters() {
            if !known.insert(name) {
                continue;
            }
            let Some(others) = context.clusters.names_unless(name).await? else { continue };
            // Where none was added yet, that is no slip of the pen.
            if others.is_empty() {
                continue;
            }
            let hint = did_you_mean(name, others.iter().map(String::as_str))
                .unwrap_or_else(|| format!("add it with `pilothouse cluster add {name}`"));
            let message = format!("the cluster `{name}` does not exist yet");
            warnings.push(Problem::new(format!("environments[{index}]"), message).with_hint(hint));
        }
    }
    Ok(warnings)
}
