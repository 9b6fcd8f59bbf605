//! The key that Secrets in snapshots are sealed with (X4, invariant 7).

use pilothouse_cluster::SealingKeys;
use pilothouse_domain::problem::{Problem, Problems};
use pilothouse_domain::secret::SecretRef;

use crate::{Context, OperationError};

/// The variable that says which key: a reference such as `file:PATH` or `aws-secret:NAME#key`, or the key itself. An embedded
/// system makes one of its own.
pub const SEALING_KEY: &str = "PILOTHOUSE_SEALING_KEY";

impl Context {
    /// The installation's sealing keys; `None` where none is configured: Secrets are then only told to have changed.
    ///
    /// # Errors
    /// A key is configured, and cannot be read or is too short: better no deployment than one whose Secrets cannot be
    /// taken back, unnoticed.
    pub(crate) async fn sealing_keys(&self) -> Result<Option<SealingKeys>, OperationError> {
        let variable = SecretRef::Env { name: SEALING_KEY.to_owned() };
        let Ok(value) = self.secrets.resolve(&variable).await else { return Ok(None) };
        let keys = match value.expose().parse::<SecretRef>() {
            Ok(reference) => SealingKeys::parse(self.secrets.resolve(&reference).await?.expose()),
            Err(_) => SealingKeys::parse(value.expose()),
        };
        keys.map(Some)
            .map_err(|e| OperationError::Invalid(Problems::from(Problem::new(SEALING_KEY, e.to_string()))))
    }
}
