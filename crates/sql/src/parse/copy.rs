//! The grammar of COPY: PostgreSQL 15's, with the forms of before 9.0 (`WITH CSV HEADER`) and of before 7.3 (`COPY BINARY t`,
//! `USING DELIMITERS`). Options are kept in order with their positions; what they mean is the binder's.

use super::ddl::Cursor;
use super::options::{GivenOption, OptionValue};
use super::{Statement, Syntax, error, session::Front};
use crate::utility::ddl::{Name, ObjectName};
use sqlparser::ast;
use sqlparser::parser::ParserError;
use sqlparser::tokenizer::Token;
use types::{Result, SqlError, SqlState};

#[derive(Debug)]
pub(crate) struct CopyStatement {
    pub(crate) source: CopySource,
    pub(crate) is_from: bool,
    pub(crate) place: CopyPlace,
    /// Where the name of the file stands, or STDIN.
    pub(crate) place_position: u32,
    pub(crate) options: Vec<GivenOption>,
    pub(crate) filter: Option<ast::Expr>,
}

#[derive(Debug)]
pub(crate) enum CopySource {
    /// Without a list of columns: all that can be copied.
    Relation {
        name: ObjectName,
        columns: Vec<Name>,
    },
    Query(Box<Statement>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CopyPlace {
    /// STDIN and STDOUT, which mean the same.
    Client,
    File,
    Program,
}

impl Front<'_, '_> {
    pub(super) fn copy(&mut self) -> Result<Syntax> {
        self.cursor().expect(&["copy"])?;
        let mut options = vec![];
        let position = self.cursor().position();
        let source = if self.cursor().peek_token(&Token::LParen) {
            self.copy_query()?
        } else {
            if self.cursor().accept_word("binary") {
                options.push(GivenOption::text("format", "binary", position));
            }
            let mut cursor = self.cursor();
            CopySource::Relation { name: cursor.name()?, columns: cursor.optional_columns()? }
        };
        let is_query = matches!(source, CopySource::Query(_));
        let mut cursor = self.cursor();
        let is_from = !is_query && cursor.accept_word("from");
        if !is_from {
            cursor.expect(&["to"])?;
        }
        let (place, place_position) = cursor.copy_place()?;
        cursor.copy_options(is_query, &mut options)?;
        let filter = if is_query { None } else { self.copy_filter(is_from)? };
        let copy = CopyStatement { source, is_from, place, place_position, options, filter };
        Ok(Syntax::Copy(Box::new(copy)))
    }

    /// `(SELECT …)`, or another statement that yields rows.
    fn copy_query(&mut self) -> Result<CopySource> {
        const FIRST: &[&str] = &["select", "values", "table", "with", "insert", "update", "delete", "merge"];
        self.parser.advance_token();
        let starts_query = self.cursor().peek_word().is_some_and(|word| FIRST.contains(&word.as_str()));
        if !starts_query && !self.cursor().peek_token(&Token::LParen) {
            return Err(self.cursor().syntax_error());
        }
        let statement = super::inner_statement(self.parser, self.source, self.text, self.lines)?;
        self.cursor().expect_token(&Token::RParen)?;
        Ok(CopySource::Query(Box::new(statement)))
    }

    fn copy_filter(&mut self, is_from: bool) -> Result<Option<ast::Expr>> {
        let position = self.cursor().position();
        if !self.cursor().accept_word("where") {
            return Ok(None);
        }
        if !is_from {
            let message = "WHERE clause not allowed with COPY TO";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
        }
        let parsed = self.parser.parse_expr();
        parsed.map(Some).map_err(|e: ParserError| error::from_parser(&e, self.parser, self.text, self.lines))
    }
}

impl Cursor<'_, '_> {
    /// `[PROGRAM] 'name'`, STDIN or STDOUT.
    fn copy_place(&mut self) -> Result<(CopyPlace, u32)> {
        let is_program = self.accept_word("program");
        let position = self.position();
        if self.accept_any(&["stdin", "stdout"]).is_some() {
            if is_program {
                let message = "STDIN/STDOUT not allowed with PROGRAM";
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
            }
            return Ok((CopyPlace::Client, position));
        }
        self.string()?;
        Ok((if is_program { CopyPlace::Program } else { CopyPlace::File }, position))
    }

    fn copy_options(&mut self, is_query: bool, options: &mut Vec<GivenOption>) -> Result<()> {
        let position = self.position();
        if !is_query {
            let using = self.accept_word("using");
            if using || self.peek("delimiters") {
                self.expect(&["delimiters"])?;
                let value = Some(OptionValue::Text(self.string()?));
                options.push(GivenOption { name: "delimiter".to_owned(), position, value });
            }
        }
        self.accept_word("with");
        if self.peek_token(&Token::LParen) {
            options.extend(self.given_options()?);
            return Ok(());
        }
        while let Some(option) = self.old_copy_option()? {
            options.push(option);
        }
        Ok(())
    }

    /// One of the words that stand without parentheses; None where none of them is next.
    fn old_copy_option(&mut self) -> Result<Option<GivenOption>> {
        const WORDS: &[&str] =
            &["binary", "freeze", "delimiter", "null", "csv", "header", "quote", "escape", "force", "encoding"];
        let position = self.position();
        let Some(word) = self.accept_any(WORDS) else { return Ok(None) };
        let (name, value) = match word {
            "binary" | "csv" => ("format", OptionValue::Text(word.to_owned())),
            "freeze" | "header" => (word, OptionValue::Text("true".to_owned())),
            "force" => return self.copy_force(position).map(Some),
            "encoding" => (word, OptionValue::Text(self.string()?)),
            _ => {
                self.accept_word("as");
                (word, OptionValue::Text(self.string()?))
            }
        };
        Ok(Some(GivenOption { name: name.to_owned(), position, value: Some(value) }))
    }

    /// `FORCE QUOTE {* | columns}`, `FORCE NOT NULL columns`, `FORCE NULL columns`.
    fn copy_force(&mut self, position: u32) -> Result<GivenOption> {
        let (name, takes_star) = if self.accept_word("quote") {
            ("force_quote", true)
        } else if self.accept(&["not", "null"]) {
            ("force_not_null", false)
        } else {
            self.expect(&["null"])?;
            ("force_null", false)
        };
        let value = if takes_star && self.accept_token(&Token::Mul) {
            OptionValue::Star
        } else {
            OptionValue::List(self.list(|c| c.identifier().map(|n| n.name))?)
        };
        Ok(GivenOption { name: name.to_owned(), position, value: Some(value) })
    }
}
