//! Where the checks of a pipeline file put what they find.

use super::path::{Path, Step};
use super::tree::{Node, Place};
use crate::problem::{Problem, Problems};

/// The most problems that are shown: more help nobody.
const MOST_SHOWN: usize = 100;
/// The most problems that are kept; the rest are counted.
const MOST_KEPT: usize = 1000;

/// Problems with their places.
#[derive(Debug, Default)]
pub(super) struct Report {
    found: Vec<(Path, Problem)>,
    dropped: usize,
}

impl Report {
    pub(super) fn add(&mut self, at: Place, path: &Path, message: impl Into<String>, hint: Option<String>) {
        if self.found.len() >= MOST_KEPT {
            self.dropped += 1;
            return;
        }
        let problem = Problem::new(path.to_string(), message).with_optional_hint(hint).at(at.line, at.column);
        self.found.push((path.clone(), problem));
    }

    /// Adds a problem whose place is known only by its path: at the deepest node on the way there.
    pub(super) fn add_at_path(
        &mut self,
        root: &Node,
        path: &Path,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        self.add(locate(root, path), path, message, hint);
    }

    /// Adds problems that already have their lines.
    pub(super) fn extend(&mut self, problems: Vec<Problem>) {
        self.found.extend(problems.into_iter().map(|problem| (Path::default(), problem)));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Whether anything at or below a place is wrong, or may be because not all was kept.
    pub(super) fn has_below(&self, path: &Path) -> bool {
        self.dropped > 0 || self.found.iter().any(|(found, _)| found.0.starts_with(&path.0))
    }

    /// All problems in the order of the text, each once.
    pub(super) fn finish(self) -> Problems {
        let mut problems: Vec<Problem> = self.found.into_iter().map(|(_, problem)| problem).collect();
        problems.sort_by_key(|problem| (problem.line, problem.column));
        problems.dedup();
        if problems.len() > MOST_SHOWN {
            let more = problems.len() - MOST_SHOWN + self.dropped;
            problems.truncate(MOST_SHOWN);
            problems.push(Problem::new("", format!("{more} more problems are not shown")));
        }
        Problems(problems)
    }
}

fn locate(root: &Node, path: &Path) -> Place {
    let mut node = root;
    for step in &path.0 {
        let next = match step {
            Step::Key(key) => node.get(key),
            Step::Index(index) => node.items().get(*index),
        };
        match next {
            Some(next) => node = next,
            None => break,
        }
    }
    node.at
}
