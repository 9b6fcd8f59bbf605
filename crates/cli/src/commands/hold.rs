//! `pilothouse hold`: what was taken back from an environment, and does not come there again by itself (X4).

use clap::Subcommand;
use jiff::Timestamp;
use pilothouse_serve_api::api::{Hold, LiftHold, List};

use super::release::short_images;
use super::{Session, known};
use crate::client::{Reply, Request};
use crate::failure::Failure;
use crate::output::table;
use crate::view::ago;

/// What can be done with holds.
#[derive(Debug, Subcommand)]
pub(crate) enum HoldCommand {
    /// List what is held in an environment.
    Ls {
        /// The application.
        application: String,
        /// The environment.
        environment: String,
    },
    /// Let what is held come there again by itself. Releases that were held start when somebody deploys them.
    Lift {
        /// The application.
        application: String,
        /// The environment.
        environment: String,
        /// Only the hold of this release: its id, a part of it, or `latest`.
        #[arg(long)]
        release: Option<String>,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

pub(crate) async fn run(session: &Session, command: HoldCommand) -> Result<(), Failure> {
    match command {
        HoldCommand::Ls { application, environment } => {
            let path = ["v1", "environments", &application, &environment, "holds"];
            let reply: Reply<List<Hold>> = session.client.send(Request::get(&path)).await?;
            if reply.body.items.is_empty() {
                known::check(session, &application, Some(&environment)).await?;
            }
            let now = session.now();
            session.output.answer(&reply.json, || {
                let rows = reply.body.items.iter().map(|hold| row(hold, now)).collect();
                table(&["release", "attempt", "held", "since", "by", "why"], rows, "nothing is held there")
            });
        }
        HoldCommand::Lift { application, environment, release, reason } => {
            let release = match release {
                Some(release) => Some(session.client.find_release(&release).await?),
                None => None,
            };
            let path = ["v1", "environments", &application, &environment, "holds", "lift"];
            let request = Request::post(&path).json(&LiftHold { release, reason });
            let reply: Reply<List<Hold>> = session.client.send(request).await?;
            session.output.answer(&reply.json, || {
                let lifted: Vec<String> = reply.body.items.iter().map(|h| h.release.to_string()).collect();
                format!("lifted in {environment}: what was held since {} was rolled back", lifted.join(", "))
            });
        }
    }
    Ok(())
}

fn row(hold: &Hold, now: Timestamp) -> Vec<String> {
    let held = match hold.artifacts.as_slice() {
        [] => "the release itself".to_owned(),
        artifacts => short_images(artifacts),
    };
    vec![
        hold.release.to_string(),
        hold.attempt.to_string(),
        held,
        ago(now, hold.since),
        hold.by.clone(),
        hold.reason.clone(),
    ]
}
