//! What the Lambda mains share: the installation's clients from the environment, logs, and stable error names.

mod environment;
mod error;
mod serve;

pub use environment::{MissingSetting, StartError, context_from_env};
pub use error::StepError;
pub use serve::{init_logs, serve};
