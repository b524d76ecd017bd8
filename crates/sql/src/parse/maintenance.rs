//! The grammar of LOCK, ANALYZE, VACUUM, CLUSTER, REINDEX, CHECKPOINT, LISTEN and NOTIFY, and of what is refused when it is its
//! turn: LOAD, DO. CALL, of which there is only to say that it calls no procedure.

use super::ddl::Cursor;
use super::options::GivenOption;
use super::{Syntax, error, session::Front};
use crate::utility::Utility;
use crate::utility::ddl::{Ddl, Name, ObjectName};
use sqlparser::ast;
use sqlparser::tokenizer::Token;
use std::sync::Arc;
use types::{Result, TableLock};

#[derive(Debug)]
pub(crate) enum Maintenance {
    Lock {
        relations: Vec<ObjectName>,
        mode: TableLock,
        nowait: bool,
    },
    /// ANALYZE or, `is_vacuum`, VACUUM.
    Gather {
        is_vacuum: bool,
        options: Vec<GivenOption>,
        relations: Vec<Named>,
    },
    Cluster {
        options: Vec<GivenOption>,
        relation: Option<ObjectName>,
        index: Option<Name>,
    },
    Reindex {
        options: Vec<GivenOption>,
        what: Reindexed,
        name: ObjectName,
    },
    Checkpoint,
}

/// A relation with some of its columns, or all.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) name: ObjectName,
    pub(crate) columns: Vec<Name>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reindexed {
    Index,
    Table,
    Schema,
    Database,
    System,
}

impl Front<'_, '_> {
    /// A statement that begins with one of these words.
    pub(super) fn maintenance(&mut self, word: &str) -> Result<Syntax> {
        let mut cursor = self.cursor();
        let position = cursor.position();
        cursor.advance();
        let maintenance = match word {
            "lock" => cursor.lock()?,
            "analyze" | "analyse" => cursor.analyze()?,
            "vacuum" => cursor.vacuum()?,
            "cluster" => cursor.cluster()?,
            "reindex" => cursor.reindex()?,
            "checkpoint" => Maintenance::Checkpoint,
            "listen" | "unlisten" | "notify" => return Ok(Syntax::Utility(Box::new(cursor.notification(word)?))),
            _ => return cursor.refused_statement(word, position),
        };
        Ok(Syntax::Maintenance(Box::new(maintenance)))
    }
}

impl Cursor<'_, '_> {
    /// What PostgreSQL would do and Hyrax does not: read as far as the grammar goes, refused by the binder.
    fn refused_statement(&mut self, word: &str, position: u32) -> Result<Syntax> {
        match word {
            "load" => drop(self.string()?),
            "do" => {
                let mut has_body = false;
                while !self.at_end() {
                    if self.accept_word("language") {
                        self.option_value()?;
                    } else {
                        self.string()?;
                        has_body = true;
                    }
                }
                if !has_body {
                    return Err(self.syntax_error());
                }
            }
            _ => return self.call(),
        }
        let what = format!("{} is not supported", word.to_uppercase());
        Ok(Syntax::Ddl(Arc::new(Ddl::Unsupported { what, position })))
    }

    /// What follows CALL.
    fn call(&mut self) -> Result<Syntax> {
        let parsed = self.parser.parse_call();
        match parsed.map_err(|e| error::from_parser(&e, self.parser, self.source.text, self.source.lines))? {
            ast::Statement::Call(call) if call.args != ast::FunctionArguments::None => Ok(Syntax::Call(Box::new(call))),
            _ => Err(self.syntax_error()),
        }
    }

    /// What follows LISTEN, UNLISTEN or NOTIFY.
    pub(super) fn notification(&mut self, word: &str) -> Result<Utility> {
        if word == "unlisten" && self.accept_token(&Token::Mul) {
            return Ok(Utility::Unlisten(None));
        }
        let channel = self.identifier()?.name;
        Ok(match word {
            "listen" => Utility::Listen(channel),
            "unlisten" => Utility::Unlisten(Some(channel)),
            _ => {
                let payload = if self.accept_token(&Token::Comma) { self.string()? } else { String::new() };
                Utility::Notify { channel, payload }
            }
        })
    }

    /// `[ONLY] name [*]`, `ONLY (name)`. Nothing inherits, so that all of them mean the same.
    fn relation_expr(&mut self) -> Result<ObjectName> {
        if self.accept_word("only") {
            if !self.accept_token(&Token::LParen) {
                return self.name();
            }
            let name = self.name()?;
            return self.expect_token(&Token::RParen).map(|()| name);
        }
        let name = self.name()?;
        self.accept_token(&Token::Mul);
        Ok(name)
    }

    fn lock(&mut self) -> Result<Maintenance> {
        self.accept_word("table");
        let relations = self.list(Self::relation_expr)?;
        let mut mode = TableLock::AccessExclusive;
        if self.accept_word("in") {
            mode = self.lock_mode()?;
            self.expect(&["mode"])?;
        }
        Ok(Maintenance::Lock { relations, mode, nowait: self.accept_word("nowait") })
    }

    fn lock_mode(&mut self) -> Result<TableLock> {
        use TableLock::*;
        const MODES: &[(&[&str], TableLock)] = &[
            (&["access", "share"], AccessShare),
            (&["access", "exclusive"], AccessExclusive),
            (&["row", "share"], RowShare),
            (&["row", "exclusive"], RowExclusive),
            (&["share", "update", "exclusive"], ShareUpdateExclusive),
            (&["share", "row", "exclusive"], ShareRowExclusive),
            (&["share"], Share),
            (&["exclusive"], Exclusive),
        ];
        if let Some((_, mode)) = MODES.iter().find(|(words, _)| self.accept(words)) {
            return Ok(*mode);
        }
        // Where the last word that fits ends is where the error is.
        if self.accept_any(&["access", "row"]).is_none() && self.accept_word("share") {
            let _ = self.accept_any(&["update", "row"]);
        }
        Err(self.syntax_error())
    }

    fn named(&mut self) -> Result<Named> {
        Ok(Named { name: self.name()?, columns: self.optional_columns()? })
    }

    fn named_list(&mut self) -> Result<Vec<Named>> {
        if self.at_end() { Ok(vec![]) } else { self.list(Self::named) }
    }

    /// `[VERBOSE]` or options in parentheses.
    fn verbose_or_options(&mut self) -> Result<Vec<GivenOption>> {
        if self.peek_token(&Token::LParen) {
            return self.given_options();
        }
        Ok(self.switch("verbose").into_iter().collect())
    }

    fn switch(&mut self, word: &str) -> Option<GivenOption> {
        let position = self.position();
        self.accept_word(word).then(|| GivenOption { name: word.to_owned(), position, value: None })
    }

    fn analyze(&mut self) -> Result<Maintenance> {
        let options = self.verbose_or_options()?;
        Ok(Maintenance::Gather { is_vacuum: false, options, relations: self.named_list()? })
    }

    fn vacuum(&mut self) -> Result<Maintenance> {
        let options = match self.peek_token(&Token::LParen) {
            true => self.given_options()?,
            false => {
                let mut options: Vec<_> =
                    ["full", "freeze", "verbose"].into_iter().filter_map(|word| self.switch(word)).collect();
                options.extend(self.switch("analyze").or_else(|| self.switch("analyse")));
                options
            }
        };
        Ok(Maintenance::Gather { is_vacuum: true, options, relations: self.named_list()? })
    }

    /// `CLUSTER [VERBOSE | (options)] [table [USING index]]`, and `CLUSTER index ON table` of old.
    fn cluster(&mut self) -> Result<Maintenance> {
        let options = self.verbose_or_options()?;
        if self.at_end() {
            return Ok(Maintenance::Cluster { options, relation: None, index: None });
        }
        let name = self.name()?;
        if let [index] = name.parts.as_slice()
            && self.accept_word("on")
        {
            let index = Some(Name { name: index.clone(), position: name.position });
            return Ok(Maintenance::Cluster { options, relation: Some(self.name()?), index });
        }
        let index = if self.accept_word("using") { Some(self.identifier()?) } else { None };
        Ok(Maintenance::Cluster { options, relation: Some(name), index })
    }

    fn reindex(&mut self) -> Result<Maintenance> {
        let mut options = if self.peek_token(&Token::LParen) { self.given_options()? } else { vec![] };
        let what = match self.accept_any(&["index", "table", "schema", "database", "system"]) {
            Some("index") => Reindexed::Index,
            Some("table") => Reindexed::Table,
            Some("schema") => Reindexed::Schema,
            Some("database") => Reindexed::Database,
            Some(_) => Reindexed::System,
            None => return Err(self.syntax_error()),
        };
        options.extend(self.switch("concurrently"));
        Ok(Maintenance::Reindex { options, what, name: self.name()? })
    }
}
