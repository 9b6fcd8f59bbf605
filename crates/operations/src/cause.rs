//! What Step Functions says of an error that it caught, for people.

use serde_json::Value;

/// The longest text that a record keeps of it, in characters.
const LONGEST: usize = 500;

/// One sentence from the `Error` and the `Cause` of a caught error.
///
/// On AWS the cause of a failed Lambda function is JSON text, `{"errorMessage": …, "errorType": …}`, and that of a failed
/// nested execution is its description, with `Error` and `Cause` of its own: people read the innermost message.
pub(crate) fn in_words(error: &str, cause: &str) -> String {
    let (error, message) = unwrapped(error.to_owned(), cause.to_owned(), 4);
    let message: String = message.trim().chars().take(LONGEST).collect();
    if message.is_empty() { error } else { format!("{error}: {message}") }
}

fn unwrapped(error: String, cause: String, depth: u8) -> (String, String) {
    let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(&cause) else { return (error, cause) };
    let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
    match (text("errorMessage"), text("Cause"), text("Error")) {
        (Some(message), _, _) => (text("errorType").unwrap_or(error), message),
        (None, Some(inner), name) if depth > 0 => unwrapped(name.unwrap_or(error), inner, depth - 1),
        (None, None, Some(name)) => (name, text("Status").unwrap_or_default()),
        _ => (error, cause),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_message_of_a_lambda_function_is_read_out_of_its_json() {
        let cause = r#"{"errorType":"Unavailable","errorMessage":"dynamodb: throttled","stackTrace":[]}"#;
        assert_eq!(in_words("Unavailable", cause), "Unavailable: dynamodb: throttled");
        // A function that ran out of time, and one whose process ended: as Lambda writes them.
        let late = r#"{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: 7f Error: Task timed out after 30.00 seconds"}"#;
        assert_eq!(
            in_words("Sandbox.Timedout", late),
            "Sandbox.Timedout: RequestId: 7f Error: Task timed out after 30.00 seconds"
        );
        let died = r#"{"errorMessage":"RequestId: 7f Error: Runtime exited with error: signal: killed"}"#;
        assert_eq!(
            in_words("Lambda.Unknown", died),
            "Lambda.Unknown: RequestId: 7f Error: Runtime exited with error: signal: killed"
        );
    }

    #[test]
    fn the_cause_of_a_nested_execution_is_its_own() {
        let inner =
            json!({ "errorType": "Broken", "errorMessage": "records are inconsistent: x" }).to_string();
        let outer = json!({ "ExecutionArn": "arn:aws:states:…", "Status": "FAILED", "Error": "Broken", "Cause": inner });
        assert_eq!(in_words("States.TaskFailed", &outer.to_string()), "Broken: records are inconsistent: x");
        let aborted = json!({ "ExecutionArn": "arn:aws:states:…", "Status": "ABORTED", "Error": "Stopped" });
        assert_eq!(in_words("States.TaskFailed", &aborted.to_string()), "Stopped: ABORTED");
    }

    #[test]
    fn any_other_cause_stays_as_it_is_and_is_bounded() {
        assert_eq!(in_words("States.Timeout", ""), "States.Timeout");
        assert_eq!(in_words("X", "plain"), "X: plain");
        assert_eq!(in_words("X", r#"{"a": 1}"#), r#"X: {"a": 1}"#);
        assert_eq!(in_words("X", r#"["a"]"#), r#"X: ["a"]"#);
        assert_eq!(in_words("X", &"y".repeat(9000)).chars().count(), 503);
    }
}
