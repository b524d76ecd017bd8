//! Errors of COPY FROM, with PostgreSQL's CONTEXT: `COPY t, line 3, column a: "x"`.

use types::{SqlError, SqlState};

/// Characters of the line or value that are shown.
const SHOWN_MAX: usize = 100;

fn shown(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.into_owned(),
    }
}

pub(super) fn bad_format(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, message)
}

pub(super) fn at_line(error: SqlError, table: &str, line: u64, text: &[u8]) -> SqlError {
    error.context(format!("COPY {table}, line {line}: \"{}\"", shown(text)))
}

pub(super) fn at_line_only(error: SqlError, table: &str, line: u64) -> SqlError {
    error.context(format!("COPY {table}, line {line}"))
}

/// In a column; None: the value was NULL.
pub(super) fn at_column(error: SqlError, table: &str, line: u64, column: &str, value: Option<&[u8]>) -> SqlError {
    error.context(match value {
        Some(value) => format!("COPY {table}, line {line}, column {column}: \"{}\"", shown(value)),
        None => format!("COPY {table}, line {line}, column {column}: null input"),
    })
}
