//! `pilothouse lane`.

use clap::Subcommand;
use jiff::Timestamp;
use pilothouse_domain::lane::LaneName;
use pilothouse_serve_api::api::{LaneView, List};

use super::{Session, known};
use crate::client::{Reply, Request};
use crate::failure::Failure;
use crate::output::table;
use crate::view::ago;

/// What can be seen of lanes.
#[derive(Debug, Subcommand)]
pub(crate) enum LaneCommand {
    /// List the lanes in which something is under way, and the limits.
    Ls {
        /// Only this application's environments.
        #[arg(long)]
        application: Option<String>,
    },
    /// Show who holds an environment, and who waits for it, in order.
    Show {
        /// The application.
        application: String,
        /// The environment.
        environment: String,
    },
}

pub(crate) async fn run(session: &Session, command: LaneCommand) -> Result<(), Failure> {
    match command {
        LaneCommand::Ls { application } => {
            let request = Request::get(&["v1", "lanes"]).query("application", application);
            let reply: Reply<List<LaneView>> = session.client.send(request).await?;
            session.output.answer(&reply.json, || overview(&reply.body.items, "nothing is under way"));
        }
        LaneCommand::Show { application, environment } => {
            let request = Request::get(&["v1", "environments", &application, &environment, "lane"]);
            let reply: Reply<LaneView> = session.client.send(request).await?;
            if reply.body.holders.is_empty() && reply.body.line.is_empty() {
                known::check(session, &application, Some(&environment)).await?;
            }
            let now = session.now();
            session.output.answer(&reply.json, || in_order(&reply.body, now));
        }
    }
    Ok(())
}

/// One row a lane.
pub(super) fn overview(lanes: &[LaneView], nothing: &str) -> String {
    let rows = lanes.iter().map(|lane| {
        let most = lane.at_once.map(|most| format!(" of {most}")).unwrap_or_default();
        let next = lane.line.first().map(|waiting| waiting.attempt.release.to_string());
        vec![
            name(&lane.lane),
            format!("{}{most}", lane.holders.len()),
            lane.holders.first().map(|holder| holder.attempt.release.to_string()).unwrap_or_default(),
            lane.line.len().to_string(),
            next.unwrap_or_default(),
        ]
    });
    table(&["lane", "under way", "held by", "waiting", "next"], rows.collect(), nothing)
}

/// As people write it.
fn name(lane: &LaneName) -> String {
    match lane {
        LaneName::Environment { application, environment } => format!("{application} {environment}"),
        LaneName::Installation {} => "installation".to_owned(),
        LaneName::Cluster { name } => format!("cluster {name}"),
        LaneName::Freeze {} => "freeze".to_owned(),
    }
}

/// Who is in, then who waits, the first first.
fn in_order(lane: &LaneView, now: Timestamp) -> String {
    let holders = lane.holders.iter().map(|holder| {
        let place = format!("in (fence {})", holder.fence);
        row(place, &holder.attempt, ago(now, holder.since), "")
    });
    let line = lane.line.iter().enumerate().map(|(index, waiting)| {
        let first = if waiting.urgent { "goes first" } else { "" };
        row((index + 1).to_string(), &waiting.attempt, ago(now, waiting.since), first)
    });
    let nothing = format!("nobody holds {}, and nobody waits", name(&lane.lane));
    table(&["place", "release", "attempt", "since", ""], holders.chain(line).collect(), &nothing)
}

fn row(
    place: String,
    attempt: &pilothouse_domain::attempt::AttemptRef,
    since: String,
    note: &str,
) -> Vec<String> {
    vec![place, attempt.release.to_string(), attempt.number.to_string(), since, note.to_owned()]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_lane_is_shown_with_its_holder_its_fence_and_its_line_in_order() {
        let at = |n: u32| json!({ "release": format!("rel_0000000001000000000000000{n}"), "environment": "prod", "number": n });
        let lane: LaneView = serde_json::from_value(json!({
            "lane": "environment", "application": "shop", "environment": "prod",
            "holders": [{ "attempt": at(1), "fence": 7, "since": "2026-11-21T09:00:00Z" }],
            "line": [
                { "attempt": at(2), "urgent": true, "since": "2026-11-21T09:00:30Z" },
                { "attempt": at(3), "urgent": false, "since": "2026-11-21T09:00:10Z" },
            ],
        }))
        .unwrap();
        let shown = in_order(&lane, "2026-11-21T09:01:00Z".parse().unwrap());
        let shown = anstream::adapter::strip_str(&shown).to_string();
        let lines: Vec<&str> = shown.lines().collect();
        assert!(
            lines[1].starts_with("in (fence 7)") && lines[1].contains("rel_00000000010000000000000001"),
            "{shown}"
        );
        assert!(lines[2].starts_with('1') && lines[2].contains("goes first"), "{shown}");
        assert!(lines[3].starts_with('2') && lines[3].contains("0003"), "{shown}");
        let table = anstream::adapter::strip_str(&overview(&[lane], "")).to_string();
        assert!(table.contains("shop prod"), "{table}");
    }
}
