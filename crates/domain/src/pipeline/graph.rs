//! The order of stages and environments.

use super::{EnvironmentSpec, PipelineSpec, StageSpec};

/// The stages' indices so that each comes after those it depends on; among equals in the order of declaration.
///
/// Names that do not exist are ignored, and stages on a cycle come last: both are refused when a pipeline is saved.
#[must_use]
pub fn topological_order(stages: &[StageSpec]) -> Vec<usize> {
    let edges: Vec<(&str, &[String])> =
        stages.iter().map(|s| (s.name.as_str(), s.depends_on.as_slice())).collect();
    order(&edges)
}

/// The environments' indices so that each comes after those in its `after`; among equals in the order of declaration.
#[must_use]
pub fn environment_order(environments: &[EnvironmentSpec]) -> Vec<usize> {
    let edges: Vec<(&str, &[String])> =
        environments.iter().map(|e| (e.name.as_str(), e.after.as_slice())).collect();
    order(&edges)
}

/// The names of all stages that end before `name` starts, near and far, in the order of declaration.
#[must_use]
pub fn upstreams<'a>(stages: &'a [StageSpec], name: &str) -> Vec<&'a str> {
    let edges: Vec<(&str, &[String])> =
        stages.iter().map(|s| (s.name.as_str(), s.depends_on.as_slice())).collect();
    ancestors(&edges, name)
}

/// The environments that start with the release: those without `after`, in the order of declaration.
pub fn first_environments(spec: &PipelineSpec) -> impl Iterator<Item = &EnvironmentSpec> {
    spec.environments.iter().filter(|environment| environment.after.is_empty())
}

/// The environments that name `environment` in their `after`, in the order of declaration.
pub fn environments_after<'a>(
    spec: &'a PipelineSpec,
    environment: &'a str,
) -> impl Iterator<Item = &'a EnvironmentSpec> {
    spec.environments.iter().filter(move |candidate| candidate.after.iter().any(|name| name == environment))
}

/// Kahn's algorithm over `(name, names before it)`, always taking the first that is ready.
fn order(edges: &[(&str, &[String])]) -> Vec<usize> {
    let known = |name: &String| edges.iter().any(|(other, _)| other == name);
    let mut placed = vec![false; edges.len()];
    let mut result = Vec::with_capacity(edges.len());
    let is_placed = |placed: &[bool], name: &String| {
        edges.iter().zip(placed).any(|((other, _), done)| other == name && *done)
    };
    while result.len() < edges.len() {
        let ready = (0..edges.len()).find(|&index| {
            !placed[index] && edges[index].1.iter().all(|name| !known(name) || is_placed(&placed, name))
        });
        // Only a cycle leaves nothing ready: the rest keeps the order of declaration.
        let next = ready.or_else(|| placed.iter().position(|done| !done));
        let Some(index) = next else { break };
        placed[index] = true;
        result.push(index);
    }
    result
}

pub(super) fn ancestors<'a>(edges: &[(&'a str, &[String])], name: &str) -> Vec<&'a str> {
    let mut reached = vec![false; edges.len()];
    let mut waiting = vec![name];
    while let Some(current) = waiting.pop() {
        let Some((_, before)) = edges.iter().find(|(other, _)| *other == current) else { continue };
        for (index, (other, _)) in edges.iter().enumerate() {
            if !reached[index] && before.iter().any(|b| b == other) {
                reached[index] = true;
                waiting.push(other);
            }
        }
    }
    edges.iter().zip(reached).filter(|(_, reached)| *reached).map(|((other, _), _)| *other).collect()
}
