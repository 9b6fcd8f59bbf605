//! Conditions, and what one commit may hold.

use pilothouse_connector::dynamodb::{Connector, open};
use pilothouse_domain::lane::{LaneName, Lease};
use pilothouse_domain::release::{Release, ReleaseStatus};
use pilothouse_store::{Record, StoreError, Transaction, Versioned};

use crate::samples::{at, attempt, attempt_ref, event, release, store, store_at};

fn abandoned(read: &Versioned<Release>) -> Release {
    Release { status: ReleaseStatus::Abandoned, ..read.record.clone() }
}

fn conflict_on(error: &StoreError) -> &pilothouse_store::Key {
    match error {
        StoreError::Conflict { key } => key,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_writers_that_read_the_same_version_one_conflicts() {
    let store = store().await;
    store.commit(Transaction::new().create(&release(1))).await.unwrap();
    let read = store.release(&release(1).id).await.unwrap().unwrap();
    assert_eq!(read.version, 1);
    let committed = store.commit(Transaction::new().replace(&read, &abandoned(&read))).await.unwrap();
    let refused = store.commit(Transaction::new().replace(&read, &abandoned(&read))).await.unwrap_err();
    assert_eq!(conflict_on(&refused), &release(1).key());
    assert!(refused.is_conflict() && !refused.is_retryable());
    let now = store.release(&release(1).id).await.unwrap().unwrap();
    assert_eq!(now, read.replaced_by(abandoned(&read), &committed));
    assert_eq!(now.version, 2);
}

#[tokio::test(start_paused = true)]
async fn creating_what_is_there_conflicts_alone_and_among_others() {
    let store = store().await;
    let committed = store.commit(Transaction::new().create(&release(1))).await.unwrap();
    let read = store.release(&release(1).id).await.unwrap().unwrap();
    assert_eq!(read, Versioned::created_by(release(1), &committed));
    let alone = store.commit(Transaction::new().create(&release(1))).await.unwrap_err();
    assert_eq!(conflict_on(&alone), &release(1).key());
    let both = Transaction::new().create(&release(2)).create(&release(1)).event(event(1));
    assert_eq!(conflict_on(&store.commit(both).await.unwrap_err()), &release(1).key());
    assert!(store.release(&release(2).id).await.unwrap().is_none());
    assert!(store.timeline(&release(1).id).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_must_be_absent_conflicts_once_it_is_there() {
    let store = store().await;
    let both = || Transaction::new().create(&release(2)).absent(release(1).key());
    store.commit(both()).await.unwrap();
    store.commit(Transaction::new().create(&release(1))).await.unwrap();
    let gone = store.release(&release(2).id).await.unwrap().unwrap();
    store.commit(Transaction::new().delete(&gone)).await.unwrap();
    assert_eq!(conflict_on(&store.commit(both()).await.unwrap_err()), &release(1).key());
    assert!(store.release(&release(2).id).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn an_item_deleted_and_created_again_is_not_the_one_that_was_read() {
    let store = store().await;
    let lane = LaneName::environment("shop", "prod");
    let lease = Lease::vacant(lane.clone(), at(0));
    let lease = lease.acquire(&attempt_ref(1, "prod", 1), Some(1), at(0)).unwrap();
    store.commit(Transaction::new().create(&lease)).await.unwrap();
    let read = store.lease(&lane).await.unwrap().unwrap();
    store.commit(Transaction::new().delete(&read)).await.unwrap();
    store.commit(Transaction::new().create(&lease)).await.unwrap();
    assert_eq!(store.lease(&lane).await.unwrap().unwrap().version, read.version);
    for stale in [
        Transaction::new().replace(&read, &lease),
        Transaction::new().delete(&read),
        Transaction::new().check(&read).create(&release(1)),
    ] {
        assert_eq!(conflict_on(&store.commit(stale).await.unwrap_err()), &lease.key());
    }
    assert!(store.release(&release(1).id).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_check_lets_the_rest_pass_while_the_record_stands() {
    let store = store().await;
    store.commit(Transaction::new().create(&release(1))).await.unwrap();
    let read = store.release(&release(1).id).await.unwrap().unwrap();
    store.commit(Transaction::new().check(&read).create(&attempt(1, "dev"))).await.unwrap();
    assert_eq!(store.release(&release(1).id).await.unwrap().unwrap(), read);
    assert_eq!(store.attempt(&attempt(1, "dev").at).await.unwrap().unwrap().record, attempt(1, "dev"));
}

#[tokio::test(start_paused = true)]
async fn an_unconditional_put_makes_earlier_reads_stale() {
    let store = store().await;
    store.commit(Transaction::new().put(&release(1))).await.unwrap();
    let read = store.release(&release(1).id).await.unwrap().unwrap();
    store.commit(Transaction::new().put(&release(1))).await.unwrap();
    let stale = store.commit(Transaction::new().replace(&read, &abandoned(&read))).await.unwrap_err();
    assert!(stale.is_conflict());
    store.commit(Transaction::new().delete_key(release(1).key())).await.unwrap();
    store.commit(Transaction::new().delete_key(release(1).key())).await.unwrap();
    assert!(store.release(&release(1).id).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn one_change_costs_one_write_and_several_cost_a_transaction() {
    let connector = Connector::new(open(None, None).unwrap());
    let (store, meter) = (store_at(&connector).await, connector.meter());
    store.commit(Transaction::new().create(&release(1))).await.unwrap();
    // One unit for the item, one for its place in the index.
    assert_eq!((meter.usage().write_units, meter.usage().reads), (2.0, 0));
    let before = meter.usage();
    let read = store.release(&release(1).id).await.unwrap().unwrap();
    let change = Transaction::new().replace(&read, &abandoned(&read)).event(event(1));
    store.commit(change).await.unwrap();
    // Two for each item of a transaction; the index keeps its keys, and costs nothing.
    let used = meter.usage().since(before);
    assert_eq!((used.write_units, used.writes, used.reads), (4.0, 1, 2));
}

#[tokio::test(start_paused = true)]
async fn what_dynamodb_would_refuse_is_refused_before_it_is_sent() {
    let connector = Connector::new(open(None, None).unwrap());
    let (store, meter) = (store_at(&connector).await, connector.meter());
    let many = (0..101).fold(Transaction::new(), |tx, n| tx.create(&release(n)));
    assert_eq!(many.len(), 101);
    let twice = Transaction::new().create(&release(1)).put(&release(1));
    let read = {
        store.commit(Transaction::new().create(&release(7))).await.unwrap();
        store.release(&release(7).id).await.unwrap().unwrap()
    };
    let elsewhere = Transaction::new().replace(&read, &release(8));
    let before = meter.usage();
    for (transaction, says) in [(many, "101 items"), (twice, "twice"), (elsewhere, "cannot take the place")] {
        let refused = store.commit(transaction).await.unwrap_err();
        assert_eq!(refused.code(), "StoreTransactionUnwritable");
        assert!(refused.to_string().contains(says), "{refused}");
    }
    assert_eq!(meter.usage(), before);
    assert!(store.commit(Transaction::new()).await.unwrap().events.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_hundred_items_fit_one_transaction() {
    let store = store().await;
    let many = (0..99).fold(Transaction::new(), |tx, n| tx.create(&release(n))).event(event(200));
    store.commit(many).await.unwrap();
    assert!(store.release(&release(98).id).await.unwrap().is_some());
    assert_eq!(store.timeline(&event(200).release).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_table_the_refusal_says_where_to_look() {
    let connector = Connector::new(open(None, None).unwrap());
    let store = pilothouse_store::Store::new(connector.client(), "nowhere");
    let refused = store.commit(Transaction::new().create(&release(1))).await.unwrap_err();
    assert_eq!((refused.code(), refused.is_retryable()), ("StoreRefused", false));
    store.create_table().await.unwrap();
    store.create_table().await.unwrap();
    store.commit(Transaction::new().create(&release(1))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_table_whose_maker_was_killed_half_way_is_completed() {
    let lost = std::sync::atomic::AtomicBool::new(false);
    let faults = pilothouse_connector::Faults::new(move |operation| {
        let first = operation == "UpdateTimeToLive" && !lost.swap(true, std::sync::atomic::Ordering::Relaxed);
        first.then_some(pilothouse_connector::Fault::Lost)
    });
    let connector = Connector::new(open(None, None).unwrap()).with_faults(faults);
    let store = pilothouse_store::Store::new(connector.client(), "pilothouse");
    assert!(store.create_table().await.is_err());
    store.create_table().await.unwrap();
    let answer = connector.client().describe_time_to_live().table_name("pilothouse").send().await.unwrap();
    assert_eq!(answer.time_to_live_description().unwrap().attribute_name(), Some("ttl"));
}
