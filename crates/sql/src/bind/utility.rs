//! Whole statements: queries with their result columns, and the statements about the session.

use super::query::BoundQuery;
use super::rules::Written;
use super::scope::{Clause, Scope};
use super::{Binder, unsupported};
use crate::expr::{CallForm, Expr};
use crate::logical::{CommandTag, Query};
use crate::parse::{Lines, Statement, Syntax};
use crate::utility::ddl::Ddl;
use crate::utility::{Explained, Utility};
use crate::{BindContext, BoundKind, ResultColumn};
use sqlparser::ast::{self, SetExpr};
use types::builtin::CastContext;
use types::{Result, SqlError, SqlState, SqlType};

/// Arguments of EXECUTE, converted to the types of the prepared statement's parameters. 42804 where one does not convert.
pub fn coerce_arguments(args: Vec<Expr>, types: &[SqlType], context: &BindContext) -> Result<Vec<Expr>> {
    Binder::new(context, Lines::default()).coerce_all(args, types)
}

impl Statement {
    /// INSERT, UPDATE, DELETE or MERGE, with or without WITH.
    pub(crate) fn is_write(&self) -> bool {
        let Syntax::Sql(statement) = &self.syntax else { return false };
        match &**statement {
            ast::Statement::Query(query) => is_write(&query.body),
            _ => true,
        }
    }

    pub(crate) fn as_query(&self) -> Option<&ast::Query> {
        match &self.syntax {
            Syntax::Sql(statement) => match &**statement {
                ast::Statement::Query(query) => Some(query),
                _ => None,
            },
            _ => None,
        }
    }
}

fn is_write(body: &SetExpr) -> bool {
    matches!(body, SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_))
}

/// 0A000 for what is read but not done.
fn check_supported(ddl: &Ddl) -> Result<()> {
    match ddl {
        Ddl::Unsupported { what, position } => Err(SqlError::unsupported(what.clone()).at(*position)),
        _ => Ok(()),
    }
}

impl Binder<'_> {
    pub(super) fn statement(&mut self, statement: &Statement) -> Result<(BoundKind, Vec<ResultColumn>)> {
        let utility = match &statement.syntax {
            Syntax::Sql(syntax) => {
                return Ok(match self.written(syntax, statement.offset() + 1)? {
                    Written::Query(query) => {
                        let columns = query.result.clone();
                        (BoundKind::Query(query), columns)
                    }
                    Written::Rewritten(rewritten) => {
                        let columns = rewritten.columns().to_vec();
                        (BoundKind::Rewritten(rewritten), columns)
                    }
                });
            }
            Syntax::Utility(utility) => (**utility).clone(),
            Syntax::Ddl(ddl) => {
                check_supported(ddl)?;
                Utility::Ddl(ddl.clone())
            }
            Syntax::Copy(copy) => Utility::Copy(Box::new(self.copy(copy)?)),
            Syntax::Maintenance(maintenance) => self.maintenance(maintenance)?,
            Syntax::Execute { name, args } => Utility::Execute { name: name.clone(), args: self.arguments(args)? },
            Syntax::Call(call) => return Err(self.refused_call(call)),
            Syntax::Explain { options, statement } => {
                let statement = Box::new(self.explained(statement)?);
                Utility::Explain { statement, options: options.clone() }
            }
            Syntax::Prepare { name, types, statement } => {
                let position = statement.offset() + 1;
                let types = types.iter().map(|t| self.data_type(t, position)).collect::<Result<_>>()?;
                Utility::Prepare { name: name.clone(), types, statement: statement.clone() }
            }
            Syntax::Declare { name, scroll, hold, binary, query } => {
                let bound = self.query(query)?;
                let query = Box::new(self.finish(bound)?);
                Utility::Declare { name: name.clone(), query, scroll: *scroll, hold: *hold, binary: *binary }
            }
        };
        Ok((BoundKind::Utility(Box::new(utility)), vec![]))
    }

    pub(super) fn query_statement(&mut self, syntax: &ast::Statement, position: u32) -> Result<Query> {
        match syntax {
            ast::Statement::Query(query) => {
                // WITH … INSERT/UPDATE/DELETE comes as a query with that body.
                if let SetExpr::Insert(inner)
                | SetExpr::Update(inner)
                | SetExpr::Delete(inner)
                | SetExpr::Merge(inner) = &*query.body
                {
                    return self.write_statement(inner, query.with.as_ref(), position);
                }
                let bound = self.query(query)?;
                self.finish(bound)
            }
            _ => self.write_statement(syntax, None, position),
        }
    }

    fn write_statement(&mut self, syntax: &ast::Statement, with: Option<&ast::With>, position: u32) -> Result<Query> {
        if with.is_some_and(|with| with.recursive) && matches!(syntax, ast::Statement::Merge(_)) {
            let message = "WITH RECURSIVE is not supported for MERGE statement";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
        self.with(with, true)?;
        let (bound, tag) = self.write_query(syntax, None, position)?;
        self.finish_as(bound, tag)
    }

    /// A statement that writes, with a WITH clause of its own where it is a WITH query.
    pub(super) fn write_query(
        &mut self,
        syntax: &ast::Statement,
        with: Option<&ast::With>,
        position: u32,
    ) -> Result<(BoundQuery, CommandTag)> {
        self.query_depth += 1;
        let bound = self.with(with, false).and_then(|()| match syntax {
            ast::Statement::Insert(insert) => Ok((self.insert(insert)?, CommandTag::Insert)),
            ast::Statement::Update(update) => Ok((self.update(update)?, CommandTag::Update)),
            ast::Statement::Delete(delete) => Ok((self.delete(delete)?, CommandTag::Delete)),
            ast::Statement::Merge(merge) => Ok((self.merge(merge)?, CommandTag::Merge)),
            _ => Err(unsupported("this statement", position)),
        });
        self.query_depth -= 1;
        bound
    }

    fn finish(&mut self, bound: BoundQuery) -> Result<Query> {
        self.finish_as(bound, CommandTag::Select)
    }

    /// Hands over what was gathered.
    pub(super) fn finish_as(&mut self, bound: BoundQuery, tag: CommandTag) -> Result<Query> {
        let result = bound.columns.iter().map(|column| {
            let info = self.columns.get(column.id.0 as usize);
            ResultColumn {
                name: column.name.clone(),
                ty: column.ty,
                table: info.map_or(0, |i| i.table),
                attribute: info.map_or(0, |i| i.attribute),
            }
        });
        let mut query = Query {
            root: bound.node,
            output: bound.columns.iter().map(|c| c.id).collect(),
            result: result.collect(),
            columns: std::mem::take(&mut self.columns),
            ctes: std::mem::take(&mut self.ctes),
            tag,
            privileges: std::mem::take(&mut self.privileges),
            is_read_only: self.is_read_only,
        };
        if std::mem::take(&mut self.has_inlined) {
            super::sql_function::settle(&mut query);
        }
        super::rights::fill(&mut query, &std::mem::take(&mut self.inserted));
        super::inline::once(&mut query, &std::mem::take(&mut self.materialized))?;
        Ok(query)
    }

    fn explained(&mut self, statement: &Statement) -> Result<Explained> {
        Ok(match &statement.syntax {
            Syntax::Sql(syntax) => match self.written(syntax, statement.offset() + 1)? {
                Written::Query(query) => Explained::Query(*query),
                Written::Rewritten(rewritten) => Explained::Rewritten(*rewritten),
            },
            Syntax::Execute { name, args } => Explained::Execute { name: name.clone(), args: self.arguments(args)? },
            Syntax::Ddl(ddl) => {
                check_supported(ddl)?;
                Explained::Utility
            }
            _ => Explained::Utility,
        })
    }

    /// Arguments of EXECUTE as values of the statement's parameters.
    fn coerce_all(&mut self, args: Vec<Expr>, types: &[SqlType]) -> Result<Vec<Expr>> {
        let coerced = args.into_iter().zip(types).enumerate().map(|(index, (arg, ty))| {
            let (from, position) = (arg.ty, arg.position);
            let cast = self.try_coerce(arg, *ty, CastContext::Assignment, CallForm::ImplicitCast)?;
            cast.ok_or_else(|| {
                let message = format!(
                    "parameter ${} of type {} cannot be coerced to the expected type {}",
                    index + 1,
                    self.type_name(from),
                    self.type_name(*ty)
                );
                SqlError::new(SqlState::DATATYPE_MISMATCH, message)
                    .hint("You will need to rewrite or cast the expression.")
                    .at(position)
            })
        });
        coerced.collect()
    }

    /// Arguments of EXECUTE: expressions over no columns.
    fn arguments(&mut self, args: &[ast::Expr]) -> Result<Vec<Expr>> {
        self.scopes.push(Scope::of(Clause::Execute));
        let bound = args.iter().map(|a| self.expr(a)).collect::<Result<Vec<_>>>();
        self.scopes.pop().ok_or_else(|| SqlError::internal("a scope was expected"))?;
        bound
    }
}
