//! `pilothouse token`.

use clap::{Subcommand, ValueEnum};
use pilothouse_domain::token::Role;
use pilothouse_serve_api::api::{CreateToken, IssuedToken, List, TokenView};

use super::Session;
use crate::client::{Reply, Request};
use crate::failure::Failure;
use crate::output::table;
use crate::print;
use crate::view::ago;

/// What can be done with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token; it is shown this once.
    Create {
        /// What records show; unique.
        name: String,
        /// What it may do.
        #[arg(long, value_enum)]
        role: RoleName,
    },
    /// List tokens.
    Ls,
    /// Revoke a token: its next use is refused.
    Revoke {
        /// The token's name.
        name: String,
    },
}

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleName {
    /// Reads only.
    Viewer,
    /// Starts, cancels and rolls back releases.
    Operator,
    /// Decides approvals.
    Approver,
    /// Everything.
    Admin,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Viewer => Self::Viewer,
            RoleName::Operator => Self::Operator,
            RoleName::Approver => Self::Approver,
            RoleName::Admin => Self::Admin,
        }
    }
}

pub(crate) async fn run(session: &Session, command: TokenCommand) -> Result<(), Failure> {
    match command {
        TokenCommand::Create { name, role } => {
            let ask = CreateToken { name, role: role.into() };
            let request = Request::post(&["v1", "tokens"]).json(&ask);
            let reply: Reply<IssuedToken> = session.client.send(request).await?;
            session.output.answer(&reply.json, || reply.body.secret.clone());
            if !session.output.json {
                print::note("The token is shown this once; give it as PILOTHOUSE_TOKEN.");
            }
        }
        TokenCommand::Ls => list(session).await?,
        TokenCommand::Revoke { name } => {
            let reply: Reply<()> = session.client.send(Request::delete(&["v1", "tokens", &name])).await?;
            session.output.answer(&reply.json, || format!("token {name} is revoked"));
        }
    }
    Ok(())
}

async fn list(session: &Session) -> Result<(), Failure> {
    let reply: Reply<List<TokenView>> = session.client.send(Request::get(&["v1", "tokens"])).await?;
    let now = session.now();
    session.output.answer(&reply.json, || {
        let rows = reply.body.items.iter().map(|t| {
            vec![
                t.name.clone(),
                t.role.to_string(),
                format!("{} by {}", ago(now, t.created_at), t.created_by),
            ]
        });
        table(&["token", "role", "made"], rows.collect(), "no tokens yet")
    });
    Ok(())
}
