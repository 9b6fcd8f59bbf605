//! A number of pods, or a share of those that there are.

use pilothouse_domain::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stages::check;

/// So many pods, or such a share (T44).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "PodAmount")]
pub enum Amount {
    /// So many.
    Count(u32),
    /// `50%`, a number as text, or an expression that gives either.
    Text(String),
}

impl Amount {
    /// Whether it is a share.
    pub(in crate::stages) fn is_share(&self) -> bool {
        matches!(self, Self::Text(text) if text.trim().ends_with('%'))
    }

    /// What is wrong with it, unless that is known only when the stage begins.
    pub(in crate::stages) fn problem(&self, path: &str) -> Option<Problem> {
        match self {
            Self::Text(text) if check::has_expression(text) => None,
            known => known.of(0).err().map(|told| Problem::new(path, told)),
        }
    }

    /// The number, of so many; a share is rounded up.
    pub(in crate::stages) fn of(&self, pods: u32) -> Result<u32, String> {
        let text = match self {
            Self::Count(count) => return Ok(*count),
            Self::Text(text) => text.trim(),
        };
        let number = |text: &str| text.trim().parse::<u32>().ok();
        let wanted = match text.strip_suffix('%') {
            None => number(text),
            Some(percent) => number(percent)
                .and_then(|percent| u32::try_from((u64::from(pods) * u64::from(percent)).div_ceil(100)).ok()),
        };
        wanted.ok_or_else(|| {
            format!("`{text}` is no amount: write a number of pods such as 2, or a share such as 50%")
        })
    }
}
