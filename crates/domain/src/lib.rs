//! The pure heart of Pilothouse: pipelines, releases, deployment attempts, stages, and the decisions about them.
//!
//! Nothing here reads a clock, makes an id, waits, or talks to anything: times, ids and random picks are handed
//! in, and decisions come back as values (the next state, or a typed refusal).

pub mod approval;
pub mod artifact;
pub mod attempt;
pub mod callback;
pub mod cluster_account;
pub mod duration;
pub mod environment;
pub mod evidence;
pub mod expression;
pub mod freeze;
pub mod gate;
pub mod hold;
pub mod ids;
pub mod instance_links;
pub mod intake;
pub mod inventory;
pub mod lane;
pub mod log_text;
pub mod notification;
pub mod pipeline;
pub mod problem;
pub mod proof;
pub mod release;
pub mod saved;
pub mod schedule;
pub mod secret;
pub mod server_group;
pub mod settings;
pub mod snapshot;
pub mod stage;
pub mod timeline;
pub mod token;
pub mod traffic_guard;
pub mod trigger;
