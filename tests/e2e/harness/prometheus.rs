//! Debian's `prometheus`, which scrapes nothing but itself.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, bail};
use tokio::process::{Child, Command};

use super::{Api, eventually, free_port};

/// A running Prometheus. Dropped, it is killed.
pub(crate) struct Prometheus {
    child: Child,
    host: String,
}

impl Prometheus {
    /// Starts one that keeps its data in `folder`, and waits until it has scraped itself.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) async fn start(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder).context("cannot make Prometheus' folder")?;
        // Another program may take the port between the look and the start; then another port is tried.
        for _ in 0..5 {
            let host = format!("127.0.0.1:{}", free_port()?);
            let config = folder.join("prometheus.yml");
            std::fs::write(&config, configuration(&host))?;
            let mut child = Command::new("prometheus")
                .arg(format!("--config.file={}", config.display()))
                .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
                .arg(format!("--web.listen-address={host}"))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(std::fs::File::create(folder.join("log"))?)
                .kill_on_drop(true)
                .spawn()
                .context("cannot start prometheus; `cargo xtask e2e` gets it")?;
            if has_scraped(&mut child, &host).await? {
                return Ok(Self { child, host });
            }
        }
        bail!(
            "prometheus does not start: {}",
            std::fs::read_to_string(folder.join("log")).unwrap_or_default()
        )
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.host)
    }

    /// Ends it, and waits until it is gone.
    pub(crate) async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("cannot end prometheus")
    }
}

/// Waits until it knows of itself; no when it ended instead.
async fn has_scraped(child: &mut Child, host: &str) -> anyhow::Result<bool> {
    let api = Api::new(format!("http://{host}"), "")?;
    eventually("a scrape of Prometheus", async || {
        if child.try_wait().context("cannot look after prometheus")?.is_some() {
            return Ok(Some(false));
        }
        let up = api.get("/api/v1/query?query=up").await.unwrap_or_default();
        Ok((up["data"]["result"][0]["value"][1] == "1").then_some(true))
    })
    .await
}

fn configuration(host: &str) -> String {
    format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: itself
    static_configs: [{{targets: [\"{host}\"]}}]
"
    )
}
