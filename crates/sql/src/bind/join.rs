//! Joins: their conditions, and the columns that a join shows. USING and NATURAL merge columns: these come first, once.

use super::from::{Factor, conjuncts, reads};
use super::scope::{Clause, Item, Name, fold};
use super::{Binder, unsupported};
use crate::expr::{CallForm, Expr, ExprKind};
use crate::logical::{ColumnId, JoinKind, Node};
use crate::tree::{FromTree, JoinTree};
use sqlparser::ast::{self, JoinConstraint, JoinOperator, Spanned, TableAlias, TableWithJoins};
use types::builtin::CastContext;
use types::{Result, SqlError, SqlState, SqlType};

/// A join being made: its sides' columns, and where their items begin in the scope.
struct Sides {
    kind: JoinKind,
    left: Vec<Name>,
    right: Vec<Name>,
    start: usize,
}

/// What USING or NATURAL makes of a join.
struct Merged {
    on: Vec<Expr>,
    /// The merged columns, in order.
    columns: Vec<Name>,
    /// Those of them that have to be computed above the join.
    computed: Vec<(ColumnId, Expr)>,
}

impl Binder<'_> {
    pub(super) fn nested_join(&mut self, join: &TableWithJoins, alias: Option<&TableAlias>) -> Result<Factor> {
        let start = self.scope()?.items.len();
        let mut factor = self.with_joins(join)?;
        let Some(alias) = alias else { return Ok(factor) };
        let name = fold(&alias.name);
        let number = self.next_item();
        factor.columns = self.renamed(&name, factor.columns, Some(alias))?;
        // An alias hides what stands inside.
        for item in self.scope()?.items.iter_mut().skip(start) {
            (item.columns_visible, item.name_visible) = (false, false);
        }
        self.put_item(Item::new(&name, factor.columns.clone()))?;
        if let Some(FromTree::Join(join)) = &mut factor.tree {
            join.alias = Some((name, alias.columns.len(), number));
            join.columns = factor.columns.iter().map(|c| (c.name.clone(), c.id)).collect();
        }
        Ok(factor)
    }

    pub(super) fn with_joins(&mut self, item: &TableWithJoins) -> Result<Factor> {
        let start = self.scope()?.items.len();
        // What stands to the left of a RIGHT or FULL JOIN is padded by it.
        let pads_left = |join: &ast::Join| {
            use JoinOperator::{FullOuter, Right, RightOuter};
            matches!(join.join_operator, Right(_) | RightOuter(_) | FullOuter(_))
        };
        let padded = |number: usize| {
            let is_padded = item.joins.iter().skip(number).any(pads_left);
            is_padded.then_some(super::with::Place::OuterJoin)
        };
        let outer = self.enter_place(padded(0));
        let left = self.factor(&item.relation);
        self.leave_place(outer);
        let mut left = left?;
        for (number, join) in item.joins.iter().enumerate() {
            let (kind, constraint) = match &join.join_operator {
                JoinOperator::Join(c) | JoinOperator::Inner(c) | JoinOperator::CrossJoin(c) => (JoinKind::Inner, c),
                JoinOperator::Left(c) | JoinOperator::LeftOuter(c) => (JoinKind::Left, c),
                JoinOperator::Right(c) | JoinOperator::RightOuter(c) => (JoinKind::Right, c),
                JoinOperator::FullOuter(c) => (JoinKind::Full, c),
                _ => return Err(unsupported("this kind of join", self.at(join.relation.span()))),
            };
            let may_be_padded = matches!(kind, JoinKind::Right | JoinKind::Full);
            for item in self.scope()?.items.iter_mut().skip(start) {
                (item.lateral_only, item.lateral_allowed) = (true, !may_be_padded);
            }
            let outer = self.enter_place(match kind {
                JoinKind::Left | JoinKind::Full => Some(super::with::Place::OuterJoin),
                _ => padded(number + 1),
            });
            let middle = self.scope()?.items.len();
            let right = self.factor(&join.relation);
            self.leave_place(outer);
            let right = right?;
            self.check_names(start, middle)?;
            for item in self.scope()?.items.iter_mut().skip(start) {
                (item.lateral_only, item.lateral_allowed) = (false, true);
            }
            left = self.joined(kind, left, right, constraint, start, middle)?;
        }
        Ok(left)
    }

    fn joined(
        &mut self,
        kind: JoinKind,
        left: Factor,
        right: Factor,
        constraint: &JoinConstraint,
        start: usize,
        middle: usize,
    ) -> Result<Factor> {
        let (mut left, mut right) = (left, right);
        let trees = left.tree.take().zip(right.tree.take());
        let lateral = reads(&right.node, &left.node);
        let scope = self.scope()?;
        if matches!(kind, JoinKind::Left | JoinKind::Full) {
            super::locking::refuse_padded(scope, &right.node)?;
            right.node = self.with_rows(right.node, middle, usize::MAX)?;
        }
        let scope = self.scope()?;
        if matches!(kind, JoinKind::Right | JoinKind::Full) {
            super::locking::refuse_padded(scope, &left.node)?;
            left.node = self.with_rows(left.node, start, middle)?;
        }
        let sides = Sides { kind, left: left.columns, right: right.columns, start };
        let names = match constraint {
            JoinConstraint::None | JoinConstraint::On(_) => vec![],
            JoinConstraint::Using(names) | JoinConstraint::UsingAlias(names, _) => {
                names.iter().filter_map(|n| n.0.last().and_then(|p| p.as_ident()).map(fold)).collect()
            }
            JoinConstraint::Natural => {
                let shared = sides.left.iter().filter(|l| sides.right.iter().any(|r| r.name == l.name));
                shared.map(|l| l.name.clone()).collect()
            }
        };
        let merged = match constraint {
            JoinConstraint::On(condition) => {
                let on = self.join_condition(condition, start)?;
                Merged { on, columns: vec![], computed: vec![] }
            }
            _ => self.merged(&sides, &names)?,
        };
        let is_merged = |c: &&Name| !names.contains(&c.name);
        let mut columns = merged.columns.clone();
        columns.extend(sides.left.iter().filter(is_merged).cloned());
        columns.extend(sides.right.iter().filter(is_merged).cloned());
        let tree = trees.map(|(left, right)| {
            let using_alias = match constraint {
                JoinConstraint::UsingAlias(_, alias) => Some(fold(alias)),
                _ => None,
            };
            let columns = columns.iter().map(|c| (c.name.clone(), c.id)).collect();
            let (kind, on, using) = (sides.kind, merged.on.clone(), names.clone());
            FromTree::Join(Box::new(JoinTree { kind, left, right, on, using, using_alias, alias: None, columns }))
        });
        let scope = self.scope()?;
        scope.items.iter_mut().skip(sides.start).for_each(|item| item.columns_visible = false);
        scope.push(Item { name_visible: false, ..Item::new("", columns.clone()) });
        if let JoinConstraint::UsingAlias(_, alias) = constraint {
            let item = Item::new(&fold(alias), merged.columns);
            self.put_item(Item { columns_visible: false, ..item })?;
        }
        let mut node =
            Node::Join { kind, left: Box::new(left.node), right: Box::new(right.node), on: merged.on, lateral };
        self.scope()?.merged.extend(merged.computed.iter().cloned());
        if !merged.computed.is_empty() {
            node = Node::Project { input: Box::new(node), exprs: merged.computed };
        }
        Ok(Factor { node, columns, tree })
    }

    /// A side that will be padded, with the whole rows of its items as columns: padded, these are NULL and no rows of NULLs.
    fn with_rows(&mut self, node: Node, from: usize, to: usize) -> Result<Node> {
        let items = self.scope()?.items.iter().take(to).enumerate().skip(from);
        let bare = items.filter(|(_, i)| i.relation.is_none() && i.padded_row.is_none() && !i.alias.is_empty());
        let bare: Vec<(usize, Vec<Name>)> = bare.map(|(at, i)| (at, i.columns.clone())).collect();
        let mut exprs = vec![];
        for (at, columns) in bare {
            let ty = self.row_type_of(&columns);
            let id = self.new_column("row", ty, 0, 0);
            let names = columns.iter().map(|c| c.name.clone()).collect();
            let fields = columns.iter().map(|c| Expr::column(c.id, c.ty)).collect();
            exprs.push((id, Expr::new(ExprKind::Row { fields, names }, ty, 0)));
            if let Some(item) = self.scope()?.items.get_mut(at) {
                item.padded_row = Some((id, ty));
            }
        }
        Ok(match exprs.is_empty() {
            true => node,
            false => Node::Project { input: Box::new(node), exprs },
        })
    }

    /// ON: only what stands left in the same join is visible.
    fn join_condition(&mut self, condition: &ast::Expr, start: usize) -> Result<Vec<Expr>> {
        let hidden: Vec<Item> = self.scope()?.items.drain(..start).collect();
        let clause = self.enter(Clause::Join);
        let bound = self.expr(condition).and_then(|c| self.boolean(c, "JOIN/ON"));
        self.enter(clause);
        self.scope()?.items.splice(0..0, hidden);
        Ok(conjuncts(bound?))
    }

    fn merged(&mut self, sides: &Sides, names: &[String]) -> Result<Merged> {
        let mut merged = Merged { on: vec![], columns: vec![], computed: vec![] };
        for (number, name) in names.iter().enumerate() {
            if names.iter().take(number).any(|n| n == name) {
                let message = format!("column name \"{name}\" appears more than once in USING clause");
                return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
            }
            let left = one_column(&sides.left, name, "left")?;
            let right = one_column(&sides.right, name, "right")?;
            let (l, r) = (Expr::column(left.id, left.ty), Expr::column(right.id, right.ty));
            merged.on.push(self.binary("=", l.clone(), r.clone(), 0)?);
            let value = self.merged_value(sides.kind, l, r)?;
            let (id, ty) = match value.kind {
                ExprKind::Column(id) => (id, value.ty),
                _ => {
                    let (id, ty) = (self.new_column(name, value.ty, 0, 0), value.ty);
                    merged.computed.push((id, value));
                    (id, ty)
                }
            };
            merged.columns.push(Name { name: name.clone(), id, ty });
        }
        Ok(merged)
    }

    /// The value of a merged column: the side that no outer join pads, or whichever is not NULL.
    fn merged_value(&mut self, kind: JoinKind, left: Expr, right: Expr) -> Result<Expr> {
        let ty = self.common_type(&[(left.ty, 0), (right.ty, 0)], "JOIN/USING")?;
        match kind {
            JoinKind::Full => {
                let args = vec![self.merged_side(left, ty)?, self.merged_side(right, ty)?];
                Ok(Expr::new(ExprKind::Coalesce(args), ty, 0))
            }
            JoinKind::Right => self.merged_side(right, ty),
            JoinKind::Inner if left.ty.oid != ty.oid && right.ty.oid == ty.oid => Ok(right),
            _ => self.merged_side(left, ty),
        }
    }

    fn merged_side(&mut self, side: Expr, ty: SqlType) -> Result<Expr> {
        if side.ty.oid == ty.oid {
            return Ok(side);
        }
        let cast = self.try_coerce(side, ty, CastContext::Implicit, CallForm::ImplicitCast)?;
        cast.ok_or_else(|| SqlError::internal("a common type can be cast to"))
    }
}

fn one_column<'s>(side: &'s [Name], name: &str, which: &str) -> Result<&'s Name> {
    let found: Vec<&Name> = side.iter().filter(|c| c.name == name).collect();
    match found.as_slice() {
        [one] => Ok(one),
        [] => {
            let message = format!("column \"{name}\" specified in USING clause does not exist in {which} table");
            Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message))
        }
        _ => {
            let message = format!("common column name \"{name}\" appears more than once in {which} table");
            Err(SqlError::new(SqlState::AMBIGUOUS_COLUMN, message))
        }
    }
}
