//! Calls of functions and aggregates.

use super::aggregate::AggregateParts;
use super::resolve::{Candidate, Given};
use super::scope::fold;
use super::{Binder, unsupported};
use crate::aggregate::AggregateFunction;
use crate::expr::{CallForm, Expr, ExprKind};
use crate::logical::SortKey;
use crate::parse::expr::Mark;
use sqlparser::ast::{self, FunctionArg, FunctionArgExpr, FunctionArguments};
use types::builtin::{Proc, ProcKind};
use types::{Oid, Result, SqlError, SqlState, SqlType, oid};

/// The arguments of a call as written.
#[derive(Default)]
pub(super) struct Arguments {
    pub(super) exprs: Vec<Expr>,
    pub(super) names: Vec<Option<String>>,
    pub(super) variadic_array: bool,
    /// `f(*)`.
    pub(super) star: bool,
}

impl Arguments {
    /// Clients of `{? = call f(?)}` send the place of the result as a parameter of type void: it is no argument.
    fn drop_out_parameters(&mut self) {
        let is_out = |arg: &Expr| arg.ty.oid == oid::VOID && matches!(arg.kind, ExprKind::Parameter(_));
        if self.exprs.iter().any(is_out) {
            let named = std::mem::take(&mut self.exprs).into_iter().zip(std::mem::take(&mut self.names));
            (self.exprs, self.names) = named.filter(|(arg, _)| !is_out(arg)).unzip();
        }
    }
}

impl Binder<'_> {
    pub(super) fn function_call(&mut self, call: &ast::Function, position: u32) -> Result<Expr> {
        let parts: Vec<_> = call.name.0.iter().filter_map(|p| p.as_ident()).collect();
        let Some(last) = parts.last() else { return Err(unsupported("this function name", position)) };
        let name = fold(last);
        let schema = schema_of(&call.name);
        let list = match &call.args {
            FunctionArguments::List(list) => list,
            FunctionArguments::None => return self.named_value(&name, None, position),
            FunctionArguments::Subquery(query) => return self.array_subquery(query, position),
        };
        let is_keyword = parts.len() == 1 && last.quote_style.is_none();
        if is_keyword && let Some(bound) = self.keyword_call(&name, call, list, position)? {
            return Ok(bound);
        }
        if !call.within_group.is_empty() {
            return self.ordered_set(&name, call, list, position);
        }
        let args = self.call_arguments(list)?;
        if schema.as_deref().is_none_or(|schema| schema == "pg_catalog")
            && let Some(cast) = self.literal_cast(&name, &args, position)
        {
            return cast;
        }
        let input: Vec<Oid> = args.exprs.iter().map(|a| a.ty.oid).collect();
        let given = Given { types: &input, names: &args.names, variadic_array: args.variadic_array };
        if let Some(user) = self.user_function(schema.as_deref(), &name, given, position)? {
            if user.item.function.aggregate().is_some() {
                return self.user_aggregate(user, args, list, call, position);
            }
            refuse_aggregate_clauses(&name, call, list).map_err(|e| e.at(position))?;
            let call = self.user_call(user, args, position)?;
            return self.user_value(call);
        }
        let chosen = match self.function_for(&name, given, position) {
            Ok(chosen) => chosen,
            Err(error) => return self.cast_call_form(&name, args.exprs, position).unwrap_or(Err(error)),
        };
        match chosen.item.kind {
            ProcKind::Aggregate | ProcKind::Window => {
                self.aggregate_or_window(&name, &chosen, args, list, call, position)
            }
            ProcKind::Function => {
                refuse_aggregate_clauses(&name, call, list).map_err(|e| e.at(position))?;
                let form = if call.uses_odbc_syntax { CallForm::SqlSyntax } else { CallForm::Function };
                let bound = self.complete_call(&chosen, args.exprs, form, position)?;
                let bound = self.populated(chosen.item, bound, position)?;
                if chosen.item.returns_set { self.set_returning(bound, position) } else { Ok(bound) }
            }
            _ => Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("{name} is a procedure")).at(position)),
        }
    }

    fn aggregate_or_window(
        &mut self,
        name: &str,
        chosen: &Candidate<&'static Proc>,
        args: Arguments,
        list: &ast::FunctionArgumentList,
        call: &ast::Function,
        position: u32,
    ) -> Result<Expr> {
        let wrong = |message: String| SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(position);
        let is_aggregate = chosen.item.kind == ProcKind::Aggregate;
        let is_ordered_set = types::builtin::aggregate(chosen.item.oid).is_some_and(|a| a.kind != 'n');
        if is_aggregate && is_ordered_set {
            return Err(wrong(format!("WITHIN GROUP is required for ordered-set aggregate {name}")));
        }
        if is_aggregate && list.args.is_empty() {
            return Err(wrong(format!("{name}(*) must be used to call a parameterless aggregate function")));
        }
        if chosen.variadic_array || args.names.iter().any(Option::is_some) {
            return Err(unsupported("an aggregate with arguments by name or VARIADIC", position));
        }
        let parts = self.aggregate_parts(args.exprs, list, call.filter.as_deref(), position)?;
        match &call.over {
            Some(over) => self.window_call(chosen, parts, over, position),
            None if is_aggregate => self.aggregate(chosen, parts, position),
            None => Err(wrong(format!("window function {name} requires an OVER clause"))),
        }
    }

    /// Calls that are no calls of functions: COALESCE, ROW, CURRENT_TIMESTAMP(3), OVERLAPS.
    fn keyword_call(
        &mut self,
        name: &str,
        call: &ast::Function,
        list: &ast::FunctionArgumentList,
        position: u32,
    ) -> Result<Option<Expr>> {
        Ok(Some(match name {
            "coalesce" | "greatest" | "least" | "nullif" => {
                let outer = self.lazy_in;
                if name == "coalesce" {
                    self.lazy_in = Some("COALESCE");
                }
                let args = self.call_arguments(list);
                self.lazy_in = outer;
                self.conditional(name, args?.exprs, position)?
            }
            "grouping" => {
                let args = self.call_arguments(list)?.exprs;
                self.grouping(args, position)?
            }
            "row" => {
                let fields: Vec<_> = list.args.iter().filter_map(super::row::argument).collect();
                self.row_of_fields(&fields, position)?
            }
            "current_time" | "current_timestamp" | "localtime" | "localtimestamp" => {
                let precision = match list.args.as_slice() {
                    [FunctionArg::Unnamed(FunctionArgExpr::Expr(ast::Expr::Value(value)))] => match &value.value {
                        ast::Value::Number(digits, _) => digits.parse().unwrap_or(i32::MAX),
                        _ => -1,
                    },
                    _ => -1,
                };
                self.named_value(name, Some(precision), position)?
            }
            "overlaps" if call.uses_odbc_syntax => {
                let mut args = vec![];
                for (arg, side) in list.args.iter().zip(["left", "right"]) {
                    let FunctionArg::Unnamed(FunctionArgExpr::Expr(row)) = arg else { continue };
                    let fields = self.row_fields(row).unwrap_or_default();
                    if fields.len() != 2 {
                        let message = format!("wrong number of parameters on {side} side of OVERLAPS expression");
                        let place = self.own_position(row);
                        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(place));
                    }
                    args.extend(self.expr_list(&fields)?);
                }
                self.sql_function("overlaps", args, position)?
            }
            _ => return Ok(None),
        }))
    }

    pub(super) fn call_arguments(&mut self, list: &ast::FunctionArgumentList) -> Result<Arguments> {
        self.argument_list(&list.args)
    }

    pub(super) fn argument_list(&mut self, list: &[FunctionArg]) -> Result<Arguments> {
        let mut args = Arguments::default();
        for (number, arg) in list.iter().enumerate() {
            let (name, arg) = match arg {
                FunctionArg::Unnamed(arg) => (None, arg),
                FunctionArg::Named { name, arg, .. } => (Some(name), arg),
                FunctionArg::ExprNamed { name: ast::Expr::Identifier(name), arg, .. } => (Some(name), arg),
                FunctionArg::ExprNamed { name, .. } => {
                    return Err(unsupported("this kind of argument", self.own_position(name)));
                }
            };
            let folded = name.map(fold);
            let place = name.map_or(0, |n| self.at(n.span));
            if folded.is_some() && args.names.contains(&folded) {
                let name = folded.unwrap_or_default();
                let message = format!("argument name \"{name}\" used more than once");
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(place));
            }
            match arg {
                FunctionArgExpr::Expr(ast::Expr::Named { name, expr }) if name.value == Mark::VARIADIC => {
                    args.variadic_array = true;
                    if number + 1 < list.len() {
                        return Err(unsupported("VARIADIC before the last argument", self.at(name.span)));
                    }
                    args.exprs.push(self.expr(expr)?);
                }
                FunctionArgExpr::Expr(arg) => args.exprs.push(self.expr(arg)?),
                FunctionArgExpr::QualifiedWildcard(name) => args.exprs.push(self.whole_row_of(name)?),
                FunctionArgExpr::Wildcard => args.star = true,
                FunctionArgExpr::WildcardWithOptions(_) => return Err(unsupported("this kind of argument", 0)),
            }
            if folded.is_none() && args.names.iter().any(Option::is_some) {
                let message = "positional argument cannot follow named argument";
                let place = args.exprs.last().map_or(0, |e| e.position);
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(place));
            }
            args.names.push(folded);
        }
        args.drop_out_parameters();
        Ok(args)
    }

    pub(super) fn plain_call(
        &mut self,
        chosen: &Candidate<&'static Proc>,
        args: Vec<Expr>,
        position: u32,
    ) -> Result<Expr> {
        let call = self.complete_call(chosen, args, CallForm::Function, position)?;
        self.populated(chosen.item, call, position)
    }

    /// The call with its arguments in order, defaults filled in and VARIADIC ones gathered.
    pub(super) fn complete_call(
        &mut self,
        chosen: &Candidate<&'static Proc>,
        mut args: Vec<Expr>,
        form: CallForm,
        position: u32,
    ) -> Result<Expr> {
        let proc = chosen.item;
        if let Some(gathered) = chosen.gathered {
            let tail = args.split_off(args.len().saturating_sub(gathered));
            args.push(self.gathered(proc.variadic, tail, position)?);
            return self.call(proc, &proc.args, proc.result, args, form, position);
        }
        let is_incomplete = args.len() < proc.args.len() && (proc.variadic == 0 || chosen.variadic_array);
        if is_incomplete || !chosen.places.is_empty() {
            args = self.with_defaults(chosen, args)?;
        }
        let declared = if args.len() == proc.args.len() { &proc.args[..] } else { &chosen.args[..] };
        if chosen.variadic_array
            && let Some(last) = args.last()
            && proc.variadic == oid::ANY
            && !last.ty.is_array()
        {
            let message = "VARIADIC argument must be an array";
            return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message).at(last.position));
        }
        let mut bound = self.call(proc, declared, proc.result, args, form, position)?;
        if let ExprKind::Call { variadic_array, .. } = &mut bound.kind {
            *variadic_array = chosen.variadic_array;
        }
        Ok(bound)
    }

    fn with_defaults(&mut self, chosen: &Candidate<&'static Proc>, args: Vec<Expr>) -> Result<Vec<Expr>> {
        let proc = chosen.item;
        let mut slots: Vec<Option<Expr>> = (0..proc.args.len()).map(|_| None).collect();
        for (number, arg) in args.into_iter().enumerate() {
            let place = chosen.places.get(number).copied().unwrap_or(number);
            if let Some(slot) = slots.get_mut(place) {
                *slot = Some(arg);
            }
        }
        let first_default = proc.args.len().saturating_sub(proc.defaults);
        let mut complete = vec![];
        for (place, slot) in slots.into_iter().enumerate() {
            complete.push(match slot {
                Some(arg) => arg,
                None => {
                    let text = place.checked_sub(first_default).and_then(|n| proc.default_exprs.split(", ").nth(n));
                    let text = text.ok_or_else(|| SqlError::internal("a parameter left out has a default"))?;
                    Expr { position: 0, ..self.stored(text)? }
                }
            });
        }
        Ok(complete)
    }

    /// `date('2024-01-01')`: a type's name before a literal of no type yet is a cast, whatever functions have that name.
    fn literal_cast(&mut self, name: &str, args: &Arguments, position: u32) -> Option<Result<Expr>> {
        let [Expr { kind: ExprKind::Const(_), ty: SqlType::UNKNOWN, .. }] = args.exprs.as_slice() else { return None };
        let is_plain = args.names.iter().all(Option::is_none) && !args.variadic_array && !args.star;
        if is_plain { self.cast_call_form(name, args.exprs.clone(), position) } else { None }
    }

    /// `text(x)`, `float8(x)`: a type's name called as a function is a cast.
    fn cast_call_form(&mut self, name: &str, args: Vec<Expr>, position: u32) -> Option<Result<Expr>> {
        let ty = types::builtin::type_by_name(name)?;
        let [arg] = <[Expr; 1]>::try_from(args).ok()?;
        // Of a row, text is no such cast.
        let is_row = arg.ty.oid == oid::RECORD || self.fields_of_type(arg.ty).is_some();
        if is_row && ty.category == 'S' {
            return None;
        }
        Some(self.explicit_cast(arg, SqlType::new(ty.oid), position))
    }

    /// CURRENT_DATE and others that are called without parentheses, some with a precision.
    fn named_value(&mut self, name: &str, precision: Option<i32>, position: u32) -> Result<Expr> {
        let (function, cast) = match name {
            "current_timestamp" => ("now", precision.map(|_| SqlType::TIMESTAMPTZ)),
            "current_date" => ("now", Some(SqlType::DATE)),
            "current_time" => ("now", Some(SqlType::TIMETZ)),
            "localtimestamp" => ("now", Some(SqlType::TIMESTAMP)),
            "localtime" => ("now", Some(SqlType::TIME)),
            "current_user" | "user" | "current_role" => ("current_user", None),
            "session_user" => ("session_user", None),
            "current_schema" => ("current_schema", None),
            "current_catalog" => ("current_database", None),
            _ => return Err(unsupported(name, position)),
        };
        let chosen = self.function(function, &[], position)?;
        let value = self.complete_call(&chosen, vec![], CallForm::SqlSyntax, position)?;
        match cast {
            // More digits than there are mean all of them.
            Some(ty) => {
                self.explicit_cast(value, SqlType::with_typmod(ty.oid, precision.map_or(-1, |p| p.min(6))), position)
            }
            None => Ok(value),
        }
    }

    /// `percentile_cont(0.5) WITHIN GROUP (ORDER BY x)`, and `rank(1) WITHIN GROUP (ORDER BY x)`.
    fn ordered_set(
        &mut self,
        name: &str,
        call: &ast::Function,
        list: &ast::FunctionArgumentList,
        position: u32,
    ) -> Result<Expr> {
        let wrong = |message: String| Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(position));
        if list.duplicate_treatment == Some(ast::DuplicateTreatment::Distinct) {
            let message = "cannot use DISTINCT with WITHIN GROUP";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
        }
        if !list.clauses.is_empty() {
            let message = "cannot use multiple ORDER BY clauses with WITHIN GROUP";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
        }
        let (args, mut keys, filter) = self.ordered_arguments(call, list)?;
        let direct = args.exprs.len();
        let mut exprs = args.exprs;
        exprs.extend(keys.iter().map(|k| k.expr.clone()));
        let input: Vec<Oid> = exprs.iter().map(|e| e.ty.oid).collect();
        let given = Given { types: &input, names: &[], variadic_array: args.variadic_array };
        let chosen = self.function_for(name, given, position)?;
        let proc = chosen.item;
        let kind = types::builtin::aggregate(proc.oid).map_or(' ', |a| a.kind);
        match kind {
            'o' | 'h' => {}
            'n' => return wrong(format!("{name} is not an ordered-set aggregate, so it cannot have WITHIN GROUP")),
            _ => return wrong(format!("WITHIN GROUP specified, but {name} is not an aggregate function")),
        }
        if call.over.is_some() {
            let message = format!("OVER is not supported for ordered-set aggregate {name}");
            return Err(SqlError::unsupported(message).at(position));
        }
        let (mut exprs, ty) = if kind == 'h' {
            if direct != keys.len() {
                let types: Vec<_> = input.iter().map(|t| self.type_name(SqlType::new(*t))).collect();
                let message = format!("function {name}({}) does not exist", types.join(", "));
                let hint = format!(
                    "To use the hypothetical-set aggregate {name}, the number of hypothetical direct arguments (here {direct}) must match the number of ordering columns (here {}).",
                    keys.len()
                );
                return Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, message).hint(hint).at(position));
            }
            (self.hypothetical(exprs, direct)?, SqlType::new(proc.result))
        } else {
            self.convert_args(&chosen.args, proc.result, exprs)?
        };
        for (key, expr) in keys.iter_mut().zip(exprs.split_off(direct)) {
            key.expr = expr;
        }
        let parts = AggregateParts { args: vec![], direct: exprs, distinct: false, order_by: keys, filter };
        self.require_implemented(proc, position)?;
        self.aggregate_of(AggregateFunction::Builtin(proc), parts, ty, position)
    }

    fn ordered_arguments(
        &mut self,
        call: &ast::Function,
        list: &ast::FunctionArgumentList,
    ) -> Result<(Arguments, Vec<SortKey>, Option<Expr>)> {
        let args = self.call_arguments(list)?;
        let mut keys = vec![];
        for by in &call.within_group {
            let expr = self.expr(&by.expr)?;
            let at = expr.position;
            keys.push(self.sort_key(expr, &by.options, at)?);
        }
        Ok((args, keys, self.filter_condition(call.filter.as_deref())?))
    }

    /// Each hypothetical value and the column that it is compared with are of one type.
    fn hypothetical(&mut self, exprs: Vec<Expr>, direct: usize) -> Result<Vec<Expr>> {
        let (mut values, mut columns) = (exprs, vec![]);
        columns.extend(values.split_off(direct));
        let (mut first, mut second) = (vec![], vec![]);
        for (value, column) in values.into_iter().zip(columns) {
            let (pair, _) = self.unify(vec![column, value], "WITHIN GROUP")?;
            let mut pair = pair.into_iter();
            second.extend(pair.next());
            first.extend(pair.next());
        }
        first.extend(second);
        Ok(first)
    }
}

/// The schema that a call names, if functions are looked for there: built-in ones are where they have always been, and so are
/// the helpers of information_schema's views, which drivers call (`_pg_expandarray`).
pub(super) fn schema_of(name: &ast::ObjectName) -> Option<String> {
    let parts: Vec<_> = name.0.iter().filter_map(|p| p.as_ident().map(fold)).collect();
    let [.., schema, function] = parts.as_slice() else { return None };
    match schema.as_str() {
        "pg_catalog" => None,
        "information_schema" if function.starts_with("_pg_") => None,
        _ => Some(schema.clone()),
    }
}

/// What only aggregates take.
fn refuse_aggregate_clauses(name: &str, call: &ast::Function, list: &ast::FunctionArgumentList) -> Result<()> {
    let is_star = matches!(list.args.as_slice(), [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]);
    let message = if is_star {
        format!("{name}(*) specified, but {name} is not an aggregate function")
    } else if list.duplicate_treatment == Some(ast::DuplicateTreatment::Distinct) {
        format!("DISTINCT specified, but {name} is not an aggregate function")
    } else if !list.clauses.is_empty() {
        format!("ORDER BY specified, but {name} is not an aggregate function")
    } else if call.filter.is_some() {
        format!("FILTER specified, but {name} is not an aggregate function")
    } else if call.over.is_some() {
        format!("OVER specified, but {name} is not a window function nor an aggregate function")
    } else {
        return Ok(());
    };
    Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message))
}
