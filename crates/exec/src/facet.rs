//! The columns that a plan reads, as the facet of its reads (`txn::Facet`): an UPDATE of other columns of a row does not disturb it.

use crate::rows::Table;
use catalog::layout::Source;
use sql::logical::ScanColumn;
use std::sync::Arc;
use txn::Facet;
use types::hash::Hasher64;

struct ColumnsRead {
    table: Arc<Table>,
    /// Attribute number - 1.
    columns: Box<[usize]>,
    id: u64,
}

/// None: all of a row counts.
pub(crate) fn of_columns(table: &Arc<Table>, columns: &[ScanColumn]) -> Option<Arc<dyn Facet>> {
    let mut read = Vec::with_capacity(columns.len());
    for column in columns {
        match column {
            ScanColumn::Attribute(number) => read.push((*number as usize).wrapping_sub(1)),
            // The relation's and the key's, not the row's.
            ScanColumn::TableOid | ScanColumn::RowKey => {}
            _ => return None,
        }
    }
    read.sort_unstable();
    read.dedup();
    if read.len() == table.types.len() {
        return None;
    }
    let mut hasher = Hasher64::new(u64::from(table.at.schema_version));
    read.iter().for_each(|column| hasher.write_u64(*column as u64));
    Some(Arc::new(ColumnsRead { table: table.clone(), columns: read.into(), id: hasher.finish() }))
}

impl Facet for ColumnsRead {
    fn id(&self) -> u64 {
        self.id
    }

    /// By stored bytes; versions of two layouts are not compared.
    fn is_same(&self, old: &[u8], new: &[u8]) -> bool {
        let (Ok((old, layout)), Ok((new, other))) = (self.table.view(old), self.table.view(new)) else { return false };
        layout.layout.schema_version == other.layout.schema_version
            && self.columns.iter().all(|column| match layout.sources.get(*column) {
                Some(Source::Stored(position)) => old.is_same_column(&new, *position),
                Some(Source::Missing(_) | Source::Dropped) | None => true,
            })
    }
}
