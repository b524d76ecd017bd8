//! The direct path: SELECT, INSERT, UPDATE and DELETE of one row by its full primary key, without operators or batches.
//!
//! Budget of a point read (`performance.md` §3): 5 µs for everything above storage. It encodes the key, calls
//! `Gateway::get_latest` (or the transaction's `get`), and writes the columns from the stored row into the client's
//! buffer inside the read: no allocation but the key and the output.

use crate::context::DirectContext;
use crate::dml::Target;
use crate::dml::foreign_key::Pending;
use crate::expr::{EvalContext, Program, RowRef, Scope};
use crate::op::{lock_error, lock_mode, wait_policy};
use crate::output::RowSink;
use crate::rows::{RowReader, Table, check_key_size};
use crate::run::Prepared;
use catalog::layout::{LayoutVersion, Source};
use sql::logical::ScanColumn;
use sql::physical::Direct;
use std::sync::Arc;
use txn::{Facet, Isolation, LockMode, Locked, Timestamp, Transaction, WaitPolicy};
use types::key::{self, KeyOrder};
use types::row::RowView;
use types::{Datum, Result, SqlError, SqlType};

/// Runs a direct plan; rows (of SELECT or RETURNING) go to `out`. Returns the number for the command tag.
pub async fn run(prepared: &Prepared, context: &DirectContext<'_>, out: &mut dyn RowSink) -> Result<u64> {
    crate::admit::admit(&prepared.plan, &context.env())?;
    match &prepared.direct {
        Some(direct) => direct.run(context, out).await,
        None => Err(SqlError::internal("no direct plan")),
    }
}

/// A direct plan's compiled form, kept with the plan.
pub(crate) enum DirectProgram {
    Get(Get),
    Insert(Insert),
    Update(Update),
    Delete(Delete),
}

pub(crate) struct Get {
    reader: RowReader,
    /// What it reads of a row.
    facet: Option<Arc<dyn Facet>>,
    key: Vec<Program>,
    filter: Option<Program>,
    output: Vec<Output>,
    lock: Option<(LockMode, WaitPolicy)>,
}

/// One output column.
enum Output {
    /// An attribute as it is stored.
    Attribute(usize, SqlType),
    Computed(Program),
}

pub(crate) struct Insert {
    target: Target,
    values: Vec<Option<Program>>,
    returning: Vec<Program>,
}

pub(crate) struct Update {
    target: Target,
    key: Vec<Program>,
    filter: Option<Program>,
    assignments: Vec<(usize, Program)>,
    returning: Vec<Program>,
}

pub(crate) struct Delete {
    target: Target,
    key: Vec<Program>,
    filter: Option<Program>,
    returning: Vec<Program>,
}

impl DirectProgram {
    pub fn compile(plan: &Direct) -> Result<DirectProgram> {
        Ok(match plan {
            Direct::Get { target, key, filter, output, lock } => {
                let table = Table::new(&target.relation)?;
                let types: Vec<SqlType> = target.columns.iter().map(|c| crate::op::scan_type(target, *c)).collect();
                let outputs = output
                    .iter()
                    .map(|expr| {
                        let program = Program::compile(expr)?;
                        let column = program.as_input().and_then(|i| target.columns.get(i));
                        Ok(match column {
                            Some(ScanColumn::Attribute(a)) => Output::Attribute((*a as usize).wrapping_sub(1), expr.ty),
                            _ => Output::Computed(program),
                        })
                    })
                    .collect::<Result<_>>()?;
                if target.as_of.is_some() {
                    return Err(SqlError::internal("AS OF in a direct plan"));
                }
                DirectProgram::Get(Get {
                    facet: crate::facet::of_columns(&table, &target.columns),
                    reader: RowReader::new(table, &target.columns, &types),
                    key: Program::compile_all(key)?,
                    filter: Program::compile_option(filter.as_ref())?,
                    output: outputs,
                    lock: lock.map(|(mode, wait)| (lock_mode(mode), wait_policy(wait))),
                })
            }
            Direct::Insert { target, values, returning } => DirectProgram::Insert(Insert {
                target: Target::new(target)?,
                values: values.iter().map(|v| Program::compile_option(v.as_ref())).collect::<Result<_>>()?,
                returning: Program::compile_all(returning)?,
            }),
            Direct::Update { target, key, filter, assignments, returning } => {
                let target = Target::new(target)?;
                let assignments: Vec<(usize, Program)> = assignments
                    .iter()
                    .map(|(a, e)| Ok(((*a as usize).wrapping_sub(1), Program::compile(e)?)))
                    .collect::<Result<_>>()?;
                DirectProgram::Update(Update {
                    key: Program::compile_all(key)?,
                    filter: Program::compile_option(filter.as_ref())?,
                    returning: Program::compile_all(returning)?,
                    target,
                    assignments,
                })
            }
            Direct::Delete { target, key, filter, returning } => DirectProgram::Delete(Delete {
                target: Target::new(target)?,
                key: Program::compile_all(key)?,
                filter: Program::compile_option(filter.as_ref())?,
                returning: Program::compile_all(returning)?,
            }),
        })
    }

    pub async fn run(&self, context: &DirectContext<'_>, out: &mut dyn RowSink) -> Result<u64> {
        match self {
            DirectProgram::Get(get) => get.run(context, out).await,
            DirectProgram::Insert(insert) => insert.run(context, out).await,
            DirectProgram::Update(update) => update.run(context, out).await,
            DirectProgram::Delete(delete) => delete.run(context, out).await,
        }
    }
}

/// Rows of an INSERT between two looks at whether it must stop.
const ROWS_TOGETHER: usize = 128;

/// A key's bytes and its row's slot.
struct Place {
    key: Vec<u8>,
    slot: u16,
}

/// Encodes the primary key; None where a value is NULL (no row has it).
fn place(table: &Table, programs: &[Program], env: &EvalContext<'_>) -> Result<Option<Place>> {
    let mut key = Vec::with_capacity(32);
    let by_key = table.relation.distribution.is_empty() || table.relation.distribution == table.relation.key;
    let mut values = Vec::new();
    for (program, attribute) in programs.iter().zip(&table.relation.key) {
        let value = program.eval_row(env, RowRef::None)?;
        if value.is_null() {
            return Ok(None);
        }
        let ty = table.types.get((*attribute as usize).wrapping_sub(1)).copied().unwrap_or(SqlType::UNKNOWN);
        key::encode(ty, &value, KeyOrder::ASC, &mut key);
        if !by_key {
            values.push(value);
        }
    }
    // No row has a longer key.
    if check_key_size(key.len(), "").is_err() {
        return Ok(None);
    }
    let slot = match by_key {
        true => key::slot(&key),
        false => table
            .slot_of_key(&key, &values)
            .ok_or_else(|| SqlError::internal("a direct plan whose key does not tell the slot"))?,
    };
    Ok(Some(Place { key, slot }))
}

fn transaction<'a>(context: &DirectContext<'a>) -> Result<&'a Transaction> {
    context.txn.ok_or_else(|| SqlError::internal("a direct plan that writes or locks needs a transaction"))
}

impl Get {
    async fn run(&self, context: &DirectContext<'_>, out: &mut dyn RowSink) -> Result<u64> {
        let env = context.env();
        let table = &self.reader.table;
        let Some(Place { key, slot }) = place(table, &self.key, &env)? else { return Ok(0) };
        let mut read = |row: Option<&[u8]>, ts| match row {
            Some(bytes) => self.row(&env, &key, bytes, ts, out),
            None => Ok(0),
        };
        if let Some((mode, wait)) = self.lock {
            let txn = transaction(context)?;
            // Who updates the row and leaves its key alone is not kept out: what the row says is read like anything else.
            let is_read =
                |changed| mode == LockMode::KeyShare && !(changed && txn.isolation() == Isolation::ReadCommitted);
            let locked = txn.lock_shown(&table.at, slot, &key, mode, wait, |locked| match locked {
                Locked::Row { changed, .. } if is_read(changed) => Ok(None),
                Locked::Row { value, ts, .. } => read(Some(value), ts).map(Some),
                // Under another key it is not the one that was asked for.
                Locked::Absent { .. } | Locked::Moved { .. } | Locked::Skipped => Ok(Some(0)),
            });
            if let Some(count) = locked.await.map_err(|e| lock_error(e, &table.relation.name))?? {
                return Ok(count);
            }
        }
        match context.txn {
            Some(txn) => txn.get_facet(&table.at, slot, &key, self.facet.as_ref(), read).await?,
            None => context.gateway.get_latest(&table.at, slot, &key, read).await?,
        }
    }

    /// Writes the row, if it passes the filter.
    fn row(
        &self,
        env: &EvalContext<'_>,
        key: &[u8],
        bytes: &[u8],
        ts: Timestamp,
        out: &mut dyn RowSink,
    ) -> Result<u64> {
        let (view, layout) = self.reader.table.view(bytes)?;
        let is_plain = self.filter.is_none() && self.output.iter().all(|o| matches!(o, Output::Attribute(..)));
        let datums = match is_plain {
            true => vec![],
            false => self.reader.datums(key, bytes, ts)?,
        };
        if let Some(filter) = &self.filter
            && !matches!(filter.eval_row(env, RowRef::Datums(&datums))?, Datum::Bool(true))
        {
            return Ok(0);
        }
        out.begin(self.output.len())?;
        for output in &self.output {
            match output {
                Output::Attribute(index, ty) => stored(&view, layout, *index, *ty, out)?,
                Output::Computed(program) => {
                    out.datum(&program.eval_row(env, RowRef::Datums(&datums))?, program.ty())?;
                }
            }
        }
        out.end()?;
        Ok(1)
    }
}

fn stored(view: &RowView<'_>, layout: &LayoutVersion, index: usize, ty: SqlType, out: &mut dyn RowSink) -> Result<()> {
    match layout.sources.get(index) {
        Some(Source::Stored(position)) => out.stored(view, *position, ty),
        Some(Source::Missing(value)) => out.datum(value, ty),
        Some(Source::Dropped) | None => out.datum(&Datum::Null, ty),
    }
}

fn give_back(programs: &[Program], env: &EvalContext<'_>, row: &[Datum], out: &mut dyn RowSink) -> Result<()> {
    if programs.is_empty() {
        return Ok(());
    }
    out.begin(programs.len())?;
    for program in programs {
        out.datum(&program.eval_row(env, RowRef::Datums(row))?, program.ty())?;
    }
    out.end()
}

impl Insert {
    async fn run(&self, context: &DirectContext<'_>, out: &mut dyn RowSink) -> Result<u64> {
        let (env, txn) = (context.env(), transaction(context)?);
        let mut pending = Pending::default();
        let mut count = 0;
        loop {
            let from = count * context.width;
            let parameters = context.parameters.get(from..from + context.width).unwrap_or_default();
            self.row(EvalContext { parameters, ..env }, txn, &mut pending, out).await?;
            count += 1;
            if context.width == 0 || count * context.width >= context.parameters.len() {
                break;
            }
            if count.is_multiple_of(ROWS_TOGETHER) {
                txn.check()?;
                tokio::task::yield_now().await;
                pending.shrink(&env, txn).await?;
            }
        }
        pending.settle(&env, txn).await?;
        Ok(count as u64)
    }

    async fn row(
        &self,
        env: EvalContext<'_>,
        txn: &Transaction,
        pending: &mut Pending,
        out: &mut dyn RowSink,
    ) -> Result<()> {
        let mut values = Vec::with_capacity(self.target.width());
        for program in &self.values {
            values.push(match program {
                None => Datum::Null,
                // nextval waits.
                Some(program) if program.waits() => {
                    program.node.eval_waiting(Scope::Direct(env), &[], &Datum::Null).await?
                }
                Some(program) => program.eval_row(&env, RowRef::None)?,
            });
        }
        values.resize(self.target.width(), Datum::Null);
        self.target.complete(&env, &mut values, None)?;
        let row = self.target.insert(&env, txn, values, None, pending).await?;
        pending.inserted(&self.target, &row);
        give_back(&self.returning, &env, &row.values, out)
    }
}

impl Update {
    async fn run(&self, context: &DirectContext<'_>, out: &mut dyn RowSink) -> Result<u64> {
        let (env, txn) = (context.env(), transaction(context)?);
        let Some(Place { key, slot }) = place(&self.target.table, &self.key, &env)? else { return Ok(0) };
        // The lock shows the newest version: the filter is evaluated on that one, and no other was looked at.
        let Some(locked) = self.target.lock(txn, slot, &key, LockMode::NoKeyUpdate).await? else { return Ok(0) };
        let old = locked.row;
        if let Some(filter) = &self.filter
            && !matches!(filter.eval_row(&env, RowRef::Datums(&old.values))?, Datum::Bool(true))
        {
            return Ok(0);
        }
        let mut values = old.values.clone();
        for (column, program) in &self.assignments {
            let value = program.eval_row(&env, RowRef::Datums(&old.values))?;
            if let Some(place) = values.get_mut(*column) {
                *place = value;
            }
        }
        self.target.complete(&env, &mut values, old.tail.as_ref())?;
        let mut pending = Pending::default();
        let row = self.target.update(&env, txn, &old, values, old.tail.clone(), &mut pending).await?;
        pending.updated(&self.target, &old, &row);
        pending.settle(&env, txn).await?;
        give_back(&self.returning, &env, &row.values, out)?;
        Ok(1)
    }
}

impl Delete {
    async fn run(&self, context: &DirectContext<'_>, out: &mut dyn RowSink) -> Result<u64> {
        let (env, txn) = (context.env(), transaction(context)?);
        let Some(Place { key, slot }) = place(&self.target.table, &self.key, &env)? else { return Ok(0) };
        let Some(locked) = self.target.lock(txn, slot, &key, LockMode::Update).await? else { return Ok(0) };
        let row = locked.row;
        if let Some(filter) = &self.filter
            && !matches!(filter.eval_row(&env, RowRef::Datums(&row.values))?, Datum::Bool(true))
        {
            return Ok(0);
        }
        self.target.delete(&env, txn, &row).await?;
        let mut pending = Pending::default();
        pending.deleted(&self.target, &row);
        pending.settle(&env, txn).await?;
        give_back(&self.returning, &env, &row.values, out)?;
        Ok(1)
    }
}
