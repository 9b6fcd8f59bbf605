//! Waiting: look again and again until it is so, with a deadline, never for a fixed time.

use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::process::Command;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How long anything may take. Far more than it takes: a machine with two cores runs several tests at once, and may be
/// busy with other things.
pub(crate) const WITHIN: Duration = Duration::from_secs(240);

/// How often is looked.
const EVERY: Duration = Duration::from_millis(40);

/// What `look` finds, as soon as it finds something.
///
/// # Errors
/// It failed, or found nothing within [`WITHIN`].
pub(crate) async fn eventually<T>(
    what: &str,
    mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + WITHIN;
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Some(found) = look().await.with_context(|| format!("while waiting for {what}"))? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("not seen within {} s: {what}", WITHIN.as_secs());
        }
    }
}

/// Runs a program to its end and gives what it wrote to its standard output.
///
/// # Errors
/// It cannot be started, fails (with what it wrote to its standard error), or does not end within [`WITHIN`].
pub(crate) async fn output(command: &mut Command) -> anyhow::Result<String> {
    let shown = format!("{:?}", command.as_std());
    let run = command.stdin(std::process::Stdio::null()).kill_on_drop(true).output();
    let done = tokio::time::timeout(WITHIN, run)
        .await
        .with_context(|| format!("it does not end: {shown}"))?
        .with_context(|| format!("cannot run {shown}"))?;
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    if !done.status.success() {
        bail!("{shown} ended with {}\n{out}{err}", done.status);
    }
    Ok(out.into_owned())
}
