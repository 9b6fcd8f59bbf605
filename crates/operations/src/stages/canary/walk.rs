//! The steps of a canary, one after the other: how many pods on either side, and what share of the traffic.

use std::collections::BTreeMap;

use pilothouse_cluster::{Cluster, DeleteOptions, ObjectRef};
use serde_json::{Value, json};

use super::{CanaryStep, DRAIN, FULL, Scene, labels_of, replicas_of};
use crate::OperationError;
use crate::stages::losses;
use crate::stages::routes::Route;
use crate::stages::scale::Scaler;
use crate::stages::steps::{Step, TrafficStep};

/// What has been planned so far, and where the canary stands then.
pub(super) struct Walk<'a> {
    scene: &'a Scene<'a>,
    /// How many pods the present version has when it has all the traffic.
    full: u32,
    /// How many it has now.
    stable: u32,
    /// How many pods the canary has; 0 while it is not there.
    canary: u32,
    /// Whether its Deployment has been applied by this stage.
    applied: bool,
    /// Whether its number of pods was set by hand.
    fixed: bool,
    /// Its share of the traffic, as far as this stage has set it.
    pub(super) percent: u32,
    pub(super) steps: Vec<Step>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(scene: &'a Scene<'a>, full: u32, stable: u32) -> Self {
        let canary = scene.left.as_ref().and_then(replicas_of).unwrap_or(0);
        Self { scene, full, stable, canary, applied: false, fixed: false, percent: 0, steps: Vec::new() }
    }

    fn stable_ref(&self) -> ObjectRef {
        named(self.scene.stable)
    }

    fn canary_ref(&self) -> ObjectRef {
        named(&self.scene.canary)
    }

    fn labels(&self) -> BTreeMap<String, String> {
        labels_of(&self.scene.canary)
    }

    /// Why the share of the pods would not stay as these steps set it: an autoscaler keeps more of the present version.
    pub(super) fn undone_by(&self, scaler: &Scaler) -> Option<String> {
        let share = |step: &CanaryStep| match step {
            CanaryStep::SetWeight(percent) => Some((*percent, counts(self.full, *percent).0)),
            _ => None,
        };
        let mut shares = self.scene.options.steps.iter().filter_map(share);
        // Without a pod it rests.
        let (percent, count) = shares.find(|(_, count)| *count > 0 && *count < scaler.min)?;
        Some(format!(
            "`setWeight: {percent}` leaves {count} pods to the present version, and {} keeps at least {}: the canary would have another \
             share than is said. Share the traffic by a `route`, stay at 50 % or less, or lower its `minReplicas`",
            scaler.object, scaler.min
        ))
    }

    /// Points the canary's Service at the canary; makes it if there is none.
    pub(super) async fn canary_service(
        &mut self,
        route: &Route,
        cluster: &Cluster,
    ) -> Result<(), OperationError> {
        let namespace = self.scene.stage.environment.namespace.as_str();
        let service = ObjectRef::namespaced("v1", "Service", namespace, &route.canary_service);
        let selector = self.labels();
        let step = match cluster.get(&service).await? {
            Some(_) => Step::Traffic(TrafficStep::Select {
                what: format!("{service} sends its traffic to {}", self.canary_ref().name),
                service,
                selector,
            }),
            None => {
                let stable = ObjectRef::namespaced("v1", "Service", namespace, &route.stable_service);
                let live = cluster.get(&stable).await?.unwrap_or_default();
                Step::Apply { content: beside(&live, &service, &selector), force: false }
            }
        };
        self.steps.push(step);
        Ok(())
    }

    /// Plans one step of the pipeline's list.
    pub(super) fn step(&mut self, step: &CanaryStep) {
        match step {
            CanaryStep::Pause(span) => {
                let what = format!("a look at {} at {} %", self.canary_ref().name, self.percent);
                self.steps.push(Step::Hold { seconds: span.as_millis().div_ceil(1000), what });
            }
            CanaryStep::Replicas(count) => {
                self.fixed = true;
                self.set_canary(*count);
            }
            CanaryStep::SetWeight(percent) => {
                match self.scene.route {
                    None => self.share_pods(*percent),
                    Some(_) => self.share_route(*percent),
                }
                self.percent = *percent;
            }
        }
    }

    /// The share is that of the pods behind one Service. Never are there fewer of both together than the present version had.
    fn share_pods(&mut self, percent: u32) {
        let (stable, canary) = counts(self.full, percent);
        if stable > self.stable {
            self.set_stable(stable);
        }
        self.set_canary(canary);
        if stable < self.stable {
            self.set_stable(stable);
        }
    }

    /// The share is a weight; the canary has pods in proportion, the present version keeps all of its own.
    fn share_route(&mut self, percent: u32) {
        let wanted = if self.fixed { self.canary.max(1) } else { part(self.full, percent) };
        let (more, fewer) = (wanted > self.canary || !self.applied, wanted < self.canary);
        if more {
            self.set_canary(wanted.max(self.canary));
        }
        self.weigh(percent);
        if fewer {
            self.set_canary(wanted);
        }
    }

    fn weigh(&mut self, percent: u32) {
        if let Some(route) = &self.scene.route {
            self.steps.extend(route.weigh(self.scene.stage, percent));
        }
    }

    fn set_canary(&mut self, count: u32) {
        let object = self.canary_ref();
        // A canary that an earlier stage left may have to be replaced, and all of its pods go before the new ones come.
        let replaced = !self.applied && self.scene.left.is_some() && losses::recreates(&self.scene.canary);
        if replaced || count < self.canary {
            self.steps.push(self.guard(&object, if replaced { 0 } else { count }));
        }
        if !self.applied {
            let mut content = self.scene.canary.clone();
            content["spec"]["replicas"] = Value::from(count);
            content["metadata"]["annotations"] = json!({ FULL: self.full.to_string() });
            self.steps.push(Step::Apply { content, force: false });
        } else if count != self.canary {
            self.steps.push(Step::Scale { object: object.clone(), replicas: count });
        }
        self.applied = true;
        self.canary = count;
        self.steps.push(Step::Ready { object });
        if let Some(route) = &self.scene.options.route {
            self.steps.push(Step::Serving {
                namespace: self.scene.stage.environment.namespace.clone(),
                service: route.canary_service.clone(),
                labels: self.labels(),
                least: count,
            });
        }
    }

    fn set_stable(&mut self, count: u32) {
        let object = self.stable_ref();
        if count < self.stable {
            self.steps.push(self.guard(&object, count));
        }
        self.steps.push(Step::Scale { object: object.clone(), replicas: count });
        self.steps.push(Step::Ready { object });
        self.stable = count;
    }

    fn guard(&self, object: &ObjectRef, keep: u32) -> Step {
        Step::guard(self.scene.stage, object, keep)
    }

    /// The new version takes the place of the present one, which then has all the traffic, and the canary goes.
    pub(super) fn promote(&mut self) {
        let object = self.stable_ref();
        let (next, scene) = (&self.scene.next, self.scene);
        let fewer =
            scene.options.manifest.as_ref().and_then(|_| replicas_of(next)).filter(|n| *n < self.stable);
        match losses::recreates(scene.stable) || losses::recreates(next) {
            true => self.steps.push(self.guard(&object, 0)),
            false => self.steps.extend(fewer.map(|count| self.guard(&object, count))),
        }
        match self.scene.options.manifest {
            Some(_) => {
                let mut content = self.scene.next.clone();
                if content["spec"]["replicas"].is_null() && self.stable != self.full {
                    content["spec"]["replicas"] = Value::from(self.full);
                }
                self.steps.push(Step::Apply { content, force: self.scene.options.force });
            }
            None => {
                let images = images(&self.scene.next);
                self.steps.push(Step::Traffic(TrafficStep::Images { object: object.clone(), images }));
                if self.stable != self.full {
                    self.steps.push(Step::Scale { object: object.clone(), replicas: self.full });
                }
            }
        }
        self.steps.push(Step::Ready { object });
        self.stable = self.full;
        if self.applied || self.scene.left.is_some() {
            self.end_canary();
        }
    }

    fn end_canary(&mut self) {
        let object = self.canary_ref();
        if let (Some(route), Some(resolved)) = (&self.scene.options.route, &self.scene.route) {
            self.steps.push(Step::Serving {
                namespace: self.scene.stage.environment.namespace.clone(),
                service: route.stable_service.clone(),
                labels: labels_of(&self.scene.next),
                least: replicas_of(&self.scene.next).unwrap_or(self.full).min(self.full),
            });
            self.weigh(0);
            let delay = self.scene.options.scale_down_delay.unwrap_or(DRAIN);
            if delay.as_millis() > 0 {
                let what = format!("connections to {} drain", object.name);
                self.steps.push(Step::Hold { seconds: delay.as_millis().div_ceil(1000), what });
            }
            self.steps.extend(resolved.clean());
            // The canary's own Service has no traffic now; any other needs its endpoints.
            let mut guard = self.guard(&object, 0);
            if let Step::Guard { gone, .. } = &mut guard {
                gone.push(route.canary_service.clone());
            }
            self.steps.push(guard);
        } else {
            self.steps.push(self.guard(&object, 0));
        }
        self.steps.extend([
            Step::Scale { object: object.clone(), replicas: 0 },
            Step::Ready { object: object.clone() },
            Step::Delete { object, options: DeleteOptions::default() },
        ]);
        self.percent = 0;
    }
}

fn named(workload: &Value) -> ObjectRef {
    let metadata = &workload["metadata"];
    let text = |key: &str| metadata[key].as_str().unwrap_or_default();
    super::versions::deployment_ref(text("namespace"), text("name"))
}

/// The images of a Deployment, by container.
fn images(workload: &Value) -> BTreeMap<String, String> {
    let spec = &workload["spec"]["template"]["spec"];
    let lists = ["initContainers", "containers"]
        .map(|list| spec[list].as_array().map(Vec::as_slice).unwrap_or_default());
    let pair = |container: &Value| {
        Some((container["name"].as_str()?.to_owned(), container["image"].as_str()?.to_owned()))
    };
    lists.into_iter().flatten().filter_map(pair).collect()
}

/// A Service like another one, for the pods with these labels.
fn beside(stable: &Value, service: &ObjectRef, selector: &BTreeMap<String, String>) -> Value {
    let mut ports = stable["spec"]["ports"].clone();
    for port in ports.as_array_mut().into_iter().flatten() {
        if let Some(port) = port.as_object_mut() {
            // The node's port is given away already.
            port.shift_remove("nodePort");
        }
    }
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": service.name, "namespace": service.namespace},
        "spec": {"selector": selector, "ports": ports},
    })
}

/// `percent` of `full` pods, at least one.
fn part(full: u32, percent: u32) -> u32 {
    full.saturating_mul(percent).div_ceil(100).max(1)
}

/// How many pods of the present version and of the canary give the canary this share of them. Up to one half the present
/// version keeps all of its pods and the canary comes on top; beyond that the canary has as many as that, and the present
/// version shrinks: at no time are there fewer than `full`, or more than twice as many.
fn counts(full: u32, percent: u32) -> (u32, u32) {
    match percent {
        0..=50 => (full, full.saturating_mul(percent).div_ceil(100 - percent).max(1)),
        51..=99 => (full.saturating_mul(100 - percent).div_ceil(percent).max(1), full),
        _ => (0, full),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_pods_never_takes_capacity_away() {
        let shares = [1, 10, 20, 50, 80, 99, 100].map(|percent| counts(4, percent));
        assert_eq!(shares, [(4, 1), (4, 1), (4, 1), (4, 4), (1, 4), (1, 4), (0, 4)]);
        for full in 1..20 {
            for percent in 1..=100 {
                let (stable, canary) = counts(full, percent);
                assert!(
                    stable + canary >= full && stable + canary <= 2 * full && canary > 0,
                    "{full} {percent}"
                );
            }
        }
    }

    #[test]
    fn a_service_beside_another_has_its_ports_and_no_node_port() {
        let stable = json!({"spec": {"type": "NodePort", "clusterIP": "10.0.0.1", "selector": {"app": "web"},
            "ports": [{"port": 80, "targetPort": "http", "nodePort": 30080}]}});
        let service = ObjectRef::namespaced("v1", "Service", "dev", "web-canary");
        let made = beside(&stable, &service, &BTreeMap::from([("app".to_owned(), "web-canary".to_owned())]));
        assert_eq!(
            made["spec"],
            json!({"selector": {"app": "web-canary"}, "ports": [{"port": 80, "targetPort": "http"}]})
        );
    }
}
