//! The HTTP call of a check: through the guard, without redirects, its answer bounded and without secrets.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Response, Url};
use serde_json::Value;

use crate::Context;
use crate::request::{Header, Method, Redaction, add_header, payload_body, read_body, told};

/// How long a call may take: less than a sample, so that its own reason is told.
const LONGEST_CALL: Duration = Duration::from_secs(9);
/// How much of an answer is read, in bytes.
const LONGEST_BODY: usize = 1024 * 1024;

/// What is called.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    /// Checked already.
    pub(super) url: Url,
    pub(super) headers: &'a BTreeMap<String, Header>,
    pub(super) payload: Option<&'a Value>,
}

/// What was answered, as it came: with whatever secrets the other side sent back.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) bytes: Vec<u8>,
    pub(super) truncated: bool,
    /// Takes the secrets of the call out of anything that is kept.
    pub(super) redaction: Redaction,
}

impl Call<'_> {
    /// Makes the call.
    ///
    /// # Errors
    /// Why there is no answer, in words and without secrets.
    pub(super) async fn make(self, context: &Context) -> Result<Answer, String> {
        let shown = format!("{} {}", self.method, shown(&self.url));
        let mut redaction = Redaction::default();
        let mut headers = HeaderMap::new();
        let payload = self.payload.map(payload_body);
        if let Some((_, media_type)) = &payload {
            headers.insert(CONTENT_TYPE, media_type.clone());
        }
        for (name, header) in self.headers {
            add_header(&mut headers, (name, header), &context.secrets, &mut redaction).await?;
        }
        let client = context.outbound.client(&self.url).await.map_err(|error| error.to_string())?;
        let mut request = client.request(self.method.into(), self.url).headers(headers).timeout(LONGEST_CALL);
        if let Some((body, _)) = payload {
            request = request.body(body);
        }
        let mut response: Response = request.send().await.map_err(|error| {
            redaction.text(&format!("{shown} was not answered: {}", told(error, LONGEST_CALL)))
        })?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let (bytes, truncated) = read_body(&mut response, LONGEST_BODY).await;
        Ok(Answer { status, headers, bytes, truncated, redaction })
    }
}

/// The URL without its query, which may be long.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}
