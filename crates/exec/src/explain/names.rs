//! What a node's output columns are called by the node above, as PostgreSQL calls them: a relation's column by its name,
//! qualified where the query has more than one relation; anything computed below by its expression in parentheses.

use catalog::{Index, IndexSource, Relation, Snapshot};
use sql::expr::{Expr, ExprKind, SubPlanKind, SubPlanRef};
use sql::logical::ScanColumn;
use sql::physical::ScanTarget;
use sql::{Deparser, PlanNames};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use types::functions::quote_ident;

/// One output column.
#[derive(Clone, Debug)]
pub(super) enum Name {
    Column {
        qualifier: String,
        column: String,
    },
    Expression {
        text: String,
        /// Computed by the node that names it, not below.
        is_own: bool,
    },
}

impl Name {
    pub fn show(&self, is_qualified: bool) -> String {
        match self {
            Name::Column { qualifier, column } if is_qualified && !qualifier.is_empty() => {
                format!("{}.{}", quote_ident(qualifier), quote_ident(column))
            }
            Name::Column { column, .. } => quote_ident(column).to_string(),
            Name::Expression { text, is_own: true } => text.clone(),
            Name::Expression { text, is_own: false } => format!("({text})"),
        }
    }

    /// As the node above calls it.
    pub fn from_below(self) -> Name {
        match self {
            Name::Expression { text, .. } => Name::Expression { text, is_own: false },
            column => column,
        }
    }
}

pub(super) fn from_below(names: Vec<Name>) -> Vec<Name> {
    names.into_iter().map(Name::from_below).collect()
}

/// Texts of the slots of enclosing rows.
pub(super) type Outer = BTreeMap<u32, String>;

/// A use of a subplan, with what its slots stand for.
#[derive(Clone)]
pub(super) struct Use {
    pub index: usize,
    pub outer: Outer,
    pub is_initial: bool,
}

/// The names that a node's expressions read, and the subplans found in them.
pub(super) struct Scope<'a> {
    pub names: &'a [Name],
    pub outer: &'a Outer,
    pub is_qualified: bool,
    pub uses: &'a RefCell<Vec<Use>>,
    /// Number of each `$n`, by the index of the subplan that makes it.
    pub initial: &'a RefCell<Vec<usize>>,
    pub catalog: &'a Snapshot,
}

impl Scope<'_> {
    /// An expression as PostgreSQL writes it; what has no spelling is told by its kind, for a plan is always shown.
    pub fn text(&self, expr: &Expr) -> String {
        let deparser = Deparser::new(self.catalog).of_plan(self);
        deparser.expr(expr).unwrap_or_else(|_| "(expression)".to_owned())
    }

    /// The conjuncts of a condition.
    pub fn conjuncts(&self, predicate: &Expr) -> Vec<String> {
        match &predicate.kind {
            ExprKind::And(terms) => terms.iter().map(|t| self.text(t)).collect(),
            _ => vec![self.text(predicate)],
        }
    }
}

pub(super) fn all_of(mut conjuncts: Vec<String>) -> String {
    match conjuncts.len() {
        1 => conjuncts.remove(0),
        _ => format!("({})", conjuncts.join(" AND ")),
    }
}

/// Run once, before the rest: PostgreSQL's InitPlan.
fn is_initial(plan: &SubPlanRef) -> bool {
    plan.parameters.is_empty() && !matches!(plan.kind, SubPlanKind::AnyAll { .. })
}

impl PlanNames for Scope<'_> {
    fn input(&self, position: u32) -> String {
        self.names
            .get(position as usize)
            .map_or_else(|| format!("column{}", position + 1), |n| n.show(self.is_qualified))
    }

    fn outer(&self, slot: u32) -> String {
        self.outer.get(&slot).cloned().unwrap_or_else(|| format!("${slot}"))
    }

    fn subplan(&self, plan: &SubPlanRef) -> String {
        let mut outer = self.outer.clone();
        for (slot, value) in &plan.parameters {
            // A value of an enclosing row is always told whose it is.
            let text = Scope { is_qualified: true, ..*self }.text(value);
            outer.insert(*slot, text);
        }
        let is_initial = is_initial(plan);
        let mut uses = self.uses.borrow_mut();
        if !uses.iter().any(|u| u.index == plan.index) {
            uses.push(Use { index: plan.index, outer, is_initial });
        }
        let number = plan.index + 1;
        if is_initial {
            let mut initial = self.initial.borrow_mut();
            let place = initial.iter().position(|i| *i == plan.index).unwrap_or_else(|| {
                initial.push(plan.index);
                initial.len() - 1
            });
            return format!("${place}");
        }
        match (&plan.kind, plan.parameters.is_empty()) {
            (SubPlanKind::AnyAll { .. }, true) => format!("(hashed SubPlan {number})"),
            _ => format!("(SubPlan {number})"),
        }
    }
}

pub(super) fn column(qualifier: &str, name: &str) -> Name {
    Name::Column { qualifier: qualifier.to_owned(), column: name.to_owned() }
}

pub(super) fn function_name(call: &Expr) -> &str {
    match &call.kind {
        sql::ExprKind::Call { proc, .. } => proc.name,
        _ => "",
    }
}

pub(super) fn target_names(target: &ScanTarget, alias: &str) -> Vec<Name> {
    let name = |what: &ScanColumn| match what {
        ScanColumn::Attribute(n) => {
            let attribute = target.relation.columns.get((*n as usize).wrapping_sub(1));
            column(alias, attribute.map_or("?", |c| &c.name))
        }
        ScanColumn::WholeRow => Name::Expression { text: format!("{}.*", quote_ident(alias)), is_own: true },
        ScanColumn::CommitTimestamp => column(alias, "_ts"),
        ScanColumn::ValidFrom => column(alias, "_valid_from"),
        ScanColumn::ValidTo => column(alias, "_valid_to"),
        ScanColumn::Document | ScanColumn::Tail => column(alias, "_doc"),
        ScanColumn::TableOid => column(alias, "tableoid"),
        ScanColumn::RowKey => column(alias, "ctid"),
    };
    target.columns.iter().map(name).collect()
}

/// Columns of an index, or of the primary key, as conditions name them.
pub(super) fn key_columns(relation: &Relation, index: Option<&Arc<Index>>) -> Vec<String> {
    let attribute = |n: i16| {
        let column = relation.columns.get((n as usize).wrapping_sub(1));
        quote_ident(column.map_or("?", |c| &c.name)).to_string()
    };
    match index {
        None => relation.key.iter().map(|n| attribute(*n)).collect(),
        Some(index) => index
            .columns
            .iter()
            .map(|c| match &c.source {
                IndexSource::Column(n) => attribute(*n),
                IndexSource::Expression(text) => text.clone(),
            })
            .collect(),
    }
}
