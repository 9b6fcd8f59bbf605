//! A file database after the process that wrote it is gone.

use pilothouse_connector::dynamodb::{Connector, open};
use pilothouse_domain::timeline::first_break;
use pilothouse_store::{Store, Transaction};

use crate::samples::{attempt, event, release, release_id, store_at};

#[tokio::test]
async fn a_reopened_file_holds_all_that_was_answered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pilothouse.db");
    let connector = Connector::new(open(Some(&path), None).unwrap());
    let store = store_at(&connector).await;
    for n in 0..5 {
        let change = Transaction::new().create(&release(n)).create(&attempt(n, "prod")).event(event(1));
        store.commit(change).await.unwrap();
    }
    // As `kill -9` leaves it: the database is not closed, and its log is not folded in.
    std::mem::forget((store, connector));

    let connector = Connector::new(open(Some(&path), None).unwrap());
    let store = Store::new(connector.client(), "pilothouse");
    store.create_table().await.unwrap();
    assert_eq!(store.releases_of("shop", 100, None).await.unwrap().items.len(), 5);
    assert_eq!(store.attempts_open(100, None).await.unwrap().items.len(), 5);
    let timeline = store.timeline(&release_id(1)).await.unwrap();
    assert_eq!((timeline.len(), first_break(&timeline)), (5, None));
    let next = store.commit(Transaction::new().event(event(1))).await.unwrap();
    assert_eq!(next.events[0].seq, 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_share_a_file_without_blocking_the_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let connector = Connector::new(open(Some(&folder.path().join("pilothouse.db")), None).unwrap());
    let store = store_at(&connector).await;
    let commits = (0..30).map(|n| {
        let store = store.clone();
        tokio::spawn(
            async move { store.commit(Transaction::new().create(&release(n)).event(event(1))).await },
        )
    });
    for commit in futures::future::join_all(commits).await {
        commit.unwrap().unwrap();
    }
    let timeline = store.timeline(&release_id(1)).await.unwrap();
    assert_eq!((timeline.len(), first_break(&timeline)), (30, None));
}
