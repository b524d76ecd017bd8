//! Keys by which a scan can find rows: the primary key and the public indexes, those over expressions too, and partial ones
//! whose predicate the scan's conditions imply.

use super::PlanContext;
use super::columns::{self, ColumnSet, conjuncts};
use super::exprs::{as_operator, is_same_representation};
use crate::BindContext;
use crate::expr::{CallForm, Expr, ExprKind};
use crate::logical::{Scan, ScanColumn};
use catalog::{Index, IndexSource, IndexState};
use std::cmp::Ordering;
use std::sync::Arc;
use types::{Datum, SqlType, builtin};

#[derive(Clone, Debug)]
pub(crate) enum KeySource {
    Attribute(i16),
    /// Over the scan's columns.
    Expression(Expr),
}

/// One column of a key that a scan can go by.
#[derive(Clone, Debug)]
pub(crate) struct KeyColumn {
    pub source: KeySource,
    pub ty: SqlType,
    pub descending: bool,
    pub nulls_first: bool,
    /// No row has NULL there.
    pub not_null: bool,
}

impl KeyColumn {
    /// Whether the expression is this column, seen through casts that keep the representation.
    pub fn is(&self, scan: &Scan, expr: &Expr) -> bool {
        match &self.source {
            KeySource::Attribute(n) => attribute_of(scan, expr) == Some(*n),
            KeySource::Expression(source) => same(source, without_relabel(expr)) || same(source, expr),
        }
    }
}

/// The primary key (`index` None) or a secondary index.
#[derive(Clone, Debug)]
pub(crate) struct KeyChoice {
    pub index: Option<Arc<Index>>,
    pub columns: Vec<KeyColumn>,
    pub is_unique: bool,
    /// The predicate of a partial index, by conjuncts: every row in the index fulfils them.
    pub predicate: Vec<Expr>,
}

/// Keys by which rows of a relation can be found, if these conditions hold of them.
pub(crate) fn keys_of(context: &PlanContext, scan: &Scan, conditions: &[Expr]) -> Vec<KeyChoice> {
    let mut choices = vec![];
    for index in context.catalog.indexes_of(&scan.relation) {
        let serves = context.reads_at.is_none_or(|at| context.catalog.index_serves(index.id, at));
        if index.state != IndexState::Public || !serves && !index.is_primary {
            continue;
        }
        let mut predicate = vec![];
        if let Some(text) = &index.predicate {
            let Some(bound) = stored(context, scan, text) else { continue };
            conjuncts(bound, &mut predicate);
            if !predicate.iter().all(|p| conditions.iter().any(|c| implies(c, p))) {
                continue;
            }
        }
        let columns: Vec<KeyColumn> = index.columns.iter().map_while(|c| key_column(context, scan, c)).collect();
        if columns.is_empty() {
            continue;
        }
        let is_whole = columns.len() == index.columns.len();
        choices.push(KeyChoice {
            index: (!index.is_primary).then(|| index.clone()),
            columns,
            is_unique: is_whole && (index.is_unique || index.is_primary),
            predicate,
        });
    }
    choices
}

fn key_column(context: &PlanContext, scan: &Scan, column: &catalog::IndexColumn) -> Option<KeyColumn> {
    let (source, not_null) = match &column.source {
        IndexSource::Column(n) => (KeySource::Attribute(*n), scan.relation.column(*n)?.not_null),
        IndexSource::Expression(text) => (KeySource::Expression(stored(context, scan, text)?), false),
    };
    let (descending, nulls_first) = (column.descending, column.nulls_first);
    Some(KeyColumn { source, ty: column.ty.into(), descending, nulls_first, not_null })
}

/// A stored expression over the scan's columns; None where it reads one that the scan has not.
fn stored(context: &PlanContext, scan: &Scan, text: &str) -> Option<Expr> {
    let binding = BindContext {
        catalog: context.catalog.clone(),
        database: scan.relation.database,
        search_path: vec![catalog::PG_CATALOG_SCHEMA, scan.relation.schema],
        creation_schema: None,
        temporary_schema: None,
        role: scan.relation.owner,
        session_role: scan.relation.owner,
        format: Arc::default(),
        standard_conforming_strings: true,
        is_implemented: |_| true,
    };
    let mut expr = crate::parse_bind_expr(text, &scan.relation, &binding).ok()?;
    let mut is_whole = true;
    expr.rewrite(&mut |e| {
        if let ExprKind::Column(id) = &mut e.kind {
            let wanted = match id.0 as usize >= scan.relation.columns.len() {
                true => ScanColumn::Tail,
                false => ScanColumn::Attribute(i16::try_from(id.0 + 1).unwrap_or(0)),
            };
            let found = scan.columns.iter().find(|(what, _)| *what == wanted);
            match found {
                Some((_, column)) => *id = *column,
                None => is_whole = false,
            }
        }
    });
    if let Some(fold) = context.fold {
        crate::rules::fold_expression(&mut expr, fold);
    }
    is_whole.then_some(expr)
}

/// The attribute that an expression is, seen through casts that keep the representation.
pub(crate) fn attribute_of(scan: &Scan, expr: &Expr) -> Option<i16> {
    match &expr.kind {
        ExprKind::Column(id) => scan.columns.iter().find(|(_, c)| c == id).and_then(|(what, _)| match what {
            ScanColumn::Attribute(n) => Some(*n),
            _ => None,
        }),
        ExprKind::Relabel(arg, _) if is_same_representation(arg.ty.oid, expr.ty.oid) => attribute_of(scan, arg),
        _ => None,
    }
}

fn without_relabel(expr: &Expr) -> &Expr {
    match &expr.kind {
        ExprKind::Relabel(arg, _) if is_same_representation(arg.ty.oid, expr.ty.oid) => without_relabel(arg),
        _ => expr,
    }
}

fn same_all(a: &[Expr], b: &[Expr]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
}

fn same_datum(ty: SqlType, a: &Datum, b: &Datum) -> bool {
    match (a.is_null(), b.is_null()) {
        (true, true) => true,
        (false, false) => {
            let (mut left, mut right) = (vec![], vec![]);
            types::key::encode(ty, a, types::key::KeyOrder::ASC, &mut left);
            types::key::encode(ty, b, types::key::KeyOrder::ASC, &mut right);
            left == right
        }
        _ => false,
    }
}

/// Whether two expressions are one, wherever they stand in the text. False for kinds that no index or condition is made of.
pub(crate) fn same(a: &Expr, b: &Expr) -> bool {
    use ExprKind::*;
    match (&a.kind, &b.kind) {
        (Relabel(x, _), Relabel(y, _)) | (InOut(x, _), InOut(y, _)) => a.ty.oid == b.ty.oid && same(x, y),
        _ if a.ty.oid != b.ty.oid => false,
        (Column(x), Column(y)) => x == y,
        (Parameter(x), Parameter(y)) => x == y,
        (Const(x), Const(y)) => same_datum(a.ty, x, y),
        (CaseValue, CaseValue) => true,
        (Call { proc: p, args: x, variadic_array: v, .. }, Call { proc: q, args: y, variadic_array: w, .. }) => {
            p.oid == q.oid && v == w && same_all(x, y)
        }
        (And(x), And(y)) | (Or(x), Or(y)) | (Coalesce(x), Coalesce(y)) => same_all(x, y),
        (Not(x), Not(y)) => same(x, y),
        (IsNull { arg: x, negated: n, of_row: r }, IsNull { arg: y, negated: m, of_row: s }) => {
            n == m && r == s && same(x, y)
        }
        (BoolTest { arg: x, test: t }, BoolTest { arg: y, test: u }) => t == u && same(x, y),
        (DocumentPath { document: x, path: p }, DocumentPath { document: y, path: q }) => p == q && same(x, y),
        (Array { elements: x, nested: n }, Array { elements: y, nested: m }) => n == m && same_all(x, y),
        (
            AnyAll { operator: o, left: l, array: x, all: n, .. },
            AnyAll { operator: p, left: m, array: y, all: k, .. },
        ) => o.oid == p.oid && n == k && same(l, m) && same(x, y),
        (Case { operand: o, branches: x, otherwise: e }, Case { operand: p, branches: y, otherwise: f }) => {
            let both = |a: &Option<Box<Expr>>, b: &Option<Box<Expr>>| match (a, b) {
                (None, None) => true,
                (Some(a), Some(b)) => same(a, b),
                _ => false,
            };
            let branches = x.len() == y.len() && x.iter().zip(y).all(|((c, r), (d, s))| same(c, d) && same(r, s));
            both(o, p) && branches && both(e, f)
        }
        _ => false,
    }
}

/// `side op constant`, turned round where it was written the other way.
fn against_constant(expr: &Expr) -> Option<(&Expr, &'static str, &Datum)> {
    fn constant(e: &Expr) -> Option<&Datum> {
        match &e.kind {
            ExprKind::Const(value) if !value.is_null() => Some(value),
            _ => None,
        }
    }
    let (operator, left, right) = as_operator(expr)?;
    if left.ty.oid != right.ty.oid {
        return None;
    }
    if let Some(value) = constant(right) {
        return Some((left, operator.name, value));
    }
    Some((right, builtin::operator_by_oid(operator.commutator)?.name, constant(left)?))
}

/// Whether a row that fulfils `known` fulfils `wanted`.
pub(crate) fn implies(known: &Expr, wanted: &Expr) -> bool {
    if same(known, wanted) {
        return true;
    }
    match &wanted.kind {
        ExprKind::IsNull { arg, negated: true, of_row: false } => match arg.kind {
            ExprKind::Column(id) => columns::rejects_null(known, &ColumnSet::from([id])),
            _ => false,
        },
        ExprKind::Or(parts) => parts.iter().any(|p| implies(known, p)),
        ExprKind::Call { form: CallForm::Operator(_), .. } => implies_comparison(known, wanted).unwrap_or(false),
        _ => false,
    }
}

fn implies_comparison(known: &Expr, wanted: &Expr) -> Option<bool> {
    let ((a, known_op, x), (b, wanted_op, y)) = (against_constant(known)?, against_constant(wanted)?);
    if a.ty.oid != b.ty.oid || !same(a, b) {
        return Some(false);
    }
    let order = types::compare::compare(a.ty, x, y);
    Some(match (known_op, wanted_op) {
        ("=", ">") | (">=", ">") => order == Ordering::Greater,
        ("=" | ">" | ">=", ">=") | (">", ">") => order != Ordering::Less,
        ("=", "<") | ("<=", "<") => order == Ordering::Less,
        ("=" | "<" | "<=", "<=") | ("<", "<") => order != Ordering::Greater,
        ("=", "<>") => order != Ordering::Equal,
        _ => false,
    })
}
