//! `pilothouse approvals`.

use pilothouse_domain::artifact::Artifact;
use pilothouse_serve_api::api::{ApprovalView, Asks, List};

use super::Session;
use crate::client::{Reply, Request};
use crate::failure::Failure;
use crate::output::table;
use crate::view::ago;

pub(crate) async fn run(session: &Session) -> Result<(), Failure> {
    let reply: Reply<List<ApprovalView>> = session.client.send(Request::get(&["v1", "approvals"])).await?;
    let now = session.now();
    session.output.answer(&reply.json, || {
        let rows = reply.body.items.iter().map(|a| {
            vec![
                a.release.to_string(),
                a.application.clone(),
                a.environment.clone(),
                match (a.asks, &a.stage) {
                    (_, Some(stage)) => stage.clone(),
                    (Asks::AfterDeployment, _) => "after deployment".to_owned(),
                    _ => "deployment".to_owned(),
                },
                artifacts(a),
                a.standing.clone(),
                ago(now, a.deadline),
                a.instructions.clone().unwrap_or_default(),
            ]
        });
        let headings = [
            "release",
            "application",
            "environment",
            "for",
            "artifacts",
            "standing",
            "expires",
            "instructions",
        ];
        table(&headings, rows.collect(), "nothing waits for you")
    });
    Ok(())
}

/// What is to be deployed, in few words: `web=1.1.0`.
fn artifacts(approval: &ApprovalView) -> String {
    let shown = approval.shown.iter().flat_map(|shown| &shown.artifacts);
    let short = |a: &Artifact| a.tag.clone().or_else(|| a.digest.clone()).unwrap_or_default();
    shown.map(|a| format!("{}={}", a.name, short(a))).collect::<Vec<_>>().join(", ")
}
