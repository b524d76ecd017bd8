//! The error that may reach a client: PostgreSQL's fields, boxed so that `Result` stays one word.

use crate::SqlState;
use std::fmt;

pub type Result<T, E = SqlError> = std::result::Result<T, E>;

/// An error or a notice with PostgreSQL's fields. Messages are written in PostgreSQL's manner:
/// lower case, no full stop, names in double quotes; detail and hint are sentences.
#[derive(Clone, PartialEq)]
pub struct SqlError(Box<Fields>);

/// The fields of the protocol's ErrorResponse and NoticeResponse.
#[derive(Clone, Debug, PartialEq)]
pub struct Fields {
    pub severity: Severity,
    pub code: SqlState,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    /// 1-based index of a *character* of the query text.
    pub position: Option<u32>,
    /// Context lines (`W`), for instance the line of a COPY.
    pub context: Option<String>,
    pub schema: Option<String>,
    pub table: Option<String>,
    pub column: Option<String>,
    pub datatype: Option<String>,
    pub constraint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Debug,
    Log,
    Info,
    Notice,
    Warning,
    Error,
    Fatal,
    Panic,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Debug => "DEBUG",
            Severity::Log => "LOG",
            Severity::Info => "INFO",
            Severity::Notice => "NOTICE",
            Severity::Warning => "WARNING",
            Severity::Error => "ERROR",
            Severity::Fatal => "FATAL",
            Severity::Panic => "PANIC",
        }
    }
}

impl SqlError {
    pub fn new(code: SqlState, message: impl Into<String>) -> SqlError {
        SqlError(Box::new(Fields {
            severity: Severity::Error,
            code,
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
            context: None,
            schema: None,
            table: None,
            column: None,
            datatype: None,
            constraint: None,
        }))
    }

    /// 0A000: Hyrax does not do this (yet). `what` reads on from nothing: "triggers are not supported".
    pub fn unsupported(what: impl Into<String>) -> SqlError {
        SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, what)
    }

    /// XX000: an invariant of ours broke; the statement ends, the session lives.
    pub fn internal(message: impl Into<String>) -> SqlError {
        SqlError::new(SqlState::INTERNAL_ERROR, message)
    }

    pub fn severity(mut self, severity: Severity) -> SqlError {
        self.0.severity = severity;
        self
    }
    pub fn detail(mut self, detail: impl Into<String>) -> SqlError {
        self.0.detail = Some(detail.into());
        self
    }
    pub fn hint(mut self, hint: impl Into<String>) -> SqlError {
        self.0.hint = Some(hint.into());
        self
    }
    pub fn context(mut self, context: impl Into<String>) -> SqlError {
        self.0.context = Some(context.into());
        self
    }
    /// Sets the position unless one is set already (the innermost knows best). 0 means unknown.
    pub fn at(mut self, position: u32) -> SqlError {
        if self.0.position.is_none() && position != 0 {
            self.0.position = Some(position);
        }
        self
    }
    pub fn schema(mut self, name: impl Into<String>) -> SqlError {
        self.0.schema = Some(name.into());
        self
    }
    pub fn table(mut self, name: impl Into<String>) -> SqlError {
        self.0.table = Some(name.into());
        self
    }
    pub fn column(mut self, name: impl Into<String>) -> SqlError {
        self.0.column = Some(name.into());
        self
    }
    pub fn datatype(mut self, name: impl Into<String>) -> SqlError {
        self.0.datatype = Some(name.into());
        self
    }
    pub fn constraint(mut self, name: impl Into<String>) -> SqlError {
        self.0.constraint = Some(name.into());
        self
    }

    pub fn code(&self) -> SqlState {
        self.0.code
    }
    pub fn message(&self) -> &str {
        &self.0.message
    }
    pub fn fields(&self) -> &Fields {
        &self.0
    }
    pub fn fields_mut(&mut self) -> &mut Fields {
        &mut self.0
    }
}

impl fmt::Debug for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.0.severity.as_str(), self.0.message, self.0.code)
    }
}

impl std::error::Error for SqlError {}
