//! How long an attempt was held: what has a bounded time as a whole is given that time back (N13, N15, X4).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Control;
use crate::duration::{FARTHEST, Span};

/// For how long nothing of an attempt ran because it was paused or interrupted, counted from when its stages began.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// Since when it is held now; absent when it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// For how long it was held before.
    #[serde(default)]
    before: Span,
}

impl Held {
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// With the attempt's control as it is from `now` on. While it only pauses, what runs goes on, and so does its time.
    pub(super) fn under(&self, control: Control, now: Timestamp) -> Self {
        match (control, self.since) {
            (Control::Paused | Control::Interrupted, since) => {
                Self { since: since.or(Some(now)), before: self.before }
            }
            (_, Some(since)) => {
                let both = self.before.as_millis().saturating_add(Span::between(since, now).as_millis());
                // No longer than a record can say; a pause ends before.
                Self { since: None, before: Span::from_millis(both).min(FARTHEST) }
            }
            (_, None) => self.clone(),
        }
    }

    /// How long it has been held by `now`, if it is.
    #[must_use]
    pub fn lasting(&self, now: Timestamp) -> Option<Span> {
        self.since.map(|since| Span::between(since, now))
    }

    /// A deadline, put off by the time in which the attempt was held; none while it is.
    pub(super) fn put_off(&self, deadline: Timestamp) -> Option<Timestamp> {
        self.since.is_none().then(|| self.before.after(deadline))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + seconds).unwrap()
    }

    #[test]
    fn a_deadline_is_put_off_by_each_pause_and_stands_in_none() {
        let running = Held::default();
        assert_eq!(running.put_off(at(900)), Some(at(900)));
        let pausing = running.under(Control::Pausing, at(10));
        assert_eq!(pausing, running, "what runs has its time meanwhile");
        let paused = pausing.under(Control::Paused, at(20));
        assert_eq!(paused.put_off(at(900)), None);
        let resumed = paused.under(Control::Running, at(3620));
        assert_eq!(resumed.put_off(at(900)), Some(at(4500)));
        let again = resumed.under(Control::Interrupted, at(4000)).under(Control::Stopping, at(4100));
        assert_eq!(again.put_off(at(900)), Some(at(4600)));
        assert_eq!(again.under(Control::Stopped, at(9000)), again);
    }

    #[test]
    fn records_of_before_this_version_were_never_held_and_the_longest_can_be_read_again() {
        assert_eq!(serde_json::from_str::<Held>("{}").unwrap(), Held::default());
        let mut held = Held::default();
        for year in 0..3 {
            held = held.under(Control::Paused, at(year * 40_000_000));
            held = held.under(Control::Running, at(year * 40_000_000 + 31_000_000));
        }
        let text = serde_json::to_string(&held).unwrap();
        assert_eq!(serde_json::from_str::<Held>(&text).unwrap(), held);
    }
}
