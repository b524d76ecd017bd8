//! Functions that give rows: in FROM, and in a SELECT list.

use super::{Input, Operator};
use crate::batch::{BATCH_ROWS, Batch, ColumnBuilder, ColumnKind};
use crate::context::BoxFuture;
use crate::expr::Program;
use crate::run::Run;
use sql::Expr;
use sql::expr::ExprKind;
use types::functions::{RowIter, SetFn};
use types::{CallContext, Datum, Result, SqlError, SqlType};

/// A call that may give several rows.
enum Call {
    Set {
        function: SetTarget,
        strict: bool,
        args: Vec<Program>,
        arg_types: Vec<SqlType>,
        result: SqlType,
    },
    /// An ordinary expression: one row.
    Plain(Program),
}

#[derive(Clone, Copy)]
enum SetTarget {
    Values(SetFn),
    Session(crate::functions::SessionSetFn),
}

impl Call {
    fn new(expr: &Expr) -> Result<Call> {
        let ExprKind::Call { proc, args, .. } = &expr.kind else { return Ok(Call::Plain(Program::compile(expr)?)) };
        if !proc.returns_set {
            return Ok(Call::Plain(Program::compile(expr)?));
        }
        let function = match (types::functions::set(proc.symbol), crate::functions::session_set(proc.symbol)) {
            (Some(f), _) => SetTarget::Values(f),
            (None, Some(f)) => SetTarget::Session(f),
            (None, None) => {
                let name = crate::functions::signature(proc);
                return Err(SqlError::unsupported(format!("function {name} is not supported")).at(expr.position));
            }
        };
        Ok(Call::Set {
            function,
            strict: proc.strict,
            args: Program::compile_all(args)?,
            arg_types: args.iter().map(|a| a.ty).collect(),
            result: expr.ty,
        })
    }

    fn is_set(&self) -> bool {
        matches!(self, Call::Set { .. })
    }

    /// Starts the call for one input row.
    async fn start(&self, run: &mut Run, row: &[Datum]) -> Result<RowIter> {
        match self {
            Call::Plain(program) => {
                let value = program.eval_datums(run, row).await?;
                Ok(Box::new(std::iter::once(Ok(vec![value]))))
            }
            Call::Set { function, strict, args, arg_types, result } => {
                let mut values = Vec::with_capacity(args.len());
                for arg in args {
                    values.push(arg.eval_datums(run, row).await?);
                }
                if *strict && values.iter().any(Datum::is_null) {
                    return Ok(Box::new(std::iter::empty()));
                }
                let env = run.env();
                let call = CallContext { format: env.format, arg_types, result_type: *result };
                match function {
                    SetTarget::Values(f) => f(&call, &values),
                    SetTarget::Session(f) => f(&env, &call, &values),
                }
            }
        }
    }
}

/// How a call's rows become columns.
#[derive(Clone, Copy)]
struct Shape {
    columns: usize,
    /// A record stands for its fields even where there is one column: it is a row of it, not its value.
    is_row: bool,
}

/// One datum per column: a row of the function as it is, a record's fields where one stands for several columns.
fn spread(row: Vec<Datum>, shape: Shape, out: &mut Vec<Datum>) {
    let count = shape.columns;
    match row.first() {
        Some(Datum::Record(record)) if row.len() == 1 && (count != 1 || shape.is_row) => {
            out.extend((0..count).map(|i| record.values.get(i).cloned().unwrap_or_default()));
        }
        _ => {
            let mut row = row.into_iter();
            out.extend((0..count).map(|_| row.next().unwrap_or_default()));
        }
    }
}

pub(crate) struct FunctionScan {
    calls: Vec<(Call, Shape)>,
    ordinality: bool,
    kinds: Vec<ColumnKind>,
    running: Option<Vec<Option<RowIter>>>,
    number: i64,
}

impl FunctionScan {
    pub fn new(calls: &[Expr], counts: &[usize], ordinality: bool, types: &[SqlType]) -> Result<FunctionScan> {
        let mut first = 0;
        let shape = |(i, expr): (usize, &Expr)| {
            let columns = counts.get(i).copied().unwrap_or(1);
            let call = Call::new(expr)?;
            let is_value = types.get(first).is_some_and(|ty| ty.oid == expr.ty.oid);
            first += columns;
            let is_row = !is_value && matches!(call, Call::Plain(_));
            Ok((call, Shape { columns, is_row }))
        };
        let calls = calls.iter().enumerate().map(shape).collect::<Result<_>>()?;
        let kinds = types.iter().map(|t| ColumnKind::of(*t)).collect();
        Ok(FunctionScan { calls, ordinality, kinds, running: None, number: 0 })
    }
}

impl Operator for FunctionScan {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            run.pause(BATCH_ROWS).await?;
            if self.running.is_none() {
                let mut running = Vec::with_capacity(self.calls.len());
                for (call, _) in &self.calls {
                    running.push(Some(call.start(run, &[]).await?));
                }
                self.running = Some(running);
                self.number = 0;
            }
            let Some(running) = &mut self.running else { return Ok(None) };
            let mut builders: Vec<ColumnBuilder> = self.kinds.iter().map(|k| ColumnBuilder::new(*k)).collect();
            let (mut count, mut values) = (0, Vec::new());
            while count < BATCH_ROWS {
                values.clear();
                let mut any = false;
                for ((_, shape), rows) in self.calls.iter().zip(running.iter_mut()) {
                    match rows.as_mut().and_then(|r| r.next()) {
                        Some(row) => {
                            any = true;
                            spread(row?, *shape, &mut values);
                        }
                        None => {
                            *rows = None;
                            values.resize(values.len() + shape.columns, Datum::Null);
                        }
                    }
                }
                if !any {
                    break;
                }
                self.number += 1;
                if self.ordinality {
                    values.push(Datum::Int8(self.number));
                }
                builders.iter_mut().zip(values.drain(..)).for_each(|(b, v)| b.push_owned(v));
                count += 1;
            }
            Ok((count > 0).then(|| super::scan::finish(builders, count)))
        })
    }
    fn rewind(&mut self, _run: &mut Run) {
        self.running = None;
    }
}

/// The SELECT list's set-returning functions, in lockstep: shorter ones are padded with NULLs, the others repeated.
pub(crate) struct ProjectSet {
    input: Input,
    calls: Vec<Call>,
    kinds: Vec<ColumnKind>,
    /// The input batch, the next row of it, and the running calls of the row before.
    batch: Option<(Batch, usize)>,
    running: Option<Vec<Running>>,
}

enum Running {
    Rows(Option<RowIter>),
    Value(Datum),
}

impl ProjectSet {
    pub fn new(input: Input, exprs: &[Expr]) -> Result<ProjectSet> {
        Ok(ProjectSet {
            input,
            calls: exprs.iter().map(Call::new).collect::<Result<_>>()?,
            kinds: exprs.iter().map(|e| ColumnKind::of(e.ty)).collect(),
            batch: None,
            running: None,
        })
    }

    /// Starts the calls for the next input row; false at the end.
    async fn advance(&mut self, run: &mut Run) -> Result<bool> {
        let row = loop {
            match &mut self.batch {
                Some((batch, at)) if *at < batch.len => {
                    *at += 1;
                    break batch.row(*at - 1);
                }
                _ => match self.input.next(run).await? {
                    Some(batch) => self.batch = Some((batch, 0)),
                    None => return Ok(false),
                },
            }
        };
        let mut running = Vec::with_capacity(self.calls.len());
        for call in &self.calls {
            running.push(match call {
                Call::Plain(program) => Running::Value(program.eval_datums(run, &row).await?),
                set => Running::Rows(Some(set.start(run, &row).await?)),
            });
        }
        self.running = Some(running);
        Ok(true)
    }
}

impl Operator for ProjectSet {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            let mut builders: Vec<ColumnBuilder> = self.kinds.iter().map(|k| ColumnBuilder::new(*k)).collect();
            let mut count = 0;
            while count < BATCH_ROWS {
                let Some(running) = &mut self.running else {
                    run.pause(0).await?;
                    if self.advance(run).await? {
                        continue;
                    }
                    break;
                };
                let mut any = false;
                let mut values = Vec::with_capacity(running.len());
                for item in running.iter_mut() {
                    values.push(match item {
                        Running::Value(value) => value.clone(),
                        Running::Rows(rows) => match rows.as_mut().and_then(|r| r.next()) {
                            Some(row) => {
                                any = true;
                                single(row?)
                            }
                            None => {
                                *rows = None;
                                Datum::Null
                            }
                        },
                    });
                }
                if !any {
                    // Without any set-returning call there would be one row; the planner makes a Project of that.
                    let plain = !self.calls.iter().any(Call::is_set);
                    self.running = None;
                    if !plain {
                        continue;
                    }
                }
                builders.iter_mut().zip(values).for_each(|(b, v)| b.push_owned(v));
                count += 1;
            }
            Ok((count > 0).then(|| super::scan::finish(builders, count)))
        })
    }
    fn rewind(&mut self, run: &mut Run) {
        self.input.rewind(run);
        self.batch = None;
        self.running = None;
    }
}

/// A row of a function in a SELECT list: its one value, or all of it as a record.
fn single(mut row: Vec<Datum>) -> Datum {
    match row.len() {
        0 => Datum::Null,
        1 => row.swap_remove(0),
        _ => Datum::Record(std::sync::Arc::new(types::Record {
            types: row.iter().map(type_of).collect(),
            names: vec![],
            values: row,
        })),
    }
}

/// The type that a datum's variant stands for first.
pub(crate) fn type_of(value: &Datum) -> SqlType {
    match value {
        Datum::Null | Datum::Text(_) => SqlType::TEXT,
        Datum::Bool(_) => SqlType::BOOL,
        Datum::Int2(_) => SqlType::INT2,
        Datum::Int4(_) => SqlType::INT4,
        Datum::Int8(_) => SqlType::INT8,
        Datum::Float4(_) => SqlType::FLOAT4,
        Datum::Float8(_) => SqlType::FLOAT8,
        Datum::Numeric(_) => SqlType::NUMERIC,
        Datum::Bytea(_) => SqlType::BYTEA,
        Datum::Date(_) => SqlType::DATE,
        Datum::Time(_) => SqlType::TIME,
        Datum::TimeTz(_) => SqlType::TIMETZ,
        Datum::Timestamp(_) => SqlType::TIMESTAMP,
        Datum::TimestampTz(_) => SqlType::TIMESTAMPTZ,
        Datum::Interval(_) => SqlType::INTERVAL,
        Datum::Uuid(_) => SqlType::UUID,
        Datum::Jsonb(_) => SqlType::JSONB,
        Datum::Oid(_) => SqlType::OID,
        Datum::Array(a) => SqlType::new(a.element).array().unwrap_or(SqlType::TEXT_ARRAY),
        Datum::Record(_) => SqlType::RECORD,
    }
}
