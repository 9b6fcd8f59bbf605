//! Messages are written with their events, once, and only when somebody is told.

use pilothouse_connector::dynamodb::{Connector, open};
use pilothouse_connector::{Fault, Faults};
use pilothouse_domain::notification::{Came, Message, SHARDS, Standing, Topic};
use pilothouse_domain::pipeline::PipelineSpec;
use pilothouse_domain::release::Release;
use pilothouse_domain::timeline::first_break;
use pilothouse_store::{Record as _, Store, Transaction, Versioned};
use serde_json::json;

use crate::samples::{at, event, release, store, store_at};

/// A release of which `ops` is told when a stage fails, as the sample event says.
fn heard(n: u128) -> Release {
    let spec: PipelineSpec = serde_json::from_value(json!({
        "application": "shop", "pipeline": "web", "environments": [],
        "notifications": [{ "name": "ops", "type": "log", "on": ["stage_failed"] }],
    }))
    .unwrap();
    Release { spec, ..release(n) }
}

async fn due(store: &Store) -> Vec<Versioned<Message>> {
    let mut found = Vec::new();
    for shard in 0..SHARDS {
        found.extend(store.messages_due(shard, at(1), 100, None).await.unwrap().items);
    }
    found
}

#[tokio::test(start_paused = true)]
async fn an_event_is_written_with_its_message_from_the_first_one_on() {
    let store = store().await;
    store.commit(Transaction::new().create(&heard(1)).event(event(1))).await.unwrap();
    store.commit(Transaction::new().event(event(1))).await.unwrap();
    let messages = due(&store).await;
    let keys: Vec<String> = messages.iter().map(|m| m.record.id()).collect();
    assert_eq!(keys, [format!("{}/1", heard(1).id), format!("{}/2", heard(1).id)]);
    assert_eq!(
        (messages[0].record.topic, messages[0].record.recipients(at(1))),
        (Topic::StageFailed, vec!["ops".to_owned()])
    );
    let timeline = store.timeline(&heard(1).id).await.unwrap();
    assert_eq!(first_break(&timeline), None);
}

#[tokio::test(start_paused = true)]
async fn where_nobody_listens_nothing_is_written_and_nothing_more_is_read() {
    let connector = Connector::new(open(None, None).unwrap());
    let (store, meter) = (store_at(&connector).await, connector.meter());
    store.commit(Transaction::new().create(&release(1)).event(event(1))).await.unwrap();
    let before = meter.usage();
    store.commit(Transaction::new().event(event(1))).await.unwrap();
    let used = meter.usage().since(before);
    assert_eq!((used.writes, used.reads), (1, 1), "one read for the last event, one write");
    assert!(due(&store).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_answer_is_lost_leaves_one_message() {
    let lost = std::sync::atomic::AtomicU32::new(0);
    let faults = Faults::new(move |operation| {
        let write = operation == "TransactWriteItems";
        let first = write && lost.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
        first.then_some(Fault::AnswerLost)
    });
    let store = store_at(&Connector::new(open(None, None).unwrap()).with_faults(faults)).await;
    store.commit(Transaction::new().create(&heard(1)).event(event(1))).await.unwrap();
    assert_eq!(due(&store).await.len(), 1);
    assert_eq!(store.timeline(&heard(1).id).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn many_at_once_leave_one_message_each() {
    let store = store().await;
    store.commit(Transaction::new().create(&heard(1)).event(event(1))).await.unwrap();
    let commits = (0..20).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.commit(Transaction::new().event(event(1))).await.map(drop) })
    });
    for outcome in futures::future::join_all(commits).await {
        outcome.unwrap().unwrap();
    }
    let mut seqs: Vec<u64> = due(&store).await.iter().map(|m| m.record.seq).collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=21).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_its_next_try_is_not_due_and_a_dead_letter_is_in_a_list_of_its_own() {
    let store = store().await;
    store.commit(Transaction::new().create(&heard(1)).event(event(1))).await.unwrap();
    let read = due(&store).await.remove(0);
    let refused = |retryable| vec![("ops".to_owned(), Came::Refused { error: "no".to_owned(), retryable })];
    let Standing::Open(later) = read.record.after(&refused(true), at(1), 0.5) else { panic!("it is open") };
    store.commit(Transaction::new().delete(&read).create(&later)).await.unwrap();
    assert!(due(&store).await.is_empty());
    let waiting = store.messages(false, 10, None).await.unwrap().items;
    assert_eq!(waiting.len(), 1);
    let Standing::Open(dead) = later.after(&refused(false), at(10), 0.5) else { panic!("it is open") };
    store.commit(Transaction::new().delete(&waiting[0]).create(&dead)).await.unwrap();
    assert!(store.messages(false, 10, None).await.unwrap().items.is_empty());
    assert_eq!(store.messages(true, 10, None).await.unwrap().records(), std::slice::from_ref(&dead));
    assert!(dead.expires().is_some());
}

#[tokio::test(start_paused = true)]
async fn the_whole_outbox_is_listed_page_by_page() {
    let store = store().await;
    for n in 1..=9 {
        store.commit(Transaction::new().create(&heard(n)).event(event(n))).await.unwrap();
    }
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.messages(false, 2, cursor.as_ref()).await.unwrap();
        assert!(page.items.len() <= 2);
        cursor.clone_from(&page.next);
        found.extend(page.records().into_iter().map(|m| m.release));
        if cursor.is_none() {
            break;
        }
    }
    found.sort();
    assert_eq!(found, (1..=9).map(|n| heard(n).id).collect::<Vec<_>>());
}
