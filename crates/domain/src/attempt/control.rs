//! What may run inside an attempt: pause, stop and resume (N12-N15), and the loss of its execution.
//!
//! | from | event | to |
//! |---|---|---|
//! | running | `PauseRequested` | pausing |
//! | pausing | `Drained` | paused |
//! | paused, interrupted | `Resumed` | running |
//! | running, pausing, paused, interrupted | `StopRequested` | stopping |
//! | running, pausing | `ExecutionLost` | interrupted |
//! | pausing, paused | `StagesOver` | running |
//! | stopping | `StagesOver` | stopped |
//! | interrupted | `Ended` | running |
//! | any but stopped | `Canceled` | stopped |

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Attempt, AttemptState, AttemptStatus};
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
    /// No stage of it is left to begin: there is nothing to hold back any more.
    StagesOver,
    /// It ended otherwise than by a cancel: nobody needs to resume it.
    Ended,
    /// It ended as canceled (A21, A32).
    Canceled,
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
            (Self::Running | Self::Pausing, E::ExecutionLost) => Self::Interrupted,
            (Self::Pausing | Self::Paused, E::StagesOver) | (Self::Interrupted, E::Ended) => Self::Running,
            (Self::Stopping, E::StagesOver) => Self::Stopped,
            (from, E::Canceled) if from != Self::Stopped => Self::Stopped,
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
            ControlEvent::StagesOver | ControlEvent::Ended | ControlEvent::Canceled => "end",
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
    pub const ALL: [Self; 8] = [
        Self::PauseRequested,
        Self::StopRequested,
        Self::Resumed,
        Self::Drained,
        Self::ExecutionLost,
        Self::StagesOver,
        Self::Ended,
        Self::Canceled,
    ];
}

impl Control {
    /// The control of an attempt that has come to `state`: what holds stages back is over with them, and whatever ends
    /// is held by nobody.
    pub(super) fn in_state(self, state: &AttemptState) -> Self {
        let canceled =
            matches!(state, AttemptState::CanceledBefore { .. } | AttemptState::CanceledAfter { .. });
        let behind = state.status() != AttemptStatus::NotDeployed && !state.runs_stages();
        let events = [
            (matches!(state, AttemptState::Cancelling { .. }), ControlEvent::StopRequested),
            (canceled, ControlEvent::Canceled),
            (behind || state.is_terminal(), ControlEvent::StagesOver),
            (state.is_terminal(), ControlEvent::Ended),
        ];
        let due = events.into_iter().filter(|(due, _)| *due);
        due.fold(self, |control, (_, event)| control.apply(event).unwrap_or(control))
    }
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
        let held = self.held.under(control, now);
        let mut next = Self { control, resume_by, held, control_reason: None, ..self.clone() };
        next.forget_losses(self.control);
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
            (Running, E::ExecutionLost, Interrupted),
            (Pausing, E::ExecutionLost, Interrupted),
            (Pausing, E::StagesOver, Running),
            (Paused, E::StagesOver, Running),
            (Stopping, E::StagesOver, Stopped),
            (Interrupted, E::Ended, Running),
            (Running, E::Canceled, Stopped),
            (Pausing, E::Canceled, Stopped),
            (Paused, E::Canceled, Stopped),
            (Stopping, E::Canceled, Stopped),
            (Interrupted, E::Canceled, Stopped),
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
        fn what_was_stopped_never_runs_again(events in proptest::collection::vec(0..ControlEvent::ALL.len(), 0..40)) {
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

    /// N15: whichever way it goes, an attempt's control moves by its table alone, and nothing that ended is held.
    #[test]
    fn a_deployment_moves_its_control_by_the_table_alone() {
        let events = crate::attempt::samples::events();
        let moves = events.len() + ControlEvent::ALL.len();
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let walks = (0..2usize, proptest::collection::vec(0..moves, 1..40));
        runner
            .run(&walks, |(from, walk)| {
                let state = if from == 0 { AttemptState::Queued } else { AttemptState::PhaseInProgress };
                let mut attempt = Attempt { state, ..attempt() };
                for step in walk {
                    let before = attempt.control;
                    let next = match events.get(step) {
                        Some(event) => attempt.apply(event.clone(), "ann", at("21T10:00")).ok(),
                        None => {
                            let event = ControlEvent::ALL[step - events.len()];
                            let asked = matches!(
                                event,
                                ControlEvent::PauseRequested
                                    | ControlEvent::StopRequested
                                    | ControlEvent::Resumed
                                    | ControlEvent::Drained
                                    | ControlEvent::ExecutionLost
                            );
                            let open = asked && !attempt.state.is_terminal();
                            open.then(|| {
                                attempt.controlled(event, "ann", at("21T10:00"), Span::from_secs(1)).ok()
                            })
                            .flatten()
                        }
                    };
                    attempt = next.unwrap_or(attempt);
                    let after = attempt.control;
                    let row = |e: &ControlEvent| before.apply(*e).is_ok_and(|c| c == after);
                    prop_assert!(
                        before == after || ControlEvent::ALL.iter().any(row),
                        "{before:?} {after:?}"
                    );
                    let over = [Control::Running, Control::Stopped];
                    prop_assert!(!attempt.state.is_terminal() || over.contains(&after), "{after:?}");
                }
                Ok(())
            })
            .unwrap();
    }

    /// N13: a pause holds back what has not begun; where nothing is left to begin, it is over.
    #[test]
    fn a_pause_is_over_with_the_stages() {
        for control in [Control::Pausing, Control::Paused] {
            let paused = Attempt { control, resume_by: Some(at("30T10:00")), ..attempt() };
            let verdict = crate::attempt::StagesVerdict::Succeeded;
            let then = Some(crate::attempt::Aftermath::Approval);
            let event = crate::attempt::AttemptEvent::StagesEnded { verdict, then };
            let after = paused.apply(event, "system", at("21T10:00")).unwrap();
            assert_eq!((after.control, after.resume_by), (Control::Running, None));
        }
    }

    #[test]
    fn a_pause_from_before_pauses_had_an_end_lasts_as_long_as_an_execution() {
        let old = Attempt { control: Control::Paused, ..attempt() };
        assert!(!old.is_hold_over("2027-10-30T00:00:00Z".parse().unwrap()));
        assert!(old.is_hold_over("2027-11-01T00:00:00Z".parse().unwrap()));
    }
}
