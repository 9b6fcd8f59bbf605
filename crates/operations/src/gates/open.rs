//! A gate is opened: its options are evaluated once, and its record is written.

use pilothouse_domain::attempt::Attempt;
use pilothouse_domain::expression::evaluate_all;
use pilothouse_domain::gate::{GateCheck, GateRun, GateSide, GateStatus};
use pilothouse_domain::pipeline::CheckSpec;
use pilothouse_domain::problem::Problems;
use pilothouse_domain::release::Release;
use pilothouse_domain::timeline::Happening;
use pilothouse_store::Transaction;
use serde_json::{Map, Value};

use super::{check_type, policy};
use crate::load::SYSTEM;
use crate::stage_steps::scope::scope;
use crate::{Context, OperationError};

/// Adds to `tx` what opens the gate of an attempt. A conflict when it was opened before. A gate whose options cannot be
/// evaluated has failed from the start: no sample would change that.
///
/// # Errors
/// [`OperationError::Inconsistent`] when the attempt has no gate on that side; the table's.
pub async fn open(
    context: &Context,
    release: &Release,
    attempt: &Attempt,
    side: GateSide,
    tx: Transaction,
) -> Result<Transaction, OperationError> {
    let policy = policy(release, attempt, side).ok_or_else(|| {
        OperationError::Inconsistent(format!("attempt {} has no gate {side} its stages", attempt.id))
    })?;
    let scope = gate_scope(context, release, attempt).await?;
    let now = context.now();
    let checks: Result<Vec<GateCheck>, String> =
        policy.checks.iter().map(|spec| evaluated(spec, &scope)).collect();
    let run = match checks {
        Ok(checks) => GateRun::open(&attempt.at, side, policy, checks, now),
        Err(reason) => GateRun::open(&attempt.at, side, policy, Vec::new(), now).given_up(&reason, now),
    };
    let opened = Happening::GatesOpened {
        side,
        checks: policy.checks.iter().map(|check| check.name.as_str()).collect::<Vec<_>>().join(", "),
        deadline: run.deadline,
    };
    let mut tx = tx.create(&run).event(context.event(&attempt.at, SYSTEM, opened));
    if run.status != GateStatus::Evaluating {
        tx = tx.event(context.event(&attempt.at, SYSTEM, ended(&run)));
    }
    Ok(tx)
}

/// What the expressions of an attempt's gates can read: what those of a stage that begins now could.
pub(super) async fn gate_scope(
    context: &Context,
    release: &Release,
    attempt: &Attempt,
) -> Result<Value, OperationError> {
    let runs = context.store.stage_runs(&attempt.at).await?;
    let before = context.approval_before(&attempt.at).await?;
    Ok(scope(release, attempt, runs.iter().map(|run| &run.record), before.as_ref()))
}

/// The event that a gate ended.
pub(super) fn ended(run: &GateRun) -> Happening {
    let reason = match &run.status {
        GateStatus::Failed { reason } => Some(reason.clone()),
        GateStatus::Passed | GateStatus::Evaluating => None,
    };
    Happening::GatesEnded {
        side: run.side,
        passed: run.status == GateStatus::Passed,
        samples: run.samples,
        reason,
    }
}

/// A check with its templates evaluated (X11: once).
fn evaluated(spec: &CheckSpec, scope: &Value) -> Result<GateCheck, String> {
    let verbatim = check_type(&spec.check_type)?.verbatim();
    let (kept, templates): (Map<String, Value>, Map<String, Value>) =
        spec.options.clone().into_iter().partition(|(key, _)| verbatim.contains(&key.as_str()));
    let evaluated = evaluate_all(&Value::Object(templates), scope)
        .map_err(|problems| format!("{}: {}", spec.name, Problems(problems)))?;
    let mut options = match evaluated {
        Value::Object(options) => options,
        _ => Map::new(),
    };
    options.extend(kept);
    Ok(GateCheck { name: spec.name.clone(), check_type: spec.check_type.clone(), options })
}
