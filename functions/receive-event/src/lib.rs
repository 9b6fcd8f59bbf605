//! EventBridge: cron schedules and image pushes.
