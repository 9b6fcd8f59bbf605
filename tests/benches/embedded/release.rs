//! What one release costs, and how soon a stage follows another.

use std::time::{Duration, Instant};

use http::Method;
use jiff::Timestamp;

use crate::bed::{Bed, MANIFEST, started};
use crate::report::{Sorted, millis, row};

const SIX_STAGES: &str = "
application: shop
pipeline: web
artifacts: [{name: web, image: shop/web}]
triggers: [{name: push, type: registry, hook: shop, image: shop/web}]
environments:
  - name: dev
    namespace: dev
    stages:
      - {name: a, type: deploy-manifest, manifests: 'MANIFEST'}
      - {name: b, type: deploy-manifest, manifests: 'MANIFEST', dependsOn: [a]}
      - {name: c, type: deploy-manifest, manifests: 'MANIFEST', dependsOn: [b]}
  - name: prod
    namespace: prod
    after: [dev]
    stages:
      - {name: a, type: deploy-manifest, manifests: 'MANIFEST'}
      - {name: b, type: deploy-manifest, manifests: 'MANIFEST', dependsOn: [a]}
      - {name: c, type: deploy-manifest, manifests: 'MANIFEST', dependsOn: [b]}
";

pub(crate) async fn measure() {
    let bed = Bed::new(None).await;
    bed.save(&SIX_STAGES.replace("MANIFEST", MANIFEST)).await;
    bed.push("warm", "0.0.1").await;
    bed.quiet(0).await;
    let (used, counted) = (bed.system.meter().usage(), transitions(&bed));
    let began = Instant::now();
    let mut releases = vec![started(&bed.push("one", "1.0.0").await).unwrap()];
    bed.quiet(0).await;
    let took = began.elapsed();
    let used = bed.system.meter().usage().since(used);
    let counted = transitions(&bed) - counted;
    let what = "release of 2 environments and 6 stages";
    row(&format!("{what}: billed transitions"), &counted.to_string(), "budget 60");
    row(&format!("{what}: write units"), &format!("{:.0}", used.write_units), "budget 120");
    row(&format!("{what}: read units"), &format!("{:.0}", used.read_units), "");
    row(&format!("{what}: wall"), &millis(took), "simulated cluster x1000");
    for n in 0..20 {
        releases.extend(started(&bed.push(&format!("gap-{n}"), &format!("3.0.{n}")).await));
        bed.quiet(0).await;
    }
    let mut gaps = Vec::new();
    for release in &releases {
        gaps.extend(gaps_of(&bed, release).await);
    }
    let gaps = Sorted::new(gaps);
    row("a stage's end to its dependent's begin: p50", &millis(gaps.percentile(50)), "budget 10 ms");
    row("a stage's end to its dependent's begin: p99", &millis(gaps.percentile(99)), "");
}

/// The transitions of all executions so far.
fn transitions(bed: &Bed) -> u64 {
    let engine = bed.system.engine();
    let machines = engine.list_state_machines();
    let all = machines.iter().flat_map(|m| engine.list_executions(&m.arn, None).unwrap_or_default());
    all.map(|e| e.transitions).sum()
}

/// From each stage's end to the next one's begin, as the timeline has it.
async fn gaps_of(bed: &Bed, release: &str) -> Vec<Duration> {
    let path = format!("/v1/releases/{release}/events?after=0&limit=100");
    let answer = bed.call(Method::GET, &path, "").await;
    let mut gaps = Vec::new();
    let mut ended: Option<Timestamp> = None;
    for event in answer["events"].as_array().unwrap() {
        let at: Timestamp = event["at"].as_str().unwrap().parse().unwrap();
        match event["type"].as_str() {
            Some("StageEnded") => ended = Some(at),
            Some("StageStarted") => {
                gaps.extend(ended.take().map(|ended| at.duration_since(ended).unsigned_abs()));
            }
            Some("DeploymentEnded") => ended = None,
            _ => {}
        }
    }
    gaps
}
