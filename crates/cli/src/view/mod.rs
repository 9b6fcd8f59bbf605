//! Releases for people: a live view while one runs, and its timeline afterwards.

mod approvals;
mod describe;
mod gates;
mod lanes;
mod lines;
mod live;
mod outputs;
#[cfg(test)]
pub(crate) mod samples;
mod time;
mod waits;
mod workloads;

pub(crate) use approvals::{SHORT_HASH, facts};
pub(crate) use describe::{log_lines, proof, shortened, timeline};
pub(crate) use gates::measured;
pub(crate) use lines::{lines, outcome_in_words, said_by, state_in_words, whole};
pub(crate) use live::LiveView;
pub(crate) use outputs::shown as output_line;
pub(crate) use time::{ago, elapsed};
pub(crate) use waits::quoted;
pub(crate) use workloads::{instances, workloads};
