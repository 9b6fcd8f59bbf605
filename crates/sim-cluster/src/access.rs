//! Who may do what: RBAC over the stored roles and bindings, and denials that a test adds.

use serde_json::{Value, json};

use crate::{glob, json, requests::Asked, status::ApiError, store::Tx};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) user: String,
    pub(crate) groups: Vec<String>,
}

/// The group that may do everything.
const MASTERS: &str = "system:masters";

impl Identity {
    /// A user with the groups that its name brings with it.
    pub(crate) fn named(user: &str) -> Self {
        let mut groups = Vec::new();
        if let Some(account) = user.strip_prefix("system:serviceaccount:") {
            let ns = account.split(':').next().unwrap_or_default();
            groups.push("system:serviceaccounts".to_owned());
            groups.push(format!("system:serviceaccounts:{ns}"));
        }
        groups.push("system:authenticated".to_owned());
        Self { user: user.to_owned(), groups }
    }

    /// Who may do everything.
    pub(crate) fn admin() -> Self {
        let groups = vec![MASTERS.to_owned(), "system:authenticated".to_owned()];
        Self { user: "kubernetes-admin".to_owned(), groups }
    }

    fn is_master(&self) -> bool {
        self.groups.iter().any(|g| g == MASTERS)
    }

    fn is_subject(&self, subject: &Value, ns: &str) -> bool {
        let name = json::text(subject, "/name");
        match json::text(subject, "/kind") {
            "User" => name == self.user,
            "Group" => self.groups.iter().any(|g| g == name),
            "ServiceAccount" => {
                let given = json::text(subject, "/namespace");
                let ns = if given.is_empty() { ns } else { given };
                self.user == format!("system:serviceaccount:{ns}:{name}")
            }
            _ => false,
        }
    }
}

/// A denial: requests that fit it are refused with 403, whoever asks and whatever the roles say.
///
/// ```
/// use pilothouse_sim_cluster::Denial;
/// let read_only = Denial::new().verb("create").verb("patch").verb("update").verb("delete").namespace("prod");
/// let no_secrets = Denial::new().resource("secrets");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Denial {
    verbs: Vec<String>,
    resources: Vec<String>,
    namespace: Option<String>,
    user: Option<String>,
}

impl Denial {
    /// Denies every request for a resource, to be narrowed down. Discovery and questions about permissions are never denied.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Only with this verb (`get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`), or one of several.
    #[must_use]
    pub fn verb(mut self, verb: impl Into<String>) -> Self {
        self.verbs.push(verb.into());
        self
    }

    /// Only for this resource with its group (`deployments.apps`, `pods/log`; a glob), or one of several.
    #[must_use]
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.resources.push(resource.into());
        self
    }

    /// Only in the namespaces that match this glob.
    #[must_use]
    pub fn namespace(mut self, glob: impl Into<String>) -> Self {
        self.namespace = Some(glob.into());
        self
    }

    /// Only when this user asks.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    fn applies(&self, who: &Identity, asked: &Asked) -> bool {
        let fits =
            |list: &[String], text: &str| list.is_empty() || list.iter().any(|p| glob::matches(p, text));
        fits(&self.verbs, &asked.verb)
            && fits(&self.resources, &asked.full_resource())
            && self.namespace.as_deref().is_none_or(|n| glob::matches(n, &asked.namespace))
            && self.user.as_deref().is_none_or(|u| u == who.user)
    }
}

/// Whether a request is allowed, and by what; `Err` when it is not.
pub(crate) fn decide(tx: &Tx<'_>, denials: &[Denial], who: &Identity, asked: &Asked) -> Result<String, ()> {
    // Every authenticated user may discover what there is, and ask what it may do.
    if asked.resource.is_empty() || asked.resource.ends_with(".authorization.k8s.io") {
        return Ok("RBAC: allowed by ClusterRoleBinding \"system:basic-user\"".to_owned());
    }
    if denials.iter().any(|d| d.applies(who, asked)) {
        return Err(());
    }
    if who.is_master() {
        return Ok(String::new());
    }
    let granted = rules_of(tx, who, &asked.namespace);
    granted.into_iter().find(|(_, rule)| permits(rule, asked)).map(|(by, _)| by).ok_or(())
}

/// The rules that hold for somebody in a namespace (cluster-wide ones only when it is ""), each with what grants it.
pub(crate) fn rules_of(tx: &Tx<'_>, who: &Identity, ns: &str) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    if who.is_master() {
        all.push((String::new(), json!({ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"] })));
    }
    let mut bindings: Vec<_> = tx
        .list("clusterrolebindings.rbac.authorization.k8s.io", "")
        .into_iter()
        .map(|b| (b, "ClusterRoleBinding"))
        .collect();
    if !ns.is_empty() {
        let local = tx.list("rolebindings.rbac.authorization.k8s.io", ns);
        bindings.extend(local.into_iter().map(|b| (b, "RoleBinding")));
    }
    for (binding, kind) in bindings {
        let home = json::namespace(&binding);
        let subjects = json::items(&binding, "/subjects");
        let Some(subject) = subjects.iter().find(|s| who.is_subject(s, home)) else { continue };
        let (role_kind, role) = (
            json::text(&binding, "/roleRef/kind").to_owned(),
            json::text(&binding, "/roleRef/name").to_owned(),
        );
        let shown = match json::text(subject, "/kind") {
            "ServiceAccount" => format!(
                "ServiceAccount \"{}/{}\"",
                json::text(subject, "/name"),
                json::text(subject, "/namespace")
            ),
            kind => format!("{kind} {:?}", json::text(subject, "/name")),
        };
        let place = if home.is_empty() {
            json::name(&binding).to_owned()
        } else {
            format!("{}/{home}", json::name(&binding))
        };
        let by = format!("RBAC: allowed by {kind} {place:?} of {role_kind} {role:?} to {shown}");
        all.extend(rules_of_role(tx, &role_kind, home, &role).into_iter().map(|rule| (by.clone(), rule)));
    }
    all
}

fn rules_of_role(tx: &Tx<'_>, kind: &str, ns: &str, name: &str) -> Vec<Value> {
    let stored = if kind == "Role" {
        tx.get("roles.rbac.authorization.k8s.io", ns, name)
    } else {
        tx.get("clusterroles.rbac.authorization.k8s.io", "", name)
    };
    match stored {
        Some(role) => json::items(&role, "/rules").to_vec(),
        None if kind == "ClusterRole" => built_in(name),
        None => Vec::new(),
    }
}

/// The roles that every cluster has, unless one of their name is stored.
fn built_in(name: &str) -> Vec<Value> {
    let rule = |verbs: &[&str], groups: &[&str], resources: &[&str]| json!({ "verbs": verbs, "apiGroups": groups, "resources": resources });
    let groups = ["", "apps", "batch", "autoscaling", "networking.k8s.io", "policy", "discovery.k8s.io"];
    let read = ["get", "list", "watch"];
    match name {
        "cluster-admin" => vec![rule(&["*"], &["*"], &["*"])],
        // A real `view` lists its resources one by one; Secrets are what matters about that.
        "view" => vec![
            rule(&read, &groups[1..], &["*"]),
            rule(
                &read,
                &[""],
                &[
                    "pods",
                    "pods/log",
                    "pods/status",
                    "services",
                    "endpoints",
                    "configmaps",
                    "events",
                    "namespaces",
                    "serviceaccounts",
                    "persistentvolumeclaims",
                    "replicationcontrollers",
                    "resourcequotas",
                    "limitranges",
                ],
            ),
        ],
        "edit" | "admin" => vec![rule(&["*"], &groups, &["*"])],
        _ => Vec::new(),
    }
}

fn permits(rule: &Value, asked: &Asked) -> bool {
    let has = |list: &str, wanted: &[&str]| {
        json::items(rule, list).iter().filter_map(Value::as_str).any(|v| v == "*" || wanted.contains(&v))
    };
    let (resource, group) = asked.resource.split_once('.').unwrap_or((&asked.resource, ""));
    let full = if asked.subresource.is_empty() {
        resource.to_owned()
    } else {
        format!("{resource}/{}", asked.subresource)
    };
    let any_of_sub = format!("*/{}", asked.subresource);
    let names = json::items(rule, "/resourceNames");
    has("/verbs", &[&asked.verb])
        && has("/apiGroups", &[group])
        && has("/resources", &[&full, &any_of_sub])
        && (names.is_empty() || names.iter().any(|n| n == asked.name.as_str()))
}

/// The refusal of a request that is not allowed, in the API server's words.
pub(crate) fn refusal(who: &Identity, asked: &Asked) -> ApiError {
    let (resource, group) = asked.resource.split_once('.').unwrap_or((&asked.resource, ""));
    let full = if asked.subresource.is_empty() {
        resource.to_owned()
    } else {
        format!("{resource}/{}", asked.subresource)
    };
    let place = if asked.namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace {:?}", asked.namespace)
    };
    let why =
        format!("User {:?} cannot {} resource {full:?} in API group {group:?} {place}", who.user, asked.verb);
    let what = if asked.name.is_empty() {
        asked.resource.clone()
    } else {
        format!("{} {:?}", asked.resource, asked.name)
    };
    let mut details = json!({ "kind": resource });
    if !asked.name.is_empty() {
        details["name"] = asked.name.as_str().into();
    }
    if !group.is_empty() {
        details["group"] = group.into();
    }
    ApiError { details, ..ApiError::new(403, "Forbidden", format!("{what} is forbidden: {why}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(verb: &str, resource: &str, subresource: &str, name: &str) -> Asked {
        Asked {
            verb: verb.to_owned(),
            resource: resource.to_owned(),
            subresource: subresource.to_owned(),
            namespace: "prod".to_owned(),
            name: name.to_owned(),
            ..Asked::default()
        }
    }

    #[test]
    fn rules_name_verbs_groups_resources_subresources_and_names() {
        let rule = json!({ "verbs": ["get", "patch"], "apiGroups": ["apps"], "resources": ["deployments", "*/scale"], "resourceNames": ["web"] });
        assert!(permits(&rule, &asked("get", "deployments.apps", "", "web")));
        assert!(permits(&rule, &asked("patch", "statefulsets.apps", "scale", "web")));
        assert!(!permits(&rule, &asked("get", "deployments.apps", "status", "web")));
        assert!(!permits(&rule, &asked("get", "deployments.apps", "", "api")));
        assert!(!permits(&rule, &asked("delete", "deployments.apps", "", "web")));
        assert!(!permits(&rule, &asked("get", "deployments", "", "web")), "another group");
        let all = json!({ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"] });
        assert!(permits(&all, &asked("create", "pods", "eviction", "x")));
    }

    #[test]
    fn a_refusal_is_worded_as_the_real_one() {
        let who = Identity::named("system:serviceaccount:ci:deployer");
        assert_eq!(
            refusal(&who, &asked("get", "pods", "log", "web-1")).message,
            "pods \"web-1\" is forbidden: User \"system:serviceaccount:ci:deployer\" cannot get resource \"pods/log\" in API group \"\" in the \
             namespace \"prod\""
        );
        let list = Asked { namespace: String::new(), ..asked("list", "deployments.apps", "", "") };
        assert_eq!(
            refusal(&Identity::named("eve"), &list).message,
            "deployments.apps is forbidden: User \"eve\" cannot list resource \"deployments\" in API group \"apps\" at the cluster scope"
        );
    }
}
