//! Which groups, versions and resources there are.

use serde_json::{Value, json};

use super::{Reply, call::Call, openapi, path::Target, reviews};
use crate::{
    kinds::{self, Kind},
    status::{ApiError, ApiResult},
};

/// The version that the server claims to be.
pub(crate) const VERSION: &str = "v1.32.4";

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

pub(super) fn answer(call: &Call, target: &Target) -> ApiResult<Reply> {
    let aggregated = call.accept.contains("as=APIGroupDiscoveryList") && call.accept.contains("v=v2");
    match target {
        Target::Version => Ok(Reply::ok(version())),
        Target::Health => Ok(Reply::Text("ok".to_owned())),
        Target::CoreVersions | Target::Groups if aggregated => {
            let core = matches!(target, Target::CoreVersions);
            Ok(Reply::Typed { content_type: AGGREGATED, body: aggregate(core) })
        }
        Target::CoreVersions => Ok(Reply::ok(json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{ "clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1" }],
        }))),
        Target::Groups => {
            let groups: Vec<_> = groups()
                .into_iter()
                .filter(|(g, _)| !g.is_empty())
                .map(|(g, v)| group(g, v, false))
                .collect();
            Ok(Reply::ok(json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })))
        }
        Target::Group(name) => {
            let found = groups().into_iter().find(|(g, _)| g == name).ok_or_else(ApiError::no_resource)?;
            Ok(Reply::ok(group(found.0, found.1, true)))
        }
        Target::Resources(group, version) => resources(group, version),
        Target::OpenApiV3 => Ok(Reply::ok(openapi::index(&groups()))),
        Target::OpenApiV3Of(group, version) => Ok(Reply::ok(openapi::document(&kinds_of(group, version)?))),
        Target::OpenApiV2 | Target::Review(_) | Target::Object(_) => Err(ApiError::no_resource()),
    }
}

fn version() -> Value {
    json!({
        "major": "1", "minor": "32", "gitVersion": VERSION, "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "", "platform": "linux/amd64",
    })
}

/// The groups and their versions, each once, in the registry's order.
fn groups() -> Vec<(&'static str, &'static str)> {
    let mut all: Vec<(&str, &str)> = Vec::new();
    for kind in kinds::all() {
        if !all.contains(&(kind.group, kind.version)) {
            all.push((kind.group, kind.version));
        }
    }
    all
}

fn kinds_of(group: &str, version: &str) -> ApiResult<Vec<&'static Kind>> {
    let found: Vec<_> = kinds::all().iter().filter(|k| k.group == group && k.version == version).collect();
    if found.is_empty() { Err(ApiError::no_resource()) } else { Ok(found) }
}

fn group(name: &str, version: &str, alone: bool) -> Value {
    let version = json!({ "groupVersion": format!("{name}/{version}"), "version": version });
    let mut group = json!({ "name": name, "versions": [&version], "preferredVersion": version });
    if alone {
        group["kind"] = "APIGroup".into();
        group["apiVersion"] = "v1".into();
    }
    group
}

const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const SUB_VERBS: [&str; 3] = ["get", "patch", "update"];

fn resources(group: &str, version: &str) -> ApiResult<Reply> {
    let mut list = Vec::new();
    if version == "v1" && reviews::KINDS.iter().any(|(g, _, _, _)| *g == group) {
        for (_, plural, kind, namespaced) in reviews::KINDS.iter().filter(|(g, _, _, _)| *g == group) {
            list.push(json!({ "name": plural, "singularName": kind.to_lowercase(), "namespaced": namespaced, "kind": kind, "verbs": ["create"] }));
        }
        return Ok(Reply::ok(json!({
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": format!("{group}/v1"), "resources": list,
        })));
    }
    for kind in kinds_of(group, version)? {
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
        for (sub, _, verbs) in subresources(kind) {
            list.push(json!({
                "name": format!("{}/{sub}", kind.plural), "singularName": "", "namespaced": kind.namespaced, "kind": kind.kind, "verbs": verbs,
            }));
        }
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    Ok(Reply::ok(
        json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": list }),
    ))
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
    all
}

/// The aggregated discovery document of the core group, or of the others.
fn aggregate(core: bool) -> Value {
    let wanted = groups().into_iter().filter(|(g, _)| g.is_empty() == core);
    let items: Vec<_> = wanted
        .map(|(group, version)| {
            let resources: Vec<_> =
                kinds_of(group, version).unwrap_or_default().into_iter().map(aggregated_resource).collect();
            json!({
                "metadata": { "name": group, "creationTimestamp": null },
                "versions": [{ "version": version, "freshness": "Current", "resources": resources }],
            })
        })
        .collect();
    json!({ "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items })
}

fn aggregated_resource(kind: &Kind) -> Value {
    let of_kind = |name: &str| json!({ "group": kind.group, "version": kind.version, "kind": name });
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
