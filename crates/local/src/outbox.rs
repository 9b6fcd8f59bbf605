//! What delivers notifications on AWS every minute, here as soon as there is one: the store rings when it has written a message,
//! and a try that failed is made again when it is due. Where nobody is told of anything, it looks once a minute.

use std::time::Duration;

use pilothouse_operations::{Context, Notified};
use serde_json::json;
use tokio::task::JoinHandle;

const MINUTE: Duration = Duration::from_secs(60);
/// At least so long between two looks that nothing rang for.
const SHORTEST: Duration = Duration::from_millis(200);

/// Runs until the handle is aborted.
pub(crate) fn spawn(context: Context) -> JoinHandle<()> {
    tokio::spawn(async move {
        let bell = context.store.outbox_bell();
        loop {
            let pause = match pilothouse_notify::handle(&context, json!({})).await {
                Ok(done) => until_next(&context, &serde_json::from_value(done).unwrap_or_default()),
                Err(error) => {
                    tracing::warn!(%error, "the outbox cannot be read; the next look is in a minute");
                    MINUTE
                }
            };
            // A bell that rang while we were delivering is heard now.
            let _ = tokio::time::timeout(pause, bell.notified()).await;
        }
    })
}

fn until_next(context: &Context, done: &Notified) -> Duration {
    let Some(next) = done.next else { return MINUTE };
    let millis = next.as_millisecond() - context.now().as_millisecond();
    Duration::from_millis(u64::try_from(millis).unwrap_or(0)).clamp(SHORTEST, MINUTE)
}
