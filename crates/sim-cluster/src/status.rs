//! Refusals of the API server: `Status` objects worded as the real ones.

use serde_json::{Value, json};

use crate::kinds::Kind;

/// A refusal: what becomes a `Status` of kind Failure.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ApiError {
    pub(crate) code: u16,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) details: Value,
}

/// The reason of refusals that are no `Status` but plain text.
pub(crate) const PLAIN: &str = "plain";

pub(crate) type ApiResult<T> = Result<T, ApiError>;

/// One thing wrong with a field of an object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FieldError {
    reason: &'static str,
    field: String,
    message: String,
}

impl FieldError {
    pub(crate) fn required(field: impl Into<String>, detail: &str) -> Self {
        let message =
            if detail.is_empty() { "Required value".to_owned() } else { format!("Required value: {detail}") };
        Self { reason: "FieldValueRequired", field: field.into(), message }
    }

    pub(crate) fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        Self {
            reason: "FieldValueInvalid",
            field: field.into(),
            message: format!("Invalid value: {value}: {detail}"),
        }
    }

    pub(crate) fn not_found(field: impl Into<String>, value: &str) -> Self {
        Self { reason: "FieldValueNotFound", field: field.into(), message: format!("Not found: {value:?}") }
    }

    pub(crate) fn too_long(field: impl Into<String>, most: usize) -> Self {
        let message = format!("Too long: may not be more than {most} bytes");
        Self { reason: "FieldValueTooLong", field: field.into(), message }
    }

    pub(crate) fn duplicate(field: impl Into<String>, value: &str) -> Self {
        Self {
            reason: "FieldValueDuplicate",
            field: field.into(),
            message: format!("Duplicate value: {value:?}"),
        }
    }

    pub(crate) fn unsupported(field: impl Into<String>, value: &str, supported: &[&str]) -> Self {
        let list: Vec<_> = supported.iter().map(|s| format!("{s:?}")).collect();
        let message = format!("Unsupported value: {value:?}: supported values: {}", list.join(", "));
        Self { reason: "FieldValueNotSupported", field: field.into(), message }
    }

    pub(crate) fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self { reason: "FieldValueForbidden", field: field.into(), message: format!("Forbidden: {detail}") }
    }
}

impl ApiError {
    pub(crate) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: json!({}) }
    }

    fn about(code: u16, reason: &'static str, kind: &Kind, name: &str, message: String) -> Self {
        let mut details = json!({ "name": name, "kind": kind.plural });
        if !kind.group.is_empty() {
            details["group"] = kind.group.into();
        }
        Self { code, reason, message, details }
    }

    pub(crate) fn not_found(kind: &Kind, name: &str) -> Self {
        Self::about(404, "NotFound", kind, name, format!("{} {name:?} not found", kind.resource))
    }

    /// No such resource or path.
    pub(crate) fn no_resource() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource")
    }

    /// No such group or version: what a real server's multiplexer says, in plain text.
    pub(crate) fn no_path() -> Self {
        Self::new(404, PLAIN, "404 page not found\n")
    }

    pub(crate) fn already_exists(kind: &Kind, name: &str) -> Self {
        Self::about(409, "AlreadyExists", kind, name, format!("{} {name:?} already exists", kind.resource))
    }

    pub(crate) fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", kind.resource);
        Self::about(409, "Conflict", kind, name, message)
    }

    pub(crate) fn modified(kind: &Kind, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(kind, name, why)
    }

    pub(crate) fn forbidden(kind: &Kind, name: &str, why: &str) -> Self {
        Self::about(403, "Forbidden", kind, name, format!("{} {name:?} is forbidden: {why}", kind.resource))
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    pub(crate) fn invalid(kind: &Kind, name: &str, errors: &[FieldError]) -> Self {
        let list: Vec<_> = errors.iter().map(|e| format!("{}: {}", e.field, e.message)).collect();
        let all = if let [one] = list.as_slice() { one.clone() } else { format!("[{}]", list.join(", ")) };
        let full = if kind.group.is_empty() {
            kind.kind.to_owned()
        } else {
            format!("{}.{}", kind.kind, kind.group)
        };
        let causes: Vec<_> = errors
            .iter()
            .map(|e| json!({ "reason": e.reason, "message": e.message, "field": e.field }))
            .collect();
        let mut details = json!({ "name": name, "kind": kind.kind, "causes": causes });
        if !kind.group.is_empty() {
            details["group"] = kind.group.into();
        }
        let message = format!("{full} {name:?} is invalid: {all}");
        Self { code: 422, reason: "Invalid", message, details }
    }

    /// Too many requests for now: come back after this many seconds. A server that sheds load says so in plain text, and how
    /// long to wait in the header alone.
    pub(crate) fn throttled(seconds: u32) -> Self {
        Self {
            details: json!({ "retryAfterSeconds": seconds }),
            ..Self::new(429, PLAIN, "Too many requests, please try again later.\n")
        }
    }

    /// The wording of an injected fault.
    pub(crate) fn injected(code: u16) -> Self {
        match code {
            401 => Self::new(401, "Unauthorized", "Unauthorized"),
            403 => Self::new(403, "Forbidden", "forbidden: injected by the simulation"),
            409 => Self::new(
                409,
                "Conflict",
                "Operation cannot be fulfilled: the object has been modified; please apply your changes to the latest version and try again",
            ),
            429 => Self::throttled(1),
            503 => {
                Self::new(503, "ServiceUnavailable", "the server is currently unable to handle the request")
            }
            504 => Self {
                details: json!({ "retryAfterSeconds": 1 }),
                ..Self::new(504, "Timeout", "Timeout: request did not complete within the allotted timeout")
            },
            500 => {
                let text = "Internal error occurred: etcdserver: request timed out";
                Self {
                    details: json!({ "causes": [{ "message": "etcdserver: request timed out" }] }),
                    ..Self::new(500, "InternalError", text)
                }
            }
            other => Self::new(other, "", format!("injected by the simulation: {other}")),
        }
    }

    /// The `Status` object.
    pub(crate) fn to_status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "details": self.details, "code": self.code,
        });
        if self.details.as_object().is_none_or(serde_json::Map::is_empty)
            && let Some(map) = status.as_object_mut()
        {
            map.shift_remove("details");
        }
        status
    }
}
