//! What a single-use link shows: a page for browsers, text for `curl`, JSON for programs.

use std::fmt::Write as _;

use axum::Json;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use pilothouse_domain::approval::{Approval, LinkAction, Shown};
use pilothouse_operations::PresentedLink;
use pilothouse_operations::view_release::ApprovalView;

use crate::api::{Asks, DecidedByLink, LinkPage};
use crate::failure::Failure;

/// The form that an answer takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Html,
    Json,
    Text,
}

impl Format {
    pub(super) fn of(accept: &str) -> Self {
        match accept {
            accept if accept.contains("text/html") => Self::Html,
            accept if accept.contains("application/json") => Self::Json,
            _ => Self::Text,
        }
    }
}

/// What is asked, as a title: `Deploy shop/web to prod?`.
fn question(asks: Asks, stage: Option<&str>, shown: Option<&Shown>) -> String {
    let what = shown.map(|s| format!("{}/{}", s.application, s.pipeline)).unwrap_or_default();
    let place = shown.map(|s| s.environment.clone()).unwrap_or_default();
    match (asks, stage) {
        (Asks::Stage, Some(stage)) => format!("{stage}: go on with {what} in {place}?"),
        (Asks::AfterDeployment, _) => format!("Is the deployment of {what} to {place} good?"),
        _ => format!("Deploy {what} to {place}?"),
    }
}

pub(super) fn page(format: Format, token: &str, presented: &PresentedLink) -> Response {
    let view = ApprovalView::from(&presented.approval);
    let page = LinkPage {
        person: presented.link.person.clone(),
        actions: presented.link.actions.clone(),
        expires_at: presented.link.expires_at,
        asks: view.asks,
        stage: view.stage,
        inputs: view.inputs,
        standing: view.standing,
        shown: view.shown,
    };
    match format {
        Format::Json => Json(page).into_response(),
        Format::Text => text(as_text(&page)),
        Format::Html => {
            html(&question(page.asks, page.stage.as_deref(), page.shown.as_deref()), &form(token, &page))
        }
    }
}

fn as_text(page: &LinkPage) -> String {
    let mut text = format!("{}\n\n", question(page.asks, page.stage.as_deref(), page.shown.as_deref()));
    for (name, value) in page.shown.iter().flat_map(|shown| shown.facts()) {
        let _ = writeln!(text, "{name:12}  {value}");
    }
    let _ = writeln!(text, "{:12}  {}", "standing", page.standing);
    let actions: Vec<&str> = page.actions.iter().map(|a| a.name()).collect();
    let _ = writeln!(
        text,
        "\nThis link is for {}, until {:.0}. To decide, POST to it: add /{}.",
        page.person,
        page.expires_at,
        actions.join(" or /"),
    );
    if !page.inputs.is_empty() {
        let _ = writeln!(text, "Choose an answer: -d input=…, one of {}.", page.inputs.join(", "));
    }
    text
}

fn form(token: &str, page: &LinkPage) -> String {
    let mut body = String::from("<table>");
    for (name, value) in page.shown.iter().flat_map(|shown| shown.facts()) {
        let _ = write!(body, "<tr><th>{name}</th><td>{}</td></tr>", escape(&value));
    }
    let _ = write!(body, "<tr><th>standing</th><td>{}</td></tr></table>", escape(&page.standing));
    // Relative, so that it holds below any path: the page's own last part is the token.
    let _ = write!(body, "<form method=\"post\" action=\"{}\">", escape(token));
    if !page.inputs.is_empty() {
        body.push_str("<p><label>Answer <select name=\"input\">");
        for input in &page.inputs {
            let input = escape(input);
            let _ = write!(body, "<option value=\"{input}\">{input}</option>");
        }
        body.push_str("</select></label></p>");
    }
    // Of several lines: Enter in a field of one line would press the first button, which approves.
    body.push_str("<p><label>Comment<br><textarea name=\"comment\" maxlength=\"4000\" rows=\"3\"></textarea></label></p><p>");
    for action in &page.actions {
        let (name, label) = match action {
            LinkAction::Approve => ("approve", "Approve"),
            LinkAction::Reject => ("reject", "Reject"),
        };
        let _ = write!(
            body,
            "<button class=\"{name}\" formaction=\"{}/{name}\">{label}</button> ",
            escape(token)
        );
    }
    let _ = write!(
        body,
        "</p></form><p class=\"small\">Decides once, as {}, until {:.0}.</p>",
        escape(&page.person),
        page.expires_at
    );
    body
}

pub(super) fn decided(format: Format, approval: &Approval) -> Response {
    let standing = approval.status_summary();
    match format {
        Format::Json => Json(DecidedByLink { standing }).into_response(),
        Format::Text => text(format!("{standing}\n")),
        Format::Html => html("Thank you", &format!("<p>The approval is {}.</p>", escape(&standing))),
    }
}

/// A refusal in the form that was asked for; `failure::finish` adds to it as to any other.
pub(super) fn refused(format: Format, failure: Failure) -> Response {
    let message = failure.message().to_owned();
    let response = failure.into_response();
    let body = match format {
        Format::Json => return response,
        Format::Text => text(format!("{message}\n")),
        Format::Html => html("Nothing was decided", &format!("<p>{}</p>", escape(&message))),
    };
    let (mut parts, _) = response.into_parts();
    let (shown, body) = body.into_parts();
    parts.headers = shown.headers;
    Response::from_parts(parts, body)
}

fn text(text: String) -> Response {
    guarded((([(CONTENT_TYPE, "text/plain; charset=utf-8")]), text).into_response())
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem}\
    th{text-align:left;vertical-align:top;padding-right:1rem;font-weight:normal;color:#666}\
    td{overflow-wrap:anywhere;white-space:pre-wrap}button{font:inherit;padding:.4rem 1.2rem}\
    textarea{font:inherit;width:100%}.approve{background:#0a7d33;color:#fff;border:0}.small{color:#666}";

fn html(title: &str, body: &str) -> Response {
    let title = escape(title);
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
        <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"robots\" content=\"noindex\">\
        <style>{STYLE}</style></head><body><h1>{title}</h1>{body}</body></html>"
    );
    guarded((([(CONTENT_TYPE, "text/html; charset=utf-8")]), page).into_response())
}

/// The address of the page is as good as a decision: it must not leave with a referrer, and nothing may run on it.
fn guarded(mut response: Response) -> Response {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; \
        base-uri 'none'";
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex"));
    response
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_gets_a_page_a_program_json_and_curl_text() {
        assert_eq!(Format::of("text/html,application/xhtml+xml,*/*;q=0.8"), Format::Html);
        assert_eq!(Format::of("application/json"), Format::Json);
        assert_eq!(Format::of("*/*"), Format::Text);
        assert_eq!(Format::of(""), Format::Text);
    }

    #[test]
    fn what_people_wrote_is_no_markup() {
        assert_eq!(escape("<a href='x'>\"&"), "&lt;a href=&#39;x&#39;&gt;&quot;&amp;");
    }
}
