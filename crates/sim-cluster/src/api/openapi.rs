//! As much of OpenAPI v3 as `kubectl` reads before it writes: that PATCH exists and takes `fieldValidation`.

use serde_json::{Map, Value, json};

use super::discovery::Group;
use crate::kinds::Kind;

/// The documents that there are.
pub(super) fn index(groups: &[Group]) -> Value {
    let mut paths = Map::new();
    for (group, version) in groups.iter().flat_map(|g| g.versions.iter().map(move |v| (g.name, v))) {
        let path =
            if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
        paths.insert(path.clone(), json!({ "serverRelativeURL": format!("/openapi/v3/{path}") }));
    }
    json!({ "paths": paths })
}

/// The document of one group and version.
pub(super) fn document(kinds: &[&'static Kind]) -> Value {
    let mut paths = Map::new();
    for kind in kinds {
        let root = if kind.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", kind.group) };
        let scope = if kind.namespaced { "/namespaces/{namespace}" } else { "" };
        let collection = format!("{root}/{}{scope}/{}", kind.version, kind.plural);
        let operation = |action: &str| {
            let parameters: Vec<_> = ["dryRun", "fieldManager", "fieldValidation"]
                .iter()
                .map(|name| json!({ "name": name, "in": "query", "schema": { "type": "string", "uniqueItems": true } }))
                .collect();
            json!({
                "parameters": parameters, "x-kubernetes-action": action, "responses": { "200": { "description": "OK" } },
                "x-kubernetes-group-version-kind": { "group": kind.group, "version": kind.version, "kind": kind.kind },
            })
        };
        paths.insert(collection.clone(), json!({ "post": operation("post") }));
        paths.insert(
            format!("{collection}/{{name}}"),
            json!({ "put": operation("put"), "patch": operation("patch") }),
        );
    }
    json!({
        "openapi": "3.0.0", "info": { "title": "Kubernetes", "version": super::discovery::VERSION },
        "paths": paths, "components": { "schemas": {} },
    })
}
