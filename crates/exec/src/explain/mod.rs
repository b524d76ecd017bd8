//! EXPLAIN: a plan in the words of PostgreSQL, as text or as json.
//!
//! Owns the shape that PostgreSQL's tools read: node names, `->` lines, cost, rows and width, conditions, ANALYZE's measures.
//! Decides nothing and runs nothing: `run` measures, the session asks.
//!
//! ```text
//! Plan --tree--> Shown (nodes with their lines, in PostgreSQL's cut) --output--> rows of the result
//! ```
//!
//! Where the cut differs: a Project or Filter of ours is part of the node below it there; a hash join's right side stands
//! below a `Hash`; a look-up join is a nested loop over an index scan. Estimates are Hyrax's own.

mod joins;
mod leaves;
mod names;
mod output;
mod sets;
mod tree;
mod writes;

use crate::run::NodeMeasure;
use catalog::Snapshot;
use sql::ResultColumn;
use sql::physical::Plan;
use sql::utility::{ExplainFormat, ExplainOptions};
use std::time::Duration;
use types::SqlType;

/// What is to be shown.
pub struct Explain<'a> {
    pub plan: &'a Plan,
    pub catalog: &'a Snapshot,
    pub options: &'a ExplainOptions,
    /// With ANALYZE: `Execution::measures` of an execution that has ended.
    pub measures: Option<&'a [NodeMeasure]>,
    pub planning: Duration,
    /// With ANALYZE: from the start of the execution to its end.
    pub execution: Option<Duration>,
    /// With SETTINGS: planner settings that are not at their default.
    pub settings: &'a [(String, String)],
}

/// The result's one column.
pub fn column(options: &ExplainOptions) -> ResultColumn {
    let ty = match options.format {
        ExplainFormat::Text | ExplainFormat::Yaml => SqlType::TEXT,
        ExplainFormat::Json => SqlType::new(types::oid::JSON),
    };
    ResultColumn { name: "QUERY PLAN".to_owned(), ty, table: 0, attribute: 0 }
}

/// The result's rows: a line each, or the one document.
pub fn render(explain: &Explain<'_>) -> Vec<String> {
    let root = tree::show(explain);
    match explain.options.format {
        ExplainFormat::Text => output::text(&root, explain),
        ExplainFormat::Json => vec![output::json(&root, explain)],
        ExplainFormat::Yaml => vec![output::yaml(&root, explain)],
    }
}

/// One node as it is shown.
#[derive(Default)]
struct Shown {
    /// Text: `Index Scan using t_pkey on t`.
    heading: String,
    /// Json: `Node Type`, and what PostgreSQL says before the parent's relationship.
    kind: Vec<(&'static str, Value)>,
    relationship: &'static str,
    /// `SubPlan 1`, `InitPlan 1 (returns $0)`, `CTE x`.
    plan_name: Option<String>,
    /// Json: what follows `Async Capable`.
    details: Vec<(&'static str, Value)>,
    estimate: Option<Estimate>,
    measure: Option<NodeMeasure>,
    /// Columns, with VERBOSE.
    output: Vec<String>,
    lines: Vec<Line>,
    /// Conjuncts of `Filter`, and rows that they dropped.
    filters: Vec<String>,
    removed: u64,
    /// What ANALYZE tells of the node's own work.
    work: Vec<Line>,
    children: Vec<Shown>,
}

#[derive(Clone, Copy)]
struct Estimate {
    startup: f64,
    total: f64,
    rows: f64,
    width: u32,
}

/// A property: what text says, and what json says.
#[derive(Clone)]
struct Line {
    text: Option<String>,
    json: Vec<(&'static str, Value)>,
}

#[derive(Clone)]
enum Value {
    Text(String),
    List(Vec<String>),
    Integer(u64),
}

impl Shown {
    /// All properties in the order in which they are written.
    fn properties(&self, options: &ExplainOptions) -> Vec<Line> {
        let mut lines = vec![];
        if options.verbose && !self.output.is_empty() {
            lines.push(Line::list("Output", self.output.clone()));
        }
        lines.extend(self.lines.iter().cloned());
        if !self.filters.is_empty() {
            lines.push(Line::plain("Filter", names::all_of(self.filters.clone())));
            if options.analyze {
                let loops = self.measure.map_or(1, |m| m.loops.max(1));
                lines.push(Line::count_if_any("Rows Removed by Filter", self.removed / loops));
            }
        }
        lines.extend(self.work.iter().cloned());
        lines
    }
}

impl Line {
    /// The same in both.
    fn plain(label: &'static str, text: String) -> Line {
        Line { text: Some(format!("{label}: {text}")), json: vec![(label, Value::Text(text))] }
    }
    fn list(label: &'static str, items: Vec<String>) -> Line {
        Line { text: Some(format!("{label}: {}", items.join(", "))), json: vec![(label, Value::List(items))] }
    }
    /// Zero is not worth a line of text.
    fn count_if_any(label: &'static str, count: u64) -> Line {
        let text = (count > 0).then(|| format!("{label}: {count}"));
        Line { text, json: vec![(label, Value::Integer(count))] }
    }
}
