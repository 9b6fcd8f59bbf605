//! The whole system in one process on paused time: no socket, no thread, no second that really passes.

mod approvals;
mod bad_luck;
mod cancel;
mod crash;
mod intake;
mod lanes;
mod main_story;
mod rollback;
mod stages;
mod world;
