//! Turns an API server's refusal into a [`ClusterError`].

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use kube::core::Status;
use kube::core::response::StatusCause;

use crate::error::ClusterError;
use crate::unusable;

/// Longest part of a server's answer that is quoted in an error, in characters.
const QUOTED: usize = 600;

/// From an answer that is not 2xx. With `sensitive`, the server's words are replaced by its reason and the fields it names.
pub(crate) fn from_answer(
    operation: &str,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    sensitive: bool,
) -> ClusterError {
    let mut answer: Status = serde_json::from_slice(body)
        .unwrap_or_else(|_| Status::failure(String::from_utf8_lossy(body).trim(), ""));
    answer.code = status.as_u16();
    let asked =
        headers.get(http::header::RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    from_status(operation, &answer, asked.map(Duration::from_secs), sensitive)
}

/// From an error of the kube client.
pub(crate) fn from_kube(operation: &str, error: kube::Error) -> ClusterError {
    let operation_owned = operation.to_owned();
    match error {
        kube::Error::Api(status) => from_status(operation, &status, None, false),
        kube::Error::Auth(error) => {
            ClusterError::Unauthenticated { operation: operation_owned, message: unusable::of_auth(&error) }
        }
        kube::Error::SerdeError(error) => {
            ClusterError::Protocol { operation: operation_owned, message: error.to_string() }
        }
        kube::Error::FromUtf8(error) => {
            ClusterError::Protocol { operation: operation_owned, message: error.to_string() }
        }
        kube::Error::HttpError(error) => {
            ClusterError::Invalid { operation: operation_owned, message: error.to_string() }
        }
        kube::Error::Service(source) => match unusable::auth_error(source.as_ref()) {
            Some(error) => ClusterError::Unauthenticated {
                operation: operation_owned,
                message: unusable::of_auth(error),
            },
            None => ClusterError::Unreachable { operation: operation_owned, source },
        },
        other => ClusterError::Unreachable { operation: operation_owned, source: Box::new(other) },
    }
}

/// From a `Status` object, as answers and watch events carry it.
pub(crate) fn from_status(
    operation: &str,
    status: &Status,
    asked: Option<Duration>,
    sensitive: bool,
) -> ClusterError {
    let operation = operation.to_owned();
    let message = if sensitive { without_values(status) } else { quoted(status) };
    let asked = asked.or_else(|| {
        let seconds = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
        (seconds > 0).then(|| Duration::from_secs(u64::from(seconds)))
    });
    match status.code {
        401 => ClusterError::Unauthenticated { operation, message },
        403 => ClusterError::Denied { operation, message },
        404 => ClusterError::NotFound { operation, message },
        409 => conflict(operation, message, causes(status)),
        410 => ClusterError::Expired { operation },
        // An admission webhook may refuse with any code; the server then says so in these words.
        400..=499 if status.message.contains("denied the request") => {
            ClusterError::Denied { operation, message }
        }
        // Not load, but an eviction that would leave too few pods: asking again soon helps nobody.
        429 if causes(status).iter().any(|cause| cause.reason == "DisruptionBudget") => {
            let told =
                causes(status).iter().map(|cause| cause.message.as_str()).find(|text| !text.is_empty());
            ClusterError::Budget { operation, message: told.map_or(message, str::to_owned) }
        }
        429 => ClusterError::Throttled { operation, message, retry_after: asked },
        400..=499 => ClusterError::Invalid { operation, message },
        // What does not fit the kind's schema (a field that it does not have, two items of one key, an item without its key) is
        // answered with 500 by server-side apply, and will be as often as it is tried.
        500 if status.message.contains("failed to create typed patch object") => {
            ClusterError::Invalid { operation, message }
        }
        // The server's own store says so when it is asked to keep too much.
        500 if status.message.contains("request is too large") => {
            ClusterError::Invalid { operation, message }
        }
        500..=599 => {
            ClusterError::Unavailable { operation, status: status.code, message, retry_after: asked }
        }
        code => ClusterError::Protocol { operation, message: format!("status {code}: {message}") },
    }
}

fn causes(status: &Status) -> &[StatusCause] {
    status.details.as_ref().map_or(&[], |details| details.causes.as_slice())
}

fn conflict(operation: String, message: String, causes: &[StatusCause]) -> ClusterError {
    let owned: Vec<&StatusCause> = causes.iter().filter(|c| c.reason == "FieldManagerConflict").collect();
    let Some(first) = owned.first() else {
        return ClusterError::Changed { operation, message };
    };
    let field = owned.iter().map(|c| c.field.as_str()).collect::<Vec<_>>().join(", ");
    ClusterError::Conflict { operation, manager: manager_of(&first.message), field }
}

/// The owner in `conflict with "kubectl-client-side-apply" using apps/v1`; the whole sentence if it reads otherwise.
fn manager_of(message: &str) -> String {
    message.split('"').nth(1).unwrap_or(message).to_owned()
}

fn quoted(status: &Status) -> String {
    let text = if status.message.is_empty() { &status.reason } else { &status.message };
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None if text.is_empty() => format!("status {}", status.code),
        None => text.clone(),
    }
}

fn without_values(status: &Status) -> String {
    let fields: Vec<&str> =
        causes(status).iter().map(|c| c.field.as_str()).filter(|f| !f.is_empty()).collect();
    let reason = if status.reason.is_empty() { "refused" } else { &status.reason };
    match fields.is_empty() {
        true => format!("{reason} (the server's words are left out, since they may quote the secret)"),
        false => format!("{reason}: {}", fields.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(code: u16, body: &str) -> ClusterError {
        from_answer(
            "apply Secret dev/db",
            StatusCode::from_u16(code).unwrap(),
            &HeaderMap::new(),
            body.as_bytes(),
            false,
        )
    }

    #[test]
    fn a_conflict_names_the_owner_and_the_fields() {
        let body = json!({
            "kind": "Status", "code": 409, "reason": "Conflict", "message": "Apply failed with 2 conflicts",
            "details": {"causes": [
                {"reason": "FieldManagerConflict", "message": "conflict with \"hpa\" using apps/v1", "field": ".spec.replicas"},
                {"reason": "FieldManagerConflict", "message": "conflict with \"hpa\" using apps/v1", "field": ".spec.paused"}
            ]}
        });
        let ClusterError::Conflict { manager, field, .. } = answer(409, &body.to_string()) else { panic!() };
        assert_eq!((manager.as_str(), field.as_str()), ("hpa", ".spec.replicas, .spec.paused"));
        assert_eq!(answer(409, r#"{"reason":"Conflict"}"#).code(), "ClusterObjectChanged");
    }

    #[test]
    fn a_server_that_sheds_load_in_plain_text_is_waited_for() {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::RETRY_AFTER, "3".parse().unwrap());
        let error = from_answer(
            "get",
            StatusCode::TOO_MANY_REQUESTS,
            &headers,
            b"Too many requests, please try again later.\n",
            false,
        );
        assert_eq!(error.retry_after(), Some(Duration::from_secs(3)));
        assert!(error.is_retryable());
    }

    #[test]
    fn a_server_that_is_out_of_order_says_how_long_to_wait_as_well() {
        let asked = |code: u16, reason: &str| {
            let body = json!({"code": code, "reason": reason, "details": {"retryAfterSeconds": 2}});
            answer(code, &body.to_string()).retry_after()
        };
        assert_eq!(asked(500, "ServerTimeout"), Some(Duration::from_secs(2)));
        assert_eq!(asked(504, "Timeout"), Some(Duration::from_secs(2)));
        let headers = HeaderMap::from_iter([(http::header::RETRY_AFTER, "5".parse().unwrap())]);
        let error =
            from_answer("get", StatusCode::SERVICE_UNAVAILABLE, &headers, b"apiserver not ready", false);
        assert_eq!(error.retry_after(), Some(Duration::from_secs(5)));
    }

    #[test]
    fn a_credential_plugin_that_fails_later_is_told_without_what_it_printed() {
        let printed = kube::client::AuthError::AuthExec("hunter2".to_owned());
        let error = from_kube("get", kube::Error::Service(Box::new(printed)));
        assert_eq!(error.code(), "ClusterUnauthenticated");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn a_disruption_budget_is_told_from_load() {
        let body = json!({
            "code": 429, "reason": "TooManyRequests", "message": "Cannot evict pod as it would violate the pod's disruption budget.",
            "details": {"causes": [{"reason": "DisruptionBudget", "message": "The disruption budget web needs 2 healthy pods and has 2 currently"}]}
        });
        let error = answer(429, &body.to_string());
        assert!(!error.is_retryable());
        assert_eq!(
            error.to_string(),
            "apply Secret dev/db: a disruption budget does not allow it: The disruption budget web needs 2 healthy pods and has 2 \
             currently; wait until more pods are ready, or change the budget"
        );
    }

    #[test]
    fn an_answer_about_a_secret_quotes_no_value() {
        let body = json!({
            "reason": "Invalid", "message": "Secret \"db\" is invalid: data[password]: Invalid value: \"hunter2\"",
            "details": {"causes": [{"field": "data[password]", "message": "Invalid value: \"hunter2\""}]}
        });
        let error = from_answer(
            "apply Secret dev/db",
            StatusCode::UNPROCESSABLE_ENTITY,
            &HeaderMap::new(),
            body.to_string().as_bytes(),
            true,
        );
        assert_eq!(error.code(), "ClusterInvalid");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert!(error.to_string().contains("data[password]"), "{error}");
    }

    #[test]
    fn every_status_has_its_name() {
        for (status, code) in [
            (400, "ClusterInvalid"),
            (401, "ClusterUnauthenticated"),
            (403, "ClusterDenied"),
            (404, "ClusterNotFound"),
            (410, "ClusterExpired"),
            (422, "ClusterInvalid"),
            (500, "ClusterUnavailable"),
            (504, "ClusterUnavailable"),
        ] {
            assert_eq!(answer(status, "").code(), code, "{status}");
        }
        let typo = r#"{"message":"failed to create typed patch object: .spec.replica: field not declared in schema"}"#;
        assert_eq!(answer(500, typo).code(), "ClusterInvalid");
        let keyless = r#"{"message":"failed to create typed patch object: .spec.ports: element 0: associative list with keys has an element that omits key field"}"#;
        assert_eq!(answer(500, keyless).code(), "ClusterInvalid");
        let webhook = r#"{"message":"admission webhook \"policy.example\" denied the request: no"}"#;
        assert_eq!(answer(400, webhook).code(), "ClusterDenied");
    }
}
