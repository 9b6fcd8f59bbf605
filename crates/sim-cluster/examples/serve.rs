//! Serves a simulated cluster for `kubectl`: `cargo run -p pilothouse-sim-cluster --example serve -- [port] [file] [token]`.
//!
//! Writes the kubeconfig to `sim-kubeconfig.yaml` in the temporary directory and runs until it is interrupted.

use std::error::Error;

use pilothouse_sim_cluster::SimCluster;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let port: u16 = arguments.next().map_or(Ok(8901), |p| p.parse())?;
    let mut builder = SimCluster::builder().namespaces(["dev", "prod"]);
    if let Some(file) = arguments.next().filter(|f| !f.is_empty()) {
        builder = builder.file(file);
    }
    let token = arguments.next();
    if let Some(token) = &token {
        builder = builder.token(token);
    }
    let cluster = builder.build().await?;
    let server = cluster.serve(TcpListener::bind(("127.0.0.1", port)).await?).await?;
    let kubeconfig = std::env::temp_dir().join("sim-kubeconfig.yaml");
    std::fs::write(&kubeconfig, cluster.kubeconfig(server.addr(), token.as_deref()))?;
    tokio::signal::ctrl_c().await?;
    server.shutdown().await;
    Ok(())
}
