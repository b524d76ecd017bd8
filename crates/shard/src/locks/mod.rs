//! Row locks of one shard's leader: who holds which key, who waits, what is in flight on it, what is prepared.
//!
//! `table` has the rows, `row` one of them with its queue, `gates` the writers of each relation and who keeps them out, `bulk` the keys of bulk loads, `deadlock` the search for cycles over all tables of a node, `mode` the modes.

mod bulk;
mod deadlock;
mod gates;
mod mode;
mod row;
mod table;

pub use bulk::Claims;
pub use deadlock::{DEADLOCK_AFTER, Wait, WaitGraph};
pub use gates::{Bar, Inside, Stand};
pub use mode::{LockMode, WaitPolicy};
pub use row::NAMES;
pub use table::{Attempt, Flying, Grant, LockTable, Look, Owner, RowKey, Ticket, WAITERS_MAX, hash_of};
