//! From a registry's notification to a started execution, one after the other and as many as one core takes.

use std::path::Path;
use std::time::Instant;

use futures::stream::{self, StreamExt as _};

use crate::bed::{Bed, started, with_approval};
use crate::report::{Sorted, millis, row};

pub(crate) async fn measure(place: &str, file: Option<&Path>) {
    let bed = Bed::new(file).await;
    bed.save(&with_approval("shop")).await;
    one_by_one(&bed, place).await;
    many(&bed, &format!("deliveries a second, {place}: repeated"), 5000, |n| format!("1.0.{}", n % 10)).await;
    many(&bed, &format!("deliveries a second, {place}: each a new image"), 1000, |n| format!("2.0.{n}"))
        .await;
}

async fn one_by_one(bed: &Bed, place: &str) {
    let mut times = Vec::new();
    for n in 0..500 {
        let began = Instant::now();
        let answer = bed.push(&format!("one-{n}"), &format!("1.0.{n}")).await;
        // The answer is given after the execution was started.
        times.push(began.elapsed());
        assert!(started(&answer).is_some());
    }
    let times = Sorted::new(times);
    let what = format!("webhook to started execution, {place}");
    row(&format!("{what}: p50"), &millis(times.percentile(50)), "budget 5 ms");
    row(&format!("{what}: p99"), &millis(times.percentile(99)), "budget 20 ms");
}

/// Deliveries that are each their own to the registry, 50 under way at any time.
async fn many(bed: &Bed, what: &str, count: u32, tag: impl Fn(u32) -> String) {
    let before = bed.system.meter().usage();
    let began = Instant::now();
    stream::iter(0..count)
        .for_each_concurrent(50, |n| {
            let (event, tag) = (format!("{what}-{n}"), tag(n));
            async move { drop(bed.push(&event, &tag).await) }
        })
        .await;
    let rate = f64::from(count) / began.elapsed().as_secs_f64();
    row(what, &format!("{rate:.0}"), "budget 1000");
    let used = bed.system.meter().usage().since(before);
    let requests = (used.reads + used.writes) as f64 / f64::from(count);
    row(&format!("{what}: requests to the table for each"), &format!("{requests:.1}"), "");
}
