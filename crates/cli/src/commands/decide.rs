//! `pilothouse approve`, `reject`, `reassign` and `approval-link`.

use std::io::IsTerminal as _;

use clap::{Args, ValueEnum};
use pilothouse_domain::approval::LinkAction;
use pilothouse_domain::duration::Span;
use pilothouse_domain::pipeline::Approver;
use pilothouse_serve_api::api::{ApprovalView, Asks, CreateLink, Decide, IssuedLink, Reassign, ReleaseView};

use super::Session;
use super::deploy::When;
use crate::client::{Reply, Request};
use crate::failure::{Failure, Kind};
use crate::print;
use crate::view::{SHORT_HASH, facts};

#[derive(Debug, Args)]
pub(crate) struct DecideArgs {
    /// The release: its id, a part of it, or `latest`.
    release: String,
    /// The environment, when the release waits in several.
    environment: Option<String>,
    /// Why; the timeline keeps it.
    #[arg(long)]
    comment: Option<String>,
    /// The answer, where answers are offered.
    #[arg(long)]
    input: Option<String>,
    /// Start the deployment at this time, not at once: `2026-11-22T10:00+01:00`, or from now: `+2h`. Only with `approve`,
    /// before a deployment.
    #[arg(long, value_name = "TIME")]
    defer_until: Option<When>,
    /// The approval's id, when an environment waits for several.
    #[arg(long, value_name = "ID")]
    approval: Option<String>,
    /// The hash of what you saw, as `release show` gives it: nothing is decided if it is not that any more.
    #[arg(long, value_name = "HASH")]
    saw: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ReassignArgs {
    /// The release: its id, a part of it, or `latest`.
    release: String,
    /// The environment, when the release waits in several.
    environment: Option<String>,
    /// Who is asked from now on, in the place of those who are asked; may be repeated.
    #[arg(long = "to", value_name = "user:NAME|role:ROLE", required = true, value_parser = approver)]
    to: Vec<Approver>,
    /// The approval's id, when an environment waits for several.
    #[arg(long, value_name = "ID")]
    approval: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct LinkArgs {
    /// The release: its id, a part of it, or `latest`.
    release: String,
    /// The environment, when the release waits in several.
    environment: Option<String>,
    /// The person whose decision the link gives: the name of an API token.
    #[arg(long = "for", value_name = "NAME")]
    person: String,
    /// What the link may do; both when absent.
    #[arg(long, value_enum, value_delimiter = ',')]
    actions: Vec<Action>,
    /// How long it can be used.
    #[arg(long, default_value = "1h", value_name = "DURATION")]
    expires_in: Span,
    /// The approval's id, when an environment waits for several.
    #[arg(long, value_name = "ID")]
    approval: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Action {
    Approve,
    Reject,
}

/// `user:bob` or `role:approver`.
fn approver(text: &str) -> Result<Approver, String> {
    match text.split_once(':') {
        Some(("user", name)) if !name.is_empty() => Ok(Approver::User(name.to_owned())),
        Some(("role", name)) if !name.is_empty() => Ok(Approver::Role(name.to_owned())),
        _ => Err("write user:NAME or role:ROLE".to_owned()),
    }
}

pub(crate) async fn run(session: &Session, args: DecideArgs, approve: bool) -> Result<(), Failure> {
    let meant = find(session, &args.release, args.environment.as_deref(), args.approval).await?;
    let verb = if approve { "approve" } else { "reject" };
    let shown = meant.shown.as_deref().filter(|_| !session.output.json);
    if let Some(shown) = shown {
        print::line(&facts(shown));
    }
    // A person at a terminal was shown what they decide, and the decision says that they saw it; a script says so itself.
    let shown = shown.filter(|_| print::is_terminal() && std::io::stdin().is_terminal());
    let saw = match args.saw {
        Some(given) => Some(in_full(&given, meant.shown_hash.as_deref())),
        None => shown.and(meant.shown_hash.clone()),
    };
    let defer_until = args.defer_until.map(|at| at.seen_from(session.now()));
    let ask = Decide { comment: args.comment, input: args.input, defer_until, saw };
    let reply: Reply<ApprovalView> = session.client.send(request(&meant, verb).json(&ask)).await?;
    session.output.answer(&reply.json, || format!("{}: {}", place(&reply.body), reply.body.standing));
    Ok(())
}

/// A hash of which only the beginning was written, as `release show` prints it.
fn in_full(given: &str, shown: Option<&str>) -> String {
    let meant = shown.filter(|whole| given.len() >= SHORT_HASH && whole.starts_with(given));
    meant.unwrap_or(given).to_owned()
}

pub(crate) async fn reassign(session: &Session, args: ReassignArgs) -> Result<(), Failure> {
    let meant = find(session, &args.release, args.environment.as_deref(), args.approval).await?;
    let ask = Reassign { approvers: args.to };
    let reply: Reply<ApprovalView> = session.client.send(request(&meant, "reassign").json(&ask)).await?;
    session.output.answer(&reply.json, || {
        let asked = reply.body.asked.join(" or ");
        format!("{}: {}, asked of {asked}", place(&reply.body), reply.body.standing)
    });
    Ok(())
}

pub(crate) async fn link(session: &Session, args: LinkArgs) -> Result<(), Failure> {
    let meant = find(session, &args.release, args.environment.as_deref(), args.approval).await?;
    let chosen = args.actions.iter().map(|action| match action {
        Action::Approve => LinkAction::Approve,
        Action::Reject => LinkAction::Reject,
    });
    let mut actions: Vec<LinkAction> = chosen.collect();
    if actions.is_empty() {
        actions = vec![LinkAction::Approve, LinkAction::Reject];
    }
    let ask = CreateLink { person: args.person, actions, expires_in: args.expires_in };
    let reply: Reply<IssuedLink> = session.client.send(request(&meant, "links").json(&ask)).await?;
    let made = &reply.body;
    session.output.answer(&reply.json, || {
        let actions: Vec<&str> = made.actions.iter().map(|a| a.name()).collect();
        let ways: Vec<String> = actions.iter().map(|a| format!("  curl -X POST {}/{a}", made.url)).collect();
        format!(
            "{}\ndecides once, as {}, until {:.0}: open it, or\n{}",
            made.url,
            made.person,
            made.expires_at,
            ways.join("\n")
        )
    });
    Ok(())
}

fn request(meant: &ApprovalView, verb: &str) -> Request {
    Request::post(&["v1", "releases", meant.release.as_str(), "approvals", meant.id.as_str(), verb])
}

fn place(approval: &ApprovalView) -> String {
    let of = match (approval.asks, &approval.stage) {
        (_, Some(stage)) => format!(", stage {stage}"),
        (Asks::AfterDeployment, _) => ", after deployment".to_owned(),
        _ => String::new(),
    };
    format!("{}{of}", approval.environment)
}

/// The approval that is meant: by its id, or the one that is pending.
async fn find(
    session: &Session,
    release: &str,
    environment: Option<&str>,
    id: Option<String>,
) -> Result<ApprovalView, Failure> {
    let release = session.client.find_release(release).await?;
    let release = session.client.release(&release).await?.body;
    let Some(id) = id else { return pending(&release, environment).cloned() };
    let mut all = release.environments.iter().flat_map(|e| &e.attempts).flat_map(|a| &a.approvals);
    all.find(|a| a.id.as_str() == id).cloned().ok_or_else(|| {
        let message =
            format!("the release has no approval `{id}`; see `pilothouse release show {}`", release.id);
        Failure::new(Kind::NotFound, message)
    })
}

/// The one approval that is meant.
fn pending<'a>(release: &'a ReleaseView, environment: Option<&str>) -> Result<&'a ApprovalView, Failure> {
    let known = release.environments.iter().any(|e| environment.is_none_or(|name| e.name == name));
    if let (false, Some(name)) = (known, environment) {
        let names: Vec<&str> = release.environments.iter().map(|e| e.name.as_str()).collect();
        let message = format!("the release has no environment `{name}`; it has {}", names.join(", "));
        return Err(Failure::new(Kind::NotFound, message));
    }
    let wanted = release.environments.iter().filter(|e| environment.is_none_or(|name| e.name == name));
    let open: Vec<&ApprovalView> =
        wanted.flat_map(|e| &e.attempts).flat_map(|a| &a.approvals).filter(|a| a.pending).collect();
    match open.as_slice() {
        [one] => Ok(one),
        [] => {
            let place = environment.map(|name| format!(" in `{name}`")).unwrap_or_default();
            let message =
                format!("no approval is pending{place}; see `pilothouse release show {}`", release.id);
            Err(Failure::new(Kind::Conflict, message))
        }
        several => {
            let list = several.iter().map(|a| format!("\n  {}  {}", a.id, place(a)));
            let list: String = list.collect();
            Err(Failure::usage(format!("several approvals are pending; name one with --approval:{list}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::samples::{approval, release};

    #[test]
    fn the_one_pending_approval_is_meant() {
        let one = release(&[("prod", vec![approval("prod", None, true)])]);
        assert_eq!(pending(&one, None).unwrap().environment, "prod");
        let decided = release(&[("prod", vec![approval("prod", None, false)])]);
        let none = pending(&decided, Some("prod")).unwrap_err();
        assert_eq!(none.kind, Kind::Conflict);
        assert!(none.text().contains("no approval is pending in `prod`"), "{}", none.text());
    }

    #[test]
    fn of_several_one_must_be_named() {
        let both = release(&[
            ("eu", vec![approval("eu", None, true)]),
            ("us", vec![approval("us", Some("Look"), true)]),
        ]);
        let which = pending(&both, None).unwrap_err();
        assert_eq!(which.kind, Kind::Usage);
        assert!(which.text().contains("us, stage Look"), "{}", which.text());
        assert_eq!(pending(&both, Some("us")).unwrap().stage.as_deref(), Some("Look"));
        let wrong = pending(&both, Some("asia")).unwrap_err();
        assert!(wrong.text().contains("it has eu, us"), "{}", wrong.text());
    }
}
