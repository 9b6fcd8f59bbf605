//! A release as lines: one for each environment's attempt, each decision that was asked for, and each stage.

use jiff::Timestamp;
use owo_colors::OwoColorize;
use pilothouse_domain::attempt::{AttemptStatus, Control, OperationStatus};
use pilothouse_domain::gate::GateSide;
use pilothouse_domain::pipeline::Start;
use pilothouse_serve_api::api::{
    Asks, AttemptPurpose, AttemptView, EnvironmentView, ExecutionName, Outcome, ReleaseView, StageState,
    StageView,
};

use super::approvals;
use super::describe::{FEW, log_lines, proof};
use super::gates::of_gate;
use super::outputs;
use super::time::elapsed;
use super::waits::{hint, quoted};

/// What stands before a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// It heads the lines below.
    Heading,
    /// It has not begun.
    Pending,
    /// It is under way.
    Running,
    /// It waits for a person.
    Waiting,
    /// It ended well.
    Done,
    /// It was passed over.
    Skipped,
    /// It ended badly.
    Failed,
    /// It proves the line above, or says how what it waits for comes.
    Proof,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// What the line is about: stays the same from one view of the release to the next.
    pub(crate) key: String,
    pub(crate) mark: Mark,
    pub(crate) name: String,
    /// How long it took, or takes by now.
    pub(crate) took: String,
    pub(crate) note: String,
}

/// The lines of a release as it stands `now`.
pub(crate) fn lines(view: &ReleaseView, now: Timestamp) -> Vec<Line> {
    let mut lines = Vec::new();
    for environment in &view.environments {
        if environment.attempts.is_empty() {
            lines.push(not_started(environment));
        }
        for attempt in &environment.attempts {
            lines.push(heading(view, environment, attempt));
            let key = format!("{}#{}", environment.name, attempt.number);
            let gates = |side| attempt.gates.iter().filter(move |gate| gate.side == side);
            lines.extend(gates(GateSide::Before).flat_map(|gate| of_gate(&key, gate, now)));
            // In the order of time: what is asked after the stages and their gate stands below them.
            let asked =
                |after| attempt.approvals.iter().filter(move |a| (a.asks == Asks::AfterDeployment) == after);
            lines.extend(asked(false).flat_map(|approval| approvals::lines(&key, approval, now)));
            if attempt.started_at.is_some() {
                for stage in &attempt.stages {
                    lines.extend(of_stage(&key, stage, now));
                    lines.extend(
                        hint(view, &environment.name, stage, now).map(|note| below(&key, stage, note)),
                    );
                    lines.extend(outputs::shown(stage).map(|note| Line {
                        key: format!("{key}/{}/output", stage.name),
                        ..below(&key, stage, note)
                    }));
                }
            }
            lines.extend(gates(GateSide::After).flat_map(|gate| of_gate(&key, gate, now)));
            lines.extend(asked(true).flat_map(|approval| approvals::lines(&key, approval, now)));
        }
    }
    lines
}

fn not_started(environment: &EnvironmentView) -> Line {
    let note = match (environment.start, environment.after.as_slice()) {
        _ if environment.skipped => "is skipped in this release".to_owned(),
        _ if environment.held.is_some() => held(environment),
        (Start::Manual, _) => "starts when somebody deploys it".to_owned(),
        (Start::Automatic, []) => String::new(),
        (Start::Automatic, after) => format!("after {}", after.join(", ")),
    };
    let note = match &environment.schedule {
        Some(schedule) if !environment.skipped && note.is_empty() => format!("starts {schedule}"),
        Some(schedule) if !environment.skipped => format!("{note}, {schedule}"),
        _ => note,
    };
    Line {
        // The first attempt takes this line's place.
        key: format!("{}#1", environment.name),
        mark: Mark::Heading,
        name: environment.name.clone(),
        took: String::new(),
        note,
    }
}

/// What keeps the release from starting here by itself (X4).
fn held(environment: &EnvironmentView) -> String {
    let Some(hold) = &environment.held else { return String::new() };
    format!(
        "held since release {} was rolled back here ({}): starts when somebody deploys it",
        hold.release, hold.reason
    )
}

fn heading(release: &ReleaseView, environment: &EnvironmentView, attempt: &AttemptView) -> Line {
    let name = match (attempt.kind, &attempt.undoes) {
        (AttemptPurpose::Rollback, Some(undone)) => {
            // The rest of it stands above, where it happened.
            let why = attempt.rollback_trigger.as_deref().and_then(|why| why.split(": ").next());
            let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
            let (name, number) = (&environment.name, attempt.number);
            format!("{name}, attempt {number}: rollback of attempt {}{why}", undone.number)
        }
        (AttemptPurpose::Deploy, _) => environment.name.clone(),
        _ => format!("{}, attempt {}", environment.name, attempt.number),
    };
    let took = attempt.started_at.zip(attempt.ended_at).map(|(from, to)| elapsed(from, to));
    let mut note = attempt_in_words(attempt).to_owned();
    if let Some(took) = took {
        note = format!("{note} after {took}");
    }
    note.push_str(undone(attempt.execution));
    note.push_str(&besides(attempt));
    if let Some(reason) = &attempt.reason {
        note = format!("{note}: {}", without_what_its_stages_say(reason, attempt));
    }
    if attempt.open && matches!(attempt.control, Control::Paused | Control::Interrupted) {
        let place = quoted(&environment.name);
        note = format!("{note}; go on with `pilothouse resume {} {place}`", release.id);
    }
    Line {
        key: format!("{}#{}", environment.name, attempt.number),
        mark: Mark::Heading,
        name,
        took: String::new(),
        note,
    }
}

/// What is special about an attempt: how it rolls back, what it takes over, what it overrides.
fn besides(attempt: &AttemptView) -> String {
    let mut words = String::new();
    if let Some(rollback) = &attempt.rollback {
        match (&rollback.pipeline, &rollback.restores) {
            (Some(pipeline), Some(release)) => {
                words = format!(", runs pipeline {pipeline} with release {release}");
            }
            (_, Some(release)) => words = format!(", back to release {release}"),
            _ => {}
        }
        if let Some(note) = &rollback.note {
            words = format!("{words} ({note})");
        }
    }
    if let Some(number) = attempt.continues {
        words = format!("{words}, goes on from attempt {number}");
    }
    if let Some(held) = &attempt.overrides {
        let by = said_by(&attempt.created_by, attempt.override_reason.as_deref());
        words = format!("{words}, overrides the hold of {held} {by}");
    }
    if let Some(urgent) = &attempt.freeze_override {
        words = format!("{words}, in spite of a freeze {}", said_by(&urgent.by, Some(&urgent.reason)));
    }
    match &attempt.rollback_requested_by {
        Some(_) if attempt.rolled_back_by.is_some() => {}
        Some(_) if attempt.open => words.push_str(", is rolled back then"),
        Some(by) => {
            words = format!("{words}, {by} asked for a rollback: nothing had been changed in the cluster");
        }
        None => {}
    }
    words
}

/// Who took something upon themselves, and why.
pub(crate) fn said_by(who: &str, why: Option<&str>) -> String {
    match why {
        Some(why) => format!("({who}: “{why}”)"),
        None => format!("({who})"),
    }
}

/// What became of an attempt that is taken back (V15).
fn undone(execution: ExecutionName) -> &'static str {
    match execution {
        ExecutionName::RollingBack => ", is rolled back",
        ExecutionName::RollbackCompleted => ", was rolled back",
        ExecutionName::RollbackFailed => ", could not be rolled back",
        _ => "",
    }
}

/// An attempt's reason repeats that of the stage that failed, which has a line of its own.
fn without_what_its_stages_say<'a>(reason: &'a str, attempt: &AttemptView) -> &'a str {
    let said = attempt.stages.iter().filter_map(|s| s.reason.as_deref()).filter(|r| !r.is_empty());
    let short = said.filter_map(|r| reason.strip_suffix(r)?.strip_suffix(": ")).next();
    short.unwrap_or(reason)
}

fn attempt_in_words(attempt: &AttemptView) -> &'static str {
    state_in_words(attempt.kind, attempt.status, attempt.operation_status, attempt.control, attempt.open)
}

/// The pair that an attempt is in (A13-A38), as people say it.
pub(crate) fn state_in_words(
    kind: AttemptPurpose,
    status: AttemptStatus,
    operation_status: OperationStatus,
    control: Control,
    open: bool,
) -> &'static str {
    use {AttemptStatus as S, OperationStatus as O};
    match (status, operation_status) {
        (_, O::Queued) => "waits for its turn",
        (_, O::Scheduled | O::Deferred) => "waits for its time",
        (S::NotDeployed | S::InProgress, O::Pending) => "waits for approval",
        (_, O::QueuedForAgent | O::QueuedForPipeline) => "waits for a slot",
        (_, O::EvaluatingGates) => "gates are evaluated",
        (_, O::ManualInterventionPending) => "waits for a person",
        (_, O::Cancelling) => "is being canceled",
        (_, O::Canceled) => "canceled",
        (_, O::Rejected) => "rejected",
        (S::Succeeded, _) => "succeeded",
        (S::PartiallySucceeded, _) => "succeeded in part",
        (S::NotDeployed | S::InProgress, O::GatesFailed) if open => "waits for approval",
        (S::Failed, _) | (_, O::GatesFailed) => "failed",
        _ if matches!(control, Control::Paused | Control::Interrupted) => "waits",
        _ if kind == AttemptPurpose::Rollback => "rolls back",
        _ => "deploys",
    }
}

/// The cluster of a stage that names its own, unless its name says so already: `Deploy (eu)`.
fn elsewhere(stage: &StageView) -> Option<&str> {
    let cluster = stage.cluster.as_deref()?;
    (!stage.name.contains(&format!("({cluster})"))).then_some(cluster)
}

fn of_stage(attempt: &str, stage: &StageView, now: Timestamp) -> Vec<Line> {
    let mark = match stage.status {
        StageState::NotStarted => Mark::Pending,
        StageState::Running => Mark::Running,
        StageState::AwaitingAnswer => Mark::Waiting,
        StageState::Succeeded => Mark::Done,
        StageState::Skipped | StageState::NotRun => Mark::Skipped,
        StageState::Failed | StageState::Canceled => Mark::Failed,
    };
    let took = match (stage.started_at, stage.ended_at, stage.status.is_active()) {
        (Some(from), Some(to), _) => elapsed(from, to),
        (Some(from), None, true) => elapsed(from, now),
        _ => String::new(),
    };
    let passed_over = match stage.status {
        StageState::Skipped => Some("skipped"),
        StageState::NotRun => Some("not run"),
        _ => None,
    };
    let note = match (stage.reason.as_deref().or(stage.progress.as_deref()), passed_over) {
        (Some(why), Some(how)) => format!("{how}: {why}"),
        (None, Some(how)) => how.to_owned(),
        (None, None) if stage.carried_from.is_some() => "taken over".to_owned(),
        (None, None) if stage.always_run => "always runs".to_owned(),
        (why, None) => why.unwrap_or_default().to_owned(),
    };
    let note = match elsewhere(stage) {
        Some(cluster) if note.is_empty() => format!("in {cluster}"),
        Some(cluster) => format!("in {cluster}: {note}"),
        None => note,
    };
    let key = format!("{attempt}/{}", stage.name);
    let notes = stage.notes.iter().enumerate().map(|(index, note)| Line {
        key: format!("{key}/note{index}"),
        mark: Mark::Proof,
        name: String::new(),
        took: String::new(),
        note: note.clone(),
    });
    let notes: Vec<Line> = notes.collect();
    let proofs = stage.evidence.iter().flat_map(|e| proof(e).into_iter().chain(log_lines(e, FEW)));
    let proven: Vec<Line> = proofs
        .enumerate()
        .map(|(index, note)| Line {
            key: format!("{key}/proof{index}"),
            mark: Mark::Proof,
            name: String::new(),
            took: String::new(),
            note,
        })
        .collect();
    let line = Line { key, mark, name: stage.name.clone(), took, note };
    std::iter::once(line).chain(proven).chain(notes).collect()
}

/// What more there is to say of a stage that waits.
fn below(attempt: &str, stage: &StageView, note: String) -> Line {
    let key = format!("{attempt}/{}/wait", stage.name);
    Line { key, mark: Mark::Proof, name: String::new(), took: String::new(), note }
}

/// The lines of a release that is looked at once.
pub(crate) fn whole(lines: &[Line]) -> String {
    let width = name_width(lines);
    let written = lines.iter().map(|line| match line.mark {
        Mark::Running => format!("  {} {}\n", "◐".cyan(), text(line, width)),
        _ => format!("{}\n", still(line, width)),
    });
    written.collect()
}

/// What a release came to, as people say it.
pub(crate) fn outcome_in_words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::NotStarted => "not started",
        Outcome::InProgress => "in progress",
        Outcome::AwaitingPerson => "waits for a person",
        Outcome::Succeeded => "succeeded",
        Outcome::PartiallySucceeded => "succeeded in part",
        Outcome::RolledBack => "rolled back",
        Outcome::Canceled => "canceled",
        Outcome::Rejected => "rejected",
        Outcome::Failed => "failed",
    }
}

/// A line that does not move. What runs has a spinner in the place of its mark, and uses [`text`] instead.
pub(crate) fn still(line: &Line, width: usize) -> String {
    let text = text(line, width);
    match line.mark {
        Mark::Heading | Mark::Proof => text,
        Mark::Pending => format!("  {} {}", "·".dimmed(), text.dimmed()),
        Mark::Running => format!("  {text}"),
        Mark::Waiting => format!("  {} {text}", "◷".yellow()),
        Mark::Done => format!("  {} {text}", "✓".green()),
        Mark::Skipped => format!("  {} {}", "–".dimmed(), text.dimmed()),
        Mark::Failed => format!("  {} {text}", "✗".red()),
    }
}

/// A line without its mark.
pub(crate) fn text(line: &Line, width: usize) -> String {
    let text = match line.mark {
        Mark::Heading if line.note.is_empty() => line.name.bold().to_string(),
        Mark::Heading => format!("{}  {}", line.name.bold(), line.note.dimmed()),
        Mark::Proof => format!("    {:width$}  {:>7}  {}", "", "", line.note.dimmed()),
        Mark::Failed => format!("{:width$}  {:>7}  {}", line.name, line.took, line.note.red()),
        _ => format!("{:width$}  {:>7}  {}", line.name, line.took, line.note),
    };
    text.trim_end().to_owned()
}

/// The width of the longest name that is no heading.
pub(crate) fn name_width(lines: &[Line]) -> usize {
    lines.iter().filter(|l| l.mark != Mark::Heading).map(|l| l.name.chars().count()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use pilothouse_serve_api::api::FreezeOverride;

    use super::*;
    use crate::view::samples::{at, full};

    fn written(view: &ReleaseView) -> String {
        anstream::adapter::strip_str(&whole(&lines(view, at(20)))).to_string()
    }

    #[test]
    fn a_release_is_written_with_its_decisions_stages_and_proofs() {
        insta::assert_snapshot!(written(&full()), @r"
        dev  succeeded after 5.0s
          ✓ Deploy          5.0s
        prod  failed after 4.0s, is rolled back: stage `Deploy` failed
          ✓ approval        6.0s  approved by ann
          ✗ Deploy          4.0s  pod web-1: CrashLoopBackOff
                                  Warning BackOff on Pod web-1, 3 times: Back-off restarting
          – Smoke test            not run: stage `Deploy` failed
        prod, attempt 2: rollback of attempt 1  rolls back
          ◐ Undo Deploy     7.0s  1 of 2 pods ready
        asia  after prod
        ");
    }

    #[test]
    fn what_always_runs_says_so() {
        let mut view = full();
        view.environments[0].attempts[0].stages[0].always_run = true;
        assert!(written(&view).contains("✓ Deploy          5.0s  always runs\n"), "{}", written(&view));
    }

    #[test]
    fn a_stage_on_a_cluster_of_its_own_says_so_once() {
        let mut view = full();
        view.environments[0].attempts[0].stages[0].cluster = Some("eu".to_owned());
        assert!(written(&view).contains("✓ Deploy          5.0s  in eu\n"), "{}", written(&view));
        view.environments[0].attempts[0].stages[0].name = "Deploy (eu)".to_owned();
        assert!(!written(&view).contains("in eu"), "{}", written(&view));
    }

    #[test]
    fn what_somebody_overrode_is_told_with_who_and_why() {
        let mut view = full();
        let release = view.id.clone();
        let attempt = &mut view.environments[0].attempts[0];
        attempt.created_by = "ann".to_owned();
        attempt.overrides = Some(release);
        attempt.override_reason = Some("repaired".to_owned());
        let urgent = FreezeOverride { by: "bob".to_owned(), reason: "the fix".to_owned() };
        attempt.freeze_override = Some(urgent);
        let first = written(&view).lines().next().unwrap().to_owned();
        insta::assert_snapshot!(first, @"dev  succeeded after 5.0s, overrides the hold of rel_00000000010000000000000001 (ann: “repaired”), in spite of a freeze (bob: “the fix”)");
    }

    #[test]
    fn what_is_paused_waits_and_says_how_it_goes_on() {
        let mut view = full();
        view.environments[1].attempts[1].control = Control::Paused;
        let paused = written(&view).lines().find(|line| line.contains("attempt 2")).unwrap().to_owned();
        insta::assert_snapshot!(paused, @"prod, attempt 2: rollback of attempt 1  waits; go on with `pilothouse resume rel_00000000010000000000000001 prod`");
    }

    #[test]
    fn what_is_skipped_or_waits_for_its_time_says_so() {
        let mut view = full();
        view.environments[0].attempts.clear();
        view.environments[0].skipped = true;
        view.environments[1].attempts.truncate(1);
        let waiting = &mut view.environments[1].attempts[0];
        waiting.status = AttemptStatus::NotDeployed;
        waiting.operation_status = OperationStatus::Scheduled;
        waiting.execution = ExecutionName::Running;
        waiting.reason =
            Some("starts at 2026-11-23T08:00:00+01:00 (next window of prod, Europe/Berlin)".to_owned());
        (waiting.started_at, waiting.ended_at) = (None, None);
        waiting.approvals.clear();
        view.environments[2].schedule = Some("daily at 22:00, UTC".to_owned());
        insta::assert_snapshot!(written(&view), @r"
        dev  is skipped in this release
        prod  waits for its time: starts at 2026-11-23T08:00:00+01:00 (next window of prod, Europe/Berlin)
        asia  after prod, daily at 22:00, UTC
        ");
    }

    #[test]
    fn a_stage_that_waits_says_for_what_until_when_and_how_it_is_ended() {
        insta::assert_snapshot!(written(&crate::view::samples::waiting()), @r"
        dev  waits for a person
          ◷ answer for Look           pending (0 of 1 given), asked of role approver, answers: go, hold, expires in 7d
          ◷ Settle             10.0s  waits
                                      goes on at 2026-09-21T15:13:40Z, in 1h, or by `pilothouse skip rel_00000000010000000000000001 dev Settle`; warning: “Traffic is high.”
          ◷ Cool down          10.0s  waits
                                      goes on at 2026-09-21T15:13:40Z, in 1h; it cannot be skipped
          ✓ Deploy cache        2.0s
                                      started rel_00000000080000000000000008; see `pilothouse release show rel_00000000080000000000000008`
          ◷ Look               10.0s  waits
                                      fails at 2026-09-21T15:13:40Z, in 1h, unless by `pilothouse approve rel_00000000010000000000000001 dev --approval apr_00000000040000000000000003 --input go|hold` or `reject`
          ◷ Deploy db          10.0s  waits
                                      fails at 2026-09-21T15:13:40Z, in 1h, unless rel_00000000090000000000000009 ends; see `pilothouse release show rel_00000000090000000000000009`
        ");
    }

    #[test]
    fn a_line_keeps_its_key_while_what_it_says_changes() {
        let mut view = full();
        let keys = |view: &ReleaseView| lines(view, at(20)).into_iter().map(|l| l.key).collect::<Vec<_>>();
        let before = keys(&view);
        view.environments[1].attempts[1].stages[0].status = StageState::Succeeded;
        assert_eq!(keys(&view), before);
        let mut unique = before.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), before.len());
    }
}
