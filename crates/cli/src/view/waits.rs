//! What a stage waits for, until when, and the command that ends the wait (T35-T37).

use jiff::Timestamp;
use pilothouse_serve_api::api::{ReleaseView, StageView, WaitKind};

use super::time::ago;

/// One line below a stage that waits, or has started a release; none below any other.
pub(super) fn hint(
    view: &ReleaseView,
    environment: &str,
    stage: &StageView,
    now: Timestamp,
) -> Option<String> {
    let Some(waits) = &stage.waits else {
        let child = stage.child.as_ref()?;
        return Some(format!("started {child}; see `pilothouse release show {child}`"));
    };
    let (release, name) = (&view.id, quoted(&stage.name));
    let place = quoted(environment);
    let until = format!("{:.0}, {}", waits.until, ago(now, waits.until));
    Some(match &waits.kind {
        WaitKind::Time { skippable: false, .. } => format!("goes on at {until}; it cannot be skipped"),
        WaitKind::Time { skippable: true, warning } => {
            let warning = warning.as_ref().map(|w| format!("; warning: “{w}”")).unwrap_or_default();
            format!("goes on at {until}, or by `pilothouse skip {release} {place} {name}`{warning}")
        }
        WaitKind::Answer { approval } => {
            let asked = view.environments.iter().flat_map(|e| &e.attempts).flat_map(|a| &a.approvals);
            let inputs = asked.filter(|a| a.id == *approval).map(|a| a.inputs.join("|")).next();
            let input = inputs.filter(|i| !i.is_empty()).map(|i| format!(" --input {i}")).unwrap_or_default();
            let command = format!("{release} {place} --approval {approval}");
            format!("fails at {until}, unless by `pilothouse approve {command}{input}` or `reject`")
        }
        WaitKind::Callback { url } => format!("fails at {until}, unless the receiver of {url} calls back"),
        WaitKind::Release { release } => {
            format!("fails at {until}, unless {release} ends; see `pilothouse release show {release}`")
        }
    })
}

/// A name as a shell takes it.
pub(crate) fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !name.is_empty() && name.chars().all(plain) {
        return name.to_owned();
    }
    format!("'{}'", name.replace('\'', "'\\''"))
}
