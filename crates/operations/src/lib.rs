//! Use cases: each loads records, asks the domain, writes, and says what to do next.
//!
//! There is one store and one kind of cluster client; the places an installation runs in differ by endpoint only, so
//! the use cases use them directly. [`Context`] holds what they work with.

pub mod advance;
pub mod clock;
pub mod clusters;
mod context;
mod error;
pub mod executions;
mod load;
mod reads;
pub mod random;
pub mod secrets;
pub mod stage_steps;
pub mod stages;

mod cancel_deployment;
mod decide_approval;
mod roll_back;
mod skip_wait;
mod start_deployment;
mod start_release;
mod sweep;
mod wake;

pub use cancel_deployment::cancel_deployment;
pub use context::Context;
pub use decide_approval::{DecideApproval, decide_approval};
pub use error::OperationError;
pub use roll_back::roll_back;
pub use skip_wait::skip_wait;
pub use start_deployment::start_deployment;
pub use start_release::{Admitted, StartRelease, start_release};
pub use sweep::{Swept, sweep};
