//! An embedded Step Functions engine: Amazon States Language with JSONata.

mod clock;
mod data;
mod digest;
mod engine;
mod error;
mod execution;
mod expression;
mod rng;
mod tasks;
pub mod wire;

pub use clock::{Clock, TokioClock};
pub use engine::{Engine, EngineBuilder, HistoryEventPlaceholder as HistoryEvent, HistoryKept};
pub use error::{Error, Problem};
pub use execution::{Execution, Failure, Outcome, Started, StateMachine, Status, StatusName};
pub use tasks::{FunctionError, Tasks, function_name};
