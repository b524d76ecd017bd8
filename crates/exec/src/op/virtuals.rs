//! pg_catalog, information_schema and hyrax_catalog: rows that the catalog computes, filtered here.

use super::Operator;
use crate::batch::{BATCH_ROWS, Batch};
use crate::block::ScanFilter;
use crate::context::{BoxFuture, StatementContext};
use crate::expr::Program;
use crate::rows::relation_ref;
use crate::run::Run;
use catalog::names::NameScope;
use catalog::privileges::{self, Target};
use catalog::virtuals::{self, Row, VirtualContext};
use catalog::{Relation, RelationKind, privilege};
use sql::Expr;
use sql::logical::ScanColumn;
use sql::physical::ScanTarget;
use std::collections::BTreeMap;
use std::sync::Arc;
use types::{Datum, Oid, Record, Result, SqlError, SqlType};

const PG_SEQUENCES: Oid = 12_048;

pub(crate) struct VirtualScan {
    relation: Arc<Relation>,
    columns: Vec<ScanColumn>,
    types: Vec<SqlType>,
    equal: Vec<(i16, Program)>,
    filter: ScanFilter,
    rows: Option<std::vec::IntoIter<Row>>,
}

impl VirtualScan {
    pub fn new(
        target: &ScanTarget,
        types: &[SqlType],
        equal: &[(i16, Expr)],
        filter: Option<&Expr>,
    ) -> Result<VirtualScan> {
        Ok(VirtualScan {
            relation: target.relation.clone(),
            columns: target.columns.clone(),
            types: types.to_vec(),
            equal: equal.iter().map(|(a, e)| Ok((*a, Program::compile(e)?))).collect::<Result<_>>()?,
            filter: ScanFilter::new(filter)?,
            rows: None,
        })
    }

    async fn compute(&self, run: &mut Run) -> Result<Vec<Row>> {
        let mut equal = Vec::with_capacity(self.equal.len());
        for (attribute, program) in &self.equal {
            match program.eval_datums(run, &[]).await? {
                Datum::Null => return Ok(vec![]),
                value => equal.push((*attribute, value)),
            }
        }
        let context = &run.context;
        let path = context.session.search_path();
        let gateway = context.gateway.clone();
        let size = move |relation: &Relation| {
            let at = relation_ref(relation, relation.storage);
            (gateway.rows_estimate(&at), gateway.bytes_estimate(&at))
        };
        let source = context.session.virtual_source();
        let last_values = if self.relation.id == PG_SEQUENCES { last_values(context).await? } else { BTreeMap::new() };
        let virtual_context = VirtualContext {
            catalog: &context.catalog,
            scope: NameScope {
                database: context.session.database(),
                search_path: &path,
                temporary_schema: context.session.temporary_schema(),
            },
            role: context.session.current_user(),
            size: &size,
            last_value: &|sequence| last_values.get(&sequence.id).copied(),
            updatable: &|view| crate::stored::updatable_columns(&context.env(), view),
            view: &|view| crate::functions::view_text(&context.env(), view, false, 0),
            rule: &|rule, relation| crate::functions::rule_texts(&context.env(), rule, relation, false),
            now: context.session.statement_time(),
            source: source.as_deref(),
        };
        Ok(virtuals::rows(self.relation.id, &virtual_context, &equal))
    }

    fn column(&self, column: ScanColumn, row: &[Datum]) -> Result<Datum> {
        Ok(match column {
            ScanColumn::Attribute(a) => row.get((a as usize).wrapping_sub(1)).cloned().unwrap_or_default(),
            ScanColumn::TableOid => Datum::Oid(self.relation.id),
            ScanColumn::WholeRow => Datum::Record(Arc::new(Record {
                types: self.relation.columns.iter().map(|c| c.ty.into()).collect(),
                names: self.relation.columns.iter().map(|c| c.name.as_str().into()).collect(),
                values: row.to_vec(),
            })),
            _ => {
                let message = format!("rows of \"{}\" are computed and have no such column", self.relation.name);
                return Err(SqlError::unsupported(message));
            }
        })
    }
}

/// Last values of the database's sequences that have given one and may be read. They are not in the catalog's snapshot.
async fn last_values(context: &StatementContext) -> Result<BTreeMap<Oid, i64>> {
    let (database, role) = (context.session.database(), context.session.current_user());
    let rights = privilege::SELECT | privilege::USAGE;
    let mut values = BTreeMap::new();
    for relation in context.catalog.relations() {
        let is_wanted = relation.kind == RelationKind::Sequence
            && relation.database == database
            && privileges::held(&context.catalog, role, Target::Relation(relation), rights) != 0;
        if !is_wanted {
            continue;
        }
        context.check()?;
        let state = context.session.sequence_state(relation).await?;
        if let Some(state) = state.filter(|s| s.is_called) {
            values.insert(relation.id, state.last_value);
        }
    }
    Ok(values)
}

impl Operator for VirtualScan {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            if self.rows.is_none() {
                self.rows = Some(self.compute(run).await?.into_iter());
            }
            loop {
                run.pause(BATCH_ROWS).await?;
                let Some(rows) = &mut self.rows else { return Ok(None) };
                let rows: Vec<Row> = rows.by_ref().take(BATCH_ROWS).collect();
                if rows.is_empty() {
                    return Ok(None);
                }
                let rows = rows
                    .iter()
                    .map(|row| self.columns.iter().map(|c| self.column(*c, row)).collect())
                    .collect::<Result<Vec<Vec<Datum>>>>()?;
                let batch = Batch::from_rows(&self.types, &rows);
                let batch = self.filter.apply(run, batch).await?;
                if !batch.is_empty() {
                    return Ok(Some(batch));
                }
            }
        })
    }
    fn rewind(&mut self, _run: &mut Run) {
        self.rows = None;
    }
}
