//! Random pipelines, people, faults and crashes, from a seed: whatever happens, everything comes to its end, one
//! deployment at a time is in an environment, and the cluster is as the records say (design, 9).

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use pilothouse_connector::{Fault, Faults};
use pilothouse_domain::approval::ApprovalStatus;
use pilothouse_domain::attempt::{Attempt, AttemptKind, AttemptRef};
use pilothouse_domain::duration::Span;
use pilothouse_domain::stage::{StageRun, StageStatus};
use pilothouse_domain::timeline::{Event, Happening, first_break};
use pilothouse_local::{StepFault, StepFaults, SystemBuilder};
use pilothouse_sim_cluster::{Behaviour, ImageRule};
use serde_json::{Value, json};

use crate::world::World;

const ENVIRONMENTS: [&str; 2] = ["dev", "prod"];

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

    fn percent(&self, chance: u64) -> bool {
        self.below(100) < chance
    }

    fn pick<'a, T>(&self, from: &'a [T]) -> &'a T {
        &from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }
}

/// What goes wrong, while it is switched on.
#[derive(Clone)]
struct Trouble {
    on: Arc<AtomicBool>,
    dice: Dice,
    steps: u64,
    table: u64,
}

impl Trouble {
    fn of(dice: &Dice) -> Self {
        let steps = *dice.pick(&[0, 5, 15]);
        let table = *dice.pick(&[0, 1, 4]);
        Self { on: Arc::new(AtomicBool::new(false)), dice: Dice::new(dice.below(u64::MAX)), steps, table }
    }

    fn switch(&self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
    }

    fn strikes(&self, chance: u64) -> bool {
        self.on.load(Ordering::Relaxed) && self.dice.percent(chance)
    }

    fn into(self, builder: SystemBuilder) -> SystemBuilder {
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
    let mut stage = match dice.below(6) {
        0 => json!({"type": "wait", "duration": dice.below(6)}),
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

fn pipeline(dice: &Dice) -> String {
    let environment = |name: &str, after: Value| {
        let stages: Vec<Value> = (0..=dice.below(5)).map(|index| stage(dice, index)).collect();
        let mut environment = json!({"name": name, "namespace": name, "after": after, "stages": stages,
            "rollback": {"policy": dice.pick(&["on_failure", "on_failure", "manual"])}});
        if dice.percent(40) {
            environment["approvals"] =
                json!({"before": {"approvers": [{"role": "approver"}], "timeout": "10m"}});
        }
        environment
    };
    let environments = [environment("dev", json!([])), environment("prod", json!(["dev"]))];
    let artifacts = json!([{"name": "web", "image": "shop/web"}]);
    json!({"application": "shop", "pipeline": "web", "artifacts": artifacts, "environments": environments})
        .to_string()
}

fn rules(dice: &Dice, tags: &[String]) -> Vec<ImageRule> {
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

struct Simulation {
    dice: Dice,
    trouble: Trouble,
    releases: Vec<String>,
    tags: Vec<String>,
}

impl Simulation {
    /// Something that a person does. What is refused, or fails for a fault, is refused.
    async fn act(&mut self, world: &World) {
        if self.releases.len() < self.tags.len() && (self.releases.is_empty() || self.dice.percent(25)) {
            let tag = &self.tags[self.releases.len()];
            let ask = json!({"application": "shop", "pipeline": "web", "artifacts": {"web":
                {"tag": tag, "digest": crate::world::digest_of(tag)}}});
            let answer = world.post("/v1/releases", &ask).await;
            self.releases.extend(answer.body["id"].as_str().map(str::to_owned));
            return;
        }
        let release = self.dice.pick(&self.releases).clone();
        let environment = format!("/v1/releases/{release}/environments/{}", self.dice.pick(&ENVIRONMENTS));
        match self.dice.below(10) {
            0 => drop(world.post(&format!("{environment}/cancel"), &json!({})).await),
            1 | 8 => drop(world.post(&format!("{environment}/rollback"), &json!({})).await),
            2 => {
                let from = self.dice.pick(&["start", "failed"]);
                world.post(&format!("{environment}/deploy"), &json!({ "from": from })).await;
            }
            3 => {
                let stage = self.dice.below(5);
                world.post(&format!("{environment}/stages/s{stage}/skip"), &json!({})).await;
            }
            4..8 => self.decide(world, &release).await,
            _ => {}
        }
    }

    async fn decide(&self, world: &World, release: &str) {
        let Ok(approvals) = world.system.context().store.approvals(&release.parse().unwrap()).await else {
            return;
        };
        for approval in approvals {
            let what = if self.dice.percent(85) { "approve" } else { "reject" };
            let path = format!("/v1/releases/{release}/approvals/{}/{what}", approval.record.id);
            world.post(&path, &json!({})).await;
        }
    }

    /// A new process in the place of `world`, which dies as it stands.
    async fn crash(&self, world: World) -> World {
        let remains = world.die();
        for seed in 1.. {
            let trouble = self.trouble.clone();
            if let Some(world) = remains.start(seed, |b| trouble.into(b)).await {
                return world;
            }
        }
        unreachable!("it starts once no fault strikes")
    }

    async fn run(&mut self, mut world: World) -> World {
        self.trouble.switch(true);
        for tick in 1..=30 {
            self.act(&world).await;
            pass(Duration::from_millis(self.dice.below(9000))).await;
            if tick % 8 == 0 {
                let _ = pilothouse_operations::sweep(world.system.context(), Span::from_secs(60)).await;
            }
            if self.dice.percent(4) {
                world = self.crash(world).await;
            }
            world.sim.set_down(self.dice.percent(4));
        }
        self.trouble.switch(false);
        world.sim.set_down(false);
        for _ in 0..60 {
            if self.all_completed(&world).await {
                break;
            }
            pass(Duration::from_secs(60)).await;
            pilothouse_operations::sweep(world.system.context(), Span::from_secs(60)).await.unwrap();
        }
        world
    }

    async fn attempts(&self, world: &World) -> Vec<Attempt> {
        let mut all = Vec::new();
        for release in &self.releases {
            let found = world.system.context().store.attempts(&release.parse().unwrap()).await.unwrap();
            all.extend(found.into_iter().map(|a| a.record));
        }
        all
    }

    async fn all_completed(&self, world: &World) -> bool {
        self.attempts(world).await.iter().all(|a| a.completed_at.is_some())
    }
}

async fn pass(time: Duration) {
    tokio::time::sleep_until(tokio::time::Instant::now() + time).await;
}

/// Every attempt, stage and question is at its end, nobody holds or waits for an environment, and the events are whole.
async fn check_ends(world: &World, simulation: &Simulation) {
    let store = &world.system.context().store;
    for attempt in simulation.attempts(world).await {
        assert!(attempt.completed_at.is_some(), "stuck: {attempt:#?}");
        assert!(attempt.state.is_terminal(), "{attempt:#?}");
        for run in store.stage_runs(&attempt.at).await.unwrap() {
            assert!(run.record.status.is_terminal(), "{:#?}", run.record);
        }
    }
    for environment in ENVIRONMENTS {
        let lease = store.lease("shop", environment).await.unwrap();
        assert_eq!(lease.and_then(|l| l.record.holder), None, "{environment} is still held");
        assert_eq!(store.first_waiting("shop", environment).await.unwrap().map(|w| w.record), None);
    }
    for release in &simulation.releases {
        let approvals = store.approvals(&release.parse().unwrap()).await.unwrap();
        for approval in approvals {
            assert_ne!(approval.record.status, ApprovalStatus::Pending, "{:#?}", approval.record);
        }
        assert_eq!(first_break(&events(world, release).await), None);
        assert_eq!(world.proof(release).await.findings, Vec::<String>::new(), "{release}");
    }
}

async fn events(world: &World, release: &str) -> Vec<Event> {
    let events = world.events(release).await;
    events.into_iter().map(|event| serde_json::from_value(event).unwrap()).collect()
}

/// Who came into an environment came after the one before had ended, and each with a fence of its own.
async fn check_lanes(world: &World, simulation: &Simulation) {
    let mut stays: BTreeMap<(String, u64), (jiff::Timestamp, jiff::Timestamp, String)> = BTreeMap::new();
    for release in &simulation.releases {
        let events = events(world, release).await;
        for entered in &events {
            let Happening::LaneEntered { fence } = entered.what else { continue };
            let same = |e: &&Event| e.environment == entered.environment && e.attempt == entered.attempt;
            let mut ends =
                events.iter().filter(same).filter(|e| matches!(e.what, Happening::DeploymentEnded { .. }));
            let ended = ends.next().unwrap_or_else(|| panic!("no end: {entered:?}"));
            assert!(ends.next().is_none(), "ended twice: {entered:?}");
            let who = format!("{release} {:?}", entered.attempt);
            let key = (entered.environment.clone().unwrap(), fence);
            let other = stays.insert(key, (entered.at, ended.at, who));
            assert!(other.is_none(), "fence {fence} twice: {other:?} and {entered:?}");
        }
    }
    for (before, after) in stays.iter().zip(stays.iter().skip(1)) {
        let overlap = before.0.0 == after.0.0 && after.1.0 < before.1.1;
        assert!(!overlap, "two at once: {before:?}, {after:?}");
    }
}

/// What is known of a ConfigMap: nothing, or the tag in it, if it exists.
type Known = Option<Option<String>>;

/// The ConfigMaps of an environment, followed through all attempts in the order of their fences.
async fn check_cluster(world: &World, simulation: &Simulation, environment: &str) {
    let store = &world.system.context().store;
    let mut attempts = simulation.attempts(world).await;
    attempts.retain(|a| a.at.environment == environment && a.fence.is_some());
    attempts.sort_by_key(|a| a.fence);
    let mut now: BTreeMap<String, Known> = (0..5).map(|n| (format!("s{n}"), Some(None))).collect();
    let mut before = BTreeMap::new();
    for attempt in &attempts {
        before.insert(attempt.at.clone(), now.clone());
        let release = store.release(&attempt.at.release).await.unwrap().unwrap().record;
        for run in store.stage_runs(&attempt.at).await.unwrap() {
            follow(&mut now, &before, attempt, &run.record, release.artifacts[0].tag.as_deref());
        }
    }
    for (name, known) in now {
        let found = world.sim.get("ConfigMap", environment, &name);
        let tag = found.as_ref().and_then(|map| map["data"]["tag"].as_str()).map(str::to_owned);
        if let Some(known) = known {
            assert_eq!(tag, known, "ConfigMap {environment}/{name}: {attempts:#?}");
        }
    }
}

fn follow(
    now: &mut BTreeMap<String, Known>,
    before: &BTreeMap<AttemptRef, BTreeMap<String, Known>>,
    attempt: &Attempt,
    run: &StageRun,
    tag: Option<&str>,
) {
    let succeeded = run.status == StageStatus::Succeeded;
    match &attempt.kind {
        AttemptKind::Rollback { undoes, stages, .. } => {
            let Some(name) = run.options.get("stage").and_then(Value::as_str) else { return };
            // Of several attempts that changed it, the first one's snapshot is what it goes back to.
            let Some(oldest) = stages.iter().rfind(|step| step.stage == name) else { return };
            let number = run.options.get("attempt").and_then(Value::as_u64);
            if oldest.attempt.map(u64::from) == number && !matches!(run.status, StageStatus::NotRun { .. }) {
                let at = AttemptRef { number: oldest.attempt.unwrap_or(undoes.number), ..undoes.clone() };
                now.insert(name.to_owned(), before[&at][name].clone().filter(|_| succeeded));
            }
        }
        _ if run.has_snapshot && run.options.get("render") == Some(&json!(true)) => {
            now.insert(run.stage.clone(), succeeded.then(|| tag.map(str::to_owned)));
        }
        _ => {}
    }
}

/// Plays one seed; gives how many attempts there were, and how many of them rolled back and succeeded.
async fn simulate(seed: u64) -> (usize, usize) {
    let dice = Dice::new(seed);
    let trouble = Trouble::of(&dice);
    let world = World::with(|b| trouble.clone().into(b).seed(seed)).await;
    world.save(&pipeline(&dice)).await;
    let tags: Vec<String> = (1..=2 + dice.below(2)).map(|n| format!("1.{n}.0")).collect();
    world.sim.set_rules(rules(&dice, &tags));
    let mut simulation = Simulation { dice, trouble, releases: Vec::new(), tags };
    let world = simulation.run(world).await;
    check_ends(&world, &simulation).await;
    check_lanes(&world, &simulation).await;
    for environment in ENVIRONMENTS {
        check_cluster(&world, &simulation, environment).await;
    }
    let attempts = simulation.attempts(&world).await;
    let taken_back = attempts.iter().filter(|a| a.is_rollback() && a.state.is_success()).count();
    (attempts.len(), taken_back)
}

/// The seeds to play: these, or `PILOTHOUSE_SEEDS=17..18`.
fn seeds(otherwise: Range<u64>) -> Range<u64> {
    let asked = std::env::var("PILOTHOUSE_SEEDS").ok();
    let asked = asked.as_deref().and_then(|text| text.split_once(".."));
    asked.map_or(otherwise, |(from, to)| from.parse().unwrap()..to.parse().unwrap())
}

/// `PILOTHOUSE_SEEDS=1000..2000 cargo test -p it --test it simulation` plays as many as one likes.
#[test]
fn whatever_happens_everything_ends_and_the_cluster_is_as_the_records_say() {
    let (mut attempts, mut taken_back) = (0, 0);
    for seed in seeds(0..20) {
        let outcome = std::panic::catch_unwind(|| {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
            runtime.unwrap().block_on(Box::pin(simulate(seed)))
        });
        let counts = outcome.unwrap_or_else(|_| panic!("PILOTHOUSE_SEEDS={seed}..{}", seed + 1));
        attempts += counts.0;
        taken_back += counts.1;
    }
    assert!(attempts > 0 && taken_back <= attempts, "no release was ever started");
}
