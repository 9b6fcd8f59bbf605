//! `pilothouse skip`: ends a wait early, or shortens it (T37).

use clap::Args;
use pilothouse_domain::duration::Span;
use pilothouse_serve_api::api::{ReleaseView, SkipStage, SkippedStage, WaitKind};

use super::Session;
use super::deploy::confirm;
use crate::client::{Reply, Request};
use crate::failure::Failure;

#[derive(Debug, Args)]
pub(crate) struct SkipArgs {
    /// The release: its id, a part of it, or `latest`.
    release: String,
    /// The environment.
    environment: String,
    /// The stage that waits.
    stage: String,
    /// Let it wait for so long from now, and no longer: `30s`, `10m`.
    #[arg(long, value_name = "DURATION")]
    remaining: Option<Span>,
    /// Do not ask when the wait has a warning.
    #[arg(long, short)]
    yes: bool,
}

pub(crate) async fn run(session: &Session, args: SkipArgs) -> Result<(), Failure> {
    let id = session.client.find_release(&args.release).await?;
    let release = session.client.release(&id).await?.body;
    let warning = warning(&release, &args.environment, &args.stage);
    if let (Some(warning), false) = (warning, args.yes) {
        confirm(
            &format!("stage {} warns: {warning:?}; say --yes to end its wait nevertheless", args.stage),
            &format!("Warning of {}: {warning}\nEnd its wait early nevertheless? [y/N] ", args.stage),
        )?;
    }
    let path =
        ["v1", "releases", id.as_str(), "environments", &args.environment, "stages", &args.stage, "skip"];
    // A warning that nobody was shown, since the wait had not begun then, is the API's to tell.
    let ask = SkipStage { remaining: args.remaining, acknowledged: args.yes || warning.is_some() };
    let reply: Reply<SkippedStage> = session.client.send(Request::post(&path).json(&ask)).await?;
    let skipped = &reply.body;
    session.output.answer(&reply.json, || match skipped.until {
        Some(until) => format!("{}: {} waits until {until:.0}", skipped.environment, skipped.stage),
        None => format!("{}: {} goes on", skipped.environment, skipped.stage),
    });
    Ok(())
}

/// What a person should think of before the wait is ended.
fn warning<'a>(release: &'a ReleaseView, environment: &str, stage: &str) -> Option<&'a str> {
    let environment = release.environments.iter().find(|e| e.name == environment)?;
    let stage = environment.attempts.last()?.stages.iter().find(|s| s.name == stage)?;
    match &stage.waits.as_ref()?.kind {
        WaitKind::Time { warning, .. } => warning.as_deref(),
        WaitKind::Answer { .. } | WaitKind::Release { .. } | WaitKind::Callback { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::samples::waiting;

    #[test]
    fn the_warning_of_the_stage_that_waits_is_found() {
        let release = waiting();
        assert_eq!(warning(&release, "dev", "Settle"), Some("Traffic is high."));
        assert_eq!(warning(&release, "dev", "Look"), None);
        assert_eq!(warning(&release, "prod", "Settle"), None);
    }
}
