//! Gates: checks that are sampled until all of them pass together (A34-A38). Adding a check type is one file here and one
//! line in `TYPES`.
//!
//! What a sample comes to is decided in [`pilothouse_domain::gate`]; here the checks are carried out and recorded. A check
//! that cannot be carried out (its host is away, it answers nonsense) is one that did not pass, with the reason; it never
//! breaks the gate.

mod call;
mod cluster;
mod expect;
mod http;
mod open;
mod prometheus;
mod resume;
mod step;
mod window;

use futures::future::BoxFuture;
use jiff::Timestamp;
use pilothouse_domain::attempt::Attempt;
use pilothouse_domain::gate::{GateCheck, GateSide};
use pilothouse_domain::pipeline::{EnvironmentSpec, GatePolicy, StageTypeInfo};
use pilothouse_domain::release::Release;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub(crate) use cluster::api_version_of;
pub use open::open;
pub(crate) use resume::resuming;
pub use step::{GateStep, step};

use crate::Context;

/// The check types of this version.
static TYPES: [&dyn CheckType; 4] =
    [&cluster::ClusterCheck, &http::Http, &prometheus::Prometheus, &window::Window];

/// What a pipeline's checks may be.
pub fn check_types() -> impl Iterator<Item = StageTypeInfo> {
    TYPES.iter().map(|kind| kind.info())
}

/// The gate of an attempt on one side; a rollback has none.
#[must_use]
pub fn policy<'r>(release: &'r Release, attempt: &Attempt, side: GateSide) -> Option<&'r GatePolicy> {
    let gates =
        release.environment(&attempt.at.environment)?.gates.as_ref().filter(|_| !attempt.is_rollback())?;
    match side {
        GateSide::Before => gates.before.as_ref(),
        GateSide::After => gates.after.as_ref(),
    }
}

/// What a check works with in one sample.
struct CheckContext<'a> {
    context: &'a Context,
    environment: &'a EnvironmentSpec,
    check: &'a GateCheck,
    /// What expressions can read, as in a stage.
    scope: &'a Value,
    /// When the sample began.
    now: Timestamp,
}

impl CheckContext<'_> {
    /// The check's options as their type.
    fn options<T: DeserializeOwned>(&self) -> Result<T, String> {
        let options = Value::Object(self.check.options.clone());
        serde_json::from_value(options).map_err(|error| format!("its options cannot be used: {error}"))
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq)]
struct Finding {
    passed: bool,
    /// What was measured, if that is a value.
    value: Value,
    /// In a sentence, without secrets.
    detail: String,
}

impl Finding {
    fn new(passed: bool, value: impl Into<Value>, detail: impl Into<String>) -> Self {
        Self { passed, value: value.into(), detail: detail.into() }
    }
}

/// What a check came to; the error says why it could not be carried out, without secrets.
type Sampled<'a> = BoxFuture<'a, Result<Finding, String>>;

/// A kind of check: what may be written in a pipeline, and how it is carried out.
trait CheckType: Send + Sync {
    /// Its name, the schema of its options, and what a schema cannot say about them.
    fn info(&self) -> StageTypeInfo;

    /// Which options are left as they are when the gate is opened: `expect`, an expression over what the sample finds.
    fn verbatim(&self) -> &'static [&'static str] {
        &["expect"]
    }

    /// Looks once. It has ten seconds.
    fn sample<'a>(&'a self, check: &'a CheckContext<'a>) -> Sampled<'a>;
}

/// The type of that name.
fn check_type(name: &str) -> Result<&'static dyn CheckType, String> {
    let found = TYPES.iter().find(|kind| kind.info().name == name);
    found.copied().ok_or_else(|| format!("this version has no check type `{name}`; upgrade it"))
}

#[cfg(test)]
mod tests;
