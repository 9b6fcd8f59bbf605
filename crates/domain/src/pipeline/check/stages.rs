//! Stages: their graph, their conditions, and what their types say.

use super::{Names, graph, items, names, unique};
use crate::pipeline::path::Path;
use crate::pipeline::report::Report;
use crate::pipeline::tree::{Data, Node};
use crate::pipeline::{StageCatalog, StageScope};

/// The keys that every stage has; the others are its type's.
const COMMON: [&str; 6] = ["name", "type", "dependsOn", "onFailure", "timeout", "if"];

pub(super) fn check(root: &Node, catalog: &StageCatalog, file: &Names, report: &mut Report) {
    for (path, environment) in items(root, "environments", &Path::default()) {
        let stages = environment.list("stages");
        let path = path.key("stages");
        unique(stages, "stage", &path, report);
        graph::check(stages, "dependsOn", "stage", &path, report);
        let all = names(stages);
        let waits = graph::graph_of(stages, "dependsOn");
        for (index, stage) in stages.iter().enumerate() {
            let name = stage.text_at("name").unwrap_or_default();
            let upstream: Vec<String> = waits.ancestors(name).into_iter().map(ToOwned::to_owned).collect();
            let scope = StageScope {
                stage: name,
                artifacts: &file.artifacts,
                parameters: &file.parameters,
                upstream: &upstream,
                stages: &all,
            };
            check_stage(root, stage, catalog, &scope, &path.index(index), report);
        }
    }
}

fn check_stage(
    root: &Node,
    stage: &Node,
    catalog: &StageCatalog,
    scope: &StageScope<'_>,
    path: &Path,
    report: &mut Report,
) {
    let sound = !report.has_below(path);
    if let Some(node) = stage.get("timeout")
        && node
            .text()
            .and_then(|text| text.parse::<crate::duration::Span>().ok())
            .is_some_and(|span| span.as_millis() == 0)
    {
        report.add(node.at, &path.key("timeout"), "a stage cannot end in no time", None);
    }
    if let Some(node) = stage.get("if")
        && let Some(text) = node.text()
    {
        for problem in scope.check_condition(text) {
            report.add(node.at, &path.key("if"), problem.message, problem.hint);
        }
    }
    let info = stage.text_at("type").and_then(|name| catalog.get(name));
    if let (true, Some(info), Data::Map(entries)) = (sound, info, &stage.data) {
        let options = entries.iter().filter(|entry| !COMMON.contains(&entry.key.as_str()));
        let options = options.map(|entry| (entry.key.clone(), entry.value.to_json())).collect();
        for problem in (info.validate)(&options, scope) {
            report.add_at_path(root, &path.join(&problem.path), problem.message, problem.hint);
        }
    }
}
