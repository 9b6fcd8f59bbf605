//! Which groups, versions and resources there are.

use serde_json::{Value, json};

use super::{Api, Reply, call::Call, openapi, path::Target, reviews};
use crate::{
    kinds::Kind,
    status::{ApiError, ApiResult},
};

/// The version that the server claims to be.
pub(crate) const VERSION: &str = "v1.36.1";

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

pub(super) fn answer(api: &Api, call: &Call, target: &Target) -> ApiResult<Reply> {
    let kinds = api.shared.core.transact(|tx| tx.kinds());
    let aggregated = call.accept.contains("as=APIGroupDiscoveryList") && call.accept.contains("v=v2");
    match target {
        Target::Version => Ok(Reply::ok(version())),
        Target::Health => Ok(Reply::Text("ok".to_owned())),
        Target::CoreVersions | Target::Groups if aggregated => {
            let core = matches!(target, Target::CoreVersions);
            Ok(Reply::Typed { content_type: AGGREGATED, body: aggregate(&kinds, core) })
        }
        Target::CoreVersions => Ok(Reply::ok(json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{ "clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1" }],
        }))),
        Target::Groups => {
            let groups: Vec<_> =
                groups(&kinds).into_iter().filter(|g| !g.name.is_empty()).map(|g| group(&g, false)).collect();
            Ok(Reply::ok(json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })))
        }
        Target::Group(name) => {
            let found = groups(&kinds).into_iter().find(|g| g.name == name).ok_or_else(ApiError::no_path)?;
            Ok(Reply::ok(group(&found, true)))
        }
        Target::Resources(group, version) => resources(&kinds, group, version),
        Target::OpenApiV3 => Ok(Reply::ok(openapi::index(&groups(&kinds)))),
        Target::OpenApiV3Of(group, version) => {
            Ok(Reply::ok(openapi::document(&kinds_of(&kinds, group, version)?)))
        }
        Target::OpenApiV2 | Target::Review(_) | Target::Object(_) => Err(ApiError::no_resource()),
    }
}

fn version() -> Value {
    json!({
        "major": "1", "minor": "36", "gitVersion": VERSION, "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "", "platform": "linux/amd64",
    })
}

/// A group and its versions, the preferred one first.
pub(super) struct Group {
    pub(super) name: &'static str,
    pub(super) versions: Vec<&'static str>,
}

/// The groups, each once, in the registry's order, and then those of reviews.
fn groups(kinds: &[&'static Kind]) -> Vec<Group> {
    let reviews = reviews::KINDS.iter().map(|(group, _, _, _)| (*group, "v1"));
    let mut all: Vec<Group> = Vec::new();
    for (name, version) in kinds.iter().map(|k| (k.group, k.version)).chain(reviews) {
        match all.iter_mut().find(|g| g.name == name) {
            Some(group) if group.versions.contains(&version) => {}
            Some(group) => group.versions.push(version),
            None => all.push(Group { name, versions: vec![version] }),
        }
    }
    all
}

fn kinds_of(kinds: &[&'static Kind], group: &str, version: &str) -> ApiResult<Vec<&'static Kind>> {
    let found: Vec<_> = kinds.iter().copied().filter(|k| k.group == group && k.version == version).collect();
    if found.is_empty() { Err(ApiError::no_path()) } else { Ok(found) }
}

fn group(group: &Group, alone: bool) -> Value {
    let name = group.name;
    let versions: Vec<_> = group
        .versions
        .iter()
        .map(|v| json!({ "groupVersion": format!("{name}/{v}"), "version": v }))
        .collect();
    let mut shown = json!({ "name": name, "versions": versions, "preferredVersion": versions[0] });
    if alone {
        shown["kind"] = "APIGroup".into();
        shown["apiVersion"] = "v1".into();
    }
    shown
}

const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const SUB_VERBS: [&str; 3] = ["get", "patch", "update"];

fn resources(kinds: &[&'static Kind], group: &str, version: &str) -> ApiResult<Reply> {
    let mut list = Vec::new();
    if version == "v1" && reviews::KINDS.iter().any(|(g, _, _, _)| *g == group) {
        for (_, plural, kind, namespaced) in reviews::KINDS.iter().filter(|(g, _, _, _)| *g == group) {
            list.push(json!({ "name": plural, "singularName": kind.to_lowercase(), "namespaced": namespaced, "kind": kind, "verbs": ["create"] }));
        }
        return Ok(Reply::ok(json!({
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": format!("{group}/v1"), "resources": list,
        })));
    }
    for kind in kinds_of(kinds, group, version)? {
        let mut resource = json!({
            "name": kind.plural, "singularName": kind.singular(), "namespaced": kind.namespaced, "kind": kind.kind, "verbs": VERBS,
        });
        if !kind.short.is_empty() {
            resource["shortNames"] = json!(kind.short);
        }
        if kind.in_all {
            resource["categories"] = json!(["all"]);
        }
        list.push(resource);
        for (sub, name, verbs) in subresources(kind) {
            let mut shown = json!({
                "name": format!("{}/{sub}", kind.plural), "singularName": "", "namespaced": kind.namespaced, "kind": name, "verbs": verbs,
            });
            if let Some((group, version)) = foreign(name) {
                shown["group"] = group.into();
                shown["version"] = version.into();
            }
            list.push(shown);
        }
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    Ok(Reply::ok(
        json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": list }),
    ))
}

/// Group and version of what a subresource takes, where they are not those of its kind.
fn foreign(kind: &str) -> Option<(&'static str, &'static str)> {
    match kind {
        "Scale" => Some(("autoscaling", "v1")),
        "Eviction" => Some(("policy", "v1")),
        "TokenRequest" => Some(("authentication.k8s.io", "v1")),
        _ => None,
    }
}

/// Name, kind and verbs of a kind's subresources.
fn subresources(kind: &Kind) -> Vec<(&'static str, &'static str, &'static [&'static str])> {
    let mut all: Vec<(&str, &str, &[&str])> = Vec::new();
    if kind.status {
        all.push(("status", kind.kind, &SUB_VERBS));
    }
    if kind.scale {
        all.push(("scale", "Scale", &SUB_VERBS));
    }
    if kind.is("pods") {
        all.push(("log", "Pod", &["get"]));
        all.push(("eviction", "Eviction", &["create"]));
    }
    if kind.is("serviceaccounts") {
        all.push(("token", "TokenRequest", &["create"]));
    }
    all
}

/// The aggregated discovery document of the core group, or of the others.
fn aggregate(kinds: &[&'static Kind], core: bool) -> Value {
    let items: Vec<_> = groups(kinds)
        .into_iter()
        .filter(|g| g.name.is_empty() == core)
        .map(|group| {
            let versions: Vec<_> =
                group.versions.iter().map(|v| aggregated_version(kinds, group.name, v)).collect();
            json!({ "metadata": { "name": group.name, "creationTimestamp": null }, "versions": versions })
        })
        .collect();
    json!({ "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items })
}

fn aggregated_version(kinds: &[&'static Kind], group: &str, version: &str) -> Value {
    let mut resources: Vec<_> =
        kinds_of(kinds, group, version).unwrap_or_default().into_iter().map(aggregated_resource).collect();
    for (_, plural, kind, namespaced) in reviews::KINDS.iter().filter(|(g, _, _, _)| *g == group) {
        resources.push(json!({
            "resource": plural, "responseKind": { "group": group, "version": version, "kind": kind },
            "scope": if *namespaced { "Namespaced" } else { "Cluster" }, "singularResource": kind.to_lowercase(), "verbs": ["create"],
        }));
    }
    json!({ "version": version, "freshness": "Current", "resources": resources })
}

fn aggregated_resource(kind: &Kind) -> Value {
    let of_kind = |name: &str| {
        let (group, version) = foreign(name).unwrap_or((kind.group, kind.version));
        json!({ "group": group, "version": version, "kind": name })
    };
    let subresources: Vec<_> = subresources(kind)
        .into_iter()
        .map(
            |(sub, name, verbs)| json!({ "subresource": sub, "responseKind": of_kind(name), "verbs": verbs }),
        )
        .collect();
    let mut resource = json!({
        "resource": kind.plural, "responseKind": of_kind(kind.kind), "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": kind.singular(), "verbs": VERBS,
    });
    if !kind.short.is_empty() {
        resource["shortNames"] = json!(kind.short);
    }
    if kind.in_all {
        resource["categories"] = json!(["all"]);
    }
    if !subresources.is_empty() {
        resource["subresources"] = subresources.into();
    }
    resource
}
