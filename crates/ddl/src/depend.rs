//! Who depends on what: found from descriptors and their stored texts; and the rules of RESTRICT and CASCADE.
//!
//! Dependents are of two kinds, as PostgreSQL has them. *Automatic* ones go with the object silently: indexes and constraints of a
//! table or column, sequences that a column owns. *Normal* ones stop the drop, or go with CASCADE and a notice each.

use super::context::{DdlContext, error};
use super::mentions::{index_texts, mentions, names_type, sequence_literal, type_mention};
use catalog::names::{self, NameScope};
use catalog::operators::{self, AnyOperator};
use catalog::*;
use std::collections::BTreeSet;
use types::functions::quote_ident;
use types::{Oid, Result, SqlState};

/// What can be dropped, or depend on what is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Part {
    Schema(Oid),
    Relation(Oid),
    Index(Oid),
    /// (relation, constraint)
    Constraint(Oid, Oid),
    Column(Oid, AttributeNumber),
    Default(Oid, AttributeNumber),
    Function(Oid),
    Operator(Oid),
    Rule(Oid),
}

/// A drop worked out: what goes, in the order in which it was found.
#[derive(Debug, Default)]
pub(super) struct DropPlan {
    pub parts: Vec<Part>,
}

pub(super) fn describe(snapshot: &Snapshot, scope: NameScope<'_>, part: Part) -> String {
    let relation = |id: Oid| match snapshot.relation(id) {
        Some(r) => format!("{} {}", r.kind_name(), names::regclass_text(snapshot, scope, id)),
        None => format!("relation {id}"),
    };
    // A composite type is called a type when it goes, and by its kind when a column of it does.
    let holder = |id: Oid| match snapshot.relation(id) {
        Some(r) if r.kind == RelationKind::Composite => format!("composite {}", relation(id)),
        _ => relation(id),
    };
    let column = |id: Oid, number: AttributeNumber| {
        snapshot
            .relation(id)
            .and_then(|r| r.column(number))
            .map_or_else(|| number.to_string(), |c| quote_ident(&c.name).to_string())
    };
    match part {
        Part::Schema(id) => {
            format!("schema {}", snapshot.schema(id).map(|s| quote_ident(&s.name).to_string()).unwrap_or_default())
        }
        Part::Relation(id) => relation(id),
        Part::Index(id) => format!("index {}", names::regclass_text(snapshot, scope, id)),
        Part::Constraint(id, constraint) => {
            let found = snapshot.relation(id).and_then(|r| r.constraints.iter().find(|c| c.id == constraint));
            let name = found.map(|c| quote_ident(&c.name).to_string()).unwrap_or_default();
            format!("constraint {name} on {}", relation(id))
        }
        Part::Column(id, number) => format!("column {} of {}", column(id, number), holder(id)),
        Part::Rule(id) => match snapshot.rule(id) {
            Some(rule) => format!("rule {} on {}", quote_ident(&rule.name), relation(rule.relation)),
            None => format!("rule {id}"),
        },
        Part::Function(id) => format!("function {}", function_text(snapshot, scope, id)),
        Part::Operator(id) => {
            let text =
                snapshot.operator(id).map(|o| operators::signature(snapshot, scope, &AnyOperator::User(o.clone())));
            format!("operator {}", text.unwrap_or_else(|| id.to_string()))
        }
        Part::Default(id, number) => format!("default value for column {} of {}", column(id, number), relation(id)),
    }
}

/// `f(integer)`, qualified where the search path does not find it.
fn function_text(snapshot: &Snapshot, scope: NameScope<'_>, id: Oid) -> String {
    let Some(function) = snapshot.function(id) else { return id.to_string() };
    let name = match names::function_is_visible(snapshot, scope, function) {
        true => quote_ident(&function.name).to_string(),
        false => names::qualified(snapshot, function.schema, &function.name),
    };
    let types = function.inputs().map(|p| names::format_type(snapshot, scope, p.ty, None));
    format!("{name}({})", types.collect::<Vec<_>>().join(","))
}

/// Works out what goes with `targets`. 2BP01 without CASCADE if anything normal is among it.
pub(super) fn plan_drop(context: &DdlContext<'_>, targets: &[Part], cascade: bool) -> Result<DropPlan> {
    let snapshot = context.snapshot();
    let mut plan = DropPlan::default();
    let mut seen: BTreeSet<Part> = targets.iter().copied().collect();
    let mut reports: Vec<(Part, Part)> = vec![];
    let mut stack: Vec<Part> = targets.iter().rev().copied().collect();
    // What a whole relation takes along needs no mention of its own: its constraints, columns and defaults.
    while let Some(part) = stack.pop() {
        plan.parts.push(part);
        let mut found = dependents(&snapshot, part);
        found.reverse();
        for (dependent, is_automatic) in found {
            if is_covered(&snapshot, &seen, dependent) || !seen.insert(dependent) {
                continue;
            }
            if !is_automatic {
                reports.push((dependent, part));
            }
            stack.push(dependent);
        }
    }
    // Found late, covered after all: a table in a schema that goes, after its own constraint was reported.
    reports.retain(|(dependent, _)| !is_inside(&snapshot, &seen, *dependent));
    if reports.is_empty() {
        return Ok(plan);
    }
    reports.reverse();
    reports.sort_by_key(|(dependent, _)| plan.parts.iter().position(|p| p == dependent));
    if cascade {
        notice_cascade(context, &snapshot, &reports);
        return Ok(plan);
    }
    Err(refuse(context, &snapshot, targets, &reports))
}

/// Lines of a DETAIL that PostgreSQL shows to clients.
const REPORTED_MAX: usize = 100;

fn lines(reports: &[(Part, Part)], line: impl Fn(&(Part, Part)) -> String) -> String {
    let mut shown: Vec<String> = reports.iter().take(REPORTED_MAX).map(line).collect();
    if let more @ 1.. = reports.len().saturating_sub(REPORTED_MAX) {
        shown.push(format!("and {more} other object{} (see server log for list)", if more == 1 { "" } else { "s" }));
    }
    shown.join("\n")
}

fn refuse(
    context: &DdlContext<'_>,
    snapshot: &Snapshot,
    targets: &[Part],
    reports: &[(Part, Part)],
) -> types::SqlError {
    let scope = context.scope();
    let message = match targets {
        [target] => {
            let what = describe(snapshot, scope, *target);
            format!("cannot drop {what} because other objects depend on it")
        }
        _ => "cannot drop desired object(s) because other objects depend on them".to_owned(),
    };
    let detail = lines(reports, |(dependent, on)| {
        format!(
            "{} depends on {}",
            describe(snapshot, scope, *dependent),
            describe_used(snapshot, scope, *dependent, *on)
        )
    });
    error(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
        .detail(detail)
        .hint("Use DROP ... CASCADE to drop the dependent objects too.")
}

/// What a dependent uses of an object: a column in another table uses a relation's row type.
fn describe_used(snapshot: &Snapshot, scope: NameScope<'_>, dependent: Part, on: Part) -> String {
    if let (Part::Column(table, number), Part::Relation(id)) = (dependent, on)
        && table != id
        && let Some(column) = snapshot.relation(table).and_then(|r| r.column(number))
    {
        return format!("type {}", names::format_type(snapshot, scope, column.declared().oid, None));
    }
    let is_of_body = match dependent {
        Part::Function(_) => {
            matches!(on, Part::Relation(id) if bodies_on(snapshot, id).iter().any(|(part, _)| *part == dependent))
        }
        _ => false,
    };
    if let (Part::Function(_) | Part::Operator(_), Part::Relation(id)) = (dependent, on)
        && !is_of_body
    {
        return format!("type {}", names::regclass_text(snapshot, scope, id));
    }
    describe(snapshot, scope, on)
}

fn notice_cascade(context: &DdlContext<'_>, snapshot: &Snapshot, reports: &[(Part, Part)]) {
    let scope = context.scope();
    let line = |(dependent, _): &(Part, Part)| format!("drop cascades to {}", describe(snapshot, scope, *dependent));
    let notice = match reports {
        [one] => error(SqlState::SUCCESSFUL_COMPLETION, line(one)),
        _ => error(SqlState::SUCCESSFUL_COMPLETION, format!("drop cascades to {} other objects", reports.len()))
            .detail(lines(reports, line)),
    };
    context.services.notice(notice.severity(types::Severity::Notice));
}

/// It goes anyway, as part of a relation that goes.
fn is_covered(snapshot: &Snapshot, seen: &BTreeSet<Part>, part: Part) -> bool {
    match part {
        Part::Constraint(relation, _) | Part::Column(relation, _) | Part::Default(relation, _) => {
            seen.contains(&Part::Relation(relation))
                || matches!(part, Part::Default(r, n) if seen.contains(&Part::Column(r, n)))
        }
        Part::Index(id) => snapshot.index(id).is_some_and(|i| seen.contains(&Part::Relation(i.relation))),
        Part::Rule(id) => snapshot.rule(id).is_some_and(|r| seen.contains(&Part::Relation(r.relation))),
        _ => false,
    }
}

fn is_inside(snapshot: &Snapshot, seen: &BTreeSet<Part>, part: Part) -> bool {
    is_covered(snapshot, seen, part)
}

/// (dependent, automatic)
fn dependents(snapshot: &Snapshot, part: Part) -> Vec<(Part, bool)> {
    match part {
        Part::Schema(id) => of_schema(snapshot, id),
        Part::Relation(id) => of_relation(snapshot, id),
        Part::Column(id, number) => of_column(snapshot, id, number),
        Part::Index(id) => of_index(snapshot, id),
        Part::Constraint(relation, constraint) => of_constraint(snapshot, relation, constraint),
        Part::Default(..) | Part::Rule(_) => vec![],
        Part::Function(id) => of_function(snapshot, id),
        Part::Operator(id) => of_operator(snapshot, id),
    }
}

fn of_schema(snapshot: &Snapshot, id: Oid) -> Vec<(Part, bool)> {
    let inside = snapshot.relations().filter(|r| r.schema == id);
    // A sequence that a column owns goes with its table.
    let inside = inside.filter(|r| {
        let owner = r.sequence.as_ref().and_then(|s| s.owned_by).and_then(|(owner, _)| snapshot.relation(owner));
        owner.is_none_or(|owner| owner.schema != id)
    });
    let functions = snapshot.functions().filter(|f| f.schema == id).map(|f| (Part::Function(f.id), false));
    let operators = snapshot.operators().filter(|o| o.schema == id).map(|o| (Part::Operator(o.id), false));
    inside.map(|r| (Part::Relation(r.id), false)).chain(functions).chain(operators).collect()
}

fn of_function(snapshot: &Snapshot, id: Oid) -> Vec<(Part, bool)> {
    let Some(function) = snapshot.function(id) else { return vec![] };
    let uses = |o: &&std::sync::Arc<Operator>| [o.procedure, o.restrict, o.join].contains(&id);
    let operators = snapshot.operators().filter(uses).map(|o| Part::Operator(o.id));
    let computes = |f: &&std::sync::Arc<Function>| f.aggregate().is_some_and(|a| a.functions().any(|of| of == id));
    let aggregates = snapshot.functions().filter(computes).map(|f| Part::Function(f.id));
    operators
        .chain(aggregates)
        .chain(views_of(snapshot, id))
        .chain(rules_using(snapshot, move |(on, _)| on == id))
        .chain(stored_calls(snapshot, function))
        .map(|part| (part, false))
        .chain(bodies_on(snapshot, id))
        .collect()
}

fn of_operator(snapshot: &Snapshot, id: Oid) -> Vec<(Part, bool)> {
    let Some(operator) = snapshot.operator(id) else { return vec![] };
    let sorts = |f: &&std::sync::Arc<Function>| f.aggregate().is_some_and(|a| a.sort_operator == id);
    let aggregates = snapshot.functions().filter(sorts).map(|f| Part::Function(f.id));
    let mut all: Vec<Part> = aggregates
        .chain(views_of(snapshot, id))
        .chain(rules_using(snapshot, move |(on, _)| on == id))
        .chain(stored_operations(snapshot, operator))
        .collect();
    // Older ones first, as far as their OIDs tell.
    all.sort_by_key(|part| match *part {
        Part::Schema(id)
        | Part::Relation(id)
        | Part::Index(id)
        | Part::Function(id)
        | Part::Operator(id)
        | Part::Rule(id) => id,
        Part::Constraint(_, constraint) => constraint,
        Part::Column(relation, _) | Part::Default(relation, _) => relation,
    });
    all.into_iter().map(|part| (part, false)).collect()
}

/// Views that use the function or operator.
fn views_of(snapshot: &Snapshot, id: Oid) -> impl Iterator<Item = Part> {
    snapshot.relations().filter(move |r| views_on(r).any(|(on, _)| on == id)).map(|r| Part::Relation(r.id))
}

/// Rules that use an object.
fn rules_using<'s>(
    snapshot: &'s Snapshot,
    is_used: impl Fn((Oid, AttributeNumber)) -> bool + 's,
) -> impl Iterator<Item = Part> + 's {
    snapshot.rules().filter(move |r| r.depends_on.iter().any(|on| is_used(*on))).map(|r| Part::Rule(r.id))
}

/// Functions whose bodies were bound when they were made, and use the object.
fn bodies_on(snapshot: &Snapshot, id: Oid) -> Vec<(Part, bool)> {
    let uses = |f: &&std::sync::Arc<Function>| match &f.body {
        FunctionBody::Atomic { depends_on, .. } => f.id != id && depends_on.iter().any(|(on, _)| *on == id),
        _ => false,
    };
    snapshot.functions().filter(uses).map(|f| (Part::Function(f.id), false)).collect()
}

/// Stored expressions that call the function: of defaults, generated columns, checks, indexes and other functions' parameters.
pub(super) fn stored_calls(snapshot: &Snapshot, function: &Function) -> Vec<Part> {
    let Some(schema) = snapshot.schema(function.schema) else { return vec![] };
    stored_mentions(snapshot, function.database, function.id, &function.call_text(&schema.name))
}

/// Stored expressions that use the operator, or one of its name and schema.
pub(super) fn stored_operations(snapshot: &Snapshot, operator: &Operator) -> Vec<Part> {
    let Some(schema) = snapshot.schema(operator.schema) else { return vec![] };
    stored_mentions(snapshot, operator.database, operator.id, &operator.stored_text(&schema.name))
}

/// What stored expressions outside of `own` write `call`.
fn stored_mentions(snapshot: &Snapshot, database: Oid, own: Oid, call: &str) -> Vec<Part> {
    let calls = |text: &String| text.split('\'').step_by(2).any(|outside| outside.contains(call));
    let mut all = vec![];
    for relation in snapshot.relations().filter(|r| r.database == database) {
        for column in relation.live_columns().filter(|c| c.default.as_ref().is_some_and(calls)) {
            all.push(match column.is_generated {
                true => Part::Column(relation.id, column.number),
                false => Part::Default(relation.id, column.number),
            });
        }
        for constraint in &relation.constraints {
            if matches!(&constraint.kind, ConstraintKind::Check { expression, .. } if calls(expression)) {
                all.push(Part::Constraint(relation.id, constraint.id));
            }
        }
        for index in snapshot.indexes_of(relation) {
            let in_key =
                index.columns.iter().any(|c| matches!(&c.source, IndexSource::Expression(text) if calls(text)));
            if in_key || index.predicate.as_ref().is_some_and(calls) {
                all.push(Part::Index(index.id));
            }
        }
    }
    let others = snapshot.functions().filter(|f| f.id != own);
    all.extend(
        others
            .filter(|f| f.parameters.iter().any(|p| p.default.as_ref().is_some_and(calls)))
            .map(|f| Part::Function(f.id)),
    );
    all
}

fn of_relation(snapshot: &Snapshot, id: Oid) -> Vec<(Part, bool)> {
    let Some(relation) = snapshot.relation(id) else { return vec![] };
    let mut all = vec![];
    for other in snapshot.relations() {
        if other.id != id && views_on(other).any(|(on, _)| on == id) {
            all.push((Part::Relation(other.id), false));
        }
        if other.sequence.as_ref().and_then(|s| s.owned_by).is_some_and(|(owner, _)| owner == id) {
            all.push((Part::Relation(other.id), true));
        }
        if other.id != id {
            of_type(snapshot, relation, other, &mut all);
        }
    }
    // The array type depends on the type: what uses it comes first, everywhere.
    let uses_array = |part: &Part| match part {
        Part::Column(table, number) => snapshot
            .relation(*table)
            .and_then(|r| r.column(*number))
            .is_some_and(|c| relation.row_array_type != 0 && c.declared().oid == relation.row_array_type),
        _ => false,
    };
    all.sort_by_key(|(part, _)| !uses_array(part));
    if relation.row_type != 0 {
        let is_of = |ty: Oid| ty == relation.row_type || ty == relation.row_array_type;
        let using = snapshot.functions().filter(|f| {
            let of_state = |a: &AggregateDefinition| is_of(a.plain.state);
            is_of(f.result) || f.parameters.iter().any(|p| is_of(p.ty)) || f.aggregate().is_some_and(of_state)
        });
        all.extend(using.map(|f| (Part::Function(f.id), false)));
        let using = snapshot.operators().filter(|o| [o.left, o.right, o.result].into_iter().any(is_of));
        all.extend(using.map(|o| (Part::Operator(o.id), false)));
    }
    all.extend(bodies_on(snapshot, id));
    for (other, constraint, _) in snapshot.foreign_keys_to(id).filter(|(other, _, _)| other.id != id) {
        all.push((Part::Constraint(other.id, constraint.id), false));
    }
    // Its own go with it.
    all.extend(rules_using(snapshot, move |(on, _)| on == id).map(|part| (part, false)));
    if relation.kind == RelationKind::Sequence {
        all.extend(defaults_using(snapshot, id).into_iter().map(|(r, n)| (Part::Default(r, n), false)));
    }
    all
}

fn views_on(relation: &Relation) -> impl Iterator<Item = (Oid, AttributeNumber)> {
    relation.view.iter().flat_map(|v| v.depends_on.iter().copied())
}

/// What of `other` depends on the type that `relation` is or has.
fn of_type(snapshot: &Snapshot, relation: &Relation, other: &Relation, all: &mut Vec<(Part, bool)>) {
    if let Some(TypeDefinition::Domain(definition)) = &other.definition {
        if is_type_of(relation, definition.base.oid) {
            all.push((Part::Relation(other.id), false));
            return;
        }
    } else {
        let columns: Vec<&Column> = other.live_columns().filter(|c| uses_type(relation, c)).collect();
        if other.kind == RelationKind::View && !columns.is_empty() {
            all.push((Part::Relation(other.id), false));
            return;
        }
        all.extend(columns.iter().map(|c| (Part::Column(other.id, c.number), false)));
    }
    if !relation.is_type() {
        return;
    }
    let mention = type_mention(snapshot, relation);
    for column in other.live_columns().filter(|c| !uses_type(relation, c)) {
        if column.default.as_ref().is_some_and(|text| names_type(text, &mention)) {
            all.push((Part::Default(other.id, column.number), false));
        }
    }
    // What reads a column of the type goes with the column.
    let has_column =
        |numbers: &[AttributeNumber]| numbers.iter().any(|n| other.column(*n).is_some_and(|c| uses_type(relation, c)));
    for constraint in &other.constraints {
        if let ConstraintKind::Check { expression, columns, .. } = &constraint.kind
            && names_type(expression, &mention)
            && !has_column(columns)
        {
            all.push((Part::Constraint(other.id, constraint.id), false));
        }
    }
    for index in snapshot.indexes_of(other).filter(|i| index_texts(i).any(|text| names_type(text, &mention))) {
        let columns = other.live_columns().map(|c| c.number).filter(|n| index_uses(other, index, *n));
        if !has_column(&columns.collect::<Vec<_>>()) {
            all.push((Part::Index(index.id), false));
        }
    }
}

fn is_type_of(relation: &Relation, ty: Oid) -> bool {
    relation.row_type != 0 && (ty == relation.row_type || ty == relation.row_array_type)
}

fn uses_type(relation: &Relation, column: &Column) -> bool {
    is_type_of(relation, column.declared().oid)
}

// --- where values of a type are

/// A type, the domains over it, and theirs.
fn with_domains(snapshot: &Snapshot, ty: &Relation) -> Vec<std::sync::Arc<Relation>> {
    let mut found: Vec<std::sync::Arc<Relation>> = snapshot.relation(ty.id).cloned().into_iter().collect();
    let mut next = 0;
    while let Some(base) = found.get(next).cloned() {
        next += 1;
        for other in snapshot.relations() {
            let is_over = matches!(&other.definition,
                Some(TypeDefinition::Domain(d)) if is_type_of(&base, d.base.oid));
            if is_over && !found.iter().any(|f| f.id == other.id) {
                found.push(other.clone());
            }
        }
    }
    found
}

/// Columns declared with the domain or one over it.
pub(super) fn columns_of_domain(snapshot: &Snapshot, domain: &Relation) -> Vec<(Oid, AttributeNumber)> {
    let domains = with_domains(snapshot, domain);
    let is_of = |c: &Column| c.domain.is_some_and(|ty| domains.iter().any(|d| d.row_type == ty));
    let mut all = vec![];
    for relation in snapshot.relations().filter(|r| r.has_rows()) {
        all.extend(relation.live_columns().filter(|c| is_of(c)).map(|c| (relation.id, c.number)));
    }
    all
}

/// Whether values of the type are inside of arrays or rows.
pub(super) fn is_used_inside(snapshot: &Snapshot, ty: &Relation) -> bool {
    let types = with_domains(snapshot, ty);
    let in_array = |c: &Column| types.iter().any(|t| c.declared().oid == t.row_array_type);
    let is_of = |c: &Column| types.iter().any(|t| uses_type(t, c));
    snapshot.relations().any(|r| match r.kind {
        RelationKind::Composite => r.live_columns().any(is_of),
        _ => r.has_rows() && r.live_columns().any(in_array),
    })
}

/// Relations whose writers check, or hold, values of the type.
pub(super) fn relations_with(snapshot: &Snapshot, ty: &Relation) -> Vec<Oid> {
    let types = with_domains(snapshot, ty);
    let is_of = |c: &Column| types.iter().any(|t| uses_type(t, c));
    snapshot.relations().filter(|r| r.has_rows() && r.live_columns().any(is_of)).map(|r| r.id).collect()
}

/// Levels of types in types that are looked into.
const STORED_DEPTH_MAX: usize = 32;

/// A stored column that holds values of the type: itself, in an array, a domain or another composite type.
pub(super) fn stored_use<'s>(snapshot: &'s Snapshot, ty: &Relation) -> Option<(&'s Relation, &'s Column)> {
    stored_uses(snapshot, ty).into_iter().next()
}

/// All of them, those of the type itself first.
pub(super) fn stored_uses<'s>(snapshot: &'s Snapshot, ty: &Relation) -> Vec<(&'s Relation, &'s Column)> {
    let mut types = with_domains(snapshot, ty);
    let mut found = vec![];
    for _ in 0..STORED_DEPTH_MAX {
        let is_of = |c: &&Column| types.iter().any(|t| uses_type(t, c));
        for relation in snapshot.relations().filter(|r| r.has_rows()) {
            found.extend(relation.live_columns().filter(is_of).map(|column| (&**relation, column)));
        }
        let outer = snapshot.relations().filter(|r| r.kind == RelationKind::Composite);
        let outer: Vec<_> = outer.filter(|r| r.live_columns().any(|c| is_of(&c))).cloned().collect();
        if outer.is_empty() {
            break;
        }
        types = outer.iter().flat_map(|o| with_domains(snapshot, o)).collect();
    }
    found
}

fn of_column(snapshot: &Snapshot, id: Oid, number: AttributeNumber) -> Vec<(Part, bool)> {
    let Some(relation) = snapshot.relation(id) else { return vec![] };
    let mut all = vec![];
    for other in snapshot.relations() {
        if views_on(other).any(|on| on == (id, number)) {
            all.push((Part::Relation(other.id), false));
        }
        if other.sequence.as_ref().and_then(|s| s.owned_by) == Some((id, number)) {
            all.push((Part::Relation(other.id), true));
        }
    }
    all.extend(rules_using(snapshot, move |on| on == (id, number)).map(|part| (part, false)));
    for (other, constraint, key) in snapshot.foreign_keys_to(id) {
        if key.target_columns.contains(&number) && other.id != id {
            all.push((Part::Constraint(other.id, constraint.id), false));
        }
    }
    for constraint in &relation.constraints {
        if constraint_columns(snapshot, constraint).contains(&number) {
            all.push((Part::Constraint(id, constraint.id), true));
        }
    }
    for index in snapshot.indexes_of(relation).filter(|i| !is_of_constraint(relation, i.id)) {
        if index_uses(relation, index, number) {
            all.push((Part::Index(index.id), true));
        }
    }
    for column in relation.live_columns().filter(|c| c.is_generated && c.number != number) {
        if column.default.as_ref().is_some_and(|text| mentions(relation, text, number)) {
            all.push((Part::Column(id, column.number), false));
        }
    }
    all
}

fn of_index(snapshot: &Snapshot, id: Oid) -> Vec<(Part, bool)> {
    let Some(index) = snapshot.index(id) else { return vec![] };
    let pointing = snapshot.foreign_keys_to(index.relation).filter(|(_, _, key)| key.target_index == id);
    pointing.map(|(other, constraint, _)| (Part::Constraint(other.id, constraint.id), false)).collect()
}

fn of_constraint(snapshot: &Snapshot, relation: Oid, constraint: Oid) -> Vec<(Part, bool)> {
    let found = snapshot.relation(relation).and_then(|r| r.constraints.iter().find(|c| c.id == constraint));
    match found.map(|c| &c.kind) {
        Some(ConstraintKind::PrimaryKey { index } | ConstraintKind::Unique { index }) => {
            vec![(Part::Index(*index), true)]
        }
        _ => vec![],
    }
}

pub(super) fn is_of_constraint(relation: &Relation, index: Oid) -> bool {
    constraint_of_index(relation, index).is_some()
}

pub(super) fn constraint_of_index(relation: &Relation, index: Oid) -> Option<&Constraint> {
    relation.constraints.iter().find(|c| {
        matches!(c.kind, ConstraintKind::PrimaryKey { index: i } | ConstraintKind::Unique { index: i } if i == index)
    })
}

/// Attributes of its own relation that a constraint reads.
pub(super) fn constraint_columns(snapshot: &Snapshot, constraint: &Constraint) -> Vec<AttributeNumber> {
    match &constraint.kind {
        ConstraintKind::Check { columns, .. } => columns.clone(),
        ConstraintKind::ForeignKey(key) => key.columns.clone(),
        ConstraintKind::PrimaryKey { index } | ConstraintKind::Unique { index } => {
            let Some(index) = snapshot.index(*index) else { return vec![] };
            let keys = index.columns.iter().filter_map(|c| match c.source {
                IndexSource::Column(number) => Some(number),
                IndexSource::Expression(_) => None,
            });
            keys.chain(index.included.iter().copied()).collect()
        }
    }
}

pub(super) fn index_uses(relation: &Relation, index: &Index, number: AttributeNumber) -> bool {
    let in_key = index.columns.iter().any(|c| match &c.source {
        IndexSource::Column(n) => *n == number,
        IndexSource::Expression(text) => mentions(relation, text, number),
    });
    in_key
        || index.included.contains(&number)
        || index.predicate.as_ref().is_some_and(|p| mentions(relation, p, number))
}

/// Columns whose default calls a function of the sequence, except those that own it.
pub(super) fn defaults_using(snapshot: &Snapshot, sequence: Oid) -> Vec<(Oid, AttributeNumber)> {
    let Some(descriptor) = snapshot.relation(sequence) else { return vec![] };
    let literal = sequence_literal(snapshot, descriptor);
    let mut all = vec![];
    for relation in snapshot.relations().filter(|r| r.database == descriptor.database) {
        for column in relation.live_columns() {
            if column.default.as_ref().is_some_and(|text| text.contains(&literal)) {
                all.push((relation.id, column.number));
            }
        }
    }
    all
}
