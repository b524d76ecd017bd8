//! Plans of SQL text over a small catalog.

mod direct;
mod golden;
mod limits;
mod merge;
mod show;

use super::{PlanContext, PlannerSettings};
use crate::expr::{Expr, ExprKind};
use crate::physical::Plan;
use crate::{BindContext, BoundKind, bind, parse};
use catalog::{Index, IndexColumn, IndexSource, IndexState, Object, Relation, RelationKind, Snapshot};
use std::sync::Arc;
use types::{Datum, Oid, SqlType, typename};

/// Tables with their indexes: `name(column type [not null], …)`, then each key as
/// `[unique|primary] name(column or expression [desc], …) [where predicate]`.
const TABLES: &[(&str, &[&str])] = &[
    ("accounts(aid int, bid int, abalance int, filler char(84))", &["primary accounts_pkey(aid)"]),
    ("history(tid int, bid int, aid int, delta int, mtime timestamp, filler char(22))", &[]),
    (
        "lines(doc bigint, no int, item int, price numeric, note text)",
        &["primary lines_pkey(doc, no)", "lines_item(item)"],
    ),
    (
        "emp(id int, dept int, name text, pay numeric, boss int, email varchar(50))",
        &["primary emp_pkey(id)", "emp_dept(dept)", "emp_name(name)", "emp_email(lower((email)::text))"],
    ),
    ("dept(id int, name text not null, city text)", &["primary dept_pkey(id)", "unique dept_name(name)"]),
    (
        "orders(id bigint, customer int, placed date, state text, total numeric)",
        &[
            "primary orders_pkey(id)",
            "orders_customer(customer, placed desc)",
            "orders_open(placed) where (state = 'open'::text)",
        ],
    ),
    ("c1(a int, b int, x text)", &["primary c1_pkey(a)"]),
    ("c2(a int, b int, x text)", &["primary c2_pkey(a)"]),
    ("c3(a int, b int, x text)", &["primary c3_pkey(a)"]),
    ("c4(a int, b int, x text)", &["primary c4_pkey(a)"]),
    ("c5(a int, b int, x text)", &["primary c5_pkey(a)"]),
    ("c6(a int, b int, x text)", &["primary c6_pkey(a)"]),
    ("c7(a int, b int, x text)", &["primary c7_pkey(a)"]),
    ("c8(a int, b int, x text)", &["primary c8_pkey(a)"]),
    ("c9(a int, b int, x text)", &["primary c9_pkey(a)"]),
    ("c10(a int, b int, x text)", &["primary c10_pkey(a)"]),
];

/// Rows that every table is thought to have, unless `rows_of` says otherwise.
const ROWS: u64 = 1000;

fn rows_of(relation: &Relation) -> u64 {
    match relation.name.as_str() {
        "accounts" | "history" | "orders" => 100_000,
        "emp" => 10_000,
        "dept" => 100,
        name if name.starts_with('c') => 10,
        _ => ROWS,
    }
}

fn split(text: &str) -> (&str, Vec<&str>) {
    let (name, rest) = text.split_once('(').expect("name(list)");
    let list = rest.strip_suffix(')').expect("name(list)");
    let (mut parts, mut depth, mut start) = (vec![], 0, 0);
    for (at, c) in list.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(list[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(list[start..].trim());
    (name.trim(), parts)
}

fn table(id: Oid, text: &str) -> Relation {
    let (name, columns) = split(text);
    let mut relation = catalog::new_relation(id, name, RelationKind::Table);
    relation.database = catalog::POSTGRES_DATABASE;
    relation.schema = catalog::PUBLIC_SCHEMA;
    for (number, column) in (1..).zip(columns) {
        let (column, ty) = column.split_once(' ').expect("name type");
        let (ty, not_null) = ty.strip_suffix(" not null").map_or((ty, false), |ty| (ty, true));
        let mut made = catalog::new_column(number, column, typename::parse(ty).expect("a type"));
        made.not_null = not_null;
        relation.columns.push(made);
    }
    relation
}

fn index(id: Oid, relation: &mut Relation, text: &str) -> Index {
    let (text, predicate) = text.split_once(" where ").map_or((text, None), |(text, p)| (text, Some(p.to_owned())));
    let (head, columns) = split(text);
    let (kind, name) = head.split_once(' ').unwrap_or(("", head));
    let column = |text: &&str| {
        let (name, descending) = text.strip_suffix(" desc").map_or((*text, false), |name| (name, true));
        let (source, ty) = match relation.column_by_name(name) {
            Some(column) => (IndexSource::Column(column.number), column.ty),
            None => (IndexSource::Expression(name.to_owned()), types::SqlType::TEXT.into()),
        };
        IndexColumn { source, ty, descending, nulls_first: descending, opclass: None, collation: 0 }
    };
    let columns: Vec<IndexColumn> = columns.iter().map(column).collect();
    if kind == "primary" {
        for column in &columns {
            let IndexSource::Column(number) = column.source else { continue };
            relation.key.push(number);
            relation.columns[number as usize - 1].not_null = true;
        }
    }
    relation.indexes.push(id);
    Index {
        id,
        relation: relation.id,
        schema: relation.schema,
        database: relation.database,
        name: name.to_owned(),
        storage: id,
        columns,
        included: vec![],
        is_unique: !kind.is_empty(),
        nulls_not_distinct: false,
        is_primary: kind == "primary",
        method: "btree".to_owned(),
        predicate,
        state: IndexState::Public,
        options: vec![],
        comment: None,
    }
}

fn snapshot() -> Arc<Snapshot> {
    let mut snapshot = Snapshot::with_builtins();
    catalog::bootstrap::objects().into_iter().for_each(|o| snapshot.put(o));
    for (id, (text, indexes)) in (20_000..).step_by(100).zip(TABLES) {
        let mut relation = table(id, text);
        let made: Vec<Index> = (id + 10..).zip(*indexes).map(|(id, text)| index(id, &mut relation, text)).collect();
        snapshot.put(Object::Relation(relation));
        made.into_iter().for_each(|i| snapshot.put(Object::Index(i)));
    }
    Arc::new(snapshot)
}

fn bind_context(catalog: Arc<Snapshot>) -> BindContext {
    BindContext {
        catalog,
        database: catalog::POSTGRES_DATABASE,
        search_path: vec![catalog::PG_CATALOG_SCHEMA, catalog::PUBLIC_SCHEMA],
        creation_schema: None,
        temporary_schema: None,
        role: catalog::POSTGRES_ROLE,
        session_role: catalog::POSTGRES_ROLE,
        format: Arc::default(),
        standard_conforming_strings: true,
        is_implemented: |_| true,
    }
}

/// The value of one call over constants.
fn fold(expr: &Expr) -> Option<Datum> {
    let ExprKind::Call { proc, args, .. } = &expr.kind else { return None };
    let value = |e: &Expr| match &e.kind {
        ExprKind::Const(value) => Some(value.clone()),
        _ => None,
    };
    let values: Vec<Datum> = args.iter().map(value).collect::<Option<_>>()?;
    let arg_types: Vec<SqlType> = args.iter().map(|a| a.ty).collect();
    let format = types::FormatSettings::default();
    let context = types::CallContext { format: &format, arg_types: &arg_types, result_type: expr.ty };
    types::functions::scalar(proc.symbol)?(&context, &values).ok()
}

/// The plan of a statement.
#[track_caller]
fn planned(catalog: &Arc<Snapshot>, text: &str) -> Plan {
    planned_with(catalog, text, &PlannerSettings::default(), &rows_of)
}

#[track_caller]
fn planned_with(
    catalog: &Arc<Snapshot>,
    text: &str,
    settings: &PlannerSettings,
    rows: &dyn Fn(&Relation) -> u64,
) -> Plan {
    let statements = parse::parse(text, true).unwrap_or_else(|e| panic!("{text}: {e}"));
    let bound = bind(&statements[0], &bind_context(catalog.clone()), &[]).unwrap_or_else(|e| panic!("{text}: {e}"));
    let BoundKind::Query(query) = &bound.kind else { panic!("no query: {text}") };
    let context = PlanContext { catalog, rows, settings, reads_at: None, fold: Some(&fold) };
    super::plan(query, &bound.parameters, &context).unwrap_or_else(|e| panic!("{text}: {e}"))
}
