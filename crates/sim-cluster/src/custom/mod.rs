//! Custom resources: kinds that a cluster learns from CustomResourceDefinitions, at run time or built in.

mod schema;
mod shapes;

use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use crate::{json, kinds::Kind, status::FieldError};
pub(crate) use schema::{default, prune, validate};
pub(crate) use shapes::Shapes;

/// The resource of the definitions.
pub(crate) const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";

/// What a kind has because it is a custom resource.
#[derive(Debug)]
pub(crate) struct Custom {
    /// `openAPIV3Schema`; `None` when everything is kept as it comes.
    pub(crate) schema: Option<Value>,
    /// How its lists and maps merge.
    pub(crate) shapes: Shapes,
    /// Where the number of replicas stands, for `scale`: pointers into the object.
    pub(crate) scale: Option<ScalePaths>,
    /// `additionalPrinterColumns`, beside the name.
    pub(crate) columns: Vec<Value>,
    /// The identity of the definition: what it was made of.
    made_of: String,
}

/// The paths of a `scale` subresource.
#[derive(Debug, Clone)]
pub(crate) struct ScalePaths {
    pub(crate) spec: String,
    pub(crate) status: String,
    /// Of the selector as text; "" if none.
    pub(crate) selector: String,
}

impl Custom {
    /// With this schema, or none, and columns in the form `Hosts=.spec.hosts`.
    pub(crate) fn new(schema: Option<Value>, columns: &[&str]) -> Self {
        let shapes = Shapes::of(schema.as_ref());
        let columns = columns.iter().filter_map(|c| c.split_once('='));
        let columns =
            columns.map(|(name, path)| json!({ "name": name, "type": "string", "jsonPath": path })).collect();
        Self { schema, shapes, scale: None, columns, made_of: String::new() }
    }
}

/// Kinds that were ever defined in this process. They live for ever, which is bounded by the definitions that tests and manifests have.
static DEFINED: Mutex<Vec<&'static Kind>> = Mutex::new(Vec::new());

/// A kind that was defined, by its resource (`widgets.example.com`).
pub(crate) fn defined(resource: &str) -> Option<&'static Kind> {
    let all = DEFINED.lock().unwrap_or_else(PoisonError::into_inner);
    all.iter().rev().find(|k| k.resource == resource).copied()
}

fn leak(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

/// The kinds of a definition, one for each served version; the one that is stored comes first.
pub(crate) fn kinds_of(definition: &Value) -> Vec<&'static Kind> {
    let mut versions: Vec<&Value> =
        json::items(definition, "/spec/versions").iter().filter(|v| json::flag(v, "/served")).collect();
    versions.sort_by_key(|v| !json::flag(v, "/storage"));
    versions.into_iter().map(|version| intern(definition, version)).collect()
}

fn intern(definition: &Value, version: &Value) -> &'static Kind {
    let made_of = json::canonical(&json!([
        definition["spec"]["group"],
        definition["spec"]["names"],
        definition["spec"]["scope"],
        version
    ]));
    let mut all = DEFINED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = all.iter().find(|k| k.custom.as_ref().is_some_and(|c| c.made_of == made_of)) {
        return known;
    }
    let names = &definition["spec"]["names"];
    let (group, plural) = (json::text(definition, "/spec/group"), json::text(names, "/plural"));
    let list = |field: &str| -> Vec<&'static str> {
        json::items(names, field).iter().filter_map(Value::as_str).map(leak).collect()
    };
    let pointer = |path: &str| json::text(version, path).replace('.', "/");
    let scale = version.pointer("/subresources/scale").map(|_| ScalePaths {
        spec: pointer("/subresources/scale/specReplicasPath"),
        status: pointer("/subresources/scale/statusReplicasPath"),
        selector: pointer("/subresources/scale/labelSelectorPath"),
    });
    let schema = version.pointer("/schema/openAPIV3Schema").cloned();
    let columns = json::items(version, "/additionalPrinterColumns").to_vec();
    let kind = Kind {
        resource: format!("{plural}.{group}"),
        group: leak(group),
        version: leak(json::text(version, "/name")),
        plural: leak(plural),
        kind: leak(json::text(names, "/kind")),
        short: Vec::leak(list("/shortNames")),
        namespaced: json::text(definition, "/spec/scope") != "Cluster",
        status: version.pointer("/subresources/status").is_some(),
        scale: scale.is_some(),
        in_all: json::items(names, "/categories").iter().any(|c| c == "all"),
        typed: None,
        custom: Some(Custom { scale, columns, made_of, ..Custom::new(schema, &[]) }),
    };
    let kind: &'static Kind = Box::leak(Box::new(kind));
    all.push(kind);
    kind
}

/// Fills in a definition's names, and its status as the API server does within milliseconds.
pub(crate) fn establish(definition: &mut Value, now: &str) {
    let kind = json::text(definition, "/spec/names/kind").to_owned();
    json::set_default(definition, "/spec/names/singular", kind.to_lowercase());
    json::set_default(definition, "/spec/names/listKind", format!("{kind}List"));
    json::set_default(definition, "/spec/conversion", json!({ "strategy": "None" }));
    let stored: Vec<Value> = json::items(definition, "/spec/versions")
        .iter()
        .filter(|v| json::flag(v, "/storage"))
        .map(|v| v["name"].clone())
        .collect();
    let condition = |kind: &str, reason: &str, message: &str| json!({ "type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": now });
    let conditions = json!([
        condition("NamesAccepted", "NoConflicts", "no conflicts found"),
        condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
    ]);
    let names = definition["spec"]["names"].clone();
    json::set(
        definition,
        "/status",
        json!({ "conditions": conditions, "acceptedNames": names, "storedVersions": stored }),
    );
}

/// What is wrong with a definition.
pub(crate) fn check_definition(definition: &Value, errors: &mut Vec<FieldError>) {
    let (group, plural) =
        (json::text(definition, "/spec/group"), json::text(definition, "/spec/names/plural"));
    if json::name(definition) != format!("{plural}.{group}") {
        let name = definition["metadata"]["name"].clone();
        errors.push(FieldError::invalid(
            "metadata.name",
            &name,
            "must be spec.names.plural+\".\"+spec.group",
        ));
    }
    let versions = json::items(definition, "/spec/versions");
    if versions.iter().filter(|v| json::flag(v, "/storage")).count() != 1 {
        let text = "must have exactly one version marked as storage version";
        errors.push(FieldError::invalid("spec.versions", &definition["spec"]["versions"], text));
    }
    for (index, version) in versions.iter().enumerate() {
        if version.pointer("/schema/openAPIV3Schema").is_none() {
            let field = format!("spec.versions[{index}].schema.openAPIV3Schema");
            errors.push(FieldError::required(field, "schemas are required"));
        }
    }
}
