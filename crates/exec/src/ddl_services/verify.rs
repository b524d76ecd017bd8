//! Whether a relation and what is derived from it agree: each row against its key, its slot and its index entries; each entry
//! against its row; foreign keys against the rows they name. Reads, in the transaction at hand, and changes nothing.
//!
//! Forward, every row's entries are looked up. If an index then has exactly as many entries as were found, there is no other
//! one, and it need not be walked against the rows: two rows never have one entry (it names its row).

use super::{Rows, SqlServices};
use crate::context::StatementContext;
use crate::dml::Target;
use crate::dml::target::StoredRow;
use crate::index::WriteIndex;
use crate::rows::Table;
use catalog::{Constraint, ConstraintKind, ForeignKey, IndexState, Relation, Snapshot};
use sql::utility::ddl::SqlText;
use std::ops::ControlFlow;
use std::sync::Arc;
use storage::audit::Audit;
use txn::{Direction, KeyRange};
use types::functions::quote_ident;
use types::{Datum, Result};

/// Entries of an index read at once.
const CHUNK: usize = 1_024;
/// Bytes of a key shown in a finding.
const SHOWN_BYTES: usize = 48;

/// What was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerifiedRelation {
    pub rows: u64,
    pub entries: u64,
    pub foreign_keys: u64,
}

impl SqlServices {
    /// Findings go to `audit`; an error means that the relation could not be looked at to the end.
    pub async fn verify(
        &self,
        catalog: &Arc<Snapshot>,
        relation: &Arc<Relation>,
        audit: &mut dyn Audit,
    ) -> Result<VerifiedRelation> {
        let context = self.statement_context(catalog);
        let mut target = self.target(catalog, relation)?;
        // One that is still being made, or whose making was given up, has not all entries.
        target.indexes.retain(|index| index.shape.index.state == IndexState::Public);
        let mut check = Check { context: &context, name: name_of(catalog, relation), target: &target, audit };
        let mut found = vec![0; target.indexes.len()];
        let mut counted =
            VerifiedRelation { rows: check.rows(Rows::new(self, relation)?, &mut found).await?, ..Default::default() };
        for (index, found) in target.indexes.iter().zip(found) {
            counted.entries += check.index(index, found).await?;
        }
        for constraint in relation.constraints.iter().filter(|c| c.is_validated) {
            if let ConstraintKind::ForeignKey(key) = &constraint.kind {
                counted.foreign_keys += 1;
                if let Some(finding) = self.dangling(catalog, relation, constraint, key).await? {
                    check.audit.found(finding);
                }
            }
        }
        Ok(counted)
    }

    /// Rows whose foreign key names nothing.
    async fn dangling(
        &self,
        catalog: &Arc<Snapshot>,
        relation: &Relation,
        constraint: &Constraint,
        key: &ForeignKey,
    ) -> Result<Option<String>> {
        let Some(target) = catalog.relation(key.target) else {
            return Ok(Some(format!(
                "foreign key \"{}\" of {} names no table",
                constraint.name,
                name_of(catalog, relation)
            )));
        };
        let column = |of: &Relation, number: i16| {
            of.column(number).map(|c| quote_ident(&c.name).to_string()).unwrap_or_default()
        };
        let pairs = key.columns.iter().zip(&key.target_columns);
        let pairs: Vec<(String, String)> = pairs.map(|(c, t)| (column(relation, *c), column(target, *t))).collect();
        let known: Vec<String> = pairs.iter().map(|(c, _)| format!("c.{c} IS NOT NULL")).collect();
        let equal: Vec<String> = pairs.iter().map(|(c, t)| format!("p.{t} = c.{c}")).collect();
        let text = format!(
            "SELECT count(*) FROM {} c WHERE {} AND NOT EXISTS (SELECT 1 FROM {} p WHERE {})",
            name_of(catalog, relation),
            known.join(" AND "),
            name_of(catalog, target),
            equal.join(" AND ")
        );
        let (query, _) = self.query(&self.bind_context(catalog), &SqlText { text, position: 0 })?;
        let count = self.start(catalog, &query)?.next().await?.and_then(|batch| batch.row(0).into_iter().next());
        Ok(match count {
            Some(Datum::Int8(count)) if count > 0 => Some(format!(
                "{count} rows of {} name rows of {} that are not there (foreign key \"{}\")",
                name_of(catalog, relation),
                name_of(catalog, target),
                constraint.name
            )),
            _ => None,
        })
    }
}

/// With its schema, quoted as SQL needs it.
pub fn name_of(catalog: &Snapshot, relation: &Relation) -> String {
    let schema = catalog.schema(relation.schema).map(|s| s.name.as_str()).unwrap_or_default();
    format!("{}.{}", quote_ident(schema), quote_ident(&relation.name))
}

struct Check<'a> {
    context: &'a StatementContext,
    name: String,
    target: &'a Target,
    audit: &'a mut dyn Audit,
}

impl Check<'_> {
    /// Every row, and its entries; `found` counts these by index. How many rows.
    async fn rows(&mut self, mut rows: Rows, found: &mut [u64]) -> Result<u64> {
        let mut count = 0;
        loop {
            self.context.check()?;
            let chunk = rows.next().await?;
            if chunk.is_empty() {
                return Ok(count);
            }
            for row in &chunk {
                self.place(row)?;
                for (index, found) in self.target.indexes.iter().zip(found.iter_mut()) {
                    *found += u64::from(self.entry_of(index, row).await?);
                }
            }
            count += chunk.len() as u64;
            self.audit.looked_at(chunk.len() as u64);
        }
    }

    /// The row lies where its values say.
    fn place(&mut self, row: &StoredRow) -> Result<()> {
        let table = &self.target.table;
        if !table.has_hidden_key() {
            let mut key = Vec::new();
            table.encode_key(&row.values, &mut key)?;
            if key != row.key {
                self.found(&row.key, "is stored under a key that is not its own");
            }
        }
        if table.slot(&row.key, &row.values) != row.slot {
            self.found(&row.key, "is in another slot than its key");
        }
        Ok(())
    }

    /// Whether the row has its entry, or needs one and has it not. False: it needs none.
    async fn entry_of(&mut self, index: &WriteIndex, row: &StoredRow) -> Result<bool> {
        let image = self.target.image(row)?;
        let env = self.context.env();
        let Some((entry, _)) = index.entry(&env, &image, row.slot, &row.key)? else { return Ok(false) };
        let at = &index.shape.at;
        let is_same = |value: Option<&[u8]>, _| value.map(|value| value == entry.value);
        match self.context.txn.get(at, entry.slot, &entry.key, is_same).await? {
            Some(true) => return Ok(true),
            Some(false) => {
                let what = format!("has an entry in index \"{}\" that says something else", index.shape.index.name);
                self.found(&row.key, &what);
            }
            None => {
                let what = format!("has no entry in index \"{}\"", index.shape.index.name);
                self.found(&row.key, &what);
            }
        }
        Ok(false)
    }

    /// Every entry of an index of which `found` are known to be right. How many there are.
    async fn index(&mut self, index: &WriteIndex, found: u64) -> Result<u64> {
        let count = self.walk(index, false).await?;
        if count != found {
            self.walk(index, true).await?;
        }
        Ok(count)
    }

    async fn walk(&mut self, index: &WriteIndex, against_rows: bool) -> Result<u64> {
        let mut scan = self.context.txn.scan(&index.shape.at, None, KeyRange::all(), Direction::Forward);
        let mut count = 0;
        loop {
            self.context.check()?;
            let mut entries: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
            let visited = scan
                .next(CHUNK, |key, value, _| {
                    if against_rows {
                        entries.push((key.to_vec(), value.to_vec()));
                    }
                    ControlFlow::Continue(())
                })
                .await?;
            if visited == 0 {
                return Ok(count);
            }
            count += visited as u64;
            self.audit.looked_at(visited as u64);
            for (key, value) in &entries {
                self.row_of(index, key, value).await?;
            }
        }
    }

    /// The entry's row is there, and has this entry.
    async fn row_of(&mut self, index: &WriteIndex, key: &[u8], value: &[u8]) -> Result<()> {
        let name = &index.shape.index.name;
        let (slot, row_key) = match index.shape.row_of(key, value) {
            Ok(row) => row,
            Err(error) => {
                self.audit.found(format!("{}: {}", self.name, error.message()));
                return Ok(());
            }
        };
        let table = self.target.table.clone();
        let read = |bytes: Option<&[u8]>, _| bytes.map(|bytes| stored_row(&table, row_key, bytes)).transpose();
        let Some(row) = self.context.txn.get(&table.at, slot, row_key, read).await?? else {
            self.found(row_key, &format!("is not there, and index \"{name}\" has an entry for it"));
            return Ok(());
        };
        let image = self.target.image(&row)?;
        let entry = index.entry(&self.context.env(), &image, row.slot, &row.key)?;
        if entry.is_none_or(|(entry, _)| entry.key != key) {
            self.found(row_key, &format!("has an entry in index \"{name}\" that its values do not give"));
        }
        Ok(())
    }

    fn found(&mut self, key: &[u8], what: &str) {
        let shown = &key[..key.len().min(SHOWN_BYTES)];
        self.audit.found(format!("a row of {} {what}: key {shown:02x?}", self.name));
    }
}

/// A row with all its values.
pub(super) fn stored_row(table: &Table, key: &[u8], bytes: &[u8]) -> Result<StoredRow> {
    let width = i16::try_from(table.types.len()).unwrap_or(i16::MAX);
    let (view, layout) = table.view(bytes)?;
    let values = (1..=width).map(|n| table.attribute(&view, layout, n)).collect::<Result<_>>()?;
    Ok(StoredRow { slot: view.slot(), key: key.to_vec(), values, tail: view.tail() })
}
