//! Sequences: `nextval`, `setval` and what a sequence's row shows.
//!
//! Owns the sequences' rows (`rows::COUNTERS`, by storage id) and the node's blocks of values. Values are not
//! transactional: a block of them is taken by a commit of its own, outside the client's transaction, then handed out from
//! memory to all sessions of the node in order. A crash skips what was left of a block, at most 32 values, as PostgreSQL.
//!
//! I1  No value is handed out twice: a block is committed before its first value is handed out.
//! I2  A row's `epoch` is raised by `setval`; a block of an older epoch is void, on every node that follows the row.
//!
//! I3  Nobody takes values by a definition that is being changed, or has been: they would come again by the new one.
//!
//! A sequence that was never used has no row. What ought to be transactional (ALTER SEQUENCE, RESTART, TRUNCATE …
//! RESTART IDENTITY) gives the sequence a new storage id in its descriptor, hence a new row; the old one stays for rollback. Until
//! the end of that transaction it holds the old row ([`Sequences::hold`]), and if it commits leaves the row marked as left behind:
//! who wants a value meanwhile waits for the descriptor, and asks again with what it says then. TEMP sequences live in memory alone.

use crate::descriptor::{Object, ObjectKey, Relation, SequenceDefinition};
use crate::rows;
use crate::store::COUNTER_ATTEMPTS_MAX;
use foldhash::{HashMap, HashMapExt};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use txn::{Gateway, LockMode, Locked, Mutation, Transaction, TxnOptions, WaitPolicy};
use types::{Oid, SqlError, SqlState};

/// Values taken ahead by one commit; PostgreSQL logs as many.
const BLOCK: i64 = 32;
/// How long the row is waited for before whoever has it is taken for one who changes the sequence: nobody else has it for longer
/// than a commit.
const HELD_AFTER: Duration = Duration::from_millis(20);
/// Sequences whose currval a session remembers before DISCARD.
const SESSION_SEQUENCES_MAX: usize = 100_000;

const SEQUENCE_GENERATOR_LIMIT_EXCEEDED: SqlState = SqlState::new(b"2200H");

/// What a sequence's row says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SequenceState {
    pub last_value: i64,
    /// Whether `last_value` has been handed out.
    pub is_called: bool,
    epoch: u64,
    /// The sequence has another row now.
    is_left: bool,
}

/// In the row's byte of flags.
const CALLED: u8 = 1;
const LEFT: u8 = 2;

impl SequenceState {
    pub fn new(last_value: i64, is_called: bool) -> SequenceState {
        SequenceState { last_value, is_called, epoch: 0, is_left: false }
    }

    fn encode(self) -> Vec<u8> {
        let mut bytes = vec![1];
        bytes.extend_from_slice(&self.last_value.to_be_bytes());
        bytes.push(if self.is_called { CALLED } else { 0 } | if self.is_left { LEFT } else { 0 });
        bytes.extend_from_slice(&self.epoch.to_be_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<SequenceState, SqlError> {
        let parse = || {
            let (format, rest) = bytes.split_first()?;
            let (last, rest) = rest.split_first_chunk::<8>()?;
            let (flags, rest) = rest.split_first()?;
            let epoch = <[u8; 8]>::try_from(rest).ok()?;
            let state = SequenceState {
                last_value: i64::from_be_bytes(*last),
                is_called: flags & CALLED != 0,
                is_left: flags & LEFT != 0,
                epoch: u64::from_be_bytes(epoch),
            };
            (*format == 1).then_some(state)
        };
        parse().ok_or_else(|| SqlError::new(SqlState::DATA_CORRUPTED, "sequence row is damaged"))
    }

    /// `count` values from here at most, without passing the end (a cycle begins a block of its own).
    /// None: the sequence is used up and does not cycle.
    fn take(self, definition: &SequenceDefinition, count: i64) -> Option<Block> {
        let first = if self.is_called { following(definition, self.last_value)? } else { self.last_value };
        let (mut last, mut taken) = (first, 1);
        while taken < count {
            let Some(next) = last.checked_add(definition.increment) else { break };
            if !(definition.min..=definition.max).contains(&next) {
                break;
            }
            last = next;
            taken += 1;
        }
        Some(Block {
            next: first,
            remaining: taken,
            last_given: None,
            state: SequenceState { last_value: last, is_called: true, ..self },
        })
    }
}

/// The value after `last`: around the corner only with CYCLE.
fn following(definition: &SequenceDefinition, last: i64) -> Option<i64> {
    let next = last.checked_add(definition.increment).filter(|v| (definition.min..=definition.max).contains(v));
    match next {
        Some(next) => Some(next),
        None if !definition.cycle => None,
        None if definition.increment > 0 => Some(definition.min),
        None => Some(definition.max),
    }
}

/// Values of this node, not handed out yet.
struct Block {
    next: i64,
    remaining: i64,
    last_given: Option<i64>,
    /// As the row was left.
    state: SequenceState,
}

impl Block {
    /// As far as its values have been handed out.
    fn given(&self) -> SequenceState {
        match self.last_given {
            Some(value) => SequenceState { last_value: value, ..self.state },
            None => self.state,
        }
    }

    fn give(&mut self, definition: &SequenceDefinition) -> Option<i64> {
        if self.remaining == 0 {
            return None;
        }
        let value = self.next;
        self.remaining -= 1;
        self.next = value.wrapping_add(definition.increment);
        self.last_given = Some(value);
        Some(value)
    }
}

/// A session's memory of sequences: `currval` and `lastval`.
#[derive(Clone, Debug, Default)]
pub struct SessionSequences {
    current: HashMap<Oid, i64>,
    last: Option<Oid>,
}

impl SessionSequences {
    pub fn record(&mut self, sequence: Oid, value: i64) {
        if self.current.len() >= SESSION_SEQUENCES_MAX {
            self.current.clear();
        }
        self.current.insert(sequence, value);
        self.last = Some(sequence);
    }

    /// `setval(…, true)`: currval knows it, lastval does not change.
    pub fn record_setval(&mut self, sequence: Oid, value: i64) {
        self.current.insert(sequence, value);
    }

    /// 55000 before the first nextval in this session.
    pub fn currval(&self, sequence: &Relation) -> Result<i64, SqlError> {
        self.current.get(&sequence.id).copied().ok_or_else(|| {
            SqlError::new(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("currval of sequence \"{}\" is not yet defined in this session", sequence.name),
            )
        })
    }

    /// The sequence of the last nextval and its value; the caller checks that it still exists.
    pub fn lastval(&self) -> Result<(Oid, i64), SqlError> {
        let last = self.last.and_then(|id| Some((id, *self.current.get(&id)?)));
        last.ok_or_else(|| {
            SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, "lastval is not yet defined in this session")
        })
    }

    /// DISCARD SEQUENCES.
    pub fn discard(&mut self) {
        *self = SessionSequences::default();
    }
}

/// The node's blocks.
pub struct Sequences {
    gateway: Arc<Gateway>,
    /// By storage id.
    blocks: Mutex<HashMap<u32, Block>>,
    /// Who fetches a block, by storage id; gone when nobody does.
    fetching: Mutex<HashMap<u32, Arc<tokio::sync::Mutex<()>>>>,
}

fn definition(sequence: &Relation) -> Result<&SequenceDefinition, SqlError> {
    sequence
        .sequence
        .as_ref()
        .ok_or_else(|| SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{}\" is not a sequence", sequence.name)))
}

fn used_up(sequence: &Relation, definition: &SequenceDefinition) -> SqlError {
    let (which, value) =
        if definition.increment > 0 { ("maximum", definition.max) } else { ("minimum", definition.min) };
    SqlError::new(
        SEQUENCE_GENERATOR_LIMIT_EXCEEDED,
        format!("nextval: reached {which} value of sequence \"{}\" ({value})", sequence.name),
    )
}

impl Sequences {
    pub(crate) fn new(gateway: Arc<Gateway>) -> Sequences {
        Sequences { gateway, blocks: Mutex::new(HashMap::new()), fetching: Mutex::default() }
    }

    /// The meta shard has committed these rows: blocks of an older epoch are void.
    pub(crate) fn follow(&self, mutations: &[Mutation]) {
        for mutation in mutations.iter().filter(|m| m.relation == rows::COUNTERS) {
            let Some(Ok(storage)) = mutation.key.strip_prefix(&[1]).map(<[u8; 4]>::try_from) else { continue };
            let Some(Ok(state)) = mutation.value.as_deref().map(SequenceState::decode) else { continue };
            let mut blocks = self.blocks.lock();
            let storage = u32::from_be_bytes(storage);
            if blocks.get(&storage).is_some_and(|block| block.state.epoch < state.epoch) {
                blocks.remove(&storage);
            }
        }
    }

    /// The next value. 2200H at the end of a sequence that does not cycle. None: it is not to be had by this definition, see
    /// [`newest`].
    pub async fn nextval(&self, sequence: &Relation) -> Result<Option<i64>, SqlError> {
        let definition = definition(sequence)?;
        if let Some(value) = self.blocks.lock().get_mut(&sequence.storage).and_then(|b| b.give(definition)) {
            return Ok(Some(value));
        }
        if sequence.is_temporary {
            return self.nextval_in_memory(sequence, definition).map(Some);
        }
        // One at a time, or sessions that run out together would each fetch a block, and values come out of order.
        let turn = self.fetching.lock().entry(sequence.storage).or_default().clone();
        let value = {
            let _fetching = turn.lock().await;
            self.fetch(sequence, definition).await
        };
        drop(turn);
        let mut fetching = self.fetching.lock();
        if fetching.get(&sequence.storage).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            fetching.remove(&sequence.storage);
        }
        value
    }

    async fn fetch(&self, sequence: &Relation, definition: &SequenceDefinition) -> Result<Option<i64>, SqlError> {
        if let Some(value) = self.blocks.lock().get_mut(&sequence.storage).and_then(|b| b.give(definition)) {
            return Ok(Some(value));
        }
        let mut attempts = 0;
        let block = loop {
            match self.reserve(sequence, definition).await {
                Err(error) if error.code() == SqlState::SERIALIZATION_FAILURE && attempts < COUNTER_ATTEMPTS_MAX => {
                    attempts += 1;
                }
                Err(error) if error.code() == SqlState::LOCK_NOT_AVAILABLE => return Ok(None),
                other => break other?,
            }
        };
        let Some(mut block) = block else { return Ok(None) };
        let value = block.give(definition).ok_or_else(|| SqlError::internal("a block of a sequence is empty"))?;
        self.blocks.lock().insert(sequence.storage, block);
        Ok(Some(value))
    }

    fn nextval_in_memory(&self, sequence: &Relation, definition: &SequenceDefinition) -> Result<i64, SqlError> {
        let mut blocks = self.blocks.lock();
        let state = blocks.get(&sequence.storage).map_or(SequenceState::new(definition.start, false), |b| b.state);
        let mut block = state.take(definition, 1).ok_or_else(|| used_up(sequence, definition))?;
        let value = block.give(definition).ok_or_else(|| SqlError::internal("a block of a sequence is empty"))?;
        blocks.insert(sequence.storage, block);
        Ok(value)
    }

    /// None: the sequence has another row.
    async fn reserve(&self, sequence: &Relation, definition: &SequenceDefinition) -> Result<Option<Block>, SqlError> {
        let txn = self.begin().await?;
        txn.set_lock_timeout(Some(HELD_AFTER));
        let state = lock_row(&txn, sequence.storage).await?.unwrap_or(SequenceState::new(definition.start, false));
        if state.is_left {
            return Ok(None);
        }
        let block = state.take(definition, BLOCK.max(definition.cache)).ok_or_else(|| used_up(sequence, definition))?;
        put_row(&txn, sequence.storage, block.state)?;
        txn.commit().await?;
        Ok(Some(block))
    }

    /// Keeps everybody from taking values of a sequence until the end of the transaction, which gives it another row; where it
    /// stands.
    pub async fn hold(&self, txn: &Transaction, sequence: &Relation) -> Result<SequenceState, SqlError> {
        let now = self.state(sequence).await?;
        if sequence.is_temporary {
            return Ok(now);
        }
        let storage = sequence.storage;
        // What the node has taken ahead is given back, so that nothing is skipped if the transaction rolls back.
        if self.blocks.lock().contains_key(&storage) {
            self.set_state(storage, false, now).await?;
        }
        let key = rows::sequence_key(storage);
        let row = txn.claim(&rows::COUNTER_ROWS, rows::SLOT, &key, read_row).await??;
        // A block that was taken in between is void: its owner has the row no longer.
        let ahead = self.blocks.lock().remove(&storage).map(|block| block.given());
        let state = ahead.or(row).unwrap_or(SequenceState::new(definition(sequence)?.start, false));
        put_row(txn, storage, SequenceState { is_left: true, ..state })?;
        Ok(state)
    }

    /// Sets the value; `is_called` false: nextval gives it next. 22003 outside the bounds.
    pub async fn setval(&self, sequence: &Relation, value: i64, is_called: bool) -> Result<(), SqlError> {
        let definition = definition(sequence)?;
        if !(definition.min..=definition.max).contains(&value) {
            return Err(SqlError::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                format!(
                    "setval: value {value} is out of bounds for sequence \"{}\" ({}..{})",
                    sequence.name, definition.min, definition.max
                ),
            ));
        }
        self.set_state(sequence.storage, sequence.is_temporary, SequenceState::new(value, is_called)).await
    }

    /// The same without a check, also for a storage id that no committed descriptor has yet.
    pub async fn set_state(&self, storage: u32, is_temporary: bool, mut state: SequenceState) -> Result<(), SqlError> {
        if is_temporary {
            let block = Block { next: 0, remaining: 0, last_given: None, state };
            self.blocks.lock().insert(storage, block);
            return Ok(());
        }
        let mut attempts = 0;
        loop {
            let result = async {
                let txn = self.begin().await?;
                let old = lock_row(&txn, storage).await?;
                state.epoch = old.map_or(0, |old| old.epoch) + 1;
                put_row(&txn, storage, state)?;
                txn.commit().await.map_err(SqlError::from)
            };
            match result.await {
                Err(error) if error.code() == SqlState::SERIALIZATION_FAILURE && attempts < COUNTER_ATTEMPTS_MAX => {
                    attempts += 1;
                }
                Err(error) => return Err(error),
                Ok(_) => break,
            }
        }
        self.blocks.lock().remove(&storage);
        Ok(())
    }

    /// What `SELECT last_value, is_called FROM sequence` shows: as far as this node has handed out.
    pub async fn state(&self, sequence: &Relation) -> Result<SequenceState, SqlError> {
        let definition = definition(sequence)?;
        if let Some(block) = self.blocks.lock().get(&sequence.storage) {
            return Ok(block.given());
        }
        if sequence.is_temporary {
            return Ok(SequenceState::new(definition.start, false));
        }
        let txn = self.begin().await?;
        let key = rows::sequence_key(sequence.storage);
        let row = txn
            .get(&rows::COUNTER_ROWS, rows::SLOT, &key, |value, _| value.map(SequenceState::decode))
            .await?
            .transpose()?;
        Ok(row.unwrap_or(SequenceState::new(definition.start, false)))
    }

    /// The sequence is gone for good.
    pub fn forget(&self, storage: u32) {
        self.blocks.lock().remove(&storage);
    }

    async fn begin(&self) -> Result<Transaction, SqlError> {
        let txn = self.gateway.begin(TxnOptions::default());
        txn.begin_statement().await?;
        Ok(txn)
    }
}

async fn lock_row(txn: &Transaction, storage: u32) -> Result<Option<SequenceState>, SqlError> {
    let key = rows::sequence_key(storage);
    txn.lock(&rows::COUNTER_ROWS, rows::SLOT, &key, LockMode::Update, WaitPolicy::Wait, read_row).await?
}

fn read_row(locked: Locked<'_>) -> Result<Option<SequenceState>, SqlError> {
    match locked {
        Locked::Row { value, .. } => SequenceState::decode(value).map(Some),
        Locked::Absent { .. } | Locked::Moved { .. } | Locked::Skipped => Ok(None),
    }
}

/// A sequence as it is once whoever changes it has ended, and as it stays until this transaction has. 42P01 if it is gone.
pub async fn newest(txn: &Transaction, sequence: &Relation) -> Result<Arc<Relation>, SqlError> {
    let key = rows::object_key(ObjectKey::relation(sequence.id));
    let read = |locked: Locked<'_>| match locked {
        Locked::Row { value, .. } => rows::decode_object(value).map(Some),
        Locked::Absent { .. } | Locked::Moved { .. } | Locked::Skipped => Ok(None),
    };
    let object =
        txn.lock(&rows::DESCRIPTOR_ROWS, rows::SLOT, &key, LockMode::KeyShare, WaitPolicy::Wait, read).await??;
    match object {
        Some(Object::Relation(relation)) => Ok(Arc::new(relation)),
        _ => {
            let message = format!("relation \"{}\" does not exist", sequence.name);
            Err(SqlError::new(SqlState::UNDEFINED_TABLE, message))
        }
    }
}

fn put_row(txn: &Transaction, storage: u32, state: SequenceState) -> Result<(), SqlError> {
    txn.put(&rows::COUNTER_ROWS, rows::SLOT, &rows::sequence_key(storage), &state.encode())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(start: i64, increment: i64, min: i64, max: i64, cycle: bool) -> SequenceDefinition {
        let ty = types::oid::INT8;
        SequenceDefinition { ty, start, increment, min, max, cache: 1, cycle, owned_by: None, is_identity: false }
    }

    /// All values until the end, at most `limit`, through blocks of `count`.
    fn run(definition: &SequenceDefinition, count: i64, limit: usize) -> Vec<i64> {
        let mut state = SequenceState::new(definition.start, false);
        let mut values = vec![];
        while let Some(mut block) = state.take(definition, count) {
            state = block.state;
            while let Some(value) = block.give(definition) {
                values.push(value);
                if values.len() == limit {
                    return values;
                }
            }
        }
        values
    }

    #[test]
    fn blocks_of_any_size_give_the_same_values() {
        for count in [1, 2, 3, 32] {
            assert_eq!(run(&definition(1, 2, 1, 7, false), count, 99), [1, 3, 5, 7]);
            assert_eq!(run(&definition(3, 1, 1, 4, true), count, 7), [3, 4, 1, 2, 3, 4, 1]);
            assert_eq!(run(&definition(-1, -2, -6, -1, true), count, 5), [-1, -3, -5, -1, -3]);
            assert_eq!(run(&definition(i64::MAX - 1, 1, 1, i64::MAX, false), count, 99), [i64::MAX - 1, i64::MAX]);
        }
    }

    #[test]
    fn stored_state_reads_back_and_damage_is_told() {
        let states = [(true, false), (false, true), (true, true), (false, false)];
        for (is_called, is_left) in states {
            let state = SequenceState { last_value: -5, is_called, epoch: 9, is_left };
            assert_eq!(SequenceState::decode(&state.encode()).unwrap(), state);
        }
        assert!(SequenceState::decode(&[1, 2]).is_err());
        assert!(SequenceState::decode(&[]).is_err());
    }

    #[test]
    fn setval_is_currval_but_not_lastval() {
        let mut session = SessionSequences::default();
        session.record_setval(1, 10);
        assert!(session.lastval().is_err());
        session.record(2, 20);
        session.record_setval(1, 11);
        assert_eq!(session.lastval().unwrap(), (2, 20));
    }
}
