//! The process dies between any two writes to the table, and the release ends as it would have (invariant 1).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use pilothouse_connector::{Fault, Faults};

use crate::main_story::{WEB, crash_in_prod, running};
use crate::world::{World, attempt, digest_of, environment_status, started};

/// Lets `alive` writes through, then nothing more: what a dead process writes.
pub(crate) fn dead_after(alive: u32) -> (Faults, Arc<AtomicU32>) {
    let written = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&written);
    let faults = Faults::new(move |operation| {
        let writes = matches!(operation, "PutItem" | "TransactWriteItems" | "UpdateItem" | "DeleteItem");
        let n = if writes { count.fetch_add(1, Ordering::Relaxed) } else { count.load(Ordering::Relaxed) };
        (n >= alive).then_some(Fault::Lost)
    });
    (faults, written)
}

/// A failing release in prod, with a crash after the `alive`th write that follows its push; whether there were so many.
async fn crashes_after(alive: u32) -> bool {
    let world = World::new().await;
    let secret = world.registry_hook("shop").await;
    world.save(WEB).await;
    let good = started(&world.push(&secret, "1.0.0").await).remove(0);
    world.approve(&good).await;
    world.at_rest(&good).await;
    crash_in_prod(&world, "1.1.0");
    let bad = started(&world.push(&secret, "1.1.0").await).remove(0);

    let (faults, written) = dead_after(alive);
    let remains = world.die();
    if let Some(world) = remains.start(1000 + u64::from(alive), |b| b.table_faults(faults)).await {
        run_until_dead(&world, &bad, || written.load(Ordering::Relaxed) >= alive).await;
        let died = written.load(Ordering::Relaxed) >= alive;
        assert!(died || world.release(&bad).await["atRest"] == true, "it was not followed to its end");
        drop(world);
    }
    let died = written.load(Ordering::Relaxed) >= alive;
    let world = remains.start(5000 + u64::from(alive), |b| b).await.unwrap();
    let view = world.until(&bad, "prod or its approval", |v| {
        matches!(environment_status(v, "prod").as_str(), "InProgress" | "Failed" | "Succeeded")
    });
    view.await;
    let _ = try_approve(&world, &bad).await;
    let view = world.at_rest(&bad).await;
    assert_eq!(environment_status(&view, "dev"), "Succeeded", "after {alive}: {view:#}");
    assert_eq!(attempt(&view, "prod", 1)["status"], "Failed", "after {alive}: {view:#}");
    assert_eq!(attempt(&view, "prod", 2)["status"], "Succeeded", "after {alive}: {view:#}");
    assert_eq!(attempt(&view, "prod", 3), serde_json::Value::default(), "after {alive}");
    let image = format!("127.0.0.1:15000/shop/web:1.0.0@{}", digest_of("1.0.0"));
    assert_eq!(running(&world, "prod"), (image, "1.0.0".to_owned()), "after {alive}");
    assert_eq!(world.proof(&bad).await.findings, Vec::<String>::new(), "after {alive}");
    died
}

/// Lets the process work, approving what it asks for, until it is dead or nothing more comes.
async fn run_until_dead(world: &World, release: &str, dead: impl Fn() -> bool) {
    let mut tick = tokio::time::interval(std::time::Duration::from_secs(1));
    for _ in 0..90 {
        tick.tick().await;
        if dead() {
            return;
        }
        let _ = try_approve(world, release).await;
    }
}

async fn try_approve(world: &World, release: &str) -> Option<()> {
    let view = world.get(&format!("/v1/releases/{release}")).await.body;
    view["environments"].as_array()?;
    let approvals = attempt(&view, "prod", 1)["approvals"].as_array().cloned()?;
    let pending = approvals.iter().find(|a| a["pending"] == true)?["id"].as_str()?.to_owned();
    let path = format!("/v1/releases/{release}/approvals/{pending}/approve");
    world.post(&path, &serde_json::json!({})).await;
    Some(())
}

#[tokio::test(start_paused = true)]
async fn a_crash_after_any_write_changes_nothing_about_the_end() {
    for alive in 1.. {
        if !crashes_after(alive).await {
            assert!(alive > 15, "a failing release with its rollback writes more than {alive} times");
            return;
        }
    }
}
