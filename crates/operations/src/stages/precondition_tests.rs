use super::*;
use crate::stages::check::tests::problems;

#[test]
fn sizes_stages_and_expressions_are_checked_when_the_pipeline_is_saved() {
    let fine = json!({"checks": [
        {"check": "clusterSize", "workload": "web", "expected": 2},
        {"check": "clusterSize", "workload": "db", "kind": "StatefulSet", "comparison": "==", "expected": "${ params.replicas }"},
        {"check": "clusterSize", "cluster": "shop-prod", "count": "serverGroups", "comparison": "<=", "expected": "2"},
        {"check": "objectExists", "kind": "Secret", "name": "registry"},
        {"check": "stageStatus", "stage": "Ask", "is": "succeeded"},
        {"check": "expression", "expression": "${ params.replicas != \"0\" }", "message": "nothing to do"},
    ]});
    assert_eq!(problems(&Precondition, &fine), "");
    let wrong = json!({"checks": [
        {"check": "clusterSize", "expected": 1},
        {"check": "clusterSize", "workload": "web", "cluster": "shop", "expected": "many"},
        {"check": "clusterSize", "workload": "tick", "kind": "CronJob", "expected": 1},
        {"check": "clusterSize", "workload": "web", "count": "serverGroups", "expected": 1},
        {"check": "clusterSize", "cluster": "Shop-", "expected": "${ params.replicsa }"},
        {"check": "stageStatus", "stage": "Other", "is": "failed"},
        {"check": "stageStatus", "stage": "Aks", "is": "failed"},
        {"check": "stageStatus", "stage": "This", "is": "failed"},
        {"check": "expression", "expression": "params.replicas == \"1\""},
        {"check": "expression", "expression": "${ params.replicas == }"},
    ]});
    insta::assert_snapshot!(problems(&Precondition, &wrong), @r#"
    checks[4].expected: the pipeline has no parameter `replicsa`; did you mean `replicas`?
    checks[9].expression: the expression ends too early: expected expression (at character 23)
    checks[0]: it is not said what is counted; name a `workload`, or a `cluster` of server groups
    checks[1].cluster: there is a `workload` too; keep one of the two
    checks[1].expected: `expected` is `many`, which is no number: 0 or more
    checks[2].kind: a CronJob has no pods of its own
    checks[3].count: a workload has no server groups; name a `cluster` instead
    checks[4].cluster: `Shop-` cannot be the name of a server group: it ends with a dash
    checks[5].stage: stage `Other` does not end before this one begins; add `Other` to `dependsOn`
    checks[6].stage: the environment has no stage `Aks`; did you mean `Ask`?
    checks[7].stage: a stage cannot ask for its own end
    checks[8].expression: what must hold is exactly one `${ … }`; write `${ params.replicas == "1" }`
    "#);
}

#[test]
fn numbers_compare_as_they_are_written() {
    let holds = |sign: &str| {
        let comparison: Comparison = serde_json::from_value(json!(sign)).unwrap();
        assert_eq!(comparison.to_string(), sign);
        [1, 2, 3].map(|found| comparison.holds(found, 2))
    };
    assert_eq!(holds("<"), [true, false, false]);
    assert_eq!(holds("<="), [true, true, false]);
    assert_eq!(holds("=="), [false, true, false]);
    assert_eq!(holds(">="), [false, true, true]);
    assert_eq!(holds(">"), [false, false, true]);
}

#[test]
fn a_check_that_does_not_hold_says_what_was_found() {
    let shown = |value: Value, message| is_true("${ x }", &value, message).detail;
    assert_eq!(shown(json!(false), None), "`${ x }` is false");
    assert_eq!(shown(json!(false), Some("too small")), "too small (`${ x }` is false)");
    assert_eq!(shown(json!(3), None), "`${ x }` is 3, neither true nor false: compare with `==` or `<`");
    assert_eq!(ended_as(&[], "Ask", End::Succeeded).detail, "stage `Ask` is not begun, expected succeeded");
    assert_eq!(
        (so_many(1, "ready pod"), so_many(0, "ready pod")),
        ("1 ready pod".into(), "0 ready pods".into())
    );
    assert_eq!(
        Expected::Text("some".to_owned()).number(),
        Err("`expected` is `some`, which is no number: 0 or more".to_owned())
    );
}
