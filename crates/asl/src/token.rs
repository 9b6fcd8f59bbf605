//! Task tokens: opaque to those who hold them, and checked without a table of open tokens.
//!
//! A token names the execution and the task, and carries a keyed digest of them and of the execution's ARN and
//! start. So a token of an earlier process, whose numbers may be the same, is told from one of this process.

use sha2::{Digest, Sha256};

/// The number of an execution within its engine.
pub(crate) type Serial = u64;

/// A task within an execution: the branch that waits, and the number of the attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TaskKey {
    pub(crate) branch: u32,
    pub(crate) task: u32,
}

/// What a token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) serial: Serial,
    pub(crate) key: TaskKey,
    seal: [u8; 16],
}

/// Written before every token, so that other strings are refused as such.
const PREFIX: &str = "AQ";

impl Token {
    /// The token of a task; `secret` is the engine's, `arn` and `start_ms` the execution's.
    pub(crate) fn mint(secret: u64, serial: Serial, key: TaskKey, arn: &str, start_ms: i64) -> Self {
        let mut digest = Sha256::new();
        digest.update(secret.to_be_bytes());
        digest.update(serial.to_be_bytes());
        digest.update(key.branch.to_be_bytes());
        digest.update(key.task.to_be_bytes());
        digest.update(start_ms.to_be_bytes());
        digest.update(arn.as_bytes());
        let digest = digest.finalize();
        let mut seal = [0; 16];
        seal.copy_from_slice(&digest[..16]);
        Self { serial, key, seal }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = hex::decode(text.strip_prefix(PREFIX)?).ok()?;
        let (serial, rest) = bytes.split_first_chunk::<8>()?;
        let (branch, rest) = rest.split_first_chunk::<4>()?;
        let (task, seal) = rest.split_first_chunk::<4>()?;
        let key = TaskKey { branch: u32::from_be_bytes(*branch), task: u32::from_be_bytes(*task) };
        Some(Self { serial: u64::from_be_bytes(*serial), key, seal: seal.try_into().ok()? })
    }
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let TaskKey { branch, task } = self.key;
        write!(f, "{PREFIX}{:016x}{branch:08x}{task:08x}{}", self.serial, hex::encode(self.seal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: TaskKey = TaskKey { branch: 3, task: 9 };

    #[test]
    fn a_token_says_what_it_was_made_of() {
        let token = Token::mint(1, 7, KEY, "arn", 5);
        assert_eq!(Token::parse(&token.to_string()), Some(token));
        assert_eq!(token.key, KEY);
    }

    #[test]
    fn a_token_of_another_start_differs() {
        assert_ne!(Token::mint(1, 7, KEY, "arn", 5), Token::mint(1, 7, KEY, "arn", 6));
        assert_ne!(Token::mint(1, 7, KEY, "arn", 5), Token::mint(2, 7, KEY, "arn", 5));
    }

    #[test]
    fn anything_else_is_no_token() {
        for text in ["", "AQ", "AQzz", "hello", "AQ00"] {
            assert_eq!(Token::parse(text), None, "{text}");
        }
    }
}
