//! The diagrams of every state machine, drawn from the transition functions themselves: what is drawn is what runs.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use pilothouse_domain::attempt::samples::{events, states};
use pilothouse_domain::attempt::{AttemptState, AttemptStatus, Control, ControlEvent, OperationStatus};
use pilothouse_domain::release::{ReleaseEvent, ReleaseStatus};
use pilothouse_domain::stage::{StageEvent, StageStatus};

/// A state machine as it is drawn.
struct Machine {
    title: &'static str,
    about: &'static str,
    /// From, event, to.
    edges: BTreeSet<(String, String, String)>,
    firsts: Vec<String>,
    finals: BTreeSet<String>,
}

/// The document: every machine with its diagram and its table.
pub(crate) fn document() -> String {
    let mut text = String::from(
        "# States\n\nGenerated from the transition functions by `cargo xtask generate`; what is not drawn is refused. An id in \
         brackets is the feature that\nnames the state (`A13`: Azure's pairs, `N15`: the plans' control, `T27`: the stages' ends).\n",
    );
    for machine in [release(), attempt(), control(), stage()] {
        draw(&mut text, &machine);
    }
    text
}

fn draw(text: &mut String, machine: &Machine) {
    let _ = write!(text, "\n## {}\n\n{}\n\n```mermaid\nstateDiagram-v2\n", machine.title, machine.about);
    let id = |state: &str| state.chars().filter(char::is_ascii_alphanumeric).collect::<String>();
    let mut names: BTreeSet<&String> = machine.edges.iter().flat_map(|(from, _, to)| [from, to]).collect();
    names.extend(&machine.firsts);
    for name in &names {
        let _ = writeln!(text, "  {}: {name}", id(name));
    }
    for first in &machine.firsts {
        let _ = writeln!(text, "  [*] --> {}", id(first));
    }
    let pairs: BTreeSet<(&String, &String)> = machine.edges.iter().map(|(from, _, to)| (from, to)).collect();
    for (from, to) in pairs {
        let events: Vec<&str> = machine
            .edges
            .iter()
            .filter(|(f, _, t)| f == from && t == to)
            .map(|(_, event, _)| event.as_str())
            .collect();
        let _ = writeln!(text, "  {} --> {}: {}", id(from), id(to), events.join(", "));
    }
    for last in &machine.finals {
        let _ = writeln!(text, "  {} --> [*]", id(last));
    }
    text.push_str("```\n");
}

fn release() -> Machine {
    use ReleaseStatus::{Abandoned, Active, Draft};
    let events = [
        (ReleaseEvent::Edited, "edit"),
        (ReleaseEvent::Started, "start"),
        (ReleaseEvent::ActedIn { action: "act" }, "deploy, approve, cancel, roll back"),
        (ReleaseEvent::Abandoned { under_way: Vec::new() }, "abandon"),
    ];
    let name = |status: ReleaseStatus| match status {
        Draft => "Draft (A2)".to_owned(),
        Active => "Active (A3)".to_owned(),
        Abandoned => "Abandoned (A4)".to_owned(),
    };
    let edges = [Draft, Active, Abandoned].into_iter().flat_map(|from| {
        events.iter().filter_map(move |(event, label)| {
            from.apply(event).ok().map(|to| (name(from), (*label).to_owned(), name(to)))
        })
    });
    Machine {
        title: "Release",
        about: "A release that is started at once begins as Active.",
        edges: edges.collect(),
        firsts: vec![name(Draft), name(Active)],
        finals: BTreeSet::from([name(Abandoned)]),
    }
}

fn attempt() -> Machine {
    let mut edges = BTreeSet::new();
    for state in states() {
        for event in events() {
            if let Ok(next) = state.apply(event.clone()) {
                edges.insert((pair(&state), event.action().to_owned(), pair(&next)));
            }
        }
    }
    let first = [AttemptState::Queued, AttemptState::Scheduled { at: jiff::Timestamp::UNIX_EPOCH }];
    Machine {
        title: "Deployment attempt",
        about: "The pairs `<status, operationStatus>` of A13-A38, and no others. `<NotDeployed, GatesFailed>` is final unless \
                the gates are set to ask for approval.",
        edges,
        firsts: first.iter().map(pair).collect(),
        finals: states().iter().filter(|s| s.is_terminal()).map(pair).collect(),
    }
}

fn pair(state: &AttemptState) -> String {
    let (status, operation) = state.pair();
    format!("{status:?}, {operation:?} ({})", feature(status, operation))
}

fn feature(status: AttemptStatus, operation: OperationStatus) -> &'static str {
    use AttemptStatus as S;
    use OperationStatus as O;
    match (status, operation) {
        (S::NotDeployed, O::Queued) => "A13",
        (S::NotDeployed, O::Scheduled) => "A14",
        (S::NotDeployed, O::Pending) => "A15",
        (S::NotDeployed, O::Approved) => "A16",
        (S::NotDeployed, O::Rejected) => "A17",
        (S::NotDeployed, O::Deferred) => "A18",
        (S::NotDeployed, O::QueuedForAgent) => "A19",
        (S::NotDeployed, O::QueuedForPipeline) => "A20",
        (S::NotDeployed, O::Canceled) => "A21",
        (S::NotDeployed, O::EvaluatingGates) => "A34",
        (S::NotDeployed, O::GatesFailed) => "A35",
        (S::InProgress, O::PhaseInProgress) => "A22",
        (S::InProgress, O::PhaseSucceeded) => "A23",
        (S::InProgress, O::ManualInterventionPending) => "A24",
        (S::InProgress, O::Pending) => "A25",
        (S::InProgress, O::QueuedForAgent) => "A26",
        (S::InProgress, O::QueuedForPipeline) => "A27",
        (S::InProgress, O::Cancelling) => "A28",
        (S::InProgress, O::EvaluatingGates) => "A36",
        (S::InProgress, O::GatesFailed) => "A37",
        (S::Succeeded, _) => "A29",
        (S::PartiallySucceeded, _) => "A30",
        (S::Failed, O::PhaseFailed) => "A31",
        (S::Failed, O::Canceled) => "A32",
        (S::Failed, O::Rejected) => "A33",
        (S::Failed, O::GatesFailed) => "A38",
        _ => "not documented",
    }
}

fn control() -> Machine {
    let label = |event: ControlEvent| match event {
        ControlEvent::PauseRequested => "pause",
        ControlEvent::StopRequested => "stop, cancel",
        ControlEvent::Resumed => "resume",
        ControlEvent::Drained => "what ran has ended",
        ControlEvent::ExecutionLost => "its execution is lost too often",
    };
    let name = |control: Control| format!("{control:?} (N15)");
    let edges = Control::ALL.into_iter().flat_map(|from| {
        ControlEvent::ALL.into_iter().filter_map(move |event| {
            from.apply(event).ok().map(|to| (name(from), label(event).to_owned(), name(to)))
        })
    });
    Machine {
        title: "Control of an attempt",
        about: "Beside its pair an attempt has a control (N12-N15). A failure while it pauses or stops is a failure.",
        edges: edges.collect(),
        firsts: vec![name(Control::Running)],
        finals: BTreeSet::from([name(Control::Stopped)]),
    }
}

fn stage() -> Machine {
    let text = String::new;
    let statuses = [
        StageStatus::Running,
        StageStatus::AwaitingAnswer { approval: None },
        StageStatus::Succeeded,
        StageStatus::Skipped { reason: text() },
        StageStatus::NotRun { reason: text() },
        StageStatus::Failed { reason: text(), evidence: None },
        StageStatus::Canceled { by: text(), left: None },
    ];
    let events = || {
        let begin = [(StageEvent::Begun, "begin"), (StageEvent::Asked { approval: None }, "ask or wait")];
        begin.into_iter().chain(statuses.iter().map(|s| (StageEvent::Ended(s.clone()), "end")))
    };
    let name = |status: &StageStatus| match status {
        StageStatus::Running => "Running".to_owned(),
        StageStatus::AwaitingAnswer { .. } => "AwaitingAnswer (T35, T37)".to_owned(),
        StageStatus::Succeeded => "Succeeded".to_owned(),
        StageStatus::Skipped { .. } => "Skipped (T31)".to_owned(),
        StageStatus::NotRun { .. } => "NotRun (T27)".to_owned(),
        StageStatus::Failed { .. } => "Failed (T29, T30)".to_owned(),
        StageStatus::Canceled { .. } => "Canceled (A28)".to_owned(),
    };
    let mut edges: BTreeSet<_> = events()
        .filter_map(|(event, label)| {
            StageStatus::first(event).ok().map(|to| ("NotStarted".to_owned(), label.to_owned(), name(&to)))
        })
        .collect();
    for from in &statuses {
        edges.extend(events().filter_map(|(event, label)| {
            from.apply(event).ok().map(|to| (name(from), label.to_owned(), name(&to)))
        }));
    }
    Machine {
        title: "Stage run",
        about: "A stage without a record has not started.",
        edges,
        firsts: vec!["NotStarted".to_owned()],
        finals: statuses.iter().filter(|s| s.is_terminal()).map(name).collect(),
    }
}
