//! The steps of `deployment.asl.json`. Each reads the records again; calling one twice is harmless (invariant 2).

mod approval;
mod carry_over;
mod complete;
pub(crate) mod expire;
mod freeze;
mod lane;
mod next;
pub(crate) mod pass;
mod planned;
pub(crate) mod settle;
mod upstream;
mod wait;

use pilothouse_domain::duration::FARTHEST;
use serde::{Deserialize, Serialize};

pub use complete::complete;
pub use expire::expire;
pub(crate) use freeze::{clusters, is_frozen};
pub(crate) use lane::{LANE_PATIENCE, coming_back, regain};
pub use next::advance;
pub use settle::{fail, settle};
pub use upstream::await_upstream;
pub(crate) use upstream::{not_run, run_it};
pub(crate) use wait::is_over;
pub use wait::{Wait, wait};

use crate::executions::ExecutionInput;

/// What the definition does next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "next", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Next {
    /// Wait for the lane.
    Lane {
        /// At most so long.
        timeout_seconds: i64,
    },
    /// Wait for the approval.
    Approval {
        /// At most so long.
        timeout_seconds: i64,
    },
    /// Wait for a time.
    Time {
        /// So long.
        timeout_seconds: i64,
    },
    /// Wait for the next sample of the gates.
    Gates {
        /// So long.
        timeout_seconds: i64,
    },
    /// Wait for the end of a freeze.
    Freeze {
        /// At most so long.
        timeout_seconds: i64,
    },
    /// Wait for a person who resumes it.
    Resume {
        /// At most so long.
        timeout_seconds: i64,
    },
    /// Run the stages, given in topological order.
    Stages {
        /// Their names.
        stages: Vec<String>,
        /// As long as an execution may last: each stage, and a rollback as a whole, is bounded by its records.
        timeout_seconds: i64,
    },
    /// Run the rollback attempt.
    Rollback {
        /// Its execution's input.
        rollback: ExecutionInput,
        /// Its execution's name.
        execution: String,
    },
    /// Do what follows the attempt's end.
    Complete,
    /// Nothing is left to do.
    Done,
}

/// [`FARTHEST`] as Step Functions counts: for waits whose end somebody else brings.
#[expect(clippy::cast_possible_wrap, reason = "far below i64::MAX")]
pub(crate) const LONGEST_SECONDS: i64 = (FARTHEST.as_millis() / 1000) as i64;
