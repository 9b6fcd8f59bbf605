//! An approval that is bound to what the deployment would do: another plan needs another approval (X6).

use std::time::Duration;

use pilothouse_domain::approval::ShownPlan;
use pilothouse_domain::attempt::{Attempt, AttemptEvent};
use pilothouse_domain::pipeline::ApprovalPolicy;
use pilothouse_domain::release::Release;
use pilothouse_store::{Transaction, Versioned};
use sha2::{Digest as _, Sha256};

use crate::approvals::approval_before;
use crate::lanes::{leaving_line, letting_go, slots_held, wake_lane};
use crate::load::SYSTEM;
use crate::preview::{ChangeKind, Preview, StagePreview, of_attempt};
use crate::{Context, OperationError};

/// How long the clusters may take to say what they would do: a step must come to its end.
const PATIENCE: Duration = Duration::from_secs(15);
/// The most lines that an approver is shown.
const MOST_LINES: usize = 100;
/// The most characters of a line.
const MOST_CHARS: usize = 600;

/// What the approvers are shown of the plan, if the policy asks for it. A plan that cannot be had is shown as what it is, and
/// is another one as soon as it can be.
pub(super) async fn planned(
    context: &Context,
    release: &Release,
    attempt: &Attempt,
    policy: &ApprovalPolicy,
) -> Result<Option<ShownPlan>, OperationError> {
    let Some(spec) = release.environment(&attempt.at.environment).filter(|_| policy.preview) else {
        return Ok(None);
    };
    let preview = tokio::time::timeout(PATIENCE, of_attempt(context, release, spec, attempt)).await;
    Ok(Some(match preview {
        Ok(Ok(preview)) => shown(&preview),
        Ok(Err(error)) => unknown(&error.to_string()),
        Err(_) => unknown(&format!("the cluster did not answer within {} s", PATIENCE.as_secs())),
    }))
}

/// Opens the approval again when what would be done now is not what was approved. `true`: look again. Asked once the approval
/// is given, when a deployment that was put off begins, and at the last hurdle before the stages.
pub(super) async fn ask_again(
    context: &Context,
    attempt: &Versioned<Attempt>,
) -> Result<bool, OperationError> {
    let release = context.release(&attempt.record.at.release).await?.record;
    let approvals = release.environment(&attempt.record.at.environment).and_then(|e| e.approvals.as_ref());
    let Some(policy) = approvals.and_then(|a| a.before.as_ref()).filter(|policy| policy.preview) else {
        return Ok(false);
    };
    let given = context.approval_before(&attempt.record.at).await?;
    let approved = given.and_then(|approval| approval.shown).and_then(|shown| shown.plan);
    let now = planned(context, &release, &attempt.record, policy).await?;
    if approved.as_ref().map(|plan| &plan.hash) == now.as_ref().map(|plan| &plan.hash) {
        return Ok(false);
    }
    let next = attempt.record.apply(AttemptEvent::PlanChanged, SYSTEM, context.now())?;
    let why = Some("the plan is not the one that was approved".to_owned());
    let (approval, asked) = approval_before(context, &release, &next, policy, now, why);
    let tx = Transaction::new().replace(attempt, &next).create(&approval).event(asked);
    // It waits for people now, and not for room: others get it meanwhile.
    let mut lanes = slots_held(&attempt.record);
    let tx = letting_go(context, &attempt.record, &lanes, tx).await?;
    let tx = leaving_line(context, &attempt.record, tx).await?;
    lanes.extend(context.stand_of(&attempt.record).await?.map(|stand| stand.lane));
    if context.commit(tx).await? {
        for lane in &lanes {
            wake_lane(context, lane).await?;
        }
    }
    Ok(true)
}

fn unknown(why: &str) -> ShownPlan {
    let line = cut(&format!("the plan is not known: {why}"));
    ShownPlan { hash: hex::encode(Sha256::digest(line.as_bytes())), lines: vec![line] }
}

fn shown(preview: &Preview) -> ShownPlan {
    let mut lines: Vec<String> = preview.stages.iter().flat_map(of_stage).map(|line| cut(&line)).collect();
    if let Some(more) = lines.len().checked_sub(MOST_LINES).filter(|more| *more > 0) {
        lines.truncate(MOST_LINES);
        lines.push(format!("and {more} more lines: see `pilothouse release preview`"));
    }
    ShownPlan { hash: preview.hash.clone(), lines }
}

fn of_stage(stage: &StagePreview) -> Vec<String> {
    let name = &stage.name;
    let mut lines = Vec::new();
    for change in stage.changes.iter().filter(|change| change.kind != ChangeKind::None) {
        let what = match change.kind {
            ChangeKind::Create => "create",
            ChangeKind::Delete => "delete",
            ChangeKind::Change | ChangeKind::None => "change",
        };
        lines.push(format!("{name}: {what} {}", change.object));
        if change.kind == ChangeKind::Change {
            lines.extend(change.fields.iter().map(|field| format!("{name}:   {field}")));
        }
    }
    if lines.is_empty() {
        lines.extend(stage.steps.iter().map(|step| format!("{name}: {step}")));
    }
    lines.extend(stage.guard.iter().map(|said| format!("{name}: {said}")));
    lines.extend(stage.problem.iter().map(|why| format!("{name} would fail: {why}")));
    lines
}

fn cut(line: &str) -> String {
    match line.char_indices().nth(MOST_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}
