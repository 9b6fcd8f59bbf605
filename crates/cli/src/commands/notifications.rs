//! `pilothouse notifications`: what is still to be delivered, and what was given up.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use pilothouse_serve_api::api::{DeliveryOutcome, List, NotificationView};

use super::Session;
use crate::client::{Reply, Request};
use crate::failure::Failure;
use crate::output::table;
use crate::print;
use crate::view::ago;

/// What can be done with notifications.
#[derive(Debug, Subcommand)]
pub(crate) enum NotificationsCommand {
    /// List notifications that were not delivered to all yet.
    Ls(LsArgs),
}

#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// Those that were given up, instead of those that are still tried.
    #[arg(long)]
    dead: bool,
    /// At most so many.
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Go on where an earlier list ended.
    #[arg(long)]
    cursor: Option<String>,
}

pub(crate) async fn run(session: &Session, command: NotificationsCommand) -> Result<(), Failure> {
    let NotificationsCommand::Ls(args) = command;
    let request = Request::get(&["v1", "notifications"])
        .query("dead", Some(args.dead))
        .query("limit", Some(args.limit))
        .query("cursor", args.cursor);
    let reply: Reply<List<NotificationView>> = session.client.send(request).await?;
    let now = session.now();
    session.output.answer(&reply.json, || {
        let rows = reply.body.items.iter().flat_map(|message| rows(message, now)).collect();
        let nothing = if args.dead { "none was given up" } else { "all notifications were delivered" };
        table(&["event", "about", "happened", "to", "state", "tries", "last error"], rows, nothing)
    });
    if let Some(next) = reply.body.next.filter(|_| !session.output.json) {
        print::note(&format!("there are more: --cursor {next}"));
    }
    Ok(())
}

/// One row for each of those who are told.
fn rows(message: &NotificationView, now: Timestamp) -> Vec<Vec<String>> {
    let row = |d: &pilothouse_serve_api::api::DeliveryStanding| {
        let state = match d.state {
            DeliveryOutcome::Pending => "tried again",
            DeliveryOutcome::Delivered => "delivered",
            DeliveryOutcome::GivenUp => "given up",
        };
        vec![
            message.id.clone(),
            message.topic.name().replace('_', " "),
            ago(now, message.at),
            d.to.clone(),
            format!("{state} {}", ago(now, d.at)),
            d.attempts.to_string(),
            d.error.clone().unwrap_or_default(),
        ]
    };
    message.deliveries.iter().map(row).collect()
}
