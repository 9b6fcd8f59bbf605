//! DynamoDB in this process: dynoxide (SQLite) behind the real SDK client.
//!
//! # Durability
//! A file database runs in WAL mode with SQLite's default `synchronous = FULL` (the linked library is built without
//! `SQLITE_DEFAULT_WAL_SYNCHRONOUS`, and dynoxide sets nothing weaker; a test here pins both). So a write that was
//! answered is in the file and flushed: it survives `kill -9` and a power cut, at the price of one fsync for each
//! write. dynoxide offers no way to set the pragma; its bulk loading mode would lower it for good and is never used.
//!
//! # Time
//! A clock is taken for databases in memory only: dynoxide's file constructor has none, and reads the system's time.
//! It matters to [`sweep_expired`] alone, which drops items past their `ttl`.

mod dispatch;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region, StalledStreamProtectionConfig};
use aws_smithy_async::rt::sleep::TokioSleep;
pub use dynoxide::Database;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Mutex;

use crate::transport::{Answer, ENDPOINT, InProcess};
use crate::{Fault, Faults, Meter};

/// Says what time it is.
pub type Clock = Arc<dyn Fn() -> jiff::Timestamp + Send + Sync>;

/// A database that could not be opened or swept.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the database {}: {source}", path.as_ref().map_or_else(|| "in memory".into(), |p| p.display().to_string()))]
pub struct DatabaseError {
    path: Option<PathBuf>,
    #[source]
    source: dynoxide::DynoxideError,
}

/// Opens the database in the file `path`, creating it if need be, or a new one in memory.
///
/// # Errors
/// [`DatabaseError`] when the file cannot be opened, is no database, or was written by a newer dynoxide.
pub fn open(path: Option<&Path>, clock: Option<Clock>) -> Result<Database, DatabaseError> {
    let database = match (path, clock) {
        (Some(path), _) => Database::new(&path.to_string_lossy()),
        (None, Some(clock)) => Database::memory_with_clock(Arc::new(TableClock(clock))),
        (None, None) => Database::memory(),
    };
    database.map_err(|source| DatabaseError { path: path.map(Path::to_owned), source })
}

/// Drops the items whose `ttl` has passed, and says how many. DynamoDB does this by itself, within two days.
///
/// # Errors
/// [`DatabaseError`] when the database cannot be written.
pub fn sweep_expired(database: &Database) -> Result<usize, DatabaseError> {
    database.sweep_ttl().map_err(|source| DatabaseError { path: None, source })
}

/// The SDK client onto `database`.
#[must_use]
pub fn client(database: &Database) -> aws_sdk_dynamodb::Client {
    Connector::new(database.clone()).client()
}

/// A client onto a database, with a meter and, if wanted, faults.
#[derive(Clone)]
pub struct Connector {
    database: Database,
    meter: Meter,
    faults: Option<Faults>,
    turn: Arc<Mutex<()>>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("meter", &self.meter).finish_non_exhaustive()
    }
}

impl Connector {
    /// A connector to `database`, with its own meter and no faults.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database, meter: Meter::default(), faults: None, turn: Arc::default() }
    }

    /// Makes the table misbehave as `faults` decide.
    #[must_use]
    pub fn with_faults(self, faults: Faults) -> Self {
        Self { faults: Some(faults), ..self }
    }

    /// The meter that all clients of this connector run on.
    #[must_use]
    pub fn meter(&self) -> Meter {
        self.meter.clone()
    }

    /// A client. It does not retry: nothing gets lost in one process, and what faults lose is the caller's to handle.
    #[must_use]
    pub fn client(&self) -> aws_sdk_dynamodb::Client {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .endpoint_url(ENDPOINT)
            // Nobody checks a signature here, and making one costs more than reading an item.
            .allow_no_auth()
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .sleep_impl(TokioSleep::new())
            .http_client(self.transport())
            .build();
        aws_sdk_dynamodb::Client::from_conf(config)
    }

    fn transport(&self) -> InProcess {
        let connector = self.clone();
        InProcess::new("dynamodb", move |target, body| {
            let connector = connector.clone();
            Box::pin(async move {
                let operation = target.rsplit_once('.').map_or(&*target, |(_, operation)| operation);
                connector.answer(operation, &body).await
            })
        })
    }

    async fn answer(&self, operation: &str, body: &[u8]) -> Answer {
        let fault = self.faults.as_ref().and_then(|faults| faults.decide(operation));
        match fault {
            Some(Fault::Throttled) => {
                return Some(dispatch::refusal(400, "ThrottlingException", "injected: too many requests"));
            }
            Some(Fault::Failed) => {
                return Some(dispatch::refusal(500, "InternalServerError", "injected: internal error"));
            }
            Some(Fault::Lost) => return None,
            Some(Fault::Late(pause)) => tokio::time::sleep(pause).await,
            Some(Fault::AnswerLost) | None => {}
        }
        // Others may run between any two requests of a task, as they may when the table is far away.
        tokio::task::yield_now().await;
        // SQLite takes one writer; waiting for the turn here, and not in it, blocks no thread.
        let turn = self.turn.lock().await;
        let answer = may_block(|| dispatch::run(&self.database, &self.meter, operation, body));
        drop(turn);
        (fault != Some(Fault::AnswerLost)).then_some(answer)
    }
}

/// Runs what may wait for the disk without holding up other tasks, where the runtime has threads for that. Under a
/// current-thread runtime it runs in place, so that paused time stays exact.
fn may_block<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

struct TableClock(Clock);

impl dynoxide::storage_backend::Clock for TableClock {
    fn now_unix_secs(&self) -> u64 {
        u64::try_from((self.0)().as_second()).unwrap_or(0)
    }

    fn now_unix_secs_f64(&self) -> f64 {
        (self.0)().as_duration().as_secs_f64()
    }
}

#[cfg(test)]
mod tests;
