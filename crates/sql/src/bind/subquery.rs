//! Subqueries in expressions: scalar ones, EXISTS, ARRAY, and comparisons with all rows of one.

use super::expr::leftmost;
use super::{Binder, operator, unsupported};
use crate::expr::{Expr, ExprKind, RowCompareOp};
use crate::logical::{Subquery, SubqueryKind};
use crate::parse::expr::operator_spelling;
use sqlparser::ast::{self, Expr as Ast};
use types::{Result, SqlError, SqlState, SqlType};

/// The query of `(SELECT …)` where nothing else is around it.
pub(super) fn query_of(syntax: &Ast) -> Option<&ast::Query> {
    match syntax {
        Ast::Prefixed { value, .. } => query_of(value),
        Ast::Nested(inner) => query_of(inner),
        Ast::Subquery(query) => Some(query),
        _ => None,
    }
}

impl Binder<'_> {
    /// The subquery, with the types of its columns.
    /// `position`: its keyword's, or that of the operator before it.
    fn subquery(&mut self, query: &ast::Query, kind: SubqueryKind, position: u32) -> Result<(Subquery, Vec<SqlType>)> {
        if let Some(place) = self.scopes.last().and_then(|scope| scope.clause.without_subqueries()) {
            return Err(SqlError::unsupported(format!("cannot use subquery in {place}")).at(position));
        }
        let place = self.enter_place(Some(super::with::Place::Subquery));
        let lazy_in = self.lazy_in.take();
        let bound = self.query(query);
        self.lazy_in = lazy_in;
        self.leave_place(place);
        let bound = bound?;
        let types = bound.columns.iter().map(|c| c.ty).collect();
        let output = bound.columns.iter().map(|c| c.id).collect();
        let tree = bound.tree.map(|tree| std::sync::Arc::new(*tree));
        Ok((Subquery { kind, plan: bound.node, output, correlated: bound.correlated, tree }, types))
    }

    pub(super) fn exists(&mut self, query: &ast::Query, position: u32) -> Result<Expr> {
        let subquery = self.subquery(query, SubqueryKind::Exists, position)?.0;
        Ok(Expr::new(ExprKind::Subquery(Box::new(subquery)), SqlType::BOOL, position))
    }

    fn one_column(types: &[SqlType], position: u32) -> Result<SqlType> {
        match types {
            [ty] => Ok(*ty),
            _ => {
                let message = "subquery must return only one column";
                Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position))
            }
        }
    }

    pub(super) fn scalar(&mut self, query: &ast::Query, position: u32) -> Result<Expr> {
        let (subquery, types) = self.subquery(query, SubqueryKind::Scalar, position)?;
        let ty = Self::one_column(&types, position)?;
        Ok(Expr::new(ExprKind::Subquery(Box::new(subquery)), ty, position))
    }

    /// The one row of a query as a record, and the types of its fields.
    pub(super) fn row_subquery(&mut self, query: &ast::Query, position: u32) -> Result<(Expr, Vec<SqlType>)> {
        let (subquery, types) = self.subquery(query, SubqueryKind::Row, position)?;
        Ok((Expr::new(ExprKind::Subquery(Box::new(subquery)), SqlType::RECORD, position), types))
    }

    /// `ARRAY(SELECT …)`: arrays of one type become a further dimension.
    pub(super) fn array_subquery(&mut self, query: &ast::Query, position: u32) -> Result<Expr> {
        let (subquery, types) = self.subquery(query, SubqueryKind::Array, position)?;
        let element = Self::one_column(&types, position)?;
        let Some(ty) = super::array::array_over(element) else {
            let name = self.type_name(element);
            let message = format!("could not find array type for data type {name}");
            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message).at(position));
        };
        Ok(Expr::new(ExprKind::Subquery(Box::new(subquery)), SqlType::new(ty.oid), position))
    }

    pub(super) fn quantified(
        &mut self,
        left: &Ast,
        op: &ast::BinaryOperator,
        right: &Ast,
        all: bool,
        position: u32,
    ) -> Result<Expr> {
        let name = operator_spelling(op).ok_or_else(|| unsupported(&format!("operator {op}"), position))?;
        if let Some(query) = query_of(right) {
            return self.any_all(left, &name, query, all, position);
        }
        let (left, array) = (self.expr(left)?, self.expr(right)?);
        self.any_array(&name, left, array, all, false, position)
    }

    /// `left op ANY/ALL (SELECT …)`; left may be a row.
    pub(super) fn any_all(
        &mut self,
        left: &Ast,
        name: &str,
        query: &ast::Query,
        all: bool,
        position: u32,
    ) -> Result<Expr> {
        let lefts = match self.row_fields(left) {
            Some(fields) => self.expr_list(&fields)?,
            None => vec![self.expr(left)?],
        };
        let (mut subquery, types) = self.subquery(query, SubqueryKind::Exists, position)?;
        if lefts.len() != types.len() {
            let message = if lefts.len() < types.len() {
                "subquery has too many columns"
            } else {
                "subquery has too few columns"
            };
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
        }
        let start = leftmost(position, &lefts);
        let rights = subquery.output.iter().zip(types).map(|(id, ty)| Expr::column(*id, ty)).collect();
        let comparison = self.compare_rows(name, lefts, rights, position)?;
        subquery.kind = SubqueryKind::AnyAll { comparison, all };
        Ok(Expr::new(ExprKind::Subquery(Box::new(subquery)), SqlType::BOOL, start))
    }

    /// `(a, b) op (c, d)`, field by field.
    pub(super) fn compare_rows(
        &mut self,
        name: &str,
        left: Vec<Expr>,
        right: Vec<Expr>,
        position: u32,
    ) -> Result<Expr> {
        if left.is_empty() {
            let message = "cannot compare rows of zero length";
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(position));
        }
        let count = left.len();
        let mut pairs = vec![];
        for (l, r) in left.into_iter().zip(right) {
            let pair = self.binary(name, l, r, position)?;
            if pair.ty.oid != types::oid::BOOL {
                let ty = self.type_name(pair.ty);
                let message = format!("row comparison operator must yield type boolean, not type {ty}");
                return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message).at(position));
            }
            pairs.push(pair);
        }
        if count == 1 {
            return pairs.pop().ok_or_else(|| SqlError::internal("a row of one field has one"));
        }
        let start = leftmost(position, &pairs);
        let is_call = |pair: &Expr| matches!(pair.kind, ExprKind::Call { .. });
        let op = match operator::bare(name) {
            // A user's operator is in no family that would order rows.
            other if !pairs.iter().all(is_call) => return Err(no_row_comparison(other).at(position)),
            "=" => return Ok(Expr::new(ExprKind::And(pairs), SqlType::BOOL, start)),
            "<>" => return Ok(Expr::new(ExprKind::Or(pairs), SqlType::BOOL, start)),
            "<" => RowCompareOp::Less,
            "<=" => RowCompareOp::LessOrEqual,
            ">" => RowCompareOp::Greater,
            ">=" => RowCompareOp::GreaterOrEqual,
            other => return Err(no_row_comparison(other).at(position)),
        };
        let (mut operators, mut left, mut right) = (vec![], vec![], vec![]);
        for pair in pairs {
            let ExprKind::Call { args, form: crate::expr::CallForm::Operator(operator), .. } = pair.kind else {
                return Err(SqlError::internal("a comparison is a call of an operator"));
            };
            let Ok([l, r]) = <[Expr; 2]>::try_from(args) else {
                return Err(SqlError::internal("a comparison has two arguments"));
            };
            operators.push(operator);
            left.push(l);
            right.push(r);
        }
        Ok(Expr::new(ExprKind::RowCompare { op, operators, left, right }, SqlType::BOOL, start))
    }
}

fn no_row_comparison(name: &str) -> SqlError {
    SqlError::unsupported(format!("could not determine interpretation of row comparison operator {name}"))
        .hint("Row comparison operators must be associated with btree operator families.")
}
