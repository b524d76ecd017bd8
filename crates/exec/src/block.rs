//! Blocks of stored rows into columns: what a condition reads first, the rest only of the rows that it leaves.
//!
//! A block is borrowed from storage, so all of this runs without waiting; conjuncts that must wait (subplans) are `late`
//! and are evaluated over the finished batch.

use crate::batch::{Batch, Column, ColumnBuilder, ColumnKind};
use crate::expr::{EvalContext, Program};
use crate::rows::{RowReader, push_stored};
use crate::run::Run;
use catalog::layout::{LayoutVersion, Source};
use sql::Expr;
use sql::expr::ExprKind;
use sql::logical::ScanColumn;
use std::sync::{Arc, LazyLock};
use txn::Block;
use types::builtin::Volatility;
use types::row::RowView;
use types::{Result, SqlError};

/// A scan's condition, conjunct by conjunct.
#[derive(Default)]
pub(crate) struct ScanFilter {
    /// Those that do not wait, in their order, up to the first that does.
    early: Vec<Conjunct>,
    late: Vec<Program>,
    is_volatile: bool,
}

struct Conjunct {
    program: Program,
    /// The scan's columns that it reads, by position.
    reads: Vec<usize>,
}

impl ScanFilter {
    pub fn new(filter: Option<&Expr>) -> Result<ScanFilter> {
        let mut made = ScanFilter::default();
        let terms = match filter.map(|filter| (filter, &filter.kind)) {
            None => return Ok(made),
            Some((_, ExprKind::And(terms))) => &terms[..],
            Some((filter, _)) => std::slice::from_ref(filter),
        };
        for term in terms {
            made.is_volatile |= term.any(
                &mut |e| matches!(&e.kind, ExprKind::Call { proc, .. } if proc.volatility == Volatility::Volatile),
            );
            let program = Program::compile(term)?;
            if program.waits() || !made.late.is_empty() {
                made.late.push(program);
                continue;
            }
            let mut reads = vec![];
            term.any(&mut |e| {
                if let ExprKind::Input(column) = e.kind
                    && !reads.contains(&(column as usize))
                {
                    reads.push(column as usize);
                }
                false
            });
            made.early.push(Conjunct { program, reads });
        }
        Ok(made)
    }

    pub fn is_empty(&self) -> bool {
        self.early.is_empty() && self.late.is_empty()
    }

    /// Whether it may be evaluated by several at once, in any order: nothing waits, nothing is volatile.
    pub fn may_share(&self) -> bool {
        self.late.is_empty() && !self.is_volatile
    }

    /// The rows of the block that meet the early conjuncts.
    pub fn read(&self, env: &EvalContext<'_>, reader: &RowReader, block: &Block<'_>) -> Result<Batch> {
        if reader.columns.is_empty() {
            return Ok(Batch::new(vec![], block.len()));
        }
        let mut rows = BlockRows::new(reader, block)?;
        for conjunct in &self.early {
            rows.load(conjunct.reads.iter().copied())?;
            let hits = conjunct.program.select_now(env, &rows.batch())?;
            rows.keep(hits);
            if rows.len() == 0 {
                break;
            }
        }
        rows.load(0..reader.columns.len())?;
        Ok(rows.batch())
    }

    /// Applies the whole condition to rows that came another way.
    pub async fn apply(&self, run: &mut Run, mut batch: Batch) -> Result<Batch> {
        for conjunct in &self.early {
            batch = narrowed(run, &conjunct.program, batch).await?;
        }
        self.finish(run, batch).await
    }

    /// Applies the late conjuncts.
    pub async fn finish(&self, run: &mut Run, mut batch: Batch) -> Result<Batch> {
        for program in &self.late {
            batch = narrowed(run, program, batch).await?;
        }
        Ok(batch)
    }
}

async fn narrowed(run: &mut Run, program: &Program, batch: Batch) -> Result<Batch> {
    if batch.is_empty() {
        return Ok(batch);
    }
    let rows = program.select(run, &batch).await?;
    run.work.rows_removed += (batch.len - rows.len()) as u64;
    Ok(batch.gather(&rows))
}

/// The rows of a block, those that are still wanted, and their columns as far as these have been read.
struct BlockRows<'b> {
    reader: &'b RowReader,
    block: &'b Block<'b>,
    rows: Vec<(RowView<'b>, &'b LayoutVersion)>,
    /// None: all.
    wanted: Option<Vec<u32>>,
    columns: Vec<Option<Arc<Column>>>,
}

/// Stands for a column that has not been read.
static UNREAD: LazyLock<Arc<Column>> = LazyLock::new(|| Arc::new(ColumnBuilder::new(ColumnKind::Bool).finish()));

impl<'b> BlockRows<'b> {
    fn new(reader: &'b RowReader, block: &'b Block<'b>) -> Result<BlockRows<'b>> {
        let mut rows = Vec::with_capacity(block.len());
        for entry in block.iter() {
            rows.push(reader.table.view(entry.value)?);
        }
        Ok(BlockRows { reader, block, rows, wanted: None, columns: vec![None; reader.columns.len()] })
    }

    fn len(&self) -> usize {
        self.wanted.as_ref().map_or(self.rows.len(), Vec::len)
    }

    fn load(&mut self, positions: impl Iterator<Item = usize>) -> Result<()> {
        for position in positions {
            if self.columns.get(position).is_some_and(Option::is_none) {
                let column = match self.wanted.take() {
                    None => self.column(position, 0..self.rows.len())?,
                    Some(wanted) => {
                        let column = self.column(position, wanted.iter().map(|row| *row as usize))?;
                        self.wanted = Some(wanted);
                        column
                    }
                };
                if let Some(place) = self.columns.get_mut(position) {
                    *place = Some(Arc::new(column));
                }
            }
        }
        Ok(())
    }

    /// One of the scan's columns, of these rows.
    fn column(&self, position: usize, wanted: impl ExactSizeIterator<Item = usize> + Clone) -> Result<Column> {
        let (Some(column), Some(mut builder)) =
            (self.reader.columns.get(position), self.reader.builder(position, wanted.len()))
        else {
            return Err(SqlError::internal("a column that the scan does not have"));
        };
        let rows = wanted.clone().filter_map(|row| self.rows.get(row));
        let ScanColumn::Attribute(number) = column else {
            for ((view, layout), row) in rows.zip(wanted) {
                let Some(entry) = self.block.get(row) else { continue };
                builder.push_owned(self.reader.value(*column, view, layout, entry.key, entry.ts)?);
            }
            return Ok(builder.finish());
        };
        let attribute = (*number as usize).wrapping_sub(1);
        for (view, layout) in rows {
            match layout.sources.get(attribute) {
                Some(Source::Stored(position)) => push_stored(&mut builder, view, *position)?,
                Some(Source::Missing(value)) => builder.push(value),
                Some(Source::Dropped) | None => builder.push_null(),
            }
        }
        Ok(builder.finish())
    }

    fn batch(&self) -> Batch {
        let column = |column: &Option<Arc<Column>>| column.as_ref().unwrap_or(&UNREAD).clone();
        Batch { columns: self.columns.iter().map(column).collect(), len: self.len() }
    }

    /// Leaves these of the rows that are wanted.
    fn keep(&mut self, hits: Vec<u32>) {
        if hits.len() == self.len() {
            return;
        }
        for column in self.columns.iter_mut().flatten() {
            *column = Arc::new(column.gather(&hits));
        }
        self.wanted = Some(match self.wanted.take() {
            None => hits,
            Some(wanted) => hits.iter().filter_map(|hit| wanted.get(*hit as usize).copied()).collect(),
        });
    }
}
