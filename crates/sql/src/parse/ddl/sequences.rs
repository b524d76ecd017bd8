//! CREATE and ALTER SEQUENCE, and the options of identity columns.

use super::cursor::{Cursor, Result};
use crate::utility::ddl::*;
use sqlparser::tokenizer::Token;
use types::{SqlError, SqlState};

impl Cursor<'_, '_> {
    /// After CREATE [TEMP] SEQUENCE.
    pub(super) fn create_sequence(&mut self, is_temporary: bool) -> Result<Ddl> {
        let if_not_exists = self.accept(&["if", "not", "exists"]);
        let name = self.name()?;
        let options = self.sequence_options()?;
        Ok(Ddl::CreateSequence(Box::new(CreateSequence { name, if_not_exists, is_temporary, options })))
    }

    pub(super) fn sequence_options(&mut self) -> Result<SequenceOptions> {
        let mut options = SequenceOptions::default();
        loop {
            let position = self.position();
            if !self.sequence_option(&mut options, position)? {
                return Ok(options);
            }
        }
    }

    /// One option, if one is next.
    fn sequence_option(&mut self, options: &mut SequenceOptions, position: u32) -> Result<bool> {
        if self.accept_word("as") {
            let ty = self.type_name()?;
            return set(&mut options.ty, ty, position);
        }
        if self.accept_word("start") {
            self.accept_word("with");
            let value = self.integer()?;
            return set(&mut options.start, value, position);
        }
        if self.accept_word("increment") {
            self.accept_word("by");
            let value = self.integer()?;
            return set(&mut options.increment, value, position);
        }
        if self.accept_word("minvalue") {
            let value = self.integer()?;
            return set(&mut options.min, Some(value), position);
        }
        if self.accept_word("maxvalue") {
            let value = self.integer()?;
            return set(&mut options.max, Some(value), position);
        }
        if self.accept(&["no", "minvalue"]) {
            return set(&mut options.min, None, position);
        }
        if self.accept(&["no", "maxvalue"]) {
            return set(&mut options.max, None, position);
        }
        if self.accept_word("cache") {
            let value = self.integer()?;
            return set(&mut options.cache, value, position);
        }
        if self.accept_word("cycle") {
            return set(&mut options.cycle, true, position);
        }
        if self.accept(&["no", "cycle"]) {
            return set(&mut options.cycle, false, position);
        }
        if self.accept(&["sequence", "name"]) {
            let name = self.name()?;
            return set(&mut options.name, name, position);
        }
        if self.accept_word("restart") {
            let has_value = self.accept_word("with")
                || matches!(self.parser.peek_token_ref().token, Token::Number(..) | Token::Minus | Token::Plus);
            let value = if has_value { Some(self.integer()?) } else { None };
            return set(&mut options.restart, value, position);
        }
        if self.accept(&["owned", "by"]) {
            let owner = if self.accept_word("none") { None } else { Some(self.name()?) };
            return set(&mut options.owned_by, owner, position);
        }
        Ok(false)
    }
}

fn set<T>(place: &mut Option<T>, value: T, position: u32) -> Result<bool> {
    if place.is_some() {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "conflicting or redundant options").at(position));
    }
    *place = Some(value);
    Ok(true)
}
