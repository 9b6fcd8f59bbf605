//! The end of the demo: what the cluster says, against what it must say.

use anyhow::Context as _;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use pilothouse_domain::environment::EnvironmentStatus;
use pilothouse_serve_api::api::{AttemptPurpose, AttemptView, ReleaseView};
use serde::Serialize;

use super::installation::Installation;
use super::story::digest_of;
use super::{BAD, GOOD};
use crate::view::shortened;

/// One thing that must hold at the end.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Finding {
    /// What was found, in words.
    pub(super) text: String,
    /// Whether it is what must be.
    pub(super) holds: bool,
}

/// What an environment runs, as the cluster says.
struct Running {
    image: String,
    version: String,
    ready: i32,
}

impl Installation {
    /// Reads the cluster back through its API, and the releases through ours.
    pub(super) async fn read_back(
        &self,
        good: &ReleaseView,
        bad: &ReleaseView,
    ) -> anyhow::Result<Vec<Finding>> {
        let dev = self.running("dev").await?;
        let prod = self.running("prod").await?;
        let status = |release: &ReleaseView, name: &str| {
            release.environments.iter().find(|e| e.name == name).map(|e| e.status)
        };
        let succeeded = ["dev", "prod"].iter().all(|e| status(good, e) == Some(EnvironmentStatus::Succeeded));
        Ok(vec![
            runs("dev", &dev, BAD),
            runs("prod", &prod, GOOD),
            Finding { text: format!("{GOOD} succeeded in dev and prod"), holds: succeeded },
            failed_with_proof(bad),
            rolled_back(bad),
        ])
    }

    async fn running(&self, namespace: &str) -> anyhow::Result<Running> {
        let deployments: Api<Deployment> = Api::namespaced(self.kube.clone(), namespace);
        let configs: Api<ConfigMap> = Api::namespaced(self.kube.clone(), namespace);
        let deployment = deployments.get("web").await.context("cannot read the deployment back")?;
        let config = configs.get("web").await.context("cannot read the ConfigMap back")?;
        let template = deployment.spec.and_then(|s| s.template.spec);
        let image = template.and_then(|t| t.containers.into_iter().next()).and_then(|c| c.image);
        Ok(Running {
            image: image.unwrap_or_default(),
            version: config.data.and_then(|mut d| d.remove("VERSION")).unwrap_or_default(),
            ready: deployment.status.and_then(|s| s.ready_replicas).unwrap_or(0),
        })
    }
}

fn runs(namespace: &str, found: &Running, tag: &str) -> Finding {
    let image = format!("registry.example:5000/shop/web:{tag}@{}", digest_of(tag));
    Finding {
        text: format!(
            "{namespace} runs {} with {} ready pods, its ConfigMap says VERSION={}",
            shortened(&found.image),
            found.ready,
            found.version
        ),
        holds: found.image == image && found.version == tag && found.ready == 2,
    }
}

fn attempts(release: &ReleaseView) -> impl Iterator<Item = &AttemptView> {
    release.environments.iter().filter(|e| e.name == "prod").flat_map(|e| &e.attempts)
}

fn failed_with_proof(bad: &ReleaseView) -> Finding {
    let stage = attempts(bad).flat_map(|a| &a.stages).find(|s| s.evidence.is_some());
    let Some(stage) = stage else {
        return Finding { text: format!("{BAD} failed in prod without proof"), holds: false };
    };
    let took = match (stage.started_at, stage.ended_at) {
        (Some(from), Some(to)) => to.duration_since(from).as_secs_f64(),
        _ => f64::INFINITY,
    };
    let event = stage.evidence.as_ref().map(|e| &e["event"]);
    let message = event.and_then(|e| e["message"].as_str()).unwrap_or_default();
    Finding {
        text: format!("{BAD} failed in prod {took:.1} s after its stage began; the pod's event: {message}"),
        holds: took < 60.0 && !message.is_empty(),
    }
}

fn rolled_back(bad: &ReleaseView) -> Finding {
    let rollback = attempts(bad).find(|a| a.kind == AttemptPurpose::Rollback);
    let holds = rollback.is_some_and(|a| format!("{:?}", a.status) == "Succeeded");
    let text = match rollback {
        Some(rollback) => {
            format!("attempt {} rolled prod back by itself: {:?}", rollback.number, rollback.status)
        }
        None => "prod was not rolled back".to_owned(),
    };
    Finding { text, holds }
}
