use proptest::prelude::*;

use super::*;
use crate::ids::ReleaseId;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn role(name: &str) -> Approver {
    Approver::Role(name.to_owned())
}

fn user(name: &str) -> Approver {
    Approver::User(name.to_owned())
}

fn approval(required: u32) -> Approval {
    let attempt = AttemptRef {
        release: ReleaseId::new(ulid::Ulid::from_parts(1, 2)),
        environment: "prod".to_owned(),
        number: 1,
    };
    let id = ApprovalId::new(ulid::Ulid::from_parts(1, 1));
    Approval {
        approvers: vec![role("approver")],
        required,
        started_by: vec!["sam".to_owned()],
        shown_hash: Some("ab12".to_owned()),
        ..Approval::asking(id, attempt, Subject::BeforeDeployment, at(0), at(1000))
    }
}

fn in_sequence(approvers: Vec<Approver>) -> Approval {
    let required = u32::try_from(approvers.len()).unwrap();
    Approval { order: Order::InSequence, approvers, ..approval(required) }
}

fn by(name: &str, role: Role) -> Principal {
    Principal { name: name.to_owned(), role }
}

fn decision(name: &str, approve: bool) -> Decision {
    Decision {
        by: name.to_owned(),
        at: at(10),
        approve,
        comment: None,
        input: None,
        defer_until: None,
        via: None,
        saw: None,
    }
}

fn says(approval: &Approval, name: &str, approve: bool) -> Result<Approval, DecisionRefused> {
    approval.decide(&by(name, Role::Approver), decision(name, approve))
}

#[test]
fn a_quorum_counts_people_not_clicks() {
    let one = says(&approval(2), "ann", true).unwrap();
    assert_eq!(one.status, ApprovalStatus::Pending);
    let again = says(&one, "ann", true);
    assert!(matches!(again, Err(DecisionRefused::Repeated { given: 1, required: 2, .. })));
    let two = one.decide(&by("bob", Role::Admin), decision("bob", true)).unwrap();
    assert_eq!(two.status, ApprovalStatus::Approved { by: "bob".to_owned(), defer_until: None });
    assert_eq!(two.ended_at, Some(at(10)));
}

#[test]
fn one_no_is_enough_and_final() {
    let no = says(&approval(2), "ann", false).unwrap();
    assert_eq!(no.status, ApprovalStatus::Rejected { by: "ann".to_owned() });
    let late = says(&no, "bob", true).unwrap_err();
    assert_eq!(late.to_string(), "cannot decide: the approval is already rejected by ann");
}

#[test]
fn who_is_no_approver_is_told_who_is() {
    let refused = approval(1).decide(&by("dev", Role::Operator), decision("dev", true)).unwrap_err();
    assert_eq!(refused.to_string(), "`dev` may not decide this approval: it asks for role approver");
}

#[test]
fn in_sequence_the_next_is_asked_after_the_one_before_said_yes() {
    let first = in_sequence(vec![role("approver"), user("ann"), role("approver")]);
    assert_eq!(first.asked(), [role("approver")]);
    let early = says(&first, "ann", true).unwrap_err();
    assert_eq!(early.to_string(), "it is not the turn of `ann`: role approver is asked first");
    let second = says(&first, "bob", true).unwrap();
    assert_eq!(second.asked(), [user("ann")]);
    assert!(matches!(says(&second, "cat", true), Err(DecisionRefused::NotTheirTurn { .. })));
    let third = says(&second, "ann", true).unwrap();
    assert_eq!(third.status_summary(), "pending (2 of 3 given)");
    assert!(matches!(says(&third, "bob", true), Err(DecisionRefused::Repeated { .. })));
    let done = says(&third, "cat", true).unwrap();
    assert_eq!(done.status_summary(), "approved by cat");
}

#[test]
fn who_started_it_may_decide_unless_the_policy_forbids_it() {
    assert!(says(&approval(1), "sam", true).is_ok());
    let strict = Approval { self_approval: false, ..approval(1) };
    for approve in [true, false] {
        assert!(matches!(says(&strict, "sam", approve), Err(DecisionRefused::OwnRelease { .. })));
    }
    let as_admin = strict.decide(&by("sam", Role::Admin), decision("sam", true));
    assert!(matches!(as_admin, Err(DecisionRefused::OwnRelease { .. })));
    assert!(says(&strict, "ann", true).is_ok());
}

#[test]
fn the_latest_deferral_counts_and_lies_in_the_future() {
    let defer = |name: &str, until: i64| Decision { defer_until: Some(at(until)), ..decision(name, true) };
    let try_it = |a: &Approval, d: Decision| {
        let who = by(&d.by, Role::Approver);
        a.decide(&who, d)
    };
    let one = try_it(&approval(2), defer("ann", 5000)).unwrap();
    let two = try_it(&one, defer("bob", 4000)).unwrap();
    let expected = Verdict::Approved { by: "bob".to_owned(), defer_until: Some(at(5000)) };
    assert_eq!(two.verdict(), Some(expected));
    for (until, says) in [(10, "in the future"), (10 + 364 * 86_400 + 1, "within 364 days")] {
        let refused = try_it(&approval(1), defer("ann", until)).unwrap_err();
        assert!(refused.to_string().contains(says), "{refused}");
    }
    let stage = Approval { subject: Subject::Stage { stage: "Look".to_owned() }, ..approval(1) };
    assert!(matches!(try_it(&stage, defer("ann", 5000)), Err(DecisionRefused::Deferral { .. })));
    let no = Decision { approve: false, ..defer("ann", 5000) };
    assert!(matches!(try_it(&approval(1), no), Err(DecisionRefused::Deferral { .. })));
}

#[test]
fn all_who_say_yes_choose_the_same_answer() {
    let asks = Approval { inputs: vec!["eu".to_owned(), "all".to_owned()], ..approval(2) };
    let choose = |a: &Approval, name: &str, input: Option<&str>| {
        let chosen = Decision { input: input.map(str::to_owned), ..decision(name, true) };
        a.decide(&by(name, Role::Approver), chosen)
    };
    assert!(matches!(choose(&asks, "ann", None), Err(DecisionRefused::UnknownInput { .. })));
    assert!(matches!(choose(&asks, "ann", Some("us")), Err(DecisionRefused::UnknownInput { .. })));
    let one = choose(&asks, "ann", Some("eu")).unwrap();
    assert!(matches!(choose(&one, "bob", Some("all")), Err(DecisionRefused::AnswerDiffers { .. })));
    assert_eq!(choose(&one, "bob", Some("eu")).unwrap().input(), Some("eu"));
    assert!(says(&one, "bob", false).is_ok(), "a no needs no answer");
}

#[test]
fn a_decision_on_another_plan_is_refused() {
    let saw = |hash: &str| Decision { saw: Some(hash.to_owned()), ..decision("ann", true) };
    let ann = by("ann", Role::Approver);
    assert!(matches!(approval(1).decide(&ann, saw("ff")), Err(DecisionRefused::PlanChanged { .. })));
    assert_eq!(approval(1).decide(&ann, saw("ab12")).unwrap().decisions[0].saw.as_deref(), Some("ab12"));
}

#[test]
fn an_expiry_ends_as_the_policy_chose_and_no_decision_comes_after_the_deadline() {
    let early = approval(1).apply(ApprovalEvent::Expire { now: at(999) });
    assert!(matches!(early, Err(DecisionRefused::NotDue { .. })));
    let by = || NOBODY.to_owned();
    for (on_expiry, verdict) in [
        (OnExpiry::Reject, Verdict::Rejected { by: by() }),
        (OnExpiry::Cancel, Verdict::Canceled { by: by() }),
        (OnExpiry::Approve, Verdict::Approved { by: by(), defer_until: None }),
    ] {
        let over = Approval { on_expiry, ..approval(1) }.expire();
        assert_eq!(over.verdict(), Some(verdict));
        assert_eq!(over.ended_at, Some(at(1000)));
    }
    let late = Decision { at: at(1001), ..decision("ann", true) };
    let refused = approval(1).decide(&super::tests::by("ann", Role::Approver), late).unwrap_err();
    assert_eq!(refused.to_string(), "cannot decide: the approval expired at 1970-01-01T00:16:40Z");
}

fn reassign(a: &Approval, who: &Principal, to: Vec<Approver>) -> Result<Approval, DecisionRefused> {
    a.apply(ApprovalEvent::Reassign { who: who.clone(), approvers: to, now: at(20) })
}

#[test]
fn a_reassignment_keeps_what_was_decided() {
    let (ann, dev, root) = (by("ann", Role::Approver), by("dev", Role::Operator), by("root", Role::Admin));
    let one = says(&approval(2), "ann", true).unwrap();
    assert!(matches!(reassign(&one, &dev, vec![user("dev")]), Err(DecisionRefused::NotAnApprover { .. })));
    let moved = reassign(&one, &ann, vec![user("dev")]).unwrap();
    assert_eq!((moved.given(), moved.asked()), (1, &[user("dev")][..]));
    let done = moved.decide(&dev, decision("dev", true)).unwrap();
    assert_eq!(done.status_summary(), "approved by dev");

    let useless = reassign(&one, &root, vec![user("ann")]).unwrap_err();
    assert_eq!(useless.to_string(), "1 of 2 approvals are possible: nobody could complete the approval");
    assert!(reassign(&one, &root, Vec::new()).is_err());
    let strict = Approval { self_approval: false, ..approval(1) };
    assert!(reassign(&strict, &root, vec![user("sam")]).is_err(), "who started it cannot decide it");
}

#[test]
fn in_sequence_a_reassignment_is_of_those_still_to_be_asked() {
    let root = by("root", Role::Admin);
    let one = says(&in_sequence(vec![user("ann"), user("bob")]), "ann", true).unwrap();
    let moved = reassign(&one, &root, vec![user("cat"), role("approver")]).unwrap();
    assert_eq!(moved.approvers, [user("ann"), user("cat"), role("approver")]);
    assert_eq!((moved.required, moved.asked()), (3, &[user("cat")][..]));
    let waits = in_sequence(vec![user("ann"), role("operator")]);
    let alone = reassign(&waits, &by("ann", Role::Approver), vec![user("ann")]).unwrap_err();
    let said = "2 are still to say yes in turn, and 1 would be; name as many, or ask an admin";
    assert_eq!(alone.to_string(), said, "nobody drops the turns of others");
    assert_eq!(reassign(&waits, &root, vec![user("ann")]).unwrap().required, 1);
    assert!(reassign(&one, &root, vec![user("ann")]).is_err(), "Ann has had her turn");
    assert!(reassign(&one, &root, vec![user("cat"), user("cat")]).is_err());
}

#[test]
fn a_record_of_an_earlier_version_reads() {
    let stage = serde_json::json!({
        "id": "apr_00000000010000000000000001", "release": "rel_00000000010000000000000002",
        "environment": "prod", "number": 1, "application": "shop",
        "subject": "stage", "stage": "Look", "inputs": ["go", "stop"],
        "approvers": [{ "role": "approver" }], "required": 1, "status": "expired",
        "decisions": [{ "by": "ann", "at": "2026-11-21T10:00:00Z", "approve": true }],
        "createdAt": "2026-11-21T09:00:00Z", "deadline": "2026-11-28T09:00:00Z",
    });
    let read: Approval = serde_json::from_value(stage).unwrap();
    assert_eq!(read.subject, Subject::Stage { stage: "Look".to_owned() });
    assert_eq!(read.inputs, ["go", "stop"]);
    assert_eq!(read.status, ApprovalStatus::Expired { expired_as: OnExpiry::Reject });
    assert!(read.self_approval && read.order == Order::Any);
    let again: Approval = serde_json::from_value(serde_json::to_value(&read).unwrap()).unwrap();
    assert_eq!(again, read);
}

/// People with their roles; events name them by number.
fn person(index: usize) -> Principal {
    let all = [
        ("ann", Role::Approver),
        ("bob", Role::Approver),
        ("cat", Role::Operator),
        ("sam", Role::Approver),
        ("root", Role::Admin),
    ];
    let (name, role) = all[index % all.len()];
    by(name, role)
}

fn approvers() -> impl Strategy<Value = Vec<Approver>> {
    let one = prop_oneof![
        Just(role("approver")),
        Just(role("operator")),
        (0_usize..5).prop_map(|index| user(&person(index).name)),
    ];
    proptest::collection::vec(one, 1..4)
}

fn events() -> impl Strategy<Value = ApprovalEvent> {
    prop_oneof![
        8 => (0_usize..5, 0_u32..10, 0_i64..1100).prop_map(|(index, dice, second)| {
            let who = person(index);
            let made = Decision { at: at(second), ..decision(&who.name, dice > 0) };
            ApprovalEvent::Decide(Box::new(made), who)
        }),
        1 => (900_i64..1100).prop_map(|second| ApprovalEvent::Expire { now: at(second) }),
        1 => Just(ApprovalEvent::Cancel { by: "root".to_owned(), now: at(5) }),
        2 => (0_usize..5, approvers(), 0_i64..1100).prop_map(|(index, approvers, second)| {
            ApprovalEvent::Reassign { who: person(index), approvers, now: at(second) }
        }),
    ]
}

fn starts() -> impl Strategy<Value = Approval> {
    (approvers(), 1_u32..4, any::<bool>(), any::<bool>()).prop_map(|(approvers, required, turn, own)| {
        let start = if turn { in_sequence(approvers) } else { Approval { approvers, ..approval(required) } };
        Approval { self_approval: own, ..start }
    })
}

fn check(before: &Approval, after: &Approval) -> Result<(), TestCaseError> {
    prop_assert!(before.is_pending(), "nothing follows an end");
    prop_assert!(after.decisions.starts_with(&before.decisions), "what was decided stays");
    let yes: Vec<&Decision> = after.decisions.iter().filter(|d| d.approve).collect();
    prop_assert_eq!(u32::try_from(yes.len()).unwrap(), after.given(), "each person once");
    if let ApprovalStatus::Approved { .. } = after.status {
        prop_assert!(after.given() >= after.required, "never by fewer than required");
    }
    if !after.self_approval {
        prop_assert!(after.decisions.iter().all(|d| d.by != "sam"));
    }
    if after.order == Order::InSequence {
        for (turn, decision) in yes.iter().enumerate() {
            let who = (0..5).map(person).find(|p| p.name == decision.by).unwrap();
            prop_assert!(after.approvers[turn].accepts(&who), "each in turn");
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn whatever_happens_an_end_is_final_and_no_yes_counts_twice(
        start in starts(),
        steps in proptest::collection::vec(events(), 1..40),
    ) {
        let mut now = start;
        for event in steps {
            match now.apply(event) {
                Ok(next) => {
                    check(&now, &next)?;
                    now = next;
                }
                Err(DecisionRefused::Ended { .. }) => prop_assert!(!now.is_pending()),
                Err(_) => prop_assert!(now.is_pending()),
            }
        }
        prop_assert_eq!(now.verdict().is_none(), now.is_pending());
    }
}

#[test]
fn a_link_is_used_once_in_its_time_and_for_what_it_was_made() {
    let link = ApprovalLink {
        id: crate::ids::LinkId::new(ulid::Ulid::from_parts(1, 3)),
        release: approval(1).at.release,
        approval: approval(1).id,
        person: "ann".to_owned(),
        actions: vec![LinkAction::Reject],
        made_by: "root".to_owned(),
        made_at: at(0),
        expires_at: at(60),
        used: None,
    };
    assert_eq!(
        link.use_for(LinkAction::Approve, at(5)),
        Err(LinkRefused::OtherAction { may: "reject".into() })
    );
    assert!(matches!(link.use_for(LinkAction::Reject, at(60)), Err(LinkRefused::Expired { .. })));
    let used = link.use_for(LinkAction::Reject, at(59)).unwrap();
    assert!(matches!(used.use_for(LinkAction::Reject, at(59)), Err(LinkRefused::Used { .. })));
}
