//! Where a plan stands, and going on with it.

use jiff::Timestamp;
use pilothouse_domain::duration::Span;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::carry_out::{Outcome, carry_out};
use super::{Plan, Step};
use crate::OperationError;
use crate::stages::{Begun, Observed, StageContext, StageEnd};

/// Where a plan stands; the run's `action`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Position {
    /// The step that is under way, counted from 0.
    at: usize,
    /// Since when.
    since: Timestamp,
    /// What became of the steps before it.
    done: Vec<String>,
}

/// The plan of the stage is stored; from here on it is watched, which carries it out.
pub(crate) fn begin(stage: &StageContext<'_>) -> Result<Begun, OperationError> {
    let plan = plan(stage)?;
    if plan.steps.is_empty() {
        return Ok(Begun::Ended(StageEnd::succeeded(plan.output)));
    }
    let position = Position { at: 0, since: stage.context.now(), done: Vec::new() };
    let progress = progress(&plan, &position, None);
    Ok(Begun::Observe { action: written(&position)?, progress })
}

/// Goes on with the step that is under way, for up to `within`.
pub(crate) async fn look(stage: &StageContext<'_>, within: Span) -> Result<Observed, OperationError> {
    let (plan, position) = (plan(stage)?, position(stage)?);
    let Some(step) = plan.steps.get(position.at) else {
        return Ok(Observed::Ended(finished(&plan, &position)));
    };
    Ok(match carry_out(stage, step, position.since, within).await? {
        Outcome::Done(said) => {
            let mut done = position.done;
            done.push(said);
            let next = Position { at: position.at + 1, since: stage.context.now(), done };
            match plan.steps.get(next.at) {
                None => Observed::Ended(finished(&plan, &next)),
                Some(_) => {
                    Observed::Moved { action: written(&next)?, progress: progress(&plan, &next, None) }
                }
            }
        }
        Outcome::Pending { said, evidence } => {
            Observed::Pending { progress: progress(&plan, &position, Some(&said)), evidence }
        }
        Outcome::Ended(end) => Observed::Ended(after_steps(end, &position)),
    })
}

/// What a plan that is cancelled leaves behind.
pub(crate) fn left(stage: &StageContext<'_>) -> Result<Option<String>, OperationError> {
    if stage.run.action.is_null() {
        return Ok(super::super::rollout::unknown(stage));
    }
    let (plan, position) = (plan(stage)?, position(stage)?);
    let count = plan.steps.len();
    let open = plan.steps.get(position.at).map(Step::describe);
    let done = match position.done.last() {
        None => "nothing was changed".to_owned(),
        Some(last) => format!("{} of {count} steps done, the last: {last}", position.done.len()),
    };
    Ok(Some(match open {
        Some(open) => format!("{done}; under way: {open}; left as it is"),
        None => done,
    }))
}

fn plan(stage: &StageContext<'_>) -> Result<Plan, OperationError> {
    serde_json::from_value(stage.run.plan.clone())
        .map_err(|e| OperationError::Inconsistent(format!("the plan of stage `{}`: {e}", stage.run.stage)))
}

fn position(stage: &StageContext<'_>) -> Result<Position, OperationError> {
    stage.action()
}

fn written(position: &Position) -> Result<Value, OperationError> {
    serde_json::to_value(position)
        .map_err(|e| OperationError::Inconsistent(format!("the position cannot be written: {e}")))
}

/// `step 2 of 5: scale Deployment dev/web to 3`, with how that stands.
fn progress(plan: &Plan, position: &Position, said: Option<&str>) -> String {
    let step = plan.steps.get(position.at).map(Step::describe).unwrap_or_default();
    let head = format!("step {} of {}: {step}", position.at + 1, plan.steps.len());
    match said {
        Some(said) => format!("{head}: {said}"),
        None => head,
    }
}

/// All steps are done: the plan's output, and what each came to.
fn finished(plan: &Plan, position: &Position) -> StageEnd {
    let mut output = match &plan.output {
        Value::Object(map) => Value::Object(map.clone()),
        _ => json!({}),
    };
    output["steps"] = json!(position.done);
    StageEnd::succeeded(output)
}

/// A failure says what was done before it.
fn after_steps(end: StageEnd, position: &Position) -> StageEnd {
    StageEnd { output: json!({ "steps": position.done }), ..end }
}
