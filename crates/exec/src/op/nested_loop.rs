//! Nested loops: each left row against the right side, which is started again for it where it reads the left row
//! (`parameters`), and otherwise kept in memory after the first pass by the planner's Materialize.

use super::{Input, Operator};
use crate::batch::{BATCH_ROWS, Batch, Column, ColumnBuilder, ColumnKind};
use crate::context::BoxFuture;
use crate::expr::Program;
use crate::run::Run;
use sql::Expr;
use sql::logical::JoinKind;
use std::sync::Arc;
use types::{Datum, Result, SqlError, SqlType};

pub(crate) struct NestedLoop {
    kind: JoinKind,
    left: Input,
    right: Input,
    right_types: Vec<SqlType>,
    left_types: Vec<SqlType>,
    on: Option<Program>,
    parameters: Vec<(u32, Program)>,
    /// The left batch being joined and the row it stands at.
    outer: Option<(Batch, usize)>,
    /// Whether the row has met its match; whether the right side is open for it.
    matched: bool,
    open: bool,
    /// Right and Full: right rows that have met a match, by their order; and, behind the last left row, the pass that
    /// hands out the others.
    right_matched: Vec<bool>,
    right_row: usize,
    last_pass: bool,
}

impl NestedLoop {
    pub fn new(
        kind: JoinKind,
        (left, right): (Input, Input),
        types: (&[SqlType], &[SqlType]),
        on: Option<&Expr>,
        parameters: &[(u32, Expr)],
    ) -> Result<NestedLoop> {
        if matches!(kind, JoinKind::Right | JoinKind::Full) && !parameters.is_empty() {
            return Err(SqlError::internal("a lateral right or full join"));
        }
        Ok(NestedLoop {
            kind,
            left,
            right,
            left_types: types.0.to_vec(),
            right_types: types.1.to_vec(),
            on: Program::compile_option(on)?,
            parameters: parameters.iter().map(|(s, e)| Ok((*s, Program::compile(e)?))).collect::<Result<_>>()?,
            outer: None,
            matched: false,
            open: false,
            right_matched: vec![],
            right_row: 0,
            last_pass: false,
        })
    }

    fn keeps_right(&self) -> bool {
        matches!(self.kind, JoinKind::Right | JoinKind::Full)
    }

    /// Steps to the next left row; false at the end of the left side.
    async fn advance(&mut self, run: &mut Run) -> Result<bool> {
        loop {
            match &mut self.outer {
                Some((batch, row)) if *row + 1 < batch.len => {
                    *row += 1;
                    break;
                }
                _ => match self.left.next(run).await? {
                    None => return Ok(false),
                    Some(batch) if batch.is_empty() => run.pause(0).await?,
                    Some(batch) => {
                        self.outer = Some((batch, 0));
                        break;
                    }
                },
            }
        }
        self.matched = false;
        self.open = true;
        self.right_row = 0;
        if let Some((batch, row)) = &self.outer {
            let values = batch.row(*row);
            for (slot, program) in &self.parameters {
                let value = program.eval_datums(run, &values).await?;
                run.set_outer(*slot, value);
            }
        }
        self.right.rewind(run);
        Ok(true)
    }

    /// The left row beside each of these right rows, those that meet the condition.
    async fn join(&mut self, run: &mut Run, right: Batch) -> Result<Option<Batch>> {
        let Some((outer, row)) = &self.outer else { return Ok(None) };
        let rows = vec![*row as u32; right.len];
        let mut columns: Vec<Arc<Column>> = outer.columns.iter().map(|c| Arc::new(c.gather(&rows))).collect();
        columns.extend(right.columns.iter().cloned());
        let joined = Batch::new(columns, right.len);
        let hits = match &self.on {
            Some(on) => on.select(run, &joined).await?,
            None => (0..right.len as u32).collect(),
        };
        run.work.rows_removed += (joined.len - hits.len()) as u64;
        self.matched |= !hits.is_empty();
        if self.keeps_right() {
            self.right_matched.resize(self.right_matched.len().max(self.right_row + right.len), false);
            for hit in &hits {
                if let Some(matched) = self.right_matched.get_mut(self.right_row + *hit as usize) {
                    *matched = true;
                }
            }
        }
        self.right_row += right.len;
        Ok(match self.kind {
            JoinKind::Semi if !hits.is_empty() => {
                self.open = false;
                Some(outer_row(&self.outer))
            }
            JoinKind::Anti if !hits.is_empty() => {
                self.open = false;
                None
            }
            JoinKind::Semi | JoinKind::Anti => None,
            _ if hits.is_empty() => None,
            _ => Some(joined.gather(&hits)),
        })
    }

    /// What a left row without a match gives, once the right side is through.
    fn unmatched(&mut self) -> Option<Batch> {
        match self.kind {
            JoinKind::Left | JoinKind::Full if !self.matched => {
                Some(pad_right(outer_row(&self.outer), &self.right_types))
            }
            JoinKind::Anti if !self.matched => Some(outer_row(&self.outer)),
            _ => None,
        }
    }

    /// Right and Full, behind the last left row: the right rows nobody matched.
    async fn rest(&mut self, run: &mut Run) -> Result<Option<Batch>> {
        while let Some(batch) = self.right.next(run).await? {
            run.pause(0).await?;
            let start = self.right_row;
            self.right_row += batch.len;
            let rows: Vec<u32> = (0..batch.len)
                .filter(|i| !self.right_matched.get(start + i).copied().unwrap_or(false))
                .map(|i| i as u32)
                .collect();
            if !rows.is_empty() {
                return Ok(Some(pad_left(batch.gather(&rows), &self.left_types)));
            }
        }
        Ok(None)
    }
}

fn outer_row(outer: &Option<(Batch, usize)>) -> Batch {
    outer.as_ref().map_or_else(Batch::default, |(batch, row)| batch.gather(&[*row as u32]))
}

fn nulls(types: &[SqlType], len: usize) -> impl Iterator<Item = Arc<Column>> + '_ {
    types.iter().map(move |ty| {
        let mut builder = ColumnBuilder::new(ColumnKind::of(*ty));
        (0..len).for_each(|_| builder.push(&Datum::Null));
        Arc::new(builder.finish())
    })
}

/// Left rows with NULLs for the right side.
pub(super) fn pad_right(mut batch: Batch, types: &[SqlType]) -> Batch {
    batch.columns.extend(nulls(types, batch.len));
    batch
}

/// Right rows with NULLs for the left side.
pub(super) fn pad_left(batch: Batch, types: &[SqlType]) -> Batch {
    let len = batch.len;
    let columns = nulls(types, len).chain(batch.columns).collect();
    Batch::new(columns, len)
}

/// Small batches put together, so that what comes behind a join works on full ones.
pub(super) struct Gatherer {
    parts: Vec<Batch>,
    rows: usize,
}

impl Gatherer {
    pub fn new() -> Gatherer {
        Gatherer { parts: vec![], rows: 0 }
    }
    pub fn push(&mut self, batch: Batch) {
        self.rows += batch.len;
        self.parts.push(batch);
    }
    pub fn rows(&self) -> usize {
        self.rows
    }
    pub fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS
    }
    pub fn take(&mut self) -> Option<Batch> {
        self.rows = 0;
        let mut parts = std::mem::take(&mut self.parts);
        match parts.len() {
            0 => None,
            1 => parts.pop(),
            _ => Some(concat(&parts)),
        }
    }
}

/// Batches of one shape, one below the other.
pub(crate) fn concat(parts: &[Batch]) -> Batch {
    if let [one] = parts {
        return one.clone();
    }
    let Some(first) = parts.first() else { return Batch::default() };
    let columns = (0..first.width())
        .map(|c| {
            let kind = first.columns.get(c).map_or(ColumnKind::Datums, |c| c.kind());
            let mut builder = ColumnBuilder::new(kind);
            parts.iter().filter_map(|p| p.columns.get(c)).for_each(|column| builder.append(column));
            Arc::new(builder.finish())
        })
        .collect();
    Batch::new(columns, parts.iter().map(|p| p.len).sum())
}

impl Operator for NestedLoop {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            let mut out = Gatherer::new();
            while !out.is_full() {
                if self.last_pass {
                    if let Some(batch) = self.rest(run).await? {
                        out.push(batch);
                        continue;
                    }
                    break;
                }
                if !self.open {
                    run.pause(0).await?;
                    if self.advance(run).await? {
                        continue;
                    }
                    if !self.keeps_right() {
                        break;
                    }
                    self.last_pass = true;
                    self.right_row = 0;
                    self.right.rewind(run);
                    continue;
                }
                match self.right.next(run).await? {
                    Some(batch) if batch.is_empty() => {}
                    Some(batch) => {
                        if let Some(joined) = self.join(run, batch).await? {
                            out.push(joined);
                        }
                    }
                    None => {
                        self.open = false;
                        if let Some(row) = self.unmatched() {
                            out.push(row);
                        }
                    }
                }
            }
            Ok(out.take())
        })
    }
    fn rewind(&mut self, run: &mut Run) {
        self.left.rewind(run);
        self.outer = None;
        self.open = false;
        self.right_matched.clear();
        self.last_pass = false;
    }
}
