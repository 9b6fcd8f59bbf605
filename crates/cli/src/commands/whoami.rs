//! `pilothouse whoami`.

use pilothouse_serve_api::api::Whoami;

use super::Session;
use crate::client::{Reply, Request};
use crate::failure::Failure;

pub(crate) async fn run(session: &Session) -> Result<(), Failure> {
    let reply: Reply<Whoami> = session.client.send(Request::get(&["v1", "whoami"])).await?;
    let who = &reply.body;
    session
        .output
        .answer(&reply.json, || format!("{} ({}): may {}", who.name, who.role, who.permissions.join(", ")));
    Ok(())
}
