//! Rules (CREATE RULE): what a statement becomes where its target has rules for it.
//!
//! A statement that writes to a relation with rules stands for several *products*: the statement itself, unless an INSTEAD rule
//! takes its place, and one for each action of each rule. `expand` finds them by names alone; each is then bound on its own:
//!
//! ```text
//! UPDATE t SET a = 1 WHERE b > 2        the rows that it would write: t's rows with b > 2, OLD, and beside each what it would
//!    |                                  become, NEW (`rows`)
//!    | rule: ON UPDATE TO t WHERE new.a <> old.a DO ALSO INSERT INTO log SELECT old.a, new.a FROM …
//!    v
//! INSERT INTO log SELECT …              is bound with those rows as one more FROM item, filtered by the rule's condition
//!    |                                  (`action`); its own target may have rules, which work on its rows in turn
//!    v
//! ```
//!
//! - Rules fire in order of name. What they make of an INSERT comes behind it, of UPDATE and DELETE before it.
//! - An action that reads neither OLD nor NEW is done once, and not for each row, unless the statement's or the rule's condition
//!   reads the target.
//! - A conditional INSTEAD rule leaves the statement those rows that its condition is not true of.
//! - OLD and NEW are the rows of the relation that the rule is on: a view's where a view has rules. A view that is written through
//!   and has none passes the statement on to the rules of what is below it.
//! - NEW is computed by each product anew, as PostgreSQL does: a `nextval` in a default gives each its own number.
//! - RETURNING of the statement reads what the one unconditional INSTEAD rule with RETURNING returns.
//! - What rules name is looked up in the search path that they were made with, with the rights of the relation's owner.
//!
//! `check` is CREATE RULE's side, `written` what a rule is told from. COPY FROM fires no rules; MERGE and ON CONFLICT are refused on relations with any.

mod action;
mod check;
mod expand;
mod rows;
mod written;

pub use check::{RuleTexts, RuleUses, check_rule};
pub(super) use expand::Fired;
pub(super) use rows::{RuleRows, with_rule_rows};
pub use written::written_rule;

use super::Binder;
use super::query::BoundQuery;
use super::scope::{Item, Name, Scope};
use super::view_target::replace_computed;
use crate::expr::{BoolTest, Expr, ExprKind};
use crate::logical::{ColumnId, CommandTag, Query};
use crate::parse::{Lines, Syntax};
use crate::utility::Utility;
use crate::{Rewritten, RewrittenPart};
use expand::{Origin, Product};
use sqlparser::ast::{self, SetExpr};
use std::sync::Arc;
use types::{Result, SqlError, SqlState, SqlType};

/// What a statement of the query kind is once rules have been looked for.
pub(super) enum Written {
    Query(Box<Query>),
    Rewritten(Box<Rewritten>),
}

/// A statement that writes, and its WITH clause.
fn split(syntax: &ast::Statement) -> (Option<&ast::With>, &ast::Statement) {
    if let ast::Statement::Query(query) = syntax
        && let SetExpr::Insert(inner) | SetExpr::Update(inner) | SetExpr::Delete(inner) | SetExpr::Merge(inner) =
            &*query.body
    {
        return (query.with.as_ref(), inner);
    }
    (None, syntax)
}

fn tag_of(syntax: &ast::Statement) -> CommandTag {
    match syntax {
        ast::Statement::Insert(_) => CommandTag::Insert,
        ast::Statement::Update(_) => CommandTag::Update,
        ast::Statement::Delete(_) => CommandTag::Delete,
        ast::Statement::Merge(_) => CommandTag::Merge,
        _ => CommandTag::Select,
    }
}

fn writes(cte: &ast::Cte) -> bool {
    !matches!(tag_of_body(&cte.query.body), CommandTag::Select)
}

fn tag_of_body(body: &SetExpr) -> CommandTag {
    match body {
        SetExpr::Insert(inner) | SetExpr::Update(inner) | SetExpr::Delete(inner) | SetExpr::Merge(inner) => {
            tag_of(inner)
        }
        _ => CommandTag::Select,
    }
}

impl Binder<'_> {
    /// A query, with what the rules of its target make of it.
    pub(super) fn written(&mut self, syntax: &ast::Statement, position: u32) -> Result<Written> {
        let (with, inner) = split(syntax);
        let Some(products) = self.products(inner)? else {
            return Ok(Written::Query(Box::new(self.query_statement(syntax, position)?)));
        };
        check_with(with, &products)?;
        let mut parts = vec![];
        let sets_tag = expand::sets_tag(&products, inner);
        for (index, product) in products.iter().enumerate() {
            if let Some((channel, payload)) = product.notification() {
                parts.push(RewrittenPart::Notify { channel: channel.to_owned(), payload: payload.to_owned() });
                continue;
            }
            let query = self.alone(with, |binder| binder.product(inner, product))?;
            parts.push(RewrittenPart::Query { query: Box::new(query), sets_tag: sets_tag == Some(index) });
        }
        if !parts.iter().any(|part| matches!(part, RewrittenPart::Query { .. })) {
            // Nothing is left to run, and yet the statement must mean something.
            self.alone(with, |binder| binder.unwritten(inner))?;
        }
        let is_one = matches!(parts.as_slice(), [RewrittenPart::Query { sets_tag: true, .. }]);
        match parts.pop() {
            Some(RewrittenPart::Query { query, .. }) if is_one => Ok(Written::Query(query)),
            last => {
                parts.extend(last);
                Ok(Written::Rewritten(Box::new(Rewritten { tag: tag_of(inner), parts })))
            }
        }
    }

    /// A query for a place that has no room for several.
    pub(super) fn written_alone(&mut self, syntax: &ast::Statement, position: u32, place: &str) -> Result<Query> {
        if let Some(products) = self.products(split(syntax).1)? {
            only(&products, place)?;
        }
        match self.written(syntax, position)? {
            Written::Query(query) => Ok(*query),
            Written::Rewritten(_) => {
                Err(SqlError::unsupported(format!("{place} of what rules make of a statement is not supported")))
            }
        }
    }

    /// Binds one product as a statement of its own, beside what the others are.
    fn alone(
        &mut self,
        with: Option<&ast::With>,
        bind: impl FnOnce(&mut Binder<'_>) -> Result<(BoundQuery, CommandTag)>,
    ) -> Result<Query> {
        let mut inner = Binder::new(self.context, self.lines.clone());
        inner.parameters = std::mem::take(&mut self.parameters);
        inner.with(with, true)?;
        let (bound, tag) = bind(&mut inner)?;
        let query = inner.finish_as(bound, tag)?;
        self.parameters = inner.parameters;
        self.depends_on.append(&mut inner.depends_on);
        self.depends_on_functions.append(&mut inner.depends_on_functions);
        self.is_read_only &= inner.is_read_only;
        Ok(query)
    }

    /// A statement of a WITH clause that writes: rules may make one other statement of it, and no more.
    pub(super) fn write_in_with(
        &mut self,
        syntax: &ast::Statement,
        with: Option<&ast::With>,
        position: u32,
    ) -> Result<BoundQuery> {
        let Some(products) = self.products(syntax)? else {
            return self.write_query(syntax, with, position).map(|(bound, _)| bound);
        };
        let product = only(&products, "data-modifying statements in WITH")?;
        self.query_depth += 1;
        let bound = self.with(with, false).and_then(|()| self.product(syntax, product));
        self.query_depth -= 1;
        bound.map(|(bound, _)| bound)
    }

    /// A condition of a rule over the rows that it is asked of.
    fn rule_condition(&mut self, condition: &ast::Expr, old: Option<&[Name]>, new: Option<&[Name]>) -> Result<Expr> {
        let mut scope = Scope::default();
        for (alias, names) in [("old", old), ("new", new)] {
            match names {
                Some(names) => {
                    let item = self.with_row(Item::new(alias, names.to_vec()));
                    self.record_rule_row(&item);
                    scope.push(item);
                }
                None => scope.mentioned.push((alias.to_owned(), 0)),
            }
        }
        self.scopes.push(scope);
        let bound = self.expr(condition).and_then(|e| self.boolean(e, "WHERE"));
        self.scopes.pop();
        bound
    }

    /// What keeps a statement's rows from those that conditional INSTEAD rules took. `computed`: NEW columns that are expressions.
    pub(super) fn not_replaced(
        &mut self,
        fired: &[Arc<Fired>],
        old: Option<&[Name]>,
        new: Option<&[Name]>,
        computed: &[(ColumnId, Expr)],
    ) -> Result<Vec<Expr>> {
        let mut kept = vec![];
        for fired in fired {
            let Some(condition) = &fired.condition else { continue };
            let bound =
                self.inside(&fired.context, Lines::default(), |inner| inner.rule_condition(condition, old, new));
            let mut arg = Box::new(bound?);
            replace_computed(&mut arg, computed);
            let test = BoolTest::IsNotTrue;
            kept.push(Expr::new(ExprKind::BoolTest { arg, test }, SqlType::BOOL, 0));
        }
        Ok(kept)
    }
}

/// The one product that a statement may have where there is no room for several.
pub(super) fn only<'p>(products: &'p [Product], place: &str) -> Result<&'p Product> {
    let refused = |what: &str| Err(SqlError::unsupported(format!("{what} rules are not supported for {place}")));
    match products {
        [one] if one.notification().is_some() => refused("DO INSTEAD NOTIFY"),
        [one] => Ok(one),
        [] => refused("DO INSTEAD NOTHING"),
        several => match several.iter().find_map(|p| match p.origin {
            Origin::ConditionalInstead => Some("conditional DO INSTEAD"),
            Origin::Also => Some("DO ALSO"),
            _ => None,
        }) {
            Some(what) => refused(what),
            None => refused("multi-statement DO INSTEAD"),
        },
    }
}

/// A WITH clause is part of each product, and must not be computed twice.
fn check_with(with: Option<&ast::With>, products: &[Product]) -> Result<()> {
    let Some(with) = with else { return Ok(()) };
    if with.cte_tables.iter().any(writes) && products.iter().any(Product::inserts_query) {
        let message =
            "INSERT...SELECT rule actions are not supported for queries having data-modifying statements in WITH";
        return Err(SqlError::unsupported(message));
    }
    if products.iter().filter(|p| p.notification().is_none()).count() > 1 {
        let message = "WITH cannot be used in a query that is rewritten by rules into multiple queries";
        return Err(SqlError::unsupported(message));
    }
    Ok(())
}

/// The statement that a stored text is.
fn parsed(text: &str) -> Result<crate::Statement> {
    let mut all = crate::parse::parse(text, true)?;
    match all.pop() {
        Some(statement) if all.is_empty() => Ok(statement),
        _ => Err(SqlError::internal("a rule's action is one statement")),
    }
}

/// What stands before a condition so that it is read as an expression of a query, with all forms that those know.
const BEFORE_CONDITION: &str = "SELECT ";

/// The expression that a stored condition is, and its statement's lines.
fn parsed_condition(text: &str) -> Result<(ast::Expr, Lines)> {
    let statement = parsed(&format!("{BEFORE_CONDITION}{text}"))?;
    let lines = statement.lines.clone();
    if let Syntax::Sql(syntax) = statement.syntax
        && let ast::Statement::Query(query) = *syntax
        && let SetExpr::Select(select) = *query.body
        && let Some(ast::SelectItem::UnnamedExpr(expr)) = select.projection.into_iter().next()
    {
        return Ok((expr, lines));
    }
    Err(SqlError::new(SqlState::SYNTAX_ERROR, "a rule's condition is an expression"))
}

/// The channel and the message of an action that is NOTIFY.
fn notification(action: &crate::Statement) -> Option<(&str, &str)> {
    match &action.syntax {
        Syntax::Utility(utility) => match &**utility {
            Utility::Notify { channel, payload } => Some((channel, payload)),
            _ => None,
        },
        _ => None,
    }
}
