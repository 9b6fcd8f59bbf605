//! What comes in from outside: hooks, their deliveries, and the rule that admits each artifact once (X1).

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::artifact::Artifact;
use crate::duration::Span;
use crate::ids::{DeliveryId, ReleaseId};

/// Who sends to a hook. It is declared, never guessed from a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sender {
    /// A CNCF Distribution registry's notifications.
    Distribution,
    /// `curl` and anything that can post JSON (T58).
    Generic,
}

impl Sender {
    /// The name in the hook's path.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Distribution => "distribution",
            Self::Generic => "generic",
        }
    }
}

/// How a hook's requests prove where they come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "scheme", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum HookAuth {
    /// `Authorization: Bearer SECRET`. Only hashes are stored; two while a secret is rotated.
    Bearer {
        /// Hex SHA-256 of each secret that is valid.
        hashes: Vec<String>,
    },
    /// The payload constraints of the triggers hold the secret (T58): a trigger without one never matches.
    Constraints {},
}

/// A hook's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hook {
    /// Its name: the last part of its path.
    pub name: String,
    /// Who sends to it.
    pub sender: Sender,
    /// How requests prove where they come from.
    pub auth: HookAuth,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
}

/// What one pipeline made of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// `application/pipeline`; absent when the delivery itself was of no interest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<String>,
    /// The trigger that was considered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// The release it started, or the one that had been started for the same artifact before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseId>,
    /// Whether a release was started by this delivery.
    pub started: bool,
    /// Why it was, or was not.
    pub reason: String,
}

/// A delivery's record: what arrived, and what became of it. Secrets are redacted; it expires.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// Its id.
    pub id: DeliveryId,
    /// The hook, as named in the path.
    pub hook: String,
    /// The sender's own id of it, when it has one; the delivery's id otherwise.
    pub key: String,
    /// When it arrived.
    pub received_at: Timestamp,
    /// The status that was answered.
    pub http_status: u16,
    /// Why it was refused, when it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// What each pipeline made of it.
    #[serde(default)]
    pub verdicts: Vec<Verdict>,
    /// The payload, redacted, when it could be read and is small.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<serde_json::Value>,
    /// When the record may go.
    pub expires_at: Timestamp,
}

/// How long deliveries and admissions are kept at least: longer than any sender's retries.
pub const KEPT: Span = Span::from_secs(48 * 3600);

/// The record that admits one thing once: one per pipeline, image, tag and parameters, holding the digest that was
/// admitted last. A tag that moves to another digest and back is therefore a new release each time, while a repeated
/// delivery of the present digest is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Admission {
    /// The hash of what is admitted, without the digest.
    pub key: String,
    /// The digests that were admitted last, or the commit, or the intended time.
    pub content: String,
    /// The release that was started for it.
    pub release: ReleaseId,
    /// When.
    pub admitted_at: Timestamp,
}

impl Admission {
    /// The admission of `artifacts` with `parameters` by a pipeline.
    #[must_use]
    pub fn of_artifacts(
        pipeline: &str,
        artifacts: &[Artifact],
        parameters: &BTreeMap<String, String>,
        release: ReleaseId,
        now: Timestamp,
    ) -> Self {
        let named: Vec<_> = artifacts.iter().map(|a| (&a.name, &a.image, &a.tag)).collect();
        let digests: Vec<_> = artifacts.iter().map(|a| a.digest.as_deref().unwrap_or("-")).collect();
        Self {
            key: hash(&(pipeline, "artifacts", named, parameters)),
            content: hash(&digests),
            release,
            admitted_at: now,
        }
    }

    /// The admission of one fire of a schedule (T59).
    #[must_use]
    pub fn of_schedule(
        pipeline: &str,
        trigger: &str,
        intended: Timestamp,
        release: ReleaseId,
        now: Timestamp,
    ) -> Self {
        Self {
            key: hash(&(pipeline, "cron", trigger, intended)),
            content: intended.to_string(),
            release,
            admitted_at: now,
        }
    }
}

fn hash<T: Serialize>(value: &T) -> String {
    let text = serde_json::to_vec(value).unwrap_or_default();
    hex::encode(Sha256::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(tag: &str, digest: &str) -> Admission {
        let artifact = Artifact {
            name: "web".to_owned(),
            image: "shop/web".to_owned(),
            tag: Some(tag.to_owned()),
            digest: Some(digest.to_owned()),
        };
        let release = ReleaseId::new(ulid::Ulid::from_parts(1, 1));
        Admission::of_artifacts("shop/web", &[artifact], &BTreeMap::new(), release, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_moved_tag_has_the_same_key_and_other_content() {
        let (one, two, other) =
            (admission("1.0", "sha256:a"), admission("1.0", "sha256:b"), admission("1.1", "sha256:a"));
        assert_eq!(one.key, two.key);
        assert_ne!(one.content, two.content);
        assert_ne!(one.key, other.key);
    }
}
