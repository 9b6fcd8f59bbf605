//! The event chain: no gap, no fork, whoever writes.

use futures::future::join_all;
use pilothouse_domain::timeline::first_break;
use pilothouse_store::{StoreError, Transaction};

use crate::samples::{attempt, event, release, release_id, store};

#[tokio::test(start_paused = true)]
async fn forty_commits_at_once_make_one_unbroken_chain() {
    let store = store().await;
    let commits = (0..40).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            let change = Transaction::new().create(&attempt(n, "dev")).event(event(1)).event(event(1));
            store.commit(change).await.map(|committed| committed.events)
        })
    });
    let mut seen = Vec::new();
    for commit in join_all(commits).await {
        let events = commit.unwrap().unwrap();
        assert_eq!(events[1].seq, events[0].seq + 1, "the events of one commit stand together");
        seen.extend(events.into_iter().map(|event| event.seq));
    }
    seen.sort_unstable();
    assert_eq!(seen, (1..=80).collect::<Vec<_>>());
    let timeline = store.timeline(&release_id(1)).await.unwrap();
    assert_eq!(timeline.len(), 80);
    assert_eq!(first_break(&timeline), None);
}

#[tokio::test(start_paused = true)]
async fn a_conflict_on_a_record_ends_the_commit_even_among_clashing_events() {
    let store = store().await;
    let commits = (0..20).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            store.commit(Transaction::new().create(&release(1)).event(event(1))).await.map(|_| ())
        })
    });
    let outcomes: Vec<_> = join_all(commits).await.into_iter().map(Result::unwrap).collect();
    let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let conflicts =
        outcomes.iter().filter(|outcome| matches!(outcome, Err(StoreError::Conflict { .. }))).count();
    assert_eq!((won, conflicts), (1, 19));
    assert_eq!(store.timeline(&release_id(1)).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_commit_may_write_to_two_timelines() {
    let store = store().await;
    store.commit(Transaction::new().event(event(2))).await.unwrap();
    let committed = store.commit(Transaction::new().events([event(1), event(2), event(1)])).await.unwrap();
    let seqs: Vec<_> = committed.events.iter().map(|event| event.seq).collect();
    assert_eq!(seqs, [1, 2, 2]);
    for n in [1, 2] {
        let timeline = store.timeline(&release_id(n)).await.unwrap();
        assert_eq!((timeline.len(), first_break(&timeline)), (2, None));
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeline_is_followed_by_the_last_number_seen() {
    let store = store().await;
    for _ in 0..5 {
        store.commit(Transaction::new().event(event(1))).await.unwrap();
    }
    let seqs = async |after, limit| {
        let events = store.events_after(&release_id(1), after, limit).await.unwrap();
        events.iter().map(|event| event.seq).collect::<Vec<_>>()
    };
    assert_eq!(seqs(0, 3).await, [1, 2, 3]);
    assert_eq!(seqs(3, 100).await, [4, 5]);
    assert!(seqs(5, 100).await.is_empty());
    assert!(seqs(u64::MAX, 100).await.is_empty());
}
