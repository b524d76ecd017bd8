//! The replicated state of a shard beside its rows, and how each command changes it. Deterministic: every replica that
//! applies the same entries has the same state (`hash`).
//!
//! Owns: prepared transactions, fates of transactions until they are forgotten, a watermark per gateway, fences, the
//! highest stamp, the last batch, the oracle's mark (meta shard), and which staged parts wait. Flushed with the rows as
//! one image (`encode`), so that rows and state are of one log index.
//!
//! I1  The first entry about a transaction counts: later ones are void and answer its fate (R10).
//! I2  What lies below a gateway's watermark is finished for ever: its messages are refused (R11).
//! I3  `last_stamp` is not below any stamp or commit timestamp applied here.
//!
//! Staged parts of a large transaction are rows of a hidden relation (`STAGED`): flushed, spilled and recovered with the
//! others. Commit reads them back and writes what they hold.

use crate::command::{self, Command, DecodeError, Prepare, Reader, SchemaVersion, TxnId};
use crate::fences::{Fence, Fences};
use bytes::{BufMut, Bytes, BytesMut};
use host::bugs::{self, Bug};
use std::collections::{BTreeMap, VecDeque};
use storage::{Mutation, StorageId, Timestamp};

/// The hidden relation of staged parts. Ids of real relations come from the catalog's counter and stay far below.
pub const STAGED: StorageId = StorageId(u32::MAX);
/// Sequences that a gateway may have open above its watermark.
pub const WINDOW_MAX: u64 = 1 << 20;
const IMAGE_VERSION: u8 = 2;
/// Without stamps of fences: read, never written.
const IMAGE_VERSION_1: u8 = 1;

/// What became of a transaction here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Fate {
    #[default]
    Unseen,
    Prepared(Timestamp),
    Committed(Timestamp),
    /// A tombstone, or an abort that was decided.
    Aborted,
    /// Below the watermark: known to be over, not known how.
    Forgotten,
}

/// Where rows go and staged parts come from: the segment, or a test's map.
pub trait Rows {
    fn write(&mut self, ts: Timestamp, mutations: &[Mutation]);
    fn staged(&mut self, key: &[u8]) -> Option<Bytes>;
}

#[derive(Default, Debug, Clone)]
struct GatewayRecord {
    epoch: u64,
    /// The lowest sequence that is not finished.
    watermark: u64,
    /// From `watermark` on.
    fates: VecDeque<Fate>,
}

#[derive(Debug, Clone, Default)]
pub struct Machine {
    pub last_stamp: Timestamp,
    /// Of the last batch applied.
    pub term: u64,
    pub batch: u64,
    /// Meta shard: the oracle's durable mark.
    pub mark: u64,
    /// Set by Bootstrap.
    pub cluster: Option<[u8; 16]>,
    pub format: u32,
    gateways: BTreeMap<u64, GatewayRecord>,
    prepared: BTreeMap<TxnId, Prepare>,
    /// Parts there are of each transaction that has staged some.
    staged: BTreeMap<TxnId, u32>,
    fences: Fences,
    /// Over everything applied that had an effect (invariant 5).
    pub hash: u64,
}

/// What a command did, for the leader that sequenced it.
#[derive(Debug)]
pub enum Effect {
    /// The transaction's fate after the command. `decided` holds a prepared transaction that this command ended.
    Fate {
        fate: Fate,
        decided: Option<Box<(TxnId, Prepare, Option<Timestamp>)>>,
    },
    Done,
}

impl Machine {
    pub fn fate(&self, txn: TxnId) -> Fate {
        let Some(record) = self.gateways.get(&txn.gateway) else { return Fate::Unseen };
        if txn.epoch > record.epoch {
            return Fate::Unseen;
        }
        if txn.epoch < record.epoch || txn.sequence < record.watermark {
            return Fate::Forgotten;
        }
        let offset = usize::try_from(txn.sequence - record.watermark).unwrap_or(usize::MAX);
        record.fates.get(offset).copied().unwrap_or_default()
    }

    pub fn prepared(&self) -> impl Iterator<Item = (&TxnId, &Prepare)> {
        self.prepared.iter()
    }

    pub fn fences(&self) -> &Fences {
        &self.fences
    }

    /// The greatest epoch that a gateway has had here.
    pub fn epoch(&self, gateway: u64) -> u64 {
        self.gateways.get(&gateway).map_or(0, |record| record.epoch)
    }

    /// False where the gateway has too many unfinished ones.
    fn set_fate(&mut self, txn: TxnId, fate: Fate) -> bool {
        let record = self.gateways.entry(txn.gateway).or_default();
        if txn.epoch > record.epoch {
            *record = GatewayRecord { epoch: txn.epoch, watermark: 0, fates: VecDeque::new() };
        }
        if record.fates.is_empty() && record.watermark < txn.sequence && record.watermark == 0 {
            // The first word of this epoch: a gateway counts from 1.
            record.watermark = 1;
        }
        let offset = txn.sequence.saturating_sub(record.watermark);
        if txn.epoch < record.epoch || txn.sequence < record.watermark || offset > WINDOW_MAX {
            return false;
        }
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        if record.fates.len() <= offset {
            record.fates.resize(offset + 1, Fate::Unseen);
        }
        record.fates[offset] = fate;
        true
    }

    /// R11: the gateway has its answers, and all participants their decisions, below `watermark`.
    fn forget(&mut self, txn: TxnId, watermark: u64) {
        let Some(record) = self.gateways.get_mut(&txn.gateway).filter(|record| record.epoch == txn.epoch) else {
            return;
        };
        while record.watermark < watermark {
            if let Some(Fate::Prepared(_)) = record.fates.front() {
                return; // never: a gateway does not count a transaction as finished before its Decide is applied
            }
            match record.fates.pop_front() {
                Some(_) => record.watermark += 1,
                None => record.watermark = watermark,
            }
        }
    }

    /// Applies one command. `salt` is a checksum of its bytes.
    pub fn apply(&mut self, command: Command, salt: u64, rows: &mut impl Rows) -> Effect {
        let effect = self.change(command, rows);
        let word = match &effect {
            Effect::Fate { fate: Fate::Committed(ts), .. } => ts.0,
            Effect::Fate { fate: Fate::Prepared(ts), .. } => !ts.0,
            Effect::Fate { fate: Fate::Aborted, .. } => 1,
            Effect::Fate { .. } => 2,
            Effect::Done => 3,
        };
        self.hash = (self.hash.rotate_left(5) ^ salt ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        effect
    }

    fn change(&mut self, command: Command, rows: &mut impl Rows) -> Effect {
        let void = |fate| Effect::Fate { fate, decided: None };
        match command {
            Command::Commit { txn, watermark, stamp, parts, fences, writes } => {
                self.forget(txn, watermark);
                let fate = self.fate(txn);
                if fate != Fate::Unseen {
                    return void(fate);
                }
                if self.staged.get(&txn).copied().unwrap_or(0) != parts || !self.set_fate(txn, Fate::Committed(stamp)) {
                    return self.abort(txn, rows);
                }
                self.write(txn, parts, stamp, &fences, &writes, rows);
                void(Fate::Committed(stamp))
            }
            Command::Prepare { txn, watermark, prepare } => {
                self.forget(txn, watermark);
                let fate = self.fate(txn);
                if fate != Fate::Unseen {
                    return void(fate);
                }
                let stamp = prepare.stamp;
                let has_parts = self.staged.get(&txn).copied().unwrap_or(0) == prepare.parts;
                if !has_parts || !self.set_fate(txn, Fate::Prepared(stamp)) {
                    return self.abort(txn, rows);
                }
                self.last_stamp = self.last_stamp.max(stamp);
                self.prepared.insert(txn, *prepare);
                void(Fate::Prepared(stamp))
            }
            Command::Decide { txn, watermark, commit_ts } => {
                self.forget(txn, watermark);
                self.decide(txn, commit_ts, rows)
            }
            Command::Tombstone { txn, watermark } => {
                self.forget(txn, watermark);
                match self.fate(txn) {
                    Fate::Unseen => self.abort(txn, rows),
                    fate => void(fate),
                }
            }
            Command::Stage { txn, watermark, part, writes } => {
                self.forget(txn, watermark);
                let fate = self.fate(txn);
                let count = self.staged.get(&txn).copied().unwrap_or(0);
                if fate == Fate::Unseen && part == count {
                    self.staged.insert(txn, count + 1);
                    let key = Bytes::copy_from_slice(&stage_key(txn, part));
                    let row = Mutation { relation: STAGED, key, value: Some(writes) };
                    rows.write(self.last_stamp.max(Timestamp(1)), &[row]);
                }
                void(fate)
            }
            Command::Bootstrap { format, cluster, stamp, writes } => {
                if self.cluster.is_none() {
                    (self.cluster, self.format) = (Some(cluster), format);
                    self.last_stamp = self.last_stamp.max(stamp);
                    rows.write(stamp, &writes);
                }
                Effect::Done
            }
            Command::Mark { mark } => {
                self.mark = self.mark.max(mark);
                Effect::Done
            }
            Command::OpenEpoch { gateway, epoch } => {
                let is_settled = !self.prepared.keys().any(|txn| txn.gateway == gateway && txn.epoch < epoch);
                if is_settled && self.epoch(gateway) < epoch {
                    let left: Vec<TxnId> = self.staged.keys().filter(|txn| txn.gateway == gateway).copied().collect();
                    left.into_iter().for_each(|txn| self.drop_staged(txn, rows));
                    self.gateways.insert(gateway, GatewayRecord { epoch, watermark: 1, fates: VecDeque::new() });
                }
                Effect::Done
            }
        }
    }

    fn decide(&mut self, txn: TxnId, commit_ts: Option<Timestamp>, rows: &mut impl Rows) -> Effect {
        let void = |fate| Effect::Fate { fate, decided: None };
        match (self.fate(txn), commit_ts) {
            (Fate::Prepared(_), Some(ts)) => {
                let Some(prepare) = self.prepared.remove(&txn) else { return void(Fate::Prepared(ts)) };
                self.set_fate(txn, Fate::Committed(ts));
                self.write(txn, prepare.parts, ts, &prepare.fences, &prepare.writes, rows);
                Effect::Fate { fate: Fate::Committed(ts), decided: Some(Box::new((txn, prepare, commit_ts))) }
            }
            (Fate::Prepared(_) | Fate::Unseen, None) => {
                let prepare = self.prepared.remove(&txn);
                self.abort(txn, rows);
                let decided = prepare.map(|prepare| Box::new((txn, prepare, None)));
                Effect::Fate { fate: Fate::Aborted, decided }
            }
            (fate, _) => void(fate),
        }
    }

    fn write(
        &mut self,
        txn: TxnId,
        parts: u32,
        ts: Timestamp,
        fences: &[SchemaVersion],
        writes: &[Mutation],
        rows: &mut impl Rows,
    ) {
        self.last_stamp = self.last_stamp.max(ts);
        for part in 0..parts {
            let staged = rows.staged(&stage_key(txn, part)).and_then(|bytes| read_stage(bytes).ok());
            // Written by this very machine, in this log: it can only be missing if the segment is damaged.
            let staged = staged.expect("a staged part that was applied is there");
            rows.write(ts, &staged);
        }
        rows.write(ts, writes);
        self.drop_staged(txn, rows);
        self.fences.raise(fences, ts);
    }

    fn abort(&mut self, txn: TxnId, rows: &mut impl Rows) -> Effect {
        self.set_fate(txn, Fate::Aborted);
        self.drop_staged(txn, rows);
        Effect::Fate { fate: Fate::Aborted, decided: None }
    }

    fn drop_staged(&mut self, txn: TxnId, rows: &mut impl Rows) {
        for part in 0..self.staged.remove(&txn).unwrap_or(0) {
            let key = Bytes::copy_from_slice(&stage_key(txn, part));
            rows.write(self.last_stamp.max(Timestamp(1)), &[Mutation { relation: STAGED, key, value: None }]);
        }
    }

    // ---- the image -------------------------------------------------------------------------

    /// Draws the state:
    /// `version u8 | last_stamp | term | batch | mark | hash | format u32 | has cluster u8 | cluster 16 | gateways | prepared | staged |
    /// floor 8 | fences (relation u32 | version u32 | raised at 8)`.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        let put_count = |out: &mut BytesMut, count: usize| {
            out.put_u32_le(u32::try_from(count).expect("bounded by WINDOW_MAX and the number of gateways"));
        };
        out.put_u8(IMAGE_VERSION);
        for word in [self.last_stamp.0, self.term, self.batch, self.mark, self.hash] {
            out.put_u64_le(word);
        }
        out.put_u32_le(self.format);
        out.put_u8(u8::from(self.cluster.is_some()));
        out.put_slice(&self.cluster.unwrap_or_default());
        put_count(&mut out, self.gateways.len());
        for (gateway, record) in &self.gateways {
            for word in [*gateway, record.epoch, record.watermark] {
                out.put_u64_le(word);
            }
            put_count(&mut out, record.fates.len());
            for fate in &record.fates {
                let (kind, ts) = match fate {
                    Fate::Unseen | Fate::Forgotten => (0, Timestamp::ZERO),
                    Fate::Prepared(ts) => (1, *ts),
                    Fate::Committed(ts) => (2, *ts),
                    Fate::Aborted => (3, Timestamp::ZERO),
                };
                out.put_u8(kind);
                out.put_u64_le(ts.0);
            }
        }
        let kept = if bugs::is_on(Bug::ImageWithoutPrepared) { 0 } else { self.prepared.len() };
        put_count(&mut out, kept);
        for (txn, prepare) in self.prepared.iter().take(kept) {
            out.put_slice(&command::encode_prepared(*txn, prepare));
        }
        put_count(&mut out, self.staged.len());
        for (txn, parts) in &self.staged {
            for word in [txn.gateway, txn.epoch, txn.sequence] {
                out.put_u64_le(word);
            }
            out.put_u32_le(*parts);
        }
        out.put_u64_le(self.fences.floor().0);
        put_count(&mut out, self.fences.iter().len());
        for (relation, fence) in self.fences.iter() {
            out.put_u32_le(relation);
            out.put_u32_le(fence.version);
            out.put_u64_le(fence.raised_at.0);
        }
        out.freeze()
    }

    /// Empty bytes are a new shard.
    pub fn decode(bytes: Bytes) -> Result<Machine, DecodeError> {
        let mut machine = Machine::default();
        if bytes.is_empty() {
            return Ok(machine);
        }
        let mut r = Reader::new(bytes);
        let version = r.u8()?;
        if version != IMAGE_VERSION && version != IMAGE_VERSION_1 {
            return Err(DecodeError("unknown version of the state image"));
        }
        machine.last_stamp = Timestamp(r.u64()?);
        (machine.term, machine.batch, machine.mark, machine.hash) = (r.u64()?, r.u64()?, r.u64()?, r.u64()?);
        machine.format = r.u32()?;
        let has_cluster = r.u8()? != 0;
        let cluster = r.array::<16>()?;
        machine.cluster = has_cluster.then_some(cluster);
        for _ in 0..r.count(28)? {
            let gateway = r.u64()?;
            let mut record = GatewayRecord { epoch: r.u64()?, watermark: r.u64()?, fates: VecDeque::new() };
            for _ in 0..r.count(9)? {
                let (kind, ts) = (r.u8()?, Timestamp(r.u64()?));
                record.fates.push_back(match kind {
                    0 => Fate::Unseen,
                    1 => Fate::Prepared(ts),
                    2 => Fate::Committed(ts),
                    3 => Fate::Aborted,
                    _ => return Err(DecodeError("unknown fate")),
                });
            }
            machine.gateways.insert(gateway, record);
        }
        for _ in 0..r.count(5)? {
            match command::decode_one(&mut r)? {
                Command::Prepare { txn, prepare, .. } => machine.prepared.insert(txn, *prepare),
                _ => return Err(DecodeError("not a prepared transaction")),
            };
        }
        for _ in 0..r.count(28)? {
            machine.staged.insert(r.txn()?, r.u32()?);
        }
        machine.fences = read_fences(&mut r, version)?;
        if r.is_empty() { Ok(machine) } else { Err(DecodeError("bytes after the state image")) }
    }
}

fn read_fences(r: &mut Reader, version: u8) -> Result<Fences, DecodeError> {
    let has_stamps = version != IMAGE_VERSION_1;
    let floor = if has_stamps { Timestamp(r.u64()?) } else { Timestamp::ZERO };
    let mut fences = vec![];
    for _ in 0..r.count(if has_stamps { 16 } else { 8 })? {
        let (relation, version) = (r.u32()?, r.u32()?);
        let raised_at = if has_stamps { Timestamp(r.u64()?) } else { Timestamp::ZERO };
        fences.push((relation, Fence { version, raised_at }));
    }
    Ok(Fences::restore(floor, fences))
}

fn stage_key(txn: TxnId, part: u32) -> [u8; 28] {
    let mut key = [0; 28];
    key[..8].copy_from_slice(&txn.gateway.to_be_bytes());
    key[8..16].copy_from_slice(&txn.epoch.to_be_bytes());
    key[16..24].copy_from_slice(&txn.sequence.to_be_bytes());
    key[24..].copy_from_slice(&part.to_be_bytes());
    key
}

fn read_stage(bytes: Bytes) -> Result<Vec<Mutation>, DecodeError> {
    command::read_writes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Span, entry};
    use crate::locks::LockMode;
    use storage::KeyRange;

    #[derive(Default)]
    struct Map(BTreeMap<(u32, Vec<u8>), (Timestamp, Option<Bytes>)>);
    impl Rows for Map {
        fn write(&mut self, ts: Timestamp, mutations: &[Mutation]) {
            for m in mutations {
                self.0.insert((m.relation.0, m.key.to_vec()), (ts, m.value.clone()));
            }
        }
        fn staged(&mut self, key: &[u8]) -> Option<Bytes> {
            self.0.get(&(STAGED.0, key.to_vec()))?.1.clone()
        }
    }

    fn txn(sequence: u64) -> TxnId {
        TxnId { gateway: 1, epoch: 1, sequence }
    }
    fn write(key: &'static str) -> Vec<Mutation> {
        vec![Mutation {
            relation: StorageId(9),
            key: Bytes::from_static(key.as_bytes()),
            value: Some(Bytes::from_static(b"v")),
        }]
    }
    fn commit(sequence: u64, stamp: u64, parts: u32) -> Command {
        let (fences, writes) = (vec![], write("k"));
        Command::Commit { txn: txn(sequence), watermark: 1, stamp: Timestamp(stamp), parts, fences, writes }
    }
    fn prepare(sequence: u64, stamp: u64) -> Command {
        let span = Span { relation: StorageId(9), range: KeyRange::point(b"r"), mode: Some(LockMode::KeyShare) };
        let prepare = Prepare {
            stamp: Timestamp(stamp),
            parts: 0,
            fences: vec![SchemaVersion { relation: 5, version: 3 }],
            writes: write("p"),
            age: Timestamp(1),
            participants: vec![crate::ShardId(0), crate::ShardId(1)],
            schemas: vec![],
            spans: vec![span],
        };
        Command::Prepare { txn: txn(sequence), watermark: 1, prepare: Box::new(prepare) }
    }
    fn fate_after(machine: &mut Machine, rows: &mut Map, command: Command) -> Fate {
        match machine.apply(command, 0, rows) {
            Effect::Fate { fate, .. } => fate,
            Effect::Done => Fate::Unseen,
        }
    }

    #[test]
    fn tombstone_against_late_prepare() {
        let (mut machine, mut rows) = (Machine::default(), Map::default());
        let tombstone = Command::Tombstone { txn: txn(1), watermark: 1 };
        assert_eq!(fate_after(&mut machine, &mut rows, tombstone), Fate::Aborted);
        assert_eq!(fate_after(&mut machine, &mut rows, prepare(1, 10)), Fate::Aborted);
        assert_eq!(fate_after(&mut machine, &mut rows, commit(1, 11, 0)), Fate::Aborted);
        assert_eq!(machine.prepared().count(), 0);
        assert!(rows.0.is_empty());
    }

    #[test]
    fn internal_retry_applied_twice() {
        let (mut machine, mut rows) = (Machine::default(), Map::default());
        assert_eq!(fate_after(&mut machine, &mut rows, commit(1, 10, 0)), Fate::Committed(Timestamp(10)));
        assert_eq!(fate_after(&mut machine, &mut rows, commit(1, 20, 0)), Fate::Committed(Timestamp(10)));
        assert_eq!(rows.0.values().map(|(ts, _)| ts.0).collect::<Vec<_>>(), [10]);
    }

    #[test]
    fn outcome_forgotten_keeps_the_watermark() {
        let (mut machine, mut rows) = (Machine::default(), Map::default());
        fate_after(&mut machine, &mut rows, commit(1, 10, 0));
        let later = Command::Tombstone { txn: txn(3), watermark: 2 };
        fate_after(&mut machine, &mut rows, later);
        assert_eq!(machine.fate(txn(1)), Fate::Forgotten);
        // A late copy of what was forgotten is refused for ever.
        assert_eq!(fate_after(&mut machine, &mut rows, prepare(1, 30)), Fate::Forgotten);
        assert_eq!(machine.fate(txn(2)), Fate::Unseen);
        assert_eq!(machine.fate(txn(3)), Fate::Aborted);
    }

    #[test]
    fn decide_is_idempotent_and_raises_last_stamp() {
        let (mut machine, mut rows) = (Machine::default(), Map::default());
        assert_eq!(fate_after(&mut machine, &mut rows, prepare(1, 10)), Fate::Prepared(Timestamp(10)));
        let decide = |ts| Command::Decide { txn: txn(1), watermark: 1, commit_ts: ts };
        let committed = Fate::Committed(Timestamp(50));
        assert_eq!(fate_after(&mut machine, &mut rows, decide(Some(Timestamp(50)))), committed);
        assert_eq!(fate_after(&mut machine, &mut rows, decide(None)), committed);
        assert_eq!(machine.last_stamp, Timestamp(50), "the next writer must come after it");
        assert!(machine.fences().is_above(5, 2) && !machine.fences().is_above(5, 3));
    }

    #[test]
    fn restart_recovers_prepared_and_staged() {
        let (mut machine, mut rows) = (Machine::default(), Map::default());
        let writes = || {
            let mut writes = 1u32.to_le_bytes().to_vec();
            writes.extend_from_slice(&command::EncodedWrites::from_mutations(&write("s")).bytes);
            Bytes::from(writes)
        };
        let stage = |part| Command::Stage { txn: txn(2), watermark: 1, part, writes: writes() };
        for command in [prepare(1, 10), stage(0), stage(1), stage(1), Command::Mark { mark: 77 }] {
            machine.apply(command, 5, &mut rows);
        }
        let mut again = Machine::decode(machine.encode()).expect("our own image");
        assert_eq!(format!("{machine:?}"), format!("{again:?}"));
        assert_eq!(fate_after(&mut again, &mut rows, commit(2, 20, 2)), Fate::Committed(Timestamp(20)));
        assert!(rows.0.contains_key(&(9, b"s".to_vec())), "the parts were written");
        assert_eq!(fate_after(&mut again, &mut rows, commit(3, 21, 1)), Fate::Aborted, "its part never came");
        for length in 0..machine.encode().len() {
            assert!(Machine::decode(machine.encode().slice(..length)).is_err() || length == 0);
        }
    }

    #[test]
    fn same_entries_same_hash() {
        let run = |order: [u64; 2]| {
            let (mut machine, mut rows) = (Machine::default(), Map::default());
            let _ = order.map(|n| machine.apply(commit(n, n * 10, 0), n, &mut rows));
            machine.hash
        };
        assert_eq!(run([1, 2]), run([1, 2]));
        assert_ne!(run([1, 2]), run([2, 1]));
        let _ = entry(0, 0, &[]);
    }

    #[test]
    fn closed_epoch_refuses_late_messages_and_keeps_prepared() {
        let (mut machine, mut rows) = (Machine::default(), Map::default());
        fate_after(&mut machine, &mut rows, prepare(1, 10));
        machine.apply(Command::OpenEpoch { gateway: 1, epoch: 2 }, 0, &mut rows);
        assert_eq!(machine.epoch(1), 1, "a prepared transaction is decided first");
        fate_after(&mut machine, &mut rows, Command::Decide { txn: txn(1), watermark: 1, commit_ts: None });
        machine.apply(Command::OpenEpoch { gateway: 1, epoch: 2 }, 0, &mut rows);
        assert_eq!(fate_after(&mut machine, &mut rows, commit(9, 20, 0)), Fate::Forgotten);
    }
}
