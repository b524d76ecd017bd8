//! What DDL needs of the binder and the operators (`ddl::DdlServices`): expressions and queries bound, rows read, written and checked.
//!
//! `fill` is an index's filling beside writers, `verify` the comparison of a relation with what is derived from it.

mod fill;
mod verify;

pub use verify::{VerifiedRelation, name_of};

use crate::context::{BoxFuture, StatementContext};
use crate::dml::Target;
use crate::dml::foreign_key::Pending;
use crate::dml::target::StoredRow;
use crate::expr::{Program, RowRef};
use crate::rows::Table;
use crate::run::{Execution, Prepared, execute};
use crate::stored;
use catalog::user_types::TypesInScope;
use catalog::{ConstraintKind, Function, FunctionBody, Index, IndexSource, Relation, Rule, RuleAction, Snapshot};
use ddl::{BoundExpression, BoundQuery, DdlServices, ExpressionUse, RenamedQuery, Upkeep};
use sql::physical::{PlanIndex, PlanTarget};
use sql::utility::ddl::SqlText;
use sql::{
    BindContext, BoundKind, Deparser, Expr, ExprKind, PlanContext, PlannerSettings, RuleTexts, RuleUses, StoredUse,
};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use txn::{Direction, KeyRange, ReadsNewest, RelationRef, Scan};
use types::user_type::UserTypesHandle;
use types::{Datum, FormatSettings, Oid, Result, SqlError, SqlState, SqlType};
use verify::stored_row;

/// Rows read ahead while an index is filled or a table rewritten.
const CHUNK: usize = 1_024;

pub struct SqlServices {
    pub context: Arc<StatementContext>,
    /// Its `catalog` is replaced by what each call is given.
    pub bind: BindContext,
    pub settings: PlannerSettings,
    /// A schema that names are looked up in before the search path's; 0: none.
    pub first_schema: AtomicU32,
    /// Other sessions connected to a database.
    pub sessions_in: Box<dyn Fn(Oid) -> usize + Send + Sync>,
    /// Tells them to end.
    pub end_sessions_in: Box<dyn Fn(Oid) + Send + Sync>,
}

/// Those that others can write to.
fn shared<'r>(relations: impl IntoIterator<Item = &'r Relation>) -> Vec<RelationRef> {
    let is_shared = |relation: &&Relation| relation.has_rows() && !relation.is_temporary;
    relations.into_iter().filter(is_shared).map(Relation::reference).collect()
}

impl SqlServices {
    pub(super) fn bind_context(&self, catalog: &Arc<Snapshot>) -> BindContext {
        let search_path = self.search_path();
        BindContext { catalog: catalog.clone(), format: self.format(catalog), search_path, ..self.bind.clone() }
    }

    fn search_path(&self) -> Vec<Oid> {
        let first = Some(self.first_schema.load(Ordering::Relaxed)).filter(|id| *id != 0);
        first.into_iter().chain(self.bind.search_path.iter().copied()).collect()
    }

    /// With users' types as this catalog has them.
    fn format(&self, catalog: &Arc<Snapshot>) -> Arc<FormatSettings> {
        let (catalog, search_path) = (catalog.clone(), self.search_path());
        let types = TypesInScope { catalog, database: self.bind.database, search_path };
        let user_types = UserTypesHandle::new(Arc::new(types));
        Arc::new(FormatSettings { user_types, ..FormatSettings::clone(&self.context.format) })
    }

    /// Stored text names all but pg_catalog's objects in full.
    fn stored_context(&self, catalog: &Arc<Snapshot>) -> BindContext {
        BindContext { search_path: vec![catalog::PG_CATALOG_SCHEMA], ..self.bind_context(catalog) }
    }

    pub(super) fn statement_context(&self, catalog: &Arc<Snapshot>) -> Arc<StatementContext> {
        let c = &self.context;
        Arc::new(StatementContext {
            txn: c.txn.clone(),
            gateway: c.gateway.clone(),
            host: c.host.clone(),
            catalog: catalog.clone(),
            format: self.format(catalog),
            parameters: Arc::from([]),
            session: c.session.clone(),
            cancel: c.cancel.clone(),
            memory: c.memory.clone(),
            spill: c.spill.clone(),
            workers: None,
        })
    }

    /// A query, and the ids of what it names: relations and users' functions.
    pub(super) fn query(&self, context: &BindContext, text: &SqlText) -> Result<(sql::logical::Query, Vec<Oid>)> {
        let inside = |e| text.relocate(e);
        let statements = sql::parse(&text.text, true).map_err(inside)?;
        let Some(statement) = statements.first().filter(|s| s.is_select()) else {
            return Err(SqlError::internal("a query was expected"));
        };
        let bound = sql::bind(statement, context, &[]).map_err(inside)?;
        if !bound.parameters.is_empty() {
            return Err(SqlError::new(SqlState::UNDEFINED_PARAMETER, "there is no parameter $1"));
        }
        match bound.kind {
            BoundKind::Query(query) => {
                let relations = bound.depends_on.iter().map(|(id, _)| *id);
                Ok((*query, relations.chain(bound.functions).collect()))
            }
            BoundKind::Utility(_) | BoundKind::Rewritten(_) => Err(SqlError::internal("a query was expected")),
        }
    }

    /// What a view's query was bound with.
    fn view_context(&self, catalog: &Arc<Snapshot>, definition: &catalog::ViewDefinition) -> BindContext {
        let context = self.bind_context(catalog);
        let schemas = definition.search_path.iter().filter_map(|s| catalog.schema_by_name(context.database, s));
        BindContext { search_path: schemas.map(|s| s.id).collect(), ..context }
    }

    /// The query told with the names of `catalog`, if that text means the same: these objects and columns of these types.
    fn retold(
        &self,
        text: &str,
        context: &BindContext,
        catalog: &Arc<Snapshot>,
        (depends_on, types): (&[(Oid, i16)], &[SqlType]),
    ) -> Option<String> {
        let written = sql::written(text, context).ok()?;
        let text = Deparser::new(catalog).view(&written, &[], 0).ok()?;
        let text = SqlText { text, position: 0 };
        let (query, named) = self.query(&self.stored_context(catalog), &text).ok()?;
        let is_same = query.result.iter().map(|c| c.ty).eq(types.iter().copied());
        (is_same && dependencies(&query, &named) == depends_on).then_some(text.text)
    }

    /// A body of BEGIN ATOMIC told with the names of `new`, which must mean something; if it cannot be told, it must do so as it is.
    fn retold_body(&self, old: &Arc<Snapshot>, new: &Arc<Snapshot>, function: &Function) -> Result<FunctionBody> {
        let FunctionBody::Atomic { query, search_path, .. } = &function.body else { return Ok(function.body.clone()) };
        let written = sql::written_body(function, &self.bind_context(old));
        let depends_on =
            written.as_ref().map_or_else(|_| vec![], |w| w.relations.iter().chain(&w.functions).copied().collect());
        let told = written.and_then(|written| Deparser::new(new).body(&written, function));
        let depends_on: Vec<(Oid, i16)> = depends_on.into_iter().map(|id| (id, 0)).collect();
        let (told, path) = match told {
            Ok(told) => (told, ddl::qualified_path()),
            Err(_) => (query.clone(), search_path.clone()),
        };
        let body = FunctionBody::Atomic { query: told, search_path: path, depends_on };
        let again = Function { body: body.clone(), ..function.clone() };
        sql::check_function(&again, &self.stored_context(new)).map(|_| body)
    }

    /// The rule, which means something in `old`, with texts that have the names of `new` and mean the same.
    fn retold_rule(&self, old: &Arc<Snapshot>, new: &Arc<Snapshot>, rule: &Rule) -> Result<Rule> {
        let texts = RuleTexts::of(rule, rule_relation(old, rule)?);
        let written = sql::written_rule(&texts, &self.bind_context(old))?;
        let tell = |part| Deparser::new(new).rule_condition(part);
        let condition = written.condition.as_ref().map(tell).transpose()?;
        let action = |(kept, part): (&RuleAction, &Option<_>)| match part {
            Some(part) => {
                let text = Deparser::new(new).rule_action(part)?.trim_start().to_owned();
                Ok(RuleAction { text, ..kept.clone() })
            }
            None => Ok(kept.clone()),
        };
        let actions = rule.actions.iter().zip(&written.actions).map(action).collect::<Result<_>>()?;
        let retold = Rule { condition, actions, search_path: ddl::qualified_path(), ..rule.clone() };
        let uses = sql::check_rule(&RuleTexts::of(&retold, rule_relation(new, rule)?), &self.bind_context(new))?;
        // Without a list of columns INSERT names all of them, and is told with those that it gives.
        let ids = |objects: &[(Oid, i16)]| objects.iter().map(|(id, _)| *id).collect::<BTreeSet<Oid>>();
        let is_same = ids(&uses.objects) == ids(&rule.depends_on)
            && rule.actions.iter().map(|a| a.reads_rows).eq(uses.reads_rows);
        if is_same {
            Ok(Rule { depends_on: uses.objects, ..retold })
        } else {
            Err(SqlError::unsupported("this kind of rule cannot be told"))
        }
    }

    /// Keeps everybody else from writing to relations whose rows are read for their definition's sake; what is read while
    /// the answer lives is newest, and is validated at the commit.
    async fn exclude(&self, relations: impl IntoIterator<Item = &Relation>) -> Result<ReadsNewest> {
        Ok(self.context.txn.exclude(&shared(relations)).await?)
    }

    pub(super) fn start(&self, catalog: &Arc<Snapshot>, query: &sql::logical::Query) -> Result<Execution> {
        let gateway = &self.context.gateway;
        let rows = |relation: &Relation| gateway.rows_estimate(&relation.reference());
        let context = PlanContext { catalog, rows: &rows, settings: &self.settings, reads_at: None, fold: None };
        let plan = sql::plan(query, &[], &context)?;
        execute(&Prepared::new(Arc::new(plan))?, self.statement_context(catalog))
    }

    /// A stored expression over a row of the relation: attribute n is input n - 1, its undeclared part the one behind them.
    fn stored(
        &self,
        catalog: &Arc<Snapshot>,
        relation: Option<&Relation>,
        text: &str,
        usage: StoredUse<'_>,
    ) -> Result<Expr> {
        let mut expr = sql::bind_stored(text, relation, &self.stored_context(catalog), usage)?;
        expr.rewrite(&mut |e| {
            if let ExprKind::Column(id) = e.kind {
                e.kind = ExprKind::Input(id.0);
            }
        });
        Ok(expr)
    }

    fn plan_index(&self, catalog: &Arc<Snapshot>, relation: &Relation, index: &Arc<Index>) -> Result<PlanIndex> {
        let key = |column: &catalog::IndexColumn| match &column.source {
            IndexSource::Column(n) => {
                let position = u32::try_from(*n - 1).map_err(|_| SqlError::internal("an index on a system column"))?;
                Ok(Expr::input(position, column.ty.into()))
            }
            IndexSource::Expression(text) => self.stored(catalog, Some(relation), text, StoredUse::Index),
        };
        let predicate = index.predicate.as_ref();
        Ok(PlanIndex {
            index: index.clone(),
            keys: index.columns.iter().map(key).collect::<Result<_>>()?,
            predicate: predicate
                .map(|text| self.stored(catalog, Some(relation), text, StoredUse::IndexPredicate))
                .transpose()?,
        })
    }

    /// What entries of one index are written through.
    pub(super) fn index_target(
        &self,
        catalog: &Arc<Snapshot>,
        relation: &Arc<Relation>,
        index: &Arc<Index>,
    ) -> Result<Target> {
        let mut plan = PlanTarget {
            relation: relation.clone(),
            hidden: vec![],
            indexes: vec![self.plan_index(catalog, relation, index)?],
            checks: vec![],
            view_checks: vec![],
            generated: vec![],
            references: vec![],
            referenced_by: vec![],
        };
        stored::hide(&mut plan);
        Target::new(&plan)
    }

    /// What rows of the relation are written through. Foreign keys are not its business.
    pub(super) fn target(&self, catalog: &Arc<Snapshot>, relation: &Arc<Relation>) -> Result<Target> {
        let indexes = catalog.indexes_of(relation).map(|i| self.plan_index(catalog, relation, i));
        let mut checks = vec![];
        for constraint in &relation.constraints {
            if let ConstraintKind::Check { expression, .. } = &constraint.kind
                && constraint.is_validated
            {
                checks.push((
                    constraint.name.clone(),
                    self.stored(catalog, Some(relation), expression, StoredUse::Check)?,
                ));
            }
        }
        let mut generated = vec![];
        for column in relation.live_columns().filter(|c| c.is_generated) {
            let Some(text) = &column.default else { continue };
            let usage = StoredUse::Generated { column: &column.name, ty: column.declared() };
            generated.push((column.number, self.stored(catalog, Some(relation), text, usage)?));
        }
        let mut target = PlanTarget {
            relation: relation.clone(),
            hidden: vec![],
            indexes: indexes.collect::<Result<_>>()?,
            checks,
            view_checks: vec![],
            generated,
            references: vec![],
            referenced_by: vec![],
        };
        stored::hide(&mut target);
        Target::new(&target)
    }
}

/// All rows of a relation, a chunk at a time.
pub(super) struct Rows {
    table: Arc<Table>,
    scan: Scan,
}

impl Rows {
    pub(super) fn new(services: &SqlServices, relation: &Arc<Relation>) -> Result<Rows> {
        let table = Table::new(relation)?;
        let scan = services.context.txn.scan(&table.at, None, KeyRange::all(), Direction::Forward);
        Ok(Rows { table, scan })
    }

    /// Empty at the end.
    pub(super) async fn next(&mut self) -> Result<Vec<StoredRow>> {
        let table = &self.table;
        let mut rows: Vec<StoredRow> = vec![];
        let mut failed = None;
        self.scan
            .next(CHUNK, |key, bytes, _| {
                match stored_row(table, key, bytes) {
                    Ok(row) => rows.push(row),
                    Err(error) => failed = Some(error),
                }
                if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .await?;
        failed.map_or(Ok(rows), Err)
    }
}

/// What PostgreSQL says when the rows that exist are not unique.
pub(super) fn not_unique(mut error: SqlError) -> SqlError {
    if error.code() == SqlState::UNIQUE_VIOLATION {
        let fields = error.fields_mut();
        let index = fields.constraint.clone().unwrap_or_default();
        fields.message = format!("could not create unique index \"{index}\"");
        fields.detail = fields.detail.take().map(|d| d.replace(" already exists.", " is duplicated."));
    }
    error
}

fn rule_relation<'s>(catalog: &'s Snapshot, rule: &Rule) -> Result<&'s Arc<Relation>> {
    catalog.relation(rule.relation).ok_or_else(|| SqlError::internal("a rule's relation exists"))
}

/// What a query uses that can be dropped: (object, attribute or 0).
fn dependencies(query: &sql::logical::Query, named: &[Oid]) -> Vec<(Oid, i16)> {
    let mut depends_on: Vec<(Oid, i16)> = named.iter().map(|id| (*id, 0)).collect();
    depends_on.extend(sql::used_attributes(query));
    depends_on.sort_unstable();
    depends_on.dedup();
    // Virtual relations cannot be dropped.
    depends_on.retain(|(id, _)| *id >= types::oid::FIRST_USER_OID);
    depends_on
}

fn stored_use<'a>(usage: ExpressionUse, column: &'a str) -> StoredUse<'a> {
    match usage {
        ExpressionUse::Default(ty) => StoredUse::Default { column, ty },
        ExpressionUse::Generated(ty) => StoredUse::Generated { column, ty },
        ExpressionUse::Using(ty) => StoredUse::Using { column, ty },
        ExpressionUse::Check => StoredUse::Check,
        ExpressionUse::IndexPredicate => StoredUse::IndexPredicate,
        ExpressionUse::Index => StoredUse::Index,
    }
}

/// The name PostgreSQL gives to an expression's column.
fn expression_name(expr: &Expr) -> Option<String> {
    match &expr.kind {
        ExprKind::Call { proc, form: sql::expr::CallForm::Function | sql::expr::CallForm::SqlSyntax, .. } => {
            Some(proc.name.to_owned())
        }
        ExprKind::Call { args, form: sql::expr::CallForm::ImplicitCast, .. } => expression_name(args.first()?),
        ExprKind::Relabel(arg, sql::expr::CallForm::ImplicitCast) => expression_name(arg),
        ExprKind::Coalesce(_) => Some("coalesce".to_owned()),
        ExprKind::Case { .. } => Some("case".to_owned()),
        ExprKind::NullIf { .. } => Some("nullif".to_owned()),
        ExprKind::DocumentPath { path, .. } => path.iter().rev().find_map(|step| match step {
            sql::expr::PathStep::Key(key) => Some(key.clone()),
            sql::expr::PathStep::Index(_) => None,
        }),
        _ => None,
    }
}

impl DdlServices for SqlServices {
    fn look_first_in(&self, schema: Option<Oid>) {
        self.first_schema.store(schema.unwrap_or(0), Ordering::Relaxed);
    }

    fn bind_expression(
        &self,
        catalog: &Arc<Snapshot>,
        relation: Option<&Relation>,
        text: &SqlText,
        usage: ExpressionUse,
        column: &str,
    ) -> Result<BoundExpression> {
        let context = if text.position == 0 { self.stored_context(catalog) } else { self.bind_context(catalog) };
        let expr = sql::bind_stored(&text.text, relation, &context, stored_use(usage, column))
            .map_err(|e| text.relocate(e))?;
        let mut columns = vec![];
        expr.any(&mut |e| {
            if let ExprKind::Column(id) = e.kind
                && let Ok(number) = i16::try_from(id.0 + 1)
                // Behind the attributes stands the undeclared part.
                && relation.is_some_and(|r| (id.0 as usize) < r.columns.len())
                && !columns.contains(&number)
            {
                columns.push(number);
            }
            false
        });
        columns.sort_unstable();
        let text = Deparser::new(catalog).over(relation).expr(&expr)?;
        // Kept are operators in a row as parentheses inside each other: what is too deep to be read again is refused here, and not
        // by each statement that needs it.
        let reading = sql::bind_stored(&text, relation, &self.stored_context(catalog), stored_use(usage, column));
        if let Err(error) = reading
            && error.code() == SqlState::STATEMENT_TOO_COMPLEX
        {
            return Err(error);
        }
        Ok(BoundExpression {
            text,
            ty: expr.ty,
            columns,
            volatility: sql::volatility(&expr),
            name: expression_name(&expr),
        })
    }

    fn bind_query(&self, catalog: &Arc<Snapshot>, text: &SqlText) -> Result<BoundQuery> {
        let (query, named) = self.query(&self.bind_context(catalog), text)?;
        let depends_on = dependencies(&query, &named);
        Ok(BoundQuery { text: text.text.clone(), columns: query.result, depends_on })
    }

    fn require_updatable(&self, catalog: &Arc<Snapshot>, view: &Arc<Relation>) -> Result<()> {
        sql::require_updatable(view, &self.bind_context(catalog))
    }

    fn check_rule(&self, catalog: &Arc<Snapshot>, rule: &RuleTexts<'_>) -> Result<RuleUses> {
        sql::check_rule(rule, &self.bind_context(catalog))
    }

    fn store_rule(&self, catalog: &Arc<Snapshot>, rule: &Rule) -> Option<Rule> {
        self.retold_rule(catalog, catalog, rule).ok()
    }

    fn rename_rule(&self, old: &Arc<Snapshot>, new: &Arc<Snapshot>, rule: &Rule) -> Result<Rule> {
        if let Ok(retold) = self.retold_rule(old, new, rule) {
            return Ok(retold);
        }
        // As it was written it may still bind.
        let relation = rule_relation(new, rule)?;
        match sql::check_rule(&RuleTexts::of(rule, relation), &self.bind_context(new)) {
            Ok(_) => Ok(rule.clone()),
            Err(_) => Err(SqlError::unsupported("renaming what a rule uses is not supported")
                .hint("Drop the rule, rename, and create the rule again.")),
        }
    }

    fn check_function(&self, catalog: &Arc<Snapshot>, function: &Function, text: &SqlText) -> Result<Option<String>> {
        if self.context.session.setting("check_function_bodies").as_deref() == Some("off") {
            return Ok(None);
        }
        let expr = sql::check_function(function, &self.bind_context(catalog)).map_err(|e| text.relocate(e))?;
        // The inputs stand in for columns.
        let mut inputs = catalog::new_relation(0, &function.name, catalog::RelationKind::Virtual);
        let column = |(number, p): (i16, &catalog::Parameter)| catalog::new_column(number, &p.name, SqlType::new(p.ty));
        inputs.columns = (1..).zip(function.inputs()).map(column).collect();
        let is_named = inputs.columns.iter().all(|c| !c.name.is_empty());
        let deparser = Deparser::new(catalog).over(Some(&inputs));
        Ok(expr.filter(|_| is_named).and_then(|expr| deparser.expr(&expr).ok()))
    }

    fn rename_expression(&self, catalog: &Arc<Snapshot>, old: &Relation, new: &Relation, text: &str) -> Result<String> {
        let expr = sql::bind_stored(text, Some(old), &self.stored_context(catalog), StoredUse::Any)?;
        Deparser::new(catalog).over(Some(new)).expr(&expr)
    }

    fn store_query(&self, catalog: &Arc<Snapshot>, query: &BoundQuery) -> Option<String> {
        let types: Vec<SqlType> = query.columns.iter().map(|c| c.ty).collect();
        self.retold(&query.text, &self.bind_context(catalog), catalog, (&query.depends_on, &types))
    }

    fn store_body(&self, catalog: &Arc<Snapshot>, function: &Function) -> Result<FunctionBody> {
        self.retold_body(catalog, catalog, function)
    }

    fn rename_body(&self, old: &Arc<Snapshot>, new: &Arc<Snapshot>, function: &Function) -> Result<FunctionBody> {
        self.retold_body(old, new, function)
    }

    fn rename_query(&self, old: &Arc<Snapshot>, new: &Arc<Snapshot>, view: &Relation) -> Result<RenamedQuery> {
        let Some(definition) = &view.view else { return Ok(RenamedQuery::AsWritten) };
        let context = self.view_context(old, definition);
        let types: Vec<SqlType> = view.live_columns().map(|c| c.ty.into()).collect();
        if let Some(query) = self.retold(&definition.query, &context, new, (&definition.depends_on, &types)) {
            return Ok(RenamedQuery::Qualified(query));
        }
        // As it was written it may still bind.
        match self.query(&self.view_context(new, definition), &SqlText { text: definition.query.clone(), position: 0 })
        {
            Ok(_) => Ok(RenamedQuery::AsWritten),
            Err(_) => Err(SqlError::unsupported("renaming what a view is made from is not supported")
                .hint("Drop the view, rename, and create the view again.")),
        }
    }

    fn evaluate<'a>(&'a self, catalog: &'a Arc<Snapshot>, text: &'a str, ty: SqlType) -> BoxFuture<'a, Result<Datum>> {
        Box::pin(async move {
            let usage = StoredUse::Default { column: "", ty };
            let program = Program::compile(&self.stored(catalog, None, text, usage)?)?;
            let context = self.statement_context(catalog);
            program.eval_row(&context.env(), RowRef::None)
        })
    }

    fn has_rows<'a>(
        &'a self,
        catalog: &'a Arc<Snapshot>,
        query: String,
        upkeep: Upkeep,
    ) -> BoxFuture<'a, Result<Option<Vec<Datum>>>> {
        Box::pin(async move {
            let (query, named) = self.query(&self.bind_context(catalog), &SqlText { text: query, position: 0 })?;
            let relations = named.iter().filter_map(|id| catalog.relation(*id));
            let relations = relations.map(|relation| &**relation);
            let _newest = match upkeep {
                Upkeep::ByExclusion => self.exclude(relations).await?,
                Upkeep::ByWriters => self.context.txn.look_at_newest(&shared(relations)).await?,
            };
            let batch = self.start(catalog, &query)?.next().await?;
            Ok(batch.map(|batch| batch.row(0)))
        })
    }

    fn fill_index<'a>(
        &'a self,
        catalog: &'a Arc<Snapshot>,
        relation: &'a Arc<Relation>,
        index: &'a Arc<Index>,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let context = self.statement_context(catalog);
            let target = self.index_target(catalog, relation, index)?;
            let _newest = self.exclude([&**relation]).await?;
            let mut rows = Rows::new(self, relation)?;
            let mut pending = Pending::default();
            loop {
                context.check()?;
                let chunk = rows.next().await?;
                if chunk.is_empty() {
                    pending.settle(&context.env(), &context.txn).await.map_err(not_unique)?;
                    // A later action of the same statement reads what was written here.
                    context.txn.next_command();
                    return Ok(());
                }
                let env = context.env();
                for row in &chunk {
                    target.fill_indexes(&env, &context.txn, row, &mut pending).await.map_err(not_unique)?;
                }
            }
        })
    }

    fn rewrite<'a>(
        &'a self,
        catalog: &'a Arc<Snapshot>,
        old: &'a Arc<Relation>,
        new: &'a Arc<Relation>,
        values: Vec<(i16, String)>,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let context = self.statement_context(catalog);
            let mut programs = vec![];
            for (attribute, text) in &values {
                let place = usize::try_from(*attribute - 1).map_err(|_| SqlError::internal("a system column"))?;
                let Some(column) = new.column(*attribute) else { continue };
                // Implied casts are not in the text.
                let usage = StoredUse::Using { column: &column.name, ty: column.declared() };
                programs.push((place, Program::compile(&self.stored(catalog, Some(old), text, usage)?)?));
            }
            let target = self.target(catalog, new)?;
            let _newest = self.exclude([&**old]).await?;
            let mut rows = Rows::new(self, old)?;
            let mut pending = Pending::default();
            loop {
                context.check()?;
                let chunk = rows.next().await?;
                if chunk.is_empty() {
                    pending.settle(&context.env(), &context.txn).await.map_err(not_unique)?;
                    // A later action of the same statement reads what was written here.
                    context.txn.next_command();
                    return Ok(());
                }
                let env = context.env();
                for StoredRow { values, tail, .. } in chunk {
                    let mut row = values.clone();
                    row.resize(target.width(), Datum::Null);
                    let mut old = values;
                    old.push(tail.clone().map_or(Datum::Null, Datum::Jsonb));
                    for (place, program) in &programs {
                        let value = program.eval_alone(&env, &old).await?;
                        if let Some(slot) = row.get_mut(*place) {
                            *slot = value;
                        }
                    }
                    target.complete(&env, &mut row, tail.as_ref())?;
                    target.insert(&env, &context.txn, row, tail, &mut pending).await.map_err(not_unique)?;
                }
            }
        })
    }

    fn has_undeclared_fields<'a>(
        &'a self,
        _: &'a Arc<Snapshot>,
        collection: &'a Arc<Relation>,
    ) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let mut rows = Rows::new(self, collection)?;
            loop {
                self.context.check()?;
                let chunk = rows.next().await?;
                let has_tail = |row: &StoredRow| row.tail.as_ref().is_some_and(|tail| !tail.as_ref().is_empty());
                if chunk.is_empty() || chunk.iter().any(has_tail) {
                    return Ok(!chunk.is_empty());
                }
            }
        })
    }

    fn insert_query<'a>(
        &'a self,
        catalog: &'a Arc<Snapshot>,
        relation: &'a Arc<Relation>,
        query: &'a SqlText,
    ) -> BoxFuture<'a, Result<u64>> {
        Box::pin(async move {
            let (query, _) = self.query(&self.bind_context(catalog), query)?;
            let context = self.statement_context(catalog);
            let target = self.target(catalog, relation)?;
            let mut execution = self.start(catalog, &query)?;
            let mut pending = Pending::default();
            let mut count = 0;
            while let Some(batch) = execution.next().await? {
                context.check()?;
                let env = context.env();
                for row in 0..batch.len {
                    let mut values = batch.row(row);
                    target.complete(&env, &mut values, None)?;
                    target.insert(&env, &context.txn, values, None, &mut pending).await?;
                    count += 1;
                }
            }
            pending.settle(&context.env(), &context.txn).await?;
            context.txn.next_command();
            Ok(count)
        })
    }

    fn notice(&self, notice: SqlError) {
        self.context.session.notice(notice);
    }
    fn random(&self, bytes: &mut [u8]) {
        self.context.host.random.fill(bytes);
    }
    fn input(&self, ty: SqlType, text: &str) -> Result<Datum> {
        types::io::input(ty, text, &self.context.format)
    }
    fn has_put_off(&self, relation: Oid) -> bool {
        self.context.env().session.has_put_off(relation)
    }

    fn sessions_in(&self, database: Oid) -> usize {
        (self.sessions_in)(database)
    }

    fn end_sessions_in(&self, database: Oid) {
        (self.end_sessions_in)(database);
    }
}
