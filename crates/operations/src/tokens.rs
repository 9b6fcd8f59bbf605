//! API tokens: made, listed, revoked (T1). The token itself is shown once; only its hash is stored.

use pilothouse_domain::problem::{Problem, Problems};
use pilothouse_domain::token::{ApiToken, Principal, Role};
use pilothouse_store::{Transaction, Versioned};

use crate::load::SYSTEM;
use crate::random::{hash_secret, new_secret};
use crate::{Context, OperationError};

/// What every API token begins with.
pub const TOKEN_PREFIX: &str = "pht_";

/// The name of the token that an installation without any begins with.
pub const FIRST_ADMIN: &str = "admin";

const LONGEST_NAME: usize = 63;

/// A token that was just made. `Debug` does not show its secret.
#[derive(Clone)]
pub struct NewToken {
    /// Its record.
    pub token: ApiToken,
    /// What the caller sends as `Authorization: Bearer`; kept nowhere.
    pub secret: String,
}

impl std::fmt::Debug for NewToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewToken").field("token", &self.token).finish_non_exhaustive()
    }
}

/// The caller that a token stands for; `None` when there is no such token. The lookup is by hash, so its time says
/// nothing about the tokens that exist.
///
/// # Errors
/// [`OperationError::Store`] when the tokens cannot be read.
pub async fn authenticate(context: &Context, secret: &str) -> Result<Option<Principal>, OperationError> {
    if !secret.starts_with(TOKEN_PREFIX) {
        return Ok(None);
    }
    let token = context.store.api_token(&hash_secret(secret)).await?;
    Ok(token.map(|t| Principal { name: t.record.name, role: t.record.role }))
}

/// Makes a token of that name and role.
///
/// # Errors
/// [`OperationError::Invalid`] when the name cannot be used, [`OperationError::Conflicting`] when it is taken.
pub async fn create_token(
    context: &Context,
    name: &str,
    role: Role,
    by: &str,
) -> Result<NewToken, OperationError> {
    check_name(name).map_err(|problem| OperationError::Invalid(Problems::from(problem)))?;
    if all(context).await?.iter().any(|t| t.record.name == name) {
        let why = format!("there is a token `{name}` already; choose another name, or revoke that one first");
        return Err(OperationError::Conflicting(why));
    }
    let secret = new_secret(TOKEN_PREFIX).map_err(OperationError::Random)?;
    let token = ApiToken {
        hash: hash_secret(&secret),
        name: name.to_owned(),
        role,
        created_at: context.now(),
        created_by: by.to_owned(),
    };
    context.store.commit(Transaction::new().create(&token)).await?;
    Ok(NewToken { token, secret })
}

/// All tokens, by name.
///
/// # Errors
/// [`OperationError::Store`] when they cannot be read.
pub async fn list_tokens(context: &Context) -> Result<Vec<ApiToken>, OperationError> {
    Ok(all(context).await?.into_iter().map(|t| t.record).collect())
}

/// Revokes the token of that name: its next use is refused.
///
/// # Errors
/// [`OperationError::NotFound`]; [`OperationError::Conflicting`] when nobody could administer afterwards.
pub async fn revoke_token(context: &Context, name: &str) -> Result<(), OperationError> {
    let tokens = all(context).await?;
    if !tokens.iter().any(|t| t.record.name == name) {
        return Err(OperationError::NotFound {
            what: format!("token `{name}`"),
            hint: "list tokens with `pilothouse token ls`".to_owned(),
        });
    }
    if !tokens.iter().any(|t| t.record.role == Role::Admin && t.record.name != name) {
        let why =
            format!("cannot revoke `{name}`: it is the last token of an admin; create another one first");
        return Err(OperationError::Conflicting(why));
    }
    let ours = tokens.iter().filter(|t| t.record.name == name);
    let tx = ours
        .fold(Transaction::new(), |tx, token| tx.delete_key(pilothouse_store::Record::key(&token.record)));
    context.store.commit(tx).await?;
    Ok(())
}

/// Makes the first admin's token of an installation that has no tokens, and gives its secret; `None` when it has some.
///
/// # Errors
/// [`OperationError`] when the tokens cannot be read or written.
pub async fn first_admin_token(context: &Context) -> Result<Option<String>, OperationError> {
    if !context.store.api_tokens(1, None).await?.items.is_empty() {
        return Ok(None);
    }
    Ok(Some(create_token(context, FIRST_ADMIN, Role::Admin, SYSTEM).await?.secret))
}

async fn all(context: &Context) -> Result<Vec<Versioned<ApiToken>>, OperationError> {
    let mut tokens = Vec::new();
    let mut cursor = None;
    loop {
        let page = context.store.api_tokens(100, cursor.as_ref()).await?;
        tokens.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            return Ok(tokens);
        }
    }
}

/// Names stand in records and in approvers' lists: short, printable, without spaces.
fn check_name(name: &str) -> Result<(), Problem> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
    if name == SYSTEM || name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(allowed) {
        let message =
            format!("`{}` cannot be a token's name", name.chars().take(LONGEST_NAME).collect::<String>());
        let hint = "use 1 to 63 letters, digits, `-`, `_`, `.` or `@`, other than `system`";
        return Err(Problem::new("name", message).with_hint(hint));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_without_spaces() {
        for name in ["ci", "ann@example.com", "a.b_c-d"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "a b", "system", "a/b", &"x".repeat(64)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_new_token_does_not_show_its_secret() {
        let token = ApiToken {
            hash: "h".to_owned(),
            name: "ci".to_owned(),
            role: Role::Operator,
            created_at: jiff::Timestamp::UNIX_EPOCH,
            created_by: "ann".to_owned(),
        };
        let shown = format!("{:?}", NewToken { token, secret: "pht_hidden".to_owned() });
        assert!(!shown.contains("hidden"), "{shown}");
    }
}
