//! Items that name each other: unknown names and cycles.

use super::{items, known, names};
use crate::pipeline::graph::Graph;
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
    for cycle in graph_of(nodes, key).cycles() {
        let Some(&first) = cycle.first() else { continue };
        let mut shown: Vec<&str> = cycle.iter().filter_map(|index| nodes[*index].text_at("name")).collect();
        shown.extend(nodes[first].text_at("name"));
        let at = nodes[first].get(key).map_or(nodes[first].at, |list| list.at);
        let message = format!("the {what}s wait for each other: {}", shown.join(" -> "));
        report.add(at, &path.index(first).key(key), message, None);
    }
}

/// The items as a graph; one without a name is in it, but nothing can wait for it.
pub(super) fn graph_of<'n>(nodes: &'n [Node], key: &str) -> Graph<'n> {
    Graph::new(nodes.iter().map(|node| {
        let waits = node.list(key).iter().filter_map(Node::text).collect();
        (node.text_at("name").unwrap_or_default(), waits)
    }))
}
