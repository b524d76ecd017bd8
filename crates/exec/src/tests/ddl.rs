//! DDL and the rows that it moves, from text to rows: parser, binder, planner, operators, transactions, catalog.

use super::support::{Node, node, rows_of, show_error, text};
use crate::{Prepared, SqlServices, execute};
use catalog::{Catalog, PG_CATALOG_SCHEMA, POSTGRES_DATABASE, POSTGRES_ROLE, PUBLIC_SCHEMA, TransactionCatalog};
use ddl::{DdlContext, execute as execute_ddl};
use sql::utility::Utility;
use sql::{BindContext, BoundKind, PlanContext, PlannerSettings};
use std::sync::Arc;
use txn::{Isolation, Transaction};
use types::{Datum, FormatSettings, Oid, Result, SqlError};

pub(super) struct Database {
    node: Node,
    catalog: TransactionCatalog,
    /// Who runs the statements.
    role: Oid,
    /// How rows are shown.
    pub(super) show: fn(&[Vec<Datum>]) -> String,
}

impl Database {
    pub(super) async fn new() -> Database {
        let node = node(vec![]).await;
        let catalog = Catalog::load(node.gateway.clone()).await.expect("loads");
        Database { node, catalog: TransactionCatalog::new(catalog), role: POSTGRES_ROLE, show: text }
    }

    fn bind_context(&self) -> BindContext {
        BindContext {
            catalog: self.catalog.snapshot().clone(),
            database: POSTGRES_DATABASE,
            search_path: vec![PG_CATALOG_SCHEMA, PUBLIC_SCHEMA],
            creation_schema: Some(PUBLIC_SCHEMA),
            temporary_schema: None,
            role: self.role,
            session_role: self.role,
            format: Arc::new(FormatSettings::default()),
            standard_conforming_strings: true,
            is_implemented: crate::functions::is_implemented,
        }
    }

    async fn statement(&mut self, txn: &Transaction, statement: &str) -> Result<String> {
        txn.begin_statement().await?;
        self.catalog.refresh();
        self.node.catalog = self.catalog.snapshot().clone();
        let bind = self.bind_context();
        let parsed = sql::parse(statement, true)?;
        let bound = sql::bind(&parsed[0], &bind, &[])?;
        let context = self.node.context(txn, vec![]);
        match bound.kind {
            BoundKind::Query(query) => {
                let snapshot = self.catalog.snapshot().clone();
                let settings = PlannerSettings::default();
                let planning =
                    PlanContext { catalog: &snapshot, rows: &|_| 100, settings: &settings, reads_at: None, fold: None };
                let prepared = Prepared::new(Arc::new(sql::plan(&query, &[], &planning)?))?;
                let mut execution = execute(&prepared, context)?;
                let mut rows = vec![];
                while let Some(batch) = execution.next().await? {
                    rows.extend(rows_of(&batch));
                }
                Ok((self.show)(&rows))
            }
            BoundKind::Rewritten(_) => panic!("{statement}"),
            BoundKind::Utility(utility) => {
                let Utility::Ddl(ddl) = *utility else { panic!("{statement}") };
                let sessions_in = Box::new(|_| 0);
                let services = SqlServices {
                    first_schema: 0.into(),
                    context,
                    bind,
                    settings: PlannerSettings::default(),
                    sessions_in,
                    end_sessions_in: Box::new(|_| ()),
                };
                let mut context = DdlContext {
                    txn,
                    catalog: &mut self.catalog,
                    services: &services,
                    database: POSTGRES_DATABASE,
                    role: self.role,
                    session_role: self.role,
                    search_path: vec![PG_CATALOG_SCHEMA, PUBLIC_SCHEMA],
                    creation_schema: Some(PUBLIC_SCHEMA),
                    temporary_schema: None,
                    session_number: 1,
                };
                execute_ddl(&ddl, &mut context).await.map(|outcome| outcome.tag)
            }
        }
    }

    /// A statement in a transaction of its own: rows or tag, else the error.
    pub(super) async fn run(&mut self, statement: &str) -> Result<String, SqlError> {
        let txn = self.node.begin(Isolation::Serializable).await;
        match self.statement(&txn, statement).await {
            Ok(shown) => {
                self.catalog.before_commit(&txn);
                let session = txn.session();
                txn.commit().await.expect("commits");
                self.catalog.after_commit(session);
                Ok(shown)
            }
            Err(error) => {
                txn.rollback();
                self.catalog.after_rollback();
                Err(error)
            }
        }
    }

    /// Runs a script: statements, each with what it shows. What a successful one shows may be left out.
    async fn check(&mut self, script: &[(&str, &str)]) {
        for (statement, expected) in script {
            let got = self.run(statement).await;
            let is_left_out = expected.is_empty() && got.is_ok();
            let shown = got.unwrap_or_else(|error| show_error(&error));
            assert!(is_left_out || shown == *expected, "{statement}\n  got:      {shown}\n  expected: {expected}");
        }
    }
}

pub(super) fn with_database(body: impl AsyncFnOnce(Database)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { body(Database::new().await).await });
}

fn check(script: &[(&str, &str)]) {
    with_database(async |mut database| database.check(script).await);
}

#[test]
fn create_table_as_does_not_read_columns_that_the_role_may_not() {
    with_database(async |mut database| {
        let grants = [
            ("CREATE TABLE t (a int, secret int)", ""),
            ("INSERT INTO t VALUES (1, 2)", ""),
            ("CREATE ROLE reader", ""),
            ("GRANT SELECT (a) ON t TO reader", ""),
            ("GRANT CREATE ON SCHEMA public TO reader", ""),
        ];
        database.check(&grants).await;
        let reader = database.catalog.snapshot().role_by_name("reader").map(|role| role.id);
        database.role = reader.expect("it was made");
        database.check(&[("CREATE TABLE copy AS SELECT secret FROM t", "42501 permission denied for table t")]).await;
    });
}

#[test]
fn columns_are_added_and_dropped_without_touching_rows() {
    check(&[
        ("CREATE TABLE t (a int PRIMARY KEY, b text)", "CREATE TABLE"),
        ("INSERT INTO t VALUES (1, 'x'), (2, NULL)", ""),
        ("ALTER TABLE t ADD c int DEFAULT 7 NOT NULL, ADD d text", "ALTER TABLE"),
        ("SELECT * FROM t ORDER BY a", "1,x,7,NULL 2,NULL,7,NULL"),
        ("INSERT INTO t VALUES (3, 'z', 8, 'w')", ""),
        ("ALTER TABLE t DROP b", ""),
        ("SELECT * FROM t ORDER BY a", "1,7,NULL 2,7,NULL 3,8,w"),
        ("ALTER TABLE t ADD e int NOT NULL", "23502 column \"e\" of relation \"t\" contains null values"),
        ("ALTER TABLE t ALTER d SET NOT NULL", "23502 column \"d\" of relation \"t\" contains null values"),
        ("ALTER TABLE t RENAME c TO cc", ""),
        ("SELECT cc FROM t WHERE a = 3", "8"),
    ]);
}

#[test]
fn indexes_are_filled_and_refuse_duplicates() {
    check(&[
        ("CREATE TABLE t (a int, b text)", ""),
        ("INSERT INTO t VALUES (1, 'x'), (2, 'y'), (2, 'z'), (NULL, 'n'), (NULL, 'm')", ""),
        ("CREATE INDEX i ON t (a)", "CREATE INDEX"),
        ("SELECT b FROM t WHERE a = 2 ORDER BY b", "y z"),
        ("CREATE UNIQUE INDEX u ON t (a)", "23505 could not create unique index \"u\" | Key (a)=(2) is duplicated."),
        ("CREATE UNIQUE INDEX u ON t (a) WHERE b <> 'z'", "CREATE INDEX"),
        (
            "INSERT INTO t VALUES (1, 'q')",
            "23505 duplicate key value violates unique constraint \"u\" | Key (a)=(1) already exists.",
        ),
        ("INSERT INTO t VALUES (1, 'z')", ""),
        ("CREATE INDEX e ON t (lower(b), (a + 1))", ""),
        ("SELECT a FROM t WHERE lower(b) = 'y'", "2"),
        ("DROP INDEX u", ""),
        ("INSERT INTO t VALUES (1, 'q')", ""),
        ("SELECT count(*) FROM t WHERE a = 1", "3"),
    ]);
}

#[test]
fn a_primary_key_added_later_stores_the_rows_by_it() {
    check(&[
        ("CREATE TABLE t (a int, b text UNIQUE)", ""),
        ("INSERT INTO t VALUES (3, 'x'), (1, 'y')", ""),
        ("ALTER TABLE t ADD PRIMARY KEY (a)", "ALTER TABLE"),
        ("SELECT b FROM t WHERE a = 1", "y"),
        ("SELECT a FROM t WHERE b = 'x'", "3"),
        (
            "INSERT INTO t VALUES (1, 'z')",
            "23505 duplicate key value violates unique constraint \"t_pkey\" | Key (a)=(1) already exists.",
        ),
        (
            "INSERT INTO t VALUES (2, 'x')",
            "23505 duplicate key value violates unique constraint \"t_b_key\" | Key (b)=(x) already exists.",
        ),
        ("ALTER TABLE t DROP CONSTRAINT t_pkey", ""),
        ("INSERT INTO t VALUES (1, 'w')", ""),
        ("SELECT a, b FROM t ORDER BY b", "1,w 3,x 1,y"),
        (
            "ALTER TABLE t ADD PRIMARY KEY (a)",
            "23505 could not create unique index \"t_pkey\" | Key (a)=(1) is duplicated.",
        ),
        ("SELECT count(*) FROM t", "3"),
    ]);
}

#[test]
fn constraints_are_checked_over_the_rows_that_exist() {
    check(&[
        ("CREATE TABLE p (a int PRIMARY KEY)", ""),
        ("CREATE TABLE c (a int, b int)", ""),
        ("INSERT INTO p VALUES (1)", ""),
        ("INSERT INTO c VALUES (1, 5), (2, -1), (NULL, 0)", ""),
        (
            "ALTER TABLE c ADD CHECK (b >= 0)",
            "23514 check constraint \"c_b_check\" of relation \"c\" is violated by some row",
        ),
        ("ALTER TABLE c ADD CONSTRAINT k CHECK (b > -5)", ""),
        (
            "INSERT INTO c VALUES (1, -9)",
            "23514 new row for relation \"c\" violates check constraint \"k\" | Failing row contains (1, -9).",
        ),
        (
            "ALTER TABLE c ADD FOREIGN KEY (a) REFERENCES p",
            "23503 insert or update on table \"c\" violates foreign key constraint \"c_a_fkey\" | Key (a)=(2) is not present in table \"p\".",
        ),
        ("DELETE FROM c WHERE a = 2", ""),
        ("ALTER TABLE c ADD FOREIGN KEY (a) REFERENCES p", "ALTER TABLE"),
        (
            "INSERT INTO c VALUES (3, 0)",
            "23503 insert or update on table \"c\" violates foreign key constraint \"c_a_fkey\" | Key (a)=(3) is not present in table \"p\".",
        ),
        (
            "DELETE FROM p",
            "23503 update or delete on table \"p\" violates foreign key constraint \"c_a_fkey\" on table \"c\" | Key (a)=(1) is still referenced from table \"c\".",
        ),
        ("TRUNCATE p, c", "TRUNCATE TABLE"),
        ("SELECT count(*) FROM c", "0"),
    ]);
}

#[test]
fn types_are_changed_and_rows_follow() {
    check(&[
        ("CREATE TABLE t (a int PRIMARY KEY, b text, c varchar(3) DEFAULT 'x')", ""),
        ("INSERT INTO t VALUES (1, '10'), (2, '20')", ""),
        ("CREATE INDEX i ON t (b)", ""),
        ("ALTER TABLE t ALTER b TYPE int", "42804 column \"b\" cannot be cast automatically to type integer"),
        ("ALTER TABLE t ALTER b TYPE int USING b::int + 1", "ALTER TABLE"),
        ("SELECT a FROM t WHERE b = 21", "2"),
        ("ALTER TABLE t ALTER a TYPE bigint, ALTER c TYPE varchar(5)", ""),
        ("SELECT a, b, c FROM t ORDER BY a", "1,11,x 2,21,x"),
        ("INSERT INTO t (a, b, c) VALUES (5000000000, 1, 'abcde')", ""),
        ("SELECT a FROM t WHERE c = 'abcde'", "5000000000"),
    ]);
}

#[test]
fn generated_serial_and_view_columns_have_their_values() {
    check(&[
        ("CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a * 2) STORED)", ""),
        ("INSERT INTO t (a) VALUES (1), (2)", ""),
        ("ALTER TABLE t ADD c int GENERATED ALWAYS AS (a + 10) STORED", ""),
        ("ALTER TABLE t ADD s serial", ""),
        ("SELECT a, b, c FROM t ORDER BY a", "1,2,11 2,4,12"),
        ("SELECT count(DISTINCT s) FROM t", "2"),
        ("CREATE VIEW v (x, y) AS SELECT a, b FROM t WHERE a > 1", "CREATE VIEW"),
        ("SELECT * FROM v", "2,4"),
        ("DROP TABLE t", "2BP01 cannot drop table t because other objects depend on it | view v depends on table t"),
        (
            "ALTER TABLE t DROP COLUMN a",
            "2BP01 cannot drop column a of table t because other objects depend on it | view v depends on column a of table t\ncolumn b of table t depends on column a of table t\ncolumn c of table t depends on column a of table t",
        ),
        ("CREATE TABLE copy AS SELECT x, y + 1 AS z FROM v", "SELECT 1"),
        ("SELECT * FROM copy", "2,5"),
        ("SELECT a AS q INTO other FROM t", "SELECT 2"),
        ("SELECT count(*) FROM other", "2"),
        ("CREATE MATERIALIZED VIEW m AS SELECT a FROM t", "SELECT 2"),
        ("INSERT INTO t (a) VALUES (3)", ""),
        ("SELECT count(*) FROM m", "2"),
        ("REFRESH MATERIALIZED VIEW m", ""),
        ("SELECT count(*) FROM m", "3"),
        ("DROP TABLE t CASCADE", ""),
        ("SELECT * FROM v", "42P01 relation \"v\" does not exist"),
    ]);
}
