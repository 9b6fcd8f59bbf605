//! What one stage would do.

use pilothouse_cluster::Rehearsal;
use pilothouse_domain::attempt::Attempt;
use pilothouse_domain::ids::StageRunId;
use pilothouse_domain::pipeline::{EnvironmentSpec, StageSpec};
use pilothouse_domain::release::Release;
use pilothouse_domain::stage::{StageRun, StageStatus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::diff::{Change, changes};
use crate::stage_steps::{Evaluated, evaluate, in_cluster, scope};
use crate::stages::steps::{self, Planned};
use crate::stages::{Begun, StageContext, StageType};
use crate::{Context, OperationError};

/// What one stage would do, as things are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StagePreview {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub stage_type: String,
    /// What it would do, one sentence each; or why that is not known yet.
    pub steps: Vec<String>,
    /// What the traffic guard counts now, and so not a part of the plan's hash.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guard: Vec<String>,
    /// What it would change in its cluster, as the API server says.
    pub changes: Vec<Change>,
    /// Why it would fail; absent when nothing is in its way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl StagePreview {
    fn says(self, sentence: impl Into<String>) -> Self {
        let mut steps = self.steps;
        steps.push(sentence.into());
        Self { steps, ..self }
    }
}

/// Asks the stage type, and its cluster, with every write rehearsed.
pub(super) async fn of_stage(
    context: &Context,
    release: &Release,
    environment: &EnvironmentSpec,
    attempt: &Attempt,
    spec: &StageSpec,
) -> Result<StagePreview, OperationError> {
    let kind = context.stages.get(&spec.stage_type)?;
    let blank = StagePreview {
        name: spec.name.clone(),
        stage_type: spec.stage_type.clone(),
        steps: Vec::new(),
        guard: Vec::new(),
        changes: Vec::new(),
        problem: None,
    };
    if later(spec) {
        return Ok(blank.says(
            "known when it begins: it reads what stages before it came to, or what an approver chose",
        ));
    }
    let scope = in_cluster(scope(release, attempt, std::iter::empty(), None), spec);
    let options = match evaluate(spec, kind, &release.artifacts, &scope) {
        Ok(Evaluated::Options(options)) => options,
        Ok(Evaluated::Skip(reason)) => return Ok(blank.says(format!("skipped: {reason}"))),
        Err(reason) => return Ok(StagePreview { problem: Some(reason), ..blank }),
    };
    let run = run(context, attempt, spec, options);
    let rehearsal = Rehearsal::default();
    let stage =
        StageContext { context, release, attempt, environment, spec, run: &run, rehearsal: Some(&rehearsal) };
    let found = match rehearse(&stage, kind, blank).await {
        Ok(found) => found,
        Err(error) if error.is_retryable() => return Err(error),
        Err(error) => StagePreview {
            name: spec.name.clone(),
            stage_type: spec.stage_type.clone(),
            steps: Vec::new(),
            guard: Vec::new(),
            changes: Vec::new(),
            problem: Some(error.to_string()),
        },
    };
    Ok(StagePreview { changes: changes(&rehearsal.writes()), ..found })
}

async fn rehearse(
    stage: &StageContext<'_>,
    kind: &dyn StageType,
    preview: StagePreview,
) -> Result<StagePreview, OperationError> {
    let plan = match kind.plan(stage).await? {
        Planned::Steps(plan) => plan,
        Planned::Ends(end) => {
            let problem = end.status.reason().map(str::to_owned);
            return Ok(StagePreview { problem, ..preview }.says("nothing to do"));
        }
        Planned::Acts => return acts(stage, kind, preview).await,
    };
    let mut preview = preview;
    for (index, step) in plan.steps.iter().enumerate() {
        preview = preview.says(step.describe());
        if step.builds_on(&plan.steps[..index]) {
            continue;
        }
        match steps::rehearse(stage, step).await? {
            Ok(Some(said)) => preview.guard.push(said),
            Ok(None) => {}
            Err(problem) => return Ok(StagePreview { problem: Some(problem), ..preview }),
        }
    }
    Ok(preview)
}

/// A type that changes a cluster in one step is begun with every write rehearsed; any other says what it would do.
async fn acts(
    stage: &StageContext<'_>,
    kind: &dyn StageType,
    preview: StagePreview,
) -> Result<StagePreview, OperationError> {
    let told = kind.would(&stage.run.options).unwrap_or_else(|| kind.info().summary.to_owned());
    let preview = preview.says(told);
    if kind.targets(stage).await?.is_empty() {
        return Ok(preview);
    }
    let problem = match kind.begin(stage).await? {
        Begun::Ended(end) => end.status.reason().map(str::to_owned),
        Begun::Observe { .. } | Begun::Await { .. } | Begun::AwaitEnd { .. } => None,
    };
    Ok(StagePreview { problem, ..preview })
}

/// Whether it reads what only its deployment can know.
fn later(spec: &StageSpec) -> bool {
    let texts = serde_json::to_string(&spec.options).unwrap_or_default();
    let condition = spec.condition.as_deref().unwrap_or_default();
    let reads = |text: &str| {
        text.split("${").skip(1).any(|part| {
            let expression = part.split('}').next().unwrap_or(part);
            ["stages[", "stages.", "approvals."].iter().any(|root| expression.contains(root))
        })
    };
    reads(&texts) || reads(condition)
}

/// The run that the stage would have.
fn run(context: &Context, attempt: &Attempt, spec: &StageSpec, options: Value) -> StageRun {
    let now = context.now();
    StageRun {
        id: StageRunId::new(context.ids.ulid()),
        at: attempt.at.clone(),
        stage: spec.name.clone(),
        stage_type: spec.stage_type.clone(),
        cluster: spec.cluster.clone(),
        status: StageStatus::Running,
        started_at: now,
        deadline: now,
        ended_at: None,
        progress: None,
        options,
        plan: Value::Null,
        action: Value::Null,
        output: Value::Null,
        carried_from: None,
        has_snapshot: false,
        touched: Vec::new(),
    }
}
