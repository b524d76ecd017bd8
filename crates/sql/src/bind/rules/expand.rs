//! Which statements a statement becomes: found by the names of targets, before anything is bound.

use super::super::Binder;
use super::super::view_target::rule_instead_hint;
use super::{notification, parsed, parsed_condition, split, tag_of};
use crate::BindContext;
use crate::parse::Syntax;
use catalog::{Relation, RelationKind, Rule, RuleEvent};
use sqlparser::ast::{self, OnInsert, SetExpr};
use std::sync::Arc;
use types::{Oid, Result, SqlError, SqlState};

/// Statements that rules may make of one.
const PRODUCTS_MAX: usize = 1_000;
/// Rules that fire one another.
const STEPS_MAX: usize = 32;

/// A rule that fires, read.
pub(in crate::bind) struct Fired {
    pub(in crate::bind) rule: Arc<Rule>,
    /// Where its texts are bound.
    pub(in crate::bind) context: BindContext,
    pub(in crate::bind) condition: Option<ast::Expr>,
    actions: Vec<crate::Statement>,
}

/// One action of a rule that fires.
#[derive(Clone)]
pub(super) struct Step {
    pub(super) fired: Arc<Fired>,
    action: usize,
}

impl Step {
    pub(super) fn action(&self) -> Result<&crate::Statement> {
        self.fired.actions.get(self.action).ok_or_else(|| SqlError::internal("a rule's action was expected"))
    }
    /// Whether it is done for each row that the statement would write.
    pub(super) fn reads_rows(&self) -> bool {
        self.fired.rule.actions.get(self.action).is_none_or(|a| a.reads_rows)
    }
    /// None: it is no query.
    pub(super) fn syntax(&self) -> Option<&ast::Statement> {
        match &self.fired.actions.get(self.action)?.syntax {
            Syntax::Sql(syntax) => Some(syntax),
            _ => None,
        }
    }
}

/// Where a product comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Origin {
    /// The statement itself.
    Statement,
    Instead,
    ConditionalInstead,
    Also,
}

/// One statement to run.
pub(in crate::bind) struct Product {
    /// From the statement to the action that it is; none: the statement.
    pub(super) steps: Vec<Step>,
    /// Rules that took some of its rows.
    pub(super) negated: Vec<Arc<Fired>>,
    pub(super) origin: Origin,
}

impl Product {
    pub(super) fn notification(&self) -> Option<(&str, &str)> {
        notification(self.steps.last()?.action().ok()?)
    }
    /// Whether the statement's first rule makes INSERT … SELECT of it.
    pub(super) fn inserts_query(&self) -> bool {
        self.steps.first().and_then(Step::syntax).is_some_and(|syntax| match split(syntax).1 {
            ast::Statement::Insert(insert) => {
                insert.source.as_ref().is_some_and(|s| !matches!(*s.body, SetExpr::Values(_)))
            }
            _ => false,
        })
    }
}

/// The product whose rows count as the statement's: the statement itself, or else the last of its kind in its place.
pub(super) fn sets_tag(products: &[Product], syntax: &ast::Statement) -> Option<usize> {
    let tag = tag_of(syntax);
    let kind = |p: &Product| p.steps.last().map_or(Some(tag), |s| s.syntax().map(|s| tag_of(split(s).1)));
    let is_instead = |p: &Product| matches!(p.origin, Origin::Instead | Origin::ConditionalInstead);
    let own = products.iter().position(|p| p.origin == Origin::Statement);
    own.or_else(|| products.iter().rposition(|p| is_instead(p) && kind(p) == Some(tag)))
}

/// What a statement writes to, and how.
fn target(syntax: &ast::Statement) -> Option<(RuleEvent, &ast::ObjectName)> {
    fn name(table: &ast::TableWithJoins) -> Option<&ast::ObjectName> {
        match &table.relation {
            ast::TableFactor::Table { name, .. } => Some(name),
            _ => None,
        }
    }
    match syntax {
        ast::Statement::Insert(insert) => match &insert.table {
            ast::TableObject::TableName(name) => Some((RuleEvent::Insert, name)),
            _ => None,
        },
        ast::Statement::Update(update) => Some((RuleEvent::Update, name(&update.table)?)),
        ast::Statement::Delete(delete) => {
            let (ast::FromTable::WithFromKeyword(tables) | ast::FromTable::WithoutKeyword(tables)) = &delete.from;
            Some((RuleEvent::Delete, name(tables.first()?)?))
        }
        _ => None,
    }
}

pub(super) fn returning(syntax: &ast::Statement) -> Option<&[ast::SelectItem]> {
    match syntax {
        ast::Statement::Insert(insert) => insert.returning.as_deref(),
        ast::Statement::Update(update) => update.returning.as_deref(),
        ast::Statement::Delete(delete) => delete.returning.as_deref(),
        _ => None,
    }
}

fn is_conflict_clause(syntax: &ast::Statement) -> bool {
    matches!(syntax, ast::Statement::Insert(insert) if matches!(insert.on, Some(OnInsert::OnConflict(_))))
}

/// The statement at hand, while its products are found.
#[derive(Clone, Copy)]
struct Hand<'s> {
    syntax: &'s ast::Statement,
    event: RuleEvent,
    origin: Origin,
    wants_rows: bool,
}

#[derive(Default)]
struct Expansion {
    /// Rules that are being followed, so that they are not followed for ever.
    events: Vec<(Oid, RuleEvent)>,
    steps: Vec<Step>,
    products: Vec<Product>,
}

impl Expansion {
    fn push(&mut self, origin: Origin, negated: Vec<Arc<Fired>>) -> Result<()> {
        if self.products.len() >= PRODUCTS_MAX {
            let message = format!("rules make too many statements of one (limit {PRODUCTS_MAX})");
            return Err(SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, message));
        }
        self.products.push(Product { steps: self.steps.clone(), negated, origin });
        Ok(())
    }
}

impl Binder<'_> {
    /// What rules make of a statement. None: no rule has a say in it.
    pub(super) fn products(&mut self, syntax: &ast::Statement) -> Result<Option<Vec<Product>>> {
        if self.context.catalog.rules().next().is_none() {
            return Ok(None);
        }
        let mut expansion = Expansion::default();
        let wants_rows = returning(syntax).is_some();
        let context = self.context.clone();
        self.expand(&mut expansion, syntax, &context, Origin::Statement, wants_rows)?;
        let products = expansion.products;
        let is_plain = matches!(products.as_slice(), [one] if one.steps.is_empty() && one.negated.is_empty());
        Ok((!is_plain).then_some(products))
    }

    fn expand(
        &mut self,
        expansion: &mut Expansion,
        syntax: &ast::Statement,
        context: &BindContext,
        origin: Origin,
        wants_rows: bool,
    ) -> Result<()> {
        let target = target(syntax).and_then(|(event, name)| Some((event, relation_of(context, name)?)));
        // What names nothing is told where it is bound.
        let Some((event, relation)) = target else { return expansion.push(origin, vec![]) };
        self.expand_on(expansion, Hand { syntax, event, origin, wants_rows }, &relation)
    }

    /// What a statement that writes names as its target.
    pub(super) fn rule_target_of(&self, syntax: &ast::Statement) -> Option<Arc<Relation>> {
        target(syntax).and_then(|(_, name)| relation_of(self.context, name))
    }

    /// The rules of one relation, and what they leave of the statement.
    fn expand_on(&mut self, expansion: &mut Expansion, hand: Hand<'_>, relation: &Arc<Relation>) -> Result<()> {
        let fired = self.firing(relation, hand.event)?;
        if fired.is_empty() {
            return self.expand_rest(expansion, hand, relation, vec![]);
        }
        if is_conflict_clause(hand.syntax) {
            return Err(conflict_refused());
        }
        let is_replaced = fired.iter().any(|f| f.rule.replaces_always());
        let negated: Vec<_> = fired.iter().filter(|f| f.rule.is_instead && f.condition.is_some()).cloned().collect();
        let returns = |f: &Arc<Fired>| f.rule.replaces_always() && f.actions.iter().any(returns_rows);
        if hand.wants_rows && (is_replaced || !negated.is_empty()) && !fired.iter().any(returns) {
            return Err(no_rows_to_return(relation, hand.event));
        }
        if hand.event == RuleEvent::Insert && !is_replaced {
            self.expand_rest(expansion, hand, relation, negated.clone())?;
        }
        self.expand_actions(expansion, hand, relation, &fired)?;
        if hand.event != RuleEvent::Insert && !is_replaced {
            self.expand_rest(expansion, hand, relation, negated)?;
        }
        Ok(())
    }

    fn expand_actions(
        &mut self,
        expansion: &mut Expansion,
        hand: Hand<'_>,
        relation: &Relation,
        fired: &[Arc<Fired>],
    ) -> Result<()> {
        let event = (relation.id, hand.event);
        if fired.iter().all(|f| f.actions.is_empty()) {
            return Ok(());
        }
        if expansion.events.contains(&event) {
            let message = format!("infinite recursion detected in rules for relation \"{}\"", relation.name);
            return Err(SqlError::new(SqlState::INVALID_OBJECT_DEFINITION, message));
        }
        if expansion.steps.len() >= STEPS_MAX {
            let message = format!("rules fire one another too deeply (limit {STEPS_MAX})");
            return Err(SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, message));
        }
        expansion.events.push(event);
        for fired in fired {
            let origin = match (fired.rule.is_instead, &fired.condition) {
                (false, _) => Origin::Also,
                (true, None) => Origin::Instead,
                (true, Some(_)) => Origin::ConditionalInstead,
            };
            for (action, statement) in fired.actions.iter().enumerate() {
                expansion.steps.push(Step { fired: fired.clone(), action });
                let wants_rows = hand.wants_rows && fired.rule.replaces_always() && returns_rows(statement);
                match &statement.syntax {
                    Syntax::Sql(syntax) => {
                        self.expand(expansion, split(syntax).1, &fired.context, origin, wants_rows)?;
                    }
                    _ => expansion.push(origin, vec![])?,
                }
                expansion.steps.pop();
            }
        }
        expansion.events.pop();
        Ok(())
    }

    /// The statement itself, as far as rules have left it; of a view that is written through, what is below it has its say.
    fn expand_rest(
        &mut self,
        expansion: &mut Expansion,
        hand: Hand<'_>,
        relation: &Arc<Relation>,
        negated: Vec<Arc<Fired>>,
    ) -> Result<()> {
        if relation.kind == RelationKind::View {
            if !negated.is_empty() {
                return Err(rule_instead_hint(relation, hand.event));
            }
            // One that cannot be written through is refused where it is bound.
            if let Ok(below) = self.below_view(relation)? {
                return self.expand_on(expansion, hand, &below);
            }
        }
        let updates_too = || self.context.catalog.rules_of(relation.id).any(|r| r.event == RuleEvent::Update);
        if is_conflict_clause(hand.syntax) && relation.kind != RelationKind::View && updates_too() {
            return Err(conflict_refused());
        }
        expansion.push(hand.origin, negated)
    }

    /// The relation's rules for that event, in order of name.
    fn firing(&self, relation: &Relation, event: RuleEvent) -> Result<Vec<Arc<Fired>>> {
        let rules = self.context.catalog.rules_of(relation.id).filter(|r| r.event == event && r.is_enabled);
        let read = |rule: &Arc<Rule>| {
            let condition = rule.condition.as_deref().map(parsed_condition).transpose()?.map(|(expr, _)| expr);
            let actions = rule.actions.iter().map(|action| parsed(&action.text)).collect::<Result<_>>()?;
            let context = self.stored_names(&rule.search_path, relation.owner);
            Ok(Arc::new(Fired { rule: rule.clone(), context, condition, actions }))
        };
        rules.map(read).collect()
    }
}

fn returns_rows(action: &crate::Statement) -> bool {
    matches!(&action.syntax, Syntax::Sql(syntax) if returning(split(syntax).1).is_some())
}

fn relation_of(context: &BindContext, name: &ast::ObjectName) -> Option<Arc<Relation>> {
    let parts: Vec<_> = name.0.iter().filter_map(|p| p.as_ident().map(super::super::scope::fold)).collect();
    let scope = catalog::names::NameScope {
        database: context.database,
        search_path: &context.search_path,
        temporary_schema: context.temporary_schema,
    };
    catalog::names::relation(&context.catalog, scope, &parts).ok().cloned()
}

fn conflict_refused() -> SqlError {
    SqlError::unsupported("INSERT with ON CONFLICT clause cannot be used with table that has INSERT or UPDATE rules")
}

fn no_rows_to_return(relation: &Relation, event: RuleEvent) -> SqlError {
    let event = event.word();
    SqlError::unsupported(format!("cannot perform {event} RETURNING on relation \"{}\"", relation.name))
        .hint(format!("You need an unconditional ON {event} DO INSTEAD rule with a RETURNING clause."))
}
