//! Stored layouts of a relation: how a row that was written under layout n gives the columns that exist now.
//!
//! Owns nothing stored: everything follows from `Relation::{layout, columns}`. Layout n holds the columns with
//! `added_in <= n` that were not dropped in n or before, in attribute order; a row says in its header under which n it
//! was written. So ADD COLUMN and DROP COLUMN raise `Relation::layout` and touch no row:
//!
//! ```text
//! layout 0: a b      ALTER … DROP a  -> layout 1: b        ALTER … ADD c DEFAULT 7  -> layout 2: b c
//! row of layout 0, read now: a is skipped, b is position 1, c is its missing value 7
//! ```
//!
//! The table is made on first use and kept in the relation's descriptor (`LayoutCell`), hence shared by all who hold
//! that `Arc<Relation>`. A copied descriptor starts with an empty cell, because it is copied to be changed.

use crate::descriptor::*;
use std::fmt;
use std::sync::{Arc, OnceLock};
use types::row::{RowLayout, RowView};
use types::{Datum, FormatSettings, SqlError, SqlState, SqlType};

/// Where a row's value of one attribute is.
#[derive(Clone, Debug)]
pub enum Source {
    /// Position in the stored row.
    Stored(usize),
    /// The column is younger than the row: its value for all such rows.
    Missing(Datum),
    /// The column is gone.
    Dropped,
}

/// One layout.
#[derive(Clone, Debug)]
pub struct LayoutVersion {
    pub layout: RowLayout,
    /// By attribute number - 1.
    pub sources: Box<[Source]>,
    /// Attribute numbers in stored order.
    pub attributes: Box<[AttributeNumber]>,
}

/// All layouts of a relation, up to the current one.
#[derive(Clone, Debug)]
pub struct Layouts {
    versions: Vec<LayoutVersion>,
}

impl Layouts {
    /// The layout that new rows are written in.
    pub fn current(&self) -> &LayoutVersion {
        self.versions.last().expect("a relation has a layout")
    }

    /// The layout of that number; XX001 if a row claims one that never was.
    #[inline]
    pub fn version(&self, number: u16) -> Result<&LayoutVersion, SqlError> {
        self.versions
            .get(usize::from(number))
            .ok_or_else(|| SqlError::new(SqlState::DATA_CORRUPTED, format!("row of unknown layout {number}")))
    }

    /// The layout that a stored row was written in, and the row.
    #[inline]
    pub fn view<'a>(&'a self, bytes: &'a [u8]) -> Result<(&'a LayoutVersion, RowView<'a>), SqlError> {
        let version = self.version(RowView::schema_version(bytes)?)?;
        Ok((version, RowView::new(&version.layout, bytes)?))
    }
}

impl LayoutVersion {
    /// The value of an attribute in a row of this layout; NULL for a dropped one.
    pub fn column(&self, row: &RowView<'_>, number: AttributeNumber) -> Result<Datum, SqlError> {
        match usize::try_from(number - 1).ok().and_then(|i| self.sources.get(i)) {
            Some(Source::Stored(position)) => row.column(*position),
            Some(Source::Missing(value)) => Ok(value.clone()),
            Some(Source::Dropped) | None => Ok(Datum::Null),
        }
    }
}

/// A place for a relation's layouts, filled once. Copies start empty.
#[derive(Default)]
pub struct LayoutCell(OnceLock<Arc<Layouts>>);

impl Clone for LayoutCell {
    fn clone(&self) -> LayoutCell {
        LayoutCell::default()
    }
}

impl fmt::Debug for LayoutCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LayoutCell")
    }
}

impl Relation {
    /// Its layouts. XX001 if a stored missing value does not read.
    pub fn layouts(&self) -> Result<&Arc<Layouts>, SqlError> {
        if let Some(layouts) = self.layouts.0.get() {
            return Ok(layouts);
        }
        let built = Arc::new(build(self)?);
        Ok(self.layouts.0.get_or_init(|| built))
    }
}

fn build(relation: &Relation) -> Result<Layouts, SqlError> {
    let versions = (0..=relation.layout).map(|n| build_version(relation, n)).collect::<Result<_, _>>()?;
    Ok(Layouts { versions })
}

fn build_version(relation: &Relation, number: u16) -> Result<LayoutVersion, SqlError> {
    let (mut stored, mut attributes) = (vec![], vec![]);
    let mut sources = Vec::with_capacity(relation.columns.len());
    for column in &relation.columns {
        let is_stored = column.added_in <= number && column.dropped_in.is_none_or(|dropped| dropped > number);
        if is_stored {
            sources.push(if column.is_dropped { Source::Dropped } else { Source::Stored(stored.len()) });
            stored.push(SqlType::from(column.ty));
            attributes.push(column.number);
        } else if column.is_dropped {
            sources.push(Source::Dropped);
        } else {
            sources.push(Source::Missing(missing_value(column)?));
        }
    }
    let layout = RowLayout::new(number, stored);
    Ok(LayoutVersion { layout, sources: sources.into(), attributes: attributes.into() })
}

/// Stored in text form under the default settings (ISO dates, UTC).
fn missing_value(column: &Column) -> Result<Datum, SqlError> {
    match &column.missing {
        None => Ok(Datum::Null),
        Some(text) => types::io::input(column.ty.into(), text, &FormatSettings::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{column, table};

    /// a int, b text; then a is dropped, then c int default 7 is added.
    fn evolved() -> Relation {
        let mut t = table(20_000, "t", vec![column(1, "a", SqlType::INT4), column(2, "b", SqlType::TEXT)]);
        t.layout = 2;
        t.columns[0].is_dropped = true;
        t.columns[0].dropped_in = Some(1);
        let mut c = column(3, "c", SqlType::INT4);
        c.added_in = 2;
        c.missing = Some("7".to_owned());
        t.columns.push(c);
        t
    }

    fn row(layouts: &Layouts, number: u16, values: &[Datum]) -> Vec<u8> {
        let mut bytes = vec![];
        types::row::encode(&layouts.version(number).unwrap().layout, 0, values, None, &mut bytes);
        bytes
    }

    #[test]
    fn row_of_an_older_layout_gives_the_columns_that_exist_now() {
        let t = evolved();
        let layouts = t.layouts().unwrap();
        let check = |number, values: &[Datum], expected: [&str; 3]| {
            let bytes = row(layouts, number, values);
            let (version, view) = layouts.view(&bytes).unwrap();
            let got: Vec<String> = (1..=3).map(|n| format!("{:?}", version.column(&view, n).unwrap())).collect();
            assert_eq!(got, expected);
        };
        check(0, &[Datum::Int4(1), Datum::text("x")], ["Null", "Text(\"x\")", "Int4(7)"]);
        check(1, &[Datum::text("y")], ["Null", "Text(\"y\")", "Int4(7)"]);
        check(2, &[Datum::text("z"), Datum::Null], ["Null", "Text(\"z\")", "Null"]);
    }

    #[test]
    fn row_of_a_layout_that_never_was_is_damage() {
        let t = evolved();
        let layouts = t.layouts().unwrap();
        assert_eq!(layouts.version(3).unwrap_err().code(), SqlState::DATA_CORRUPTED);
    }

    #[test]
    fn a_copied_descriptor_makes_its_layouts_anew() {
        let t = evolved();
        assert_eq!(t.layouts().unwrap().current().sources.len(), 3);
        let mut copy = t.clone();
        copy.columns.pop();
        assert_eq!(copy.layouts().unwrap().current().sources.len(), 2);
    }
}
