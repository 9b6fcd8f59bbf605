//! Versions of a workload beside each other: what a new one is made of, and what tells it from the one before (H13).
//!
//! A new version is a Deployment of its own, `web-v2` beside `web` or `web-v1`. Its selector and its pods carry the label
//! `version`, so that a Service can tell the two apart.

use std::collections::BTreeMap;

use pilothouse_cluster::{Cluster, Manifest, ObjectRef, bind_artifacts, parse_manifests};
use pilothouse_domain::pipeline::StageScope;
use pilothouse_domain::problem::Problem;
use serde_json::{Map, Value, json};

use super::steps::{Planned, Step, TrafficStep};
use super::{StageContext, check};
use crate::OperationError;

/// The label that tells versions apart.
pub(super) const VERSION_LABEL: &str = "version";

/// The label by which a Deployment's controller tells the pods of one template from those of another.
pub(super) const TEMPLATE_LABEL: &str = "pod-template-hash";

/// Longest name of a workload, so that it can be a label and a host name.
const LONGEST_NAME: usize = 63;

/// What the author of a stage says about a new version.
pub(super) struct Source<'a> {
    /// A Deployment in YAML; without it the present one is copied.
    pub(super) manifest: Option<&'a str>,
    /// The artifacts that must be in it.
    pub(super) required: &'a [String],
    /// What to call it; the next number when absent.
    pub(super) version: Option<&'a str>,
    /// How many pods; as the manifest or the present one has it when absent.
    pub(super) replicas: Option<u32>,
}

/// A version that is to be started.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NewVersion {
    /// Its Deployment.
    pub(super) object: ObjectRef,
    /// All of it.
    pub(super) content: Value,
    /// The labels that its pods have, and no other version's.
    pub(super) labels: BTreeMap<String, String>,
    /// How many pods.
    pub(super) replicas: u32,
}

/// The Deployment of the new version beside the present one.
///
/// # Errors
/// Why there can be none, in words.
pub(super) fn new_version(
    stage: &StageContext<'_>,
    source: &Source<'_>,
    present: Option<&Value>,
) -> Result<NewVersion, String> {
    let mut content = content(stage, source.manifest, source.required, present)?;
    let base = match source.manifest {
        Some(_) => name(&content).to_owned(),
        None => base_name(present.unwrap_or(&Value::Null)),
    };
    let version = match source.version {
        Some(version) => label_value(version)?,
        None => next_version(present),
    };
    let full = format!("{base}-{}", slug(&version));
    if full.len() > LONGEST_NAME {
        return Err(format!(
            "`{full}` is too long for a workload: shorten its name, or give a shorter `version`"
        ));
    }
    content["metadata"]["name"] = Value::from(full.as_str());
    for at in ["/metadata", "/spec/template/metadata"] {
        set(&mut content, at, "labels", VERSION_LABEL, &version);
    }
    set(&mut content, "/spec/selector", "matchLabels", VERSION_LABEL, &version);
    let replicas = source
        .replicas
        .or_else(|| replicas_of(present?))
        .unwrap_or_else(|| replicas_of(&content).unwrap_or(1));
    content["spec"]["replicas"] = Value::from(replicas);
    let object = ObjectRef::of(&content).ok_or("the manifest is no object")?;
    let labels = labels_of(&content);
    Ok(NewVersion { object, content, labels, replicas })
}

/// A Deployment with the release's images: from the manifest, or as the present one is.
///
/// # Errors
/// Why there can be none, in words.
pub(super) fn content(
    stage: &StageContext<'_>,
    manifest: Option<&str>,
    required: &[String],
    present: Option<&Value>,
) -> Result<Value, String> {
    let mut manifests = match (manifest, present) {
        (Some(text), _) => vec![deployment(text, &stage.environment.namespace).map_err(|p| p.to_string())?],
        (None, Some(live)) => vec![as_manifest(copied(live))?],
        (None, None) => {
            return Err("there is no Deployment yet to copy: give a `manifest` for the first one".to_owned());
        }
    };
    let bound = bind_artifacts(&mut manifests, &stage.release.artifacts, required).map_err(|e| e.problem)?;
    let only = manifests.swap_remove(0);
    if manifest.is_none() && bound.is_empty() {
        let images = images_of(&only.content).join(", ");
        return Err(format!(
            "no container of {} uses an image of the release, so a copy would be the same again; its images are {images}",
            only.object
        ));
    }
    Ok(only.content)
}

/// The one Deployment of a manifest.
///
/// # Errors
/// What is wrong with it, at `manifest`.
pub(super) fn deployment(text: &str, namespace: &str) -> Result<Manifest, Problem> {
    let problem = |message: String| Problem::new("manifest", message);
    let mut all = parse_manifests(text, namespace).map_err(|error| problem(error.problem))?;
    let only = match (all.pop(), all.len()) {
        (Some(only), 0) => only,
        (_, others) => {
            return Err(problem(format!("there are {} objects in it", others + 1))
                .with_hint("keep the Deployment, and put the others into a `deploy-manifest` stage before"));
        }
    };
    if only.object.api_version != "apps/v1" || only.object.kind != "Deployment" {
        return Err(problem(format!("{} is no Deployment", only.object))
            .with_hint("this stage starts Deployments only"));
    }
    if labels_of(&only.content).is_empty() {
        return Err(problem("it has no `spec.selector.matchLabels`".to_owned())
            .with_hint("a Service finds its pods by them"));
    }
    Ok(only)
}

/// What can be said of a `manifest` when the pipeline is saved.
pub(super) fn check_manifest(
    manifest: Option<&str>,
    render: bool,
    required: &[String],
    scope: &StageScope<'_>,
) -> Vec<Problem> {
    // What a template becomes is known only when it is rendered.
    let fixed = manifest.filter(|text| !(render && check::has_expression(text)));
    let wrong = fixed.and_then(|text| deployment(text, "{namespace}").err());
    let required = required.iter().enumerate();
    let unknown =
        required.filter_map(|(i, name)| check::artifact(&format!("requiredArtifacts[{i}]"), name, scope));
    wrong.into_iter().chain(unknown).collect()
}

/// Which options hold a manifest that is taken as it is.
pub(super) fn verbatim(options: &Map<String, Value>) -> &'static [&'static str] {
    if options.get("render") == Some(&Value::Bool(true)) { &[] } else { &["manifest"] }
}

/// Why the stage cannot begin with what the release carries.
pub(super) fn lacks(
    options: &Map<String, Value>,
    artifacts: &[pilothouse_domain::artifact::Artifact],
) -> Option<String> {
    use super::StageType as _;
    super::deploy_manifest::DeployManifest.lacks(options, artifacts)
}

/// The Deployment that serves now: the named one, or the one behind the Service; none when there is none yet.
///
/// # Errors
/// [`OperationError`]; `Ok(Err(..))` when it cannot be told which it is.
pub(super) async fn present(
    stage: &StageContext<'_>,
    cluster: &Cluster,
    service: Option<&str>,
    workload: Option<&str>,
) -> Result<Result<Option<Value>, Planned>, OperationError> {
    let namespace = &stage.environment.namespace;
    if let Some(name) = workload {
        let object = deployment_ref(namespace, name);
        return Ok(match cluster.get(&object).await? {
            None => Err(Planned::refused(format!("{object} does not exist: correct `workload`"))),
            live => Ok(live),
        });
    }
    let Some(service) = service else { return Ok(Ok(None)) };
    let mut behind = cluster.workloads_behind(namespace, service).await?;
    if behind.len() > 1 {
        let names: Vec<String> =
            behind.iter().filter_map(|(w, _)| ObjectRef::of(w)).map(|o| o.to_string()).collect();
        return Ok(Err(Planned::refused(format!(
            "Service {namespace}/{service} sends traffic to several workloads ({}): say with `workload` which of them is the \
             present version",
            names.join(", ")
        ))));
    }
    let Some((live, _)) = behind.pop() else { return Ok(Ok(None)) };
    Ok(match live["kind"] == "Deployment" {
        true => Ok(Some(live)),
        false => Err(Planned::refused(format!(
            "behind Service {namespace}/{service} is a {}, and this stage changes Deployments only",
            live["kind"].as_str().unwrap_or("thing without a kind")
        ))),
    })
}

/// The steps that keep a Service's traffic at the present version while a new one starts whose pods it would select too: until it
/// is pointed at one of the two, its selector names the template of the present pods.
///
/// # Errors
/// [`OperationError`]; `Ok(Err(..))` when it cannot be told which pods these are, in words.
pub(super) async fn pin(
    cluster: &Cluster,
    service: &str,
    present: &Value,
    new: &NewVersion,
) -> Result<Result<Vec<Step>, String>, OperationError> {
    let namespace = new.object.namespace.clone().unwrap_or_default();
    let object = ObjectRef::namespaced("v1", "Service", &namespace, service);
    let live = cluster.get(&object).await?.unwrap_or_default();
    let pods = &new.content["spec"]["template"]["metadata"]["labels"];
    let mut selector: BTreeMap<String, String> =
        serde_json::from_value(live["spec"]["selector"].clone()).unwrap_or_default();
    let itself = ObjectRef::of(present).as_ref() == Some(&new.object);
    if itself || selector.iter().any(|(key, value)| pods[key.as_str()] != value.as_str()) {
        return Ok(Ok(Vec::new()));
    }
    let ready = cluster.ready_by_template(present).await?;
    let mut templates = ready.into_iter();
    let (hash, count) = match (templates.next(), templates.next()) {
        (Some(only), None) => only,
        (None, _) => return Ok(Ok(Vec::new())),
        _ => {
            return Ok(Err(format!(
                "Deployment {namespace}/{} is in the middle of a rollout: wait until all of its pods are of one template",
                name(present)
            )));
        }
    };
    selector.insert(TEMPLATE_LABEL.to_owned(), hash);
    let keep = Step::Traffic(TrafficStep::Select {
        what: format!("{object} keeps its traffic at {}", name(present)),
        service: object,
        selector: selector.clone(),
    });
    let least = u32::from(count > 0);
    Ok(Ok(vec![keep, Step::Serving { namespace, service: service.to_owned(), labels: selector, least }]))
}

/// Why a Deployment of that name must not be written over: somebody else made it.
pub(super) async fn taken(cluster: &Cluster, object: &ObjectRef) -> Result<Option<String>, OperationError> {
    let live = cluster.get(object).await?;
    let ours = |live: &Value| live["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "pilothouse";
    Ok(live.filter(|live| !ours(live)).map(|_| {
        format!("{object} exists and was not made by a release: delete it, or give another `version`")
    }))
}

/// A Deployment of the environment.
pub(super) fn deployment_ref(namespace: &str, name: &str) -> ObjectRef {
    ObjectRef::namespaced("apps/v1", "Deployment", namespace, name)
}

/// A workload, for the output of a stage: name, type, namespace, version and images.
pub(super) fn shown(workload: &Value) -> Value {
    json!({
        "name": name(workload), "type": workload["kind"], "namespace": workload["metadata"]["namespace"],
        "version": version_of(workload), "images": images_of(workload),
    })
}

/// What tells this version from others: its label, or else its name.
pub(super) fn version_of(workload: &Value) -> &str {
    workload["spec"]["template"]["metadata"]["labels"][VERSION_LABEL]
        .as_str()
        .unwrap_or_else(|| name(workload))
}

/// `spec.selector.matchLabels`.
pub(super) fn labels_of(workload: &Value) -> BTreeMap<String, String> {
    let labels = workload["spec"]["selector"]["matchLabels"].as_object();
    let text = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
    labels.into_iter().flatten().filter_map(text).collect()
}

/// `spec.replicas`.
pub(super) fn replicas_of(workload: &Value) -> Option<u32> {
    workload["spec"]["replicas"].as_u64().and_then(|count| u32::try_from(count).ok())
}

/// The images of its containers, init containers first.
pub(super) fn images_of(workload: &Value) -> Vec<&str> {
    let spec = &workload["spec"]["template"]["spec"];
    let lists = ["initContainers", "containers"]
        .map(|list| spec[list].as_array().map(Vec::as_slice).unwrap_or_default());
    lists.into_iter().flatten().filter_map(|container| container["image"].as_str()).collect()
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

fn as_manifest(content: Value) -> Result<Manifest, String> {
    let object = ObjectRef::of(&content).ok_or("what is copied is no object")?;
    Ok(Manifest { object, content, document: 0, line: 0 })
}

/// A live Deployment as a manifest of its own. Annotations and labels by which other tools know what is theirs stay behind:
/// of the labels those come along that its pods have too.
fn copied(live: &Value) -> Value {
    let mut spec = live["spec"].clone();
    if let Some(fields) = spec.as_object_mut() {
        fields.shift_remove("paused");
    }
    if let Some(metadata) = spec["template"]["metadata"].as_object_mut() {
        metadata.shift_remove("creationTimestamp");
    }
    let pods = &live["spec"]["template"]["metadata"]["labels"];
    let labels: Map<String, Value> = live["metadata"]["labels"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, value)| pods[key.as_str()] == **value)
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name(live), "namespace": live["metadata"]["namespace"], "labels": labels}, "spec": spec,
    })
}

/// The name without the version at its end.
fn base_name(live: &Value) -> String {
    let version = version_of(live);
    let full = name(live);
    match full.strip_suffix(&format!("-{}", slug(version))) {
        Some(base) if !base.is_empty() => base.to_owned(),
        _ => full.to_owned(),
    }
}

/// `v4` after `v3`, `v008` after `v007`; `v2` beside what has no number, `v1` where there is nothing.
fn next_version(present: Option<&Value>) -> String {
    let Some(live) = present else { return "v1".to_owned() };
    let digits = |text: &str| {
        let (_, digits) = text.rsplit_once('v')?;
        digits.parse::<u32>().ok().map(|number| (number, digits.len()))
    };
    match digits(version_of(live)) {
        Some((number, width)) => format!("v{:0width$}", number.saturating_add(1)),
        None => "v2".to_owned(),
    }
}

/// The version as the value of a label.
fn label_value(version: &str) -> Result<String, String> {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let fits = version.len() <= 63 && version.chars().all(inner);
    match fits && edge(version.chars().next()) && edge(version.chars().next_back()) {
        true => Ok(version.to_owned()),
        false => Err(format!(
            "`{version}` cannot be a label: a version has letters, digits, `-`, `_`, `.`, at most 63"
        )),
    }
}

/// The version as the end of a name.
fn slug(version: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    version.chars().map(fit).collect::<String>().trim_matches('-').to_owned()
}

fn set(content: &mut Value, at: &str, map: &str, key: &str, value: &str) {
    let mut place = content;
    for step in at.split('/').skip(1) {
        place = &mut place[step];
    }
    if !place[map].is_object() {
        place[map] = json!({});
    }
    place[map][key] = Value::from(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(name: &str, version: Option<&str>) -> Value {
        let mut labels = json!({"app": "web"});
        if let Some(version) = version {
            labels["version"] = json!(version);
        }
        json!({"kind": "Deployment", "metadata": {"name": name, "namespace": "dev",
            "labels": {"app": "web", "app.kubernetes.io/instance": "argo"},
            "annotations": {"meta.helm.sh/release-name": "web"}},
            "spec": {"replicas": 3, "paused": true, "selector": {"matchLabels": labels}, "template": {
                "metadata": {"creationTimestamp": null, "labels": labels},
                "spec": {"containers": [{"name": "web", "image": "shop/web:1"}]}}}})
    }

    #[test]
    fn versions_count_on_from_the_present_one() {
        let next = |name: &str, version: Option<&str>| {
            let live = live(name, version);
            (base_name(&live), next_version(Some(&live)))
        };
        let pair = |base: &str, version: &str| (base.to_owned(), version.to_owned());
        assert_eq!(next("web", None), pair("web", "v2"));
        assert_eq!(next("web-v3", Some("v3")), pair("web", "v4"));
        assert_eq!(next("web-v009", Some("v009")), pair("web", "v010"));
        assert_eq!(next("web-1-0-0", Some("1.0.0")), pair("web", "v2"));
        assert_eq!(next_version(None), "v1");
    }

    #[test]
    fn a_version_becomes_a_label_and_the_end_of_a_name() {
        assert_eq!(label_value("1.0.0-RC_1").unwrap(), "1.0.0-RC_1");
        assert_eq!(slug("1.0.0-RC_1"), "1-0-0-rc-1");
        for wrong in ["", "-a", "a/b", "a b"] {
            assert!(label_value(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_copy_leaves_behind_what_other_tools_know_their_objects_by() {
        let copy = copied(&live("web", None));
        assert_eq!(copy["metadata"], json!({"name": "web", "namespace": "dev", "labels": {"app": "web"}}));
        assert_eq!(copy["spec"]["template"]["metadata"], json!({"labels": {"app": "web"}}));
        assert!(copy["spec"].get("paused").is_none());
    }

    #[test]
    fn a_manifest_is_one_deployment() {
        let refused = |text: &str| deployment(text, "dev").unwrap_err().to_string();
        let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
        let bare = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: b}\n";
        insta::assert_snapshot!([refused(config), refused(&format!("{config}---\n{bare}")), refused(bare)].join("\n"), @r#"
        manifest: ConfigMap dev/a is no Deployment; this stage starts Deployments only
        manifest: there are 2 objects in it; keep the Deployment, and put the others into a `deploy-manifest` stage before
        manifest: it has no `spec.selector.matchLabels`; a Service finds its pods by them
        "#);
    }
}
