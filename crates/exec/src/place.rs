//! What a place in storage is to those who read messages: a relation or one of its indexes, and a key as text.

use catalog::{Index, Relation, Snapshot};
use std::sync::Arc;
use types::key::{self, KeyOrder};
use types::{FormatSettings, SqlType, io};

/// Bytes of one value of a key, as in PostgreSQL's "Failing row contains".
const VALUE_BYTES_MAX: usize = 64;

/// A storage's owner.
#[derive(Clone, Debug)]
pub struct StoragePlace {
    pub relation: Arc<Relation>,
    /// None: the relation's own rows.
    pub index: Option<Arc<Index>>,
}

/// Whose rows or entries a storage holds; None: the catalog's, or nobody's any more.
pub fn find_storage(catalog: &Snapshot, storage: u32) -> Option<StoragePlace> {
    for relation in catalog.relations().filter(|relation| relation.has_rows()) {
        if relation.storage == storage {
            return Some(StoragePlace { relation: relation.clone(), index: None });
        }
        let mut indexes = catalog.indexes_of(relation).filter(|index| !index.is_primary);
        if let Some(index) = indexes.find(|index| index.storage == storage) {
            return Some(StoragePlace { relation: relation.clone(), index: Some(index.clone()) });
        }
    }
    None
}

impl StoragePlace {
    /// `(a, b)=(1, x)`; None: the rows have no key that a user knows of, or the bytes are none.
    pub fn key_text(&self, key: &[u8], format: &FormatSettings) -> Option<String> {
        let column = |attribute: i16| self.relation.column(attribute);
        let parts: Vec<(String, SqlType, KeyOrder)> = match &self.index {
            None => {
                let columns = self.relation.key.iter().filter_map(|attribute| column(*attribute));
                columns.map(|column| (column.name.clone(), column.ty.into(), KeyOrder::ASC)).collect()
            }
            Some(index) => {
                let name = |source: &catalog::IndexSource| match source {
                    catalog::IndexSource::Column(attribute) => column(*attribute).map(|column| column.name.clone()),
                    catalog::IndexSource::Expression(text) => Some(text.clone()),
                };
                let columns = index.columns.iter();
                columns.filter_map(|part| Some((name(&part.source)?, part.ty.into(), part.order()))).collect()
            }
        };
        let mut rest = key;
        let mut values = Vec::with_capacity(parts.len());
        for (_, ty, order) in &parts {
            let value = key::decode(*ty, *order, &mut rest).ok()?;
            values.push(value_text(*ty, &value, format));
        }
        let names: Vec<&str> = parts.iter().map(|(name, ..)| name.as_str()).collect();
        (!names.is_empty()).then(|| format!("({})=({})", names.join(", "), values.join(", ")))
    }
}

fn value_text(ty: SqlType, value: &types::Datum, format: &FormatSettings) -> String {
    if value.is_null() {
        return "null".to_owned();
    }
    let mut out = Vec::new();
    io::output(ty, value, format, &mut out);
    let mut text = String::from_utf8_lossy(&out).into_owned();
    if text.len() > VALUE_BYTES_MAX {
        let end = (0..=VALUE_BYTES_MAX).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push_str("...");
    }
    text
}
