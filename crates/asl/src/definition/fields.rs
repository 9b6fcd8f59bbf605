//! Reading the fields of a definition; each reader reports what is wrong at the field's own path.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::Amount;
use crate::Problem;
use crate::expression::Template;

pub(super) const SCHEMA: &str = "SCHEMA_VALIDATION_FAILED";

/// Fields that exist in the JSONPath query language only.
const JSONPATH_FIELDS: [&str; 15] = [
    "InputPath",
    "OutputPath",
    "ResultPath",
    "ResultSelector",
    "Parameters",
    "Result",
    "ItemsPath",
    "MaxConcurrencyPath",
    "TimeoutSecondsPath",
    "HeartbeatSecondsPath",
    "SecondsPath",
    "TimestampPath",
    "ErrorPath",
    "CausePath",
    "Iterator",
];

/// One JSON object of the definition, with where it stands.
pub(super) struct Fields<'a> {
    pub(super) members: &'a Map<String, Value>,
    pub(super) path: String,
}

impl<'a> Fields<'a> {
    pub(super) fn new(members: &'a Map<String, Value>, path: impl Into<String>) -> Self {
        Self { members, path: path.into() }
    }

    /// The object `value`, or a problem.
    pub(super) fn object(value: &'a Value, path: String, problems: &mut Vec<Problem>) -> Option<Self> {
        match value {
            Value::Object(members) => Some(Self { members, path }),
            _ => {
                expected(path, "OBJECT", problems);
                None
            }
        }
    }

    pub(super) fn at(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name)
    }

    pub(super) fn problem(&self, message: String, problems: &mut Vec<Problem>) {
        problems.push(Problem { code: SCHEMA, path: self.path.clone(), message });
    }

    /// Reports every field that is not in `known`; `what` says why a known AWS feature is refused here.
    pub(super) fn only(
        &self,
        known: &[&str],
        what: impl Fn(&str) -> Option<&'static str>,
        problems: &mut Vec<Problem>,
    ) {
        for name in self.members.keys().map(String::as_str).filter(|name| !known.contains(name)) {
            let message = match what(name) {
                Some(feature) => format!("Field '{name}' is not supported by this engine: {feature}"),
                None if JSONPATH_FIELDS.contains(&name) => format!(
                    "The QueryLanguage is set to 'JSONata', but field '{name}' is only supported for the \
                     'JSONPath' QueryLanguage"
                ),
                None => format!("Field '{name}' is not supported"),
            };
            self.problem(message, problems);
        }
    }

    pub(super) fn required(&self, name: &str, problems: &mut Vec<Problem>) -> Option<&'a Value> {
        let found = self.get(name);
        if found.is_none() {
            self.problem(format!("The field '{name}' is required but was missing"), problems);
        }
        found
    }

    pub(super) fn string(&self, name: &str, problems: &mut Vec<Problem>) -> Option<&'a str> {
        match self.get(name)? {
            Value::String(text) => Some(text),
            _ => {
                expected(self.at(name), "STRING", problems);
                None
            }
        }
    }

    pub(super) fn array(&self, name: &str, problems: &mut Vec<Problem>) -> Option<&'a [Value]> {
        match self.get(name)? {
            Value::Array(items) => Some(items),
            _ => {
                expected(self.at(name), "ARRAY", problems);
                None
            }
        }
    }

    /// A whole number within `range`.
    pub(super) fn whole(
        &self,
        name: &str,
        range: std::ops::RangeInclusive<u64>,
        problems: &mut Vec<Problem>,
    ) -> Option<u64> {
        let value = self.get(name)?;
        let number = value.as_u64().or_else(|| value.as_f64().and_then(whole_number));
        let fits = number.filter(|number| range.contains(number));
        if fits.is_none() {
            problems.push(Problem {
                code: SCHEMA,
                path: self.at(name),
                message: format!(
                    "Expected a whole number from {} to {}, but was {value}",
                    range.start(),
                    range.end()
                ),
            });
        }
        fits
    }

    /// A template; strings in it may be expressions.
    pub(super) fn template(
        &self,
        name: &str,
        catching: bool,
        problems: &mut Vec<Problem>,
    ) -> Option<Template> {
        self.get(name).map(|value| Template::compile(value, &self.at(name), catching, problems))
    }

    /// A whole number within `range`, or an expression.
    pub(super) fn amount(
        &self,
        name: &str,
        range: std::ops::RangeInclusive<u64>,
        problems: &mut Vec<Problem>,
    ) -> Option<Amount> {
        match self.get(name)? {
            Value::String(_) => self.expression(name, problems).map(Amount::Computed),
            _ => self.whole(name, range, problems).map(Amount::Literal),
        }
    }

    /// A string that must be an expression.
    pub(super) fn expression(&self, name: &str, problems: &mut Vec<Problem>) -> Option<Template> {
        let before = problems.len();
        let template = self.template(name, false, problems)?;
        if template.is_literal() {
            if problems.len() == before {
                let message =
                    format!("Expected a number or a JSONata expression, but was {}", self.members[name]);
                problems.push(Problem { code: SCHEMA, path: self.at(name), message });
            }
            return None;
        }
        Some(template)
    }

    /// `Assign`: variable names with their templates.
    pub(super) fn assign(&self, catching: bool, problems: &mut Vec<Problem>) -> Vec<(Arc<str>, Template)> {
        let Some(value) = self.get("Assign") else { return Vec::new() };
        let Some(fields) = Fields::object(value, self.at("Assign"), problems) else { return Vec::new() };
        let mut assign = Vec::with_capacity(fields.members.len());
        for name in fields.members.keys() {
            if !is_variable_name(name) {
                problems.push(Problem {
                    code: SCHEMA,
                    path: fields.at(name),
                    message: format!("'{name}' is not a valid variable name"),
                });
            }
            if let Some(template) = fields.template(name, catching, problems) {
                assign.push((Arc::from(name.as_str()), template));
            }
        }
        assign
    }
}

fn expected(path: String, kind: &str, problems: &mut Vec<Problem>) {
    problems.push(Problem { code: SCHEMA, path, message: format!("Expected value of type [{kind}]") });
}

/// `number` when it is whole, not negative and exactly representable.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked first")]
pub(crate) fn whole_number(number: f64) -> Option<u64> {
    ((0.0..=9_007_199_254_740_991.0).contains(&number) && number.fract() == 0.0).then_some(number as u64)
}

/// A Unicode identifier of at most 80 characters; `states` is reserved.
fn is_variable_name(name: &str) -> bool {
    let mut characters = name.chars();
    let starts = characters.next().is_some_and(|first| first.is_alphabetic() || first == '_');
    starts
        && name.chars().count() <= 80
        && characters.all(|c| c.is_alphanumeric() || c == '_')
        && name != "states"
}
