//! What DDL needs of the binder and of the executor.

use catalog::{Function, FunctionBody, Index, Relation, Rule, Snapshot};
use sql::utility::ddl::SqlText;
use sql::{ResultColumn, RuleTexts, RuleUses};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use types::builtin::Volatility;
use types::{Datum, Oid, Result, SqlError, SqlType};

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What an expression is for: decides what it may contain, what its type must be, and how errors call it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExpressionUse {
    /// Coerced to the column's type by assignment; no columns, no subqueries, aggregates, windows, set functions.
    Default(SqlType),
    /// The same over the row, immutable.
    Generated(SqlType),
    /// boolean.
    Check,
    /// boolean, immutable.
    IndexPredicate,
    /// Immutable.
    Index,
    /// Over the row as it was; coerced to the new type by assignment.
    Using(SqlType),
}

/// A bound expression in the form that descriptors keep.
#[derive(Clone, Debug)]
pub struct BoundExpression {
    /// Deparsed, with every name qualified that the search path decided.
    pub text: String,
    pub ty: SqlType,
    /// Attributes it reads, each once, ascending.
    pub columns: Vec<i16>,
    pub volatility: Volatility,
    /// For an index expression: the name PostgreSQL gives it (`lower`, `expr`, `coalesce`).
    pub name: Option<String>,
}

/// A bound query in the form that views keep.
#[derive(Clone, Debug)]
pub struct BoundQuery {
    pub text: String,
    pub columns: Vec<ResultColumn>,
    /// (relation, attribute or 0).
    pub depends_on: Vec<(Oid, i16)>,
}

/// What sees to it that rows written meanwhile are as they were found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Upkeep {
    /// Those who write check it by themselves.
    ByWriters,
    /// They are kept out until the commit.
    ByExclusion,
}

/// The search path of a stored text in which everything that is not `pg_catalog`'s is qualified.
pub fn qualified_path() -> Vec<String> {
    vec!["pg_catalog".to_owned()]
}

/// A view's query after something in it got another name.
pub enum RenamedQuery {
    Qualified(String),
    AsWritten,
}

/// Implemented over `sql` and the operators. All of it happens in the statement's transaction.
pub trait DdlServices: Send + Sync {
    /// Binds what follows with this schema in front of the search path, or without: for the elements of CREATE SCHEMA.
    fn look_first_in(&self, schema: Option<Oid>) {
        let _ = schema;
    }

    /// Whether this transaction has put off checks of rows of this relation.
    fn has_put_off(&self, relation: Oid) -> bool {
        let _ = relation;
        false
    }

    /// Errors have positions in the whole string. `column`: whose value it is to become, for messages; or empty.
    fn bind_expression(
        &self,
        catalog: &Arc<Snapshot>,
        relation: Option<&Relation>,
        text: &SqlText,
        usage: ExpressionUse,
        column: &str,
    ) -> Result<BoundExpression>;

    fn bind_query(&self, catalog: &Arc<Snapshot>, text: &SqlText) -> Result<BoundQuery>;

    /// 0A000 for a view whose WITH CHECK OPTION nothing could ask for, as it cannot be written through.
    fn require_updatable(&self, catalog: &Arc<Snapshot>, view: &Arc<Relation>) -> Result<()>;

    /// Whether a rule's texts mean something, and what they use.
    fn check_rule(&self, catalog: &Arc<Snapshot>, rule: &RuleTexts<'_>) -> Result<RuleUses>;

    /// Whether a new function's body, which is `text`, means something (unless `check_function_bodies` is off). Gives the
    /// expression of RETURN as it is kept, where that can be told.
    fn check_function(&self, catalog: &Arc<Snapshot>, function: &Function, text: &SqlText) -> Result<Option<String>>;

    /// A stored expression over `old` as it reads over `new`: same attributes, other names.
    fn rename_expression(&self, catalog: &Arc<Snapshot>, old: &Relation, new: &Relation, text: &str) -> Result<String>;

    /// A query as text that means the same wherever it is bound; None for one that can be kept as it was written alone.
    fn store_query(&self, catalog: &Arc<Snapshot>, query: &BoundQuery) -> Option<String>;

    /// A function's body of BEGIN ATOMIC in the same way, with what it depends on.
    fn store_body(&self, catalog: &Arc<Snapshot>, function: &Function) -> Result<FunctionBody>;

    /// A function's body, bound against `old`, as it reads against `new`.
    fn rename_body(&self, old: &Arc<Snapshot>, new: &Arc<Snapshot>, function: &Function) -> Result<FunctionBody>;

    /// A rule with texts in which every name is qualified; None where it has to stay as it was written.
    fn store_rule(&self, catalog: &Arc<Snapshot>, rule: &Rule) -> Option<Rule>;

    /// `rule`, bound against `old`, as it reads against `new`.
    fn rename_rule(&self, old: &Arc<Snapshot>, new: &Arc<Snapshot>, rule: &Rule) -> Result<Rule>;

    /// The query of `view`, bound against `old`, as it reads against `new`: with every name qualified, or as it was written.
    fn rename_query(&self, old: &Arc<Snapshot>, new: &Arc<Snapshot>, view: &Relation) -> Result<RenamedQuery>;

    /// The value of a stored expression without columns.
    fn evaluate<'a>(&'a self, catalog: &'a Arc<Snapshot>, text: &'a str, ty: SqlType) -> BoxFuture<'a, Result<Datum>>;

    /// Whether a query over stored rows has any; for checks of existing rows.
    fn has_rows<'a>(
        &'a self,
        catalog: &'a Arc<Snapshot>,
        query: String,
        upkeep: Upkeep,
    ) -> BoxFuture<'a, Result<Option<Vec<Datum>>>>;

    /// Adds entries for all rows. 23505 with PostgreSQL's message and detail where a unique index has duplicates.
    fn fill_index<'a>(
        &'a self,
        catalog: &'a Arc<Snapshot>,
        relation: &'a Arc<Relation>,
        index: &'a Arc<Index>,
    ) -> BoxFuture<'a, Result<()>>;

    /// Copies all rows from `old`'s storage to `new`'s and fills its indexes; `values` are expressions over the old row for
    /// those attributes that are not copied. NOT NULL and CHECK constraints of `new` are checked.
    fn rewrite<'a>(
        &'a self,
        catalog: &'a Arc<Snapshot>,
        old: &'a Arc<Relation>,
        new: &'a Arc<Relation>,
        values: Vec<(i16, String)>,
    ) -> BoxFuture<'a, Result<()>>;

    /// Whether any document of a collection has a field that is not a column.
    fn has_undeclared_fields<'a>(
        &'a self,
        catalog: &'a Arc<Snapshot>,
        collection: &'a Arc<Relation>,
    ) -> BoxFuture<'a, Result<bool>>;

    /// Runs the query and inserts its rows; how many.
    fn insert_query<'a>(
        &'a self,
        catalog: &'a Arc<Snapshot>,
        relation: &'a Arc<Relation>,
        query: &'a SqlText,
    ) -> BoxFuture<'a, Result<u64>>;

    /// Sends a NOTICE or WARNING.
    fn notice(&self, notice: SqlError);

    /// Unpredictable bytes (salts).
    fn random(&self, bytes: &mut [u8]);

    /// Parses the text form of a value.
    fn input(&self, ty: SqlType, text: &str) -> Result<Datum>;

    /// Sessions connected to a database other than this one, for DROP DATABASE and RENAME.
    fn sessions_in(&self, database: Oid) -> usize;

    /// Tells those sessions to end (DROP DATABASE … WITH (FORCE)).
    fn end_sessions_in(&self, database: Oid);
}
