//! One delivery to a hook: matched, started, recorded.

use pilothouse_domain::ids::DeliveryId;
use pilothouse_domain::intake::{Delivery, Hook, HookAuth, KEPT, Verdict};
use pilothouse_domain::pipeline::Trigger;
use pilothouse_domain::release::Cause;
use pilothouse_domain::trigger::Signal;
use serde_json::Value;

use super::listening::{Listeners, listeners};
use super::matching::{Considered, match_all};
use super::privacy::{KnownSecrets, record_key};
use super::record::{bounded, earlier, nothing, record, repeated};
use super::start::start;
use crate::{Context, OperationError};

/// A delivery that was read: of a known hook, with the hook's own secret if it has one, in the sender's format.
#[derive(Debug)]
pub struct Arrived<'a> {
    /// The delivery's id, made on arrival.
    pub id: DeliveryId,
    /// The hook.
    pub hook: &'a Hook,
    /// The sender's own id of the delivery, the same when it is sent again.
    pub key: Option<String>,
    /// The body.
    pub body: &'a Value,
    /// What may start something.
    pub signals: Vec<Signal<'a>>,
    /// Why parts of it are of no interest, when they are.
    pub ignored: Vec<String>,
    /// The secret that the request carried outside of its body: never stored, wherever else it stands.
    pub presented: Option<&'a str>,
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq)]
pub enum Received {
    /// It is authentic: its record, with the answer's status (202 when a release stands for it, 200 otherwise).
    Taken(Box<Delivery>),
    /// Nothing proves where it comes from, for this reason; nothing was written.
    Unproven(String),
}

/// Matches a delivery against the triggers that listen, starts a release for each match unless the same was admitted
/// before (X1), and records what became of it.
///
/// # Errors
/// [`OperationError`] when something that should start could not be started or recorded, and may be later: the sender
/// should send it again. It is then not recorded under the sender's id; what it did start is not started twice.
pub async fn receive(context: &Context, arrived: Arrived<'_>) -> Result<Received, OperationError> {
    let mut known = KnownSecrets::presented(arrived.presented);
    if arrived.signals.is_empty() && arrived.hook.auth != (HookAuth::Constraints {}) {
        let payload = known.storable(arrived.body, &[]);
        let delivery = arrived.delivery(context, payload, Vec::new());
        return record(context, delivery).await.map(taken);
    }
    let name = arrived.hook.name.as_str();
    let Listeners { pipelines, unreadable } = listeners(context, name).await?;
    let listening = || pipelines.iter().flat_map(|pipeline| pipeline.triggers(name));
    let secrets = known.resolve(context, listening()).await;
    let matched = match_all(&pipelines, name, &arrived.hook.auth, &arrived.signals, &secrets, &known);
    if !matched.authentic {
        return Ok(Received::Unproven(why_unproven(&matched.considered)));
    }
    let triggers: Vec<Trigger> = listening().cloned().collect();
    let payload = known.storable(arrived.body, &triggers);
    let mut delivery = arrived.delivery(context, payload, Vec::new());
    if arrived.key.is_some()
        && let Some(first) = earlier(context, name, &delivery.key).await?
    {
        return Ok(taken(repeated(first.record, &delivery)));
    }
    let (verdicts, failed) = start_all(context, &arrived, &matched.considered).await;
    delivery =
        arrived.delivery(context, delivery.payload.unwrap_or_default(), [verdicts, unreadable].concat());
    match failed {
        Some(error) => Err(error),
        None => recorded(context, delivery).await.map(taken),
    }
}

fn taken(delivery: Delivery) -> Received {
    Received::Taken(Box::new(delivery))
}

/// Starts what matched. When something could not be started the rest is started nevertheless.
async fn start_all(
    context: &Context,
    arrived: &Arrived<'_>,
    considered: &[Considered<'_>],
) -> (Vec<Verdict>, Option<OperationError>) {
    let mut verdicts = Vec::with_capacity(considered.len());
    let mut failed = None;
    for one in considered {
        match start(context, one, arrived.cause(one)).await {
            Ok(verdict) => verdicts.push(verdict),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    (verdicts, failed)
}

/// A release stands whether or not the record of its delivery could be written: only where nothing was stored is the
/// sender asked to send again.
async fn recorded(context: &Context, delivery: Delivery) -> Result<Delivery, OperationError> {
    match record(context, delivery.clone()).await {
        Err(error) if delivery.verdicts.iter().any(|verdict| verdict.started) => {
            tracing::error!(%error, delivery = %delivery.id, "releases started, but their delivery is not on record");
            Ok(delivery)
        }
        done => done,
    }
}

fn why_unproven(considered: &[Considered<'_>]) -> String {
    let said = considered.iter().filter_map(|one| {
        let reason = one.outcome.as_ref().err()?;
        Some(format!("{} `{}`: {reason}", one.pipeline.name, one.trigger.name))
    });
    let said: Vec<String> = said.take(5).collect();
    if said.is_empty() {
        "no trigger listens to the hook, so nothing proves the sender".to_owned()
    } else {
        said.join("; ")
    }
}

impl Arrived<'_> {
    /// The record of this delivery.
    fn delivery(&self, context: &Context, payload: Value, verdicts: Vec<Verdict>) -> Delivery {
        let now = context.now();
        let ignored = self.ignored.iter().map(nothing);
        let mut verdicts = bounded(verdicts.into_iter().chain(ignored).collect());
        if verdicts.is_empty() {
            verdicts.push(nothing("no trigger listens to the hook"));
        }
        let released = verdicts.iter().any(|verdict| verdict.release.is_some());
        Delivery {
            key: self.key.as_deref().map_or_else(|| self.id.to_string(), record_key),
            id: self.id.clone(),
            hook: self.hook.name.clone(),
            received_at: now,
            http_status: if released { 202 } else { 200 },
            refused: None,
            verdicts,
            payload: Some(payload),
            expires_at: KEPT.after(now),
        }
    }

    /// What a release that this delivery starts says of its cause.
    fn cause(&self, considered: &Considered<'_>) -> Cause {
        let (hook, trigger) = (self.hook.name.clone(), considered.trigger.name.clone());
        let delivery = self.id.clone();
        match considered.signal {
            Signal::Push(push) => Cause::Registry { hook, trigger, delivery, pusher: push.pusher.clone() },
            _ => Cause::Webhook { hook, trigger, delivery },
        }
    }
}
