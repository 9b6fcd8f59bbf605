//! ConfigMaps and Secrets that stages before this one have deployed by version: what refers to them by their own names means those
//! versions (T53). And those that must be bound.

use pilothouse_cluster::{Manifest, Provided, VersionedConfig, refer_to, refers_to, version_configs};
use pilothouse_domain::pipeline::upstreams;
use pilothouse_domain::stage::stages_of;
use serde_json::Value;

use super::{NAME, Options};
use crate::OperationError;
use crate::stages::StageContext;

/// The key of a stage's output with what it has deployed by version.
pub(super) const VERSIONED: &str = "versioned";

/// Kinds that are deployed by version.
const KINDS: [&str; 2] = ["ConfigMap", "Secret"];

/// Kind and name of a required ConfigMap or Secret, `ConfigMap/settings`; `None` for the name of an artifact.
pub(super) fn required_config(text: &str) -> Option<(&str, &str)> {
    text.split_once('/').filter(|(kind, name)| KINDS.contains(kind) && !name.is_empty())
}

/// What stages before this one of the same attempt have deployed by version to the same cluster; of one name only what was deployed last.
async fn provided(stage: &StageContext<'_>) -> Result<Vec<Provided>, OperationError> {
    let stages = stages_of(stage.release, stage.attempt);
    let before = upstreams(&stages, &stage.run.stage);
    let deploys = |name: &&str| stages.iter().any(|spec| spec.name == *name && spec.stage_type == NAME);
    if !before.iter().any(deploys) {
        return Ok(Vec::new());
    }
    let mut runs = stage.runs().await?;
    runs.retain(|run| {
        let account = run.cluster.as_deref().unwrap_or(&stage.environment.cluster);
        before.contains(&run.stage.as_str()) && account == stage.account()
    });
    runs.sort_by(|a, b| (b.ended_at, &b.stage).cmp(&(a.ended_at, &a.stage)));
    let mut all: Vec<Provided> = Vec::new();
    for run in runs {
        let theirs: Vec<Provided> = serde_json::from_value(run.output[VERSIONED].clone()).unwrap_or_default();
        for provided in theirs {
            if !all.iter().any(|other| other.config.stands_for(&provided.config)) {
                all.push(provided);
            }
        }
    }
    Ok(all)
}

/// Names ConfigMaps and Secrets by their content, and lets every reference mean a version: of the manifests' own, or else of a stage
/// before. Gives the manifests' own, and the problems of those that are required.
pub(super) async fn bind(
    stage: &StageContext<'_>,
    options: &Options,
    manifests: &mut [Manifest],
) -> Result<Result<Vec<VersionedConfig>, String>, OperationError> {
    let provided = provided(stage).await?;
    refer_to(manifests, &provided);
    let own = version_configs(manifests, options.versioned_config);
    let all: Vec<&VersionedConfig> = own.iter().chain(provided.iter().map(|p| &p.config)).collect();
    let required = options.required_artifacts.iter().filter_map(|text| required_config(text));
    let missing: Vec<String> =
        required.filter_map(|(kind, name)| unbound(kind, name, &all, manifests)).collect();
    Ok(if missing.is_empty() { Ok(own) } else { Err(missing.join("; ")) })
}

/// Why a required ConfigMap or Secret is not bound.
fn unbound(kind: &str, name: &str, all: &[&VersionedConfig], manifests: &[Manifest]) -> Option<String> {
    let mut versions = all.iter().filter(|v| v.object.kind == kind && v.base == name).peekable();
    if versions.peek().is_none() {
        return Some(format!(
            "there is no version of the required {kind} `{name}`: no stage before this one has deployed it with `versionedConfig`, \
             and neither does this one"
        ));
    }
    let bound = versions.any(|version| refers_to(manifests, &version.object));
    (!bound).then(|| format!("nothing among the manifests refers to the required {kind} `{name}`"))
}

/// What the stage's output says of what it has deployed by version.
pub(super) fn told(output: &mut Value, versioned: &[Provided]) {
    if !versioned.is_empty() {
        output[VERSIONED] = serde_json::json!(versioned);
    }
}
