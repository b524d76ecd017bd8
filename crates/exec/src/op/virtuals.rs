//! pg_catalog, information_schema and hyrax_catalog: rows that the catalog computes, filtered here.

use super::Operator;
use crate::batch::{BATCH_ROWS, Batch};
use crate::context::BoxFuture;
use crate::expr::Program;
use crate::rows::relation_ref;
use crate::run::Run;
use catalog::Relation;
use catalog::names::NameScope;
use catalog::virtuals::{self, Row, VirtualContext};
use sql::Expr;
use sql::logical::ScanColumn;
use sql::physical::ScanTarget;
use std::sync::Arc;
use types::{Datum, Record, Result, SqlError, SqlType};

pub(crate) struct VirtualScan {
    relation: Arc<Relation>,
    columns: Vec<ScanColumn>,
    types: Vec<SqlType>,
    equal: Vec<(i16, Program)>,
    filter: Option<Program>,
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
            filter: Program::compile_option(filter)?,
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
        let virtual_context = VirtualContext {
            catalog: &context.catalog,
            scope: NameScope {
                database: context.session.database(),
                search_path: &path,
                temporary_schema: context.session.temporary_schema(),
            },
            role: context.session.current_user(),
            size: &size,
            last_value: &|_| None,
            updatable: &|_| 0,
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

impl Operator for VirtualScan {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            if self.rows.is_none() {
                self.rows = Some(self.compute(run).await?.into_iter());
            }
            loop {
                run.check()?;
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
                let batch = super::scan::filtered(run, self.filter.as_ref(), batch).await?;
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
