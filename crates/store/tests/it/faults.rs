//! A table that throttles, fails and loses answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use pilothouse_connector::dynamodb::{Connector, open};
use pilothouse_connector::{Fault, Faults};
use pilothouse_domain::timeline::first_break;
use pilothouse_store::{Store, StoreError, Transaction};

use crate::samples::{event, release, release_id};

/// A store whose requests of kind `operation` suffer `fault` while `times` lasts.
async fn faulty(operation: &'static str, fault: Fault, times: u32) -> Store {
    let left = Arc::new(AtomicU32::new(times));
    let decide = move |asked: &str| {
        let hit = asked == operation
            && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        hit.then_some(fault)
    };
    let connector = Connector::new(open(None, None).unwrap()).with_faults(Faults::new(decide));
    let store = Store::new(connector.client(), "pilothouse").with_seed(1);
    store.create_table().await.unwrap();
    store
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_answer_was_lost_is_not_written_twice() {
    for operation in ["PutItem", "TransactWriteItems"] {
        let store = faulty(operation, Fault::AnswerLost, 1).await;
        let change = match operation {
            "PutItem" => Transaction::new().create(&release(1)),
            _ => Transaction::new().create(&release(1)).event(event(1)).event(event(1)),
        };
        let (committed, lost) = (store.commit(change).await.unwrap(), operation);
        let read = store.release(&release_id(1)).await.unwrap().unwrap();
        assert_eq!(read, pilothouse_store::Versioned::created_by(release(1), &committed), "{lost}");
        assert_eq!(store.timeline(&release_id(1)).await.unwrap(), committed.events);
    }
}

#[tokio::test(start_paused = true)]
async fn a_delete_whose_answer_was_lost_is_no_conflict() {
    let store = faulty("TransactWriteItems", Fault::AnswerLost, 1).await;
    store.commit(Transaction::new().create(&release(1))).await.unwrap();
    let read = store.release(&release_id(1)).await.unwrap().unwrap();
    store.commit(Transaction::new().delete(&read)).await.unwrap();
    assert!(store.release(&release_id(1)).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_does_not_hide_that_somebody_else_was_first() {
    let store = faulty("PutItem", Fault::Lost, 1).await;
    let first = store.commit(Transaction::new().create(&release(1))).await;
    assert!(first.is_ok());
    assert!(store.commit(Transaction::new().create(&release(1))).await.unwrap_err().is_conflict());
}

#[tokio::test(start_paused = true)]
async fn short_trouble_is_waited_out() {
    for fault in [Fault::Throttled, Fault::Failed, Fault::Lost] {
        for operation in ["GetItem", "PutItem", "Query", "BatchGetItem", "TransactWriteItems"] {
            let store = faulty(operation, fault, 2).await;
            store.commit(Transaction::new().create(&release(1))).await.unwrap();
            store.commit(Transaction::new().create(&release(2)).event(event(1))).await.unwrap();
            assert!(store.release(&release_id(1)).await.unwrap().is_some());
            assert_eq!(store.releases_of("shop", 9, None).await.unwrap().items.len(), 2);
            assert_eq!(first_break(&store.timeline(&release_id(1)).await.unwrap()), None);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn lasting_trouble_is_told_apart_and_can_be_tried_later() {
    for (fault, code) in [
        (Fault::Throttled, "StoreThrottled"),
        (Fault::Failed, "StoreUnavailable"),
        (Fault::Lost, "StoreUnavailable"),
    ] {
        let store = faulty("PutItem", fault, u32::MAX).await;
        let refused = store.commit(Transaction::new().create(&release(1))).await.unwrap_err();
        assert_eq!((refused.code(), refused.is_retryable()), (code, true));
        assert!(std::error::Error::source(&refused).is_some());
        assert!(store.release(&release_id(1)).await.unwrap().is_none());
    }
    let store = faulty("GetItem", Fault::Throttled, u32::MAX).await;
    let refused = store.release(&release_id(1)).await.unwrap_err();
    assert!(matches!(refused, StoreError::Throttled { operation: "get", .. }), "{refused:?}");
}
