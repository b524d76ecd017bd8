//! Prepared statements and their plans; `planning` makes these.

use crate::rewritten::RewrittenWork;
use exec::Prepared;
use parking_lot::Mutex;
use sql::logical::CommandTag;
use sql::utility::Utility;
use sql::{ResultColumn, Statement, StatementKind};
use std::sync::Arc;
use types::{Result, SqlType};

/// A statement's text and, as long as it holds, its plan.
pub(crate) struct PreparedStatement {
    pub text: Arc<str>,
    /// None: the string holds no statement.
    kind: Option<StatementKind>,
    syntax: Mutex<Syntax>,
    /// What the client said of $1, $2, …
    given: Vec<Option<SqlType>>,
    planned: Mutex<Option<Arc<Planned>>>,
    /// Microseconds since 2000, for pg_prepared_statements.
    pub prepared_at: i64,
    pub from_sql: bool,
    /// Its parameters are the literals of other texts (`template`): it keeps their types for good.
    pub is_template: bool,
}

/// What a statement is planned from.
enum Syntax {
    Tree(Option<Arc<Statement>>),
    /// A tree that its text gives again, read with this `standard_conforming_strings`: a session remembers many statements, and a tree
    /// is larger than all else of one. It is kept until it has been planned.
    OfText(Arc<Statement>, bool),
    Text(bool),
}

impl PreparedStatement {
    pub fn new(text: Arc<str>, syntax: Option<Arc<Statement>>, given: Vec<Option<SqlType>>, now: i64) -> Arc<Self> {
        Arc::new(PreparedStatement::made(text, syntax, given, now))
    }

    fn made(text: Arc<str>, syntax: Option<Arc<Statement>>, given: Vec<Option<SqlType>>, now: i64) -> Self {
        let (planned, from_sql, is_template) = (Mutex::default(), false, false);
        let kind = syntax.as_ref().map(|syntax| syntax.kind());
        let syntax = Mutex::new(Syntax::Tree(syntax));
        PreparedStatement { text, kind, syntax, given, planned, prepared_at: now, from_sql, is_template }
    }

    /// Its text holds nothing else: what is kept of it when it has been planned.
    pub fn is_its_text(&self, standard_conforming_strings: bool) {
        let mut syntax = self.syntax.lock();
        if let Syntax::Tree(Some(tree)) = &*syntax {
            *syntax = Syntax::OfText(tree.clone(), standard_conforming_strings);
        }
    }

    /// The same, not yet planned.
    pub fn anew(&self, now: i64) -> Arc<Self> {
        let syntax = match &*self.syntax.lock() {
            Syntax::Tree(tree) => Syntax::Tree(tree.clone()),
            Syntax::OfText(_, standard) | Syntax::Text(standard) => Syntax::Text(*standard),
        };
        let (text, kind, given) = (self.text.clone(), self.kind, self.given.clone());
        let made = PreparedStatement::made(text, None, given, now);
        Arc::new(PreparedStatement { kind, syntax: Mutex::new(syntax), ..made })
    }

    /// Whether its text means the same with this `standard_conforming_strings`.
    pub fn is_read_as(&self, standard_conforming_strings: bool) -> bool {
        match &*self.syntax.lock() {
            Syntax::Tree(_) => true,
            Syntax::OfText(_, own) | Syntax::Text(own) => *own == standard_conforming_strings,
        }
    }

    /// The string holds no statement.
    pub fn is_empty(&self) -> bool {
        self.kind.is_none()
    }

    /// Its tree, from its text where that was kept alone. None: the string holds no statement.
    pub fn syntax(&self) -> Result<Option<Arc<Statement>>> {
        let standard = match &*self.syntax.lock() {
            Syntax::Tree(tree) => return Ok(tree.clone()),
            Syntax::OfText(tree, _) => return Ok(Some(tree.clone())),
            Syntax::Text(standard) => *standard,
        };
        Ok(sql::parse(&self.text, standard)?.pop().map(Arc::new))
    }

    /// A text with parameters in the place of literals.
    pub fn template(text: Arc<str>, syntax: Arc<Statement>, given: Vec<Option<SqlType>>, now: i64) -> Arc<Self> {
        let made = PreparedStatement::made(text, Some(syntax), given, now);
        Arc::new(PreparedStatement { is_template: true, ..made })
    }

    /// What PREPARE makes.
    pub fn from_sql(text: Arc<str>, syntax: Arc<Statement>, given: Vec<Option<SqlType>>, now: i64) -> Arc<Self> {
        let made = PreparedStatement::made(text, Some(syntax), given, now);
        Arc::new(PreparedStatement { from_sql: true, ..made })
    }

    /// The columns of its result, as it was last planned.
    pub fn columns(&self) -> Option<Vec<ResultColumn>> {
        self.planned.lock().as_ref().map(|planned| planned.columns.clone())
    }

    /// Types of $1, $2, …, as it was last planned.
    pub fn parameter_types(&self) -> Vec<SqlType> {
        self.planned.lock().as_ref().map(|planned| planned.parameters.clone()).unwrap_or_default()
    }

    /// Nobody was promised the columns that it had. A template keeps them: its parameters have been read for its types.
    pub fn forget(&self) {
        if self.is_template {
            return;
        }
        *self.planned.lock() = None;
    }

    /// Whether its plan was made for another state of catalog or settings.
    pub fn is_stale(&self, epoch: u64) -> bool {
        self.planned.lock().as_ref().is_some_and(|planned| planned.epoch != epoch)
    }

    pub fn kind(&self) -> StatementKind {
        self.kind.unwrap_or(StatementKind::Utility)
    }

    pub fn is_transaction_control(&self) -> bool {
        self.kind.is_some_and(StatementKind::is_transaction_control)
    }

    /// The plan that was made last, for whatever state of catalog and settings.
    pub fn last_plan(&self) -> Option<Arc<Planned>> {
        self.planned.lock().clone()
    }

    pub fn keep_plan(&self, planned: Arc<Planned>) {
        *self.planned.lock() = Some(planned);
        let mut syntax = self.syntax.lock();
        if let Syntax::OfText(_, standard) = *syntax {
            *syntax = Syntax::Text(standard);
        }
    }

    pub fn given(&self) -> &[Option<SqlType>] {
        &self.given
    }
}

impl Planned {
    /// Whether a direct plan: no operators, no batches.
    pub fn is_direct(&self) -> bool {
        matches!(&self.work, Work::Query(prepared) if prepared.is_direct())
    }

    /// Whether a statement may be run with so many parameters: one of each, or, of an INSERT of literals, those of all its rows.
    pub fn takes(&self, parameters: usize) -> bool {
        let width = self.parameters.len();
        let inserts = matches!(&self.work, Work::Query(prepared) if prepared.plan.tag == CommandTag::Insert);
        parameters == width || inserts && self.is_direct() && width > 0 && parameters.is_multiple_of(width)
    }
}

/// A statement bound (and planned) against one state of catalog and settings.
pub(crate) struct Planned {
    pub epoch: u64,
    pub work: Work,
    pub parameters: Vec<SqlType>,
    pub columns: Vec<ResultColumn>,
    /// Whether it has a result at all: that of `SELECT FROM t` has no columns.
    pub returns_rows: bool,
}

impl Planned {
    pub fn new(epoch: u64, work: Work, parameters: Vec<SqlType>, columns: Vec<ResultColumn>) -> Planned {
        let is_select = matches!(&work, Work::Query(prepared) if prepared.plan.tag == CommandTag::Select);
        Planned { epoch, work, parameters, returns_rows: is_select || !columns.is_empty(), columns }
    }
}

pub(crate) enum Work {
    Query(Arc<Prepared>),
    Rewritten(Arc<RewrittenWork>),
    Utility(Arc<Utility>),
    /// The empty string.
    Nothing,
}
