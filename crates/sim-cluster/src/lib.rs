//! A simulated Kubernetes cluster: API server behaviour and the controllers a release needs.

mod api;
mod clock;
mod cluster;
mod controllers;
mod error;
mod faults;
mod fields;
mod glob;
mod json;
mod kinds;
mod patch;
mod rng;
mod rules;
mod selector;
mod server;
mod status;
mod store;
mod strategy;
mod typed;
mod write;
mod yaml;

pub use clock::{Clock, TokioClock};
pub use cluster::{SimCluster, SimClusterBuilder};
pub use error::SimError;
pub use faults::{Fault, FaultEffect, FaultScope, RequestRecord};
pub use rules::{Behaviour, ImageRule};
pub use server::SimServer;
