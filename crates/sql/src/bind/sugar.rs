//! SQL's own syntax in expressions: IN, BETWEEN, IS DISTINCT FROM, CASE, COALESCE, COLLATE and their like.

use super::expr::leftmost;
use super::{Binder, unsupported};
use crate::expr::{CallForm, Expr, ExprKind};
use crate::parse::expr::Mark;
use catalog::operators::AnyOperator;
use sqlparser::ast::{self, Expr as Ast, InTarget};
use sqlparser::tokenizer::Span;
use types::{Datum, Oid, Result, SqlError, SqlState, SqlType, oid};

impl Binder<'_> {
    pub(super) fn sugar(&mut self, syntax: &Ast, position: u32, mark: &str) -> Result<Expr> {
        match syntax {
            Ast::In { expr, target: InTarget::List(list), negated, .. } => self.in_list(expr, list, *negated, position),
            Ast::In { expr, target: InTarget::Subquery(query), negated, .. } => {
                let found = self.any_all(expr, "=", query, false, position)?;
                Ok(negate(found, *negated))
            }
            Ast::Between { expr, negated, low, high } => {
                self.between(expr, low, high, mark == Mark::SYMMETRIC, *negated, position)
            }
            Ast::IsDistinctFrom(left, right) => self.distinct(left, right, false, position),
            Ast::IsNotDistinctFrom(left, right) => self.distinct(left, right, true, position),
            Ast::IsNormalized { expr, form, negated } => {
                let mut args = vec![self.expr(expr)?];
                args.extend(form.map(|f| Expr::constant(Datum::text(f.to_string().as_str()), SqlType::TEXT)));
                let found = self.sql_function("is_normalized", args, position)?;
                Ok(negate(found, *negated))
            }
            Ast::Case { operand, conditions, else_result, .. } => {
                let outer = self.lazy_in.replace("CASE");
                let bound = self.case(operand.as_deref(), conditions, else_result.as_deref(), position);
                self.lazy_in = outer;
                bound
            }
            Ast::AnyOp { left, compare_op, right, .. } => self.quantified(left, compare_op, right, false, position),
            Ast::AllOp { left, compare_op, right } => self.quantified(left, compare_op, right, true, position),
            Ast::Exists { subquery, .. } => self.exists(subquery, position),
            Ast::Subquery(query) => self.scalar(query, position),
            Ast::Array(array) => self.array(&array.elem, None, position),
            Ast::Tuple(fields) => self.row(fields, position),
            Ast::CompoundFieldAccess { root, access_chain } => self.indirection(root, access_chain),
            Ast::QualifiedWildcard(name, _) => self.whole_row_of(name),
            Ast::Collate { expr, collation } => self.collate(expr, collation, position),
            _ => Err(unsupported("this kind of expression", position)),
        }
    }

    pub(super) fn sql_function(&mut self, name: &str, args: Vec<Expr>, position: u32) -> Result<Expr> {
        let input: Vec<_> = args.iter().map(|a| a.ty.oid).collect();
        let chosen = self.function(name, &input, position)?;
        self.complete_call(&chosen, args, CallForm::SqlSyntax, position)
    }

    /// Items without columns of this query are one array; the others are compared one by one.
    fn in_list(&mut self, left: &Ast, list: &[Ast], negated: bool, position: u32) -> Result<Expr> {
        let name = if negated { "<>" } else { "=" };
        let left_is_row = self.row_fields(left).is_some();
        let mut terms = vec![];
        if left_is_row || list.iter().any(|item| self.row_fields(item).is_some()) {
            for item in list {
                terms.push(self.comparison(left, name, item, position)?);
            }
            return Ok(any_of(terms, negated));
        }
        let left = self.expr(left)?;
        let mut items = list.iter().map(|item| self.expr(item)).collect::<Result<Vec<_>>>()?;
        if super::hidden::is_field(&left) {
            items = items.into_iter().map(|item| self.lift(item)).collect::<Result<_>>()?;
        }
        let reads_row = |e: &Expr| e.any(&mut |n| matches!(n.kind, ExprKind::Column(_) | ExprKind::Subquery(_)));
        let (columns, values): (Vec<_>, Vec<_>) = items.into_iter().partition(reads_row);
        let mut single = columns;
        if values.len() > 1 {
            match self.in_array(name, &left, values, negated, position)? {
                Ok(term) => terms.push(term),
                Err(values) => single.splice(0..0, values).for_each(drop),
            }
        } else {
            single.splice(0..0, values).for_each(drop);
        }
        for item in single {
            terms.push(self.binary(name, left.clone(), item, position)?);
        }
        Ok(any_of(terms, negated))
    }

    /// The items as one array, or back again where they have no type in common.
    fn in_array(
        &mut self,
        name: &str,
        left: &Expr,
        items: Vec<Expr>,
        all: bool,
        position: u32,
    ) -> Result<std::result::Result<Expr, Vec<Expr>>> {
        let types: Vec<_> = std::iter::once(left).chain(&items).map(|e| (e.ty, e.position)).collect();
        let Some((ty, array)) = self.common_type(&types, "IN").ok().and_then(|ty| Some((ty, ty.array()?))) else {
            return Ok(Err(items));
        };
        // A user's operator is no operator over arrays.
        if ty.oid == oid::RECORD || matches!(self.meant(name, Some(left.ty), ty, position), Ok(AnyOperator::User(_))) {
            return Ok(Err(items));
        }
        let elements = items.into_iter().map(|e| self.implicit_as(e, ty, "IN")).collect::<Result<_>>()?;
        let array = Expr::new(ExprKind::Array { elements, nested: false }, SqlType::new(array.oid), position);
        self.any_array(name, left.clone(), array, all, true, position).map(Ok)
    }

    /// `left op ANY/ALL (array)`.
    pub(super) fn any_array(
        &mut self,
        name: &str,
        left: Expr,
        array: Expr,
        all: bool,
        is_in_list: bool,
        position: u32,
    ) -> Result<Expr> {
        let array = match array.ty.oid {
            oid::UNKNOWN => {
                let ty = left.ty.array().ok_or_else(|| unsupported("an array of this type", position))?;
                self.implicit(array, SqlType::new(ty.oid))?
            }
            _ => array,
        };
        let Some(element) = array.ty.element() else {
            let message = "op ANY/ALL (array) requires array on right side";
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(position));
        };
        let operator = self.builtin_operator(name, left.ty, element, position)?;
        if operator.result != oid::BOOL {
            let message = "op ANY/ALL (array) requires operator to yield boolean";
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(position));
        }
        if let Some(proc) = types::builtin::proc_by_oid(operator.proc) {
            self.require_implemented(proc, position)?;
        }
        let concrete = |declared: Oid, actual: SqlType| match super::coerce::is_polymorphic(declared) {
            true => actual,
            false => SqlType::new(declared),
        };
        let left_type = concrete(operator.left, if left.ty.oid == oid::UNKNOWN { element } else { left.ty });
        let element_type = concrete(operator.right, element);
        let left = self.implicit(left, left_type)?;
        let start = leftmost(position, [&left, &array]);
        let target = element_type.array().ok_or_else(|| unsupported("an array of this type", position))?;
        let array = self.implicit(array, SqlType::new(target.oid))?;
        let (left, array) = (Box::new(left), Box::new(array));
        Ok(Expr::new(ExprKind::AnyAll { operator, left, array, all, is_in_list }, SqlType::BOOL, start))
    }

    fn between(
        &mut self,
        arg: &Ast,
        low: &Ast,
        high: &Ast,
        symmetric: bool,
        negated: bool,
        position: u32,
    ) -> Result<Expr> {
        let (lower, upper, join): (_, _, fn(Vec<Expr>) -> ExprKind) = match negated {
            false => (">=", "<=", ExprKind::And),
            true => ("<", ">", ExprKind::Or),
        };
        let mut ranges = vec![];
        for (low, high) in [(low, high), (high, low)].into_iter().take(if symmetric { 2 } else { 1 }) {
            let ends = vec![self.comparison(arg, lower, low, position)?, self.comparison(arg, upper, high, position)?];
            let start = leftmost(position, &ends);
            ranges.push(Expr::new(join(ends), SqlType::BOOL, start));
        }
        match <[Expr; 1]>::try_from(ranges) {
            Ok([one]) => Ok(one),
            Err(both) => {
                let start = leftmost(position, &both);
                let kind = if negated { ExprKind::And(both) } else { ExprKind::Or(both) };
                Ok(Expr::new(kind, SqlType::BOOL, start))
            }
        }
    }

    fn distinct(&mut self, left: &Ast, right: &Ast, negated: bool, position: u32) -> Result<Expr> {
        if let (Some(left), Some(right)) = (self.row_fields(left), self.row_fields(right)) {
            let (left, right) = self.row_pair(&left, &right, position)?;
            let mut terms = vec![];
            for (left, right) in left.into_iter().zip(right) {
                let (equal, left, right) = self.equality(left, right, position)?;
                terms.push(Expr::new(ExprKind::Distinct { equal, left, right, negated }, SqlType::BOOL, position));
            }
            let kind = if negated { ExprKind::And(terms) } else { ExprKind::Or(terms) };
            return Ok(Expr::new(kind, SqlType::BOOL, position));
        }
        let (left, right) = (self.expr(left)?, self.expr(right)?);
        // With a NULL literal it is a test for NULL.
        let is_null = |e: &Expr| matches!(e.kind, ExprKind::Const(Datum::Null)) && e.ty.oid == oid::UNKNOWN;
        if is_null(&right) || is_null(&left) {
            let arg = if is_null(&right) { left } else { right };
            return self.null_test(arg, !negated, position);
        }
        let (equal, left, right) = self.equality(left, right, position)?;
        let start = leftmost(position, [&*left, &*right]);
        Ok(Expr::new(ExprKind::Distinct { equal, left, right, negated }, SqlType::BOOL, start))
    }

    /// The `=` of two expressions, and them as it takes them.
    fn equality(
        &mut self,
        left: Expr,
        right: Expr,
        position: u32,
    ) -> Result<(&'static types::builtin::Operator, Box<Expr>, Box<Expr>)> {
        let equal = self.builtin_operator("=", left.ty, right.ty, position)?;
        let call = self.apply(equal, vec![left, right], position)?;
        match call.kind {
            ExprKind::Call { args, .. } => match <[Expr; 2]>::try_from(args) {
                Ok([left, right]) => Ok((equal, Box::new(left), Box::new(right))),
                Err(_) => Err(SqlError::internal("an equality has two arguments")),
            },
            _ => Err(SqlError::internal("an equality is a call")),
        }
    }

    fn case(
        &mut self,
        operand: Option<&Ast>,
        conditions: &[ast::CaseWhen],
        otherwise: Option<&Ast>,
        position: u32,
    ) -> Result<Expr> {
        let operand = operand.map(|o| self.expr(o).and_then(|o| self.known(o))).transpose()?;
        let (mut tests, mut results) = (vec![], vec![]);
        for when in conditions {
            let condition = self.expr(&when.condition)?;
            tests.push(match &operand {
                Some(value) => {
                    let place = condition.position;
                    let value = Expr::new(ExprKind::CaseValue, value.ty, value.position);
                    let test = self.binary("=", value, condition, place)?;
                    self.boolean(test, "CASE/WHEN")?
                }
                None => self.boolean(condition, "CASE/WHEN")?,
            });
            results.push(self.expr(&when.result)?);
        }
        let last = match otherwise {
            Some(otherwise) => self.expr(otherwise)?,
            None => Expr::constant(Datum::Null, SqlType::UNKNOWN),
        };
        // What ELSE gives comes first when the types are compared.
        results.insert(0, last);
        let (mut results, ty) = self.unify(results, "CASE")?;
        let last = results.remove(0);
        let otherwise = otherwise.map(|_| Box::new(last));
        let branches = tests.into_iter().zip(results).collect();
        Ok(Expr::new(ExprKind::Case { operand: operand.map(Box::new), branches, otherwise }, ty, position))
    }

    pub(super) fn conditional(&mut self, name: &str, args: Vec<Expr>, position: u32) -> Result<Expr> {
        if name == "nullif" {
            let [left, right] = <[Expr; 2]>::try_from(args)
                .map_err(|_| SqlError::new(SqlState::SYNTAX_ERROR, "NULLIF takes two arguments").at(position))?;
            let left = if right.ty.oid == oid::UNKNOWN { self.known(left)? } else { left };
            let given = left.ty;
            let (equal, left, right) = self.equality(left, right, position)?;
            let ty = if given.oid == left.ty.oid { given } else { left.ty };
            return Ok(Expr::new(ExprKind::NullIf { equal, left, right }, ty, position));
        }
        let (args, ty) = self.unify(args, &name.to_uppercase())?;
        let kind = match name {
            "coalesce" => ExprKind::Coalesce(args),
            _ => {
                self.require_order(ty, position)?;
                ExprKind::Extremum { greatest: name == "greatest", args }
            }
        };
        Ok(Expr::new(kind, ty, position))
    }

    fn require_order(&self, ty: SqlType, position: u32) -> Result<()> {
        if self.own_operator("<", ty, ty).is_some() {
            return Ok(());
        }
        let name = self.type_name(ty);
        let message = format!("could not identify a comparison function for type {name}");
        Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, message).at(position))
    }

    /// 42P21 for operands that were given different collations, though they mean the same order here.
    pub(super) fn check_collations(&self, left: &Ast, right: &Ast) -> Result<()> {
        let (Some((one, _)), Some((other, span))) = (given_collation(left), given_collation(right)) else {
            return Ok(());
        };
        if one == other {
            return Ok(());
        }
        let message = format!("collation mismatch between explicit collations \"{one}\" and \"{other}\"");
        Err(SqlError::new(SqlState::COLLATION_MISMATCH, message).at(self.at(span)))
    }

    /// There is one order of strings, that of their bytes; the collations that mean it are accepted.
    fn collate(&mut self, arg: &Ast, collation: &ast::ObjectName, position: u32) -> Result<Expr> {
        let arg = self.expr(arg)?;
        let parts: Vec<_> = collation.0.iter().filter_map(|p| p.as_ident().map(super::scope::fold)).collect();
        check_collation(&parts, position)?;
        let is_collatable = arg.ty.oid == oid::UNKNOWN
            || arg.ty.is_string() && arg.ty.oid != oid::CHAR
            || arg.ty.element().is_some_and(|e| e.is_string() && e.oid != oid::CHAR);
        if !is_collatable {
            let name = self.type_name(arg.ty);
            let message = format!("collations are not supported by type {name}");
            return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message).at(position));
        }
        Ok(arg)
    }
}

/// The name in COLLATE where an operand is nothing else, and where it stands.
fn given_collation(syntax: &Ast) -> Option<(String, Span)> {
    match syntax {
        Ast::Nested(inner) => given_collation(inner),
        Ast::Prefixed { value, prefix } => match &**value {
            Ast::Collate { collation, .. } => {
                let name = collation.0.last().and_then(|p| p.as_ident()).map(super::scope::fold)?;
                Some((name, prefix.span))
            }
            inner => given_collation(inner),
        },
        _ => None,
    }
}

/// 42704 for collations that PostgreSQL would not have either, 0A000 for orders that are not those of bytes.
pub(super) fn check_collation(parts: &[String], position: u32) -> Result<()> {
    let name = match parts {
        [name] => name,
        [schema, name] if schema == "pg_catalog" => name,
        _ => return Err(unsupported("a collation of that schema", position)),
    };
    if matches!(name.as_str(), "C" | "POSIX" | "default" | "ucs_basic" | "C.UTF-8" | "C.utf8") {
        return Ok(());
    }
    let message = format!("collation \"{}\" for encoding \"UTF8\" does not exist", parts.join("."));
    Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message).at(position))
}

fn any_of(terms: Vec<Expr>, negated: bool) -> Expr {
    match <[Expr; 1]>::try_from(terms) {
        Ok([one]) => one,
        Err(terms) => {
            let start = leftmost(0, &terms);
            Expr::new(if negated { ExprKind::And(terms) } else { ExprKind::Or(terms) }, SqlType::BOOL, start)
        }
    }
}

pub(super) fn negate(expr: Expr, negated: bool) -> Expr {
    if !negated {
        return expr;
    }
    let position = expr.position;
    Expr::new(ExprKind::Not(Box::new(expr)), SqlType::BOOL, position)
}
