//! Whether a name is one that some pipeline has: an empty list of what does not exist would read as good news.

use pilothouse_serve_api::api::{List, PipelineSummary, PipelineView};

use super::Session;
use crate::client::{Reply, Request};
use crate::failure::{Failure, Kind};

/// Refuses an application, or an environment of it, that no pipeline has. Asked only where there is nothing to show.
///
/// # Errors
/// [`Kind::NotFound`], or that the API does not answer.
pub(super) async fn check(
    session: &Session,
    application: &str,
    environment: Option<&str>,
) -> Result<(), Failure> {
    if any_pipeline_has(session, Some(application), environment).await? {
        return Ok(());
    }
    let message = match environment {
        Some(environment) => format!("no pipeline has `{application}/{environment}`"),
        None => format!("no pipeline is of the application `{application}`"),
    };
    Err(Failure::new(Kind::NotFound, format!("{message}; see `pilothouse pipeline ls`")))
}

/// Whether a pipeline (of the application) has an environment of that name.
pub(super) async fn any_pipeline_has(
    session: &Session,
    application: Option<&str>,
    environment: Option<&str>,
) -> Result<bool, Failure> {
    let mut cursor = None;
    loop {
        let request = Request::get(&["v1", "pipelines"]).query("application", application);
        let request = request.query("limit", Some(100)).query("cursor", cursor);
        let page: Reply<List<PipelineSummary>> = session.client.send(request).await?;
        for pipeline in &page.body.items {
            let Some(environment) = environment else { return Ok(true) };
            let path = ["v1", "pipelines", &pipeline.application, &pipeline.pipeline];
            let view: Reply<PipelineView> = session.client.send(Request::get(&path)).await?;
            if view.body.spec.environments.iter().any(|known| known.name == environment) {
                return Ok(true);
            }
        }
        cursor = page.body.next;
        if cursor.is_none() {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wiremock::matchers::path;
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::client::Client;
    use crate::output::Output;

    async fn answers(server: &MockServer, place: &str, body: Value) {
        Mock::given(path(place))
            .respond_with(ResponseTemplate::new(200).set_body_json(body))
            .mount(server)
            .await;
    }

    #[tokio::test]
    async fn a_name_that_no_pipeline_has_does_not_exist() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let server = MockServer::start().await;
        let saved =
            json!({ "savedAt": "2026-11-21T09:00:00Z", "savedBy": "ann", "revision": 1, "enabled": true });
        let mut summary = saved.clone();
        summary["application"] = json!("shop");
        summary["pipeline"] = json!("web");
        summary["hooks"] = json!([]);
        answers(&server, "/v1/pipelines", json!({ "items": [summary] })).await;
        let mut view = saved;
        view["latestRevision"] = json!(1);
        view["spec"] = json!({ "application": "shop", "pipeline": "web", "environments": [
            { "name": "prod", "namespace": "prod", "stages": [{ "name": "Wait", "type": "wait", "duration": "1s" }] },
        ] });
        answers(&server, "/v1/pipelines/shop/web", view).await;
        let client = Client::new(&server.uri(), None).unwrap();
        let session = Session { client, output: Output { json: false, terminal: false } };
        check(&session, "shop", Some("prod")).await.unwrap();
        check(&session, "shop", None).await.unwrap();
        let unknown = check(&session, "shop", Some("nope")).await.unwrap_err();
        assert_eq!(unknown.kind, Kind::NotFound);
        assert!(unknown.text().contains("no pipeline has `shop/nope`"), "{}", unknown.text());
    }
}
