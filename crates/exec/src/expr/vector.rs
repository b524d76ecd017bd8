//! Evaluation of whole batches. A selection (row numbers) narrows what is evaluated, so that lazy forms stay lazy.

use super::json::Fields;
use super::kernel::Vector;
use super::row::{self, Args};
use super::{EvalContext, Kind, Node, RowRef};
use crate::batch::{Batch, Column, ColumnBuilder, ColumnData, ColumnKind};
use std::sync::Arc;
use types::{Datum, Result, SqlError};

/// Bytes of computed values that a vector may take: with more, fewer rows are taken at a time.
const WIDE_BYTES: usize = 16 << 20;
/// What a vector that would be wider ends with. No client sees it.
const WIDE: &str = "\0the values of a batch are too wide";

#[cold]
fn wide() -> SqlError {
    SqlError::internal(WIDE)
}

/// Whether it is only that a batch has too many rows for values as large as these.
pub(super) fn is_wide(error: &SqlError) -> bool {
    error.message() == WIDE
}

/// A column in the making that knows what its values take.
pub(super) struct Widening {
    builder: ColumnBuilder,
    bytes: usize,
    bytes_max: usize,
}

impl Widening {
    pub fn new(node: &Node, bytes_max: usize) -> Widening {
        Widening { builder: ColumnBuilder::new(ColumnKind::of(node.ty)), bytes: 0, bytes_max }
    }

    /// `is_wide` beyond the limit; one value may have any size.
    pub fn push(&mut self, value: Datum) -> Result<()> {
        self.bytes += value.heap_size();
        if self.bytes > self.bytes_max && !self.builder.is_empty() {
            return Err(wide());
        }
        self.builder.push_owned(value);
        Ok(())
    }

    pub fn finish(self) -> Column {
        self.builder.finish()
    }
}

/// Row numbers of the batch that are looked at; None: all.
type Selection<'a> = Option<&'a [u32]>;

fn selected(batch: &Batch, selection: Selection<'_>) -> usize {
    selection.map_or(batch.len, <[u32]>::len)
}

fn bools(values: Vec<bool>, nulls: Vec<bool>) -> Vector {
    Vector::Column(Arc::new(Column { data: ColumnData::Bool(values), nulls }))
}

/// Rows where a bool column is true.
pub(super) fn true_rows(column: &Column) -> Vec<u32> {
    match &column.data {
        ColumnData::Bool(v) if column.nulls.is_empty() => {
            v.iter().enumerate().filter(|(_, v)| **v).map(|(i, _)| i as u32).collect()
        }
        ColumnData::Bool(v) => (0..v.len()).filter(|i| v[*i] && !column.is_null(*i)).map(|i| i as u32).collect(),
        _ => (0..column.len()).filter(|i| row::is_true(&column.datum(*i))).map(|i| i as u32).collect(),
    }
}

impl Node {
    /// Rows of the batch for which the predicate is true. Conjuncts narrow one after the other.
    pub(super) fn select(&self, context: &EvalContext<'_>, batch: &Batch) -> Result<Vec<u32>> {
        let Kind::And(args) = &self.kind else {
            return Ok(match self.vector(context, batch, None, &Datum::Null)? {
                Vector::Const(value) if row::is_true(&value) => (0..batch.len as u32).collect(),
                Vector::Const(_) => vec![],
                Vector::Column(column) => true_rows(&column),
            });
        };
        let mut rows: Option<Vec<u32>> = None;
        for arg in args {
            let vector = arg.vector(context, batch, rows.as_deref(), &Datum::Null)?;
            rows = match (vector, rows) {
                (Vector::Const(value), rows) if row::is_true(&value) => rows,
                (Vector::Const(_), _) => return Ok(vec![]),
                (Vector::Column(column), None) => Some(true_rows(&column)),
                (Vector::Column(column), Some(rows)) => {
                    Some(true_rows(&column).into_iter().filter_map(|i| rows.get(i as usize).copied()).collect())
                }
            };
            if rows.as_ref().is_some_and(Vec::is_empty) {
                break;
            }
        }
        Ok(rows.unwrap_or_else(|| (0..batch.len as u32).collect()))
    }

    /// One value per selected row.
    pub(super) fn vector(
        &self,
        context: &EvalContext<'_>,
        batch: &Batch,
        selection: Selection<'_>,
        case: &Datum,
    ) -> Result<Vector> {
        let len = selected(batch, selection);
        match &self.kind {
            Kind::Const(value) => Ok(Vector::Const(value.clone())),
            Kind::Parameter(n) => Ok(Vector::Const(context.parameters.get(*n).cloned().unwrap_or_default())),
            Kind::Outer(n) => Ok(Vector::Const(context.outer.get(*n).cloned().unwrap_or_default())),
            Kind::CaseValue => Ok(Vector::Const(case.clone())),
            Kind::Input(n) => Ok(match (batch.columns.get(*n), selection) {
                (None, _) => Vector::Const(Datum::Null),
                (Some(column), None) => Vector::Column(column.clone()),
                (Some(column), Some(rows)) => Vector::Column(Arc::new(column.gather(rows))),
            }),
            Kind::Relabel(arg) => arg.vector(context, batch, selection, case),
            Kind::And(args) => self.junction(args, false, context, batch, selection, case),
            Kind::Or(args) => self.junction(args, true, context, batch, selection, case),
            Kind::Not(arg) => Ok(match arg.vector(context, batch, selection, case)? {
                Vector::Const(Datum::Bool(v)) => Vector::Const(Datum::Bool(!v)),
                Vector::Const(_) => Vector::Const(Datum::Null),
                Vector::Column(column) => match &column.data {
                    ColumnData::Bool(v) => bools(v.iter().map(|v| !v).collect(), column.nulls.clone()),
                    _ => return self.by_row(context, batch, selection, case),
                },
            }),
            Kind::IsNull { arg, negated, of_row: false } => Ok(match arg.vector(context, batch, selection, case)? {
                Vector::Const(value) => Vector::Const(Datum::Bool(value.is_null() != *negated)),
                Vector::Column(column) if column.nulls.is_empty() => Vector::Const(Datum::Bool(*negated)),
                Vector::Column(column) => bools(column.nulls.iter().map(|null| null != negated).collect(), vec![]),
            }),
            Kind::Call(call) => {
                if let Some(fields) = Fields::of(call)
                    && let Some(column) = fields.read(&fields.document.vector(context, batch, selection, case)?)
                {
                    return Ok(Vector::Column(Arc::new(column)));
                }
                let mut args = Vec::with_capacity(call.args.len());
                for arg in &call.args {
                    args.push(arg.vector(context, batch, selection, case)?);
                }
                if let Some(kernel) = call.kernel
                    && args.iter().any(|a| matches!(a, Vector::Column(_)))
                    && let Some(column) = kernel.run(&args, len)
                {
                    return column.map(|c| Vector::Column(Arc::new(c)));
                }
                // Volatile functions are called for each row; others once, if nothing differs between rows.
                let constant = args.iter().all(|a| matches!(a, Vector::Const(_)))
                    && call.proc.volatility != types::builtin::Volatility::Volatile;
                if constant && len > 0 {
                    let args: Args = args.iter().map(|a| a.datum(0)).collect();
                    return Ok(Vector::Const(self.apply(context, &args)?));
                }
                self.over_rows(context, &args, len)
            }
            // The others that evaluate all arguments.
            Kind::InOut(_)
            | Kind::Represent(_)
            | Kind::BoolTest(..)
            | Kind::Distinct { .. }
            | Kind::NullIf { .. }
            | Kind::Extremum(..)
            | Kind::AnyAll { .. }
            | Kind::InSet { .. }
            | Kind::Field(..)
            | Kind::DocumentPath(..)
            | Kind::DocumentSet(..) => {
                let mut args = Vec::new();
                for child in self.strict_children() {
                    args.push(match child {
                        Some(child) => child.vector(context, batch, selection, case)?,
                        None => Vector::Const(Datum::Null),
                    });
                }
                self.over_rows(context, &args, len)
            }
            Kind::Case { operand: None, branches, otherwise } => {
                self.case(branches, otherwise.as_deref(), context, batch, selection, case)
            }
            _ => self.by_row(context, batch, selection, case),
        }
    }

    /// Calls `apply` with the arguments of each row.
    fn over_rows(&self, context: &EvalContext<'_>, args: &[Vector], len: usize) -> Result<Vector> {
        let mut column = Widening::new(self, WIDE_BYTES);
        let mut values = Args::new();
        for row in 0..len {
            values.clear();
            values.extend(args.iter().map(|a| a.datum(row)));
            column.push(self.apply(context, &values)?)?;
        }
        Ok(Vector::Column(Arc::new(column.finish())))
    }

    fn by_row(
        &self,
        context: &EvalContext<'_>,
        batch: &Batch,
        selection: Selection<'_>,
        case: &Datum,
    ) -> Result<Vector> {
        let mut column = Widening::new(self, WIDE_BYTES);
        match selection {
            None => {
                for row in 0..batch.len {
                    column.push(self.eval(context, RowRef::Batch(batch, row), case)?)?;
                }
            }
            Some(rows) => {
                for row in rows {
                    column.push(self.eval(context, RowRef::Batch(batch, *row as usize), case)?)?;
                }
            }
        }
        Ok(Vector::Column(Arc::new(column.finish())))
    }

    /// AND (`stop` false) and OR (`stop` true): each argument is evaluated for the rows that no earlier one decided.
    fn junction(
        &self,
        args: &[Node],
        stop: bool,
        context: &EvalContext<'_>,
        batch: &Batch,
        selection: Selection<'_>,
        case: &Datum,
    ) -> Result<Vector> {
        let len = selected(batch, selection);
        let mut values = vec![!stop; len];
        let mut nulls = vec![false; len];
        // Places in the result that are still open, and their rows in the batch.
        let mut open: Vec<u32> = (0..len as u32).collect();
        let mut rows: Vec<u32> = selection.map_or_else(|| (0..len as u32).collect(), <[u32]>::to_vec);
        for arg in args {
            if open.is_empty() {
                break;
            }
            let all = open.len() == batch.len;
            let vector = arg.vector(context, batch, if all { None } else { Some(&rows) }, case)?;
            let mut kept = 0;
            for i in 0..open.len() {
                let place = open[i] as usize;
                match vector.datum(i) {
                    Datum::Bool(value) if value == stop => {
                        values[place] = stop;
                        nulls[place] = false;
                        continue;
                    }
                    Datum::Bool(_) => {}
                    _ => nulls[place] = true,
                }
                open[kept] = open[i];
                rows[kept] = rows[i];
                kept += 1;
            }
            open.truncate(kept);
            rows.truncate(kept);
        }
        if !nulls.contains(&true) {
            nulls.clear();
        }
        Ok(bools(values, nulls))
    }

    /// Searched CASE: each branch for the rows that reach it.
    fn case(
        &self,
        branches: &[(Node, Node)],
        otherwise: Option<&Node>,
        context: &EvalContext<'_>,
        batch: &Batch,
        selection: Selection<'_>,
        case: &Datum,
    ) -> Result<Vector> {
        let len = selected(batch, selection);
        let mut results: Vec<Datum> = vec![Datum::Null; len];
        let mut open: Vec<u32> = (0..len as u32).collect();
        let mut rows: Vec<u32> = selection.map_or_else(|| (0..len as u32).collect(), <[u32]>::to_vec);
        for (condition, result) in branches {
            if open.is_empty() {
                break;
            }
            let vector = condition.vector(context, batch, Some(&rows), case)?;
            let (mut hit_places, mut hit_rows, mut kept) = (vec![], vec![], 0);
            for i in 0..open.len() {
                if row::is_true(&vector.datum(i)) {
                    hit_places.push(open[i]);
                    hit_rows.push(rows[i]);
                } else {
                    open[kept] = open[i];
                    rows[kept] = rows[i];
                    kept += 1;
                }
            }
            open.truncate(kept);
            rows.truncate(kept);
            scatter(&mut results, &hit_places, result.vector(context, batch, Some(&hit_rows), case)?);
        }
        if let Some(otherwise) = otherwise.filter(|_| !open.is_empty()) {
            scatter(&mut results, &open, otherwise.vector(context, batch, Some(&rows), case)?);
        }
        let mut builder = ColumnBuilder::new(ColumnKind::of(self.ty));
        results.into_iter().for_each(|value| builder.push_owned(value));
        Ok(Vector::Column(Arc::new(builder.finish())))
    }
}

fn scatter(results: &mut [Datum], places: &[u32], values: Vector) {
    for (i, place) in places.iter().enumerate() {
        if let Some(result) = results.get_mut(*place as usize) {
            *result = values.datum(i);
        }
    }
}
