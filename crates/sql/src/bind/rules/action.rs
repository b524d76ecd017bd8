//! Binding a product: the statement's rows, from rule to rule, and the action at the end.

use super::super::Binder;
use super::super::query::BoundQuery;
use super::super::scope::{Name, Scope};
use super::super::view_target::replace_computed;
use super::expand::{Fired, Product, Step, returning};
use super::rows::{Returned, RuleRows};
use super::split;
use crate::expr::Expr;
use crate::logical::{ColumnId, CommandTag, Node};
use crate::parse::Lines;
use crate::plan::columns::{ColumnSet, add_used};
use sqlparser::ast;
use std::sync::Arc;
use types::{Result, SqlError, SqlType};

impl Binder<'_> {
    /// One product of a statement, whose WITH queries are in view.
    pub(super) fn product(&mut self, syntax: &ast::Statement, product: &Product) -> Result<(BoundQuery, CommandTag)> {
        self.rule_chain(syntax, None, &product.steps, &product.negated)
    }

    /// The statement's rows alone, where rules leave nothing of it.
    pub(super) fn unwritten(&mut self, syntax: &ast::Statement) -> Result<(BoundQuery, CommandTag)> {
        let named = self.rule_target_of(syntax).map_or(0, |relation| relation.id);
        let (rows, _) = self.written_rows(syntax, named, true)?;
        Ok((BoundQuery::new(rows.node, vec![], vec![]), CommandTag::Select))
    }

    /// `above`: the rows of the rule that the statement is an action of.
    fn rule_chain(
        &mut self,
        syntax: &ast::Statement,
        above: Option<RuleRows>,
        steps: &[Step],
        negated: &[Arc<Fired>],
    ) -> Result<(BoundQuery, CommandTag)> {
        self.rule_rows = above;
        let Some((step, rest)) = steps.split_first() else { return self.last_action(syntax, negated) };
        let (rows, returned) = self.written_rows(syntax, step.fired.rule.relation, step.reads_rows())?;
        self.all_joined()?;
        let action = step.syntax().ok_or_else(|| SqlError::internal("a rule's query was expected"))?;
        let (with, inner) = split(action);
        let (mut bound, tag) = self.inside(&step.fired.context, Lines::default(), |binder| {
            let rows = binder.filtered(rows, &step.fired)?;
            binder.with(with, true)?;
            binder.rule_chain(inner, Some(rows), rest, negated)
        })?;
        self.returned(&mut bound, syntax, returned)?;
        Ok((bound, tag))
    }

    /// The rows that a rule's condition is true of.
    fn filtered(&mut self, rows: RuleRows, fired: &Fired) -> Result<RuleRows> {
        let Some(condition) = &fired.condition else { return Ok(rows) };
        let predicate = vec![self.rule_condition(condition, rows.old.as_deref(), rows.new.as_deref())?];
        Ok(RuleRows { node: Node::Filter { input: Box::new(rows.node), predicate }, ..rows })
    }

    fn last_action(&mut self, syntax: &ast::Statement, negated: &[Arc<Fired>]) -> Result<(BoundQuery, CommandTag)> {
        self.negated = negated.to_vec();
        let bound = self.action_query(syntax)?;
        self.all_joined()?;
        Ok(bound)
    }

    pub(super) fn action_query(&mut self, syntax: &ast::Statement) -> Result<(BoundQuery, CommandTag)> {
        match syntax {
            ast::Statement::Query(query) => self.query(query).map(|bound| (bound, CommandTag::Select)),
            _ => self.write_query(syntax, None, 0),
        }
    }

    /// Where no query has taken a rule's rows, it must be one row, which changes nothing.
    fn all_joined(&mut self) -> Result<()> {
        match self.rule_rows.take() {
            Some(rows) if !rows.is_one() => {
                let message = "conditional UNION/INTERSECT/EXCEPT statements are not implemented";
                Err(SqlError::unsupported(message))
            }
            _ => Ok(()),
        }
    }

    /// RETURNING of a statement over what the action in its place returns.
    fn returned(&mut self, bound: &mut BoundQuery, syntax: &ast::Statement, returned: Returned) -> Result<()> {
        let below: Vec<Name> = std::mem::take(&mut bound.columns);
        let Some(made) = returning_of(&mut bound.node).map(std::mem::take) else {
            // A SELECT answers for itself.
            bound.columns = below;
            return Ok(());
        };
        bound.positions.clear();
        let Some(list) = returning(syntax).filter(|_| !made.is_empty()) else { return Ok(()) };
        let base = &returned.written.base;
        let names: Vec<Name> = base
            .live_columns()
            .zip(below)
            .map(|(column, made)| Name { name: column.name.clone(), id: made.id, ty: SqlType::from(column.ty) })
            .collect();
        let seen = self.seen_row(&returned.written, &names)?;
        let mut scope = Scope::default();
        scope.push(super::super::scope::Item::new(&returned.alias, seen.names));
        returned.others.into_iter().for_each(|item| scope.push(item));
        self.scopes.push(scope);
        let list = self.returning(Some(list));
        self.scopes.pop();
        let (mut exprs, names) = list?;
        for (_, expr) in &mut exprs {
            replace_computed(expr, &seen.computed);
            replace_computed(expr, &made);
        }
        check_readable(&bound.node, &exprs)?;
        bound.positions = vec![0; names.len()];
        bound.columns = names;
        if let Some(place) = returning_of(&mut bound.node) {
            *place = exprs;
        }
        Ok(())
    }
}

fn returning_of(node: &mut Node) -> Option<&mut Vec<(ColumnId, Expr)>> {
    match node {
        Node::Insert(insert) => Some(&mut insert.returning),
        Node::Update(update) => Some(&mut update.returning),
        Node::Delete(delete) => Some(&mut delete.returning),
        _ => None,
    }
}

/// An INSERT returns of its new row alone.
fn check_readable(node: &Node, exprs: &[(ColumnId, Expr)]) -> Result<()> {
    let Node::Insert(insert) = node else { return Ok(()) };
    let mut used = ColumnSet::new();
    exprs.iter().for_each(|(_, e)| add_used(e, &mut used));
    let is_new = |id: &ColumnId| {
        insert.target.new_row.iter().any(|(_, n)| n == id) || insert.target.hidden.iter().any(|(_, n)| n == id)
    };
    match used.iter().all(is_new) {
        true => Ok(()),
        false => Err(SqlError::unsupported(
            "RETURNING of other tables' columns through an ON … DO INSTEAD INSERT rule is not supported",
        )),
    }
}
