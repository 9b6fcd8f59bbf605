//! The cluster's actions against the simulated cluster, in paused time and without sockets, but for one over HTTP.
//!
//! The modules are marked as tests so that clippy lets their helpers `unwrap` too.

#[cfg(test)]
mod apply;
#[cfg(test)]
mod around;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod http;
#[cfg(test)]
mod kinds;
#[cfg(test)]
mod owners;
#[cfg(test)]
mod patch_image;
#[cfg(test)]
mod permissions;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod restore;
#[cfg(test)]
mod rollout;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod watch;
