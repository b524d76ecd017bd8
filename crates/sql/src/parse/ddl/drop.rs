//! DROP, TRUNCATE, COMMENT, REASSIGN and DROP OWNED.

use super::cursor::{Cursor, Result};
use crate::utility::ddl::*;
use sqlparser::tokenizer::Token;
use types::{SqlError, SqlState};

impl Cursor<'_, '_> {
    pub(super) fn drop(&mut self) -> Result<Ddl> {
        let position = self.position();
        self.expect(&["drop"])?;
        let Some(word) = self.peek_word() else { return Err(self.syntax_error()) };
        match word.as_str() {
            "database" => {
                self.advance();
                self.drop_database()
            }
            "owned" => {
                self.expect(&["owned", "by"])?;
                let roles = self.list(Self::role)?;
                Ok(Ddl::DropOwned { roles, cascade: self.drop_behavior() })
            }
            "role" | "user" | "group" => self.drop_roles(position),
            "aggregate" => self.drop_aggregates(),
            "function" | "procedure" | "routine" => self.drop_routines(&word, position),
            "operator" => self.drop_operators(position),
            "rule" => self.drop_rule(),
            "trigger" | "policy" => self.drop_of_table(&word, position),
            _ => self.drop_relations(&word, position),
        }
    }

    pub(super) fn drop_behavior(&mut self) -> bool {
        self.accept_any(&["cascade", "restrict"]) == Some("cascade")
    }

    fn drop_relations(&mut self, word: &str, position: u32) -> Result<Ddl> {
        let kind = match word {
            "table" => DropKind::Table,
            // A collection is a table with another name for it.
            "collection" => DropKind::Table,
            "view" => DropKind::View,
            "sequence" => DropKind::Sequence,
            "index" => DropKind::Index,
            "schema" => DropKind::Schema,
            "type" => DropKind::Type,
            "domain" => DropKind::Domain,
            "extension" => DropKind::Extension,
            "materialized" => DropKind::MaterializedView,
            _ => return self.drop_unsupported(word, position),
        };
        self.advance();
        if kind == DropKind::MaterializedView {
            self.expect(&["view"])?;
        }
        let concurrently = kind == DropKind::Index && self.accept_word("concurrently");
        let if_exists = self.accept(&["if", "exists"]);
        let names = self.list(Self::name)?;
        let cascade = self.drop_behavior();
        Ok(Ddl::Drop { kind, names, if_exists, cascade, concurrently })
    }

    fn drop_unsupported(&mut self, word: &str, position: u32) -> Result<Ddl> {
        const KNOWN: &[&str] = &[
            "cast",
            "collation",
            "conversion",
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
            "access",
            "transform",
        ];
        if !KNOWN.contains(&word) {
            return Err(self.syntax_error());
        }
        self.unsupported(&format!("DROP {}", word.to_uppercase()), position)
    }

    fn drop_database(&mut self) -> Result<Ddl> {
        let if_exists = self.accept(&["if", "exists"]);
        let name = self.identifier()?;
        self.accept_word("with");
        let mut force = false;
        if self.peek_token(&Token::LParen) {
            for (option, _) in self.options()? {
                if option != "force" {
                    let message = format!("unrecognized DROP DATABASE option \"{option}\"");
                    return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
                }
                force = true;
            }
        }
        Ok(Ddl::DropDatabase { name, if_exists, force })
    }

    fn drop_roles(&mut self, position: u32) -> Result<Ddl> {
        self.advance();
        if self.accept_word("mapping") {
            return self.unsupported("DROP USER MAPPING", position);
        }
        let if_exists = self.accept(&["if", "exists"]);
        Ok(Ddl::DropRoles { roles: self.list(Self::role)?, if_exists })
    }

    fn drop_routines(&mut self, word: &str, position: u32) -> Result<Ddl> {
        self.advance();
        if word == "routine" {
            return self.unsupported("DROP ROUTINE", position);
        }
        let if_exists = self.accept(&["if", "exists"]);
        let functions = self.list(Self::routine_name)?;
        let cascade = self.drop_behavior();
        // Nothing of the other kinds exists, so that IF EXISTS is all that can succeed.
        let kind = match word {
            "procedure" => DropKind::Procedure,
            _ => return Ok(Ddl::DropFunctions { functions, if_exists, cascade }),
        };
        let names = functions.into_iter().map(|f| f.name).collect();
        Ok(Ddl::Drop { kind, names, if_exists, cascade, concurrently: false })
    }

    /// `DROP TRIGGER name ON table`: the table is kept as the last of the names.
    fn drop_of_table(&mut self, word: &str, position: u32) -> Result<Ddl> {
        self.advance();
        let kind = match word {
            "trigger" => DropKind::Trigger,
            _ => DropKind::Policy,
        };
        let if_exists = self.accept(&["if", "exists"]);
        let name = self.identifier()?;
        self.expect(&["on"])?;
        let table = self.name()?;
        let cascade = self.drop_behavior();
        let name = ObjectName { parts: vec![name.name], position };
        Ok(Ddl::Drop { kind, names: vec![name, table], if_exists, cascade, concurrently: false })
    }

    fn drop_rule(&mut self) -> Result<Ddl> {
        self.advance();
        let if_exists = self.accept(&["if", "exists"]);
        let name = self.identifier()?;
        self.expect(&["on"])?;
        let relation = self.name()?;
        Ok(Ddl::DropRule { name, relation, if_exists, cascade: self.drop_behavior() })
    }

    pub(super) fn truncate(&mut self) -> Result<Ddl> {
        self.expect(&["truncate"])?;
        self.accept_word("table");
        let relations = self.list(|c| {
            c.accept_word("only");
            let name = c.name()?;
            c.accept_token(&Token::Mul);
            Ok(name)
        })?;
        let restart_identity = self.accept(&["restart", "identity"]);
        if !restart_identity {
            self.accept(&["continue", "identity"]);
        }
        Ok(Ddl::Truncate { relations, restart_identity, cascade: self.drop_behavior() })
    }

    pub(super) fn comment(&mut self) -> Result<Ddl> {
        let position = self.position();
        self.expect(&["comment", "on"])?;
        let Some(word) = self.peek_word() else { return Err(self.syntax_error()) };
        let target = match word.as_str() {
            "table" | "collection" => self.comment_relation(RelationWord::Table)?,
            "index" => self.comment_relation(RelationWord::Index)?,
            "view" => self.comment_relation(RelationWord::View)?,
            "sequence" => self.comment_relation(RelationWord::Sequence)?,
            "materialized" => {
                self.advance();
                self.comment_relation(RelationWord::MaterializedView)?
            }
            "column" => {
                self.advance();
                CommentTarget::Column(self.name()?)
            }
            "schema" => {
                self.advance();
                CommentTarget::Schema(self.identifier()?)
            }
            "database" => {
                self.advance();
                CommentTarget::Database(self.identifier()?)
            }
            "role" => {
                self.advance();
                CommentTarget::Role(self.identifier()?)
            }
            "function" => {
                self.advance();
                CommentTarget::Function(self.routine_name()?)
            }
            "operator" if !self.peek_words(&["operator", "class"]) && !self.peek_words(&["operator", "family"]) => {
                self.advance();
                CommentTarget::Operator(self.operator_name()?)
            }
            "aggregate" => {
                self.advance();
                CommentTarget::Aggregate(self.aggregate_name()?)
            }
            "constraint" => {
                self.advance();
                let name = self.identifier()?;
                self.expect(&["on"])?;
                if self.peek("domain") && self.peek_nth_word(1).is_some_and(|word| word != "is") {
                    self.advance();
                    CommentTarget::DomainConstraint { name, domain: self.name()? }
                } else {
                    CommentTarget::Constraint { name, relation: self.name()? }
                }
            }
            "rule" => {
                self.advance();
                let name = self.identifier()?;
                self.expect(&["on"])?;
                CommentTarget::Rule { name, relation: self.name()? }
            }
            "type" | "domain" => {
                self.advance();
                CommentTarget::Type { name: self.name()?, is_domain: word == "domain" }
            }
            _ => return self.unsupported(&format!("COMMENT ON {}", word.to_uppercase()), position),
        };
        self.expect(&["is"])?;
        let comment = if self.accept_word("null") { None } else { Some(self.string()?) };
        // An empty comment is none.
        Ok(Ddl::Comment { target, comment: comment.filter(|c| !c.is_empty()) })
    }

    fn comment_relation(&mut self, word: RelationWord) -> Result<CommentTarget> {
        self.advance();
        Ok(CommentTarget::Relation { word, name: self.name()? })
    }

    pub(super) fn reassign_owned(&mut self) -> Result<Ddl> {
        self.expect(&["reassign", "owned", "by"])?;
        let from = self.list(Self::role)?;
        self.expect(&["to"])?;
        Ok(Ddl::ReassignOwned { from, to: self.role()? })
    }
}
