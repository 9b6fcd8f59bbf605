//! `window`: passes outside freeze windows only (X14).

use pilothouse_domain::freeze::{Freeze, FreezeSpec, frozen};
use pilothouse_domain::pipeline::{StageScope, StageTypeInfo};
use pilothouse_domain::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{CheckContext, CheckType, Finding, Sampled};
use crate::stages::check;

/// What a `window` check says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Options {
    /// When it does not pass: weekly windows and ranges, in local time.
    #[schemars(length(min = 1, max = 100))]
    freeze: Vec<FreezeSpec>,
}

/// Looks at the calendar.
pub(super) struct Window;

impl CheckType for Window {
    fn info(&self) -> StageTypeInfo {
        StageTypeInfo {
            name: "window",
            summary: "Passes outside freeze windows only.",
            schema: schemars::schema_for!(Options),
            validate,
        }
    }

    fn verbatim(&self) -> &'static [&'static str] {
        &["freeze"]
    }

    fn sample<'a>(&'a self, check: &'a CheckContext<'a>) -> Sampled<'a> {
        Box::pin(async move {
            let options: Options = check.options()?;
            let freezes: Result<Vec<Freeze>, Problem> = options.freeze.iter().map(FreezeSpec::read).collect();
            let freezes = freezes.map_err(|problem| problem.to_string())?;
            Ok(match frozen(&freezes, check.now) {
                None => Finding::new(true, Value::Null, "no freeze window holds"),
                Some(frozen) => {
                    let why = frozen.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
                    let detail = format!("frozen until {:.0}{why}", frozen.until);
                    Finding::new(false, format!("{:.0}", frozen.until), detail)
                }
            })
        })
    }
}

fn validate(options: &Map<String, Value>, _: &StageScope<'_>) -> Vec<Problem> {
    let parsed: Options = match check::options(options) {
        Ok(parsed) => parsed,
        Err(problem) => return vec![problem],
    };
    let read = parsed.freeze.iter().map(FreezeSpec::read).enumerate();
    let wrong = read.filter_map(|(index, read)| Some((index, read.err()?)));
    wrong
        .map(|(index, problem)| {
            let key = if problem.path.is_empty() { String::new() } else { format!(".{}", problem.path) };
            Problem { path: format!("freeze[{index}]{key}"), ..problem }
        })
        .collect()
}
