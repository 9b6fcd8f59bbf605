//! Notifications: one per event and receiver, never in the way of a release, never lost without a trace (T4, T12, T32).

mod paging;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use pilothouse_domain::notification::Notice;
use pilothouse_domain::pipeline::ChannelTypeInfo;
use pilothouse_local::{StepFault, SystemBuilder};
use pilothouse_operations::Context;
use pilothouse_operations::channels::{Channel, ChannelRegistry, Undelivered, Webhook};
use serde_json::{Map, Value, json};

use crate::crash::dead_after;
use crate::main_story::{WEB, crash_in_prod};
use crate::world::{Remains, World};

/// Takes the place of the webhook channel. Its receivers do as their names say: `dead` refuses, `slow` never answers, all
/// others take what they get.
#[derive(Default)]
struct Receivers {
    got: Mutex<Vec<(String, Notice)>>,
    calls: AtomicU32,
}

impl Receivers {
    fn registry(self: &Arc<Self>) -> Arc<ChannelRegistry> {
        Arc::new(ChannelRegistry::new([Box::new(Recorder(Arc::clone(self))) as Box<dyn Channel>]))
    }

    /// What a receiver got, in the order in which it came.
    fn of(&self, name: &str) -> Vec<Notice> {
        let got = self.got.lock().unwrap();
        got.iter().filter(|(to, _)| to == name).map(|(_, notice)| notice.clone()).collect()
    }

    fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }
}

struct Recorder(Arc<Receivers>);

impl Channel for Recorder {
    fn info(&self) -> ChannelTypeInfo {
        Webhook.info()
    }

    fn deliver<'a>(
        &'a self,
        _: &'a Context,
        options: &'a Map<String, Value>,
        notice: &'a Notice,
    ) -> BoxFuture<'a, Result<(), Undelivered>> {
        let name =
            options["url"].as_str().unwrap().trim_start_matches("https://").trim_end_matches(".example/");
        self.0.calls.fetch_add(1, Ordering::Relaxed);
        async move {
            match name {
                "dead" => return Err(Undelivered::for_now("answered 503")),
                "slow" => std::future::pending().await,
                _ => {}
            }
            self.0.got.lock().unwrap().push((name.to_owned(), notice.clone()));
            Ok(())
        }
        .boxed()
    }
}

/// The keys of a pipeline file that tell these receivers of everything.
fn all_told(names: &[&str]) -> String {
    let one = |name: &&str| {
        format!("  - {{name: {name}, type: webhook, url: \"https://{name}.example/\", on: [\"*\"]}}\n")
    };
    format!("notifications:\n{}", names.iter().map(one).collect::<String>())
}

/// One environment with one short stage.
fn short(notifications: &str) -> String {
    format!(
        "application: shop\npipeline: web\nartifacts:\n  - {{name: web, image: 127.0.0.1:15000/shop/web}}\n{notifications}\
         environments:\n  - name: dev\n    namespace: dev\n    stages:\n      - {{name: Pause, type: wait, duration: 1s}}\n"
    )
}

async fn world(receivers: &Arc<Receivers>) -> World {
    World::with(|builder| builder.channels(receivers.registry())).await
}

impl World {
    /// What `pilothouse-notify` does when it is called.
    async fn notify(&self) -> Value {
        pilothouse_notify::handle(self.system.context(), json!({})).await.unwrap()
    }

    async fn notifications(&self, dead: bool) -> Vec<Value> {
        let answer = self.get(&format!("/v1/notifications?dead={dead}")).await;
        assert!(answer.status.is_success(), "{:#}", answer.body);
        answer.body["items"].as_array().unwrap().clone()
    }
}

/// The ids that a receiver of everything gets for these events.
fn told(events: &[Value]) -> BTreeSet<String> {
    let events = events
        .iter()
        .map(|e| serde_json::from_value::<pilothouse_domain::timeline::Event>(e.clone()).unwrap());
    events.filter(|e| e.topic().is_some()).map(|e| format!("{}/{}", e.release, e.seq)).collect()
}

fn ids(notices: &[Notice]) -> BTreeSet<String> {
    notices.iter().map(|notice| notice.id.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn each_event_is_told_once_however_often_steps_are_repeated() {
    let receivers = Arc::new(Receivers::default());
    let world = World::with(|b: SystemBuilder| {
        b.channels(receivers.registry()).step_faults(Arc::new(|_: &str| Some(StepFault::Repeated)))
    })
    .await;
    let oncall = "  - {name: oncall, type: webhook, url: \"https://oncall.example/\", on: [deployment_failed, rollback_succeeded], \
                  environments: [prod]}\n";
    let notifications = format!("\n{}{oncall}environments:", all_told(&["all"]));
    world.save(&WEB.replacen("\nenvironments:", &notifications, 1)).await;
    crash_in_prod(&world, "1.1.0");
    let release = world.start("1.1.0").await;
    world.approve(&release).await;
    world.at_rest(&release).await;
    assert_eq!(receivers.calls(), 0, "nobody is called by a step");
    let done = world.notify().await;
    let events = world.events(&release).await;
    let all = receivers.of("all");
    assert_eq!(ids(&all), told(&events));
    assert_eq!(all.len(), ids(&all).len(), "none twice");
    let oncall = receivers.of("oncall");
    let topics: Vec<String> = oncall.iter().map(|n| n.topic.name()).collect();
    assert_eq!(topics, ["deployment_failed", "rollback_succeeded"]);
    assert_eq!(done["delivered"], all.len() + oncall.len());
    assert_eq!(world.notifications(false).await, Vec::<Value>::new(), "what all have is gone");
    assert_eq!(world.proof(&release).await.findings, Vec::<String>::new());

    let failed = &oncall[0];
    let event = &events[usize::try_from(failed.seq).unwrap() - 1];
    assert_eq!((&event["hash"], &event["seq"]), (&json!(failed.hash), &json!(failed.seq)));
    assert!(
        failed.summary.starts_with("shop/web to prod #1: deployment failed: stage `"),
        "{}",
        failed.summary
    );
    world.notify().await;
    assert_eq!(receivers.of("all").len(), all.len(), "nothing is left to tell");
}

#[tokio::test(start_paused = true)]
async fn a_stage_tells_those_whom_it_names_of_itself_alone() {
    let receivers = Arc::new(Receivers::default());
    let world = world(&receivers).await;
    let named = "notifications:\n  - {name: stage, type: webhook, url: \"https://stage.example/\"}\n";
    let pipeline = short(named).replace(
        "duration: 1s}",
        "duration: 1s, notify: [stage]}\n      - {name: Other, type: wait, duration: 1s}",
    );
    world.save(&pipeline).await;
    let release = world.start("1.0.0").await;
    world.at_rest(&release).await;
    world.notify().await;
    let got: Vec<(String, Option<String>)> =
        receivers.of("stage").into_iter().map(|n| (n.topic.name(), n.stage)).collect();
    let pause = Some("Pause".to_owned());
    assert_eq!(got, [("stage_started".to_owned(), pause.clone()), ("stage_succeeded".to_owned(), pause)]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_and_a_slow_receiver_hold_up_neither_releases_nor_the_others() {
    let receivers = Arc::new(Receivers::default());
    let world = world(&receivers).await;
    let took = async |notifications: &str| {
        world.save(&short(notifications)).await;
        let began = tokio::time::Instant::now();
        let release = world.start("1.0.0").await;
        world.at_rest(&release).await;
        began.elapsed()
    };
    let alone = took("").await;
    assert_eq!(took(&all_told(&["dead", "slow", "good"])).await, alone);
    for _ in 0..9 {
        took(&all_told(&["dead", "slow", "good"])).await;
    }
    let began = tokio::time::Instant::now();
    world.notify().await;
    assert!(began.elapsed() <= Duration::from_secs(11), "{:?}: each is waited for once", began.elapsed());
    let waiting = world.notifications(false).await;
    assert_eq!(receivers.of("good").len(), waiting.len());
    assert!(waiting.len() >= 40, "{}", waiting.len());
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_comes_back_gets_all_that_it_missed() {
    let receivers = Arc::new(Receivers::default());
    let world = world(&receivers).await;
    world.save(&short(&all_told(&["dead"]))).await;
    let release = world.start("1.0.0").await;
    world.at_rest(&release).await;
    world.notify().await;
    assert_eq!(receivers.calls(), 1, "one try is enough to know that it is dead");
    // The same records under a process whose receiver is well again.
    let well = Arc::new(Receivers::default());
    let remains = world.die();
    let world = remains
        .start(11, |b| {
            b.channels(Arc::new(ChannelRegistry::new([
                Box::new(Renamed(Arc::clone(&well))) as Box<dyn Channel>
            ])))
        })
        .await
        .unwrap();
    tokio::time::advance(Duration::from_secs(10)).await;
    world.notify().await;
    assert_eq!(ids(&well.of("well")), told(&world.events(&release).await));
}

/// Takes everything, whatever the receiver is called.
struct Renamed(Arc<Receivers>);

impl Channel for Renamed {
    fn info(&self) -> ChannelTypeInfo {
        Webhook.info()
    }

    fn deliver<'a>(
        &'a self,
        _: &'a Context,
        _: &'a Map<String, Value>,
        notice: &'a Notice,
    ) -> BoxFuture<'a, Result<(), Undelivered>> {
        self.0.got.lock().unwrap().push(("well".to_owned(), notice.clone()));
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_day_it_is_given_up_and_stays_visible() {
    let receivers = Arc::new(Receivers::default());
    let world = world(&receivers).await;
    let only = "notifications:\n  - {name: dead, type: webhook, url: \"https://dead.example/\", on: [release_started]}\n";
    world.save(&short(only)).await;
    let release = world.start("1.0.0").await;
    world.at_rest(&release).await;
    for _ in 0..24 * 6 - 1 {
        world.notify().await;
        tokio::time::advance(Duration::from_secs(600)).await;
    }
    assert_eq!(world.notifications(true).await, Vec::<Value>::new());
    let waiting = world.notifications(false).await;
    assert_eq!((waiting.len(), &waiting[0]["deliveries"][0]["state"]), (1, &json!("pending")));
    tokio::time::advance(Duration::from_secs(900)).await;
    assert_eq!(world.notify().await["dead"], 1);
    assert_eq!(world.notifications(false).await, Vec::<Value>::new());
    let dead = world.notifications(true).await.remove(0);
    assert_eq!((&dead["id"], &dead["topic"]), (&json!(format!("{release}/1")), &json!("release_started")));
    let delivery = &dead["deliveries"][0];
    assert_eq!((&delivery["to"], &delivery["state"]), (&json!("dead"), &json!("givenUp")));
    assert_eq!(delivery["error"], "answered 503");
    assert_eq!(delivery["attempts"], receivers.calls());
    assert!((20..60).contains(&receivers.calls()), "{}", receivers.calls());
    tokio::time::advance(Duration::from_secs(86_400)).await;
    world.notify().await;
    assert_eq!(delivery["attempts"], receivers.calls(), "it is not tried any more");
}

#[tokio::test(start_paused = true)]
async fn of_many_workers_one_sends() {
    let receivers = Arc::new(Receivers::default());
    let world = world(&receivers).await;
    world.save(&short(&all_told(&["all"]))).await;
    for n in 0..5 {
        let release = world.start(&format!("1.0.{n}")).await;
        world.at_rest(&release).await;
    }
    let waiting = world.notifications(false).await.len();
    futures::future::join_all((0..8).map(|_| world.notify())).await;
    let got = receivers.of("all");
    assert_eq!((got.len(), ids(&got).len()), (waiting, waiting));
}

/// A worker that dies after its `alive`th write, and the next one; whether the first wrote so much.
async fn crashes_after(alive: u32) -> bool {
    let receivers = Arc::new(Receivers::default());
    let world = world(&receivers).await;
    world.save(&short(&all_told(&["all", "other"]))).await;
    let release = world.start("1.0.0").await;
    world.at_rest(&release).await;
    let expected = told(&world.events(&release).await);
    let remains: Remains = world.die();

    let (faults, written) = dead_after(alive);
    let dying =
        remains.start(2000 + u64::from(alive), |b| b.channels(receivers.registry()).table_faults(faults));
    if let Some(world) = dying.await {
        let _ = pilothouse_notify::handle(world.system.context(), json!({})).await;
    }
    let died = written.load(Ordering::Relaxed) >= alive;
    let before = receivers.calls();
    let next = remains.start(3000 + u64::from(alive), |b| b.channels(receivers.registry())).await.unwrap();
    next.notify().await;
    tokio::time::advance(Duration::from_secs(61)).await;
    next.notify().await;
    assert_eq!(next.notifications(false).await, Vec::<Value>::new(), "after {alive}");
    for name in ["all", "other"] {
        let got = receivers.of(name);
        assert_eq!(ids(&got), expected, "after {alive}: none is lost");
        let mut times: BTreeMap<&str, u32> = BTreeMap::new();
        got.iter().for_each(|notice| *times.entry(&notice.id).or_default() += 1);
        assert!(times.values().all(|n| *n <= 2), "after {alive}: {times:?}");
        // A repetition is word for word what was sent before: a receiver knows it by its id.
        let same =
            got.iter().all(|one| got.iter().filter(|other| other.id == one.id).all(|other| other == one));
        assert!(same, "after {alive}");
    }
    assert!(before <= receivers.calls());
    died
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_dies_after_any_write_loses_nothing_and_repeats_by_the_same_id() {
    for alive in 0.. {
        if !crashes_after(alive).await {
            assert!(alive > 5, "a claim and a note for each message are more than {alive} writes");
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_embedded_system_tells_as_soon_as_it_happens() {
    let receivers = Arc::new(Receivers::default());
    let world = World::with(|b| b.channels(receivers.registry()).with_background()).await;
    world.save(&short(&all_told(&["all"]))).await;
    let release = world.start("1.0.0").await;
    world.at_rest(&release).await;
    tokio::time::advance(Duration::from_secs(1)).await;
    let expected = told(&world.events(&release).await);
    assert_eq!(ids(&receivers.of("all")), expected);
}
