//! Environments: their order, and their schedules.

use super::triggers::check_zone;
use super::{graph, items, rollback};
use crate::pipeline::path::Path;
use crate::pipeline::report::Report;
use crate::pipeline::tree::Node;
use crate::schedule::TimeOfDay;

pub(super) fn check(root: &Node, report: &mut Report) {
    graph::check(
        root.list("environments"),
        "after",
        "environment",
        &Path::default().key("environments"),
        report,
    );
    for (path, environment) in items(root, "environments", &Path::default()) {
        if let Some(schedule) = environment.get("schedule") {
            check_schedule(schedule, &path.key("schedule"), report);
        }
        if let Some(lane) = environment.get("lane") {
            check_lane(lane, &path.key("lane"), report);
        }
        rollback::check(environment, &path, report);
    }
}

/// A number that means nothing is a mistake.
fn check_lane(lane: &Node, path: &Path, report: &mut Report) {
    if lane.text_at("policy") == Some("all")
        && let Some(at_once) = lane.get("atOnce")
    {
        let hint = "leave it out, or write `policy: sequential`".to_owned();
        report.add(at_once.at, &path.key("atOnce"), "with the policy `all` nothing is limited", Some(hint));
    }
}

/// A time zone that exists, and times that a clock can show.
fn check_schedule(schedule: &Node, path: &Path, report: &mut Report) {
    if let Some(node) = schedule.get("timezone") {
        check_zone(node, &path.key("timezone"), report);
    }
    let time = |node: &Node, key: &str| node.text_at(key).and_then(|text| text.parse::<TimeOfDay>().ok());
    let check_clock = |node: &Node, key: &str, path: &Path, report: &mut Report| {
        if let Some(place) = node.get(key)
            && time(node, key).is_some_and(|time| time.on_the_clock().is_none())
        {
            let hint = Some("write `\"00:00\"`".to_owned());
            report.add(place.at, &path.key(key), "no clock shows `24:00`", hint);
        }
    };
    check_clock(schedule, "at", path, report);
    for (path, window) in items(schedule, "windows", path) {
        check_clock(window, "from", &path, report);
        if let (Some(from), Some(to)) = (time(window, "from"), time(window, "to"))
            && from == to
        {
            let hint = "for the whole day write `from: \"00:00\"` and `to: \"24:00\"`".to_owned();
            report.add(window.at, &path, "the window closes when it opens", Some(hint));
        }
    }
}
