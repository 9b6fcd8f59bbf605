//! Gates that ask a real Prometheus, before and after a deployment (A34-A38).

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{House, Prometheus, Server, attempt, eventually};

const DEPLOYED: &str = "/api/v1/namespaces/dev/configmaps/deployed";

/// Before: Prometheus must have been up (a scrape on a busy machine may miss its second). After: what it says of itself must stay below the release's `limit`.
fn pipeline(address: &str) -> String {
    format!(
        r#"application: shop
pipeline: watched
parameters: [{{name: limit, default: "2"}}]
environments:
  - name: dev
    namespace: dev
    gates:
      before:
        interval: 5s
        timeout: 20s
        checks:
          - {{name: scraped, type: prometheus, address: "{address}", query: 'max_over_time(up{{job="itself"}}[1h])', equals: 1}}
      after:
        interval: 5s
        timeout: 10s
        checks:
          - {{name: quiet, type: prometheus, address: "{address}", query: "max(max_over_time(up[1h]))", below: "${{ params.limit }}"}}
    rollback: {{policy: on_failure, causes: [gate_failed]}}
    stages:
      - name: Deploy
        type: deploy-manifest
        manifests: |
          apiVersion: v1
          kind: ConfigMap
          metadata: {{name: deployed}}
          data: {{k: v}}
"#
    )
}

/// Starts a release and waits for its end.
async fn released(server: &Server, limit: &str) -> anyhow::Result<Value> {
    let ask = json!({ "application": "shop", "pipeline": "watched", "parameters": { "limit": limit } });
    let release = server.api().post("/v1/releases", &ask).await?;
    let id = release["id"].as_str().context("a release has an id")?.to_owned();
    eventually("the release at rest", async || {
        let view = server.api().get(&format!("/v1/releases/{id}")).await?;
        Ok((view["atRest"] == true).then_some(view))
    })
    .await
}

/// The latest sample of a gate of the first attempt.
async fn last_sample(server: &Server, release: &Value, side: &str) -> anyhow::Result<Value> {
    let id = release["id"].as_str().context("a release has an id")?;
    let samples = format!("/v1/releases/{id}/environments/dev/attempts/1/gates/{side}/samples");
    Ok(server.api().list(&samples).await?.into_iter().next().unwrap_or_default())
}

#[tokio::test]
async fn a34_a38_gates_believe_what_prometheus_says() -> anyhow::Result<()> {
    let house = House::new(20)?;
    let server = house.start(&["--allow-loopback"]).await?;
    let prometheus = Prometheus::start(&house.path("prometheus")).await?;
    let text = pipeline(&prometheus.address());
    server.api().send_text(Method::PUT, "/v1/pipelines", "application/yaml", &text).await?;

    let good = released(&server, "2").await?;
    assert_eq!(attempt(&good, "dev", 1)["status"], "Succeeded", "{good:#}");
    for (side, check) in [("before", "scraped"), ("after", "quiet")] {
        let sample = last_sample(&server, &good, side).await?;
        ensure!(sample["passed"] == true && sample["checks"][0]["name"] == check, "{sample:#}");
        ensure!(sample["checks"][0]["value"].as_f64() == Some(1.0), "{sample:#}");
    }
    server.cluster().get(DEPLOYED).await.context("it was deployed")?;

    // One is not below one: the gate ends by its deadline, and what was deployed is taken back (V2).
    let bad = released(&server, "1").await?;
    let failed = attempt(&bad, "dev", 1);
    assert_eq!((&failed["status"], &failed["operationStatus"]), (&json!("Failed"), &json!("GatesFailed")));
    ensure!(failed["reason"].as_str().is_some_and(|reason| reason.contains("quiet")), "{failed:#}");
    assert_eq!(last_sample(&server, &bad, "after").await?["passed"], false);
    assert_eq!(attempt(&bad, "dev", 2)["kind"], "rollback", "{bad:#}");

    // Nobody answers: nothing is deployed.
    prometheus.kill().await?;
    let blind = released(&server, "2").await?;
    let refused = attempt(&blind, "dev", 1);
    assert_eq!(
        (&refused["status"], &refused["operationStatus"]),
        (&json!("NotDeployed"), &json!("GatesFailed"))
    );
    ensure!(refused["startedAt"].is_null(), "{refused:#}");
    Ok(())
}
