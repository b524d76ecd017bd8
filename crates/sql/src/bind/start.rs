//! Where a piece of syntax begins, as sqlparser's spans have it, without reading all of it.
//!
//! A span is put together from those of all parts. Asked of each query on the way down, that is as many steps as there are nodes, for
//! each level of nesting. Only the beginning is ever wanted, and it is the first part's.

use sqlparser::ast::{Expr, InTarget, Query, Select, SelectFlavor, SetExpr, Spanned, TableFactor};
use sqlparser::tokenizer::Span;

/// `first`, or the whole span where the first part has none.
fn or_whole(first: Span, whole: impl Fn() -> Span) -> Span {
    if first == Span::empty() { whole() } else { first }
}

pub(super) fn of_query(query: &Query) -> Span {
    match &query.with {
        Some(with) => or_whole(with.with_token.0.span, || query.span()),
        None => or_whole(of_body(&query.body), || query.span()),
    }
}

pub(super) fn of_body(body: &SetExpr) -> Span {
    let first = match body {
        SetExpr::Select(select) => return of_select(select),
        SetExpr::Query(query) => return of_query(query),
        SetExpr::SetOperation { left, .. } => of_body(left),
        SetExpr::Values(values) => values.rows.first().map_or(Span::empty(), |row| row.opening_token.0.span),
        _ => Span::empty(),
    };
    or_whole(first, || body.span())
}

pub(super) fn of_select(select: &Select) -> Span {
    let is_first = select.flavor == SelectFlavor::Standard;
    or_whole(if is_first { select.select_token.0.span } else { Span::empty() }, || select.span())
}

pub(super) fn of_factor(factor: &TableFactor) -> Span {
    let first = match factor {
        TableFactor::Derived { subquery, .. } => of_query(subquery),
        TableFactor::NestedJoin { table_with_joins, .. } => of_factor(&table_with_joins.relation),
        TableFactor::Function { name, .. } => name.span(),
        _ => Span::empty(),
    };
    or_whole(first, || factor.span())
}

pub(super) fn of_expr(expr: &Expr) -> Span {
    let first = match expr {
        Expr::Subquery(query) | Expr::Exists { subquery: query, .. } => return of_query(query),
        Expr::In { expr: first, target: InTarget::List(_) | InTarget::Subquery(_), .. }
        | Expr::AnyOp { left: first, .. }
        | Expr::AllOp { left: first, .. }
        | Expr::BinaryOp { left: first, .. }
        | Expr::Between { expr: first, .. }
        | Expr::IsDistinctFrom(first, _)
        | Expr::IsNotDistinctFrom(first, _)
        | Expr::Like { expr: first, .. }
        | Expr::ILike { expr: first, .. }
        | Expr::SimilarTo { expr: first, .. }
        | Expr::AtTimeZone { timestamp: first, .. }
        | Expr::CompoundFieldAccess { root: first, .. } => of_expr(first),
        Expr::IsNull(only)
        | Expr::IsNotNull(only)
        | Expr::IsTrue(only)
        | Expr::IsNotTrue(only)
        | Expr::IsFalse(only)
        | Expr::IsNotFalse(only)
        | Expr::UnaryOp { expr: only, .. }
        | Expr::Cast { expr: only, .. }
        | Expr::Prefixed { value: only, .. }
        | Expr::Nested(only) => return of_expr(only),
        Expr::Tuple(items) => items.first().map_or(Span::empty(), of_expr),
        Expr::Array(array) => array.elem.first().map_or(Span::empty(), of_expr),
        Expr::Function(call) => call.name.span(),
        Expr::Case { case_token, .. } => case_token.0.span,
        _ => Span::empty(),
    };
    or_whole(first, || expr.span())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlparser::ast::{SelectItem, Statement};
    use sqlparser::dialect::PostgreSqlDialect;
    use sqlparser::parser::Parser;

    fn query(text: &str) -> Query {
        match Parser::parse_sql(&PostgreSqlDialect {}, text).expect(text).remove(0) {
            Statement::Query(query) => *query,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn it_is_where_the_whole_span_begins() {
        let exprs = [
            "(a.x)",
            "ARRAY[1, 2]",
            "(1, (SELECT 2))",
            "- b",
            "f((SELECT 3), 1)",
            "CASE WHEN EXISTS (SELECT) THEN 1 END",
            "b.y[1:2]",
            "a.x IS NULL",
            "a.x IN (SELECT 1)",
            "(1 + 2) IN (1, 2)",
            "(SELECT 5) = ANY (SELECT 6)",
            "x::int = 2",
            "CAST((SELECT 1) AS int)",
            "a BETWEEN (SELECT 1) AND 2",
            "a.n LIKE 'x'",
            "a.t AT TIME ZONE 'x' = now()",
            "NOT a",
            "a IS DISTINCT FROM NULL",
            "date '2020-01-01'",
            "EXISTS (SELECT 1)",
            "NOT EXISTS (SELECT 1)",
            "'x' || a",
            "a IS NOT TRUE",
            "((((SELECT 1) + 1)))",
            "(VALUES (1))",
            "extract(year from a)",
            "count(*)",
        ];
        for expr in exprs {
            let query = query(&format!("SELECT\n {expr}"));
            let SetExpr::Select(select) = query.body.as_ref() else { panic!("{query}") };
            let [SelectItem::UnnamedExpr(syntax)] = select.projection.as_slice() else { panic!("{query}") };
            assert_eq!(of_expr(syntax).start, syntax.span().start, "{expr}");
        }
        let factors = [
            "t",
            "s.t AS a",
            "(SELECT 1) a",
            "LATERAL (SELECT 1) a",
            "(a JOIN b ON true)",
            "((SELECT 1) x CROSS JOIN b)",
            "g(1)",
        ];
        for factor in factors {
            let query = query(&format!("SELECT FROM\n {factor}"));
            let SetExpr::Select(select) = query.body.as_ref() else { panic!("{query}") };
            assert_eq!(of_factor(&select.from[0].relation).start, select.from[0].relation.span().start, "{factor}");
        }
        let queries = [
            "SELECT 1",
            "WITH c AS (SELECT 1) SELECT 2",
            "(SELECT 1)",
            "(SELECT 1) UNION SELECT 2 EXCEPT SELECT 3",
            "VALUES (1, 2), (3, 4)",
        ];
        for text in queries {
            let query = query(text);
            assert_eq!(of_query(&query).start, query.span().start, "{text}");
            assert_eq!(of_body(&query.body).start, query.body.span().start, "{text}");
        }
    }
}
