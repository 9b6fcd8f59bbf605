//! Notifications: what they refer to, who refers to them, and what their channels say.

use super::{items, known, names};
use crate::pipeline::StageCatalog;
use crate::pipeline::path::Path;
use crate::pipeline::report::Report;
use crate::pipeline::tree::{Data, Node};

/// The keys that every notification has; the others are its channel's.
const COMMON: [&str; 4] = ["name", "type", "on", "environments"];

pub(super) fn check(root: &Node, catalog: &StageCatalog, report: &mut Report) {
    let notifications = names(root.list("notifications"));
    let environments = names(root.list("environments"));
    for (path, environment) in items(root, "environments", &Path::default()) {
        for (path, stage) in items(environment, "stages", &path) {
            for (path, name) in items(stage, "notify", &path) {
                known(name, "notification", &notifications, &path, report);
            }
        }
    }
    for (path, notification) in items(root, "notifications", &Path::default()) {
        for (path, name) in items(notification, "environments", &path) {
            known(name, "environment", &environments, &path, report);
        }
        check_heard(root, notification, &path, report);
        check_options(root, notification, catalog, &path, report);
    }
}

/// A notification that is never sent is a mistake.
fn check_heard(root: &Node, notification: &Node, path: &Path, report: &mut Report) {
    let Some(name) = notification.text_at("name") else { return };
    let stages = root.list("environments").iter().flat_map(|environment| environment.list("stages"));
    let named = stages.flat_map(|stage| stage.list("notify")).any(|node| node.text() == Some(name));
    if notification.list("on").is_empty() && !named {
        let hint = "say of what with `on:`, for example [deployment_failed, rollback_failed], or name it in a stage's \
                    `notify`";
        let message = format!("`{name}` is never told anything");
        report.add(notification.at, path, message, Some(hint.to_owned()));
    }
}

fn check_options(root: &Node, notification: &Node, catalog: &StageCatalog, path: &Path, report: &mut Report) {
    let info = notification.text_at("type").and_then(|name| catalog.channel(name));
    if let (false, Some(info), Data::Map(entries)) = (report.has_below(path), info, &notification.data) {
        let options = entries.iter().filter(|entry| !COMMON.contains(&entry.key.as_str()));
        let options = options.map(|entry| (entry.key.clone(), entry.value.to_json())).collect();
        for problem in (info.validate)(&options) {
            report.add_at_path(root, &path.join(&problem.path), problem.message, problem.hint);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::pipeline::tests_support::catalog;
    use crate::pipeline::{PipelineSpec, parse_pipeline};

    fn pipeline(notifications: &str, notify: &str) -> Result<PipelineSpec, String> {
        let text = format!(
            "application: shop\npipeline: web\nnotifications:\n{notifications}\nenvironments:\n  - name: prod\n    \
             namespace: prod\n    stages:\n      - {{name: Pause, type: wait, duration: 1s, notify: {notify}}}\n"
        );
        parse_pipeline(&text, &catalog()).map_err(|problems| problems.to_string())
    }

    #[test]
    fn a_notification_is_read_and_written_as_it_was() {
        let text = "  - {name: ops, type: pager, on: [deployment_failed, \"*\"], environments: [prod], url: \"https://x\"}\n  \
                    - {name: stage, type: pager, url: \"https://y\"}";
        let spec = pipeline(text, "[stage]").unwrap();
        let written = serde_json::to_value(&spec.notifications).unwrap();
        insta::assert_json_snapshot!(written[0], @r#"
        {
          "name": "ops",
          "type": "pager",
          "on": [
            "deployment_failed",
            "*"
          ],
          "environments": [
            "prod"
          ],
          "url": "https://x"
        }
        "#);
        assert_eq!(spec.environments[0].stages[0].notify, ["stage"]);
        assert!(spec.environments[0].stages[0].options.get("notify").is_none());
    }

    #[test]
    fn what_is_wrong_with_notifications_is_said_with_its_place() {
        let text = "  - {name: ops, type: pager, on: [deploymnt_failed], environments: [prd], url: \"http://x\"}\n  \
                    - {name: ops, type: pger, on: [\"*\"]}\n  \
                    - {name: silent, type: pager, url: \"https://x\", urll: a}\n  \
                    - {name: plain, type: pager, on: [\"*\"], url: \"http://x\"}";
        insta::assert_snapshot!(pipeline(text, "[opps]").unwrap_err(), @r"
        line 4: notifications[0].on[0]: `deploymnt_failed` is not known here: expected one of `release_started`, `release_abandoned`, `approval_requested`, `approval_decided`, `approval_expired`, `intervention_requested`, `deployment_started`, `deployment_succeeded`, `deployment_partially_succeeded`, `deployment_failed`, `deployment_rejected`, `deployment_canceled`, `gates_failed`, `stage_started`, `stage_succeeded`, `stage_failed`, `rollback_started`, `rollback_succeeded`, `rollback_failed`, `environment_held`, `execution_interrupted`, `execution_restarted`, `*`; did you mean `deployment_failed`?
        line 4: notifications[0].environments[0]: there is no environment `prd`; did you mean `prod`?
        line 5: notifications[1]: the key `url` is missing
        line 5: notifications[1].name: the notification `ops` is already in line 4
        line 6: notifications[2]: `silent` is never told anything; say of what with `on:`, for example [deployment_failed, rollback_failed], or name it in a stage's `notify`
        line 6: notifications[2].urll: unknown key; other keys are `on`, `environments`
        line 7: notifications[3].url: the scheme is not https
        line 12: environments[0].stages[0].notify[0]: there is no notification `opps`; did you mean `ops`?
        ");
    }
}
