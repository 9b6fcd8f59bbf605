//! Where the stages of an environment act: which clusters, which namespaces.

use std::collections::BTreeSet;

use pilothouse_domain::pipeline::{EnvironmentSpec, StageSpec};
use serde_json::Value;

/// Types whose keys are not about objects of the cluster: what they call `namespace` is something else.
const ELSEWHERE: [&str; 4] = ["webhook", "variables", "pipeline", "manual-judgment"];

/// The namespaces that a stage names itself, `namespace` or `workload.namespace`, as far as they are written out.
pub(crate) fn namespaces_of(stage: &StageSpec) -> BTreeSet<&str> {
    if ELSEWHERE.contains(&stage.stage_type.as_str()) {
        return BTreeSet::new();
    }
    let own = stage.options.get("namespace");
    let below = stage.options.values().filter_map(|value| value.get("namespace"));
    let written = own.into_iter().chain(below).filter_map(Value::as_str);
    written.filter(|text| !text.contains("${") && !text.is_empty()).collect()
}

/// Each cluster account and namespace that the stages of an environment act on.
pub(crate) fn places_of(environment: &EnvironmentSpec) -> BTreeSet<(String, String)> {
    let mut places: BTreeSet<(String, String)> = environment
        .clusters()
        .into_iter()
        .map(|account| (account.to_owned(), environment.namespace.clone()))
        .collect();
    for stage in &environment.stages {
        let accounts = match (stage.clusters.as_slice(), &stage.cluster) {
            ([], None) => std::slice::from_ref(&environment.cluster),
            ([], Some(cluster)) => std::slice::from_ref(cluster),
            (clusters, _) => clusters,
        };
        for namespace in namespaces_of(stage) {
            places.extend(accounts.iter().map(|account| (account.clone(), namespace.to_owned())));
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_stage_acts_in_the_cluster_and_the_namespace_that_it_names() {
        let environment: EnvironmentSpec = serde_json::from_value(json!({
            "name": "prod", "namespace": "prod", "cluster": "home", "stages": [
                {"name": "Deploy", "type": "deploy-manifest", "cluster": "eu"},
                {"name": "Cache", "type": "restart", "clusters": ["eu", "us"], "workload": {"name": "cache", "namespace": "shared"}},
                {"name": "Open", "type": "scale", "cluster": "us", "workload": {"name": "x", "namespace": "${ params.NS }"}},
                {"name": "Tell", "type": "webhook", "cluster": "eu", "payload": {"namespace": "not-a-place"}},
            ],
        }))
        .unwrap();
        let places: Vec<String> = places_of(&environment)
            .iter()
            .map(|(account, namespace)| format!("{account}/{namespace}"))
            .collect();
        assert_eq!(places, ["eu/prod", "eu/shared", "us/prod", "us/shared"]);
    }
}
