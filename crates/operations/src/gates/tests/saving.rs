use pilothouse_domain::pipeline::parse_pipeline;

use crate::stages::StageRegistry;

/// What is wrong with these gates, one problem a line; an environment with an approval before its stages.
fn problems(gates: &str) -> String {
    let text = format!(
        "application: shop\npipeline: web\nparameters: [{{name: host}}]\nartifacts: [{{name: web, image: shop/web}}]\n\
         environments:\n- name: dev\n  namespace: dev\n  approvals: {{before: {{approvers: [{{role: approver}}]}}}}\n  \
         stages: [{{name: Deploy, type: wait, duration: 1s}}]\n  gates:\n{gates}"
    );
    match parse_pipeline(&text, &StageRegistry::standard().catalog()) {
        Ok(_) => String::new(),
        Err(problems) => problems.to_string(),
    }
}

#[test]
fn every_check_type_is_accepted_as_the_manual_writes_it() {
    let gates = r#"
    before:
      delay: 1m
      interval: 30s
      stableFor: 5m
      timeout: 2h
      onFailure: ask
      checks:
        - {name: calendar, type: window, freeze: [{days: [fri], from: '16:00', to: '08:00', timezone: Europe/Berlin}]}
        - {name: upstream, type: http, url: 'https://${ params.host }/health', expect: '${ body.status == artifacts.web.tag }'}
    after:
      checks:
        - {name: errors, type: prometheus, address: 'http://prometheus:9090', query: 'rate(errors[5m])', below: 0.01}
        - {name: ready, type: cluster, object: {kind: Deployment, name: web}, available: true}
        - {name: slow, type: prometheus, address: 'http://p', query: up, expect: '${ value < 2 && stages.Deploy.status == "succeeded" }'}
"#;
    assert_eq!(problems(gates), "");
}

#[test]
fn what_is_wrong_with_a_gate_is_said_at_once_and_in_its_place() {
    let gates = r"
    before:
      interval: 1s
      order: after_approval
      onFailure: ask
      checks:
        - {name: a, type: htp, url: x}
        - {name: a, type: window, freeze: []}
        - {name: z, type: http, url: 'ftp://x', payload: {}, expect: statusCode == 200}
        - {name: b, type: http, url: 'http://x/${ stages.Deploy.output.path }', expect: '${ body.ok && artifacts.wbe.tag == statusCodes }'}
        - {name: c, type: window, freeze: [{from: 4pm}, {days: [fri]}]}
        - {name: d, type: cluster, object: {kind: Secret, name: x}}
        - {name: e, type: cluster, object: {kind: Rollout, name: x}, available: true}
        - {name: f, type: prometheus, address: 'http://ann:pw@x', query: ' ', below: few}
        - {name: g, type: prometheus, address: 'http://x', query: up}
    after:
      delay: 30m
      stableFor: 40m
      order: before_approval
      onFailure: ask
      checks: []
";
    insta::assert_snapshot!(problems(gates), @r#"
    line 13: environments[0].gates.before.interval: an interval of 1s is too short: at least 5s
    line 14: environments[0].gates.before.order: a gate that comes after the approval cannot ask for it; write `order: before_approval`, or `onFailure: fail`
    line 17: environments[0].gates.before.checks[0].type: `htp` is not known here: expected one of `cluster`, `http`, `prometheus`, `window`; did you mean `http`?
    line 18: environments[0].gates.before.checks[1].name: the check `a` is already in line 17
    line 18: environments[0].gates.before.checks[1].freeze: the list is empty: 1 to 100 expected
    line 19: environments[0].gates.before.checks[2].url: the scheme `ftp` is not called: use http or https
    line 19: environments[0].gates.before.checks[2].payload: a GET request has no body
    line 19: environments[0].gates.before.checks[2].expect: what is expected is exactly one `${ … }`; write `${ statusCode == 200 }`
    line 20: environments[0].gates.before.checks[3].url: no stage has run when this gate is evaluated; use `gates.after`, or ask for something else
    line 20: environments[0].gates.before.checks[3].expect: unknown name `statusCodes`; did you mean `statusCode`? (at character 3)
    line 21: environments[0].gates.before.checks[4].freeze[0].from: `4pm` is not a time of the day: write hours and minutes, for example `"08:00"` or `"22:30"`
    line 22: environments[0].gates.before.checks[5]: the check expects nothing of the object; add `available: true`, or `expect: ${ object.status… }`
    line 22: environments[0].gates.before.checks[5].object.kind: a gate does not read Secrets: what it finds is recorded
    line 23: environments[0].gates.before.checks[6].available: `available` says nothing about a Rollout; use `expect`
    line 24: environments[0].gates.before.checks[7].address: the URL holds credentials: put them into a header with `secretRef`
    line 24: environments[0].gates.before.checks[7].query: the query is empty
    line 24: environments[0].gates.before.checks[7].below: `few` is no number; write a number, or one `${ … }` that gives one
    line 25: environments[0].gates.before.checks[8]: the check expects nothing of the values; add `below`, `above`, `equals` or `expect`
    line 27: environments[0].gates.after.timeout: the gate cannot pass within 1h; `delay` and `stableFor` alone take 1h10m
    line 29: environments[0].gates.after.order: only a gate before the stages has an order: one after them comes before the approval; leave it out
    line 30: environments[0].gates.after.onFailure: there is nobody to ask: the environment has no approval on this side; add `approvals.after` to the environment, or write `fail`
    line 31: environments[0].gates.after.checks: the list is empty: 1 to 20 expected
    "#);
}

#[test]
fn a_gate_has_no_more_samples_than_a_history_has_room_for() {
    let gate = |times: &str| {
        problems(&format!("    before: {{{times}, checks: [{{name: a, type: http, url: 'http://x'}}]}}\n"))
    };
    assert_eq!(gate("interval: 5s, timeout: 41m"), "");
    let many = "line 11: environments[0].gates.before.interval: a sample every 5s for 42m is more than 500 samples; sample less often";
    assert_eq!(gate("interval: 5s, timeout: 42m"), many);
    let never = "line 11: environments[0].gates.before.timeout: a gate cannot pass in no time";
    assert_eq!(gate("timeout: 0s"), never);
}
