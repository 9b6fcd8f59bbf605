//! What a seed decides: the pipeline, the behaviour of its images, and what goes wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use pilothouse_connector::{Fault, Faults};
use pilothouse_local::{StepFault, StepFaults, SystemBuilder};
use pilothouse_sim_cluster::{Behaviour, ImageRule};
use serde_json::{Value, json};

/// Random numbers that depend on the seed alone.
#[derive(Clone)]
pub(crate) struct Dice(Arc<AtomicU64>);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(AtomicU64::new(seed)))
    }

    /// A number below `bound`.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        let mut mixed = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }

    pub(crate) fn percent(&self, chance: u64) -> bool {
        self.below(100) < chance
    }

    pub(crate) fn pick<'a, T>(&self, from: &'a [T]) -> &'a T {
        &from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }
}

/// What goes wrong, while it is switched on.
#[derive(Clone)]
pub(super) struct Trouble {
    on: Arc<AtomicBool>,
    dice: Dice,
    steps: u64,
    table: u64,
}

impl Trouble {
    pub(super) fn of(dice: &Dice) -> Self {
        let steps = *dice.pick(&[0, 5, 15]);
        let table = *dice.pick(&[0, 1, 4]);
        Self { on: Arc::new(AtomicBool::new(false)), dice: Dice::new(dice.below(u64::MAX)), steps, table }
    }

    pub(super) fn switch(&self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
    }

    fn strikes(&self, chance: u64) -> bool {
        self.on.load(Ordering::Relaxed) && self.dice.percent(chance)
    }

    pub(super) fn into(self, builder: SystemBuilder) -> SystemBuilder {
        let mine = self.clone();
        let steps: StepFaults = Arc::new(move |_: &str| {
            let kinds = [StepFault::Lost, StepFault::AnswerLost, StepFault::Repeated];
            mine.strikes(mine.steps).then(|| *mine.dice.pick(&kinds))
        });
        // The store is patient with one fault; an outage of the table outlasts it.
        let away = AtomicU64::new(0);
        let table = Faults::new(move |_| {
            let gone = away.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok();
            if gone && self.on.load(Ordering::Relaxed) {
                return Some(Fault::Lost);
            }
            if self.table > 0 && self.strikes(1) && self.dice.percent(30) {
                away.store(self.dice.below(30), Ordering::Relaxed);
            }
            let late = Fault::Late(Duration::from_millis(700));
            let kinds = [Fault::Throttled, Fault::Failed, Fault::Lost, Fault::AnswerLost, late];
            self.strikes(self.table).then(|| *self.dice.pick(&kinds))
        });
        builder.step_faults(steps).table_faults(table)
    }
}

fn stage(dice: &Dice, index: u64) -> Value {
    let mut stage = match dice.below(7) {
        0 | 6 => json!({"type": "wait", "duration": dice.below(60)}),
        1 => json!({"type": "manual-judgment", "timeout": "90s"}),
        2 => {
            let pod = json!({"metadata": {"labels": {"app": index}}, "spec": {"containers": [{"name": "web", "image": "shop/web"}]}});
            let manifest = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": format!("web-{index}")},
                "spec": {"selector": {"matchLabels": {"app": index}}, "template": pod}});
            let manifest = manifest.to_string().replace(&format!(":{index}}}"), &format!(":\"n{index}\"}}"));
            json!({"type": "deploy-manifest", "manifests": manifest, "timeout": "40s"})
        }
        _ => {
            let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("s{index}")},
                "data": {"tag": "${ artifacts.web.tag }"}});
            json!({"type": "deploy-manifest", "manifests": manifest.to_string(), "render": true})
        }
    };
    stage["name"] = json!(format!("s{index}"));
    let before: Vec<String> = (0..index).filter(|_| dice.percent(40)).map(|n| format!("s{n}")).collect();
    match dice.below(6) {
        0 => stage["alwaysRun"] = json!(true),
        1 if !before.is_empty() => stage["requires"] = json!("any"),
        2 if !before.is_empty() => stage["requires"] = json!([dice.pick(&before)]),
        _ => {}
    }
    stage["dependsOn"] = json!(before);
    stage["onFailure"] = json!(dice.pick(&["fail_pipeline", "fail_branch", "stop_branch", "ignore"]));
    stage
}

/// A time that comes while the simulation plays: it begins on a Saturday at 09:00 UTC and people act for two minutes or so.
fn schedule(dice: &Dice) -> Value {
    let minute = dice.below(4);
    match dice.below(2) {
        0 => json!({"at": format!("09:0{minute}")}),
        _ => json!({"windows": [{"from": format!("09:0{minute}"), "to": "09:20"}]}),
    }
}

/// Passes or not by what an earlier release, or this one, has left in the cluster.
fn gate(dice: &Dice, side: &str, approved: bool) -> Value {
    let not = format!("1.{}.0", 1 + dice.below(3));
    let expect = format!("${{ object.data.tag != '{not}' }}");
    let object = json!({"kind": "ConfigMap", "name": format!("s{}", dice.below(2))});
    let mut gate = json!({"interval": "5s", "timeout": "30s", "checks":
        [{"name": "tag", "type": "cluster", "object": object, "expect": expect}]});
    if dice.percent(50) {
        gate["stableFor"] = json!("10s");
    }
    if side == "before" && dice.percent(30) {
        gate["order"] = json!("after_approval");
    }
    if approved && gate["order"].is_null() && dice.percent(40) {
        gate["onFailure"] = json!("ask");
    }
    gate
}

pub(super) fn pipeline(dice: &Dice) -> String {
    let environment = |name: &str, after: Value| {
        let stages: Vec<Value> = (0..=dice.below(5)).map(|index| stage(dice, index)).collect();
        let mut environment = json!({"name": name, "namespace": name, "after": after, "stages": stages,
            "rollback": {"policy": dice.pick(&["on_failure", "on_failure", "manual"])}});
        for (side, chance, timeout) in [("before", 40, "10m"), ("after", 20, "3m")] {
            if dice.percent(chance) {
                environment["approvals"][side] =
                    json!({"approvers": [{"role": "approver"}], "timeout": timeout});
            }
        }
        environment["lane"] = json!({"policy": dice.pick(&["sequential", "sequential", "latest_only"])});
        if dice.percent(30) {
            environment["schedule"] = schedule(dice);
        }
        for side in ["before", "after"] {
            if dice.percent(20) {
                environment["gates"][side] = gate(dice, side, !environment["approvals"][side].is_null());
            }
        }
        environment
    };
    let environments = [environment("dev", json!([])), environment("prod", json!(["dev"]))];
    let artifacts = json!([{"name": "web", "image": "shop/web"}]);
    json!({"application": "shop", "pipeline": "web", "artifacts": artifacts, "environments": environments})
        .to_string()
}

pub(super) fn rules(dice: &Dice, tags: &[String]) -> Vec<ImageRule> {
    let mut rules = Vec::new();
    for tag in tags {
        let behaviour = match dice.below(3) {
            0 => Behaviour::crash_loop("no database"),
            1 => Behaviour::NeverReady { message: None },
            _ => continue,
        };
        let rule = ImageRule::new(format!("*:{tag}@*"), behaviour);
        rules.push(if dice.percent(50) { rule.in_namespace("prod") } else { rule });
    }
    rules
}
