//! `pilothouse approve` and `pilothouse reject`.

use clap::Args;
use pilothouse_serve_api::api::{ApprovalView, Decide, ReleaseView};

use super::Session;
use crate::client::{Reply, Request};
use crate::failure::{Failure, Kind};

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
    /// The approval's id, when an environment waits for several.
    #[arg(long, value_name = "ID")]
    approval: Option<String>,
}

pub(crate) async fn run(session: &Session, args: DecideArgs, approve: bool) -> Result<(), Failure> {
    let id = session.client.find_release(&args.release).await?;
    let approval = match args.approval {
        Some(approval) => approval,
        None => {
            let release = session.client.release(&id).await?.body;
            pending(&release, args.environment.as_deref())?.id.to_string()
        }
    };
    let verb = if approve { "approve" } else { "reject" };
    let request = Request::post(&["v1", "releases", id.as_str(), "approvals", &approval, verb]);
    let ask = Decide { comment: args.comment, input: args.input };
    let reply: Reply<ApprovalView> = session.client.send(request.json(&ask)).await?;
    let decided = &reply.body;
    session.output.answer(&reply.json, || {
        let of = decided.stage.as_ref().map(|s| format!(", stage {s}")).unwrap_or_default();
        format!("{}{of}: {}", decided.environment, decided.standing)
    });
    Ok(())
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
            let list = several.iter().map(|a| {
                let stage = a.stage.as_ref().map(|s| format!(", stage {s}")).unwrap_or_default();
                format!("\n  {}  {}{stage}", a.id, a.environment)
            });
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
