//! The errors of constraints, word for word as PostgreSQL has them.

use crate::expr::EvalContext;
use crate::functions::reg;
use crate::rows::Table;
use catalog::{Index, IndexSource, Relation};
use types::{Datum, Result, SqlError, SqlState, SqlType, io};

/// Bytes of one value in "Failing row contains", as in PostgreSQL.
const VALUE_BYTES_MAX: usize = 64;

/// A value's text form, as messages show it.
pub(crate) fn text(env: &EvalContext<'_>, ty: SqlType, value: &Datum) -> String {
    if value.is_null() {
        return "null".to_owned();
    }
    let mut out = Vec::new();
    match reg::is_reg(ty) {
        true => reg::output(env.catalog, env.session, ty, value, &mut out),
        false => io::output(ty, value, env.format, &mut out),
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn schema_name(env: &EvalContext<'_>, relation: &Relation) -> String {
    env.catalog.schema(relation.schema).map_or_else(String::new, |s| s.name.clone())
}

fn of_table(env: &EvalContext<'_>, relation: &Relation, error: SqlError) -> SqlError {
    error.schema(schema_name(env, relation)).table(&relation.name)
}

/// The relation as it is called now: a check that was put off knows it as it was when the row was written.
pub(crate) fn as_now<'r>(env: &EvalContext<'r>, relation: &'r Relation) -> &'r Relation {
    env.catalog.relation(relation.id).map_or(relation, |now| now)
}

/// `Failing row contains (1, null, abc).`
fn failing_row(env: &EvalContext<'_>, table: &Table, row: &[Datum]) -> String {
    let mut parts = Vec::new();
    for (column, value) in table.relation.columns.iter().zip(row).filter(|(c, _)| !c.is_dropped) {
        let mut text = text(env, column.ty.into(), value);
        if text.len() > VALUE_BYTES_MAX {
            let mut end = VALUE_BYTES_MAX;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
            text.push_str("...");
        }
        parts.push(text);
    }
    format!("Failing row contains ({}).", parts.join(", "))
}

pub(crate) fn not_null(env: &EvalContext<'_>, table: &Table, column: usize, row: &[Datum]) -> SqlError {
    let name = table.relation.columns.get(column).map_or("?", |c| &c.name);
    let message =
        format!("null value in column \"{name}\" of relation \"{}\" violates not-null constraint", table.relation.name);
    let error = SqlError::new(SqlState::NOT_NULL_VIOLATION, message).detail(failing_row(env, table, row)).column(name);
    of_table(env, &table.relation, error)
}

pub(crate) fn check(env: &EvalContext<'_>, table: &Table, name: &str, row: &[Datum]) -> SqlError {
    let message = format!("new row for relation \"{}\" violates check constraint \"{name}\"", table.relation.name);
    let error = SqlError::new(SqlState::CHECK_VIOLATION, message).detail(failing_row(env, table, row)).constraint(name);
    of_table(env, &table.relation, error)
}

pub(crate) fn view_check(env: &EvalContext<'_>, table: &Table, view: &str, row: &[Datum]) -> SqlError {
    SqlError::new(SqlState::WITH_CHECK_OPTION_VIOLATION, format!("new row violates check option for view \"{view}\""))
        .detail(failing_row(env, table, row))
}

/// `(a, lower(b))=(1, x)` of an index.
pub(crate) fn index_key(env: &EvalContext<'_>, relation: &Relation, index: &Index, keys: &[Datum]) -> String {
    let names: Vec<String> = index
        .columns
        .iter()
        .map(|c| match &c.source {
            IndexSource::Column(a) => column_name(relation, *a),
            IndexSource::Expression(text) => text.clone(),
        })
        .collect();
    let values: Vec<String> = index.columns.iter().zip(keys).map(|(c, value)| text(env, c.ty.into(), value)).collect();
    format!("({})=({})", names.join(", "), values.join(", "))
}

pub(crate) fn column_name(relation: &Relation, attribute: i16) -> String {
    relation.columns.get((attribute as usize).wrapping_sub(1)).map_or_else(String::new, |c| c.name.clone())
}

pub(crate) fn unique(env: &EvalContext<'_>, relation: &Relation, index: &Index, keys: &[Datum]) -> SqlError {
    let error = SqlError::new(
        SqlState::UNIQUE_VIOLATION,
        format!("duplicate key value violates unique constraint \"{}\"", index.name),
    )
    .detail(format!("Key {} already exists.", index_key(env, relation, index, keys)))
    .constraint(&index.name);
    of_table(env, relation, error)
}

/// `(a, b)=(1, 2)` of some attributes.
pub(crate) fn attributes_key(
    env: &EvalContext<'_>,
    relation: &Relation,
    attributes: &[i16],
    values: &[Datum],
) -> String {
    let relation = as_now(env, relation);
    let names: Vec<String> = attributes.iter().map(|a| column_name(relation, *a)).collect();
    let values: Vec<String> = attributes
        .iter()
        .zip(values)
        .map(|(a, value)| {
            let ty = relation.columns.get((*a as usize).wrapping_sub(1)).map_or(SqlType::TEXT, |c| c.ty.into());
            text(env, ty, value)
        })
        .collect();
    format!("({})=({})", names.join(", "), values.join(", "))
}

pub(crate) fn foreign_key_child(env: &EvalContext<'_>, child: &Relation, constraint: &str, detail: String) -> SqlError {
    let child = as_now(env, child);
    let message =
        format!("insert or update on table \"{}\" violates foreign key constraint \"{constraint}\"", child.name);
    let error = SqlError::new(SqlState::FOREIGN_KEY_VIOLATION, message).detail(detail).constraint(constraint);
    of_table(env, child, error)
}

pub(crate) fn foreign_key_parent(
    env: &EvalContext<'_>,
    parent: &Relation,
    child: &Relation,
    constraint: &str,
    key: &str,
) -> SqlError {
    let (parent, child) = (as_now(env, parent), as_now(env, child));
    let message = format!(
        "update or delete on table \"{}\" violates foreign key constraint \"{constraint}\" on table \"{}\"",
        parent.name, child.name
    );
    let error = SqlError::new(SqlState::FOREIGN_KEY_VIOLATION, message)
        .detail(format!("Key {key} is still referenced from table \"{}\".", child.name))
        .constraint(constraint);
    of_table(env, child, error)
}

/// A bool that a check gives: NULL passes.
pub(crate) fn passes(value: &Datum) -> bool {
    !matches!(value, Datum::Bool(false))
}

pub(crate) fn too_deep() -> Result<()> {
    Err(SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "foreign key cascades are nested too deeply"))
}
