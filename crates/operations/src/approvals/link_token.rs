//! What a single-use link carries: a payload and a signature over it with the installation's key. Nobody without the
//! key can make one, or change one; and what was signed for one purpose means nothing for another.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use pilothouse_domain::approval::{Approval, ApprovalLink, LinkAction};
use pilothouse_domain::ids::{ApprovalId, LinkId, ReleaseId};
use pilothouse_domain::secret::SecretRef;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::{Context, OperationError};

/// The variable that the key is read from, as `env:PILOTHOUSE_LINK_KEY`; an embedded system makes one of its own.
pub const LINK_KEY: &str = "PILOTHOUSE_LINK_KEY";

/// A shorter key could be guessed.
const SHORTEST_KEY: usize = 32;

/// Keeps a fingerprint from being taken for anything signed.
const FINGERPRINT: &[u8] = b"pilothouse fingerprint 1\n";

/// No link of ours is longer: what is has not to be read.
const LONGEST_TOKEN: usize = 2048;

/// What can stand in a signed token.
pub(crate) trait Signed: Serialize + DeserializeOwned {
    /// Keeps what is signed for this from meaning anything elsewhere.
    const PURPOSE: &'static [u8];
}

impl Signed for Claims {
    const PURPOSE: &'static [u8] = b"pilothouse approval link 1\n";
}

/// What a link says of itself; short names, as it stands in an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    #[serde(rename = "l")]
    pub(super) link: LinkId,
    #[serde(rename = "r")]
    pub(super) release: ReleaseId,
    #[serde(rename = "a")]
    pub(super) approval: ApprovalId,
    #[serde(rename = "p")]
    pub(super) person: String,
    #[serde(rename = "x")]
    pub(super) actions: Vec<LinkAction>,
    /// Seconds since 1970.
    #[serde(rename = "e")]
    pub(super) expires: i64,
    /// The hash of what the approval shows.
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    pub(super) shown: Option<String>,
}

impl Claims {
    pub(super) fn of(link: &ApprovalLink, approval: &Approval) -> Self {
        Self {
            link: link.id.clone(),
            release: link.release.clone(),
            approval: link.approval.clone(),
            person: link.person.clone(),
            actions: link.actions.clone(),
            expires: link.expires_at.as_second(),
            shown: approval.shown_hash.clone(),
        }
    }

    /// Whether the link's record says the same: it is the record that counts.
    pub(super) fn fit(&self, link: &ApprovalLink) -> bool {
        self.link == link.id
            && self.release == link.release
            && self.approval == link.approval
            && self.person == link.person
            && self.actions == link.actions
            && self.expires == link.expires_at.as_second()
    }
}

/// The installation's key.
pub(crate) struct LinkKey(Hmac<Sha256>);

impl LinkKey {
    /// Reads it; without one there are no links (invariant 8).
    pub(crate) async fn read(context: &Context) -> Result<Self, OperationError> {
        let reference = SecretRef::Env { name: LINK_KEY.to_owned() };
        let off =
            |why: String| OperationError::Conflicting(format!("single-use links are switched off: {why}"));
        let value = context.secrets.resolve(&reference).await;
        let value = value.map_err(|_| off(format!("set {LINK_KEY} to {SHORTEST_KEY} random characters")))?;
        if value.expose().len() < SHORTEST_KEY {
            return Err(off(format!("{LINK_KEY} is shorter than {SHORTEST_KEY} characters")));
        }
        Self::of(value.expose().as_bytes()).ok_or_else(|| off(format!("{LINK_KEY} is no key")))
    }

    pub(crate) fn of(key: &[u8]) -> Option<Self> {
        Hmac::new_from_slice(key).ok().map(Self)
    }

    /// What stands for a text that holds secrets: the same for the same text, and of no use to whoever has not the key.
    pub(crate) fn fingerprint(&self, text: &str) -> String {
        let mac = self.0.clone().chain_update(FINGERPRINT).chain_update(text.as_bytes());
        hex::encode(mac.finalize().into_bytes())
    }

    pub(crate) fn sign<C: Signed>(&self, claims: &C) -> Result<String, OperationError> {
        let payload = serde_json::to_vec(claims)
            .map_err(|e| OperationError::Inconsistent(format!("the link cannot be written: {e}")))?;
        let payload = URL_SAFE_NO_PAD.encode(payload);
        let signature = URL_SAFE_NO_PAD.encode(self.mac::<C>(&payload).finalize().into_bytes());
        Ok(format!("{payload}.{signature}"))
    }

    /// What a token says, if it is one of ours. The comparison takes the same time whatever differs.
    pub(crate) fn verify<C: Signed>(&self, token: &str) -> Option<C> {
        if token.len() > LONGEST_TOKEN {
            return None;
        }
        let (payload, signature) = token.split_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.mac::<C>(payload).verify_slice(&signature).ok()?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }

    fn mac<C: Signed>(&self, payload: &str) -> Hmac<Sha256> {
        self.0.clone().chain_update(C::PURPOSE).chain_update(payload.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use ulid::Ulid;

    use super::*;

    fn key(text: &str) -> LinkKey {
        LinkKey::of(text.as_bytes()).unwrap()
    }

    fn claims() -> Claims {
        Claims {
            link: LinkId::new(Ulid::from_parts(1, 1)),
            release: ReleaseId::new(Ulid::from_parts(1, 2)),
            approval: ApprovalId::new(Ulid::from_parts(1, 3)),
            person: "ann".to_owned(),
            actions: vec![LinkAction::Approve, LinkAction::Reject],
            expires: 1_790_000_000,
            shown: Some("ab".repeat(32)),
        }
    }

    #[test]
    fn a_link_reads_back_under_its_key_alone_and_only_unchanged() {
        let token = key("k1").sign(&claims()).unwrap();
        assert_eq!(key("k1").verify(&token), Some(claims()));
        assert_eq!(key("k2").verify::<Claims>(&token), None);
        let (payload, signature) = token.split_once('.').unwrap();
        let other = Claims { person: "bob".to_owned(), ..claims() };
        let forged = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&other).unwrap());
        for wrong in [
            format!("{forged}.{signature}"),
            format!("{payload}."),
            format!("{payload}.{}", &signature[1..]),
            payload.to_owned(),
            format!("{token}{}", "A".repeat(3000)),
            String::new(),
        ] {
            assert_eq!(key("k1").verify::<Claims>(&wrong), None, "{wrong}");
        }
    }
}
