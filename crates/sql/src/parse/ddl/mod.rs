//! The grammar of DDL: from sqlparser's tokens to `utility::ddl::Ddl`, as PostgreSQL 15's grammar has it.
//!
//! sqlparser tokenises, and parses the expressions and queries inside; the statements around them are read here, because its
//! own trees lack much of PostgreSQL's DDL (ALTER SEQUENCE, ALTER INDEX, CREATE SCHEMA with elements, column options) and
//! accept much that PostgreSQL refuses. Expressions and queries are kept as text (`SqlText`) that is bound when it is needed.
//!
//! `parse` is asked first with every statement: it looks at the leading words and leaves alone what is not DDL. Statements
//! that PostgreSQL has and Hyrax does not (triggers, procedures, …) become `Ddl::Unsupported`, so that the binder
//! refuses them with 0A000 when it is their turn, not the whole string.

mod aggregates;
mod alter;
mod create;
mod cursor;
mod drop;
mod functions;
mod grants;
mod operators;
mod rules;
mod select_into;
mod sequences;
mod tables;
#[cfg(test)]
mod tests;
mod user_types;

use crate::utility::ddl::Ddl;
pub(super) use cursor::Cursor;
pub(crate) use cursor::Source;
use sqlparser::parser::Parser;
use types::SqlError;

/// Reads one DDL statement at the parser's position, up to its semicolon. None (and nothing consumed): it is no DDL.
/// `source` is the text that the parser's tokens were made from.
pub(crate) fn parse(parser: &mut Parser<'_>, source: &Source<'_>) -> Option<Result<Ddl, SqlError>> {
    let mut cursor = Cursor { parser, source };
    if !cursor.starts_ddl() {
        return cursor.select_into();
    }
    Some(cursor.statement().and_then(|ddl| cursor.expect_end().map(|()| ddl)))
}

impl Cursor<'_, '_> {
    /// By the first words.
    fn starts_ddl(&self) -> bool {
        const FIRST: &[&str] = &["create", "alter", "drop", "truncate", "grant", "revoke", "reassign", "refresh"];
        match self.peek_word() {
            Some(word) if FIRST.contains(&word.as_str()) => true,
            Some(word) => match word.as_str() {
                "comment" => self.peek_words(&["comment", "on"]),
                "security" => self.peek_words(&["security", "label"]),
                "import" => self.peek_words(&["import", "foreign"]),
                _ => false,
            },
            None => false,
        }
    }

    fn statement(&mut self) -> Result<Ddl, SqlError> {
        let position = self.position();
        let word = self.peek_word().unwrap_or_default();
        match word.as_str() {
            "create" => self.create(),
            "alter" => self.alter(),
            "drop" => self.drop(),
            "truncate" => self.truncate(),
            "grant" | "revoke" => self.grant_or_revoke(),
            "reassign" => self.reassign_owned(),
            "comment" => self.comment(),
            "refresh" => self.refresh(),
            _ => self.unsupported(&word, position),
        }
    }
}
