//! Stages over several clusters (X9): the names that they run under, and keys that contradict each other.

use std::collections::BTreeSet;

use super::items;
use crate::pipeline::environment::MOST_STAGES;
use crate::pipeline::name_in_cluster;
use crate::pipeline::path::Path;
use crate::pipeline::report::Report;
use crate::pipeline::tree::Node;

/// The names that a stage runs under, its own or one for each of its clusters.
pub(super) fn run_names(stage: &Node) -> Vec<String> {
    let Some(name) = stage.text_at("name") else { return Vec::new() };
    let clusters = stage.list("clusters");
    if clusters.is_empty() {
        return vec![name.to_owned()];
    }
    clusters.iter().filter_map(Node::text).map(|cluster| name_in_cluster(name, cluster)).collect()
}

/// The names that all of them run under: what expressions read is one of these.
pub(super) fn all_run_names(stages: &[Node]) -> Vec<String> {
    stages.iter().flat_map(run_names).collect()
}

/// Reports what cannot be written out.
pub(super) fn check(environment: &Node, path: &Path, report: &mut Report) {
    let stages = environment.list("stages");
    let plain: BTreeSet<&str> = stages
        .iter()
        .filter(|stage| stage.list("clusters").is_empty())
        .filter_map(|stage| stage.text_at("name"))
        .collect();
    for (path, stage) in items(environment, "stages", path) {
        check_keys(stage, &path, report);
        check_listed(stage, &path, report);
        if stage.list("clusters").is_empty() {
            continue;
        }
        if let Some(taken) = run_names(stage).iter().find(|name| plain.contains(name.as_str())) {
            let message =
                format!("it runs as `{taken}` in one of its clusters, and another stage is called so");
            report.add(stage.at, &path.key("name"), message, Some("rename one of the two".to_owned()));
        }
    }
    let total = all_run_names(stages).len();
    if total > MOST_STAGES && stages.len() <= MOST_STAGES {
        let message = format!(
            "with each stage in each of its clusters there are {total} stages; at most {MOST_STAGES}"
        );
        report.add(environment.at, &path.key("stages"), message, None);
    }
}

fn check_keys(stage: &Node, path: &Path, report: &mut Report) {
    let listed = stage.get("clusters");
    if let (Some(list), Some(_)) = (listed, stage.get("cluster")) {
        let hint = "keep `cluster` for one, `clusters` for several".to_owned();
        report.add(list.at, &path.key("clusters"), "the stage names its `cluster` too", Some(hint));
    }
    match (listed, stage.get("clusterOrder")) {
        (None, Some(order)) => {
            let hint = "list them in `clusters`, or leave it out".to_owned();
            report.add(order.at, &path.key("clusterOrder"), "the stage has no `clusters`", Some(hint));
        }
        (Some(list), _) if stage.list("clusters").is_empty() => {
            let hint = "list some, or leave it out for the environment's own".to_owned();
            report.add(list.at, &path.key("clusters"), "no cluster is listed", Some(hint));
        }
        _ => {}
    }
}

fn check_listed(stage: &Node, path: &Path, report: &mut Report) {
    let mut seen = BTreeSet::new();
    for (path, cluster) in items(stage, "clusters", path) {
        if let Some(name) = cluster.text()
            && !seen.insert(name)
        {
            report.add(cluster.at, &path, format!("the cluster `{name}` is there twice"), None);
        }
    }
}
