//! One aggregate call of a plan: its expressions, and its states by group number.

use super::state::{Fast, General};
use super::user::{Steps, UserState};
use crate::batch::{Batch, Column, ColumnBuilder, ColumnData, ColumnKind};
use crate::budget::Reservation;
use crate::context::StatementContext;
use crate::expr::Program;
use crate::op::parts::Parts;
use crate::op::{KeyTable, Packing, RowKeys, SortKeys, quicksort};
use crate::run::Run;
use sql::aggregate::AggregateFunction;
use sql::physical::PlanAggregate;
use std::sync::Arc;
use types::builtin::{self, Proc};
use types::key::{self, KeyOrder};
use types::{CallContext, Datum, FormatSettings, Result, SqlType, stop};

/// A row without a group in memory.
pub(super) const NO_GROUP: u32 = u32::MAX;

/// The groups of a batch's rows.
#[derive(Clone, Copy)]
pub(super) enum Rows<'a> {
    /// So many rows of group 0, which is the only one.
    One(usize),
    Each(&'a [u32]),
}

impl Rows<'_> {
    fn len(self) -> usize {
        match self {
            Rows::One(len) => len,
            Rows::Each(groups) => groups.len(),
        }
    }
    #[inline]
    fn get(self, row: usize) -> u32 {
        match self {
            Rows::One(_) => 0,
            Rows::Each(groups) => groups.get(row).copied().unwrap_or(NO_GROUP),
        }
    }
}

pub(super) struct Call {
    function: Function,
    args: Vec<Program>,
    direct: Vec<Program>,
    filter: Option<Program>,
    order: SortKeys,
    distinct: bool,
    is_hypothetical: bool,
    /// Types of the values that the accumulator is made with, and of those it is fed with.
    arg_types: Vec<SqlType>,
    row_types: Vec<SqlType>,
    pub result: SqlType,
    states: States,
}

enum Function {
    Builtin(&'static Proc),
    User(Arc<Steps>),
}

enum States {
    Fast(Fast),
    /// DISTINCT where the order of the values does not matter: each value of a group once.
    Distinct(Distinct),
    General(Vec<General>),
    /// DISTINCT, ORDER BY, WITHIN GROUP: the rows until the end.
    Kept(Vec<Kept>),
}

struct Distinct {
    fast: Fast,
    /// Of group and value.
    types: [SqlType; 2],
    packing: Option<Packing>,
    seen: KeyTable,
}

/// Bytes of a value once seen, without what `KeyTable` cannot pack.
const SEEN_BYTES: usize = 40;

impl Distinct {
    /// None: the order in which values come matters, or there is no typed state.
    fn new(fast: Option<Fast>, args: &[SqlType]) -> Option<Distinct> {
        let (fast, [ty]) = (fast.filter(Fast::ignores_order)?, args) else { return None };
        let types = [SqlType::INT4, *ty];
        Some(Distinct { fast, packing: Packing::new(&types), types, seen: KeyTable::default() })
    }

    fn update(&mut self, rows: Rows<'_>, arg: &Arc<Column>, memory: &mut Reservation) -> Result<()> {
        let groups = (0..rows.len()).map(|row| rows.get(row) as i32).collect();
        let groups = Arc::new(Column { data: ColumnData::Int4(groups), nulls: vec![] });
        let keys = RowKeys::new(self.packing.as_ref(), &[groups, arg.clone()], &self.types, rows.len());
        let (mut fresh, mut fresh_groups) = (vec![], vec![]);
        let mut size = 0;
        for row in 0..rows.len() {
            // NULLs count for none of these.
            if arg.is_null(row) {
                continue;
            }
            let key = keys.get(row);
            let hash = key.hash();
            if self.seen.find(hash, key).is_none() {
                self.seen.put(hash, key, 0);
                size += SEEN_BYTES + key.size_bytes();
                fresh.push(row as u32);
                fresh_groups.push(rows.get(row));
            }
        }
        memory.grow(size)?;
        self.fast.update(Rows::Each(&fresh_groups), Some(&arg.gather(&fresh)))
    }
}

#[derive(Default)]
struct Kept {
    rows: Vec<KeptRow>,
    direct: Vec<Datum>,
}

/// (sort key, where the arguments' part of it begins, arguments).
type KeptRow = (Vec<u8>, usize, Vec<Datum>);

/// What a row takes to sort, and to be handed on.
const SORT_WORK: usize = 256;
const ROW_WORK: usize = 128;

/// The places of rows in the order of their keys; of equal ones the first comes first, where there are too many to be read.
fn in_order(rows: &[KeptRow]) -> Result<Vec<usize>> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    let key = |at: &usize| rows.get(*at).map_or(&[][..], |row| &row.0);
    if rows.len() <= quicksort::ROWS_MAX {
        quicksort::sort(&mut order, &|a, b| key(a).cmp(key(b)));
        return Ok(order);
    }
    let compare = |a: &usize, b: &usize| key(a).cmp(key(b)).then_with(|| a.cmp(b));
    let mut parts = Parts::new(&mut order);
    while let Some(rows) = parts.next_len() {
        stop::spent(rows * SORT_WORK)?;
        parts.step(compare);
    }
    Ok(order)
}

impl Call {
    pub fn new(plan: &PlanAggregate) -> Result<Call> {
        // Of a user's aggregate nothing is known: no kind but the plain one, no state but its own.
        let proc = plan.function.builtin().map_or(0, |proc| proc.oid);
        let kind = builtin::aggregate(proc).map_or('n', |a| a.kind);
        let is_ordered_set = kind != 'n';
        let order = SortKeys::new(&plan.order_by)?;
        let args = match is_ordered_set {
            true => order.programs.clone(),
            false => Program::compile_all(&plan.args)?,
        };
        let row_types: Vec<SqlType> = args.iter().map(Program::ty).collect();
        let arg_types = match is_ordered_set {
            true => plan.direct.iter().map(|d| d.ty).chain(row_types.iter().copied()).collect(),
            false => row_types.clone(),
        };
        let keeps = plan.distinct || !plan.order_by.is_empty() || is_ordered_set;
        let fast = Fast::of(proc).filter(|_| args.len() <= 1 && plan.order_by.is_empty() && !is_ordered_set);
        let states = match fast {
            Some(fast) if !plan.distinct => States::Fast(fast),
            fast => match Distinct::new(fast, &row_types) {
                Some(distinct) => States::Distinct(distinct),
                None if keeps => States::Kept(vec![]),
                None => States::General(vec![]),
            },
        };
        Ok(Call {
            function: match &plan.function {
                AggregateFunction::Builtin(proc) => Function::Builtin(proc),
                AggregateFunction::User(user) => Function::User(Arc::new(Steps::compile(&user.plain)?)),
            },
            args,
            direct: Program::compile_all(&plan.direct)?,
            filter: Program::compile_option(plan.filter.as_ref())?,
            order,
            distinct: plan.distinct,
            is_hypothetical: kind == 'h',
            arg_types,
            row_types,
            result: plan.ty,
            states,
        })
    }

    fn context<'a>(&'a self, format: &'a FormatSettings) -> CallContext<'a> {
        CallContext { format, arg_types: &self.arg_types, result_type: self.result }
    }

    fn accumulator(&self, context: &Arc<StatementContext>, direct: &[Datum]) -> Result<General> {
        let proc = match &self.function {
            Function::Builtin(proc) => *proc,
            Function::User(steps) => return Ok(General { accumulator: Box::new(UserState::new(steps, context)) }),
        };
        if self.is_hypothetical {
            let columns: Vec<(SqlType, KeyOrder)> =
                self.row_types.iter().copied().zip(self.order.orders.iter().copied()).collect();
            if let Some(accumulator) = types::aggregates::hypothetical(proc.oid, &columns, direct) {
                return Ok(General { accumulator });
            }
        }
        General::new(proc, &self.context(&context.format), direct)
    }

    /// Makes room for groups up to `count`. `row` is the first row of the newest group, for direct arguments.
    pub async fn grow(&mut self, run: &mut Run, count: usize, batch: Option<(&Batch, usize)>) -> Result<()> {
        let mut direct = Vec::with_capacity(self.direct.len());
        if !self.direct.is_empty() {
            let row = batch.map(|(batch, row)| batch.row(row)).unwrap_or_default();
            for program in &self.direct {
                direct.push(program.eval_datums(run, &row).await?);
            }
        }
        match &mut self.states {
            States::Fast(fast) | States::Distinct(Distinct { fast, .. }) => fast.resize(count),
            States::Kept(kept) => {
                while kept.len() < count {
                    kept.push(Kept { rows: vec![], direct: direct.clone() });
                }
            }
            States::General(states) => {
                let mut states = std::mem::take(states);
                while states.len() < count {
                    states.push(self.accumulator(&run.context, &direct)?);
                }
                self.states = States::General(states);
            }
        }
        Ok(())
    }

    /// Makes room for the groups whose first rows are these, behind the `before` that there are.
    pub async fn grow_by(&mut self, run: &mut Run, before: usize, batch: &Batch, firsts: &[usize]) -> Result<()> {
        if self.direct.is_empty() {
            return self.grow(run, before + firsts.len(), None).await;
        }
        for (count, row) in (before + 1..).zip(firsts) {
            self.grow(run, count, Some((batch, *row))).await?;
        }
        Ok(())
    }

    /// Takes a batch.
    pub async fn update(
        &mut self,
        run: &mut Run,
        batch: &Batch,
        groups: Rows<'_>,
        memory: &mut Reservation,
    ) -> Result<()> {
        // Arguments are evaluated for the rows that count only: the others may fail (`sum(1/x) FILTER (WHERE x <> 0)`).
        let (narrowed, narrowed_groups);
        let (batch, groups) = match &self.filter {
            None => (batch, groups),
            Some(filter) => {
                let rows = filter.select(run, batch).await?;
                narrowed = batch.gather(&rows);
                narrowed_groups = rows.iter().map(|row| groups.get(*row as usize)).collect::<Vec<u32>>();
                let groups =
                    if let Rows::One(_) = groups { Rows::One(rows.len()) } else { Rows::Each(&narrowed_groups) };
                (&narrowed, groups)
            }
        };
        let mut columns = Vec::with_capacity(self.args.len());
        for arg in &self.args {
            columns.push(arg.eval(run, batch).await?);
        }
        if let States::Fast(fast) = &mut self.states {
            let arg = columns.first().map(|c| &**c);
            if fast.takes(arg) {
                return fast.update(groups, arg);
            }
            // A constant NULL comes as a column of no type.
            let typed = arg.zip(self.args.first()).map(|(arg, program)| typed(arg, program.ty(), batch.len));
            if fast.takes(typed.as_ref()) {
                return fast.update(groups, typed.as_ref());
            }
            // A constant NULL has no form of its own; like any NULL it does not count.
            if arg.is_some_and(|a| a.nulls.len() == batch.len && a.nulls.iter().all(|is_null| *is_null)) {
                return Ok(());
            }
            let name = match &self.function {
                Function::Builtin(proc) => crate::functions::signature(proc),
                Function::User(_) => String::new(),
            };
            return Err(types::SqlError::internal(format!("{name} was given a column of another type")));
        }
        if let (States::Distinct(distinct), Some(arg)) = (&mut self.states, columns.first())
            && distinct.fast.takes(Some(arg))
        {
            return distinct.update(groups, arg, memory);
        }
        if matches!(self.states, States::Kept(_)) {
            return self.keep(run, batch, groups, &columns, memory).await;
        }
        self.feed(run, groups, &columns, memory)
    }

    fn feed(
        &mut self,
        run: &mut Run,
        groups: Rows<'_>,
        columns: &[Arc<Column>],
        memory: &mut Reservation,
    ) -> Result<()> {
        let format = run.context.format.clone();
        let States::General(mut states) = std::mem::replace(&mut self.states, States::General(vec![])) else {
            return Ok(());
        };
        let context = self.context(&format);
        let mut args = vec![Datum::Null; columns.len()];
        let mut result = Ok(());
        for row in 0..groups.len() {
            for (arg, column) in args.iter_mut().zip(columns) {
                *arg = column.datum(row);
            }
            if let Some(state) = states.get_mut(groups.get(row) as usize) {
                result = state.accumulator.update(&context, &args);
                if result.is_err() {
                    break;
                }
            }
        }
        // States that keep their rows grow: once a batch, the last group's growth stands for all.
        if let Some(state) = groups.len().checked_sub(1).and_then(|row| states.get(groups.get(row) as usize)) {
            let size = state.accumulator.size_bytes();
            if size > memory.bytes() {
                memory.grow(size - memory.bytes())?;
            }
        }
        self.states = States::General(states);
        result
    }

    async fn keep(
        &mut self,
        run: &mut Run,
        batch: &Batch,
        groups: Rows<'_>,
        columns: &[Arc<Column>],
        memory: &mut Reservation,
    ) -> Result<()> {
        let keys = self.order.encode(run, batch).await?;
        let States::Kept(kept) = &mut self.states else { return Ok(()) };
        let mut size = 0;
        for row in 0..groups.len() {
            let args: Vec<Datum> = columns.iter().map(|c| c.datum(row)).collect();
            let mut key = keys.get(row).to_vec();
            let args_start = key.len();
            if self.distinct {
                for (ty, arg) in self.row_types.iter().zip(&args) {
                    key::encode(*ty, arg, KeyOrder::ASC, &mut key);
                }
            }
            size += key.len() + args.iter().map(|a| a.heap_size() + 24).sum::<usize>() + 64;
            if let Some(kept) = kept.get_mut(groups.get(row) as usize) {
                kept.rows.push((key, args_start, args));
            }
        }
        memory.grow(size)
    }

    pub fn finish(&mut self, statement: &Arc<StatementContext>, group: usize) -> Result<Datum> {
        let context_types = self.arg_types.clone();
        let context = CallContext { format: &statement.format, arg_types: &context_types, result_type: self.result };
        match &mut self.states {
            States::Fast(fast) | States::Distinct(Distinct { fast, .. }) => fast.finish(group),
            States::General(states) => match states.get_mut(group) {
                Some(state) => state.accumulator.finish(&context),
                None => Ok(Datum::Null),
            },
            States::Kept(kept) => {
                let Some(kept) = kept.get_mut(group).map(std::mem::take) else { return Ok(Datum::Null) };
                let mut state = self.accumulator(statement, &kept.direct)?;
                let mut last: Option<Vec<u8>> = None;
                let mut rows = kept.rows;
                for at in in_order(&rows)? {
                    stop::spent(ROW_WORK)?;
                    let Some((key, args_start, args)) = rows.get_mut(at).map(std::mem::take) else { continue };
                    if self.distinct {
                        let part = key.get(args_start..).unwrap_or_default();
                        if last.as_deref() == Some(part) {
                            continue;
                        }
                        last = Some(part.to_vec());
                    }
                    state.accumulator.update(&context, &args)?;
                }
                state.accumulator.finish(&context)
            }
        }
    }

    /// Forgets all groups.
    pub fn clear(&mut self) {
        match &mut self.states {
            States::Fast(fast) => fast.clear(),
            States::Distinct(distinct) => {
                distinct.fast.clear();
                distinct.seen = KeyTable::default();
            }
            States::General(states) => states.clear(),
            States::Kept(kept) => kept.clear(),
        }
    }

    /// Bytes that a group costs at least.
    pub fn group_bytes(&self) -> usize {
        match &self.states {
            States::Fast(_) | States::Distinct(_) => 48,
            States::General(_) => 128,
            States::Kept(_) => 64,
        }
    }
}

/// The same values as a column of their type's own kind.
fn typed(column: &Column, ty: types::SqlType, len: usize) -> Column {
    let mut builder = ColumnBuilder::new(ColumnKind::of(ty));
    (0..len).for_each(|row| builder.push(&column.datum(row)));
    builder.finish()
}
