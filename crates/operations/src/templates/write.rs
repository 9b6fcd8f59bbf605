//! Stages as text: YAML that people go on with, so it is written with comments and not printed from a value.

use std::fmt::Write as _;

use serde_json::Value;

use super::inputs::{Checked, Place};
use super::manifest::Parts;

/// A stage, as the lines of its map.
pub(super) struct Stage(String);

impl Stage {
    fn new(name: &str, kind: &str, after: Option<&str>) -> Self {
        let mut text = format!("name: {name}\ntype: {kind}\n");
        if let Some(after) = after {
            let _ = writeln!(text, "dependsOn: [{after}]");
        }
        Self(text)
    }

    /// Keys of the stage, one a line.
    fn with(mut self, lines: &str) -> Self {
        self.0.push_str(lines);
        self.0.push('\n');
        self
    }

    /// Applies these objects. With the artifact if a workload is among them: a stage that does not bind it fails.
    pub(super) fn deploy(name: &str, after: Option<&str>, objects: &[Value], binds: Option<&str>) -> Self {
        let mut stage = Self::new(name, "deploy-manifest", after);
        if let Some(artifact) = binds {
            stage = stage.with(&format!("requiredArtifacts: [{artifact}]"));
        }
        stage.with(&format!("manifests: |\n{}", indented(&documents(objects), 2).trim_end()))
    }

    /// V7: every workload that the release's stages deploy, with the images of the release that is gone back to.
    pub(super) fn update(after: Option<&str>, parts: &Parts) -> Self {
        Self::deploy("Update deployment", after, &parts.workloads(), Some(&parts.service))
    }

    /// A stage of another type, with these lines and the Deployment as its `manifest`.
    pub(super) fn strategy(
        name: &str,
        kind: &str,
        after: Option<&str>,
        lines: &str,
        manifest: Option<&Value>,
    ) -> Self {
        let stage = Self::new(name, kind, after).with(lines);
        match manifest {
            Some(object) => {
                let text = documents(std::slice::from_ref(object));
                stage.with(&format!("manifest: |\n{}", indented(&text, 2).trim_end()))
            }
            None => stage,
        }
    }

    /// Asks the health check; without one, looks whether a pod of the workload is ready.
    pub(super) fn verify(inputs: &Checked, place: &Place, name: &str, after: &str, workload: &str) -> Self {
        match inputs.health_url(place) {
            Some(url) => Self::new(name, "webhook", Some(after))
                .with(&format!("method: GET\nurl: {}\ntimeout: 2m", quoted(&url))),
            None => Self::ready(name, after, workload),
        }
    }

    /// Looks whether a pod of the workload is ready; its name may be an expression.
    pub(super) fn ready(name: &str, after: &str, workload: &str) -> Self {
        Self::new(name, "precondition", Some(after)).with(&format!(
            "checks:\n  - check: clusterSize\n    workload: {workload}\n    comparison: \">=\"\n    expected: 1"
        ))
    }

    /// Deletes Deployments, if they are there: these lines say which.
    pub(super) fn delete(name: &str, after: &str, lines: &str) -> Self {
        Self::new(name, "delete-manifest", Some(after)).with(&format!("{lines}\nignoreMissing: true"))
    }

    /// Looks whether the Secrets are there that pods refer to.
    pub(super) fn secrets(name: &str, after: Option<&str>, secrets: &[String]) -> Self {
        let checks =
            secrets.iter().map(|s| format!("\n  - {{check: objectExists, kind: Secret, name: {s}}}"));
        Self::new(name, "precondition", after).with(&format!("checks:{}", checks.collect::<String>()))
    }
}

/// An environment with its stages.
pub(super) fn environment(place: &Place, more: &str, stages: &[Stage]) -> String {
    let Place { environment, cluster, namespace } = place;
    let mut text = format!("  - name: {environment}\n    cluster: {cluster}\n    namespace: {namespace}\n");
    text.push_str(&indented(more, 4));
    text.push_str("    stages:\n");
    for Stage(stage) in stages {
        let lines = indented(stage, 8);
        let _ = write!(text, "      - {}", lines.trim_start());
    }
    text
}

/// The objects as documents of one text.
fn documents(objects: &[Value]) -> String {
    let written = objects.iter().map(|object| {
        // JSON is YAML: what cannot be written as one is written as the other.
        serde_saphyr::to_string(object).unwrap_or_else(|_| format!("{object:#}\n"))
    });
    let written: Vec<String> = written.map(|text| format!("{}\n", text.trim_end())).collect();
    written.join("---\n")
}

fn indented(text: &str, by: usize) -> String {
    let line = |line: &str| match line.is_empty() {
        true => "\n".to_owned(),
        false => format!("{}{line}\n", " ".repeat(by)),
    };
    text.lines().map(line).collect()
}

/// A text as YAML takes any.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
