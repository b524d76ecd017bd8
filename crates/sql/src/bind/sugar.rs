//! SQL's own syntax in expressions: IN, BETWEEN, LIKE, CASE, COALESCE, EXTRACT, subqueries and their like.

use super::expr::operator_name;
use super::{Binder, unsupported};
use crate::expr::{CallForm, Expr, ExprKind};
use crate::logical::{Subquery, SubqueryKind};
use sqlparser::ast::{self, Expr as Ast, InTarget};
use types::{Datum, Result, SqlError, SqlState, SqlType};

impl Binder<'_> {
    pub(super) fn sugar(&mut self, syntax: &Ast, position: u32) -> Result<Expr> {
        match syntax {
            Ast::In { expr, target: InTarget::List(list), negated, .. } => self.in_list(expr, list, *negated, position),
            Ast::In { expr, target: InTarget::Subquery(query), negated, .. } => {
                let found = self.any_all(expr, "=", query, false, position)?;
                Ok(negate(found, *negated))
            }
            Ast::Between { expr, negated, low, high } => self.between(expr, low, high, *negated, position),
            Ast::Like { negated, any: false, expr, pattern, escape_char } => {
                let name = if *negated { "!~~" } else { "~~" };
                self.like(name, expr, pattern, escape_char.as_deref(), position)
            }
            Ast::ILike { negated, any: false, expr, pattern, escape_char } => {
                let name = if *negated { "!~~*" } else { "~~*" };
                self.like(name, expr, pattern, escape_char.as_deref(), position)
            }
            Ast::IsDistinctFrom(left, right) => self.distinct(left, right, false, position),
            Ast::IsNotDistinctFrom(left, right) => self.distinct(left, right, true, position),
            Ast::Case { operand, conditions, else_result, .. } => {
                let outer = self.lazy_in.replace("CASE");
                let bound = self.case(operand.as_deref(), conditions, else_result.as_deref(), position);
                self.lazy_in = outer;
                bound
            }
            Ast::AnyOp { left, compare_op, right, .. } => self.quantified(left, compare_op, right, false, position),
            Ast::AllOp { left, compare_op, right } => self.quantified(left, compare_op, right, true, position),
            Ast::Exists { subquery, negated } => {
                let subquery = self.subquery(subquery, SubqueryKind::Exists)?.0;
                let exists = Expr::new(ExprKind::Subquery(Box::new(subquery)), SqlType::BOOL, position);
                Ok(negate(exists, *negated))
            }
            Ast::Subquery(query) => self.scalar(query, position),
            Ast::Array(array) => self.array(&array.elem, position),
            Ast::Extract { field, expr, .. } => {
                let field =
                    Expr::constant(Datum::text(field.to_string().to_lowercase().trim_matches('\'')), SqlType::TEXT);
                let arg = self.expr(expr)?;
                self.sql_function("extract", vec![field, arg], position)
            }
            Ast::AtTimeZone { timestamp, time_zone } => {
                let (value, zone) = (self.expr(timestamp)?, self.expr(time_zone)?);
                self.sql_function("timezone", vec![zone, value], position)
            }
            Ast::Position { expr, r#in } => {
                let (what, text) = (self.expr(expr)?, self.expr(r#in)?);
                self.sql_function("position", vec![text, what], position)
            }
            Ast::Substring { expr, substring_from, substring_for, .. } => {
                let mut args = vec![self.expr(expr)?];
                match (substring_from, substring_for) {
                    (None, Some(_)) => args.push(Expr::constant(Datum::Int4(1), SqlType::INT4)),
                    (Some(from), _) => args.push(self.expr(from)?),
                    (None, None) => {}
                }
                if let Some(length) = substring_for {
                    args.push(self.expr(length)?);
                }
                self.sql_function("substring", args, position)
            }
            Ast::Trim { trim_where, trim_what, expr, trim_characters: None } => {
                let name = match trim_where {
                    None | Some(ast::TrimWhereField::Both) => "btrim",
                    Some(ast::TrimWhereField::Leading) => "ltrim",
                    Some(ast::TrimWhereField::Trailing) => "rtrim",
                };
                let mut args = vec![self.expr(expr)?];
                if let Some(what) = trim_what {
                    args.push(self.expr(what)?);
                }
                self.sql_function(name, args, position)
            }
            Ast::Ceil { expr, field: ast::CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime) } => {
                let arg = self.expr(expr)?;
                self.sql_function("ceil", vec![arg], position)
            }
            Ast::Floor { expr, field: ast::CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime) } => {
                let arg = self.expr(expr)?;
                self.sql_function("floor", vec![arg], position)
            }
            _ => Err(unsupported("this kind of expression", position)),
        }
    }

    fn sql_function(&mut self, name: &str, args: Vec<Expr>, position: u32) -> Result<Expr> {
        let input: Vec<_> = args.iter().map(|a| a.ty.oid).collect();
        let chosen = self.function(name, &input, position)?;
        self.call(chosen.item, &chosen.args, chosen.item.result, args, CallForm::SqlSyntax, position)
    }

    fn in_list(&mut self, left: &Ast, list: &[Ast], negated: bool, position: u32) -> Result<Expr> {
        if matches!(left, Ast::Tuple(_)) {
            return Err(unsupported("IN of rows", position));
        }
        let left = self.expr(left)?;
        let items = list.iter().map(|item| self.expr(item)).collect::<Result<Vec<_>>>()?;
        let mut types: Vec<_> = vec![(left.ty, left.position)];
        types.extend(items.iter().map(|e| (e.ty, e.position)));
        // Alike items are one array; others are compared one by one, each with its own operator.
        if let Ok(ty) = self.common_type(&types, "IN")
            && let Some(array) = ty.array()
        {
            let left = self.implicit_as(left, ty, "IN")?;
            let elements = items.into_iter().map(|e| self.implicit_as(e, ty, "IN")).collect::<Result<_>>()?;
            let array = Expr::new(ExprKind::Array { elements, nested: false }, array, position);
            let name = if negated { "<>" } else { "=" };
            return self.any_array(name, left, array, negated, true, position);
        }
        let mut terms = vec![];
        for item in items {
            terms.push(self.binary("=", left.clone(), item, position)?);
        }
        Ok(negate(Expr::new(ExprKind::Or(terms), SqlType::BOOL, position), negated))
    }

    /// `left op ANY/ALL (array)`.
    fn any_array(
        &mut self,
        name: &str,
        left: Expr,
        array: Expr,
        all: bool,
        is_in_list: bool,
        position: u32,
    ) -> Result<Expr> {
        let array = match array.ty.oid {
            types::oid::UNKNOWN => {
                let ty = left.ty.array().ok_or_else(|| unsupported("an array of this type", position))?;
                self.implicit(array, SqlType::new(ty.oid))?
            }
            _ => array,
        };
        let Some(element) = array.ty.element() else {
            let message = "op ANY/ALL (array) requires array on right side";
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(position));
        };
        let operator = self.binary_operator(name, left.ty, element, position)?;
        if let Some(proc) = types::builtin::proc_by_oid(operator.proc) {
            self.require_implemented(proc, position)?;
        }
        let concrete = |declared: types::Oid, actual: SqlType| match super::coerce::is_polymorphic(declared) {
            true => actual,
            false => SqlType::new(declared),
        };
        let left_type = concrete(operator.left, if left.ty.oid == types::oid::UNKNOWN { element } else { left.ty });
        let element_type = concrete(operator.right, element);
        let left = self.implicit(left, left_type)?;
        let target = element_type.array().ok_or_else(|| unsupported("an array of this type", position))?;
        let array = self.implicit(array, SqlType::new(target.oid))?;
        let (left, array) = (Box::new(left), Box::new(array));
        Ok(Expr::new(ExprKind::AnyAll { operator, left, array, all, is_in_list }, SqlType::BOOL, position))
    }

    fn quantified(
        &mut self,
        left: &Ast,
        op: &ast::BinaryOperator,
        right: &Ast,
        all: bool,
        position: u32,
    ) -> Result<Expr> {
        let name = operator_name(op).ok_or_else(|| unsupported(&format!("operator {op}"), position))?;
        if let Ast::Subquery(query) = right {
            return self.any_all(left, &name, query, all, position);
        }
        let (left, array) = (self.expr(left)?, self.expr(right)?);
        self.any_array(&name, left, array, all, false, position)
    }

    fn between(&mut self, arg: &Ast, low: &Ast, high: &Ast, negated: bool, position: u32) -> Result<Expr> {
        let (arg, low, high) = (self.expr(arg)?, self.expr(low)?, self.expr(high)?);
        let above = self.binary(">=", arg.clone(), low, position)?;
        let below = self.binary("<=", arg, high, position)?;
        Ok(negate(Expr::new(ExprKind::And(vec![above, below]), SqlType::BOOL, position), negated))
    }

    fn like(&mut self, name: &str, left: &Ast, right: &Ast, escape: Option<&Ast>, position: u32) -> Result<Expr> {
        let (left, mut right) = (self.expr(left)?, self.expr(right)?);
        if let Some(escape) = escape {
            let escape = self.expr(escape)?;
            right = self.sql_function("like_escape", vec![right, escape], position)?;
        }
        self.binary(name, left, right, position)
    }

    fn distinct(&mut self, left: &Ast, right: &Ast, negated: bool, position: u32) -> Result<Expr> {
        let (left, right) = (self.expr(left)?, self.expr(right)?);
        let (equal, left, right) = self.equality(left, right, position)?;
        Ok(Expr::new(ExprKind::Distinct { equal, left, right, negated }, SqlType::BOOL, position))
    }

    /// The `=` of two expressions, and them as it takes them.
    fn equality(
        &mut self,
        left: Expr,
        right: Expr,
        position: u32,
    ) -> Result<(&'static types::builtin::Operator, Box<Expr>, Box<Expr>)> {
        let equal = self.binary_operator("=", left.ty, right.ty, position)?;
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
                    let value = Expr::new(ExprKind::CaseValue, value.ty, value.position);
                    self.binary("=", value, condition, position)?
                }
                None => self.boolean(condition, "CASE/WHEN")?,
            });
            results.push(self.expr(&when.result)?);
        }
        let has_otherwise = otherwise.is_some();
        if let Some(otherwise) = otherwise {
            results.push(self.expr(otherwise)?);
        }
        let (mut results, ty) = self.unify(results, "CASE")?;
        let otherwise = if has_otherwise { results.pop().map(Box::new) } else { None };
        let branches = tests.into_iter().zip(results).collect();
        Ok(Expr::new(ExprKind::Case { operand: operand.map(Box::new), branches, otherwise }, ty, position))
    }

    pub(super) fn conditional(&mut self, name: &str, args: Vec<Expr>, position: u32) -> Result<Expr> {
        if name == "nullif" {
            let [left, right] = <[Expr; 2]>::try_from(args)
                .map_err(|_| SqlError::new(SqlState::SYNTAX_ERROR, "NULLIF takes two arguments").at(position))?;
            let left = self.known(left)?;
            let (equal, left, right) = self.equality(left, right, position)?;
            let ty = left.ty;
            return Ok(Expr::new(ExprKind::NullIf { equal, left, right }, ty, position));
        }
        let (args, ty) = self.unify(args, &name.to_uppercase())?;
        let kind = match name {
            "coalesce" => ExprKind::Coalesce(args),
            _ => ExprKind::Extremum { greatest: name == "greatest", args },
        };
        Ok(Expr::new(kind, ty, position))
    }

    fn array(&mut self, elements: &[Ast], position: u32) -> Result<Expr> {
        if elements.is_empty() {
            let message = "cannot determine type of empty array";
            return Err(SqlError::new(SqlState::INDETERMINATE_DATATYPE, message)
                .hint("Explicitly cast to the desired type, for example ARRAY[]::integer[].")
                .at(position));
        }
        let elements = elements.iter().map(|e| self.expr(e)).collect::<Result<Vec<_>>>()?;
        let (elements, element) = self.unify(elements, "ARRAY")?;
        let nested = element.is_array();
        let ty = if nested { Some(element) } else { element.array() };
        let ty = ty.ok_or_else(|| unsupported("an array of this type", position))?;
        Ok(Expr::new(ExprKind::Array { elements, nested }, ty, position))
    }

    // --- subqueries

    /// The subquery, with the types of its columns.
    fn subquery(&mut self, query: &ast::Query, kind: SubqueryKind) -> Result<(Subquery, Vec<SqlType>)> {
        let place = self.enter_place(Some(super::with::Place::Subquery));
        let lazy_in = self.lazy_in.take();
        let bound = self.query(query);
        self.lazy_in = lazy_in;
        self.leave_place(place);
        let bound = bound?;
        let types = bound.columns.iter().map(|c| c.ty).collect();
        let output = bound.columns.iter().map(|c| c.id).collect();
        Ok((Subquery { kind, plan: bound.node, output, correlated: bound.correlated }, types))
    }

    fn scalar(&mut self, query: &ast::Query, position: u32) -> Result<Expr> {
        let (subquery, types) = self.subquery(query, SubqueryKind::Scalar)?;
        let [ty] = types.as_slice() else {
            let message = "subquery must return only one column";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
        };
        Ok(Expr::new(ExprKind::Subquery(Box::new(subquery)), *ty, position))
    }

    fn any_all(&mut self, left: &Ast, name: &str, query: &ast::Query, all: bool, position: u32) -> Result<Expr> {
        let lefts = match left {
            Ast::Tuple(fields) => fields.iter().map(|f| self.expr(f)).collect::<Result<Vec<_>>>()?,
            one => vec![self.expr(one)?],
        };
        let (mut subquery, types) = self.subquery(query, SubqueryKind::Exists)?;
        if lefts.len() != types.len() {
            let message = if lefts.len() < types.len() {
                "subquery has too many columns"
            } else {
                "subquery has too few columns"
            };
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
        }
        if lefts.len() > 1 && name != "=" {
            return Err(unsupported("comparing rows with a subquery by this operator", position));
        }
        let mut terms = vec![];
        for (left, (id, ty)) in lefts.into_iter().zip(subquery.output.clone().into_iter().zip(types)) {
            terms.push(self.binary(name, left, Expr::column(id, ty), position)?);
        }
        let comparison = match terms.len() {
            1 => terms.remove(0),
            _ => Expr::new(ExprKind::And(terms), SqlType::BOOL, position),
        };
        subquery.kind = SubqueryKind::AnyAll { comparison, all };
        Ok(Expr::new(ExprKind::Subquery(Box::new(subquery)), SqlType::BOOL, position))
    }
}

fn negate(expr: Expr, negated: bool) -> Expr {
    if !negated {
        return expr;
    }
    let position = expr.position;
    Expr::new(ExprKind::Not(Box::new(expr)), SqlType::BOOL, position)
}
