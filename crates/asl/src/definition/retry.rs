//! `Retry` and `Catch`.

use serde_json::Value;

use super::fields::{Fields, SCHEMA};
use super::flow::Compiler;
use super::{Catcher, Retrier};
use crate::Problem;

/// The largest interval and number of attempts.
const MAX: u64 = 99_999_999;
/// The largest `MaxDelaySeconds`: 366 days.
const MAX_DELAY: u64 = 31_622_400;

impl Compiler<'_> {
    pub(super) fn retry(&mut self, state: &Fields<'_>) -> Vec<Retrier> {
        let Some(items) = state.array("Retry", self.problems) else { return Vec::new() };
        let count = items.len();
        items.iter().enumerate().filter_map(|(index, item)| self.retrier(state, index, count, item)).collect()
    }

    fn retrier(&mut self, state: &Fields<'_>, index: usize, count: usize, item: &Value) -> Option<Retrier> {
        let problems = &mut *self.problems;
        let fields = Fields::object(item, format!("{}/Retry[{index}]", state.path), problems)?;
        const KNOWN: [&str; 7] = [
            "ErrorEquals",
            "IntervalSeconds",
            "MaxAttempts",
            "BackoffRate",
            "MaxDelaySeconds",
            "JitterStrategy",
            "Comment",
        ];
        fields.only(&KNOWN, |_| None, problems);
        let errors = error_equals(&fields, index + 1 == count, problems);
        let interval_s = fields.whole("IntervalSeconds", 1..=MAX, problems).unwrap_or(1);
        let max_delay_s = fields.whole("MaxDelaySeconds", 1..=MAX_DELAY, problems);
        if max_delay_s.is_some_and(|max| max <= interval_s) {
            problems.push(Problem {
                code: SCHEMA,
                path: fields.at("MaxDelaySeconds"),
                message: "MaxDelaySeconds must be greater than IntervalSeconds".to_owned(),
            });
        }
        Some(Retrier {
            errors,
            interval_s,
            max_attempts: fields.whole("MaxAttempts", 0..=MAX, problems).unwrap_or(3),
            backoff_rate: backoff_rate(&fields, problems),
            max_delay_s,
            full_jitter: jitter(&fields, problems),
        })
    }

    /// `resolve` turns a state's name into its index.
    pub(super) fn catch(&mut self, state: &Fields<'_>, names: &[&str]) -> Vec<Catcher> {
        let Some(items) = state.array("Catch", self.problems) else { return Vec::new() };
        let count = items.len();
        let items = items.iter().enumerate();
        items.filter_map(|(index, item)| self.catcher(state, index, count, item, names)).collect()
    }

    fn catcher(
        &mut self,
        state: &Fields<'_>,
        index: usize,
        count: usize,
        item: &Value,
        names: &[&str],
    ) -> Option<Catcher> {
        let fields = Fields::object(item, format!("{}/Catch[{index}]", state.path), self.problems)?;
        fields.only(&["ErrorEquals", "Next", "Output", "Assign", "Comment"], |_| None, self.problems);
        let errors = error_equals(&fields, index + 1 == count, self.problems);
        let output = fields.template("Output", true, self.problems);
        let assign = self.assign(&fields, true);
        let next = self.target(&fields, "Next", names);
        Some(Catcher { errors, next: next?, output, assign })
    }
}

fn error_equals(fields: &Fields<'_>, last: bool, problems: &mut Vec<Problem>) -> Vec<Box<str>> {
    if fields.required("ErrorEquals", problems).is_none() {
        return Vec::new();
    }
    let items = fields.array("ErrorEquals", problems).unwrap_or_default();
    let errors: Vec<Box<str>> = items.iter().filter_map(Value::as_str).map(Box::from).collect();
    let mut problem = |message: &str| {
        problems.push(Problem { code: SCHEMA, path: fields.at("ErrorEquals"), message: message.to_owned() });
    };
    if errors.len() != items.len() || errors.is_empty() {
        problem("Expected a non-empty array of strings");
    }
    if errors.iter().any(|error| &**error == "States.ALL") && (errors.len() > 1 || !last) {
        problem("States.ALL must appear alone, in the last element");
    }
    errors
}

fn backoff_rate(fields: &Fields<'_>, problems: &mut Vec<Problem>) -> f64 {
    let Some(value) = fields.get("BackoffRate") else { return 2.0 };
    match value.as_f64() {
        Some(rate) if rate >= 1.0 => rate,
        _ => {
            let message = format!("Expected a number of at least 1.0, but was {value}");
            problems.push(Problem { code: SCHEMA, path: fields.at("BackoffRate"), message });
            2.0
        }
    }
}

fn jitter(fields: &Fields<'_>, problems: &mut Vec<Problem>) -> bool {
    match fields.string("JitterStrategy", problems) {
        None | Some("NONE") => false,
        Some("FULL") => true,
        Some(_) => {
            let message = "Value should be one of the following: [FULL, NONE]".to_owned();
            problems.push(Problem { code: SCHEMA, path: fields.at("JitterStrategy"), message });
            false
        }
    }
}
