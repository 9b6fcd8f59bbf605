//! `pilothouse freeze`.

use clap::{Args, Subcommand};
use pilothouse_serve_api::api::{AddFreeze, FreezeView, List};

use super::Session;
use super::deploy::When;
use super::known::any_pipeline_has;
use crate::client::{Reply, Request};
use crate::failure::Failure;
use crate::output::table;
use crate::print;
use crate::view::ago;

/// What can be done with freezes.
#[derive(Debug, Subcommand)]
pub(crate) enum FreezeCommand {
    /// Stop the line: no deployment that is covered begins. What deploys already goes on, and so do rollbacks.
    Add(AddArgs),
    /// List the freezes that are not over.
    Ls,
    /// Let the line go on.
    Lift {
        /// The freeze's id.
        id: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// Why: it is shown to all whose deployments wait.
    #[arg(long)]
    reason: String,
    /// When it ends by itself: `2026-11-22T10:00+01:00`, or from now: `+2h`; until it is lifted when absent.
    #[arg(long, value_name = "TIME")]
    until: Option<When>,
    /// Only this application.
    #[arg(long)]
    application: Option<String>,
    /// Only environments of this name.
    #[arg(long)]
    environment: Option<String>,
    /// Only deployments to this cluster account.
    #[arg(long)]
    cluster: Option<String>,
}

pub(crate) async fn run(session: &Session, command: FreezeCommand) -> Result<(), Failure> {
    match command {
        FreezeCommand::Add(args) => {
            let AddArgs { reason, until, application, environment, cluster } = args;
            let until = until.map(|until| until.seen_from(session.now()));
            let note = unknown(session, application.as_deref(), environment.as_deref()).await?;
            let ask = AddFreeze { application, environment, cluster, reason, until };
            let request = Request::post(&["v1", "freezes"]).json(&ask);
            let reply: Reply<FreezeView> = session.client.send(request).await?;
            session.output.answer(&reply.json, || {
                let freeze = &reply.body;
                format!("{} stands still {}: {}", covers(freeze), end(freeze), freeze.id)
            });
            if let Some(note) = note {
                print::note(&note);
            }
        }
        FreezeCommand::Ls => list(session).await?,
        FreezeCommand::Lift { id } => {
            let request = Request::delete(&["v1", "freezes", &id]);
            let reply: Reply<FreezeView> = session.client.send(request).await?;
            session.output.answer(&reply.json, || format!("{} goes on", covers(&reply.body)));
        }
    }
    Ok(())
}

/// What to say of a freeze that covers nothing yet, as names may be misspelt; it stands for pipelines to come.
async fn unknown(
    session: &Session,
    application: Option<&str>,
    environment: Option<&str>,
) -> Result<Option<String>, Failure> {
    if application.is_none() && environment.is_none() {
        return Ok(None);
    }
    if any_pipeline_has(session, application, environment).await? {
        return Ok(None);
    }
    Ok(Some(match (application, environment) {
        (Some(application), Some(name)) => format!("note: no pipeline has `{application}/{name}`"),
        (None, Some(name)) => format!("note: no pipeline has an environment `{name}`"),
        (application, None) => {
            format!("note: no pipeline is of the application `{}`", application.unwrap_or_default())
        }
    }))
}

async fn list(session: &Session) -> Result<(), Failure> {
    let reply: Reply<List<FreezeView>> = session.client.send(Request::get(&["v1", "freezes"])).await?;
    let now = session.now();
    session.output.answer(&reply.json, || {
        let rows = reply.body.items.iter().map(|freeze| {
            let since = format!("{} by {}", ago(now, freeze.since), freeze.by);
            vec![freeze.id.to_string(), covers(freeze), end(freeze), freeze.reason.clone(), since]
        });
        table(&["freeze", "covers", "ends", "reason", "since"], rows.collect(), "no freeze: the line goes on")
    });
    Ok(())
}

/// What stands still, in a phrase.
fn covers(freeze: &FreezeView) -> String {
    let parts = [
        freeze.application.as_ref().map(|name| format!("application {name}")),
        freeze.environment.as_ref().map(|name| format!("environment {name}")),
        freeze.cluster.as_ref().map(|name| format!("cluster {name}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "everything".to_owned() } else { parts.join(", ") }
}

fn end(freeze: &FreezeView) -> String {
    freeze.until.map_or_else(|| "until it is lifted".to_owned(), |until| format!("until {until:.0}"))
}
