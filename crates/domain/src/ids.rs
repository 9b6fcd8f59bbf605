//! Identifiers: newtypes with a prefix, so that an id says what it names and cannot be taken for another.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A text that is not the identifier it was given as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not {what}: expected `{prefix}` and 26 characters of a ULID")]
pub struct InvalidId {
    given: String,
    what: &'static str,
    prefix: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// What every such id begins with.
            pub const PREFIX: &'static str = $prefix;

            /// The id that stands on `ulid`.
            #[must_use]
            pub fn new(ulid: ulid::Ulid) -> Self {
                Self(format!("{}{ulid}", $prefix))
            }

            /// The id as text, prefix included.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let refused = || InvalidId { given: text.chars().take(60).collect(), what: $what, prefix: $prefix };
                let rest = text.strip_prefix($prefix).ok_or_else(refused)?;
                ulid::Ulid::from_string(rest).map_err(|_| refused())?;
                Ok(Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

id!(
    /// A release: `rel_` and a ULID, so that ids sort by the time of creation.
    ReleaseId, "rel_", "a release id"
);
id!(
    /// A deployment attempt: `dep_` and a ULID.
    AttemptId, "dep_", "a deployment attempt id"
);
id!(
    /// The run of one stage in one attempt: `stg_` and a ULID.
    StageRunId, "stg_", "a stage run id"
);
id!(
    /// An approval: `apr_` and a ULID.
    ApprovalId, "apr_", "an approval id"
);
id!(
    /// A single-use approval link: `lnk_` and a ULID.
    LinkId, "lnk_", "an approval link id"
);
id!(
    /// A webhook delivery: `dlv_` and a ULID.
    DeliveryId, "dlv_", "a delivery id"
);
id!(
    /// A freeze that somebody declared: `frz_` and a ULID.
    FreezeId, "frz_", "a freeze id"
);

impl ReleaseId {
    /// The release that a stage run starts (T36): the same however often the step is repeated, so that it starts one.
    #[must_use]
    pub fn of_child(run: &StageRunId) -> Self {
        let ulid = run.0.strip_prefix(StageRunId::PREFIX).unwrap_or(&run.0);
        Self(format!("{}{ulid}", Self::PREFIX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_from_its_text() {
        let id = ReleaseId::new(ulid::Ulid::from_parts(1, 2));
        assert_eq!(id.to_string().parse::<ReleaseId>(), Ok(id.clone()));
        assert_eq!(serde_json::from_str::<ReleaseId>(&format!("\"{id}\"")).unwrap(), id);
    }

    #[test]
    fn a_stage_run_gives_the_id_of_the_release_that_it_starts() {
        let run = StageRunId::new(ulid::Ulid::from_parts(1, 2));
        assert_eq!(ReleaseId::of_child(&run), ReleaseId::new(ulid::Ulid::from_parts(1, 2)));
    }

    #[test]
    fn an_id_of_another_kind_is_refused_and_named() {
        let attempt = AttemptId::new(ulid::Ulid::from_parts(1, 2)).to_string();
        let refused = attempt.parse::<ReleaseId>().unwrap_err().to_string();
        assert!(refused.contains("is not a release id") && refused.contains("rel_"), "{refused}");
    }
}
