//! Expressions: from syntax to typed trees.

use super::{Binder, PARAMETERS_MAX, start, unsupported};
use crate::expr::{BoolTest, Expr, ExprKind};
use crate::parse::expr::operator_spelling;
use sqlparser::ast::Spanned;
use sqlparser::ast::{self, BinaryOperator as Op, Expr as Ast, UnaryOperator as Unary, Value};
use types::{Datum, Result, SqlError, SqlState, SqlType, oid};

impl Binder<'_> {
    pub(super) fn expr(&mut self, syntax: &Ast) -> Result<Expr> {
        crate::stop::check()?;
        match syntax {
            Ast::Prefixed { prefix, value } => {
                let position = self.at(prefix.span);
                let bound = self.expr_at(value, position, &prefix.value)?;
                Ok(bound)
            }
            other => {
                let position = self.own_position(other);
                self.expr_at(other, position, "")
            }
        }
    }

    /// Where the token of a node stands that the parser did not mark.
    pub(super) fn own_position(&self, syntax: &Ast) -> u32 {
        match syntax {
            Ast::Prefixed { prefix, .. } => self.at(prefix.span),
            Ast::Named { name, .. } => self.at(name.span),
            Ast::Nested(inner) => self.own_position(inner),
            Ast::Case { case_token, .. } => self.at(case_token.0.span),
            Ast::Function(call) => self.at(call.name.span()),
            Ast::BinaryOp { .. } => 0,
            other => self.at(start::of_expr(other)),
        }
    }

    /// `position` is that of the node's own token: its operator, keyword or name.
    fn expr_at(&mut self, syntax: &Ast, position: u32, mark: &str) -> Result<Expr> {
        match syntax {
            Ast::Prefixed { .. } => self.expr(syntax),
            Ast::Nested(inner) => self.expr(inner),
            Ast::Identifier(name) => self.column(std::slice::from_ref(name)),
            Ast::CompoundIdentifier(parts) => self.column(parts),
            Ast::Value(value) => self.value(&value.value, self.at(value.span)),
            Ast::BinaryOp { op: Op::And | Op::Or, .. } => self.and_or(syntax),
            Ast::BinaryOp { left, op, right } => self.binary_op(left, op, right, position),
            Ast::UnaryOp { op, expr } => self.unary_op(*op, expr, position),
            Ast::Named { name, expr } => {
                let arg = self.expr(expr)?;
                self.prefix(&name.value, arg, position)
            }
            Ast::Cast { kind: ast::CastKind::Cast | ast::CastKind::DoubleColon, expr, data_type, format } => {
                let place = match format {
                    Some(ast::CastFormat::Value(value)) => self.at(value.span),
                    _ => position,
                };
                let target = self.data_type(data_type, place)?;
                if target.is_array()
                    && let Some((elements, span)) = super::array::elements_of(expr)
                {
                    let place = span.map_or(position, |s| self.at(s));
                    let start = [place, position].into_iter().filter(|p| *p > 0).min().unwrap_or(0);
                    return Ok(Expr { position: start, ..self.array(elements, Some(target), place)? });
                }
                let expr = self.expr(expr)?;
                // A row that is written out becomes one where it is cast.
                let is_row = matches!(expr.kind, ExprKind::Row { .. }) && self.fields_of_type(target).is_some();
                let start = if is_row { position } else { leftmost(position, [&expr]) };
                Ok(Expr { position: start, ..self.explicit_cast(expr, target, position)? })
            }
            Ast::TypedString(typed) => {
                let mut target = self.data_type(&typed.data_type, position)?;
                // Of a literal, a length that is not given is not 1.
                if matches!(
                    typed.data_type,
                    ast::DataType::Bit(None) | ast::DataType::Char(None) | ast::DataType::Character(None)
                ) {
                    target.typmod = -1;
                }
                let value = self.value(&typed.value.value, self.at(typed.value.span))?;
                Ok(Expr { position, ..self.explicit_cast(value, target, position)? })
            }
            // So sqlparser reads a string in a window's frame.
            Ast::Interval(interval) if interval.leading_field.is_none() && interval.last_field.is_none() => {
                self.expr(&interval.value)
            }
            Ast::IsNull(arg) => self.is_null(arg, false, position),
            Ast::IsNotNull(arg) => self.is_null(arg, true, position),
            Ast::IsTrue(arg) => self.bool_test(arg, BoolTest::IsTrue, "IS TRUE", position),
            Ast::IsNotTrue(arg) => self.bool_test(arg, BoolTest::IsNotTrue, "IS NOT TRUE", position),
            Ast::IsFalse(arg) => self.bool_test(arg, BoolTest::IsFalse, "IS FALSE", position),
            Ast::IsNotFalse(arg) => self.bool_test(arg, BoolTest::IsNotFalse, "IS NOT FALSE", position),
            Ast::IsUnknown(arg) => self.bool_test(arg, BoolTest::IsUnknown, "IS UNKNOWN", position),
            Ast::IsNotUnknown(arg) => self.bool_test(arg, BoolTest::IsNotUnknown, "IS NOT UNKNOWN", position),
            Ast::Function(function) => self.function_call(function, position),
            other => self.sugar(other, position, mark),
        }
    }

    /// A chain of AND or OR, flattened without recursion along it.
    fn and_or(&mut self, syntax: &Ast) -> Result<Expr> {
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
        let position = leftmost(0, &terms);
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
            Value::SingleQuotedByteStringLiteral(bits) => self.bits(bits, position),
            Value::HexStringLiteral(digits) => {
                let mut bits = String::with_capacity(4 * digits.len());
                for digit in types::stop::each(digits.chars(), 4) {
                    let digit = digit?;
                    let Some(value) = digit.to_digit(16) else {
                        let message = format!("\"{digit}\" is not a valid hexadecimal digit");
                        return Err(SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message).at(position));
                    };
                    bits.extend([8, 4, 2, 1].map(|bit| if value & bit == 0 { '0' } else { '1' }));
                }
                self.bits(&bits, position)
            }
            Value::NationalStringLiteral(s) => {
                let text = Expr::new(ExprKind::Const(Datum::text(s.as_str())), SqlType::UNKNOWN, position);
                self.explicit_cast(text, SqlType::BPCHAR, position)
            }
            _ => Err(unsupported("this kind of literal", position)),
        }
    }

    /// `B'101'`.
    fn bits(&self, bits: &str, position: u32) -> Result<Expr> {
        let ty = SqlType::new(oid::BIT);
        let value = types::io::input(ty, bits, &self.context.format).map_err(|e| e.at(position))?;
        Ok(Expr::new(ExprKind::Const(value), ty, position))
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
        if let Some(scope) = &self.function {
            return Self::body_parameter(scope, index).map(|value| Expr { position, ..value }).ok_or_else(|| {
                SqlError::new(SqlState::UNDEFINED_PARAMETER, format!("there is no parameter {name}")).at(position)
            });
        }
        if self.parameters.len() <= index {
            self.parameters.resize(index + 1, None);
        }
        let ty = self.parameters[index].unwrap_or(SqlType::UNKNOWN);
        let index = u16::try_from(index).unwrap_or(u16::MAX);
        Ok(Expr::new(ExprKind::Parameter(index), ty, position))
    }

    /// A type by its name; may be a domain.
    pub(super) fn data_type(&self, syntax: &ast::DataType, position: u32) -> Result<SqlType> {
        let found = catalog::names::type_by_text(&self.context.catalog, self.name_scope(), &syntax.to_string());
        found.map_err(|e| e.at(position))
    }

    fn binary_op(&mut self, left: &Ast, op: &Op, right: &Ast, position: u32) -> Result<Expr> {
        let name = operator_spelling(op).ok_or_else(|| unsupported(&format!("operator {op}"), position))?;
        let bound = self.comparison(left, &name, right, position)?;
        self.check_collations(left, right)?;
        Ok(bound)
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
        self.null_test(arg, negated, position)
    }

    pub(super) fn null_test(&mut self, arg: Expr, negated: bool, position: u32) -> Result<Expr> {
        // A parameter's type is not told by a test for NULL.
        let arg = if matches!(arg.kind, ExprKind::Parameter(_)) { arg } else { self.known(arg)? };
        let of_row = arg.ty.oid == oid::RECORD || self.fields_of_type(arg.ty).is_some();
        let position = leftmost(position, [&arg]);
        let kind = ExprKind::IsNull { arg: Box::new(arg), negated, of_row };
        Ok(Expr::new(kind, SqlType::BOOL, position))
    }

    fn bool_test(&mut self, arg: &Ast, test: BoolTest, name: &str, position: u32) -> Result<Expr> {
        let arg = self.expr(arg)?;
        let arg = Box::new(self.boolean(arg, name)?);
        let position = leftmost(position, [&*arg]);
        Ok(Expr::new(ExprKind::BoolTest { arg, test }, SqlType::BOOL, position))
    }
}

/// The leftmost place of an expression: of its own token and of its arguments, as far as they have one.
pub(super) fn leftmost<'e>(own: u32, args: impl IntoIterator<Item = &'e Expr>) -> u32 {
    let places = args.into_iter().map(|a| a.position).chain([own]);
    places.filter(|p| *p > 0).min().unwrap_or(0)
}
