//! One trigger against one signal.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::ResolvedSecrets;
use crate::artifact::Artifact;
use crate::pipeline::{PipelineSpec, Trigger};

/// What arrived, after authentication and normalisation.
#[derive(Debug, Clone, PartialEq)]
pub enum Signal<'a> {
    /// An image was pushed to a registry.
    Push(ImagePush),
    /// A webhook's body.
    Payload(&'a Value),
    /// A cron trigger's time has come.
    Cron {
        /// The trigger's name.
        trigger: &'a str,
        /// The time that the schedule meant, not the time of arrival.
        intended: Timestamp,
    },
}

/// A push notification, normalised.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImagePush {
    /// The registry's host, as it calls itself.
    pub host: Option<String>,
    /// The repository without host.
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// `sha256:…`, when the sender tells it.
    pub digest: Option<String>,
    /// Who pushed.
    pub pusher: Option<String>,
    /// When.
    pub pushed_at: Option<Timestamp>,
}

/// What the release starts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// The artifacts that the signal binds.
    pub artifacts: Vec<Artifact>,
    /// Every parameter that has a value, defaults included.
    pub parameters: BTreeMap<String, String>,
}

/// Why a signal starts nothing. Never holds a secret's value, nor what was received in its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// The trigger is switched off.
    #[error("the trigger is disabled")]
    Disabled,
}

/// Decides whether a signal starts a release by this trigger, and with what.
///
/// # Errors
/// The reason why nothing starts.
pub fn match_trigger(
    spec: &PipelineSpec,
    trigger: &Trigger,
    signal: &Signal<'_>,
    secrets: &ResolvedSecrets,
) -> Result<Match, Mismatch> {
    let _ = (spec, trigger, signal, secrets);
    unimplemented!("being written")
}
