//! What the records say, held against the events: each end must have its event, and each event its end.

use std::collections::BTreeMap;

use super::{Export, Head};
use crate::attempt::Attempt;
use crate::release::ReleaseStatus;
use crate::stage::StageRun;
use crate::timeline::{Event, Happening};

/// Where records and events do not say the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Discrepancy {
    /// The document's own note of the last event is another.
    #[error("the document was made when the timeline ended elsewhere: {}", noted(.0.as_ref()))]
    Head(Option<Head>),
    /// An event of another release.
    #[error("event {0} belongs to another release")]
    Foreign(u64),
    /// The record of the release and its events differ.
    #[error("the release is {status}, and its events say that it is {told}")]
    Release {
        /// What the record says.
        status: ReleaseStatus,
        /// What the events say.
        told: ReleaseStatus,
    },
    /// The record of an attempt and its events differ.
    #[error("attempt {number} of `{environment}`: {what}")]
    Attempt {
        /// The environment.
        environment: String,
        /// The attempt.
        number: u32,
        /// How.
        what: String,
    },
    /// The record of a stage and its events differ.
    #[error("stage `{stage}` of attempt {number} of `{environment}`: {what}")]
    Stage {
        /// The environment.
        environment: String,
        /// The attempt.
        number: u32,
        /// The stage.
        stage: String,
        /// How.
        what: String,
    },
}

fn noted(head: Option<&Head>) -> String {
    head.map_or_else(|| "with no event".to_owned(), |head| format!("with event {}, {}", head.seq, head.hash))
}

/// Where something happened: environment, attempt, stage.
pub(super) type Place = (String, u32, Option<String>);

/// What the events of one place say.
#[derive(Default)]
struct Told {
    queued: usize,
    started: usize,
    ends: Vec<(String, Option<String>)>,
}

/// Everything in which the records and the events of a document differ.
pub(super) fn discrepancies(export: &Export) -> Vec<Discrepancy> {
    let mut found = Vec::new();
    if export.head != Head::of(&export.events) {
        found.push(Discrepancy::Head(export.head.clone()));
    }
    found.extend(
        export.events.iter().filter(|e| e.release != export.release.id).map(|e| Discrepancy::Foreign(e.seq)),
    );
    let (status, told) = (export.release.status, told_of_release(&export.events));
    if status != told {
        found.push(Discrepancy::Release { status, told });
    }
    let mut told = gather(&export.events);
    for attempt in &export.attempts {
        let place = (attempt.at.environment.clone(), attempt.at.number, None);
        compare_attempt(attempt, told.entry(place).or_default(), &mut found);
    }
    // What was taken over from an earlier attempt ended there, and was told there.
    for run in export.stage_runs.iter().filter(|run| run.carried_from.is_none()) {
        let place = (run.at.environment.clone(), run.at.number, Some(run.stage.clone()));
        compare_stage(run, told.entry(place).or_default(), &mut found);
    }
    found.extend(super::asked::discrepancies(export));
    strangers(export, &told, &mut found);
    found
}

/// The status of a release by its events (A2-A4).
fn told_of_release(events: &[Event]) -> ReleaseStatus {
    events.iter().fold(ReleaseStatus::Active, |status, event| match event.what {
        Happening::DraftCreated { .. } => ReleaseStatus::Draft,
        Happening::DraftStarted { .. } => ReleaseStatus::Active,
        Happening::ReleaseAbandoned { .. } => ReleaseStatus::Abandoned,
        _ => status,
    })
}

fn gather(events: &[Event]) -> BTreeMap<Place, Told> {
    let mut told: BTreeMap<Place, Told> = BTreeMap::new();
    for event in events {
        let (Some(environment), Some(attempt)) = (&event.environment, event.attempt) else { continue };
        let told = told.entry((environment.clone(), attempt, event.stage.clone())).or_default();
        match &event.what {
            Happening::DeploymentQueued { .. } | Happening::DeploymentScheduled { .. } => told.queued += 1,
            Happening::DeploymentStarted { .. } => told.started += 1,
            Happening::DeploymentEnded { status, operation_status, reason, .. } => {
                told.ends.push((format!("<{status}, {operation_status}>"), reason.clone()));
            }
            Happening::StageEnded { status, reason, .. } => {
                told.ends.push((status.clone(), reason.clone()));
            }
            _ => {}
        }
    }
    told
}

fn compare_attempt(attempt: &Attempt, told: &Told, found: &mut Vec<Discrepancy>) {
    let mut differ = |what: String| {
        found.push(Discrepancy::Attempt {
            environment: attempt.at.environment.clone(),
            number: attempt.at.number,
            what,
        });
    };
    if told.queued != 1 {
        differ(format!("{} events say that it was created, and there must be one", told.queued));
    }
    if attempt.started_at.is_some() && told.started == 0 {
        differ("its stages began, and no event says so".to_owned());
    }
    let (status, operation) = attempt.state.pair();
    let end =
        attempt.state.is_terminal().then(|| (format!("<{status:?}, {operation:?}>"), attempt.state.reason()));
    if let Some(what) = compare_end(end, &told.ends) {
        differ(what);
    }
}

fn compare_stage(run: &StageRun, told: &Told, found: &mut Vec<Discrepancy>) {
    let end = run.status.is_terminal().then(|| (run.status.name().to_owned(), run.status.explanation()));
    if let Some(what) = compare_end(end, &told.ends) {
        found.push(Discrepancy::Stage {
            environment: run.at.environment.clone(),
            number: run.at.number,
            stage: run.stage.clone(),
            what,
        });
    }
}

/// What is wrong between an end in a record and those that the events tell.
fn compare_end(
    recorded: Option<(String, Option<String>)>,
    told: &[(String, Option<String>)],
) -> Option<String> {
    match (recorded, told) {
        (None, []) => None,
        (Some(recorded), [one]) if recorded == *one => None,
        (Some((status, _)), []) => Some(format!("it ended as {status}, and no event says so")),
        (None, [(status, _), ..]) => Some(format!("an event says that it ended as {status}, and it did not")),
        (Some((status, reason)), [(other, because)]) => {
            let tell = |reason: Option<&str>| reason.map(|r| format!(" ({r})")).unwrap_or_default();
            let (reason, because) = (tell(reason.as_deref()), tell(because.as_deref()));
            Some(format!("it ended as {status}{reason}, and its event says {other}{because}"))
        }
        (Some(_), several) => Some(format!("{} events say that it ended", several.len())),
    }
}

/// Places that the events speak of and no record knows.
fn strangers(export: &Export, told: &BTreeMap<Place, Told>, found: &mut Vec<Discrepancy>) {
    for (place, told) in told {
        let (environment, number, stage) = place;
        let of_attempt =
            |at: &crate::attempt::AttemptRef| at.environment == *environment && at.number == *number;
        let known = match stage {
            None => export.attempts.iter().any(|attempt| of_attempt(&attempt.at)),
            Some(stage) => export.stage_runs.iter().any(|run| of_attempt(&run.at) && run.stage == *stage),
        };
        if !known && !told.ends.is_empty() {
            found.push(at(place, "events tell its end, and it has no record".to_owned()));
        }
    }
}

pub(super) fn at((environment, number, stage): &Place, what: String) -> Discrepancy {
    let (environment, number) = (environment.clone(), *number);
    match stage.clone() {
        None => Discrepancy::Attempt { environment, number, what },
        Some(stage) => Discrepancy::Stage { environment, number, stage, what },
    }
}
