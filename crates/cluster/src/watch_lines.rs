//! The events of a watch: one JSON document on each line of an answer that goes on.

use futures::io::AsyncBufReadExt as _;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use http_body_util::BodyExt as _;
use kube::client::Body;
use kube::core::{Status, WatchEvent};
use serde_json::Value;

use crate::error::ClusterError;
use crate::refusal;

/// Reads events until the server closes the answer, or the line breaks between or in the middle of two of them.
pub(crate) fn events(
    operation: String,
    body: Body,
) -> impl Stream<Item = Result<WatchEvent<Value>, ClusterError>> {
    let lines = body.into_data_stream().map_err(std::io::Error::other).into_async_read().lines();
    lines
        .take_while(|line| std::future::ready(!line.as_ref().is_err_and(is_end)))
        .filter_map(move |line| std::future::ready(event(&operation, line)))
}

fn event(operation: &str, line: std::io::Result<String>) -> Option<Result<WatchEvent<Value>, ClusterError>> {
    let line = match line {
        Ok(line) => line,
        Err(error) => return Some(Err(refusal::from_kube(operation, kube::Error::ReadEvents(error)))),
    };
    match serde_json::from_str::<WatchEvent<Value>>(&line) {
        Ok(event) => Some(Ok(event)),
        // The line broke in the middle of it: it comes again when the watch goes on.
        Err(error) if error.is_eof() => None,
        Err(error) => Some(Err(match serde_json::from_str::<Status>(&line) {
            Ok(status) => refusal::from_status(operation, &status, None, false),
            Err(_) => refusal::from_kube(operation, kube::Error::SerdeError(error)),
        })),
    }
}

/// Whether the answer merely ended without saying so, as it does behind proxies and load balancers.
fn is_end(error: &std::io::Error) -> bool {
    let mut at: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = at {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|error| error.kind() == std::io::ErrorKind::UnexpectedEof)
            || error.to_string().contains("unexpected EOF during chunk")
        {
            return true;
        }
        at = match io {
            // Its `source` is that of what it holds, which is passed over so.
            Some(io) => io.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static)),
            None => error.source(),
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    async fn read(text: &str) -> Vec<Result<WatchEvent<Value>, ClusterError>> {
        events("watch".to_owned(), Body::from(text.as_bytes().to_vec())).collect().await
    }

    #[tokio::test]
    async fn each_line_is_an_event_and_half_a_line_is_none() {
        let added = json!({"type": "ADDED", "object": {"metadata": {"name": "a"}}});
        let gone = json!({"type": "DELETED", "object": {"metadata": {"name": "a"}}});
        let heard = read(&format!("{added}\n{gone}\n{}", &added.to_string()[..20])).await;
        assert!(
            matches!(heard.as_slice(), [Ok(WatchEvent::Added(_)), Ok(WatchEvent::Deleted(_))]),
            "{heard:?}"
        );
        let heard = read(r#"{"kind":"Status","apiVersion":"v1","status":"Failure","code":410,"reason":"Expired","message":"old"}"#).await;
        assert!(matches!(heard.as_slice(), [Err(ClusterError::Expired { .. })]), "{heard:?}");
        let heard = read("<html>\n").await;
        assert!(matches!(heard.as_slice(), [Err(ClusterError::Protocol { .. })]), "{heard:?}");
    }

    #[test]
    fn an_answer_that_merely_ended_is_no_trouble() {
        let eof = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        assert!(is_end(&eof()));
        assert!(is_end(&std::io::Error::other(kube::Error::ReadEvents(eof()))));
        assert!(!is_end(&std::io::Error::from(std::io::ErrorKind::ConnectionReset)));
    }
}
