//! What EventBridge does on AWS: a sweep every minute, and the schedules of cron triggers (T59), each fire as the
//! event that EventBridge Scheduler would send.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use pilothouse_connector::dynamodb::{Database, sweep_expired};
use pilothouse_operations::{Context, due_schedules};
use serde_json::json;
use tokio::task::JoinHandle;

const MINUTE: Duration = Duration::from_secs(60);

/// Runs until the handle is aborted.
pub(crate) fn spawn(context: Context, database: Database) -> JoinHandle<()> {
    tokio::spawn(async move {
        let database = Arc::new(database);
        let mut seen = context.now();
        let mut minutes: u32 = 0;
        loop {
            tokio::time::sleep(until_next_minute(context.now())).await;
            let now = context.now();
            if fire_due(&context, seen, now).await {
                seen = now;
            }
            if let Err(error) = pilothouse_sweep::handle(&context, json!({})).await {
                tracing::warn!(%error, "the sweep failed; the next one is in a minute");
            }
            minutes = minutes.wrapping_add(1);
            if minutes.is_multiple_of(60)
                && let Err(error) = sweep_expired(&database)
            {
                tracing::warn!(%error, "expired records could not be dropped; tried again in an hour");
            }
        }
    })
}

fn until_next_minute(now: Timestamp) -> Duration {
    let into = u64::try_from(now.as_millisecond().rem_euclid(60_000)).unwrap_or(0);
    MINUTE - Duration::from_millis(into)
}

/// Sends an event for every fire in `after < time <= until`; the handler starts each once, however often it is sent.
/// Whether all were handled: if not, the next minute sends them again.
async fn fire_due(context: &Context, after: Timestamp, until: Timestamp) -> bool {
    let due = match due_schedules(context, after, until).await {
        Ok(due) => due,
        Err(error) => {
            tracing::warn!(%error, "the schedules could not be read");
            return false;
        }
    };
    let mut handled = true;
    for fire in due {
        let event = fire.event();
        if let Err(error) = pilothouse_receive_event::handle(context, event).await {
            tracing::warn!(%error, trigger = %fire.trigger, "the schedule's event was not handled");
            handled &= error.error_type != "Unavailable";
        }
    }
    handled
}
