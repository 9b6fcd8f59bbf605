//! Ports for other people's servers, which do not say which one they took.

use std::net::TcpListener;

use anyhow::Context as _;

/// A port that nobody has now. Another program may take it before it is used: whoever asks tries again.
pub(super) fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no port is free")?;
    Ok(listener.local_addr().context("the listener has no address")?.port())
}
