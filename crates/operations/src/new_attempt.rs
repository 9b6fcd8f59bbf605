//! A new attempt's record, and the event that says so.

use pilothouse_domain::attempt::{Attempt, AttemptKind, AttemptRef, AttemptState, Control, Held, Losses};
use pilothouse_domain::ids::AttemptId;
use pilothouse_domain::release::Release;
use pilothouse_domain::timeline::{EventDraft, Happening};

use crate::Context;

/// An attempt that waits to enter its lane.
pub(crate) fn new_attempt(
    context: &Context,
    release: &Release,
    environment: &str,
    number: u32,
    kind: AttemptKind,
    by: &str,
) -> Attempt {
    let at = AttemptRef { release: release.id.clone(), environment: environment.to_owned(), number };
    Attempt {
        id: AttemptId::new(context.ids.ulid()),
        at,
        application: release.application.clone(),
        kind,
        state: AttemptState::Queued,
        control: Control::Running,
        passed: Vec::new(),
        controlled_by: None,
        control_reason: None,
        resume_by: None,
        held: Held::default(),
        losses: Losses::default(),
        fence: None,
        slots: Vec::new(),
        restarts: 0,
        rolled_back_by: None,
        frozen: None,
        freeze_override: None,
        rollback_request: None,
        carried: None,
        overrides: None,
        override_reason: None,
        created_at: context.now(),
        created_by: by.to_owned(),
        started_at: None,
        ended_at: None,
        completed_at: None,
        last_modified_by: by.to_owned(),
    }
}

/// The event that an attempt was created.
pub(crate) fn queued(context: &Context, attempt: &Attempt) -> EventDraft {
    let kind = attempt.kind.name().to_owned();
    let what = match attempt.state {
        AttemptState::Scheduled { at: starts } => Happening::DeploymentScheduled { kind, starts },
        _ => Happening::DeploymentQueued { kind },
    };
    context.event(&attempt.at, &attempt.created_by, what)
}
