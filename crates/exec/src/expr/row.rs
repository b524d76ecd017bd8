//! Evaluation of one row. The combinators that only need their arguments' values (`apply`) are shared with the waiting form.

use super::{Call, EvalContext, Kind, Node, OperatorCall, RowRef, Target};
use super::{assign, document, record};
use smallvec::SmallVec;
use sql::expr::{BoolTest, RowCompareOp};
use std::cmp::Ordering;
use std::sync::Arc;
use types::array::{Array, Dimension};
use types::{CallContext, Datum, Record, Result, SqlError, SqlState, SqlType, compare, io, oid, stop};

pub(super) type Args = SmallVec<[Datum; 4]>;

/// What a call takes beside the bytes of its arguments, in those (`types::stop`).
const CALL_WORK: usize = 32;

/// Bytes of an argument that a function probably reads; those that read more often than once say so themselves.
fn bytes_read(value: &Datum) -> usize {
    match value {
        Datum::Text(text) => text.len(),
        Datum::Bytea(bytes) => bytes.len(),
        Datum::Jsonb(document) => document.as_bytes().len(),
        Datum::Array(array) => array.values.len() * size_of::<Datum>(),
        _ => 0,
    }
}

impl Node {
    pub(crate) fn eval(&self, context: &EvalContext<'_>, row: RowRef<'_>, case: &Datum) -> Result<Datum> {
        match &self.kind {
            Kind::Const(value) => Ok(value.clone()),
            Kind::Parameter(n) => Ok(context.parameters.get(*n).cloned().unwrap_or_default()),
            Kind::Input(n) => Ok(row.get(*n)),
            Kind::Outer(n) => Ok(context.outer.get(*n).cloned().unwrap_or_default()),
            Kind::CaseValue => Ok(case.clone()),
            Kind::And(args) => and(args, |arg| arg.eval(context, row, case)),
            Kind::Or(args) => or(args, |arg| arg.eval(context, row, case)),
            Kind::Case { operand, branches, otherwise } => {
                let operand = operand.as_ref().map(|o| o.eval(context, row, case)).transpose()?;
                let inner = operand.as_ref().unwrap_or(case);
                for (condition, result) in branches {
                    if is_true(&condition.eval(context, row, inner)?) {
                        return result.eval(context, row, case);
                    }
                }
                otherwise.as_ref().map_or(Ok(Datum::Null), |o| o.eval(context, row, case))
            }
            Kind::Coalesce(args) => {
                for arg in args {
                    let value = arg.eval(context, row, case)?;
                    if !value.is_null() {
                        return Ok(value);
                    }
                }
                Ok(Datum::Null)
            }
            Kind::ArrayCoerce(array, element) => {
                let array = array.eval(context, row, case)?;
                map_array(&array, element.ty, |item| element.eval(context, row, item))
            }
            Kind::RowCoerce(record, fields) => {
                let record = record.eval(context, row, case)?;
                record::coerce(&record, fields, |field, value| field.eval(context, row, value))
            }
            Kind::SubPlan(_) => Err(SqlError::internal("a subplan in an expression that cannot wait")),
            _ => {
                let mut args = Args::new();
                for child in self.strict_children() {
                    args.push(child.map_or(Ok(Datum::Null), |c| c.eval(context, row, case))?);
                }
                self.apply(context, &args)
            }
        }
    }

    /// Children of the kinds whose arguments are all evaluated; an absent bound of a slice is None.
    pub(super) fn strict_children(&self) -> SmallVec<[Option<&Node>; 4]> {
        match &self.kind {
            Kind::Call(call) => call.args.iter().map(Some).collect(),
            Kind::Relabel(a)
            | Kind::Represent(a)
            | Kind::InOut(a)
            | Kind::Not(a)
            | Kind::BoolTest(a, _)
            | Kind::ToDomain(a, _)
            | Kind::Field(a, _) => {
                smallvec::smallvec![Some(&**a)]
            }
            Kind::DocumentPath(a, _) | Kind::Grouping(a, _) => smallvec::smallvec![Some(&**a)],
            Kind::DocumentSet(a, _, b) => smallvec::smallvec![Some(&**a), Some(&**b)],
            Kind::IsNull { arg, .. } => smallvec::smallvec![Some(&**arg)],
            Kind::InSet { left, .. } => smallvec::smallvec![Some(&**left)],
            Kind::Distinct { left, right, .. } | Kind::NullIf { left, right, .. } => {
                smallvec::smallvec![Some(&**left), Some(&**right)]
            }
            Kind::AnyAll { left, array, .. } => smallvec::smallvec![Some(&**left), Some(&**array)],
            Kind::Extremum(_, args) | Kind::Array(args, _) | Kind::Row(args, _) => args.iter().map(Some).collect(),
            Kind::Subscripts(container, subscripts) => {
                let mut children: SmallVec<[Option<&Node>; 4]> = smallvec::smallvec![Some(&**container)];
                for (a, b, _) in subscripts {
                    children.push(a.as_ref());
                    children.push(b.as_ref());
                }
                children
            }
            Kind::Assign(container, subscripts, value) => {
                let mut children: SmallVec<[Option<&Node>; 4]> =
                    smallvec::smallvec![Some(&**container), Some(&**value)];
                for (a, b, _) in subscripts {
                    children.push(a.as_ref());
                    children.push(b.as_ref());
                }
                children
            }
            Kind::RowCompare { left, right, .. } => left.iter().chain(right).map(Some).collect(),
            _ => SmallVec::new(),
        }
    }

    /// The value from the values of `strict_children`.
    pub(super) fn apply(&self, context: &EvalContext<'_>, args: &[Datum]) -> Result<Datum> {
        let first = args.first().unwrap_or(&Datum::Null);
        match &self.kind {
            Kind::Call(call) => call.apply(context, args),
            Kind::Relabel(_) => Ok(first.clone()),
            Kind::ToDomain(_, domain) => domain.check(context, first.clone()),
            Kind::Represent(_) => Ok(types::cast::relabel(self.ty, first.clone())),
            Kind::InOut(arg) => in_out(context, arg.ty, self.ty, first),
            Kind::Not(_) => Ok(if first.is_null() { Datum::Null } else { Datum::Bool(!is_true(first)) }),
            Kind::IsNull { negated, of_row, .. } => Ok(Datum::Bool(record::is_null(first, *of_row, *negated))),
            Kind::BoolTest(_, test) => Ok(Datum::Bool(bool_test(first, *test))),
            Kind::Distinct { equal, negated, .. } => {
                let [a, b] = pair(args);
                let distinct = match (a.is_null(), b.is_null()) {
                    (true, true) => false,
                    (true, false) | (false, true) => true,
                    _ => !is_true(&equal.apply(context, a, b)?),
                };
                Ok(Datum::Bool(distinct != *negated))
            }
            Kind::NullIf { equal, .. } => {
                let [a, b] = pair(args);
                let equal = !a.is_null() && !b.is_null() && is_true(&equal.apply(context, a, b)?);
                Ok(if equal { Datum::Null } else { a.clone() })
            }
            Kind::Extremum(greatest, _) => Ok(extremum(self.ty, *greatest, args)),
            Kind::AnyAll { operator, all, .. } => {
                let [left, array] = pair(args);
                any_all(context, operator, left, array, *all)
            }
            Kind::InSet { ty, set, has_null, .. } => {
                if first.is_null() {
                    return Ok(Datum::Null);
                }
                let mut key = Vec::with_capacity(32);
                types::key::encode(*ty, first, types::key::KeyOrder::ASC, &mut key);
                Ok(match set.contains(&key) {
                    true => Datum::Bool(true),
                    false if *has_null => Datum::Null,
                    false => Datum::Bool(false),
                })
            }
            Kind::Array(_, nested) => make_array(self.ty, *nested, args),
            Kind::Row(fields, names) => Ok(Datum::Record(Arc::new(Record {
                types: fields.iter().map(|f| f.ty).collect(),
                names: names.clone(),
                values: args.to_vec(),
            }))),
            Kind::Field(_, index) => Ok(match first {
                Datum::Record(record) => record.values.get(*index).cloned().unwrap_or_default(),
                _ => Datum::Null,
            }),
            Kind::Subscripts(container, subscripts) => {
                record::subscript(container.ty, self.ty, first, subscripts, args.get(1..).unwrap_or_default())
            }
            Kind::Assign(container, subscripts, _) => assigned(container, subscripts, args),
            Kind::RowCompare { op, left, .. } => {
                let (a, b) = args.split_at(left.len().min(args.len()));
                Ok(row_compare(*op, left, a, b))
            }
            Kind::DocumentPath(_, path) => document::part(first, path),
            Kind::DocumentSet(_, path, _) => document::set(first, path, args.get(1).unwrap_or(&Datum::Null)),
            Kind::Grouping(_, groups) => record::grouping(first, groups),
            _ => Err(SqlError::internal("an expression without strict arguments was applied")),
        }
    }
}

impl Call {
    #[inline]
    pub(super) fn apply(&self, context: &EvalContext<'_>, args: &[Datum]) -> Result<Datum> {
        if self.proc.strict && args.iter().any(Datum::is_null) {
            return Ok(Datum::Null);
        }
        if self.spread {
            return self.apply_spread(context, args);
        }
        self.invoke(context, &self.arg_types, args)
    }

    fn invoke(&self, context: &EvalContext<'_>, arg_types: &[SqlType], args: &[Datum]) -> Result<Datum> {
        stop::spent(args.iter().map(bytes_read).fold(CALL_WORK, usize::saturating_add))?;
        let call = CallContext { format: context.format, arg_types, result_type: self.result };
        match self.target {
            Target::Scalar(f) => f(&call, args),
            Target::Session(f) => f(context, &call, args),
            Target::Async(_) => Err(SqlError::internal("a function that waits in an expression that cannot wait")),
        }
    }

    /// `f(VARIADIC array)` of a `VARIADIC "any"` function: the array's items are the arguments.
    fn apply_spread(&self, context: &EvalContext<'_>, args: &[Datum]) -> Result<Datum> {
        let Some((last, fixed)) = args.split_last() else { return self.invoke(context, &self.arg_types, args) };
        let mut all: Vec<Datum> = fixed.to_vec();
        let mut arg_types: Vec<SqlType> = self.arg_types.iter().take(fixed.len()).copied().collect();
        match last {
            Datum::Array(items) => {
                all.extend(items.values.iter().cloned());
                arg_types.resize(all.len(), SqlType::new(items.element));
            }
            // To `format` no array is one without items; the others have no answer.
            _ if self.proc.name == "format" => {}
            _ => return Ok(Datum::Null),
        }
        self.invoke(context, &arg_types, &all)
    }
}

impl OperatorCall {
    pub(super) fn apply(&self, context: &EvalContext<'_>, a: &Datum, b: &Datum) -> Result<Datum> {
        if self.strict && (a.is_null() || b.is_null()) {
            return Ok(Datum::Null);
        }
        let call = CallContext { format: context.format, arg_types: &self.arg_types, result_type: SqlType::BOOL };
        let args = [a.clone(), b.clone()];
        match self.target {
            Target::Scalar(f) => f(&call, &args),
            Target::Session(f) => f(context, &call, &args),
            Target::Async(_) => Err(SqlError::internal("an operator that waits")),
        }
    }
}

#[inline]
pub(crate) fn is_true(value: &Datum) -> bool {
    matches!(value, Datum::Bool(true))
}

fn pair(args: &[Datum]) -> [&Datum; 2] {
    const NULL: &Datum = &Datum::Null;
    [args.first().unwrap_or(NULL), args.get(1).unwrap_or(NULL)]
}

fn and(args: &[Node], mut eval: impl FnMut(&Node) -> Result<Datum>) -> Result<Datum> {
    let mut null = false;
    for arg in args {
        match eval(arg)? {
            Datum::Bool(true) => {}
            Datum::Bool(false) => return Ok(Datum::Bool(false)),
            _ => null = true,
        }
    }
    Ok(if null { Datum::Null } else { Datum::Bool(true) })
}

fn or(args: &[Node], mut eval: impl FnMut(&Node) -> Result<Datum>) -> Result<Datum> {
    let mut null = false;
    for arg in args {
        match eval(arg)? {
            Datum::Bool(false) => {}
            Datum::Bool(true) => return Ok(Datum::Bool(true)),
            _ => null = true,
        }
    }
    Ok(if null { Datum::Null } else { Datum::Bool(false) })
}

pub(super) fn bool_test(value: &Datum, test: BoolTest) -> bool {
    match test {
        BoolTest::IsTrue => is_true(value),
        BoolTest::IsNotTrue => !is_true(value),
        BoolTest::IsFalse => matches!(value, Datum::Bool(false)),
        BoolTest::IsNotFalse => !matches!(value, Datum::Bool(false)),
        BoolTest::IsUnknown => value.is_null(),
        BoolTest::IsNotUnknown => !value.is_null(),
    }
}

fn extremum(ty: SqlType, greatest: bool, args: &[Datum]) -> Datum {
    let wanted = if greatest { Ordering::Greater } else { Ordering::Less };
    let mut best = &Datum::Null;
    for arg in args.iter().filter(|a| !a.is_null()) {
        if best.is_null() || compare::compare(ty, arg, best) == wanted {
            best = arg;
        }
    }
    best.clone()
}

/// A cast through text. Types named after catalog objects (`regclass`, …) need the catalog in both directions.
pub(crate) fn in_out(context: &EvalContext<'_>, from: SqlType, to: SqlType, value: &Datum) -> Result<Datum> {
    if value.is_null() {
        return Ok(Datum::Null);
    }
    let mut text = Vec::new();
    match (value, crate::functions::reg::is_reg(from)) {
        (Datum::Text(s), _) if from.oid != oid::BIT => text.extend_from_slice(s.as_bytes()),
        (_, true) => crate::functions::reg::output(context.catalog, context.session, from, value, &mut text),
        _ => io::output(from, value, context.format, &mut text),
    }
    io::check_text_form(text.len())?;
    let text = String::from_utf8(text).map_err(|_| {
        SqlError::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, "invalid byte sequence for encoding \"UTF8\"")
    })?;
    match crate::functions::reg::is_reg(to) {
        true => crate::functions::reg::input(context.catalog, context.session, to, &text),
        false => io::input(to, &text, context.format),
    }
}

pub(super) fn any_all(
    context: &EvalContext<'_>,
    operator: &OperatorCall,
    left: &Datum,
    array: &Datum,
    all: bool,
) -> Result<Datum> {
    let Datum::Array(array) = array else { return Ok(Datum::Null) };
    let mut null = false;
    for item in &array.values {
        match operator.apply(context, left, item)? {
            Datum::Bool(value) if value != all => return Ok(Datum::Bool(!all)),
            Datum::Bool(_) => {}
            _ => null = true,
        }
    }
    Ok(if null { Datum::Null } else { Datum::Bool(all) })
}

pub(super) fn map_array(
    array: &Datum,
    element: SqlType,
    mut map: impl FnMut(&Datum) -> Result<Datum>,
) -> Result<Datum> {
    let Datum::Array(array) = array else { return Ok(Datum::Null) };
    let values = array.values.iter().map(&mut map).collect::<Result<Vec<_>>>()?;
    Ok(Datum::Array(Arc::new(Array { element: element.oid, dims: array.dims.clone(), values })))
}

/// ARRAY[…]. Nested arrays must agree in their dimensions; NULL or empty ones count as empty.
pub(super) fn make_array(ty: SqlType, nested: bool, args: &[Datum]) -> Result<Datum> {
    let element = ty.element().map_or(oid::TEXT, |e| e.oid);
    if !nested {
        return Ok(Datum::Array(Arc::new(Array::from_values(element, args.to_vec()))));
    }
    let mismatch = || {
        SqlError::new(
            SqlState::ARRAY_SUBSCRIPT_ERROR,
            "multidimensional arrays must have array expressions with matching dimensions",
        )
    };
    let mut dims: Option<Vec<Dimension>> = None;
    let mut values = Vec::new();
    let mut empty = 0;
    for arg in args {
        let inner = match arg {
            Datum::Array(inner) if !inner.values.is_empty() => inner,
            _ => {
                empty += 1;
                continue;
            }
        };
        match &dims {
            None => dims = Some(inner.dims.clone()),
            Some(dims) if *dims != inner.dims => return Err(mismatch()),
            Some(_) => {}
        }
        values.extend(inner.values.iter().cloned());
    }
    match dims {
        None => Ok(Datum::Array(Arc::new(Array::from_values(element, vec![])))),
        Some(_) if empty > 0 => Err(mismatch()),
        Some(inner) => {
            if inner.len() >= types::array::DIMENSIONS_MAX {
                return Err(SqlError::new(
                    SqlState::PROGRAM_LIMIT_EXCEEDED,
                    format!("number of array dimensions ({}) exceeds the maximum allowed (6)", inner.len() + 1),
                ));
            }
            let mut dims = vec![Dimension { len: args.len() as i32, lower: 1 }];
            dims.extend(inner);
            Ok(Datum::Array(Arc::new(Array { element, dims, values })))
        }
    }
}

/// `args`: the container, the value, then two bounds for each subscript.
fn assigned(container: &Node, subscripts: &[(Option<Node>, Option<Node>, bool)], args: &[Datum]) -> Result<Datum> {
    let [old, value] = pair(args);
    let mut bounds = args.get(2..).unwrap_or_default().chunks(2);
    let mut places = Vec::with_capacity(subscripts.len());
    for (lower, upper, is_slice) in subscripts {
        let given = bounds.next().unwrap_or_default();
        places.push(assign::Place {
            lower: lower.as_ref().and_then(|_| given.first().cloned()),
            upper: upper.as_ref().and_then(|_| given.get(1).cloned()),
            is_slice: *is_slice,
        });
    }
    if container.ty.oid == oid::JSONB {
        let path: Vec<Datum> = places.into_iter().map(|p| p.lower.unwrap_or_default()).collect();
        return document::assign(old, &path, value);
    }
    let element = container.ty.element().map_or(oid::TEXT, |e| e.oid);
    assign::array(old, element, &places, value)
}

/// Orders two values that the binder made comparable, perhaps of different widths.
pub(crate) fn compare_loosely(ty: SqlType, a: &Datum, b: &Datum) -> Ordering {
    use Datum::*;
    match (a, b) {
        (Int2(_) | Int4(_) | Int8(_), Int2(_) | Int4(_) | Int8(_)) => a.as_i64().cmp(&b.as_i64()),
        (Float4(_) | Float8(_), Float4(_) | Float8(_)) => compare::compare_floats(a.as_f64(), b.as_f64()),
        _ => compare::compare(ty, a, b),
    }
}

fn row_compare(op: RowCompareOp, left: &[Node], a: &[Datum], b: &[Datum]) -> Datum {
    for ((node, a), b) in left.iter().zip(a).zip(b) {
        if a.is_null() || b.is_null() {
            return Datum::Null;
        }
        match compare_loosely(node.ty, a, b) {
            Ordering::Equal => {}
            Ordering::Less => return Datum::Bool(matches!(op, RowCompareOp::Less | RowCompareOp::LessOrEqual)),
            Ordering::Greater => {
                return Datum::Bool(matches!(op, RowCompareOp::Greater | RowCompareOp::GreaterOrEqual));
            }
        }
    }
    Datum::Bool(matches!(op, RowCompareOp::LessOrEqual | RowCompareOp::GreaterOrEqual))
}
