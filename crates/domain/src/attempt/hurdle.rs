//! What stands between an attempt's creation and its first stage, in order.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One thing that an attempt passes before its stages begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Hurdle {
    /// A time to start at (A14).
    Schedule,
    /// The environment's lane (A13, X2).
    Lane,
    /// The installation's limit (A20, A27).
    Limit,
    /// The gates before deployment (A34).
    Gates,
    /// The approval before deployment (A15).
    Approval,
    /// A slot of the cluster (A19, A26).
    Slot,
}

/// Which hurdles an attempt has to pass, as its environment and the installation have it just now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "one answer for each hurdle that is not everyone's")]
pub struct Course {
    /// The installation limits how many deployments run at once.
    pub limit: bool,
    /// There are gates before deployment.
    pub gates: bool,
    /// There is an approval before deployment.
    pub approval: bool,
    /// The gates come after the approval.
    pub gates_after_approval: bool,
    /// The cluster limits how many deployments it takes at once.
    pub slot: bool,
}

impl Course {
    /// The first hurdle behind all that were passed; `None`: the stages may begin. What lies before the last one
    /// passed is not gone back to, whatever the installation was set to meanwhile.
    #[must_use]
    pub fn ahead(&self, passed: &[Hurdle]) -> Option<Hurdle> {
        let (first, second) = if self.gates_after_approval {
            (Hurdle::Approval, Hurdle::Gates)
        } else {
            (Hurdle::Gates, Hurdle::Approval)
        };
        let order = [Hurdle::Lane, Hurdle::Limit, first, second, Hurdle::Slot];
        let done = order.iter().rposition(|hurdle| passed.contains(hurdle)).map_or(0, |last| last + 1);
        order.into_iter().skip(done).find(|hurdle| self.has(*hurdle))
    }

    fn has(&self, hurdle: Hurdle) -> bool {
        match hurdle {
            Hurdle::Schedule => false,
            Hurdle::Lane => true,
            Hurdle::Limit => self.limit,
            Hurdle::Gates => self.gates,
            Hurdle::Approval => self.approval,
            Hurdle::Slot => self.slot,
        }
    }
}

/// What follows the stages of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aftermath {
    /// The gates after deployment (A36).
    Gates,
    /// The approval after deployment (A25).
    Approval,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gates_come_where_the_environment_wants_them() {
        let all =
            Course { limit: true, gates: true, approval: true, gates_after_approval: false, slot: true };
        let order = |course: Course| {
            let mut passed = Vec::new();
            while let Some(next) = course.ahead(&passed) {
                passed.push(next);
            }
            passed
        };
        use Hurdle::{Approval, Gates, Lane, Limit, Slot};
        assert_eq!(order(all), [Lane, Limit, Gates, Approval, Slot]);
        assert_eq!(order(Course { gates_after_approval: true, ..all }), [Lane, Limit, Approval, Gates, Slot]);
        assert_eq!(order(Course::default()), [Lane]);
    }
}
