//! Whole statements over a gateway in memory: `scripts/*.sql`, with what PostgreSQL 15 answers to the same text.
//!
//! A script is statements, each followed by its notices and errors as comments (`-- ERROR 42P07: …`); none: it succeeds.
//! The binder and the executor are doubles: expressions are taken as they are written, tables have no rows.

use super::*;
use catalog::{
    Catalog, Index, POSTGRES_DATABASE, POSTGRES_ROLE, PUBLIC_SCHEMA, Relation, Snapshot, TransactionCatalog,
};
use catalog::{PG_CATALOG_SCHEMA, bootstrap};
use host::{Host, TokioSpawn};
use parking_lot::Mutex;
use sql::utility::Utility;
use sql::utility::ddl::SqlText;
use sql::{BindContext, BoundKind};
use std::future::Future;
use std::sync::Arc;
use txn::{Bootstrap, Gateway, GatewayOptions, Limits, Transaction, TxnOptions};
use types::builtin::Volatility;
use types::{Datum, FormatSettings, Oid, SqlState, SqlType};

// --- a node without a disk

async fn catalog() -> Arc<Catalog> {
    let options = GatewayOptions {
        host: Host::real(),
        node_id: 1,
        folder: None,
        memory: None,
        groups: Arc::new(txn::AtOnce),
        spawn: Arc::new(TokioSpawn(tokio::runtime::Handle::current())),
        bootstrap: Box::new(|| Bootstrap { cluster_id: [1; 16], rows: bootstrap::mutations().expect("rows") }),
        limits: Limits::default(),
    };
    Catalog::load(Gateway::start(options).await.expect("starts")).await.expect("loads")
}

// --- doubles of binder and executor

#[derive(Default)]
struct Services {
    notices: Mutex<Vec<SqlError>>,
}

impl DdlServices for Services {
    fn bind_expression(
        &self,
        _: &Arc<Snapshot>,
        relation: Option<&Relation>,
        text: &SqlText,
        usage: ExpressionUse,
        _: &str,
    ) -> Result<BoundExpression> {
        let columns: Vec<i16> = relation
            .iter()
            .flat_map(|r| r.live_columns().filter(|c| mentions::mentions(r, &text.text, c.number)).map(|c| c.number))
            .collect();
        let ty = match usage {
            ExpressionUse::Default(ty) | ExpressionUse::Generated(ty) | ExpressionUse::Using(ty) => ty,
            ExpressionUse::Check | ExpressionUse::IndexPredicate => SqlType::BOOL,
            ExpressionUse::Index => SqlType::TEXT,
        };
        let volatility = if text.text.contains("random(") { Volatility::Volatile } else { Volatility::Immutable };
        Ok(BoundExpression { text: text.text.clone(), ty, columns, volatility, name: None })
    }

    /// Queries here are `SELECT column FROM table`.
    fn bind_query(&self, catalog: &Arc<Snapshot>, text: &SqlText) -> Result<BoundQuery> {
        let words: Vec<&str> = text.text.split_whitespace().collect();
        let [_, column, _, table] = words[..] else { return Err(SqlError::unsupported(text.text.clone())) };
        let relation = catalog.relation_by_name(PUBLIC_SCHEMA, table).expect("a table");
        let column = relation.column_by_name(column).expect("a column");
        let result = sql::ResultColumn {
            name: column.name.clone(),
            ty: column.ty.into(),
            table: relation.id,
            attribute: column.number,
        };
        Ok(BoundQuery {
            text: text.text.clone(),
            columns: vec![result],
            depends_on: vec![(relation.id, 0), (relation.id, column.number)],
        })
    }

    fn rename_expression(&self, _: &Arc<Snapshot>, _: &Relation, _: &Relation, text: &str) -> Result<String> {
        Ok(text.to_owned())
    }
    fn require_updatable(&self, _: &Arc<Snapshot>, _: &Arc<Relation>) -> Result<()> {
        Ok(())
    }
    fn check_rule(&self, _: &Arc<Snapshot>, _: &sql::RuleTexts<'_>) -> Result<sql::RuleUses> {
        Ok(sql::RuleUses::default())
    }
    fn store_rule(&self, _: &Arc<Snapshot>, _: &catalog::Rule) -> Option<catalog::Rule> {
        None
    }
    fn rename_rule(&self, _: &Arc<Snapshot>, _: &Arc<Snapshot>, rule: &catalog::Rule) -> Result<catalog::Rule> {
        Ok(rule.clone())
    }
    fn check_function(&self, _: &Arc<Snapshot>, _: &catalog::Function, _: &SqlText) -> Result<Option<String>> {
        Ok(None)
    }
    fn store_body(&self, _: &Arc<Snapshot>, function: &catalog::Function) -> Result<catalog::FunctionBody> {
        Ok(function.body.clone())
    }
    fn rename_body(
        &self,
        _: &Arc<Snapshot>,
        _: &Arc<Snapshot>,
        function: &catalog::Function,
    ) -> Result<catalog::FunctionBody> {
        Ok(function.body.clone())
    }
    fn store_query(&self, _: &Arc<Snapshot>, _: &BoundQuery) -> Option<String> {
        None
    }
    fn rename_query(&self, _: &Arc<Snapshot>, _: &Arc<Snapshot>, _: &Relation) -> Result<RenamedQuery> {
        Ok(RenamedQuery::AsWritten)
    }
    fn evaluate<'a>(&'a self, _: &'a Arc<Snapshot>, text: &'a str, ty: SqlType) -> BoxFuture<'a, Result<Datum>> {
        Box::pin(async move { types::io::input(ty, text, &FormatSettings::default()) })
    }
    fn has_rows<'a>(
        &'a self,
        _: &'a Arc<Snapshot>,
        _: String,
        _: services::Upkeep,
    ) -> BoxFuture<'a, Result<Option<Vec<Datum>>>> {
        Box::pin(async { Ok(None) })
    }
    fn fill_index<'a>(
        &'a self,
        _: &'a Arc<Snapshot>,
        _: &'a Arc<Relation>,
        _: &'a Arc<Index>,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }
    fn rewrite<'a>(
        &'a self,
        _: &'a Arc<Snapshot>,
        _: &'a Arc<Relation>,
        _: &'a Arc<Relation>,
        _: Vec<(i16, String)>,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }
    fn has_undeclared_fields<'a>(&'a self, _: &'a Arc<Snapshot>, _: &'a Arc<Relation>) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async { Ok(false) })
    }
    fn insert_query<'a>(
        &'a self,
        _: &'a Arc<Snapshot>,
        _: &'a Arc<Relation>,
        _: &'a SqlText,
    ) -> BoxFuture<'a, Result<u64>> {
        Box::pin(async { Ok(0) })
    }
    fn notice(&self, notice: SqlError) {
        self.notices.lock().push(notice);
    }
    fn random(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
    fn input(&self, ty: SqlType, text: &str) -> Result<Datum> {
        types::io::input(ty, text, &FormatSettings::default())
    }
    fn end_sessions_in(&self, _: Oid) {}
    fn sessions_in(&self, _: Oid) -> usize {
        0
    }
}

// --- a session

struct Session {
    catalog: TransactionCatalog,
    services: Services,
    temporary_schema: Option<Oid>,
    role: Oid,
}

impl Session {
    fn new(catalog: &Arc<Catalog>) -> Session {
        let catalog = TransactionCatalog::new(catalog.clone());
        Session { catalog, services: Services::default(), temporary_schema: None, role: POSTGRES_ROLE }
    }

    fn parse(&self, text: &str) -> Result<Arc<sql::utility::ddl::Ddl>> {
        let statements = sql::parse(text, true)?;
        let context = BindContext {
            catalog: self.catalog.snapshot().clone(),
            database: POSTGRES_DATABASE,
            search_path: vec![PG_CATALOG_SCHEMA, PUBLIC_SCHEMA],
            creation_schema: Some(PUBLIC_SCHEMA),
            temporary_schema: self.temporary_schema,
            role: self.role,
            session_role: POSTGRES_ROLE,
            format: Arc::new(FormatSettings::default()),
            standard_conforming_strings: true,
            is_implemented: |_| true,
        };
        match sql::bind(&statements[0], &context, &[])?.kind {
            BoundKind::Utility(utility) => match *utility {
                Utility::Ddl(ddl) => Ok(ddl),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    /// One statement of a transaction.
    async fn execute(&mut self, txn: &Transaction, text: &str) -> Result<String> {
        self.catalog.refresh();
        let ddl = self.parse(text)?;
        let mut search_path: Vec<Oid> = self.temporary_schema.into_iter().collect();
        search_path.extend([PG_CATALOG_SCHEMA, PUBLIC_SCHEMA]);
        let mut context = DdlContext {
            txn,
            catalog: &mut self.catalog,
            services: &self.services,
            database: POSTGRES_DATABASE,
            role: self.role,
            session_role: POSTGRES_ROLE,
            search_path,
            creation_schema: Some(PUBLIC_SCHEMA),
            temporary_schema: self.temporary_schema,
            session_number: 3,
        };
        let outcome = super::execute(&ddl, &mut context).await;
        let temporary_schema = context.temporary_schema;
        if outcome.is_ok() {
            self.temporary_schema = temporary_schema;
        }
        outcome.map(|o| o.tag)
    }

    async fn begin(&self) -> Transaction {
        let txn = self.catalog.catalog().gateway().begin(TxnOptions::default());
        txn.begin_statement().await.expect("begins");
        txn
    }

    async fn commit(&mut self, txn: Transaction) -> Result<()> {
        self.catalog.before_commit(&txn);
        let session = txn.session();
        match txn.commit().await {
            Ok(_) => self.catalog.after_commit(session),
            Err(error) => {
                self.catalog.after_rollback();
                return Err(error.to_sql());
            }
        }
        Ok(())
    }

    /// A statement in a transaction of its own.
    async fn run(&mut self, text: &str) -> Result<String> {
        let txn = self.begin().await;
        match self.execute(&txn, text).await {
            Ok(tag) => self.commit(txn).await.map(|()| tag),
            Err(error) => {
                txn.rollback();
                self.catalog.after_rollback();
                Err(error)
            }
        }
    }
}

fn shown(error: &SqlError) -> String {
    let fields = error.fields();
    let mut out = format!("-- {} {}: {}\n", fields.severity.as_str(), fields.code, fields.message);
    for (word, text) in [("DETAIL", &fields.detail), ("HINT", &fields.hint)] {
        if let Some(text) = text {
            out.push_str(&format!("-- {word}: {}\n", text.replace('\n', "\n--   ")));
        }
    }
    out
}

async fn run_script(script: &str) -> String {
    let catalog = catalog().await;
    let mut session = Session::new(&catalog);
    let mut out = String::new();
    let statements: String = script.lines().filter(|l| !l.starts_with("--")).map(|l| format!("{l}\n")).collect();
    for statement in statements.split(";\n").map(str::trim).filter(|s| !s.is_empty()) {
        out.push_str(&format!("{statement};\n"));
        let result = session.run(statement).await;
        for notice in session.services.notices.lock().drain(..) {
            out.push_str(&shown(&notice));
        }
        if let Err(error) = result {
            out.push_str(&shown(&error));
        }
    }
    out
}

/// Every line that differs, with the statement it belongs to.
fn check(name: &str, expected: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let got = runtime.block_on(run_script(expected));
    let blocks = |text: &str| -> Vec<String> {
        let mut all: Vec<String> = vec![];
        for line in text.lines() {
            match all.last_mut() {
                Some(block) if line.starts_with("--") => block.push_str(&format!("\n{line}")),
                _ => all.push(line.to_owned()),
            }
        }
        all
    };
    let (expected, got) = (blocks(expected), blocks(&got));
    let mut differences = String::new();
    for (expected, got) in expected.iter().zip(&got).filter(|(e, g)| e != g) {
        differences.push_str(&format!("expected:\n{expected}\ngot:\n{got}\n\n"));
    }
    assert!(differences.is_empty(), "{name}\n{differences}");
    assert_eq!(expected.len(), got.len());
}

#[test]
fn tables_are_made_and_dropped_as_in_postgresql() {
    check("tables", include_str!("scripts/tables.sql"));
}

#[test]
fn tables_are_altered_as_in_postgresql() {
    check("alter", include_str!("scripts/alter.sql"));
}

#[test]
fn indexes_comments_and_truncate_are_as_in_postgresql() {
    check("indexes", include_str!("scripts/indexes.sql"));
}

#[test]
fn roles_grants_schemas_and_databases_are_as_in_postgresql() {
    check("roles", include_str!("scripts/roles.sql"));
}

#[test]
fn types_and_domains_are_made_and_dropped_as_in_postgresql() {
    check("types", include_str!("scripts/types.sql"));
}

#[test]
fn a_rolled_back_label_was_never_there_and_a_committed_one_survives_a_load() {
    block_on(async {
        let catalog = catalog().await;
        let mut session = Session::new(&catalog);
        session.run("CREATE TYPE mood AS ENUM ('sad', 'happy')").await.unwrap();
        let txn = session.begin().await;
        session.execute(&txn, "ALTER TYPE mood ADD VALUE 'gone' BEFORE 'sad'").await.unwrap();
        session.execute(&txn, "CREATE DOMAIN gone AS mood").await.unwrap();
        txn.rollback();
        session.catalog.after_rollback();
        session.run("ALTER TYPE mood ADD VALUE 'ok' AFTER 'sad'").await.unwrap();
        let again = Catalog::load(catalog.gateway().clone()).await.unwrap();
        for snapshot in [catalog.current(), again.current()] {
            assert!(snapshot.id_by_name(PUBLIC_SCHEMA, "gone").is_none());
            let ty = snapshot.relation_by_name(PUBLIC_SCHEMA, "mood").unwrap().row_type;
            let labels: Vec<&str> = snapshot.labels(ty).unwrap().iter().map(|l| l.name.as_str()).collect();
            assert_eq!(labels, ["sad", "ok", "happy"]);
            assert!(snapshot.labels(ty).unwrap().is_sorted_by_key(|l| l.key));
        }
    });
}

#[test]
fn tables_are_opened_and_collections_closed() {
    check("documents", include_str!("scripts/documents.sql"));
}

// --- transactions

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

#[test]
fn a_rolled_back_table_was_never_there_and_a_committed_one_survives_a_load() {
    block_on(async {
        let catalog = catalog().await;
        let mut session = Session::new(&catalog);
        let txn = session.begin().await;
        session.execute(&txn, "CREATE TABLE gone (a serial)").await.unwrap();
        txn.rollback();
        session.catalog.after_rollback();
        session.run("CREATE TABLE kept (a serial PRIMARY KEY)").await.unwrap();
        let again = Catalog::load(catalog.gateway().clone()).await.unwrap();
        for snapshot in [catalog.current(), again.current()] {
            assert!(snapshot.id_by_name(PUBLIC_SCHEMA, "gone").is_none());
            let kept = snapshot.relation_by_name(PUBLIC_SCHEMA, "kept").unwrap();
            assert_eq!(kept.key, [1]);
            assert_eq!(kept.columns[0].default.as_deref(), Some("nextval('public.kept_a_seq'::regclass)"));
            assert!(snapshot.index_by_name(PUBLIC_SCHEMA, "kept_pkey").is_some_and(|i| i.is_primary));
        }
    });
}

#[test]
fn a_savepoint_takes_back_ddl_after_it_and_keeps_what_was_before() {
    block_on(async {
        let catalog = catalog().await;
        let mut session = Session::new(&catalog);
        let txn = session.begin().await;
        session.execute(&txn, "CREATE TABLE a (x int)").await.unwrap();
        let (savepoint, mark) = (txn.savepoint(), session.catalog.mark());
        session.execute(&txn, "CREATE TABLE b (x int)").await.unwrap();
        session.execute(&txn, "DROP TABLE a").await.unwrap();
        txn.rollback_to(savepoint);
        session.catalog.rollback_to(mark);
        session.execute(&txn, "ALTER TABLE a ADD y int DEFAULT 7").await.unwrap();
        session.commit(txn).await.unwrap();
        let now = catalog.current();
        let a = now.relation_by_name(PUBLIC_SCHEMA, "a").unwrap();
        assert_eq!((a.columns.len(), a.layout, a.columns[1].missing.as_deref()), (2, 1, Some("7")));
        assert!(now.id_by_name(PUBLIC_SCHEMA, "b").is_none());
    });
}

#[test]
fn of_two_creates_of_one_name_the_second_waits_and_finds_it_taken() {
    block_on(async {
        let catalog = catalog().await;
        let (mut first, mut second) = (Session::new(&catalog), Session::new(&catalog));
        let (one, two) = (first.begin().await, second.begin().await);
        first.execute(&one, "CREATE TABLE t (a int)").await.unwrap();
        let waiting = second.execute(&two, "CREATE TABLE t (b int)");
        let committing = first.commit(one);
        let (outcome, committed) = tokio::join!(waiting, committing);
        committed.unwrap();
        assert_eq!(outcome.unwrap_err().code(), SqlState::DUPLICATE_TABLE);
        assert!(catalog.current().relation_by_name(PUBLIC_SCHEMA, "t").unwrap().column_by_name("a").is_some());
    });
}

#[test]
fn who_creates_if_not_exists_waits_for_who_creates_and_skips() {
    block_on(async {
        let catalog = catalog().await;
        for (sql, ends_well) in [
            ("CREATE TABLE IF NOT EXISTS t (b int)", true),
            ("CREATE SEQUENCE IF NOT EXISTS t", true),
            ("CREATE TABLE IF NOT EXISTS u (b int)", false),
        ] {
            let (mut first, mut second) = (Session::new(&catalog), Session::new(&catalog));
            let (one, two) = (first.begin().await, second.begin().await);
            let name = if ends_well { "t" } else { "u" };
            first.execute(&one, &format!("CREATE TABLE {name} (a int)")).await.unwrap();
            let waiting = second.execute(&two, sql);
            let ending = async {
                match ends_well {
                    true => first.commit(one).await.unwrap(),
                    false => one.rollback(),
                }
            };
            let (outcome, ()) = tokio::join!(waiting, ending);
            outcome.unwrap();
            second.commit(two).await.unwrap();
            let table = catalog.current().relation_by_name(PUBLIC_SCHEMA, name).unwrap().clone();
            assert_eq!(table.columns[0].name, if ends_well { "a" } else { "b" }, "{sql}");
            if ends_well {
                second.run("DROP TABLE t").await.unwrap();
            }
        }
    });
}

#[test]
fn of_two_alters_of_one_table_the_second_waits_and_sees_the_first() {
    block_on(async {
        let catalog = catalog().await;
        let (mut first, mut second) = (Session::new(&catalog), Session::new(&catalog));
        first.run("CREATE TABLE t (a int)").await.unwrap();
        let (one, two) = (first.begin().await, second.begin().await);
        first.execute(&one, "ALTER TABLE t ADD b int").await.unwrap();
        let waiting = second.execute(&two, "ALTER TABLE t ADD c int");
        let committing = first.commit(one);
        let (outcome, committed) = tokio::join!(waiting, committing);
        committed.unwrap();
        outcome.unwrap();
        second.commit(two).await.unwrap();
        let now = catalog.current();
        let names: Vec<&str> =
            now.relation_by_name(PUBLIC_SCHEMA, "t").unwrap().columns.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
    });
}

#[test]
fn temporary_tables_are_the_sessions_own() {
    block_on(async {
        let catalog = catalog().await;
        let (mut first, mut second) = (Session::new(&catalog), Session::new(&catalog));
        first.run("CREATE TEMP TABLE t (a int PRIMARY KEY)").await.unwrap();
        second.run("CREATE TEMP TABLE t (b text)").await.unwrap();
        assert_eq!(first.catalog.temporary_relations().len(), 1);
        assert_eq!(catalog.current().relations().filter(|r| r.is_temporary).count(), 0);
        first.run("ALTER TABLE t ADD c int").await.unwrap();
        assert_eq!(first.catalog.temporary_relations()[0].columns.len(), 2);
        first.run("DROP TABLE t").await.unwrap();
        assert!(first.catalog.temporary_relations().is_empty());
    });
}

#[test]
fn sequences_count_through_blocks_restarts_and_rollback() {
    block_on(async {
        let catalog = catalog().await;
        let mut session = Session::new(&catalog);
        session.run("CREATE SEQUENCE s INCREMENT 2 MAXVALUE 99").await.unwrap();
        let sequence =
            |session: &Session| session.catalog.snapshot().relation_by_name(PUBLIC_SCHEMA, "s").unwrap().clone();
        let s = sequence(&session);
        for expected in (1..80).step_by(2) {
            assert_eq!(catalog.sequences().nextval(&s).await.unwrap(), Some(expected));
        }
        assert_eq!(catalog.sequences().state(&s).await.unwrap().last_value, 79);
        catalog.sequences().setval(&s, 95, true).await.unwrap();
        assert_eq!(catalog.sequences().nextval(&s).await.unwrap(), Some(97));
        assert_eq!(catalog.sequences().nextval(&s).await.unwrap(), Some(99));
        let error = catalog.sequences().nextval(&s).await.unwrap_err();
        assert_eq!(error.message(), "nextval: reached maximum value of sequence \"s\" (99)");
        let txn = session.begin().await;
        session.execute(&txn, "ALTER SEQUENCE s RESTART WITH 11").await.unwrap();
        assert_eq!(catalog.sequences().nextval(&sequence(&session)).await.unwrap(), Some(11));
        txn.rollback();
        session.catalog.after_rollback();
        assert!(catalog.sequences().nextval(&sequence(&session)).await.is_err(), "the restart was rolled back");
    });
}
