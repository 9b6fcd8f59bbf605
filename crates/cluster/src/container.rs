//! The containers of a pod: what was asked for, how each stands, and what each is for.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a container is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ContainerRole {
    /// It does the pod's work.
    #[default]
    Main,
    /// It runs to its end before the others start.
    Init,
    /// It starts before the others and runs beside them: an init container with `restartPolicy: Always`.
    Sidecar,
}

impl ContainerRole {
    /// Whether it is one of those that do the pod's work.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
    pub(crate) fn is_main(&self) -> bool {
        *self == Self::Main
    }

    /// `container`, `init container`, `sidecar`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Main => "container",
            Self::Init => "init container",
            Self::Sidecar => "sidecar",
        }
    }
}

/// One container of a pod that the kubelet has reported on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Container<'a> {
    pub(crate) role: ContainerRole,
    /// What the pod asks for; `Null` if the pod has no such container.
    pub(crate) spec: &'a Value,
    /// How it stands.
    pub(crate) status: &'a Value,
}

impl<'a> Container<'a> {
    pub(crate) fn name(&self) -> &'a str {
        self.status["name"].as_str().unwrap_or_default()
    }

    /// The reason for which it waits, or the empty text.
    pub(crate) fn waits_for(&self) -> &'a str {
        self.status["state"]["waiting"]["reason"].as_str().unwrap_or_default()
    }

    /// How it ended last: the present state, or the one before.
    pub(crate) fn ended(&self) -> &'a Value {
        let now = &self.status["state"]["terminated"];
        if now.is_null() { &self.status["lastState"]["terminated"] } else { now }
    }
}

/// The containers of a pod, those that start first first.
pub(crate) fn of(pod: &Value) -> impl Iterator<Item = Container<'_>> {
    const NOTHING: &Value = &Value::Null;
    let lists =
        [("initContainers", "initContainerStatuses", true), ("containers", "containerStatuses", false)];
    lists.into_iter().flat_map(move |(specs, statuses, first)| {
        pod["status"][statuses].as_array().into_iter().flatten().map(move |status| {
            let all = pod["spec"][specs].as_array().into_iter().flatten();
            let spec = all.into_iter().find(|spec| spec["name"] == status["name"]).unwrap_or(NOTHING);
            let role = match first {
                false => ContainerRole::Main,
                true if spec["restartPolicy"] == "Always" => ContainerRole::Sidecar,
                true => ContainerRole::Init,
            };
            Container { role, spec, status }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn init_containers_and_sidecars_are_told_apart() {
        let pod = json!({
            "spec": {"initContainers": [{"name": "migrate"}, {"name": "proxy", "restartPolicy": "Always"}], "containers": [{"name": "web"}]},
            "status": {"initContainerStatuses": [{"name": "migrate"}, {"name": "proxy"}], "containerStatuses": [{"name": "web"}]}
        });
        let roles: Vec<_> = of(&pod).map(|c| (c.name(), c.role.name())).collect();
        assert_eq!(roles, [("migrate", "init container"), ("proxy", "sidecar"), ("web", "container")]);
    }
}
