//! The write-ahead log: one for all groups of a node, 64 MB files zeroed ahead and recycled, checksummed records,
//! group commit. Format and torn-tail rule: `distributed-core.md` §6.
//!
//! CONTRACT: see `consensus` for its one user. Appends are positioned by (group, index, term); votes and other small
//! per-group state are records too; recovery gives back, per group, vote, entries after the flushed index, truncations honoured.
