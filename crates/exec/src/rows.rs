//! A relation as its rows lie in storage: where it lives, its key, its slot, and the layouts its rows were written under.
//!
//! Rows of older layouts are read as they are: columns added later give their stored default, dropped ones are skipped.
//!
//! A row key, as plans carry it (`ScanColumn::RowKey`, a bytea): `[slot u16 BE][key]`.

use crate::batch::{ColumnBuilder, ColumnKind};
use catalog::layout::{LayoutVersion, Layouts, Source};
use catalog::{Relation, RelationKind};
use sql::logical::ScanColumn;
use std::sync::Arc;
use txn::{Home, RelationRef, StorageId, Timestamp};
use types::key::{self, KeyOrder};
use types::numeric::Numeric;
use types::row::{self, RowView, Stored};
use types::{Datum, Record, Result, SqlError, SqlState, SqlType};

/// Longest key, as in PostgreSQL (a third of its pages). Of an index's entry: its columns, without the row's key behind them.
pub const KEY_BYTES_MAX: usize = 2_704;

/// What reading and writing rows of a relation needs, made once per plan.
#[derive(Debug)]
pub(crate) struct Table {
    pub relation: Arc<Relation>,
    pub at: RelationRef,
    /// Types by attribute number - 1.
    pub types: Vec<SqlType>,
    layouts: Arc<Layouts>,
}

pub(crate) fn relation_ref(relation: &Relation, storage: u32) -> RelationRef {
    RelationRef {
        storage: StorageId(storage),
        id: relation.id,
        schema_version: relation.schema_version,
        home: match relation.kind {
            _ if relation.is_temporary => Home::Temporary,
            RelationKind::Sequence => Home::Meta,
            _ => Home::Data,
        },
    }
}

impl Table {
    pub fn new(relation: &Arc<Relation>) -> Result<Arc<Table>> {
        Ok(Arc::new(Table {
            at: relation_ref(relation, relation.storage),
            types: relation.columns.iter().map(|c| c.ty.into()).collect(),
            layouts: relation.layouts()?.clone(),
            relation: relation.clone(),
        }))
    }

    /// A stored row with its layout.
    #[inline]
    pub fn view<'a>(&'a self, bytes: &'a [u8]) -> Result<(RowView<'a>, &'a LayoutVersion)> {
        let (layout, view) = self.layouts.view(bytes)?;
        Ok((view, layout))
    }

    pub fn attribute(&self, view: &RowView<'_>, layout: &LayoutVersion, attribute: i16) -> Result<Datum> {
        layout.column(view, attribute)
    }

    /// The stored form of a row under the current layout. `values`: attribute n at `n - 1`.
    pub fn encode(&self, slot: u16, values: &[Datum], tail: Option<&types::json::Jsonb>, out: &mut Vec<u8>) {
        let layout = self.layouts.current();
        if layout.layout.columns.len() == values.len() {
            row::encode(&layout.layout, slot, values, tail, out);
            return;
        }
        let stored: Vec<Datum> = layout
            .attributes
            .iter()
            .map(|n| values.get((*n as usize).wrapping_sub(1)).cloned().unwrap_or_default())
            .collect();
        row::encode(&layout.layout, slot, &stored, tail, out);
    }

    pub fn has_hidden_key(&self) -> bool {
        self.relation.key.is_empty()
    }

    /// Appends the primary key's encoding from a whole row. The caller makes hidden keys.
    pub fn encode_key(&self, values: &[Datum], out: &mut Vec<u8>) -> Result<()> {
        for attribute in &self.relation.key {
            let index = (*attribute as usize).wrapping_sub(1);
            let (ty, value) = (self.types.get(index), values.get(index));
            if let (Some(ty), Some(value)) = (ty, value) {
                key::encode(*ty, value, KeyOrder::ASC, out);
            }
        }
        check_key_size(out.len(), &self.relation.name)
    }

    /// The slot of a row with this key. `values` are asked only where distribution is not by the key.
    pub fn slot(&self, key: &[u8], values: &[Datum]) -> u16 {
        if self.relation.distribution.is_empty() || self.relation.distribution == self.relation.key {
            return key::slot(key);
        }
        let mut bytes = Vec::new();
        for attribute in &self.relation.distribution {
            let index = (*attribute as usize).wrapping_sub(1);
            if let (Some(ty), Some(value)) = (self.types.get(index), values.get(index)) {
                key::encode(*ty, value, KeyOrder::ASC, &mut bytes);
            }
        }
        key::slot(&bytes)
    }

    /// The slot of the row with this primary key, if the key alone tells it.
    pub fn slot_of_key(&self, key: &[u8], key_values: &[Datum]) -> Option<u16> {
        if self.relation.distribution.is_empty() || self.relation.distribution == self.relation.key {
            return Some(key::slot(key));
        }
        let mut bytes = Vec::new();
        for attribute in &self.relation.distribution {
            let place = self.relation.key.iter().position(|k| k == attribute)?;
            let ty = self.types.get((*attribute as usize).wrapping_sub(1))?;
            key::encode(*ty, key_values.get(place)?, KeyOrder::ASC, &mut bytes);
        }
        Some(key::slot(&bytes))
    }
}

/// 54000 above what a key may be.
pub(crate) fn check_key_size(size: usize, name: &str) -> Result<()> {
    if size <= KEY_BYTES_MAX {
        return Ok(());
    }
    Err(SqlError::new(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!("index row size {size} exceeds btree version 4 maximum {KEY_BYTES_MAX} for index \"{name}\""),
    )
    .hint("Values larger than 1/3 of a buffer page cannot be indexed.\nConsider a function index of an MD5 hash of the value, or use full text indexing."))
}

pub(crate) fn row_key(slot: u16, key: &[u8]) -> Datum {
    let mut bytes = Vec::with_capacity(key.len() + 2);
    bytes.extend_from_slice(&slot.to_be_bytes());
    bytes.extend_from_slice(key);
    Datum::bytea(bytes)
}

/// Slot and key of a row key datum; None for NULL (the null side of an outer join).
pub(crate) fn split_row_key(value: &Datum) -> Option<(u16, &[u8])> {
    match value {
        Datum::Bytea(bytes) => bytes.split_first_chunk::<2>().map(|(slot, key)| (u16::from_be_bytes(*slot), key)),
        _ => None,
    }
}

/// Reads stored rows into columns: those a scan asks for and no others.
#[derive(Debug, Clone)]
pub(crate) struct RowReader {
    pub table: Arc<Table>,
    pub columns: Vec<ScanColumn>,
    kinds: Vec<ColumnKind>,
}

impl RowReader {
    pub fn new(table: Arc<Table>, columns: &[ScanColumn], types: &[SqlType]) -> RowReader {
        let kinds = columns
            .iter()
            .enumerate()
            .map(|(i, _)| types.get(i).map_or(ColumnKind::Datums, |ty| ColumnKind::of(*ty)))
            .collect();
        RowReader { table, columns: columns.to_vec(), kinds }
    }
    pub fn builders(&self) -> Vec<ColumnBuilder> {
        self.builders_for(0)
    }
    /// With room for so many rows.
    pub fn builders_for(&self, rows: usize) -> Vec<ColumnBuilder> {
        self.kinds.iter().map(|k| ColumnBuilder::with_capacity(*k, rows)).collect()
    }
    /// For one of the columns.
    pub fn builder(&self, column: usize, rows: usize) -> Option<ColumnBuilder> {
        self.kinds.get(column).map(|kind| ColumnBuilder::with_capacity(*kind, rows))
    }

    /// Appends one row to the builders. Common types go from the row to the column without a datum.
    pub fn push(&self, builders: &mut [ColumnBuilder], key: &[u8], bytes: &[u8], ts: Timestamp) -> Result<()> {
        let (view, layout) = self.table.view(bytes)?;
        for (column, builder) in self.columns.iter().zip(builders) {
            let ScanColumn::Attribute(attribute) = column else {
                builder.push_owned(self.special(*column, &view, layout, key, ts)?);
                continue;
            };
            let index = (*attribute as usize).wrapping_sub(1);
            match layout.sources.get(index) {
                Some(Source::Stored(position)) => push_stored(builder, &view, *position)?,
                Some(Source::Missing(value)) => builder.push(value),
                Some(Source::Dropped) | None => builder.push_null(),
            }
        }
        Ok(())
    }

    /// The scan's columns of one row as datums.
    pub fn datums(&self, key: &[u8], bytes: &[u8], ts: Timestamp) -> Result<Vec<Datum>> {
        let (view, layout) = self.table.view(bytes)?;
        self.columns.iter().map(|column| self.value(*column, &view, layout, key, ts)).collect()
    }

    pub fn value(
        &self,
        column: ScanColumn,
        view: &RowView<'_>,
        layout: &LayoutVersion,
        key: &[u8],
        ts: Timestamp,
    ) -> Result<Datum> {
        match column {
            ScanColumn::Attribute(attribute) => self.table.attribute(view, layout, attribute),
            special => self.special(special, view, layout, key, ts),
        }
    }

    fn special(
        &self,
        column: ScanColumn,
        view: &RowView<'_>,
        layout: &LayoutVersion,
        key: &[u8],
        ts: Timestamp,
    ) -> Result<Datum> {
        Ok(match column {
            ScanColumn::Attribute(attribute) => self.table.attribute(view, layout, attribute)?,
            ScanColumn::TableOid => Datum::Oid(self.table.relation.id),
            ScanColumn::RowKey => row_key(view.slot(), key),
            // This transaction's own writes have no time yet.
            ScanColumn::CommitTimestamp if ts == Timestamp::ZERO => Datum::Null,
            ScanColumn::CommitTimestamp => Datum::Int8(ts.0 as i64),
            ScanColumn::ValidFrom | ScanColumn::ValidTo => return Err(period_elsewhere()),
            ScanColumn::Tail => view.tail().map_or(Datum::Null, Datum::Jsonb),
            ScanColumn::WholeRow => whole_row(&self.table, |n| self.table.attribute(view, layout, n))?,
            ScanColumn::Document => crate::document::whole(&self.table, view, layout)?,
        })
    }
}

/// Only `op::versions` knows a version's period.
pub(crate) fn period_elsewhere() -> SqlError {
    SqlError::internal("a period outside FOR SYSTEM_TIME")
}

pub(crate) fn whole_row(table: &Table, mut value: impl FnMut(i16) -> Result<Datum>) -> Result<Datum> {
    let mut record = Record { types: vec![], names: vec![], values: vec![] };
    for column in table.relation.columns.iter().filter(|c| !c.is_dropped) {
        record.types.push(column.ty.into());
        record.names.push(column.name.as_str().into());
        record.values.push(value(column.number)?);
    }
    Ok(Datum::Record(Arc::new(record)))
}

#[inline]
pub(crate) fn push_stored(builder: &mut ColumnBuilder, view: &RowView<'_>, position: usize) -> Result<()> {
    let is_pushed = match view.stored(position) {
        Stored::Null => {
            builder.push_null();
            true
        }
        Stored::Int(value) => builder.push_int(value),
        Stored::Text(value) => {
            builder.push_str(value);
            true
        }
        Stored::Numeric { mantissa, scale } => builder.push_numeric(Numeric::Small { mantissa, scale }),
        Stored::Float(value) => builder.push_float(value),
        Stored::Bool(value) => builder.push_bool(value),
        Stored::Other => false,
    };
    // A column of another type than its builder, or a value of a rarer kind.
    if !is_pushed {
        builder.push_owned(view.column(position)?);
    }
    Ok(())
}
