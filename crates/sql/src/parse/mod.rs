//! From text to syntax trees: sqlparser with our dialect, our front for statements it lacks, guards against depth.

pub(crate) mod ddl;

use sqlparser::ast;

/// One statement as parsed: its syntax tree and where it stands in the text it came from.
#[derive(Debug)]
pub struct Statement {
    pub(crate) syntax: Syntax,
    text: String,
    /// 0-based character offset of `text` in the whole string; added to every position.
    offset: u32,
}

#[derive(Debug)]
pub(crate) enum Syntax {
    Sql(Box<ast::Statement>),
    /// What `ddl::parse` took.
    Ddl(crate::utility::ddl::Ddl),
}

impl Statement {
    /// The statement's own source, without the semicolon.
    pub fn text(&self) -> &str {
        &self.text
    }
    pub fn offset(&self) -> u32 {
        self.offset
    }
}
