//! AWS SDK clients whose requests are answered in this process: no socket, no thread, and every wait is tokio's, so a
//! test may pause time.
//!
//! - [`dynamodb`]: the real `aws-sdk-dynamodb` client onto an embedded table (SQLite, in memory or in a file), which
//!   counts what is consumed ([`Meter`]) and can misbehave on purpose ([`Fault`]).
//! - [`sfn`]: the real `aws-sdk-sfn` client onto any function from target and body to status and body.

pub mod dynamodb;
mod fault;
mod meter;
pub mod sfn;
mod transport;

pub use fault::{Fault, Faults};
pub use meter::{Meter, Usage};
