//! The controllers: what makes objects of other objects, and pods run.

use std::sync::Arc;

use tokio::{sync::watch, task::JoinHandle};

use crate::{ImageRule, store::Core};

/// What the controllers need to know beside the store.
pub(crate) struct Settings {
    /// Divides every delay.
    pub(crate) speed: f64,
    /// The rules of builder and handle.
    pub(crate) rules: watch::Receiver<Vec<ImageRule>>,
}

/// Starts the controllers on the current runtime.
pub(crate) fn start(core: Arc<Core>, settings: Settings) -> JoinHandle<()> {
    tokio::spawn(async move {
        let _keep = (core, settings);
    })
}
