//! Filling an index that was just created, and copying a relation whose rows change their form (`ALTER COLUMN … TYPE`).
//!
//! Both read every row within the transaction, so that at SERIALIZABLE and by the fence whoever writes meanwhile conflicts; the
//! new storage is nobody else's yet, so nothing in it is locked.

use crate::budget::Reservation;
use crate::context::StatementContext;
use crate::dml::Target;
use crate::dml::target::StoredRow;
use crate::dml::violation;
use crate::expr::{Program, RowRef};
use crate::index::{Entry, WriteIndex};
use crate::rows::Table;
use crate::stored;
use catalog::{Index, Relation, Snapshot};
use foldhash::{HashSet, HashSetExt};
use std::ops::ControlFlow;
use std::sync::Arc;
use txn::{Direction, KeyRange};
use types::{Datum, Result, SqlError, SqlState};

/// Rows read before they are written.
const ROWS_AT_ONCE: usize = 1024;

/// Keys of unique indexes seen so far.
struct Seen {
    keys: HashSet<Box<[u8]>>,
    memory: Reservation,
}

impl Seen {
    fn new(context: &StatementContext) -> Seen {
        Seen { keys: HashSet::new(), memory: Reservation::new(&context.memory) }
    }
    /// False if the key was there.
    fn insert(&mut self, key: &[u8]) -> Result<bool> {
        self.memory.grow(key.len() + 32)?;
        Ok(self.keys.insert(key.into()))
    }
}

/// Calls `row` with all rows of a relation, batch by batch.
async fn each_row(
    context: &StatementContext,
    table: &Table,
    mut row: impl FnMut(StoredRow) -> Result<()>,
) -> Result<()> {
    let mut scan = context.txn.scan(&table.at, None, KeyRange::all(), Direction::Forward);
    loop {
        context.check()?;
        let mut rows = Vec::with_capacity(ROWS_AT_ONCE);
        let mut failed = None;
        let visited = scan
            .next(ROWS_AT_ONCE, |key, value, _| match read(table, key, value) {
                Ok(row) => {
                    rows.push(row);
                    ControlFlow::Continue(())
                }
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            })
            .await?;
        if let Some(error) = failed {
            return Err(error);
        }
        rows.into_iter().try_for_each(&mut row)?;
        if visited == 0 {
            return Ok(());
        }
    }
}

fn read(table: &Table, key: &[u8], value: &[u8]) -> Result<StoredRow> {
    let (view, layout) = table.view(value)?;
    let values = (1..=table.types.len() as i16).map(|n| layout.column(&view, n)).collect::<Result<_>>()?;
    Ok(StoredRow { slot: view.slot(), key: key.to_vec(), values, tail: view.tail() })
}

/// Adds entries for all rows of `relation`. 23505 where a unique index would have duplicates. The transaction's own earlier
/// writes are seen; call it in a command after them.
pub async fn fill_index(
    context: &StatementContext,
    catalog: &Arc<Snapshot>,
    relation: &Arc<Relation>,
    index: &Arc<Index>,
) -> Result<u64> {
    let env = crate::expr::EvalContext { catalog, ..context.env() };
    let table = Table::new(relation)?;
    let index = WriteIndex::new(relation, &stored::index(&env, relation, index)?)?;
    let (mut seen, mut count) = (Seen::new(context), 0);
    each_row(context, &table, |row| {
        if let Some((entry, keys)) = index.entry(&env, &row.values, row.slot, &row.key)? {
            add(context, &env, relation, &index, &entry, &keys, &mut seen)?;
        }
        count += 1;
        Ok(())
    })
    .await?;
    Ok(count)
}

fn add(
    context: &StatementContext,
    env: &crate::expr::EvalContext<'_>,
    relation: &Relation,
    index: &WriteIndex,
    entry: &Entry,
    keys: &[Datum],
    seen: &mut Seen,
) -> Result<()> {
    let columns = entry.key.get(..entry.columns_size).unwrap_or_default();
    if entry.is_exclusive && !seen.insert(columns)? {
        let name = &index.shape.index.name;
        let key = violation::index_key(env, relation, &index.shape.index, keys);
        let message = format!("could not create unique index \"{name}\"");
        return Err(SqlError::new(SqlState::UNIQUE_VIOLATION, message)
            .detail(format!("Key {key} is duplicated."))
            .constraint(name));
    }
    Ok(context.txn.put(&index.shape.at, entry.slot, &entry.key, &entry.value)?)
}

/// Copies all rows of `old` into `new`'s storage and fills the indexes that `catalog` has for `new`. `values`: stored
/// expressions over the old row for attributes that are computed. NOT NULL and CHECK constraints of `new` are checked.
pub async fn rewrite(
    context: &StatementContext,
    catalog: &Arc<Snapshot>,
    old: &Arc<Relation>,
    new: &Arc<Relation>,
    values: Vec<(i16, String)>,
) -> Result<u64> {
    let env = crate::expr::EvalContext { catalog, ..context.env() };
    let mut computed = vec![];
    for (attribute, text) in &values {
        let program = Program::compile(&stored::expression(&env, old, text)?)?;
        let ty = new.columns.get((*attribute as usize).wrapping_sub(1)).map(|c| c.ty.into());
        if let Some(ty) = ty {
            computed.push(((*attribute as usize).wrapping_sub(1), program, ty));
        }
    }
    let (source, target) = (Table::new(old)?, Target::new(&stored::target(&env, new, false)?)?);
    let mut primary = Seen::new(context);
    let mut seen: Vec<Seen> = target.indexes.iter().map(|_| Seen::new(context)).collect();
    let mut count = 0;
    each_row(context, &source, |row| {
        let mut values = row.values.clone();
        values.resize(target.width(), Datum::Null);
        for (column, program, ty) in &computed {
            let value = program.eval_row(&env, RowRef::Datums(&row.values))?;
            if let Some(place) = values.get_mut(*column) {
                *place = stored::convert(&env, &value, program.ty(), *ty)?;
            }
        }
        target.complete(&env, &mut values)?;
        // A hidden key stays: it is nobody's value.
        let keeps_key = target.table.has_hidden_key() && source.has_hidden_key();
        let (key, slot) = match keeps_key {
            true => (row.key.clone(), target.table.slot(&row.key, &values)),
            false => target.place(&env, &values)?,
        };
        if !keeps_key && !primary.insert(&key)? {
            return Err(target.primary_violation(&env, &values));
        }
        let copied = StoredRow { slot, key, values, tail: row.tail };
        target.put(&context.txn, &copied)?;
        for (index, seen) in target.indexes.iter().zip(&mut seen) {
            if let Some((entry, keys)) = index.entry(&env, &copied.values, copied.slot, &copied.key)? {
                add(context, &env, new, index, &entry, &keys, seen)?;
            }
        }
        count += 1;
        Ok(())
    })
    .await?;
    Ok(count)
}
