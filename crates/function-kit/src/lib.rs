//! What the Lambda mains share: the installation's clients from the environment, logs, and stable error names.

mod aws;
mod environment;
mod error;
mod secrets_manager;
mod serve;

pub use aws::{LazyCredentials, LazySecrets};
pub use environment::{MissingSetting, StartError, context_from_env};
pub use error::StepError;
pub use secrets_manager::SecretsManager;
pub use serve::{init_logs, serve};
