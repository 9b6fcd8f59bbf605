//! `deploy-manifest`: applies Kubernetes manifests with the release's artifacts in them (T52, T53).

use std::collections::BTreeSet;

use pilothouse_cluster::{
    ApplyOptions, Bound, Cluster, ClusterError, Manifest, ManifestError, ObjectRef, Rehearsal,
    bind_artifacts, parse_manifests,
};
use pilothouse_domain::artifact::Artifact;
use pilothouse_domain::duration::Span;
use pilothouse_domain::pipeline::{StageScope, StageTypeInfo};
use pilothouse_domain::problem::{Problem, Problems};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::rollout::{self, Action};
use super::{Begun, Observed, StageContext, StageEnd, StageType, Stepped, check};
use crate::OperationError;

/// The name in `type:`.
pub const NAME: &str = "deploy-manifest";

/// Stands for the environment's namespace while a pipeline is checked: it can be no real one.
const SOME_NAMESPACE: &str = "{namespace}";

/// What a `deploy-manifest` stage says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// The objects to apply: YAML, several documents separated by `---`, or JSON. Objects that name no namespace go into
    /// the environment's. Images of the release's artifacts are replaced by what the release carries, pinned by digest.
    pub manifests: String,
    /// The artifacts that must have taken their place in some container, by name; otherwise the stage fails.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required_artifacts: Vec<String>,
    /// Take over fields that somebody else manages. Without it, such a field fails the stage, and nothing is changed.
    #[serde(default)]
    pub force: bool,
    /// Evaluate `${ … }` in the manifests. Without it they are taken as they are.
    #[serde(default)]
    pub render: bool,
}

/// Applies manifests and watches what they start.
#[derive(Debug, Clone, Copy)]
pub struct DeployManifest;

impl StageType for DeployManifest {
    fn info(&self) -> StageTypeInfo {
        StageTypeInfo {
            name: NAME,
            summary: "Applies Kubernetes manifests and waits until their workloads run.",
            schema: schemars::schema_for!(Options),
            validate,
        }
    }

    fn features(&self) -> &'static str {
        "T52, T53, H10-H12"
    }

    fn undone(&self) -> &'static str {
        "Puts back the fields that it set as they were, and deletes what it created."
    }

    fn timeout(&self, _: &Value) -> Span {
        rollout::TIMEOUT
    }

    fn verbatim(&self, options: &Map<String, Value>) -> &'static [&'static str] {
        verbatim(options)
    }

    fn lacks(&self, options: &Map<String, Value>, artifacts: &[Artifact]) -> Option<String> {
        let required = options.get("requiredArtifacts")?.as_array()?.iter().filter_map(Value::as_str);
        let carries = |name: &str| artifacts.iter().any(|a| a.name == name && a.is_bound());
        let missing = required.filter(|name| !carries(name)).map(|name| format!("`{name}`"));
        let missing = missing.collect::<Vec<_>>().join(", ");
        let how = "start one with `--artifact NAME=TAG`";
        (!missing.is_empty()).then(|| format!("the release has no image for {missing}: {how}"))
    }

    fn targets<'a>(&'a self, stage: &'a StageContext<'a>) -> Stepped<'a, Vec<ObjectRef>> {
        Box::pin(async move {
            let (manifests, _) = prepare(stage, &stage.options()?)?;
            Ok(manifests.into_iter().map(|manifest| manifest.object).collect())
        })
    }

    fn begin<'a>(&'a self, stage: &'a StageContext<'a>) -> Stepped<'a, Begun> {
        Box::pin(begin(stage))
    }

    fn observe<'a>(&'a self, stage: &'a StageContext<'a>, within: Span) -> Stepped<'a, Observed> {
        Box::pin(async move { stage.action::<Action>()?.observe(stage, within).await })
    }

    fn cancel<'a>(&'a self, stage: &'a StageContext<'a>) -> Stepped<'a, Option<String>> {
        Box::pin(Action::left(stage))
    }
}

fn verbatim(options: &Map<String, Value>) -> &'static [&'static str] {
    if options.get("render") == Some(&Value::Bool(true)) { &[] } else { &["manifests"] }
}

fn validate(options: &Map<String, Value>, scope: &StageScope<'_>) -> Vec<Problem> {
    let mut problems = check::expressions(options, scope, verbatim(options));
    let parsed: Options = match check::options(options) {
        Ok(parsed) => parsed,
        Err(problem) => return vec![problem],
    };
    // What a template becomes is known only when it is rendered.
    if !parsed.render || !check::has_expression(&parsed.manifests) {
        match parse_manifests(&parsed.manifests, SOME_NAMESPACE) {
            Ok(manifests) => problems.extend(secrets_with_values(&manifests)),
            Err(error) => problems.push(problem_of(&error)),
        }
    }
    for (index, name) in parsed.required_artifacts.iter().enumerate() {
        problems.extend(check::artifact(&format!("requiredArtifacts[{index}]"), name, scope));
    }
    problems
}

fn problem_of(error: &ManifestError) -> Problem {
    Problem::new("manifests", format!("{}{}", place(error.document, error.line), error.problem))
}

/// Where in the manifests, as far as it is known: `document 2, line 5: `.
fn place(document: usize, line: u64) -> String {
    match (document, line) {
        (0, _) => String::new(),
        (document, 0) => format!("document {document}: "),
        (document, line) => format!("document {document}, line {line}: "),
    }
}

/// A pipeline is stored with every revision and every release, and shown: no secret's value belongs there (invariant 7).
fn secrets_with_values(manifests: &[Manifest]) -> Option<Problem> {
    let has_values = |manifest: &&Manifest| {
        let filled = |key: &str| manifest.content[key].as_object().is_some_and(|map| !map.is_empty());
        manifest.object.is_secret() && (filled("data") || filled("stringData"))
    };
    let found = manifests.iter().find(has_values)?;
    let place = place(found.document, found.line);
    let message = format!("{place}{} holds values, and pipelines are stored and shown", found.object);
    Some(
        Problem::new("manifests", message)
            .with_hint("create the Secret in the cluster, and refer to it by name"),
    )
}

/// The objects to apply, with the release's artifacts in them.
fn prepare(
    stage: &StageContext<'_>,
    options: &Options,
) -> Result<(Vec<Manifest>, Vec<Bound>), OperationError> {
    let invalid = |problem: Problem| OperationError::Invalid(Problems::from(problem));
    let mut manifests = parse_manifests(&options.manifests, &stage.environment.namespace)
        .map_err(|error| invalid(problem_of(&error)))?;
    if let Some(problem) = secrets_with_values(&manifests) {
        return Err(invalid(problem));
    }
    let bound = bind_artifacts(&mut manifests, &stage.release.artifacts, &options.required_artifacts)
        .map_err(|error| invalid(Problem { path: "requiredArtifacts".to_owned(), ..problem_of(&error) }))?;
    Ok((manifests, bound))
}

async fn begin(stage: &StageContext<'_>) -> Result<Begun, OperationError> {
    let options: Options = stage.options()?;
    let (manifests, bound) = prepare(stage, &options)?;
    let cluster = stage.cluster().await?;
    let apply = ApplyOptions { dry_run: false, force: options.force, marks: rollout::marks(stage) };
    let refusals = rehearse(&cluster, &manifests, &apply).await?;
    if !refusals.is_empty() {
        return Ok(Begun::Ended(rollout::refused(&refusals)));
    }
    if let Some(rehearsal) = stage.rehearsal {
        return rehearsed(&cluster, &manifests, &apply, rehearsal).await;
    }
    let applied = match cluster.apply(&manifests, &apply).await {
        Ok(applied) => applied,
        Err(error) if error.is_retryable() => return Err(error.into()),
        Err(error) => return Ok(Begun::Ended(rollout::refused(&[error]))),
    };
    Action::new(applied, bound.into_iter().map(|bound| bound.to)).watch()
}

/// What applying would change. What lies in a namespace, or is of a kind, that the same manifests create cannot be asked about:
/// it is taken to be created.
async fn rehearsed(
    cluster: &Cluster,
    manifests: &[Manifest],
    apply: &ApplyOptions,
    rehearsal: &Rehearsal,
) -> Result<Begun, OperationError> {
    for manifest in manifests {
        match cluster.apply(std::slice::from_ref(manifest), apply).await {
            Ok(_) => {}
            Err(error) if error.is_retryable() => return Err(error.into()),
            Err(_) => rehearsal.assume(&manifest.content),
        }
    }
    Ok(Begun::Ended(StageEnd::succeeded(Value::Null)))
}

/// Asks the server about every object before any is changed: admission, validation, owners of fields. Gives all refusals.
async fn rehearse(
    cluster: &Cluster,
    manifests: &[Manifest],
    apply: &ApplyOptions,
) -> Result<Vec<ClusterError>, ClusterError> {
    let dry = ApplyOptions { dry_run: true, ..apply.clone() };
    let created = Created::by(manifests);
    let mut refusals = Vec::new();
    for manifest in manifests {
        match cluster.apply(std::slice::from_ref(manifest), &dry).await {
            Ok(_) => {}
            Err(error) if error.is_retryable() => return Err(error),
            Err(error) if created.explains(&error, &manifest.object) => {}
            Err(error) => refusals.push(error),
        }
    }
    Ok(refusals)
}

/// What the same manifests create that others of them need: while nothing is applied yet, the server cannot know it.
struct Created<'a> {
    namespaces: BTreeSet<&'a str>,
    kinds: BTreeSet<(&'a str, &'a str)>,
}

impl<'a> Created<'a> {
    fn by(manifests: &'a [Manifest]) -> Self {
        let namespaces =
            manifests.iter().filter(|m| m.object.api_version == "v1" && m.object.kind == "Namespace");
        let kinds =
            manifests.iter().filter(|m| m.object.kind == "CustomResourceDefinition").filter_map(|m| {
                let spec = &m.content["spec"];
                Some((spec["group"].as_str()?, spec["names"]["kind"].as_str()?))
            });
        Self { namespaces: namespaces.map(|m| m.object.name.as_str()).collect(), kinds: kinds.collect() }
    }

    fn explains(&self, error: &ClusterError, object: &ObjectRef) -> bool {
        match error {
            ClusterError::NotFound { .. } => {
                object.namespace.as_deref().is_some_and(|namespace| self.namespaces.contains(namespace))
            }
            ClusterError::UnknownKind { .. } => self.kinds.contains(&(object.group(), object.kind.as_str())),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::stages::check::tests::problems;

    fn found(options: &Value) -> String {
        problems(&DeployManifest, options)
    }

    #[test]
    fn manifests_are_read_when_the_pipeline_is_saved() {
        let texts = [
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\nkind: ConfigMap\nmetadata: {name: b}\n",
            "a: [1",
            "# nothing\n",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {password: hunter2}\n",
        ];
        let all: Vec<String> = texts.iter().map(|text| found(&json!({ "manifests": text }))).collect();
        insta::assert_snapshot!(all.join("\n"), @r#"
        manifests: document 2, line 5: `apiVersion` is missing: every object says its `apiVersion` and `kind`
        manifests: document 1, line 1: unclosed bracket '[' at line 1, column 4
        manifests: there is no object in it
        manifests: document 2, line 5: ConfigMap {namespace}/a is already in document 1: keep one of them
        manifests: document 1, line 1: Secret {namespace}/a holds values, and pipelines are stored and shown; create the Secret in the cluster, and refer to it by name
        "#);
    }

    #[test]
    fn a_required_artifact_that_the_release_does_not_carry_is_named() {
        let artifact = |name: &str, tag: Option<&str>| Artifact {
            name: name.to_owned(),
            image: format!("shop/{name}"),
            tag: tag.map(str::to_owned),
            digest: None,
        };
        let options = json!({ "requiredArtifacts": ["web", "db"] });
        let lacks = |artifacts: &[Artifact]| DeployManifest.lacks(options.as_object().unwrap(), artifacts);
        assert_eq!(lacks(&[artifact("web", Some("1.0")), artifact("db", Some("2"))]), None);
        let told = lacks(&[artifact("web", None), artifact("db", Some("2"))]).unwrap();
        assert_eq!(told, "the release has no image for `web`: start one with `--artifact NAME=TAG`");
        assert!(lacks(&[]).unwrap().contains("for `web`, `db`:"));
        assert_eq!(DeployManifest.lacks(&Map::new(), &[]), None);
    }

    #[test]
    fn manifests_are_no_templates_unless_the_stage_says_so() {
        let script = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {run.sh: 'echo ${HOME}'}\n";
        assert_eq!(found(&json!({ "manifests": script })), "");
        insta::assert_snapshot!(found(&json!({ "manifests": script, "render": true })), @r#"
        manifests: unknown name `HOME`; names start with one of params, artifacts, trigger, release, environment, stages, approvals, rollback (at character 75)
        "#);
        assert_eq!(DeployManifest.verbatim(json!({"render": true}).as_object().unwrap()), &[] as &[&str]);
        assert_eq!(DeployManifest.verbatim(json!({}).as_object().unwrap()), &["manifests"]);
    }

    #[test]
    fn names_that_the_pipeline_does_not_have_are_refused_with_the_nearest() {
        let manifests =
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {n: '${ params.replica }'}\n";
        let options = json!({ "manifests": manifests, "render": true, "requiredArtifacts": ["web", "wep"] });
        insta::assert_snapshot!(found(&options), @r#"
        manifests: the pipeline has no parameter `replica`; did you mean `replicas`?
        requiredArtifacts[1]: the pipeline has no artifact `wep`; did you mean `web`?
        "#);
    }

    #[test]
    fn what_the_manifests_create_themselves_is_no_refusal() {
        let text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: new}\n---\n\
            apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: toys.shop.dev}\n\
            spec: {group: shop.dev, names: {kind: Toy}}\n";
        let manifests = parse_manifests(text, "dev").unwrap();
        let created = Created::by(&manifests);
        let missing =
            ClusterError::NotFound { operation: "apply".into(), message: "namespaces \"new\"".into() };
        assert!(created.explains(&missing, &ObjectRef::namespaced("v1", "ConfigMap", "new", "a")));
        assert!(!created.explains(&missing, &ObjectRef::namespaced("v1", "ConfigMap", "old", "a")));
        let unknown = ClusterError::UnknownKind {
            operation: "apply".into(),
            api_version: "shop.dev/v1".into(),
            kind: "Toy".into(),
        };
        assert!(created.explains(&unknown, &ObjectRef::namespaced("shop.dev/v1", "Toy", "dev", "a")));
        assert!(!created.explains(&unknown, &ObjectRef::namespaced("toys.dev/v1", "Toy", "dev", "a")));
    }
}
