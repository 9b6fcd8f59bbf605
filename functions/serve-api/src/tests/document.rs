use std::collections::BTreeSet;

use serde_json::Value;

use super::Installation;
use crate::openapi;
use crate::routes;

#[tokio::test(start_paused = true)]
async fn the_document_is_served_and_knows_every_route() {
    let it = Installation::new().await;
    let served = it.get("/v1/openapi.json").await.body;
    assert_eq!(served, openapi());
    for route in routes::all() {
        let operation = &served["paths"][route.path][route.method.as_str().to_lowercase()];
        assert_eq!(operation["operationId"], route.operation, "{} {}", route.method, route.path);
        assert!(operation["responses"][route.answer.status.to_string()].is_object(), "{}", route.path);
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_operation_has_a_name_of_its_own() {
    let document = openapi();
    let mut references = BTreeSet::new();
    collect(&document, &mut references);
    assert!(references.len() > 20, "{references:?}");
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap_or(&reference);
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    let names: Vec<&str> = routes::all().iter().map(|r| r.operation).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
}

fn collect(value: &Value, references: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            references.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|v| collect(v, references));
        }
        Value::Array(items) => items.iter().for_each(|v| collect(v, references)),
        _ => {}
    }
}

#[test]
fn an_operation_reads_as_written_in_the_table() {
    let mut operation =
        openapi()["paths"]["/v1/releases/{release}/approvals/{approval}/approve"]["post"].take();
    let statuses: Vec<&String> = operation["responses"].as_object().unwrap().keys().collect();
    assert_eq!(statuses, ["200", "401", "403", "404", "409", "413", "422", "default"]);
    operation.as_object_mut().unwrap().remove("responses");
    insta::assert_json_snapshot!(operation, @r##"
    {
      "operationId": "approve",
      "summary": "Approve.",
      "tags": [
        "releases"
      ],
      "parameters": [
        {
          "name": "release",
          "in": "path",
          "required": true,
          "schema": {
            "type": "string"
          }
        },
        {
          "name": "approval",
          "in": "path",
          "required": true,
          "schema": {
            "type": "string"
          }
        }
      ],
      "requestBody": {
        "required": false,
        "content": {
          "application/json": {
            "schema": {
              "$ref": "#/components/schemas/Decide"
            }
          }
        }
      },
      "x-permission": "decide"
    }
    "##);
}

#[test]
fn what_a_query_may_hold_is_described() {
    let operation = openapi()["paths"]["/v1/releases/{release}/events"]["get"].take();
    let wait = operation["parameters"].as_array().unwrap().iter().find(|p| p["name"] == "wait");
    insta::assert_json_snapshot!(wait.unwrap(), @r##"
    {
      "name": "wait",
      "in": "query",
      "description": "How many seconds to wait for one, at most 25; not at all when absent.",
      "schema": {
        "type": "integer",
        "format": "uint64",
        "minimum": 0
      }
    }
    "##);
}
