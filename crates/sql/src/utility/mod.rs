//! Bound statements that are no queries. Names are resolved as far as the statement allows; `session` runs the ones about
//! the session, crate `ddl` the ones about the catalog.

use crate::Statement;
use crate::logical::Query;
use std::sync::Arc;
use types::text::encoding::Encoding;
use types::{Oid, SqlType, TableLock};

mod aggregates;
pub mod ddl;
mod functions;
mod operators;
mod rights;
mod rules;
mod user_types;

#[derive(Clone, Debug)]
pub enum Utility {
    // --- transactions
    Begin {
        modes: TransactionModes,
        /// START TRANSACTION, which is answered as such.
        is_start: bool,
    },
    Commit {
        chain: bool,
    },
    Rollback {
        chain: bool,
    },
    /// PREPARE TRANSACTION: disabled, as PostgreSQL has it by default.
    PrepareTransaction,
    /// COMMIT PREPARED and ROLLBACK PREPARED of a transaction's name; there are none.
    FinishPrepared {
        tag: &'static str,
        name: String,
    },
    Savepoint(String),
    RollbackTo(String),
    Release(String),
    /// SET TRANSACTION (false) and SET SESSION CHARACTERISTICS AS TRANSACTION (true).
    SetTransaction {
        modes: TransactionModes,
        session: bool,
    },
    /// SET CONSTRAINTS; None: ALL.
    SetConstraints {
        names: Option<Vec<Vec<String>>>,
        deferred: bool,
    },
    LockTable {
        relations: Vec<Oid>,
        mode: TableLock,
        nowait: bool,
    },

    // --- settings
    Set {
        name: String,
        value: SetValue,
        local: bool,
    },
    Reset(String),
    ResetAll,
    Show(String),
    ShowAll,
    /// SET ROLE / SET SESSION AUTHORIZATION; None: NONE/DEFAULT.
    SetRole {
        role: Option<String>,
        local: bool,
    },
    SetSessionAuthorization {
        role: Option<String>,
        local: bool,
    },
    Discard(DiscardTarget),

    // --- prepared statements and cursors
    Prepare {
        name: String,
        types: Vec<SqlType>,
        statement: Arc<Statement>,
    },
    /// Arguments are bound expressions without columns.
    Execute {
        name: String,
        args: Vec<crate::Expr>,
    },
    /// None: ALL.
    Deallocate(Option<String>),
    Declare {
        name: String,
        query: Box<Query>,
        scroll: Option<bool>,
        hold: bool,
        binary: bool,
    },
    Fetch {
        cursor: String,
        direction: FetchDirection,
        is_move: bool,
    },
    /// None: ALL.
    Close(Option<String>),

    // --- bulk and maintenance
    Copy(Box<Copy>),
    Explain {
        statement: Box<Explained>,
        options: ExplainOptions,
    },
    /// ANALYZE, VACUUM, CLUSTER, REINDEX, CHECKPOINT.
    Maintain(Box<Maintain>),
    /// To a channel.
    Listen(String),
    /// None: all channels.
    Unlisten(Option<String>),
    Notify {
        channel: String,
        payload: String,
    },

    Ddl(Arc<ddl::Ddl>),
}

/// Maintenance: the only work that is left to do is gathering statistics; the rest (collecting old versions, keeping rows and
/// indexes in order) goes on by itself, so that its names are checked and it is answered.
#[derive(Clone, Debug)]
pub struct Maintain {
    /// The command tag: ANALYZE, VACUUM, CLUSTER, REINDEX, CHECKPOINT.
    pub tag: &'static str,
    /// What to gather statistics of: relations with their attributes, none of them meaning all.
    pub analyze: Vec<(Oid, Vec<i16>)>,
    /// Indexes that do not hold every row yet, to be filled.
    pub reindex: Vec<Oid>,
    /// Fill them while their relations are written to.
    pub concurrently: bool,
    /// Warnings about what was left out.
    pub notices: Vec<types::SqlError>,
    /// 25001 in a transaction block.
    pub outside_block: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IsolationLevel {
    ReadUncommitted,
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct TransactionModes {
    pub isolation: Option<IsolationLevel>,
    pub read_only: Option<bool>,
    pub deferrable: Option<bool>,
    /// AS OF SYSTEM TIME on the transaction.
    pub as_of: Option<String>,
    /// SET TRANSACTION SNAPSHOT.
    pub snapshot: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum SetValue {
    Default,
    /// FROM CURRENT is refused; a list (`search_path = a, b`) keeps its items.
    Items(Vec<String>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiscardTarget {
    All,
    Plans,
    Sequences,
    Temporary,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FetchDirection {
    Next,
    Prior,
    First,
    Last,
    Absolute(i64),
    Relative(i64),
    /// Negative: backward.
    Count(i64),
    All,
    BackwardAll,
}

#[derive(Clone, Debug)]
pub struct Copy {
    pub direction: CopyDirection,
    pub format: CopyFormat,
    /// The columns in file order; for COPY FROM their attributes.
    pub columns: Vec<(String, SqlType)>,
}

#[derive(Clone, Debug)]
pub enum CopyDirection {
    /// Rows come as `Values`-like input of this Insert (its `input` is a placeholder `Values` with no rows; positions = file columns).
    From {
        insert: Box<Query>,
        relation: Oid,
        attributes: Vec<i16>,
        filter: Option<crate::Expr>,
    },
    To {
        query: Box<Query>,
    },
}

#[derive(Clone, Debug)]
pub struct CopyFormat {
    /// FREEZE: asks for a relation that this transaction has made or emptied, and nothing else here.
    pub freeze: bool,
    pub kind: CopyKind,
    pub delimiter: u8,
    pub null: String,
    /// That of the file; binary files are UTF-8.
    pub encoding: Encoding,
    /// csv
    pub quote: u8,
    pub escape: u8,
    pub header: CopyHeader,
    /// Columns by position.
    pub force_quote: Vec<bool>,
    pub force_not_null: Vec<bool>,
    pub force_null: Vec<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CopyKind {
    Text,
    Csv,
    Binary,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CopyHeader {
    None,
    Present,
    Match,
}

#[derive(Clone, Debug)]
pub enum Explained {
    Query(Query),
    Rewritten(crate::Rewritten),
    /// EXPLAIN EXECUTE name(args).
    Execute {
        name: String,
        args: Vec<crate::Expr>,
    },
    /// Utility statements have no plan: "Utility statements have no plan structure".
    Utility,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ExplainFormat {
    #[default]
    Text,
    Json,
    Yaml,
}

#[derive(Clone, Debug, Default)]
pub struct ExplainOptions {
    pub analyze: bool,
    pub verbose: bool,
    /// Default true.
    pub costs: bool,
    pub timing: bool,
    pub summary: Option<bool>,
    pub settings: bool,
    pub format: ExplainFormat,
}
