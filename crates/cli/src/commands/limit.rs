//! `pilothouse limit`.

use clap::Subcommand;
use pilothouse_serve_api::api::{LaneView, List, SetLimit};

use super::Session;
use super::lane::overview;
use crate::client::{Reply, Request};
use crate::failure::Failure;

/// What can be done with limits.
#[derive(Debug, Subcommand)]
pub(crate) enum LimitCommand {
    /// List the limits, with what is under way and who waits.
    Ls,
    /// Let so many deployments be under way at once: in the installation, or in one cluster.
    Set {
        /// How many.
        #[arg(value_parser = clap::value_parser!(u32).range(1..))]
        at_once: u32,
        /// In this cluster account; in the whole installation when absent.
        #[arg(long)]
        cluster: Option<String>,
    },
    /// Lift a limit.
    Rm {
        /// That of this cluster account; the installation's when absent.
        #[arg(long)]
        cluster: Option<String>,
    },
}

pub(crate) async fn run(session: &Session, command: LimitCommand) -> Result<(), Failure> {
    match command {
        LimitCommand::Ls => {
            let reply: Reply<List<LaneView>> = session.client.send(Request::get(&["v1", "limits"])).await?;
            let nothing = "nothing is limited; set one with `pilothouse limit set NUMBER`";
            session.output.answer(&reply.json, || overview(&reply.body.items, nothing));
        }
        LimitCommand::Set { at_once, cluster } => {
            let request = Request::put(&path(cluster.as_deref())).json(&SetLimit { at_once });
            let reply: Reply<LaneView> = session.client.send(request).await?;
            session.output.answer(&reply.json, || {
                let (where_, taken) = (place(cluster.as_deref()), reply.body.holders.len());
                format!("{where_}: {at_once} deployments at once; {taken} under way")
            });
        }
        LimitCommand::Rm { cluster } => {
            let request = Request::delete(&path(cluster.as_deref()));
            let reply: Reply<()> = session.client.send(request).await?;
            let place = place(cluster.as_deref());
            session.output.answer(&reply.json, || format!("{place}: no limit any more"));
        }
    }
    Ok(())
}

fn path(cluster: Option<&str>) -> Vec<&str> {
    match cluster {
        Some(cluster) => vec!["v1", "limits", "clusters", cluster],
        None => vec!["v1", "limits", "installation"],
    }
}

fn place(cluster: Option<&str>) -> String {
    cluster.map_or_else(|| "installation".to_owned(), |cluster| format!("cluster {cluster}"))
}
