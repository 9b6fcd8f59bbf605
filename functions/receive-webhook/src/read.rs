//! What surrounds a body: its size, its encoding, its media type.

use axum::body::Body;
use axum::http::{HeaderMap, header};
use futures::StreamExt as _;

use crate::refusal::{LARGEST_BODY, Refusal};

/// Reads a body of at most 1 MiB: refused by its declared length, else as soon as more has come.
///
/// # Errors
/// [`Refusal::TooLarge`], or [`Refusal::Incomplete`] when the connection broke.
pub(crate) async fn body(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Refusal> {
    let declared =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|bytes| bytes > LARGEST_BODY as u64) {
        return Err(Refusal::TooLarge);
    }
    let mut bytes = Vec::new();
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Refusal::Incomplete)?;
        if bytes.len() + chunk.len() > LARGEST_BODY {
            return Err(Refusal::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Refuses compressed bodies: they are signed and limited as they are.
///
/// # Errors
/// [`Refusal::Encoded`].
pub(crate) fn check_encoding(headers: &HeaderMap) -> Result<(), Refusal> {
    let identity = |value: &axum::http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers.get_all(header::CONTENT_ENCODING).iter().all(identity) {
        Ok(())
    } else {
        Err(Refusal::Encoded)
    }
}

/// Takes `application/json` and `application/*+json`, whatever their parameters.
///
/// # Errors
/// [`Refusal::MediaType`].
pub(crate) fn check_media_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut all = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(only), None) = (all.next(), all.next()) else { return Err(Refusal::MediaType) };
    let given = only.to_str().map_err(|_| Refusal::MediaType)?;
    let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let json = match essence.strip_prefix("application/") {
        Some("json") => true,
        Some(subtype) => subtype.strip_suffix("+json").is_some_and(|name| !name.is_empty()),
        None => false,
    };
    if json { Ok(()) } else { Err(Refusal::MediaType) }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn json_media_types_are_taken_and_no_others() {
        let check = |value: &'static str| {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(value))]);
            check_media_type(&headers).is_ok()
        };
        for json in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/vnd.docker.distribution.events.v1+json",
            "application/cloudevents+json",
        ] {
            assert!(check(json), "{json}");
        }
        for other in [
            "text/json",
            "application/x-www-form-urlencoded",
            "application/+json",
            "json",
            "",
            "application/jsonp",
        ] {
            assert!(!check(other), "{other}");
        }
        assert!(check_media_type(&HeaderMap::new()).is_err());
    }
}
