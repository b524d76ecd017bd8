//! Writes through views: what INSERT, UPDATE and DELETE on a simple view mean for the table below it.
//!
//! A view over one table (or over another such view) with plain columns, computed columns and a WHERE is written through:
//!
//! ```text
//! UPDATE v SET x = …  WHERE …     the table's row is scanned; v's columns are the row's, or expressions over it;
//!                                 the views' conditions are part of the statement's
//! INSERT INTO v (x) …             x is the table's attribute behind it
//! WITH CHECK OPTION               the views' conditions over the new row
//! ```
//!
//! A statement is bound against `WriteRelation::shown`, a descriptor with the view's columns under the table's attribute
//! numbers. Computed columns have a column of their own while it is bound; `resolve_computed` puts their expressions in place.

use super::scope::{Clause, Item, Name, Scope, fold};
use super::{Binder, unsupported, walk};
use crate::BindContext;
use crate::expr::{Expr, ExprKind};
use crate::logical::{ColumnId, Node, PrivilegeCheck};
use crate::parse::{self, Lines};
use crate::plan::columns;
use catalog::{Relation, RelationKind, RuleEvent, new_column, privilege};
use sqlparser::ast::{self, GroupByExpr, ObjectName, SetExpr, TableFactor};
use std::sync::Arc;
use types::{Oid, Result, SqlError, SqlState, SqlType};

/// Views over views that a write follows.
const LEVELS_MAX: usize = 64;
/// Stands for the attribute behind a computed column. In `shown` each has a number of its own below this.
const COMPUTED: i16 = 0;

/// What a statement writes to.
#[derive(Clone)]
pub(super) struct WriteRelation {
    /// The table.
    pub(super) base: Arc<Relation>,
    /// The table with its views' defaults in place of its own.
    pub(super) defaults: Arc<Relation>,
    /// The columns as the statement names them.
    pub(super) shown: Arc<Relation>,
    /// The outermost first; none for a table.
    views: Vec<View>,
}

/// One view on the way to the table.
#[derive(Clone)]
struct View {
    relation: Arc<Relation>,
    select: Arc<ast::Select>,
    /// What the view's FROM item is called there.
    alias: String,
    context: Arc<BindContext>,
    /// The table's attribute behind each of its columns.
    attributes: Vec<i16>,
}

/// The view's row over one row of the table.
#[derive(Default)]
pub(super) struct ViewRow {
    pub(super) names: Vec<Name>,
    /// Columns that stand for expressions.
    pub(super) computed: Vec<(ColumnId, Expr)>,
    /// The views' conditions, the outermost's last.
    conditions: Vec<Vec<Expr>>,
}

/// How messages call what is done.
struct Action {
    verb: &'static str,
    doing: &'static str,
    event: &'static str,
}

fn action(rights: u32) -> Action {
    match rights {
        privilege::INSERT => Action { verb: "insert into", doing: "inserting into", event: "INSERT" },
        privilege::UPDATE => Action { verb: "update", doing: "updating", event: "UPDATE" },
        _ => Action { verb: "delete from", doing: "deleting from", event: "DELETE" },
    }
}

impl WriteRelation {
    fn table(base: Arc<Relation>) -> WriteRelation {
        WriteRelation { defaults: base.clone(), shown: base.clone(), base, views: vec![] }
    }

    /// What the statement names.
    pub(super) fn named(&self) -> Oid {
        self.views.first().map_or(self.base.id, |view| view.relation.id)
    }

    pub(super) fn is_view(&self) -> bool {
        !self.views.is_empty()
    }

    /// 0A000 for a computed column that is given a value.
    pub(super) fn refuse_computed(&self, column: &catalog::Column, verb: &str) -> Result<()> {
        if column.number > COMPUTED || !self.is_view() {
            return Ok(());
        }
        let message = format!("cannot {verb} column \"{}\" of view \"{}\"", column.name, self.shown.name);
        Err(SqlError::unsupported(message)
            .detail("View columns that are not columns of their base relation are not updatable."))
    }
}

impl Binder<'_> {
    /// The target of that name with what is behind it, if its rows may be written. `rights`: INSERT, UPDATE or DELETE.
    pub(super) fn write_relation(&mut self, name: &ObjectName, rights: u32, position: u32) -> Result<WriteRelation> {
        let relation = self.relation(name, position)?;
        self.is_read_only = false;
        let stop = self.rule_target.take();
        match relation.kind {
            // What is done there is the rule's business.
            RelationKind::View if stop == Some(relation.id) => {
                self.need(&relation, rights);
                Ok(WriteRelation::table(relation))
            }
            RelationKind::View if rights == 0 => {
                let message = format!("cannot execute MERGE on relation \"{}\"", relation.name);
                let detail = "This operation is not supported for views.";
                Err(SqlError::unsupported(message).detail(detail))
            }
            RelationKind::View => self.view_target(relation, rights, stop, position),
            _ => {
                self.need(&relation, rights);
                self.check_writable(&relation, position)?;
                Ok(WriteRelation::table(relation))
            }
        }
    }

    fn check_writable(&self, relation: &Relation, position: u32) -> Result<()> {
        match relation.kind {
            RelationKind::Table if relation.row_security => Err(unsupported("row security", position)),
            RelationKind::Table | RelationKind::Collection => Ok(()),
            RelationKind::MaterializedView => {
                let message = format!("cannot change materialized view \"{}\"", relation.name);
                Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message))
            }
            RelationKind::Composite => {
                let message = format!("\"{}\" is a composite type", relation.name);
                Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(position))
            }
            _ => Err(unsupported(&format!("writing to a {}", relation.kind_name()), position)),
        }
    }

    /// `stop`: a view that rules take over from.
    fn view_target(
        &mut self,
        view: Arc<Relation>,
        rights: u32,
        stop: Option<Oid>,
        position: u32,
    ) -> Result<WriteRelation> {
        let (mut views, mut next, mut role) = (vec![], view, self.context.role);
        while next.kind == RelationKind::View && stop != Some(next.id) {
            if views.len() >= LEVELS_MAX {
                let message = format!("views are nested too deeply (limit {LEVELS_MAX})");
                return Err(SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, message));
            }
            let level = self.view_level(&next).map_err(|e| e.at(position))?;
            let (level, below) = level.map_err(|reason| not_updatable(&next, rights, reason))?;
            if !views.is_empty() {
                // What the outer view's owner must hold on this one.
                let (relation, rights) = (next.id, privilege::SELECT);
                self.privileges.push(PrivilegeCheck { relation, role, rights, columns: None });
            }
            views.push(level);
            role = next.owner;
            next = below;
        }
        if next.kind != RelationKind::View {
            self.check_writable(&next, position)?;
        }
        if next.kind == RelationKind::Collection {
            return Err(unsupported("writing through a view of a collection", position));
        }
        self.privileges.push(PrivilegeCheck { relation: next.id, role, rights, columns: None });
        self.described(next, views, rights)
    }

    /// A view taken apart, and the relation below it; or why it is not updatable.
    #[allow(clippy::type_complexity)]
    fn view_level(&mut self, view: &Arc<Relation>) -> Result<std::result::Result<(View, Arc<Relation>), &'static str>> {
        let Some(definition) = &view.view else { return Err(SqlError::internal("a view has a query")) };
        let context = self.view_context(view);
        let statements = parse::parse(&definition.query, true)?;
        let Some(query) = statements.first().and_then(crate::Statement::as_query) else {
            return Err(SqlError::internal("a view's query is one SELECT"));
        };
        let select = match shape_of(query) {
            Ok(select) => select,
            Err(reason) => return Ok(Err(reason)),
        };
        let found = self.inside(&context, Lines::default(), |inner| {
            let reason = inner.reason_in_list(select);
            let below = match single_table(select) {
                Ok((name, alias)) => inner.relation(name, 0).map(|relation| Ok((relation, alias.map(fold)))),
                Err(reason) => Ok(Err(reason)),
            };
            // Nothing of this is part of the statement.
            inner.privileges.clear();
            reason.and_then(|reason| Ok((reason, below?)))
        });
        let (reason, below) = found?;
        if let Some(reason) = reason {
            return Ok(Err(reason));
        }
        let (below, alias) = match below {
            Ok(below) => below,
            Err(reason) => return Ok(Err(reason)),
        };
        if !matches!(below.kind, RelationKind::View | RelationKind::Table | RelationKind::Collection) {
            return Ok(Err(NOT_ONE_TABLE));
        }
        let alias = alias.unwrap_or_else(|| below.name.clone());
        let level = View {
            relation: view.clone(),
            select: Arc::new(select.clone()),
            alias,
            context: Arc::new(context),
            attributes: vec![],
        };
        Ok(Ok((level, below)))
    }

    /// The relation that a view is over, if it can be written through.
    pub(super) fn below_view(
        &mut self,
        view: &Arc<Relation>,
    ) -> Result<std::result::Result<Arc<Relation>, &'static str>> {
        Ok(self.view_level(view)?.map(|(_, below)| below))
    }

    /// Names in a view are looked up with its own search path, and its owner's rights count.
    pub(super) fn view_context(&self, view: &Relation) -> BindContext {
        let path = view.view.as_ref().map_or(&[][..], |v| &v.search_path);
        self.stored_names(path, view.owner)
    }

    /// The names and rights of a text that the catalog keeps.
    pub(super) fn stored_names(&self, search_path: &[String], owner: Oid) -> BindContext {
        let mut context = self.context.clone();
        let schema = |name: &String| context.catalog.schema_by_name(context.database, name).map(|s| s.id);
        context.search_path = search_path.iter().filter_map(schema).collect();
        context.role = owner;
        context
    }

    /// What in the select list keeps a view from being updatable.
    fn reason_in_list(&mut self, select: &ast::Select) -> Result<Option<&'static str>> {
        self.scopes.push(Scope::of(Clause::Select));
        let bound = self.from(&select.from).and_then(|_| {
            self.enter(Clause::Select);
            self.select_list(&select.projection)
        });
        let scope = self.scopes.pop().unwrap_or_default();
        bound?;
        Ok(match () {
            () if !scope.aggregates.is_empty() => {
                Some("Views that return aggregate functions are not automatically updatable.")
            }
            () if super::window::has_windows(&scope) => {
                Some("Views that return window functions are not automatically updatable.")
            }
            () if !scope.set_calls.is_empty() => {
                Some("Views that return set-returning functions are not automatically updatable.")
            }
            () => None,
        })
    }

    /// The descriptor that the statement is bound against.
    fn described(&mut self, base: Arc<Relation>, views: Vec<View>, rights: u32) -> Result<WriteRelation> {
        let mut target = WriteRelation { views, ..WriteRelation::table(base) };
        let base_row = self.row_of(&target.base);
        let numbers: Vec<i16> = target.base.live_columns().map(|c| c.number).collect();
        let attribute = |name: &Name| {
            let at = base_row.iter().position(|b| b.id == name.id);
            at.and_then(|at| numbers.get(at)).copied().unwrap_or(COMPUTED)
        };
        let mut rows = self.view_rows(&target, &base_row)?;
        let mut defaults = Relation::clone(&target.base);
        for (view, row) in target.views.iter_mut().rev().zip(&rows) {
            view.attributes = row.names.iter().map(attribute).collect();
            for (column, number) in view.relation.live_columns().zip(&view.attributes) {
                let below = defaults.columns.iter_mut().find(|c| c.number == *number);
                if let (Some(below), Some(default)) = (below, &column.default) {
                    below.default = Some(default.clone());
                }
            }
            if rights != privilege::DELETE && view.attributes.iter().all(|n| *n == COMPUTED) {
                let reason = "Views that have no updatable columns are not automatically updatable.";
                return Err(not_updatable(&view.relation, rights, reason));
            }
        }
        let row = rows.pop().unwrap_or_default();
        let Some(view) = target.views.first() else { return Err(SqlError::internal("a view was expected")) };
        let mut shown = Relation::clone(&target.base);
        shown.name.clone_from(&view.relation.name);
        shown.columns = row
            .names
            .iter()
            .zip(&view.attributes)
            .zip(1i16..)
            .map(|((name, number), place)| match defaults.columns.iter().find(|c| c.number == *number) {
                Some(column) => catalog::Column { name: name.name.clone(), ..column.clone() },
                None => new_column(COMPUTED - place, &name.name, name.ty),
            })
            .collect();
        target.shown = Arc::new(shown);
        target.defaults = Arc::new(defaults);
        Ok(target)
    }

    /// The rows of all views over one row of the table, the innermost's first.
    fn view_rows(&mut self, target: &WriteRelation, base_row: &[Name]) -> Result<Vec<ViewRow>> {
        let mut rows: Vec<ViewRow> = vec![];
        for view in target.views.iter().rev() {
            let (below, mut computed, mut conditions) = match rows.last() {
                Some(row) => (row.names.clone(), row.computed.clone(), row.conditions.clone()),
                None => (base_row.to_vec(), vec![], vec![]),
            };
            let (list, mut condition) = self.inside(&view.context, Lines::default(), |inner| {
                let mut scope = Scope::of(Clause::Select);
                scope.push(Item::new(&view.alias, below));
                inner.scopes.push(scope);
                let list = inner.select_list(&view.select.projection);
                let condition = view.select.selection.as_ref().map_or(Ok(vec![]), |c| inner.condition(c));
                inner.scopes.pop();
                Ok((list?, condition?))
            })?;
            condition.iter_mut().for_each(|e| replace(e, &computed));
            conditions.push(condition);
            let mut names = vec![];
            for ((_, mut expr), shown) in list.into_iter().zip(view.relation.live_columns()) {
                let known = match expr.kind {
                    ExprKind::Column(id) if !computed.iter().any(|(c, _)| *c == id) => Some(id),
                    _ => None,
                };
                let ty = shown.ty.into();
                let id = match known {
                    Some(id) => id,
                    None => {
                        expr = self.known(expr)?;
                        replace(&mut expr, &computed);
                        let id = self.new_column(&shown.name, ty, view.relation.id, shown.number);
                        computed.push((id, expr));
                        id
                    }
                };
                names.push(Name { name: shown.name.clone(), id, ty });
            }
            rows.push(ViewRow { names, computed, conditions });
        }
        Ok(rows)
    }

    /// The row that the statement sees over a row of the table.
    pub(super) fn seen_row(&mut self, target: &WriteRelation, base_row: &[Name]) -> Result<ViewRow> {
        let row = self.view_rows(target, base_row)?.pop();
        Ok(row.unwrap_or_else(|| ViewRow { names: base_row.to_vec(), ..ViewRow::default() }))
    }

    /// WITH CHECK OPTION of the views over the new row, the innermost's first: (view, condition).
    pub(super) fn view_checks(&mut self, target: &WriteRelation, new_row: &[Name]) -> Result<Vec<(String, Expr)>> {
        let mut checks = vec![];
        let mut is_cascaded = false;
        let conditions = self.seen_row(target, new_row)?.conditions;
        for (view, condition) in target.views.iter().zip(conditions.into_iter().rev()) {
            let option = view.relation.view.as_ref().and_then(|v| v.check_option.as_deref());
            is_cascaded |= option.is_some_and(|option| option.eq_ignore_ascii_case("cascaded"));
            if (option.is_none() && !is_cascaded) || condition.is_empty() {
                continue;
            }
            if condition.iter().any(|e| e.any(&mut |e| matches!(e.kind, ExprKind::Subquery(_)))) {
                return Err(unsupported("WITH CHECK OPTION of a view with a subquery in its condition", 0));
            }
            checks.push((view.relation.name.clone(), Expr::new(ExprKind::And(condition), SqlType::BOOL, 0)));
        }
        checks.reverse();
        Ok(checks)
    }

    /// The conjuncts that a row must meet to be seen through the views.
    pub(super) fn view_predicate(row: &ViewRow) -> Vec<Expr> {
        row.conditions.iter().flatten().cloned().collect()
    }

    /// SELECT on what a change scans: on a view it is asked for by `need_on_views`, on the table below for the view's owner.
    pub(super) fn need_to_read(&mut self, target: &WriteRelation) {
        let role = target.views.last().map_or(self.context.role, |view| view.relation.owner);
        let (relation, rights) = (target.base.id, privilege::SELECT);
        self.privileges.push(PrivilegeCheck { relation, role, rights, columns: None });
    }

    /// Rights on the views: on the columns that are written, and on those that `read` reads of the outermost.
    pub(super) fn need_on_views(
        &mut self,
        target: &WriteRelation,
        rights: u32,
        written: &[i16],
        seen: &[Name],
        read: &[&Expr],
    ) {
        let mut role = self.context.role;
        for view in &target.views {
            let columns = view.relation.live_columns().zip(&view.attributes);
            let columns = columns.filter(|(_, n)| written.contains(n)).map(|(c, _)| c.number).collect();
            let columns = (rights != privilege::DELETE).then_some(columns);
            self.privileges.push(PrivilegeCheck { relation: view.relation.id, role, rights, columns });
            role = view.relation.owner;
        }
        let Some(view) = target.views.first() else { return };
        let mut used = columns::ColumnSet::new();
        read.iter().for_each(|e| columns::add_used(e, &mut used));
        let columns: Vec<i16> = view
            .relation
            .live_columns()
            .zip(seen)
            .filter(|(_, n)| used.contains(&n.id))
            .map(|(c, _)| c.number)
            .collect();
        if !columns.is_empty() {
            let (relation, role, rights) = (view.relation.id, self.context.role, privilege::SELECT);
            self.privileges.push(PrivilegeCheck { relation, role, rights, columns: Some(columns) });
        }
    }
}

/// Puts the expressions of computed columns where the columns are read.
pub(super) fn resolve_computed(node: &mut Node, computed: &[(ColumnId, Expr)]) {
    if !computed.is_empty() {
        walk::each_expr_mut(node, &mut |e| replace(e, computed));
    }
}

/// The same in one expression.
pub(super) fn replace_computed(expr: &mut Expr, computed: &[(ColumnId, Expr)]) {
    if !computed.is_empty() {
        replace(expr, computed);
    }
}

fn replace(expr: &mut Expr, computed: &[(ColumnId, Expr)]) {
    if let ExprKind::Column(id) = expr.kind {
        if let Some((_, value)) = computed.iter().find(|(column, _)| *column == id) {
            *expr = Expr { position: expr.position, ..value.clone() };
        }
        return;
    }
    if let ExprKind::Subquery(subquery) = &mut expr.kind {
        walk::each_expr_mut(&mut subquery.plan, &mut |e| replace(e, computed));
        subquery.correlated = columns::free(&subquery.plan).into_iter().collect();
    }
    expr.children_mut().into_iter().for_each(|child| replace(child, computed));
}

const NOT_ONE_TABLE: &str = "Views that do not select from a single table or view are not automatically updatable.";

fn not_updatable(view: &Relation, rights: u32, reason: &str) -> SqlError {
    let Action { verb, doing, event } = action(rights);
    let message = format!("cannot {verb} view \"{}\"", view.name);
    SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message).detail(reason).hint(format!(
        "To enable {doing} the view, provide an INSTEAD OF {event} trigger or an unconditional ON {event} DO INSTEAD rule."
    ))
}

/// 55000 for a view that rules leave some rows of.
pub(super) fn rule_instead_hint(view: &Relation, event: RuleEvent) -> SqlError {
    let rights = match event {
        RuleEvent::Insert => privilege::INSERT,
        RuleEvent::Update => privilege::UPDATE,
        RuleEvent::Delete => privilege::DELETE,
    };
    not_updatable(view, rights, "Views with conditional DO INSTEAD rules are not automatically updatable.")
}

/// The SELECT of a view that may be updatable, by its clauses.
fn shape_of(query: &ast::Query) -> std::result::Result<&ast::Select, &'static str> {
    let select = match &*query.body {
        SetExpr::Select(select) => select,
        SetExpr::SetOperation { .. } => {
            return Err("Views containing UNION, INTERSECT, or EXCEPT are not automatically updatable.");
        }
        _ => return Err(NOT_ONE_TABLE),
    };
    let is_grouped = match &select.group_by {
        GroupByExpr::Expressions(exprs, _) => !exprs.is_empty(),
        GroupByExpr::All(_) => true,
    };
    if !matches!(select.distinct, None | Some(ast::Distinct::All)) {
        return Err("Views containing DISTINCT are not automatically updatable.");
    }
    if is_grouped {
        return Err("Views containing GROUP BY are not automatically updatable.");
    }
    if select.having.is_some() {
        return Err("Views containing HAVING are not automatically updatable.");
    }
    if query.with.is_some() {
        return Err("Views containing WITH are not automatically updatable.");
    }
    if query.limit_clause.is_some() || query.fetch.is_some() {
        return Err("Views containing LIMIT or OFFSET are not automatically updatable.");
    }
    Ok(select)
}

/// The one table or view of FROM, and its alias.
fn single_table(select: &ast::Select) -> std::result::Result<(&ObjectName, Option<&ast::Ident>), &'static str> {
    let [item] = select.from.as_slice() else { return Err(NOT_ONE_TABLE) };
    match &item.relation {
        TableFactor::Table { sample: Some(_), .. } => {
            Err("Views containing TABLESAMPLE are not automatically updatable.")
        }
        TableFactor::Table { name, alias, args: None, with_ordinality: false, version: None, .. }
            if item.joins.is_empty() && alias.as_ref().is_none_or(|a| a.columns.is_empty()) =>
        {
            Ok((name, alias.as_ref().map(|a| &a.name)))
        }
        _ => Err(NOT_ONE_TABLE),
    }
}

/// What can be done with a view: for each of its columns, whether it can be given a value. None: it is not updatable.
pub fn updatable_columns(view: &Arc<Relation>, context: &BindContext) -> Option<Vec<bool>> {
    let mut binder = Binder::new(context, Lines::default());
    let target = binder.view_target(view.clone(), privilege::DELETE, None, 0).ok()?;
    let outermost = target.views.first()?;
    Some(outermost.attributes.iter().map(|n| *n != COMPUTED).collect())
}

/// Why WITH CHECK OPTION cannot be had on a view of this query: 0A000, as its rows could not be written.
pub fn require_updatable(view: &Arc<Relation>, context: &BindContext) -> Result<()> {
    let mut binder = Binder::new(context, Lines::default());
    // What is below it may be written to by rules, or not at all.
    match binder.view_level(view)? {
        Ok(_) => Ok(()),
        Err(reason) => {
            let message = "WITH CHECK OPTION is supported only on automatically updatable views";
            Err(SqlError::unsupported(message).hint(reason))
        }
    }
}
