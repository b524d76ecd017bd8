//! pg_depend, and the rules of views (pg_rewrite) that stand between a view and what it reads.
//!
//! Listed are the dependencies that tools ask for: of defaults, constraints, indexes and sequences on columns, of foreign
//! keys on the keys they point at, of views on relations and columns, and of all of them on schemas. PostgreSQL's pinned
//! objects have none there either.

use super::attributes::default_oid;
use super::constraints;
use super::row::{derived_oid, row};
use super::{RowsFn, Scan};
use crate::Snapshot;
use crate::descriptor::*;
use crate::rule_definition::VIEW_RULE;
use types::Oid;

pub(super) const RELATIONS: &[(&str, RowsFn)] = &[("pg_depend", pg_depend), ("pg_rewrite", pg_rewrite)];

const PG_CLASS: Oid = 1259;
const PG_TYPE: Oid = 1247;
const PG_CONSTRAINT: Oid = 2606;
const PG_ATTRDEF: Oid = 2604;
const PG_REWRITE: Oid = 2618;
const PG_NAMESPACE: Oid = 2615;
const PG_PROC: Oid = 1255;
const PG_OPERATOR: Oid = 2617;

/// pg_rewrite's OID of a view's rule.
fn rule_oid(view: Oid) -> Oid {
    derived_oid(view, u32::MAX)
}

fn pg_rewrite(scan: &mut Scan<'_>) {
    let is_view = |r: &Relation| matches!(r.kind, RelationKind::View | RelationKind::MaterializedView);
    for view in scan.user_relations(scan.oid(3)).filter(|r| is_view(r)) {
        let id = rule_oid(view.id);
        if scan.wants(1, id) {
            let query = view.view.as_ref().map(|v| v.query.as_str());
            scan.push(row![id, VIEW_RULE, view.id, '1', 'O', true, "<>", query]);
        }
    }
    for relation in scan.user_relations(scan.oid(3)) {
        for rule in scan.catalog.rules_of(relation.id) {
            if scan.wants(1, rule.id) {
                let condition = rule.condition.as_deref().unwrap_or("<>");
                let enabled = if rule.is_enabled { 'O' } else { 'D' };
                let (letter, actions) =
                    (rule.event.letter(), rule.actions.iter().map(|a| a.text.as_str()).collect::<Vec<_>>().join("; "));
                scan.push(row![rule.id, &rule.name, relation.id, letter, enabled, rule.is_instead, condition, actions]);
            }
        }
    }
}

/// The view that this pg_rewrite OID is the rule of.
pub(crate) fn view_of_rule(catalog: &Snapshot, rule: Oid) -> Option<Oid> {
    catalog.relations().find(|r| r.view.is_some() && rule_oid(r.id) == rule).map(|r| r.id)
}

/// What depends, and on what: class, object, column.
type Place = (Oid, Oid, AttributeNumber);

struct Edges<'a, 's> {
    scan: &'a mut Scan<'s>,
}

impl Edges<'_, '_> {
    /// On a relation or function.
    fn add_object(&mut self, from: Place, object: Oid, column: AttributeNumber) {
        let class = if self.scan.catalog.function(object).is_some() { PG_PROC } else { PG_CLASS };
        self.add(from, (class, object, column), 'n');
    }

    fn add(&mut self, from: Place, to: Place, kind: char) {
        let scan = &mut *self.scan;
        let is_wanted = scan.wants(1, from.0) && scan.wants(2, from.1) && scan.wants(4, to.0) && scan.wants(5, to.1);
        if is_wanted {
            let number = |n: AttributeNumber| i32::from(n);
            scan.push(row![from.0, from.1, number(from.2), to.0, to.1, number(to.2), kind]);
        }
    }
}

fn pg_depend(scan: &mut Scan<'_>) {
    let relations: Vec<_> = scan.user_relations(None).collect();
    let types: Vec<_> = scan.scalar_types().collect();
    let mut edges = Edges { scan };
    for relation in relations {
        of_relation(&mut edges, relation);
    }
    for ty in types {
        of_scalar_type(&mut edges, ty);
    }
    let functions: Vec<_> = edges.scan.functions().collect();
    for function in functions {
        of_function(&mut edges, function);
    }
    for operator in edges.scan.operators() {
        of_operator(&mut edges, operator);
    }
}

/// On its schema and on users' types in its signature.
fn of_function(edges: &mut Edges<'_, '_>, f: &Function) {
    let this = (PG_PROC, f.id, 0);
    edges.add(this, (PG_NAMESPACE, f.schema, 0), 'n');
    let mut types: Vec<Oid> = f.parameters.iter().map(|p| p.ty).chain([f.result]).collect();
    types.sort_unstable();
    types.dedup();
    for ty in types.into_iter().filter(|ty| edges.scan.catalog.relation_of_type(*ty).is_some()) {
        edges.add(this, (PG_TYPE, ty, 0), 'n');
    }
    if let FunctionBody::Atomic { depends_on, .. } = &f.body {
        for (object, column) in depends_on {
            edges.add_object(this, *object, *column);
        }
    }
}

fn of_operator(edges: &mut Edges<'_, '_>, o: &Operator) {
    let this = (PG_OPERATOR, o.id, 0);
    edges.add(this, (PG_NAMESPACE, o.schema, 0), 'n');
    for ty in [o.left, o.right, o.result] {
        if types::user_type::kind_of(ty).is_some() {
            edges.add(this, (PG_TYPE, ty, 0), 'n');
        }
    }
    for function in [o.procedure, o.restrict, o.join] {
        if edges.scan.catalog.function(function).is_some() {
            edges.add(this, (PG_PROC, function, 0), 'n');
        }
    }
}

fn of_scalar_type(edges: &mut Edges<'_, '_>, r: &Relation) {
    let this = (PG_TYPE, r.row_type, 0);
    edges.add(this, (PG_NAMESPACE, r.schema, 0), 'n');
    edges.add((PG_TYPE, r.row_array_type, 0), this, 'i');
    if let Some(TypeDefinition::Domain(definition)) = &r.definition {
        if types::user_type::kind_of(definition.base.oid).is_some() {
            edges.add(this, (PG_TYPE, definition.base.oid, 0), 'n');
        }
        for check in &r.constraints {
            edges.add((PG_CONSTRAINT, check.id, 0), this, 'a');
        }
    }
}

fn of_relation(edges: &mut Edges<'_, '_>, r: &Relation) {
    let class = (PG_CLASS, r.id, 0);
    edges.add(class, (PG_NAMESPACE, r.schema, 0), 'n');
    if r.row_type != 0 && !matches!(r.kind, RelationKind::Sequence | RelationKind::Composite) {
        edges.add((PG_TYPE, r.row_type, 0), class, 'i');
        edges.add((PG_TYPE, r.row_array_type, 0), (PG_TYPE, r.row_type, 0), 'i');
    }
    for column in r.live_columns().filter(|c| types::user_type::kind_of(c.declared().oid).is_some()) {
        edges.add((PG_CLASS, r.id, column.number), (PG_TYPE, column.declared().oid, 0), 'n');
    }
    for column in r.live_columns().filter(|c| c.default.is_some()) {
        let default = (PG_ATTRDEF, default_oid(r.id, column.number), 0);
        // A generated column does not outlive its expression.
        let kind = if column.is_generated { 'i' } else { 'a' };
        edges.add(default, (PG_CLASS, r.id, column.number), kind);
        for sequence in sequences_in(edges.scan, column.default.as_deref().unwrap_or_default()) {
            edges.add(default, (PG_CLASS, sequence, 0), 'n');
        }
    }
    if let Some((owner, column)) = r.sequence.as_ref().and_then(|s| s.owned_by) {
        let kind = if r.sequence.as_ref().is_some_and(|s| s.is_identity) { 'i' } else { 'a' };
        edges.add(class, (PG_CLASS, owner, column), kind);
    }
    for constraint in &r.constraints {
        of_constraint(edges, r, constraint);
    }
    let indexes: Vec<_> = edges.scan.catalog.indexes_of(r).collect();
    for index in indexes.into_iter().filter(|i| super::classes::constraint_of(r, i.id).is_none()) {
        of_index(edges, r, index);
    }
    of_rules(edges, r);
    if let Some(view) = &r.view {
        let rule = (PG_REWRITE, rule_oid(r.id), 0);
        edges.add(rule, class, 'i');
        for (object, column) in &view.depends_on {
            edges.add_object(rule, *object, *column);
        }
    }
}

fn of_rules(edges: &mut Edges<'_, '_>, r: &Relation) {
    let catalog = edges.scan.catalog;
    for rule in catalog.rules_of(r.id) {
        let this = (PG_REWRITE, rule.id, 0);
        edges.add(this, (PG_CLASS, r.id, 0), 'a');
        for (object, column) in rule.depends_on.iter().filter(|(object, _)| catalog.relation(*object).is_some()) {
            edges.add(this, (PG_CLASS, *object, *column), 'n');
        }
    }
}

/// The sequences that a stored expression names as `'schema.name'::regclass`.
fn sequences_in(scan: &Scan<'_>, text: &str) -> Vec<Oid> {
    let mut found = vec![];
    for (end, _) in text.match_indices("'::regclass") {
        let Some((_, literal)) = text.get(..end).and_then(|before| before.rsplit_once('\'')) else { continue };
        let Ok(name) = crate::names::parse_qualified(literal) else { continue };
        if let Ok(relation) = crate::names::relation(scan.catalog, scan.context.scope, &name)
            && relation.kind == RelationKind::Sequence
            && !found.contains(&relation.id)
        {
            found.push(relation.id);
        }
    }
    found
}

fn of_constraint(edges: &mut Edges<'_, '_>, r: &Relation, constraint: &Constraint) {
    let from = (PG_CONSTRAINT, constraint.id, 0);
    for column in constraints::columns(edges.scan, constraint) {
        edges.add(from, (PG_CLASS, r.id, column), 'a');
    }
    match &constraint.kind {
        ConstraintKind::PrimaryKey { index } | ConstraintKind::Unique { index } => {
            edges.add((PG_CLASS, *index, 0), from, 'i');
        }
        ConstraintKind::ForeignKey(key) => {
            for column in &key.target_columns {
                edges.add(from, (PG_CLASS, key.target, *column), 'n');
            }
            edges.add(from, (PG_CLASS, key.target_index, 0), 'n');
        }
        ConstraintKind::Check { .. } => {}
    }
}

fn of_index(edges: &mut Edges<'_, '_>, r: &Relation, index: &Index) {
    let from = (PG_CLASS, index.id, 0);
    let mut columns: Vec<AttributeNumber> = index
        .columns
        .iter()
        .filter_map(|c| match c.source {
            IndexSource::Column(number) => Some(number),
            IndexSource::Expression(_) => None,
        })
        .chain(index.included.iter().copied())
        .collect();
    columns.dedup();
    if columns.is_empty() {
        columns.push(0);
    }
    for column in columns {
        edges.add(from, (PG_CLASS, r.id, column), 'a');
    }
}
