//! Events in words, and the timeline of a release.

use std::fmt::Write;

use jiff::Timestamp;
use owo_colors::OwoColorize;
use pilothouse_domain::attempt::Control;
use pilothouse_domain::timeline::{Event, Happening};
use serde_json::Value;

use super::time::elapsed;
use super::{approvals, lanes};

/// What happened, in one line; digests are shortened, as the record holds them whole.
pub(crate) fn describe(event: &Event) -> String {
    shortened(&in_full(event))
}

/// The first twelve digits of each digest are enough for people.
pub(crate) fn shortened(text: &str) -> String {
    const DIGEST: &str = "sha256:";
    let mut short = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(DIGEST) {
        let (before, from) = rest.split_at(start + DIGEST.len());
        let digits = from.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(from.len());
        short.push_str(before);
        if digits == 64 {
            short.push_str(&from[..12]);
            short.push('…');
        } else {
            short.push_str(&from[..digits]);
        }
        rest = &from[digits..];
    }
    short.push_str(rest);
    short
}

/// A stage's failure is told where it happened; what follows from it only names the stage.
fn clause(reason: &str) -> &str {
    match reason.split_once(" failed: ") {
        Some((stage, _)) if stage.starts_with("stage `") => &reason[..stage.len() + " failed".len()],
        _ => reason,
    }
}

fn in_full(event: &Event) -> String {
    let by = &event.actor;
    match &event.what {
        Happening::ReleaseStarted { cause, artifacts } => {
            carrying(&format!("release started: {cause}"), artifacts)
        }
        Happening::DraftCreated { cause, artifacts } => carrying(&draft_made(cause), artifacts),
        Happening::DraftEdited { changes } => format!("{by} edited the draft: {}", changes.join("; ")),
        Happening::DraftStarted { artifacts } => carrying(&format!("{by} started the draft"), artifacts),
        Happening::EnvironmentsSkipped { environments } => format!("skips {}", environments.join(", ")),
        Happening::ReleaseAbandoned { reason } => format!("{by} abandoned the release: {reason}"),
        Happening::ChildStarted { child, pipeline, waited } => {
            let then = if *waited { ", and waits for it" } else { "" };
            format!("started {child} ({pipeline}){then}")
        }
        Happening::ParentGaveUp { parent } => {
            format!("{parent}, which waits for this release, does so no more: what is under way is canceled")
        }
        Happening::DeploymentQueued { kind } => format!("{kind} queued by {by}"),
        Happening::DeploymentScheduled { kind, starts } => {
            format!("{kind} scheduled by {by}: starts at {starts:.0}")
        }
        Happening::ScheduleOverridden { starts } => {
            format!("{by} started it at once instead of at {starts:.0}")
        }
        Happening::LaneAwaited { .. }
        | Happening::RoomAwaited { .. }
        | Happening::RoomFound {}
        | Happening::DeploymentFrozen { .. }
        | Happening::DeploymentThawed {}
        | Happening::FreezeOverridden { .. }
        | Happening::LaneEntered { .. } => lanes::in_words(by, &event.what),
        Happening::ApprovalRequested { .. }
        | Happening::ApprovalDecided { .. }
        | Happening::ApprovalReassigned { .. }
        | Happening::ApprovalLinkMade { .. }
        | Happening::ApprovalExpired { .. } => approvals::in_words(by, &event.what),
        Happening::GatesOpened { side, checks, deadline } => {
            format!("gate {side} the stages opened, until {deadline:.0}: {checks}")
        }
        Happening::GatesChanged { side, sample, passed, reason } => {
            let how = if *passed { "passes" } else { "does not pass" };
            ended(&format!("gate {side} the stages {how} (sample {sample})"), reason.as_deref())
        }
        Happening::GatesEnded { side, passed, samples, reason } => {
            let how = if *passed { "passed" } else { "failed" };
            let of = if *samples == 1 { "sample" } else { "samples" };
            ended(&format!("gate {side} the stages {how} after {samples} {of}"), reason.as_deref())
        }
        Happening::DeploymentStarted {} => "deployment started".to_owned(),
        Happening::StageStarted { stage_type } => format!("started ({stage_type})"),
        Happening::StageEnded { status, reason, .. } => ended(in_words(status), reason.as_deref()),
        Happening::ControlChanged { control, reason } => {
            ended(&format!("{} ({by})", in_control(*control)), reason.as_deref())
        }
        Happening::DeploymentDeferred { until } => format!("approved, to start at {until:.0}"),
        Happening::CancelRequested {} => format!("{by} asked to cancel"),
        Happening::WaitSkipped { warning } => {
            format!("{by} ended the wait early{}", in_spite_of(warning.as_deref()))
        }
        Happening::WaitShortened { until, warning } => {
            format!("{by} shortened the wait: it ends at {until:.0}{}", in_spite_of(warning.as_deref()))
        }
        Happening::DeploymentEnded { status, operation_status, reason, .. } => {
            ended(&format!("deployment ended: <{status}, {operation_status}>"), reason.as_deref().map(clause))
        }
        Happening::RollbackStarted { rollback, trigger, way } => {
            let way = way.as_ref().map(|way| format!("; it {way}")).unwrap_or_default();
            format!("rollback started as attempt {rollback}: {}{way}", clause(trigger))
        }
        Happening::RollbackRequested {} => format!("{by} asked for a rollback when the cancel is over"),
        Happening::NothingToRollBack {} => {
            "no rollback: the deployment had changed nothing in the cluster".to_owned()
        }
        Happening::StagesCarriedOver { from, stages } if stages.is_empty() => {
            format!("goes on from attempt {from}, of which nothing can be taken over")
        }
        Happening::StagesCarriedOver { from, stages } => {
            format!("takes over from attempt {from}: {}", stages.join(", "))
        }
        Happening::EnvironmentHeld { held, reason } => {
            format!(
                "held, does not start by itself: release {held} was rolled back here ({})",
                clause(reason)
            )
        }
        Happening::HoldOverridden { held, reason } => {
            let why = reason.as_ref().map(|why| format!(": “{why}”")).unwrap_or_default();
            format!("{by} overrides the hold since release {held} was rolled back here{why}")
        }
        Happening::HoldLifted { reason } => {
            let why = reason.as_ref().map(|why| format!(": “{why}”")).unwrap_or_default();
            format!("{by} lifted the hold of this release{why}")
        }
        Happening::ExecutionRestarted { restarts } => {
            format!("its execution was lost and started anew (restart {restarts})")
        }
    }
}

/// The warning that somebody was given, and set aside.
fn in_spite_of(warning: Option<&str>) -> String {
    warning.map(|w| format!(", in spite of “{w}”")).unwrap_or_default()
}

/// With the artifacts, where there are any.
fn carrying(what: &str, artifacts: &str) -> String {
    ended(what, (!artifacts.is_empty()).then_some(artifacts))
}

/// A person's cause alone would read as if the draft had been started.
fn draft_made(cause: &str) -> String {
    match cause.strip_prefix("started by ") {
        Some(by) => format!("draft made by {by}"),
        None => format!("draft made: {cause}"),
    }
}

fn ended(what: &str, reason: Option<&str>) -> String {
    match reason {
        Some(reason) => format!("{what}: {reason}"),
        None => what.to_owned(),
    }
}

fn in_control(control: Control) -> &'static str {
    match control {
        Control::Running => "resumed",
        Control::Pausing => "pausing: what runs comes to its end",
        Control::Paused => "paused",
        Control::Stopping => "stopping: what runs comes to its end",
        Control::Stopped => "stopped",
        Control::Interrupted => {
            "interrupted: its execution is lost again and again, resume it when the cause is gone"
        }
    }
}

fn in_words(status: &str) -> &str {
    match status {
        "notRun" => "not run",
        other => other,
    }
}

/// Where it happened: `prod #2 · Deploy`; the release itself when nowhere else.
pub(crate) fn place(event: &Event) -> String {
    let mut text = event.environment.clone().unwrap_or_else(|| "release".to_owned());
    if let Some(attempt) = event.attempt {
        let _ = write!(text, " #{attempt}");
    }
    if let Some(stage) = &event.stage {
        let _ = write!(text, " · {stage}");
    }
    text
}

/// The event of the cluster that proves a failure (H12, X10), in one line.
pub(crate) fn proof(evidence: &Value) -> Option<String> {
    let event = evidence.get("event")?;
    let text = |name: &str| event.get(name).and_then(Value::as_str).filter(|t| !t.is_empty());
    let count = event.get("count").and_then(Value::as_i64).filter(|n| *n > 1);
    let times = count.map(|n| format!(", {n} times")).unwrap_or_default();
    let about = text("about").map(|a| format!(" on {a}")).unwrap_or_default();
    let message = text("message").map(|m| format!(": {}", m.trim_end())).unwrap_or_default();
    Some(format!("{} {}{about}{times}{message}", text("type").unwrap_or("Event"), text("reason")?))
}

/// The last lines of the log of the container that failed (X10), at most `most` of them, or why there are none.
pub(crate) fn log_lines(evidence: &Value, most: usize) -> Vec<String> {
    let Some(log) = evidence.get("log").filter(|log| log.is_object()) else { return Vec::new() };
    let container = log["container"].as_str().unwrap_or("container");
    if let Some(note) = log["note"].as_str() {
        return vec![format!("log of {container}: {note}")];
    }
    let lines: Vec<&str> = log["lines"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    lines[lines.len().saturating_sub(most)..].iter().map(|line| format!("{container} │ {line}")).collect()
}

/// How many lines of a log are shown where it is one proof among others.
pub(crate) const FEW: usize = 5;

/// What proves what an event says, line by line; nothing if it carries no proof.
pub(crate) fn proof_of(event: &Event) -> Vec<String> {
    match &event.what {
        Happening::StageEnded { evidence: Some(evidence), .. } => {
            proof(evidence).into_iter().chain(log_lines(evidence, FEW)).collect()
        }
        _ => Vec::new(),
    }
}

/// The timeline of a release: when since its start, where, what; one line an event, and one below for its proof.
pub(crate) fn timeline(events: &[Event]) -> String {
    let Some(first) = events.first() else { return "nothing happened yet".to_owned() };
    let width = events.iter().map(|e| place(e).chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for event in events {
        let _ = writeln!(text, "{}", line(event, first.at, width));
        for proof in proof_of(event) {
            let _ = writeln!(text, "{:>8}  {:width$}  {}", "", "", proof.dimmed());
        }
    }
    text
}

fn line(event: &Event, start: Timestamp, width: usize) -> String {
    let offset = format!("+{}", elapsed(start, event.at));
    let place = place(event);
    let what = describe(event);
    let what = match tone(event) {
        Tone::Good => what.green().to_string(),
        Tone::Bad => what.red().to_string(),
        Tone::Waiting => what.yellow().to_string(),
        Tone::Plain => what,
    };
    format!("{:>8}  {place:width$}  {what}", offset.dimmed())
}

enum Tone {
    Good,
    Bad,
    Waiting,
    Plain,
}

fn tone(event: &Event) -> Tone {
    match &event.what {
        Happening::StageEnded { status, .. } if status == "failed" => Tone::Bad,
        Happening::StageEnded { status, .. } if status == "succeeded" => Tone::Good,
        Happening::DeploymentEnded { status, .. } if status == "Succeeded" => Tone::Good,
        Happening::DeploymentEnded { .. }
        | Happening::ApprovalExpired { .. }
        | Happening::ReleaseAbandoned { .. } => Tone::Bad,
        Happening::ApprovalDecided { approve, .. } => {
            if *approve {
                Tone::Good
            } else {
                Tone::Bad
            }
        }
        Happening::GatesEnded { passed: true, .. } => Tone::Good,
        Happening::GatesEnded { passed: false, .. } => Tone::Bad,
        Happening::ApprovalRequested { .. }
        | Happening::ControlChanged { .. }
        | Happening::GatesOpened { .. }
        | Happening::RollbackStarted { .. }
        | Happening::DeploymentScheduled { .. }
        | Happening::RoomAwaited { .. }
        | Happening::DeploymentFrozen { .. }
        | Happening::LaneAwaited { .. } => Tone::Waiting,
        _ => Tone::Plain,
    }
}

#[cfg(test)]
mod tests {
    use pilothouse_domain::ids::ReleaseId;
    use pilothouse_domain::timeline::EventDraft;
    use serde_json::json;

    use super::*;

    fn events(all: Vec<(Option<&str>, Happening)>) -> Vec<Event> {
        let mut events: Vec<Event> = Vec::new();
        for (index, (stage, what)) in all.into_iter().enumerate() {
            let of_release = matches!(what, Happening::ReleaseStarted { .. });
            let draft = EventDraft {
                release: ReleaseId::new(ulid::Ulid::from_parts(1, 1)),
                at: Timestamp::from_millisecond(1_790_000_000_000 + index as i64 * 1300).unwrap(),
                actor: "ann".to_owned(),
                environment: (!of_release).then(|| "prod".to_owned()),
                attempt: (!of_release).then_some(1),
                stage: stage.map(str::to_owned),
                what,
            };
            let last = events.last().map(|e| (e.seq, e.hash.as_str()));
            let next = Event::chain(draft, last);
            events.push(next);
        }
        events
    }

    #[test]
    fn a_timeline_says_when_where_and_what_with_the_proof_below() {
        let evidence = json!({ "pod": "web-1", "event": {
            "about": "Pod web-1", "component": "kubelet", "type": "Warning", "reason": "BackOff",
            "message": "Back-off restarting failed container\n", "count": 3,
        }, "log": { "container": "web", "lines": ["1", "2", "connecting", "4", "5", "panic: no database"] } });
        let happened = events(vec![
            (
                None,
                Happening::ReleaseStarted {
                    cause: "push by ann (hook shop)".into(),
                    artifacts: "shop/web:1.1.0".into(),
                },
            ),
            (None, Happening::DeploymentQueued { kind: "deploy".into() }),
            (
                None,
                Happening::ApprovalDecided {
                    approve: true,
                    comment: Some("looks fine".into()),
                    input: None,
                    defer_until: None,
                    via: None,
                    saw: None,
                    standing: "approved by ann".into(),
                },
            ),
            (Some("Deploy"), Happening::StageStarted { stage_type: "deploy-manifest".into() }),
            (
                Some("Deploy"),
                Happening::StageEnded {
                    status: "failed".into(),
                    reason: Some("pod web-1: CrashLoopBackOff".into()),
                    evidence: Some(Box::new(evidence)),
                },
            ),
            (Some("Check"), Happening::StageEnded { status: "notRun".into(), reason: None, evidence: None }),
            (
                None,
                Happening::DeploymentEnded {
                    status: "Failed".into(),
                    operation_status: "PhaseFailed".into(),
                    reason: None,
                    rollback: false,
                },
            ),
            (
                None,
                Happening::RollbackStarted {
                    rollback: 2,
                    trigger: "stage `Deploy` failed".into(),
                    way: None,
                },
            ),
        ]);
        insta::assert_snapshot!(anstream::adapter::strip_str(&timeline(&happened)), @r"
           +0.0s  release           release started: push by ann (hook shop): shop/web:1.1.0
           +1.3s  prod #1           deploy queued by ann
           +2.6s  prod #1           ann approved: “looks fine”
           +3.9s  prod #1 · Deploy  started (deploy-manifest)
           +5.2s  prod #1 · Deploy  failed: pod web-1: CrashLoopBackOff
                                    Warning BackOff on Pod web-1, 3 times: Back-off restarting failed container
                                    web │ 2
                                    web │ connecting
                                    web │ 4
                                    web │ 5
                                    web │ panic: no database
           +6.5s  prod #1 · Check   not run
           +7.8s  prod #1           deployment ended: <Failed, PhaseFailed>
           +9.1s  prod #1           rollback started as attempt 2: stage `Deploy` failed
        ");
    }

    #[test]
    fn evidence_without_an_event_proves_nothing_more() {
        assert_eq!(proof(&json!({ "pod": "web-1" })), None);
        assert_eq!(timeline(&[]), "nothing happened yet");
    }
}
