//! A node in memory, a session's double, and plans by hand.

use crate::context::{BoxFuture, SessionAccess, SpillFolder, StatementContext};
use crate::{Batch, DeferredCheck, DirectContext, MemoryBudget, NodeBudget, Prepared};
use catalog::{Object, Relation, RelationKind, Snapshot};
use host::{Host, TokioSpawn};
use parking_lot::Mutex;
use sql::expr::{CallForm, Expr, ExprKind};
use sql::logical::{CommandTag, ScanColumn};
use sql::physical::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use txn::{CancelFlag, Gateway, GatewayOptions, Isolation, Transaction, TxnOptions};
use types::builtin::{self, Operator};
use types::{Datum, FormatSettings, Oid, Result, SqlError, SqlType};

#[derive(Default)]
pub struct Session {
    pub deferred: Mutex<Vec<DeferredCheck>>,
    sequence: AtomicU64,
}

impl SessionAccess for Session {
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
    fn set_setting(&self, _name: &str, value: &str, _local: bool) -> Result<String> {
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
    fn next_value<'a>(&'a self, _sequence: &'a Arc<Relation>) -> BoxFuture<'a, Result<Option<i64>>> {
        Box::pin(async move { Ok(Some(self.sequence.fetch_add(1, Ordering::Relaxed) as i64 + 1)) })
    }
    fn set_value<'a>(&'a self, _: &'a Arc<Relation>, value: i64, _: bool) -> BoxFuture<'a, Result<i64>> {
        Box::pin(std::future::ready(Ok(value)))
    }
    fn current_value(&self, _sequence: &Relation) -> Result<i64> {
        Ok(self.sequence.load(Ordering::Relaxed) as i64)
    }
    fn last_value(&self) -> Result<i64> {
        Ok(0)
    }
    fn defer(&self, check: DeferredCheck) {
        self.deferred.lock().push(check);
    }
}

pub struct Node {
    pub gateway: Arc<Gateway>,
    pub catalog: Arc<Snapshot>,
    pub session: Arc<Session>,
    pub work_mem: usize,
    pub cancel: CancelFlag,
    pub workers: Option<Arc<dyn host::Spawn>>,
    pub folder: std::path::PathBuf,
}

pub async fn node(objects: Vec<Object>) -> Node {
    let mut catalog = Snapshot::with_builtins();
    catalog::bootstrap::objects().into_iter().chain(objects).for_each(|o| catalog.put(o));
    let gateway = Gateway::start(GatewayOptions {
        host: Host::real(),
        node_id: 1,
        folder: None,
        memory: None,
        groups: Arc::new(txn::AtOnce),
        spawn: Arc::new(TokioSpawn(tokio::runtime::Handle::current())),
        bootstrap: Box::new(|| txn::Bootstrap {
            cluster_id: [7; 16],
            rows: catalog::bootstrap::mutations().expect("the first rows"),
        }),
        limits: txn::Limits::default(),
    })
    .await
    .expect("starts");
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!("hyrax-exec-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    Node {
        gateway,
        catalog: Arc::new(catalog),
        session: Arc::default(),
        work_mem: 64 << 20,
        cancel: CancelFlag::new(),
        workers: None,
        folder: std::env::temp_dir().join(name),
    }
}

impl Node {
    pub async fn begin(&self, isolation: Isolation) -> Transaction {
        self.gateway.begin(TxnOptions { isolation, ..TxnOptions::default() })
    }

    pub fn context(&self, txn: &Transaction, parameters: Vec<Datum>) -> Arc<StatementContext> {
        let host = Host::real();
        Arc::new(StatementContext {
            txn: txn.clone(),
            gateway: self.gateway.clone(),
            catalog: self.catalog.clone(),
            format: Arc::new(FormatSettings::default()),
            parameters: parameters.into(),
            session: self.session.clone(),
            cancel: self.cancel.clone(),
            memory: MemoryBudget::new(self.work_mem, NodeBudget::new(1 << 30)),
            spill: SpillFolder::new(host.files.clone(), self.folder.clone()),
            workers: self.workers.clone(),
            host,
        })
    }

    /// Runs a plan in a transaction: its rows, and the number of its tag.
    pub async fn run_in(
        &self,
        txn: &Transaction,
        plan: Plan,
        parameters: Vec<Datum>,
    ) -> Result<(Vec<Vec<Datum>>, u64)> {
        txn.begin_statement().await?;
        let prepared = Prepared::new(Arc::new(plan))?;
        let mut execution = crate::execute(&prepared, self.context(txn, parameters))?;
        let mut rows = vec![];
        while let Some(batch) = execution.next().await? {
            rows.extend(rows_of(&batch));
        }
        Ok((rows, execution.rows_affected()))
    }

    /// The same in a transaction of its own, committed.
    pub async fn run(&self, plan: Plan) -> Result<(Vec<Vec<Datum>>, u64)> {
        let txn = self.begin(Isolation::Serializable).await;
        let result = self.run_in(&txn, plan, vec![]).await?;
        txn.commit().await?;
        Ok(result)
    }

    /// Rows as text, for comparing.
    pub async fn show(&self, plan: Plan) -> String {
        match self.run(plan).await {
            Ok((rows, _)) => text(&rows),
            Err(error) => show_error(&error),
        }
    }

    pub fn direct<'a>(
        &'a self,
        host: &'a Host,
        format: &'a FormatSettings,
        txn: Option<&'a Transaction>,
        parameters: &'a [Datum],
    ) -> DirectContext<'a> {
        DirectContext {
            txn,
            gateway: &self.gateway,
            host,
            catalog: &self.catalog,
            format,
            parameters,
            width: parameters.len(),
            session: &*self.session,
        }
    }
}

pub fn rows_of(batch: &Batch) -> impl Iterator<Item = Vec<Datum>> + '_ {
    (0..batch.len).map(|row| batch.row(row))
}

pub fn show_error(error: &SqlError) -> String {
    let detail = error.fields().detail.as_ref().map_or_else(String::new, |d| format!(" | {d}"));
    format!("{} {}{detail}", error.code(), error.message())
}

pub fn text(rows: &[Vec<Datum>]) -> String {
    let format = FormatSettings::default();
    let value = |d: &Datum| match d {
        Datum::Null => "NULL".to_owned(),
        d => {
            let mut out = vec![];
            types::io::output(crate::op::type_of(d), d, &format, &mut out);
            String::from_utf8(out).expect("text")
        }
    };
    let rows: Vec<String> = rows.iter().map(|r| r.iter().map(value).collect::<Vec<_>>().join(",")).collect();
    rows.join(" ")
}

pub fn node_of(op: Op, types: &[SqlType]) -> PlanNode {
    PlanNode { op, types: types.to_vec(), id: 0, rows: 1.0, startup_cost: 0.0, total_cost: 0.0, width: 4 }
}

pub fn plan(root: PlanNode) -> Plan {
    let tag = match &root.op {
        Op::Insert(_) => CommandTag::Insert,
        Op::Update(_) => CommandTag::Update,
        Op::Delete(_) => CommandTag::Delete,
        _ => CommandTag::Select,
    };
    let result =
        root.types.iter().map(|ty| sql::ResultColumn { name: "c".into(), ty: *ty, table: 0, attribute: 0 }).collect();
    let output = (0..root.types.len() as u32).collect();
    Plan {
        body: PlanBody::Tree(Tree { root, output, subplans: vec![], ctes: vec![] }),
        result,
        tag,
        privileges: vec![],
        depends_on: vec![],
        unpopulated: None,
        is_read_only: false,
        is_long: false,
        outer_slots: 8,
        parameters: vec![],
    }
}

pub fn direct_plan(direct: Direct, types: &[SqlType]) -> Plan {
    let tag = match &direct {
        Direct::Get { .. } => CommandTag::Select,
        Direct::Insert { .. } => CommandTag::Insert,
        Direct::Update { .. } => CommandTag::Update,
        Direct::Delete { .. } => CommandTag::Delete,
    };
    let result =
        types.iter().map(|ty| sql::ResultColumn { name: "c".into(), ty: *ty, table: 0, attribute: 0 }).collect();
    Plan {
        body: PlanBody::Direct(direct),
        result,
        tag,
        privileges: vec![],
        depends_on: vec![],
        unpopulated: None,
        is_read_only: false,
        is_long: false,
        outer_slots: 0,
        parameters: vec![],
    }
}

pub fn int(value: i32) -> Expr {
    Expr::constant(Datum::Int4(value), SqlType::INT4)
}
pub fn null() -> Expr {
    Expr::constant(Datum::Null, SqlType::INT4)
}
pub fn str(value: &str) -> Expr {
    Expr::constant(Datum::text(value), SqlType::TEXT)
}
pub fn input(n: u32) -> Expr {
    Expr::input(n, SqlType::INT4)
}
pub fn text_input(n: u32) -> Expr {
    Expr::input(n, SqlType::TEXT)
}

pub fn operator(name: &str, ty: SqlType) -> &'static Operator {
    let found = builtin::operators_by_name(name).iter().find(|o| o.left == ty.oid && o.right == ty.oid);
    found.expect("an operator")
}

/// `a op b`, both of one type.
pub fn call(name: &str, a: Expr, b: Expr) -> Expr {
    let operator = operator(name, a.ty);
    let proc = builtin::proc_by_oid(operator.proc).expect("its function");
    let ty = SqlType::new(operator.result);
    let form = CallForm::Operator(operator);
    Expr::new(ExprKind::Call { proc, args: vec![a, b], variadic_array: false, form }, ty, 0)
}

pub fn aggregate(oid: Oid, args: Vec<Expr>) -> PlanAggregate {
    let proc = builtin::proc_by_oid(oid).expect("an aggregate");
    let ty = SqlType::new(proc.result);
    let function = sql::aggregate::AggregateFunction::Builtin(proc);
    PlanAggregate { function, args, direct: vec![], distinct: false, order_by: vec![], filter: None, ty }
}

pub fn key(n: u32) -> PlanSortKey {
    PlanSortKey { expr: input(n), descending: false, nulls_first: false }
}

/// Rows of nullable int4 columns.
pub fn values(rows: &[Vec<Option<i32>>]) -> PlanNode {
    let width = rows.first().map_or(2, Vec::len);
    let rows = rows.iter().map(|row| row.iter().map(|v| v.map_or_else(null, int)).collect()).collect();
    node_of(Op::Values { rows }, &vec![SqlType::INT4; width])
}

/// A table `name` with int4 and text columns as given, the first column its primary key.
pub fn table(id: Oid, name: &str, columns: &[(&str, SqlType)]) -> Relation {
    let mut relation = catalog::new_relation(id, name, RelationKind::Table);
    relation.database = catalog::POSTGRES_DATABASE;
    relation.schema = catalog::PUBLIC_SCHEMA;
    relation.storage = id;
    relation.columns =
        columns.iter().enumerate().map(|(i, (name, ty))| catalog::new_column(i as i16 + 1, name, *ty)).collect();
    relation.columns[0].not_null = true;
    relation.key = vec![1];
    relation
}

pub fn index(id: Oid, relation: &Relation, name: &str, columns: &[i16], is_unique: bool) -> Arc<catalog::Index> {
    Arc::new(catalog::Index {
        id,
        relation: relation.id,
        schema: relation.schema,
        database: relation.database,
        name: name.to_owned(),
        storage: id,
        columns: columns
            .iter()
            .map(|a| catalog::IndexColumn {
                source: catalog::IndexSource::Column(*a),
                ty: relation.columns[*a as usize - 1].ty,
                descending: false,
                nulls_first: false,
                opclass: None,
                collation: 0,
            })
            .collect(),
        included: vec![],
        is_unique,
        nulls_not_distinct: false,
        is_primary: false,
        method: "btree".to_owned(),
        predicate: None,
        state: catalog::IndexState::Public,
        options: vec![],
        comment: None,
    })
}

pub fn target(relation: &Arc<Relation>, indexes: &[Arc<catalog::Index>]) -> PlanTarget {
    let expr = |source: &catalog::IndexSource, ty: SqlType| match source {
        catalog::IndexSource::Column(a) => Expr::input(*a as u32 - 1, ty),
        catalog::IndexSource::Expression(_) => panic!("no expressions here"),
    };
    PlanTarget {
        relation: relation.clone(),
        hidden: vec![],
        indexes: indexes
            .iter()
            .map(|index| PlanIndex {
                index: index.clone(),
                keys: index.columns.iter().map(|c| expr(&c.source, c.ty.into())).collect(),
                predicate: None,
            })
            .collect(),
        checks: vec![],
        view_checks: vec![],
        generated: vec![],
        references: vec![],
        referenced_by: vec![],
    }
}

pub fn column_types(relation: &Relation) -> Vec<SqlType> {
    relation.columns.iter().map(|c| c.ty.into()).collect()
}

/// INSERT of constant rows.
pub fn insert(target: PlanTarget, rows: Vec<Vec<Expr>>) -> PlanInsert {
    let types = column_types(&target.relation);
    let values = (0..types.len() as u32).map(Some).collect();
    PlanInsert {
        input: node_of(Op::Values { rows }, &types),
        values,
        tail: None,
        on_conflict: None,
        returning: vec![],
        overriding: None,
        target,
    }
}

pub fn insert_plan(insert: PlanInsert) -> Plan {
    let types: Vec<SqlType> = insert.returning.iter().map(|r| r.ty).collect();
    plan(node_of(Op::Insert(Box::new(insert)), &types))
}

/// All attributes, and the row key behind them.
pub fn scan_target(relation: &Arc<Relation>) -> ScanTarget {
    let mut columns: Vec<ScanColumn> = relation.columns.iter().map(|c| ScanColumn::Attribute(c.number)).collect();
    columns.push(ScanColumn::RowKey);
    ScanTarget { relation: relation.clone(), alias: relation.name.clone(), columns, as_of: None, until: None }
}

pub fn scan_types(relation: &Relation) -> Vec<SqlType> {
    let mut types = column_types(relation);
    types.push(SqlType::BYTEA);
    types
}

pub fn seq_scan(relation: &Arc<Relation>, filter: Option<Expr>) -> PlanNode {
    let op = Op::SeqScan { target: scan_target(relation), filter, backward: false };
    node_of(op, &scan_types(relation))
}

/// All rows without the row key.
pub fn all(relation: &Arc<Relation>) -> Plan {
    let types = column_types(relation);
    let exprs = types.iter().enumerate().map(|(i, ty)| Expr::input(i as u32, *ty)).collect();
    plan(node_of(Op::Project { input: Box::new(seq_scan(relation, None)), exprs }, &types))
}

/// A session's way: text, bound, planned, executed.
impl Node {
    fn bind_context(&self) -> sql::BindContext {
        sql::BindContext {
            catalog: self.catalog.clone(),
            database: catalog::POSTGRES_DATABASE,
            search_path: vec![catalog::PG_CATALOG_SCHEMA, catalog::PUBLIC_SCHEMA],
            creation_schema: Some(catalog::PUBLIC_SCHEMA),
            temporary_schema: None,
            role: catalog::POSTGRES_ROLE,
            session_role: catalog::POSTGRES_ROLE,
            format: Arc::new(FormatSettings::default()),
            standard_conforming_strings: true,
            is_implemented: crate::functions::is_implemented,
        }
    }

    pub fn plan_sql(&self, text: &str, settings: &sql::PlannerSettings) -> Result<Plan> {
        let rows =
            |relation: &Relation| self.gateway.rows_estimate(&crate::rows::relation_ref(relation, relation.storage));
        self.plan_sql_for(text, settings, &rows)
    }

    /// The plan for relations of so many rows.
    pub fn plan_sql_for(
        &self,
        text: &str,
        settings: &sql::PlannerSettings,
        rows: &dyn Fn(&Relation) -> u64,
    ) -> Result<Plan> {
        let statements = sql::parse(text, true)?;
        let bound = sql::bind(&statements[0], &self.bind_context(), &[])?;
        let sql::BoundKind::Query(query) = &bound.kind else { panic!("no query: {text}") };
        let context = sql::PlanContext { catalog: &self.catalog, rows, settings, reads_at: None, fold: None };
        sql::plan(query, &bound.parameters, &context)
    }

    /// The rows of a statement as text, `|` between columns and a line for each; or its error.
    pub async fn sql(&self, text: &str) -> String {
        self.sql_with(text, &sql::PlannerSettings::default()).await
    }

    pub async fn sql_with(&self, text: &str, settings: &sql::PlannerSettings) -> String {
        self.shown(self.plan_sql(text, settings)).await
    }

    /// The same, planned as for relations of so many rows.
    pub async fn sql_for(
        &self,
        text: &str,
        settings: &sql::PlannerSettings,
        rows: &dyn Fn(&Relation) -> u64,
    ) -> String {
        self.shown(self.plan_sql_for(text, settings, rows)).await
    }

    async fn shown(&self, plan: Result<Plan>) -> String {
        let plan = match plan {
            Ok(plan) => plan,
            Err(error) => return show_error(&error),
        };
        let types: Vec<SqlType> = plan.result.iter().map(|c| c.ty).collect();
        match self.run(plan).await {
            Ok((rows, _)) => rows.iter().map(|row| self.line(row, &types)).collect::<Vec<_>>().join("\n"),
            Err(error) => show_error(&error),
        }
    }

    fn line(&self, row: &[Datum], types: &[SqlType]) -> String {
        let format = FormatSettings::default();
        let value = |(value, ty): (&Datum, &SqlType)| {
            let mut out = vec![];
            match (value, crate::functions::reg::is_reg(*ty)) {
                (Datum::Null, _) => out.extend_from_slice(b"NULL"),
                (_, true) => crate::functions::reg::output(&self.catalog, &*self.session, *ty, value, &mut out),
                _ => types::io::output(*ty, value, &format, &mut out),
            }
            String::from_utf8(out).expect("text")
        };
        row.iter().zip(types).map(value).collect::<Vec<_>>().join("|")
    }
}
