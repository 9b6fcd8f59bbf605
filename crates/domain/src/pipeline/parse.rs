//! Reading a pipeline file: text to tree, tree against schema, names against each other, and only then the types.

use super::report::Report;
use super::{PipelineSpec, StageCatalog, check, pipeline_schema, structure, tree};
use crate::problem::{Problem, Problems};

/// Reads a pipeline from YAML (or JSON) and checks everything that can be known without a cluster.
///
/// The text is YAML 1.2 with the core schema, at most 1 MiB, one document; anchors are allowed, tags and duplicate keys are not.
///
/// # Errors
/// Everything that is wrong at once, in the order of the text, with line, column, path and, where it can be told, what
/// was meant.
pub fn parse_pipeline(text: &str, catalog: &StageCatalog) -> Result<PipelineSpec, Problems> {
    let (root, unreadable) = tree::read(text);
    let mut report = Report::default();
    report.extend(unreadable);
    let Some(root) = root else { return Err(report.finish()) };
    structure::check(&root, &pipeline_schema(catalog), &mut report);
    check::check(&root, catalog, &mut report);
    if !report.is_empty() {
        return Err(report.finish());
    }
    // What the checks let through is what the types take; if ever not, the reason is still better than nothing.
    serde_json::from_value(root.to_json()).map_err(|error| Problem::new("", error.to_string()).into())
}

#[cfg(test)]
#[path = "parse_environment_tests.rs"]
mod environment_tests;
#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
