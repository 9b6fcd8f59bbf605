//! Where the stages of an environment act: which clusters, which namespaces.

use std::collections::BTreeSet;

use pilothouse_domain::pipeline::{EnvironmentSpec, StageSpec};
use serde_json::Value;

/// The namespaces that a stage names itself, `namespace` or `workload.namespace`, as far as they are written out.
pub(crate) fn namespaces_of(stage: &StageSpec) -> BTreeSet<&str> {
    // Nothing else that is called so is a place: the values of a chart and the body of a call are somebody's own.
    let own = stage.options.get("namespace");
    let workload = stage.options.get("workload").and_then(|workload| workload.get("namespace"));
    let written = own.into_iter().chain(workload).filter_map(Value::as_str);
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
                {"name": "Bake", "type": "bake-manifest", "cluster": "eu", "values": {"namespace": "not-a-place"}},
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
