//! Statements over stored rows: writes, constraints, scans, locks, the direct path.

use super::support::*;
use crate::output::{RowBuffer, RowCollector};
use crate::{Prepared, direct};
use catalog::{Constraint, ConstraintKind, ForeignKey, Object, ReferentialAction, Relation};
use host::Host;
use sql::expr::{Expr, ExprKind};
use sql::logical::{OnConflict, ScanColumn};
use sql::physical::*;
use std::sync::Arc;
use txn::Isolation;
use types::{Datum, FormatSettings, SqlType};

const INT: SqlType = SqlType::INT4;
const TEXT: SqlType = SqlType::TEXT;

fn t() -> Arc<Relation> {
    Arc::new(table(20_000, "t", &[("a", INT), ("b", INT), ("c", TEXT)]))
}

fn object(relation: &Arc<Relation>) -> Object {
    Object::Relation((**relation).clone())
}

fn row(a: i32, b: i32, c: &str) -> Vec<Expr> {
    vec![int(a), int(b), str(c)]
}

/// UPDATE t SET … WHERE filter.
fn update(relation: &Arc<Relation>, target: PlanTarget, filter: Option<Expr>, set: Vec<(i16, Expr)>) -> Plan {
    let width = relation.columns.len() as u32;
    let old_row = (0..width).map(|i| (ScanColumn::Attribute(i as i16 + 1), i)).collect();
    let op = Op::Update(Box::new(PlanUpdate {
        target,
        input: seq_scan(relation, filter.clone()),
        row_key: width,
        old_row,
        assignments: set,
        tail: None,
        recheck: filter,
        returning: vec![],
    }));
    plan(node_of(op, &[]))
}

fn delete(relation: &Arc<Relation>, target: PlanTarget, filter: Option<Expr>) -> Plan {
    let width = relation.columns.len() as u32;
    let old_row = (0..width).map(|i| (ScanColumn::Attribute(i as i16 + 1), i)).collect();
    let op = Op::Delete(Box::new(PlanDelete {
        target,
        input: seq_scan(relation, filter.clone()),
        row_key: width,
        old_row,
        recheck: filter,
        returning: vec![],
    }));
    plan(node_of(op, &[]))
}

/// Rows by an index, with `=` on its first column or a range.
fn index_scan(relation: &Arc<Relation>, index: Option<Arc<catalog::Index>>, bounds: KeyBounds, only: bool) -> Plan {
    let mut target = scan_target(relation);
    target.columns.pop();
    if only {
        target.columns = vec![ScanColumn::Attribute(1), ScanColumn::Attribute(2)];
    }
    let types = if only { vec![INT, INT] } else { column_types(relation) };
    let op =
        Op::IndexScan { target, index, bounds, index_only: only, filter: None, backward: false, keeps_order: true };
    plan(node_of(op, &types))
}

fn equals(value: i32) -> KeyBounds {
    KeyBounds { equal: vec![KeyEqual::Value(int(value))], ..KeyBounds::default() }
}

#[tokio::test]
async fn rows_are_written_found_changed_and_deleted_by_every_path() {
    let t = t();
    let by_b = index(20_010, &t, "t_b", &[2], false);
    let unique = index(20_011, &t, "t_c_key", &[3], true);
    let node = node(vec![object(&t)]).await;
    let target = || target(&t, &[by_b.clone(), unique.clone()]);
    let rows = vec![row(3, 1, "x"), row(1, 2, "y"), row(2, 1, "z")];
    let (_, count) = node.run(insert_plan(insert(target(), rows))).await.expect("inserts");
    assert_eq!(count, 3);
    assert_eq!(node.show(all(&t)).await, "1,2,y 2,1,z 3,1,x");
    assert_eq!(node.show(index_scan(&t, Some(by_b.clone()), equals(1), false)).await, "2,1,z 3,1,x");
    assert_eq!(node.show(index_scan(&t, Some(by_b.clone()), equals(1), true)).await, "2,1 3,1");
    assert_eq!(node.show(index_scan(&t, None, equals(3), false)).await, "3,1,x");

    // b = b + 1 where a >= 2: the index follows.
    let set = vec![(2, call("+", input(1), int(1)))];
    let plan = update(&t, target(), Some(call(">=", input(0), int(2))), set);
    assert_eq!(node.run(plan).await.expect("updates").1, 2);
    assert_eq!(node.show(index_scan(&t, Some(by_b.clone()), equals(1), false)).await, "");
    assert_eq!(node.show(index_scan(&t, Some(by_b.clone()), equals(2), false)).await, "1,2,y 2,2,z 3,2,x");

    // A primary key may move: the entries of all indexes follow.
    let plan = update(&t, target(), Some(call("=", input(0), int(3))), vec![(1, int(7))]);
    node.run(plan).await.expect("updates");
    assert_eq!(node.show(index_scan(&t, Some(by_b.clone()), equals(2), false)).await, "1,2,y 2,2,z 7,2,x");

    assert_eq!(
        node.show(insert_plan(insert(target(), vec![row(7, 0, "new")]))).await,
        "23505 duplicate key value violates unique constraint \"t_pkey\" | Key (a)=(7) already exists."
    );
    assert_eq!(
        node.show(insert_plan(insert(target(), vec![row(8, 0, "x")]))).await,
        "23505 duplicate key value violates unique constraint \"t_c_key\" | Key (c)=(x) already exists."
    );
    assert_eq!(
        node.show(update(&t, target(), Some(call("=", input(0), int(1))), vec![(3, str("z"))])).await,
        "23505 duplicate key value violates unique constraint \"t_c_key\" | Key (c)=(z) already exists."
    );
    let plan = delete(&t, target(), Some(call("=", input(0), int(2))));
    assert_eq!(node.run(plan).await.expect("deletes").1, 1);
    assert_eq!(node.show(index_scan(&t, Some(by_b.clone()), equals(2), false)).await, "1,2,y 7,2,x");
    // Its unique key is free again.
    node.run(insert_plan(insert(target(), vec![row(9, 9, "z")]))).await.expect("inserts");
}

#[tokio::test]
async fn nulls_are_distinct_in_a_unique_index() {
    let t = t();
    let unique = index(20_011, &t, "t_b_key", &[2], true);
    let node = node(vec![object(&t)]).await;
    let target = || target(&t, std::slice::from_ref(&unique));
    let rows = vec![vec![int(1), null(), str("")], vec![int(2), null(), str("")], vec![int(3), int(5), str("")]];
    node.run(insert_plan(insert(target(), rows))).await.expect("inserts");
    let is_null = KeyBounds { equal: vec![KeyEqual::IsNull], ..KeyBounds::default() };
    assert_eq!(node.show(index_scan(&t, Some(unique.clone()), is_null, false)).await, "1,NULL, 2,NULL,");
    assert_eq!(node.show(index_scan(&t, Some(unique.clone()), equals(5), false)).await, "3,5,");
}

#[tokio::test]
async fn checks_come_in_postgresqls_order_with_its_words() {
    let mut relation = (*t()).clone();
    relation.columns[1].not_null = true;
    let t = Arc::new(relation);
    let node = node(vec![object(&t)]).await;
    let target = || {
        let mut target = target(&t, &[]);
        target.checks = vec![("t_b_check".to_owned(), call(">", input(1), int(0)))];
        target
    };
    assert_eq!(
        node.show(insert_plan(insert(
            target(),
            vec![vec![int(1), null(), str("long enough to be cut at sixty-four bytes, as PostgreSQL does it")]]
        )))
        .await,
        "23502 null value in column \"b\" of relation \"t\" violates not-null constraint | Failing row contains (1, null, long enough to be cut at sixty-four bytes, as PostgreSQL does it)."
    );
    assert_eq!(
        node.show(insert_plan(insert(target(), vec![row(1, -1, "x")]))).await,
        "23514 new row for relation \"t\" violates check constraint \"t_b_check\" | Failing row contains (1, -1, x)."
    );
}

#[tokio::test]
async fn on_conflict_does_nothing_or_updates_the_row_in_the_way() {
    let t = t();
    let node = node(vec![object(&t)]).await;
    let with = |rows: Vec<Vec<Expr>>, update: bool| {
        let mut insert = insert(target(&t, &[]), rows);
        let update_source = sql::logical::ConflictUpdate {
            existing: vec![],
            excluded: vec![],
            assignments: vec![],
            generated: vec![],
            tail: None,
            predicate: None,
        };
        insert.on_conflict = Some(PlanConflict {
            source: OnConflict { arbiters: vec![], update: update.then_some(update_source) },
            // b = t.b + excluded.b
            assignments: vec![(2, call("+", input(1), input(4)))],
            predicate: None,
            tail: None,
        });
        insert.returning = vec![input(0), input(1)];
        insert_plan(insert)
    };
    assert_eq!(node.show(with(vec![row(1, 10, "x"), row(1, 20, "y")], false)).await, "1,10");
    assert_eq!(node.show(with(vec![row(1, 5, "x"), row(2, 7, "y")], true)).await, "1,15 2,7");
    assert_eq!(
        node.show(with(vec![row(3, 5, "x"), row(3, 7, "y")], true)).await,
        "21000 ON CONFLICT DO UPDATE command cannot affect row a second time"
    );
    assert_eq!(node.show(all(&t)).await, "1,15,x 2,7,y");
}

fn family(on_delete: ReferentialAction, on_update: ReferentialAction) -> (Arc<Relation>, Arc<Relation>, Constraint) {
    let parent = Arc::new(table(20_100, "p", &[("id", INT), ("v", INT)]));
    let mut child = table(20_200, "c", &[("id", INT), ("p", INT)]);
    let constraint = Constraint {
        id: 20_300,
        name: "c_p_fkey".to_owned(),
        kind: ConstraintKind::ForeignKey(ForeignKey {
            columns: vec![2],
            target: parent.id,
            target_columns: vec![1],
            target_index: 0,
            match_full: false,
            on_delete,
            on_update,
            delete_set_columns: vec![],
        }),
        deferrable: false,
        initially_deferred: false,
        is_validated: true,
        comment: None,
    };
    child.constraints.push(constraint.clone());
    (parent, Arc::new(child), constraint)
}

fn foreign_key(parent: &Arc<Relation>, child: &Arc<Relation>, constraint: &Constraint) -> PlanForeignKey {
    PlanForeignKey {
        constraint: Arc::new(constraint.clone()),
        child: child.clone(),
        parent: parent.clone(),
        parent_index: None,
        child_index: None,
        child_uses_primary_key: false,
    }
}

#[tokio::test]
async fn foreign_keys_hold_from_both_sides() {
    let run = |on_delete, on_update| async move {
        let (parent, child, constraint) = family(on_delete, on_update);
        let node = node(vec![object(&parent), object(&child)]).await;
        let parents = || {
            let mut target = target(&parent, &[]);
            target.referenced_by = vec![foreign_key(&parent, &child, &constraint)];
            target
        };
        let children = || {
            let mut target = target(&child, &[]);
            target.references = vec![foreign_key(&parent, &child, &constraint)];
            target
        };
        node.run(insert_plan(insert(parents(), vec![vec![int(1), int(0)], vec![int(2), int(0)]])))
            .await
            .expect("parents");
        let rows = vec![vec![int(10), int(1)], vec![int(11), null()]];
        node.run(insert_plan(insert(children(), rows))).await.expect("children");
        let orphan = node.show(insert_plan(insert(children(), vec![vec![int(12), int(5)]]))).await;
        assert_eq!(
            orphan,
            "23503 insert or update on table \"c\" violates foreign key constraint \"c_p_fkey\" | Key (p)=(5) is not present in table \"p\"."
        );
        let moved = node.show(update(&parent, parents(), Some(call("=", input(0), int(1))), vec![(1, int(3))])).await;
        let after_move = node.show(all(&child)).await;
        let filter = call("<>", input(0), int(2));
        let deleted = node.show(delete(&parent, parents(), Some(filter))).await;
        (moved, after_move, deleted, node.show(all(&child)).await)
    };
    use ReferentialAction::*;
    let referenced = |key: i32| {
        format!(
            "23503 update or delete on table \"p\" violates foreign key constraint \"c_p_fkey\" on table \"c\" | Key (id)=({key}) is still referenced from table \"c\"."
        )
    };
    let unchanged = "10,1 11,NULL".to_owned();
    assert_eq!(run(NoAction, NoAction).await, (referenced(1), unchanged.clone(), referenced(1), unchanged.clone()));
    assert_eq!(
        run(Cascade, Cascade).await,
        (String::new(), "10,3 11,NULL".to_owned(), String::new(), "11,NULL".to_owned())
    );
    assert_eq!(run(SetNull, Restrict).await, (referenced(1), unchanged, String::new(), "10,NULL 11,NULL".to_owned()));
}

#[tokio::test]
async fn the_direct_path_reads_and_writes_one_row() {
    let t = t();
    let node = node(vec![object(&t)]).await;
    let parameter = |n: u16, ty| Expr::new(ExprKind::Parameter(n), ty, 0);
    let insert = direct_plan(
        Direct::Insert {
            target: target(&t, &[]),
            values: vec![Some(parameter(0, INT)), Some(parameter(1, INT)), Some(parameter(2, TEXT))],
            returning: vec![],
        },
        &[],
    );
    let mut get_target = scan_target(&t);
    get_target.columns.pop();
    let get = direct_plan(
        Direct::Get {
            target: get_target,
            key: vec![parameter(0, INT)],
            filter: None,
            output: vec![text_input(2), input(1)],
            lock: None,
        },
        &[TEXT, INT],
    );
    let update = direct_plan(
        Direct::Update {
            target: target(&t, &[]),
            key: vec![parameter(0, INT)],
            filter: None,
            assignments: vec![(2, call("+", input(1), int(1)))],
            returning: vec![input(1)],
        },
        &[INT],
    );
    let (host, format) = (Host::real(), FormatSettings::default());
    let (insert, get, update) = [insert, get, update].map(|p| Prepared::new(Arc::new(p)).expect("compiles")).into();
    let txn = node.begin(Isolation::Serializable).await;
    txn.begin_statement().await.expect("begins");
    let parameters = [Datum::Int4(5), Datum::Int4(6), Datum::text("seven")];
    let context = node.direct(&host, &format, Some(&txn), &parameters);
    assert_eq!(direct::run(&insert, &context, &mut RowCollector::default()).await.expect("inserts"), 1);
    txn.begin_statement().await.expect("begins");
    let mut rows = RowCollector::default();
    assert_eq!(direct::run(&update, &context, &mut rows).await.expect("updates"), 1);
    assert_eq!(text(&rows.rows), "7");
    txn.commit().await.expect("commits");

    let context = node.direct(&host, &format, None, &parameters);
    let mut out = vec![];
    let mut buffer = RowBuffer::new(&mut out, &[], &format);
    assert_eq!(direct::run(&get, &context, &mut buffer).await.expect("reads"), 1);
    drop(buffer);
    assert_eq!(out, b"D\x00\x00\x00\x14\x00\x02\x00\x00\x00\x05seven\x00\x00\x00\x017");
    let missing = [Datum::Int4(6)];
    let context = node.direct(&host, &format, None, &missing);
    assert_eq!(direct::run(&get, &context, &mut RowCollector::default()).await.expect("reads"), 0);
}

#[tokio::test]
async fn skip_locked_takes_what_a_limit_wants_and_no_more() {
    use sql::logical::locking::{LockMode, WaitPolicy};
    let t = t();
    let node = node(vec![object(&t)]).await;
    let rows = (1..=5).map(|a| row(a, 0, "")).collect();
    node.run(insert_plan(insert(target(&t, &[]), rows))).await.expect("inserts");
    let take = || {
        let columns = (0..3).map(|i| (ScanColumn::Attribute(i as i16 + 1), i)).collect();
        let lock = Op::LockRows {
            input: Box::new(seq_scan(&t, None)),
            targets: vec![PlanLockTarget {
                relation: t.clone(),
                row_key: 3,
                mode: LockMode::Update,
                wait: WaitPolicy::Skip,
                columns,
                recheck: None,
            }],
        };
        let limit = Op::Limit {
            input: Box::new(node_of(lock, &scan_types(&t))),
            limit: Some(Expr::constant(Datum::Int8(2), SqlType::INT8)),
            offset: None,
            ties: None,
        };
        plan(node_of(Op::Project { input: Box::new(node_of(limit, &scan_types(&t))), exprs: vec![input(0)] }, &[INT]))
    };
    let first = node.begin(Isolation::ReadCommitted).await;
    let second = node.begin(Isolation::ReadCommitted).await;
    assert_eq!(text(&node.run_in(&first, take(), vec![]).await.expect("runs").0), "1 2");
    assert_eq!(text(&node.run_in(&second, take(), vec![]).await.expect("runs").0), "3 4");
}

#[tokio::test]
async fn a_row_of_an_older_layout_is_read_with_the_added_columns_default() {
    let before = t();
    let node = node(vec![object(&before)]).await;
    node.run(insert_plan(insert(target(&before, &[]), vec![row(1, 2, "x")]))).await.expect("inserts");
    let mut after = (*before).clone();
    after.layout = 1;
    after.columns[1].is_dropped = true;
    after.columns[1].dropped_in = Some(1);
    let mut added = catalog::new_column(4, "d", INT);
    added.added_in = 1;
    added.missing = Some("42".to_owned());
    after.columns.push(added);
    let after = Arc::new(after);
    assert_eq!(node.show(all(&after)).await, "1,NULL,x,42");
    let plan = update(&after, target(&after, &[]), None, vec![(3, str("y"))]);
    node.run(plan).await.expect("updates");
    assert_eq!(node.show(all(&after)).await, "1,NULL,y,42");
}
