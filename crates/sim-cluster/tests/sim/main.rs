//! The simulated cluster through the real client, in process and on paused time.

mod access;
mod apply;
mod crud;
mod custom;
mod disruptions;
mod faults;
mod objects;
mod persistence;
mod pods;
mod refusals;
mod rollout;
mod routing;
mod serving;
mod watching;
mod workloads;
