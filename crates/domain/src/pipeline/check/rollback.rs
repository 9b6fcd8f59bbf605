//! Rollbacks: keys that nothing would ever come of (V1, V2).

use super::items;
use crate::duration::Span;
use crate::pipeline::path::Path;
use crate::pipeline::report::Report;
use crate::pipeline::tree::Node;

pub(super) fn check(environment: &Node, path: &Path, report: &mut Report) {
    let policy =
        environment.get("rollback").and_then(|rollback| rollback.text_at("policy")).unwrap_or("manual");
    if let Some(rollback) = environment.get("rollback") {
        check_policy(rollback, policy, &path.key("rollback"), report);
    }
    for (path, stage) in items(environment, "stages", path) {
        if let Some(rollback) = stage.get("rollback").filter(|_| policy == "never") {
            let hint = Some("remove it, or write `rollback.policy: manual` in the environment".to_owned());
            let message = "the environment's rollback policy is `never`: nothing would run it";
            report.add(rollback.at, &path.key("rollback"), message, hint);
        }
    }
}

fn check_policy(rollback: &Node, policy: &str, path: &Path, report: &mut Report) {
    if policy == "never" {
        for key in ["pipeline", "timeout"] {
            if let Some(node) = rollback.get(key) {
                let hint = Some("remove it, or write `policy: manual`".to_owned());
                report.add(node.at, &path.key(key), "the policy is `never`: there is no rollback", hint);
            }
        }
    }
    if let Some(causes) = rollback.get("causes") {
        let listed = rollback.list("causes");
        // What is written out again has the usual cause, whatever its policy.
        let usual = matches!(listed, [only] if only.text() == Some("stage_failed"));
        if matches!(policy, "manual" | "never") && !usual {
            let hint = Some("write `policy: on_failure`, or remove them".to_owned());
            let message = format!("no cause starts a rollback: the policy is `{policy}`");
            report.add(causes.at, &path.key("causes"), message, hint);
        } else if policy == "on_failure" && listed.is_empty() {
            let hint = Some("list some, or write `policy: manual`".to_owned());
            report.add(causes.at, &path.key("causes"), "no cause starts a rollback: there are none", hint);
        }
    }
    if let Some(node) = rollback.get("timeout")
        && node.text().and_then(|text| text.parse::<Span>().ok()).is_some_and(|span| span.as_millis() == 0)
    {
        report.add(node.at, &path.key("timeout"), "a rollback cannot end in no time", None);
    }
}
