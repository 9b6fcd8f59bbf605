//! The API server on a TCP listener.

use std::{net::SocketAddr, sync::Arc};

use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::{SimError, api, cluster::Shared};

/// A listener that serves a cluster. Dropping it closes the listener and ends its watches.
#[derive(Debug)]
pub struct SimServer {
    addr: SocketAddr,
    closing: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

impl SimServer {
    pub(crate) fn start(shared: Arc<Shared>, listener: TcpListener) -> Result<Self, SimError> {
        let addr = listener.local_addr().map_err(SimError::Listen)?;
        let (closing, mut closed) = watch::channel(false);
        let router = api::router(shared, api::Entrance::Listener(closing.subscribe()));
        let shutdown = async move {
            // An error means that the server was dropped: the end as well.
            let _ = closed.wait_for(|c| *c).await;
        };
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(shutdown).await {
                tracing::error!(%error, "the simulated API server ended");
            }
        });
        Ok(Self { addr, closing, task: Some(task) })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Stops accepting, ends the watches and waits until the open requests are answered.
    pub async fn shutdown(mut self) {
        self.closing.send_replace(true);
        if let Some(task) = self.task.take() {
            // The task cannot panic; a cancelled one has ended as well.
            let _ = task.await;
        }
    }
}

impl Drop for SimServer {
    fn drop(&mut self) {
        self.closing.send_replace(true);
    }
}
