//! Making a draft: a release that can be edited, and of which nothing starts by itself (A2).

use pilothouse_domain::ids::ReleaseId;
use pilothouse_domain::release::{Release, ReleaseStatus};
use pilothouse_domain::timeline::Happening;
use pilothouse_store::Transaction;

use crate::start_release::{of_release, skips};
use crate::{Context, OperationError, StartRelease};

/// Writes the draft. It keeps the pipeline's revision that it was made with, however often the pipeline is saved before it
/// starts. Drafts are made by hand: nothing is admitted by them, and a push of the same artifact starts its own release
/// (X1).
///
/// # Errors
/// [`OperationError`] when nothing was written.
pub async fn create_draft(context: &Context, ask: StartRelease) -> Result<Release, OperationError> {
    let id = ReleaseId::new(context.ids.ulid());
    let draft = ask.release(id, ReleaseStatus::Draft, context.now());
    let created =
        Happening::DraftCreated { cause: draft.cause.summary(), artifacts: draft.artifact_summary() };
    let event = of_release(&draft, draft.created_at, &draft.cause.actor(), created);
    context.store.commit(Transaction::new().create(&draft).event(event).events(skips(&draft))).await?;
    Ok(draft)
}
