//! The API server's HTTP side.
use std::sync::Arc;

use tokio::sync::watch;

use crate::cluster::Shared;

/// The API as a router.
pub(crate) fn router(shared: Arc<Shared>, closing: Option<watch::Receiver<bool>>) -> axum::Router {
    let _ = (shared, closing);
    axum::Router::new()
}
