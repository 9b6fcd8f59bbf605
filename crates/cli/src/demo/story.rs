//! The acts: a push, what follows it, and the approval that a person would give.

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::PostParams;
use pilothouse_domain::timeline::Event;
use pilothouse_serve_api::api::ReleaseView;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::BAD;
use super::installation::Installation;
use crate::client::Request;
use crate::print;
use crate::view::LiveView;

/// The digest that stands for an image of that tag.
pub(super) fn digest_of(tag: &str) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(format!("shop/web:{tag}").as_bytes())))
}

impl Installation {
    /// Makes the bad version crash in prod, by the ConfigMap that the simulated cluster reads its faults from.
    pub(super) async fn break_in_prod(&self) -> anyhow::Result<()> {
        let rule = json!({
            "image": format!("*/shop/web:{BAD}*"), "namespace": "prod", "behaviour": "crash-loop",
            "message": "panic: cannot reach the database of prod",
        });
        let faults: ConfigMap = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "sim-images", "namespace": "kube-system" },
            "data": { "broken": rule.to_string() },
        }))?;
        let configs: Api<ConfigMap> = Api::namespaced(self.kube.clone(), "kube-system");
        configs.create(&PostParams::default(), &faults).await.context("cannot set the cluster's faults")?;
        Ok(())
    }

    /// Sends the push notification and follows the release it starts until it is at rest.
    pub(super) async fn push_and_follow(&self, tag: &str) -> anyhow::Result<ReleaseView> {
        let answer = self.notify(tag, &digest_of(tag)).await?;
        let started = answer["verdicts"].as_array().into_iter().flatten().find(|v| v["started"] == true);
        let Some(verdict) = started else { bail!("the push started no release: {answer}") };
        let id = verdict["release"].as_str().context("the verdict names its release")?.parse()?;
        let mut live = LiveView::new(!self.json && print::is_terminal());
        let mut after = 0;
        loop {
            let page = self.client.events(&id, after, 1).await?;
            after = page.last;
            let view = self.client.release(&id).await?.body;
            self.tell(&mut live, &view, &page.events);
            self.answer(&view).await?;
            if view.at_rest && page.events.is_empty() {
                live.finish();
                return Ok(view);
            }
        }
    }

    fn tell(&self, live: &mut LiveView, view: &ReleaseView, events: &[Event]) {
        if !self.json {
            return live.update(view, events);
        }
        for event in events {
            print::line(&serde_json::to_string(event).unwrap_or_default());
        }
    }

    /// Approves what waits, after the pause that a person would take to look.
    async fn answer(&self, view: &ReleaseView) -> anyhow::Result<()> {
        let attempts = view.environments.iter().flat_map(|e| &e.attempts);
        let Some(pending) = attempts.flat_map(|a| &a.approvals).find(|a| a.pending) else { return Ok(()) };
        self.pause(3.0).await;
        let (release, approval) = (view.id.to_string(), pending.id.to_string());
        let path = ["v1", "releases", &release, "approvals", &approval, "approve"];
        let said = json!({ "comment": "dev looks quiet" });
        let ann = self.approver.get().context("ann has a token")?;
        ann.send::<Value>(Request::post(&path).json(&said)).await?;
        Ok(())
    }
}
