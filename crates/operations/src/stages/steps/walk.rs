//! Where a plan stands, and going on with it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use pilothouse_cluster::ObjectRef;
use pilothouse_domain::duration::Span;
use pilothouse_domain::stage::StageStatus;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::carry_out::{Outcome, carry_out};
use super::{Plan, Step, TrafficStep};
use crate::OperationError;
use crate::stages::versions::TEMPLATE_LABEL;
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
        Outcome::Ended(end) => Observed::Ended(after_steps(end, &plan, &position)),
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
    let pinned = pinned(&plan.steps[..position.at.min(count)]);
    let told = match open {
        Some(open) => format!("{done}; under way: {open}; left as it is"),
        None => done,
    };
    Ok(Some(pinned.into_iter().fold(told, |told, pinned| format!("{told}; {pinned}"))))
}

/// The Services whose selector these steps tied to the pods of one template, and did not set free again: pods of another template,
/// as the next deployment would make them, get none of their traffic.
fn pinned(done: &[Step]) -> Vec<String> {
    let mut pinned: BTreeSet<&ObjectRef> = BTreeSet::new();
    for step in done {
        let Step::Traffic(TrafficStep::Select { service, selector, .. }) = step else { continue };
        match selector.contains_key(TEMPLATE_LABEL) {
            true => pinned.insert(service),
            false => pinned.remove(service),
        };
    }
    let told = |service: &ObjectRef| {
        format!(
            "{service} is left with `{TEMPLATE_LABEL}` in its selector, so it sends nothing to pods of another template: roll back, or \
             `divert-traffic`"
        )
    };
    pinned.into_iter().map(told).collect()
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

/// A failure says what was done before it, and what is not as it looks.
fn after_steps(end: StageEnd, plan: &Plan, position: &Position) -> StageEnd {
    let pinned = pinned(&plan.steps[..position.at.min(plan.steps.len())]);
    let status = match end.status {
        StageStatus::Failed { reason, evidence } => {
            let reason = pinned.into_iter().fold(reason, |reason, pinned| format!("{reason}; {pinned}"));
            StageStatus::Failed { reason, evidence }
        }
        other => other,
    };
    StageEnd { status, output: json!({ "steps": position.done }) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_service_that_is_tied_to_one_template_is_told_until_it_is_set_free() {
        let select = |key: &str| {
            Step::Traffic(TrafficStep::Select {
                service: ObjectRef::namespaced("v1", "Service", "dev", "web"),
                selector: BTreeMap::from([(key.to_owned(), "a".to_owned())]),
                what: String::new(),
            })
        };
        let told = pinned(&[select(TEMPLATE_LABEL)]).join("");
        assert!(
            told.starts_with("Service dev/web is left with `pod-template-hash` in its selector"),
            "{told}"
        );
        assert!(pinned(&[select(TEMPLATE_LABEL), select("version")]).is_empty());
    }
}
