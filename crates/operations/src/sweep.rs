//! Every minute, and when an embedded system starts: what lost its execution gets a new one from the records
//! (invariant 1), what waits for something that has come already is woken, and what is overdue ends (X3).

use futures::{StreamExt as _, stream};
use pilothouse_domain::attempt::{Attempt, AttemptState, AttemptStatus, Control};
use pilothouse_domain::duration::Span;
use pilothouse_domain::timeline::Happening;
use pilothouse_store::{Transaction, Versioned};

use crate::children::heed_parent;
use crate::control_deployment::{changed, end_overdue_pause, end_overdue_wait, interrupted};
use crate::executions::ExecutionState;
use crate::load::SYSTEM;
use crate::stage_steps::end_overdue;
use crate::wake::wake_again;
use crate::{Context, OperationError};

/// How long after the end of a cancel's time its own steps may take to notice.
const GRACE: Span = Span::from_secs(30);

/// How many attempts are looked after at once.
const AT_ONCE: usize = 16;

/// What a sweep did. In a healthy system all but `examined` are 0.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Swept {
    /// How many attempts were looked at.
    pub examined: u32,
    /// How many executions were started that had never been, or were lost.
    pub started: u32,
    /// How many executions had ended too early and were started anew.
    pub restarted: u32,
    /// How many were lost so often that they wait for a person now (N15).
    pub interrupted: u32,
    /// How many stages, pauses, interruptions and waits for room after a pause had outlived their deadline, and releases the
    /// stage that waited for them.
    pub expired: u32,
    /// How many leases were freed that an attempt still held after its end.
    pub freed: u32,
    /// How many attempts could not be looked after; the next sweep tries again.
    pub failed: u32,
}

impl Swept {
    fn add(&mut self, other: &Self) {
        self.examined += other.examined;
        self.started += other.started;
        self.restarted += other.restarted;
        self.interrupted += other.interrupted;
        self.expired += other.expired;
        self.freed += other.freed;
        self.failed += other.failed;
    }
}

/// Looks after every attempt that is not complete, several at once. Those younger than `grace` are left alone: whoever
/// created them is about to start them.
///
/// # Errors
/// [`OperationError`] when the open attempts cannot be listed.
pub async fn sweep(context: &Context, grace: Span) -> Result<Swept, OperationError> {
    let mut swept = Swept::default();
    let mut cursor = None;
    loop {
        let page = context.store.attempts_open(100, cursor.as_ref()).await?;
        let young = |attempt: &Versioned<Attempt>| {
            grace.after(attempt.record.created_at) > context.now() && grace.as_millis() > 0
        };
        let due = page.items.into_iter().filter(|attempt| !young(attempt));
        let mut found =
            stream::iter(due.map(|attempt| look_after_one(context, attempt))).buffer_unordered(AT_ONCE);
        while let Some(one) = found.next().await {
            swept.add(&one);
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(swept);
        }
    }
}

async fn look_after_one(context: &Context, attempt: Versioned<Attempt>) -> Swept {
    let mut swept = Swept { examined: 1, ..Swept::default() };
    if let Err(error) = look_after(context, &attempt, &mut swept).await {
        swept.failed += 1;
        tracing::warn!(%error, attempt = %attempt.record.id, "left for the next sweep");
    }
    swept
}

async fn look_after(
    context: &Context,
    attempt: &Versioned<Attempt>,
    swept: &mut Swept,
) -> Result<(), OperationError> {
    if attempt.record.is_hold_over(context.now()) && end_overdue_pause(context, &attempt.record.at).await? {
        swept.expired += 1;
        return Ok(());
    }
    // What has ended needs nobody's decision, whatever an earlier version made of it.
    if attempt.record.control == Control::Interrupted && !attempt.record.state.is_terminal() {
        return Ok(());
    }
    let waits_again =
        attempt.record.state.status() == AttemptStatus::InProgress && attempt.record.in_line_for().is_some();
    if waits_again && end_overdue_wait(context, &attempt.record.at).await? {
        swept.expired += 1;
        return Ok(());
    }
    match context.executions.state(&attempt.record).await? {
        ExecutionState::Running => {
            if let AttemptState::Cancelling { until: Some(until), .. } = &attempt.record.state
                && GRACE.after(*until) < context.now()
            {
                swept.expired += end_overdue(context, &attempt.record).await?;
            }
            swept.expired += u32::from(heed_parent(context, &attempt.record).await?);
            swept.freed += wake_again(context, &attempt.record).await?;
            Ok(())
        }
        ExecutionState::Missing => {
            context.executions.start(&attempt.record).await?;
            swept.started += 1;
            Ok(())
        }
        ExecutionState::Ended => restart(context, attempt, swept).await,
    }
}

async fn restart(
    context: &Context,
    seen: &Versioned<Attempt>,
    swept: &mut Swept,
) -> Result<(), OperationError> {
    // The list may be older than the record.
    let attempt = context.attempt(&seen.record.at).await?;
    if attempt.record.completed_at.is_some() || attempt.record.restarts != seen.record.restarts {
        return Ok(());
    }
    let losses = attempt.record.losses.one_more(context.now());
    if losses.is_too_often() {
        // What has ended needs nobody's decision, and what is being cancelled or stopped has had it: it is tried again an
        // hour after the first loss.
        let ended = attempt.record.state.is_terminal();
        let next = if ended { None } else { interrupted(context, &attempt.record).await? };
        let Some(next) = next else {
            tracing::warn!(attempt = %attempt.record.id, "its execution is lost again and again; it is tried less often");
            return Ok(());
        };
        let tx = Transaction::new().replace(&attempt, &next).event(changed(context, &next, SYSTEM));
        swept.interrupted += u32::from(context.commit(tx).await?);
        return Ok(());
    }
    let next = Attempt { restarts: attempt.record.restarts + 1, losses, ..attempt.record.clone() };
    let what = Happening::ExecutionRestarted { restarts: next.restarts };
    let tx = Transaction::new().replace(&attempt, &next).event(context.event(&next.at, SYSTEM, what));
    if context.commit(tx).await? {
        context.executions.start(&next).await?;
        swept.restarted += 1;
    }
    Ok(())
}
