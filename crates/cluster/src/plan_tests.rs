use super::*;

#[expect(
    clippy::needless_pass_by_value,
    reason = "values that are built for one call read better without borrows"
)]
fn live(ours: Value, others: Value, data: Value) -> Value {
    json!({
        "metadata": {"managedFields": [
            {"manager": "pilothouse", "operation": "Apply", "fieldsV1": {"f:data": ours}},
            {"manager": "someone", "operation": "Update", "fieldsV1": {"f:data": others}}
        ]},
        "data": data
    })
}

#[test]
fn fields_that_we_added_are_not_in_what_is_applied() {
    let before = json!({"data": {"a": "1", "theirs": "x"}});
    let owned = json!({"f:data": {"f:a": {}}});
    let now = live(
        json!({"f:a": {}, "f:b": {}}),
        json!({"f:theirs": {}}),
        json!({"a": "2", "b": "2", "theirs": "y"}),
    );
    let plan = Plan::new(&before, &owned, &now, false);
    assert_eq!(plan.content, json!({"data": {"a": "1"}}));
    let told: Vec<(&str, bool)> = plan.kept.iter().map(|k| (k.path.as_str(), k.ours)).collect();
    assert_eq!(told, [(".data.theirs", false)], "what never was ours is told and not put back");
}

#[test]
fn fields_that_we_dropped_come_back() {
    let before = json!({"data": {"a": "1", "b": "1"}});
    let owned = json!({"f:data": {"f:a": {}, "f:b": {}}});
    let now = live(json!({"f:a": {}}), json!({}), json!({"a": "2"}));
    assert_eq!(Plan::new(&before, &owned, &now, false).content, json!({"data": {"a": "1", "b": "1"}}));
}

#[test]
fn a_field_that_another_took_over_stays_theirs() {
    let before = json!({"data": {"a": "1", "replicas": "2"}});
    let owned = json!({"f:data": {"f:a": {}, "f:replicas": {}}});
    let now = live(json!({"f:a": {}}), json!({"f:replicas": {}}), json!({"a": "2", "replicas": "9"}));
    let plan = Plan::new(&before, &owned, &now, false);
    assert_eq!(plan.content, json!({"data": {"a": "1"}}));
    let taken = KeptField {
        path: ".data.replicas".into(),
        manager: "someone".into(),
        ours: true,
        want: Some(json!("2")),
        got: Some(json!("9")),
    };
    assert_eq!(plan.kept, [taken]);
    let forced = Plan::new(&before, &owned, &now, true);
    assert_eq!((forced.content, forced.kept), (json!({"data": {"a": "1", "replicas": "2"}}), Vec::new()));
}

#[test]
fn a_field_that_we_took_from_another_goes_back_to_its_value() {
    let before = json!({"data": {"image": "web:1"}});
    let now = live(json!({"f:image": {}}), json!({}), json!({"image": "web:2"}));
    assert_eq!(Plan::new(&before, &json!({}), &now, false).content, json!({"data": {"image": "web:1"}}));
}
