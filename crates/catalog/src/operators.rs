//! Operators by name: PostgreSQL's built-in ones and users', side by side.
//!
//! A name without a schema is looked up along the search path, where of two with the same operands the first is meant. The
//! temporary schema is passed over, as it is for functions.

use crate::Snapshot;
use crate::descriptor::{Operator, PG_CATALOG_SCHEMA};
use crate::names::{self, NameScope};
use std::sync::Arc;
use types::functions::quote_ident;
use types::{Oid, SqlError, builtin};

#[derive(Clone, Debug)]
pub enum AnyOperator {
    Builtin(&'static builtin::Operator),
    User(Arc<Operator>),
}

impl AnyOperator {
    pub fn id(&self) -> Oid {
        match self {
            AnyOperator::Builtin(o) => o.oid,
            AnyOperator::User(o) => o.id,
        }
    }

    pub fn name(&self) -> &str {
        match self {
            AnyOperator::Builtin(o) => o.name,
            AnyOperator::User(o) => &o.name,
        }
    }

    /// Types of the left operand (0 of a prefix operator) and of the right one.
    pub fn operands(&self) -> (Oid, Oid) {
        match self {
            AnyOperator::Builtin(o) => (o.left, o.right),
            AnyOperator::User(o) => (o.left, o.right),
        }
    }

    fn schema(&self) -> Oid {
        match self {
            AnyOperator::Builtin(_) => PG_CATALOG_SCHEMA,
            AnyOperator::User(o) => o.schema,
        }
    }
}

pub fn by_id(catalog: &Snapshot, id: Oid) -> Option<AnyOperator> {
    let user = catalog.operator(id).map(|o| AnyOperator::User(o.clone()));
    user.or_else(|| builtin::operator_by_oid(id).map(AnyOperator::Builtin))
}

/// Whether users have made any operator of that name where the name would be looked up: the usual answer is no, at once.
pub fn has_users(catalog: &Snapshot, scope: NameScope<'_>, name: &str) -> bool {
    catalog.operators().next().is_some()
        && scope.search_path.iter().any(|schema| catalog.operators_by_name(*schema, name).next().is_some())
}

/// All of a name, in one schema or along the search path, in its order; shells too. 3F000 for a schema that is not there.
pub fn named(
    catalog: &Snapshot,
    scope: NameScope<'_>,
    schema: Option<&str>,
    name: &str,
) -> Result<Vec<AnyOperator>, SqlError> {
    let schemas = match schema {
        Some(schema) => vec![names::schema(catalog, scope, schema)?.id],
        None => scope.search_path.iter().copied().filter(|id| scope.temporary_schema != Some(*id)).collect(),
    };
    let mut found = vec![];
    for schema in schemas {
        if schema == PG_CATALOG_SCHEMA {
            found.extend(builtin::operators_by_name(name).iter().map(|o| AnyOperator::Builtin(o)));
        }
        found.extend(catalog.operators_by_name(schema, name).map(|o| AnyOperator::User(o.clone())));
    }
    Ok(found)
}

/// The operator of just these operands (`left` 0: a prefix operator).
pub fn exact(
    catalog: &Snapshot,
    scope: NameScope<'_>,
    name: &[String],
    operands: (Oid, Oid),
) -> Result<Option<AnyOperator>, SqlError> {
    let (schema, name) = names::split(catalog, scope, name)?;
    Ok(named(catalog, scope, schema, name)?.into_iter().find(|o| o.operands() == operands))
}

/// Whether the search path finds the operator by its bare name and operands, before any other like it.
pub fn is_visible(catalog: &Snapshot, scope: NameScope<'_>, operator: &AnyOperator) -> bool {
    let found = exact(catalog, scope, &[operator.name().to_owned()], operator.operands());
    matches!(found, Ok(Some(found)) if found.id() == operator.id())
}

/// The name, with its schema where the search path would not find it.
pub fn shown_name(catalog: &Snapshot, scope: NameScope<'_>, operator: &AnyOperator) -> String {
    match is_visible(catalog, scope, operator) {
        true => operator.name().to_owned(),
        false => qualified_name(catalog, operator),
    }
}

/// The name behind its schema.
pub fn qualified_name(catalog: &Snapshot, operator: &AnyOperator) -> String {
    match catalog.schema(operator.schema()) {
        Some(schema) => format!("{}.{}", quote_ident(&schema.name), operator.name()),
        None => operator.name().to_owned(),
    }
}

/// `===(boolean,boolean)`, as regoperator prints it.
pub fn signature(catalog: &Snapshot, scope: NameScope<'_>, operator: &AnyOperator) -> String {
    let side = |ty: Oid| match ty {
        0 => "NONE".to_owned(),
        ty => names::format_type(catalog, scope, ty, None),
    };
    let (left, right) = operator.operands();
    format!("{}({},{})", shown_name(catalog, scope, operator), side(left), side(right))
}

/// `boolean === boolean`, as messages tell an operator that is not there.
pub fn written(catalog: &Snapshot, scope: NameScope<'_>, name: &[String], (left, right): (Oid, Oid)) -> String {
    let name = name.join(".");
    let right = names::format_type(catalog, scope, right, None);
    match left {
        0 => format!("{name} {right}"),
        left => format!("{} {name} {right}", names::format_type(catalog, scope, left, None)),
    }
}

/// A stored expression in which operators whose schema the search path would find stand by their bare names.
pub fn with_visible(catalog: &Snapshot, scope: NameScope<'_>, text: &str) -> String {
    // Every second piece is inside of a literal.
    let pieces = text.split('\'').enumerate().map(|(n, piece)| match n % 2 {
        0 => with_visible_outside(catalog, scope, piece),
        _ => piece.to_owned(),
    });
    pieces.collect::<Vec<_>>().join("'")
}

fn with_visible_outside(catalog: &Snapshot, scope: NameScope<'_>, text: &str) -> String {
    const MARK: &str = "OPERATOR(";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(MARK) {
        out.push_str(before);
        let Some((written, behind)) = after.split_once(')') else {
            out.push_str(MARK);
            rest = after;
            continue;
        };
        let bare = written.rsplit_once('.').filter(|(schema, name)| {
            let schema = names::parse_qualified(schema).ok().and_then(|mut parts| parts.pop());
            let all = schema.and_then(|schema| named(catalog, scope, Some(&schema), name).ok()).unwrap_or_default();
            !all.is_empty() && all.iter().all(|operator| is_visible(catalog, scope, operator))
        });
        match bare {
            Some((_, name)) => out.push_str(name),
            None => out.push_str(&format!("{MARK}{written})")),
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}
