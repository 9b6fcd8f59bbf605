//! Pipelines: `PIPELINE#a#p`, `HEAD` and `REV#00000007`; and which hooks they listen to: `HOOK#h`, `PIPELINE#a#p`.

use pilothouse_domain::saved::{HookListener, PipelineHead, PipelineRevision};
use serde_json::{Map, Value};

use super::hook;
use crate::{IndexKey, Key, Record};

/// The group of all pipelines, by application and name.
pub(crate) const ALL: &str = "PIPELINES";
/// What the sort keys of revisions begin with.
pub(crate) const REVISION: &str = "REV#";
/// What the sort keys of a hook's listeners begin with.
pub(crate) const LISTENER: &str = "PIPELINE#";

/// The partition of a pipeline.
pub(crate) fn partition(application: &str, pipeline: &str) -> String {
    format!("PIPELINE#{application}#{pipeline}")
}

/// Where a pipeline's head stands.
#[must_use]
pub fn head_key(application: &str, pipeline: &str) -> Key {
    Key::new(partition(application, pipeline), "HEAD")
}

/// Where a revision of a pipeline stands.
#[must_use]
pub fn revision_key(application: &str, pipeline: &str, revision: u32) -> Key {
    Key::new(partition(application, pipeline), format!("{REVISION}{revision:08}"))
}

/// Where it stands that a pipeline listens to a hook.
#[must_use]
pub fn listener_key(hook: &str, application: &str, pipeline: &str) -> Key {
    Key::new(hook::partition(hook), format!("{LISTENER}{application}#{pipeline}"))
}

impl Record for PipelineHead {
    const SCHEMA: u32 = 1;
    const KIND: &'static str = "pipeline";

    fn key(&self) -> Key {
        head_key(&self.application, &self.pipeline)
    }

    fn group(&self) -> Option<IndexKey> {
        Some(IndexKey::new(ALL, format!("{}#{}", self.application, self.pipeline)))
    }
}

impl Record for PipelineRevision {
    /// 2: stages may name their clusters; who does not know that would run them in the environment's.
    const SCHEMA: u32 = 2;
    const KIND: &'static str = "revision";

    fn key(&self) -> Key {
        revision_key(&self.spec.application, &self.spec.pipeline, self.revision)
    }

    fn upgrade(_: u32, fields: Map<String, Value>) -> Result<Map<String, Value>, String> {
        // Before, every stage acted on its environment's cluster: so the defaults say.
        Ok(fields)
    }
}

impl Record for HookListener {
    const SCHEMA: u32 = 1;
    const KIND: &'static str = "listener";

    fn key(&self) -> Key {
        listener_key(&self.hook, &self.application, &self.pipeline)
    }
}
