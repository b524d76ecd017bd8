//! Estimates: how many rows a relation has and how many a condition leaves. ANALYZE's statistics where there are some,
//! else live row counts and PostgreSQL's default selectivities.

use crate::cost::Cost;
use crate::expr::{Expr, ExprKind};
use crate::physical::PlanNode;
use crate::plan::as_operator;
use catalog::{Relation, Statistics};
use types::Datum;

pub(crate) const EQUAL: f64 = 0.005;
pub(crate) const RANGE: f64 = 1.0 / 3.0;
const OTHER: f64 = 0.5;
const PATTERN: f64 = 0.005;

/// The estimates of a planned node.
pub(crate) fn of(node: &PlanNode) -> Cost {
    Cost { rows: node.rows, startup: node.startup_cost, total: node.total_cost }
}

/// Share of rows that pass a condition of which nothing is known but its shape.
pub(crate) fn shape_selectivity(expr: &Expr) -> f64 {
    match &expr.kind {
        ExprKind::Const(Datum::Bool(true)) => 1.0,
        ExprKind::Const(_) => 0.0,
        ExprKind::And(parts) => default_selectivity(parts),
        ExprKind::Or(parts) => 1.0 - parts.iter().map(|p| 1.0 - shape_selectivity(p)).product::<f64>(),
        ExprKind::Not(arg) => 1.0 - shape_selectivity(arg),
        ExprKind::IsNull { negated, .. } => {
            if *negated {
                1.0 - EQUAL
            } else {
                EQUAL
            }
        }
        ExprKind::AnyAll { operator, .. } if operator.name == "=" => 10.0 * EQUAL,
        _ => match as_operator(expr).map(|(operator, ..)| operator.name) {
            Some("=") => EQUAL,
            Some("<>") => 1.0 - EQUAL,
            Some("<" | "<=" | ">" | ">=") => RANGE,
            Some("~~" | "~~*" | "~" | "~*") => PATTERN,
            _ => OTHER,
        },
    }
}

pub(crate) fn default_selectivity(conjuncts: &[Expr]) -> f64 {
    conjuncts.iter().map(shape_selectivity).product()
}

/// Distinct values of a column, if ANALYZE counted them.
pub(crate) fn distinct_values(statistics: Option<&Statistics>, attribute: i16, rows: f64) -> Option<f64> {
    let column = statistics?.columns.iter().find(|c| c.number == attribute)?;
    match column.distinct {
        d if d > 0.0 => Some(d),
        d if d < 0.0 => Some((-d * rows).max(1.0)),
        _ => None,
    }
}

/// Bytes of a row.
pub(crate) fn row_width(relation: &Relation, statistics: Option<&Statistics>) -> f64 {
    let declared = || relation.live_columns().map(|c| f64::from(crate::cost::type_width(c.ty.into()))).sum::<f64>();
    16.0 + statistics.map(|s| s.average_width).filter(|w| *w > 0.0).unwrap_or_else(declared)
}
