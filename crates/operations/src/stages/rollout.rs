//! What deploying, patching and undoing share: what was changed, and whether it runs.

use pilothouse_cluster::{
    Applied, ClusterError, Evidence, FailureReason, Marks, ObjectRef, ObserveOptions, Rollout, Watched,
};
use pilothouse_domain::duration::Span;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Begun, Observed, StageContext, StageEnd};
use crate::OperationError;

/// How long a rollout may take when the pipeline does not say.
pub(super) const TIMEOUT: Span = Span::from_secs(600);

/// How long the cluster is asked how far a cancelled rollout came.
const LAST_LOOK: Span = Span::from_secs(1);

/// What a stage that changed objects leaves behind: each with the generation to wait for, and the images it put there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Action {
    objects: Vec<Watched>,
    images: Vec<String>,
}

impl Action {
    /// What these changes leave to watch. The images are shown once each, in order.
    pub(super) fn new(applied: Vec<Applied>, images: impl IntoIterator<Item = String>) -> Self {
        let objects =
            applied.into_iter().map(|a| Watched { object: a.object, generation: a.generation }).collect();
        let mut shown: Vec<String> = images.into_iter().collect();
        shown.sort_unstable();
        shown.dedup();
        Self { objects, images: shown }
    }

    /// The stage goes on by watching it.
    pub(super) fn watch(&self) -> Result<Begun, OperationError> {
        let action = serde_json::to_value(self)
            .map_err(|e| OperationError::Inconsistent(format!("the action cannot be written: {e}")))?;
        Ok(Begun::Observe { action, progress: self.progress() })
    }

    /// What was done, for people.
    pub(super) fn progress(&self) -> String {
        match self.objects.len() {
            1 => "1 object applied".to_owned(),
            count => format!("{count} objects applied"),
        }
    }

    /// Watches the objects that are workloads.
    pub(super) async fn observe(
        &self,
        stage: &StageContext<'_>,
        within: Span,
    ) -> Result<Observed, OperationError> {
        let rollout = watch(stage, &self.objects, within).await?;
        Ok(observed(rollout, || self.output()))
    }

    /// What a cancel leaves in the cluster; `None` when the stage's first action is not recorded.
    pub(super) async fn left(stage: &StageContext<'_>) -> Result<Option<String>, OperationError> {
        if stage.run.action.is_null() {
            return Ok(unknown(stage));
        }
        let action: Self = stage.action()?;
        Ok(Some(left(stage, &action.objects).await))
    }

    /// What later stages may read: `objects`, and the `images` that were put into them.
    fn output(&self) -> Value {
        let objects: Vec<&ObjectRef> = self.objects.iter().map(|watched| &watched.object).collect();
        json!({ "objects": objects, "images": self.images })
    }
}

/// What is known of a stage that was about to change something, and recorded no change.
pub(super) fn unknown(stage: &StageContext<'_>) -> Option<String> {
    stage
        .run
        .has_snapshot
        .then(|| "no change was recorded; the snapshot of what it would have changed is kept".to_owned())
}

/// Who changes the objects, written on each of them.
pub(super) fn marks(stage: &StageContext<'_>) -> Marks {
    Marks {
        application: stage.release.application.clone(),
        release: stage.release.id.to_string(),
        attempt: stage.attempt.id.to_string(),
        stage: stage.run.stage.clone(),
    }
}

/// Watches these workloads until there is a verdict, at most for `within`.
pub(super) async fn watch(
    stage: &StageContext<'_>,
    workloads: &[Watched],
    within: Span,
) -> Result<Rollout, OperationError> {
    let options = ObserveOptions {
        logs: stage.environment.capture_logs,
        ..ObserveOptions::new(within.as_duration(), stage.context.now())
    };
    Ok(stage.cluster().await?.observe(workloads, &options).await?)
}

/// What a rollout that is cancelled leaves in the cluster, as the cluster tells it. A cluster that does not tell keeps
/// no cancel waiting: then it is what was seen last.
pub(super) async fn left(stage: &StageContext<'_>, workloads: &[Watched]) -> String {
    match watch(stage, workloads, LAST_LOOK).await {
        Ok(rollout) => format!("{}; left as it is", rollout.summary()),
        Err(error) => {
            let seen = stage.run.progress.as_deref().unwrap_or("nothing");
            format!("left as it is, but the cluster could not be read ({error}); last seen: {seen}")
        }
    }
}

/// What a rollout's state means to its stage; `output` is asked for when it succeeded.
pub(super) fn observed(rollout: Rollout, output: impl FnOnce() -> Value) -> Observed {
    match rollout {
        Rollout::Ready { .. } => Observed::Ended(StageEnd::succeeded(output())),
        Rollout::Progressing { summary, waiting } => {
            let evidence = waiting.and_then(|w| serde_json::to_value(w).ok()).map(Box::new);
            Observed::Pending { progress: summary, evidence }
        }
        Rollout::Failed { reason, evidence } => Observed::Ended(failed(reason, &evidence)),
    }
}

/// A rollout that failed: the reason in words, the pod, its state and its event as proof (X10).
pub(super) fn failed(reason: FailureReason, evidence: &Evidence) -> StageEnd {
    let mut proof = serde_json::to_value(evidence).unwrap_or_default();
    proof["failure"] = serde_json::to_value(reason).unwrap_or_default();
    StageEnd::failed_with(evidence.to_string(), proof)
}

/// The end of a stage whose changes the cluster refused; all refusals at once.
pub(super) fn refused(errors: &[ClusterError]) -> StageEnd {
    let reason = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let proof: Vec<Value> =
        errors.iter().map(|e| json!({ "code": e.code(), "message": e.to_string() })).collect();
    StageEnd::failed_with(reason, json!({ "refusals": proof }))
}

#[cfg(test)]
mod tests {
    use pilothouse_domain::stage::StageStatus;

    use super::*;

    fn web() -> ObjectRef {
        ObjectRef::namespaced("apps/v1", "Deployment", "dev", "web")
    }

    fn evidence() -> Evidence {
        serde_json::from_value(json!({
            "workload": web(), "pod": "web-1", "container": "web", "image": "shop/web:1.1.0",
            "reason": "CrashLoopBackOff", "message": "no database", "exitCode": 1,
            "event": {"about": "Pod web-1", "component": "kubelet", "type": "Warning", "reason": "BackOff",
                "message": "Back-off restarting failed container", "first": null, "last": null, "count": 3}
        }))
        .unwrap()
    }

    #[test]
    fn a_ready_rollout_succeeds_with_its_objects_and_images() {
        let applied = Applied { object: web(), resource_version: "7".into(), generation: 3, changed: true };
        let action = Action::new(vec![applied], ["b".to_owned(), "a".to_owned(), "b".to_owned()]);
        let ready = Rollout::Ready { summary: "Deployment dev/web: 1 pod ready".into() };
        let Observed::Ended(end) = observed(ready, || action.output()) else { panic!("it is at its end") };
        assert_eq!(end.status, StageStatus::Succeeded);
        let object =
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "dev", "name": "web"});
        assert_eq!(end.output, json!({"objects": [object], "images": ["a", "b"]}));
    }

    #[test]
    fn a_failed_rollout_says_why_and_proves_it() {
        let failed = Rollout::Failed { reason: FailureReason::CrashLoop, evidence: Box::new(evidence()) };
        let Observed::Ended(end) = observed(failed, || Value::Null) else { panic!("it is at its end") };
        let StageStatus::Failed { reason, evidence: Some(proof) } = end.status else { panic!("it failed") };
        assert_eq!(
            reason,
            "Deployment dev/web: pod web-1, container web (shop/web:1.1.0): CrashLoopBackOff, exit code 1: no database"
        );
        assert_eq!(proof["failure"], "CrashLoop");
        assert_eq!(proof["event"]["reason"], "BackOff");
    }

    #[test]
    fn an_undecided_rollout_is_pending_and_tells_how_it_stands() {
        let progressing = Rollout::Progressing { summary: "1 of 2 pods ready".into(), waiting: None };
        let pending = observed(progressing, || Value::Null);
        assert_eq!(pending, Observed::Pending { progress: "1 of 2 pods ready".into(), evidence: None });
    }

    #[test]
    fn every_refusal_of_the_cluster_is_told() {
        let conflict = ClusterError::Conflict {
            operation: "apply Deployment dev/web".into(),
            manager: "kubectl".into(),
            field: ".spec.replicas".into(),
        };
        let denied = ClusterError::Denied { operation: "apply Job dev/x".into(), message: "no".into() };
        let StageStatus::Failed { reason, evidence } = refused(&[conflict, denied]).status else {
            panic!("it failed")
        };
        assert!(reason.contains("field .spec.replicas is owned by \"kubectl\""), "{reason}");
        assert!(reason.contains("apply Job dev/x: the cluster denies it"), "{reason}");
        assert_eq!(evidence.unwrap()["refusals"][0]["code"], "ClusterConflict");
    }
}
