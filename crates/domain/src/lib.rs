//! The pure heart of Pilothouse: pipelines, releases, deployment attempts, stages, and the decisions about them.
//!
//! Nothing here reads a clock, makes an id, waits, or talks to anything: times, ids and random picks are handed
//! in, and decisions come back as values (the next state, or a typed refusal).

pub mod artifact;
pub mod duration;
pub mod expression;
pub mod ids;
pub mod pipeline;
pub mod problem;
pub mod secret;
pub mod trigger;
