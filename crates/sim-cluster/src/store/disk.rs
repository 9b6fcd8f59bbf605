//! The cluster in a SQLite file: one row an object, and the version counter.

use rusqlite::{Connection, params};
use serde_json::Value;

use crate::SimError;

pub(crate) struct Disk {
    conn: Connection,
    open: bool,
}

/// What the file held.
pub(crate) struct Loaded {
    pub(crate) version: u64,
    pub(crate) objects: Vec<Value>,
}

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS objects (
        resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (resource, namespace, name)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS counter (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL);
    INSERT OR IGNORE INTO counter VALUES (1, 0);
";

impl Disk {
    /// Opens or creates the file and reads everything in it.
    pub(crate) fn open(path: &std::path::Path) -> Result<(Self, Loaded), SimError> {
        let shown = path.display().to_string();
        let failed = |source| SimError::Open { path: shown.clone(), source };
        let conn = Connection::open(path).map_err(failed)?;
        conn.busy_timeout(std::time::Duration::from_secs(5)).map_err(failed)?;
        conn.execute_batch(SCHEMA).map_err(failed)?;
        let version: i64 = conn.query_row("SELECT version FROM counter", [], |r| r.get(0)).map_err(failed)?;
        let bodies: Vec<String> = conn
            .prepare("SELECT body FROM objects ORDER BY resource, namespace, name")
            .and_then(|mut q| q.query_map([], |r| r.get(0))?.collect())
            .map_err(failed)?;
        let objects = bodies
            .iter()
            .map(|b| {
                serde_json::from_str(b).map_err(|source| SimError::Damaged { path: shown.clone(), source })
            })
            .collect::<Result<_, _>>()?;
        Ok((Self { conn, open: false }, Loaded { version: u64::try_from(version).unwrap_or(0), objects }))
    }

    fn begin(&mut self) -> rusqlite::Result<()> {
        if !self.open {
            self.conn.execute_batch("BEGIN IMMEDIATE")?;
            self.open = true;
        }
        Ok(())
    }

    pub(crate) fn put(&mut self, resource: &str, ns: &str, name: &str, body: &Value) -> rusqlite::Result<()> {
        self.begin()?;
        self.conn
            .prepare_cached("INSERT OR REPLACE INTO objects VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![resource, ns, name, body.to_string()])
            .map(|_| ())
    }

    pub(crate) fn remove(&mut self, resource: &str, ns: &str, name: &str) -> rusqlite::Result<()> {
        self.begin()?;
        self.conn
            .prepare_cached("DELETE FROM objects WHERE resource = ?1 AND namespace = ?2 AND name = ?3")?
            .execute(params![resource, ns, name])
            .map(|_| ())
    }

    pub(crate) fn commit(&mut self, version: u64) -> rusqlite::Result<()> {
        if !self.open {
            return Ok(());
        }
        self.open = false;
        let version = i64::try_from(version).unwrap_or(i64::MAX);
        self.conn.prepare_cached("UPDATE counter SET version = ?1")?.execute([version])?;
        self.conn.execute_batch("COMMIT")
    }
}
