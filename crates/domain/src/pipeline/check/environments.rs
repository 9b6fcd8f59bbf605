//! Environments: their order, and what their approvals ask for.

use super::{graph, items};
use crate::pipeline::path::Path;
use crate::pipeline::report::Report;
use crate::pipeline::tree::{Data, Node};

pub(super) fn check(root: &Node, report: &mut Report) {
    graph::check(
        root.list("environments"),
        "after",
        "environment",
        &Path::default().key("environments"),
        report,
    );
    for (path, environment) in items(root, "environments", &Path::default()) {
        let Some(approvals) = environment.get("approvals") else { continue };
        let path = path.key("approvals");
        if let Some(after) = approvals.get("after").filter(|after| after.data != Data::Null) {
            let hint = Some("use `before` of the next environment".to_owned());
            report.add(
                after.at,
                &path.key("after"),
                "approvals after the stages are not supported yet",
                hint,
            );
        }
        if let Some(before) = approvals.get("before") {
            check_quorum(before, &path.key("before"), report);
        }
    }
}

/// Named users can give no more approvals than they are.
fn check_quorum(policy: &Node, path: &Path, report: &mut Report) {
    let approvers = policy.list("approvers");
    let users: std::collections::BTreeSet<&str> =
        approvers.iter().filter_map(|approver| approver.text_at("user")).collect();
    let only_users = !approvers.is_empty() && approvers.iter().all(|approver| approver.get("user").is_some());
    let Some(required) = policy.get("required") else { return };
    if let Data::Number(number, _) = &required.data
        && only_users
        && number.as_u64().is_some_and(|number| number > users.len() as u64)
    {
        let message = format!("{number} approvals are required, but only {} may approve", users.len());
        report.add(required.at, &path.key("required"), message, None);
    }
}
