//! What each kind adds by default and refuses.

mod defaults;
mod names;
mod pod;
mod quantity;
mod validate;
mod workload;

pub(crate) use defaults::{finish_pod, set_defaults};
pub(crate) use quantity::parse as parse_quantity;
pub(crate) use validate::validate;
