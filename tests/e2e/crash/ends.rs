//! How both releases must have ended, told from their timelines and from the cluster.

use anyhow::{Context as _, ensure};
use pilothouse_domain::timeline::{Event, first_break};
use serde_json::Value;

use super::story::{FIRST, SECOND, Story, digest_of};
use crate::harness::{Server, attempt, environment_status, eventually};

/// Every event of the first release: environment, attempt, stage, what happened.
const FIRST_TOLD: &str = "
    ReleaseStarted
    dev 1 DeploymentQueued deploy
    dev 1 LaneEntered
    dev 1 DeploymentStarted
    dev 1 Config StageStarted
    dev 1 Config StageEnded succeeded
    dev 1 Deploy StageStarted
    dev 1 Deploy StageEnded succeeded
    dev 1 Look StageStarted
    dev 1 Look ApprovalRequested
    dev 1 Look ApprovalDecided
    dev 1 Look StageEnded succeeded
    dev 1 DeploymentEnded Succeeded
    prod 1 DeploymentQueued deploy
    prod 1 LaneEntered
    prod 1 ApprovalRequested
    prod 1 ApprovalDecided
    prod 1 DeploymentStarted
    prod 1 Config StageStarted
    prod 1 Config StageEnded succeeded
    prod 1 Deploy StageStarted
    prod 1 Deploy StageEnded succeeded
    prod 1 Settle StageStarted
    prod 1 Settle StageEnded succeeded
    prod 1 DeploymentEnded Succeeded
";

/// Every event of the second release.
const SECOND_TOLD: &str = "
    ReleaseStarted
    dev 1 DeploymentQueued deploy
    dev 1 LaneEntered
    dev 1 DeploymentStarted
    dev 1 Config StageStarted
    dev 1 Config StageEnded succeeded
    dev 1 Deploy StageStarted
    dev 1 Deploy StageEnded succeeded
    dev 1 Look StageStarted
    dev 1 Look ApprovalRequested
    dev 1 Look ApprovalDecided
    dev 1 Look StageEnded succeeded
    dev 1 DeploymentEnded Succeeded
    prod 1 DeploymentQueued deploy
    prod 1 LaneAwaited
    prod 1 LaneEntered
    prod 1 ApprovalRequested
    prod 1 ApprovalDecided
    prod 1 DeploymentStarted
    prod 1 Config StageStarted
    prod 1 Config StageEnded succeeded
    prod 1 Deploy StageStarted
    prod 1 Deploy StageEnded failed
    prod 1 Settle StageEnded notRun
    prod 1 DeploymentEnded Failed
    prod 1 RollbackStarted
    prod 2 DeploymentQueued rollback
    prod 2 LaneEntered
    prod 2 DeploymentStarted
    prod 2 Undo Deploy StageStarted
    prod 2 Undo Deploy StageEnded succeeded
    prod 2 Undo Config StageStarted
    prod 2 Undo Config StageEnded succeeded
    prod 2 DeploymentEnded Succeeded
";

pub(super) async fn check(server: &Server, story: &Story) -> anyhow::Result<()> {
    let releases = server.api().list("/v1/releases").await?;
    ensure!(releases.len() == 2, "{} releases for two pushes", releases.len());
    let first = story.released(server, FIRST).await?;
    let second = story.released(server, SECOND).await?;
    for (release, environment, status) in
        [(&first, "dev", "Succeeded"), (&first, "prod", "Succeeded"), (&second, "dev", "Succeeded")]
    {
        assert_eq!(environment_status(release, environment), status, "{release:#}");
    }
    let failed = attempt(&second, "prod", 1);
    assert_eq!((&failed["status"], &failed["rolledBackBy"]), (&"Failed".into(), &2.into()), "{second:#}");
    let reason = failed["stages"][1]["reason"].as_str().unwrap_or_default();
    ensure!(reason.contains("CrashLoopBackOff"), "the stage failed because of {reason:?}");
    let rollback = attempt(&second, "prod", 2);
    assert_eq!(
        (&rollback["kind"], &rollback["status"]),
        (&"rollback".into(), &"Succeeded".into()),
        "{second:#}"
    );

    for (release, expected) in [(&first, FIRST_TOLD), (&second, SECOND_TOLD)] {
        let told = told(server, release).await?;
        ensure!(told == lines(expected), "the timeline is\n{}\ninstead of\n{expected}", told.join("\n"));
    }
    // Each environment saw each change once, in order: a change applied late or again would be one more.
    runs(server, "dev", SECOND, 2).await?;
    runs(server, "prod", FIRST, 3).await
}

/// The timeline in short, without what a restart adds to it; its chain must be whole.
async fn told(server: &Server, release: &Value) -> anyhow::Result<Vec<String>> {
    let id = release["id"].as_str().context("a release has an id")?;
    let page = server.api().get(&format!("/v1/releases/{id}/events?limit=100")).await?;
    let events: Vec<Event> = serde_json::from_value(page["events"].clone()).context("no events")?;
    assert_eq!(first_break(&events), None, "the timeline's chain is broken");
    let events = page["events"].as_array().into_iter().flatten();
    Ok(events.filter(|e| e["type"] != "ExecutionRestarted").map(short).collect())
}

fn short(event: &Value) -> String {
    let attempt = event["attempt"].as_u64().map(|n| n.to_string());
    let parts = [
        event["environment"].as_str(),
        attempt.as_deref(),
        event["stage"].as_str(),
        event["type"].as_str(),
        event["status"].as_str(),
        event["kind"].as_str(),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn lines(told: &str) -> Vec<String> {
    told.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// An environment runs a version, ConfigMap included, and its Deployment was changed so many times.
async fn runs(server: &Server, environment: &str, tag: &str, generation: u64) -> anyhow::Result<()> {
    let cluster = server.cluster();
    let config = cluster.get(&format!("/api/v1/namespaces/{environment}/configmaps/web")).await?;
    assert_eq!(config["data"]["VERSION"], tag, "{environment}: {config:#}");
    let path = format!("/apis/apps/v1/namespaces/{environment}/deployments/web");
    // What runs in a cluster is started again with the cluster.
    let web = eventually(&format!("{environment} at rest"), async || {
        let web = cluster.get(&path).await?;
        let ready = web["status"]["readyReplicas"] == 2 && web["status"]["replicas"] == 2;
        Ok(ready.then_some(web))
    })
    .await?;
    let image = format!("registry.test/shop/web:{tag}@{}", digest_of(tag));
    assert_eq!(web["spec"]["template"]["spec"]["containers"][0]["image"], image, "{environment}");
    assert_eq!(web["metadata"]["generation"], generation, "{environment}: {web:#}");
    Ok(())
}
