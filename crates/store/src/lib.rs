//! Records in one DynamoDB table, through `aws-sdk-dynamodb` only.
//!
//! The table has a string partition key `pk` and sort key `sk`, two sparse global indexes that project keys only
//! (`by_group`: `g1pk`, `g1sk`; `open`: `g2pk`, `g2sk`), and the TTL attribute `ttl` (epoch seconds). Because an index
//! holds keys only, a change that leaves them alone costs nothing there, and what an index query returns is read
//! again from the table, strongly consistent.
//!
//! - [`Record`]: how a type of `domain` becomes an item; one small file each under [`records`].
//! - [`Store`]: reads ([`Store::get`], [`Store::partition`], [`Store::query_group`], ... and one file of typed reads
//!   per area), and [`Store::commit`], which writes a [`Transaction`] whole or not at all, timeline events included.
//! - [`StoreError`]: a conflict names the record to load again; contention, throttling and lost answers are
//!   retried inside, bounded and with jitter.
//!
//! No scan on any path. Nothing is cached between calls: records are the truth.

mod backoff;
mod codec;
mod commit;
mod error;
mod failure;
mod key;
mod page;
mod query;
mod reads;
mod record;
pub mod records;
mod revisions;
mod store;
mod table;
mod timeline;
mod transaction;

pub use codec::Item;
pub use commit::Committed;
pub use error::StoreError;
pub use key::{IndexKey, Key};
pub use page::{Cursor, Page, Partition};
pub use pilothouse_domain::timeline::{Event, EventDraft};
pub use reads::LaneHead;
pub use record::{Record, Versioned};
pub use store::Store;
pub use transaction::{Otherwise, Transaction};
