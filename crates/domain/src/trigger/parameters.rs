//! The parameters and artifacts that a release starts with.

use std::collections::BTreeMap;

use crate::artifact::Artifact;
use crate::pipeline::PipelineSpec;
use crate::problem::Problem;

/// Fills in defaults and checks names, options and required parameters (T19).
///
/// # Errors
/// Everything that is wrong, with paths like `parameters.replicas`.
pub fn resolve_parameters(
    spec: &PipelineSpec,
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Vec<Problem>> {
    let _ = (spec, given);
    unimplemented!("being written")
}

/// Checks that each artifact is one of the pipeline's, well formed and given once; an empty image is the pipeline's.
///
/// # Errors
/// Everything that is wrong, with paths like `artifacts.web.tag`.
pub fn release_artifacts(spec: &PipelineSpec, given: &[Artifact]) -> Result<Vec<Artifact>, Vec<Problem>> {
    let _ = (spec, given);
    unimplemented!("being written")
}
