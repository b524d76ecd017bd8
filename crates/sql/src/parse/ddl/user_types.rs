//! CREATE and ALTER of types and domains. (DROP is with the others' in `drop`.)

use super::cursor::{Cursor, Result};
use crate::utility::ddl::*;
use sqlparser::tokenizer::Token;
use types::{SqlError, SqlState};

impl Cursor<'_, '_> {
    /// After CREATE.
    pub(super) fn create_type(&mut self, position: u32) -> Result<Ddl> {
        self.expect(&["type"])?;
        let name = self.name()?;
        if !self.peek("as") {
            return self.unsupported("CREATE TYPE of a base type", position);
        }
        self.advance();
        if self.peek("range") {
            return self.unsupported("CREATE TYPE AS RANGE", position);
        }
        let body = if self.accept_word("enum") {
            self.expect_token(&Token::LParen)?;
            TypeBody::Enum(self.enum_labels()?)
        } else {
            self.expect_token(&Token::LParen)?;
            TypeBody::Composite(self.attributes()?)
        };
        Ok(Ddl::CreateType { name, body })
    }

    /// Up to the closing parenthesis; there may be none.
    fn enum_labels(&mut self) -> Result<Vec<String>> {
        if self.accept_token(&Token::RParen) {
            return Ok(vec![]);
        }
        let labels = self.list(Self::string)?;
        self.expect_token(&Token::RParen)?;
        Ok(labels)
    }

    fn attributes(&mut self) -> Result<Vec<ColumnDefinition>> {
        if self.accept_token(&Token::RParen) {
            return Ok(vec![]);
        }
        let attributes = self.list(Self::attribute)?;
        self.expect_token(&Token::RParen)?;
        Ok(attributes)
    }

    fn attribute(&mut self) -> Result<ColumnDefinition> {
        let (name, ty) = (self.identifier()?, self.type_name()?);
        let collation = if self.accept_word("collate") { Some(self.name()?) } else { None };
        Ok(ColumnDefinition { name, ty, collation, constraints: vec![], storage: None })
    }

    /// After CREATE.
    pub(super) fn create_domain(&mut self) -> Result<Ddl> {
        self.expect(&["domain"])?;
        let name = self.name()?;
        self.accept_word("as");
        let ty = self.type_name()?;
        let (mut collation, mut constraints) = (None, vec![]);
        while !self.at_end() {
            if self.accept_word("collate") {
                collation = Some(self.name()?);
                continue;
            }
            match self.column_constraint()? {
                Some(constraint) => constraints.push(constraint),
                None => return Err(self.syntax_error()),
            }
        }
        Ok(Ddl::CreateDomain(Box::new(CreateDomain { name, ty, collation, constraints })))
    }

    /// ALTER TYPE and ALTER DOMAIN, from that word on.
    pub(super) fn alter_type(&mut self, is_domain: bool, position: u32) -> Result<Ddl> {
        self.advance();
        let name = self.name()?;
        if !is_domain && (self.peek_token(&Token::LParen) || self.peek("set") && !self.peek_words(&["set", "schema"])) {
            return self.unsupported("ALTER TYPE of a base type", position);
        }
        let action = match self.shared_type_action()? {
            Some(action) => action,
            None if is_domain => self.domain_action()?,
            None => self.type_action()?,
        };
        Ok(Ddl::AlterType { name, is_domain, action })
    }

    fn shared_type_action(&mut self) -> Result<Option<AlterType>> {
        if self.accept(&["rename", "to"]) {
            return Ok(Some(AlterType::Rename(self.identifier()?)));
        }
        if self.accept(&["owner", "to"]) {
            return Ok(Some(AlterType::Owner(self.role()?)));
        }
        if self.accept(&["set", "schema"]) {
            return Ok(Some(AlterType::SetSchema(self.identifier()?)));
        }
        Ok(None)
    }

    fn type_action(&mut self) -> Result<AlterType> {
        if self.accept(&["add", "value"]) {
            let if_not_exists = self.accept(&["if", "not", "exists"]);
            let label = self.string()?;
            let place = match self.accept_any(&["before", "after"]) {
                Some(word) => Some((word == "before", self.string()?)),
                None => None,
            };
            return Ok(AlterType::AddValue { label, if_not_exists, place });
        }
        if self.accept(&["rename", "value"]) {
            let from = self.string()?;
            self.expect(&["to"])?;
            return Ok(AlterType::RenameValue { from, to: self.string()? });
        }
        if self.accept(&["rename", "attribute"]) {
            let from = self.identifier()?;
            self.expect(&["to"])?;
            let to = self.identifier()?;
            self.drop_behavior();
            return Ok(AlterType::RenameAttribute { from, to });
        }
        self.list(Self::attribute_action).map(AlterType::Attributes)
    }

    fn attribute_action(&mut self) -> Result<AlterAttribute> {
        let action = match self.accept_any(&["add", "drop", "alter"]) {
            Some("add") => {
                self.expect(&["attribute"])?;
                AlterAttribute::Add(Box::new(self.attribute()?))
            }
            Some("drop") => {
                self.expect(&["attribute"])?;
                let if_exists = self.accept(&["if", "exists"]);
                AlterAttribute::Drop { name: self.identifier()?, if_exists }
            }
            Some(_) => {
                self.expect(&["attribute"])?;
                let name = self.identifier()?;
                self.accept(&["set", "data"]);
                self.expect(&["type"])?;
                let ty = self.type_name()?;
                if self.accept_word("collate") {
                    self.name()?;
                }
                AlterAttribute::Type { name, ty }
            }
            None => return Err(self.syntax_error()),
        };
        self.drop_behavior();
        Ok(action)
    }

    fn domain_action(&mut self) -> Result<AlterType> {
        if self.accept(&["set", "default"]) {
            return Ok(AlterType::SetDefault(self.expression()?));
        }
        if self.accept(&["drop", "default"]) {
            return Ok(AlterType::DropDefault);
        }
        if self.accept(&["set", "not", "null"]) {
            return Ok(AlterType::SetNotNull(true));
        }
        if self.accept(&["drop", "not", "null"]) {
            return Ok(AlterType::SetNotNull(false));
        }
        if self.accept(&["validate", "constraint"]) {
            return Ok(AlterType::ValidateConstraint(self.identifier()?));
        }
        if self.accept(&["rename", "constraint"]) {
            let from = self.identifier()?;
            self.expect(&["to"])?;
            return Ok(AlterType::RenameConstraint { from, to: self.identifier()? });
        }
        if self.accept(&["drop", "constraint"]) {
            let if_exists = self.accept(&["if", "exists"]);
            let name = self.identifier()?;
            self.drop_behavior();
            return Ok(AlterType::DropConstraint { name, if_exists });
        }
        self.expect(&["add"])?;
        let position = self.position();
        match self.table_constraint()? {
            Some(constraint) if matches!(constraint.kind, ConstraintDefinitionKind::Check { .. }) => {
                Ok(AlterType::AddConstraint(constraint))
            }
            Some(_) => {
                let message = "only check constraints are possible for domains";
                Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position))
            }
            None => Err(self.syntax_error()),
        }
    }
}
