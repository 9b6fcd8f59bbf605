//! The order of stages and environments.

use std::collections::HashMap;

use super::{EnvironmentSpec, PipelineSpec, StageSpec};

/// The stages' indices so that each comes after those it depends on; among equals in the order of declaration.
///
/// Names that do not exist are ignored, and stages on a cycle come last: both are refused when a pipeline is saved.
#[must_use]
pub fn topological_order(stages: &[StageSpec]) -> Vec<usize> {
    Graph::of_stages(stages).order()
}

/// The environments' indices so that each comes after those in its `after`; among equals in the order of declaration.
#[must_use]
pub fn environment_order(environments: &[EnvironmentSpec]) -> Vec<usize> {
    Graph::new(environments.iter().map(|e| (e.name.as_str(), e.after.iter().map(String::as_str).collect())))
        .order()
}

/// The names of all stages that end before `name` starts, near and far, in the order of declaration.
#[must_use]
pub fn upstreams<'a>(stages: &'a [StageSpec], name: &str) -> Vec<&'a str> {
    Graph::of_stages(stages).ancestors(name)
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

/// Items that wait for others by name. Of two with one name the first counts; unknown names are ignored.
pub(super) struct Graph<'a> {
    names: Vec<&'a str>,
    index: HashMap<&'a str, usize>,
    /// For each item those that it waits for.
    before: Vec<Vec<usize>>,
}

impl<'a> Graph<'a> {
    pub(super) fn new(items: impl Iterator<Item = (&'a str, Vec<&'a str>)>) -> Self {
        let (names, waits): (Vec<&str>, Vec<Vec<&str>>) = items.unzip();
        let index: HashMap<&str, usize> =
            names.iter().enumerate().rev().map(|(index, name)| (*name, index)).collect();
        let before = waits
            .iter()
            .map(|waits| waits.iter().filter_map(|name| index.get(name).copied()).collect())
            .collect();
        Self { names, index, before }
    }

    fn of_stages(stages: &'a [StageSpec]) -> Self {
        Self::new(stages.iter().map(|s| (s.name.as_str(), s.depends_on.iter().map(String::as_str).collect())))
    }

    /// Kahn's algorithm, always taking the first item that is ready.
    fn order(&self) -> Vec<usize> {
        let mut placed = vec![false; self.names.len()];
        let mut result = Vec::with_capacity(self.names.len());
        while result.len() < self.names.len() {
            let ready = (0..placed.len())
                .find(|&index| !placed[index] && self.before[index].iter().all(|other| placed[*other]));
            // Only a cycle leaves nothing ready: the rest keeps the order of declaration.
            let Some(next) = ready.or_else(|| placed.iter().position(|done| !done)) else { break };
            placed[next] = true;
            result.push(next);
        }
        result
    }

    /// The names of everything that `name` waits for, near and far, in the order of declaration.
    pub(super) fn ancestors(&self, name: &str) -> Vec<&'a str> {
        let mut reached = vec![false; self.names.len()];
        let mut waiting: Vec<usize> = self.index.get(name).copied().into_iter().collect();
        while let Some(current) = waiting.pop() {
            for &other in &self.before[current] {
                if !reached[other] {
                    reached[other] = true;
                    waiting.push(other);
                }
            }
        }
        self.names.iter().zip(reached).filter(|(_, reached)| *reached).map(|(name, _)| *name).collect()
    }

    /// The cycles, none sharing an item with another; each in the order in which the items would run.
    pub(super) fn cycles(&self) -> Vec<Vec<usize>> {
        let mut left = vec![true; self.names.len()];
        let mut cycles = Vec::new();
        loop {
            self.prune(&mut left);
            let Some(start) = left.iter().position(|left| *left) else { return cycles };
            let cycle = self.walk_back(start, &left);
            cycle.iter().for_each(|index| left[*index] = false);
            cycles.push(cycle);
        }
    }

    /// Takes out what waits for nothing that is left, again and again: what stays is on a cycle or behind one.
    fn prune(&self, left: &mut [bool]) {
        let mut changed = true;
        while changed {
            changed = false;
            for index in 0..left.len() {
                if left[index] && !self.before[index].iter().any(|other| left[*other]) {
                    left[index] = false;
                    changed = true;
                }
            }
        }
    }

    /// Goes from item to what it waits for until one comes again, and returns that cycle, beginning with its first item.
    fn walk_back(&self, start: usize, left: &[bool]) -> Vec<usize> {
        let mut way = vec![start];
        let mut current = start;
        while let Some(&next) = self.before[current].iter().find(|other| left[**other]) {
            if let Some(position) = way.iter().position(|index| *index == next) {
                let mut cycle: Vec<usize> = way.split_off(position);
                cycle.reverse();
                let first = cycle.iter().enumerate().min_by_key(|(_, index)| **index).map_or(0, |(at, _)| at);
                cycle.rotate_left(first);
                return cycle;
            }
            way.push(next);
            current = next;
        }
        way
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn stage(name: &str, depends_on: &[&str]) -> StageSpec {
        serde_json::from_value(json!({"name": name, "type": "wait", "dependsOn": depends_on})).unwrap()
    }

    #[test]
    fn equals_keep_the_order_of_declaration() {
        let stages = [stage("d", &["b", "a"]), stage("b", &[]), stage("a", &[]), stage("c", &["b"])];
        assert_eq!(topological_order(&stages), [1, 2, 0, 3]);
    }

    #[test]
    fn upstreams_are_near_and_far() {
        let stages = [
            stage("a", &[]),
            stage("b", &["a"]),
            stage("c", &["b"]),
            stage("x", &[]),
            stage("d", &["c", "x"]),
        ];
        assert_eq!(upstreams(&stages, "d"), ["a", "b", "c", "x"]);
        assert_eq!(upstreams(&stages, "b"), ["a"]);
        assert_eq!(upstreams(&stages, "nobody"), Vec::<&str>::new());
    }

    #[test]
    fn environments_follow_each_other() {
        let environment = |name: &str, after: &[&str]| json!({"name": name, "namespace": "n", "after": after, "stages": []});
        let spec: PipelineSpec = serde_json::from_value(json!({"application": "a", "pipeline": "p", "environments": [
            environment("prod", &["eu", "us"]), environment("dev", &[]), environment("us", &["dev"]), environment("eu", &["dev"]),
        ]}))
        .unwrap();
        let names = |found: Vec<&EnvironmentSpec>| found.iter().map(|e| e.name.clone()).collect::<Vec<_>>();
        assert_eq!(environment_order(&spec.environments), [1, 2, 3, 0]);
        assert_eq!(names(first_environments(&spec).collect()), ["dev"]);
        assert_eq!(names(environments_after(&spec, "dev").collect()), ["us", "eu"]);
    }

    proptest! {
        #[test]
        fn every_stage_comes_once_and_after_those_it_depends_on(
            edges in prop::collection::vec((0usize..12, 0usize..12), 0..40),
            names in Just((0..12).collect::<Vec<usize>>()).prop_shuffle(),
        ) {
            // Edges lead from a larger number to a smaller one, so there is no cycle; the declaration is shuffled.
            let before = |n: usize| edges.iter().filter(move |(a, b)| a.max(b) == &n && a != b).map(|(a, b)| a.min(b).to_string());
            let stages: Vec<StageSpec> = names
                .iter()
                .map(|n| {
                    let before: Vec<String> = before(*n).collect();
                    stage(&n.to_string(), &before.iter().map(String::as_str).collect::<Vec<_>>())
                })
                .collect();
            let order = topological_order(&stages);
            let position = |name: &str| order.iter().position(|index| stages[*index].name == name).unwrap();
            prop_assert_eq!(order.iter().collect::<std::collections::BTreeSet<_>>().len(), stages.len());
            for stage in &stages {
                for before in &stage.depends_on {
                    prop_assert!(position(before) < position(&stage.name));
                }
            }
        }
    }
}
