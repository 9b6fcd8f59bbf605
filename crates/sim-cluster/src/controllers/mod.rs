//! The controllers: what makes objects of other objects, and pods run.
//!
//! One task reads the log of changes, derives from each change which objects are to be looked at, and looks at them one after the other, each
//! in one transaction. A reconciler may ask to be called again after a delay; there is no other timer.

mod agenda;
mod autoscaler;
mod budget;
mod conditions;
mod daemonset;
mod deployment;
mod endpoints;
mod events;
mod garbage;
mod gateway;
mod job;
mod kubelet;
mod namespace;
mod pods;
mod quota;
mod replicaset;
mod revisions;
mod routes;
mod statefulset;

use std::{collections::HashMap, sync::Arc, time::Duration};

use serde_json::Value;
use tokio::{sync::watch, task::JoinHandle, time::Instant};

use crate::{
    ImageRule, json, kinds,
    store::{Core, Key, Tx},
    yaml,
};
use agenda::{Agenda, Work};

/// What the controllers need to know beside the store.
pub(crate) struct Settings {
    /// Divides every delay.
    pub(crate) speed: f64,
    /// How many nodes there are.
    pub(crate) nodes: usize,
    /// The rules of builder and handle.
    pub(crate) rules: watch::Receiver<Vec<ImageRule>>,
}

/// What a reconciler knows beside the objects.
struct Context {
    speed: f64,
    now: Instant,
    rules: Vec<ImageRule>,
    /// Since when something holds, by the uid of its object and a name for it; the value says what held.
    since: HashMap<(String, &'static str), (Instant, String)>,
    node: kubelet::Memory,
}

impl Context {
    /// Seconds of the cluster's time since `then`.
    fn elapsed(&self, then: Instant) -> f64 {
        self.now.saturating_duration_since(then).as_secs_f64() * self.speed
    }

    /// The moment `seconds` of the cluster's time from `then`.
    fn later(&self, then: Instant, seconds: f64) -> Instant {
        then + Duration::from_secs_f64((seconds / self.speed).clamp(0.0, 1e9))
    }

    /// Since when `state` holds for the object `uid`: now, if something else held before or nothing is known.
    fn since(&mut self, uid: &str, what: &'static str, state: &str) -> Instant {
        let now = self.now;
        let entry = self.since.entry((uid.to_owned(), what)).or_insert_with(|| (now, state.to_owned()));
        if entry.1 != state {
            *entry = (now, state.to_owned());
        }
        entry.0
    }

    fn forget(&mut self, uid: &str) {
        self.since.retain(|(owner, _), _| owner != uid);
        self.node.forget(uid);
    }
}

/// When a reconciler wants to be called again.
type Again = Option<Instant>;

/// The earlier of two.
fn sooner(a: Again, b: Again) -> Again {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// The ConfigMap with image rules.
const RULES_NAMESPACE: &str = "kube-system";
const RULES_NAME: &str = "sim-images";

/// How many objects are looked at before other tasks get their turn.
const BATCH: u32 = 32;

/// Starts the controllers on the current runtime.
pub(crate) fn start(core: Arc<Core>, settings: Settings) -> JoinHandle<()> {
    core.transact(|tx| kubelet::register_nodes(tx, settings.nodes));
    tokio::spawn(run(core, settings))
}

async fn run(core: Arc<Core>, mut settings: Settings) {
    let mut changes = core.subscribe();
    let mut agenda = Agenda::default();
    let mut context = Context {
        speed: settings.speed,
        now: Instant::now(),
        rules: rules(&core, &settings),
        since: HashMap::new(),
        node: kubelet::Memory::default(),
    };
    let mut position = core.transact(|tx| {
        routes::everything(tx, &mut agenda);
        tx.version()
    });
    let mut turns = 0;
    loop {
        changes.borrow_and_update();
        position = core.transact(|tx| {
            match tx.changes_since(position) {
                Ok(changes) => {
                    for change in &changes {
                        routes::route(tx, change, &mut agenda);
                    }
                }
                Err(_) => routes::everything(tx, &mut agenda),
            }
            tx.version()
        });
        context.now = Instant::now();
        agenda.wake(context.now);
        if let Some(work) = agenda.next() {
            if work == Work::Rules {
                context.rules = rules(&core, &settings);
                core.transact(|tx| routes::all_pods(tx)).into_iter().for_each(|w| agenda.add(w));
            }
            let again = core.transact(|tx| reconcile(tx, &mut context, &work));
            agenda.again(work, again);
            turns += 1;
            if turns % BATCH == 0 {
                tokio::task::yield_now().await;
            }
            continue;
        }
        let alarm = async {
            match agenda.alarm() {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            changed = settings.rules.changed() => {
                if changed.is_err() { return }
                agenda.add(Work::Rules);
            }
            () = alarm => {}
        }
    }
}

fn reconcile(tx: &mut Tx<'_>, context: &mut Context, work: &Work) -> Again {
    match work {
        Work::Object(key) => {
            garbage::collect(tx, key);
            match key.resource {
                "pods" => kubelet::reconcile(tx, context, key),
                "deployments.apps" => deployment::reconcile(tx, context, key),
                "replicasets.apps" => replicaset::reconcile(tx, context, key),
                "statefulsets.apps" => statefulset::reconcile(tx, context, key),
                "daemonsets.apps" => daemonset::reconcile(tx, context, key),
                "jobs.batch" => job::reconcile(tx, context, key),
                "horizontalpodautoscalers.autoscaling" => autoscaler::reconcile(tx, context, key),
                "services" => {
                    endpoints::reconcile(tx, key);
                    None
                }
                "poddisruptionbudgets.policy" => {
                    budget::reconcile(tx, key);
                    None
                }
                gateway::ROUTES => {
                    gateway::reconcile(tx, key);
                    None
                }
                "resourcequotas" => {
                    quota::reconcile(tx, key);
                    None
                }
                "namespaces" => {
                    namespace::reconcile(tx, key);
                    None
                }
                _ => None,
            }
        }
        Work::OwnerGone(uid) => {
            context.forget(uid);
            garbage::owner_gone(tx, uid);
            None
        }
        // Handled by the pods that the new rules concern; the rules themselves were read before.
        Work::Rules => {
            report_wrong_rules(tx);
            None
        }
    }
}

/// The rules in force: those of the builder, then those of the ConfigMap in the order of their keys.
fn rules(core: &Core, settings: &Settings) -> Vec<ImageRule> {
    let mut rules = settings.rules.borrow().clone();
    let map = core.transact(|tx| tx.get("configmaps", RULES_NAMESPACE, RULES_NAME));
    rules.extend(map.iter().flat_map(|m| read_rules(m)).filter_map(|(_, rule)| rule.ok()));
    rules
}

fn read_rules(map: &Value) -> Vec<(String, Result<ImageRule, String>)> {
    let mut entries: Vec<_> = json::map(map, "/data").into_iter().flatten().collect();
    entries.sort_by_key(|(key, _)| *key);
    let read = |text: &str| ImageRule::from_value(&yaml::parse(text)?);
    entries.into_iter().map(|(key, text)| (key.clone(), read(text.as_str().unwrap_or_default()))).collect()
}

/// An event for each rule that cannot be read.
fn report_wrong_rules(tx: &mut Tx<'_>) {
    let Some(map) = tx.get("configmaps", RULES_NAMESPACE, RULES_NAME) else { return };
    for (key, rule) in read_rules(&map) {
        if let Err(error) = rule {
            let message = format!("rule {key:?} is ignored: {error}");
            events::record(tx, &map, events::Event::warning("InvalidRule", message, "sim-cluster"));
        }
    }
}

/// The key of an object of this crate's own making.
fn key(resource: &str, ns: &str, name: &str) -> Key {
    Key::new(kinds::of(resource), ns, name)
}
