//! Level 2. A shard leader's side of transactions, and the replicated state machine that every replica runs.
//!
//! ```text
//! txn (gateway) --> locks::LockTable     who holds what, who waits, what is in flight or prepared on a row
//!               --> shard::Shard         reads wait for what they must see; commits enter the sequencer
//!                     sequencer          validate, stamp, order; early release of locks
//!                     machine            the replicated state, changed by each command of the log
//!               --> oracle::Oracle       timestamps (meta leader)
//! ```
//!
//! `command` draws the bytes in the log, `fences` keep plans of older schema versions out, `reads` is a transaction's read set, `recent` the list that validation walks,
//! `moves` where rows went that got another key, `wake` how a waiting session is answered. The rules R1-R11 are those of `distributed-core.md`.

pub mod command;
pub mod facet;
pub mod fences;
pub mod locks;
pub mod machine;
pub mod moves;
pub mod oracle;
pub mod reads;
pub mod recent;
pub mod recovery;
pub mod sequencer;
mod shard;
pub mod wake;

pub use command::{SchemaVersion, ShardId, Span, TxnId};
pub use locks::{LockMode, WaitPolicy};
pub use machine::Fate;
pub use oracle::Oracle;
pub use sequencer::{
    Certified, Checked, CommitRequest, Dependency, LockedSpan, Outcome, Refusal, Sequenced, Spoilt, WriteAt,
};
pub use shard::{CommitListener, Result, Shard, ShardError};
