//! One stage over several clusters (X9): written once, run as a stage of its own in each.
//!
//! A release copies its pipeline with such stages written out, `Deploy (eu)` and `Deploy (us)`: from there on each is a
//! stage like any other, with a run, a snapshot and an undo of its own.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EnvironmentSpec, FailurePolicy, PipelineSpec, Requires, StageSpec};

/// The most clusters of one stage.
pub(super) const MOST_CLUSTERS: usize = 40;

/// In which order a stage runs in its clusters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClusterOrder {
    /// In all of them at once.
    #[default]
    Parallel,
    /// In one after the other, as they are listed; a failure lets the next ones not begin.
    Sequential,
}

impl ClusterOrder {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
    pub(super) fn is_default(&self) -> bool {
        *self == Self::Parallel
    }
}

/// What a stage over several clusters is called in one of them: `Deploy (eu)`.
#[must_use]
pub fn name_in_cluster(stage: &str, cluster: &str) -> String {
    format!("{stage} ({cluster})")
}

impl StageSpec {
    /// The names that the stage runs under: its own, or one for each of its clusters.
    #[must_use]
    pub fn run_names(&self) -> Vec<String> {
        match self.clusters.as_slice() {
            [] => vec![self.name.clone()],
            clusters => clusters.iter().map(|cluster| name_in_cluster(&self.name, cluster)).collect(),
        }
    }

    /// Whether its failure in one cluster ends it in the others: where the failure fails the deployment, nobody waits for
    /// them. With `stop_branch` and `ignore` each cluster is on its own.
    #[must_use]
    pub fn aborts_together(&self) -> bool {
        self.each_of.is_some()
            && matches!(self.on_failure, FailurePolicy::FailPipeline | FailurePolicy::FailBranch)
    }

    /// The stage in each of its clusters. In sequence only the first waits for what the stage depends on.
    fn in_each_cluster(&self) -> Vec<Self> {
        if self.clusters.is_empty() {
            return vec![self.clone()];
        }
        let mut previous: Option<String> = None;
        let mut all = Vec::with_capacity(self.clusters.len());
        for cluster in &self.clusters {
            let name = name_in_cluster(&self.name, cluster);
            let mut one = Self {
                name: name.clone(),
                cluster: Some(cluster.clone()),
                clusters: Vec::new(),
                cluster_order: ClusterOrder::Parallel,
                each_of: Some(self.name.clone()),
                ..self.clone()
            };
            if let (ClusterOrder::Sequential, Some(before)) = (self.cluster_order, previous.replace(name)) {
                one.depends_on = vec![before];
                one.requires = Requires::All;
            }
            all.push(one);
        }
        all
    }
}

/// The stages with those over several clusters written out: what depends on such a stage depends on all that became of
/// it. Stages that are written out already stay as they are.
#[must_use]
pub fn over_clusters(stages: &[StageSpec]) -> Vec<StageSpec> {
    if stages.iter().all(|stage| stage.clusters.is_empty()) {
        return stages.to_vec();
    }
    let names = |written: &[String]| -> Vec<String> {
        let find = |name: &String| stages.iter().find(|stage| stage.name == *name);
        written
            .iter()
            .flat_map(|name| find(name).map_or_else(|| vec![name.clone()], StageSpec::run_names))
            .collect()
    };
    let renamed = stages.iter().map(|stage| StageSpec {
        depends_on: names(&stage.depends_on),
        requires: match &stage.requires {
            Requires::Named(named) => Requires::Named(names(named)),
            other => other.clone(),
        },
        ..stage.clone()
    });
    renamed.flat_map(|stage| stage.in_each_cluster()).collect()
}

impl EnvironmentSpec {
    /// The cluster accounts that its stages act on, by name: the environment's own as long as a stage names no other.
    #[must_use]
    pub fn clusters(&self) -> BTreeSet<&str> {
        let mut all = BTreeSet::new();
        for stage in &self.stages {
            match (stage.clusters.as_slice(), &stage.cluster) {
                ([], None) => all.insert(self.cluster.as_str()),
                ([], Some(cluster)) => all.insert(cluster),
                (clusters, _) => {
                    all.extend(clusters.iter().map(String::as_str));
                    false
                }
            };
        }
        all
    }
}

impl PipelineSpec {
    /// The pipeline as a release runs it: every stage over several clusters written out.
    #[must_use]
    pub fn over_clusters(mut self) -> Self {
        for environment in &mut self.environments {
            environment.stages = over_clusters(&environment.stages);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn stages(written: Value) -> Vec<StageSpec> {
        over_clusters(&serde_json::from_value::<Vec<StageSpec>>(written).unwrap())
    }

    fn shape(stages: &[StageSpec]) -> Vec<String> {
        stages.iter().map(|s| format!("{} <- {}", s.name, s.depends_on.join(", "))).collect()
    }

    #[test]
    fn in_parallel_each_waits_for_the_same_and_those_behind_wait_for_all() {
        let all = stages(json!([
            { "name": "Ask", "type": "manual-judgment" },
            { "name": "Deploy", "type": "deploy-manifest", "dependsOn": ["Ask"], "clusters": ["eu", "us"], "manifests": [] },
            { "name": "Smoke", "type": "webhook", "dependsOn": ["Deploy", "Ask"], "requires": ["Deploy"] },
        ]));
        assert_eq!(
            shape(&all),
            ["Ask <- ", "Deploy (eu) <- Ask", "Deploy (us) <- Ask", "Smoke <- Deploy (eu), Deploy (us), Ask"]
        );
        assert_eq!(all[3].requires, Requires::Named(vec!["Deploy (eu)".into(), "Deploy (us)".into()]));
        assert_eq!((all[1].cluster.as_deref(), all[1].each_of.as_deref()), (Some("eu"), Some("Deploy")));
        assert!(all[1].aborts_together() && !all[0].aborts_together());
        assert_eq!(all[1].options.keys().collect::<Vec<_>>(), ["manifests"]);
    }

    #[test]
    fn in_sequence_each_waits_for_the_one_before() {
        let all = stages(json!([
            { "name": "A", "type": "wait" }, { "name": "B", "type": "wait" },
            { "name": "Deploy", "type": "wait", "dependsOn": ["A", "B"], "requires": "any",
              "clusters": ["eu", "us", "asia"], "clusterOrder": "sequential" },
            { "name": "Again", "type": "wait", "dependsOn": ["Deploy"], "clusters": ["eu", "us"] },
        ]));
        assert_eq!(
            shape(&all)[2..],
            [
                "Deploy (eu) <- A, B",
                "Deploy (us) <- Deploy (eu)",
                "Deploy (asia) <- Deploy (us)",
                "Again (eu) <- Deploy (eu), Deploy (us), Deploy (asia)",
                "Again (us) <- Deploy (eu), Deploy (us), Deploy (asia)",
            ]
        );
        assert_eq!((&all[2].requires, &all[3].requires), (&Requires::Any, &Requires::All));
    }

    #[test]
    fn what_is_written_out_stays_and_reads_back() {
        let once = stages(json!([{ "name": "Deploy", "type": "wait", "clusters": ["eu", "us"] }]));
        assert_eq!(over_clusters(&once), once);
        let back: Vec<StageSpec> = serde_json::from_value(serde_json::to_value(&once).unwrap()).unwrap();
        assert_eq!(back, once);
    }

    #[test]
    fn an_environment_knows_every_cluster_that_it_acts_on() {
        let environment = |stages: Value| -> EnvironmentSpec {
            serde_json::from_value(
                json!({ "name": "prod", "namespace": "n", "cluster": "home", "stages": stages }),
            )
            .unwrap()
        };
        let both = environment(json!([
            { "name": "Deploy", "type": "wait", "clusters": ["us", "eu"] },
            { "name": "Check", "type": "wait", "cluster": "asia" },
        ]));
        assert_eq!(both.clusters().into_iter().collect::<Vec<_>>(), ["asia", "eu", "us"]);
        let own = environment(json!([{ "name": "Deploy", "type": "wait" }]));
        assert_eq!(own.clusters().into_iter().collect::<Vec<_>>(), ["home"]);
    }
}
