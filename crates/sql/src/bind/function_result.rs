//! What a function returns, and its query's columns brought to that.

use super::Binder;
use super::callee::UserCall;
use super::query::BoundQuery;
use super::scope::Name;
use crate::expr::{CallForm, Expr, ExprKind};
use crate::logical::Node;
use catalog::FunctionBody;
use types::builtin::CastContext;
use types::{Datum, Result, SqlError, SqlState, SqlType, oid};

/// What a function gives.
pub(super) enum Shape {
    Void,
    Value(SqlType),
    /// Columns of known names and types: of the output parameters, or of a row type.
    Row {
        ty: SqlType,
        fields: Vec<(String, SqlType)>,
    },
    /// RETURNS record: the columns of its query.
    Open,
}

impl Binder<'_> {
    pub(super) fn shape(&self, call: &UserCall) -> Shape {
        match call.outputs.as_slice() {
            [] | [_] if call.result.oid == oid::VOID => Shape::Void,
            [] if call.result.oid == oid::RECORD => Shape::Open,
            [] | [_] => match self.fields_of_type(call.result) {
                Some(fields) => Shape::Row { ty: call.result, fields },
                None => Shape::Value(call.result),
            },
            outputs => {
                let name = |(at, (name, ty)): (usize, &(String, SqlType))| match name.as_str() {
                    "" => (format!("column{}", at + 1), *ty),
                    name => (name.to_owned(), *ty),
                };
                Shape::Row { ty: SqlType::RECORD, fields: outputs.iter().enumerate().map(name).collect() }
            }
        }
    }

    /// The final query's columns as what the function returns. 42P13 where they are not.
    pub(super) fn as_result(&mut self, query: &mut BoundQuery, shape: &Shape, body: &FunctionBody) -> Result<()> {
        let is_return = matches!(body, FunctionBody::Return { .. });
        match shape {
            Shape::Void if query.columns.len() == 1 => self.void_column(query),
            Shape::Void => {
                Err(SqlError::unsupported("a void function whose query has not one column is not supported"))
            }
            Shape::Open => Ok(()),
            Shape::Value(ty) => {
                let [column] = query.columns.as_slice() else {
                    return Err(self.mismatch(*ty, "Final statement must return exactly one column."));
                };
                let source = column.ty;
                let converted = self.converted_by_assignment(query, &[*ty])?;
                let actual = format!("Actual return type is {}.", self.type_name(source));
                converted.map_err(|_| self.mismatch(*ty, &actual))
            }
            Shape::Row { ty, fields } => {
                if let [column] = query.columns.as_slice()
                    && (column.ty == *ty || is_return)
                    && super::coerce::is_composite(column.ty.oid)
                {
                    return self.spread(query, fields);
                }
                self.as_fields(query, *ty, fields)
            }
        }
    }

    /// The one column that is a row, as its fields.
    fn spread(&mut self, query: &mut BoundQuery, fields: &[(String, SqlType)]) -> Result<()> {
        let Some(row) = query.columns.first().map(|c| Expr::column(c.id, c.ty)) else { return Ok(()) };
        let mut exprs = vec![];
        query.columns.clear();
        for (index, (name, ty)) in fields.iter().enumerate() {
            let id = self.new_column(name, *ty, 0, 0);
            exprs.push((id, Expr::new(ExprKind::Field { row: Box::new(row.clone()), index }, *ty, 0)));
            query.columns.push(Name { name: name.clone(), id, ty: *ty });
        }
        let input = Box::new(std::mem::replace(&mut query.node, Node::OneRow));
        query.node = Node::Project { input, exprs };
        query.positions = vec![0; query.columns.len()];
        Ok(())
    }

    fn as_fields(&mut self, query: &mut BoundQuery, ty: SqlType, fields: &[(String, SqlType)]) -> Result<()> {
        if query.columns.len() > fields.len() {
            return Err(self.mismatch(ty, "Final statement returns too many columns."));
        }
        let sources: Vec<SqlType> = query.columns.iter().map(|c| c.ty).collect();
        let types: Vec<SqlType> = fields.iter().take(sources.len()).map(|(_, ty)| *ty).collect();
        if let Err(at) = self.converted_by_assignment(query, &types)? {
            let name = |types: &[SqlType]| types.get(at).map(|ty| self.type_name(*ty)).unwrap_or_default();
            let (source, target) = (name(&sources), name(&types));
            let detail = format!("Final statement returns {source} instead of {target} at column {}.", at + 1);
            return Err(self.mismatch(ty, &detail));
        }
        if query.columns.len() < fields.len() {
            return Err(self.mismatch(ty, "Final statement returns too few columns."));
        }
        self.name_columns(query, fields);
        Ok(())
    }

    /// Columns of the fields' names: new ones where others have the name of what they come from.
    fn name_columns(&mut self, query: &mut BoundQuery, fields: &[(String, SqlType)]) {
        let mut exprs = vec![];
        let mut columns = std::mem::take(&mut query.columns);
        for (column, (name, _)) in columns.iter_mut().zip(fields) {
            column.name.clone_from(name);
            if self.columns.get(column.id.0 as usize).is_some_and(|info| info.name == *name) {
                continue;
            }
            let source = Expr::column(column.id, column.ty);
            column.id = self.new_column(name, column.ty, 0, 0);
            exprs.push((column.id, source));
        }
        query.columns = columns;
        if !exprs.is_empty() {
            let input = Box::new(std::mem::replace(&mut query.node, Node::OneRow));
            query.node = Node::Project { input, exprs };
        }
    }

    /// Converts the columns by assignment; the place of one that does not.
    fn converted_by_assignment(&mut self, query: &mut BoundQuery, types: &[SqlType]) -> Result<Result<(), usize>> {
        let mut exprs = vec![];
        let mut columns = query.columns.clone();
        for (at, (column, ty)) in columns.iter_mut().zip(types).enumerate() {
            if column.ty.oid == ty.oid {
                continue;
            }
            let source = Expr::column(column.id, column.ty);
            let Some(expr) = self.try_coerce(source, *ty, CastContext::Assignment, CallForm::ImplicitCast)? else {
                return Ok(Err(at));
            };
            column.id = self.new_column(&column.name, *ty, 0, 0);
            column.ty = *ty;
            exprs.push((column.id, expr));
        }
        query.columns = columns;
        if !exprs.is_empty() {
            let input = Box::new(std::mem::replace(&mut query.node, Node::OneRow));
            query.node = Node::Project { input, exprs };
        }
        Ok(Ok(()))
    }

    /// What a void function computes, as text that nobody reads.
    fn void_column(&mut self, query: &mut BoundQuery) -> Result<()> {
        let Some(column) = query.columns.first().cloned() else { return Ok(()) };
        let value = Expr::column(column.id, column.ty);
        let is_null = ExprKind::IsNull { arg: Box::new(value), negated: false, of_row: false };
        let branches = vec![(Expr::new(is_null, SqlType::BOOL, 0), Expr::constant(Datum::Null, SqlType::TEXT))];
        let otherwise = Some(Box::new(Expr::constant(Datum::text(""), SqlType::TEXT)));
        let expr = Expr::new(ExprKind::Case { operand: None, branches, otherwise }, SqlType::TEXT, 0);
        let id = self.new_column("void", SqlType::TEXT, 0, 0);
        let input = Box::new(std::mem::replace(&mut query.node, Node::OneRow));
        query.node = Node::Project { input, exprs: vec![(id, expr)] };
        query.columns = vec![Name { name: "void".to_owned(), id, ty: SqlType::TEXT }];
        Ok(())
    }

    pub(super) fn mismatch(&self, declared: SqlType, detail: &str) -> SqlError {
        let name = self.type_name(declared);
        let message = format!("return type mismatch in function declared to return {name}");
        SqlError::new(SqlState::INVALID_FUNCTION_DEFINITION, message).detail(detail)
    }
}
