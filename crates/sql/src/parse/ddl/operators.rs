//! CREATE and ALTER OPERATOR, how operators are named with their operands, and the attributes of definitions.

use super::cursor::{Cursor, Result};
use crate::parse::expr::spelling;
use crate::utility::ddl::*;
use sqlparser::tokenizer::{Token, Word};
use types::{SqlError, SqlState};

impl Cursor<'_, '_> {
    /// `===` or `schema.===`.
    pub(super) fn operator(&mut self) -> Result<ObjectName> {
        let position = self.position();
        let mut parts = vec![];
        while self.at_identifier() {
            parts.push(self.identifier()?.name);
            self.expect_token(&Token::Period)?;
        }
        // `=>` stands between a parameter's name and its value.
        let symbol = match &self.parser.peek_token_ref().token {
            Token::RArrow => None,
            token => spelling(token).map(str::to_owned),
        };
        let Some(symbol) = symbol else { return Err(self.syntax_error()) };
        self.advance();
        parts.push(symbol);
        Ok(ObjectName { parts, position })
    }

    /// `===(integer, integer)`; NONE for the operand that a prefix operator does not have.
    pub(super) fn operator_name(&mut self) -> Result<OperatorName> {
        let name = self.operator()?;
        self.expect_token(&Token::LParen)?;
        let left = self.operand()?;
        if self.peek_token(&Token::RParen) {
            let message = "missing argument";
            let hint = "Use NONE to denote the missing argument of a unary operator.";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).hint(hint).at(self.position()));
        }
        self.expect_token(&Token::Comma)?;
        let right = self.operand()?;
        if left.is_none() && right.is_none() {
            return Err(self.syntax_error());
        }
        self.expect_token(&Token::RParen)?;
        Ok(OperatorName { name, left, right })
    }

    fn operand(&mut self) -> Result<Option<SqlText>> {
        if self.accept_word("none") { Ok(None) } else { self.type_name().map(Some) }
    }

    /// `(name = value, name, …)`.
    pub(super) fn definition(&mut self) -> Result<Vec<Attribute>> {
        self.parenthesized(|c| {
            let name = c.label()?;
            let value = if c.accept_token(&Token::Eq) { Some(c.attribute_value()?) } else { None };
            Ok(Attribute { name, value })
        })
    }

    fn attribute_value(&mut self) -> Result<AttributeValue> {
        if self.at_string() {
            return self.string().map(AttributeValue::Text);
        }
        match &self.parser.peek_token_ref().token {
            Token::Word(Word { quote_style: None, value, .. }) if value.eq_ignore_ascii_case("none") => {
                self.advance();
                Ok(AttributeValue::None)
            }
            Token::Word(Word { quote_style: None, value, .. }) if value.eq_ignore_ascii_case("operator") => {
                self.advance();
                self.expect_token(&Token::LParen)?;
                let name = self.operator()?;
                self.expect_token(&Token::RParen)?;
                Ok(AttributeValue::Operator(name))
            }
            // A reserved word is a name here: `sortop = all`, `parallel = true`.
            Token::Word(_) => match self.at_type() {
                true => self.type_name().map(AttributeValue::Type),
                false => {
                    let Name { name, position } = self.label()?;
                    Ok(AttributeValue::Type(SqlText { text: name, position }))
                }
            },
            Token::Number(..) => self.option_value().map(AttributeValue::Number),
            Token::Minus | Token::Plus if matches!(self.parser.peek_nth_token_ref(1).token, Token::Number(..)) => {
                self.option_value().map(AttributeValue::Number)
            }
            _ => self.operator().map(AttributeValue::Operator),
        }
    }

    pub(super) fn create_operator(&mut self, position: u32) -> Result<Ddl> {
        self.advance();
        if self.accept_any(&["class", "family"]).is_some() {
            return self.unsupported("CREATE OPERATOR CLASS", position);
        }
        let name = self.operator()?;
        Ok(Ddl::CreateOperator(CreateOperator { name, attributes: self.definition()? }))
    }

    pub(super) fn alter_operator(&mut self, position: u32) -> Result<Ddl> {
        self.advance();
        if self.accept_any(&["class", "family"]).is_some() {
            return self.unsupported("ALTER OPERATOR CLASS", position);
        }
        let operator = self.operator_name()?;
        let action = if self.accept(&["owner", "to"]) {
            AlterOperator::Owner(self.role()?)
        } else if self.accept(&["set", "schema"]) {
            AlterOperator::SetSchema(self.identifier()?)
        } else {
            self.expect(&["set"])?;
            AlterOperator::Set(self.definition()?)
        };
        Ok(Ddl::AlterOperator { operator, action })
    }

    pub(super) fn drop_operators(&mut self, position: u32) -> Result<Ddl> {
        self.advance();
        if self.accept_any(&["class", "family"]).is_some() {
            return self.unsupported("DROP OPERATOR CLASS", position);
        }
        let if_exists = self.accept(&["if", "exists"]);
        let operators = self.list(Self::operator_name)?;
        Ok(Ddl::DropOperators { operators, if_exists, cascade: self.drop_behavior() })
    }
}
