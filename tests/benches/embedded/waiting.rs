//! Ten thousand releases in flight: what they hold in memory, and what a step costs among them.

use std::time::{Duration, Instant};

use http::Method;
use pilothouse_domain::ids::ReleaseId;
use serde_json::json;

use crate::bed::{Bed, eventually, with_approval};
use crate::report::{millis, resident, row};

const MANY: usize = 10_000;
const FEW: usize = 100;

/// All for one environment: one holds it, the others stand in its line.
pub(crate) async fn in_line() {
    let bed = Bed::new(None).await;
    bed.save(&with_approval("shop")).await;
    let empty = resident();
    let (mut among_few, mut among_many) = (Duration::ZERO, Duration::ZERO);
    for n in 0..MANY + FEW {
        let began = Instant::now();
        bed.push(&format!("line-{n}"), &format!("1.0.{n}")).await;
        if (FEW..2 * FEW).contains(&n) {
            among_few += began.elapsed();
        } else if n >= MANY {
            among_many += began.elapsed();
        }
    }
    report_memory("10,000 releases in one line", empty);
    report_step("a delivery that joins the line of 10,000", among_few, among_many);
}

/// Each in an environment of its own, waiting for its approval.
pub(crate) async fn for_approval() {
    let bed = Bed::new(None).await;
    for n in 0..MANY + 2 * FEW {
        bed.save(&with_approval(&format!("app-{n}"))).await;
    }
    let empty = resident();
    let mut waiting = Vec::new();
    for n in 0..2 * FEW {
        waiting.push(start(&bed, n).await);
    }
    let among_few = decide(&bed, waiting.split_off(FEW)).await;
    for n in 2 * FEW..MANY + 2 * FEW {
        waiting.push(start(&bed, n).await);
    }
    report_memory("10,000 releases waiting for approval", empty);
    let among_many = decide(&bed, waiting.split_off(MANY)).await;
    report_step("from approval to the end, among 10,000 that wait", among_few, among_many);
}

/// A release that waits for its approval.
struct Pending {
    release: String,
    approval: String,
}

async fn start(bed: &Bed, n: usize) -> Pending {
    let artifacts = json!({ "web": { "tag": "1.0.0", "digest": format!("sha256:{n:064x}") } });
    let ask = json!({ "application": format!("app-{n}"), "pipeline": "web", "artifacts": artifacts });
    let answer = bed.call(Method::POST, "/v1/releases", &ask.to_string()).await;
    let release = answer["id"].as_str().unwrap().to_owned();
    let approval = eventually(async || {
        let view = bed.call(Method::GET, &format!("/v1/releases/{release}"), "").await;
        let asked = &view["environments"][0]["attempts"][0]["approvals"][0];
        let id = asked["id"].as_str().filter(|_| asked["pending"] == true);
        id.map(str::to_owned)
    })
    .await;
    Pending { release, approval }
}

/// Approves all and waits for their ends: the time that it took.
async fn decide(bed: &Bed, pending: Vec<Pending>) -> Duration {
    let began = Instant::now();
    for Pending { release, approval } in &pending {
        bed.call(Method::POST, &format!("/v1/releases/{release}/approvals/{approval}/approve"), "{}").await;
    }
    for Pending { release, .. } in &pending {
        let release: ReleaseId = release.parse().unwrap();
        let store = &bed.system.context().store;
        eventually(async || store.attempts(&release).await.unwrap()[0].record.completed_at).await;
    }
    began.elapsed()
}

fn report_memory(what: &str, empty: f64) {
    let now = resident();
    row(&format!("{what}: memory they take"), &format!("{:.0} MiB", now - empty), "budget 300 MiB");
    row(&format!("{what}: the whole process"), &format!("{now:.0} MiB"), "");
}

fn report_step(what: &str, among_few: Duration, among_many: Duration) {
    let each = |time: Duration| millis(time / u32::try_from(FEW).unwrap());
    row(&format!("{what}: each"), &each(among_many), &format!("among 100: {}", each(among_few)));
    let ratio = among_many.as_secs_f64() / among_few.as_secs_f64();
    row(&format!("{what}: against 100"), &format!("{ratio:.2} x"), "budget 1 x");
}
