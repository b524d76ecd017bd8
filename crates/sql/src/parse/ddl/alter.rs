//! ALTER: tables with their actions, the other relations, databases, schemas, sequences, roles.

use super::cursor::{Cursor, Result};
use crate::utility::ddl::*;
use sqlparser::tokenizer::Token;
use types::{SqlError, SqlState};

impl Cursor<'_, '_> {
    pub(super) fn alter(&mut self) -> Result<Ddl> {
        let position = self.position();
        self.expect(&["alter"])?;
        let Some(word) = self.peek_word() else { return Err(self.syntax_error()) };
        match word.as_str() {
            "table" | "collection" => self.alter_relation(RelationWord::Table, position),
            "index" => self.alter_relation(RelationWord::Index, position),
            "view" => self.alter_relation(RelationWord::View, position),
            "materialized" => {
                self.advance();
                self.alter_relation(RelationWord::MaterializedView, position)
            }
            "sequence" => self.alter_relation(RelationWord::Sequence, position),
            "database" => self.alter_database(),
            "schema" => self.alter_schema(),
            "role" | "user" | "group" => self.alter_role(&word, position),
            "function" => self.alter_function(position),
            "rule" => self.alter_rule(),
            "type" => self.alter_type(false, position),
            "domain" => self.alter_type(true, position),
            "operator" => self.alter_operator(position),
            "aggregate" => self.alter_aggregate(),
            "default" => {
                self.expect(&["default", "privileges"])?;
                self.alter_default_privileges()
            }
            _ => self.alter_unsupported(&word, position),
        }
    }

    fn alter_unsupported(&mut self, word: &str, position: u32) -> Result<Ddl> {
        const KNOWN: &[&str] = &[
            "procedure",
            "routine",
            "trigger",
            "policy",
            "collation",
            "conversion",
            "extension",
            "event",
            "foreign",
            "server",
            "language",
            "procedural",
            "publication",
            "subscription",
            "statistics",
            "tablespace",
            "text",
            "system",
            "large",
        ];
        if !KNOWN.contains(&word) {
            return Err(self.syntax_error());
        }
        self.unsupported(&format!("ALTER {}", word.to_uppercase()), position)
    }

    // --- relations

    fn alter_relation(&mut self, word: RelationWord, position: u32) -> Result<Ddl> {
        self.advance();
        if self.accept(&["all", "in", "tablespace"]) {
            return self.unsupported("ALTER … ALL IN TABLESPACE", position);
        }
        let if_exists = self.accept(&["if", "exists"]);
        self.accept_word("only");
        let name = self.name()?;
        self.accept_token(&Token::Mul);
        if word == RelationWord::Sequence {
            let options = self.sequence_options()?;
            if self.at_end() {
                return Ok(Ddl::AlterSequence { name, if_exists, options });
            }
        }
        let has_schema = word != RelationWord::Index;
        let actions = match self.single_action(has_schema, position)? {
            Some(action) => vec![action],
            None => self.list(|c| c.table_action(position))?,
        };
        Ok(Ddl::AlterRelation(AlterRelation { word, name, if_exists, actions }))
    }

    /// Actions that stand alone.
    fn single_action(&mut self, has_schema: bool, statement: u32) -> Result<Option<AlterAction>> {
        if self.accept(&["rename", "to"]) {
            return Ok(Some(AlterAction::Rename(self.identifier()?)));
        }
        if self.accept(&["rename", "constraint"]) {
            let from = self.identifier()?;
            self.expect(&["to"])?;
            return Ok(Some(AlterAction::RenameConstraint { from, to: self.identifier()? }));
        }
        if self.accept_word("rename") {
            self.accept_word("column");
            let from = self.identifier()?;
            self.expect(&["to"])?;
            return Ok(Some(AlterAction::RenameColumn { from, to: self.identifier()? }));
        }
        if has_schema && self.accept(&["set", "schema"]) {
            return Ok(Some(AlterAction::SetSchema(self.identifier()?)));
        }
        if self.peek_words(&["attach", "partition"]) || self.peek_words(&["detach", "partition"]) {
            return self.refused("partitions are not supported").map(Some);
        }
        if self.peek("depends") || self.peek_words(&["no", "depends"]) {
            let _ = statement;
            return self.refused("extension dependencies are not supported").map(Some);
        }
        Ok(None)
    }

    fn refused(&mut self, what: &str) -> Result<AlterAction> {
        let position = self.position();
        while !self.at_end() {
            self.advance();
        }
        Ok(AlterAction::Unsupported { what: what.to_owned(), position })
    }

    fn table_action(&mut self, statement: u32) -> Result<AlterAction> {
        let Some(word) = self.peek_word() else { return Err(self.syntax_error()) };
        match word.as_str() {
            "add" => self.add(),
            "drop" => self.drop_action(),
            "alter" => self.alter_action(),
            "validate" => {
                self.expect(&["validate", "constraint"])?;
                Ok(AlterAction::ValidateConstraint(self.identifier()?))
            }
            "owner" => {
                self.expect(&["owner", "to"])?;
                Ok(AlterAction::Owner(self.role()?))
            }
            "set" => self.set_action(),
            "reset" => {
                self.advance();
                Ok(AlterAction::ResetOptions(self.option_names()?))
            }
            "cluster" => {
                self.expect(&["cluster", "on"])?;
                self.identifier()?;
                Ok(AlterAction::Hint)
            }
            "replica" => {
                self.expect(&["replica", "identity"])?;
                if self.accept(&["using", "index"]) {
                    self.identifier()?;
                } else if self.accept_any(&["full", "nothing", "default"]).is_none() {
                    return Err(self.syntax_error());
                }
                Ok(AlterAction::Hint)
            }
            "enable" | "disable" => self.enable_or_disable(statement),
            "force" | "no" if self.peek_nth_word(1).as_deref() != Some("inherit") => {
                self.refused("row-level security is not supported")
            }
            "inherit" | "no" => self.refused("table inheritance is not supported"),
            "of" | "not" => self.refused("typed tables are not supported"),
            "options" => self.refused("foreign tables are not supported"),
            _ => Err(self.syntax_error()),
        }
    }

    fn enable_or_disable(&mut self, _: u32) -> Result<AlterAction> {
        let enable = self.peek("enable");
        if self.accept(&["enable", "row", "level", "security"]) || self.accept(&["disable", "row", "level", "security"])
        {
            return Ok(AlterAction::RowSecurity(enable));
        }
        match self.peek_nth_word(1).as_deref() {
            Some("rule") => self.enable_rule(enable),
            _ => self.refused("enabling and disabling triggers is not supported"),
        }
    }

    fn option_names(&mut self) -> Result<Vec<String>> {
        self.parenthesized(|c| {
            let name = c.option_name()?;
            if c.peek_token(&Token::Eq) {
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, "RESET must not include values for parameters"));
            }
            Ok(name)
        })
    }

    fn add(&mut self) -> Result<AlterAction> {
        self.expect(&["add"])?;
        if !self.peek("column")
            && let Some(constraint) = self.table_constraint()?
        {
            return Ok(AlterAction::AddConstraint(constraint));
        }
        self.accept_word("column");
        let if_not_exists = self.accept(&["if", "not", "exists"]);
        let column = Box::new(self.column_definition()?);
        Ok(AlterAction::AddColumn { column, if_not_exists })
    }

    fn drop_action(&mut self) -> Result<AlterAction> {
        self.expect(&["drop"])?;
        let is_constraint = self.accept_word("constraint");
        if !is_constraint {
            self.accept_word("column");
        }
        let if_exists = self.accept(&["if", "exists"]);
        let name = self.identifier()?;
        let cascade = self.accept_any(&["cascade", "restrict"]) == Some("cascade");
        Ok(if is_constraint {
            AlterAction::DropConstraint { name, if_exists, cascade }
        } else {
            AlterAction::DropColumn { name, if_exists, cascade }
        })
    }

    fn set_action(&mut self) -> Result<AlterAction> {
        self.expect(&["set"])?;
        if self.peek_token(&Token::LParen) {
            return Ok(AlterAction::SetOptions(self.options()?));
        }
        if self.accept_any(&["logged", "unlogged"]).is_some()
            || self.accept(&["without", "cluster"])
            || self.accept(&["without", "oids"])
        {
            return Ok(AlterAction::Hint);
        }
        if self.accept_word("tablespace") || self.accept(&["access", "method"]) {
            self.identifier()?;
            return Ok(AlterAction::Hint);
        }
        Err(self.syntax_error())
    }

    fn alter_action(&mut self) -> Result<AlterAction> {
        self.expect(&["alter"])?;
        if self.accept_word("constraint") {
            let name = self.identifier()?;
            let (deferrable, initially_deferred) = self.constraint_attributes()?;
            return Ok(AlterAction::AlterConstraint { name, deferrable, initially_deferred });
        }
        self.accept_word("column");
        let name = match self.parser.peek_token_ref().token {
            // ALTER INDEX … ALTER COLUMN 1 SET STATISTICS.
            Token::Number(..) => {
                let position = self.position();
                Name { name: self.integer()?.to_string(), position }
            }
            _ => self.identifier()?,
        };
        Ok(AlterAction::AlterColumn { name, action: self.alter_column()? })
    }

    fn alter_column(&mut self) -> Result<AlterColumn> {
        if self.accept_word("type") || self.accept(&["set", "data", "type"]) {
            let ty = self.type_name()?;
            let position = self.position();
            let collation =
                if self.accept_word("collate") { Some(ObjectName { position, ..self.name()? }) } else { None };
            let using = if self.accept_word("using") { Some(self.expression()?) } else { None };
            return Ok(AlterColumn::Type { ty, collation, using });
        }
        if self.accept(&["set", "default"]) {
            return Ok(AlterColumn::SetDefault(self.expression()?));
        }
        if self.accept(&["drop", "default"]) {
            return Ok(AlterColumn::DropDefault);
        }
        if self.accept(&["set", "not", "null"]) {
            return Ok(AlterColumn::SetNotNull);
        }
        if self.accept(&["drop", "not", "null"]) {
            return Ok(AlterColumn::DropNotNull);
        }
        if self.accept(&["drop", "expression"]) {
            return Ok(AlterColumn::DropExpression { if_exists: self.accept(&["if", "exists"]) });
        }
        if self.accept(&["drop", "identity"]) {
            return Ok(AlterColumn::DropIdentity { if_exists: self.accept(&["if", "exists"]) });
        }
        if self.accept(&["set", "statistics"]) {
            return Ok(AlterColumn::SetStatistics(self.small_integer()?));
        }
        if self.accept(&["set", "storage"]) {
            return Ok(AlterColumn::SetStorage(self.label()?.name));
        }
        if self.accept(&["set", "compression"]) {
            self.label()?;
            return Ok(AlterColumn::SetOptions(vec![]));
        }
        if self.accept(&["add", "generated"]) {
            let always = self.accept_word("always");
            if !always {
                self.expect(&["by", "default"])?;
            }
            self.expect(&["as", "identity"])?;
            return Ok(AlterColumn::AddIdentity { always, options: self.identity_options()? });
        }
        if self.peek("restart")
            || self.peek_words(&["set"]) && !matches!(self.parser.peek_nth_token_ref(1).token, Token::LParen)
        {
            return self.set_identity();
        }
        if self.accept_word("set") {
            return Ok(AlterColumn::SetOptions(self.options()?));
        }
        if self.accept_word("reset") {
            return Ok(AlterColumn::ResetOptions(self.option_names()?));
        }
        Err(self.syntax_error())
    }

    /// `SET GENERATED ALWAYS`, `SET INCREMENT 2`, `RESTART 5`, in any number.
    fn set_identity(&mut self) -> Result<AlterColumn> {
        let mut always = None;
        let mut options = SequenceOptions::default();
        loop {
            if self.accept(&["set", "generated"]) {
                let is_always = self.accept_word("always");
                if !is_always {
                    self.expect(&["by", "default"])?;
                }
                always = Some(is_always);
                continue;
            }
            let is_set = self.peek("set");
            if !is_set && !self.peek("restart") {
                return Ok(AlterColumn::SetIdentity { always, options });
            }
            if is_set {
                self.advance();
            }
            let position = self.position();
            let more = self.sequence_options()?;
            if self.position() == position {
                return Err(self.syntax_error());
            }
            merge(&mut options, more);
        }
    }

    // --- databases, schemas, roles

    fn alter_database(&mut self) -> Result<Ddl> {
        self.expect(&["database"])?;
        let name = self.identifier()?;
        let action = if self.accept(&["rename", "to"]) {
            AlterDatabase::Rename(self.identifier()?)
        } else if self.accept(&["owner", "to"]) {
            AlterDatabase::Owner(self.role()?)
        } else if self.accept(&["set", "tablespace"]) {
            self.identifier()?;
            AlterDatabase::Options(vec![])
        } else if let Some(change) = self.setting_change()? {
            AlterDatabase::Setting(change)
        } else {
            AlterDatabase::Options(self.database_options()?)
        };
        Ok(Ddl::AlterDatabase { name, action })
    }

    /// `SET name {TO | =} values`, `RESET name`, `RESET ALL`.
    fn setting_change(&mut self) -> Result<Option<SettingChange>> {
        if self.accept(&["reset", "all"]) {
            return Ok(Some(SettingChange::ResetAll));
        }
        if self.accept_word("reset") {
            return Ok(Some(SettingChange::Reset(self.option_name()?)));
        }
        if !self.accept_word("set") {
            return Ok(None);
        }
        let name = if self.accept(&["time", "zone"]) {
            "timezone".to_owned()
        } else {
            let name = self.option_name()?;
            if !self.accept_word("to") {
                self.expect_token(&Token::Eq)?;
            }
            name
        };
        if self.accept_word("default") {
            return Ok(Some(SettingChange::Reset(name)));
        }
        Ok(Some(SettingChange::Set(name, self.list(Self::option_value)?)))
    }

    fn alter_schema(&mut self) -> Result<Ddl> {
        self.expect(&["schema"])?;
        let name = self.identifier()?;
        let action = if self.accept(&["rename", "to"]) {
            AlterSchema::Rename(self.identifier()?)
        } else {
            self.expect(&["owner", "to"])?;
            AlterSchema::Owner(self.role()?)
        };
        Ok(Ddl::AlterSchema { name, action })
    }

    fn alter_role(&mut self, word: &str, position: u32) -> Result<Ddl> {
        self.advance();
        if word == "user" && self.accept_word("mapping") {
            return self.unsupported("ALTER USER MAPPING", position);
        }
        let position = self.position();
        let role = if self.accept_word("all") { None } else { Some(self.role()?) };
        if let (Some(RoleSpec::Name(name)), true) = (&role, self.peek_words(&["rename", "to"])) {
            let from = Name { name: name.clone(), position };
            self.expect(&["rename", "to"])?;
            return Ok(Ddl::RenameRole { from, to: self.identifier()? });
        }
        if word == "group" && (self.peek("add") || self.peek("drop")) {
            let is_add = self.accept_any(&["add", "drop"]) == Some("add");
            self.expect(&["user"])?;
            let members = self.list(Self::role)?;
            let option = if is_add { RoleOption::AddMembers(members) } else { RoleOption::DropMembers(members) };
            return Ok(Ddl::AlterRole { role: role.unwrap_or(RoleSpec::CurrentUser), options: vec![option] });
        }
        let database = if self.accept(&["in", "database"]) { Some(self.identifier()?) } else { None };
        if let Some(change) = self.setting_change()? {
            return Ok(Ddl::AlterRoleSettings { role, database, change });
        }
        let (Some(role), None) = (role, database) else { return Err(self.syntax_error()) };
        self.accept_word("with");
        Ok(Ddl::AlterRole { role, options: self.role_options(false)? })
    }
}

/// Later options win; the parser has seen to it that one clause does not repeat itself.
fn merge(options: &mut SequenceOptions, more: SequenceOptions) {
    let old = std::mem::take(options);
    *options = SequenceOptions {
        ty: more.ty.or(old.ty),
        start: more.start.or(old.start),
        increment: more.increment.or(old.increment),
        min: more.min.or(old.min),
        max: more.max.or(old.max),
        cache: more.cache.or(old.cache),
        cycle: more.cycle.or(old.cycle),
        owned_by: more.owned_by.or(old.owned_by),
        restart: more.restart.or(old.restart),
        name: more.name.or(old.name),
    };
}
