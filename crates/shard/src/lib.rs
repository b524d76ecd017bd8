//! Level 2. A shard leader's side of transactions, and the replicated state machine that every replica runs.

pub mod command;
pub mod locks;

pub use command::TxnId;
pub use locks::{LockMode, WaitPolicy};
