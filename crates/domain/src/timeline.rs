//! What happened in a release, in order: append-only, each event with the hash of the one before (X10).

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::approval::Via;
use crate::gate::GateSide;
use crate::ids::{LinkId, ReleaseId};
use crate::pipeline::OnExpiry;

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum Happening {
    /// A release was created.
    ReleaseStarted {
        /// What started it, for people.
        cause: String,
        /// What it carries.
        artifacts: String,
    },
    /// A release was created as a draft: nothing of it starts yet (A2).
    DraftCreated {
        /// Who asked for it, for people.
        cause: String,
        /// What it carries.
        artifacts: String,
    },
    /// A draft was changed.
    DraftEdited {
        /// What changed, a line for each.
        changes: Vec<String>,
    },
    /// A draft was started (A3).
    DraftStarted {
        /// What it carries from now on.
        artifacts: String,
    },
    /// Environments are left out of the release.
    EnvironmentsSkipped {
        /// Their names.
        environments: Vec<String>,
    },
    /// The release was given up: no action is allowed in it any more (A4).
    ReleaseAbandoned {
        /// Why.
        reason: String,
    },
    /// A stage started another release (T36).
    ChildStarted {
        /// That release.
        child: ReleaseId,
        /// Its application and pipeline: `shop/db`.
        pipeline: String,
        /// Whether the stage waits for its end.
        waited: bool,
    },
    /// An attempt was created.
    DeploymentQueued {
        /// `deploy`, `redeploy` or `rollback`.
        kind: String,
    },
    /// An attempt was created that waits for its time (A14).
    DeploymentScheduled {
        /// `deploy` or `redeploy`.
        kind: String,
        /// When it starts.
        starts: Timestamp,
    },
    /// Somebody started it at once instead.
    ScheduleOverridden {
        /// When it would have started.
        starts: Timestamp,
    },
    /// It waits for another attempt to leave the environment.
    LaneAwaited {
        /// Who holds it.
        holder: String,
    },
    /// It waits for room: in the installation, or in its cluster (A19, A20, A26, A27).
    RoomAwaited {
        /// Where.
        lane: String,
        /// How many it takes at once.
        limit: u32,
    },
    /// After a pause it found room again.
    RoomFound {},
    /// A freeze keeps it from beginning (X14).
    DeploymentFrozen {
        /// Who stopped the line.
        by: String,
        /// Why.
        reason: String,
        /// When that ends by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// No freeze keeps it from beginning any more.
    DeploymentThawed {},
    /// Somebody let it begin in spite of every freeze.
    FreezeOverridden {
        /// Why.
        reason: String,
    },
    /// It holds its environment.
    LaneEntered {
        /// The fencing number.
        fence: u64,
    },
    /// An approval was opened.
    ApprovalRequested {
        /// Who may decide.
        approvers: String,
        /// Whether it is the one after the deployment (A25).
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        after: bool,
        /// Whether the approvers are asked one after the other.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        in_sequence: bool,
        /// The hash of what they are shown (X6).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shown: Option<String>,
        /// Why it is asked for once more, when it was given before (X6).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        again: Option<String>,
        /// Until when.
        deadline: Timestamp,
    },
    /// Somebody decided.
    ApprovalDecided {
        /// Yes or no.
        approve: bool,
        /// What they said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<String>,
        /// The answer they chose (T35).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        input: Option<String>,
        /// Not before this time (A18).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        defer_until: Option<Timestamp>,
        /// How it came.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        via: Option<Via>,
        /// The hash of what they say they saw.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        saw: Option<String>,
        /// How the approval stands now.
        standing: String,
    },
    /// Others are asked from now on.
    ApprovalReassigned {
        /// Who was asked before.
        from: String,
        /// Who is asked now.
        to: String,
    },
    /// A single-use link was made. The link itself is nowhere.
    ApprovalLinkMade {
        /// Its id: the decision that it gives names it.
        link: LinkId,
        /// Whose decision it gives.
        person: String,
        /// Until when.
        until: Timestamp,
    },
    /// Nobody decided in time.
    ApprovalExpired {
        /// What that counts as; absent: as a rejection.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expired_as: Option<OnExpiry>,
    },
    /// A gate was opened: its checks are sampled from now on (A34, A36).
    GatesOpened {
        /// On which side of the stages it stands.
        side: GateSide,
        /// The names of its checks.
        checks: String,
        /// Until when.
        deadline: Timestamp,
    },
    /// The first sample of a gate, or one whose outcome is not that of the sample before.
    GatesChanged {
        /// On which side of the stages it stands.
        side: GateSide,
        /// The sample's number.
        sample: u32,
        /// Whether every check passed.
        passed: bool,
        /// The checks that did not, and why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A gate passed, or failed (A35, A37, A38).
    GatesEnded {
        /// On which side of the stages it stands.
        side: GateSide,
        /// Whether it passed.
        passed: bool,
        /// How many samples were taken.
        samples: u32,
        /// Why it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Its stages begin.
    DeploymentStarted {},
    /// A stage began.
    StageStarted {
        /// Its type.
        #[serde(rename = "stageType")]
        stage_type: String,
    },
    /// A stage came to its end.
    StageEnded {
        /// `succeeded`, `failed`, `skipped`, `notRun`, `canceled`.
        status: String,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// What proves it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<Box<serde_json::Value>>,
    },
    /// Somebody paused, stopped or resumed it, or that came to be (N12-N15).
    ControlChanged {
        /// `pausing`, `paused`, `running`, `stopping`, `stopped`, `interrupted`.
        control: crate::attempt::Control,
        /// Why, when it was no person's wish.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// It was approved for a later time (A18).
    DeploymentDeferred {
        /// When it starts.
        until: Timestamp,
    },
    /// Somebody asked to cancel.
    CancelRequested {},
    /// The stage that had started the release, and waited for it, was cancelled or ran out of time (T36): what is under way is
    /// cancelled too.
    ParentGaveUp {
        /// The stage's release.
        parent: ReleaseId,
    },
    /// Somebody ended a wait early (T37).
    WaitSkipped {
        /// What they were told first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        warning: Option<String>,
    },
    /// Somebody brought the end of a wait nearer (T37).
    WaitShortened {
        /// When it ends now.
        until: Timestamp,
        /// What they were told first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        warning: Option<String>,
    },
    /// The attempt ended.
    DeploymentEnded {
        /// The broad class.
        status: String,
        /// The reason behind it.
        #[serde(rename = "operationStatus")]
        operation_status: String,
        /// In a sentence.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Whether it was one that takes another back.
        #[serde(default, skip_serializing_if = "is_false")]
        rollback: bool,
    },
    /// A rollback was started for the attempt.
    RollbackStarted {
        /// The number of the attempt that rolls back.
        rollback: u32,
        /// What triggered it (V16).
        trigger: String,
        /// What it does: which pipeline it runs with which release, or why it restores what was there before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        way: Option<String>,
    },
    /// Somebody asked for a rollback of what is being cancelled: it follows when the cancel is over (H6).
    RollbackRequested {},
    /// A rollback was asked for, or the environment's policy has one, and the deployment had changed nothing in the cluster.
    NothingToRollBack {},
    /// It takes over stages of an earlier attempt, and does not run them again (H5).
    StagesCarriedOver {
        /// The earlier attempt's number.
        from: u32,
        /// Their names.
        stages: Vec<String>,
    },
    /// It would have started by itself, and does not: what it carries was taken back there (X4).
    EnvironmentHeld {
        /// The release that was taken back.
        held: ReleaseId,
        /// What triggered that.
        reason: String,
    },
    /// Somebody started it although what it carries was taken back there (X4).
    HoldOverridden {
        /// The release that was taken back.
        held: ReleaseId,
        /// Why, if they said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The hold of an environment that the rollback of this release had put there was lifted: by somebody, or because what
    /// was held succeeded there since (X4).
    HoldLifted {
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The attempt's execution was lost and started anew from the records.
    ExecutionRestarted {
        /// How often by now.
        restarts: u32,
    },
}

/// An event before it has its place in the chain.
#[derive(Debug, Clone, PartialEq)]
pub struct EventDraft {
    /// The release.
    pub release: ReleaseId,
    /// When.
    pub at: Timestamp,
    /// Who or what did it: a token's name, `system`, a hook.
    pub actor: String,
    /// The environment it happened in.
    pub environment: Option<String>,
    /// The attempt it happened in.
    pub attempt: Option<u32>,
    /// The stage it happened in.
    pub stage: Option<String>,
    /// What happened.
    pub what: Happening,
}

/// An event's record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// The release.
    pub release: ReleaseId,
    /// Its place, counted from 1 without gaps.
    pub seq: u64,
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Who or what did it.
    pub actor: String,
    /// The environment it happened in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The attempt it happened in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The stage it happened in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub what: Happening,
    /// Whether somebody is told what happens in the release: each event hands it on to the next, so that none needs the
    /// pipeline to know it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub announces: bool,
    /// The hash of the event before; of the empty text for the first.
    pub previous: String,
    /// The SHA-256 over all of the above.
    pub hash: String,
}

impl Event {
    /// The event that follows `last` (`None`: the first).
    #[must_use]
    pub fn chain(draft: EventDraft, last: Option<(u64, &str)>) -> Self {
        let (seq, previous) = last.map_or_else(|| (1, digest(b"")), |(seq, hash)| (seq + 1, hash.to_owned()));
        let mut event = Self {
            release: draft.release,
            seq,
            at: draft.at,
            actor: draft.actor,
            environment: draft.environment,
            attempt: draft.attempt,
            stage: draft.stage,
            what: draft.what,
            announces: false,
            previous,
            hash: String::new(),
        };
        event.hash = event.compute_hash();
        event
    }

    /// The same, of a release of which somebody is told.
    #[must_use]
    pub fn announcing(mut self) -> Self {
        self.announces = true;
        self.hash = self.compute_hash();
        self
    }

    /// Whether its hash is the hash of its content.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.hash == self.compute_hash()
    }

    fn compute_hash(&self) -> String {
        let bare = Self { hash: String::new(), ..self.clone() };
        let mut value = serde_json::to_value(&bare).unwrap_or_default();
        value.sort_all_objects();
        digest(value.to_string().as_bytes())
    }
}

/// The first event whose place or hash is wrong, if the chain was tampered with.
#[must_use]
pub fn first_break(events: &[Event]) -> Option<u64> {
    let mut last: Option<(u64, &str)> = None;
    for event in events {
        let (seq, previous) = last.map_or_else(|| (1, digest(b"")), |(seq, hash)| (seq + 1, hash.to_owned()));
        if event.seq != seq || event.previous != previous || !event.is_intact() {
            return Some(event.seq);
        }
        last = Some((event.seq, &event.hash));
    }
    None
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_false(value: &bool) -> bool {
    !*value
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(what: Happening) -> EventDraft {
        EventDraft {
            release: ReleaseId::new(ulid::Ulid::from_parts(1, 1)),
            at: Timestamp::UNIX_EPOCH,
            actor: "system".to_owned(),
            environment: Some("prod".to_owned()),
            attempt: Some(1),
            stage: None,
            what,
        }
    }

    #[test]
    fn a_changed_or_missing_event_breaks_the_chain_where_it_was() {
        let first = Event::chain(draft(Happening::DeploymentStarted {}), None);
        let second = Event::chain(draft(Happening::CancelRequested {}), Some((first.seq, &first.hash)));
        let third = Event::chain(
            draft(Happening::ApprovalExpired { expired_as: None }),
            Some((second.seq, &second.hash)),
        );
        let chain = vec![first, second, third];
        assert_eq!(first_break(&chain), None);
        let mut changed = chain.clone();
        changed[1].actor = "nobody".to_owned();
        assert_eq!(first_break(&changed), Some(2));
        assert_eq!(first_break(&[chain[0].clone(), chain[2].clone()]), Some(3));
    }

    #[test]
    fn an_event_of_an_earlier_version_keeps_its_hash() {
        let old = serde_json::json!({
            "release": "rel_00000000010000000000000001", "seq": 1, "at": "1970-01-01T00:00:00Z",
            "actor": "ann", "environment": "prod", "attempt": 1, "type": "ApprovalDecided",
            "approve": true, "standing": "approved by ann", "previous": digest(b""), "hash": "",
        });
        let event: Event = serde_json::from_value(old.clone()).unwrap();
        let mut written = serde_json::to_value(&event).unwrap();
        assert_eq!(written, old, "no new field appears in an old event");
        let mut expired = old;
        expired["type"] = "ApprovalExpired".into();
        for gone in ["approve", "standing"] {
            expired.as_object_mut().unwrap().remove(gone);
        }
        written = serde_json::to_value(serde_json::from_value::<Event>(expired.clone()).unwrap()).unwrap();
        assert_eq!(written, expired);
    }

    #[test]
    fn an_event_reads_back_with_the_same_hash() {
        let event = Event::chain(draft(Happening::StageStarted { stage_type: "wait".to_owned() }), None);
        let text = serde_json::to_string(&event).unwrap();
        assert!(serde_json::from_str::<Event>(&text).unwrap().is_intact());
    }
}
