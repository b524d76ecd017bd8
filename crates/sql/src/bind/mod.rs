//! From syntax to meaning: names become ids, every expression gets its type, parameters are inferred.
//!
//! One `Binder` per statement. `expr`, `sugar`, `row`, `array`, `subquery` and `call` bind expressions, `resolve` chooses operators and functions, `coerce` converts
//! types, `scope` finds columns, `record` keeps how a query was written; `rules` says what CREATE RULE makes of a write; `query`, `select`, `from`, `join`, `with`, `group`, `window`, `set_returning` and `locking` make the
//! relational tree, `insert` and `change` the writes, `document` and `fields` those of open collections, `utility` the rest.
//! What is not done is refused with 0A000, with its position.

mod aggregate;
mod array;
mod assign;
mod call;
mod callee;
mod change;
mod coerce;
mod copy;
mod copy_format;
#[cfg(test)]
mod copy_tests;
mod document;
mod domain;
mod expr;
mod fields;
mod from;
mod from_function;
mod function_check;
mod function_result;
mod group;
mod hidden;
mod inline;
mod insert;
mod join;
mod json_rows;
mod locking;
mod maintenance;
mod merge;
mod operator;
mod output_name;
mod polymorphic;
mod query;
mod record;
mod record_change;
mod resolve;
mod rights;
mod row;
mod rules;
mod scope;
mod search_cycle;
mod select;
mod sequence;
mod set_returning;
mod sql_function;
mod start;
mod stored;
mod subquery;
mod sugar;
mod target;
#[cfg(test)]
mod tests;
mod user_aggregate;
mod utility;
mod view_target;
mod walk;
mod window;
mod with;

pub use function_check::check_function;
pub use record::{written, written_body};
pub use rules::{RuleTexts, RuleUses, check_rule, written_rule};
pub use sequence::SEQUENCE_ROW;
pub use stored::{StoredUse, bind_stored, volatility};
pub use utility::coerce_arguments;
pub use view_target::{require_updatable, updatable_columns};

use crate::expr::{CallForm, Expr};
use crate::logical::{ColumnId, ColumnInfo, Cte, PrivilegeCheck};
use crate::parse::{self, Lines, Statement};
use crate::{BindContext, Bound};
use catalog::Relation;
use catalog::names::NameScope;
use scope::Scope;
use sqlparser::tokenizer::Span;
use std::sync::Arc;
use types::builtin::{CastContext, Proc, ProcKind};
use types::{Oid, Result, SqlError, SqlState, SqlType};

/// $1 … $65535, as the protocol counts them.
const PARAMETERS_MAX: usize = 65_535;
/// Columns of all relational nodes of one statement.
const COLUMNS_MAX: usize = 1_000_000;

pub(crate) struct Binder<'a> {
    context: &'a BindContext,
    lines: Lines,
    columns: Vec<ColumnInfo>,
    /// Types given or inferred so far.
    parameters: Vec<Option<SqlType>>,
    /// Enclosing queries' FROM items, the innermost last.
    scopes: Vec<Scope>,
    /// WITH queries in view, the innermost last, and how many WITH clauses there were.
    with_queries: Vec<with::WithQuery>,
    with_lists: usize,
    /// Those being bound, the innermost last.
    binding: Vec<usize>,
    /// Where a recursive query must not name itself, if the binder is in such a place.
    place: Option<with::Place>,
    ctes: Vec<Cte>,
    /// Those that say MATERIALIZED.
    materialized: Vec<crate::logical::CteId>,
    next_cte: u32,
    /// Queries around the one at hand.
    query_depth: usize,
    /// CASE or COALESCE, whose parts are not all evaluated.
    lazy_in: Option<&'static str>,
    privileges: Vec<PrivilegeCheck>,
    /// Attributes that INSERTs name, per relation.
    inserted: Vec<(Oid, Vec<i16>)>,
    /// Fields of columns that hold a function's several results.
    records: Vec<(ColumnId, Vec<(String, SqlType)>)>,
    depends_on: Vec<(Oid, u32)>,
    /// Users' functions that are called.
    depends_on_functions: Vec<Oid>,
    /// Where a function's body is bound: what its parameters mean.
    function: Option<sql_function::FunctionScope>,
    /// Functions whose bodies are being bound, the innermost last.
    expanding: Vec<Oid>,
    /// A new function's body is being checked.
    checks_function: bool,
    /// There are `ExprKind::Inlined` nodes, to be taken out when the statement is complete.
    has_inlined: bool,
    is_read_only: bool,
    /// Rows that a rule's action is to be joined with, until its query takes them.
    rule_rows: Option<rules::RuleRows>,
    /// Rules that have taken rows of the statement that is bound next.
    negated: Vec<Arc<rules::Fired>>,
    /// The relation whose rules take over from the statement that is bound next: its target, or a view below that.
    rule_target: Option<Oid>,
    /// How the query was written, where that is to be told.
    record: Option<Box<record::Record>>,
}

/// Binds one statement. `parameter_types` are those that the client gave; the others are inferred.
pub fn bind(statement: &Statement, context: &BindContext, parameter_types: &[Option<SqlType>]) -> Result<Bound> {
    let mut binder = Binder::new(context, statement.lines.clone());
    binder.parameters = parameter_types.to_vec();
    let (kind, columns) = binder.statement(statement)?;
    let parameters = binder.parameters.iter().enumerate().map(|(i, ty)| {
        ty.ok_or_else(|| {
            let message = format!("could not determine data type of parameter ${}", i + 1);
            SqlError::new(SqlState::INDETERMINATE_DATATYPE, message)
        })
    });
    let parameters = parameters.collect::<Result<_>>()?;
    let (depends_on, functions) = (binder.depends_on, binder.depends_on_functions);
    Ok(Bound { kind, parameters, columns, depends_on, functions })
}

/// A stored default, check, index expression or predicate over a relation's row: attribute n is column n - 1, an open
/// collection's undeclared part the one behind them.
pub fn parse_bind_expr(text: &str, relation: &Relation, context: &BindContext) -> Result<Expr> {
    let mut binder = Binder::new(context, Lines::default());
    let item = binder.stored_item(relation);
    binder.scopes.push(Scope::default());
    binder.scope()?.push(item);
    let syntax = parse::expression(text)?;
    binder.expr(&syntax)
}

impl<'a> Binder<'a> {
    fn new(context: &'a BindContext, lines: Lines) -> Binder<'a> {
        Binder {
            context,
            lines,
            columns: vec![],
            parameters: vec![],
            scopes: vec![],
            with_queries: vec![],
            with_lists: 0,
            binding: vec![],
            place: None,
            ctes: vec![],
            materialized: vec![],
            next_cte: 0,
            query_depth: 0,
            lazy_in: None,
            privileges: vec![],
            inserted: vec![],
            records: vec![],
            depends_on: vec![],
            depends_on_functions: vec![],
            function: None,
            expanding: vec![],
            checks_function: false,
            has_inlined: false,
            is_read_only: true,
            rule_rows: None,
            negated: vec![],
            rule_target: None,
            record: None,
        }
    }

    /// Binds with names of another place (a view's or a function's) what becomes part of this statement.
    fn inside<R>(
        &mut self,
        context: &BindContext,
        lines: Lines,
        bind: impl FnOnce(&mut Binder<'_>) -> Result<R>,
    ) -> Result<R> {
        let mut inner = Binder::new(context, lines);
        std::mem::swap(&mut inner.columns, &mut self.columns);
        std::mem::swap(&mut inner.ctes, &mut self.ctes);
        inner.next_cte = self.next_cte;
        inner.with_lists = self.with_lists;
        inner.expanding.clone_from(&self.expanding);
        inner.checks_function = self.checks_function;
        let bound = bind(&mut inner);
        std::mem::swap(&mut inner.columns, &mut self.columns);
        std::mem::swap(&mut inner.ctes, &mut self.ctes);
        self.next_cte = inner.next_cte;
        self.materialized.append(&mut inner.materialized);
        self.records.append(&mut inner.records);
        self.privileges.append(&mut inner.privileges);
        self.inserted.append(&mut inner.inserted);
        self.depends_on.append(&mut inner.depends_on);
        self.has_inlined |= inner.has_inlined;
        self.is_read_only &= inner.is_read_only;
        bound
    }

    fn name_scope(&self) -> NameScope<'a> {
        NameScope {
            database: self.context.database,
            search_path: &self.context.search_path,
            temporary_schema: self.context.temporary_schema,
        }
    }

    fn at(&self, span: Span) -> u32 {
        self.lines.of(span)
    }

    fn new_column(&mut self, name: &str, ty: SqlType, table: Oid, attribute: i16) -> ColumnId {
        let id = ColumnId(u32::try_from(self.columns.len().min(COLUMNS_MAX)).unwrap_or(u32::MAX));
        self.columns.push(ColumnInfo { name: name.to_owned(), ty, nullable: true, table, attribute });
        id
    }

    /// Refuses a function that has no implementation: neither among the types' functions nor in the session.
    fn require_implemented(&self, proc: &'static Proc, position: u32) -> Result<()> {
        let is_known = match proc.kind {
            ProcKind::Aggregate => types::aggregates::is_implemented(proc.oid),
            ProcKind::Window => true,
            _ => types::functions::scalar(proc.symbol).is_some() || types::functions::set(proc.symbol).is_some(),
        };
        if is_known || (self.context.is_implemented)(proc) {
            return Ok(());
        }
        Err(SqlError::unsupported(format!("function {} is not supported", proc.name)).at(position))
    }

    /// The stored expression of a column or constraint, over the columns of the innermost scope.
    fn stored(&mut self, text: &str) -> Result<Expr> {
        let syntax = parse::expression(text)?;
        let lines = std::mem::take(&mut self.lines);
        let bound = self.expr(&syntax);
        self.lines = lines;
        bound
    }

    /// The same, as a value of a column.
    fn stored_as(&mut self, text: &str, ty: SqlType) -> Result<Expr> {
        let expr = self.stored(text)?;
        let cast = self.try_coerce(expr, ty, CastContext::Assignment, CallForm::ImplicitCast)?;
        cast.ok_or_else(|| SqlError::internal(format!("stored expression {text} does not have its column's type")))
    }
}

fn unsupported(what: &str, position: u32) -> SqlError {
    SqlError::unsupported(format!("{what} is not supported")).at(position)
}
