//! Items that name each other: unknown names and cycles.

use std::collections::HashMap;

use super::{items, known, names};
use crate::pipeline::path::Path;
use crate::pipeline::report::Report;
use crate::pipeline::tree::Node;

/// Reports every name in the lists at `key` that no item has, and every cycle once, as `A -> B -> A`.
pub(super) fn check(nodes: &[Node], key: &str, what: &str, path: &Path, report: &mut Report) {
    let all = names(nodes);
    for (index, node) in nodes.iter().enumerate() {
        for (place, reference) in items(node, key, &path.index(index)) {
            known(reference, what, &all, &place, report);
        }
    }
    for cycle in cycles(nodes, key) {
        let Some(&first) = cycle.first() else { continue };
        let mut shown: Vec<&str> = cycle.iter().filter_map(|index| nodes[*index].text_at("name")).collect();
        shown.extend(nodes[first].text_at("name"));
        let at = nodes[first].get(key).map_or(nodes[first].at, |list| list.at);
        let message = format!("the {what}s wait for each other: {}", shown.join(" -> "));
        report.add(at, &path.index(first).key(key), message, None);
    }
}

/// The cycles of the graph, none sharing an item with another; each in the order in which the items would run.
fn cycles(nodes: &[Node], key: &str) -> Vec<Vec<usize>> {
    let index: HashMap<&str, usize> =
        nodes.iter().enumerate().rev().filter_map(|(index, node)| Some((node.text_at("name")?, index))).collect();
    let before: Vec<Vec<usize>> = nodes
        .iter()
        .map(|node| node.list(key).iter().filter_map(|name| index.get(name.text()?).copied()).collect())
        .collect();
    let mut left = vec![true; nodes.len()];
    let mut cycles = Vec::new();
    loop {
        prune(&before, &mut left);
        let Some(start) = left.iter().position(|left| *left) else { return cycles };
        let cycle = walk_back(start, &before, &left);
        cycle.iter().for_each(|index| left[*index] = false);
        cycles.push(cycle);
    }
}

/// Takes out what waits for nothing that is left, again and again: what stays is on a cycle or behind one.
fn prune(before: &[Vec<usize>], left: &mut [bool]) {
    let mut changed = true;
    while changed {
        changed = false;
        for index in 0..before.len() {
            if left[index] && !before[index].iter().any(|other| left[*other]) {
                left[index] = false;
                changed = true;
            }
        }
    }
}

/// Goes from item to what it waits for until one comes again, and returns that cycle, beginning with its first item.
fn walk_back(start: usize, before: &[Vec<usize>], left: &[bool]) -> Vec<usize> {
    let mut way = vec![start];
    loop {
        let current = way[way.len() - 1];
        let Some(&next) = before[current].iter().find(|other| left[**other]) else { return way };
        if let Some(position) = way.iter().position(|index| *index == next) {
            let mut cycle: Vec<usize> = way.split_off(position);
            cycle.reverse();
            let first = cycle.iter().enumerate().min_by_key(|(_, index)| **index).map_or(0, |(position, _)| position);
            cycle.rotate_left(first);
            return cycle;
        }
        way.push(next);
    }
}
