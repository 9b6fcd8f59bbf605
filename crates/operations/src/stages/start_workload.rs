//! `start-workload`: starts the new version of a workload beside the present one; no traffic goes to it yet (H13).

use pilothouse_domain::artifact::Artifact;
use pilothouse_domain::pipeline::{StageScope, StageTypeInfo};
use pilothouse_domain::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::steps::{Plan, Planned, Step};
use super::versions::{self, Source};
use super::{StageContext, StageType, Stepped, check};
use crate::OperationError;

/// The name in `type:`.
pub const NAME: &str = "start-workload";

/// What a `start-workload` stage says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// The Service whose workload is the present version. Its traffic is kept there, if need be by the template of the present
    /// pods in its selector. This, or `workload`; neither for a first version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The Deployment that is the present version, by name. May have `${ … }`. A Service whose selector fits the new version
    /// as well sends traffic to both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
    /// The new version: one Deployment, as YAML. Without it the present one is copied, with the release's images. The
    /// version is put at the end of its name, and as the label `version` on its selector and its pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// Evaluate `${ … }` in the manifest.
    #[serde(default)]
    pub render: bool,
    /// The artifacts that must have taken their place in some container, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required_artifacts: Vec<String>,
    /// What the new version is called, such as `${ artifacts.web.tag }`; the next number (`v2`, `v3`) when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How many pods it starts with; as many as the present one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
}

/// Starts a version beside another.
#[derive(Debug, Clone, Copy)]
pub struct StartWorkload;

impl StageType for StartWorkload {
    fn info(&self) -> StageTypeInfo {
        StageTypeInfo {
            name: NAME,
            summary: "Starts the new version of a Deployment beside the present one and waits until it is ready; it gets no traffic yet.",
            schema: schemars::schema_for!(Options),
            validate,
        }
    }

    fn features(&self) -> &'static str {
        "H13, H17, V13"
    }

    fn undone(&self) -> &'static str {
        "Puts the Service back and deletes the new version, unless that would take the last ready endpoints from a Service."
    }

    fn verbatim(&self, options: &Map<String, Value>) -> &'static [&'static str] {
        versions::verbatim(options)
    }

    fn lacks(&self, options: &Map<String, Value>, artifacts: &[Artifact]) -> Option<String> {
        versions::lacks(options, artifacts)
    }

    fn plan<'a>(&'a self, stage: &'a StageContext<'a>) -> Stepped<'a, Planned> {
        Box::pin(plan(stage))
    }
}

fn validate(options: &Map<String, Value>, scope: &StageScope<'_>) -> Vec<Problem> {
    let mut problems = check::expressions(options, scope, versions::verbatim(options));
    let parsed: Options = match check::options(options) {
        Ok(parsed) => parsed,
        Err(problem) => return vec![problem],
    };
    let Options { service, workload, manifest, .. } = &parsed;
    if service.is_some() && workload.is_some() {
        problems.push(Problem::new("workload", "there is a `service` too").with_hint("keep one of the two"));
    }
    if service.is_none() && workload.is_none() && manifest.is_none() {
        problems.push(
            Problem::new("", "there is no `service`, no `workload` and no `manifest`")
                .with_hint("name the Service of the present version, which is copied, or give a manifest"),
        );
    }
    problems.extend(versions::check_manifest(
        manifest.as_deref(),
        parsed.render,
        &parsed.required_artifacts,
        scope,
    ));
    problems
}

async fn plan(stage: &StageContext<'_>) -> Result<Planned, OperationError> {
    let options: Options = stage.options()?;
    let cluster = stage.cluster().await?;
    let (service, workload) = (options.service.as_deref(), options.workload.as_deref());
    let present = match versions::present(stage, &cluster, service, workload).await? {
        Ok(present) => present,
        Err(refused) => return Ok(refused),
    };
    let source = Source {
        manifest: options.manifest.as_deref(),
        required: &options.required_artifacts,
        version: options.version.as_deref(),
        replicas: options.replicas,
    };
    let new = match versions::new_version(stage, &source, present.as_ref()) {
        Ok(new) => new,
        Err(reason) => return Ok(Planned::refused(reason)),
    };
    if let Some(reason) = versions::taken(&cluster, &new.object).await? {
        return Ok(Planned::refused(reason));
    }
    let output = json!({
        "previous": present.as_ref().map(versions::shown), "current": versions::shown(&new.content),
    });
    let mut steps = match (service, &present) {
        (Some(service), Some(present)) => match versions::pin(&cluster, service, present, &new).await? {
            Ok(steps) => steps,
            Err(reason) => return Ok(Planned::refused(reason)),
        },
        _ => Vec::new(),
    };
    steps.push(Step::Apply { content: new.content, force: false });
    steps.push(Step::Ready { object: new.object });
    Planned::asked(stage, Plan { steps, output }).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::check::tests::problems;

    #[test]
    fn what_is_started_is_named_once() {
        assert_eq!(
            problems(&StartWorkload, &json!({"service": "web", "version": "${ artifacts.web.tag }"})),
            ""
        );
        let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
        let all = [
            json!({}),
            json!({"service": "web", "workload": "web"}),
            json!({"manifest": config, "requiredArtifacts": ["wbe"]}),
            json!({"service": "web", "version": "${ artifacts.wbe.tag }"}),
        ];
        let shown: Vec<String> = all.iter().map(|options| problems(&StartWorkload, options)).collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        there is no `service`, no `workload` and no `manifest`; name the Service of the present version, which is copied, or give a manifest
        workload: there is a `service` too; keep one of the two
        manifest: ConfigMap {namespace}/a is no Deployment; this stage starts Deployments only
        requiredArtifacts[0]: the pipeline has no artifact `wbe`; did you mean `web`?
        version: the pipeline has no artifact `wbe`; did you mean `web`?
        "#);
    }
}
