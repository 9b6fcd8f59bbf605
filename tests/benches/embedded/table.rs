//! What one request to the table costs in process, through the AWS SDK's client.

use std::time::{Duration, Instant};

use pilothouse_store::Transaction;

use crate::bed::{Bed, with_approval};
use crate::report::{micros, row};

const TIMES: u32 = 2000;

pub(crate) async fn measure() {
    let bed = Bed::new(None).await;
    bed.save(&with_approval("shop")).await;
    let store = &bed.system.context().store;
    let head = store.pipeline_head("shop", "web").await.unwrap().unwrap().record;
    let read = each(async || drop(store.pipeline_head("shop", "web").await.unwrap())).await;
    row("one read of the table, in memory", &micros(read), "");
    let write = each(async || drop(store.commit(Transaction::new().put(&head)).await.unwrap())).await;
    row("one write to the table, in memory", &micros(write), "");
}

async fn each(work: impl AsyncFn()) -> Duration {
    let began = Instant::now();
    for _ in 0..TIMES {
        work().await;
    }
    began.elapsed() / TIMES
}
