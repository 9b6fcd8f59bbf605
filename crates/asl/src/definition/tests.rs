use super::*;
use serde_json::json;

/// The problems of a definition, as AWS prints them.
fn problems(definition: &Value) -> Vec<String> {
    match Machine::compile(&definition.to_string()) {
        Ok(_) => Vec::new(),
        Err(error) => error.problems().iter().map(Problem::to_string).collect(),
    }
}

/// The problems of a machine with this one state, without the code.
fn state(state: &Value) -> Vec<String> {
    let mut state = state.clone();
    if !matches!(state["Type"].as_str(), Some("Choice" | "Succeed" | "Fail")) {
        state["End"] = true.into();
    }
    let found = problems(&json!({"QueryLanguage": "JSONata", "StartAt": "S", "States": {"S": state}}));
    found.into_iter().map(|problem| problem.split_once(": ").map_or("", |parts| parts.1).to_owned()).collect()
}

#[test]
fn a_jsonpath_machine_is_refused_state_by_state() {
    let machine = json!({"StartAt": "A", "States": {
        "A": {"Type": "Pass", "Next": "B"},
        "B": {"Type": "Succeed", "QueryLanguage": "JSONata"},
    }});
    assert_eq!(
        problems(&machine),
        ["SCHEMA_VALIDATION_FAILED: The query language JSONPath is not supported by this engine: set \
         \"QueryLanguage\": \"JSONata\" for the state machine at /States/A"]
    );
}

#[test]
fn a_jsonata_machine_cannot_go_back_to_jsonpath() {
    let found = state(&json!({"Type": "Pass", "QueryLanguage": "JSONPath", "InputPath": "$"}));
    assert_eq!(
        found,
        ["'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine at /States/S"]
    );
}

#[test]
fn fields_of_the_other_language_and_unknown_fields_are_refused() {
    let found = state(&json!({"Type": "Pass", "ResultPath": "$.a", "Retry": [], "Nonsense": 1}));
    assert_eq!(
        found,
        [
            "The QueryLanguage is set to 'JSONata', but field 'ResultPath' is only supported for the 'JSONPath' \
         QueryLanguage at /States/S",
            "Field 'Retry' is not supported at /States/S",
            "Field 'Nonsense' is not supported at /States/S",
        ]
    );
}

#[test]
fn what_the_engine_does_not_have_is_named() {
    let inner = json!({"StartAt": "I", "States": {"I": {"Type": "Succeed"}}});
    let mut distributed = inner;
    distributed["ProcessorConfig"] = json!({"Mode": "DISTRIBUTED"});
    assert_eq!(
        state(
            &json!({"Type": "Map", "ItemProcessor": distributed, "ToleratedFailureCount": 1, "ItemReader": {}})
        ),
        [
            "Field 'ToleratedFailureCount' is not supported by this engine: distributed Map at /States/S",
            "Field 'ItemReader' is not supported by this engine: distributed Map at /States/S",
            "Mode 'DISTRIBUTED' is not supported by this engine: use INLINE at \
             /States/S/ItemProcessor/ProcessorConfig/Mode",
        ]
    );
    let found = state(&json!({"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage"}));
    assert!(
        found[0].starts_with("The resource 'arn:aws:states:::sqs:sendMessage' is not supported"),
        "{found:?}"
    );
    let found = state(
        &json!({"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:1:function:f", "Credentials": {}}),
    );
    assert_eq!(
        found,
        ["Field 'Credentials' is not supported by this engine: there is no other account at /States/S"]
    );
}

#[test]
fn targets_must_exist_and_states_be_reachable() {
    let machine = json!({"QueryLanguage": "JSONata", "StartAt": "pass1", "States": {
        "pass1": {"Type": "Pass", "Next": "pass3"},
        "pass2": {"Type": "Pass", "End": true},
    }});
    assert_eq!(
        problems(&machine),
        ["MISSING_TRANSITION_TARGET: Missing 'Next' target: pass3 at /States/pass1/Next",]
    );
    let machine = json!({"QueryLanguage": "JSONata", "StartAt": "a", "States": {
        "a": {"Type": "Pass", "End": true},
        "b": {"Type": "Pass", "End": true},
    }});
    assert_eq!(problems(&machine), ["MISSING_TRANSITION_TARGET: State \"b\" is not reachable. at /States/b"]);
    let machine = json!({"QueryLanguage": "JSONata", "StartAt": "a", "States": {
        "a": {"Type": "Pass", "Next": "b"},
        "b": {"Type": "Pass", "Next": "a"},
    }});
    assert_eq!(problems(&machine), ["MISSING_END_STATE: Workflow has no terminal state at "]);
    assert_eq!(
        problems(&json!({"QueryLanguage": "JSONata", "StartAt": "x", "States": {"S": {"Type": "Succeed"}}})),
        ["MISSING_TRANSITION_TARGET: Missing 'Next' target: x at /StartAt"]
    );
}

#[test]
fn retry_and_catch_are_checked() {
    let task = |retry: Value| json!({"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:1:function:f", "Retry": retry});
    for (retry, message) in [
        (json!([{}]), "The field 'ErrorEquals' is required but was missing at /States/S/Retry[0]"),
        (
            json!([{"ErrorEquals": []}]),
            "Expected a non-empty array of strings at /States/S/Retry[0]/ErrorEquals",
        ),
        (
            json!([{"ErrorEquals": ["States.ALL", "A"]}]),
            "States.ALL must appear alone, in the last element at /States/S/Retry[0]/ErrorEquals",
        ),
        (
            json!([{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["A"]}]),
            "States.ALL must appear alone, in the last element at /States/S/Retry[0]/ErrorEquals",
        ),
        (
            json!([{"ErrorEquals": ["A"], "BackoffRate": 0.5}]),
            "Expected a number of at least 1.0, but was 0.5 at /States/S/Retry[0]/BackoffRate",
        ),
        (
            json!([{"ErrorEquals": ["A"], "IntervalSeconds": 0}]),
            "Expected a whole number from 1 to 99999999, but was 0 at /States/S/Retry[0]/IntervalSeconds",
        ),
        (
            json!([{"ErrorEquals": ["A"], "IntervalSeconds": 5, "MaxDelaySeconds": 5}]),
            "MaxDelaySeconds must be greater than IntervalSeconds at /States/S/Retry[0]/MaxDelaySeconds",
        ),
        (
            json!([{"ErrorEquals": ["A"], "JitterStrategy": "SOME"}]),
            "Value should be one of the following: [FULL, NONE] at /States/S/Retry[0]/JitterStrategy",
        ),
    ] {
        assert_eq!(state(&task(retry.clone())), [message], "{retry}");
    }
    let caught = json!({"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:1:function:f",
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Nowhere"}]});
    assert_eq!(state(&caught), ["Missing 'Next' target: Nowhere at /States/S/Catch[0]/Next"]);
}

#[test]
fn an_inner_scope_cannot_assign_what_an_outer_scope_assigns() {
    let inner = json!({"StartAt": "I", "States": {"I": {"Type": "Pass", "Assign": {"x": 1}, "End": true}}});
    let machine = json!({"QueryLanguage": "JSONata", "StartAt": "P", "States": {
        "P": {"Type": "Pass", "Assign": {"x": 1, "states": 2, "1a": 3}, "Next": "M"},
        "M": {"Type": "Map", "ItemProcessor": inner, "End": true},
    }});
    assert_eq!(
        problems(&machine),
        [
            "SCHEMA_VALIDATION_FAILED: 'states' is not a valid variable name at /States/P/Assign/states",
            "SCHEMA_VALIDATION_FAILED: '1a' is not a valid variable name at /States/P/Assign/1a",
            "SCHEMA_VALIDATION_FAILED: Variable 'x' is already assigned in an outer scope at \
         /States/M/ItemProcessor/States/I/Assign/x",
        ]
    );
}

#[test]
fn each_kind_of_state_is_checked() {
    for (definition, message) in [
        (
            json!({"Type": "Wait"}),
            "Exactly one of the fields 'Seconds' and 'Timestamp' is required at /States/S",
        ),
        (
            json!({"Type": "Wait", "Seconds": -1}),
            "Expected a whole number from 0 to 99999999, but was -1 at /States/S/Seconds",
        ),
        (
            json!({"Type": "Wait", "Timestamp": "tomorrow"}),
            "Value is not a valid RFC3339 timestamp: 'tomorrow' at /States/S/Timestamp",
        ),
        (json!({"Type": "Choice"}), "The field 'Choices' is required but was missing at /States/S"),
        (json!({"Type": "Task"}), "The field 'Resource' is required but was missing at /States/S"),
        (json!({"Type": "Parallel", "Branches": []}), "Expected at least one branch at /States/S/Branches"),
        (json!({"Type": "Map"}), "The field 'ItemProcessor' is required but was missing at /States/S"),
        (
            json!({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": {"Payload": 1}}),
            "The field 'FunctionName' is required but was missing at /States/S/Arguments",
        ),
        (
            json!({"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:1:function:f", "TimeoutSeconds": 5,
                   "HeartbeatSeconds": 5}),
            "HeartbeatSeconds must be smaller than TimeoutSeconds at /States/S/HeartbeatSeconds",
        ),
        (json!({"Type": "Pass", "Output": "{% 1 + %}"}), "Unexpected end of expression at /States/S/Output"),
        (
            json!({"Type": "Odd"}),
            "Value should be one of the following: [Task, Pass, Choice, Wait, Succeed, Fail, Parallel, Map] at \
             /States/S/Type",
        ),
    ] {
        assert_eq!(state(&definition), [message], "{definition}");
    }
}

#[test]
fn text_that_is_no_definition_is_refused() {
    for text in ["", "{", "[]", "null"] {
        let error = Machine::compile(text).unwrap_err();
        assert_eq!(error.problems()[0].code, "INVALID_JSON_DESCRIPTION", "{text}");
    }
    let long = format!("{{\"Comment\": \"{}\"}}", "x".repeat(MAX_DEFINITION));
    assert_eq!(Machine::compile(&long).unwrap_err().problems()[0].code, "INVALID_JSON_DESCRIPTION");
}
