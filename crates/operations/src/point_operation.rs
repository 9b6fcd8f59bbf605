//! A point operation: one stage in one environment, without a pipeline file, as a release of its own (T3).
//!
//! It goes the way of every deployment: the environment's lane, its freezes, its approval before deployment, the fence, the
//! snapshot, and a rollback when somebody asks for one. Gates, schedules and the approval after deployment are those of a
//! version that comes, and are not asked.

mod bounds;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pilothouse_domain::artifact::Artifact;
use pilothouse_domain::pipeline::{
    Approvals, ArtifactSpec, ArtifactType, EnvironmentSpec, PipelineSpec, RollbackPolicy, Start,
    parse_pipeline,
};
use pilothouse_domain::problem::{Problem, Problems, did_you_mean};
use pilothouse_domain::release::{Cause, Release};
use pilothouse_domain::saved::PipelineRevision;
use serde_json::{Map, Value, json};

use self::bounds::Bounds;
use crate::stages::{restart, scale, start, stop, undo_rollout};
use crate::start_release::start_release;
use crate::{Admitted, Context, OperationError, StartRelease};

/// The pipeline that releases of point operations are listed under; there is none of that name to be saved or enabled.
pub(crate) const PIPELINE: &str = "point-operations";

/// What may be done so: what changes how a workload runs, and not what runs.
pub const TYPES: [&str; 5] = [scale::NAME, restart::NAME, stop::NAME, start::NAME, undo_rollout::NAME];

/// The most pipelines of an application that are looked through.
const MOST_PIPELINES: u32 = 200;

/// Where its one stage is in its pipeline, as problems write it.
const STAGE: &str = "environments[0].stages[0]";

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub struct PointOperation {
    /// The application.
    pub application: String,
    /// The environment.
    pub environment: String,
    /// Whose environment of that name is meant, when several pipelines have one and they differ.
    pub pipeline: Option<String>,
    /// The stage type: one of [`TYPES`].
    pub stage_type: String,
    /// The keys of that type, and `trafficGuard`, `timeout` and `cluster`.
    pub options: Map<String, Value>,
    /// Who asks.
    pub by: String,
    /// Whether they are an administrator: others stay within what the environment says.
    pub administers: bool,
}

/// Starts the release that carries it out.
///
/// # Errors
/// [`OperationError::Invalid`] with the paths of the options; [`OperationError::NotFound`] without such an environment;
/// [`OperationError::Conflicting`] when it is not clear which is meant.
pub async fn start_point_operation(
    context: &Context,
    ask: PointOperation,
) -> Result<Release, OperationError> {
    let (environment, bounds) = environment(context, &ask).await?;
    let cluster = bounds.check(&environment, &ask.options, ask.administers)?;
    let artifacts = artifacts(context, &ask).await?;
    let spec = spec(context, &ask, EnvironmentSpec { cluster, ..environment }, &artifacts)?;
    let now = context.now();
    let start = StartRelease {
        revision: Arc::new(PipelineRevision { revision: 0, spec, saved_at: now, saved_by: ask.by.clone() }),
        artifacts,
        parameters: BTreeMap::new(),
        skipped: BTreeSet::new(),
        cause: Cause::Manual { by: ask.by },
    };
    let (Admitted::Started(id) | Admitted::Before(id)) = start_release(context, start).await?;
    Ok(context.release(&id).await?.record)
}

/// The environment as the newest revisions of the application's pipelines have it, and what an operation may touch there.
async fn environment(
    context: &Context,
    ask: &PointOperation,
) -> Result<(EnvironmentSpec, Bounds), OperationError> {
    let heads = context.store.pipelines(Some(&ask.application), MOST_PIPELINES, None).await?.records();
    let mut found: Vec<(String, EnvironmentSpec)> = Vec::new();
    let mut bounds = Bounds::default();
    let mut names: BTreeSet<String> = BTreeSet::new();
    for head in heads {
        if ask.pipeline.as_ref().is_some_and(|wanted| *wanted != head.pipeline) {
            continue;
        }
        let revision =
            context.store.pipeline_revision(&head.application, &head.pipeline, head.revision).await?;
        let Some(revision) = revision else { continue };
        names.extend(revision.spec.environments.iter().map(|e| e.name.clone()));
        if let Some(environment) = revision.spec.environment(&ask.environment) {
            bounds.add(environment);
            found.push((head.pipeline, alone(environment)));
        }
    }
    let Some((_, first)) = found.first() else {
        let hint = did_you_mean(&ask.environment, names.iter().map(String::as_str));
        return Err(OperationError::NotFound {
            what: format!("environment `{}` in the pipelines of `{}`", ask.environment, ask.application),
            hint: hint.unwrap_or_else(|| "list them with `pilothouse pipeline ls`".to_owned()),
        });
    };
    if found.iter().any(|(_, other)| other != first) {
        let pipelines: Vec<String> = found.iter().map(|(name, _)| format!("`{name}`")).collect();
        return Err(OperationError::Conflicting(format!(
            "the pipelines {} have an environment `{}` each, and they differ in cluster, namespace, approvals or guard: say whose \
             is meant (`pipeline`)",
            pipelines.join(" and "),
            ask.environment
        )));
    }
    Ok((first.clone(), bounds))
}

/// The environment without what makes it a part of its pipeline.
fn alone(environment: &EnvironmentSpec) -> EnvironmentSpec {
    let before = environment.approvals.as_ref().and_then(|approvals| approvals.before.clone());
    EnvironmentSpec {
        after: Vec::new(),
        start: Start::Automatic,
        schedule: None,
        gates: None,
        rollback: RollbackPolicy::default(),
        approvals: before.map(|before| Approvals { before: Some(before), after: None }),
        stages: Vec::new(),
        ..environment.clone()
    }
}

/// What runs there: the operation leaves it as it is, and a later rollback goes back to it.
async fn artifacts(context: &Context, ask: &PointOperation) -> Result<Vec<Artifact>, OperationError> {
    let current = context.current_deployment(&ask.application, &ask.environment).await?;
    let Some(current) = current else { return Ok(Vec::new()) };
    let release = context.store.release(&current.at.release).await?;
    Ok(release.map(|release| release.record.artifacts).unwrap_or_default())
}

/// A pipeline of that environment with one stage, checked as one that is saved.
fn spec(
    context: &Context,
    ask: &PointOperation,
    environment: EnvironmentSpec,
    artifacts: &[Artifact],
) -> Result<PipelineSpec, OperationError> {
    if !TYPES.contains(&ask.stage_type.as_str()) {
        let hint = format!("one of {}; for all else save a pipeline", TYPES.join(", "));
        let problem =
            Problem::new("type", format!("`{}` is no point operation", ask.stage_type)).with_hint(hint);
        return Err(OperationError::Invalid(problem.into()));
    }
    let artifact = |a: &Artifact| ArtifactSpec {
        name: a.name.clone(),
        artifact_type: ArtifactType::DockerImage,
        image: a.image.clone(),
    };
    let mut spec = PipelineSpec {
        enabled: true,
        application: ask.application.clone(),
        pipeline: PIPELINE.to_owned(),
        description: Some(format!("{}, by {}", ask.stage_type, ask.by)),
        parameters: Vec::new(),
        artifacts: artifacts.iter().map(artifact).collect(),
        triggers: Vec::new(),
        notifications: Vec::new(),
        environments: vec![environment],
    };
    let mut stage = ask.options.clone();
    // The environment has it: it is the cluster of all that there is.
    stage.shift_remove("cluster");
    stage.insert("name".to_owned(), json!(ask.stage_type));
    stage.insert("type".to_owned(), json!(ask.stage_type));
    let inconsistent = |e: serde_json::Error| OperationError::Inconsistent(format!("the operation: {e}"));
    let mut written = serde_json::to_value(&spec).map_err(inconsistent)?;
    written["environments"][0]["stages"] = json!([stage]);
    let checked = parse_pipeline(&written.to_string(), &context.stages.catalog());
    spec.environments =
        checked.map_err(|problems| OperationError::Invalid(of_options(problems)))?.environments;
    Ok(spec)
}

/// The problems as those see them who wrote the options alone.
fn of_options(problems: Problems) -> Problems {
    let shorter = |problem: Problem| {
        let path = problem.path.strip_prefix(STAGE).map(|path| path.trim_start_matches('.').to_owned());
        Problem { path: path.unwrap_or_else(|| problem.path.clone()), line: None, column: None, ..problem }
    };
    Problems(problems.0.into_iter().map(shorter).collect())
}
