//! The releases above one: who started whom, and which environments they hold meanwhile.

use pilothouse_domain::release::{Cause, Release};

use crate::{Context, OperationError};

/// How many releases may stand above one.
pub(crate) const MOST_ABOVE: usize = 10;

/// A stage that started a release, directly or through others.
pub(super) struct Above {
    /// The application of its release.
    pub(super) application: String,
    /// The pipeline of its release.
    pub(super) pipeline: String,
    /// The environment that its attempt holds.
    pub(super) environment: String,
    /// Whether every stage from there on waits, so that it holds its environment all the while.
    pub(super) waits: bool,
}

/// The stages above `release`, the nearest first; at most one more than are allowed.
pub(super) async fn above(context: &Context, release: &Release) -> Result<Vec<Above>, OperationError> {
    let mut found: Vec<Above> = Vec::new();
    let mut cause = release.cause.clone();
    let mut waits = true;
    while found.len() <= MOST_ABOVE {
        // Nobody waits for a rerun, but it is as deep as what it repeats.
        waits &= !matches!(cause, Cause::Rerun { .. });
        let Cause::Pipeline(parent) = cause.origin().clone() else { break };
        waits &= parent.waited;
        found.push(Above {
            application: parent.application.clone(),
            pipeline: parent.pipeline.clone(),
            environment: parent.environment.clone(),
            waits,
        });
        cause = context.release(&parent.release).await?.record.cause;
    }
    Ok(found)
}
