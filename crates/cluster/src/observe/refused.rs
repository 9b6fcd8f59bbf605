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
            (time(&failure["lastTransitionTime"]), message)
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
    if reason == FailureReason::QuotaExceeded
        && let Some(left) = pods::remaining(since, context.options.quota_grace, context.now)
    {
        return PodVerdict::Suspect(left);
    }
    let evidence = Evidence::of_workload(&context.workload.watched.object, "FailedCreate", &message);
    PodVerdict::Failed(reason, Box::new(evidence))
}

fn reason(message: &str) -> FailureReason {
    if message.contains("exceeded quota") {
        FailureReason::QuotaExceeded
    } else if ["denied the request", "violates PodSecurity", "is forbidden", "admission"]
        .iter()
        .any(|w| message.contains(w))
    {
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
    }
}
