//! Pods that are not even created: quota, admission, and other refusals that a controller meets.

use serde_json::Value;

use super::pods::{self, Context, PodVerdict};
use crate::evidence::{Evidence, FailureReason, PodEvent, time};
use crate::object;

/// Judges whether the workload's controller is refused the pods that it wants. `context.events` are those about the workload.
pub(super) fn judge(live: &Value, context: &Context<'_, '_>) -> PodVerdict {
    let (since, message) = match context.workload.watched.object.kind.as_str() {
        "Deployment" => {
            let newest = pods::newest_replica_set(context.workload, live);
            let failure = newest.and_then(|set| object::condition(set, "ReplicaFailure"));
            let Some(failure) = failure.filter(|c| c["status"] == "True") else { return PodVerdict::Fine };
            let message = failure["message"].as_str().unwrap_or_default().to_owned();
            // The ReplicaSet may be older than our change, and have been refused its pods before.
            (time(&failure["lastTransitionTime"]).max(context.began), message)
        }
        _ => {
            let failed = context.events.iter().rev().map(|event| PodEvent::of(event)).find(|event| {
                event.reason == "FailedCreate" && (context.began.is_none() || event.last >= context.began)
            });
            let Some(failed) = failed else { return PodVerdict::Fine };
            (failed.first.max(context.began), failed.message)
        }
    };
    let reason = reason(&message);
    // A rolling update may free the quota itself; a webhook or the server may be away for a moment.
    if matches!(reason, FailureReason::QuotaExceeded | FailureReason::PodCreation)
        && let Some(left) = pods::remaining(since, context.options.quota_grace, context.now)
    {
        return PodVerdict::Suspect(left);
    }
    let evidence = Evidence::of_workload(&context.workload.watched.object, "FailedCreate", &message);
    PodVerdict::Failed(reason, Box::new(evidence))
}

fn reason(message: &str) -> FailureReason {
    let says = |words: &[&str]| words.iter().any(|words| message.contains(words));
    if says(&["exceeded quota", "failed quota"]) {
        FailureReason::QuotaExceeded
    } else if says(&["is forbidden: User "]) {
        FailureReason::Forbidden
    } else if says(&["failed calling webhook", "failed to call webhook", "error looking up service account"])
    {
        // The webhook does not answer, or the account may be made a moment later.
        FailureReason::PodCreation
    } else if says(&["denied the request", "violates PodSecurity", "is forbidden", "admission"]) {
        FailureReason::AdmissionDenied
    } else {
        FailureReason::PodCreation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart_by_their_words() {
        let quota = "pods \"web-1\" is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2";
        assert_eq!(reason(quota), FailureReason::QuotaExceeded);
        assert_eq!(
            reason("pods \"web-1\" is forbidden: violates PodSecurity \"restricted\""),
            FailureReason::AdmissionDenied
        );
        assert_eq!(
            reason("admission webhook \"p.example\" denied the request: no"),
            FailureReason::AdmissionDenied
        );
        assert_eq!(reason("Internal error occurred: etcd"), FailureReason::PodCreation);
        let unlimited = "pods \"web-1\" is forbidden: failed quota: compute: must specify limits.cpu";
        assert_eq!(reason(unlimited), FailureReason::QuotaExceeded);
        let account = "pods \"web-1\" is forbidden: error looking up service account dev/web: serviceaccount \"web\" not found";
        assert_eq!(reason(account), FailureReason::PodCreation);
        let rbac = "pods is forbidden: User \"system:serviceaccount:kube-system:replicaset-controller\" cannot create resource \"pods\"";
        assert_eq!(reason(rbac), FailureReason::Forbidden);
        let away = "Internal error occurred: failed calling webhook \"p.example\": admission took too long";
        assert_eq!(reason(away), FailureReason::PodCreation);
    }
}
