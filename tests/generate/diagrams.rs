//! The diagrams of every state machine, drawn from the transition functions themselves: what is drawn is what runs.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use pilothouse_domain::approval::{Approval, ApprovalEvent, ApprovalStatus, Decision, Subject};
use pilothouse_domain::attempt::samples::{events, states};
use pilothouse_domain::attempt::{
    AttemptRef, AttemptState, AttemptStatus, Control, ControlEvent, OperationStatus,
};
use pilothouse_domain::ids::{ApprovalId, ReleaseId};
use pilothouse_domain::pipeline::{Approver, OnExpiry};
use pilothouse_domain::release::{ReleaseEvent, ReleaseStatus};
use pilothouse_domain::stage::{StageEvent, StageStatus};
use pilothouse_domain::token::{Principal, Role};

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
    for machine in [release(), attempt(), control(), stage(), approval()] {
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
        ControlEvent::StagesOver => "no stage is left to begin",
        ControlEvent::Ended => "it ends",
        ControlEvent::Canceled => "it ends as canceled",
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

/// An approval that two people must give: drawn from what becomes of it, event by event, until nothing new is reached.
fn approval() -> Machine {
    let at =
        AttemptRef { release: ReleaseId::new(Default::default()), environment: "prod".to_owned(), number: 1 };
    let (opened, due) =
        (jiff::Timestamp::UNIX_EPOCH, jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(1));
    let mut edges = BTreeSet::new();
    let mut finals = BTreeSet::new();
    for on_expiry in [OnExpiry::Reject, OnExpiry::Approve, OnExpiry::Cancel] {
        let first = Approval {
            approvers: vec![Approver::Role("approver".to_owned())],
            required: 2,
            on_expiry,
            ..Approval::asking(
                ApprovalId::new(Default::default()),
                at.clone(),
                Subject::BeforeDeployment,
                opened,
                due,
            )
        };
        let mut reached = vec![first];
        while let Some(from) = reached.pop() {
            if !from.is_pending() {
                finals.insert(name_of(&from));
            }
            for (label, event) in approval_events(opened, due) {
                if let Ok(next) = from.apply(event) {
                    edges.insert((name_of(&from), label.to_owned(), name_of(&next)));
                    if next.status != from.status || next.decisions.len() > from.decisions.len() {
                        reached.push(next);
                    }
                }
            }
        }
    }
    Machine {
        title: "Approval",
        about: "The same before a deployment, after it and inside a stage. Here two must approve; a no of one is enough. What an expiry \
                counts as is the policy's `onExpiry`. Only one before a deployment can be deferred.",
        edges,
        firsts: vec!["Pending (A15, A24, A25)".to_owned()],
        finals,
    }
}

fn name_of(approval: &Approval) -> String {
    match &approval.status {
        ApprovalStatus::Pending if approval.given() > 0 => "Pending, 1 of 2 given (X7)",
        ApprovalStatus::Pending => "Pending (A15, A24, A25)",
        ApprovalStatus::Approved { defer_until: None, .. } => "Approved (A16, A29)",
        ApprovalStatus::Approved { defer_until: Some(_), .. } => "Approved, deferred (A18)",
        ApprovalStatus::Rejected { .. } => "Rejected (A17, A33)",
        ApprovalStatus::Expired { expired_as: OnExpiry::Reject } => "Expired, as rejected (X7)",
        ApprovalStatus::Expired { expired_as: OnExpiry::Approve } => "Expired, as approved (X7)",
        ApprovalStatus::Expired { expired_as: OnExpiry::Cancel } => "Expired, as canceled (X7)",
        ApprovalStatus::Canceled { .. } => "Canceled (A21, A32)",
    }
    .to_owned()
}

/// Everything that can happen to it, by who may decide and who may not, in time and late.
fn approval_events(now: jiff::Timestamp, due: jiff::Timestamp) -> Vec<(&'static str, ApprovalEvent)> {
    let who = |name: &str| Principal { name: name.to_owned(), role: Role::Approver };
    let decide = |name: &str, approve: bool, at, defer_until| {
        let decision = Decision {
            by: name.to_owned(),
            at,
            approve,
            comment: None,
            input: None,
            defer_until,
            via: None,
            saw: None,
        };
        ApprovalEvent::Decide(Box::new(decision), who(name))
    };
    let others = |name: &str| ApprovalEvent::Reassign {
        who: who(name),
        approvers: vec![Approver::Role("operator".to_owned())],
        now,
    };
    vec![
        ("approve", decide("ann", true, now, None)),
        ("approve", decide("bob", true, now, None)),
        ("approve for later", decide("bob", true, now, Some(due))),
        ("approve too late", decide("bob", true, due, None)),
        ("reject", decide("bob", false, now, None)),
        ("expire early", ApprovalEvent::Expire { now }),
        ("nobody decides in time", ApprovalEvent::Expire { now: due }),
        ("the deployment or stage ends", ApprovalEvent::Cancel { by: "cat".to_owned(), now }),
        ("reassign", others("ann")),
    ]
}
