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

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

    /// Every control, in the documents' order.
    pub const ALL: [Self; 6] =
        [Self::Running, Self::Pausing, Self::Paused, Self::Stopping, Self::Stopped, Self::Interrupted];
}

impl ControlEvent {
    /// Every event.
    pub const ALL: [Self; 5] =
        [Self::PauseRequested, Self::StopRequested, Self::Resumed, Self::Drained, Self::ExecutionLost];
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
}
