//! MERGE: source rows joined with the target's, and for each the first WHEN clause that fits.

use super::from::conjuncts;
use super::query::BoundQuery;
use super::scope::{Clause, Scope, fold};
use super::target::{give_hidden, is_default, no_such_column, refuse_generated, write};
use super::view_target::WriteRelation;
use super::{Binder, unsupported};
use crate::expr::Expr;
use crate::logical::{JoinKind, Merge, MergeAction, MergeClause, Node};
use catalog::{Relation, privilege};
use sqlparser::ast::{self, MergeClauseKind, MergeInsertKind, MergeUpdateKind, Spanned, TableWithJoins};
use std::sync::Arc;
use types::{Result, SqlError, SqlState};

impl Binder<'_> {
    pub(super) fn merge(&mut self, merge: &ast::Merge) -> Result<BoundQuery> {
        let position = self.at(merge.table.span());
        match &merge.output {
            None => {}
            Some(ast::OutputClause::Returning { returning_token, .. }) => {
                let message = "syntax error at or near \"RETURNING\"";
                let position = self.at(returning_token.0.span);
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
            }
            Some(_) => return Err(unsupported("OUTPUT", position)),
        }
        self.scopes.push(Scope::default());
        let bound = self.merge_in_scope(merge);
        self.scopes.pop();
        bound
    }

    fn merge_in_scope(&mut self, merge: &ast::Merge) -> Result<BoundQuery> {
        check_reachable(&merge.clauses)?;
        let table = TableWithJoins { relation: merge.table.clone(), joins: vec![] };
        let mut scanned = self.changed(&table, 0)?;
        let relation = scanned.relation.clone();
        if self.context.catalog.rules_of(relation.id).next().is_some() {
            let message = format!("cannot execute MERGE on relation \"{}\"", relation.name);
            let detail = "MERGE is not supported for relations with rules.";
            return Err(SqlError::unsupported(message).detail(detail));
        }
        let rights = merge.clauses.iter().fold(0, |rights, clause| {
            rights
                | match clause.action {
                    ast::MergeAction::Insert(_) => privilege::INSERT,
                    ast::MergeAction::Update(_) => privilege::UPDATE,
                    ast::MergeAction::Delete { .. } => privilege::DELETE,
                    ast::MergeAction::DoNothing { .. } => 0,
                }
        });
        if rights != 0 {
            self.need(&relation, rights);
        }
        // The source may not read the target.
        self.scope()?
            .items
            .iter_mut()
            .for_each(|i| (i.lateral_only, i.lateral_allowed, i.is_target) = (true, false, true));
        let source = self.factor(&merge.source).and_then(|source| self.check_names(0, 1).map(|()| source));
        self.scope()?.items.iter_mut().for_each(|i| (i.lateral_only, i.lateral_allowed) = (false, true));
        let source = source.map_err(|error| match error.code() == SqlState::DUPLICATE_ALIAS {
            true => {
                let message = format!("name \"{}\" specified more than once", scanned.alias);
                SqlError::new(SqlState::DUPLICATE_ALIAS, message)
                    .detail("The name is used both as MERGE target table and data source.")
            }
            false => error,
        })?;
        let source = source.node;
        let clause = self.enter(Clause::Join);
        let condition = self.expr(&merge.on).and_then(|c| self.boolean(c, "JOIN/ON"));
        self.enter(clause);
        let on = conjuncts(condition?);
        let has_unmatched = merge.clauses.iter().any(|c| !matches!(c.clause_kind, MergeClauseKind::Matched));
        let kind = if has_unmatched { JoinKind::Left } else { JoinKind::Inner };
        let input = Node::Join {
            kind,
            left: Box::new(source),
            right: Box::new(std::mem::replace(&mut scanned.node, Node::OneRow)),
            on: on.clone(),
            lateral: false,
        };
        let mut clauses = vec![];
        for clause in &merge.clauses {
            clauses.push(self.merge_clause(&scanned.written, &scanned.alias, clause)?);
        }
        let (mut target, new_row) = self.write_target(&relation)?;
        let generated = self.generated(&relation, &new_row)?;
        give_hidden(&mut target, &new_row, &generated, &[]);
        let old_row = scanned.old_row_for(on.iter().chain(clauses.iter().flat_map(MergeClause::expressions)));
        let row_key = scanned.row_key;
        let node = Merge { target, input, row_key, old_row, generated, recheck: on, clauses };
        Ok(write(Node::Merge(Box::new(node)), vec![]))
    }

    fn merge_clause(
        &mut self,
        written: &WriteRelation,
        target: &str,
        clause: &ast::MergeClause,
    ) -> Result<MergeClause> {
        let is_matched = match clause.clause_kind {
            MergeClauseKind::Matched => true,
            MergeClauseKind::NotMatched => false,
            _ => return Err(unsupported("this kind of WHEN", self.at(clause.when_token.0.span))),
        };
        // Without a match there is no row of the target to read.
        if !is_matched {
            let hide = |i: &mut super::scope::Item| {
                if i.alias == target {
                    (i.columns_visible, i.name_visible) = (false, false);
                }
            };
            self.scope()?.items.iter_mut().for_each(hide);
        }
        let bound = self.merge_parts(written, clause, is_matched);
        let show = |i: &mut super::scope::Item| {
            if i.alias == target {
                (i.columns_visible, i.name_visible) = (true, true);
            }
        };
        self.scope()?.items.iter_mut().for_each(show);
        bound
    }

    fn merge_parts(
        &mut self,
        written: &WriteRelation,
        clause: &ast::MergeClause,
        is_matched: bool,
    ) -> Result<MergeClause> {
        self.enter(Clause::MergeWhen);
        let condition = match &clause.predicate {
            Some(condition) => {
                let bound = self.expr(condition)?;
                Some(self.boolean(bound, "WHEN")?)
            }
            None => None,
        };
        self.enter(Clause::Set);
        let action = match &clause.action {
            ast::MergeAction::DoNothing { .. } => MergeAction::Nothing,
            ast::MergeAction::Delete { .. } => MergeAction::Delete,
            ast::MergeAction::Update(update) => match &update.kind {
                MergeUpdateKind::Set(assignments) if update.update_predicate.is_none() => {
                    let assigned = self.assignments(written, assignments)?;
                    if assigned.tail.is_some() {
                        return Err(unsupported("MERGE of undeclared fields", self.at(clause.when_token.0.span)));
                    }
                    MergeAction::Update(assigned.columns)
                }
                _ => return Err(unsupported("this form of UPDATE", 0)),
            },
            ast::MergeAction::Insert(insert) => MergeAction::Insert(self.merge_insert(&written.base, insert)?),
        };
        Ok(MergeClause { is_matched, condition, action })
    }

    fn merge_insert(&mut self, relation: &Arc<Relation>, insert: &ast::MergeInsertExpr) -> Result<Vec<(i16, Expr)>> {
        if insert.insert_predicate.is_some() {
            return Err(unsupported("this form of INSERT", 0));
        }
        let MergeInsertKind::Values(values) = &insert.kind else { return Err(unsupported("INSERT ROW", 0)) };
        let [row] = values.rows.as_slice() else { return Err(unsupported("INSERT of several rows", 0)) };
        let row = &row.content;
        let mut columns: Vec<&catalog::Column> = vec![];
        for name in &insert.columns {
            let position = self.at(name.span());
            let name = name.0.last().and_then(|p| p.as_ident()).map(fold).unwrap_or_default();
            let column = relation.column_by_name(&name).ok_or_else(|| no_such_column(relation, &name, position))?;
            if columns.iter().any(|c| c.number == column.number) {
                let message = format!("column \"{name}\" specified more than once");
                return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message).at(position));
            }
            columns.push(column);
        }
        if columns.is_empty() {
            columns = relation.live_columns().take(row.len()).collect();
        }
        if row.len() > columns.len() {
            let message = "INSERT has more expressions than target columns";
            let position = row.get(columns.len()).map_or(0, |e| self.at(e.span()));
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
        }
        if row.len() < columns.len() {
            let message = "INSERT has more target columns than expressions";
            let position = insert.columns.get(row.len()).map_or(0, |n| self.at(n.span()));
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
        }
        self.inserted.push((relation.id, columns.iter().map(|c| c.number).collect()));
        let mut given: Vec<(i16, Expr)> = vec![];
        for (column, value) in columns.into_iter().zip(row) {
            if is_default(value) {
                continue;
            }
            refuse_generated(column, "insert")?;
            super::insert::refuse_identity(column, None)?;
            let value = self.expr(value)?;
            given.push((column.number, self.assign(value, column.declared(), &column.name)?));
        }
        let mut all = vec![];
        for column in relation.live_columns().filter(|c| !c.is_generated) {
            match given.iter().find(|(number, _)| *number == column.number) {
                Some(found) => all.push(found.clone()),
                None => all.push((column.number, self.default_value(relation, column)?)),
            }
        }
        Ok(all)
    }
}

/// Behind a WHEN clause without a condition, another of its kind is never reached.
fn check_reachable(clauses: &[ast::MergeClause]) -> Result<()> {
    let (mut matched, mut unmatched) = (false, false);
    for clause in clauses {
        let is_closed = match clause.clause_kind {
            MergeClauseKind::Matched => &mut matched,
            _ => &mut unmatched,
        };
        if *is_closed {
            let message = "unreachable WHEN clause specified after unconditional WHEN clause";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
        *is_closed |= clause.predicate.is_none();
    }
    Ok(())
}
