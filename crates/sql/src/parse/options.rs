//! Options as COPY, VACUUM and their like take them: `(name [value], …)`, kept in order with their positions.

use super::ddl::Cursor;
use crate::utility::ddl::Name;
use sqlparser::tokenizer::Token;
use types::{Result, SqlError, SqlState};

#[derive(Debug)]
pub(crate) struct GivenOption {
    pub(crate) name: String,
    pub(crate) position: u32,
    pub(crate) value: Option<OptionValue>,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum OptionValue {
    Text(String),
    Number(String),
    Star,
    List(Vec<String>),
}

impl GivenOption {
    pub(crate) fn text(name: &str, value: &str, position: u32) -> GivenOption {
        GivenOption { name: name.to_owned(), position, value: Some(OptionValue::Text(value.to_owned())) }
    }

    /// Whether it is switched on: no value, a Boolean, 0 or 1.
    pub(crate) fn boolean(&self) -> Result<bool> {
        let value = match &self.value {
            None => Some(true),
            Some(OptionValue::Number(number)) => {
                number.parse::<i32>().ok().filter(|n| matches!(n, 0 | 1)).map(|n| n == 1)
            }
            Some(OptionValue::Text(text)) => match text.to_lowercase().as_str() {
                "true" | "on" => Some(true),
                "false" | "off" => Some(false),
                _ => None,
            },
            Some(_) => None,
        };
        value.ok_or_else(|| SqlError::new(SqlState::SYNTAX_ERROR, format!("{} requires a Boolean value", self.name)))
    }

    /// Its value as text: words, strings and numbers.
    pub(crate) fn string(&self) -> Result<&str> {
        match &self.value {
            Some(OptionValue::Text(text) | OptionValue::Number(text)) => Ok(text),
            Some(OptionValue::Star) => Ok("*"),
            _ => Err(SqlError::new(SqlState::SYNTAX_ERROR, format!("{} requires a parameter", self.name))),
        }
    }
}

impl Cursor<'_, '_> {
    /// `(name [value], …)`
    pub(super) fn given_options(&mut self) -> Result<Vec<GivenOption>> {
        self.parenthesized(Self::given_option)
    }

    fn given_option(&mut self) -> Result<GivenOption> {
        let Name { name, position } = self.label()?;
        let value = match self.parser.peek_token_ref().token {
            Token::Comma | Token::RParen => None,
            Token::Mul => {
                self.advance();
                Some(OptionValue::Star)
            }
            Token::LParen => Some(OptionValue::List(self.parenthesized(Self::option_value)?)),
            Token::Number(..) | Token::Minus | Token::Plus => Some(OptionValue::Number(self.option_value()?)),
            _ => Some(OptionValue::Text(self.option_value()?)),
        };
        Ok(GivenOption { name, position, value })
    }
}
