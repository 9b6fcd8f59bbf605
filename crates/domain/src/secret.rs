//! References to secrets: records hold these, never a value (invariant 7).

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a secret's value is kept: `env:NAME`, `file:PATH` or `aws-secret:NAME` (optionally `#key` of a JSON secret).
///
/// The value is resolved at the last call and never stored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("format" = "pilothouse-secret-ref"))]
pub enum SecretRef {
    /// An environment variable of the process that resolves it.
    Env {
        /// The variable's name.
        name: String,
    },
    /// A file; a trailing newline is not part of the secret.
    File {
        /// An absolute or relative path.
        path: String,
    },
    /// An AWS Secrets Manager secret.
    Aws {
        /// The secret's name or ARN.
        name: String,
        /// The key of a JSON secret; without it the whole text is the value.
        key: Option<String>,
    },
}

/// A text that is no secret reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a secret reference: write `env:NAME`, `file:PATH` or `aws-secret:NAME#key` (the text given is not shown)"
)]
pub struct InvalidSecretRef;

impl FromStr for SecretRef {
    type Err = InvalidSecretRef;

    fn from_str(text: &str) -> Result<Self, InvalidSecretRef> {
        let (scheme, rest) = text.split_once(':').ok_or(InvalidSecretRef)?;
        if rest.is_empty() || rest.chars().any(char::is_control) {
            return Err(InvalidSecretRef);
        }
        match scheme {
            "env" if rest.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') => {
                Ok(Self::Env { name: rest.to_owned() })
            }
            "file" => Ok(Self::File { path: rest.to_owned() }),
            "aws-secret" => Ok(match rest.rsplit_once('#') {
                Some((name, key)) if !name.is_empty() && !key.is_empty() => {
                    Self::Aws { name: name.to_owned(), key: Some(key.to_owned()) }
                }
                Some(_) => return Err(InvalidSecretRef),
                None => Self::Aws { name: rest.to_owned(), key: None },
            }),
            _ => Err(InvalidSecretRef),
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env { name } => write!(f, "env:{name}"),
            Self::File { path } => write!(f, "file:{path}"),
            Self::Aws { name, key: Some(key) } => write!(f, "aws-secret:{name}#{key}"),
            Self::Aws { name, key: None } => write!(f, "aws-secret:{name}"),
        }
    }
}

impl TryFrom<String> for SecretRef {
    type Error = InvalidSecretRef;
    fn try_from(text: String) -> Result<Self, InvalidSecretRef> {
        text.parse()
    }
}

impl From<SecretRef> for String {
    fn from(reference: SecretRef) -> String {
        reference.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scheme_reads_back_from_its_text() {
        for text in
            ["env:SHOP_SECRET", "file:/run/secrets/a#b", "aws-secret:shop/ci#token", "aws-secret:shop"]
        {
            assert_eq!(text.parse::<SecretRef>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_refusal_does_not_repeat_what_may_be_a_secret() {
        for text in ["hunter2", "env:", "env:A B", "vault:x", "aws-secret:#k"] {
            let refused = text.parse::<SecretRef>().unwrap_err().to_string();
            assert!(!refused.contains("hunter2"), "{refused}");
        }
    }
}
