//! What queries cost: `queries FOLDER [ROWS] [ROUNDS] [NAME]`. The first run on a folder loads orders and customers by COPY and
//! runs the queries over the delta; every later run reads what the first one's end has flushed. Times are the best of
//! ROUNDS, in nanoseconds of CPU per order: the clock of a busy machine tells little.

use consensus::{NodeOptions, RaftNode};
use exec::copy::CopyIn;
use exec::{
    BoxFuture, DeferredCheck, MemoryBudget, NodeBudget, Prepared, SessionAccess, SpillFolder, StatementContext,
};
use host::spawn::RuntimeThread;
use host::{Host, Spawn, TokioSpawn};
use sql::utility::{CopyFormat, CopyHeader, CopyKind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use storage::wal::WalOptions;
use txn::*;
use types::{Datum, FormatSettings, Oid, SqlError, SqlType};

const CUSTOMERS: u64 = 100_000;
const REGIONS: [&str; 7] = ["north", "south", "east", "west", "centre", "islands", "abroad"];

const QUERIES: &[(&str, &str)] = &[
    ("count.star", "SELECT count(*) FROM orders"),
    ("sums", "SELECT count(*), sum(qty), avg(rate) FROM orders"),
    ("sum.numeric", "SELECT sum(amount) FROM orders"),
    ("group.int", "SELECT product_id, count(*), sum(qty) FROM orders GROUP BY product_id"),
    ("group.many", "SELECT customer_id, count(*), sum(qty) FROM orders GROUP BY customer_id"),
    (
        "agg.full",
        "SELECT region, count(*), sum(amount), avg(qty), min(created), max(created) FROM orders GROUP BY region ORDER BY region",
    ),
    (
        "agg.filter",
        "SELECT product_id, count(*), sum(amount) FROM orders WHERE created >= '2021-03-01' AND created < '2021-08-01'
         AND qty > 5 GROUP BY product_id ORDER BY product_id",
    ),
    (
        "filter.sum",
        "SELECT sum(amount * rate2) FROM orders WHERE created >= '2021-01-01' AND created < '2022-01-01'
         AND rate2 BETWEEN 0.05 AND 0.07 AND qty < 10",
    ),
    ("sort.top", "SELECT id, amount FROM orders ORDER BY amount DESC, id LIMIT 10"),
    ("sort.all", "SELECT id, amount FROM orders ORDER BY amount, id OFFSET 999990"),
    (
        "join.hash",
        "SELECT c.segment, count(*), sum(o.amount) FROM orders o JOIN customers c ON c.id = o.customer_id
         GROUP BY c.segment ORDER BY c.segment",
    ),
    ("distinct", "SELECT count(DISTINCT customer_id), count(DISTINCT region) FROM orders"),
    (
        "window.rank",
        "SELECT region, id, r FROM (SELECT region, id, rank() OVER (PARTITION BY region ORDER BY amount DESC, id) r
         FROM orders) t WHERE r <= 3 ORDER BY region, r",
    ),
    ("numeric", "SELECT sum(amount * (1 - rate2)), sum(amount * (1 - rate2) * (1 + rate2)) FROM orders"),
];

/// Statements of few rows, with a random `$1`: thousands of executions of one plan.
const POINTS: &[(&str, &str, u64)] = &[
    ("lookup", "SELECT id, amount, created FROM orders WHERE customer_id = $1", CUSTOMERS),
    ("range", "SELECT id, amount FROM orders WHERE id BETWEEN $1 AND $1 + 99", 900_000),
    (
        "join",
        "SELECT o.id, o.amount, c.name, d.name FROM orders o JOIN customers c ON c.id = o.customer_id
         JOIN customers d ON d.id = o.product_id WHERE o.id = $1",
        900_000,
    ),
];
const POINT_EXECUTIONS: u64 = 20_000;

/// CPU time of this thread.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0))
}

/// A session that nobody asks anything.
struct Nobody;

impl SessionAccess for Nobody {
    fn database(&self) -> Oid {
        catalog::POSTGRES_DATABASE
    }
    fn database_name(&self) -> String {
        "postgres".to_owned()
    }
    fn current_user(&self) -> Oid {
        catalog::POSTGRES_ROLE
    }
    fn session_user(&self) -> Oid {
        catalog::POSTGRES_ROLE
    }
    fn backend_pid(&self) -> i32 {
        1
    }
    fn setting(&self, _name: &str) -> Option<String> {
        None
    }
    fn set_setting(&self, _name: &str, value: &str, _local: bool) -> types::Result<String> {
        Ok(value.to_owned())
    }
    fn search_path(&self) -> Vec<Oid> {
        vec![catalog::PG_CATALOG_SCHEMA, catalog::PUBLIC_SCHEMA]
    }
    fn temporary_schema(&self) -> Option<Oid> {
        None
    }
    fn notice(&self, _notice: SqlError) {}
    fn transaction_time(&self) -> i64 {
        0
    }
    fn statement_time(&self) -> i64 {
        0
    }
    fn random(&self) -> f64 {
        0.5
    }
    fn set_seed(&self, _seed: f64) {}
    fn next_value<'a>(&'a self, _: &'a Arc<catalog::Relation>) -> BoxFuture<'a, types::Result<Option<i64>>> {
        Box::pin(std::future::ready(Ok(Some(1))))
    }
    fn set_value<'a>(
        &'a self,
        _: &'a Arc<catalog::Relation>,
        value: i64,
        _: bool,
    ) -> BoxFuture<'a, types::Result<i64>> {
        Box::pin(std::future::ready(Ok(value)))
    }
    fn current_value(&self, _: &catalog::Relation) -> types::Result<i64> {
        Ok(1)
    }
    fn last_value(&self) -> types::Result<i64> {
        Ok(1)
    }
    fn defer(&self, _check: DeferredCheck) {}
}

fn relation(id: Oid, name: &str, columns: &[(&str, SqlType)]) -> catalog::Relation {
    let mut relation = catalog::new_relation(id, name, catalog::RelationKind::Table);
    relation.database = catalog::POSTGRES_DATABASE;
    relation.schema = catalog::PUBLIC_SCHEMA;
    relation.storage = id;
    relation.columns =
        columns.iter().enumerate().map(|(i, (name, ty))| catalog::new_column(i as i16 + 1, name, *ty)).collect();
    relation.columns[0].not_null = true;
    relation.key = vec![1];
    relation
}

fn numeric(precision: i32, scale: i32) -> SqlType {
    SqlType { oid: types::oid::NUMERIC, typmod: (precision << 16 | scale) + 4 }
}

fn catalog() -> Arc<catalog::Snapshot> {
    let mut snapshot = catalog::Snapshot::with_builtins();
    catalog::bootstrap::objects().into_iter().for_each(|o| snapshot.put(o));
    let orders = [
        ("id", SqlType::INT8),
        ("customer_id", SqlType::INT4),
        ("product_id", SqlType::INT4),
        ("region", SqlType::TEXT),
        ("qty", SqlType::INT4),
        ("amount", numeric(12, 2)),
        ("created", SqlType::new(types::oid::TIMESTAMP)),
        ("rate", SqlType::FLOAT8),
        ("rate2", numeric(12, 2)),
    ];
    let customers =
        [("id", SqlType::INT4), ("name", SqlType::TEXT), ("city", SqlType::TEXT), ("segment", SqlType::INT4)];
    let mut orders = relation(20_000, "orders", &orders);
    let mut customers = relation(20_001, "customers", &customers);
    let indexes = [
        index(20_002, &orders, "orders_pkey", 1, true),
        index(20_003, &customers, "customers_pkey", 1, true),
        index(20_004, &orders, "orders_customer", 2, false),
    ];
    orders.indexes = vec![20_002, 20_004];
    customers.indexes = vec![20_003];
    snapshot.put(catalog::Object::Relation(orders));
    snapshot.put(catalog::Object::Relation(customers));
    indexes.into_iter().for_each(|index| snapshot.put(catalog::Object::Index(index)));
    Arc::new(snapshot)
}

fn index(id: Oid, relation: &catalog::Relation, name: &str, column: i16, is_primary: bool) -> catalog::Index {
    catalog::Index {
        id,
        relation: relation.id,
        schema: relation.schema,
        database: relation.database,
        name: name.to_owned(),
        storage: id,
        columns: vec![catalog::IndexColumn {
            source: catalog::IndexSource::Column(column),
            ty: relation.columns[column as usize - 1].ty,
            descending: false,
            nulls_first: false,
            opclass: None,
            collation: 0,
        }],
        included: vec![],
        is_unique: is_primary,
        nulls_not_distinct: false,
        is_primary,
        method: "btree".to_owned(),
        predicate: None,
        state: catalog::IndexState::Public,
        options: vec![],
        comment: None,
    }
}

struct Node {
    gateway: Arc<Gateway>,
    catalog: Arc<catalog::Snapshot>,
    folder: PathBuf,
}

impl Node {
    fn context(&self, txn: &Transaction) -> Arc<StatementContext> {
        self.context_with(txn, vec![])
    }

    fn context_with(&self, txn: &Transaction, parameters: Vec<Datum>) -> Arc<StatementContext> {
        let host = Host::real();
        Arc::new(StatementContext {
            txn: txn.clone(),
            gateway: self.gateway.clone(),
            catalog: self.catalog.clone(),
            format: Arc::new(FormatSettings::default()),
            parameters: parameters.into(),
            session: Arc::new(Nobody),
            cancel: CancelFlag::new(),
            memory: MemoryBudget::new(64 << 20, NodeBudget::new(8 << 30)),
            spill: SpillFolder::new(host.files.clone(), self.folder.join("spill")),
            workers: None,
            host,
        })
    }

    fn plan(&self, text: &str) -> sql::physical::Plan {
        let statements = sql::parse(text, true).expect("parses");
        let context = sql::BindContext {
            catalog: self.catalog.clone(),
            database: catalog::POSTGRES_DATABASE,
            search_path: vec![catalog::PG_CATALOG_SCHEMA, catalog::PUBLIC_SCHEMA],
            creation_schema: Some(catalog::PUBLIC_SCHEMA),
            temporary_schema: None,
            role: catalog::POSTGRES_ROLE,
            session_role: catalog::POSTGRES_ROLE,
            format: Arc::new(FormatSettings::default()),
            standard_conforming_strings: true,
            is_implemented: exec::functions::is_implemented,
        };
        let bound = sql::bind(&statements[0], &context, &[]).expect("binds");
        let sql::BoundKind::Query(query) = &bound.kind else { panic!("no query") };
        let rows = |relation: &catalog::Relation| if relation.name == "orders" { 1e6 as u64 } else { CUSTOMERS };
        let settings = sql::PlannerSettings::default();
        let context =
            sql::PlanContext { catalog: &self.catalog, rows: &rows, settings: &settings, reads_at: None, fold: None };
        sql::plan(query, &bound.parameters, &context).expect("plans")
    }

    async fn load(&self, table: &str, lines: impl Iterator<Item = String>) {
        let relation = self.catalog.relation(if table == "orders" { 20_000 } else { 20_001 }).expect("a table");
        let columns: Vec<(String, SqlType)> = relation.columns.iter().map(|c| (c.name.clone(), c.ty.into())).collect();
        let types: Vec<SqlType> = columns.iter().map(|c| c.1).collect();
        let mut plan = self.plan(&format!("INSERT INTO {table} SELECT * FROM {table}"));
        if let sql::physical::PlanBody::Tree(tree) = &mut plan.body
            && let sql::physical::Op::Insert(insert) = &mut tree.root.op
        {
            insert.values = (0..types.len() as u32).map(Some).collect();
            insert.input.op = sql::physical::Op::Values { rows: vec![] };
            insert.input.types = types;
        }
        let format = CopyFormat {
            freeze: false,
            kind: CopyKind::Text,
            delimiter: b'\t',
            null: "\\N".to_owned(),
            encoding: types::text::encoding::Encoding::UTF8,
            quote: b'"',
            escape: b'"',
            header: CopyHeader::None,
            force_quote: vec![],
            force_not_null: vec![],
            force_null: vec![],
        };
        let lines: Vec<String> = lines.collect();
        let blocks: Vec<String> = lines.chunks(1000).map(|block| block.concat()).collect();
        let from = cpu();
        let txn = self.gateway.begin(TxnOptions::default());
        txn.begin_statement().await.expect("begins");
        let mut copy = CopyIn::new(Arc::new(plan), self.context(&txn), &format, table, &columns, None).expect("a COPY");
        for block in &blocks {
            copy.push(block.as_bytes()).await.expect("copied");
        }
        let count = copy.finish().await.expect("copied");
        let copied = cpu();
        txn.commit().await.expect("commits");
        let committed = cpu();
        println!(
            "copy {table}: {count} rows, {:.0} + {:.0} ns per row, {:.0} rows/s",
            (copied - from).as_secs_f64() * 1e9 / count as f64,
            (committed - copied).as_secs_f64() * 1e9 / count as f64,
            count as f64 / (committed - from).as_secs_f64(),
        );
    }

    async fn query(&self, text: &str) -> (usize, Duration) {
        let prepared = Prepared::new(Arc::new(self.plan(text))).expect("prepared");
        let from = cpu();
        let txn = self.gateway.begin(TxnOptions { read_only: true, ..TxnOptions::default() });
        txn.begin_statement().await.expect("begins");
        let mut execution = exec::execute(&prepared, self.context(&txn)).expect("starts");
        let mut rows = 0;
        while let Some(batch) = execution.next().await.expect("runs") {
            rows += batch.len;
        }
        drop(execution);
        txn.commit().await.expect("ends");
        (rows, cpu() - from)
    }
}

impl Node {
    /// CPU per execution of a statement of few rows.
    async fn point(&self, text: &str, keys: u64) -> (usize, Duration) {
        let prepared = Prepared::new(Arc::new(self.plan(text))).expect("prepared");
        let ty = prepared.plan.parameters.first().map_or(SqlType::INT4, |ty| *ty);
        let mut seed = 11u64;
        let mut rows = 0;
        let from = cpu();
        for _ in 0..POINT_EXECUTIONS {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let key = (seed >> 33) % keys + 1;
            let key = if ty == SqlType::INT8 { Datum::Int8(key as i64) } else { Datum::Int4(key as i32) };
            let txn = self.gateway.begin(TxnOptions { read_only: true, ..TxnOptions::default() });
            txn.begin_statement().await.expect("begins");
            let mut execution = exec::execute(&prepared, self.context_with(&txn, vec![key])).expect("starts");
            while let Some(batch) = execution.next().await.expect("runs") {
                rows += batch.len;
            }
            drop(execution);
            txn.commit().await.expect("ends");
        }
        (rows, (cpu() - from) / POINT_EXECUTIONS as u32)
    }
}

fn customers() -> impl Iterator<Item = String> {
    (1..=CUSTOMERS).map(|i| format!("{i}\tcustomer {i}\tcity {}\t{}\n", i * 31 % 5000, i % 10))
}

fn orders(count: u64) -> impl Iterator<Item = String> {
    let mut seed = 7u64;
    (1..=count).map(move |i| {
        let mut random = |n: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % n
        };
        let (product, region, qty) = (random(1000) + 1, REGIONS[random(7) as usize], random(20) + 1);
        let (units, cents) = (random(1_000_000), random(100));
        let (year, month, day) = (random(4), random(12) + 1, random(28) + 1);
        format!(
            "{i}\t{}\t{product}\t{region}\t{qty}\t{units}.{cents:02}\t202{year}-{month:02}-{day:02} 10:{:02}:00\t{}.5\t0.{:02}\n",
            i * 7919 % CUSTOMERS + 1,
            i % 60,
            random(1000),
            random(11),
        )
    })
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().expect("a folder"));
    let count: u64 = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let rounds: usize = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(5);
    let only = arguments.next();
    let is_new = !folder.join("data").exists();
    let thread = RuntimeThread::start("sessions", 8 << 20).expect("a thread");
    let spawn = TokioSpawn(thread.handle().clone());
    spawn.spawn("dispatcher", Box::pin(dispatcher()));
    let wal = WalOptions { first_zeroed: 64 << 20, ..WalOptions::new(folder.join("log")) };
    let raft = RaftNode::start(NodeOptions { node_id: 1, host: Host::real(), wal, spawn: None }).expect("a log");
    let options = GatewayOptions {
        host: Host::real(),
        node_id: 1,
        folder: Some(folder.clone()),
        memory: None,
        groups: Arc::new(raft),
        spawn: Arc::new(TokioSpawn(thread.handle().clone())),
        bootstrap: Box::new(|| Bootstrap { cluster_id: [1; 16], rows: Vec::new() }),
        limits: Limits { buffer_bytes: 4 << 30, ..Limits::default() },
    };
    let (done, finished) = std::sync::mpsc::channel();
    let task = async move {
        let gateway = Gateway::start(options).await.expect("starts");
        let node = Node { gateway, catalog: catalog(), folder };
        if is_new {
            node.load("customers", customers()).await;
            node.load("orders", orders(count)).await;
        }
        for (name, text) in QUERIES {
            if only.as_ref().is_some_and(|only| only != name) {
                continue;
            }
            let mut best = Duration::MAX;
            let mut rows = 0;
            for _ in 0..rounds {
                let (found, time) = node.query(text).await;
                (rows, best) = (found, best.min(time));
            }
            let nanos = best.as_secs_f64() * 1e9 / count as f64;
            println!("{name:12} {:8.1} ms {nanos:7.1} ns/row  {rows} rows", best.as_secs_f64() * 1e3);
        }
        for (name, text, keys) in POINTS {
            if only.as_ref().is_some_and(|only| only != name) {
                continue;
            }
            let (rows, time) = node.point(text, *keys).await;
            println!("{name:12} {:8.1} us per execution  {rows} rows", time.as_secs_f64() * 1e6);
        }
        node.gateway.stop().await.expect("stops");
        let _ = done.send(());
    };
    spawn.spawn("queries", Box::pin(task));
    finished.recv().expect("done");
}
