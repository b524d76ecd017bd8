//! Index entries: how they are keyed, what they hold, and which slot they live in.
//!
//! ```text
//! non-unique         key = columns, row key                 value = 01, slot u16, included row
//! unique             key = columns (one is never NULL …)    value = 01, slot u16, size u16, row key, included row
//! unique, with NULL  key = columns, row key                 value = as unique
//! ```
//!
//! `slot` is the *row's* slot: look-ups need it. Columns are `types::key` encodings in the index's orders. Where a unique index has
//! NULLS DISTINCT, a NULL makes the entry distinct by the row key behind it. A DEFERRABLE unique constraint keeps all its entries in
//! the second form (its duplicates must be able to stand side by side until they are checked), with a unique value.
//! The included row is a `types::row` of the INCLUDE columns, absent where there are none.
//!
//! An entry of a non-unique index lives in its row's slot. A unique one lives in the slot of its own columns, so that all
//! candidates for one key meet in one shard; if it contains the distribution columns, that is the row's slot already.

use crate::expr::{EvalContext, Program, RowRef};
use crate::rows::{Table, check_key_size, relation_ref};
use catalog::{ConstraintKind, Index, IndexSource, IndexState, Relation};
use std::sync::Arc;
use txn::{Locked, RelationRef};
use types::key::{self, KeyOrder};
use types::row::{RowLayout, RowView};
use types::{Datum, Result, SqlError, SqlState, SqlType};

/// First byte of an entry's value.
const FORMAT: u8 = 1;

/// An index, ready to read and to write.
#[derive(Debug, Clone)]
pub(crate) struct IndexShape {
    pub index: Arc<Index>,
    pub at: RelationRef,
    pub types: Vec<SqlType>,
    pub orders: Vec<KeyOrder>,
    /// Entries are told apart by their columns alone.
    pub is_unique: bool,
    pub is_deferrable: bool,
    /// Its columns contain the distribution columns: entries live in their row's slot.
    with_row: bool,
    included: Option<Arc<RowLayout>>,
}

/// One entry of one row.
#[derive(Debug, PartialEq, Eq, Clone)]
pub(crate) struct Entry {
    pub slot: u16,
    pub key: Vec<u8>,
    pub value: Vec<u8>,
    /// How many bytes of `key` are the columns.
    pub columns_size: usize,
    /// The key alone must be unique.
    pub is_exclusive: bool,
}

/// Whose entry stands under a unique key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Holder {
    Nobody,
    SameRow,
    OtherRow,
}

pub(crate) fn deferrable_constraint<'a>(relation: &'a Relation, index: &Index) -> Option<&'a catalog::Constraint> {
    relation.constraints.iter().find(|c| {
        c.deferrable
            && matches!(&c.kind, ConstraintKind::Unique { index: i } | ConstraintKind::PrimaryKey { index: i } if *i == index.id)
    })
}

impl IndexShape {
    pub fn new(relation: &Relation, index: &Arc<Index>) -> IndexShape {
        let distribution = if relation.distribution.is_empty() { &relation.key } else { &relation.distribution };
        let has = |a: &i16| index.columns.iter().any(|c| c.source == IndexSource::Column(*a));
        let included: Vec<SqlType> = index
            .included
            .iter()
            .filter_map(|a| relation.columns.get((*a as usize).wrapping_sub(1)).map(|c| c.ty.into()))
            .collect();
        let is_deferrable = deferrable_constraint(relation, index).is_some();
        IndexShape {
            at: relation_ref(relation, index.storage),
            types: index.columns.iter().map(|c| c.ty.into()).collect(),
            orders: index.columns.iter().map(|c| c.order()).collect(),
            is_unique: index.is_unique,
            is_deferrable,
            with_row: !distribution.is_empty() && distribution.iter().all(has),
            included: (!included.is_empty()).then(|| Arc::new(RowLayout::new(0, included))),
            index: index.clone(),
        }
    }

    /// The slot in which to look for an entry with these columns; None: in its row's, whichever that is.
    pub fn slot_of_columns(&self, columns: &[u8]) -> Option<u16> {
        (self.is_unique && !self.with_row).then(|| key::slot(columns))
    }

    /// The entry of a row. `keys`: the index columns' values. `row`: attribute n at `n - 1`.
    pub fn entry(&self, keys: &[Datum], row: &[Datum], row_slot: u16, row_key: &[u8]) -> Result<Entry> {
        let mut entry =
            Entry { slot: row_slot, key: Vec::new(), value: Vec::new(), columns_size: 0, is_exclusive: false };
        for ((ty, order), value) in self.types.iter().zip(&self.orders).zip(keys) {
            key::encode(*ty, value, *order, &mut entry.key);
        }
        entry.columns_size = entry.key.len();
        let distinct_by_null = !self.index.nulls_not_distinct && keys.iter().any(Datum::is_null);
        entry.is_exclusive = self.is_unique && !distinct_by_null;
        if let Some(slot) = self.slot_of_columns(&entry.key) {
            entry.slot = slot;
        }
        check_key_size(entry.key.len(), &self.index.name)?;
        if !entry.is_exclusive || self.is_deferrable {
            entry.key.extend_from_slice(row_key);
        }
        entry.value.push(FORMAT);
        entry.value.extend_from_slice(&row_slot.to_be_bytes());
        if self.is_unique {
            entry.value.extend_from_slice(&(row_key.len() as u16).to_be_bytes());
            entry.value.extend_from_slice(row_key);
        }
        if let Some(layout) = &self.included {
            let values: Vec<Datum> = self
                .index
                .included
                .iter()
                .map(|a| row.get((*a as usize).wrapping_sub(1)).cloned().unwrap_or_default())
                .collect();
            types::row::encode(layout, row_slot, &values, None, &mut entry.value);
        }
        Ok(entry)
    }

    /// Whether plans may read it: it holds every row.
    pub fn is_public(&self) -> bool {
        self.index.state == IndexState::Public
    }

    /// Who holds the place of a row's entry in a unique index.
    pub fn holder(&self, entry: &Entry, locked: &Locked<'_>) -> Result<Holder> {
        let Locked::Row { value, .. } = locked else { return Ok(Holder::Nobody) };
        match self.row_of(&entry.key, value)? == self.row_of(&entry.key, &entry.value)? {
            true => Ok(Holder::SameRow),
            false => Ok(Holder::OtherRow),
        }
    }

    /// Slot and key of the row that an entry stands for.
    pub fn row_of<'e>(&self, key: &'e [u8], value: &'e [u8]) -> Result<(u16, &'e [u8])> {
        let (slot, rest) = self.split(value)?;
        if !self.is_unique {
            let mut rest = key;
            for (ty, order) in self.types.iter().zip(&self.orders) {
                key::skip(*ty, *order, &mut rest)?;
            }
            return Ok((slot, rest));
        }
        Ok((slot, sized(rest).ok_or_else(|| self.damaged())?.0))
    }

    fn split<'e>(&self, value: &'e [u8]) -> Result<(u16, &'e [u8])> {
        match value.split_first_chunk::<3>() {
            Some(([FORMAT, high, low], rest)) => Ok((u16::from_be_bytes([*high, *low]), rest)),
            _ => Err(self.damaged()),
        }
    }

    fn damaged(&self) -> SqlError {
        SqlError::new(SqlState::INDEX_CORRUPTED, format!("an entry of index \"{}\" is damaged", self.index.name))
    }

    /// Whether an attribute's exact value can be had from an entry.
    pub fn covers(&self, attribute: i16) -> bool {
        self.index.included.contains(&attribute) || self.key_place(attribute).is_some()
    }
    fn key_place(&self, attribute: i16) -> Option<usize> {
        let place = self.index.columns.iter().position(|c| c.source == IndexSource::Column(attribute))?;
        self.types.get(place).is_some_and(|ty| key::is_decodable(*ty)).then_some(place)
    }

    /// The attributes that an entry holds, attribute n at `n - 1`; the others are NULL.
    pub fn decode(&self, width: usize, key: &[u8], value: &[u8], out: &mut Vec<Datum>) -> Result<()> {
        out.clear();
        out.resize(width, Datum::Null);
        let mut rest = key;
        for ((column, ty), order) in self.index.columns.iter().zip(&self.types).zip(&self.orders) {
            match column.source {
                IndexSource::Column(attribute) if key::is_decodable(*ty) => {
                    let datum = key::decode(*ty, *order, &mut rest)?;
                    if let Some(place) = out.get_mut((attribute as usize).wrapping_sub(1)) {
                        *place = datum;
                    }
                }
                _ => key::skip(*ty, *order, &mut rest)?,
            }
        }
        let Some(layout) = &self.included else { return Ok(()) };
        let (_, mut rest) = self.split(value)?;
        if self.is_unique {
            rest = sized(rest).ok_or_else(|| self.damaged())?.1;
        }
        let view = RowView::new(layout, rest)?;
        for (i, attribute) in self.index.included.iter().enumerate() {
            if let Some(place) = out.get_mut((*attribute as usize).wrapping_sub(1)) {
                *place = view.column(i)?;
            }
        }
        Ok(())
    }
}

/// `[size u16][bytes]` and the rest.
fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (size, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*size)))
}

/// An index of a relation that is written to: its shape and its expressions over the row.
#[derive(Debug)]
pub(crate) struct WriteIndex {
    pub shape: IndexShape,
    pub keys: Vec<Program>,
    pub predicate: Option<Program>,
}

impl WriteIndex {
    pub fn new(relation: &Relation, plan: &sql::physical::PlanIndex) -> Result<WriteIndex> {
        Ok(WriteIndex {
            shape: IndexShape::new(relation, &plan.index),
            keys: Program::compile_all(&plan.keys)?,
            predicate: Program::compile_option(plan.predicate.as_ref())?,
        })
    }

    /// The row's entry; None where the partial index leaves it out.
    pub fn entry(
        &self,
        context: &EvalContext<'_>,
        row: &[Datum],
        slot: u16,
        row_key: &[u8],
    ) -> Result<Option<(Entry, Vec<Datum>)>> {
        if let Some(predicate) = &self.predicate
            && !matches!(predicate.eval_row(context, RowRef::Datums(row))?, Datum::Bool(true))
        {
            return Ok(None);
        }
        let keys = self.keys.iter().map(|k| k.eval_row(context, RowRef::Datums(row))).collect::<Result<Vec<_>>>()?;
        Ok(Some((self.shape.entry(&keys, row, slot, row_key)?, keys)))
    }
}

/// Reads an index's rows for a scan that wants `attributes` only from the entry.
pub(crate) fn covers_all(shape: &IndexShape, table: &Table, attributes: impl IntoIterator<Item = i16>) -> bool {
    attributes.into_iter().all(|a| {
        shape.covers(a) && table.relation.columns.get((a as usize).wrapping_sub(1)).is_some_and(|c| !c.is_dropped)
    })
}
