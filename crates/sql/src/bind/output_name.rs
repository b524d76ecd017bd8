//! The name that PostgreSQL gives to an output without alias.

use super::scope::fold;
use sqlparser::ast::{self, Expr as Ast, SelectItem};

/// How much a name says: a type's or CASE's gives way to one that comes from below.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Strength {
    None,
    Weak,
    Strong,
}

pub(super) fn output_name(expr: &Ast) -> String {
    match figure(expr) {
        (Strength::None, _) => "?column?".to_owned(),
        (_, name) => name,
    }
}

fn strong(name: impl Into<String>) -> (Strength, String) {
    (Strength::Strong, name.into())
}

fn weak(below: (Strength, String), name: impl FnOnce() -> Option<String>) -> (Strength, String) {
    match below.0 {
        Strength::Strong => below,
        _ => name().map_or(below, |name| (Strength::Weak, name)),
    }
}

fn figure(expr: &Ast) -> (Strength, String) {
    let none = || (Strength::None, String::new());
    match expr {
        Ast::Prefixed { value, .. } => figure(value),
        Ast::Identifier(name) => strong(fold(name)),
        Ast::CompoundIdentifier(parts) => parts.last().map_or_else(none, |p| strong(fold(p))),
        Ast::QualifiedWildcard(name, _) => {
            name.0.last().and_then(|p| p.as_ident()).map_or_else(none, |p| strong(fold(p)))
        }
        Ast::CompoundFieldAccess { root, access_chain } => {
            let mut fields = access_chain.iter().filter_map(|step| match step {
                ast::AccessExpr::Dot(Ast::Identifier(name)) => Some(fold(name)),
                _ => None,
            });
            fields.next_back().map_or_else(|| figure(root), strong)
        }
        Ast::Nested(inner) | Ast::Collate { expr: inner, .. } => figure(inner),
        Ast::Function(call) => {
            call.name.0.last().and_then(|p| p.as_ident()).map_or_else(none, |name| strong(fold(name)))
        }
        Ast::Cast { expr, data_type, .. } => weak(figure(expr), || type_name(data_type)),
        Ast::TypedString(typed) => weak(none(), || type_name(&typed.data_type)),
        Ast::Case { else_result, .. } => {
            weak(else_result.as_deref().map_or_else(none, figure), || Some("case".to_owned()))
        }
        Ast::Exists { .. } => strong("exists"),
        Ast::IsNormalized { negated: false, .. } => strong("is_normalized"),
        Ast::Array(_) => strong("array"),
        Ast::Tuple(_) => strong("row"),
        Ast::Value(value) if matches!(value.value, ast::Value::NationalStringLiteral(_)) => {
            (Strength::Weak, "bpchar".to_owned())
        }
        Ast::Subquery(query) => strong_or_none(of_query(query)),
        _ => none(),
    }
}

fn strong_or_none(name: Option<String>) -> (Strength, String) {
    name.map_or_else(|| (Strength::None, String::new()), strong)
}

/// The first column's name of a subquery.
fn of_query(query: &ast::Query) -> Option<String> {
    let mut body = &*query.body;
    loop {
        body = match body {
            ast::SetExpr::SetOperation { left, .. } => left,
            ast::SetExpr::Query(inner) => return of_query(inner),
            ast::SetExpr::Values(_) => return Some("column1".to_owned()),
            ast::SetExpr::Select(select) => {
                return match select.projection.first()? {
                    SelectItem::UnnamedExpr(expr) => Some(output_name(expr)),
                    SelectItem::ExprWithAlias { alias, .. } => Some(fold(alias)),
                    _ => None,
                };
            }
            _ => return None,
        };
    }
}

/// pg_type's name of a type as written; of an array its element's.
fn type_name(data_type: &ast::DataType) -> Option<String> {
    if let ast::DataType::Custom(name, _) = data_type {
        return name.0.last().and_then(|p| p.as_ident()).map(fold);
    }
    if let ast::DataType::Array(ast::ArrayElemTypeDef::SquareBracket(element, _)) = data_type {
        return type_name(element);
    }
    let ty = types::typename::parse(&data_type.to_string()).ok()?;
    let ty = types::builtin::type_by_oid(ty.element().map_or(ty.oid, |e| e.oid))?;
    Some(ty.name.to_owned())
}
