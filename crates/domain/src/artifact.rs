//! What a release carries: images, bound by digest.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One artifact of a release (T53): an image, as exactly as it is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Artifact {
    /// The pipeline's name for it.
    pub name: String,
    /// `host/repository`, or a bare repository; no tag.
    pub image: String,
    /// The tag that was pushed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// `sha256:` and 64 hex digits: what is deployed when it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

impl Artifact {
    /// The reference to put into a manifest: `image:tag@digest` with what is known of it.
    #[must_use]
    pub fn reference(&self) -> String {
        let mut text = self.image.clone();
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(digest);
        }
        text
    }

    /// Whether anything says which image of the repository is meant.
    #[must_use]
    pub fn is_bound(&self) -> bool {
        self.tag.is_some() || self.digest.is_some()
    }
}

impl fmt::Display for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reference())
    }
}
