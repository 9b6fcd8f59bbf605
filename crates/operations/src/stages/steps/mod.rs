//! Stage types that change a cluster in several steps: canary, blue-green, scaling, enabling and disabling.
//!
//! Such a type only makes a [`Plan`], from its options and the cluster as it is. The plan is stored with the snapshot of
//! everything that it touches, before anything is changed; then it is carried out one step at a time (`walk`), each
//! after a check of the lease, and where it stands is stored after each. So a crash in the middle goes on where it was,
//! and a step that is carried out twice changes nothing the second time.

mod carry_out;
mod create;
mod guard;
mod relabel;
mod routed;
mod traffic;
mod walk;

use std::collections::BTreeMap;

use pilothouse_cluster::{Carry, DeleteOptions, ObjectRef};
use pilothouse_domain::traffic_guard::TrafficGuard;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use carry_out::{rehearse, uncounted};
pub(crate) use guard::{REFUSES as GUARD_REFUSES, joint_refusal, refusal};
pub use traffic::TrafficStep;
pub(crate) use walk::{begin, left, look};

use super::{StageContext, StageEnd, rollout};
use crate::OperationError;

/// The most bytes of a plan, as JSON: it is kept in the run's record.
const MOST_BYTES: usize = 200 * 1024;

/// What a stage is going to do, step by step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// In this order; each begins when the one before it is done.
    pub steps: Vec<Step>,
    /// What later stages may read once all are done: `stages["Name"].output`.
    #[serde(default)]
    pub output: Value,
}

/// One step of a plan. Each may be carried out twice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Step {
    /// Refuses to go on, with the numbers, when Services would be left with too few ready endpoints (T15, X8).
    Guard {
        /// Where.
        namespace: String,
        /// The Services that are counted; empty: all that have any of the leaving pods behind them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        services: Vec<String>,
        /// Which pods the next steps take away.
        leaving: Leaving,
        /// What must be left.
        least: TrafficGuard,
        /// Services that go with these pods, and need none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        gone: Vec<String>,
    },
    /// Applies one object by server-side apply. No Secret: a plan is stored and shown.
    Apply {
        /// The whole of what is ours in it.
        content: Value,
        /// Takes over fields that others own.
        #[serde(default)]
        force: bool,
    },
    /// Sets fields of an object that exists, and no others; their owners are overruled.
    Set {
        /// Which one.
        object: ObjectRef,
        /// A JSON merge patch.
        fields: Value,
        /// What that means, for people: `Service dev/web sends its traffic to web-v2`.
        what: String,
    },
    /// Sets the whole template of a workload's pods.
    Template {
        /// Which workload.
        object: ObjectRef,
        /// The template.
        template: Value,
        /// What that means, for people.
        what: String,
    },
    /// Sets the number of a workload's pods.
    Scale {
        /// Which one.
        object: ObjectRef,
        /// How many.
        replicas: u32,
    },
    /// Waits until a workload runs as its specification says, all of its pods ready and none too many.
    Ready {
        /// Which one.
        object: ObjectRef,
    },
    /// Waits until none of a workload's pods runs, those on their way out included.
    Emptied {
        /// Which one.
        object: ObjectRef,
    },
    /// Waits until a Service has all ready pods with these labels as ready endpoints, and no others.
    Serving {
        /// Where.
        namespace: String,
        /// The Service.
        service: String,
        /// The labels of the pods that must be behind it.
        labels: BTreeMap<String, String>,
        /// How many are enough, should more be ready: an autoscaler may have changed their number since this was planned.
        least: u32,
    },
    /// Lets time pass: for a look at a canary, or for connections to drain.
    Hold {
        /// How long.
        seconds: u64,
        /// What for: `connections to web-v1 drain`.
        what: String,
    },
    /// Creates an object that is not there yet, unless this attempt created it: a server group is never changed (T7).
    Create {
        /// The whole of it.
        content: Value,
    },
    /// Gives the pods of a ReplicaSet the labels by which Services find them, or takes them away; pods keep running (T41, T42).
    Relabel {
        /// Which one.
        object: ObjectRef,
        /// The labels.
        labels: BTreeMap<String, String>,
        /// How many pods shall carry them; with all or none, those to come likewise.
        carry: Carry,
    },
    /// Waits until so many pods of a workload are ready behind a Service, whatever else is.
    Routed {
        /// The workload.
        object: ObjectRef,
        /// The Service, in its namespace.
        service: String,
        /// How many at least.
        least: u32,
    },
    /// Waits until a Service sends nothing to the pods of a workload.
    Unrouted {
        /// The workload.
        object: ObjectRef,
        /// The Service, in its namespace.
        service: String,
    },
    /// Deletes an object and waits until it is gone.
    Delete {
        /// Which one.
        object: ObjectRef,
        /// How.
        options: DeleteOptions,
    },
    /// Moves traffic.
    Traffic(TrafficStep),
}

/// Which pods are about to be taken out of service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Leaving {
    /// Those of a workload, down to `keep`.
    Workload {
        /// Which one.
        object: ObjectRef,
        /// How many of its pods stay.
        keep: u32,
    },
    /// Those of several workloads, all of them.
    Workloads {
        /// Which ones.
        objects: Vec<ObjectRef>,
    },
    /// Those behind a Service that do not carry these labels: its traffic goes to the ready pods that do.
    Unlabelled {
        /// The labels of those that get the traffic.
        labels: BTreeMap<String, String>,
    },
}

/// What a stage type decided before anything is changed.
#[derive(Debug, Clone, PartialEq)]
pub enum Planned {
    /// It acts in one step: see `targets` and `begin`.
    Acts,
    /// These steps.
    Steps(Plan),
    /// There is nothing to do, or it cannot be done.
    Ends(StageEnd),
}

impl Planned {
    /// It cannot be done, for this reason.
    pub fn refused(reason: impl Into<String>) -> Self {
        Self::Ends(StageEnd::failed(reason))
    }

    /// These steps, unless the server refuses an object that one of them is going to apply: what somebody else manages, or what
    /// its rules deny, is told before anything is changed, and not when its turn comes.
    pub(crate) async fn asked(stage: &StageContext<'_>, plan: Plan) -> Result<Self, OperationError> {
        let refusals = carry_out::refusals(stage, &plan.steps).await?;
        Ok(match refusals.is_empty() {
            true => Self::Steps(plan),
            false => Self::Ends(rollout::refused(&refusals)),
        })
    }
}

impl Plan {
    /// Every object that its steps change or delete, each once.
    #[must_use]
    pub fn touches(&self) -> Vec<ObjectRef> {
        let mut all: Vec<ObjectRef> = Vec::new();
        for object in self.steps.iter().filter_map(Step::touches) {
            if !all.contains(&object) {
                all.push(object);
            }
        }
        all
    }

    /// The plan as it is stored.
    ///
    /// # Errors
    /// The end of the stage, when it is too large to be.
    pub(crate) fn stored(&self) -> Result<Value, StageEnd> {
        let value = serde_json::to_value(self)
            .map_err(|e| StageEnd::failed(format!("the plan cannot be written: {e}")))?;
        match value.to_string().len() {
            bytes if bytes > MOST_BYTES => Err(StageEnd::failed(format!(
                "the plan of this stage has {bytes} bytes, and at most {MOST_BYTES} are kept: deploy less in one stage"
            ))),
            _ => Ok(value),
        }
    }
}

impl Step {
    /// The check before a workload loses all but `keep` of its pods: every Service counts that has any of them behind it.
    pub(crate) fn guard(stage: &StageContext<'_>, object: &ObjectRef, keep: u32) -> Self {
        Self::Guard {
            namespace: object.namespace.clone().unwrap_or_default(),
            services: Vec::new(),
            leaving: Leaving::Workload { object: object.clone(), keep },
            least: stage.traffic_guard(),
            gone: Vec::new(),
        }
    }

    fn touches(&self) -> Option<ObjectRef> {
        match self {
            Self::Apply { content, .. } | Self::Create { content } => ObjectRef::of(content),
            Self::Traffic(step) => step.touches(),
            Self::Set { object, .. }
            | Self::Template { object, .. }
            | Self::Scale { object, .. }
            | Self::Relabel { object, .. }
            | Self::Delete { object, .. } => Some(object.clone()),
            Self::Guard { .. }
            | Self::Ready { .. }
            | Self::Emptied { .. }
            | Self::Serving { .. }
            | Self::Routed { .. }
            | Self::Unrouted { .. }
            | Self::Hold { .. } => None,
        }
    }

    /// Whether it can be asked about only once the steps before it are done: pods that they start are not there to be counted
    /// yet, nor objects that they create to be changed.
    #[must_use]
    pub fn builds_on(&self, before: &[Self]) -> bool {
        let counts = match self {
            Self::Guard { .. } => true,
            Self::Traffic(step) => step.touches().is_none(),
            _ => false,
        };
        let applied = |step: &Self| {
            matches!(step, Self::Apply { .. } | Self::Create { .. }) && step.touches() == self.touches()
        };
        (counts && before.iter().any(|step| step.touches().is_some()))
            || (self.touches().is_some() && before.iter().any(applied))
    }

    /// What it does, for people, as a sentence without a full stop.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Guard { services, leaving, least, .. } => {
                let services = match services.as_slice() {
                    [] => "every Service".to_owned(),
                    names => format!("Service {}", names.join(", ")),
                };
                format!("check that {services} keeps {least} ready without {}", leaving.describe())
            }
            Self::Apply { content, .. } => match ObjectRef::of(content) {
                Some(object) => format!("apply {object}"),
                None => "apply an object".to_owned(),
            },
            Self::Set { what, .. } | Self::Template { what, .. } => what.clone(),
            Self::Scale { object, replicas } => format!("scale {object} to {replicas}"),
            Self::Ready { object } => format!("wait until {object} is ready"),
            Self::Emptied { object } => format!("wait until the last pod of {object} has ended"),
            Self::Serving { namespace, service, .. } => {
                format!(
                    "wait until Service {namespace}/{service} has the new pods as endpoints, and no others"
                )
            }
            Self::Hold { seconds, what } => format!("wait {seconds} s: {what}"),
            Self::Create { content } => match ObjectRef::of(content) {
                Some(object) => format!("create {object}"),
                None => "create an object".to_owned(),
            },
            Self::Relabel { object, carry, .. } => relabel::describe(object, *carry),
            Self::Routed { object, service, least } => {
                format!("wait until Service {service} has {least} ready pods of {object}")
            }
            Self::Unrouted { object, service } => {
                format!("wait until Service {service} sends nothing to {object}")
            }
            Self::Delete { object, .. } => format!("delete {object}"),
            Self::Traffic(step) => step.describe(),
        }
    }
}

impl Leaving {
    fn describe(&self) -> String {
        match self {
            Self::Workload { object, keep: 0 } => object.to_string(),
            Self::Workload { object, keep } => format!("all but {keep} pods of {object}"),
            Self::Workloads { objects } => {
                let names: Vec<String> = objects.iter().take(3).map(ToString::to_string).collect();
                match objects.len().saturating_sub(3) {
                    0 => names.join(", "),
                    more => format!("{} and {more} more", names.join(", ")),
                }
            }
            Self::Unlabelled { labels } => {
                let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
                format!("what is not {}", labels.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn web() -> ObjectRef {
        ObjectRef::namespaced("apps/v1", "Deployment", "dev", "web")
    }

    #[test]
    fn a_plan_touches_each_object_once_and_reads_back() {
        let plan = Plan {
            steps: vec![
                Step::Scale { object: web(), replicas: 0 },
                Step::Hold { seconds: 5, what: "connections drain".into() },
                Step::Delete { object: web(), options: DeleteOptions::default() },
            ],
            output: json!({"workload": "web"}),
        };
        assert_eq!(plan.touches(), [web()]);
        assert_eq!(serde_json::from_value::<Plan>(plan.stored().unwrap()).unwrap(), plan);
    }

    #[test]
    fn what_earlier_steps_bring_about_cannot_be_asked_for_before() {
        let content = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "dev"}});
        let apply = Step::Apply { content, force: false };
        let guard = Step::Guard {
            namespace: "dev".into(),
            services: Vec::new(),
            leaving: Leaving::Workload { object: web(), keep: 0 },
            least: TrafficGuard::default(),
            gone: Vec::new(),
        };
        let scale = Step::Scale { object: web(), replicas: 0 };
        assert!(!guard.builds_on(&[]) && !scale.builds_on(std::slice::from_ref(&guard)));
        assert!(
            guard.builds_on(std::slice::from_ref(&apply)) && scale.builds_on(std::slice::from_ref(&apply))
        );
    }

    #[test]
    fn a_plan_that_is_too_large_is_refused() {
        let content = json!({"kind": "Deployment", "x": "y".repeat(MOST_BYTES)});
        let plan = Plan { steps: vec![Step::Apply { content, force: false }], output: Value::Null };
        let reason = plan.stored().unwrap_err().status.reason().unwrap().to_owned();
        assert!(reason.ends_with("deploy less in one stage"), "{reason}");
    }
}
