//! What a `run-job` stage says, and the Job that it makes of it.

use pilothouse_cluster::{Manifest, ManifestError, bind_artifacts, parse_manifests};
use pilothouse_domain::duration::Span;
use pilothouse_domain::pipeline::StageScope;
use pilothouse_domain::problem::{Problem, Problems};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::OperationError;
use crate::stages::{StageContext, check};

/// Stands for the environment's namespace while a pipeline is checked: it can be no real one.
const SOME_NAMESPACE: &str = "{namespace}";

/// The most lines of a log that are kept.
const MOST_LINES: u32 = 500;

/// How long a finished Job stays in the cluster when nothing says so.
const TTL: Span = Span::from_secs(3600);

/// A Job's name becomes a label of its pods: 63 characters, of which the suffix takes nine.
const LONGEST_BASE: usize = 54;

/// What a `run-job` stage says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// The Job, in YAML or JSON. Its name is given a suffix of its own for each attempt. Images of the release's artifacts are
    /// replaced by what the release carries, pinned by digest.
    pub manifest: String,
    /// The artifacts that must have taken their place in some container, by name; otherwise the stage fails.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required_artifacts: Vec<String>,
    /// Evaluate `${ … }` in the manifest. Without it it is taken as it is.
    #[serde(default)]
    pub render: bool,
    /// When the last lines that it wrote are kept in the release, with what looks like a secret masked. Later stages read them
    /// as `output.logs`.
    #[serde(default)]
    pub logs: KeepLogs,
    /// How many lines; 100 when absent, at most 500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_lines: Option<u32>,
    /// How long the finished Job stays in the cluster; what its `ttlSecondsAfterFinished` says when absent, or `1h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Span>,
}

/// When the log of a Job is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum KeepLogs {
    /// When it fails.
    #[default]
    OnFailure,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Options {
    /// How many lines of the log are to be kept, when the Job ended so.
    pub(super) fn lines(&self, succeeded: bool) -> Option<usize> {
        let keep = match self.logs {
            KeepLogs::OnFailure => !succeeded,
            KeepLogs::Always => true,
            KeepLogs::Never => false,
        };
        let lines = self.log_lines.unwrap_or(100).min(MOST_LINES);
        keep.then_some(usize::try_from(lines).unwrap_or(100))
    }
}

/// Which options are no templates.
pub(super) fn verbatim(options: &Map<String, Value>) -> &'static [&'static str] {
    if options.get("render") == Some(&Value::Bool(true)) { &[] } else { &["manifest"] }
}

pub(super) fn validate(options: &Map<String, Value>, scope: &StageScope<'_>) -> Vec<Problem> {
    let mut problems = check::expressions(options, scope, verbatim(options));
    let parsed: Options = match check::options(options) {
        Ok(parsed) => parsed,
        Err(problem) => return vec![problem],
    };
    // What a template becomes is known only when it is rendered.
    if !parsed.render || !check::has_expression(&parsed.manifest) {
        problems.extend(read(&parsed.manifest, SOME_NAMESPACE).err());
    }
    for (index, name) in parsed.required_artifacts.iter().enumerate() {
        problems.extend(check::artifact(&format!("requiredArtifacts[{index}]"), name, scope));
    }
    if let Some(lines) = parsed.log_lines.filter(|lines| !(1..=MOST_LINES).contains(lines)) {
        let message = format!("{lines} lines cannot be kept: write 1 to {MOST_LINES}");
        problems.push(Problem::new("logLines", message));
    }
    problems
}

/// The one Job of the manifest.
fn read(text: &str, namespace: &str) -> Result<Manifest, Problem> {
    let mut all = parse_manifests(text, namespace).map_err(|error| problem("manifest", &error))?;
    let one = match (all.pop(), all.len()) {
        (Some(one), 0) => one,
        (_, others) => {
            let message = format!("there are {} objects, and one Job is run", others + 1);
            return Err(
                Problem::new("manifest", message).with_hint("deploy the others by `deploy-manifest` before")
            );
        }
    };
    if (one.object.group(), one.object.kind.as_str()) != ("batch", "Job") {
        let message = format!("{} is no Job", one.object);
        return Err(
            Problem::new("manifest", message).with_hint("write `apiVersion: batch/v1` and `kind: Job`")
        );
    }
    let policy = &one.content["spec"]["template"]["spec"]["restartPolicy"];
    if !matches!(policy.as_str(), Some("Never" | "OnFailure")) {
        let message = "the pods of a Job need `restartPolicy: Never` or `OnFailure`";
        return Err(Problem::new("manifest", message).with_hint("write it in `spec.template.spec`"));
    }
    Ok(one)
}

fn problem(path: &str, error: &ManifestError) -> Problem {
    let place = match (error.document, error.line) {
        (0, _) => String::new(),
        (document, 0) => format!("document {document}: "),
        (document, line) => format!("document {document}, line {line}: "),
    };
    Problem::new(path, format!("{place}{}", error.problem))
}

/// The Job as it is applied.
pub(super) struct Job {
    pub(super) manifest: Manifest,
    pub(super) images: Vec<String>,
    /// How long it stays once it is finished.
    pub(super) ttl: Span,
}

/// The Job with a name of its own, the release's artifacts in it, and a deadline; the same at each call.
pub(super) fn prepare(stage: &StageContext<'_>, options: &Options) -> Result<Job, OperationError> {
    let invalid = |problem: Problem| OperationError::Invalid(Problems::from(problem));
    let mut manifest = read(&options.manifest, &stage.environment.namespace).map_err(invalid)?;
    let name = name(&manifest.object.name, &format!("{}/{}", stage.attempt.id, stage.run.stage));
    manifest.object.name.clone_from(&name);
    manifest.content["metadata"]["name"] = Value::from(name);
    let spec = &mut manifest.content["spec"];
    let own = spec.as_object_mut().and_then(|spec| spec.shift_remove("ttlSecondsAfterFinished"));
    let ttl = options.ttl.or(own.and_then(|own| own.as_u64()).map(Span::from_secs)).unwrap_or(TTL);
    // Nothing runs on after its stage's time, not even when nobody is left to end it.
    let limit = stage.run.deadline.duration_since(stage.run.started_at).as_secs().max(1);
    let deadline = spec["activeDeadlineSeconds"].as_i64().map_or(limit, |own| own.min(limit));
    spec["activeDeadlineSeconds"] = json!(deadline);
    let bound = bind_artifacts(
        std::slice::from_mut(&mut manifest),
        &stage.release.artifacts,
        &options.required_artifacts,
    )
    .map_err(|error| invalid(problem("requiredArtifacts", &error)))?;
    Ok(Job { manifest, images: bound.into_iter().map(|bound| bound.to).collect(), ttl })
}

/// `migrate-0a1b2c3d`: the same for the same run, another for each other.
fn name(base: &str, run: &str) -> String {
    let digest = hex::encode(Sha256::digest(run.as_bytes()));
    let short: String = base.chars().take(LONGEST_BASE).collect();
    format!("{}-{}", short.trim_end_matches(['-', '.']), &digest[..8])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::check::tests::problems;
    use crate::stages::run_job::RunJob;

    #[test]
    fn a_name_is_the_same_for_the_same_run_and_short_enough_for_a_label() {
        assert_eq!(name("migrate", "dep_1/Migrate"), name("migrate", "dep_1/Migrate"));
        assert_ne!(name("migrate", "dep_1/Migrate"), name("migrate", "dep_2/Migrate"));
        assert_eq!(name(&"a".repeat(63), "x").len(), 63);
    }

    #[test]
    fn what_is_no_single_job_is_told_on_save() {
        let job = |kind: &str, policy: &str| {
            format!(
                "apiVersion: batch/v1\nkind: {kind}\nmetadata: {{name: m}}\nspec: {{template: {{spec: {{{policy}containers: []}}}}}}\n"
            )
        };
        let good = job("Job", "restartPolicy: Never, ");
        assert_eq!(problems(&RunJob, &json!({"manifest": good, "logs": "always", "ttl": "10m"})), "");
        let all = [
            json!({"manifest": job("CronJob", "restartPolicy: Never, ")}),
            json!({"manifest": job("Job", "")}),
            json!({"manifest": format!("{good}---\n{}", good.replace("name: m", "name: other"))}),
            json!({"manifest": "a: [", "requiredArtifacts": ["wbe"], "logLines": 0}),
        ];
        let shown: Vec<String> = all.iter().map(|options| problems(&RunJob, options)).collect();
        insta::assert_snapshot!(shown.join("\n"), @r"
        manifest: CronJob {namespace}/m is no Job; write `apiVersion: batch/v1` and `kind: Job`
        manifest: the pods of a Job need `restartPolicy: Never` or `OnFailure`; write it in `spec.template.spec`
        manifest: there are 2 objects, and one Job is run; deploy the others by `deploy-manifest` before
        manifest: document 1, line 1: unclosed bracket '[' at line 1, column 4
        requiredArtifacts[0]: the pipeline has no artifact `wbe`; did you mean `web`?
        logLines: 0 lines cannot be kept: write 1 to 500
        ");
    }
}
