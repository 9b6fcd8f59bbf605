//! `blue-green`: the new version beside the old, all traffic at once, and then the end of the old one (H17, T5, V5, V13).

use pilothouse_cluster::{Cluster, ObjectRef};
use pilothouse_domain::artifact::Artifact;
use pilothouse_domain::duration::Span;
use pilothouse_domain::pipeline::{StageScope, StageTypeInfo};
use pilothouse_domain::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::divert_traffic::Target;
use super::remove_old_version::{DRAIN, removal};
use super::scale::{self, Scaler};
use super::steps::{Plan, Planned, Step};
use super::versions::{self, NewVersion, Source};
use super::{StageContext, StageType, Stepped, check, rollout};
use crate::OperationError;

/// The name in `type:`.
pub const NAME: &str = "blue-green";

/// What a `blue-green` stage says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// The Service that gets the traffic, by name. The Deployment behind it is the present version.
    pub service: String,
    /// A second Service that is pointed at the new version before it gets the traffic, for tests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview_service: Option<String>,
    /// The new version: one Deployment, as YAML. Without it the present one is copied, with the release's images. The
    /// version is put at the end of its name, and as the label `version` on its selector and its pods. A HorizontalPodAutoscaler of
    /// the present one is copied too, once the new one has the traffic.
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
    /// How many pods the new version has; as many as the present one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// How long the new version runs, ready, before it gets the traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Span>,
    /// How long the old version runs on after it lost the traffic; `30s` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_down_delay: Option<Span>,
    /// What becomes of the old version then.
    #[serde(default)]
    pub old: Old,
}

/// What becomes of the old version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Old {
    /// It is deleted.
    #[default]
    Delete,
    /// It stays without pods.
    ScaleToZero,
}

/// Blue and green.
#[derive(Debug, Clone, Copy)]
pub struct BlueGreen;

impl StageType for BlueGreen {
    fn info(&self) -> StageTypeInfo {
        StageTypeInfo {
            name: NAME,
            summary: "Starts the new version beside the old, sends all traffic to it at once when it is ready, and removes the old.",
            schema: schemars::schema_for!(Options),
            validate,
        }
    }

    fn features(&self) -> &'static str {
        "H13-H15, H17, T5, T15, V5, V13, X8"
    }

    fn undone(&self) -> &'static str {
        "Brings the old version back, waits until it is ready, sends the traffic back to it, and then deletes the new one."
    }

    fn timeout(&self, options: &Value) -> Span {
        let span = |key: &str| options[key].as_str().and_then(|text| text.parse::<Span>().ok());
        let waits = [span("pause").unwrap_or_default(), span("scaleDownDelay").unwrap_or(DRAIN)];
        let millis =
            waits.into_iter().map(Span::as_millis).fold(rollout::TIMEOUT.as_millis(), u64::saturating_add);
        Span::from_millis(millis)
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
    if parsed.preview_service.as_ref() == Some(&parsed.service) {
        problems.push(Problem::new("previewService", "it is the same Service as `service`"));
    }
    let manifest = parsed.manifest.as_deref();
    problems.extend(versions::check_manifest(manifest, parsed.render, &parsed.required_artifacts, scope));
    problems
}

async fn plan(stage: &StageContext<'_>) -> Result<Planned, OperationError> {
    let options: Options = stage.options()?;
    let cluster = stage.cluster().await?;
    let present = match versions::present(stage, &cluster, Some(&options.service), None).await? {
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
    let target = Target { labels: new.labels.clone(), replicas: new.replicas, name: new.object.name.clone() };
    if let Some(reason) = target.not_told_apart(&new.object, &present) {
        return Ok(Planned::refused(reason));
    }
    let scaler = match &present {
        Some(present) => scalers(&cluster, present, &new.object).await?,
        None => Scalers::default(),
    };
    if let Some(copy) = scaler.copy.as_ref().and_then(ObjectRef::of)
        && let Some(reason) = versions::taken(&cluster, &copy).await?
    {
        return Ok(Planned::refused(reason));
    }
    let output = json!({
        "service": options.service, "namespace": stage.environment.namespace,
        "previous": present.as_ref().map(versions::shown), "current": versions::shown(&new.content),
        "from": present.as_ref().map(versions::version_of), "to": versions::version_of(&new.content),
    });
    let mut all = match &present {
        None => Vec::new(),
        Some(present) => match versions::pin(&cluster, &options.service, present, &new).await? {
            Ok(steps) => steps,
            Err(reason) => return Ok(Planned::refused(reason)),
        },
    };
    all.extend(steps(stage, &options, new, &target, (present.as_ref(), scaler)));
    Planned::asked(stage, Plan { steps: all, output }).await
}

/// What scales the old version, and what is to scale the new one.
#[derive(Default)]
struct Scalers {
    old: Option<Scaler>,
    copy: Option<Value>,
}

/// The autoscaler of the present version, and the same for the new one, unless that has one of its own.
async fn scalers(cluster: &Cluster, present: &Value, new: &ObjectRef) -> Result<Scalers, OperationError> {
    let Some(present) = ObjectRef::of(present).filter(|present| present != new) else {
        return Ok(Scalers::default());
    };
    let all = scale::scalers(cluster, new.namespace.as_deref().unwrap_or_default()).await?;
    let old = scale::scaler_of(&all, &present);
    let copy = match (&old, scale::scaler_of(&all, new)) {
        (Some(old), None) => Some(old.of_another(new)),
        _ => None,
    };
    Ok(Scalers { old, copy })
}

fn steps(
    stage: &StageContext<'_>,
    options: &Options,
    new: NewVersion,
    target: &Target,
    (present, scaler): (Option<&Value>, Scalers),
) -> Vec<Step> {
    let namespace = &stage.environment.namespace;
    let old = present.filter(|live| ObjectRef::of(live).as_ref() != Some(&new.object));
    let mut steps =
        vec![Step::Apply { content: new.content, force: false }, Step::Ready { object: new.object }];
    if let Some(preview) = &options.preview_service {
        steps.push(target.select(namespace, preview));
        steps.push(Step::Serving {
            namespace: namespace.clone(),
            service: preview.clone(),
            labels: target.labels.clone(),
            least: target.replicas,
        });
    }
    if let Some(pause) = options.pause.filter(|pause| pause.as_millis() > 0) {
        let what = format!("a look at {} before it gets the traffic", target.name);
        steps.push(Step::Hold { seconds: pause.as_millis().div_ceil(1000), what });
    }
    steps.extend(target.switch(stage, &options.service));
    // Only now: without traffic it would make the new version as small as it may be.
    steps.extend(scaler.copy.map(|content| Step::Apply { content, force: false }));
    if let Some(old) = old {
        let delay = options.scale_down_delay.unwrap_or(DRAIN);
        let delete = (options.old == Old::Delete).then_some(scaler.old.as_ref());
        steps.extend(removal(stage, old, delay, delete));
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::check::tests::problems;

    #[test]
    fn its_options_are_checked_with_their_paths() {
        let fine = json!({"service": "web", "previewService": "web-preview", "pause": "5m", "old": "scale-to-zero",
            "version": "${ artifacts.web.tag }"});
        assert_eq!(problems(&BlueGreen, &fine), "");
        assert_eq!(BlueGreen.timeout(&fine), Span::from_secs(600 + 300 + 30));
        let all = [
            json!({"service": "web", "previewService": "web"}),
            json!({"service": "web", "manifest": "a: [1", "requiredArtifacts": ["wbe"]}),
        ];
        let shown: Vec<String> = all.iter().map(|options| problems(&BlueGreen, options)).collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        previewService: it is the same Service as `service`
        manifest: unclosed bracket '[' at line 1, column 4
        requiredArtifacts[0]: the pipeline has no artifact `wbe`; did you mean `web`?
        "#);
    }
}
