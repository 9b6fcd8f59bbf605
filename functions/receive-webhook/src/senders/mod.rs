//! The senders: one file each, which turns its format into signals. A hook declares its sender; nothing is guessed.

mod distribution;
mod generic;

use axum::http::HeaderMap;
use pilothouse_domain::intake::Sender;
use pilothouse_domain::trigger::Signal;
use serde_json::Value;

/// What a sender's delivery says.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Normalised<'a> {
    /// The sender's id of the delivery, the same when it is sent again; none if it has none.
    pub(crate) key: Option<String>,
    /// What may start something, each once.
    pub(crate) signals: Vec<Signal<'a>>,
    /// Why the rest is of no interest.
    pub(crate) ignored: Vec<String>,
}

/// Reads one sender's format. The body is authentic JSON, or will be authenticated by what it holds.
pub(crate) trait Receiver: Sync {
    /// What the delivery says. A body of another shape says nothing, and why.
    fn normalise<'a>(&self, headers: &HeaderMap, body: &'a Value) -> Normalised<'a>;
}

/// The receiver of a sender.
pub(crate) fn receiver(sender: Sender) -> &'static dyn Receiver {
    match sender {
        Sender::Distribution => &distribution::Distribution,
        Sender::Generic => &generic::Generic,
    }
}
