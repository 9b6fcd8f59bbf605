//! `wait`: time passes, unless somebody ends it early (T37).

use jiff::Timestamp;
use pilothouse_domain::duration::Span;
use pilothouse_domain::pipeline::{StageScope, StageTypeInfo};
use pilothouse_domain::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Answer, Begun, StageContext, StageEnd, StageType, Stepped, check};

/// The name in `type:`.
pub const NAME: &str = "wait";

/// The keys of a run's `action` that say who ended the wait, or brought its end nearer.
pub(crate) const SKIPPED_BY: &str = "skippedBy";
pub(crate) const SHORTENED_BY: &str = "shortenedBy";

/// What a `wait` stage says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// How long: `30s`, `10m`, `1h30m`; a number of seconds; or one `${ … }` that gives either.
    pub duration: Length,
    /// Whether a person may end the wait early; true when absent.
    #[serde(default = "yes")]
    pub skippable: bool,
    /// What a person is told who is about to end it early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// A length of time as a stage writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Length {
    /// `30s`, or an expression.
    Text(String),
    /// Seconds.
    Seconds(f64),
}

const fn yes() -> bool {
    true
}

/// The longest number of seconds; so long is the longest written duration too.
const LONGEST_SECONDS: f64 = 366.0 * 86_400.0;

impl Length {
    /// The length, once its expression is evaluated.
    fn span(&self) -> Result<Span, String> {
        let seconds = match self {
            Self::Seconds(seconds) => *seconds,
            Self::Text(text) => match text.trim().parse::<u32>() {
                Ok(seconds) => f64::from(seconds),
                Err(_) => return text.parse::<Span>().map_err(|error| error.to_string()),
            },
        };
        if !(0.0..=LONGEST_SECONDS).contains(&seconds) {
            return Err(format!("{seconds} seconds are no duration: write 0 to {LONGEST_SECONDS}"));
        }
        Ok(Span::from_millis(millis(seconds)))
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies between 0 and 366 days")]
fn millis(seconds: f64) -> u64 {
    (seconds * 1000.0).round() as u64
}

/// Waits. The end of the wait is the run's deadline: reaching it is success.
#[derive(Debug, Clone, Copy)]
pub struct Wait;

impl StageType for Wait {
    fn info(&self) -> StageTypeInfo {
        StageTypeInfo {
            name: NAME,
            summary: "Waits for a while; a person may end the wait early.",
            schema: schemars::schema_for!(Options),
            validate,
        }
    }

    /// The duration. One that cannot be read is none: `begin` then says so.
    fn features(&self) -> &'static str {
        "T37"
    }

    fn undone(&self) -> &'static str {
        "Nothing: it changes nothing."
    }

    fn timeout(&self, options: &Value) -> Span {
        duration(options).unwrap_or(Span::from_secs(0))
    }

    /// A shorter `timeout` fails the stage; a longer one does not lengthen the wait.
    fn limit(&self, options: &Value, timeout: Option<Span>) -> Span {
        let duration = self.timeout(options);
        timeout.map_or(duration, |timeout| timeout.min(duration))
    }

    fn begin<'a>(&'a self, stage: &'a StageContext<'a>) -> Stepped<'a, Begun> {
        let begun = match duration(&stage.run.options) {
            Err(reason) => Begun::Ended(StageEnd::failed(format!("duration: {reason}"))),
            Ok(duration) if duration.as_millis() == 0 => Begun::Ended(waited(duration, Ended::AsPlanned)),
            Ok(_) => Begun::Await { question: None, progress: progress(stage.run.deadline) },
        };
        Box::pin(async { Ok(begun) })
    }

    fn answered(&self, stage: &StageContext<'_>, answer: Answer) -> StageEnd {
        let run = stage.run;
        let planned = duration(&run.options).unwrap_or(Span::from_secs(0));
        match answer {
            Answer::Skipped { by } => waited(passed(stage), Ended::Skipped { by: &by }),
            Answer::TimedOut if run.action.get(SHORTENED_BY).is_some() => {
                let by = run.action.get(SHORTENED_BY).and_then(Value::as_str).unwrap_or_default();
                waited(passed(stage), Ended::Shortened { by })
            }
            Answer::TimedOut if run.deadline < planned.after(run.started_at) => {
                StageEnd::failed(format!("its timeout passed before the wait of {planned} did"))
            }
            Answer::TimedOut => waited(planned, Ended::AsPlanned),
            Answer::Approved { .. } | Answer::Rejected { .. } => {
                StageEnd::failed("a wait is skipped, not approved or rejected")
            }
        }
    }
}

fn duration(options: &Value) -> Result<Span, String> {
    let parsed: Options = serde_json::from_value(options.clone()).map_err(|error| error.to_string())?;
    parsed.duration.span()
}

/// How a wait came to its end.
#[derive(Clone, Copy)]
enum Ended<'a> {
    AsPlanned,
    Shortened { by: &'a str },
    Skipped { by: &'a str },
}

fn waited(waited: Span, how: Ended<'_>) -> StageEnd {
    let (skipped_by, shortened_by) = match how {
        Ended::AsPlanned => (None, None),
        Ended::Shortened { by } => (None, Some(by)),
        Ended::Skipped { by } => (Some(by), None),
    };
    StageEnd::succeeded(json!({ "waited": waited, "skippedBy": skipped_by, "shortenedBy": shortened_by }))
}

fn passed(stage: &StageContext<'_>) -> Span {
    let passed = stage.context.now().as_millisecond() - stage.run.started_at.as_millisecond();
    Span::from_millis(u64::try_from(passed).unwrap_or(0))
}

/// What a person who is about to end a wait early is told, and whether that may be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Whether it may be ended early.
    pub(crate) skippable: bool,
    /// What to think of first.
    pub(crate) warning: Option<String>,
}

/// The terms of a wait that runs, from its evaluated options.
pub(crate) fn terms(options: &Value) -> Terms {
    let parsed: Option<Options> = serde_json::from_value(options.clone()).ok();
    parsed.map_or(Terms { skippable: true, warning: None }, |o| Terms {
        skippable: o.skippable,
        warning: o.warning.filter(|w| !w.trim().is_empty()),
    })
}

/// How a wait stands, for people.
pub(crate) fn progress(until: Timestamp) -> String {
    format!("waits until {until:.0}")
}

fn validate(options: &Map<String, Value>, scope: &StageScope<'_>) -> Vec<Problem> {
    let mut problems = check::expressions(options, scope, &[]);
    match check::options::<Options>(options).map(|parsed| parsed.duration) {
        Err(problem) => problems.push(problem),
        Ok(Length::Text(text)) if check::has_expression(&text) => {}
        Ok(length) => problems.extend(length.span().err().map(|reason| Problem::new("duration", reason))),
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::check::tests::problems;

    #[test]
    fn durations_are_checked_when_the_pipeline_is_saved() {
        for fine in [
            json!({"duration": "30s", "warning": "Traffic is high."}),
            json!({"duration": 90}),
            json!({"duration": "${ params.pause }"}),
        ] {
            assert_eq!(problems(&Wait, &fine), "");
        }
        let all = [
            json!({"duration": "30 seconds"}),
            json!({"duration": -1}),
            json!({"duration": "${ params.puase }"}),
            json!({"duration": "${ stages[\"Other\"].output.pause }"}),
        ];
        let shown: Vec<String> = all.iter().map(|options| problems(&Wait, options)).collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        duration: `30 seconds` is not a duration: write for example `30s`, `10m`, `1h30m` or `7d`, at most `366d`
        duration: -1 seconds are no duration: write 0 to 31622400
        duration: the pipeline has no parameter `puase`; did you mean `pause`?
        duration: stage `Other` does not end before this one begins; add `Other` to `dependsOn`
        "#);
    }

    #[test]
    fn a_duration_is_a_text_or_a_number_of_seconds() {
        let of = |value: Value| duration(&json!({ "duration": value })).map(|span| span.to_string());
        assert_eq!(of(json!("1m30s")).unwrap(), "1m30s");
        assert_eq!(of(json!(90)).unwrap(), "1m30s");
        assert_eq!(of(json!("90")).unwrap(), "1m30s");
        assert_eq!(of(json!(0.25)).unwrap(), "250ms");
        for wrong in [json!("soon"), json!(1e12), json!(-1), json!("-1"), json!(null), json!({})] {
            assert!(of(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_longer_timeout_does_not_lengthen_the_wait_and_a_shorter_one_ends_it() {
        let options = json!({"duration": "30s"});
        let limit = |timeout: Option<u64>| Wait.limit(&options, timeout.map(Span::from_secs)).to_string();
        assert_eq!([limit(None), limit(Some(60)), limit(Some(10))], ["30s", "30s", "10s"]);
    }
}
