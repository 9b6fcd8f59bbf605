//! The stage types against the simulated cluster and a table in memory, step by step.

mod bakes;
mod deploys;
mod guards;
mod jobs;
mod revisions;
mod rollouts;
mod server_groups;
mod traffic;
mod waiting;
mod webhooks;
mod workloads;

use std::sync::Arc;

use pilothouse_cluster::{Cluster, RetryPolicy, Snapshot};
use pilothouse_domain::attempt::{
    Attempt, AttemptKind, AttemptRef, AttemptState, Control, RollbackReason, RollbackTerms,
};
use pilothouse_domain::duration::Span;
use pilothouse_domain::ids::{AttemptId, StageRunId};
use pilothouse_domain::lane::Lease;
use pilothouse_domain::release::Release;
use pilothouse_domain::snapshot::SnapshotRecord;
use pilothouse_domain::stage::{StageRun, StageStatus};
use pilothouse_sim_cluster::{ImageRule, SimCluster, TokioClock};
use pilothouse_store::Transaction;
use serde_json::{Value, json};

use super::steps::Planned;
use super::{Begun, Observed, StageContext, StageEnd, StageType};
use crate::OperationError;
use crate::intake::test_context::{TestContext, start};

const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000001";

/// An installation with a cluster, and one attempt of a release of `shop/web` in `dev`.
struct Scene {
    test: TestContext,
    sim: SimCluster,
    release: Release,
    attempt: Attempt,
}

impl Scene {
    async fn new() -> Self {
        Self::with_rules([]).await
    }

    async fn with_rules(rules: impl IntoIterator<Item = ImageRule>) -> Self {
        let test = TestContext::new().await;
        let clock = Arc::new(TokioClock::starting_at(start()));
        let builder = SimCluster::builder().namespaces(["dev"]).clock(clock);
        let sim = rules.into_iter().fold(builder, |builder, rule| builder.rule(rule)).build().await.unwrap();
        let client = kube::Client::new(sim.service(), "default");
        let cluster = Cluster::with_retry(client, RetryPolicy { seed: 1, ..RetryPolicy::default() });
        test.context.clusters.register("default", cluster);
        let release: Release = serde_json::from_value(json!({
            "id": format!("rel_{}", test.context.ids.ulid()), "application": "shop", "pipeline": "web", "revision": 1,
            "spec": {
                "application": "shop", "pipeline": "web",
                "environments": [{"name": "dev", "namespace": "dev", "stages": [{"name": "Deploy", "type": "wait"}]}],
            },
            "status": "Active", "parameters": {}, "cause": {"kind": "manual", "by": "ann"}, "createdAt": start(),
            "artifacts": [{"name": "web", "image": "registry.local/shop/web", "tag": "1.0.0", "digest": DIGEST}],
        }))
        .unwrap();
        let attempt = Attempt {
            id: AttemptId::new(test.context.ids.ulid()),
            at: AttemptRef { release: release.id.clone(), environment: "dev".to_owned(), number: 1 },
            application: "shop".to_owned(),
            kind: AttemptKind::Deploy,
            state: AttemptState::PhaseInProgress,
            control: Control::Running,
            passed: Vec::new(),
            controlled_by: None,
            control_reason: None,
            resume_by: None,
            held: pilothouse_domain::attempt::Held::default(),
            losses: pilothouse_domain::attempt::Losses::default(),
            fence: Some(1),
            slots: Vec::new(),
            restarts: 0,
            rolled_back_by: None,
            frozen: None,
            freeze_override: None,
            rollback_request: None,
            carried: None,
            overrides: None,
            override_reason: None,
            created_at: start(),
            created_by: "ann".to_owned(),
            started_at: Some(start()),
            ended_at: None,
            completed_at: None,
            last_modified_by: "ann".to_owned(),
        };
        Self { test, sim, release, attempt }
    }

    /// The same release with another version of its artifact, in the next attempt.
    fn next(&mut self, tag: &str) {
        self.release.artifacts[0].tag = Some(tag.to_owned());
        self.attempt.at.number += 1;
        self.attempt.id = AttemptId::new(self.test.context.ids.ulid());
    }

    /// The attempt that takes this one's `stage` back.
    fn roll_back(&mut self, stage: &str) {
        let undoes = self.attempt.at.clone();
        self.next("1.0.0");
        let reason = RollbackReason::Requested { by: "ann".to_owned(), force: false };
        self.attempt.kind = AttemptKind::Rollback {
            undoes,
            reason,
            stages: vec![stage.into()],
            terms: RollbackTerms::default(),
        };
    }

    fn run(&self, kind: &dyn StageType, stage: &str, options: Value) -> StageRun {
        let now = self.test.context.now();
        StageRun {
            id: StageRunId::new(self.test.context.ids.ulid()),
            at: self.attempt.at.clone(),
            stage: stage.to_owned(),
            stage_type: kind.info().name.to_owned(),
            status: StageStatus::Running,
            started_at: now,
            deadline: kind.timeout(&options).after(now),
            ended_at: None,
            progress: None,
            options,
            plan: Value::Null,
            action: Value::Null,
            output: Value::Null,
            cluster: None,
            carried_from: None,
            has_snapshot: false,
            touched: Vec::new(),
        }
    }

    fn stage<'a>(&'a self, run: &'a StageRun) -> StageContext<'a> {
        let environment = self.release.environment("dev").unwrap();
        let spec = &environment.stages[0];
        StageContext {
            spec,
            context: &self.test.context,
            release: &self.release,
            attempt: &self.attempt,
            environment,
            run,
            rehearsal: None,
            foreseen: &[],
        }
    }

    /// Stores the attempt, and that it holds its environment, unless it does.
    async fn hold(&self) {
        let (store, attempt) = (&self.test.context.store, &self.attempt);
        if store.attempt(&attempt.at).await.unwrap().is_some() {
            return;
        }
        let (lane, now) = (crate::lanes::lane_of_environment(attempt), self.test.context.now());
        let held = Lease::vacant(lane.clone(), now).acquire(&attempt.at, None, now).unwrap();
        let tx = Transaction::new().create(attempt);
        let tx = match store.lease(&lane).await.unwrap() {
            Some(lease) => tx.replace(&lease, &held),
            None => tx.create(&held),
        };
        store.commit(tx).await.unwrap();
    }

    /// Stores the run, takes the snapshot and begins, as the step does; the run as it is stored then.
    async fn begin(
        &self,
        kind: &dyn StageType,
        mut run: StageRun,
    ) -> Result<Result<StageRun, StageEnd>, OperationError> {
        self.hold().await;
        let store = &self.test.context.store;
        let targets = match kind.plan(&self.stage(&run)).await? {
            Planned::Acts => kind.targets(&self.stage(&run)).await?,
            Planned::Ends(end) => return Ok(Err(end)),
            Planned::Steps(plan) => {
                run.plan = plan.stored().unwrap();
                plan.touches()
            }
        };
        store.commit(Transaction::new().create(&run)).await?;
        if !targets.is_empty() {
            let taken: Snapshot = self.stage(&run).sealing_cluster().await?.snapshot(&targets).await?;
            run.touched = taken.taken.iter().map(|entry| entry.object.fingerprint()).collect();
            run.has_snapshot = true;
            let content = serde_json::to_value(taken).unwrap();
            let record = SnapshotRecord { at: run.at.clone(), stage: run.stage.clone(), content };
            store.commit(Transaction::new().create_snapshot(&record)).await?;
        }
        match kind.begin(&self.stage(&run)).await? {
            Begun::Observe { action, progress } => {
                let read = store.stage_run(&run.at, &run.stage).await?.unwrap();
                let next = StageRun { action, progress: Some(progress), ..run };
                store.commit(Transaction::new().replace(&read, &next)).await?;
                Ok(Ok(next))
            }
            Begun::Ended(end) => Ok(Err(end)),
            Begun::Await { .. } | Begun::AwaitEnd { .. } => panic!("this stage waits for an answer"),
        }
    }

    /// Begins the stage and watches it to its end.
    async fn play(&self, kind: &dyn StageType, stage: &str, options: Value) -> StageEnd {
        let mut run = match self.begin(kind, self.run(kind, stage, options)).await.unwrap() {
            Ok(run) => run,
            Err(end) => return end,
        };
        for _ in 0..200 {
            match kind.observe(&self.stage(&run), Span::from_secs(2)).await.unwrap() {
                Observed::Ended(end) => return end,
                Observed::Pending { progress, .. } => assert!(!progress.is_empty()),
                Observed::Moved { action, progress } => {
                    run = StageRun { action, progress: Some(progress), ..run };
                }
            }
        }
        panic!("the stage does not come to an end")
    }
}
