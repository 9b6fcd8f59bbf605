//! The record of a release proves itself, and no tampering with its items goes unnoticed (X10).

use pilothouse_domain::proof::{Head, Proof, verify};
use pilothouse_domain::timeline::Event;
use pilothouse_store::{Record as _, Transaction};
use serde_json::Value;

use crate::main_story::{WEB, crash_in_prod};
use crate::world::World;

/// A release that failed in prod and was rolled back: every kind of event that the main story has.
async fn rolled_back() -> (World, String) {
    let world = World::new().await;
    world.save(WEB).await;
    crash_in_prod(&world, "1.1.0");
    let release = world.start("1.1.0").await;
    assert!(world.approve(&release).await.status.is_success());
    world.at_rest(&release).await;
    (world, release)
}

impl World {
    /// The release as the API exports it.
    pub(crate) async fn export(&self, release: &str) -> Value {
        let answer = self.get(&format!("/v1/releases/{release}/export")).await;
        assert!(answer.status.is_success(), "{:#}", answer.body);
        answer.body
    }

    /// What a verification of the release finds just now.
    pub(crate) async fn proof(&self, release: &str) -> Proof {
        verify(&self.export(release).await, None).unwrap()
    }

    async fn timeline(&self, release: &str) -> Vec<Event> {
        self.system.context().store.timeline(&release.parse().unwrap()).await.unwrap()
    }

    /// Writes these events past all rules, as somebody with access to the table could.
    async fn overwrite(&self, events: &[Event]) {
        for event in events {
            self.system.context().store.commit(Transaction::new().put(event)).await.unwrap();
        }
    }

    async fn drop_event(&self, event: &Event) {
        self.system.context().store.commit(Transaction::new().delete_key(event.key())).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn every_release_at_rest_proves_whole_and_says_where_it_ends() {
    let (world, release) = rolled_back().await;
    let proof = world.proof(&release).await;
    assert_eq!(proof.findings, Vec::<String>::new());
    let events = world.timeline(&release).await;
    assert_eq!((proof.events, proof.head), (events.len() as u64, Head::of(&events)));
    assert!(events.len() > 15, "{}", events.len());
}

#[tokio::test(start_paused = true)]
async fn a_release_that_waits_proves_whole_as_far_as_it_came() {
    let world = World::new().await;
    world.save(WEB).await;
    let release = world.start("1.0.0").await;
    assert!(world.proof(&release).await.whole);
    world.pending_approval(&release).await;
    assert_eq!(world.proof(&release).await.findings, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn any_one_event_that_is_changed_dropped_or_moved_is_named() {
    let (world, release) = rolled_back().await;
    let events = world.timeline(&release).await;
    for (place, event) in events.iter().enumerate() {
        let changed = Event { actor: "mallory".to_owned(), ..event.clone() };
        world.overwrite(&[changed]).await;
        assert_eq!(world.proof(&release).await.first_break, Some(event.seq), "changed {}", event.seq);

        world.drop_event(event).await;
        let proof = world.proof(&release).await;
        assert!(!proof.whole, "dropped {}", event.seq);
        let last = place + 1 == events.len();
        assert_eq!(proof.first_break, (!last).then_some(event.seq), "dropped {}", event.seq);
        world.overwrite(std::slice::from_ref(event)).await;

        let Some(next) = events.get(place + 1) else { continue };
        let swapped = [Event { seq: event.seq, ..next.clone() }, Event { seq: next.seq, ..event.clone() }];
        world.overwrite(&swapped).await;
        assert_eq!(world.proof(&release).await.first_break, Some(event.seq), "moved {}", event.seq);
        world.overwrite(&[event.clone(), next.clone()]).await;
    }
    assert!(world.proof(&release).await.whole, "all is as it was");
}

#[tokio::test(start_paused = true)]
async fn a_tail_that_is_cut_off_is_found_by_the_records_and_by_a_noted_head() {
    let (world, release) = rolled_back().await;
    let mut events = world.timeline(&release).await;
    let noted = Head::of(&events).unwrap();
    while let Some(last) = events.pop() {
        world.drop_event(&last).await;
        let export = world.export(&release).await;
        let proof = verify(&export, None).unwrap();
        assert_eq!(proof.first_break, None, "what is left is a chain");
        assert!(!proof.whole, "{} of the events are left", events.len());
        let with_note = verify(&export, Some(&noted)).unwrap();
        assert!(with_note.findings[0].contains("the tail was cut off"), "{:?}", with_note.findings);
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_changed_behind_its_events_back_is_named() {
    let (world, release) = rolled_back().await;
    let store = &world.system.context().store;
    let attempts = store.attempts(&release.parse().unwrap()).await.unwrap();
    let failed =
        attempts.iter().find(|a| a.record.at.environment == "prod" && a.record.at.number == 1).unwrap();
    let mut whitewashed = failed.record.clone();
    whitewashed.state = pilothouse_domain::attempt::AttemptState::Succeeded;
    store.commit(Transaction::new().put(&whitewashed)).await.unwrap();
    let findings = world.proof(&release).await.findings;
    assert_eq!(findings.len(), 1, "{findings:#?}");
    let said =
        "attempt 1 of `prod`: it ended as <Succeeded, Approved>, and its event says <Failed, PhaseFailed>";
    assert!(findings[0].starts_with(said), "{findings:#?}");
}
