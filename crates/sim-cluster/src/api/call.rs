//! A request, taken apart.

use std::collections::HashMap;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri, header};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use super::protobuf;
use crate::{
    access::Identity,
    custom::{self, Custom},
    fields::Manager,
    json,
    kinds::Kind,
    selector::{Fields, Labels},
    status::{ApiError, ApiResult},
    typed,
    write::Options,
    yaml,
};

pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) raw_query: String,
    query: HashMap<String, String>,
    pub(super) accept: String,
    content_type: String,
    user_agent: String,
    body: Bytes,
    pub(super) identity: Identity,
}

/// How the client wants objects shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Object,
    Table,
    Metadata,
}

/// An object as a request brings it, and what was dropped from it.
pub(super) struct Decoded {
    pub(super) object: Value,
    pub(super) warnings: Vec<String>,
}

impl Call {
    pub(super) fn new(
        method: Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: Bytes,
        identity: Identity,
    ) -> ApiResult<Self> {
        let axum::extract::Query(pairs) = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|e| ApiError::bad_request(format!("the query cannot be read: {e}")))?;
        let header = |name| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        Ok(Self {
            method,
            path: uri.path().to_owned(),
            raw_query: uri.query().unwrap_or_default().to_owned(),
            query: pairs.into_iter().collect(),
            accept: header(header::ACCEPT),
            content_type: header(header::CONTENT_TYPE),
            user_agent: header(header::USER_AGENT),
            body,
            identity,
        })
    }

    /// A query parameter; "" when it is absent.
    pub(super) fn param(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.param(name), "true" | "1")
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.param(name).parse().ok()
    }

    pub(super) fn labels(&self) -> ApiResult<Labels> {
        Labels::parse(self.param("labelSelector"))
    }

    pub(super) fn fields(&self, kind: &Kind) -> ApiResult<Fields> {
        Fields::parse(&kind.resource, self.param("fieldSelector"))
    }

    pub(super) fn form(&self) -> Form {
        if self.accept.contains("as=Table") {
            Form::Table
        } else if self.accept.contains("as=PartialObjectMetadata") {
            Form::Metadata
        } else {
            Form::Object
        }
    }

    /// The media type of the body, without parameters.
    pub(super) fn media_type(&self) -> &str {
        self.content_type.split(';').next().unwrap_or_default().trim()
    }

    /// Who writes: the `fieldManager` parameter, else the first part of the user agent.
    pub(super) fn manager(&self) -> String {
        let given = self.param("fieldManager");
        if !given.is_empty() {
            return given.to_owned();
        }
        let agent = self.user_agent.split('/').next().unwrap_or_default();
        if agent.is_empty() { "unknown".to_owned() } else { agent.to_owned() }
    }

    pub(super) fn dry_run(&self) -> bool {
        self.param("dryRun") == "All"
            || self.body_value().is_ok_and(|b| b["dryRun"] == json!(["All"]) && self.method == Method::DELETE)
    }

    /// How to write what this request asks for.
    pub(super) fn options(&self, subresource: &'static str) -> ApiResult<Options> {
        let dry_run = self.param("dryRun");
        if !matches!(dry_run, "" | "All") {
            let message =
                format!("invalid options: dryRun: Unsupported value: {dry_run:?}: supported values: \"All\"");
            return Err(ApiError::bad_request(message));
        }
        Ok(Options {
            manager: Manager { name: self.manager(), subresource },
            dry_run: dry_run == "All",
            force: self.flag("force"),
        })
    }

    /// The body as JSON; Null when there is none.
    pub(super) fn body_value(&self) -> ApiResult<Value> {
        if self.body.is_empty() {
            return Ok(Value::Null);
        }
        if self.is_protobuf() {
            return protobuf::decode(&self.body).map_err(|why| {
                let mut refused = self.unknown_format();
                refused.message = format!("{}: {why}", refused.message);
                refused
            });
        }
        if let Ok(value) = serde_json::from_slice(&self.body) {
            return Ok(value);
        }
        let text = std::str::from_utf8(&self.body).map_err(|_| self.unknown_format())?;
        let is_json = self.media_type().ends_with("json") && self.media_type() != "";
        if is_json {
            let message = "the object provided is unrecognized (must be of type JSON): it is no valid JSON";
            return Err(ApiError::bad_request(message));
        }
        yaml::parse(text).map_err(|e| ApiError::bad_request(format!("error decoding YAML: {e}")))
    }

    fn is_protobuf(&self) -> bool {
        self.media_type() == "application/vnd.kubernetes.protobuf"
    }

    pub(super) fn unknown_format(&self) -> ApiError {
        ApiError::new(
            415,
            "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml",
        )
    }

    /// The body as an object of `kind`, with unknown fields treated as `fieldValidation` says.
    pub(super) fn object(&self, kind: &Kind) -> ApiResult<Decoded> {
        // A protobuf body may lack what the table of fields does not know: enough to create, not to replace.
        let is_new = self.is_protobuf() && self.method == Method::POST;
        if !is_new && !matches!(self.media_type(), "" | "application/json" | "application/yaml") {
            return Err(self.unknown_format());
        }
        let object = self.body_value()?;
        self.decode(kind, object)
    }

    /// Checks names and types of the fields of `object`.
    pub(super) fn decode(&self, kind: &Kind, mut object: Value) -> ApiResult<Decoded> {
        let unknown = check_types(kind, &mut object).map_err(|error| {
            let message = format!(
                "{} in version {:?} cannot be handled as a {}: {error}",
                kind.kind, kind.version, kind.kind
            );
            ApiError::bad_request(message)
        })?;
        let warnings: Vec<_> = unknown.into_iter().map(|path| format!("unknown field {path:?}")).collect();
        match self.param("fieldValidation") {
            "Strict" if !warnings.is_empty() => {
                let message = format!(
                    "{} in version {:?} cannot be handled as a {}: strict decoding error: {}",
                    kind.kind,
                    kind.version,
                    kind.kind,
                    warnings.join(", ")
                );
                Err(ApiError::bad_request(message))
            }
            "Ignore" => Ok(Decoded { object, warnings: Vec::new() }),
            _ => Ok(Decoded { object, warnings }),
        }
    }

    /// The body as compact JSON for the record of requests, without the values of Secrets.
    pub(super) fn summary(&self) -> String {
        let Ok(mut body) = self.body_value() else { return String::new() };
        if body.is_null() {
            return String::new();
        }
        if self.path.contains("/secrets") {
            for field in ["data", "stringData"] {
                for value in json::map(&body, &format!("/{field}")).cloned().into_iter().flatten() {
                    json::map_mut(&mut body, &format!("/{field}")).insert(value.0, "(hidden)".into());
                }
            }
            if body.is_array() {
                return "(hidden)".to_owned();
            }
        }
        body.to_string().chars().take(2000).collect()
    }
}

/// Prunes what the type of the kind does not know and returns its paths.
pub(super) fn check_types(kind: &Kind, object: &mut Value) -> Result<Vec<String>, String> {
    if let Some(custom) = &kind.custom {
        return check_custom(kind, custom, object);
    }
    let Some(typed) = kind.typed else { return Ok(Vec::new()) };
    // The types insist on these two, which a request may leave out.
    json::set_default(object, "/apiVersion", kind.api_version());
    json::set_default(object, "/kind", kind.kind);
    typed::prune(typed, object)
}

/// The metadata of a custom resource is that of every object; the rest is as its schema says.
fn check_custom(kind: &Kind, custom: &Custom, object: &mut Value) -> Result<Vec<String>, String> {
    json::set_default(object, "/apiVersion", kind.api_version());
    json::set_default(object, "/kind", kind.kind);
    let mut unknown = Vec::new();
    if let (Some(metadata), Some(typed)) = (object.get_mut("metadata"), typed::check::<ObjectMeta>()) {
        unknown = typed::prune(typed, metadata)?.into_iter().map(|path| format!("metadata.{path}")).collect();
    }
    if let Some(schema) = &custom.schema {
        unknown.extend(custom::prune(schema, object));
    }
    Ok(unknown)
}
