//! What a deployment would do, before anybody is asked (X6): its expressions resolved, every change asked of the API server as a dry
//! run, what the traffic guard says, who decides, and a hash of all that.

mod diff;
mod stage;
mod told;

use pilothouse_domain::approval::names_of;
use pilothouse_domain::attempt::{Attempt, AttemptKind, AttemptStatus};
use pilothouse_domain::ids::{AttemptId, ReleaseId};
use pilothouse_domain::pipeline::{EnvironmentSpec, topological_order};
use pilothouse_domain::release::{Release, ReleaseStatus};
use pilothouse_domain::schedule::Wanted;
use pilothouse_domain::stage::stages_of;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use ulid::Ulid;

pub use diff::{Change, ChangeKind, Field};
pub use stage::StagePreview;

use crate::approvals::LinkKey;
use crate::load::SYSTEM;
use crate::new_deployment::new_deployment;
use crate::start_release::StartRelease;
use crate::{Context, OperationError};

/// What a deployment to one environment would do (X6).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    /// The environment.
    pub environment: String,
    /// The cluster accounts that it acts on.
    pub cluster: String,
    /// Its namespace.
    pub namespace: String,
    /// What holds it up before its first stage and after its last, in order: approvals with their approvers, gates, its schedule.
    pub asks: Vec<String>,
    /// Its stages, in the order in which they may run.
    pub stages: Vec<StagePreview>,
    /// How many of the stages would fail as things are.
    pub problems: u32,
    /// SHA-256, in hex, of what would be done and changed: another one means another plan.
    pub hash: String,
}

/// What a release would do if it were started now: in each of its environments, or in `only` one.
///
/// # Errors
/// [`OperationError::NotFound`] without that environment; [`OperationError`] when a cluster or the table cannot be read.
pub async fn preview_start(
    context: &Context,
    ask: StartRelease,
    only: Option<&str>,
) -> Result<Vec<Preview>, OperationError> {
    // There is none yet: what is named after it, or says its id, is no other plan each time.
    let id = ReleaseId::new(Ulid::nil());
    let release = ask.release(id, ReleaseStatus::Active, context.now());
    if let Some(name) = only {
        environment(&release, name)?;
    }
    let chosen = |spec: &&EnvironmentSpec| {
        only.map_or(!release.skipped.contains(&spec.name), |name| name == spec.name)
    };
    let mut previews = Vec::new();
    for spec in release.spec.environments.iter().filter(chosen) {
        previews.push(of_environment(context, &release, spec, 1).await?);
    }
    Ok(previews)
}

/// What deploying an existing release to an environment would do now: the attempt that has not begun yet, or else the next one.
///
/// # Errors
/// As for [`preview_start`]; [`OperationError::NotFound`] without the release.
pub async fn preview_release(
    context: &Context,
    id: &ReleaseId,
    name: &str,
) -> Result<Preview, OperationError> {
    let release = context.release(id).await?.record;
    let spec = environment(&release, name)?;
    let attempts = context.store.attempts(id).await?;
    let last =
        attempts.iter().map(|a| &a.record).filter(|a| a.at.environment == name).max_by_key(|a| a.at.number);
    match last {
        // It has not begun: this is the plan that its approvers are shown.
        Some(open) if is_ahead(open) => of_attempt(context, &release, spec, open).await,
        last => of_environment(context, &release, spec, last.map_or(0, |a| a.at.number) + 1).await,
    }
}

/// Whether it is a deployment that has not begun, and still can.
fn is_ahead(attempt: &Attempt) -> bool {
    let state = &attempt.state;
    state.status() == AttemptStatus::NotDeployed && !state.is_terminal() && !attempt.is_rollback()
}

fn environment<'a>(release: &'a Release, name: &str) -> Result<&'a EnvironmentSpec, OperationError> {
    release.environment(name).ok_or_else(|| {
        let names: Vec<&str> = release.spec.environments.iter().map(|e| e.name.as_str()).collect();
        OperationError::NotFound {
            what: format!("environment `{name}`"),
            hint: format!("there is {}", names.join(", ")),
        }
    })
}

async fn of_environment(
    context: &Context,
    release: &Release,
    spec: &EnvironmentSpec,
    number: u32,
) -> Result<Preview, OperationError> {
    let kind = AttemptKind::Deploy;
    let attempt = new_deployment(context, release, &spec.name, number, kind, Wanted::Now, SYSTEM)?;
    let attempt = Attempt { id: AttemptId::new(Ulid::nil()), ..attempt };
    of_attempt(context, release, spec, &attempt).await
}

/// What an attempt would do now.
///
/// # Errors
/// [`OperationError`] when a cluster or the table cannot be read.
pub(crate) async fn of_attempt(
    context: &Context,
    release: &Release,
    spec: &EnvironmentSpec,
    attempt: &Attempt,
) -> Result<Preview, OperationError> {
    let specs = stages_of(release, attempt);
    // Without a key the plan says so where it matters.
    let key = LinkKey::read(context).await.ok();
    let mut stages = Vec::with_capacity(specs.len());
    let mut known = Vec::new();
    for index in topological_order(&specs) {
        let (of, key) = (&specs[index], key.as_ref());
        stages.push(stage::of_stage(context, release, spec, attempt, of, &mut known, key).await?);
    }
    let problems = stages.iter().filter(|stage| stage.problem.is_some()).count();
    Ok(Preview {
        environment: spec.name.clone(),
        cluster: spec.clusters().into_iter().collect::<Vec<_>>().join(", "),
        namespace: spec.namespace.clone(),
        asks: asks(spec),
        hash: hash(&stages),
        stages,
        problems: u32::try_from(problems).unwrap_or(u32::MAX),
    })
}

fn asks(spec: &EnvironmentSpec) -> Vec<String> {
    let mut asks = Vec::new();
    if spec.schedule.is_some() {
        asks.push("waits for its schedule".to_owned());
    }
    let gates = |side: &str, gates: Option<&pilothouse_domain::pipeline::GatePolicy>| {
        let checks = gates?.checks.iter().map(|check| check.name.clone()).collect::<Vec<_>>().join(", ");
        Some(format!("gates {side}: {checks}"))
    };
    let approval = |side: &str, policy: Option<&pilothouse_domain::pipeline::ApprovalPolicy>| {
        Some(format!("approval {side} by {}", names_of(&policy?.approvers)))
    };
    let (before, after) =
        spec.approvals.as_ref().map_or((None, None), |a| (a.before.as_ref(), a.after.as_ref()));
    let (gates_before, gates_after) =
        spec.gates.as_ref().map_or((None, None), |g| (g.before.as_ref(), g.after.as_ref()));
    asks.extend(gates("before", gates_before));
    asks.extend(approval("before", before));
    asks.extend(gates("after", gates_after));
    asks.extend(approval("after", after));
    asks
}

/// The hash of what would be done: each stage with its steps, its changes and what is in the way of it.
fn hash(stages: &[StagePreview]) -> String {
    let mut value = serde_json::to_value(stages).unwrap_or_default();
    // How many pods are ready just now is no part of the plan.
    for stage in value.as_array_mut().into_iter().flatten() {
        stage["guard"].take();
    }
    value.sort_all_objects();
    hex::encode(Sha256::digest(value.to_string().as_bytes()))
}
