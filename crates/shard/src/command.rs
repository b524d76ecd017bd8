//! What the log carries: batches of commands, hand-written little-endian, versioned.
//!
//! ```text
//! entry    version u8 = 1 | term u64 | batch u64 | count u32 | command*
//! command  length u32 (of what follows) | kind u8 | body
//! Commit   txn 24 | watermark 8 | stamp 8 | parts u32 | fences | writes
//! Prepare  txn 24 | watermark 8 | stamp 8 | parts u32 | fences | writes | age 8 | participants | schemas | spans
//! Decide   txn 24 | watermark 8 | commit_ts 8 (0: abort)
//! Tombstone txn 24 | watermark 8
//! Stage    txn 24 | watermark 8 | part u32 | writes
//! Bootstrap format u32 | cluster id 16 | stamp 8 | writes
//! Mark     mark 8
//! OpenEpoch gateway 8 | epoch 8
//! writes   count u32 | (relation u32 | key length u32 | value length u32, MAX = deletion | key | value)*
//! fences, schemas  count u32 | (relation u32 | version u32)*
//! participants     count u32 | shard u32 *
//! spans    count u32 | (relation u32 | mode u8, 255 = read | start length u32 | end length u32, MAX = none | start | end)*
//! txn      gateway u64 | epoch u64 | sequence u64
//! ```
//!
//! A session encodes its command before it enters the sequencer; there only the eight bytes of the stamp are patched
//! (`STAMP_OFFSET`). Decoding checks every length: the bytes come from a disk or another node.

use crate::locks::LockMode;
use bytes::{BufMut, Bytes, BytesMut};
use storage::{KeyRange, Mutation, StorageId, Timestamp};

/// The first byte of every entry.
const VERSION: u8 = 1;
/// Of a command that carries a stamp: length 4, kind 1, txn 24, watermark 8.
pub const STAMP_OFFSET: usize = 4 + 1 + 24 + 8;
/// Bytes of an entry before its first command.
pub const ENTRY_HEADER: usize = 1 + 8 + 8 + 4;
const NONE: u32 = u32::MAX;
const READ_MODE: u8 = 255;

/// Names one attempt of one transaction for ever: which gateway, which of its lives, which attempt in that life.
/// What is executed again takes a new sequence (`distributed-core.md` §5, "Exactly once").
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct TxnId {
    pub gateway: u64,
    pub epoch: u64,
    pub sequence: u64,
}

/// Names a shard, for the list of participants.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ShardId(pub u32);

/// A relation's id and a schema version of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SchemaVersion {
    pub relation: u32,
    pub version: u32,
}

/// A range that was looked at. `mode: None` is a plain read; else it was locked so (R9).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span {
    pub relation: StorageId,
    pub range: KeyRange,
    pub mode: Option<LockMode>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum Kind {
    Commit = 1,
    Prepare = 2,
    Decide = 3,
    Tombstone = 4,
    Stage = 5,
    Bootstrap = 6,
    Mark = 7,
    OpenEpoch = 8,
}

/// A decoded command. Keys and values are slices of the entry.
#[derive(Debug)]
pub enum Command {
    Commit {
        txn: TxnId,
        watermark: u64,
        stamp: Timestamp,
        parts: u32,
        fences: Vec<SchemaVersion>,
        writes: Vec<Mutation>,
    },
    Prepare {
        txn: TxnId,
        watermark: u64,
        prepare: Box<Prepare>,
    },
    /// `commit_ts: None` aborts.
    Decide {
        txn: TxnId,
        watermark: u64,
        commit_ts: Option<Timestamp>,
    },
    Tombstone {
        txn: TxnId,
        watermark: u64,
    },
    Stage {
        txn: TxnId,
        watermark: u64,
        part: u32,
        /// Count and writes, as they are: `read_writes` takes them apart when they are committed.
        writes: Bytes,
    },
    Bootstrap {
        format: u32,
        cluster: [u8; 16],
        stamp: Timestamp,
        writes: Vec<Mutation>,
    },
    Mark {
        mark: u64,
    },
    OpenEpoch {
        gateway: u64,
        epoch: u64,
    },
}

/// All that a participant keeps of a prepared transaction.
#[derive(Clone, Debug)]
pub struct Prepare {
    pub stamp: Timestamp,
    pub parts: u32,
    pub fences: Vec<SchemaVersion>,
    pub writes: Vec<Mutation>,
    /// First snapshot of the client's transaction, kept over attempts: the smaller is the older (R6).
    pub age: Timestamp,
    pub participants: Vec<ShardId>,
    /// Schema versions it was planned with: its spans on the fences.
    pub schemas: Vec<SchemaVersion>,
    pub spans: Vec<Span>,
}

#[derive(Debug, thiserror::Error)]
#[error("log entry: {0}")]
pub struct DecodeError(pub &'static str);

type Decoded<T> = Result<T, DecodeError>;

// ---- writing -------------------------------------------------------------------------------

/// Builds one command; `finish` fills in its length.
pub struct Writer(BytesMut);

impl Writer {
    fn new(kind: Kind, capacity: usize) -> Writer {
        let mut out = BytesMut::with_capacity(capacity + 64);
        out.put_u32_le(0);
        out.put_u8(kind as u8);
        Writer(out)
    }

    fn txn(&mut self, txn: TxnId, watermark: u64) {
        put_txn(&mut self.0, txn);
        self.0.put_u64_le(watermark);
    }

    fn finish(mut self) -> BytesMut {
        let length = u32::try_from(self.0.len() - 4).expect("a command is bounded by the transaction's buffer limits");
        self.0[..4].copy_from_slice(&length.to_le_bytes());
        self.0
    }
}

fn put_txn(out: &mut BytesMut, txn: TxnId) {
    out.put_u64_le(txn.gateway);
    out.put_u64_le(txn.epoch);
    out.put_u64_le(txn.sequence);
}

fn put_length(out: &mut BytesMut, length: usize) {
    out.put_u32_le(u32::try_from(length).expect("lengths are bounded by the row limit"));
}

fn put_schemas(out: &mut BytesMut, schemas: &[SchemaVersion]) {
    put_length(out, schemas.len());
    for schema in schemas {
        out.put_u32_le(schema.relation);
        out.put_u32_le(schema.version);
    }
}

/// One write, as it stands in Commit, Prepare, Stage and Bootstrap.
pub fn put_write(out: &mut BytesMut, relation: StorageId, key: &[u8], value: Option<&[u8]>) {
    out.put_u32_le(relation.0);
    put_length(out, key.len());
    match value {
        None => out.put_u32_le(NONE),
        Some(value) => put_length(out, value.len()),
    }
    out.put_slice(key);
    out.put_slice(value.unwrap_or_default());
}

/// Bytes that `put_write` takes.
pub fn write_size(key: &[u8], value: Option<&[u8]>) -> usize {
    12 + key.len() + value.map_or(0, <[u8]>::len)
}

fn put_spans(out: &mut BytesMut, spans: &[Span]) {
    put_length(out, spans.len());
    for span in spans {
        out.put_u32_le(span.relation.0);
        out.put_u8(span.mode.map_or(READ_MODE, |mode| mode as u8));
        put_length(out, span.range.start.len());
        match &span.range.end {
            None => out.put_u32_le(NONE),
            Some(end) => put_length(out, end.len()),
        }
        out.put_slice(&span.range.start);
        out.put_slice(span.range.end.as_deref().unwrap_or_default());
    }
}

/// The writes of a command, encoded by the caller with `put_write`.
#[derive(Default)]
pub struct EncodedWrites {
    pub count: u32,
    pub bytes: BytesMut,
}

impl EncodedWrites {
    pub fn push(&mut self, relation: StorageId, key: &[u8], value: Option<&[u8]>) {
        put_write(&mut self.bytes, relation, key, value);
        self.count += 1;
    }

    pub fn from_mutations(mutations: &[Mutation]) -> EncodedWrites {
        let mut writes = EncodedWrites::default();
        for mutation in mutations {
            writes.push(mutation.relation, &mutation.key, mutation.value.as_deref());
        }
        writes
    }
}

pub fn commit(txn: TxnId, watermark: u64, parts: u32, fences: &[SchemaVersion], writes: &EncodedWrites) -> BytesMut {
    let mut out = Writer::new(Kind::Commit, writes.bytes.len() + fences.len() * 8);
    put_body(&mut out, txn, watermark, parts, fences, writes);
    out.finish()
}

/// What a Prepare carries beside what a Commit does.
pub struct PrepareParts<'a> {
    pub age: Timestamp,
    pub participants: &'a [ShardId],
    pub schemas: &'a [SchemaVersion],
    pub spans: &'a [Span],
}

pub fn prepare(
    txn: TxnId,
    watermark: u64,
    parts: u32,
    fences: &[SchemaVersion],
    writes: &EncodedWrites,
    more: &PrepareParts<'_>,
) -> BytesMut {
    let mut out = Writer::new(Kind::Prepare, writes.bytes.len() + more.spans.len() * 32);
    put_body(&mut out, txn, watermark, parts, fences, writes);
    out.0.put_u64_le(more.age.0);
    put_length(&mut out.0, more.participants.len());
    for participant in more.participants {
        out.0.put_u32_le(participant.0);
    }
    put_schemas(&mut out.0, more.schemas);
    put_spans(&mut out.0, more.spans);
    out.finish()
}

fn put_body(
    out: &mut Writer,
    txn: TxnId,
    watermark: u64,
    parts: u32,
    fences: &[SchemaVersion],
    writes: &EncodedWrites,
) {
    out.txn(txn, watermark);
    out.0.put_u64_le(0); // the stamp, patched by the sequencer
    out.0.put_u32_le(parts);
    put_schemas(&mut out.0, fences);
    out.0.put_u32_le(writes.count);
    out.0.put_slice(&writes.bytes);
}

pub fn decide(txn: TxnId, watermark: u64, commit_ts: Option<Timestamp>) -> BytesMut {
    let mut out = Writer::new(Kind::Decide, 40);
    out.txn(txn, watermark);
    out.0.put_u64_le(commit_ts.map_or(0, |ts| ts.0));
    out.finish()
}

pub fn tombstone(txn: TxnId, watermark: u64) -> BytesMut {
    let mut out = Writer::new(Kind::Tombstone, 40);
    out.txn(txn, watermark);
    out.finish()
}

pub fn stage(txn: TxnId, watermark: u64, part: u32, writes: &EncodedWrites) -> BytesMut {
    let mut out = Writer::new(Kind::Stage, writes.bytes.len() + 8);
    out.txn(txn, watermark);
    out.0.put_u32_le(part);
    out.0.put_u32_le(writes.count);
    out.0.put_slice(&writes.bytes);
    out.finish()
}

pub fn bootstrap(format: u32, cluster: [u8; 16], stamp: Timestamp, writes: &EncodedWrites) -> BytesMut {
    let mut out = Writer::new(Kind::Bootstrap, writes.bytes.len() + 32);
    out.0.put_u32_le(format);
    out.0.put_slice(&cluster);
    out.0.put_u64_le(stamp.0);
    out.0.put_u32_le(writes.count);
    out.0.put_slice(&writes.bytes);
    out.finish()
}

pub fn mark(mark: u64) -> BytesMut {
    let mut out = Writer::new(Kind::Mark, 8);
    out.0.put_u64_le(mark);
    out.finish()
}

pub fn open_epoch(gateway: u64, epoch: u64) -> BytesMut {
    let mut out = Writer::new(Kind::OpenEpoch, 16);
    out.0.put_u64_le(gateway);
    out.0.put_u64_le(epoch);
    out.finish()
}

/// Fills in the stamp of an encoded Commit or Prepare.
pub fn patch_stamp(command: &mut BytesMut, stamp: Timestamp) {
    command[STAMP_OFFSET..STAMP_OFFSET + 8].copy_from_slice(&stamp.0.to_le_bytes());
}

/// One entry of the log from the commands of a batch.
pub fn entry(term: u64, batch: u64, commands: &[Bytes]) -> Bytes {
    let size: usize = commands.iter().map(Bytes::len).sum();
    let mut out = BytesMut::with_capacity(ENTRY_HEADER + size);
    out.put_u8(VERSION);
    out.put_u64_le(term);
    out.put_u64_le(batch);
    put_length(&mut out, commands.len());
    for command in commands {
        out.put_slice(command);
    }
    out.freeze()
}

// ---- reading -------------------------------------------------------------------------------

/// A position in bytes from outside; every read is checked, slices share the entry.
pub(crate) struct Reader {
    bytes: Bytes,
}

impl Reader {
    pub(crate) fn new(bytes: Bytes) -> Reader {
        Reader { bytes }
    }

    pub(crate) fn take(&mut self, length: usize) -> Decoded<Bytes> {
        if length > self.bytes.len() {
            return Err(DecodeError("cut short"));
        }
        Ok(self.bytes.split_to(length))
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Decoded<[u8; N]> {
        let (head, _) = self.bytes.split_first_chunk::<N>().ok_or(DecodeError("cut short"))?;
        let head = *head;
        let _ = self.bytes.split_to(N);
        Ok(head)
    }

    pub(crate) fn u8(&mut self) -> Decoded<u8> {
        Ok(self.array::<1>()?[0])
    }
    pub(crate) fn u32(&mut self) -> Decoded<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }
    pub(crate) fn u64(&mut self) -> Decoded<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.bytes)
    }

    /// A count of things of at least `size` bytes each: what is not there can not be counted.
    pub(crate) fn count(&mut self, size: usize) -> Decoded<usize> {
        let count = self.u32()? as usize;
        if count > self.bytes.len() / size {
            return Err(DecodeError("impossible count"));
        }
        Ok(count)
    }

    pub(crate) fn txn(&mut self) -> Decoded<TxnId> {
        Ok(TxnId { gateway: self.u64()?, epoch: self.u64()?, sequence: self.u64()? })
    }

    fn timestamp(&mut self) -> Decoded<Timestamp> {
        Ok(Timestamp(self.u64()?))
    }

    fn writes(&mut self) -> Decoded<Vec<Mutation>> {
        let count = self.count(12)?;
        let mut writes = Vec::with_capacity(count);
        for _ in 0..count {
            let relation = StorageId(self.u32()?);
            let key_length = self.u32()? as usize;
            let value_length = self.u32()?;
            let key = self.take(key_length)?;
            let value = if value_length == NONE { None } else { Some(self.take(value_length as usize)?) };
            writes.push(Mutation { relation, key, value });
        }
        Ok(writes)
    }

    fn schemas(&mut self) -> Decoded<Vec<SchemaVersion>> {
        (0..self.count(8)?).map(|_| Ok(SchemaVersion { relation: self.u32()?, version: self.u32()? })).collect()
    }

    fn spans(&mut self) -> Decoded<Vec<Span>> {
        let count = self.count(13)?;
        let mut spans = Vec::with_capacity(count);
        for _ in 0..count {
            let relation = StorageId(self.u32()?);
            let mode = match self.u8()? {
                READ_MODE => None,
                mode => Some(LockMode::from_u8(mode).ok_or(DecodeError("lock mode"))?),
            };
            let start_length = self.u32()? as usize;
            let end_length = self.u32()?;
            let start = self.take(start_length)?;
            let end = if end_length == NONE { None } else { Some(self.take(end_length as usize)?) };
            spans.push(Span { relation, range: KeyRange { start, end }, mode });
        }
        Ok(spans)
    }

    fn prepare_tail(
        &mut self,
        stamp: Timestamp,
        parts: u32,
        fences: Vec<SchemaVersion>,
        writes: Vec<Mutation>,
    ) -> Decoded<Prepare> {
        let age = self.timestamp()?;
        let participants = (0..self.count(4)?).map(|_| Ok(ShardId(self.u32()?))).collect::<Decoded<_>>()?;
        let (schemas, spans) = (self.schemas()?, self.spans()?);
        Ok(Prepare { stamp, parts, fences, writes, age, participants, schemas, spans })
    }
}

/// A decoded entry.
#[derive(Debug)]
pub struct Entry {
    pub term: u64,
    pub batch: u64,
    pub commands: Vec<Command>,
}

pub fn decode_entry(bytes: Bytes) -> Decoded<Entry> {
    let mut reader = Reader::new(bytes);
    if reader.u8()? != VERSION {
        return Err(DecodeError("unknown version"));
    }
    let (term, batch) = (reader.u64()?, reader.u64()?);
    let count = reader.count(5)?;
    let mut commands = Vec::with_capacity(count);
    for _ in 0..count {
        let length = reader.u32()? as usize;
        commands.push(decode_command(reader.take(length)?)?);
    }
    match reader.is_empty() {
        true => Ok(Entry { term, batch, commands }),
        false => Err(DecodeError("bytes after the last command")),
    }
}

fn decode_command(bytes: Bytes) -> Decoded<Command> {
    let mut r = Reader::new(bytes);
    let kind = r.u8()?;
    let command = match kind {
        k if k == Kind::Commit as u8 || k == Kind::Prepare as u8 => {
            let (txn, watermark, stamp, parts) = (r.txn()?, r.u64()?, r.timestamp()?, r.u32()?);
            let (fences, writes) = (r.schemas()?, r.writes()?);
            if k == Kind::Commit as u8 {
                Command::Commit { txn, watermark, stamp, parts, fences, writes }
            } else {
                let prepare = Box::new(r.prepare_tail(stamp, parts, fences, writes)?);
                Command::Prepare { txn, watermark, prepare }
            }
        }
        k if k == Kind::Decide as u8 => {
            let (txn, watermark, ts) = (r.txn()?, r.u64()?, r.timestamp()?);
            Command::Decide { txn, watermark, commit_ts: (ts != Timestamp::ZERO).then_some(ts) }
        }
        k if k == Kind::Tombstone as u8 => Command::Tombstone { txn: r.txn()?, watermark: r.u64()? },
        k if k == Kind::Stage as u8 => {
            Command::Stage { txn: r.txn()?, watermark: r.u64()?, part: r.u32()?, writes: r.rest() }
        }
        k if k == Kind::Bootstrap as u8 => {
            Command::Bootstrap { format: r.u32()?, cluster: r.array()?, stamp: r.timestamp()?, writes: r.writes()? }
        }
        k if k == Kind::Mark as u8 => Command::Mark { mark: r.u64()? },
        k if k == Kind::OpenEpoch as u8 => Command::OpenEpoch { gateway: r.u64()?, epoch: r.u64()? },
        _ => return Err(DecodeError("unknown command")),
    };
    if r.is_empty() { Ok(command) } else { Err(DecodeError("bytes after a command")) }
}

/// `count u32 | writes`, as a staged part is stored.
pub(crate) fn read_writes(bytes: Bytes) -> Decoded<Vec<Mutation>> {
    Reader::new(bytes).writes()
}

/// A prepared transaction inside the replicated state's image: the same bytes as in the log.
pub(crate) fn encode_prepared(txn: TxnId, prepare: &Prepare) -> BytesMut {
    let more = PrepareParts {
        age: prepare.age,
        participants: &prepare.participants,
        schemas: &prepare.schemas,
        spans: &prepare.spans,
    };
    let writes = EncodedWrites::from_mutations(&prepare.writes);
    let mut bytes = self::prepare(txn, 0, prepare.parts, &prepare.fences, &writes, &more);
    patch_stamp(&mut bytes, prepare.stamp);
    bytes
}

pub(crate) fn decode_one(reader: &mut Reader) -> Decoded<Command> {
    let length = reader.u32()? as usize;
    decode_command(reader.take(length)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (TxnId, Prepare) {
        let mutation = |key: &'static [u8], value: Option<&'static [u8]>| Mutation {
            relation: StorageId(7),
            key: Bytes::from_static(key),
            value: value.map(Bytes::from_static),
        };
        let span = |mode| Span { relation: StorageId(7), range: KeyRange::point(b"k"), mode };
        let prepare = Prepare {
            stamp: Timestamp(99),
            parts: 2,
            fences: vec![SchemaVersion { relation: 1, version: 2 }],
            writes: vec![mutation(b"a", Some(b"1")), mutation(b"b", None), mutation(b"c", Some(b""))],
            age: Timestamp(5),
            participants: vec![ShardId(0), ShardId(1)],
            schemas: vec![SchemaVersion { relation: 1, version: 1 }],
            spans: vec![span(None), span(Some(LockMode::Share)), {
                Span { relation: StorageId(1), range: KeyRange::all(), mode: None }
            }],
        };
        (TxnId { gateway: 1, epoch: 2, sequence: 3 }, prepare)
    }

    #[test]
    fn prepare_comes_back_as_it_went() {
        let (txn, prepare) = sample();
        let command = encode_prepared(txn, &prepare).freeze();
        let entry = decode_entry(entry(4, 5, &[command])).expect("our own bytes");
        assert_eq!((entry.term, entry.batch), (4, 5));
        match &entry.commands[..] {
            [Command::Prepare { txn: t, prepare: p, .. }] => {
                assert_eq!(format!("{t:?} {p:?}"), format!("{txn:?} {prepare:?}"))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_cut_is_an_error_and_no_bit_flip_panics() {
        let (txn, prepare) = sample();
        let whole = entry(1, 1, &[encode_prepared(txn, &prepare).freeze(), mark(7).freeze()]);
        for length in 0..whole.len() {
            assert!(decode_entry(whole.slice(..length)).is_err(), "{length}");
        }
        for position in 0..whole.len() {
            for bit in 0..8 {
                let mut bytes = whole.to_vec();
                bytes[position] ^= 1 << bit;
                let _ = decode_entry(bytes.into());
            }
        }
    }
}
