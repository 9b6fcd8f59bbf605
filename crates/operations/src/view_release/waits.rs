//! What a stage that is under way waits for, until when, and how the wait is ended (T35-T37).

use jiff::Timestamp;
use pilothouse_domain::ids::{ApprovalId, ReleaseId};
use pilothouse_domain::stage::{StageRun, StageStatus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stages::{pipeline, wait, webhook};

/// What a stage waits for, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StageWait {
    /// What for.
    #[serde(flatten)]
    pub kind: WaitKind,
    /// When the wait ends by itself. Only a wait for a time goes on then; the others fail.
    pub until: Timestamp,
}

/// What a stage waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "for", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum WaitKind {
    /// Time passes (T37).
    Time {
        /// Whether a person may end it early, or shorten it.
        skippable: bool,
        /// What that person should think of first, and has to acknowledge.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        warning: Option<String>,
    },
    /// A person looks (T35).
    Answer {
        /// The approval to decide.
        approval: ApprovalId,
    },
    /// The receiver of a webhook calls back (T38).
    Callback {
        /// The URL that was called.
        url: String,
    },
    /// Another release comes to rest (T36).
    Release {
        /// That release.
        release: ReleaseId,
    },
}

/// What the run waits for, if it does.
pub(super) fn waits(run: &StageRun) -> Option<StageWait> {
    let StageStatus::AwaitingAnswer { approval } = &run.status else { return None };
    let kind = match approval {
        Some(approval) => WaitKind::Answer { approval: approval.clone() },
        None if run.stage_type == wait::NAME => {
            let wait::Terms { skippable, warning } = wait::terms(&run.options);
            WaitKind::Time { skippable, warning }
        }
        None if run.stage_type == webhook::NAME => {
            let url = run.options.get("url").and_then(serde_json::Value::as_str).unwrap_or_default();
            WaitKind::Callback { url: url.to_owned() }
        }
        None => WaitKind::Release { release: pipeline::child(run)? },
    };
    Some(StageWait { kind, until: run.deadline })
}
