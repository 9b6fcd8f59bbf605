//! A gate as lines: one for the gate, one for each check as it came out last.

use jiff::Timestamp;
use pilothouse_domain::gate::GateSide;
use pilothouse_serve_api::api::{GateCheckView, GateState, GateView};
use serde_json::Value;

use super::lines::{Line, Mark};
use super::time::{ago, elapsed};

/// The lines of a gate of the attempt whose lines begin with `attempt`.
pub(super) fn of_gate(attempt: &str, gate: &GateView, now: Timestamp) -> Vec<Line> {
    let key = format!("{attempt}/gate-{}", gate.side);
    let checks = gate.checks.iter().map(|check| of_check(&key, check));
    let name = match gate.side {
        GateSide::Before => "gate before",
        GateSide::After => "gate after",
    };
    let (mark, note) = standing(gate, now);
    let took = elapsed(gate.started_at, gate.ended_at.unwrap_or(now));
    let took = if gate.status == GateState::Canceled { String::new() } else { took };
    let line = Line { key: key.clone(), mark, name: name.to_owned(), took, note };
    std::iter::once(line).chain(checks).collect()
}

fn standing(gate: &GateView, now: Timestamp) -> (Mark, String) {
    let samples = match gate.samples {
        0 => "no sample yet".to_owned(),
        1 => "1 sample".to_owned(),
        more => format!("{more} samples"),
    };
    match gate.status {
        GateState::Passed => (Mark::Done, format!("passed, {samples}")),
        GateState::Failed => (Mark::Failed, gate.reason.clone().unwrap_or_default()),
        GateState::Canceled => (Mark::Skipped, format!("not evaluated to its end, {samples}")),
        GateState::Evaluating => {
            let stable = gate.passing_since.filter(|_| gate.stable_for != "0s");
            let stable =
                stable.map(|since| format!(", passing for {} of {}", elapsed(since, now), gate.stable_for));
            let next = gate.next_sample_at.map(|at| format!(", the next {}", ago(now, at.max(now))));
            let until = format!(", until {:.0}", gate.deadline);
            let parts = [Some(samples), stable, next, Some(until)];
            (Mark::Running, parts.into_iter().flatten().collect())
        }
    }
}

fn of_check(gate: &str, check: &GateCheckView) -> Line {
    let mark = match check.passed {
        Some(true) => Mark::Done,
        Some(false) => Mark::Failed,
        None => Mark::Pending,
    };
    Line {
        key: format!("{gate}/{}", check.name),
        mark,
        name: format!("  {}", check.name),
        took: String::new(),
        note: check.detail.clone().unwrap_or_default(),
    }
}

/// What a check measured, for a table: a whole number without its point.
pub(crate) fn measured(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string().trim_end_matches(".0").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::view::samples::at;
    use crate::view::whole;

    fn gate(status: GateState) -> GateView {
        let check = |name: &str, passed, detail: &str| GateCheckView {
            name: name.to_owned(),
            check_type: "prometheus".to_owned(),
            passed,
            value: json!(0.05),
            detail: Some(detail.to_owned()),
        };
        GateView {
            side: GateSide::Before,
            status,
            reason: (status == GateState::Failed).then(|| "errors: 0.05 is not below 0.01".to_owned()),
            started_at: at(0),
            deadline: at(3600),
            ended_at: (status == GateState::Failed).then(|| at(60)),
            samples: 3,
            next_sample_at: Some(at(30)),
            passing_since: Some(at(5)),
            stable_for: "5m".to_owned(),
            checks: vec![
                check("errors", Some(false), "0.05 is not below 0.01"),
                check("calendar", Some(true), "no freeze window holds"),
                check("later", None, ""),
            ],
        }
    }

    fn written(status: GateState) -> String {
        let lines = of_gate("prod#1", &gate(status), at(20));
        anstream::adapter::strip_str(&whole(&lines)).to_string()
    }

    #[test]
    fn a_gate_is_written_with_its_last_sample_and_the_next() {
        insta::assert_snapshot!(written(GateState::Evaluating), @r"
          ◐ gate before    20.0s  3 samples, passing for 15.0s of 5m, the next in 10s, until 2026-09-21T15:13:20Z
          ✗   errors              0.05 is not below 0.01
          ✓   calendar            no freeze window holds
          ·   later
        ");
    }

    #[test]
    fn an_end_is_told_with_its_reason() {
        let failed = written(GateState::Failed);
        assert!(failed.starts_with("  ✗ gate before    1m00s  errors: 0.05 is not below 0.01\n"), "{failed}");
        let canceled = written(GateState::Canceled);
        assert!(canceled.contains("not evaluated to its end, 3 samples"), "{canceled}");
    }

    #[test]
    fn a_measured_number_is_written_as_people_do() {
        assert_eq!(
            [measured(&json!(2.0)), measured(&json!(0.5)), measured(&json!("NaN"))],
            ["2", "0.5", "NaN"]
        );
        assert_eq!(measured(&Value::Null), "");
    }
}
