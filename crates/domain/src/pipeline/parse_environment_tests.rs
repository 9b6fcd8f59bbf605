use super::super::tests_support::catalog;
use super::tests::problems;
use super::*;

#[test]
fn rollbacks_are_checked() {
    let text = "application: shop\npipeline: web\nenvironments:\n- name: a\n  namespace: dev\n  rollback: { policy: never, causes: [canceled], pipeline: undo, timeout: 5m }\n  stages: [{ name: A, type: wait, duration: 1s, rollback: { pipeline: undo } }]\n- name: b\n  namespace: dev\n  rollback: { causes: [stage_timed_out], timeout: 0s, pipeline: Undo }\n  stages: [{ name: A, type: wait, duration: 1s, rollback: { pipelin: undo } }]\n- name: c\n  namespace: dev\n  rollback: { policy: on_failure, causes: [] }\n  stages: [{ name: A, type: wait, duration: 1s }]\n";
    insta::assert_snapshot!(problems(text), @r#"
    line 6: environments[0].rollback.causes: no cause starts a rollback: the policy is `never`; write `policy: on_failure`, or remove them
    line 6: environments[0].rollback.pipeline: the policy is `never`: there is no rollback; remove it, or write `policy: manual`
    line 6: environments[0].rollback.timeout: the policy is `never`: there is no rollback; remove it, or write `policy: manual`
    line 7: environments[0].stages[0].rollback: the environment's rollback policy is `never`: nothing would run it; remove it, or write `rollback.policy: manual` in the environment
    line 10: environments[1].rollback.causes: no cause starts a rollback: the policy is `manual`; write `policy: on_failure`, or remove them
    line 10: environments[1].rollback.timeout: a rollback cannot end in no time
    line 10: environments[1].rollback.pipeline: `Undo` cannot be a name; use lower case letters, digits and `-`, at most 63, beginning and ending with a letter or digit
    line 11: environments[1].stages[0].rollback.pipelin: unknown key; did you mean `pipeline`?
    line 14: environments[2].rollback.causes: no cause starts a rollback: there are none; list some, or write `policy: manual`
    "#);
}

#[test]
fn approvals_are_checked() {
    let text = "application: shop\npipeline: web\nenvironments:\n- name: dev\n  namespace: dev\n  approvals:\n    after: { approvers: [{ role: aprover }] }\n    before: { approvers: [{ user: alice }, { user: alice }], required: 2, timeout: 7 days }\n  rollback: { policy: always, causes: [stage_failed, gate] }\n  stages: [{ name: A, type: wait, duration: 1s }]\n- name: prod\n  namespace: dev\n  approvals: { before: { approvers: [{ roel: a }, {}, { role: a, user: b }], required: 0 } }\n  stages: [{ name: A, type: wait, duration: 1s }]\n";
    insta::assert_snapshot!(problems(text), @r"
    line 7: environments[0].approvals.after.approvers[0].role: the role `aprover` cannot decide; did you mean `approver`?
    line 8: environments[0].approvals.before.required: 2 approvals are required, but only 1 may approve
    line 8: environments[0].approvals.before.timeout: `7 days` is not a duration: write for example `30s`, `10m`, `1h30m` or `7d`, at most `366d`
    line 9: environments[0].rollback.policy: `always` is not known here: expected one of `never`, `manual`, `on_failure`
    line 9: environments[0].rollback.causes[1]: `gate` is not known here: expected one of `stage_failed`, `stage_timed_out`, `approval_rejected`, `gate_failed`, `canceled`
    line 13: environments[1].approvals.before.approvers[0]: expected exactly one of the keys `role`, `user`; did you mean `role`?
    line 13: environments[1].approvals.before.approvers[1]: expected exactly one of the keys `role`, `user`
    line 13: environments[1].approvals.before.approvers[2]: expected exactly one of the keys `role`, `user`
    line 13: environments[1].approvals.before.approvers[2].role: the role `a` cannot decide; use one of approver, operator, admin
    line 13: environments[1].approvals.before.required: 0 is out of range: at least 1
    ");
}

#[test]
fn an_approval_that_could_never_be_given_or_reads_what_is_not_there_is_refused() {
    let text = r#"
application: shop
pipeline: web
environments:
- name: dev
  namespace: dev
  approvals:
    before:
      approvers: [{ user: ann }, { role: approver }, { user: ann }]
      order: in_sequence
      required: 2
      selfApproval: maybe
      onExpiry: approve
      inputs: [go, "", go]
      instructions: "Is ${ params.host } fine after ${ stages.A.output }?"
    after:
      approvers: [{ role: viewer }, { user: " " }]
      order: sequence
      instructions: "${ stages.A.output.url } for ${ approvals.before.input } of ${ approvals.after.by }"
  stages:
  - { name: A, type: wait, duration: 1s, if: '${ approvals.before.input == "go" && approvals.before.inptu == "" }' }
- name: prod
  namespace: prod
  approvals: { after: { approvers: [{ role: approver }] } }
  stages:
  - { name: A, type: wait, duration: 1s, if: '${ approvals.before.input == "go" }' }
- name: asia
  namespace: asia
  approvals: { before: { approvers: [{ role: approver }] } }
  stages:
  - { name: A, type: wait, duration: 1s, if: '${ approvals.before.by == "ann" && approvals.before.input == "go" }' }
"#;
    insta::assert_snapshot!(problems(text), @r#"
    line 9: environments[0].approvals.before.approvers[2].user: `ann` has a turn already, and approves once
    line 11: environments[0].approvals.before.required: in sequence all 3 approvers are asked; leave `required` out
    line 12: environments[0].approvals.before.selfApproval: expected true or false, found "maybe"
    line 13: environments[0].approvals.before.onExpiry: an approval that nobody gave chooses no answer; use `reject` or `cancel`, or leave out `inputs`
    line 14: environments[0].approvals.before.inputs[1]: an answer cannot be empty
    line 14: environments[0].approvals.before.inputs[2]: the answer `go` is there twice
    line 15: environments[0].approvals.before.instructions: there is no parameter `host`
    line 15: environments[0].approvals.before.instructions: the stage `A` has not ended when the approval is asked for; read it in the approval `after` the deployment
    line 17: environments[0].approvals.after.approvers[0].role: the role `viewer` cannot decide; use one of approver, operator, admin
    line 17: environments[0].approvals.after.approvers[1].user: the name is empty
    line 18: environments[0].approvals.after.order: `sequence` is not known here: expected one of `any`, `in_sequence`; did you mean `in_sequence`?
    line 19: environments[0].approvals.after.instructions: no approval `after` was given when this is evaluated; read `approvals.before`
    line 21: environments[0].stages[0].if: an approval has no `inptu`; did you mean `input`?
    line 26: environments[1].stages[0].if: the environment asks for no approval before deployment; add `approvals.before` to it
    line 31: environments[2].stages[0].if: the approval before deployment has no answers to choose from; add `inputs` to `approvals.before`
    "#);
}

#[test]
fn a_schedule_is_checked_with_its_time_zone_and_its_times() {
    let schedule = |text: &str| {
        let environment = "application: shop\npipeline: web\nenvironments:\n  - name: dev\n    namespace: dev\n    stages: [{ name: A, type: wait, duration: 1s }]\n";
        parse_pipeline(&format!("{environment}    schedule: {text}\n"), &catalog())
            .map(|spec| spec.environments[0].schedule.as_ref().map(ToString::to_string).unwrap_or_default())
            .map_err(|problems| problems.to_string())
    };
    let right = [
        ("{ at: 22:00 }", "daily at 22:00, UTC"),
        ("{ at: \"22:00\", days: weekdays, timezone: Europe/Berlin }", "weekdays at 22:00, Europe/Berlin"),
        ("{ windows: [{ days: [mon, tue], from: 08:00, to: 17:00 }] }", "mon+tue 08:00-17:00, UTC"),
    ];
    for (text, expected) in right {
        assert_eq!(schedule(text).as_deref(), Ok(expected), "{text}");
    }
    let wrong = [
        (
            "{ at: \"22:00\", timezone: Europe/Berln }",
            "schedule.timezone: there is no time zone `Europe/Berln`",
        ),
        ("{ at: \"22:00\", timezone: Europe/Berln }", "did you mean `Europe/Berlin`?"),
        ("{ at: \"25:00\" }", "schedule.at: `25:00` is not a time of the day"),
        ("{ at: \"24:00\" }", "schedule.at: no clock shows `24:00`; write `\"00:00\"`"),
        ("{ at: 8 }", "schedule.at: expected text, found the number 8"),
        ("{ days: weekdays }", "schedule: expected exactly one of the keys `at`, `windows`"),
        ("{ at: \"22:00\", windows: [] }", "schedule: expected exactly one of the keys `at`, `windows`"),
        ("{ at: \"22:00\", days: [mo] }", "schedule.days[0]: `mo` is not known here"),
        ("{ at: \"22:00\", days: [] }", "schedule.days: the list is empty"),
        ("{ at: \"22:00\", days: weekday }", "did you mean `weekdays`?"),
        ("{ at: \"22:00\", day: [mon] }", "schedule.day: unknown key; did you mean `days`?"),
        ("{ windows: [] }", "schedule.windows: the list is empty"),
        ("{ windows: [{ from: \"08:00\" }] }", "schedule.windows[0]: the key `to` is missing"),
        (
            "{ windows: [{ from: \"08:00\", to: \"08:00\" }] }",
            "schedule.windows[0]: the window closes when it opens",
        ),
        (
            "{ windows: [{ from: \"24:00\", to: \"08:00\" }] }",
            "schedule.windows[0].from: no clock shows `24:00`",
        ),
    ];
    for (text, expected) in wrong {
        let told = schedule(text).unwrap_err();
        assert!(told.contains(expected), "{text}: {told}");
    }
}

#[test]
fn a_lane_says_how_many_and_what_becomes_of_the_others() {
    let lane = |text: &str| {
        let environment = "application: shop\npipeline: web\nenvironments:\n  - name: prod\n    namespace: prod\n    stages: [{ name: A, type: wait, duration: 1s }]\n";
        parse_pipeline(&format!("{environment}    lane: {text}\n"), &catalog())
            .map(|spec| (spec.environments[0].lane.policy, spec.environments[0].lane.at_once()))
            .map_err(|problems| problems.to_string())
    };
    use crate::pipeline::LanePolicy as P;
    for (text, expected) in [
        ("{}", (P::Sequential, Some(1))),
        ("{ policy: sequential, atOnce: 3 }", (P::Sequential, Some(3))),
        ("{ policy: all }", (P::All, None)),
        ("{ policy: latest_only }", (P::LatestOnly, Some(1))),
        ("{ policy: reject, atOnce: 2 }", (P::Reject, Some(2))),
    ] {
        assert_eq!(lane(text), Ok(expected), "{text}");
    }
    for (text, expected) in [
        ("{ policy: latest }", "lane.policy: "),
        ("{ atOnce: 0 }", "lane.atOnce: "),
        ("{ policy: all, atOnce: 2 }", "lane.atOnce: with the policy `all` nothing is limited; leave it out"),
        ("{ at_once: 2 }", "lane.at_once: unknown key; did you mean `atOnce`?"),
    ] {
        let told = lane(text).unwrap_err();
        assert!(told.contains(expected), "{text}: {told}");
    }
}
