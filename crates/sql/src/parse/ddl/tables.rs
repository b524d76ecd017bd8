//! CREATE TABLE and CREATE COLLECTION: columns, constraints, LIKE, what stands behind the list; CREATE TABLE AS.

use super::cursor::{Cursor, Result};
use crate::utility::ddl::*;
use catalog::ReferentialAction;
use sqlparser::tokenizer::Token;
use types::{SqlError, SqlState};

impl Cursor<'_, '_> {
    /// After CREATE [TEMP | UNLOGGED] TABLE, or CREATE COLLECTION.
    pub(super) fn create_table(&mut self, is_temporary: bool, is_collection: bool) -> Result<Ddl> {
        let if_not_exists = self.accept(&["if", "not", "exists"]);
        let name = self.name()?;
        if self.starts_table_as() {
            return self.create_table_as(name, if_not_exists, is_temporary);
        }
        let mut unsupported = None;
        if let Some(position) = self.at_words(&["partition", "of"]) {
            unsupported = Some(("partitions are not supported", position));
            self.skip_rest();
        } else if let Some(position) = self.at_words(&["of"]) {
            unsupported = Some(("typed tables are not supported", position));
            self.skip_rest();
        }
        let mut table = CreateTable {
            name,
            if_not_exists,
            is_temporary,
            is_collection,
            elements: vec![],
            options: vec![],
            on_commit: OnCommit::PreserveRows,
            distribute_by: vec![],
            colocate_with: None,
            unsupported,
        };
        if table.unsupported.is_none() {
            if !is_collection || self.peek_token(&Token::LParen) {
                self.expect_token(&Token::LParen)?;
                if !self.peek_token(&Token::RParen) {
                    table.elements = self.list(Self::table_element)?;
                }
                self.expect_token(&Token::RParen)?;
            }
            self.behind_elements(&mut table)?;
        }
        Ok(Ddl::CreateTable(Box::new(table)))
    }

    fn at_words(&self, words: &[&str]) -> Option<u32> {
        self.peek_words(words).then(|| self.position())
    }

    pub(super) fn skip_rest(&mut self) {
        while !self.at_end() {
            self.advance();
        }
    }

    fn behind_elements(&mut self, table: &mut CreateTable) -> Result<()> {
        loop {
            if let Some(position) = self.at_words(&["inherits"]) {
                table.unsupported = Some(("table inheritance is not supported", position));
                self.skip_rest();
            } else if let Some(position) = self.at_words(&["partition", "by"]) {
                table.unsupported = Some(("partitions are not supported", position));
                self.skip_rest();
            } else if self.accept_word("using") {
                let method = self.identifier()?;
                if method.name != "heap" {
                    let message = format!("access method \"{}\" does not exist", method.name);
                    return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
                }
            } else if self.accept_word("with") {
                table.options = self.options()?;
            } else if self.accept(&["without", "oids"]) {
            } else if self.accept(&["on", "commit"]) {
                table.on_commit = self.on_commit()?;
            } else if self.accept_word("tablespace") {
                self.identifier()?;
            } else if self.accept(&["distribute", "by"]) {
                table.distribute_by = self.columns()?;
            } else if self.accept(&["colocate", "with"]) {
                table.colocate_with = Some(self.name()?);
            } else {
                return Ok(());
            }
        }
    }

    fn on_commit(&mut self) -> Result<OnCommit> {
        if self.accept_word("drop") {
            Ok(OnCommit::Drop)
        } else if self.accept(&["delete", "rows"]) {
            Ok(OnCommit::DeleteRows)
        } else if self.accept(&["preserve", "rows"]) {
            Ok(OnCommit::PreserveRows)
        } else {
            Err(self.syntax_error())
        }
    }

    fn table_element(&mut self) -> Result<TableElement> {
        if self.accept_word("like") {
            let source = self.name()?;
            return Ok(TableElement::Like { source, including: self.like_options()? });
        }
        if let Some(constraint) = self.table_constraint()? {
            return Ok(TableElement::Constraint(constraint));
        }
        Ok(TableElement::Column(Box::new(self.column_definition()?)))
    }

    fn like_options(&mut self) -> Result<LikeOptions> {
        let mut options = LikeOptions::default();
        loop {
            let value = match self.accept_any(&["including", "excluding"]) {
                Some(word) => word == "including",
                None => return Ok(options),
            };
            const WORDS: &[&str] = &[
                "comments",
                "compression",
                "constraints",
                "defaults",
                "generated",
                "identity",
                "indexes",
                "statistics",
                "storage",
                "all",
            ];
            match self.accept_any(WORDS) {
                Some("comments") => options.comments = value,
                Some("constraints") => options.constraints = value,
                Some("defaults") => options.defaults = value,
                Some("generated") => options.generated = value,
                Some("identity") => options.identity = value,
                Some("indexes") => options.indexes = value,
                Some("statistics") => options.statistics = value,
                Some("storage") => options.storage = value,
                Some("compression") => {}
                Some(_) => {
                    options = LikeOptions {
                        comments: value,
                        constraints: value,
                        defaults: value,
                        generated: value,
                        identity: value,
                        indexes: value,
                        statistics: value,
                        storage: value,
                    }
                }
                None => return Err(self.syntax_error()),
            }
        }
    }

    /// `name type [STORAGE …] [COLLATE …] [constraints]`
    pub(super) fn column_definition(&mut self) -> Result<ColumnDefinition> {
        let name = self.identifier()?;
        let ty = self.type_name()?;
        let mut column = ColumnDefinition { name, ty, collation: None, constraints: vec![], storage: None };
        loop {
            let position = self.position();
            if self.accept_word("collate") {
                column.collation = Some(ObjectName { position, ..self.name()? });
            } else if self.accept_word("storage") {
                column.storage = Some(self.label()?.name);
            } else if self.accept_word("compression") {
                self.label()?;
            } else if let Some(constraint) = self.column_constraint()? {
                column.constraints.push(constraint);
            } else if !self.constraint_attribute(column.constraints.last_mut())? {
                return Ok(column);
            }
        }
    }

    pub(super) fn column_constraint(&mut self) -> Result<Option<ConstraintDefinition>> {
        let position = self.position();
        let name = if self.accept_word("constraint") { Some(self.identifier()?) } else { None };
        let kind = self.column_constraint_kind()?;
        match kind {
            Some(kind) => Ok(Some(ConstraintDefinition {
                name,
                kind,
                position,
                deferrable: None,
                initially_deferred: None,
                not_valid: false,
            })),
            None if name.is_some() => Err(self.syntax_error()),
            None => Ok(None),
        }
    }

    fn column_constraint_kind(&mut self) -> Result<Option<ConstraintDefinitionKind>> {
        use ConstraintDefinitionKind as Kind;
        let kind = if self.accept(&["not", "null"]) {
            Kind::NotNull
        } else if self.accept_word("null") {
            Kind::Null
        } else if self.accept_word("default") {
            Kind::Default(self.plain_expression()?)
        } else if self.accept_word("check") {
            self.check()?
        } else if self.accept_word("unique") {
            self.unique(false, false)?
        } else if self.accept(&["primary", "key"]) {
            self.unique(true, false)?
        } else if self.accept_word("references") {
            Kind::ForeignKey(Box::new(self.references(vec![])?))
        } else if self.accept_word("generated") {
            self.generated()?
        } else if self.peek("not") && !self.peek_words(&["not", "deferrable"]) && !self.peek_words(&["not", "valid"]) {
            self.advance();
            return Err(self.syntax_error());
        } else {
            return Ok(None);
        };
        Ok(Some(kind))
    }

    /// After GENERATED.
    fn generated(&mut self) -> Result<ConstraintDefinitionKind> {
        let position = self.position();
        let always = self.accept_word("always");
        if !always {
            self.expect(&["by", "default"])?;
        }
        self.expect(&["as"])?;
        if self.accept_word("identity") {
            return Ok(ConstraintDefinitionKind::Identity { always, options: self.identity_options()? });
        }
        let expression = self.parenthesized_expression()?;
        if !always {
            let message = "for a generated column, GENERATED ALWAYS must be specified";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
        }
        self.expect(&["stored"])?;
        Ok(ConstraintDefinitionKind::Generated(expression))
    }

    pub(super) fn identity_options(&mut self) -> Result<SequenceOptions> {
        if !self.accept_token(&Token::LParen) {
            return Ok(SequenceOptions::default());
        }
        let options = self.sequence_options()?;
        self.expect_token(&Token::RParen)?;
        Ok(options)
    }

    /// A table constraint, if one is next.
    pub(super) fn table_constraint(&mut self) -> Result<Option<ConstraintDefinition>> {
        let position = self.position();
        let name = if self.accept_word("constraint") { Some(self.identifier()?) } else { None };
        let Some(kind) = self.table_constraint_kind()? else {
            return if name.is_some() { Err(self.syntax_error()) } else { Ok(None) };
        };
        let mut constraint =
            ConstraintDefinition { name, kind, position, deferrable: None, initially_deferred: None, not_valid: false };
        while self.constraint_attribute(Some(&mut constraint))? {}
        Ok(Some(constraint))
    }

    fn table_constraint_kind(&mut self) -> Result<Option<ConstraintDefinitionKind>> {
        use ConstraintDefinitionKind as Kind;
        let kind = if self.accept_word("check") {
            self.check()?
        } else if self.accept_word("unique") {
            self.unique(false, true)?
        } else if self.accept(&["primary", "key"]) {
            self.unique(true, true)?
        } else if self.accept(&["foreign", "key"]) {
            let columns = self.columns()?;
            self.expect(&["references"])?;
            Kind::ForeignKey(Box::new(self.references(columns)?))
        } else if self.accept_word("exclude") {
            self.skip_exclusion()?;
            Kind::Exclude
        } else {
            return Ok(None);
        };
        Ok(Some(kind))
    }

    /// Up to the comma or parenthesis that ends it: it is refused when it is carried out.
    fn skip_exclusion(&mut self) -> Result<()> {
        let mut depth = 0_usize;
        loop {
            match self.parser.peek_token_ref().token {
                Token::EOF | Token::SemiColon if depth > 0 => return Err(self.syntax_error()),
                Token::Comma | Token::RParen | Token::EOF | Token::SemiColon if depth == 0 => return Ok(()),
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                _ => {}
            }
            self.advance();
        }
    }

    fn check(&mut self) -> Result<ConstraintDefinitionKind> {
        let expression = self.parenthesized_expression()?;
        let no_inherit = self.accept(&["no", "inherit"]);
        Ok(ConstraintDefinitionKind::Check { expression, no_inherit })
    }

    fn unique(&mut self, is_primary: bool, of_table: bool) -> Result<ConstraintDefinitionKind> {
        if of_table && self.accept(&["using", "index"]) {
            let index = self.identifier()?;
            return Ok(ConstraintDefinitionKind::UsingIndex { index, is_primary });
        }
        let mut nulls_not_distinct = false;
        if !is_primary && self.accept(&["nulls", "not", "distinct"]) {
            nulls_not_distinct = true;
        } else if !is_primary {
            self.accept(&["nulls", "distinct"]);
        }
        let columns = if of_table { self.columns()? } else { vec![] };
        let include = if of_table && self.accept_word("include") { self.columns()? } else { vec![] };
        let options = self.with_options()?;
        if self.accept(&["using", "index", "tablespace"]) {
            self.identifier()?;
        }
        Ok(ConstraintDefinitionKind::Unique { columns, include, is_primary, nulls_not_distinct, options })
    }

    /// After REFERENCES.
    fn references(&mut self, columns: Vec<Name>) -> Result<ForeignKeyDefinition> {
        let target = self.name()?;
        let target_columns = self.optional_columns()?;
        let mut key = ForeignKeyDefinition {
            columns,
            target,
            target_columns,
            match_kind: MatchKind::Simple,
            on_delete: ReferentialAction::NoAction,
            on_update: ReferentialAction::NoAction,
            delete_set_columns: vec![],
        };
        if self.accept_word("match") {
            key.match_kind = match self.accept_any(&["full", "partial", "simple"]) {
                Some("full") => MatchKind::Full,
                Some("partial") => MatchKind::Partial,
                Some(_) => MatchKind::Simple,
                None => return Err(self.syntax_error()),
            };
        }
        loop {
            if self.accept(&["on", "delete"]) {
                (key.on_delete, key.delete_set_columns) = self.referential_action()?;
            } else if self.accept(&["on", "update"]) {
                let position = self.position();
                let (action, set_columns) = self.referential_action()?;
                if !set_columns.is_empty() {
                    let message = "a column list with SET NULL is only supported for ON DELETE actions";
                    return Err(SqlError::unsupported(message).at(position));
                }
                key.on_update = action;
            } else {
                return Ok(key);
            }
        }
    }

    fn referential_action(&mut self) -> Result<(ReferentialAction, Vec<Name>)> {
        if self.accept(&["no", "action"]) {
            Ok((ReferentialAction::NoAction, vec![]))
        } else if self.accept_word("restrict") {
            Ok((ReferentialAction::Restrict, vec![]))
        } else if self.accept_word("cascade") {
            Ok((ReferentialAction::Cascade, vec![]))
        } else if self.accept(&["set", "null"]) {
            Ok((ReferentialAction::SetNull, self.optional_columns()?))
        } else if self.accept(&["set", "default"]) {
            Ok((ReferentialAction::SetDefault, self.optional_columns()?))
        } else {
            Err(self.syntax_error())
        }
    }

    /// DEFERRABLE, INITIALLY …, NOT VALID: they belong to the constraint before them.
    fn constraint_attribute(&mut self, constraint: Option<&mut ConstraintDefinition>) -> Result<bool> {
        let position = self.position();
        let (deferrable, deferred, not_valid) = if self.accept_word("deferrable") {
            (Some(true), None, false)
        } else if self.accept(&["not", "deferrable"]) {
            (Some(false), None, false)
        } else if self.accept(&["initially", "deferred"]) {
            (None, Some(true), false)
        } else if self.accept(&["initially", "immediate"]) {
            (None, Some(false), false)
        } else if self.accept(&["not", "valid"]) {
            (None, None, true)
        } else if self.accept(&["no", "inherit"]) {
            (None, None, false)
        } else {
            return Ok(false);
        };
        let misplaced = |message: &str| Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
        let Some(constraint) = constraint else { return misplaced("misplaced DEFERRABLE clause") };
        let may_be_deferred = matches!(
            constraint.kind,
            ConstraintDefinitionKind::Unique { .. }
                | ConstraintDefinitionKind::ForeignKey(_)
                | ConstraintDefinitionKind::UsingIndex { .. }
                | ConstraintDefinitionKind::Exclude
        );
        if !may_be_deferred && (deferrable == Some(true) || deferred == Some(true)) {
            if let ConstraintDefinitionKind::Check { .. } = constraint.kind {
                let message = "CHECK constraints cannot be marked DEFERRABLE";
                return Err(SqlError::unsupported(message).at(position));
            }
            return misplaced(if deferrable.is_some() {
                "misplaced DEFERRABLE clause"
            } else {
                "misplaced INITIALLY DEFERRED clause"
            });
        }
        constraint.deferrable = deferrable.or(constraint.deferrable);
        constraint.initially_deferred = deferred.or(constraint.initially_deferred);
        constraint.not_valid |= not_valid;
        if constraint.initially_deferred == Some(true) && constraint.deferrable == Some(false) {
            return misplaced("constraint declared INITIALLY DEFERRED must be DEFERRABLE");
        }
        Ok(true)
    }

    pub(super) fn constraint_attributes(&mut self) -> Result<(Option<bool>, Option<bool>)> {
        let (mut deferrable, mut deferred) = (None, None);
        loop {
            if self.accept_word("deferrable") {
                deferrable = Some(true);
            } else if self.accept(&["not", "deferrable"]) {
                deferrable = Some(false);
            } else if self.accept(&["initially", "deferred"]) {
                deferred = Some(true);
            } else if self.accept(&["initially", "immediate"]) {
                deferred = Some(false);
            } else {
                return Ok((deferrable, deferred));
            }
        }
    }

    // --- CREATE TABLE AS

    /// Whether what follows the name is `[(names)] [WITH …] [ON COMMIT …] AS`, and not a list of definitions.
    fn starts_table_as(&self) -> bool {
        if ["as", "with", "on", "using", "tablespace"].iter().any(|word| self.peek(word)) {
            return true;
        }
        if !self.peek_token(&Token::LParen) {
            return false;
        }
        // `(a, b) AS`: names alone in the list. A definition has a type behind its name.
        let mut n = 1;
        loop {
            if !matches!(self.parser.peek_nth_token_ref(n).token, Token::Word(_)) {
                return false;
            }
            match self.parser.peek_nth_token_ref(n + 1).token {
                Token::Comma => n += 2,
                Token::RParen => return true,
                _ => return false,
            }
        }
    }

    fn create_table_as(&mut self, name: ObjectName, if_not_exists: bool, is_temporary: bool) -> Result<Ddl> {
        let columns = self.optional_columns()?;
        let mut options = vec![];
        let mut on_commit = OnCommit::PreserveRows;
        loop {
            if self.accept_word("with") {
                options = self.options()?;
            } else if self.accept(&["without", "oids"]) {
            } else if self.accept(&["on", "commit"]) {
                on_commit = self.on_commit()?;
            } else if self.accept_any(&["using", "tablespace"]).is_some() {
                self.identifier()?;
            } else {
                break;
            }
        }
        self.expect(&["as"])?;
        let is_execute = self.peek("execute");
        let query = if is_execute { self.executed()? } else { self.query()? };
        let with_data = self.with_data()?;
        Ok(Ddl::CreateTableAs(Box::new(CreateTableAs {
            name,
            if_not_exists,
            is_temporary,
            is_materialized_view: false,
            is_select_into: false,
            columns,
            options,
            on_commit,
            query,
            is_execute,
            with_data,
        })))
    }

    pub(super) fn with_data(&mut self) -> Result<bool> {
        if self.accept(&["with", "no", "data"]) {
            return Ok(false);
        }
        self.accept(&["with", "data"]);
        Ok(true)
    }
}
