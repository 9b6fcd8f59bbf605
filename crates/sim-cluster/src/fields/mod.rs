//! Field ownership: `managedFields`, server-side apply, and the list and map types they need.

mod apply;
mod compare;
mod managed;
mod schema;
mod set;

pub(crate) use apply::apply;
pub(crate) use managed::{Manager, same_but_managed_fields, track_update};
pub(crate) use schema::{Shape, list_shape};
