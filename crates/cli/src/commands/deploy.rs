//! `pilothouse deploy`, `cancel`, `pause`, `stop`, `resume` and `rollback`.

use std::io::{BufRead, IsTerminal};
use std::str::FromStr;

use clap::Args;
use jiff::Timestamp;
use pilothouse_domain::attempt::{Control, OperationStatus};
use pilothouse_domain::duration::{InvalidSpan, Span};
use pilothouse_serve_api::api::{AttemptPurpose, Deploy, DeployFrom, Deployment, ReleaseView, RollBack};

use super::Session;
use crate::client::{Reply, Request};
use crate::failure::{Failure, Kind};
use crate::print;
use crate::view::{quoted, said_by, state_in_words};

#[derive(Debug, Args)]
pub(crate) struct DeployArgs {
    /// The release: its id, a part of it, or `latest`.
    release: String,
    /// The environment.
    environment: String,
    /// At this time, whatever the schedule says: `2026-11-22T10:00+01:00`, or from now: `+2h`.
    #[arg(long, value_name = "TIME")]
    at: Option<When>,
    /// At once, whatever the schedule says; also starts what waits for its schedule.
    #[arg(long, conflicts_with = "at")]
    now: bool,
    /// Go on from the failed stage: those that succeeded in the attempt before are not run again.
    #[arg(long)]
    from_failed: bool,
    /// In spite of a freeze, before all others in line: why. Needs the role admin.
    #[arg(long, value_name = "REASON")]
    override_freeze: Option<String>,
    /// Why, for the record: for one that overrides a hold.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// A time: one with its offset, or a length of time from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    At(Timestamp),
    In(Span),
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix('+') {
            Some(span) => span.parse().map(Self::In).map_err(|e: InvalidSpan| e.to_string()),
            None => text.parse().map(Self::At).map_err(|_| {
                "write a time with its offset, 2026-11-22T10:00+01:00 or 2026-11-22T09:00Z, or +2h".to_owned()
            }),
        }
    }
}

impl When {
    pub(super) fn seen_from(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::In(span) => span.after(now),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    /// The release: its id, a part of it, or `latest`.
    release: String,
    /// The environment, when the release is under way in several.
    environment: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RollbackArgs {
    /// The release: its id, a part of it, or `latest`.
    release: String,
    /// The environment.
    environment: String,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    /// Take back fields that others have changed since, too.
    #[arg(long)]
    force: bool,
}

pub(crate) async fn deploy(session: &Session, args: DeployArgs) -> Result<(), Failure> {
    let id = session.client.find_release(&args.release).await?;
    let ask = Deploy {
        at: args.at.map(|at| at.seen_from(session.now())),
        now: args.now,
        from: args.from_failed.then_some(DeployFrom::Failed),
        override_freeze: args.override_freeze,
        reason: args.reason,
    };
    let path = ["v1", "releases", id.as_str(), "environments", &args.environment, "deploy"];
    tell(session, Request::post(&path).json(&ask), id.as_str()).await
}

pub(crate) async fn cancel(session: &Session, args: CancelArgs) -> Result<(), Failure> {
    control(session, args, "cancel").await
}

/// `cancel`, `pause`, `stop` or `resume`: what is done to the one deployment under way.
pub(crate) async fn control(session: &Session, args: CancelArgs, action: &str) -> Result<(), Failure> {
    let id = session.client.find_release(&args.release).await?;
    let environment = match args.environment {
        Some(environment) => environment,
        None => under_way(&session.client.release(&id).await?.body)?,
    };
    act(session, id.as_str(), &environment, action).await
}

/// The one environment in which something is under way.
fn under_way(release: &ReleaseView) -> Result<String, Failure> {
    let open: Vec<&str> = release
        .environments
        .iter()
        .filter(|e| e.attempts.iter().any(|a| a.open))
        .map(|e| e.name.as_str())
        .collect();
    match open.as_slice() {
        [one] => Ok((*one).to_owned()),
        [] => Err(Failure::new(Kind::Conflict, format!("nothing is under way in {}", release.id))),
        several => Err(Failure::usage(format!("it is under way in {}: say which", several.join(" and ")))),
    }
}

pub(crate) async fn rollback(session: &Session, args: RollbackArgs) -> Result<(), Failure> {
    let id = session.client.find_release(&args.release).await?;
    if !args.yes {
        confirm(
            "a rollback has to be confirmed: say --yes",
            &format!(
                "Take back what {id} changed in {}, and restore what was there before? [y/N] ",
                args.environment
            ),
        )?;
    }
    let path = ["v1", "releases", id.as_str(), "environments", &args.environment, "rollback"];
    tell(session, Request::post(&path).json(&RollBack { force: args.force }), id.as_str()).await
}

/// Asks a person (H6). Where there is none, somebody has to have said yes before.
pub(super) fn confirm(otherwise: &str, question: &str) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage(otherwise));
    }
    print::note(question);
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && agrees(&answer) { Ok(()) } else { Err(Failure::usage("nothing was done")) }
}

fn agrees(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

async fn act(session: &Session, release: &str, environment: &str, action: &str) -> Result<(), Failure> {
    let request = Request::post(&["v1", "releases", release, "environments", environment, action]);
    tell(session, request, release).await
}

async fn tell(session: &Session, request: Request, release: &str) -> Result<(), Failure> {
    let reply: Reply<Deployment> = session.client.send(request).await?;
    session.output.answer(&reply.json, || told(&reply.body, release));
    Ok(())
}

/// How a deployment stands after what was done to it, and how it goes on.
fn told(deployment: &Deployment, release: &str) -> String {
    let Deployment { environment, attempt, .. } = deployment;
    let kind = match deployment.kind {
        AttemptPurpose::Deploy => "",
        AttemptPurpose::Redeploy => " (redeploy)",
        AttemptPurpose::Rollback => " (rollback)",
    };
    let place = format!("{release} {}", quoted(environment));
    let head = format!("{environment}, attempt {attempt}{kind}");
    if deployment.operation_status == OperationStatus::Scheduled {
        let starts = deployment.reason.as_deref().unwrap_or("waits for its time");
        return format!("{head}: {starts}; start it at once with `pilothouse deploy {place} --now`");
    }
    let state = state_in_words(
        deployment.kind,
        deployment.status,
        deployment.operation_status,
        deployment.control,
        deployment.ended_at.is_none(),
    );
    let mut text = format!("{head}: {state}");
    if deployment.ended_at.is_some() {
        return format!("{text}; see `pilothouse release show {release}`");
    }
    text.push_str(match deployment.control {
        Control::Running => "",
        Control::Pausing => ", pausing: what runs comes to its end",
        Control::Paused => ", paused",
        Control::Stopping if deployment.operation_status == OperationStatus::Cancelling => "",
        Control::Stopping => ", stopping: what runs comes to its end",
        Control::Stopped => ", stopped",
        Control::Interrupted => ", interrupted",
    });
    if let Some(held) = &deployment.overrides {
        text = format!("{text}; it overrides the hold since release {held} was rolled back there");
    }
    if let Some(urgent) = &deployment.freeze_override {
        text = format!("{text}; in spite of a freeze {}", said_by(&urgent.by, Some(&urgent.reason)));
    }
    if deployment.rollback_requested_by.is_some() {
        text.push_str("; the rollback follows when the cancel is over");
    }
    match deployment.control {
        Control::Paused | Control::Interrupted => {
            format!("{text}; go on with `pilothouse resume {place}`")
        }
        _ => format!("{text}; follow it with `pilothouse release watch {release}`"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::view::samples::release;

    #[test]
    fn an_action_answers_in_words_and_says_how_to_go_on() {
        let said = |more: Value| {
            let mut deployment = json!({
                "id": "dep_00000000020000000000000001", "release": "rel_00000000010000000000000001",
                "environment": "prod", "attempt": 3, "kind": "redeploy", "status": "NotDeployed",
                "operationStatus": "Queued", "control": "running", "createdBy": "ann",
                "createdAt": "2026-11-21T09:00:00Z",
            });
            deployment.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            told(&serde_json::from_value(deployment).unwrap(), "rel_1")
        };
        let all = [
            said(json!({})),
            said(json!({ "operationStatus": "Scheduled", "reason": "starts at 2026-11-22T10:00:00Z" })),
            said(
                json!({ "kind": "deploy", "status": "InProgress", "operationStatus": "PhaseInProgress", "control": "pausing" }),
            ),
            said(json!({ "freezeOverride": { "by": "ann", "reason": "the fix" } })),
            said(
                json!({ "status": "InProgress", "operationStatus": "Cancelling", "control": "stopping", "rollbackRequestedBy": "ann" }),
            ),
        ];
        let canceled = said(json!({
            "operationStatus": "Canceled", "control": "stopped", "endedAt": "2026-11-21T09:00:01Z",
        }));
        assert_eq!(canceled, "prod, attempt 3 (redeploy): canceled; see `pilothouse release show rel_1`");
        insta::assert_snapshot!(all.join("\n"), @r"
        prod, attempt 3 (redeploy): waits for its turn; follow it with `pilothouse release watch rel_1`
        prod, attempt 3 (redeploy): starts at 2026-11-22T10:00:00Z; start it at once with `pilothouse deploy rel_1 prod --now`
        prod, attempt 3: deploys, pausing: what runs comes to its end; follow it with `pilothouse release watch rel_1`
        prod, attempt 3 (redeploy): waits for its turn; in spite of a freeze (ann: “the fix”); follow it with `pilothouse release watch rel_1`
        prod, attempt 3 (redeploy): is being canceled; the rollback follows when the cancel is over; follow it with `pilothouse release watch rel_1`
        ");
    }

    #[test]
    fn a_time_is_given_with_its_offset_or_from_now() {
        let now: Timestamp = "2026-11-21T09:00:00Z".parse().unwrap();
        let at = |text: &str| text.parse::<When>().map(|when| when.seen_from(now).to_string());
        assert_eq!(at("2026-11-22T10:00+01:00").unwrap(), "2026-11-22T09:00:00Z");
        assert_eq!(at("2026-11-22T10:00:30Z").unwrap(), "2026-11-22T10:00:30Z");
        assert_eq!(at("+2h").unwrap(), "2026-11-21T11:00:00Z");
        for wrong in ["22:00", "2026-11-22T10:00", "+2", "tomorrow", "+-1h"] {
            assert!(at(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_a_clear_yes_rolls_back() {
        assert!(agrees("y\n") && agrees("YES"));
        assert!(!agrees("") && !agrees("n") && !agrees("yeah, no"));
    }

    #[test]
    fn what_is_under_way_in_one_environment_is_what_is_canceled() {
        let one = release(&[("dev", Vec::new())]);
        assert_eq!(under_way(&one).unwrap(), "dev");
        let two = release(&[("eu", Vec::new()), ("us", Vec::new())]);
        let which = under_way(&two).unwrap_err();
        assert!(which.text().contains("eu and us: say which"), "{}", which.text());
        let none = under_way(&ReleaseView { environments: Vec::new(), ..one }).unwrap_err();
        assert_eq!(none.kind, Kind::Conflict);
    }
}
