//! An image that cannot be pulled.
//!
//! The kubelet says `ErrImagePull` when a try fails, and `ImagePullBackOff` from then until the next try, some ten seconds
//! later; the two alternate. What the registry denies or does not have is a failure at the first `ImagePullBackOff`. Anything
//! else (no route, a name that does not resolve, a registry that answers 500 or asks to slow down) may pass: it is a failure when
//! the second try fails too, or after the grace time ([`ObserveOptions::pull_grace`](super::ObserveOptions)).

use super::containers::Found;
use super::pods::{Context, remaining};
use crate::evidence::FailureReason;

/// What a registry says, in the words of containerd and CRI-O, that no second try changes.
const FINAL: [&str; 10] = [
    "not found",
    "manifest unknown",
    "name unknown",
    "repository does not exist",
    "pull access denied",
    "unauthorized",
    "authentication required",
    "insufficient_scope",
    "is denied",
    "no match for platform",
];

/// Judges a container that waits for its image.
pub(super) fn judge(state: &str, message: &str, context: &Context<'_, '_>) -> Option<Found> {
    let backs_off = state == "ImagePullBackOff";
    let failed = Found::now(FailureReason::ImagePull, state, message);
    if tries(context) >= 2 || (backs_off && is_final(message, context)) {
        return Some(failed);
    }
    if !backs_off {
        return None;
    }
    let since = context.since(&["Failed", "BackOff"]).or(context.began);
    let left = remaining(since, context.options.pull_grace, context.now);
    // Without events nothing tells since when: the back-off itself has to do.
    let left = left.filter(|_| !context.events.is_empty());
    Some(Found { left, ..failed })
}

fn is_final(message: &str, context: &Context<'_, '_>) -> bool {
    let says = |text: &str| {
        let text = text.to_lowercase();
        FINAL.iter().any(|words| text.contains(words))
    };
    says(message) || context.warnings(&["Failed"]).any(|event| says(&event.message))
}

/// How often a pull failed since we changed the workload. Events of one text are counted in one, but the registry's words may
/// differ from time to time; the short one does not.
fn tries(context: &Context<'_, '_>) -> i64 {
    let pulls = |begin: &'static str| {
        context.warnings(&["Failed"]).filter(move |event| event.message.starts_with(begin)).map(|e| e.count)
    };
    pulls("Failed to pull image").sum::<i64>().max(pulls("Error: ErrImagePull").sum())
}
