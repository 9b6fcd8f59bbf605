//! Stage types that deploy nothing: variables (T34) and preconditions (T33).

use serde_json::{Value, json};

use crate::world::{World, attempt};

/// A pipeline of one environment with these stages.
pub(crate) fn pipeline(stages: &str) -> String {
    let indented: String = stages.lines().map(|l| format!("      {l}\n")).collect();
    format!(
        "application: shop\npipeline: web\nparameters: [{{name: tier, default: gold}}, {{name: least, default: '2'}}]\n\
         artifacts: [{{name: web, image: shop/web}}]\n\
         environments:\n  - name: dev\n    namespace: dev\n    stages:\n{indented}"
    )
}

pub(crate) fn stage(view: &Value, name: &str) -> Value {
    let attempt = attempt(view, "dev", 1);
    let stages = attempt["stages"].as_array().unwrap();
    stages.iter().find(|s| s["name"] == name).cloned().unwrap_or_else(|| panic!("no {name}: {attempt:#}"))
}

/// Two pods of `shop/web` in dev.
const DEPLOY: &str = "\
- name: Deploy
  type: deploy-manifest
  manifests: |
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web}
    spec:
      replicas: 2
      selector: {matchLabels: {app: web}}
      template:
        metadata: {labels: {app: web}}
        spec: {containers: [{name: web, image: shop/web}]}
";

async fn played(stages: &str) -> (World, String, Value) {
    let world = World::new().await;
    world.save(&pipeline(stages)).await;
    let release = world.start("1.0.0").await;
    let view = world.at_rest(&release).await;
    (world, release, view)
}

#[tokio::test(start_paused = true)]
async fn variables_keep_their_types_and_are_read_by_later_stages() {
    let stages = "\
- name: Names
  type: variables
  variables:
    pause: 7
    loud: true
    zones: [a, '${ params.tier }']
    size: ${ size(params.tier) * 2 }
    what: ${ artifacts.web.tag } for ${ params.tier }
- name: More
  type: variables
  dependsOn: [Names]
  variables: {zones: '${ stages[\"Names\"].output.zones }', twice: '${ stages[\"Names\"].output.size * 2 }'}
- {name: settle, type: wait, dependsOn: [More], duration: '${ stages[\"Names\"].output.pause }'}
- {name: quiet, type: wait, duration: 1s, dependsOn: [More], if: '${ !stages[\"Names\"].output.loud }'}
";
    let (_, _, view) = played(stages).await;
    let names = json!({
        "pause": 7, "loud": true, "zones": ["a", "gold"], "size": 8, "what": "1.0.0 for gold",
    });
    assert_eq!(stage(&view, "Names")["output"], names);
    assert_eq!(stage(&view, "More")["output"], json!({ "zones": ["a", "gold"], "twice": 16 }));
    assert_eq!(stage(&view, "settle")["output"]["waited"], "7s");
    assert_eq!(stage(&view, "quiet")["status"], "skipped");
    assert_eq!(view["outcome"], "succeeded");
}

#[tokio::test(start_paused = true)]
async fn a_variable_without_a_value_and_values_without_measure_fail_the_stage() {
    let missing = "- {name: Names, type: variables, variables: {x: '${ trigger.ref }'}}";
    let (_, _, view) = played(missing).await;
    let reason = stage(&view, "Names")["reason"].as_str().unwrap().to_owned();
    assert!(reason.starts_with("variables.x: `trigger.ref` is undefined"), "{reason}");
    let long = format!(
        "- {{name: One, type: variables, variables: {{x: '{}'}}}}\n\
         - {{name: Two, type: variables, dependsOn: [One], variables: {{x: '${{ stages[\"One\"].output.x }}', y: '${{ stages[\"One\"].output.x }}'}}}}\n",
        "x".repeat(20_000)
    );
    let (_, _, view) = played(&long).await;
    let reason = stage(&view, "Two")["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("bytes of values are more than the 32768"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_precondition_that_holds_lets_the_stages_after_it_begin() {
    let stages = format!(
        "{DEPLOY}- name: Ready
  type: precondition
  dependsOn: [Deploy]
  checks:
    - {{check: clusterSize, workload: web, comparison: '>=', expected: '${{ params.least }}'}}
    - {{check: clusterSize, workload: web, comparison: '<', expected: 3}}
    - {{check: stageStatus, stage: Deploy, is: succeeded}}
    - {{check: expression, expression: '${{ params.tier == \"gold\" }}'}}
- {{name: after, type: wait, duration: 1s, dependsOn: [Ready]}}
"
    );
    let (_, _, view) = played(&stages).await;
    assert_eq!(view["outcome"], "succeeded", "{view:#}");
    let details: Vec<Value> = stage(&view, "Ready")["output"]["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["detail"].clone())
        .collect();
    assert_eq!(
        details,
        [
            "Deployment dev/web has 2 ready pods, expected >= 2",
            "Deployment dev/web has 2 ready pods, expected < 3",
            "stage `Deploy` is succeeded, expected succeeded",
            "`${ params.tier == \"gold\" }` is true",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_precondition_fails_with_the_numbers_of_all_that_does_not_hold() {
    let stages = format!(
        "{DEPLOY}- name: Ready
  type: precondition
  dependsOn: [Deploy]
  checks:
    - {{check: clusterSize, workload: web, comparison: '>', expected: 2}}
    - {{check: clusterSize, workload: wbe, expected: 1}}
    - {{check: clusterSize, cluster: shop-dev, expected: 1}}
    - {{check: clusterSize, workload: web, expected: '${{ params.tier }}'}}
    - {{check: stageStatus, stage: Deploy, is: failed}}
    - {{check: expression, expression: '${{ params.tier == \"tin\" }}', message: 'tier is ${{ params.tier }}'}}
    - {{check: expression, expression: '${{ params.tier == \"gold\" }}'}}
- {{name: after, type: wait, duration: 1s, dependsOn: [Ready]}}
"
    );
    let (world, release, view) = played(&stages).await;
    let ready = stage(&view, "Ready");
    assert_eq!(
        ready["reason"],
        "Deployment dev/web has 2 ready pods, expected > 2; Deployment dev/wbe does not exist, expected >= 1; \
         cluster dev/shop-dev has 0 ready pods, expected >= 1; `expected` is `gold`, which is no number: 0 or more; \
         stage `Deploy` is succeeded, expected failed; tier is gold (`${ params.tier == \"tin\" }` is false)"
    );
    assert_eq!(ready["output"]["checks"][6]["holds"], true);
    assert_eq!(stage(&view, "after")["status"], "notRun");
    let events = world.events(&release).await;
    let told = events.iter().find(|e| e["type"] == "StageEnded" && e["stage"] == "Ready").unwrap();
    assert_eq!(told["reason"], ready["reason"]);
}

#[tokio::test(start_paused = true)]
async fn a_precondition_on_a_stage_that_failed_is_for_those_that_go_on() {
    let stages = "\
- {name: Names, type: variables, onFailure: ignore, variables: {x: '${ trigger.ref }'}}
- {name: it failed, type: precondition, dependsOn: [Names], checks: [{check: stageStatus, stage: Names, is: failed}]}
";
    let (_, _, view) = played(stages).await;
    assert_eq!(stage(&view, "it failed")["status"], "succeeded", "{view:#}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_hold_is_refused_when_the_pipeline_is_saved() {
    let world = World::new().await;
    let stages = "\
- {name: Names, type: variables, variables: {a-b: 1}}
- name: Ready
  type: precondition
  checks:
    - {check: stageStatus, stage: Names, is: succeeded}
    - {check: clustersize, workload: web, expected: 2}
    - {check: clusterSize, workload: web, comparison: '=>', expected: -1}
";
    let answer = world.apply(&pipeline(stages)).await;
    assert_eq!(answer.status, 422, "{:#}", answer.body);
    let problems: Vec<String> = answer.body["error"]["problems"]
        .as_array()
        .unwrap_or_else(|| panic!("{:#}", answer.body))
        .iter()
        .map(|p| format!("{}: {}", p["path"].as_str().unwrap(), p["message"].as_str().unwrap()))
        .collect();
    insta::assert_snapshot!(problems.join("\n"), @r#"
    environments[0].stages[0].variables.a-b: "a-b" cannot be the name of a variable
    environments[0].stages[1].checks[1].check: `clustersize` is not known here: expected one of `clusterSize`, `objectExists`, `stageStatus`, `expression`
    environments[0].stages[1].checks[2].comparison: `=>` is not known here: expected one of `<`, `<=`, `==`, `>=`, `>`
    environments[0].stages[1].checks[2].expected: -1 is out of range: at least 0
    "#);
}
