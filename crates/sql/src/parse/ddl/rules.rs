//! CREATE RULE and ALTER RULE. The statements of a rule are kept as text, once it is sure that they are statements.

use super::cursor::{Cursor, Result};
use crate::utility::ddl::*;
use catalog::RuleEvent;
use sqlparser::tokenizer::Token;
use types::{SqlError, SqlState};

/// Statements of one rule.
const ACTIONS_MAX: usize = 1_000;

impl Cursor<'_, '_> {
    pub(super) fn create_rule(&mut self, or_replace: bool, position: u32) -> Result<Ddl> {
        self.expect(&["rule"])?;
        let name = self.identifier()?;
        self.expect(&["as", "on"])?;
        let event = match self.accept_any(&["insert", "update", "delete", "select"]) {
            Some("insert") => RuleEvent::Insert,
            Some("update") => RuleEvent::Update,
            Some("delete") => RuleEvent::Delete,
            Some(_) => return self.unsupported("CREATE RULE … ON SELECT", position),
            None => return Err(self.syntax_error()),
        };
        self.expect(&["to"])?;
        let relation = self.name()?;
        let condition = if self.accept_word("where") { Some(self.expression()?) } else { None };
        self.expect(&["do"])?;
        let is_instead = self.accept_any(&["instead", "also"]) == Some("instead");
        let actions = self.rule_actions()?;
        Ok(Ddl::CreateRule(Box::new(CreateRule { name, or_replace, event, relation, condition, is_instead, actions })))
    }

    fn rule_actions(&mut self) -> Result<Vec<SqlText>> {
        if self.accept_word("nothing") {
            return Ok(vec![]);
        }
        if !self.accept_token(&Token::LParen) {
            return Ok(vec![self.rule_action()?]);
        }
        let mut actions = vec![];
        loop {
            while self.accept_token(&Token::SemiColon) {}
            if self.accept_token(&Token::RParen) {
                return Ok(actions);
            }
            if actions.len() >= ACTIONS_MAX {
                let message = format!("rule has too many actions (limit {ACTIONS_MAX})");
                return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
            }
            actions.push(self.rule_action()?);
            if !self.peek_token(&Token::SemiColon) && !self.peek_token(&Token::RParen) {
                return Err(self.syntax_error());
            }
        }
    }

    fn rule_action(&mut self) -> Result<SqlText> {
        const STATEMENTS: &[&str] = &["select", "values", "with", "insert", "update", "delete"];
        self.piece(|c| match c.peek_word().as_deref() {
            Some("notify") => {
                c.advance();
                c.notification("notify").map(drop)
            }
            Some("table") => {
                c.advance();
                c.name().map(drop)
            }
            Some(word) if STATEMENTS.contains(&word) => c.sub_parse(|parser| parser.parse_statement().map(drop)),
            None if c.peek_token(&Token::LParen) => c.sub_parse(|parser| parser.parse_statement().map(drop)),
            _ => Err(c.syntax_error()),
        })
    }

    pub(super) fn alter_rule(&mut self) -> Result<Ddl> {
        self.expect(&["rule"])?;
        let name = self.identifier()?;
        self.expect(&["on"])?;
        let relation = self.name()?;
        self.expect(&["rename", "to"])?;
        let action = AlterRule::Rename(self.identifier()?);
        Ok(Ddl::AlterRule { name, relation, action })
    }

    /// `ENABLE RULE name` and `DISABLE RULE name` of ALTER TABLE.
    pub(super) fn enable_rule(&mut self, is_enabled: bool) -> Result<AlterAction> {
        self.advance();
        self.expect(&["rule"])?;
        Ok(AlterAction::Rule { name: self.identifier()?, action: AlterRule::Enable(is_enabled) })
    }
}
