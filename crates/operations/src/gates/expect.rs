//! What a check expects of what it found: one expression that is true or false.

use pilothouse_domain::expression::Template;
use pilothouse_domain::pipeline::StageScope;
use pilothouse_domain::problem::Problem;
use serde_json::{Map, Value};

use super::Finding;
use crate::stages::check;

/// How many of the values that an expression read are told.
const MOST_TOLD: usize = 4;
/// The longest value that is told, in characters.
const LONGEST_TOLD: usize = 60;

/// What is wrong with an expression that may also read `roots`, when the pipeline is saved.
pub(super) fn problems(key: &str, text: &str, roots: &[&str], scope: &StageScope<'_>) -> Vec<Problem> {
    match Template::parse_with(text, roots) {
        Err(error) => vec![Problem::new(key, error.to_string())],
        Ok(template) if !template.is_single() => {
            let hint = match template.has_expressions() {
                true => "write nothing around it".to_owned(),
                false => format!("write `${{ {} }}`", text.trim()),
            };
            vec![Problem::new(key, "what is expected is exactly one `${ … }`").with_hint(hint)]
        }
        Ok(template) => {
            template.references().filter_map(|reference| check::reference(key, reference, scope)).collect()
        }
    }
}

/// Whether `text` holds of what was `found`, whose keys stand beside those of `scope`.
pub(super) fn judge(text: &str, found: Map<String, Value>, scope: &Value) -> Result<Finding, String> {
    let roots: Vec<String> = found.keys().cloned().collect();
    let roots: Vec<&str> = roots.iter().map(String::as_str).collect();
    let mut all = scope.as_object().cloned().unwrap_or_default();
    all.extend(found);
    let all = Value::Object(all);
    let told = |error| format!("`{text}`: {error}");
    let template = Template::parse_with(text, &roots).map_err(told)?;
    let read = values(&template, &roots, &all);
    match template.evaluate(&all).map_err(told)? {
        Value::Bool(true) => Ok(Finding::new(true, Value::Null, read)),
        Value::Bool(false) => Ok(Finding::new(false, Value::Null, format!("`{text}` is false: {read}"))),
        _ => Err(format!("`{text}` is neither true nor false: compare with `==` or `<`")),
    }
}

/// The values that an expression read of what was found: `statusCode is 503`.
fn values(template: &Template, roots: &[&str], scope: &Value) -> String {
    let mut told: Vec<String> = Vec::new();
    for reference in template.references().filter(|reference| roots.contains(&reference.root())) {
        let value = reference.path.iter().try_fold(scope, |value, step| value.get(step));
        let value = value.map_or_else(|| "not there".to_owned(), shown);
        let told_now = format!("{} is {value}", reference.path.join("."));
        if !told.contains(&told_now) {
            told.push(told_now);
        }
    }
    told.truncate(MOST_TOLD);
    told.join(", ")
}

fn shown(value: &Value) -> String {
    match value {
        Value::Object(fields) => format!("a map of {}", fields.len()),
        Value::Array(items) => format!("a list of {}", items.len()),
        other => other.to_string().chars().take(LONGEST_TOLD).collect(),
    }
}
