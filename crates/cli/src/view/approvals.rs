//! Approvals in words: what happened to them, and how they stand.

use std::fmt::Write as _;

use jiff::Timestamp;
use pilothouse_domain::approval::{Decision, Shown};
use pilothouse_domain::pipeline::{OnExpiry, Order};
use pilothouse_domain::timeline::Happening;
use pilothouse_serve_api::api::{ApprovalView, Asks};

use super::lines::{Line, Mark};
use super::time::{ago, elapsed};

/// What happened to an approval; `by` did it.
pub(super) fn in_words(by: &str, what: &Happening) -> String {
    match what {
        Happening::ApprovalRequested { approvers, after, in_sequence, deadline, again, .. } => {
            let what = if *after { "approval of the deployment" } else { "approval" };
            let why = again.as_ref().map(|why| format!("{why}: ")).unwrap_or_default();
            let asked = if *in_sequence { approvers.replace(", ", ", then ") } else { approvers.clone() };
            format!("{why}{what} asked of {asked}, until {deadline:.0}")
        }
        Happening::ApprovalDecided { approve, comment, input, defer_until, via, standing, .. } => {
            let mut text = format!("{by} {}", if *approve { "approved" } else { "rejected" });
            let _ = input.as_ref().map(|input| write!(text, ", choosing `{input}`"));
            let _ = defer_until.map(|until| write!(text, ", to start at {until:.0}"));
            let _ = comment.as_ref().map(|comment| write!(text, ": “{comment}”"));
            // Who completed it is who decided: only what is still missing is news.
            let open = standing.strip_prefix("pending ").unwrap_or_default();
            let via = via.as_ref().map(|via| format!("({})", via.summary())).unwrap_or_default();
            [text.as_str(), open, via.as_str()]
                .iter()
                .filter(|t| !t.is_empty())
                .copied()
                .collect::<Vec<_>>()
                .join(" ")
        }
        Happening::ApprovalReassigned { from, to } => format!("{by} asks {to} in the place of {from}"),
        Happening::ApprovalLinkMade { person, until, .. } => {
            format!("{by} made a link for {person}, until {until:.0}")
        }
        Happening::ApprovalExpired { expired_as } => match expired_as.unwrap_or_default() {
            OnExpiry::Reject => "nobody decided in time".to_owned(),
            OnExpiry::Approve => "nobody decided in time, which counts as a yes".to_owned(),
            OnExpiry::Cancel => "nobody decided in time, which cancels the deployment".to_owned(),
        },
        _ => String::new(),
    }
}

/// The lines of an approval: how it stands, what it says to look at, and each decision.
pub(super) fn lines(attempt: &str, approval: &ApprovalView, now: Timestamp) -> Vec<Line> {
    let key = format!("{attempt}/{}", approval.id);
    let mark = match (approval.pending, approval.approved) {
        (true, _) => Mark::Waiting,
        (false, true) => Mark::Done,
        _ => Mark::Failed,
    };
    let name = match (approval.asks, &approval.stage) {
        (Asks::Stage, Some(stage)) => format!("answer for {stage}"),
        (Asks::AfterDeployment, _) => "approval after".to_owned(),
        _ => "approval".to_owned(),
    };
    let took = approval.ended_at.map(|ended| elapsed(approval.created_at, ended)).unwrap_or_default();
    let mut lines = vec![Line { key: key.clone(), mark, name, took, note: standing(approval, now) }];
    let below = |of: String, note: String| Line {
        key: format!("{key}/{of}"),
        mark: Mark::Proof,
        name: String::new(),
        took: String::new(),
        note,
    };
    if let (true, Some(text)) = (approval.pending, &approval.instructions) {
        lines.push(below("instructions".to_owned(), text.clone()));
    }
    let hash = approval.shown_hash.as_deref().unwrap_or_default();
    lines.extend(approval.shown.iter().map(|shown| below("shown".to_owned(), in_short(shown, hash))));
    let told = approval.decisions.iter().enumerate();
    lines.extend(told.map(|(index, decision)| below(index.to_string(), told_of(decision))));
    lines
}

fn standing(approval: &ApprovalView, now: Timestamp) -> String {
    let mut text = approval.standing.clone();
    if let Some(input) = approval.input.as_ref().filter(|_| !approval.pending) {
        let _ = write!(text, ", choosing `{input}`");
    }
    if !approval.pending {
        return text;
    }
    let _ = write!(text, ", asked of {}", approval.asked.join(" or "));
    if approval.order == Order::InSequence {
        let given = usize::try_from(approval.given).unwrap_or(usize::MAX);
        let later: Vec<&str> =
            approval.approvers.iter().skip(given.saturating_add(1)).map(String::as_str).collect();
        let _ = if later.is_empty() { Ok(()) } else { write!(text, ", then {}", later.join(", then ")) };
    }
    if !approval.excluded.is_empty() {
        let _ = write!(text, ", not of {}", approval.excluded.join(" or "));
    }
    if !approval.inputs.is_empty() {
        let _ = write!(text, ", answers: {}", approval.inputs.join(", "));
    }
    let end = match approval.on_expiry {
        OnExpiry::Reject => "expires",
        OnExpiry::Approve => "counts as approved",
        OnExpiry::Cancel => "cancels the deployment",
    };
    let _ = write!(text, ", {end} {}", ago(now, approval.deadline));
    text
}

/// How much of a hash tells it from others at sight.
pub(crate) const SHORT_HASH: usize = 12;

fn short(hash: &str) -> &str {
    hash.get(..SHORT_HASH).unwrap_or(hash)
}

/// What the approvers are shown, as far as nothing else of the release tells it, and its hash.
fn in_short(shown: &Shown, hash: &str) -> String {
    let mut parts: Vec<String> =
        shown.gates_failed.iter().map(|why| format!("asked as the gate failed ({why})")).collect();
    parts.extend(shown.artifacts.iter().map(|a| format!("{} = {}", a.name, a.reference())));
    parts.extend(shown.parameters.iter().map(|(name, value)| format!("{name} = {value}")));
    parts.extend(shown.stages.iter().map(ToString::to_string));
    format!("shown {}…: {}", short(hash), parts.join("; "))
}

/// Everything that the approvers are shown, a line for each fact.
pub(crate) fn facts(shown: &Shown) -> String {
    let facts = shown.facts();
    facts.iter().map(|(name, value)| format!("{name:12}  {value}")).collect::<Vec<_>>().join("\n")
}

/// One decision: who, when, how, and what they said and saw.
fn told_of(decision: &Decision) -> String {
    let verb = if decision.approve { "approved" } else { "rejected" };
    let mut text = format!("{} {verb} at {:.0}", decision.by, decision.at);
    let _ = decision.via.as_ref().map(|via| write!(text, " ({})", via.summary()));
    let _ = decision.input.as_ref().map(|input| write!(text, ", choosing `{input}`"));
    let _ = decision.defer_until.map(|until| write!(text, ", to start at {until:.0}"));
    let _ = decision.saw.as_ref().map(|saw| write!(text, ", having seen {}…", short(saw)));
    let _ = decision.comment.as_ref().map(|comment| write!(text, ": “{comment}”"));
    text
}

#[cfg(test)]
mod tests {
    use pilothouse_domain::approval::Via;
    use pilothouse_domain::ids::LinkId;

    use super::*;
    use crate::view::samples::{approval, at};

    fn decision() -> Decision {
        Decision {
            by: "ann".to_owned(),
            at: at(5),
            approve: true,
            comment: Some("looks fine".to_owned()),
            input: Some("eu".to_owned()),
            defer_until: Some(at(3600)),
            via: Some(Via::Link {
                link: LinkId::new(ulid::Ulid::from_parts(1, 1)),
                made_by: "root".to_owned(),
                address: Some("10.0.0.7".to_owned()),
            }),
            saw: Some("0123456789abcdef".repeat(4)),
        }
    }

    fn written(approval: &ApprovalView) -> String {
        let notes: Vec<String> = lines("prod#1", approval, at(20))
            .into_iter()
            .map(|l| format!("{} {} {}", l.name, l.took, l.note))
            .collect();
        notes.join("\n")
    }

    #[test]
    fn a_pending_approval_says_whose_turn_it_is_until_when_and_what_then() {
        let mut asked = approval("prod", None, true);
        asked.order = Order::InSequence;
        asked.approvers = vec!["user ann".to_owned(), "role operator".to_owned(), "user bob".to_owned()];
        (asked.asked, asked.given, asked.required) = (vec!["role operator".to_owned()], 1, 3);
        asked.excluded = vec!["sam".to_owned()];
        asked.inputs = vec!["eu".to_owned(), "all".to_owned()];
        asked.on_expiry = OnExpiry::Cancel;
        asked.instructions = Some("Check the dashboard.".to_owned());
        asked.standing = "pending (1 of 3 given)".to_owned();
        asked.decisions = vec![decision()];
        insta::assert_snapshot!(written(&asked), @r"
        approval  pending (1 of 3 given), asked of role operator, then user bob, not of sam, answers: eu, all, cancels the deployment in 7d
          Check the dashboard.
          ann approved at 2026-09-21T14:13:25Z (link made by root, 10.0.0.7), choosing `eu`, to start at 2026-09-21T15:13:20Z, having seen 0123456789ab…: “looks fine”
        ");
    }

    #[test]
    fn what_the_approvers_are_shown_stands_with_its_hash_and_why_a_gate_asks_comes_first() {
        let shown: Shown = serde_json::from_value(serde_json::json!({
            "release": "rel_00000000010000000000000001", "application": "shop", "pipeline": "web", "revision": 3,
            "trigger": "by hand", "artifacts": [{ "name": "web", "image": "shop/web", "tag": "1.1.0" }],
            "parameters": { "replicas": "3" }, "environment": "prod", "cluster": "default", "namespace": "shop",
            "attempt": 2, "kind": "redeploy", "instructions": "Look at the errors.", "gatesFailed": "errors: 7 is not below 1",
            "stages": [{ "name": "Deploy", "type": "deploy-manifest", "outcome": "succeeded" }, { "name": "Look", "type": "wait" }],
        }))
        .unwrap();
        let mut asked = approval("prod", None, true);
        asked.asks = Asks::AfterDeployment;
        asked.shown_hash = Some("0123456789abcdef".repeat(4));
        asked.shown = Some(Box::new(shown.clone()));
        insta::assert_snapshot!(written(&asked), @r"
        approval after  pending (0 of 1 given), asked of role approver, expires in 7d
          shown 0123456789ab…: asked as the gate failed (errors: 7 is not below 1); web = shop/web:1.1.0; replicas = 3; Deploy (deploy-manifest; succeeded); Look (wait)
        ");
        insta::assert_snapshot!(facts(&shown), @r"
        gates failed  errors: 7 is not below 1
        release       rel_00000000010000000000000001
        trigger       by hand
        pipeline      shop/web, revision 3
        environment   prod, attempt 2 (redeploy)
        cluster       default, namespace shop
        artifact      web = shop/web:1.1.0
        parameter     replicas = 3
        stages        Deploy (deploy-manifest; succeeded), Look (wait)
        instructions  Look at the errors.
        ");
    }

    #[test]
    fn the_timeline_names_a_decision_once_with_its_answer() {
        let given = decision();
        let told = |standing: &str, via: Option<Via>| Happening::ApprovalDecided {
            approve: true,
            comment: given.comment.clone(),
            input: given.input.clone(),
            defer_until: None,
            via,
            saw: None,
            standing: standing.to_owned(),
        };
        assert_eq!(
            in_words("ann", &told("approved by ann", None)),
            "ann approved, choosing `eu`: “looks fine”"
        );
        let still_open = in_words("ann", &told("pending (1 of 2 given)", given.via.clone()));
        assert_eq!(
            still_open,
            "ann approved, choosing `eu`: “looks fine” (1 of 2 given) (link made by root, 10.0.0.7)"
        );
    }
}
