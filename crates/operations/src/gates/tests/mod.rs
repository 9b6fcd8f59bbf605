//! Gates against a table in memory, a simulated cluster and servers of this machine.

mod checks;
mod saving;
mod steps;

use std::collections::BTreeMap;
use std::sync::Arc;

use pilothouse_cluster::{Cluster, RetryPolicy};
use pilothouse_connector::Faults;
use pilothouse_domain::attempt::Attempt;
use pilothouse_domain::gate::{CheckResult, GateRun, GateSample, GateSide};
use pilothouse_domain::release::Release;
use pilothouse_domain::timeline::Event;
use pilothouse_sim_cluster::{SimCluster, TokioClock};
use pilothouse_store::Transaction;
use serde_json::{Value, json};

use super::{GateStep, open, step};
use crate::OutboundPolicy;
use crate::intake::test_context::{TestContext, start};

const SECRET: &str = "s3cr3t-value";

/// One attempt of a release of `shop/web` in `dev`, whose environment has a gate before its stages.
struct Scene {
    test: TestContext,
    sim: SimCluster,
    release: Release,
    attempt: Attempt,
}

impl Scene {
    async fn new(gate: Value) -> Self {
        let secrets = BTreeMap::from([("env:TOKEN", SECRET)]);
        let mut test = TestContext::with(secrets, Faults::new(|_| None)).await;
        test.context.outbound = OutboundPolicy { allow_private: true, allow_loopback: true };
        let clock = Arc::new(TokioClock::starting_at(start()));
        let sim = SimCluster::builder().namespaces(["dev"]).clock(clock).build().await.unwrap();
        let client = kube::Client::new(sim.service(), "default");
        let cluster = Cluster::with_retry(client, RetryPolicy { seed: 1, ..RetryPolicy::default() });
        test.context.clusters.register("default", cluster);
        let release: Release = serde_json::from_value(json!({
            "id": format!("rel_{}", test.context.ids.ulid()), "application": "shop", "pipeline": "web", "revision": 1,
            "spec": {
                "application": "shop", "pipeline": "web",
                "environments": [{
                    "name": "dev", "namespace": "dev", "gates": {"before": gate},
                    "stages": [{"name": "Deploy", "type": "wait", "duration": "1s"}],
                }],
            },
            "status": "Active", "parameters": {"host": "web.dev"}, "cause": {"kind": "manual", "by": "ann"},
            "createdAt": start(),
            "artifacts": [{"name": "web", "image": "registry.local/shop/web", "tag": "1.0.0"}],
        }))
        .unwrap();
        let attempt: Attempt = serde_json::from_value(json!({
            "id": format!("dep_{}", test.context.ids.ulid()), "release": release.id, "environment": "dev", "number": 1,
            "application": "shop", "kind": {"kind": "deploy"}, "state": {"state": "Queued"}, "control": "running",
            "restarts": 0, "createdAt": start(), "createdBy": "ann", "lastModifiedBy": "ann",
        }))
        .unwrap();
        Self { test, sim, release, attempt }
    }

    async fn open(&self) {
        let context = &self.test.context;
        let tx =
            open(context, &self.release, &self.attempt, GateSide::Before, Transaction::new()).await.unwrap();
        context.store.commit(tx).await.unwrap();
    }

    async fn step(&self) -> GateStep {
        step(&self.test.context, &self.release, &self.attempt, GateSide::Before).await.unwrap()
    }

    /// Opens the gate and takes its first sample; what its only check came to.
    async fn sample(&self) -> CheckResult {
        self.open().await;
        self.step().await;
        self.run().await.last.remove(0)
    }

    async fn run(&self) -> GateRun {
        self.test.context.store.gate(&self.attempt.at, GateSide::Before).await.unwrap().unwrap().record
    }

    async fn samples(&self) -> Vec<GateSample> {
        let page = self.test.context.store.gate_samples(&self.attempt.at, GateSide::Before, 100, None);
        page.await.unwrap().records()
    }

    async fn events(&self) -> Vec<Event> {
        self.test.context.store.timeline(&self.release.id).await.unwrap()
    }
}

/// A gate with this one check, called `it`.
fn gate_of(mut check: Value) -> Value {
    check["name"] = json!("it");
    json!({"checks": [check]})
}

/// What a check comes to in one sample.
async fn sampled(check: Value) -> CheckResult {
    Scene::new(gate_of(check)).await.sample().await
}
