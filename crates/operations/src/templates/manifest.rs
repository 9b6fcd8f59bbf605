//! The manifests of a service, taken apart: its Service, its Deployment, and what they need.

use std::collections::BTreeSet;

use pilothouse_cluster::parse_manifests;
use pilothouse_domain::problem::{Problem, did_you_mean};
use serde_json::{Map, Value, json};

/// Stands for the namespace of objects that name none: it can be no real one.
const NO_NAMESPACE: &str = "{namespace}";
/// The kinds that run pods, and are deployed with the Deployment.
const WORKLOADS: [&str; 5] = ["Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job"];
/// The label that tells the pods of the first phase from the others.
const PHASE: &str = "pilothouse.dev/phase";
/// The label that names what a workload is a part of, as Kubernetes recommends it.
const PART_OF: &str = "app.kubernetes.io/part-of";

/// The parts.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    /// The Service's name.
    pub(super) service: String,
    /// The Service and all that is no workload: ConfigMaps, Ingresses.
    pub(super) support: Vec<Value>,
    /// The Deployment behind the Service.
    pub(super) deployment: Value,
    /// The other workloads.
    pub(super) others: Vec<Value>,
    /// The Secrets that pods refer to, by name.
    pub(super) secrets: Vec<String>,
    /// The repository that is released: `registry.example/shop/web`.
    pub(super) image: String,
    /// What people have to know.
    pub(super) notes: Vec<String>,
}

impl Parts {
    /// Takes the manifests apart.
    pub(super) fn of(text: &str, service: &str, image: Option<&str>) -> Result<Self, Problem> {
        let manifests = parse_manifests(text, NO_NAMESPACE).map_err(|error| {
            let place = match (error.document, error.line) {
                (0, _) => String::new(),
                (document, line) => format!("document {document}, line {line}: "),
            };
            Problem::new("manifest", format!("{place}{}", error.problem))
        })?;
        let mut notes = Vec::new();
        let objects: Vec<Value> = manifests.into_iter().filter_map(|m| kept(m.content, &mut notes)).collect();
        let deployment = deployment_behind(&objects, service)?;
        let image = released(&deployment, image)?;
        let secrets = objects.iter().flat_map(|object| secrets_of(&pod_template(object)["spec"]));
        let secrets: BTreeSet<String> = secrets.collect();
        let is_workload = |object: &Value| object["kind"].as_str().is_some_and(|k| WORKLOADS.contains(&k));
        let (workloads, support): (Vec<Value>, Vec<Value>) = objects.into_iter().partition(is_workload);
        Ok(Self {
            service: service.to_owned(),
            support,
            others: workloads.into_iter().filter(|w| *w != deployment).collect(),
            deployment,
            secrets: secrets.into_iter().collect(),
            image,
            notes,
        })
    }

    /// The Deployment's name.
    pub(super) fn workload(&self) -> &str {
        self.deployment["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// The name of the first phase's Deployment.
    pub(super) fn phase_name(&self) -> String {
        format!("{}-phase-1", self.workload())
    }

    /// The Deployment with all other workloads.
    pub(super) fn workloads(&self) -> Vec<Value> {
        std::iter::once(&self.deployment).chain(&self.others).cloned().collect()
    }

    /// The first phase: so many pods of the new version, which the Service finds too, beside those of the old.
    pub(super) fn phase(&self, replicas: u32) -> Value {
        let mut phase = self.deployment.clone();
        phase["metadata"]["name"] = json!(self.phase_name());
        phase["spec"]["replicas"] = json!(replicas);
        for labels in ["/spec/selector/matchLabels", "/spec/template/metadata/labels"] {
            if let Some(labels) = phase.pointer_mut(labels).and_then(Value::as_object_mut) {
                labels.insert(PHASE.to_owned(), json!("1"));
            }
        }
        phase
    }

    /// The application, as the Deployment's labels have it.
    pub(super) fn part_of(&self) -> Option<String> {
        self.deployment["metadata"]["labels"][PART_OF].as_str().map(str::to_owned)
    }
}

/// The object as a pipeline may hold it: of no namespace of its own, as it goes to several, and no Secret with values.
fn kept(mut object: Value, notes: &mut Vec<String>) -> Option<Value> {
    let kind = object["kind"].as_str().unwrap_or_default().to_owned();
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    if kind == "Namespace" {
        notes.push(format!(
            "the Namespace {name} is left out: each environment has its own, which must be there"
        ));
        return None;
    }
    let filled = |key: &str| object[key].as_object().is_some_and(|map| !map.is_empty());
    if kind == "Secret" && (filled("data") || filled("stringData")) {
        notes.push(format!(
            "the Secret {name} is left out: it holds values, and pipelines are stored and shown"
        ));
        return None;
    }
    let namespace =
        object["metadata"].as_object_mut().and_then(|metadata| metadata.shift_remove("namespace"));
    match namespace {
        Some(Value::String(namespace)) if namespace != NO_NAMESPACE => {
            notes.push(format!(
                "{kind} {name}: its namespace {namespace} is left out, the environment's counts"
            ));
        }
        _ => {}
    }
    Some(object)
}

/// The one Deployment whose pods the Service finds.
fn deployment_behind(objects: &[Value], service: &str) -> Result<Value, Problem> {
    let named = |kind: &'static str| objects.iter().filter(move |object| object["kind"] == kind);
    let name = |object: &Value| object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let Some(found) = named("Service").find(|object| name(object) == service) else {
        let names: Vec<String> = named("Service").map(name).collect();
        let hint = did_you_mean(service, names.iter().map(String::as_str));
        let known = match names.is_empty() {
            true => "there is none in the manifest".to_owned(),
            false => format!("the manifest has {}", names.join(", ")),
        };
        let problem = Problem::new("service", format!("there is no Service `{service}`: {known}"));
        return Err(problem.with_optional_hint(hint));
    };
    let empty = Map::new();
    let selector = found["spec"]["selector"].as_object().unwrap_or(&empty);
    if selector.is_empty() {
        let message = format!("the Service `{service}` has no selector, so no Deployment is behind it");
        return Err(Problem::new("service", message));
    }
    let behind: Vec<&Value> = named("Deployment")
        .filter(|deployment| {
            let labels = &pod_template(deployment)["metadata"]["labels"];
            selector.iter().all(|(key, value)| labels.get(key) == Some(value))
        })
        .collect();
    match behind.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(Problem::new(
            "service",
            format!("no Deployment has the labels that Service `{service}` selects"),
        )
        .with_hint("the template deploys what is behind the Service: add its Deployment to the manifest")),
        several => {
            let names: Vec<String> = several.iter().map(|object| name(object)).collect();
            let message = format!("several Deployments are behind Service `{service}`: {}", names.join(", "));
            Err(Problem::new("service", message)
                .with_hint("give each of them a Service and a pipeline of its own"))
        }
    }
}

fn pod_template(object: &Value) -> &Value {
    match object["kind"].as_str() {
        Some("CronJob") => &object["spec"]["jobTemplate"]["spec"]["template"],
        _ => &object["spec"]["template"],
    }
}

/// The repository that is released: of the container that has it.
fn released(deployment: &Value, image: Option<&str>) -> Result<String, Problem> {
    let containers =
        deployment["spec"]["template"]["spec"]["containers"].as_array().cloned().unwrap_or_default();
    let found: BTreeSet<String> =
        containers.iter().filter_map(|c| c["image"].as_str()).map(repository).collect();
    let listed = || found.iter().cloned().collect::<Vec<_>>().join(", ");
    match (image.map(repository), found.len()) {
        (Some(wanted), _) if found.contains(&wanted) => Ok(wanted),
        (Some(wanted), _) => Err(Problem::new(
            "image",
            format!("no container of the Deployment runs `{wanted}`: they run {}", listed()),
        )),
        (None, 1) => Ok(listed()),
        (None, 0) => Err(Problem::new("manifest", "the Deployment has no container with an image")),
        (None, _) => Err(Problem::new("image", format!("the Deployment runs several images: {}", listed()))
            .with_hint("name the one that is released: `--image REPOSITORY`")),
    }
}

/// An image without its tag and digest.
fn repository(image: &str) -> String {
    let image = image.split_once('@').map_or(image, |(image, _)| image);
    let last = image.rfind('/').map_or(0, |at| at + 1);
    image[last..].find(':').map_or(image, |at| &image[..last + at]).to_owned()
}

/// The Secrets that pods cannot start without.
fn secrets_of(pod: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut take = |reference: &Value, key: &str| {
        if reference["optional"] != json!(true) {
            found.extend(reference[key].as_str().map(str::to_owned));
        }
    };
    list(&pod["imagePullSecrets"]).iter().for_each(|secret| take(secret, "name"));
    list(&pod["volumes"]).iter().for_each(|volume| take(&volume["secret"], "secretName"));
    for container in list(&pod["containers"]).iter().chain(&list(&pod["initContainers"])) {
        list(&container["envFrom"]).iter().for_each(|from| take(&from["secretRef"], "name"));
        list(&container["env"]).iter().for_each(|env| take(&env["valueFrom"]["secretKeyRef"], "name"));
    }
    found
}
