use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::attempt::{AttemptRef, AttemptState};
use crate::timeline::{EventDraft, Happening};

fn id() -> ReleaseId {
    ReleaseId::new(ulid::Ulid::from_parts(1, 1))
}

/// A release of one environment whose stage failed after one approval, as it is exported.
fn sample() -> Value {
    let release = json!({
        "id": id(), "application": "shop", "pipeline": "web", "revision": 1, "status": "Active",
        "spec": { "application": "shop", "pipeline": "web", "environments": [] },
        "artifacts": [], "parameters": {}, "cause": { "kind": "manual", "by": "ann" }, "createdAt": "2026-11-21T10:00:00Z",
    });
    let at = json!({ "release": id(), "environment": "prod", "number": 1 });
    let with = |mut fields: Value| {
        fields.as_object_mut().unwrap().extend(at.as_object().unwrap().clone());
        fields
    };
    let attempt = with(json!({
        "id": "dep_00000000010000000000000001", "application": "shop", "kind": { "kind": "deploy" },
        "state": AttemptState::PhaseFailed { reason: "stage `Deploy` failed: no".to_owned() },
        "control": "running", "restarts": 0, "createdAt": "2026-11-21T10:00:00Z", "createdBy": "system",
        "startedAt": "2026-11-21T10:00:03Z", "endedAt": "2026-11-21T10:00:06Z", "lastModifiedBy": "system",
    }));
    let run = with(json!({
        "id": "stg_00000000010000000000000001", "stage": "Deploy", "type": "wait", "status": "failed", "reason": "no",
        "startedAt": "2026-11-21T10:00:04Z", "deadline": "2026-11-21T10:10:00Z", "endedAt": "2026-11-21T10:00:05Z",
    }));
    let approval = with(json!({
        "id": "apr_00000000010000000000000001", "application": "shop", "subject": "beforeDeployment",
        "approvers": [{ "role": "approver" }], "required": 1, "status": "approved", "by": "ann",
        "decisions": [{ "by": "ann", "at": "2026-11-21T10:00:02Z", "approve": true }],
        "createdAt": "2026-11-21T10:00:01Z", "deadline": "2026-11-22T10:00:01Z",
    }));
    let events = events();
    let export = json!({
        "format": FORMAT, "exportedAt": "2026-11-21T11:00:00Z", "release": release, "attempts": [attempt],
        "stageRuns": [run], "approvals": [approval], "head": Head::of(&events), "events": events,
    });
    assert_eq!(
        serde_json::to_value(Export::deserialize(&export).unwrap()).unwrap()["events"],
        export["events"]
    );
    export
}

fn events() -> Vec<Event> {
    let of_attempt = |actor: &str, stage: Option<&str>, what: Happening| {
        let at = AttemptRef { release: id(), environment: "prod".to_owned(), number: 1 };
        EventDraft {
            release: at.release,
            at: "2026-11-21T10:00:00Z".parse().unwrap(),
            actor: actor.to_owned(),
            environment: Some(at.environment),
            attempt: Some(at.number),
            stage: stage.map(str::to_owned),
            what,
        }
    };
    let parse = |what: Value| serde_json::from_value::<Happening>(what).unwrap();
    let drafts = [
        ("system", None, json!({ "type": "DeploymentQueued", "kind": "deploy" })),
        (
            "system",
            None,
            json!({ "type": "ApprovalRequested", "approvers": "role approver", "deadline": "2026-11-22T10:00:01Z" }),
        ),
        ("ann", None, json!({ "type": "ApprovalDecided", "approve": true, "standing": "approved by ann" })),
        ("system", None, json!({ "type": "DeploymentStarted" })),
        ("system", Some("Deploy"), json!({ "type": "StageStarted", "stageType": "wait" })),
        ("system", Some("Deploy"), json!({ "type": "StageEnded", "status": "failed", "reason": "no" })),
        (
            "system",
            None,
            json!({ "type": "DeploymentEnded", "status": "Failed", "operationStatus": "PhaseFailed",
            "reason": "stage `Deploy` failed: no" }),
        ),
    ];
    let mut events: Vec<Event> = Vec::new();
    for (actor, stage, what) in drafts {
        let last = events.last().map(|e| (e.seq, e.hash.as_str()));
        let event = Event::chain(of_attempt(actor, stage, parse(what)), last);
        events.push(event);
    }
    events
}

fn findings(document: &Value) -> Vec<String> {
    verify(document, None).unwrap().findings
}

#[test]
fn a_whole_record_is_proved_with_its_head() {
    let document = sample();
    let proof = verify(&document, None).unwrap();
    assert_eq!(proof.findings, Vec::<String>::new());
    assert!(proof.whole && proof.first_break.is_none());
    assert_eq!((proof.release, proof.events), (Some(id()), 7));
    let head = proof.head.unwrap();
    assert_eq!((head.seq, head.hash.len()), (7, 64));
    assert!(verify(&document, Some(&head)).unwrap().whole);
}

#[test]
fn a_changed_event_is_named_whatever_was_changed_in_it() {
    for place in 0..7 {
        for (key, value) in
            [("actor", json!("mallory")), ("at", json!("2026-11-21T09:59:59Z")), ("added", json!(1))]
        {
            let mut document = sample();
            document["events"][place][key] = value;
            let proof = verify(&document, None).unwrap();
            assert_eq!(proof.first_break, Some(place as u64 + 1), "{key} of {place}");
            let said = format!("event {} was changed: its hash is not that of its content", place + 1);
            assert_eq!(proof.findings[0], said);
        }
    }
}

#[test]
fn an_event_of_a_kind_that_is_unknown_here_is_held_to_its_hash_too() {
    let mut document = sample();
    document["events"][3]["type"] = json!("SomethingNewer");
    let proof = verify(&document, None).unwrap();
    assert_eq!(proof.first_break, Some(4));
    assert!(!proof.whole);
}

#[test]
fn a_tampered_event_with_a_hash_to_match_breaks_the_one_after_it() {
    let mut document = sample();
    let mut forged: Event = serde_json::from_value(document["events"][2].clone()).unwrap();
    forged.actor = "mallory".to_owned();
    let before: Event = serde_json::from_value(document["events"][1].clone()).unwrap();
    let draft = EventDraft {
        release: forged.release,
        at: forged.at,
        actor: forged.actor,
        environment: forged.environment,
        attempt: forged.attempt,
        stage: forged.stage,
        what: forged.what,
    };
    document["events"][2] = json!(Event::chain(draft, Some((before.seq, &before.hash))));
    let proof = verify(&document, None).unwrap();
    assert_eq!(proof.first_break, Some(4));
    // The record of the approval still knows who decided.
    assert!(
        proof.findings.iter().any(|f| f.contains("its decisions are yes by ann")),
        "{:?}",
        proof.findings
    );
}

#[test]
fn a_cut_tail_is_found_by_the_ends_that_lost_their_events() {
    for kept in 0..7 {
        let mut document = sample();
        let mut events = document["events"].as_array().unwrap().clone();
        events.truncate(kept);
        document["head"] =
            events.last().map_or(Value::Null, |e| json!({ "seq": e["seq"], "hash": e["hash"] }));
        document["events"] = Value::Array(events);
        let proof = verify(&document, None).unwrap();
        assert_eq!(proof.first_break, None, "what is left is a chain");
        assert!(!proof.whole, "{kept} events are left");
    }
}

#[test]
fn an_event_noted_elsewhere_shows_a_cut_tail_and_a_replaced_chain() {
    let document = sample();
    let noted: Head = format!("9:{}", "ab".repeat(32)).parse().unwrap();
    let cut = verify(&document, Some(&noted)).unwrap();
    assert_eq!(cut.findings, ["event 9 was noted, and is not there: the tail was cut off"]);
    let noted = Head { seq: 2, ..noted };
    let replaced = verify(&document, Some(&noted)).unwrap();
    assert_eq!(replaced.findings, ["event 2 is not the one that was noted: its hash is another"]);
    for wrong in ["", "1", "x:ab", "1:ab", &format!("0:{}", "ab".repeat(32))] {
        assert!(wrong.parse::<Head>().is_err(), "{wrong}");
    }
}

#[test]
fn records_that_say_something_else_than_their_events_are_named() {
    let mut document = sample();
    document["release"]["status"] = json!("Draft");
    document["attempts"][0]["state"] = json!({ "state": "Succeeded" });
    document["stageRuns"][0]["reason"] = json!("because");
    document["approvals"][0]["decisions"] = json!([]);
    insta::assert_snapshot!(findings(&document).join("\n"), @r"
    the release is draft, and its events say that it is active
    attempt 1 of `prod`: it ended as <Succeeded, Approved>, and its event says <Failed, PhaseFailed> (stage `Deploy` failed: no)
    stage `Deploy` of attempt 1 of `prod`: it ended as failed (because), and its event says failed (no)
    attempt 1 of `prod`: its decisions are none, and the events say yes by ann
    ");
    let mut document = sample();
    document["attempts"] = json!([]);
    document["stageRuns"] = json!([]);
    insta::assert_snapshot!(findings(&document).join("\n"), @r"
    attempt 1 of `prod`: events tell its end, and it has no record
    stage `Deploy` of attempt 1 of `prod`: events tell its end, and it has no record
    ");
}

#[test]
fn what_is_no_export_is_not_called_broken() {
    let shape = verify(&json!({}), None).unwrap_err().to_string();
    assert_eq!(shape, "this is no export of a release: the key `format` is missing");
    let newer = verify(&json!({ "format": 2 }), None).unwrap_err().to_string();
    assert!(newer.contains("has format 2"), "{newer}");
}

proptest! {
    #[test]
    fn no_other_order_and_no_subset_of_the_events_passes(order in proptest::sample::subsequence((0..7_usize).collect::<Vec<_>>(), 0..=7).prop_shuffle()) {
        let document = sample();
        let events: Vec<Value> = order.iter().map(|place| document["events"][*place].clone()).collect();
        let untouched = order == (0..7).collect::<Vec<_>>();
        let head = events.last().map_or(Value::Null, |e| json!({ "seq": e["seq"], "hash": e["hash"] }));
        let changed = json!({ "events": events, "head": head });
        let mut document = document;
        document.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
        prop_assert_eq!(verify(&document, None).unwrap().whole, untouched);
    }
}
