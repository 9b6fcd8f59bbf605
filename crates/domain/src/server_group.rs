//! The names of clusters and server groups: `app-stack-detail-vNNN` (T6, T7).
//!
//! A cluster is all versions of one thing that runs in one place: `shop`, `shop-prod`, `shop-prod-canary`, or `shop--canary` with
//! a detail and no stack. A server group is one version of it: `shop-prod-canary-v012`. The numbers have three digits and begin
//! again at `v000` after `v999`. The rules are those of Spinnaker (Frigga), so that what it deployed is found again, with one
//! more freedom: an application may have dashes in its name, and then it must be known to read a name
//! ([`ClusterName::parse_of`]).

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many numbers there are: `v000` to `v999`.
pub const SEQUENCES: u16 = 1000;

/// The longest name of a server group: that of a label, so that Kubernetes can select by it.
pub const LONGEST: usize = 63;

/// Why something cannot be the name of a cluster or of a server group.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` cannot be the {part} of a server group: {reason}")]
pub struct BadName {
    text: String,
    part: &'static str,
    reason: &'static str,
}

/// A cluster: an application, where it runs (`prod`), and what of it (`canary`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterName {
    application: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stack: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl ClusterName {
    /// A cluster of these parts; an empty stack or detail is none.
    ///
    /// # Errors
    /// [`BadName`]: letters that a Kubernetes name cannot have, a stack with a dash, a part that reads as a number
    /// (`v012`), or all of it too long for a server group's name.
    pub fn new(application: &str, stack: Option<&str>, detail: Option<&str>) -> Result<Self, BadName> {
        let (stack, detail) = (stack.filter(|s| !s.is_empty()), detail.filter(|d| !d.is_empty()));
        check("application", application, true)?;
        if let Some(stack) = stack {
            check("stack", stack, false)?;
        }
        if let Some(detail) = detail {
            check("detail", detail, true)?;
        }
        let owned = |part: Option<&str>| part.map(str::to_owned);
        let name = Self { application: application.to_owned(), stack: owned(stack), detail: owned(detail) };
        let length = name.to_string().len() + Sequence::SUFFIX;
        match length <= LONGEST {
            true => Ok(name),
            false => Err(bad(
                "name",
                &name.to_string(),
                "with its number it has more than 63 characters; shorten it",
            )),
        }
    }

    /// Reads `app-stack-detail`, of an application without dashes.
    ///
    /// # Errors
    /// [`BadName`], as for [`ClusterName::new`].
    pub fn parse(text: &str) -> Result<Self, BadName> {
        let application = text.split_once('-').map_or(text, |(application, _)| application);
        Self::parse_of(application, text)
    }

    /// Reads the name of a cluster of that application, which may have dashes: `my-shop-prod` of `my-shop`.
    ///
    /// # Errors
    /// [`BadName`], also when the name does not begin with the application's.
    pub fn parse_of(application: &str, text: &str) -> Result<Self, BadName> {
        let rest = text.strip_prefix(application).filter(|rest| rest.is_empty() || rest.starts_with('-'));
        let Some(rest) = rest else {
            return Err(bad("name", text, "it does not begin with the application's name"));
        };
        match rest.strip_prefix('-') {
            None => Self::new(application, None, None),
            Some("") => Err(bad("name", text, "it ends with a dash")),
            Some(rest) => match rest.split_once('-') {
                None => Self::new(application, Some(rest), None),
                Some((_, "")) => Err(bad("name", text, "it ends with a dash")),
                Some((stack, detail)) => Self::new(application, Some(stack), Some(detail)),
            },
        }
    }

    /// The application.
    #[must_use]
    pub fn application(&self) -> &str {
        &self.application
    }

    /// Where it runs: `prod`, `staging`, `test`.
    #[must_use]
    pub fn stack(&self) -> Option<&str> {
        self.stack.as_deref()
    }

    /// What of the application: `canary`, `worker`.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// Its server group of that number.
    #[must_use]
    pub fn server_group(&self, sequence: Sequence) -> ServerGroupName {
        ServerGroupName { cluster: self.clone(), sequence }
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.application)?;
        match (&self.stack, &self.detail) {
            (None, None) => Ok(()),
            (Some(stack), None) => write!(f, "-{stack}"),
            (stack, Some(detail)) => write!(f, "-{}-{detail}", stack.as_deref().unwrap_or_default()),
        }
    }
}

/// The number of a server group, 0 to 999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Sequence(u16);

impl Sequence {
    /// `-v000`
    const SUFFIX: usize = 5;

    /// The number; `None` above 999.
    #[must_use]
    pub fn new(number: u16) -> Option<Self> {
        (number < SEQUENCES).then_some(Self(number))
    }

    /// The number.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }

    /// The number of the next server group of a cluster: the one after the `newest` (the one that was created last, not that of
    /// the highest number), modulo 1000, that is not `taken`; `None` when all are taken. The first is `v000`.
    #[must_use]
    pub fn next(newest: Option<Self>, taken: &[Self]) -> Option<Self> {
        let begin = newest.map_or(0, |newest| newest.0 + 1);
        (0..SEQUENCES).map(|ahead| Self((begin + ahead) % SEQUENCES)).find(|next| !taken.contains(next))
    }

    /// Reads `v012`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits =
            text.strip_prefix('v').filter(|d| d.len() == 3 && d.bytes().all(|b| b.is_ascii_digit()))?;
        Self::new(digits.parse().ok()?)
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{:03}", self.0)
    }
}

/// One version of a cluster: `app-stack-detail-vNNN`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerGroupName {
    cluster: ClusterName,
    sequence: Sequence,
}

impl ServerGroupName {
    /// Reads `app-stack-detail-v012`, of an application without dashes; `None` for a name without a number, or one that
    /// cannot be a cluster's.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (cluster, sequence) = numbered(text)?;
        Some(ClusterName::parse(cluster).ok()?.server_group(sequence))
    }

    /// Reads the name of a server group of that application, which may have dashes.
    #[must_use]
    pub fn parse_of(application: &str, text: &str) -> Option<Self> {
        let (cluster, sequence) = numbered(text)?;
        Some(ClusterName::parse_of(application, cluster).ok()?.server_group(sequence))
    }

    /// The cluster that it is a version of.
    #[must_use]
    pub fn cluster(&self) -> &ClusterName {
        &self.cluster
    }

    /// Its number.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }
}

impl fmt::Display for ServerGroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.cluster, self.sequence)
    }
}

fn numbered(text: &str) -> Option<(&str, Sequence)> {
    let (cluster, sequence) = text.rsplit_once('-')?;
    Some((cluster, Sequence::parse(sequence)?))
}

fn bad(part: &'static str, text: &str, reason: &'static str) -> BadName {
    BadName { text: text.to_owned(), part, reason }
}

fn check(part: &'static str, text: &str, dashes: bool) -> Result<(), BadName> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || (c == '-' && dashes);
    if text.is_empty() {
        return Err(bad(part, text, "it is empty"));
    }
    if !text.chars().all(fits) {
        let reason = match dashes {
            true => "use lower case letters, digits and `-`",
            false => "use lower case letters and digits; a dash would begin the detail",
        };
        return Err(bad(part, text, reason));
    }
    if text.starts_with('-') || text.ends_with('-') {
        return Err(bad(part, text, "begin and end it with a letter or digit"));
    }
    if text.split('-').any(|word| Sequence::parse(word).is_some()) {
        return Err(bad(part, text, "`v` and three digits are the number of a server group"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_read_as_spinnaker_reads_them() {
        let read = |text: &str| {
            let group = ServerGroupName::parse(text).unwrap();
            let cluster = group.cluster();
            let owned = |part: Option<&str>| part.unwrap_or("none").to_owned();
            assert_eq!(group.to_string(), text);
            (
                cluster.application().to_owned(),
                owned(cluster.stack()),
                owned(cluster.detail()),
                group.sequence().number(),
            )
        };
        let parts = |a: &str, s: &str, d: &str, n| (a.to_owned(), s.to_owned(), d.to_owned(), n);
        assert_eq!(read("shop-v000"), parts("shop", "none", "none", 0));
        assert_eq!(read("shop-prod-v012"), parts("shop", "prod", "none", 12));
        assert_eq!(read("shop-prod-canary-eu-v999"), parts("shop", "prod", "canary-eu", 999));
        assert_eq!(read("shop--canary-v001"), parts("shop", "none", "canary", 1));
        for not_a_group in
            ["shop", "shop-prod", "shop-v12", "shop-v0012", "v001", "-v001", "Shop-v001", "shop--v001"]
        {
            assert_eq!(ServerGroupName::parse(not_a_group), None, "{not_a_group}");
        }
    }

    #[test]
    fn an_application_with_dashes_is_read_when_it_is_known() {
        let group = ServerGroupName::parse_of("my-shop", "my-shop-prod-v003").unwrap();
        assert_eq!((group.cluster().application(), group.cluster().stack()), ("my-shop", Some("prod")));
        assert_eq!(ServerGroupName::parse_of("my-shop", "my-shopping-v003"), None);
        assert_eq!(ClusterName::parse_of("my-shop", "my-shop").unwrap().to_string(), "my-shop");
    }

    #[test]
    fn a_name_that_could_be_read_otherwise_is_refused_with_the_reason() {
        let refused = |stack, detail| ClusterName::new("shop", stack, detail).unwrap_err().to_string();
        assert_eq!(
            refused(Some("prod-eu"), None),
            "`prod-eu` cannot be the stack of a server group: use lower case letters and digits; a dash would begin the detail"
        );
        assert!(
            refused(None, Some("blue-v001"))
                .ends_with("`v` and three digits are the number of a server group")
        );
        assert!(refused(None, Some("-blue")).contains("begin and end it with a letter or digit"));
        assert!(refused(Some(&"a".repeat(60)), None).contains("more than 63 characters"));
        assert!(ClusterName::new("", None, None).unwrap_err().to_string().contains("it is empty"));
    }

    #[test]
    fn the_next_number_follows_the_newest_and_passes_over_those_in_use() {
        let n = |number| Sequence::new(number).unwrap();
        assert_eq!(Sequence::next(None, &[]), Some(n(0)));
        assert_eq!(Sequence::next(Some(n(7)), &[n(7), n(8)]), Some(n(9)));
        assert_eq!(Sequence::next(Some(n(999)), &[n(998), n(999)]), Some(n(0)));
        let all: Vec<Sequence> = (0..SEQUENCES).map(n).collect();
        assert_eq!(Sequence::next(Some(n(3)), &all), None);
        assert_eq!(Sequence::new(SEQUENCES), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            application in "[a-z][a-z0-9]{0,9}(-[a-z]{1,5})?", stack in proptest::option::of("[a-z]{1,8}"),
            detail in proptest::option::of("[a-z]{1,6}(-[a-z]{1,6})?"), number in 0..SEQUENCES,
        ) {
            let cluster = ClusterName::new(&application, stack.as_deref(), detail.as_deref()).unwrap();
            let group = cluster.server_group(Sequence::new(number).unwrap());
            prop_assert_eq!(ServerGroupName::parse_of(&application, &group.to_string()), Some(group));
        }
    }
}
