//! Which attempts a rollback takes back: those of the release that followed one another in the environment.

use pilothouse_domain::attempt::Attempt;
use pilothouse_store::Versioned;

use crate::{Context, OperationError};

/// The most earlier attempts that one rollback takes back: all of them are written in one transaction.
const MOST_EARLIER: usize = 12;

/// The attempts before `undone` whose changes were there when it began: of the same release, neither taken back nor
/// followed by another release's deployment. The latest first.
///
/// A redeployment after a failure that stayed takes its snapshots of what the failure left behind. To get back to the
/// state before the release (H6), what the failed attempt had changed is taken back too.
pub(super) async fn earlier(
    context: &Context,
    undone: &Attempt,
) -> Result<Vec<Versioned<Attempt>>, OperationError> {
    let mut candidates: Vec<Versioned<Attempt>> = context
        .store
        .attempts(&undone.at.release)
        .await?
        .into_iter()
        .filter(|a| a.record.at.environment == undone.at.environment && a.record.at.number < undone.at.number)
        .filter(|a| !a.record.is_rollback() && a.record.started_at.is_some())
        .collect();
    candidates.sort_by_key(|a| std::cmp::Reverse(a.record.at.number));
    let Some(oldest) = candidates.last().map(|a| a.record.clone()) else { return Ok(candidates) };
    let others = context.changes_by_others(&oldest, undone).await?;
    let mut chain = Vec::new();
    let mut later = undone.fence;
    for candidate in candidates {
        let came_between = others.iter().any(|o| o.fence > candidate.record.fence && o.fence < later);
        if came_between || context.was_taken_back(&candidate.record).await? || chain.len() == MOST_EARLIER {
            break;
        }
        later = candidate.record.fence;
        chain.push(candidate);
    }
    Ok(chain)
}
