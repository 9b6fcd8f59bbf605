use serde_json::{Value, json};

use super::*;
use crate::{fields::managed::track_update, kinds};

fn manager(name: &str) -> Manager {
    Manager { name: name.to_owned(), subresource: "" }
}

fn applied(live: &Value, config: &Value, who: &str) -> ApiResult<Value> {
    apply(kinds::of("deployments.apps"), live, config, &manager(who), false, "2026-01-01T00:00:00Z")
}

fn with_containers(containers: &Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"template": {"spec": {"containers": containers}}}})
}

#[test]
fn an_apply_owns_exactly_what_it_says() {
    let live =
        applied(&Value::Null, &with_containers(&json!([{"name": "web", "image": "a"}])), "one").unwrap();
    assert_eq!(
        live["metadata"]["managedFields"],
        json!([{"manager": "one", "operation": "Apply", "apiVersion": "apps/v1", "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {".": {}, "f:image": {}, "f:name": {}}}}}}}}])
    );
}

#[test]
fn what_is_no_longer_applied_is_removed_unless_another_owns_it() {
    let both = json!([{"name": "web", "image": "a", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}, {"name": "side", "image": "s"}]);
    let live = applied(&Value::Null, &with_containers(&both), "one").unwrap();
    let other = with_containers(&json!([{"name": "web", "env": [{"name": "B", "value": "2"}]}]));
    let live = applied(&live, &other, "two").unwrap();
    let live = applied(&live, &with_containers(&json!([{"name": "web", "image": "a"}])), "one").unwrap();
    assert_eq!(
        live.pointer("/spec/template/spec/containers"),
        Some(&json!([{"name": "web", "image": "a", "env": [{"name": "B", "value": "2"}]}]))
    );
}

#[test]
fn a_different_value_of_another_manager_is_a_conflict_that_names_it() {
    let live =
        applied(&Value::Null, &with_containers(&json!([{"name": "web", "image": "a"}])), "one").unwrap();
    let mut scaled = live.clone();
    scaled["spec"]["replicas"] = json!(5);
    let kind = kinds::of("deployments.apps");
    track_update(kind, &live, &mut scaled, &manager("kubectl-edit"), "2026-01-01T00:00:01Z");
    let mut config = with_containers(&json!([{"name": "web", "image": "a"}]));
    config["spec"]["replicas"] = json!(3);
    let error = applied(&scaled, &config, "one").unwrap_err();
    assert_eq!(
        error.message,
        "Apply failed with 1 conflict: conflict with \"kubectl-edit\" using apps/v1: .spec.replicas"
    );
    assert_eq!(
        error.details["causes"][0],
        json!({"reason": "FieldManagerConflict", "message": "conflict with \"kubectl-edit\" using apps/v1", "field": ".spec.replicas"})
    );
    let forced = apply(kind, &scaled, &config, &manager("one"), true, "2026-01-01T00:00:02Z").unwrap();
    assert_eq!(forced["spec"]["replicas"], 3);
    assert_eq!(
        forced["metadata"]["managedFields"].as_array().unwrap().len(),
        1,
        "the loser owns nothing any more"
    );
}

#[test]
fn two_conflicts_are_listed_by_manager() {
    let live = applied(
        &Value::Null,
        &with_containers(&json!([{"name": "web", "image": "a", "command": ["x"]}])),
        "one",
    )
    .unwrap();
    let error =
        applied(&live, &with_containers(&json!([{"name": "web", "image": "b", "command": ["y"]}])), "two")
            .unwrap_err();
    assert_eq!(
        error.message,
        "Apply failed with 2 conflicts: conflicts with \"one\":\n\
         - .spec.template.spec.containers[name=\"web\"].command\n\
         - .spec.template.spec.containers[name=\"web\"].image"
    );
}

#[test]
fn the_same_value_is_shared_not_fought_over() {
    let config = with_containers(&json!([{"name": "web", "image": "a"}]));
    let live = applied(&Value::Null, &config, "one").unwrap();
    let live = applied(&live, &config, "two").unwrap();
    assert_eq!(live["metadata"]["managedFields"].as_array().unwrap().len(), 2);
}

#[test]
fn ports_are_told_apart_by_number_and_protocol_with_tcp_as_default() {
    let config = with_containers(&json!([{"name": "web", "ports": [{"containerPort": 80}]}]));
    let mut live = applied(&Value::Null, &config, "one").unwrap();
    live["spec"]["template"]["spec"]["containers"][0]["ports"][0]["protocol"] = json!("TCP");
    let both = with_containers(
        &json!([{"name": "web", "ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 80, "protocol": "UDP"}]}]),
    );
    let live = applied(&live, &both, "one").unwrap();
    assert_eq!(
        live.pointer("/spec/template/spec/containers/0/ports"),
        Some(
            &json!([{"containerPort": 80, "protocol": "TCP", "name": "http"}, {"containerPort": 80, "protocol": "UDP"}])
        )
    );
}

#[test]
fn the_last_label_takes_the_map_with_it() {
    let mut config = with_containers(&json!([{"name": "web"}]));
    config["metadata"]["labels"] = json!({"app": "web"});
    let live = applied(&Value::Null, &config, "one").unwrap();
    let live = applied(&live, &with_containers(&json!([{"name": "web"}])), "one").unwrap();
    assert_eq!(live.pointer("/metadata/labels"), None);
}

#[test]
fn the_time_of_an_apply_is_that_of_the_last_one_that_changed_anything() {
    let kind = kinds::of("deployments.apps");
    let at = |live: &Value, image: &str, now: &str| {
        let config = with_containers(&json!([{"name": "web", "image": image}]));
        apply(kind, live, &config, &manager("one"), false, now).unwrap()
    };
    let time = |live: &Value| live["metadata"]["managedFields"][0]["time"].as_str().unwrap().to_owned();
    let live = at(&Value::Null, "a", "2026-01-01T00:00:00Z");
    let same = at(&live, "a", "2026-01-01T00:00:05Z");
    assert_eq!(time(&same), "2026-01-01T00:00:00Z");
    let other = at(&same, "b", "2026-01-01T00:00:09Z");
    assert_eq!(time(&other), "2026-01-01T00:00:09Z", "the same fields, another value");
}

#[test]
fn the_pull_secrets_of_a_service_account_are_owned_as_a_whole() {
    let kind = kinds::of("serviceaccounts");
    let config = |name: &str| json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "web"}, "imagePullSecrets": [{"name": name}]});
    let apply = |live: &Value, name: &str, who: &str| {
        apply(kind, live, &config(name), &manager(who), false, "2026-01-01T00:00:00Z")
    };
    let live = apply(&Value::Null, "a", "one").unwrap();
    assert_eq!(live["metadata"]["managedFields"][0]["fieldsV1"], json!({"f:imagePullSecrets": {}}));
    assert!(
        apply(&live, "b", "two").unwrap_err().message.contains("conflict with \"one\": .imagePullSecrets")
    );
}
