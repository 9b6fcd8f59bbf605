//! Whether what arrived starts a release, and with what.

mod cron;
mod matching;
mod parameters;
mod redaction;
mod secrets;

pub use cron::{ScheduleError, next_fire};
pub use matching::{ImagePush, Match, Mismatch, Signal, match_trigger};
pub use parameters::{release_artifacts, resolve_parameters};
pub use redaction::redact;
pub use secrets::ResolvedSecrets;
