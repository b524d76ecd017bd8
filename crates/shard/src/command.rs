//! What the log carries.

/// Names one attempt of one transaction for ever: which gateway, which of its lives, which attempt in that life.
/// What is executed again takes a new sequence (`distributed-core.md` §5, "Exactly once").
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct TxnId {
    pub gateway: u64,
    pub epoch: u64,
    pub sequence: u64,
}
