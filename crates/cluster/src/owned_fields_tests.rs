use super::*;

const WEB: &str = r#"k:{"name":"web"}"#;

fn object() -> Value {
    json!({
        "metadata": {
            "name": "web",
            "labels": {"app": "web", "team": "shop"},
            "managedFields": [
                {"manager": "pilothouse", "operation": "Apply", "fieldsV1": {
                    "f:metadata": {"f:labels": {"f:app": {}}},
                    "f:spec": {"f:template": {"f:spec": {"f:containers": {WEB: {".": {}, "f:name": {}, "f:image": {}}}}}}
                }},
                {"manager": "hpa", "operation": "Update", "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
                {"manager": "pilothouse", "operation": "Update", "fieldsV1": {"f:spec": {"f:paused": {}}}}
            ]
        },
        "spec": {"replicas": 5, "template": {"spec": {"containers": [
            {"name": "proxy", "image": "envoy:1"},
            {"name": "web", "image": "web:1", "terminationMessagePath": "/dev/termination-log"}
        ]}}}
    })
}

#[test]
fn only_what_was_applied_counts_as_owned() {
    let object = object();
    let ours = owned_by(&object, "pilothouse");
    assert_eq!(ours["f:spec"].as_object().unwrap().len(), 1);
    assert_eq!(owned_by_others(&object, "pilothouse")["f:spec"], json!({"f:replicas": {}, "f:paused": {}}));
    let path = ["f:spec".to_owned(), "f:replicas".to_owned()];
    assert_eq!(other_owner(&object, "pilothouse", &path).as_deref(), Some("hpa"));
}

#[test]
fn projection_takes_exactly_the_owned_fields() {
    let object = object();
    let part = project(&object, &owned_by(&object, "pilothouse")).unwrap();
    assert_eq!(
        part,
        json!({
            "metadata": {"labels": {"app": "web"}},
            "spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web:1"}]}}}
        })
    );
}

#[test]
fn an_item_that_is_owned_in_part_keeps_its_key() {
    let set = json!({"f:containers": {WEB: {"f:image": {}}}});
    let value = json!({"containers": [{"name": "web", "image": "web:1", "env": []}]});
    assert_eq!(project(&value, &set).unwrap(), json!({"containers": [{"image": "web:1", "name": "web"}]}));
}

#[test]
fn sets_places_and_whole_values_are_projected() {
    let value = json!({"finalizers": ["a", "b"], "args": ["x", "y"], "selector": {"app": "web"}});
    let set = json!({"f:finalizers": {"v:\"b\"": {}}, "f:args": {}, "f:selector": {}});
    assert_eq!(
        project(&value, &set).unwrap(),
        json!({"finalizers": ["b"], "args": ["x", "y"], "selector": {"app": "web"}})
    );
}

#[test]
fn union_and_difference_are_what_they_say() {
    let a = json!({"f:a": {}, "f:b": {"f:c": {}, "f:d": {}}});
    let b = json!({"f:b": {"f:d": {}, "f:e": {}}});
    assert_eq!(union(a.clone(), &b), json!({"f:a": {}, "f:b": {"f:c": {}, "f:d": {}, "f:e": {}}}));
    assert_eq!(difference(&a, &b), json!({"f:a": {}, "f:b": {"f:c": {}}}));
    assert!(is_empty(&difference(&a, &a)));
}

#[test]
fn subtraction_leaves_the_rest_with_its_keys() {
    let object = object();
    let rest = subtract(&object, &owned_by(&object, "pilothouse")).unwrap();
    assert_eq!(rest["metadata"]["labels"], json!({"team": "shop"}));
    assert_eq!(rest["spec"]["replicas"], 5);
    assert_eq!(
        rest["spec"]["template"]["spec"]["containers"],
        json!([
            {"name": "proxy", "image": "envoy:1"},
            {"terminationMessagePath": "/dev/termination-log", "name": "web"}
        ])
    );
}

#[test]
fn a_map_that_was_applied_empty_does_not_own_what_others_put_into_it() {
    let object = json!({"metadata": {"annotations": {"deployment.kubernetes.io/revision": "1"}, "managedFields": [
        {"manager": "pilothouse", "operation": "Apply", "fieldsV1": {"f:metadata": {"f:annotations": {}}}},
        {"manager": "kube-controller-manager", "operation": "Update", "subresource": "status",
            "fieldsV1": {"f:metadata": {"f:annotations": {"f:deployment.kubernetes.io/revision": {}}}}}
    ]}});
    let ours = owned_by(&object, "pilothouse");
    assert_eq!(project(&object, &ours).unwrap(), json!({"metadata": {"annotations": {}}}));
}

#[test]
fn a_map_of_which_nothing_is_ours_is_left_out() {
    let value = json!({"metadata": {"annotations": {"theirs": "1"}}, "list": [{"name": "theirs"}]});
    let set = json!({"f:metadata": {"f:annotations": {"f:ours": {}}}, "f:list": {"k:{\"name\":\"ours\"}": {".": {}}}});
    assert_eq!(project(&value, &set), None);
}
