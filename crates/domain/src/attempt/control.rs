//! What may run inside an attempt: pause, stop and resume (N12-N15), and the loss of its execution.
//!
//! | from | event | to |
//! |---|---|---|
//! | running | `PauseRequested` | pausing |
//! | pausing | `Drained` | paused |
//! | paused, interrupted | `Resumed` | running |
//! | running, pausing, paused, interrupted | `StopRequested` | stopping |
//! | stopping | `Drained` | stopped |
//! | running, pausing | `ExecutionLost` | interrupted |

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Attempt;
use crate::duration::{FARTHEST, Span};

/// What may run inside an attempt (N12-N15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Control {
    /// New stages may start.
    Running,
    /// What runs comes to its end; nothing new starts until it is resumed (N13).
    Pausing,
    /// Nothing runs and nothing new starts until it is resumed (N13).
    Paused,
    /// What runs comes to its end; nothing new starts (N12), or it is cancelled (A28).
    Stopping,
    /// Stopped for good.
    Stopped,
    /// Its execution was lost too often to be started again by itself (N15).
    Interrupted,
}

/// What can happen to an attempt's control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlEvent {
    /// A person asked to pause (N13).
    PauseRequested,
    /// A person asked to stop, or to cancel (N12, H4).
    StopRequested,
    /// A person resumed it, or `sweep` did (N14).
    Resumed,
    /// The last stage that ran came to its end.
    Drained,
    /// Its execution was lost too often.
    ExecutionLost,
}

/// A change of control that the present one does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot {action}: the deployment is {control:?}{hint}")]
pub struct ControlRefused {
    /// What was asked for, in the imperative.
    pub action: &'static str,
    /// The present control.
    pub control: Control,
    hint: &'static str,
}

impl ControlRefused {
    /// What to do instead; empty when there is nothing.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        self.hint
    }
}

impl Control {
    /// The control after `event`.
    ///
    /// # Errors
    /// [`ControlRefused`] when the table at the top of this file has no such row.
    pub fn apply(self, event: ControlEvent) -> Result<Self, ControlRefused> {
        use ControlEvent as E;
        Ok(match (self, event) {
            (Self::Running, E::PauseRequested) => Self::Pausing,
            (Self::Pausing, E::Drained) => Self::Paused,
            (Self::Paused | Self::Interrupted, E::Resumed) => Self::Running,
            (Self::Running | Self::Pausing | Self::Paused | Self::Interrupted, E::StopRequested) => {
                Self::Stopping
            }
            (Self::Stopping, E::Drained) => Self::Stopped,
            (Self::Running | Self::Pausing, E::ExecutionLost) => Self::Interrupted,
            _ => return Err(self.refuse(event)),
        })
    }

    fn refuse(self, event: ControlEvent) -> ControlRefused {
        let action = match event {
            ControlEvent::PauseRequested => "pause",
            ControlEvent::StopRequested => "stop",
            ControlEvent::Resumed => "resume",
            ControlEvent::Drained => "come to rest",
            ControlEvent::ExecutionLost => "interrupt",
        };
        let hint = match (self, event) {
            (Self::Pausing, ControlEvent::Resumed) => "; wait until what runs has ended",
            (Self::Stopping | Self::Stopped, ControlEvent::Resumed) => "; deploy again instead",
            _ => "",
        };
        ControlRefused { action, control: self, hint }
    }

    /// Whether nothing follows.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        self == Self::Stopped
    }

    /// Whether nothing new begins until somebody resumes it (N13, N15).
    #[must_use]
    pub fn is_held(self) -> bool {
        matches!(self, Self::Pausing | Self::Paused | Self::Interrupted)
    }

    /// Every control, in the documents' order.
    pub const ALL: [Self; 6] =
        [Self::Running, Self::Pausing, Self::Paused, Self::Stopping, Self::Stopped, Self::Interrupted];
}

impl ControlEvent {
    /// Every event.
    pub const ALL: [Self; 5] =
        [Self::PauseRequested, Self::StopRequested, Self::Resumed, Self::Drained, Self::ExecutionLost];
}

impl Attempt {
    /// The attempt after `event` of its control, which `by` asked for at `now`. From the moment in which it is held back
    /// somebody has `patience` to resume it.
    ///
    /// # Errors
    /// [`ControlRefused`] when its control does not allow it.
    pub fn controlled(
        &self,
        event: ControlEvent,
        by: &str,
        now: Timestamp,
        patience: Span,
    ) -> Result<Self, ControlRefused> {
        let control = self.control.apply(event)?;
        let since_before = self.resume_by.filter(|_| self.control.is_held());
        let resume_by = control.is_held().then(|| since_before.unwrap_or_else(|| patience.after(now)));
        let mut next = Self { control, resume_by, control_reason: None, ..self.clone() };
        if event != ControlEvent::Drained {
            next.controlled_by = Some(by.to_owned());
            by.clone_into(&mut next.last_modified_by);
        }
        Ok(next)
    }

    /// Whether nobody resumed it in time. What was paused before pauses had an end lasts as long as an execution may.
    #[must_use]
    pub fn is_hold_over(&self, now: Timestamp) -> bool {
        let until = || self.resume_by.unwrap_or_else(|| FARTHEST.after(self.created_at));
        self.control.is_held() && !self.state.is_terminal() && until() <= now
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_tables_rows_are_there() {
        use Control::{Interrupted, Paused, Pausing, Running, Stopped, Stopping};
        use ControlEvent as E;
        let rows = [
            (Running, E::PauseRequested, Pausing),
            (Pausing, E::Drained, Paused),
            (Paused, E::Resumed, Running),
            (Interrupted, E::Resumed, Running),
            (Running, E::StopRequested, Stopping),
            (Pausing, E::StopRequested, Stopping),
            (Paused, E::StopRequested, Stopping),
            (Interrupted, E::StopRequested, Stopping),
            (Stopping, E::Drained, Stopped),
            (Running, E::ExecutionLost, Interrupted),
            (Pausing, E::ExecutionLost, Interrupted),
        ];
        for from in Control::ALL {
            for event in ControlEvent::ALL {
                let row = rows.iter().find(|(f, e, _)| (*f, *e) == (from, event)).map(|r| r.2);
                assert_eq!(from.apply(event).ok(), row, "{from:?} {event:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_was_stopped_never_runs_again(events in proptest::collection::vec(0..5usize, 0..40)) {
            let mut control = Control::Stopping;
            for event in events {
                control = control.apply(ControlEvent::ALL[event]).unwrap_or(control);
                prop_assert!(matches!(control, Control::Stopping | Control::Stopped));
            }
        }
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let refused = Control::Stopped.apply(ControlEvent::Resumed).unwrap_err();
        assert_eq!(refused.to_string(), "cannot resume: the deployment is Stopped; deploy again instead");
    }

    fn at(time: &str) -> Timestamp {
        format!("2026-11-{time}:00Z").parse().unwrap()
    }

    fn attempt() -> Attempt {
        let text = r#"{"id": "dep_01KAJZ3D4Q9T5W4N7J4D1V8Z2X", "release": "rel_01KAJZ3D4Q9T5W4N7J4D1V8Z2X",
            "environment": "dev", "number": 1, "application": "shop", "kind": {"kind": "deploy"},
            "state": {"state": "PhaseInProgress"}, "control": "running", "restarts": 0,
            "createdAt": "2026-11-01T00:00:00Z", "createdBy": "ann", "lastModifiedBy": "ann"}"#;
        serde_json::from_str(text).unwrap()
    }

    /// X3: the time to resume it counts from when it was asked for, and ends with the pause.
    #[test]
    fn a_pause_has_an_end_of_its_own() {
        let patience = Span::from_secs(3600);
        let held = |from: &Attempt, event, time| from.controlled(event, "ann", at(time), patience).unwrap();
        let pausing = held(&attempt(), ControlEvent::PauseRequested, "21T10:00");
        assert_eq!(pausing.resume_by, Some(at("21T11:00")));
        let paused = held(&pausing, ControlEvent::Drained, "21T10:30");
        assert_eq!((paused.control, paused.resume_by), (Control::Paused, pausing.resume_by));
        assert!(!paused.is_hold_over(at("21T10:59")) && paused.is_hold_over(at("21T11:00")));
        let resumed = held(&paused, ControlEvent::Resumed, "21T10:40");
        assert_eq!(resumed.resume_by, None);
        assert!(!resumed.is_hold_over(at("30T10:00")));
        let again = held(&resumed, ControlEvent::ExecutionLost, "21T12:00");
        assert_eq!(again.resume_by, Some(at("21T13:00")));
    }

    #[test]
    fn what_ends_while_it_is_paused_needs_nobody_to_resume_it() {
        let patience = Span::from_secs(3600);
        let pausing =
            attempt().controlled(ControlEvent::PauseRequested, "ann", at("21T10:00"), patience).unwrap();
        let broken = crate::attempt::AttemptEvent::MachineryFailed { reason: "no".to_owned() };
        let ended = pausing.apply(broken, "system", at("21T10:01")).unwrap();
        assert_eq!(ended.resume_by, None);
        assert!(!ended.is_hold_over(at("30T10:00")));
    }

    #[test]
    fn a_pause_from_before_pauses_had_an_end_lasts_as_long_as_an_execution() {
        let old = Attempt { control: Control::Paused, ..attempt() };
        assert!(!old.is_hold_over("2027-10-30T00:00:00Z".parse().unwrap()));
        assert!(old.is_hold_over("2027-11-01T00:00:00Z".parse().unwrap()));
    }
}
