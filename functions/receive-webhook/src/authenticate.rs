//! Who sends, by the hook's configuration and never by what the request offers.

use axum::http::{HeaderMap, header};
use pilothouse_domain::intake::HookAuth;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::refusal::Refusal;

/// Checks a hook's own secret, and gives the secret that was presented. A hook without one has its triggers' constraints
/// decide later.
///
/// # Errors
/// [`Refusal::Unauthorized`]; a missing and a wrong secret cost the same.
pub(crate) fn authenticate<'h>(auth: &HookAuth, headers: &'h HeaderMap) -> Result<Option<&'h str>, Refusal> {
    let HookAuth::Bearer { hashes } = auth else { return Ok(None) };
    let presented = bearer(headers);
    let digest = Sha256::digest(presented.unwrap_or_default().as_bytes());
    // Every hash is compared, whichever fits.
    let fits = hashes.iter().fold(false, |fits, hash| {
        let expected = hex::decode(hash).unwrap_or_default();
        fits | bool::from(digest.as_slice().ct_eq(&expected))
    });
    match presented {
        Some(_) if fits => Ok(presented),
        Some(_) => Err(refused("the bearer secret is wrong")),
        None => Err(refused("there is no single `Authorization: Bearer` header with a secret")),
    }
}

/// The secret of the one `Authorization` header, if it is a bearer's and not empty.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(only), None) = (all.next(), all.next()) else { return None };
    let (scheme, secret) = only.to_str().ok()?.split_once(' ')?;
    let secret = secret.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !secret.is_empty()).then_some(secret)
}

fn refused(reason: &str) -> Refusal {
    Refusal::Unauthorized { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use pilothouse_operations::random::hash_secret;

    use super::*;

    fn check(values: &[&str], secrets: &[&str]) -> bool {
        let hashes = secrets.iter().map(|secret| hash_secret(secret)).collect();
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        authenticate(&HookAuth::Bearer { hashes }, &headers).is_ok()
    }

    #[test]
    fn either_of_two_secrets_is_valid_while_one_is_rotated() {
        assert!(check(&["Bearer new"], &["new", "old"]) && check(&["bearer old"], &["new", "old"]));
        assert!(!check(&["Bearer older"], &["new", "old"]));
    }

    #[test]
    fn anything_but_one_right_bearer_secret_is_refused() {
        for values in [
            &[][..],
            &["Bearer "],
            &["Bearer"],
            &["Basic s"],
            &["s"],
            &["Bearer s", "Bearer s"],
            &["Bearer S"],
        ] {
            assert!(!check(values, &["s"]), "{values:?}");
        }
        assert!(!check(&["Bearer "], &[""]), "an empty secret is none");
        assert!(!check(&["Bearer s"], &[]), "no secret configured: nothing is authentic");
    }

    #[test]
    fn a_damaged_hash_fits_nothing() {
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static("Bearer s"))]);
        let auth = HookAuth::Bearer { hashes: vec![String::new(), "zz".to_owned()] };
        assert!(authenticate(&auth, &headers).is_err());
    }
}
