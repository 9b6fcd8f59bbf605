//! Two releases, one after the other in `prod`: the first succeeds; the second waits for its place, crashes and is
//! rolled back. Told as a person would bring it about: look how things stand, do what is due, look again.

use anyhow::Context as _;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Refused, Server, attempt, digest, environment_status};

/// Two stages in a row, a question and a wait: every kind of step has its turn.
const PIPELINE: &str = r#"
application: shop
pipeline: web
artifacts: [{name: web, image: shop/web}]
triggers: [{name: push, type: registry, hook: shop, image: shop/web}]
environments:
  - name: dev
    namespace: dev
    stages:
      - name: Config
        type: deploy-manifest
        render: true
        manifests: &config |
          {apiVersion: v1, kind: ConfigMap, metadata: {name: web}, data: {VERSION: "${ artifacts.web.tag }"}}
      - name: Deploy
        type: deploy-manifest
        dependsOn: [Config]
        requiredArtifacts: [web]
        manifests: &deploy |
          apiVersion: apps/v1
          kind: Deployment
          metadata: {name: web}
          spec:
            replicas: 2
            selector: {matchLabels: {app: web}}
            template:
              metadata: {labels: {app: web}}
              spec: {containers: [{name: web, image: shop/web}]}
      - name: Look
        type: manual-judgment
        dependsOn: [Deploy]
  - name: prod
    namespace: prod
    after: [dev]
    approvals: {before: {approvers: [{role: approver}]}}
    rollback: {policy: on_failure}
    stages:
      - {name: Config, type: deploy-manifest, render: true, manifests: *config}
      - {name: Deploy, type: deploy-manifest, dependsOn: [Config], requiredArtifacts: [web], manifests: *deploy}
      - {name: Settle, type: wait, dependsOn: [Deploy], duration: 1s}
"#;

/// The second release's image runs in `dev` and crashes in `prod`.
const CRASHES: &str = r#"
{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "sim-images", "namespace": "kube-system"},
 "data": {"web": "{image: '*/shop/web:1.1.0*', namespace: prod, behaviour: crash-loop, message: 'panic: no database'}"}}"#;

pub(super) const FIRST: &str = "1.0.0";
pub(super) const SECOND: &str = "1.1.0";

/// The digest that stands for the image of a tag.
pub(super) fn digest_of(tag: &str) -> String {
    digest(tag.as_bytes())
}

pub(super) struct Story {
    secret: String,
}

impl Story {
    /// Everything that stands before the first push.
    pub(super) async fn prepare(server: &Server) -> anyhow::Result<Self> {
        let rules = "/api/v1/namespaces/kube-system/configmaps";
        server.cluster().send_text(Method::POST, rules, "application/json", CRASHES).await?;
        server.api().send_text(Method::PUT, "/v1/pipelines", "application/yaml", PIPELINE).await?;
        let hook = server.api().put("/v1/hooks/shop", &json!({ "sender": "distribution" })).await?;
        let secret = hook["secret"].as_str().context("a new hook has a secret")?.to_owned();
        Ok(Self { secret })
    }

    /// Does what is due, whatever was done before; whether the story is over.
    pub(super) async fn advance(&self, server: &Server) -> anyhow::Result<bool> {
        let first = self.released(server, FIRST).await?;
        decide(server, &first, "dev").await?;
        if attempt(&first, "prod", 1)["approvals"][0].is_null() {
            return Ok(false);
        }
        let second = self.released(server, SECOND).await?;
        decide(server, &second, "dev").await?;
        if !stands_in_line(server, &second).await? {
            return Ok(false);
        }
        decide(server, &first, "prod").await?;
        if environment_status(&first, "prod") != "Succeeded" {
            return Ok(false);
        }
        decide(server, &second, "prod").await?;
        let rollback = attempt(&second, "prod", 2);
        Ok(first["atRest"] == true && second["atRest"] == true && rollback["endedAt"].is_string())
    }

    /// The release of a tag as it stands; pushes the tag if there is none. Pushing twice is what registries do.
    pub(super) async fn released(&self, server: &Server, tag: &str) -> anyhow::Result<Value> {
        let path = "/webhooks/distribution/shop";
        let find = async || {
            let releases = server.api().list("/v1/releases").await?;
            anyhow::Ok(releases.into_iter().find(|release| release["artifacts"][0]["tag"] == tag))
        };
        let mut found = find().await?;
        if found.is_none() {
            let media_type = "application/vnd.docker.distribution.events.v1+json";
            let registry = server.api().with_token(&self.secret);
            registry.send_text(Method::POST, path, media_type, &notification(tag).to_string()).await?;
            found = find().await?;
        }
        let id = found.with_context(|| format!("the push of {tag} started no release"))?["id"].clone();
        server.api().get(&format!("/v1/releases/{}", id.as_str().context("a release has an id")?)).await
    }
}

/// Says yes to every question that is open in an environment.
async fn decide(server: &Server, release: &Value, environment: &str) -> anyhow::Result<()> {
    let id = release["id"].as_str().context("a release has an id")?;
    for open in attempt(release, environment, 1)["approvals"].as_array().into_iter().flatten() {
        if open["pending"] == true {
            let approval = open["id"].as_str().context("an approval has an id")?;
            let path = format!("/v1/releases/{id}/approvals/{approval}/approve");
            match server.api().post(&path, &json!({})).await {
                // It was taken before the process died, and its answer was lost.
                Err(error) if refused(&error) == Some(StatusCode::CONFLICT) => {}
                done => drop(done?),
            }
        }
    }
    Ok(())
}

fn refused(error: &anyhow::Error) -> Option<StatusCode> {
    error.downcast_ref::<Refused>().map(|refused| refused.status)
}

/// Whether the release has been told that `prod` is taken.
async fn stands_in_line(server: &Server, release: &Value) -> anyhow::Result<bool> {
    let id = release["id"].as_str().context("a release has an id")?;
    let page = server.api().get(&format!("/v1/releases/{id}/events?limit=100")).await?;
    Ok(page["events"].as_array().into_iter().flatten().any(|event| event["type"] == "LaneAwaited"))
}

/// What a registry sends when `shop/web:{tag}` was pushed.
fn notification(tag: &str) -> Value {
    json!({ "events": [{
        "id": format!("event-{tag}"),
        "timestamp": "2026-11-21T09:00:00.123456789Z",
        "action": "push",
        "target": {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "size": 401, "digest": digest_of(tag), "length": 401, "repository": "shop/web", "tag": tag,
        },
        "request": { "id": "7a1b", "addr": "127.0.0.1:51234", "host": "registry.test", "method": "PUT" },
        "actor": {},
        "source": { "addr": "registry.test:5000", "instanceID": "3b2c" },
    }]})
}
