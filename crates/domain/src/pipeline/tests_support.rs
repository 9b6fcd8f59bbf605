//! Stage types for the tests of this module.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{ChannelTypeInfo, StageCatalog, StageScope, StageTypeInfo};
use crate::duration::Span;
use crate::problem::Problem;

/// Applies manifests.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct DeployManifest {
    /// The manifests, as YAML.
    manifests: String,
    /// Artifacts that must be bound.
    #[serde(default)]
    required_artifacts: Vec<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct Webhook {
    /// Where the request goes; takes expressions.
    url: String,
    #[serde(default)]
    method: Option<Method>,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    body: Option<Value>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum Method {
    Get,
    Post,
}

#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Wait {
    duration: Span,
}

#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Judgment {
    instructions: Option<String>,
    #[serde(default)]
    inputs: Vec<String>,
}

#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct PatchImage {
    workload: String,
    kind: String,
    container: String,
    artifact: String,
}

/// Tells a URL.
#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Pager {
    url: String,
}

fn reachable(options: &Map<String, Value>) -> Vec<Problem> {
    let strange = options["url"].as_str().is_some_and(|url| !url.starts_with("https://"));
    strange.then(|| Problem::new("url", "the scheme is not https")).into_iter().collect()
}

fn nothing(_: &Map<String, Value>, _: &StageScope<'_>) -> Vec<Problem> {
    Vec::new()
}

fn artifacts(options: &Map<String, Value>, scope: &StageScope<'_>) -> Vec<Problem> {
    let required =
        options.get("requiredArtifacts").and_then(Value::as_array).into_iter().flatten().enumerate();
    required
        .filter(|(_, name)| !scope.artifacts.iter().any(|known| name.as_str() == Some(known)))
        .map(|(index, name)| {
            Problem::new(format!("requiredArtifacts[{index}]"), format!("there is no artifact {name}"))
        })
        .collect()
}

fn expressions(options: &Map<String, Value>, scope: &StageScope<'_>) -> Vec<Problem> {
    scope.check_expressions(&Value::Object(options.clone()), "")
}

/// The stage types that the example uses, as their authors will describe them.
pub(super) fn catalog() -> StageCatalog {
    let info = |name, schema, validate| StageTypeInfo { name, summary: "A stage type.", schema, validate };
    StageCatalog::new([
        info("deploy-manifest", schemars::schema_for!(DeployManifest), artifacts as super::ValidateStage),
        info("webhook", schemars::schema_for!(Webhook), expressions),
        info("wait", schemars::schema_for!(Wait), nothing),
        info("manual-judgment", schemars::schema_for!(Judgment), nothing),
        info("patch-image", schemars::schema_for!(PatchImage), nothing),
    ])
    .with_channels([ChannelTypeInfo {
        name: "pager",
        summary: "Tells a URL.",
        schema: schemars::schema_for!(Pager),
        validate: reachable,
    }])
}
