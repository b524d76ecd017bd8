//! INSERT, UPDATE and DELETE: the input tree, and what the write operator needs of its target.

use super::columns::{ColumnSet, add_used, output_set};
use super::{Lowered, Planner, Positions, Result, find, not_supported, positions};
use crate::cost;
use crate::expr::Expr;
use crate::logical::{
    ColumnId, Delete, Insert, Merge, MergeAction, MergeClause, OnConflict, ScanColumn, Update, WriteTarget,
};
use crate::physical::{
    Op, PlanConflict, PlanDelete, PlanForeignKey, PlanIndex, PlanInsert, PlanMerge, PlanTarget, PlanUpdate,
};
use crate::stats;
use catalog::{Constraint, ConstraintKind, ForeignKey, Index, IndexSource, IndexState, Relation};
use std::sync::Arc;

/// Attribute n lies at `n - 1`.
pub(super) fn attribute_position(attribute: i16) -> Result<u32> {
    u32::try_from(attribute)
        .ok()
        .and_then(|n| n.checked_sub(1))
        .ok_or_else(|| not_supported("system column as a target"))
}

/// A row of the relation: (attribute, column) pairs, and where in the input it begins.
pub(super) fn row_positions(row: &[(i16, ColumnId)], base: u32, into: &mut Positions) -> Result<()> {
    for (attribute, id) in row {
        into.insert(*id, base + attribute_position(*attribute)?);
    }
    Ok(())
}

/// A whole row: its attributes, and behind them what is hidden, in the order of `row`. Gives how many positions that are.
fn whole_positions(
    row: &[(ScanColumn, ColumnId)],
    relation: &Relation,
    base: u32,
    into: &mut Positions,
) -> Result<u32> {
    row_positions(&attributes(row), base, into)?;
    let hidden = row.iter().filter(|(what, _)| !matches!(what, ScanColumn::Attribute(_)));
    let mut next = base + width(relation);
    for (_, id) in hidden {
        into.insert(*id, next);
        next += 1;
    }
    Ok(next - base)
}

/// Where the expressions of a write find the new row.
pub(super) fn new_row_positions(target: &WriteTarget) -> Result<(Positions, u32)> {
    let attributes = target.new_row.iter().map(|(number, id)| (ScanColumn::Attribute(*number), *id));
    let row: Vec<_> = attributes.chain(target.hidden.iter().copied()).collect();
    let mut place = Positions::new();
    let size = whole_positions(&row, &target.relation, 0, &mut place)?;
    Ok((place, size))
}

fn attributes(row: &[(ScanColumn, ColumnId)]) -> Vec<(i16, ColumnId)> {
    let attribute = |(what, id): &(ScanColumn, ColumnId)| match what {
        ScanColumn::Attribute(n) => Some((*n, *id)),
        _ => None,
    };
    row.iter().filter_map(attribute).collect()
}

pub(super) fn width(relation: &Relation) -> u32 {
    u32::try_from(relation.columns.len()).unwrap_or(u32::MAX)
}

impl Planner<'_> {
    pub(super) fn target(&mut self, target: &WriteTarget, generated: &[(i16, Expr)]) -> Result<PlanTarget> {
        self.depend(&target.relation);
        let (place, _) = new_row_positions(target)?;
        let mut indexes = vec![];
        for (index, (keys, predicate)) in target.indexes.iter().zip(&target.index_exprs) {
            indexes.push(PlanIndex {
                index: index.clone(),
                keys: self.resolve_all(keys, &place)?,
                predicate: self.resolve_option(predicate.as_ref(), &place)?,
            });
        }
        Ok(PlanTarget {
            relation: target.relation.clone(),
            hidden: target.hidden.iter().map(|(what, _)| *what).collect(),
            indexes,
            checks: self.named(&target.checks, &place)?,
            view_checks: self.named(&target.view_checks, &place)?,
            generated: self.assigned(generated, &place)?,
            references: self.references(&target.relation),
            referenced_by: self.referenced_by(&target.relation),
        })
    }

    fn named(&mut self, exprs: &[(String, Expr)], place: &Positions) -> Result<Vec<(String, Expr)>> {
        exprs.iter().map(|(name, e)| Ok((name.clone(), self.resolve(e, place)?))).collect()
    }

    pub(super) fn assigned(&mut self, exprs: &[(i16, Expr)], place: &Positions) -> Result<Vec<(i16, Expr)>> {
        exprs.iter().map(|(attribute, e)| Ok((*attribute, self.resolve(e, place)?))).collect()
    }

    pub(super) fn returning(&mut self, exprs: &[(ColumnId, Expr)], place: &Positions) -> Result<Vec<Expr>> {
        exprs.iter().map(|(_, e)| self.resolve(e, place)).collect()
    }

    fn references(&self, relation: &Arc<Relation>) -> Vec<PlanForeignKey> {
        let key = |constraint: &Constraint| match &constraint.kind {
            ConstraintKind::ForeignKey(key) => {
                let parent = match key.target == relation.id {
                    true => relation.clone(),
                    false => self.context.catalog.relation(key.target)?.clone(),
                };
                Some(self.foreign_key(constraint, key, relation.clone(), parent))
            }
            _ => None,
        };
        relation.constraints.iter().filter_map(key).collect()
    }

    fn referenced_by(&self, relation: &Arc<Relation>) -> Vec<PlanForeignKey> {
        let keys = self.context.catalog.foreign_keys_to(relation.id);
        keys.map(|(child, constraint, key)| self.foreign_key(constraint, key, child.clone(), relation.clone()))
            .collect()
    }

    fn foreign_key(
        &self,
        constraint: &Constraint,
        key: &ForeignKey,
        child: Arc<Relation>,
        parent: Arc<Relation>,
    ) -> PlanForeignKey {
        let parent_index = self.context.catalog.index(key.target_index).filter(|i| !i.is_primary).cloned();
        let leads = |columns: &mut dyn Iterator<Item = i16>| {
            let first: Vec<i16> = columns.take(key.columns.len()).collect();
            first.len() == key.columns.len() && first == key.columns
        };
        let by_index = |index: &&Arc<Index>| {
            let column = |c: &catalog::IndexColumn| match c.source {
                IndexSource::Column(n) => n,
                IndexSource::Expression(_) => 0,
            };
            let usable = !index.is_primary && index.state == IndexState::Public && index.predicate.is_none();
            usable && leads(&mut index.columns.iter().map(column))
        };
        let child_index = self.context.catalog.indexes_of(&child).find(by_index).cloned();
        PlanForeignKey {
            constraint: Arc::new(constraint.clone()),
            parent_index,
            child_index,
            child_uses_primary_key: leads(&mut child.key.iter().copied()),
            child,
            parent,
        }
    }

    pub(super) fn insert(&mut self, write: &Insert) -> Result<Lowered> {
        let need = write.values.iter().map(|(_, id)| *id).chain(write.tail).collect();
        let input = self.lower(&write.input, &need)?;
        let place = positions(&input.layout);
        let mut values = vec![None; write.target.relation.columns.len()];
        for (attribute, id) in &write.values {
            let at = attribute_position(*attribute)? as usize;
            *values.get_mut(at).ok_or_else(|| super::missing(*id))? = Some(find(&place, *id)?);
        }
        let (new_row, _) = new_row_positions(&write.target)?;
        let layout: Vec<ColumnId> = write.returning.iter().map(|(id, _)| *id).collect();
        let cost = cost::streamed(stats::of(&input.node), input.node.rows, 4);
        let plan = PlanInsert {
            target: self.target(&write.target, &write.generated)?,
            input: input.node,
            values,
            tail: write.tail.map(|id| find(&place, id)).transpose()?,
            on_conflict: write.on_conflict.as_ref().map(|c| self.conflict(c, &write.target)).transpose()?,
            returning: self.returning(&write.returning, &new_row)?,
            overriding: write.overriding,
        };
        Ok(self.leaf(Op::Insert(Box::new(plan)), layout, cost))
    }

    fn conflict(&mut self, conflict: &OnConflict, target: &WriteTarget) -> Result<PlanConflict> {
        let Some(update) = &conflict.update else {
            return Ok(PlanConflict { source: conflict.clone(), assignments: vec![], predicate: None, tail: None });
        };
        let mut place = Positions::new();
        let base = whole_positions(&update.existing, &target.relation, 0, &mut place)?;
        whole_positions(&update.excluded, &target.relation, base, &mut place)?;
        Ok(PlanConflict {
            source: conflict.clone(),
            assignments: self.assigned(&update.assignments, &place)?,
            predicate: self.resolve_option(update.predicate.as_ref(), &place)?,
            tail: self.resolve_option(update.tail.as_ref(), &place)?,
        })
    }

    pub(super) fn update(&mut self, write: &Update) -> Result<Lowered> {
        let exprs = write.assignments.iter().map(|(_, e)| e).chain(&write.tail).chain(&write.recheck);
        let need = write_need(
            &write.input,
            write.row_key,
            &write.old_row,
            exprs.chain(write.returning.iter().map(|(_, e)| e)),
        );
        let input = self.lower(&write.input, &need)?;
        let place = positions(&input.layout);
        let (new_row, size) = new_row_positions(&write.target)?;
        let mut after: Positions = place.iter().map(|(id, at)| (*id, size + at)).collect();
        after.extend(new_row);
        let layout: Vec<ColumnId> = write.returning.iter().map(|(id, _)| *id).collect();
        let cost = cost::streamed(stats::of(&input.node), input.node.rows, 4);
        let plan = PlanUpdate {
            target: self.target(&write.target, &write.generated)?,
            input: input.node,
            row_key: find(&place, write.row_key)?,
            old_row: old_row(&write.old_row, &place)?,
            assignments: self.assigned(&write.assignments, &place)?,
            tail: self.resolve_option(write.tail.as_ref(), &place)?,
            recheck: self.resolve_conjunction(&write.recheck, &place)?,
            returning: self.returning(&write.returning, &after)?,
        };
        Ok(self.leaf(Op::Update(Box::new(plan)), layout, cost))
    }

    pub(super) fn delete(&mut self, write: &Delete) -> Result<Lowered> {
        let exprs = write.recheck.iter().chain(write.returning.iter().map(|(_, e)| e));
        let need = write_need(&write.input, write.row_key, &write.old_row, exprs);
        let input = self.lower(&write.input, &need)?;
        let place = positions(&input.layout);
        let mut after: Positions = place.iter().map(|(id, at)| (*id, width(&write.target.relation) + at)).collect();
        row_positions(&attributes(&write.old_row), 0, &mut after)?;
        row_positions(&write.target.new_row, 0, &mut after)?;
        let layout: Vec<ColumnId> = write.returning.iter().map(|(id, _)| *id).collect();
        let cost = cost::streamed(stats::of(&input.node), input.node.rows, 4);
        let plan = PlanDelete {
            target: self.target(&write.target, &[])?,
            input: input.node,
            row_key: find(&place, write.row_key)?,
            old_row: old_row(&write.old_row, &place)?,
            recheck: self.resolve_conjunction(&write.recheck, &place)?,
            returning: self.returning(&write.returning, &after)?,
        };
        Ok(self.leaf(Op::Delete(Box::new(plan)), layout, cost))
    }
}

impl Planner<'_> {
    pub(super) fn merge(&mut self, write: &Merge) -> Result<Lowered> {
        let exprs = write.recheck.iter().chain(write.clauses.iter().flat_map(MergeClause::expressions));
        let need = write_need(&write.input, write.row_key, &write.old_row, exprs);
        let input = self.lower(&write.input, &need)?;
        let place = positions(&input.layout);
        let cost = cost::streamed(stats::of(&input.node), input.node.rows, 4);
        let mut clauses = vec![];
        for clause in &write.clauses {
            clauses.push(MergeClause {
                is_matched: clause.is_matched,
                condition: self.resolve_option(clause.condition.as_ref(), &place)?,
                action: match &clause.action {
                    MergeAction::Nothing => MergeAction::Nothing,
                    MergeAction::Delete => MergeAction::Delete,
                    MergeAction::Update(values) => MergeAction::Update(self.assigned(values, &place)?),
                    MergeAction::Insert(values) => MergeAction::Insert(self.assigned(values, &place)?),
                },
            });
        }
        let plan = PlanMerge {
            target: self.target(&write.target, &write.generated)?,
            input: input.node,
            row_key: find(&place, write.row_key)?,
            old_row: old_row(&write.old_row, &place)?,
            recheck: self.resolve_conjunction(&write.recheck, &place)?,
            clauses,
        };
        Ok(self.leaf(Op::Merge(Box::new(plan)), vec![], cost))
    }
}

fn old_row(row: &[(ScanColumn, ColumnId)], place: &Positions) -> Result<Vec<(ScanColumn, u32)>> {
    row.iter().map(|(what, id)| Ok((*what, find(place, *id)?))).collect()
}

fn write_need<'e>(
    input: &crate::logical::Node,
    row_key: ColumnId,
    row: &[(ScanColumn, ColumnId)],
    exprs: impl Iterator<Item = &'e Expr>,
) -> ColumnSet {
    let mut need: ColumnSet = row.iter().map(|(_, id)| *id).chain([row_key]).collect();
    exprs.for_each(|e| add_used(e, &mut need));
    let offers = output_set(input);
    need.retain(|id| offers.contains(id));
    need
}
