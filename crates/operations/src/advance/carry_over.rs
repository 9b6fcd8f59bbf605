//! A retry from the failed stage takes over the runs of the stages that succeeded (H5).

use std::collections::BTreeSet;

use pilothouse_domain::attempt::{Attempt, AttemptRef, CarriedOver};
use pilothouse_domain::ids::StageRunId;
use pilothouse_domain::pipeline::StageSpec;
use pilothouse_domain::stage::StageRun;
use pilothouse_store::Transaction;
use serde_json::Value;

use crate::{Context, OperationError};

/// How many copies are written at once: a transaction takes 100 items.
const AT_ONCE: usize = 50;

/// Copies the runs that the attempt takes over, those that are not there yet. Its record says which, so whoever dies in
/// between leaves nothing undone: no stage begins before this step comes to its end, and each repetition copies the rest.
pub(super) async fn carry_over(
    context: &Context,
    attempt: &Attempt,
    stages: &[StageSpec],
) -> Result<(), OperationError> {
    let Some(carried) = &attempt.carried else { return Ok(()) };
    for _ in 0..super::settle::TRIES {
        if copy_missing(context, attempt, carried, stages).await? {
            return Ok(());
        }
    }
    Err(OperationError::Contended(format!("attempt {} of `{}`", attempt.at.number, attempt.at.environment)))
}

/// `false`: another call of this step writes them too, and what is missing is to be seen anew.
async fn copy_missing(
    context: &Context,
    attempt: &Attempt,
    carried: &CarriedOver,
    stages: &[StageSpec],
) -> Result<bool, OperationError> {
    let there: BTreeSet<String> =
        context.store.stage_runs(&attempt.at).await?.into_iter().map(|r| r.record.stage).collect();
    let wanted = |name: &String| carried.stages.contains(name) && stages.iter().any(|s| s.name == *name);
    let from = AttemptRef { number: carried.from, ..attempt.at.clone() };
    let earlier = context.store.stage_runs(&from).await?.into_iter().map(|r| r.record);
    let copies: Vec<StageRun> = earlier
        .filter(|run| wanted(&run.stage) && !there.contains(&run.stage))
        .map(|run| copy(context, attempt, run))
        .collect();
    for part in copies.chunks(AT_ONCE) {
        let tx = part.iter().fold(Transaction::new(), Transaction::create);
        if !context.commit(tx).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The run as it ended then. What it changed is the earlier attempt's to take back: its snapshot stays there.
fn copy(context: &Context, attempt: &Attempt, run: StageRun) -> StageRun {
    StageRun {
        id: StageRunId::new(context.ids.ulid()),
        carried_from: Some(run.carried_from.unwrap_or(run.at.number)),
        at: attempt.at.clone(),
        plan: Value::Null,
        action: Value::Null,
        has_snapshot: false,
        touched: Vec::new(),
        ..run
    }
}
