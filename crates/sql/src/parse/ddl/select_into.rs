//! SELECT … INTO: CREATE TABLE AS in another order. The query is the same text with blanks for the INTO clause, so that positions stay.

use super::cursor::{Cursor, Result};
use crate::utility::ddl::*;
use sqlparser::tokenizer::{Token, Word};

impl Cursor<'_, '_> {
    /// None (and nothing consumed) unless the statement is a SELECT with an INTO of its own.
    pub(super) fn select_into(&mut self) -> Option<Result<Ddl>> {
        if !self.peek("select") && !self.peek("with") || !self.has_into() {
            return None;
        }
        Some(self.read_select_into().and_then(|ddl| self.expect_end().map(|()| ddl)))
    }

    /// Looks for INTO outside of parentheses, up to the end of the statement; INSERT INTO and MERGE INTO are others' words.
    fn has_into(&self) -> bool {
        let is = |token: &Token, name: &str| matches!(token, Token::Word(Word { value, quote_style: None, .. }) if value.eq_ignore_ascii_case(name));
        let mut index = self.next_index();
        let mut depth = 0_usize;
        loop {
            let token = &self.parser.token_at(index).token;
            match token {
                Token::EOF | Token::SemiColon => return false,
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                _ if depth == 0 && (is(token, "insert") || is(token, "merge")) => return false,
                _ if depth == 0 && is(token, "into") => return true,
                _ => {}
            }
            index += 1;
        }
    }

    /// Index of the next token. The parser tells only that of the last one, and 0 at the very start too.
    fn next_index(&self) -> usize {
        let next = self.parser.peek_token_ref().span;
        let last = self.parser.get_current_index();
        if self.parser.token_at(last).span == next { last } else { last + 1 }
    }

    fn read_select_into(&mut self) -> Result<Ddl> {
        let first = self.next_index();
        let mut query = self.query()?;
        let last = self.parser.get_current_index();
        // Read again from INTO on: sqlparser has checked the whole, the clause is ours.
        let resume = last;
        let mut depth = 0_usize;
        let mut index = first;
        let into = loop {
            match &self.parser.token_at(index).token {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                Token::Word(Word { value, quote_style: None, .. })
                    if depth == 0 && value.eq_ignore_ascii_case("into") =>
                {
                    break index;
                }
                _ if index >= last => return Err(self.syntax_error()),
                _ => {}
            }
            index += 1;
        };
        while self.next_index() > into {
            self.parser.prev_token();
        }
        let start = self.parser.peek_token_ref().span.start;
        self.expect(&["into"])?;
        let is_temporary =
            self.accept_any(&["local", "global"]).is_some() | self.accept_any(&["temp", "temporary"]).is_some();
        self.accept_word("unlogged");
        self.accept_word("table");
        let name = self.name()?;
        let end = self.parser.get_current_token().span.end;
        while self.parser.get_current_index() < resume {
            self.advance();
        }
        let offset = |location| self.source.position(location).saturating_sub(query.position) as usize;
        let (from, to) = (offset(start), offset(end));
        let blanked = query.text.chars().enumerate().map(|(i, c)| if (from..to).contains(&i) { ' ' } else { c });
        query.text = blanked.collect();
        Ok(Ddl::CreateTableAs(Box::new(CreateTableAs {
            name,
            if_not_exists: false,
            is_temporary,
            is_materialized_view: false,
            is_select_into: true,
            columns: vec![],
            options: vec![],
            on_commit: OnCommit::PreserveRows,
            query,
            is_execute: false,
            with_data: true,
        })))
    }
}
