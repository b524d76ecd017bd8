//! CREATE of everything but tables: dispatch, schemas, databases, indexes, views, roles.

use super::cursor::{Cursor, Result};
use crate::utility::ddl::*;
use sqlparser::tokenizer::Token;
use types::functions::quote_ident;
use types::{SqlError, SqlState};

impl Cursor<'_, '_> {
    pub(super) fn create(&mut self) -> Result<Ddl> {
        let position = self.position();
        self.expect(&["create"])?;
        let or_replace = self.accept(&["or", "replace"]);
        let is_temporary =
            self.accept_any(&["local", "global"]).is_some() | self.accept_any(&["temp", "temporary"]).is_some();
        if self.accept(&["unlogged", "table"]) {
            return self.create_table(false, false);
        }
        let Some(word) = self.peek_word() else { return Err(self.syntax_error()) };
        match word.as_str() {
            "view" => {
                self.advance();
                return self.create_view(or_replace, is_temporary);
            }
            "recursive" => {
                self.expect(&["recursive", "view"])?;
                return self.create_recursive_view(or_replace, is_temporary);
            }
            "table" if !or_replace => {
                self.advance();
                return self.create_table(is_temporary, false);
            }
            "sequence" if !or_replace => {
                self.advance();
                return self.create_sequence(is_temporary);
            }
            _ if is_temporary => return Err(self.syntax_error()),
            _ => {}
        }
        if word == "function" {
            self.advance();
            return self.create_function(or_replace, position);
        }
        if word == "aggregate" {
            return self.create_aggregate(or_replace);
        }
        if word == "rule" {
            return self.create_rule(or_replace, position);
        }
        if or_replace {
            return self.create_unsupported(&word, position);
        }
        self.create_plain(&word, position)
    }

    fn create_plain(&mut self, word: &str, position: u32) -> Result<Ddl> {
        match word {
            "collection" => {
                self.advance();
                self.create_table(false, true)
            }
            "unique" | "index" => self.create_index(),
            "materialized" => self.create_materialized_view(),
            "schema" => self.create_schema(),
            "database" => {
                self.advance();
                let name = self.identifier()?;
                Ok(Ddl::CreateDatabase { name, options: self.database_options()? })
            }
            "role" | "user" | "group" => self.create_role(word, position),
            "type" => self.create_type(position),
            "domain" => self.create_domain(),
            "extension" => self.create_extension(),
            "operator" => self.create_operator(position),
            _ => self.create_unsupported(word, position),
        }
    }

    /// There are none to be had.
    fn create_extension(&mut self) -> Result<Ddl> {
        self.advance();
        self.accept(&["if", "not", "exists"]);
        let name = self.identifier()?.name;
        self.skip_rest();
        Ok(Ddl::Unsupported { what: format!("extension \"{name}\" is not available"), position: 0 })
    }

    fn create_unsupported(&mut self, word: &str, position: u32) -> Result<Ddl> {
        const KNOWN: &[&str] = &[
            "procedure",
            "trigger",
            "constraint",
            "policy",
            "cast",
            "collation",
            "conversion",
            "event",
            "foreign",
            "server",
            "language",
            "trusted",
            "procedural",
            "publication",
            "subscription",
            "statistics",
            "tablespace",
            "text",
            "access",
            "transform",
            "unlogged",
            "default",
        ];
        if !KNOWN.contains(&word) {
            return Err(self.syntax_error());
        }
        let what = match (word, self.peek_nth_word(1).as_deref()) {
            ("event" | "constraint", Some(second)) | ("foreign" | "text" | "access", Some(second)) => {
                format!("CREATE {} {}", word.to_uppercase(), second.to_uppercase())
            }
            _ => format!("CREATE {}", word.to_uppercase()),
        };
        self.unsupported(&what, position)
    }

    // --- schemas and databases

    fn create_schema(&mut self) -> Result<Ddl> {
        self.expect(&["schema"])?;
        let if_not_exists = self.accept(&["if", "not", "exists"]);
        let mut name = None;
        if !self.peek("authorization") {
            name = Some(self.identifier()?);
        }
        let authorization = if self.accept_word("authorization") { Some(self.role()?) } else { None };
        let mut elements = vec![];
        while !self.at_end() {
            let position = self.position();
            if if_not_exists {
                let message = "CREATE SCHEMA IF NOT EXISTS cannot include schema elements";
                return Err(SqlError::unsupported(message).at(position));
            }
            elements.push(match self.peek_word().as_deref() {
                Some("create") => self.create()?,
                Some("grant") => self.grant_or_revoke()?,
                _ => return Err(self.syntax_error()),
            });
        }
        Ok(Ddl::CreateSchema(CreateSchema { name, if_not_exists, authorization, elements }))
    }

    /// `[WITH] name [=] value …`
    pub(super) fn database_options(&mut self) -> Result<Options> {
        self.accept_word("with");
        let mut options = vec![];
        while !self.at_end() {
            let name =
                if self.accept(&["connection", "limit"]) { "connection_limit".to_owned() } else { self.label()?.name };
            self.accept_token(&Token::Eq);
            let value = if self.accept_word("default") { None } else { Some(self.option_value()?) };
            options.push((name, value));
        }
        Ok(options)
    }

    // --- indexes

    fn create_index(&mut self) -> Result<Ddl> {
        let is_unique = self.accept_word("unique");
        self.expect(&["index"])?;
        let concurrently = self.accept_word("concurrently");
        let if_not_exists = self.accept(&["if", "not", "exists"]);
        let name = if !if_not_exists && self.peek("on") { None } else { Some(self.identifier()?) };
        self.expect(&["on"])?;
        self.accept_word("only");
        let relation = self.name()?;
        let (mut method, mut method_position) = ("btree".to_owned(), 0);
        if self.accept_word("using") {
            let given = self.identifier()?;
            (method, method_position) = (given.name, given.position);
        }
        let columns = self.parenthesized(Self::index_element)?;
        let include = if self.accept_word("include") { self.columns()? } else { vec![] };
        let mut nulls_not_distinct = false;
        if self.accept(&["nulls", "not", "distinct"]) {
            nulls_not_distinct = true;
        } else {
            self.accept(&["nulls", "distinct"]);
        }
        let options = self.with_options()?;
        if self.accept_word("tablespace") {
            self.identifier()?;
        }
        let predicate = if self.accept_word("where") { Some(self.expression()?) } else { None };
        Ok(Ddl::CreateIndex(Box::new(CreateIndex {
            name,
            relation,
            is_unique,
            concurrently,
            if_not_exists,
            method,
            method_position,
            columns,
            include,
            nulls_not_distinct,
            options,
            predicate,
        })))
    }

    fn index_element(&mut self) -> Result<IndexElement> {
        let source = if self.peek_token(&Token::LParen) {
            IndexElementSource::Expression(self.parenthesized_expression()?)
        } else if self.at_column_alone() {
            IndexElementSource::Column(self.identifier()?)
        } else {
            IndexElementSource::Expression(self.plain_expression()?)
        };
        let collation = if self.accept_word("collate") { Some(self.name()?) } else { None };
        let mut opclass = None;
        if self.at_identifier() && !["asc", "desc", "nulls"].iter().any(|word| self.peek(word)) {
            opclass = Some(self.name()?);
            if self.peek_token(&Token::LParen) {
                self.options()?;
            }
        }
        let descending = self.accept_any(&["asc", "desc"]) == Some("desc");
        let nulls_first = if self.accept(&["nulls", "first"]) {
            Some(true)
        } else if self.accept(&["nulls", "last"]) {
            Some(false)
        } else {
            None
        };
        Ok(IndexElement { source, collation, opclass, descending, nulls_first })
    }

    /// A name that is no call and no path.
    fn at_column_alone(&self) -> bool {
        let next = &self.parser.peek_nth_token_ref(1).token;
        self.at_identifier() && !matches!(next, Token::LParen | Token::Period | Token::LBracket)
    }

    // --- views

    fn create_view(&mut self, or_replace: bool, is_temporary: bool) -> Result<Ddl> {
        let name = self.name()?;
        let columns = self.optional_columns()?;
        let options = self.with_options()?;
        self.expect(&["as"])?;
        let query = self.query()?;
        let mut check_option = None;
        if self.accept_word("with") {
            check_option = Some(match self.accept_any(&["local", "cascaded"]) {
                Some("local") => "LOCAL",
                _ => "CASCADED",
            });
            self.expect(&["check", "option"])?;
        }
        Ok(Ddl::CreateView(Box::new(CreateView {
            name,
            or_replace,
            is_temporary,
            columns,
            options,
            query,
            check_option,
        })))
    }

    /// `RECURSIVE VIEW v (a, b) AS query` is `VIEW v (a, b) AS WITH RECURSIVE v (a, b) AS (query) SELECT a, b FROM v`.
    fn create_recursive_view(&mut self, or_replace: bool, is_temporary: bool) -> Result<Ddl> {
        let name = self.name()?;
        let columns = self.columns()?;
        let options = self.with_options()?;
        self.expect(&["as"])?;
        let query = self.query()?;
        if self.peek("with") {
            let position = self.position();
            self.expect(&["with"])?;
            self.accept_any(&["local", "cascaded"]);
            self.expect(&["check", "option"])?;
            return Err(SqlError::unsupported("WITH CHECK OPTION not supported on recursive views").at(position));
        }
        let list: Vec<_> = columns.iter().map(|c| quote_ident(&c.name).to_string()).collect();
        let (list, own) = (list.join(","), quote_ident(name.object()).to_string());
        let before = format!("WITH RECURSIVE {own}({list}) AS (");
        // The query stands where it stands in the statement, in front of which there is room for these words.
        let room = before.chars().count() as u32;
        let position = query.position.saturating_sub(room);
        let query = SqlText { text: format!("{before}{}) SELECT {list} FROM {own}", query.text), position };
        let check_option = None;
        let view = CreateView { name, or_replace, is_temporary, columns, options, query, check_option };
        Ok(Ddl::CreateView(Box::new(view)))
    }

    fn create_materialized_view(&mut self) -> Result<Ddl> {
        self.expect(&["materialized", "view"])?;
        let if_not_exists = self.accept(&["if", "not", "exists"]);
        let name = self.name()?;
        let columns = self.optional_columns()?;
        if self.accept_word("using") {
            self.identifier()?;
        }
        let options = self.with_options()?;
        if self.accept_word("tablespace") {
            self.identifier()?;
        }
        self.expect(&["as"])?;
        let query = self.query()?;
        let with_data = self.with_data()?;
        Ok(Ddl::CreateTableAs(Box::new(CreateTableAs {
            name,
            if_not_exists,
            is_temporary: false,
            is_materialized_view: true,
            is_select_into: false,
            columns,
            options,
            on_commit: OnCommit::PreserveRows,
            query,
            is_execute: false,
            with_data,
        })))
    }

    pub(super) fn refresh(&mut self) -> Result<Ddl> {
        self.expect(&["refresh", "materialized", "view"])?;
        let concurrently = self.accept_word("concurrently");
        let name = self.name()?;
        Ok(Ddl::RefreshMaterializedView { name, concurrently, with_data: self.with_data()? })
    }

    // --- roles

    fn create_role(&mut self, word: &str, position: u32) -> Result<Ddl> {
        self.advance();
        if word == "user" && self.accept(&["mapping"]) {
            return self.unsupported("CREATE USER MAPPING", position);
        }
        let kind = match word {
            "user" => RoleKind::User,
            "group" => RoleKind::Group,
            _ => RoleKind::Role,
        };
        let position = self.position();
        let name = match self.role()? {
            RoleSpec::Name(name) => name,
            RoleSpec::Public => return Err(reserved_role("public").at(position)),
            RoleSpec::CurrentUser => return Err(not_here("CURRENT_USER").at(position)),
            RoleSpec::SessionUser => return Err(not_here("SESSION_USER").at(position)),
        };
        self.accept_word("with");
        let options = self.role_options(true)?;
        Ok(Ddl::CreateRole { name: Name { name, position }, kind, options })
    }

    pub(super) fn role_options(&mut self, is_create: bool) -> Result<Vec<RoleOption>> {
        let mut options: Vec<RoleOption> = vec![];
        while !self.at_end() {
            let position = self.position();
            let option = self.role_option(is_create)?;
            let same = |o: &RoleOption| std::mem::discriminant(o) == std::mem::discriminant(&option);
            let may_repeat = matches!(option, RoleOption::AddMembers(_) | RoleOption::DropMembers(_));
            if !may_repeat && options.iter().any(same) {
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, "conflicting or redundant options").at(position));
            }
            options.push(option);
        }
        Ok(options)
    }

    fn role_option(&mut self, is_create: bool) -> Result<RoleOption> {
        if self.accept(&["connection", "limit"]) {
            return Ok(RoleOption::ConnectionLimit(self.small_integer()?));
        }
        if self.accept(&["valid", "until"]) {
            return Ok(RoleOption::ValidUntil(self.string()?));
        }
        let is_encrypted = self.accept_word("encrypted");
        if self.accept_word("password") {
            let password = if self.accept_word("null") { None } else { Some(self.string()?) };
            return Ok(RoleOption::Password(password));
        }
        if is_encrypted {
            return Err(self.syntax_error());
        }
        if is_create {
            if self.accept(&["in", "role"]) || self.accept(&["in", "group"]) {
                return Ok(RoleOption::InRoles(self.list(Self::role)?));
            }
            if self.accept_any(&["role", "user"]).is_some() {
                return Ok(RoleOption::Members(self.list(Self::role)?));
            }
            if self.accept_word("admin") {
                return Ok(RoleOption::Admins(self.list(Self::role)?));
            }
            if self.accept_word("sysid") {
                self.integer()?;
                return self.role_option(is_create);
            }
        }
        let option = match self.peek_word().as_deref() {
            Some("superuser") => RoleOption::Superuser(true),
            Some("nosuperuser") => RoleOption::Superuser(false),
            Some("createdb") => RoleOption::CreateDatabase(true),
            Some("nocreatedb") => RoleOption::CreateDatabase(false),
            Some("createrole") => RoleOption::CreateRole(true),
            Some("nocreaterole") => RoleOption::CreateRole(false),
            Some("inherit") => RoleOption::Inherit(true),
            Some("noinherit") => RoleOption::Inherit(false),
            Some("login") => RoleOption::Login(true),
            Some("nologin") => RoleOption::Login(false),
            Some("replication") => RoleOption::Replication(true),
            Some("noreplication") => RoleOption::Replication(false),
            Some("bypassrls") => RoleOption::BypassRowSecurity(true),
            Some("nobypassrls") => RoleOption::BypassRowSecurity(false),
            _ => {
                let word = self.label()?;
                let message = format!("unrecognized role option \"{}\"", word.name);
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(word.position));
            }
        };
        self.advance();
        Ok(option)
    }
}

pub(super) fn reserved_role(name: &str) -> SqlError {
    SqlError::new(SqlState::RESERVED_NAME, format!("role name \"{name}\" is reserved"))
}

fn not_here(word: &str) -> SqlError {
    SqlError::new(SqlState::RESERVED_NAME, format!("{word} cannot be used as a role name here"))
}
