//! Replay with proof (`distributed-core.md` §4): a SERIALIZABLE block that met a conflict is executed again at a new snapshot. If
//! every answer is what the client has seen already, it has seen nothing but the truth, and the block goes on; if one differs, the
//! client gets its 40001.
//!
//! - P1  Kept are the statements of the block and a hash of each answer: columns, rows, tags, notices.
//! - P2  Only what a rollback takes back is executed again. A statement with any other effect, a cursor, COPY, an error, or more
//!   than `STEPS_MAX` statements or `BYTES_MAX` bytes end the possibility for the block. What sequences and random numbers gave may
//!   differ the second time: where the client has seen it, the hash differs, too.
//! - P3  `now()` stays that of the first attempt. The transaction keeps its age, so that it wins in the end.
//! - P4  A deadlock is told (40P01): executed again, its victim would wait for locks whose owner's client may be waiting for it.
//! - P5  This is the only place that executes again what more than one statement did; a statement alone is `query`'s (`Attempts`).

use crate::block::BlockState;
use crate::conflicts::Settled;
use crate::portal::Portal;
use crate::query::{ATTEMPTS_MAX, Standing, may_try_again};
use crate::session::{Outcome, Session};
use crate::sink::{Sink, SinkMark};
use crate::state::TransactionFacts;
use crate::statement::{PreparedStatement, Work};
use exec::BoxFuture;
use exec::output::ValueFormat;
use sql::ResultColumn;
use sql::utility::Utility;
use std::sync::Arc;
use txn::{Isolation, Timestamp};
use types::hash::Hasher64;
use types::{Datum, Result, SqlError, SqlState};

/// Statements of a block that may still be executed again.
const STEPS_MAX: usize = 1_000;
/// Bytes of their parameters and answers.
const BYTES_MAX: usize = 256 << 10;
/// Bytes of an answer that is only compared. One that is longer than any that was kept is another.
const DISCARD_BYTES: usize = 2 * BYTES_MAX;

/// What a block has done so far.
#[derive(Default)]
pub(crate) struct History {
    steps: Vec<Step>,
    bytes: usize,
    /// It can not be executed again.
    is_broken: bool,
}

enum Step {
    Query {
        statement: Arc<PreparedStatement>,
        parameters: Arc<[Datum]>,
        formats: Vec<ValueFormat>,
        describes: bool,
        answer: Answer,
    },
    /// SAVEPOINT and its like.
    Control(Utility),
}

/// 128 bits: two blocks' answers do not meet by chance.
type Answer = [u64; 2];

/// A block that is to be executed again.
pub(crate) struct Replay {
    history: History,
    facts: TransactionFacts,
    age: Timestamp,
    now: i64,
}

impl History {
    /// Of a transaction that may meet a conflict of Hyrax's own making.
    pub fn of(facts: &TransactionFacts) -> History {
        let can_conflict = facts.isolation == Isolation::Serializable && !facts.read_only;
        History { is_broken: !can_conflict, ..History::default() }
    }

    pub fn is_kept(&self) -> bool {
        !self.is_broken
    }

    pub fn ended() -> History {
        History { is_broken: true, ..History::default() }
    }

    pub fn end(&mut self) {
        *self = History::ended();
    }

    fn push(&mut self, step: Step, bytes: usize) {
        self.bytes += bytes;
        if self.is_broken || self.steps.len() >= STEPS_MAX || self.bytes > BYTES_MAX {
            return self.end();
        }
        self.steps.push(step);
    }
}

impl Session {
    /// Whether what runs now may be executed again with its block.
    pub(crate) fn keeps_history(&self, standing: Standing) -> bool {
        standing != Standing::Alone && self.open.as_ref().is_none_or(|open| open.history.is_kept())
    }

    /// A portal has been run in a block, with this answer; `is_whole`: from its start to its end.
    pub(crate) fn note_step(&mut self, portal: &Portal, is_whole: bool, describes: bool, answer: Seen) {
        let Some(open) = &mut self.open else { return };
        let repeats = match &portal.planned.work {
            Work::Nothing => return,
            Work::Query(prepared) => prepared.is_repeatable(),
            Work::Rewritten(work) => work.is_repeatable(),
            // Of settings, which nothing has changed: SET ends the possibility. SET TRANSACTION counts before the first query only.
            Work::Utility(utility) if matches!(**utility, Utility::Show(_)) => return,
            Work::Utility(utility) if !open.has_run && is_set_transaction(utility) => return,
            // The block keeps its token.
            Work::Utility(utility) => is_set_token(utility),
        };
        let Some(answer) = answer.complete().filter(|_| repeats && is_whole) else {
            return open.history.end();
        };
        let parameters: usize = portal.parameters.iter().map(|p| size_of::<Datum>() + p.heap_size()).sum();
        let step = Step::Query {
            statement: portal.statement.clone(),
            parameters: portal.parameters.clone(),
            formats: portal.formats.clone(),
            describes,
            answer: answer.0,
        };
        open.history.push(step, parameters + answer.1);
    }

    /// A control statement has been run in the block.
    pub(crate) fn note_control(&mut self, utility: &Utility) {
        let Some(open) = self.open.as_mut().filter(|open| open.history.is_kept()) else { return };
        match utility {
            Utility::Savepoint(_) | Utility::Release(_) | Utility::RollbackTo(_) => {
                open.history.push(Step::Control(utility.clone()), 64);
            }
            // BEGIN in a block, which warns; the end of the one before (AND CHAIN).
            _ => {}
        }
    }

    /// Takes what is needed to execute the block again, if that is possible. The transaction goes on without a history.
    fn take_replay(&mut self) -> Option<Replay> {
        // What still runs would be lost with the transaction.
        if self.copy.is_some() || self.portals.values().any(Portal::is_running) {
            return None;
        }
        let now = self.state.transaction_start();
        let open = self.open.as_mut().filter(|open| open.history.is_kept())?;
        let history = std::mem::replace(&mut open.history, History::ended());
        Some(Replay { history, facts: open.facts, age: open.txn.age(), now })
    }

    /// A statement of a block met a conflict: whether the block before it has been executed again, so that the statement can be.
    pub(crate) async fn replay_block(&mut self, error: &SqlError) -> Result<bool> {
        // ROLLBACK TO must find what it goes back to, if the proof fails.
        let has_savepoints = self.open.as_ref().is_none_or(|open| !open.savepoints.is_empty());
        if !is_conflict(error) || has_savepoints {
            return Ok(false);
        }
        match self.take_replay() {
            Some(replay) => self.replay_and_note(replay, error).await,
            None => Ok(false),
        }
    }

    /// The conflict is kept with what became of it; whom it met is told to the client if the proof fails.
    async fn replay_and_note(&mut self, replay: Replay, error: &SqlError) -> Result<bool> {
        let met = self.take_met();
        let proved = self.replay(replay).await;
        // What executing it again met is not what the client is told of.
        drop(self.take_met());
        if matches!(proved, Ok(true)) {
            self.keep_conflict(error, met.as_ref(), Settled::BlockProved);
        } else {
            (self.met, self.has_replayed) = (met, true);
        }
        proved
    }

    /// COMMIT of a block, executed again as long as that is possible and of use.
    pub(crate) async fn commit_block(&mut self) -> Result<()> {
        for _ in 1..ATTEMPTS_MAX {
            let replay = self.take_replay();
            let Err(error) = self.commit().await else { return Ok(()) };
            let Some(replay) = replay.filter(|_| is_conflict(&error)) else {
                return Err(self.explain_conflict(error));
            };
            let block = std::mem::replace(&mut self.block, BlockState::InBlock);
            let proved = self.replay_and_note(replay, &error).await;
            self.block = block;
            if !matches!(proved, Ok(true)) {
                self.abort();
                return proved.and_then(|_| Err(self.explain_conflict(error)));
            }
        }
        let ended = self.commit().await;
        ended.map_err(|error| self.explain_conflict(error))
    }

    /// Executes a block again in a new transaction; whether all answers are the same. Errors are those that end a statement from
    /// outside: cancel, timeout, shutdown.
    // Boxed: COMMIT is a control statement, which a block may hold as far as the compiler can tell.
    fn replay(&mut self, replay: Replay) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async move {
            for _ in 0..ATTEMPTS_MAX {
                self.abort();
                self.state.take_notices();
                self.open_at(replay.facts, replay.age, replay.now, History::ended());
                let mut all = Ok(true);
                for step in &replay.history.steps {
                    all = self.step(step).await;
                    if !matches!(all, Ok(true)) {
                        break;
                    }
                }
                match all {
                    Err(error) if may_try_again(&error) => {}
                    Err(error) if error.code().class() == "57" => return Err(error),
                    other => {
                        let is_proved = matches!(other, Ok(true));
                        let result = if is_proved { "proved" } else { "differs" };
                        metrics::counter!("hyrax_block_replays_total", "result" => result).increment(1);
                        if let Some(open) = self.open.as_mut().filter(|_| is_proved) {
                            open.history = replay.history;
                        }
                        return Ok(is_proved);
                    }
                }
            }
            metrics::counter!("hyrax_block_replays_total", "result" => "conflicts").increment(1);
            Ok(false)
        })
    }

    /// Whether a step answers as it did.
    async fn step(&mut self, step: &Step) -> Result<bool> {
        let (statement, parameters, formats, describes, answer) = match step {
            Step::Control(utility) => {
                return Box::pin(self.run_control(utility)).await.map(|_| true);
            }
            Step::Query { statement, parameters, formats, describes, answer } => {
                (statement, parameters, formats, *describes, answer)
            }
        };
        let planned = self.planned_to_run(statement, !describes).await?;
        if !planned.takes(parameters.len()) || statement.is_template && !planned.is_direct() {
            // It was a template for another schema.
            return Ok(false);
        }
        self.next_portal += 1;
        let mut portal = Portal::new(self.next_portal, statement.clone(), planned, parameters.clone(), formats.clone());
        let mut discard = Discard::default();
        let mut recorder = Recorder::new(&mut discard);
        let run: BoxFuture<'_, Result<Outcome>> =
            Box::pin(self.run_unrecorded(&mut portal, 0, Standing::Among { is_last: false }, describes, &mut recorder));
        let outcome = run.await?;
        let seen = recorder.finish().complete();
        Ok(outcome == Outcome::Completed && seen.is_some_and(|(hash, _)| hash == *answer))
    }
}

fn is_conflict(error: &SqlError) -> bool {
    error.code() == SqlState::SERIALIZATION_FAILURE
}

fn is_set_token(utility: &Utility) -> bool {
    matches!(utility, Utility::Set { name, .. } if name.eq_ignore_ascii_case(crate::tokens::SETTING))
}

fn is_set_transaction(utility: &Utility) -> bool {
    matches!(utility, Utility::SetTransaction { session: false, .. })
}

/// What went by: a hash, how many bytes, and whether all of it was looked at.
pub(crate) struct Seen {
    hash: Answer,
    bytes: usize,
    is_lost: bool,
}

impl Seen {
    fn complete(self) -> Option<(Answer, usize)> {
        (!self.is_lost).then_some((self.hash, self.bytes))
    }
}

/// Hashes what is answered on its way. Rows are what appears in the buffer between two calls; the frames around them are the
/// protocol's and not looked at.
pub(crate) struct Recorder<'s> {
    inner: &'s mut dyn Sink,
    from: usize,
    hashers: [Hasher64; 2],
    bytes: usize,
    is_lost: bool,
}

impl<'s> Recorder<'s> {
    pub fn new(inner: &'s mut dyn Sink) -> Recorder<'s> {
        let from = inner.buffer().len();
        Recorder { inner, from, hashers: [Hasher64::new(1), Hasher64::new(2)], bytes: 0, is_lost: false }
    }

    pub fn finish(mut self) -> Seen {
        self.absorb();
        let [a, b] = &self.hashers;
        Seen { hash: [a.finish(), b.finish()], bytes: self.bytes, is_lost: self.is_lost }
    }

    fn hash(&mut self, bytes: &[u8]) {
        for hasher in &mut self.hashers {
            hasher.write_u64(bytes.len() as u64);
            hasher.write_bytes(bytes);
        }
        self.bytes += bytes.len();
    }

    /// Looks at the rows that have come.
    fn absorb(&mut self) {
        let from = self.from;
        let buffer = self.inner.buffer();
        let Some(rows) = buffer.get(from..) else {
            self.is_lost = true;
            return;
        };
        if rows.is_empty() {
            return;
        }
        for hasher in &mut self.hashers {
            hasher.write_bytes(rows);
        }
        self.bytes += rows.len();
        self.from += rows.len();
    }

    /// Behind what the inner sink has put down itself.
    fn resume(&mut self) {
        self.from = self.inner.buffer().len();
    }
}

impl Sink for Recorder<'_> {
    fn buffer(&mut self) -> &mut Vec<u8> {
        self.inner.buffer()
    }
    fn row_description(&mut self, columns: &[ResultColumn], formats: &[ValueFormat]) {
        self.absorb();
        for column in columns {
            self.hash(column.name.as_bytes());
            self.hash(&column.ty.oid.to_le_bytes());
        }
        self.inner.row_description(columns, formats);
        self.resume();
    }
    fn command_complete(&mut self, tag: &str) {
        self.absorb();
        self.hash(tag.as_bytes());
        self.inner.command_complete(tag);
        self.resume();
    }
    fn empty_query(&mut self) {
        self.absorb();
        self.inner.empty_query();
        self.resume();
    }
    fn notice(&mut self, notice: &SqlError) {
        self.absorb();
        self.hash(notice.message().as_bytes());
        self.inner.notice(notice);
        self.resume();
    }
    fn copy_in(&mut self, is_binary: bool, columns: usize) {
        self.is_lost = true;
        self.inner.copy_in(is_binary, columns);
        self.resume();
    }
    fn copy_out(&mut self, is_binary: bool, columns: usize) {
        self.is_lost = true;
        self.inner.copy_out(is_binary, columns);
        self.resume();
    }
    fn copy_done(&mut self) {
        self.is_lost = true;
        self.inner.copy_done();
        self.resume();
    }
    fn is_full(&mut self) -> bool {
        self.inner.is_full()
    }
    /// An answer that does not fit the buffer is not kept: its hash would depend on where it was cut.
    fn flow(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.is_lost |= self.inner.buffer().len() > self.from;
            let result = self.inner.flow().await;
            self.resume();
            result
        })
    }
    fn mark(&mut self) -> SinkMark {
        self.inner.mark()
    }
    fn rewind(&mut self, mark: SinkMark) -> bool {
        self.is_lost = true;
        self.inner.rewind(mark)
    }
}

/// Where answers go that are only compared.
#[derive(Default)]
struct Discard {
    buffer: Vec<u8>,
}

impl Sink for Discard {
    fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }
    fn row_description(&mut self, _: &[ResultColumn], _: &[ValueFormat]) {}
    fn command_complete(&mut self, _: &str) {}
    fn empty_query(&mut self) {}
    fn notice(&mut self, _: &SqlError) {}
    fn copy_in(&mut self, _: bool, _: usize) {}
    fn copy_out(&mut self, _: bool, _: usize) {}
    fn copy_done(&mut self) {}
    fn is_full(&mut self) -> bool {
        self.buffer.len() >= DISCARD_BYTES
    }
    fn flow(&mut self) -> BoxFuture<'_, Result<()>> {
        self.buffer.clear();
        Box::pin(async { Ok(()) })
    }
    fn mark(&mut self) -> SinkMark {
        SinkMark { flushes: 0, bytes: self.buffer.len() }
    }
    fn rewind(&mut self, mark: SinkMark) -> bool {
        self.buffer.truncate(mark.bytes);
        true
    }
}
