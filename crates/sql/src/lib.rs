//! Level 4. From text to a physical plan: parse -> bind -> logical plan -> rules and costs -> physical plan.
//!
//! Owns sqlparser (nobody else imports it) and every decision about *what* is computed and *how*; computes nothing
//! itself: expressions are bound here and evaluated in `exec`. Knows no sockets and no storage.
//!
//! ```text
//! text --parse--> [Statement] --bind(catalog snapshot, parameter types)--> Bound --plan(statistics)--> Plan
//! ```

pub mod aggregate;
mod attributes;
mod bind;
mod cost;
pub mod deparse;
pub mod expr;
pub mod logical;
pub mod parse;
pub mod physical;
pub mod plan;
mod rules;
mod stats;
pub mod tree;
pub mod utility;

use catalog::Snapshot;
use std::sync::Arc;
use types::builtin::Proc;
use types::stop;
use types::{FormatSettings, Oid, SqlType};

pub use attributes::used_attributes;
pub use bind::{
    RuleTexts, RuleUses, SEQUENCE_ROW, StoredUse, bind, bind_stored, check_function, check_rule, coerce_arguments,
    parse_bind_expr, require_updatable, updatable_columns, volatility, written, written_body, written_rule,
};
pub use deparse::{Deparser, PlanNames, Shown};
pub use expr::{Expr, ExprKind};
pub use parse::{Parsed, Piece, Statement, StatementKind, parse, parse_many};
pub use plan::{PlanContext, PlannerSettings, plan};

/// What names and literals of a statement are resolved against. Cheap to make.
#[derive(Clone)]
pub struct BindContext {
    pub catalog: Arc<Snapshot>,
    pub database: Oid,
    /// Ids of the schemas to search, in order (pg_catalog and the temporary schema are put in front by the session where PostgreSQL does so).
    pub search_path: Vec<Oid>,
    /// Where CREATE without a schema goes; None: "no schema has been selected to create in".
    pub creation_schema: Option<Oid>,
    /// pg_temp_n of this session, if it exists.
    pub temporary_schema: Option<Oid>,
    pub role: Oid,
    pub session_role: Oid,
    pub format: Arc<FormatSettings>,
    /// `transform_null_equals`, `standard_conforming_strings`, … that change the meaning of text.
    pub standard_conforming_strings: bool,
    /// Whether a function that `types` does not implement is one of the session's or executor's; the others are refused with 0A000.
    pub is_implemented: fn(&Proc) -> bool,
}

/// A column of a result, as RowDescription needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct ResultColumn {
    pub name: String,
    pub ty: SqlType,
    /// Relation and attribute it comes from directly, or 0.
    pub table: Oid,
    pub attribute: i16,
}

/// A bound statement: names are ids, every expression has its type, parameters are inferred.
#[derive(Debug)]
pub struct Bound {
    pub kind: BoundKind,
    /// Types of $1, $2, …
    pub parameters: Vec<SqlType>,
    /// Empty where the statement returns no rows.
    pub columns: Vec<ResultColumn>,
    /// Relations it depends on, with the schema versions it saw; a cached plan is void when one has changed.
    pub depends_on: Vec<(Oid, u32)>,
    /// Users' functions that it calls.
    pub functions: Vec<Oid>,
}

#[derive(Debug)]
pub enum BoundKind {
    /// SELECT, VALUES, TABLE, INSERT, UPDATE, DELETE, with or without WITH.
    Query(Box<logical::Query>),
    /// What rules have made several statements of, or none.
    Rewritten(Box<Rewritten>),
    /// Everything else.
    Utility(Box<utility::Utility>),
}

/// A statement that rules have rewritten: its parts are run one after another, each seeing what those before it did.
#[derive(Clone, Debug)]
pub struct Rewritten {
    /// The statement's own.
    pub tag: logical::CommandTag,
    pub parts: Vec<RewrittenPart>,
}

#[derive(Clone, Debug)]
pub enum RewrittenPart {
    /// `sets_tag`: its rows count as the statement's, and what it returns is the statement's result.
    Query {
        query: Box<logical::Query>,
        sets_tag: bool,
    },
    Notify {
        channel: String,
        payload: String,
    },
}

impl Rewritten {
    /// The statement's result.
    pub fn columns(&self) -> &[ResultColumn] {
        let main = self.parts.iter().find_map(|part| match part {
            RewrittenPart::Query { query, sets_tag: true } => Some(query.result.as_slice()),
            _ => None,
        });
        main.unwrap_or_default()
    }
}
