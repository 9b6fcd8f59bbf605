//! Which parts of a value an expression reads.

/// The parts of one value that are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Projection {
    /// All of it.
    All,
    /// Only the members with these names, and of those only some parts.
    Members(Vec<(Box<str>, Projection)>),
}

impl Projection {
    pub(crate) fn nothing() -> Self {
        Self::Members(Vec::new())
    }

    /// Adds the part at the end of `path`.
    pub(crate) fn add(&mut self, path: &[&str]) {
        let Self::Members(members) = self else { return };
        let Some((first, rest)) = path.split_first() else {
            *self = Self::All;
            return;
        };
        let index = match members.iter().position(|(name, _)| **name == **first) {
            Some(index) => index,
            None => {
                members.push(((*first).into(), Self::nothing()));
                members.len() - 1
            }
        };
        members[index].1.add(rest);
    }

    /// What is read of the member `name`; `None` when nothing is.
    pub(crate) fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::All => Some(&Self::All),
            Self::Members(members) => {
                members.iter().find(|(member, _)| **member == *name).map(|(_, part)| part)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shorter_path_swallows_the_longer_ones() {
        let mut projection = Projection::nothing();
        projection.add(&["input", "a", "b"]);
        projection.add(&["input", "c"]);
        assert!(projection.member("result").is_none());
        let input = projection.member("input").unwrap();
        assert_eq!(input.member("c"), Some(&Projection::All));
        assert_eq!(input.member("a").unwrap().member("x"), None);
        projection.add(&["input"]);
        assert_eq!(projection.member("input"), Some(&Projection::All));
    }
}
