//! Groups of sorted input: one after the other, without a table. Without group columns, one group, always.

use super::call::{Call, Rows};
use crate::batch::{BATCH_ROWS, Batch, ColumnBuilder, ColumnKind};
use crate::budget::Reservation;
use crate::context::BoxFuture;
use crate::expr::Program;
use crate::op::{Input, Operator, encode_keys};
use crate::run::Run;
use sql::Expr;
use sql::physical::PlanAggregate;
use std::sync::Arc;
use types::{Result, SqlType};

pub(super) struct SortedAggregate {
    input: Input,
    groups: Vec<Program>,
    group_types: Vec<SqlType>,
    calls: Vec<Call>,
    /// Keys of the groups since the last output; the last one is still open.
    values: Vec<ColumnBuilder>,
    count: usize,
    last: Option<Vec<u8>>,
    memory: Option<Reservation>,
    /// The rest of an input batch behind a full output.
    rest: Option<Batch>,
    is_done: bool,
}

impl SortedAggregate {
    pub fn new(input: Input, groups: &[Expr], calls: &[PlanAggregate]) -> Result<SortedAggregate> {
        Ok(SortedAggregate {
            input,
            groups: Program::compile_all(groups)?,
            group_types: groups.iter().map(|g| g.ty).collect(),
            calls: calls.iter().map(Call::new).collect::<Result<_>>()?,
            values: groups.iter().map(|g| ColumnBuilder::new(ColumnKind::of(g.ty))).collect(),
            count: 0,
            last: None,
            memory: None,
            rest: None,
            is_done: false,
        })
    }

    /// Takes a batch up to the place where a group would be one too many; what is left is kept in `rest`.
    async fn take(&mut self, run: &mut Run, batch: Batch) -> Result<()> {
        if self.groups.is_empty() {
            return self.take_all(run, &batch).await;
        }
        let mut columns = Vec::with_capacity(self.groups.len());
        for group in &self.groups {
            columns.push(group.eval(run, &batch).await?);
        }
        let keys = encode_keys(run, &self.groups, &self.group_types, &batch).await?;
        let mut ids = Vec::with_capacity(batch.len);
        for row in 0..batch.len {
            if self.count == 0 || self.last.as_deref() != Some(keys.get(row)) {
                if self.count >= BATCH_ROWS {
                    self.rest = Some(batch.slice(row, batch.len));
                    break;
                }
                self.last = Some(keys.get(row).to_vec());
                self.count += 1;
                for (builder, column) in self.values.iter_mut().zip(&columns) {
                    builder.push_owned(column.datum(row));
                }
                for call in &mut self.calls {
                    call.grow(run, self.count, Some((&batch, row))).await?;
                }
            }
            ids.push(self.count as u32 - 1);
        }
        let taken = batch.slice(0, ids.len());
        let mut memory = self.memory.take().unwrap_or_else(|| Reservation::new(&run.context.memory));
        for call in &mut self.calls {
            call.update(run, &taken, Rows::Each(&ids), &mut memory).await?;
        }
        self.memory = Some(memory);
        Ok(())
    }

    /// Without group columns no row is looked at here.
    async fn take_all(&mut self, run: &mut Run, batch: &Batch) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let is_first = std::mem::replace(&mut self.count, 1) == 0;
        let mut memory = self.memory.take().unwrap_or_else(|| Reservation::new(&run.context.memory));
        for call in &mut self.calls {
            if is_first {
                call.grow(run, 1, Some((batch, 0))).await?;
            }
            call.update(run, batch, Rows::One(batch.len), &mut memory).await?;
        }
        self.memory = Some(memory);
        Ok(())
    }

    fn output(&mut self, run: &Run) -> Result<Batch> {
        let mut columns = Vec::with_capacity(self.values.len() + self.calls.len());
        for (builder, ty) in self.values.iter_mut().zip(&self.group_types) {
            columns.push(Arc::new(builder.take(ColumnKind::of(*ty))));
        }
        for call in &mut self.calls {
            let mut builder = ColumnBuilder::new(ColumnKind::of(call.result));
            for group in 0..self.count {
                builder.push_owned(call.finish(&run.context, group)?);
            }
            columns.push(Arc::new(builder.finish()));
            call.clear();
        }
        self.memory = None;
        self.last = None;
        Ok(Batch::new(columns, std::mem::take(&mut self.count)))
    }
}

impl Operator for SortedAggregate {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            let had_rest = self.rest.is_some();
            if let Some(rest) = self.rest.take() {
                self.take(run, rest).await?;
            }
            while !self.is_done && self.rest.is_none() {
                run.pause(0).await?;
                match self.input.next(run).await? {
                    Some(batch) => self.take(run, batch).await?,
                    None => {
                        self.is_done = true;
                        if self.groups.is_empty() && self.count == 0 && !had_rest {
                            self.count = 1;
                            for call in &mut self.calls {
                                call.grow(run, 1, None).await?;
                            }
                        }
                    }
                }
            }
            if self.count == 0 {
                return Ok(None);
            }
            self.output(run).map(Some)
        })
    }
    fn rewind(&mut self, run: &mut Run) {
        self.input.rewind(run);
        self.calls.iter_mut().for_each(Call::clear);
        self.values = self.group_types.iter().map(|t| ColumnBuilder::new(ColumnKind::of(*t))).collect();
        (self.count, self.last, self.rest, self.memory, self.is_done) = (0, None, None, None, false);
    }
}
