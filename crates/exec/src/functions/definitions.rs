//! pg_get_*def: definitions of objects as SQL, from what the catalog keeps deparsed.

use super::reg::with_scope;
use super::{SessionFn, arg_oid, arg_str};
use crate::expr::EvalContext;
use catalog::{Constraint, ConstraintKind, Index, IndexSource, ReferentialAction, Relation, names};
use types::functions::quote_ident;
use types::{Datum, Result};

pub(crate) const FUNCTIONS: &[(&str, SessionFn)] = &[
    // Stored expressions are their text already.
    ("pg_get_expr", |_, _, args| Ok(args.first().cloned().unwrap_or_default())),
    ("pg_get_expr_ext", |_, _, args| Ok(args.first().cloned().unwrap_or_default())),
    ("pg_get_indexdef", |env, _, args| Ok(index_definition(env, arg_oid(args, 0)))),
    ("pg_get_indexdef_ext", |env, _, args| match args.get(1).map_or(0, Datum::as_i64) {
        0 => Ok(index_definition(env, arg_oid(args, 0))),
        column => Ok(index_column(env, arg_oid(args, 0), column)),
    }),
    ("pg_get_constraintdef", |env, _, args| Ok(constraint_definition(env, arg_oid(args, 0)))),
    ("pg_get_constraintdef_ext", |env, _, args| Ok(constraint_definition(env, arg_oid(args, 0)))),
    ("pg_get_viewdef", |env, _, args| Ok(view_definition(env, arg_oid(args, 0)))),
    ("pg_get_viewdef_ext", |env, _, args| Ok(view_definition(env, arg_oid(args, 0)))),
    ("pg_get_viewdef_wrap", |env, _, args| Ok(view_definition(env, arg_oid(args, 0)))),
    ("pg_get_viewdef_name", |env, _, args| view_by_name(env, arg_str(args, 0))),
    ("pg_get_viewdef_name_ext", |env, _, args| view_by_name(env, arg_str(args, 0))),
];

fn column_name(relation: &Relation, attribute: i16) -> String {
    let column = relation.columns.get((attribute as usize).wrapping_sub(1));
    column.map_or_else(String::new, |c| quote_ident(&c.name).to_string())
}

fn columns(relation: &Relation, attributes: &[i16]) -> String {
    attributes.iter().map(|a| column_name(relation, *a)).collect::<Vec<_>>().join(", ")
}

/// A key column without its direction. Expressions stand in parentheses unless they are function calls.
fn source(relation: &Relation, source: &IndexSource) -> String {
    match source {
        IndexSource::Column(a) => column_name(relation, *a),
        IndexSource::Expression(text) => {
            let is_call = text.ends_with(')')
                && text.split_once('(').is_some_and(|(name, _)| {
                    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.')
                });
            let is_wrapped = text.starts_with('(') && text.ends_with(')');
            if is_call || is_wrapped { text.clone() } else { format!("({text})") }
        }
    }
}

fn key_columns(relation: &Relation, index: &Index) -> String {
    let parts: Vec<String> = index
        .columns
        .iter()
        .map(|column| {
            let mut text = source(relation, &column.source);
            if let Some(class) = &column.opclass {
                text.push(' ');
                text.push_str(class);
            }
            match (column.descending, column.nulls_first) {
                (false, false) => {}
                (false, true) => text.push_str(" NULLS FIRST"),
                (true, true) => text.push_str(" DESC"),
                (true, false) => text.push_str(" DESC NULLS LAST"),
            }
            text
        })
        .collect();
    parts.join(", ")
}

fn index_definition(env: &EvalContext<'_>, id: u32) -> Datum {
    let Some(index) = env.catalog.index(id) else { return Datum::Null };
    let Some(relation) = env.catalog.relation(index.relation) else { return Datum::Null };
    let mut text = format!(
        "CREATE {}INDEX {} ON {} USING {} ({})",
        if index.is_unique { "UNIQUE " } else { "" },
        quote_ident(&index.name),
        names::qualified(env.catalog, relation.schema, &relation.name),
        index.method,
        key_columns(relation, index),
    );
    if !index.included.is_empty() {
        text.push_str(&format!(" INCLUDE ({})", columns(relation, &index.included)));
    }
    if index.nulls_not_distinct {
        text.push_str(" NULLS NOT DISTINCT");
    }
    if !index.options.is_empty() {
        let options: Vec<String> = index.options.iter().map(|(n, v)| format!("{n}='{v}'")).collect();
        text.push_str(&format!(" WITH ({})", options.join(", ")));
    }
    if let Some(predicate) = &index.predicate {
        let wrapped = if predicate.starts_with('(') { predicate.clone() } else { format!("({predicate})") };
        text.push_str(&format!(" WHERE {wrapped}"));
    }
    Datum::text(text)
}

fn index_column(env: &EvalContext<'_>, id: u32, column: i64) -> Datum {
    let Some(index) = env.catalog.index(id) else { return Datum::Null };
    let Some(relation) = env.catalog.relation(index.relation) else { return Datum::Null };
    let place = usize::try_from(column - 1).unwrap_or(usize::MAX);
    if let Some(column) = index.columns.get(place) {
        return Datum::text(source(relation, &column.source));
    }
    let included = place.checked_sub(index.columns.len()).and_then(|p| index.included.get(p));
    Datum::text(included.map_or_else(String::new, |a| column_name(relation, *a)))
}

fn action(action: ReferentialAction) -> Option<&'static str> {
    Some(match action {
        ReferentialAction::NoAction => return None,
        ReferentialAction::Restrict => "RESTRICT",
        ReferentialAction::Cascade => "CASCADE",
        ReferentialAction::SetNull => "SET NULL",
        ReferentialAction::SetDefault => "SET DEFAULT",
    })
}

fn constraint_definition(env: &EvalContext<'_>, id: u32) -> Datum {
    let all = env.catalog.relations().flat_map(|r| r.constraints.iter().map(move |c| (r, c)));
    let Some((relation, constraint)) = all.into_iter().find(|(_, c)| c.id == id) else { return Datum::Null };
    let mut text = body(env, relation, constraint);
    if constraint.deferrable {
        text.push_str(" DEFERRABLE");
    }
    if constraint.initially_deferred {
        text.push_str(" INITIALLY DEFERRED");
    }
    if !constraint.is_validated {
        text.push_str(" NOT VALID");
    }
    Datum::text(text)
}

fn body(env: &EvalContext<'_>, relation: &Relation, constraint: &Constraint) -> String {
    let of_index = |word: &str, id: u32| {
        let Some(index) = env.catalog.index(id) else { return word.to_owned() };
        let names: Vec<String> = index.columns.iter().map(|c| source(relation, &c.source)).collect();
        let nulls = if index.nulls_not_distinct { " NULLS NOT DISTINCT" } else { "" };
        let mut text = format!("{word}{nulls} ({})", names.join(", "));
        if !index.included.is_empty() {
            text.push_str(&format!(" INCLUDE ({})", columns(relation, &index.included)));
        }
        text
    };
    match &constraint.kind {
        ConstraintKind::PrimaryKey { index } => of_index("PRIMARY KEY", *index),
        ConstraintKind::Unique { index } => of_index("UNIQUE", *index),
        ConstraintKind::Check { expression, no_inherit, .. } => {
            let wrapped = if expression.starts_with('(') { expression.clone() } else { format!("({expression})") };
            format!("CHECK ({wrapped}){}", if *no_inherit { " NO INHERIT" } else { "" })
        }
        ConstraintKind::ForeignKey(key) => {
            let (name, target) = match env.catalog.relation(key.target) {
                Some(target) => (
                    with_scope(env.session, |scope| names::regclass_text(env.catalog, scope, target.id)),
                    columns(target, &key.target_columns),
                ),
                None => (key.target.to_string(), String::new()),
            };
            let mut text = format!("FOREIGN KEY ({}) REFERENCES {name}({target})", columns(relation, &key.columns));
            if key.match_full {
                text.push_str(" MATCH FULL");
            }
            if let Some(action) = action(key.on_update) {
                text.push_str(&format!(" ON UPDATE {action}"));
            }
            if let Some(action) = action(key.on_delete) {
                text.push_str(&format!(" ON DELETE {action}"));
                if !key.delete_set_columns.is_empty() {
                    text.push_str(&format!(" ({})", columns(relation, &key.delete_set_columns)));
                }
            }
            text
        }
    }
}

fn view_definition(env: &EvalContext<'_>, id: u32) -> Datum {
    let view = env.catalog.relation(id).and_then(|r| r.view.as_ref());
    view.map_or(Datum::Null, |v| Datum::text(format!("{};", v.query.trim_end().trim_end_matches(';'))))
}

fn view_by_name(env: &EvalContext<'_>, name: &str) -> Result<Datum> {
    let id = with_scope(env.session, |scope| names::regclass(env.catalog, scope, name))?;
    Ok(view_definition(env, id))
}
