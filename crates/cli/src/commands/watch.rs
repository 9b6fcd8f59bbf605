//! Following a release: live on a terminal, line by line elsewhere, as JSON lines for programs.

use std::process::ExitCode;

use pilothouse_domain::ids::ReleaseId;
use pilothouse_domain::pipeline::Start;
use pilothouse_domain::release::ReleaseStatus;
use pilothouse_domain::timeline::Event;
use pilothouse_serve_api::api::{Outcome, ReleaseView};

use super::Session;
use crate::failure::{Failure, Kind};
use crate::print;
use crate::view::{LiveView, outcome_in_words, quoted};

/// How many failures to reach the API in a row are sat out: it may be restarting.
const MOST_MISSES: u32 = 20;
const BETWEEN_MISSES: std::time::Duration = std::time::Duration::from_millis(500);

/// Follows a release from event number `after` on (0: from its start) until nothing runs in it, or with `until_approval`
/// until it waits for a person. The exit code is 1 when it came to something else than what was wanted.
pub(crate) async fn run(
    session: &Session,
    id: &ReleaseId,
    until_approval: bool,
    after: u64,
) -> Result<ExitCode, Failure> {
    let mut live = LiveView::new(session.output.terminal);
    let mut after = after;
    let view = loop {
        let (events, view) = patiently(session, id, after).await?;
        after = events.last().map_or(after, |event| event.seq);
        if session.output.json {
            for event in &events {
                print::line(&serde_json::to_string(event).unwrap_or_default());
            }
        } else {
            live.update(&view, &events);
        }
        let waits = until_approval && view.outcome == Outcome::AwaitingPerson;
        // What happened between the two reads is told before the end is.
        if (view.at_rest || waits) && events.is_empty() {
            break view;
        }
    };
    live.finish();
    if !session.output.json {
        print::line(&closing(&view));
    }
    let missed = view.outcome.is_failure() || view.outcome == Outcome::NotStarted;
    Ok(if missed { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

/// The next events and the release after them. An API that is being restarted is waited for.
async fn patiently(
    session: &Session,
    id: &ReleaseId,
    after: u64,
) -> Result<(Vec<Event>, ReleaseView), Failure> {
    let mut misses = 0;
    loop {
        match once(session, id, after).await {
            Err(failure) if failure.kind == Kind::Unreachable && after > 0 && misses < MOST_MISSES => {
                misses += 1;
                tokio::time::sleep(BETWEEN_MISSES).await;
            }
            done => return done,
        }
    }
}

async fn once(session: &Session, id: &ReleaseId, after: u64) -> Result<(Vec<Event>, ReleaseView), Failure> {
    // Progress is no event: a second is how old what is shown may be. The first time nothing is waited for.
    let page = session.client.events(id, after, u64::from(after > 0)).await?;
    Ok((page.events, session.client.release(id).await?.body))
}

/// What it came to, and what to do where it does not go on by itself.
fn closing(view: &ReleaseView) -> String {
    let waiting = view
        .environments
        .iter()
        .find(|e| e.attempts.iter().flat_map(|a| &a.approvals).any(|approval| approval.pending));
    let outcome = outcome_in_words(view.outcome);
    match waiting {
        Some(environment) => format!(
            "{}: {outcome}; decide with `pilothouse approve {} {}`, or `reject`",
            view.id, view.id, environment.name
        ),
        None => format!("{}: {outcome}{}", view.id, left_to_do(view)),
    }
}

/// The commands that start what does not start by itself: a draft, what is held, and what was left to people when nothing
/// else was begun.
fn left_to_do(view: &ReleaseView) -> String {
    if view.status == ReleaseStatus::Draft {
        return format!("; start it with `pilothouse release activate {}`", view.id);
    }
    let untouched = || view.environments.iter().filter(|e| e.attempts.is_empty() && !e.skipped);
    let held = untouched().filter(|e| e.held.is_some()).map(|e| (e, "is held: deploy it with"));
    let nothing = view.outcome == Outcome::NotStarted;
    let by_hand = untouched().filter(|e| nothing && e.held.is_none() && e.start == Start::Manual);
    let all = held.chain(by_hand.map(|e| (e, "starts when somebody deploys it:")));
    let commands = all.map(|(environment, why)| {
        let name = &environment.name;
        format!("; {name} {why} `pilothouse deploy {} {}`", view.id, quoted(name))
    });
    commands.collect()
}

#[cfg(test)]
mod tests {
    use pilothouse_serve_api::api::HoldView;
    use serde_json::json;
    use wiremock::matchers::{path, query_param};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::client::Client;
    use crate::output::Output;
    use crate::view::samples::{approval, release};

    /// Follows a release of which nothing more happens, as programs do.
    async fn follow(view: &ReleaseView, until_approval: bool) -> String {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let server = MockServer::start().await;
        let place = format!("/v1/releases/{}", view.id);
        let events = ResponseTemplate::new(200).set_body_json(json!({ "events": [], "last": 0 }));
        let shown = ResponseTemplate::new(200).set_body_json(view);
        Mock::given(path(format!("{place}/events")))
            .and(query_param("wait", "0"))
            .respond_with(events)
            .mount(&server)
            .await;
        Mock::given(path(place)).respond_with(shown).mount(&server).await;
        let client = Client::new(&server.uri(), None).unwrap();
        let session = Session { client, output: Output { json: true, terminal: false } };
        format!("{:?}", run(&session, &view.id, until_approval, 0).await.unwrap())
    }

    #[tokio::test]
    async fn the_exit_code_says_whether_the_release_came_to_what_was_wanted() {
        let at_rest = |outcome| ReleaseView { at_rest: true, outcome, ..release(&[]) };
        let done = format!("{:?}", ExitCode::SUCCESS);
        assert_eq!(follow(&at_rest(Outcome::Succeeded), false).await, done);
        let failed = format!("{:?}", ExitCode::from(1));
        for outcome in [Outcome::Failed, Outcome::Rejected, Outcome::RolledBack, Outcome::Canceled] {
            assert_eq!(follow(&at_rest(outcome), false).await, failed, "{outcome:?}");
        }
    }

    #[tokio::test]
    async fn a_release_that_is_held_has_not_succeeded_and_says_how_to_start_it() {
        let mut view = release(&[("dev", Vec::new()), ("prod", Vec::new()), ("asia", Vec::new())]);
        (view.outcome, view.at_rest) = (Outcome::NotStarted, true);
        for environment in &mut view.environments {
            environment.attempts.clear();
        }
        let (release, since) = (view.id.clone(), view.created_at);
        let hold = HoldView { release, reason: "stage `Check` failed".to_owned(), since };
        view.environments[1].held = Some(hold);
        view.environments[2].start = Start::Manual;
        assert_eq!(follow(&view, false).await, format!("{:?}", ExitCode::from(1)));
        insta::assert_snapshot!(closing(&view), @"rel_00000000010000000000000001: not started; prod is held: deploy it with `pilothouse deploy rel_00000000010000000000000001 prod`; asia starts when somebody deploys it: `pilothouse deploy rel_00000000010000000000000001 asia`");
        view.outcome = Outcome::Succeeded;
        assert_eq!(follow(&view, false).await, format!("{:?}", ExitCode::SUCCESS), "at least in part");
        insta::assert_snapshot!(closing(&view), @"rel_00000000010000000000000001: succeeded; prod is held: deploy it with `pilothouse deploy rel_00000000010000000000000001 prod`");
        (view.status, view.outcome) = (ReleaseStatus::Draft, Outcome::NotStarted);
        insta::assert_snapshot!(closing(&view), @"rel_00000000010000000000000001: not started; start it with `pilothouse release activate rel_00000000010000000000000001`");
    }

    #[tokio::test]
    async fn following_stops_at_an_approval_if_it_is_told_to_and_says_how_to_decide() {
        let waiting = release(&[("prod", vec![approval("prod", None, true)])]);
        let waiting = ReleaseView { outcome: Outcome::AwaitingPerson, ..waiting };
        assert_eq!(follow(&waiting, true).await, format!("{:?}", ExitCode::SUCCESS));
        let expected = format!("decide with `pilothouse approve {} prod`", waiting.id);
        assert!(closing(&waiting).contains(&expected), "{}", closing(&waiting));
    }
}
