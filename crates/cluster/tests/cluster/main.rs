//! The cluster's actions against the simulated cluster, in paused time and without sockets.

mod apply;
mod faults;
mod patch_image;
mod restore;
mod rollout;
mod support;
