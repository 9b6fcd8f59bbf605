//! Waits until a Service sends traffic to the pods of a workload, or no more (X8).

use pilothouse_cluster::{Cluster, Endpoints, ObjectRef};
use pilothouse_domain::duration::Span;

use super::carry_out::Outcome;
use crate::OperationError;

/// Waits until so many of its pods are among the Service's ready endpoints.
pub(super) async fn routed(
    cluster: &Cluster,
    object: &ObjectRef,
    service: &str,
    least: u32,
    within: Span,
) -> Result<Outcome, OperationError> {
    let seen = behind(cluster, object, service, within, |count| enough(count, least)).await?;
    let told = format!("Service {service} has {seen} ready pods of {object}");
    Ok(if enough(seen, least) { Outcome::Done(told) } else { Outcome::pending(told) })
}

/// Waits until none of its pods is among the Service's ready endpoints.
pub(super) async fn unrouted(
    cluster: &Cluster,
    object: &ObjectRef,
    service: &str,
    within: Span,
) -> Result<Outcome, OperationError> {
    Ok(match behind(cluster, object, service, within, |count| count == 0).await? {
        0 => Outcome::Done(format!("Service {service} sends nothing to {object}")),
        left => Outcome::pending(format!("Service {service} still has {left} ready pods of {object}")),
    })
}

fn enough(count: usize, least: u32) -> bool {
    count >= usize::try_from(least).unwrap_or(usize::MAX)
}

/// How many pods of the workload the Service has ready, once `done` holds of that, or after `within`.
async fn behind(
    cluster: &Cluster,
    object: &ObjectRef,
    service: &str,
    within: Span,
    done: impl Fn(usize) -> bool,
) -> Result<usize, OperationError> {
    let pods = cluster.workload_pods(object).await?;
    let count = |seen: &Endpoints| {
        seen.ready.iter().filter(|name| pods.ready.contains(*name) || pods.not_ready.contains(*name)).count()
    };
    let namespace = object.namespace.as_deref().unwrap_or_default();
    let seen =
        cluster.endpoints_until(namespace, service, within.as_duration(), |seen| done(count(seen))).await?;
    Ok(count(&seen))
}
