//! Which ConfigMaps and Secrets a pod specification names (X4, T53).

use serde_json::Value;

use crate::object::ObjectRef;

/// What a reference is to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Referred {
    ConfigMap,
    Secret,
}

impl Referred {
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }
}

/// Lists of containers whose environment may refer to something.
const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// The ConfigMaps and Secrets that a pod specification names, once each, in the order of the text.
pub(crate) fn of_pod(spec: &Value, namespace: &str) -> Vec<ObjectRef> {
    let mut found: Vec<ObjectRef> = Vec::new();
    let mut spec = spec.clone();
    visit(&mut spec, &mut |referred, name| {
        let object = ObjectRef::namespaced("v1", referred.kind(), namespace, name.clone());
        if !name.is_empty() && !found.contains(&object) {
            found.push(object);
        }
    });
    found
}

/// Shows every name of a ConfigMap or a Secret in a pod specification to `see`, which may change it: variables, whole
/// environments, volumes (projected ones and those of drivers included), and secrets for pulling images.
pub(crate) fn visit(spec: &mut Value, see: &mut dyn FnMut(Referred, &mut String)) {
    for list in CONTAINERS {
        items(spec, list).for_each(|container| visit_container(container, see));
    }
    items(spec, "volumes").for_each(|volume| visit_volume(volume, see));
    items(spec, "imagePullSecrets").for_each(|secret| name(secret, "name", Referred::Secret, see));
}

fn visit_container(container: &mut Value, see: &mut dyn FnMut(Referred, &mut String)) {
    for variable in items(container, "env") {
        if let Some(from) = variable.get_mut("valueFrom") {
            part(from, "configMapKeyRef", Referred::ConfigMap, see);
            part(from, "secretKeyRef", Referred::Secret, see);
        }
    }
    for source in items(container, "envFrom") {
        part(source, "configMapRef", Referred::ConfigMap, see);
        part(source, "secretRef", Referred::Secret, see);
    }
}

fn visit_volume(volume: &mut Value, see: &mut dyn FnMut(Referred, &mut String)) {
    part(volume, "configMap", Referred::ConfigMap, see);
    if let Some(secret) = volume.get_mut("secret") {
        name(secret, "secretName", Referred::Secret, see);
    }
    if let Some(projected) = volume.get_mut("projected") {
        for source in items(projected, "sources") {
            part(source, "configMap", Referred::ConfigMap, see);
            part(source, "secret", Referred::Secret, see);
        }
    }
    // Drivers name the secret with their credentials each in its own place, and all under one of these keys.
    for driver in volume.as_object_mut().into_iter().flat_map(|volume| volume.values_mut()) {
        part(driver, "secretRef", Referred::Secret, see);
        part(driver, "nodePublishSecretRef", Referred::Secret, see);
    }
}

fn items<'a>(value: &'a mut Value, key: &str) -> impl Iterator<Item = &'a mut Value> {
    value.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten()
}

/// The name in a part such as `configMapKeyRef: {name: settings}`.
fn part(value: &mut Value, key: &str, referred: Referred, see: &mut dyn FnMut(Referred, &mut String)) {
    if let Some(part) = value.get_mut(key) {
        name(part, "name", referred, see);
    }
}

fn name(value: &mut Value, key: &str, referred: Referred, see: &mut dyn FnMut(Referred, &mut String)) {
    if let Some(Value::String(name)) = value.get_mut(key) {
        see(referred, name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod() -> Value {
        json!({
            "initContainers": [{"name": "i", "env": [
                {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "init", "key": "a"}}}]}],
            "containers": [{"name": "c",
                "env": [{"name": "B", "value": "settings"},
                    {"name": "C", "valueFrom": {"secretKeyRef": {"name": "db", "key": "p"}}}],
                "envFrom": [{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "tokens"}}]}],
            "volumes": [
                {"name": "v1", "configMap": {"name": "files"}},
                {"name": "v2", "secret": {"secretName": "tls"}},
                {"name": "v3", "projected": {"sources": [{"configMap": {"name": "settings"}},
                    {"secret": {"name": "more"}}, {"serviceAccountToken": {"path": "t"}}]}},
                {"name": "v4", "csi": {"driver": "d", "nodePublishSecretRef": {"name": "driver"}}},
                {"name": "v5", "emptyDir": {}}],
            "imagePullSecrets": [{"name": "pull"}]
        })
    }

    #[test]
    fn every_place_that_names_a_config_map_or_a_secret_is_found() {
        let found: Vec<String> = of_pod(&pod(), "dev").iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "ConfigMap dev/init",
                "Secret dev/db",
                "ConfigMap dev/settings",
                "Secret dev/tokens",
                "ConfigMap dev/files",
                "Secret dev/tls",
                "Secret dev/more",
                "Secret dev/driver",
                "Secret dev/pull",
            ]
        );
    }

    #[test]
    fn names_are_changed_where_they_stand_and_nothing_else_is() {
        let mut spec = pod();
        visit(&mut spec, &mut |_, name| {
            if name == "settings" {
                name.push_str("-1");
            }
        });
        assert_eq!(spec["containers"][0]["envFrom"][0]["configMapRef"]["name"], "settings-1");
        assert_eq!(spec["volumes"][2]["projected"]["sources"][0]["configMap"]["name"], "settings-1");
        let back = spec.to_string().replace("settings-1", "settings");
        assert_eq!(serde_json::from_str::<Value>(&back).unwrap(), pod());
        let mut empty = json!({"containers": []});
        visit(&mut empty, &mut |_, _| {});
        assert_eq!(empty, json!({"containers": []}));
    }
}
