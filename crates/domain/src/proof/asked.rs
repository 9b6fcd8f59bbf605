//! What was asked of people and of gates, held against the events: who was asked, what they were shown, what they
//! decided, and what each gate came to (X7, A34-A38).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::Export;
use super::agreement::{Discrepancy, Place, at};
use crate::approval::{Approval, ApprovalStatus, Subject, Via, names_of};
use crate::gate::{GateRun, GateSide, GateStatus};
use crate::timeline::{Event, Happening};

/// One decision, as its record and its event tell it alike.
#[derive(Debug, Clone, PartialEq)]
struct Decided {
    by: String,
    approve: bool,
    comment: Option<String>,
    input: Option<String>,
    defer_until: Option<Timestamp>,
    via: Option<Via>,
    saw: Option<String>,
}

/// What the records of one place say, or its events.
#[derive(Default)]
struct Tally {
    approvals: usize,
    expired: usize,
    decisions: Vec<Decided>,
}

/// What only the events of one place say.
#[derive(Default)]
struct Asked {
    /// For each approval: whether it was the one after the deployment, and the hash of what was shown.
    shown: Vec<(bool, Option<String>)>,
    /// Everybody who was asked, at first or later.
    approvers: BTreeSet<String>,
}

/// The end of a gate: whether it passed, after how many samples, and why not.
type GateEnd = (bool, u32, Option<String>);

/// What the events say of one gate.
#[derive(Default)]
struct ToldOfGate {
    opened: usize,
    ends: Vec<GateEnd>,
}

/// Everything in which approvals and gates differ from their events.
pub(super) fn discrepancies(export: &Export) -> Vec<Discrepancy> {
    let (mut told, asked) = gather(&export.events);
    let mut found = Vec::new();
    let mut recorded: BTreeMap<Place, Tally> = BTreeMap::new();
    for approval in &export.approvals {
        let place = place_of(approval);
        let none = Asked::default();
        let differs = compare_question(approval, asked.get(&place).unwrap_or(&none));
        found.extend(differs.into_iter().map(|what| at(&place, what)));
        let here = recorded.entry(place).or_default();
        here.approvals += 1;
        here.expired += usize::from(matches!(approval.status, ApprovalStatus::Expired { .. }));
        here.decisions.extend(decisions(approval));
    }
    let places: BTreeSet<Place> = recorded.keys().chain(told.keys()).cloned().collect();
    for place in places {
        let recorded = recorded.remove(&place).unwrap_or_default();
        let told = told.remove(&place).unwrap_or_default();
        found.extend(compare(&recorded, &told).into_iter().map(|what| at(&place, what)));
    }
    compare_gates(export, &mut found);
    found
}

fn place_of(approval: &Approval) -> Place {
    let stage = approval.subject.stage().map(str::to_owned);
    (approval.at.environment.clone(), approval.at.number, stage)
}

fn decisions(approval: &Approval) -> impl Iterator<Item = Decided> {
    approval.decisions.iter().cloned().map(|decision| Decided {
        by: decision.by,
        approve: decision.approve,
        comment: decision.comment,
        input: decision.input,
        defer_until: decision.defer_until,
        via: decision.via,
        saw: decision.saw,
    })
}

fn gather(events: &[Event]) -> (BTreeMap<Place, Tally>, BTreeMap<Place, Asked>) {
    let mut tallies: BTreeMap<Place, Tally> = BTreeMap::new();
    let mut questions: BTreeMap<Place, Asked> = BTreeMap::new();
    for event in events {
        let (Some(environment), Some(attempt)) = (&event.environment, event.attempt) else { continue };
        let place: Place = (environment.clone(), attempt, event.stage.clone());
        match event.what.clone() {
            Happening::ApprovalRequested { approvers, after, shown, .. } => {
                let asked = questions.entry(place.clone()).or_default();
                asked.shown.push((after, shown));
                asked.approvers.insert(approvers);
                tallies.entry(place).or_default().approvals += 1;
            }
            Happening::ApprovalReassigned { to, .. } => {
                questions.entry(place).or_default().approvers.insert(to);
            }
            Happening::ApprovalExpired { .. } => tallies.entry(place).or_default().expired += 1,
            Happening::ApprovalDecided { approve, comment, input, defer_until, via, saw, .. } => {
                let by = event.actor.clone();
                let decided = Decided { by, approve, comment, input, defer_until, via, saw };
                tallies.entry(place).or_default().decisions.push(decided);
            }
            _ => {}
        }
    }
    (tallies, questions)
}

/// What is wrong with the question of one approval: whom it asks, and what it shows them.
fn compare_question(approval: &Approval, told: &Asked) -> Vec<String> {
    let mut found = Vec::new();
    let after = approval.subject == Subject::AfterDeployment;
    let told_hashes: Vec<_> = told.shown.iter().filter(|(side, _)| *side == after).collect();
    match told_hashes.as_slice() {
        [] => found.push("an approval was asked for, and no event says so".to_owned()),
        [(_, hash)] if *hash != approval.shown_hash => {
            found.push("what the approvers were shown is not what the event says".to_owned());
        }
        _ => {}
    }
    if approval.shown.as_ref().is_some_and(|shown| Some(shown.hash()) != approval.shown_hash) {
        found.push(
            "what the approvers were shown does not have the hash that was recorded with it".to_owned(),
        );
    }
    let asks = names_of(&approval.approvers);
    if !told.shown.is_empty() && !told.approvers.contains(&asks) {
        let told = told.approvers.iter().map(String::as_str).collect::<Vec<_>>().join(" or ");
        found.push(format!("its approval asks {asks}, and the events say {told}"));
    }
    found
}

/// What is wrong between the approvals of one place and its events.
fn compare(recorded: &Tally, told: &Tally) -> Vec<String> {
    let mut found = Vec::new();
    // Without any event there is none for each approval, which was found before.
    if recorded.approvals != told.approvals && told.approvals > 0 {
        let (is, said) = (recorded.approvals, told.approvals);
        found.push(format!("it has {is} approvals, and the events say {said}"));
    }
    if recorded.expired != told.expired {
        let (is, said) = (recorded.expired, told.expired);
        found.push(format!("{is} of its approvals expired, and the events say {said}"));
    }
    let short = |tally: &Tally| {
        let mut list: Vec<_> = tally.decisions.iter().map(|d| (d.by.clone(), d.approve)).collect();
        list.sort();
        list
    };
    let (decided, said) = (short(recorded), short(told));
    if decided != said {
        found.push(format!("its decisions are {}, and the events say {}", list(&decided), list(&said)));
    } else if let Some(other) = recorded.decisions.iter().find(|d| !told.decisions.contains(d)) {
        let by = &other.by;
        found.push(format!("what {by} said, chose or saw is not what the event of that decision says"));
    }
    found
}

fn list(decisions: &[(String, bool)]) -> String {
    let tell = |(by, approve): &(String, bool)| format!("{} by {by}", if *approve { "yes" } else { "no" });
    match decisions {
        [] => "none".to_owned(),
        several => several.iter().map(tell).collect::<Vec<_>>().join(", "),
    }
}

/// Each gate was opened once, and its end has one event that says the same.
fn compare_gates(export: &Export, found: &mut Vec<Discrepancy>) {
    // An earlier version left them out of its documents.
    let Some(gates) = &export.gates else { return };
    let mut told: BTreeMap<(Place, GateSide), ToldOfGate> = BTreeMap::new();
    for event in &export.events {
        let (Some(environment), Some(attempt)) = (&event.environment, event.attempt) else { continue };
        let gate = |side: &GateSide| ((environment.clone(), attempt, None), *side);
        match &event.what {
            Happening::GatesOpened { side, .. } => told.entry(gate(side)).or_default().opened += 1,
            Happening::GatesEnded { side, passed, samples, reason } => {
                let end = (*passed, *samples, reason.clone());
                told.entry(gate(side)).or_default().ends.push(end);
            }
            _ => {}
        }
    }
    for run in gates {
        let place: Place = (run.at.environment.clone(), run.at.number, None);
        let told = told.remove(&(place.clone(), run.side)).unwrap_or_default();
        found.extend(compare_gate(run, &told).map(|what| at(&place, format!("gate {}: {what}", run.side))));
    }
    found
        .extend(told.into_keys().map(|(place, side)| {
            at(&place, format!("gate {side}: events tell of it, and it has no record"))
        }));
}

fn compare_gate(run: &GateRun, told: &ToldOfGate) -> Option<String> {
    if told.opened != 1 {
        return Some(format!("{} events say that it was opened, and there must be one", told.opened));
    }
    let end: Option<GateEnd> = match &run.status {
        GateStatus::Evaluating => None,
        GateStatus::Passed => Some((true, run.samples, None)),
        GateStatus::Failed { reason } => Some((false, run.samples, Some(reason.clone()))),
    };
    match (end, told.ends.as_slice()) {
        (None, []) => None,
        (Some(end), [one]) if end == *one => None,
        (end, told) => {
            let said = told.iter().map(tell).collect::<Vec<_>>().join(", ");
            let said = if said.is_empty() { "nothing of its end".to_owned() } else { said };
            Some(format!(
                "it {}, and the events say {said}",
                end.as_ref().map_or("did not end".to_owned(), tell)
            ))
        }
    }
}

fn tell((passed, samples, reason): &GateEnd) -> String {
    let how = if *passed { "passed" } else { "failed" };
    let why = reason.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
    format!("{how} after {samples} samples{why}")
}
