//! Level 1. openraft's type parameters, and how its small states look in the log.

use super::runtime::HostRuntime;
use bytes::Bytes;
use openraft::RaftTypeConfig;
use openraft::impls::{BoxedErrorSource, Entry, EntryPayload, InlineBatch, OneshotResponder, Vote, leader_id_std};
use openraft::vote::RaftLeaderId;
use std::collections::BTreeSet;
use std::fmt;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Types;

/// A batch as `Replica::next_batch` gave it; never looked into, never copied.
#[derive(Clone)]
pub struct Batch(pub Bytes);

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// Short: openraft formats it in its traces.
impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

pub type LeaderId = leader_id_std::LeaderId<u64, u64>;
pub type CommittedLeaderId = <LeaderId as RaftLeaderId>::Committed;
pub type LogId = openraft::LogId<CommittedLeaderId>;
pub type Payload = EntryPayload<Batch, u64, ()>;
pub type LogEntry = Entry<CommittedLeaderId, Payload>;
pub type Ballot = Vote<LeaderId>;
pub type Membership = openraft::Membership<u64, ()>;
pub type StoredMembership = openraft::StoredMembership<CommittedLeaderId, u64, ()>;

impl RaftTypeConfig for Types {
    type D = Batch;
    /// Nobody waits for an answer.
    type R = ();
    type NodeId = u64;
    type Node = ();
    type Term = u64;
    /// One leader per term, so that a term names its leader.
    type LeaderId = LeaderId;
    type Vote = Ballot;
    type Payload = Payload;
    type Entry = LogEntry;
    type AsyncRuntime = HostRuntime;
    type Responder<T>
        = OneshotResponder<Self, T>
    where
        T: Send + 'static;
    type Batch<T>
        = InlineBatch<T>
    where
        T: Send + 'static;
    type ErrorSource = BoxedErrorSource;
}

pub fn log_id(term: u64, index: u64) -> LogId {
    LogId::new_term_index(term, index)
}

/// Numbers of a group's small states in the log.
pub const STATE_VOTE: u8 = 0;
pub const STATE_MEMBERSHIP: u8 = 1;

/// What an entry's payload is.
pub const FLAVOR_NORMAL: u8 = 0;
pub const FLAVOR_BLANK: u8 = 1;
pub const FLAVOR_MEMBERSHIP: u8 = 2;

pub fn encode_vote(vote: &Ballot) -> Bytes {
    let mut bytes = Vec::with_capacity(17);
    bytes.extend_from_slice(&vote.leader_id.term.to_le_bytes());
    bytes.extend_from_slice(&vote.leader_id.voted_for.to_le_bytes());
    bytes.push(u8::from(vote.committed));
    bytes.into()
}

pub fn decode_vote(bytes: &[u8]) -> Option<Ballot> {
    let mut words = Words(bytes);
    let leader_id = LeaderId { term: words.next()?, voted_for: words.next()? };
    match words.0 {
        [committed @ (0 | 1)] => Some(Vote { leader_id, committed: *committed == 1 }),
        _ => None,
    }
}

/// Configurations (each a count and ids), then all nodes likewise.
pub fn encode_membership(membership: &Membership) -> Bytes {
    let mut bytes = Vec::new();
    let mut put = |word: u64| bytes.extend_from_slice(&word.to_le_bytes());
    let configs = membership.get_joint_config();
    put(configs.len() as u64);
    for config in configs {
        put(config.len() as u64);
        config.iter().for_each(|id| put(*id));
    }
    let nodes: Vec<u64> = membership.nodes().map(|(id, ())| *id).collect();
    put(nodes.len() as u64);
    nodes.into_iter().for_each(put);
    bytes.into()
}

/// More members than any group has; bounds what a damaged record can ask for.
const MEMBERS_MAX: u64 = 64;

pub fn decode_membership(bytes: &[u8]) -> Option<Membership> {
    let mut words = Words(bytes);
    let list = |words: &mut Words<'_>| -> Option<BTreeSet<u64>> {
        let count = words.next().filter(|count| *count <= MEMBERS_MAX)?;
        (0..count).map(|_| words.next()).collect()
    };
    let configs = words.next().filter(|count| *count <= 2)?;
    let configs: Vec<BTreeSet<u64>> = (0..configs).map(|_| list(&mut words)).collect::<Option<_>>()?;
    let nodes = list(&mut words)?;
    Membership::new(configs, nodes).ok().filter(|_| words.0.is_empty())
}

pub fn encode_stored_membership(stored: &StoredMembership) -> Bytes {
    let mut bytes = Vec::new();
    let (term, index) = stored.log_id().map_or((u64::MAX, u64::MAX), |id| (id.leader_id.term, id.index));
    bytes.extend_from_slice(&term.to_le_bytes());
    bytes.extend_from_slice(&index.to_le_bytes());
    bytes.extend_from_slice(&encode_membership(stored.membership()));
    bytes.into()
}

pub fn decode_stored_membership(bytes: &[u8]) -> Option<StoredMembership> {
    let mut words = Words(bytes);
    let (term, index) = (words.next()?, words.next()?);
    let id = (term != u64::MAX).then(|| log_id(term, index));
    Some(StoredMembership::new(id, decode_membership(words.0)?))
}

struct Words<'a>(&'a [u8]);

impl Words<'_> {
    fn next(&mut self) -> Option<u64> {
        let (word, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_states_come_back() {
        let vote = Vote { leader_id: LeaderId { term: 7, voted_for: 3 }, committed: true };
        assert_eq!(decode_vote(&encode_vote(&vote)), Some(vote));
        let configs = vec![BTreeSet::from([1, 2, 3]), BTreeSet::from([2, 3, 4])];
        let membership = Membership::new(configs, BTreeSet::from([1, 2, 3, 4, 9])).unwrap();
        let stored = StoredMembership::new(Some(log_id(4, 5)), membership);
        let bytes = encode_stored_membership(&stored);
        assert_eq!(decode_stored_membership(&bytes), Some(stored));
        assert_eq!(decode_stored_membership(&bytes[..bytes.len() - 1]), None);
    }
}
