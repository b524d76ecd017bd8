//! Statements by full primary key, which need no operator tree.
//!
//! ```text
//! Get      [Sort | Limit n | LockRows | Project | Filter]* over a Scan whose conjuncts fix every key column
//! Insert   one row of expressions that read nothing
//! Update   a filtered Scan of the target, key columns not assigned to
//! Delete   a filtered Scan of the target
//! ```
//!
//! What is not certain to be one of these is None, never an error: the tree can always be had. Expressions over a row are
//! evaluated where nothing can wait, so volatile ones and subqueries are left to the tree; an inserted row's values may wait
//! (`nextval`).

use super::bounds::equality;
use super::columns::{self, conjuncts, has_subquery, is_volatile, substitute, used};
use super::exprs::{as_key_type, integer_constant};
use super::keys::attribute_of;
use super::write::row_positions;
use super::{Planner, Positions, Result, positions};
use crate::expr::{Expr, ExprKind};
use crate::logical::locking::{LockMode, WaitPolicy};
use crate::logical::{ColumnId, Delete, Insert, Node, Query, Scan, ScanColumn, Update};
use crate::physical::{Direct, PlanTarget, ScanTarget};
use catalog::{Relation, RelationKind};
use std::collections::BTreeMap;

/// Nodes around the scan beyond which a statement is no point statement any more.
const MAX_WRAPPERS: usize = 16;

/// A scan with what lies around it, every expression brought down to the scan's columns.
struct Point<'q> {
    scan: &'q Scan,
    conjuncts: Vec<Expr>,
    /// Columns that projections make.
    made: BTreeMap<ColumnId, Expr>,
    lock: Option<(LockMode, WaitPolicy)>,
}

/// Whether it may be evaluated over one row, where nothing waits, and as often as wanted.
fn is_simple(expr: &Expr) -> bool {
    !is_volatile(expr) && !has_subquery(expr)
}

/// LIMIT and OFFSET that leave one row as it is.
fn keeps_one_row(limit: Option<&Expr>, offset: Option<&Expr>) -> bool {
    limit.is_none_or(|e| integer_constant(e).is_some_and(|n| n >= 1))
        && offset.is_none_or(|e| integer_constant(e) == Some(0))
}

/// The scan below `node`, if there is nothing between but what a direct plan can do. `depth` counts the nodes around it.
fn point(node: &Node, depth: usize) -> Option<Point<'_>> {
    if depth > MAX_WRAPPERS {
        return None;
    }
    match node {
        Node::Scan(scan) => Some(Point { scan, conjuncts: vec![], made: BTreeMap::new(), lock: None }),
        Node::Filter { input, predicate } => {
            let mut point = point(input, depth + 1)?;
            if !predicate.iter().all(is_simple) {
                return None;
            }
            for expr in predicate {
                conjuncts(substitute(expr.clone(), &point.made), &mut point.conjuncts);
            }
            Some(point)
        }
        Node::Project { input, exprs } => {
            let mut point = point(input, depth + 1)?;
            if !exprs.iter().all(|(_, e)| is_simple(e)) {
                return None;
            }
            for (id, expr) in exprs {
                let made = substitute(expr.clone(), &point.made);
                point.made.insert(*id, made);
            }
            Some(point)
        }
        Node::Sort { input, keys } => match keys.iter().all(|k| is_simple(&k.expr)) {
            true => point(input, depth + 1),
            false => None,
        },
        Node::Limit { input, limit, offset, .. } => match keeps_one_row(limit.as_ref(), offset.as_ref()) {
            true => point(input, depth + 1),
            false => None,
        },
        Node::LockRows { input, targets } => {
            let mut point = point(input, depth + 1)?;
            let [target] = &targets[..] else { return None };
            if point.lock.is_some() || target.relation.id != point.scan.relation.id {
                return None;
            }
            point.lock = Some((target.mode, target.wait));
            Some(point)
        }
        _ => None,
    }
}

/// The values of a node of one row that reads nothing; false where it is not such a node.
fn one_row(node: &Node, depth: usize, made: &mut BTreeMap<ColumnId, Expr>) -> bool {
    let add = |id: ColumnId, expr: &Expr, made: &mut BTreeMap<ColumnId, Expr>| {
        // What is read twice must not be computed twice.
        let repeats = used(expr).iter().any(|id| made.get(id).is_some_and(is_volatile));
        let is_fit = !repeats && !has_subquery(expr) && !returns_set(expr);
        if is_fit {
            let expr = substitute(expr.clone(), made);
            made.insert(id, expr);
        }
        is_fit
    };
    if depth > MAX_WRAPPERS {
        return false;
    }
    match node {
        Node::OneRow => true,
        Node::Values { rows, columns } => match &rows[..] {
            [row] => columns.iter().zip(row).all(|(id, expr)| add(*id, expr, made)),
            _ => false,
        },
        Node::Project { input, exprs } => {
            one_row(input, depth + 1, made) && exprs.iter().all(|(id, expr)| add(*id, expr, made))
        }
        _ => false,
    }
}

fn returns_set(expr: &Expr) -> bool {
    expr.any(&mut |e| matches!(&e.kind, ExprKind::Call { proc, .. } if proc.returns_set))
}

/// Where the attributes of a scanned row lie when all of it is given: attribute n at `n - 1`.
fn whole_row(columns: &[(ScanColumn, ColumnId)]) -> Result<Positions> {
    let attribute = |(what, id): &(ScanColumn, ColumnId)| match what {
        ScanColumn::Attribute(n) => Some((*n, *id)),
        _ => None,
    };
    let mut place = Positions::new();
    row_positions(&columns.iter().filter_map(attribute).collect::<Vec<_>>(), 0, &mut place)?;
    Ok(place)
}

fn reads_only<'e>(exprs: impl IntoIterator<Item = &'e Expr>, place: &Positions) -> bool {
    exprs.into_iter().all(|e| is_simple(e) && used(e).iter().all(|id| place.contains_key(id)))
}

/// Whether a row's key and slot can be told from its key columns.
fn has_point_key(relation: &Relation) -> bool {
    matches!(relation.kind, RelationKind::Table | RelationKind::Collection)
        && !relation.key.is_empty()
        && relation.distribution.iter().all(|a| relation.key.contains(a))
}

impl Planner<'_> {
    /// None where the statement is more than one key's row.
    pub(super) fn direct(&mut self, query: &Query) -> Result<Option<Direct>> {
        if !query.ctes.is_empty() {
            return Ok(None);
        }
        match &query.root {
            Node::Insert(write) => self.direct_insert(write),
            Node::Update(write) => self.direct_update(write),
            Node::Delete(write) => self.direct_delete(write),
            root => self.direct_get(root, &query.output),
        }
    }

    /// One expression per key column and the conjuncts that are left; None where a key column is not fixed.
    fn direct_key(&mut self, scan: &Scan, conjuncts: &[Expr]) -> Result<Option<(Vec<Expr>, Vec<Expr>)>> {
        if scan.as_of.is_some() || !has_point_key(&scan.relation) {
            return Ok(None);
        }
        let (mut key, mut consumed) = (vec![], vec![]);
        for attribute in &scan.relation.key {
            let Some(column) = scan.relation.column(*attribute) else { return Ok(None) };
            let fixed = |expr: &Expr| {
                let (side, value) = equality(scan, expr)?;
                as_key_type(value, column.ty.into()).filter(|_| attribute_of(scan, side) == Some(*attribute))
            };
            let found = conjuncts.iter().enumerate().find_map(|(at, e)| Some((at, fixed(e)?)));
            let Some((at, value)) = found else { return Ok(None) };
            let mut value = self.resolve(&value, &Positions::new())?;
            self.fold(&mut value);
            key.push(value);
            consumed.push(at);
        }
        let rest = conjuncts.iter().enumerate().filter(|(i, _)| !consumed.contains(i));
        Ok(Some((key, rest.map(|(_, e)| e.clone()).collect())))
    }

    /// Computes what is constant: the rules do not see direct plans.
    fn fold(&self, expr: &mut Expr) {
        if let Some(fold) = self.context.fold {
            crate::rules::fold_expression(expr, fold);
        }
    }

    fn direct_filter(&mut self, conjuncts: &[Expr], place: &Positions) -> Result<Option<Expr>> {
        let mut filter = self.resolve_conjunction(conjuncts, place)?;
        filter.iter_mut().for_each(|e| self.fold(e));
        Ok(filter.filter(|e| !e.is_true()))
    }

    fn direct_get(&mut self, root: &Node, output: &[ColumnId]) -> Result<Option<Direct>> {
        let Some(point) = point(root, 0) else { return Ok(None) };
        let Some((key, rest)) = self.direct_key(point.scan, &point.conjuncts)? else { return Ok(None) };
        let outputs: Vec<Expr> =
            output.iter().map(|id| substitute(Expr::column(*id, self.ty(*id)), &point.made)).collect();
        let mut read = columns::ColumnSet::new();
        outputs.iter().chain(&rest).for_each(|e| columns::add_used(e, &mut read));
        let kept: Vec<_> = point.scan.columns.iter().filter(|(_, id)| read.contains(id)).copied().collect();
        let place = positions(&kept.iter().map(|(_, id)| *id).collect::<Vec<_>>());
        if !reads_only(outputs.iter().chain(&rest), &place) {
            return Ok(None);
        }
        self.depend(&point.scan.relation);
        Ok(Some(Direct::Get {
            target: ScanTarget {
                relation: point.scan.relation.clone(),
                alias: point.scan.alias.clone(),
                columns: kept.iter().map(|(what, _)| *what).collect(),
                as_of: None,
                until: None,
            },
            key,
            filter: self.direct_filter(&rest, &place)?,
            output: self.resolve_all(&outputs, &place)?,
            lock: point.lock,
        }))
    }

    fn direct_insert(&mut self, write: &Insert) -> Result<Option<Direct>> {
        let mut made = BTreeMap::new();
        if write.on_conflict.is_some() || write.tail.is_some() || !one_row(&write.input, 0, &mut made) {
            return Ok(None);
        }
        let mut new_row = Positions::new();
        row_positions(&write.target.new_row, 0, &mut new_row)?;
        if !reads_only(write.returning.iter().map(|(_, e)| e), &new_row) {
            return Ok(None);
        }
        let mut values = vec![None; write.target.relation.columns.len()];
        for (attribute, id) in &write.values {
            let Some(value) = made.remove(id) else { return Ok(None) };
            let place = super::write::attribute_position(*attribute)? as usize;
            let Some(slot) = values.get_mut(place) else { return Ok(None) };
            let mut value = self.resolve(&value, &Positions::new())?;
            self.fold(&mut value);
            *slot = Some(value);
        }
        let target = self.target(&write.target, &write.generated)?;
        Ok(Some(Direct::Insert { target, values, returning: self.returning(&write.returning, &new_row)? }))
    }

    /// A changed row's place: its key, what else must hold of it, and where its columns lie.
    fn direct_change(&mut self, input: &Node, target: &Relation) -> Result<Option<Change>> {
        let Some(point) = point(input, 0) else { return Ok(None) };
        if point.scan.relation.id != target.id || point.lock.is_some() {
            return Ok(None);
        }
        let Some((key, rest)) = self.direct_key(point.scan, &point.conjuncts)? else { return Ok(None) };
        let old_row = whole_row(&point.scan.columns)?;
        if !reads_only(&rest, &old_row) {
            return Ok(None);
        }
        Ok(Some(Change { key, filter: self.direct_filter(&rest, &old_row)?, made: point.made, old_row }))
    }

    fn direct_update(&mut self, write: &Update) -> Result<Option<Direct>> {
        let relation = &write.target.relation;
        let moves = write.assignments.iter().any(|(a, _)| relation.key.contains(a));
        if moves || write.tail.is_some() {
            return Ok(None);
        }
        let Some(change) = self.direct_change(&write.input, relation)? else { return Ok(None) };
        let assignments: Vec<(i16, Expr)> =
            write.assignments.iter().map(|(a, e)| (*a, substitute(e.clone(), &change.made))).collect();
        let mut new_row = Positions::new();
        row_positions(&write.target.new_row, 0, &mut new_row)?;
        let is_fit = reads_only(assignments.iter().map(|(_, e)| e), &change.old_row)
            && reads_only(write.returning.iter().map(|(_, e)| e), &new_row);
        if !is_fit {
            return Ok(None);
        }
        Ok(Some(Direct::Update {
            target: self.target(&write.target, &write.generated)?,
            key: change.key,
            filter: change.filter,
            assignments: self.assigned(&assignments, &change.old_row)?,
            returning: self.returning(&write.returning, &new_row)?,
        }))
    }

    fn direct_delete(&mut self, write: &Delete) -> Result<Option<Direct>> {
        let Some(change) = self.direct_change(&write.input, &write.target.relation)? else { return Ok(None) };
        let mut row = change.old_row;
        row_positions(&write.target.new_row, 0, &mut row)?;
        if !reads_only(write.returning.iter().map(|(_, e)| e), &row) {
            return Ok(None);
        }
        let target: PlanTarget = self.target(&write.target, &[])?;
        let returning = self.returning(&write.returning, &row)?;
        Ok(Some(Direct::Delete { target, key: change.key, filter: change.filter, returning }))
    }
}

struct Change {
    key: Vec<Expr>,
    filter: Option<Expr>,
    made: BTreeMap<ColumnId, Expr>,
    old_row: Positions,
}
