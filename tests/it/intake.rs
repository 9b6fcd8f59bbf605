//! What arrives from outside: one release each, however often (X1).

use std::sync::Arc;

use futures::future::join_all;

use crate::main_story::WEB;
use crate::world::{World, digest_of, push_request, started};

#[tokio::test(start_paused = true)]
async fn two_thousand_deliveries_of_one_push_start_one_release() {
    let world = Arc::new(World::new().await);
    let secret = world.registry_hook("shop").await;
    world.save(WEB).await;
    let deliveries = (0..2000).map(|n| {
        let event = format!("event-{}", n % 50);
        let request = push_request(&secret, &event, "1.0.0", &digest_of("1.0.0"));
        let world = Arc::clone(&world);
        async move { world.send(request).await }
    });
    let answers = join_all(deliveries).await;
    assert!(answers.iter().all(|a| a.status.is_success()), "a delivery was refused");
    let releases: Vec<String> = answers.iter().flat_map(started).collect();
    assert_eq!(releases.len(), 1, "{releases:?}");
    let listed = world.get("/v1/releases?application=shop").await;
    assert_eq!(listed.body["releases"].as_array().or(listed.body["items"].as_array()).unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_moves_away_and_back_is_a_release_each_time() {
    let world = World::new().await;
    let secret = world.registry_hook("shop").await;
    world.save(WEB).await;
    for (event, content) in [("a", "first"), ("b", "second"), ("c", "first")] {
        let answer = world.send(push_request(&secret, event, "1.0.0", &digest_of(content))).await;
        assert_eq!(started(&answer).len(), 1, "{event}: {:#}", answer.body);
    }
    let again = world.send(push_request(&secret, "c", "1.0.0", &digest_of("first"))).await;
    assert!(started(&again).is_empty(), "the same delivery again");
}

#[tokio::test(start_paused = true)]
async fn a_schedule_starts_one_release_for_each_time_it_fires() {
    let world = World::new().await;
    let cron = "  - name: nightly\n    type: cron\n    schedule: '0 3 * * *'\n    artifacts: {web: {tag: {value: 1.0.0}}}\n";
    let nightly = WEB.replace("\nenvironments:\n", &format!("{cron}\nenvironments:\n"));
    world.save(&nightly).await;
    let from = world.clock.now();
    let until = from.checked_add(jiff::SignedDuration::from_hours(48)).unwrap();
    let due = pilothouse_operations::due_schedules(world.system.context(), from, until).await.unwrap();
    assert_eq!(due.len(), 2);
    for _ in 0..2 {
        for fire in &due {
            pilothouse_receive_event::handle(world.system.context(), fire.event()).await.unwrap();
        }
    }
    let listed = world.get("/v1/releases?application=shop").await;
    assert_eq!(listed.body["releases"].as_array().or(listed.body["items"].as_array()).unwrap().len(), 2);
}
