//! What a request's path names.

use super::{call::Call, reviews};
use crate::{kinds::Kind, requests::Asked};

/// A resource, an object or a subresource.
#[derive(Debug, Clone)]
pub(super) struct Address {
    pub(super) kind: &'static Kind,
    /// The namespace; "" for cluster-scoped kinds and for lists over all namespaces.
    pub(super) ns: String,
    /// The object; "" for a collection.
    pub(super) name: String,
    /// `status`, `scale`, `log`, `eviction`; "" for the object itself.
    pub(super) sub: String,
}

#[derive(Debug)]
pub(super) enum Target {
    Version,
    Health,
    /// `/api`
    CoreVersions,
    /// `/apis`
    Groups,
    /// `/apis/{group}`
    Group(String),
    /// `/api/v1`, `/apis/{group}/{version}`
    Resources(String, String),
    OpenApiV2,
    OpenApiV3,
    OpenApiV3Of(String, String),
    /// A question that is answered and not stored, by its plural.
    Review(String),
    Object(Address),
}

/// Finds the kind served at a group, a version and a plural.
pub(super) type Registry<'a> = &'a dyn Fn(&str, &str, &str) -> Option<&'static Kind>;

/// What `path` names; `None` when there is no such thing.
pub(super) fn parse(path: &str, registry: Registry<'_>) -> Option<Target> {
    let parts: Vec<String> = path.split('/').filter(|p| !p.is_empty()).map(decode).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    Some(match parts.as_slice() {
        ["version"] => Target::Version,
        ["healthz" | "livez" | "readyz", ..] => Target::Health,
        ["api"] => Target::CoreVersions,
        ["apis"] => Target::Groups,
        ["openapi", "v2"] => Target::OpenApiV2,
        ["openapi", "v3"] => Target::OpenApiV3,
        ["openapi", "v3", "api", version] => Target::OpenApiV3Of(String::new(), (*version).to_owned()),
        ["openapi", "v3", "apis", group, version] => {
            Target::OpenApiV3Of((*group).to_owned(), (*version).to_owned())
        }
        ["api", version] => Target::Resources(String::new(), (*version).to_owned()),
        ["apis", group] => Target::Group((*group).to_owned()),
        ["apis", group, version] => Target::Resources((*group).to_owned(), (*version).to_owned()),
        ["apis", group, "v1", plural] if is_review(group, plural) => Target::Review((*plural).to_owned()),
        ["apis", group, "v1", "namespaces", _, plural @ "localsubjectaccessreviews"]
            if is_review(group, plural) =>
        {
            Target::Review((*plural).to_owned())
        }
        ["api", version, rest @ ..] => Target::Object(address("", version, rest, registry)?),
        ["apis", group, version, rest @ ..] => Target::Object(address(group, version, rest, registry)?),
        _ => return None,
    })
}

fn address(group: &str, version: &str, rest: &[&str], registry: Registry<'_>) -> Option<Address> {
    let made = |plural: &str, ns: &str, tail: &[&str]| -> Option<Address> {
        let kind = registry(group, version, plural)?;
        let (name, sub) = match tail {
            [] => ("", ""),
            [name] => (*name, ""),
            [name, sub] => (*name, *sub),
            _ => return None,
        };
        // A namespaced object cannot be named without its namespace, nor a cluster-scoped one with one.
        if (kind.namespaced && ns.is_empty() && !name.is_empty()) || (!kind.namespaced && !ns.is_empty()) {
            return None;
        }
        Some(Address { kind, ns: ns.to_owned(), name: name.to_owned(), sub: sub.to_owned() })
    };
    match rest {
        ["namespaces", name, sub @ ("status" | "finalize")] => made("namespaces", "", &[name, sub]),
        ["namespaces", ns, plural, tail @ ..] => made(plural, ns, tail),
        [plural, tail @ ..] => made(plural, "", tail),
        [] => None,
    }
}

fn is_review(group: &str, plural: &str) -> bool {
    reviews::KINDS.iter().any(|(g, p, _, _)| *g == group && *p == plural)
}

/// What a request is about, for authorization, faults and the record.
pub(super) fn asked(call: &Call, target: Option<&Target>) -> Asked {
    let mut asked = Asked {
        method: call.method.clone(),
        path: call.path.clone(),
        verb: call.method.as_str().to_lowercase(),
        ..Asked::default()
    };
    match target {
        Some(Target::Object(address)) => {
            let collection = address.name.is_empty();
            asked.verb = match call.method.as_str() {
                "GET" if collection && call.flag("watch") => "watch",
                "GET" if collection => "list",
                "GET" => "get",
                "POST" => "create",
                "PUT" => "update",
                "PATCH" => "patch",
                "DELETE" if collection => "deletecollection",
                _ => "delete",
            }
            .to_owned();
            let kind = address.kind;
            asked.resource = if kind.group.is_empty() {
                kind.plural.to_owned()
            } else {
                format!("{}.{}", kind.plural, kind.group)
            };
            asked.subresource.clone_from(&address.sub);
            asked.namespace.clone_from(&address.ns);
            asked.name.clone_from(&address.name);
        }
        Some(Target::Review(plural)) => {
            let group = reviews::KINDS.iter().find(|(_, p, _, _)| p == plural).map_or("", |(g, _, _, _)| *g);
            "create".clone_into(&mut asked.verb);
            asked.resource = format!("{plural}.{group}");
        }
        _ => {}
    }
    asked
}

/// The same as authorization sees it: a list of one object by its name is about that object, a Namespace stands in itself.
pub(super) fn authorized(call: &Call, asked: &Asked) -> Asked {
    let mut asked = asked.clone();
    if asked.name.is_empty() && matches!(asked.verb.as_str(), "list" | "watch" | "deletecollection") {
        let one = call.param("fieldSelector").strip_prefix("metadata.name=").filter(|n| !n.contains(','));
        one.unwrap_or_default().clone_into(&mut asked.name);
    }
    if asked.resource == "namespaces" {
        asked.namespace.clone_from(&asked.name);
    }
    asked
}

/// Decodes `%41`.
fn decode(part: &str) -> String {
    let bytes = part.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let hex = (bytes[index] == b'%').then(|| part.get(index + 1..index + 3)).flatten();
        if let Some(byte) = hex.and_then(|h| u8::from_str_radix(h, 16).ok()) {
            out.push(byte);
            index += 3;
        } else {
            out.push(bytes[index]);
            index += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(path: &str) -> String {
        let served = |group: &str, version: &str, plural: &str| {
            crate::kinds::all()
                .iter()
                .find(|k| k.group == group && k.version == version && k.plural == plural)
        };
        match parse(path, &served) {
            Some(Target::Object(a)) => format!("{} {}/{} {}", a.kind.resource, a.ns, a.name, a.sub),
            Some(other) => format!("{other:?}"),
            None => "none".to_owned(),
        }
    }

    #[test]
    fn paths_name_resources_objects_and_subresources() {
        assert_eq!(
            shown("/apis/apps/v1/namespaces/prod/deployments/web/scale"),
            "deployments.apps prod/web scale"
        );
        assert_eq!(shown("/api/v1/pods"), "pods / ");
        assert_eq!(shown("/api/v1/namespaces/prod"), "namespaces /prod ");
        assert_eq!(shown("/api/v1/namespaces/prod/status"), "namespaces /prod status");
        assert_eq!(shown("/api/v1/namespaces/prod/pods"), "pods prod/ ");
        assert_eq!(shown("/apis/apps/v1/widgets"), "none");
        assert_eq!(shown("/api/v1/pods/web"), "none");
        assert_eq!(
            shown("/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode"),
            "clusterroles.rbac.authorization.k8s.io /system:node "
        );
    }
}
