//! The manifest of a server group: one ReplicaSet, and with it one HorizontalPodAutoscaler if it has one.

use std::collections::BTreeMap;

use pilothouse_cluster::{
    CLUSTER_LABEL, Manifest, ManifestError, ObjectRef, SEQUENCE_LABEL, TRAFFIC_ANNOTATION, parse_manifests,
    server_group_labels,
};
use pilothouse_domain::server_group::ServerGroupName;
use serde_json::{Value, json};

use super::{SERVICES_ANNOTATION, Services, labels};

/// A manifest that was read: what becomes a server group.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::stages) struct Template {
    pub(in crate::stages) set: Manifest,
    pub(in crate::stages) autoscaler: Option<Manifest>,
}

impl Template {
    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with it, and where: `document 2, line 5: …`.
    pub(in crate::stages) fn read(text: &str, namespace: &str) -> Result<Self, String> {
        let manifests = parse_manifests(text, namespace).map_err(|error| placed(&error))?;
        let (mut set, mut autoscaler) = (None, None);
        for manifest in manifests {
            let object = manifest.object.clone();
            let place = if manifest.document > 1 {
                format!("document {}: ", manifest.document)
            } else {
                String::new()
            };
            let slot = match (object.group(), object.kind.as_str()) {
                ("apps", "ReplicaSet") => &mut set,
                ("autoscaling", "HorizontalPodAutoscaler")
                    if object.api_version == super::autoscaler::KIND.0 =>
                {
                    &mut autoscaler
                }
                ("autoscaling", "HorizontalPodAutoscaler") => {
                    return Err(format!(
                        "{place}a server group's autoscaler is of `apiVersion: autoscaling/v2`"
                    ));
                }
                _ => return Err(format!("{place}{}", other_kind(&object))),
            };
            if slot.replace(manifest).is_some() {
                return Err(format!(
                    "{place}there is another {} before: a server group has one",
                    object.kind
                ));
            }
        }
        match set {
            Some(set) => Ok(Self { set, autoscaler }),
            None => Err("there is no ReplicaSet in it: a server group is one".to_owned()),
        }
    }

    /// How many pods it asks for.
    pub(in crate::stages) fn replicas(&self) -> u32 {
        self.set.content["spec"]["replicas"].as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or(1)
    }

    /// The first label that it selects its pods by and a Service does too.
    pub(in crate::stages) fn conflict(&self, services: &Services) -> Option<String> {
        let selector = &self.set.content["spec"]["selector"];
        let expressions = selector["matchExpressions"].as_array().into_iter().flatten();
        let by_expression =
            expressions.filter_map(|expression| expression["key"].as_str().map(str::to_owned));
        let own = [CLUSTER_LABEL.to_owned(), SEQUENCE_LABEL.to_owned()];
        let mut keys = labels(&selector["matchLabels"]).into_keys().chain(by_expression).chain(own);
        let (key, service) =
            keys.find_map(|key| services.selecting_by(&key).map(|service| (key.clone(), service)))?;
        Some(format!(
            "the server group would select its pods by `{key}`, and so does Service {service}: a pod that loses this label to be \
             taken out of traffic would be replaced. Leave `{key}` out of the ReplicaSet's `spec.selector` (it may be without one: \
             the group's own labels are added), or let the Service select by another label"
        ))
    }

    /// The ReplicaSet of that name and size. Its pods carry the labels of traffic if it `serves` from the start.
    pub(in crate::stages) fn server_group(
        &self,
        name: &ServerGroupName,
        replicas: u32,
        services: &Services,
        traffic: (&BTreeMap<String, String>, bool),
    ) -> Value {
        let (traffic, serves) = traffic;
        let mut content = self.set.content.clone();
        identify(&mut content, name);
        let written = |value: Value| Value::from(value.to_string());
        content["metadata"]["annotations"][SERVICES_ANNOTATION] = written(json!(services.names()));
        content["metadata"]["annotations"][TRAFFIC_ANNOTATION] = written(json!(traffic));
        let spec = &mut content["spec"];
        spec["replicas"] = Value::from(replicas);
        let pods = &mut spec["template"]["metadata"]["labels"];
        for (key, value) in server_group_labels(name) {
            // What selects is the group's own; the others are the manifest's to say.
            if matches!(key, CLUSTER_LABEL | SEQUENCE_LABEL) || pods[key].is_null() {
                pods[key] = Value::from(value);
            }
        }
        if let Some(pods) = pods.as_object_mut() {
            pods.retain(|key, _| !traffic.contains_key(key));
            if serves {
                pods.extend(traffic.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))));
            }
        }
        let own = [CLUSTER_LABEL, SEQUENCE_LABEL]
            .map(|key| (key, spec["template"]["metadata"]["labels"][key].clone()));
        for (key, value) in own {
            spec["selector"]["matchLabels"][key] = value;
        }
        content
    }

    /// Its autoscaler, for the server group of that name.
    pub(in crate::stages) fn autoscaler(&self, name: &ServerGroupName) -> Option<Value> {
        let mut content = self.autoscaler.as_ref()?.content.clone();
        identify(&mut content, name);
        content["metadata"]["namespace"] = Value::from(self.set.object.namespace.clone());
        content["spec"]["scaleTargetRef"] =
            json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name.to_string()});
        Some(content)
    }
}

/// Gives an object the name and the labels of a server group.
fn identify(content: &mut Value, name: &ServerGroupName) {
    content["metadata"]["name"] = Value::from(name.to_string());
    for (key, value) in server_group_labels(name) {
        content["metadata"]["labels"][key] = Value::from(value);
    }
}

fn other_kind(object: &ObjectRef) -> String {
    match object.kind.as_str() {
        "Deployment" | "StatefulSet" | "DaemonSet" => format!(
            "a {} replaces its pods whenever their labels change, so its traffic cannot be switched: write \
             `kind: ReplicaSet` with its `replicas` and `template`, or deploy it with `type: deploy-manifest`",
            object.kind
        ),
        kind => format!(
            "{kind} {} is no part of a server group: deploy it with `type: deploy-manifest` in a stage before",
            object.name
        ),
    }
}

fn placed(error: &ManifestError) -> String {
    match (error.document, error.line) {
        (0, _) => error.problem.clone(),
        (document, 0) => format!("document {document}: {}", error.problem),
        (document, line) => format!("document {document}, line {line}: {}", error.problem),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEB: &str = "apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: web}\nspec:\n  replicas: 3\n  template:\n    \
        metadata: {labels: {app: web, tier: front}}\n    spec: {containers: [{name: web, image: shop/web}]}\n";
    const SCALER: &str = "---\napiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: web}\n\
        spec: {minReplicas: 2, maxReplicas: 6}\n";

    fn name() -> ServerGroupName {
        ServerGroupName::parse("shop-prod-v007").unwrap()
    }

    fn traffic() -> BTreeMap<String, String> {
        BTreeMap::from([("app".to_owned(), "web".to_owned())])
    }

    #[test]
    fn a_server_group_selects_by_its_own_labels_and_serves_by_those_of_its_services() {
        let template = Template::read(WEB, "dev").unwrap();
        let made = |serves| template.server_group(&name(), 5, &Services::default(), (&traffic(), serves));
        let quiet = made(false);
        assert_eq!(quiet["metadata"]["name"], "shop-prod-v007");
        assert_eq!(quiet["spec"]["replicas"], 5);
        assert_eq!(
            quiet["spec"]["selector"],
            json!({"matchLabels": {CLUSTER_LABEL: "shop-prod", SEQUENCE_LABEL: "7"}})
        );
        let pods = &quiet["spec"]["template"]["metadata"]["labels"];
        assert_eq!((&pods["app"], &pods["tier"]), (&Value::Null, &json!("front")));
        assert_eq!(pods[CLUSTER_LABEL], "shop-prod");
        assert_eq!(made(true)["spec"]["template"]["metadata"]["labels"]["app"], "web");
        assert_eq!(quiet["metadata"]["annotations"][TRAFFIC_ANNOTATION], r#"{"app":"web"}"#);
    }

    #[test]
    fn its_autoscaler_has_its_name_and_scales_it() {
        let template = Template::read(&format!("{WEB}{SCALER}"), "dev").unwrap();
        let made = template.autoscaler(&name()).unwrap();
        assert_eq!(made["metadata"]["name"], "shop-prod-v007");
        assert_eq!(made["spec"]["scaleTargetRef"]["name"], "shop-prod-v007");
        assert_eq!(made["spec"]["maxReplicas"], 6);
    }

    #[test]
    fn what_cannot_be_a_server_group_is_refused_with_what_to_write() {
        let deployment = WEB.replace("ReplicaSet", "Deployment");
        let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\n";
        let old = format!("{WEB}{}", SCALER.replace("autoscaling/v2", "autoscaling/v1"));
        let all = [
            old,
            deployment,
            format!("{WEB}---\n{config}"),
            SCALER.to_owned(),
            format!("{WEB}---\n{}", WEB.replace("name: web}\nspec", "name: b}\nspec")),
        ];
        let told: Vec<String> = all.iter().map(|text| Template::read(text, "dev").unwrap_err()).collect();
        insta::assert_snapshot!(told.join("\n"), @r"
        document 2: a server group's autoscaler is of `apiVersion: autoscaling/v2`
        a Deployment replaces its pods whenever their labels change, so its traffic cannot be switched: write `kind: ReplicaSet` with its `replicas` and `template`, or deploy it with `type: deploy-manifest`
        document 2: ConfigMap web is no part of a server group: deploy it with `type: deploy-manifest` in a stage before
        there is no ReplicaSet in it: a server group is one
        document 2: there is another ReplicaSet before: a server group has one
        ");
    }
}
