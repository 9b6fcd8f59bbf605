//! What writing an object takes away from Services at once, and whether the traffic guard lets it (T15, X8): for stages that say
//! what is to be there, and not what is to be done.

use std::collections::{BTreeMap, BTreeSet};

use pilothouse_cluster::{Cluster, ObjectRef, Rehearsed};
use pilothouse_domain::traffic_guard::TrafficGuard;
use serde_json::Value;

use super::StageContext;
use super::steps::{self, Leaving, Step};
use super::versions::TEMPLATE_LABEL;
use crate::OperationError;

type Labels = BTreeMap<String, String>;

/// Whether another template ends all pods of a workload before the first new one comes.
pub(super) fn recreates(workload: &Value) -> bool {
    workload["spec"]["strategy"]["type"] == "Recreate"
}

/// The check before the pods of a workload are replaced, where all of them go first.
pub(super) fn before_replacing(stage: &StageContext<'_>, object: &ObjectRef, live: &Value) -> Option<Step> {
    recreates(live).then(|| Step::guard(stage, object, 0))
}

/// Why these writes, which were rehearsed, must not be made: a Service would be left with too few ready endpoints because a
/// workload gets fewer pods or loses all before the first new one, or because the Service selects others than it did.
pub(super) async fn refusal(
    stage: &StageContext<'_>,
    cluster: &Cluster,
    writes: &[Rehearsed],
) -> Result<Option<String>, OperationError> {
    let least = stage.traffic_guard();
    if least == TrafficGuard::Off {
        return Ok(None);
    }
    let changes: Vec<Change<'_>> = writes.iter().filter_map(Change::of).collect();
    let leaving: Vec<(ObjectRef, u32)> =
        changes.iter().filter_map(|change| Some((change.object.clone(), change.keeps()?))).collect();
    if let Some(reason) = steps::joint_refusal(cluster, &leaving, &BTreeSet::new(), least).await? {
        return Ok(Some(with_strategy(reason, &changes)));
    }
    let mut diverted = BTreeMap::new();
    for (change, labels) in changes.iter().filter_map(|change| Some((change, change.diverts()?))) {
        let (names, namespace) = ([change.object.name.clone()], change.namespace());
        let leaving = Leaving::Unlabelled { labels: labels.clone() };
        let refused = steps::refusal(cluster, namespace, &names, &leaving, least).await?;
        if refused.is_some() {
            return Ok(refused);
        }
        diverted.insert((namespace, change.object.name.as_str()), labels);
    }
    let mut known: BTreeMap<&str, Known> = BTreeMap::new();
    for change in changes.iter().filter(|change| change.replaces()) {
        let namespace = change.namespace();
        if !known.contains_key(namespace) {
            known.insert(namespace, services(cluster, namespace, &diverted).await?);
        }
        if let Some(services) = known.get(namespace)
            && let Some(reason) = deserted(stage, cluster, change, services).await?
        {
            return Ok(Some(reason));
        }
    }
    Ok(None)
}

/// Why the pods of a workload must not be replaced by those of its next state: a Service that has the present ones behind it
/// would not select the new ones, and be left with too few.
pub(super) async fn unserved(
    stage: &StageContext<'_>,
    cluster: &Cluster,
    (before, after): (&Value, &Value),
) -> Result<Option<String>, OperationError> {
    let Some(object) = ObjectRef::of(before).filter(|_| stage.traffic_guard() != TrafficGuard::Off) else {
        return Ok(None);
    };
    let change = Change { object: &object, before, after };
    let services = services(cluster, change.namespace(), &BTreeMap::new()).await?;
    deserted(stage, cluster, &change, &services).await
}

/// One object that there was before a write, and what becomes of it.
struct Change<'a> {
    object: &'a ObjectRef,
    before: &'a Value,
    after: &'a Value,
}

impl<'a> Change<'a> {
    fn of(write: &'a Rehearsed) -> Option<Self> {
        Some(Self { object: &write.object, before: write.before.as_ref()?, after: write.after.as_ref()? })
    }

    fn namespace(&self) -> &'a str {
        self.object.namespace.as_deref().unwrap_or_default()
    }

    /// Whether its pods are replaced by others.
    fn replaces(&self) -> bool {
        self.object.group() == "apps"
            && matches!(self.object.kind.as_str(), "Deployment" | "StatefulSet" | "DaemonSet")
            && self.before["spec"]["template"] != self.after["spec"]["template"]
    }

    /// How many pods it keeps at least, where it loses some at once.
    fn keeps(&self) -> Option<u32> {
        if self.object.group() != "apps" {
            return None;
        }
        if self.replaces() && recreates(self.after) {
            return Some(0);
        }
        let count = |workload: &Value| workload["spec"]["replicas"].as_u64();
        let (before, after) = (count(self.before)?, count(self.after)?);
        (after < before).then(|| u32::try_from(after).unwrap_or(u32::MAX))
    }

    /// What a Service selects then, if that is something else than before.
    fn diverts(&self) -> Option<Labels> {
        let (before, after) = (selector(self.before), selector(self.after));
        let service = self.object.kind == "Service" && self.object.group().is_empty();
        (service && before != after && !after.is_empty()).then_some(after)
    }
}

/// The Services of a namespace, each with what it selects; or why they cannot be seen.
type Known = Result<Vec<(String, Labels)>, String>;

async fn services(
    cluster: &Cluster,
    namespace: &str,
    diverted: &BTreeMap<(&str, &str), Labels>,
) -> Result<Known, OperationError> {
    let all = match cluster.select(("v1", "Service"), namespace, None).await {
        Ok(all) => all,
        Err(error) if error.is_retryable() => return Err(error.into()),
        Err(error) => return Ok(Err(steps::uncounted(&error))),
    };
    let service = |live: &Value| {
        let name = live["metadata"]["name"].as_str().unwrap_or_default();
        let selector = diverted.get(&(namespace, name)).cloned().unwrap_or_else(|| selector(live));
        (!selector.is_empty()).then(|| (name.to_owned(), selector))
    };
    Ok(Ok(all.iter().filter_map(service).collect()))
}

/// Why a Service would be left with too few endpoints by the new pods of a workload: those that it does not select.
async fn deserted(
    stage: &StageContext<'_>,
    cluster: &Cluster,
    change: &Change<'_>,
    services: &Known,
) -> Result<Option<String>, OperationError> {
    let labels = |workload: &Value| workload["spec"]["template"]["metadata"]["labels"].clone();
    let (now, next) = (labels(change.before), labels(change.after));
    let services = match services {
        Ok(services) => services,
        // Who cannot see the Services goes on where nothing changes that they may select by.
        Err(_) if now == next => return Ok(None),
        Err(reason) => return Ok(Some(reason.clone())),
    };
    let leaving = Leaving::Workload { object: change.object.clone(), keep: 0 };
    for (name, selector) in services {
        let lost = lost_by(selector, &now, &next);
        if lost.is_empty() {
            continue;
        }
        let names = std::slice::from_ref(name);
        let refused =
            steps::refusal(cluster, change.namespace(), names, &leaving, stage.traffic_guard()).await?;
        if let Some(reason) = refused {
            let hint = match lost.contains(&TEMPLATE_LABEL) {
                true => {
                    "; a version beside it was started that got no traffic: `divert-traffic` to one of the two first"
                }
                false => "",
            };
            return Ok(Some(format!(
                "Service {}/{name} selects by {}, which the new pods of {} do not have: {reason}{hint}",
                change.namespace(),
                lost.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", "),
                change.object,
            )));
        }
    }
    Ok(None)
}

/// The keys by which a Service that selects the present pods does not select the next ones: none of them when it selects neither.
/// The hash of a template is another for each.
fn lost_by<'a>(selector: &'a Labels, now: &Value, next: &Value) -> Vec<&'a str> {
    let has = |pods: &Value, (key, value): (&String, &String)| pods[key.as_str()] == value.as_str();
    let plain = || selector.iter().filter(|(key, _)| *key != TEMPLATE_LABEL);
    if !plain().all(|label| has(now, label)) {
        return Vec::new();
    }
    let lost = selector.iter().filter(|(key, value)| *key == TEMPLATE_LABEL || !has(next, (*key, *value)));
    lost.map(|(key, _)| key.as_str()).collect()
}

fn selector(service: &Value) -> Labels {
    serde_json::from_value(service["spec"]["selector"].clone()).unwrap_or_default()
}

/// The refusal, with what a person may not know of the workload's strategy.
fn with_strategy(reason: String, changes: &[Change<'_>]) -> String {
    match changes.iter().find(|change| change.replaces() && recreates(change.after)) {
        None => reason,
        Some(change) => format!(
            "{reason}; `strategy: Recreate` ends all pods of {} before the first new one starts",
            change.object
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn write(api_version: &str, kind: &str, before: &Value, after: &Value) -> Rehearsed {
        let object = ObjectRef::namespaced(api_version, kind, "dev", "web");
        Rehearsed { object, before: Some(json!({ "spec": before })), after: Some(json!({ "spec": after })) }
    }

    #[test]
    fn fewer_pods_and_pods_that_go_before_others_come_are_lost() {
        let keeps = |before: Value, after: Value| {
            let write = write("apps/v1", "Deployment", &before, &after);
            Change::of(&write).unwrap().keeps()
        };
        assert_eq!(keeps(json!({"replicas": 3}), json!({"replicas": 1})), Some(1));
        assert_eq!(keeps(json!({"replicas": 3}), json!({"replicas": 3})), None);
        let of = |strategy: &str, image: &str| json!({"replicas": 2, "strategy": {"type": strategy}, "template": {"i": image}});
        assert_eq!(keeps(of("Recreate", "1"), of("Recreate", "2")), Some(0));
        assert_eq!(keeps(of("Recreate", "1"), of("Recreate", "1")), None, "nothing is replaced");
        assert_eq!(keeps(of("RollingUpdate", "1"), of("RollingUpdate", "2")), None);
        let created = Rehearsed { before: None, ..write("apps/v1", "Deployment", &json!({}), &json!({})) };
        assert!(Change::of(&created).is_none(), "what is new takes nothing away");
    }

    #[test]
    fn a_service_that_selects_something_else_is_diverted() {
        let diverts = |before: Value, after: Value| {
            let write = write("v1", "Service", &json!({"selector": before}), &json!({"selector": after}));
            Change::of(&write).unwrap().diverts().is_some()
        };
        assert!(diverts(json!({"app": "web"}), json!({"app": "shop"})));
        assert!(!diverts(json!({"app": "web"}), json!({"app": "web"})));
        assert!(!diverts(json!({"app": "web"}), Value::Null), "without a selector its endpoints stay");
    }

    #[test]
    fn new_pods_lose_the_services_that_select_by_what_they_have_not() {
        let labels = |text: &[(&str, &str)]| -> Labels {
            text.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let (now, next) = (json!({"app": "web", "tier": "a"}), json!({"app": "web", "tier": "b"}));
        assert!(lost_by(&labels(&[("app", "web")]), &now, &next).is_empty());
        assert_eq!(lost_by(&labels(&[("app", "web"), ("tier", "a")]), &now, &next), ["tier"]);
        assert!(
            lost_by(&labels(&[("app", "api"), ("tier", "a")]), &now, &next).is_empty(),
            "it selects neither"
        );
        assert_eq!(lost_by(&labels(&[("app", "web"), (TEMPLATE_LABEL, "1")]), &now, &now), [TEMPLATE_LABEL]);
    }
}
