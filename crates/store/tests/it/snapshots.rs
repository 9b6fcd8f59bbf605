//! Snapshots of any size, whole or not at all.

use pilothouse_connector::dynamodb::{Connector, open};
use pilothouse_domain::evidence::StageEvidence;
use pilothouse_domain::snapshot::SnapshotRecord;
use pilothouse_store::{Key, StoreError, Transaction, records};

use crate::samples::{attempt_ref, release_id, store, store_at};

/// About `bytes` of JSON that does not compress.
fn snapshot(stage: &str, bytes: usize) -> SnapshotRecord {
    let mut state = 1_u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b' ' + u8::try_from((state >> 40) % 94).unwrap())
    };
    let text: String = (0..bytes).map(|_| noise()).collect();
    let content = serde_json::json!({ "objects": [{ "kind": "ConfigMap", "data": text, "a": 1.0 }] });
    SnapshotRecord { at: attempt_ref(1, "prod", 1), stage: stage.into(), content }
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_of_a_megabyte_is_split_and_read_back_whole() {
    let store = store().await;
    let written = snapshot("deploy", 1_300_000);
    let transaction = Transaction::new().create_snapshot(&written);
    assert!(transaction.len() >= 3, "{} parts", transaction.len());
    store.commit(transaction).await.unwrap();
    assert_eq!(store.snapshot(&written.at, "deploy").await.unwrap().unwrap(), written);
}

#[tokio::test(start_paused = true)]
async fn the_first_snapshot_of_a_stage_is_never_overwritten() {
    let store = store().await;
    let (first, second) = (snapshot("deploy", 100), snapshot("deploy", 200));
    store.commit(Transaction::new().create_snapshot(&first)).await.unwrap();
    assert!(store.commit(Transaction::new().create_snapshot(&second)).await.unwrap_err().is_conflict());
    assert_eq!(store.snapshot(&first.at, "deploy").await.unwrap().unwrap(), first);
    assert!(store.snapshot(&first.at, "other").await.unwrap().is_none());
    assert!(store.snapshot(&attempt_ref(1, "prod", 2), "deploy").await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stage_named_like_the_part_of_another_keeps_its_own() {
    let store = store().await;
    let (short, long) = (snapshot("a", 100), snapshot("a#b", 200));
    store.commit(Transaction::new().create_snapshot(&short).create_snapshot(&long)).await.unwrap();
    assert_eq!(store.snapshot(&short.at, "a").await.unwrap().unwrap(), short);
    assert_eq!(store.snapshot(&long.at, "a#b").await.unwrap().unwrap(), long);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_with_a_lost_part_is_corrupt_and_not_shortened() {
    let connector = Connector::new(open(None, None).unwrap());
    let store = store_at(&connector).await;
    let written = snapshot("deploy", 800_000);
    store.commit(Transaction::new().create_snapshot(&written)).await.unwrap();
    let pk = records::release_partition(&release_id(1));
    let part = Key::new(pk, "SNAPSHOT#prod#0001#deploy#001");
    store.commit(Transaction::new().delete_key(part)).await.unwrap();
    let corrupt = store.snapshot(&written.at, "deploy").await.unwrap_err();
    assert!(matches!(corrupt, StoreError::Corrupt { .. }), "{corrupt:?}");
}

#[tokio::test(start_paused = true)]
async fn what_ran_for_a_stage_is_kept_beside_its_snapshot_and_the_last_word_counts() {
    let store = store().await;
    let at = attempt_ref(1, "prod", 1);
    let seen = |note: &str| StageEvidence {
        at: at.clone(),
        stage: "deploy".into(),
        seen_at: "2026-11-21T10:00:00Z".parse().unwrap(),
        workloads: Vec::new(),
        notes: vec![note.into()],
    };
    let before = snapshot("deploy", 100);
    store.commit(Transaction::new().create_snapshot(&before).put_evidence(&seen("first"))).await.unwrap();
    store.commit(Transaction::new().put_evidence(&seen("last"))).await.unwrap();
    assert_eq!(store.stage_evidence(&at, "deploy").await.unwrap(), Some(seen("last")));
    assert_eq!(store.stage_evidence(&at, "other").await.unwrap(), None);
    assert_eq!(store.snapshot(&at, "deploy").await.unwrap().unwrap(), before);
    // Whoever reads a release does not pay for it.
    let records = store.release_records(&release_id(1)).await.unwrap();
    assert!(records.all::<pilothouse_domain::stage::StageRun>().unwrap().is_empty());
}
