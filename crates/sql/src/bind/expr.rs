//! Expressions: from syntax to typed trees.

use super::scope::fold;
use super::{Binder, PARAMETERS_MAX, unsupported};
use crate::expr::{BoolTest, Expr, ExprKind};
use sqlparser::ast::Spanned;
use sqlparser::ast::{self, BinaryOperator as Op, Expr as Ast, UnaryOperator as Unary, Value};
use types::{Datum, Result, SqlError, SqlState, SqlType, oid, typename};

impl Binder<'_> {
    pub(super) fn expr(&mut self, syntax: &Ast) -> Result<Expr> {
        let position = self.at(syntax.span());
        match syntax {
            Ast::Nested(inner) => self.expr(inner),
            Ast::Identifier(name) => self.column(std::slice::from_ref(name)),
            Ast::CompoundIdentifier(parts) => self.column(parts),
            Ast::Value(value) => self.value(&value.value, self.at(value.span)),
            Ast::BinaryOp { op: Op::And | Op::Or, .. } => self.and_or(syntax),
            Ast::BinaryOp { left, op, right } => self.binary_op(left, op, right, position),
            Ast::UnaryOp { op, expr } => self.unary_op(*op, expr, position),
            Ast::Cast { kind: ast::CastKind::Cast | ast::CastKind::DoubleColon, expr, data_type, format: None } => {
                let target = self.data_type(data_type, position)?;
                let expr = self.expr(expr)?;
                self.explicit_cast(expr, target, position)
            }
            Ast::TypedString(typed) => {
                let target = self.data_type(&typed.data_type, position)?;
                let value = self.value(&typed.value.value, self.at(typed.value.span))?;
                self.explicit_cast(value, target, position)
            }
            Ast::Interval(interval) => self.interval(interval, position),
            Ast::IsNull(arg) => self.is_null(arg, false, position),
            Ast::IsNotNull(arg) => self.is_null(arg, true, position),
            Ast::IsTrue(arg) => self.bool_test(arg, BoolTest::IsTrue, "IS TRUE", position),
            Ast::IsNotTrue(arg) => self.bool_test(arg, BoolTest::IsNotTrue, "IS NOT TRUE", position),
            Ast::IsFalse(arg) => self.bool_test(arg, BoolTest::IsFalse, "IS FALSE", position),
            Ast::IsNotFalse(arg) => self.bool_test(arg, BoolTest::IsNotFalse, "IS NOT FALSE", position),
            Ast::IsUnknown(arg) => self.bool_test(arg, BoolTest::IsUnknown, "IS UNKNOWN", position),
            Ast::IsNotUnknown(arg) => self.bool_test(arg, BoolTest::IsNotUnknown, "IS NOT UNKNOWN", position),
            Ast::Function(function) => self.function_call(function, position),
            other => self.sugar(other, position),
        }
    }

    /// A chain of AND or OR, flattened without recursion along it.
    fn and_or(&mut self, syntax: &Ast) -> Result<Expr> {
        let position = self.at(syntax.span());
        let Ast::BinaryOp { op: chain, .. } = syntax else { return Err(SqlError::internal("AND or OR was expected")) };
        let name = if *chain == Op::And { "AND" } else { "OR" };
        let (mut pending, mut terms) = (vec![syntax], vec![]);
        while let Some(next) = pending.pop() {
            match next {
                Ast::BinaryOp { left, op, right } if op == chain => pending.extend([&**right, &**left]),
                term => {
                    let term = self.expr(term)?;
                    terms.push(self.boolean(term, name)?);
                }
            }
        }
        let kind = if name == "AND" { ExprKind::And(terms) } else { ExprKind::Or(terms) };
        Ok(Expr::new(kind, SqlType::BOOL, position))
    }

    pub(super) fn value(&mut self, value: &Value, position: u32) -> Result<Expr> {
        let constant = |datum, ty| Ok(Expr::new(ExprKind::Const(datum), ty, position));
        match value {
            Value::Number(digits, _) => self.number(digits, position),
            Value::SingleQuotedString(s) | Value::EscapedStringLiteral(s) | Value::UnicodeStringLiteral(s) => {
                constant(Datum::text(s.as_str()), SqlType::UNKNOWN)
            }
            Value::DollarQuotedString(s) => constant(Datum::text(s.value.as_str()), SqlType::UNKNOWN),
            Value::Boolean(b) => constant(Datum::Bool(*b), SqlType::BOOL),
            Value::Null => constant(Datum::Null, SqlType::UNKNOWN),
            Value::Placeholder(name) => self.parameter(name, position),
            _ => Err(unsupported("this kind of literal", position)),
        }
    }

    fn number(&mut self, digits: &str, position: u32) -> Result<Expr> {
        let digits = digits.replace('_', "");
        let (datum, ty) = if let Ok(n) = digits.parse::<i32>() {
            (Datum::Int4(n), SqlType::INT4)
        } else if let Ok(n) = digits.parse::<i64>() {
            (Datum::Int8(n), SqlType::INT8)
        } else {
            let read = types::io::input(SqlType::NUMERIC, &digits, &self.context.format);
            (read.map_err(|e| e.at(position))?, SqlType::NUMERIC)
        };
        Ok(Expr::new(ExprKind::Const(datum), ty, position))
    }

    fn parameter(&mut self, name: &str, position: u32) -> Result<Expr> {
        let number = name.strip_prefix('$').and_then(|n| n.parse::<usize>().ok());
        let Some(index) = number.filter(|n| (1..=PARAMETERS_MAX).contains(n)).map(|n| n - 1) else {
            return Err(
                SqlError::new(SqlState::UNDEFINED_PARAMETER, format!("there is no parameter {name}")).at(position)
            );
        };
        if self.parameters.len() <= index {
            self.parameters.resize(index + 1, None);
        }
        let ty = self.parameters[index].unwrap_or(SqlType::UNKNOWN);
        let index = u16::try_from(index).unwrap_or(u16::MAX);
        Ok(Expr::new(ExprKind::Parameter(index), ty, position))
    }

    /// PostgreSQL's type names, and row types of relations.
    pub(super) fn data_type(&self, syntax: &ast::DataType, position: u32) -> Result<SqlType> {
        let text = syntax.to_string();
        if let ast::DataType::Custom(name, modifiers) = syntax
            && modifiers.is_empty()
        {
            let parts: Vec<_> = name.0.iter().filter_map(|p| p.as_ident().map(fold)).collect();
            if let Some(row) = catalog::names::row_type(&self.context.catalog, self.name_scope(), &parts)? {
                return Ok(row);
            }
        }
        typename::parse(&text).map_err(|e| e.at(position))
    }

    fn interval(&mut self, interval: &ast::Interval, position: u32) -> Result<Expr> {
        if interval.leading_field.is_some() || interval.leading_precision.is_some() || interval.last_field.is_some() {
            return Err(unsupported("INTERVAL with fields", position));
        }
        let value = self.expr(&interval.value)?;
        self.explicit_cast(value, SqlType::INTERVAL, position)
    }

    fn binary_op(&mut self, left: &Ast, op: &Op, right: &Ast, position: u32) -> Result<Expr> {
        let name = operator_name(op).ok_or_else(|| unsupported(&format!("operator {op}"), position))?;
        let is_comparison = |e: &Ast| matches!(e, Ast::BinaryOp { op, .. } if is_comparison(op));
        if is_comparison_name(&name) && (is_comparison(left) || is_comparison(right)) {
            let message = format!("syntax error at or near \"{name}\"");
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
        }
        if matches!(left, Ast::Tuple(_)) || matches!(right, Ast::Tuple(_)) {
            return self.row_comparison(left, &name, right, position);
        }
        let left = self.expr(left)?;
        let right = self.expr(right)?;
        self.binary(&name, left, right, position)
    }

    /// `(a, b) = (c, d)` and `<>`; the orders are refused.
    fn row_comparison(&mut self, left: &Ast, name: &str, right: &Ast, position: u32) -> Result<Expr> {
        let (Ast::Tuple(left), Ast::Tuple(right)) = (left, right) else {
            return Err(unsupported("a comparison of a row with a value", position));
        };
        if left.len() != right.len() {
            let message = "unequal number of entries in row expressions";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
        }
        let mut pairs = vec![];
        for (l, r) in left.iter().zip(right) {
            let (l, r) = (self.expr(l)?, self.expr(r)?);
            pairs.push(self.binary(name, l, r, position)?);
        }
        let kind = match name {
            "=" => ExprKind::And(pairs),
            "<>" => ExprKind::Or(pairs),
            _ => return Err(unsupported("ordering rows", position)),
        };
        Ok(Expr::new(kind, SqlType::BOOL, position))
    }

    fn unary_op(&mut self, op: Unary, arg: &Ast, position: u32) -> Result<Expr> {
        let name = match op {
            Unary::Not => {
                let arg = self.expr(arg)?;
                let arg = self.boolean(arg, "NOT")?;
                return Ok(Expr::new(ExprKind::Not(Box::new(arg)), SqlType::BOOL, position));
            }
            Unary::Minus => {
                if let Ast::Value(value) = arg
                    && let Value::Number(digits, _) = &value.value
                {
                    return self.number(&format!("-{digits}"), position);
                }
                "-"
            }
            Unary::Plus => "+",
            Unary::BitwiseNot => "~",
            Unary::PGAbs => "@",
            Unary::PGSquareRoot => "|/",
            Unary::PGCubeRoot => "||/",
            _ => return Err(unsupported(&format!("operator {op}"), position)),
        };
        let arg = self.expr(arg)?;
        self.prefix(name, arg, position)
    }

    fn is_null(&mut self, arg: &Ast, negated: bool, position: u32) -> Result<Expr> {
        let arg = self.expr(arg)?;
        let arg = self.known(arg)?;
        let of_row = arg.ty.oid == oid::RECORD || self.context.catalog.relation_of_type(arg.ty.oid).is_some();
        let kind = ExprKind::IsNull { arg: Box::new(arg), negated, of_row };
        Ok(Expr::new(kind, SqlType::BOOL, position))
    }

    fn bool_test(&mut self, arg: &Ast, test: BoolTest, name: &str, position: u32) -> Result<Expr> {
        let arg = self.expr(arg)?;
        let arg = Box::new(self.boolean(arg, name)?);
        Ok(Expr::new(ExprKind::BoolTest { arg, test }, SqlType::BOOL, position))
    }
}

fn is_comparison(op: &Op) -> bool {
    matches!(op, Op::Eq | Op::NotEq | Op::Lt | Op::LtEq | Op::Gt | Op::GtEq)
}

fn is_comparison_name(name: &str) -> bool {
    matches!(name, "=" | "<>" | "<" | "<=" | ">" | ">=")
}

/// pg_operator's name. None where it is no operator of PostgreSQL's.
pub(super) fn operator_name(op: &Op) -> Option<String> {
    match op {
        Op::And | Op::Or | Op::Xor | Op::DuckIntegerDivide | Op::MyIntegerDivide | Op::Overlaps => None,
        Op::Match | Op::Regexp | Op::Glob | Op::Assignment | Op::Is | Op::IsNot => None,
        Op::PGCustomBinaryOperator(parts) => parts.last().cloned(),
        Op::Custom(name) => Some(name.clone()),
        other => Some(other.to_string()),
    }
}
