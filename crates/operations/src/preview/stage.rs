//! What one stage would do.

use std::collections::BTreeSet;

use pilothouse_cluster::Rehearsal;
use pilothouse_domain::attempt::Attempt;
use pilothouse_domain::expression::{Reference, Template};
use pilothouse_domain::ids::StageRunId;
use pilothouse_domain::pipeline::{EnvironmentSpec, StageSpec};
use pilothouse_domain::release::Release;
use pilothouse_domain::stage::{StageRun, StageStatus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::diff::{Change, changes};
use crate::approvals::LinkKey;
use crate::stage_steps::{Evaluated, evaluate, in_cluster, scope};
use crate::stages::steps::{self, GUARD_REFUSES, Planned};
use crate::stages::{Begun, StageContext, StageEnd, StageType};
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

    /// With what is in its way, if something is. What the traffic guard counts changes from one moment to the next: that it refuses
    /// is part of the plan, its numbers are not.
    fn fails(mut self, problem: Option<String>) -> Self {
        self.problem = match problem {
            Some(numbers) if numbers.contains(GUARD_REFUSES) => {
                self.guard.push(numbers);
                Some(format!("{GUARD_REFUSES}, as things are"))
            }
            other => other,
        };
        self
    }
}

/// Asks the stage type, and its cluster, with every write rehearsed. `known` are the stages before it of which is known what they
/// come to, with a terminal status, or at least something of it; this one is added if it is one of those.
pub(super) async fn of_stage(
    context: &Context,
    release: &Release,
    environment: &EnvironmentSpec,
    attempt: &Attempt,
    spec: &StageSpec,
    known: &mut Vec<StageRun>,
    key: Option<&LinkKey>,
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
    if let Some(unknown) = unknown(spec, kind, known) {
        return Ok(blank.says(format!("known when it begins: it reads {unknown}")));
    }
    let foreseen = known.clone();
    let ended = foreseen.iter().filter(|run| run.status.is_terminal());
    let scope = in_cluster(scope(release, attempt, ended, None), spec);
    let options = match evaluate(spec, kind, &release.artifacts, &scope) {
        Ok(Evaluated::Options(options)) => options,
        Ok(Evaluated::Skip(reason)) => {
            let run = run(context, attempt, spec, Value::Null);
            known.push(StageRun { status: StageStatus::Skipped { reason: reason.clone() }, ..run });
            return Ok(blank.says(format!("skipped: {reason}")));
        }
        Err(reason) => return Ok(StagePreview { problem: Some(reason), ..blank }),
    };
    let run = run(context, attempt, spec, options);
    let rehearsal = Rehearsal::default();
    let stage = StageContext {
        context,
        release,
        attempt,
        environment,
        spec,
        run: &run,
        rehearsal: Some(&rehearsal),
        foreseen: &foreseen,
    };
    let asked = match kind.is_pure() {
        true => carried_out(&stage, kind, blank, known).await,
        false => rehearse(&stage, kind, blank).await,
    };
    let found = match asked {
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
    let writes = changes(&rehearsal.writes(), key);
    if found.problem.is_none() && !kind.is_pure() {
        match kind.foretold(&stage).await {
            Ok(output) if !output.is_null() => known.push(StageRun { output, ..run.clone() }),
            Err(error) if error.is_retryable() => return Err(error),
            // What it reads is gone meanwhile, or none of it is known.
            _ => {}
        }
    }
    Ok(StagePreview { changes: writes, ..found })
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
            return Ok(preview.fails(problem).says("nothing to do"));
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
            Err(problem) => return Ok(preview.fails(Some(problem))),
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
    Ok(preview.fails(problem))
}

/// A type that changes nothing and asks nobody does what it would do: others read what it came to.
async fn carried_out(
    stage: &StageContext<'_>,
    kind: &dyn StageType,
    preview: StagePreview,
    known: &mut Vec<StageRun>,
) -> Result<StagePreview, OperationError> {
    let told = kind.would(&stage.run.options).unwrap_or_else(|| kind.info().summary.to_owned());
    let preview = preview.says(told);
    let Begun::Ended(StageEnd { status, output }) = kind.begin(stage).await? else { return Ok(preview) };
    if let Some(problem) = status.reason() {
        return Ok(StagePreview { problem: Some(problem.to_owned()), ..preview });
    }
    known.push(StageRun { status, output, ..stage.run.clone() });
    Ok(preview)
}

/// What only its deployment can know of what it reads, in words: it stays open what the stage does.
fn unknown(spec: &StageSpec, kind: &dyn StageType, known: &[StageRun]) -> Option<String> {
    let verbatim = kind.verbatim(&spec.options);
    let mut read = BTreeSet::new();
    spec.options.iter().filter(|(key, _)| !verbatim.contains(&key.as_str())).for_each(|(_, value)| {
        references(value, &mut read);
    });
    read.extend(spec.condition.iter().flat_map(|text| Template::inspect(text).0));
    let unknown = read.iter().filter_map(|reference| match (reference.root(), reference.name()) {
        ("approvals", _) => Some("what an approver chose".to_owned()),
        ("stages", Some(name)) => {
            let ended = known.iter().any(|run| run.stage == name && run.status.is_terminal());
            (!ended).then(|| format!("what stage `{name}` comes to"))
        }
        ("stages", None) => Some("what a stage before it comes to".to_owned()),
        _ => None,
    });
    let unknown: BTreeSet<String> = unknown.collect();
    (!unknown.is_empty()).then(|| unknown.into_iter().collect::<Vec<_>>().join(", "))
}

/// Everything that the expressions in a value read.
fn references(value: &Value, read: &mut BTreeSet<Reference>) {
    match value {
        Value::String(text) => read.extend(Template::inspect(text).0),
        Value::Array(items) => items.iter().for_each(|item| references(item, read)),
        Value::Object(fields) => fields.values().for_each(|field| references(field, read)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
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
