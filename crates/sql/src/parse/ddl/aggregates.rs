//! CREATE, ALTER and DROP AGGREGATE, and how aggregates are named with their parameters.

use super::cursor::{Cursor, Result};
use crate::utility::ddl::*;
use sqlparser::tokenizer::Token;

impl Cursor<'_, '_> {
    /// `(*)`, `(type, …)` or `(type, … ORDER BY type, …)`.
    fn aggregate_parameters(&mut self) -> Result<AggregateParameters> {
        self.expect_token(&Token::LParen)?;
        let mut parameters = AggregateParameters::default();
        if !self.accept_token(&Token::Mul) {
            if !self.peek_words(&["order", "by"]) {
                parameters.plain = self.list(Self::parameter)?;
            }
            if self.accept(&["order", "by"]) {
                parameters.ordered = Some(self.list(Self::parameter)?);
            }
        }
        self.expect_token(&Token::RParen)?;
        Ok(parameters)
    }

    /// An aggregate as statements name it; those behind ORDER BY are parameters like the others.
    pub(super) fn aggregate_name(&mut self) -> Result<RoutineName> {
        let name = self.name()?;
        let AggregateParameters { mut plain, ordered } = self.aggregate_parameters()?;
        plain.extend(ordered.into_iter().flatten());
        Ok(RoutineName { name, parameters: Some(plain) })
    }

    pub(super) fn create_aggregate(&mut self, or_replace: bool) -> Result<Ddl> {
        self.advance();
        let name = self.name()?;
        // The old form has attributes alone.
        let is_old = self.peek_token(&Token::LParen)
            && matches!(self.parser.peek_nth_token_ref(1).token, Token::Word(_))
            && self.parser.peek_nth_token_ref(2).token == Token::Eq;
        let parameters = if is_old { None } else { Some(self.aggregate_parameters()?) };
        let attributes = self.definition()?;
        Ok(Ddl::CreateAggregate(CreateAggregate { name, or_replace, parameters, attributes }))
    }

    pub(super) fn alter_aggregate(&mut self) -> Result<Ddl> {
        self.advance();
        let aggregate = self.aggregate_name()?;
        let action = if self.accept(&["rename", "to"]) {
            AlterFunction::Rename(self.identifier()?)
        } else if self.accept(&["owner", "to"]) {
            AlterFunction::Owner(self.role()?)
        } else {
            self.expect(&["set", "schema"])?;
            AlterFunction::SetSchema(self.identifier()?)
        };
        Ok(Ddl::AlterAggregate(AlterAggregate { aggregate, action }))
    }

    pub(super) fn drop_aggregates(&mut self) -> Result<Ddl> {
        self.advance();
        let if_exists = self.accept(&["if", "exists"]);
        let aggregates = self.list(Self::aggregate_name)?;
        Ok(Ddl::DropAggregates { aggregates, if_exists, cascade: self.drop_behavior() })
    }
}
