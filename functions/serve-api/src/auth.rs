//! Who calls, and whether their role is enough (T1). Every route but those without a permission goes through here.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use pilothouse_domain::token::{Permission, Principal};
use pilothouse_operations::Context;
use pilothouse_operations::tokens::authenticate;

use crate::failure::Failure;

/// What a route asks of its caller.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) context: Context,
    pub(crate) permission: Permission,
}

/// Lets the request through with its [`Principal`], or answers 401 or 403. A missing and an unknown token get the
/// same answer.
pub(crate) async fn authorize(
    State(gate): State<Gate>,
    mut request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let principal = match bearer(request.headers().get(AUTHORIZATION).and_then(|v| v.to_str().ok())) {
        Some(secret) => authenticate(&gate.context, secret).await?,
        None => None,
    };
    let principal = principal.ok_or_else(Failure::unauthorized)?;
    if !principal.role.allows(gate.permission) {
        return Err(Failure::forbidden(principal.role, gate.permission));
    }
    request.extensions_mut().insert(principal);
    Ok(next.run(request).await)
}

fn bearer(header: Option<&str>) -> Option<&str> {
    let (scheme, secret) = header?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
}

/// The caller, as [`authorize`] found it.
pub(crate) struct Caller(pub(crate) Principal);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        parts.extensions.get::<Principal>().cloned().map(Self).ok_or_else(Failure::unauthorized)
    }
}

/// The permission's name as it is shown.
pub(crate) fn permission_name(permission: Permission) -> &'static str {
    match permission {
        Permission::Read => "read",
        Permission::Operate => "operate",
        Permission::Decide => "decide",
        Permission::Administer => "administer",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bearer_header_carries_a_token() {
        assert_eq!(bearer(Some("Bearer pht_a")), Some("pht_a"));
        assert_eq!(bearer(Some("bearer  pht_a ")), Some("pht_a"));
        assert_eq!(bearer(Some("Basic pht_a")), None);
        assert_eq!(bearer(Some("pht_a")), None);
        assert_eq!(bearer(None), None);
    }
}
