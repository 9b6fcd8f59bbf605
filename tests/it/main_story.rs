//! The story that `pilothouse demo` tells, in virtual time.

use serde_json::json;

use crate::world::{World, attempt, digest_of, environment_status, object, started};

pub(crate) const WEB: &str = include_str!("../../examples/web.yaml");

/// The image that `environment` runs, and the version its ConfigMap names.
pub(crate) fn running(world: &World, environment: &str) -> (String, String) {
    let deployment = object(&world.sim, "Deployment", environment, "web");
    let config = object(&world.sim, "ConfigMap", environment, "web");
    let image = deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap().to_owned();
    (image, config["data"]["VERSION"].as_str().unwrap().to_owned())
}

pub(crate) fn crash_in_prod(world: &World, tag: &str) {
    let behaviour = pilothouse_sim_cluster::Behaviour::crash_loop("panic: no database");
    let rule = pilothouse_sim_cluster::ImageRule::new(format!("*:{tag}@*"), behaviour).in_namespace("prod");
    world.sim.set_rules(vec![rule]);
}

#[tokio::test(start_paused = true)]
async fn a_push_rolls_out_waits_for_approval_and_a_bad_one_rolls_itself_back() {
    let world = World::new().await;
    let secret = world.registry_hook("shop").await;
    world.save(WEB).await;

    let good = started(&world.push(&secret, "1.0.0").await);
    assert_eq!(good.len(), 1);
    assert!(world.approve(&good[0]).await.status.is_success());
    let view = world.at_rest(&good[0]).await;
    assert_eq!(environment_status(&view, "dev"), "Succeeded");
    assert_eq!(environment_status(&view, "prod"), "Succeeded");
    let first = running(&world, "prod");
    assert_eq!(first, (format!("127.0.0.1:15000/shop/web:1.0.0@{}", digest_of("1.0.0")), "1.0.0".to_owned()));

    crash_in_prod(&world, "1.1.0");
    let bad = started(&world.push(&secret, "1.1.0").await);
    assert!(world.approve(&bad[0]).await.status.is_success());
    let view = world.at_rest(&bad[0]).await;
    assert_eq!(environment_status(&view, "dev"), "Succeeded");

    let failed = attempt(&view, "prod", 1);
    assert_eq!((&failed["status"], &failed["operationStatus"]), (&json!("Failed"), &json!("PhaseFailed")));
    let stage = &failed["stages"][0];
    assert_eq!(stage["status"], "failed");
    assert!(stage["reason"].as_str().unwrap().contains("CrashLoopBackOff"), "{stage:#}");
    assert_eq!(stage["evidence"]["event"]["reason"], "BackOff", "{stage:#}");

    let rollback = attempt(&view, "prod", 2);
    assert_eq!(
        (&rollback["kind"], &rollback["status"]),
        (&json!("rollback"), &json!("Succeeded")),
        "{rollback:#}"
    );
    assert_eq!(running(&world, "prod"), first, "prod is back as it was, ConfigMap included");
    assert_eq!(running(&world, "dev").1, "1.1.0", "dev keeps what succeeded there");
}

#[tokio::test(start_paused = true)]
async fn the_failure_is_told_within_seconds_and_the_chain_of_events_is_intact() {
    let world = World::new().await;
    let secret = world.registry_hook("shop").await;
    world.save(WEB).await;
    crash_in_prod(&world, "1.1.0");
    let release = started(&world.push(&secret, "1.1.0").await).remove(0);
    world.approve(&release).await;
    world.at_rest(&release).await;

    let events = world.events(&release).await;
    let at = |what: &str, environment: &str| {
        let found = events.iter().find(|e| e["type"] == what && e["environment"] == environment);
        found.unwrap_or_else(|| panic!("no {what} in {environment}"))["at"].as_str().unwrap().to_owned()
    };
    let begun: jiff::Timestamp = at("StageStarted", "prod").parse().unwrap();
    let ended: jiff::Timestamp = at("StageEnded", "prod").parse().unwrap();
    let took = ended.duration_since(begun);
    assert!(took.as_secs() < 30, "it took {took:?} to see a crash");

    let chain: Vec<pilothouse_domain::timeline::Event> =
        events.iter().map(|e| serde_json::from_value(e.clone()).unwrap()).collect();
    assert_eq!(pilothouse_domain::timeline::first_break(&chain), None);
}
