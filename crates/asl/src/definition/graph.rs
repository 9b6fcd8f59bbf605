//! Whether every state of a flow can be reached, and an end exists.

use super::{Flow, Kind, Next};
use crate::Problem;

/// Checks one flow whose object stands at `path`.
pub(super) fn check(flow: &Flow, path: &str, problems: &mut Vec<Problem>) {
    if !flow.states.iter().any(|state| state.next == Next::End && !matches!(state.kind, Kind::Choice(_))) {
        problems.push(Problem {
            code: "MISSING_END_STATE",
            path: path.to_owned(),
            message: "Workflow has no terminal state".to_owned(),
        });
        return;
    }
    let mut reached = vec![false; flow.states.len()];
    let mut pending = vec![flow.start];
    while let Some(index) = pending.pop() {
        if !std::mem::replace(&mut reached[index], true) {
            pending.extend(targets(flow, index));
        }
    }
    for (state, _) in flow.states.iter().zip(reached).filter(|(_, reached)| !reached) {
        problems.push(Problem {
            code: "MISSING_TRANSITION_TARGET",
            path: format!("{path}/States/{}", state.name),
            message: format!("State \"{}\" is not reachable.", state.name),
        });
    }
}

fn targets(flow: &Flow, index: usize) -> Vec<usize> {
    let state = &flow.states[index];
    let mut targets: Vec<usize> = state.catch.iter().map(|catcher| catcher.next).collect();
    if let Kind::Choice(rules) = &state.kind {
        targets.extend(rules.iter().map(|rule| rule.next));
    }
    if let Next::State(next) = state.next {
        targets.push(next);
    }
    targets
}
