//! One call: a built-in window function, or an aggregate over frames.

use super::frame::Partition;
use super::moving::Moving;
use crate::aggregate::{Steps, UserState};
use crate::batch::{Batch, Column, ColumnBuilder, ColumnKind};
use crate::expr::Program;
use crate::run::Run;
use sql::aggregate::{AggregateFunction, UserAggregate};
use sql::logical::{FrameExclusion, WindowFunction};
use sql::physical::PlanWindowCall;
use std::ops::Range;
use std::sync::Arc;
use types::aggregates::Accumulator;
use types::builtin::{Proc, Volatility};
use types::{CallContext, Datum, Result, SqlError, SqlState, SqlType};

pub(crate) struct Call {
    function: Function,
    args: Vec<Program>,
    arg_types: Vec<SqlType>,
    filter: Option<Program>,
    result: SqlType,
}

enum Function {
    RowNumber,
    Rank,
    DenseRank,
    PercentRank,
    CumeDist,
    Ntile,
    /// Rows towards the end (lead) or the start (lag).
    Shift {
        forward: bool,
    },
    First,
    Last,
    Nth,
    Aggregate(&'static Proc),
    User {
        plain: Arc<Steps>,
        /// For frames whose first row moves.
        moving: Option<Arc<Steps>>,
    },
}

impl Call {
    pub fn new(plan: &PlanWindowCall) -> Result<Call> {
        let function = match &plan.function {
            WindowFunction::Aggregate(AggregateFunction::Builtin(proc)) => Function::Aggregate(proc),
            WindowFunction::Aggregate(AggregateFunction::User(user)) => user_function(user, plan)?,
            WindowFunction::Builtin(proc) => match proc.name {
                "row_number" => Function::RowNumber,
                "rank" => Function::Rank,
                "dense_rank" => Function::DenseRank,
                "percent_rank" => Function::PercentRank,
                "cume_dist" => Function::CumeDist,
                "ntile" => Function::Ntile,
                "lag" => Function::Shift { forward: false },
                "lead" => Function::Shift { forward: true },
                "first_value" => Function::First,
                "last_value" => Function::Last,
                "nth_value" => Function::Nth,
                _ => {
                    let name = crate::functions::signature(proc);
                    return Err(SqlError::unsupported(format!("window function {name} is not supported")));
                }
            },
        };
        Ok(Call {
            function,
            args: Program::compile_all(&plan.args)?,
            arg_types: plan.args.iter().map(|a| a.ty).collect(),
            filter: Program::compile_option(plan.filter.as_ref())?,
            result: plan.ty,
        })
    }

    /// The call's value for each row of the partition.
    pub async fn compute(&self, run: &mut Run, partition: &Partition) -> Result<Column> {
        let mut args: Vec<Arc<Column>> = Vec::with_capacity(self.args.len());
        for arg in &self.args {
            args.push(arg.eval(run, &partition.rows).await?);
        }
        let mut out = ColumnBuilder::new(ColumnKind::of(self.result));
        match &self.function {
            Function::Aggregate(proc) => {
                let counts = self.counted(run, &partition.rows).await?;
                let make = |context: &CallContext<'_>| accumulator(proc, context);
                self.aggregate(run, partition, &make, &args, counts.as_deref(), &mut out).await?;
            }
            Function::User { plain, moving } => {
                let counts = self.counted(run, &partition.rows).await?;
                let statement = run.context.clone();
                let can_move = partition.start_moves && partition.exclusion == FrameExclusion::None;
                match moving.as_ref().filter(|_| can_move) {
                    Some(steps) => {
                        let state = UserState::new(steps, &statement);
                        Moving::new(state, &args, counts.as_deref()).compute(run, partition, &mut out).await?;
                    }
                    None => {
                        let make = |_: &CallContext<'_>| -> Result<Box<dyn Accumulator>> {
                            Ok(Box::new(UserState::new(plain, &statement)))
                        };
                        self.aggregate(run, partition, &make, &args, counts.as_deref(), &mut out).await?;
                    }
                }
            }
            Function::Ntile => ntile(partition, args.first(), &mut out)?,
            _ => {
                for row in 0..partition.len() {
                    if row % 1024 == 0 {
                        run.pause(1024).await?;
                    }
                    out.push_owned(self.value(partition, row, &args)?);
                }
            }
        }
        Ok(out.finish())
    }

    fn value(&self, partition: &Partition, row: usize, args: &[Arc<Column>]) -> Result<Datum> {
        let arg = |index: usize, row: usize| args.get(index).map_or(Datum::Null, |a| a.datum(row));
        let len = partition.len();
        Ok(match self.function {
            Function::RowNumber => Datum::Int8(row as i64 + 1),
            Function::Rank => Datum::Int8(partition.peers(row).start as i64 + 1),
            Function::DenseRank => Datum::Int8(partition.group(row) as i64 + 1),
            Function::PercentRank if len == 1 => Datum::Float8(0.0),
            Function::PercentRank => Datum::Float8(partition.peers(row).start as f64 / (len - 1) as f64),
            Function::CumeDist => Datum::Float8(partition.peers(row).end as f64 / len as f64),
            Function::Shift { forward } => {
                let offset = match args.get(1) {
                    None => 1,
                    Some(offset) => match offset.datum(row) {
                        Datum::Null => return Ok(Datum::Null),
                        offset => offset.as_i64(),
                    },
                };
                let at = row as i64 + if forward { offset } else { offset.saturating_neg() };
                match usize::try_from(at).ok().filter(|at| *at < len) {
                    Some(at) => arg(0, at),
                    None => arg(2, row),
                }
            }
            Function::First => first(partition.frame(row)).map_or(Datum::Null, |at| arg(0, at)),
            Function::Last => last(partition.frame(row)).map_or(Datum::Null, |at| arg(0, at)),
            Function::Nth => {
                let nth = match arg(1, row) {
                    Datum::Null => return Ok(Datum::Null),
                    nth => nth.as_i64(),
                };
                if nth <= 0 {
                    return Err(SqlError::new(
                        SqlState::INVALID_ARGUMENT_FOR_NTH_VALUE_FUNCTION,
                        "argument of nth_value must be greater than zero",
                    ));
                }
                let mut left = nth as usize - 1;
                for range in partition.frame(row) {
                    if left < range.len() {
                        return Ok(arg(0, range.start + left));
                    }
                    left -= range.len();
                }
                Datum::Null
            }
            Function::Ntile | Function::Aggregate(_) | Function::User { .. } => Datum::Null,
        })
    }

    /// Rows that pass the FILTER; None: all.
    async fn counted(&self, run: &mut Run, rows: &Batch) -> Result<Option<Vec<bool>>> {
        let Some(filter) = &self.filter else { return Ok(None) };
        let mut counted = vec![false; rows.len];
        for row in filter.select(run, rows).await? {
            if let Some(place) = counted.get_mut(row as usize) {
                *place = true;
            }
        }
        Ok(Some(counted))
    }

    /// An aggregate over each row's frame. A frame that only grew since the last row is added to, any other begun anew.
    async fn aggregate(
        &self,
        run: &mut Run,
        partition: &Partition,
        make: &(dyn Fn(&CallContext<'_>) -> Result<Box<dyn Accumulator>> + Sync),
        args: &[Arc<Column>],
        counted: Option<&[bool]>,
        out: &mut ColumnBuilder,
    ) -> Result<()> {
        let format = run.context.format.clone();
        let context = CallContext { format: &format, arg_types: &self.arg_types, result_type: self.result };
        let mut values = vec![Datum::Null; args.len()];
        let mut add = |state: &mut Box<dyn Accumulator>, rows: Range<usize>| -> Result<()> {
            for row in rows {
                if counted.is_some_and(|c| !c.get(row).copied().unwrap_or(false)) {
                    continue;
                }
                for (value, arg) in values.iter_mut().zip(args) {
                    *value = arg.datum(row);
                }
                state.update(&context, &values)?;
            }
            Ok(())
        };
        let mut state = make(&context)?;
        let mut current: Range<usize> = 0..0;
        let mut last: Option<Datum> = None;
        let grows = partition.exclusion == FrameExclusion::None;
        let mut work = 0usize;
        for row in 0..partition.len() {
            let frame = partition.frame(row);
            let whole = frame[0].clone();
            work += 1;
            if grows
                && whole == current
                && let Some(value) = &last
            {
                out.push(value);
                continue;
            }
            if grows && whole.start == current.start && whole.end >= current.end && last.is_some() {
                work += whole.end - current.end;
                add(&mut state, current.end..whole.end)?;
            } else {
                state = make(&context)?;
                for range in frame {
                    work += range.len();
                    add(&mut state, range)?;
                }
            }
            if work > 4096 {
                run.pause(work).await?;
                work = 0;
            }
            current = whole;
            let value = state.finish(&context)?;
            out.push(&value);
            last = Some(value);
        }
        Ok(())
    }
}

fn user_function(user: &UserAggregate, plan: &PlanWindowCall) -> Result<Function> {
    let compile = |steps| Steps::compile(steps).map(Arc::new);
    // What comes out another way each time can not be taken out again.
    let is_stable = plan.args.iter().chain(&plan.filter).all(|e| sql::volatility(e) != Volatility::Volatile);
    let moving = user.moving.as_ref().filter(|_| is_stable).map(compile).transpose()?;
    Ok(Function::User { plain: compile(&user.plain)?, moving })
}

fn accumulator(proc: &Proc, context: &CallContext<'_>) -> Result<Box<dyn Accumulator>> {
    types::aggregates::accumulator(proc.oid, context, &[])?.ok_or_else(|| {
        let name = crate::functions::signature(proc);
        SqlError::unsupported(format!("aggregate function {name} is not supported"))
    })
}

fn first(ranges: [Range<usize>; 3]) -> Option<usize> {
    ranges.into_iter().find(|r| !r.is_empty()).map(|r| r.start)
}

fn last(ranges: [Range<usize>; 3]) -> Option<usize> {
    ranges.into_iter().rev().find(|r| !r.is_empty()).map(|r| r.end - 1)
}

/// Buckets of equal size, the first ones greater by one where it does not divide. The number is the first row's.
fn ntile(partition: &Partition, buckets: Option<&Arc<Column>>, out: &mut ColumnBuilder) -> Result<()> {
    let len = partition.len();
    let buckets = match buckets.map_or(Datum::Null, |b| b.datum(0)) {
        Datum::Null => {
            (0..len).for_each(|_| out.push_null());
            return Ok(());
        }
        buckets => buckets.as_i64(),
    };
    if buckets <= 0 {
        return Err(SqlError::new(
            SqlState::INVALID_ARGUMENT_FOR_NTILE_FUNCTION,
            "argument of ntile must be greater than zero",
        ));
    }
    let buckets = buckets as usize;
    let (size, greater) = (len / buckets, len % buckets);
    let boundary = greater * (size + 1);
    for row in 0..len {
        let bucket = match row < boundary {
            true => row / (size + 1),
            false => greater + (row - boundary) / size.max(1),
        };
        out.push_owned(Datum::Int4(bucket as i32 + 1));
    }
    Ok(())
}
