//! `pilothouse hook`.

use clap::{Subcommand, ValueEnum};
use pilothouse_domain::intake::Sender;
use pilothouse_serve_api::api::{AuthScheme, DeliveryView, HookView, IssuedHook, List, SetHook};

use super::Session;
use crate::client::{Reply, Request};
use crate::failure::Failure;
use crate::output::table;
use crate::print;
use crate::view::ago;

/// What can be done with hooks.
#[derive(Debug, Subcommand)]
pub(crate) enum HookCommand {
    /// Make a hook; its secret is shown this once.
    Create {
        /// Its name, the last part of its path.
        name: String,
        /// Who sends to it.
        #[arg(long, value_enum)]
        sender: SenderName,
        /// How requests prove where they come from; the sender's usual way when absent.
        #[arg(long, value_enum)]
        auth: Option<AuthName>,
    },
    /// List hooks.
    Ls,
    /// Make a new secret; the one before stays valid until the next rotation.
    Rotate {
        /// The hook.
        name: String,
    },
    /// Delete a hook.
    Rm {
        /// The hook.
        name: String,
    },
    /// List what arrived at a hook, and what became of it.
    Deliveries {
        /// The hook.
        name: String,
        /// At most so many.
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
}

/// Who may send to a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SenderName {
    /// A CNCF Distribution registry's notifications.
    Distribution,
    /// `curl` and anything that can post JSON.
    Generic,
}

/// How requests prove where they come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AuthName {
    /// `Authorization: Bearer SECRET`.
    Bearer,
    /// The payload constraints of the triggers hold the secret.
    Constraints,
}

pub(crate) async fn run(session: &Session, command: HookCommand) -> Result<(), Failure> {
    match command {
        HookCommand::Create { name, sender, auth } => create(session, &name, sender, auth).await,
        HookCommand::Ls => list(session).await,
        HookCommand::Rotate { name } => {
            let reply = session.client.send(Request::post(&["v1", "hooks", &name, "rotate"])).await?;
            issued(session, &reply);
            Ok(())
        }
        HookCommand::Rm { name } => {
            let reply: Reply<()> = session.client.send(Request::delete(&["v1", "hooks", &name])).await?;
            session.output.answer(&reply.json, || format!("hook {name} is deleted"));
            Ok(())
        }
        HookCommand::Deliveries { name, limit } => deliveries(session, &name, limit).await,
    }
}

async fn create(
    session: &Session,
    name: &str,
    sender: SenderName,
    auth: Option<AuthName>,
) -> Result<(), Failure> {
    let ask = SetHook {
        sender: match sender {
            SenderName::Distribution => Sender::Distribution,
            SenderName::Generic => Sender::Generic,
        },
        auth: auth.map(|auth| match auth {
            AuthName::Bearer => AuthScheme::Bearer,
            AuthName::Constraints => AuthScheme::Constraints,
        }),
    };
    let reply = session.client.send(Request::put(&["v1", "hooks", name]).json(&ask)).await?;
    issued(session, &reply);
    Ok(())
}

fn issued(session: &Session, reply: &Reply<IssuedHook>) {
    let hook = &reply.body.hook;
    session.output.answer(&reply.json, || match &reply.body.secret {
        Some(secret) => format!("path    {}\nsecret  {secret}", hook.path),
        None => format!("path    {}", hook.path),
    });
    if let Some(note) = about_secret(&reply.body).filter(|_| !session.output.json) {
        print::note(&note);
    }
}

/// What there is to know of a hook's secret, where it has one.
fn about_secret(issued: &IssuedHook) -> Option<String> {
    match (&issued.secret, issued.hook.auth) {
        (Some(_), _) => Some(
            "The secret is shown this once; senders give it as `Authorization: Bearer SECRET`.".to_owned(),
        ),
        (None, AuthScheme::Bearer) => {
            let name = &issued.hook.name;
            Some(format!(
                "The hook was there before, and its secret was shown when it was made; `pilothouse hook rotate {name}` makes a new one."
            ))
        }
        (None, AuthScheme::Constraints) => None,
    }
}

async fn list(session: &Session) -> Result<(), Failure> {
    let request = Request::get(&["v1", "hooks"]).query("limit", Some(100));
    let reply: Reply<List<HookView>> = session.client.send(request).await?;
    let now = session.now();
    session.output.answer(&reply.json, || {
        let rows = reply.body.items.iter().map(|h| {
            let auth = match h.auth {
                AuthScheme::Bearer if h.secrets > 1 => format!("bearer, {} secrets", h.secrets),
                AuthScheme::Bearer => "bearer".to_owned(),
                AuthScheme::Constraints => "constraints".to_owned(),
            };
            vec![
                h.name.clone(),
                h.path.clone(),
                auth,
                format!("{} by {}", ago(now, h.created_at), h.created_by),
            ]
        });
        let nothing = "no hooks yet; make one with `pilothouse hook create NAME --sender distribution`";
        table(&["hook", "path", "proof", "made"], rows.collect(), nothing)
    });
    Ok(())
}

async fn deliveries(session: &Session, name: &str, limit: u32) -> Result<(), Failure> {
    let request = Request::get(&["v1", "hooks", name, "deliveries"]).query("limit", Some(limit));
    let reply: Reply<List<DeliveryView>> = session.client.send(request).await?;
    let now = session.now();
    session.output.answer(&reply.json, || {
        let rows = reply.body.items.iter().flat_map(|d| {
            // One row a verdict: a delivery may be of interest to several pipelines, or to none.
            let row = |pipeline: String, what: String| {
                vec![ago(now, d.received_at), d.http_status.to_string(), pipeline, what, d.key.clone()]
            };
            if let Some(refused) = &d.refused {
                return vec![row(String::new(), format!("refused: {refused}"))];
            }
            d.verdicts
                .iter()
                .map(|v| {
                    let release = v.release.as_ref().map(|r| format!(" ({r})")).unwrap_or_default();
                    row(v.pipeline.clone().unwrap_or_default(), format!("{}{release}", v.reason))
                })
                .collect()
        });
        let headings = ["received", "status", "pipeline", "what became of it", "delivery"];
        table(&headings, rows.collect(), "nothing has arrived yet")
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_that_is_not_shown_again_is_said_to_be_there() {
        let note = |auth: &str, secret: Option<&str>| {
            let hook = json!({
                "name": "shop", "sender": "distribution", "auth": auth, "secrets": 1,
                "path": "/webhooks/distribution/shop", "createdAt": "2026-11-21T09:00:00Z", "createdBy": "ann",
                "hook": {}, "secret": secret,
            });
            about_secret(&serde_json::from_value(hook).unwrap())
        };
        assert!(note("bearer", Some("s3cret")).unwrap().contains("shown this once"));
        let again = note("bearer", None).unwrap();
        assert!(again.contains("`pilothouse hook rotate shop` makes a new one"), "{again}");
        assert_eq!(note("constraints", None), None);
    }
}
