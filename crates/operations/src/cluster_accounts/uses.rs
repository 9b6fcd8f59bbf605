//! Who uses a cluster account: the pipelines that name it, and the deployments under way.

use std::collections::BTreeSet;

use pilothouse_domain::attempt::Attempt;
use pilothouse_domain::pipeline::EnvironmentSpec;
use pilothouse_domain::release::Release;
use pilothouse_domain::stage::stages_of;

use crate::save_pipeline::in_force;
use crate::{Context, OperationError};

/// How many of them are named.
const MOST_NAMED: usize = 5;
/// How many records one page of a list holds.
const PAGE: u32 = 100;

/// The first of those that use it, in a phrase; nothing when nobody does.
pub(super) async fn uses(context: &Context, name: &str) -> Result<Option<String>, OperationError> {
    let mut users = BTreeSet::new();
    in_pipelines(context, name, &mut users).await?;
    under_way(context, name, &mut users).await?;
    let shown: Vec<&str> = users.iter().take(MOST_NAMED).map(String::as_str).collect();
    let more = if users.len() > MOST_NAMED { " and others" } else { "" };
    Ok((!users.is_empty()).then(|| format!("{}{more}", shown.join(", "))))
}

async fn in_pipelines(
    context: &Context,
    name: &str,
    users: &mut BTreeSet<String>,
) -> Result<(), OperationError> {
    let mut cursor = None;
    while users.len() <= MOST_NAMED {
        let page = context.store.pipelines(None, PAGE, cursor.as_ref()).await?;
        for head in &page.items {
            let revision = in_force(context, &head.record).await?;
            for environment in revision.spec.environments.iter().filter(|e| e.clusters().contains(name)) {
                let (application, pipeline) = (&head.record.application, &head.record.pipeline);
                users.insert(format!("pipeline {application}/{pipeline} (`{}`)", environment.name));
            }
        }
        match page.next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    Ok(())
}

async fn under_way(
    context: &Context,
    name: &str,
    users: &mut BTreeSet<String>,
) -> Result<(), OperationError> {
    let mut cursor = None;
    while users.len() <= MOST_NAMED {
        let page = context.store.attempts_open(PAGE, cursor.as_ref()).await?;
        for attempt in &page.items {
            let at = &attempt.record.at;
            let release = context.release(&at.release).await?.record;
            if acts_on(&release, &attempt.record, name) {
                users.insert(format!("release {} (`{}`)", at.release, at.environment));
            }
        }
        match page.next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    Ok(())
}

/// Whether an attempt's stages act on the cluster: its environment's, those of a rollback pipeline, or undos elsewhere.
fn acts_on(release: &Release, attempt: &Attempt, name: &str) -> bool {
    let environment = release.environment(&attempt.at.environment);
    environment.is_some_and(|spec: &EnvironmentSpec| spec.clusters().contains(name))
        || stages_of(release, attempt).iter().any(|stage| stage.cluster.as_deref() == Some(name))
}
