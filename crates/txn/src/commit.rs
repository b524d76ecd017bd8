//! How a transaction ends.
//!
//! ```text
//! nothing written   wait for what its locks saw in flight, release
//! one shard         encode -> sequencer (validate, stamp) -> log -> covered -> answer          1 entry
//! several shards    Prepare at each in parallel -> all yes: committed -> Decide at each         2 entries each
//! > commit_bytes    Stage parts ahead, then either of the above names their number
//! ```
//!
//! I1  What was never sent is simply dropped; what was sent is waited for: a commit that is under way can not be cancelled.
//! I2  An error other than `UnknownOutcome` means that nothing happened and nothing will.
//! I3  TEMP rows are written after the shared commit, and only then.
//!
//! Two-shard commits (DDL with rows) run as a task of their own, so that a session that goes away leaves nothing undecided; they
//! answer when the Decides are applied, so that the catalog's listener has seen them.

use crate::gateway::Gateway;
use crate::ids::OpenId;
use crate::state::State;
use crate::transaction::{SessionId, Transaction};
use crate::{Conflict, ConflictKind, Home, Isolation, Result, TxnError, lone, wait};
use bytes::{Bytes, BytesMut};
use host::bugs::{self, Bug};
use shard::command::{self, EncodedWrites, PrepareParts};
use shard::locks::{Owner, RowKey};
use shard::reads::ReadSet;
use shard::wake::{Slot, Wakeups};
use shard::{
    Certified, Checked, CommitRequest, Dependency, Fate, LockMode, LockedSpan, Outcome, Refusal, SchemaVersion,
    Sequenced, Shard, Span, WriteAt,
};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use storage::segment::Shortage;
use storage::{KeyRange, Mutation, StorageId, Timestamp};

/// Rows of a commit that get an entry each in the lock table; more are announced as ranges.
const ROWS_SHOWN_MAX: usize = 4096;
/// How often a commit looks whether what has changed of a row is what was read of it. Each time another commit came in between.
const LOOKS_MAX: usize = 16;
/// A commit that writes the log on its session's thread is not larger.
const DRIVEN_BYTES_MAX: usize = 64 << 10;
/// Staged parts under way at a time.
const STAGES_IN_FLIGHT: usize = 4;
/// Above this share of the delta's limit commits are slowed down, in proportion.
const PRESSURE_SLOW: f64 = 0.7;
const PRESSURE_STEP: Duration = Duration::from_millis(20);
/// How long a commit waits for room in a full delta before it is refused.
const PRESSURE_WAIT: Duration = Duration::from_secs(30);

/// Ends a transaction without a commit: locks and snapshot go.
pub fn give_up(gateway: &Gateway, owner: Owner, state: &mut State) {
    release_locks(gateway, owner, state);
    state.parts.iter_mut().for_each(|part| gateway.give_back(&mut part.reserved));
    for snapshot in state.snapshot.take().into_iter().chain(state.kept.drain(..)) {
        gateway.snapshots().release(owner.0, snapshot);
    }
}

fn release_locks(gateway: &Gateway, owner: Owner, state: &mut State) {
    let mut wakeups = Wakeups::default();
    for home in [Home::Meta, Home::Data] {
        let Some(shard) = gateway.shard(home) else { continue };
        let part = state.part(home);
        for held in part.locks.drain(..) {
            shard.rows().release(owner, &held.span.row, None, &mut wakeups);
        }
        if !part.whole.is_empty() {
            part.whole.clear();
            shard.rows().release_whole(owner, &mut wakeups);
        }
        if !part.claims.is_empty() {
            part.claims.clear();
            shard.rows().end_claims(owner, &mut wakeups);
        }
        if !part.entered.is_empty() {
            let relations = part.entered.iter().map(|(relation, _)| *relation);
            shard.rows().leave_relations(owner, relations, &mut wakeups);
            part.entered.clear();
        }
        if std::mem::take(&mut part.has_closed) {
            shard.rows().open_relations(owner, &mut wakeups);
        }
    }
    if let Some(shard) = gateway.shard(Home::Meta).filter(|_| !state.names.is_empty()) {
        for held in state.names.drain(..) {
            shard.rows().release(owner, &held.row, None, &mut wakeups);
        }
    }
    wakeups.wake();
}

/// Gives everything up when the commit ends, however it does.
struct Ending {
    gateway: Arc<Gateway>,
    owner: Owner,
    state: State,
}

impl Drop for Ending {
    fn drop(&mut self) {
        give_up(&self.gateway, self.owner, &mut self.state);
    }
}

pub async fn commit(txn: Transaction) -> Result<Timestamp> {
    let inner = txn.inner.clone();
    let gateway = inner.gateway.clone();
    let state = {
        let mut state = inner.state.lock();
        if state.is_over {
            return Err(TxnError::Over);
        }
        let taken = std::mem::take(&mut *state);
        state.is_over = true;
        taken
    };
    if let Some(ahead) = &state.ahead {
        gateway.contended().forget(ahead.row.hash);
    }
    drop(txn);
    let mut ending = Ending { gateway: gateway.clone(), owner: inner.owner, state };
    let answer = run(&mut ending, inner.options.isolation, inner.options.session).await;
    match &answer {
        Ok(_) => gateway.metrics().commits.increment(1),
        Err(error) => {
            gateway.metrics().abort(error);
            inner.state.lock().met = gateway.met_by(error).map(Box::new);
        }
    }
    answer
}

async fn run(ending: &mut Ending, isolation: Isolation, session: SessionId) -> Result<Timestamp> {
    let (gateway, owner) = (ending.gateway.clone(), ending.owner);
    let snapshot = ending.state.snapshot.unwrap_or_default();
    let participants = participants(&ending.state, isolation);
    let temporary = encode_temporary(&mut ending.state);
    gateway.admit_temporary(&temporary)?;
    let committed = match participants.len() {
        0 => {
            settle(ending).await?;
            snapshot
        }
        1 => {
            let home = participants[0];
            let shared = Shared::new(&ending.state, isolation);
            let work = Work::take(&gateway, ending, home, snapshot, owner)?;
            commit_one(ending, home, work, shared, session).await?
        }
        _ => commit_many(ending, &participants, isolation, snapshot).await?,
    };
    if temporary.is_empty() {
        return Ok(committed);
    }
    let at = if participants.is_empty() { gateway.oracle().now().await } else { committed };
    gateway.write_temporary(session, at, &temporary)?;
    Ok(at)
}

/// Shards with something to write or to validate, if anything is written at all.
fn participants(state: &State, isolation: Isolation) -> Vec<Home> {
    let writes =
        |home: Home| !state.parts[home as usize].buffer.is_empty() || home == Home::Data && !state.fences.is_empty();
    if !writes(Home::Meta) && !writes(Home::Data) {
        return Vec::new();
    }
    let validates = |home: Home| {
        let part = &state.parts[home as usize];
        isolation == Isolation::Serializable && !part.reads.is_empty()
            || !part.locks.is_empty()
            || !part.certified.is_empty()
    };
    [Home::Meta, Home::Data].into_iter().filter(|home| writes(*home) || validates(*home)).collect()
}

fn encode_temporary(state: &mut State) -> Vec<Mutation> {
    let part = state.part(Home::Temporary);
    let mutation = |(relation, key, value): (StorageId, &[u8], Option<&[u8]>)| Mutation {
        relation,
        key: Bytes::copy_from_slice(key),
        value: value.map(Bytes::copy_from_slice),
    };
    part.buffer.newest().map(mutation).collect()
}

/// Nothing written: what the locks showed must be durable and covered before the client hears of it.
async fn settle(ending: &mut Ending) -> Result<()> {
    let limits = limits(ending);
    for home in [Home::Meta, Home::Data] {
        let Some(shard) = ending.gateway.shard(home) else { continue };
        let part = &ending.state.parts[home as usize];
        for dependency in &part.dependencies {
            limits.wait(shard.wait_for_dependency(*dependency)).await??;
        }
        if part.shown != Timestamp::ZERO {
            limits.wait(ending.gateway.oracle().cover(part.shown)).await?;
        }
    }
    Ok(())
}

fn limits(ending: &Ending) -> wait::Limits<'_> {
    let state = &ending.state;
    wait::Limits { host: ending.gateway.host(), cancel: state.cancel.clone(), deadline: state.deadline }
}

/// What goes to all participants alike.
struct Shared {
    fences: Vec<SchemaVersion>,
    is_serializable: bool,
    age: Timestamp,
}

impl Shared {
    fn new(state: &State, isolation: Isolation) -> Shared {
        Shared { fences: state.fences.clone(), is_serializable: isolation == Isolation::Serializable, age: state.age }
    }

    fn fences(&self, home: Home) -> &[SchemaVersion] {
        if home == Home::Data { &self.fences } else { &[] }
    }
}

/// One participant's share, encoded outside the sequencer.
struct Work {
    owner: Owner,
    snapshot: Timestamp,
    reads: ReadSet,
    locked: Vec<LockedSpan>,
    certified: Vec<Certified>,
    schemas: Vec<SchemaVersion>,
    dependencies: Vec<Dependency>,
    writes: EncodedWrites,
    /// Of each write in `writes`: its row and where its value stands, counted from the first byte of the writes.
    shown: Vec<WriteAt>,
    ranges: Vec<(StorageId, KeyRange)>,
    /// Parts of a large transaction, each at most `stage_bytes`.
    parts: Vec<EncodedWrites>,
    /// The term in which locks were taken that leave no span each (a whole relation).
    whole_term: Option<u64>,
    /// Whether anything but deletions is among the writes.
    puts: bool,
    /// The log is written on this thread, right after the sequencer.
    drives: bool,
}

impl Work {
    fn take(gateway: &Gateway, ending: &mut Ending, home: Home, snapshot: Timestamp, owner: Owner) -> Result<Work> {
        let part = ending.state.part(home);
        let mut reads = std::mem::take(&mut part.reads);
        reads.normalize();
        let mut work = Work {
            owner,
            snapshot,
            reads,
            locked: part.locks.iter().map(|held| held.span.clone()).collect(),
            certified: std::mem::take(&mut part.certified),
            schemas: if home == Home::Data { part.schemas.to_vec() } else { Vec::new() },
            dependencies: part.dependencies.to_vec(),
            writes: EncodedWrites::default(),
            shown: Vec::new(),
            ranges: Vec::new(),
            parts: Vec::new(),
            whole_term: if part.whole.is_empty() && part.claims.is_empty() { None } else { part.lock_term },
            puts: false,
            drives: false,
        };
        let limits = gateway.limits();
        let buffer = std::mem::take(&mut part.buffer);
        let is_large = buffer.bytes() > limits.commit_bytes;
        let is_shown = !is_large && buffer.row_count() <= ROWS_SHOWN_MAX;
        let size = if is_large { limits.stage_bytes } else { buffer.bytes() };
        work.writes.bytes.reserve(size);
        for (relation, key, value) in buffer.newest() {
            work.puts |= value.is_some();
            if is_large && work.writes.bytes.len() + command::write_size(key, value) > limits.stage_bytes {
                work.parts.push(std::mem::take(&mut work.writes));
                work.writes.bytes.reserve(size);
            }
            if is_shown {
                let from = work.writes.bytes.len() + 12 + key.len();
                let value = value.map(|value| from..from + value.len());
                work.shown.push(WriteAt { row: RowKey::new(relation, key), value });
            } else {
                widen(&mut work.ranges, relation, key);
            }
            work.writes.push(relation, key, value);
        }
        if is_large {
            work.parts.push(std::mem::take(&mut work.writes));
        }
        for (_, range) in &mut work.ranges {
            // So far the end is the greatest key itself.
            range.end = range.end.take().map(|last| KeyRange::point(&last).end.unwrap_or(last));
        }
        Ok(work)
    }

    /// The relations written to; one may come often.
    fn relations(&self) -> impl Iterator<Item = StorageId> {
        let ranges = self.ranges.iter().map(|(relation, _)| *relation);
        self.shown.iter().map(|write| write.row.relation).chain(ranges)
    }

    fn spans(&self) -> Vec<Span> {
        let reads = self.reads.iter().map(|(relation, read)| Span { relation, range: read.to_range(), mode: None });
        let locked = self.locked.iter().map(|span| Span {
            relation: span.row.relation,
            range: KeyRange::point(&span.row.key),
            mode: Some(span.mode),
        });
        let all = |read: &Certified| Span { relation: read.relation, range: KeyRange::all(), mode: None };
        let certified = self.certified.iter().map(all);
        // Where rows are not named one by one their ranges block others like spans.
        let wide = self.ranges.iter().map(|(relation, range)| Span {
            relation: *relation,
            range: range.clone(),
            mode: Some(LockMode::Update),
        });
        reads.chain(locked).chain(certified).chain(wide).collect()
    }
}

fn widen(ranges: &mut Vec<(StorageId, KeyRange)>, relation: StorageId, key: &[u8]) {
    match ranges.iter_mut().find(|(id, _)| *id == relation) {
        None => {
            let key = Bytes::copy_from_slice(key);
            ranges.push((relation, KeyRange { start: key.clone(), end: Some(key) }));
        }
        Some((_, range)) => {
            if key < &range.start[..] {
                range.start = Bytes::copy_from_slice(key);
            } else if range.end.as_ref().is_some_and(|end| key > &end[..]) {
                range.end = Some(Bytes::copy_from_slice(key));
            }
        }
    }
}

// ---- one shard -----------------------------------------------------------------------------

async fn commit_one(
    ending: &mut Ending,
    home: Home,
    mut work: Work,
    shared: Shared,
    session: SessionId,
) -> Result<Timestamp> {
    let gateway = ending.gateway.clone();
    let shard = gateway.shard(home).ok_or(TxnError::NotServing)?.clone();
    admit(&gateway, &limits(ending), &shard, &work).await?;
    let id = gateway.ids()?.open();
    let parts = stage(&shard, &id, &mut work).await?;
    let fences = shared.fences(home);
    let mut encoded = command::commit(id.txn, id.watermark, parts, fences, &work.writes);
    let offset = encoded.len() - work.writes.bytes.len();
    // The catalog's listener is called from apply: on the Raft thread, as ever.
    work.drives = home == Home::Data && parts == 0 && encoded.len() <= DRIVEN_BYTES_MAX && lone::is_lone(session);
    let sequenced = {
        let limits = limits(ending);
        sequence(Some(&limits), &shard, &id, &mut work, &shared, fences, None, &mut encoded, offset).await
    };
    let slot = match sequenced {
        Ok(slot) => slot,
        Err(error) => {
            drop_staged(&shard, &id, parts);
            return Err(error);
        }
    };
    // Early release: what was written is shown in flight; the other locks go now too.
    release_locks(&gateway, ending.owner, &mut ending.state);
    if work.drives {
        shard.drive();
    }
    match slot.wait().await {
        Outcome::Fate(Fate::Committed(ts)) => {
            gateway.oracle().cover(ts).await;
            Ok(ts)
        }
        Outcome::Fate(Fate::Aborted) => Err(refused(Refusal::DependencyLost)),
        Outcome::Fate(_) | Outcome::Unknown => Err(TxnError::UnknownOutcome),
    }
}

/// Slows commits down while the segment can not keep up, and refuses them while the disk or the map is full. Deletions
/// are what makes room in a full map, so these go on.
async fn admit(gateway: &Gateway, limits: &wait::Limits<'_>, shard: &Shard, work: &Work) -> Result<()> {
    has_room(shard)?;
    if work.puts && shard.segment().shortage() == Some(Shortage::Map) {
        return Err(TxnError::MapFull);
    }
    let at_most = work.shown.len() + work.ranges.len();
    if shard.segment().relations_left() < at_most && !shard.segment().has_place_for(work.relations()) {
        return Err(TxnError::Relations { limit: gateway.limits().relations });
    }
    let pressure = shard.segment().pressure();
    if pressure <= PRESSURE_SLOW {
        return Ok(());
    }
    gateway.metrics().slowed.increment(1);
    let share = ((pressure - PRESSURE_SLOW) / (1.0 - PRESSURE_SLOW)).clamp(0.0, 1.0);
    limits.wait(host::clock::sleep(PRESSURE_STEP.mul_f64(share))).await?;
    let started = limits.host.clock.monotonic();
    while shard.segment().pressure() >= 1.0 {
        if limits.host.clock.monotonic().saturating_sub(started) > PRESSURE_WAIT {
            return Err(TxnError::DiskFull("what is committed can not be flushed".into()));
        }
        limits.wait(host::clock::sleep(PRESSURE_STEP)).await?;
    }
    Ok(())
}

fn has_room(shard: &Shard) -> Result<()> {
    if !shard.has_room() {
        return Err(TxnError::DiskFull("no room for the log".into()));
    }
    match shard.segment().shortage() {
        Some(Shortage::Disk) => Err(TxnError::DiskFull("the disk of the data folder is full".into())),
        Some(Shortage::Map) | None => Ok(()),
    }
}

/// Sends the parts of a large transaction ahead, a few at a time; they are invisible until the commit names them.
async fn stage(shard: &Shard, id: &OpenId, work: &mut Work) -> Result<u32> {
    let staged = send_stages(shard, id, work).await;
    if staged.is_err() {
        drop_staged(shard, id, 1);
    }
    staged
}

async fn send_stages(shard: &Shard, id: &OpenId, work: &mut Work) -> Result<u32> {
    let mut under_way: VecDeque<Arc<Slot<Outcome>>> = VecDeque::new();
    let mut count = 0;
    for part in std::mem::take(&mut work.parts) {
        if under_way.len() >= STAGES_IN_FLIGHT
            && let Some(slot) = under_way.pop_front()
            && slot.wait().await == Outcome::Unknown
        {
            return Err(TxnError::NotServing);
        }
        // A disk that has become full meanwhile.
        has_room(shard)?;
        under_way.push_back(shard.submit(command::stage(id.txn, id.watermark, count, &part), None)?);
        count += 1;
    }
    for slot in under_way {
        if slot.wait().await == Outcome::Unknown {
            return Err(TxnError::NotServing);
        }
    }
    Ok(count)
}

/// A tombstone frees the parts of what will not be committed.
fn drop_staged(shard: &Shard, id: &OpenId, parts: u32) {
    if parts > 0 {
        // Not waited for: a shard that has lost its leader drops them when the gateway's epoch ends.
        let _ = shard.submit(command::tombstone(id.txn, id.watermark), None);
    }
}

/// Enters the sequencer until it has an answer. Until then nothing was sent, so giving up is free.
async fn sequence(
    limits: Option<&wait::Limits<'_>>,
    shard: &Shard,
    id: &OpenId,
    work: &mut Work,
    shared: &Shared,
    fences: &[SchemaVersion],
    prepare: Option<&[Span]>,
    encoded: &mut BytesMut,
    offset: usize,
) -> Result<Arc<Slot<Outcome>>> {
    if let Some(term) = work.whole_term
        && shard.term()? != term
    {
        return Err(refused(Refusal::DependencyLost));
    }
    for write in &mut work.shown {
        write.value = write.value.take().map(|range| range.start + offset..range.end + offset);
    }
    let nothing = ReadSet::default();
    let (mut checked, mut looks) = (None, 0);
    loop {
        let request = CommitRequest {
            txn: id.txn,
            owner: work.owner,
            snapshot: work.snapshot,
            reads: if shared.is_serializable { &work.reads } else { &nothing },
            locked: &work.locked,
            certified: &work.certified,
            schemas: &work.schemas,
            fences,
            dependencies: &work.dependencies,
            writes: &work.shown,
            ranges: &work.ranges,
            prepare: prepare.map(|spans| (shared.age, spans)),
            drives: work.drives,
        };
        match shard.sequence(&request, encoded, checked) {
            Sequenced::Done { slot, .. } => return Ok(slot),
            Sequenced::Wait(slot) => match limits {
                Some(limits) => limits.wait(slot.wait()).await?,
                None => slot.wait().await,
            },
            Sequenced::LookFirst => {
                let (now, changed) = shard.look_first(&work.reads, work.snapshot)?;
                if let Some(changed) = changed {
                    return Err(changed.into());
                }
                checked = Some(now);
            }
            Sequenced::Refused(Refusal::Changed { .. }) if bugs::is_on(Bug::CommitRetriedBlindly) => {
                work.reads = ReadSet::default();
                work.locked.clear();
            }
            Sequenced::Refused(refusal) => {
                looks += 1;
                match changed_row(&refusal, request.reads).filter(|_| looks <= LOOKS_MAX) {
                    Some(row) => checked = Some(look_closer(limits, shard, work, row, refusal).await?),
                    None => return Err(refused(refusal)),
                }
            }
        }
    }
}

/// The row for which a commit was refused, where it may have changed without a change of what was read of it.
fn changed_row(refusal: &Refusal, reads: &ReadSet) -> Option<RowKey> {
    match refusal {
        Refusal::Changed { relation, key: Some(key), is_locked_row: false, is_prepared: false, .. }
            if reads.has_facets(*relation) =>
        {
            Some(RowKey::new(*relation, key))
        }
        _ => None,
    }
}

/// Reads what has changed and compares. The refusal, if that is what was read; else up to when it is known not to be.
async fn look_closer(
    limits: Option<&wait::Limits<'_>>,
    shard: &Shard,
    work: &Work,
    row: RowKey,
    refusal: Refusal,
) -> Result<Checked> {
    // The version that is in the way may be in flight: what it is can be read when it is applied.
    let applied = shard.wait_for_row(&row, shard.begin_look(work.snapshot));
    match limits {
        Some(limits) => limits.wait(applied).await??,
        None => applied.await?,
    }
    match shard.look_first(&work.reads, work.snapshot)? {
        (checked, None) => Ok(checked),
        (_, Some(_)) => Err(refused(refusal)),
    }
}

fn refused(refusal: Refusal) -> TxnError {
    let conflict = |kind, relation, key, other: Option<Owner>| {
        TxnError::Conflict(Box::new(Conflict { kind, relation, key, other: other.map(|owner| owner.0) }))
    };
    match refusal {
        Refusal::Changed { relation, key, is_locked_row, other, .. } => {
            let kind = if is_locked_row { ConflictKind::Update } else { ConflictKind::Read };
            conflict(kind, relation, key, other)
        }
        Refusal::Younger { other } => conflict(ConflictKind::Prepare, StorageId(0), None, other),
        Refusal::SchemaChanged { relation } => TxnError::SchemaChanged { relation },
        Refusal::DependencyLost => conflict(ConflictKind::Update, StorageId(0), None, None),
        Refusal::NotServing => TxnError::NotServing,
    }
}

// ---- several shards ------------------------------------------------------------------------

async fn commit_many(
    ending: &mut Ending,
    homes: &[Home],
    isolation: Isolation,
    snapshot: Timestamp,
) -> Result<Timestamp> {
    let gateway = ending.gateway.clone();
    let shared = Shared::new(&ending.state, isolation);
    let mut works = Vec::new();
    for home in homes {
        let shard = gateway.shard(*home).ok_or(TxnError::NotServing)?.clone();
        let work = Work::take(&gateway, ending, *home, snapshot, ending.owner)?;
        admit(&gateway, &limits(ending), &shard, &work).await?;
        works.push((*home, shard, work));
    }
    let answer = Slot::new();
    let told = answer.clone();
    let coordinator = gateway.clone();
    let task = async move {
        let outcome = coordinate(&coordinator, works, &shared).await;
        let mut wakeups = Wakeups::default();
        told.complete(outcome, &mut wakeups);
        wakeups.wake();
    };
    gateway.spawn().spawn("coordinate", Box::pin(task));
    answer.wait().await
}

/// Prepares everywhere; the transaction is committed when all have said yes. Owns the id: it is finished when the
/// decision is applied everywhere, or is left to recovery.
async fn coordinate(gateway: &Gateway, mut works: Vec<(Home, Arc<Shard>, Work)>, shared: &Shared) -> Result<Timestamp> {
    let id = gateway.ids()?.open();
    gateway.coordinating(id.txn, true);
    let shards: Vec<Arc<Shard>> = works.iter().map(|(_, shard, _)| shard.clone()).collect();
    let names: Vec<shard::ShardId> = shards.iter().map(|shard| shard.id()).collect();
    let mut votes = Vec::new();
    let mut failed = None;
    for (home, shard, work) in &mut works {
        match prepare(*home, shard, &id, work, shared, &names).await {
            Ok(slot) => votes.push(slot),
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    let mut commit_ts = Timestamp::ZERO;
    let mut is_unknown = false;
    for slot in votes {
        match slot.wait().await {
            Outcome::Fate(Fate::Prepared(ts)) => commit_ts = commit_ts.max(ts),
            Outcome::Fate(Fate::Committed(ts)) => commit_ts = commit_ts.max(ts),
            Outcome::Fate(_) => failed = failed.or(Some(refused(Refusal::DependencyLost))),
            Outcome::Unknown => is_unknown = true,
        }
    }
    let decision = if failed.is_none() { Some(commit_ts) } else { None };
    let outcome = if is_unknown && failed.is_none() {
        // Only the logs can tell.
        shard::recovery::recover(id.txn, &shards).await
    } else {
        if let Some(ts) = decision {
            gateway.oracle().cover(ts).await;
        }
        shard::recovery::decide(id.txn, id.watermark, decision, &shards).await.map(|()| decision)
    };
    gateway.coordinating(id.txn, false);
    match (outcome, failed) {
        (Ok(Some(ts)), _) => Ok(ts),
        // Never committed: one participant was never asked, or its no is final (R10).
        (_, Some(error)) => Err(error),
        (Ok(None), None) => Err(refused(Refusal::DependencyLost)),
        (Err(_), None) if !is_unknown => Ok(commit_ts),
        (Err(_), None) => {
            std::mem::forget(id); // not finished: the watermark stays below it
            Err(TxnError::UnknownOutcome)
        }
    }
}

async fn prepare(
    home: Home,
    shard: &Shard,
    id: &OpenId,
    work: &mut Work,
    shared: &Shared,
    participants: &[shard::ShardId],
) -> Result<Arc<Slot<Outcome>>> {
    let parts = stage(shard, id, work).await?;
    if !shared.is_serializable {
        work.reads = ReadSet::default();
    }
    let spans = work.spans();
    let more = PrepareParts { age: shared.age, participants, schemas: &work.schemas, spans: &spans };
    let fences = shared.fences(home);
    let mut encoded = command::prepare(id.txn, id.watermark, parts, fences, &work.writes, &more);
    // Values of a prepared transaction are shown by its Decide, never in flight: no offsets are needed.
    work.shown.iter_mut().for_each(|write| write.value = None);
    sequence(None, shard, id, work, shared, fences, Some(&spans), &mut encoded, 0).await
}
