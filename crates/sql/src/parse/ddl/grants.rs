//! GRANT, REVOKE and ALTER DEFAULT PRIVILEGES.

use super::cursor::{Cursor, Result};
use crate::utility::ddl::*;
use sqlparser::tokenizer::Token;

/// `ALL`, or rights with their columns.
struct Rights {
    rights: Vec<(String, Vec<Name>, u32)>,
    all_columns: Vec<Name>,
}

impl Cursor<'_, '_> {
    pub(super) fn grant_or_revoke(&mut self) -> Result<Ddl> {
        let is_grant = self.accept_any(&["grant", "revoke"]) == Some("grant");
        let mut grant_option = !is_grant && self.accept(&["grant", "option", "for"]);
        let admin_option = !is_grant && self.accept(&["admin", "option", "for"]);
        let Rights { rights, all_columns } = self.rights()?;
        if self.peek(if is_grant { "to" } else { "from" }) {
            return self.grant_roles(is_grant, rights, admin_option);
        }
        self.expect(&["on"])?;
        let target = self.grant_target()?;
        let grantees = self.grantees(is_grant)?;
        if is_grant {
            grant_option = self.accept(&["with", "grant", "option"]);
        }
        let granted_by = self.granted_by()?;
        let cascade = self.revoke_behavior(is_grant);
        Ok(Ddl::Grant(Grant { is_grant, rights, all_columns, target, grantees, grant_option, granted_by, cascade }))
    }

    fn rights(&mut self) -> Result<Rights> {
        if self.accept_word("all") {
            self.accept_word("privileges");
            return Ok(Rights { rights: vec![], all_columns: self.optional_columns()? });
        }
        let rights = self.list(|c| {
            let right = c.label()?;
            let columns = c.optional_columns()?;
            Ok((right.name, columns, right.position))
        })?;
        Ok(Rights { rights, all_columns: vec![] })
    }

    fn grantees(&mut self, is_grant: bool) -> Result<Vec<RoleSpec>> {
        self.expect(&[if is_grant { "to" } else { "from" }])?;
        self.list(|c| {
            c.accept_word("group");
            c.role()
        })
    }

    fn granted_by(&mut self) -> Result<Option<RoleSpec>> {
        if self.accept(&["granted", "by"]) { self.role().map(Some) } else { Ok(None) }
    }

    fn revoke_behavior(&mut self, is_grant: bool) -> bool {
        !is_grant && self.accept_any(&["cascade", "restrict"]) == Some("cascade")
    }

    /// The words read as rights were role names.
    fn grant_roles(&mut self, is_grant: bool, names: Vec<(String, Vec<Name>, u32)>, for_option: bool) -> Result<Ddl> {
        let roles = names.into_iter().map(|(name, _, position)| Name { name, position }).collect();
        let members = self.grantees(is_grant)?;
        let admin_option = for_option || is_grant && self.accept(&["with", "admin", "option"]);
        let granted_by = self.granted_by()?;
        let cascade = self.revoke_behavior(is_grant);
        Ok(Ddl::GrantRoles(GrantRoles { is_grant, roles, members, admin_option, granted_by, cascade }))
    }

    fn grant_target(&mut self) -> Result<GrantTarget> {
        let position = self.position();
        if self.accept(&["all", "tables", "in", "schema"]) {
            return Ok(GrantTarget::AllTablesIn(self.list(Self::identifier)?));
        }
        if self.accept(&["all", "sequences", "in", "schema"]) {
            return Ok(GrantTarget::AllSequencesIn(self.list(Self::identifier)?));
        }
        if self.accept_word("database") {
            return Ok(GrantTarget::Databases(self.list(Self::identifier)?));
        }
        if self.accept_word("schema") {
            return Ok(GrantTarget::Schemas(self.list(Self::identifier)?));
        }
        if self.accept_word("sequence") {
            return Ok(GrantTarget::Sequences(self.list(Self::name)?));
        }
        if self.accept(&["all", "functions", "in", "schema"]) {
            return Ok(GrantTarget::AllFunctionsIn(self.list(Self::identifier)?));
        }
        let next_is_name = matches!(self.parser.peek_nth_token_ref(1).token, Token::Word(_));
        if self.peek("function") && next_is_name {
            self.advance();
            return Ok(GrantTarget::Functions(self.list(Self::routine_name)?));
        }
        if next_is_name && self.peek_word().is_some_and(|word| matches!(word.as_str(), "type" | "domain")) {
            let is_domain = self.peek("domain");
            self.advance();
            return Ok(GrantTarget::Types { names: self.list(Self::name)?, is_domain });
        }
        const OTHERS: &[&str] =
            &["procedure", "routine", "language", "foreign", "large", "parameter", "tablespace", "all"];
        if OTHERS.iter().any(|word| self.peek(word)) && next_is_name {
            let word = self.peek_word().unwrap_or_default().to_uppercase();
            while !self.at_end() && !self.peek("to") && !self.peek("from") {
                self.advance();
            }
            return Ok(GrantTarget::Unsupported { what: format!("GRANT ON {word}"), position });
        }
        self.accept_word("table");
        Ok(GrantTarget::Tables(self.list(Self::name)?))
    }

    /// After ALTER DEFAULT PRIVILEGES.
    pub(super) fn alter_default_privileges(&mut self) -> Result<Ddl> {
        let (mut roles, mut schemas) = (vec![], vec![]);
        loop {
            if self.accept(&["for", "role"]) || self.accept(&["for", "user"]) {
                roles = self.list(Self::role)?;
            } else if self.accept(&["in", "schema"]) {
                schemas = self.list(Self::identifier)?;
            } else {
                break;
            }
        }
        let is_grant = match self.accept_any(&["grant", "revoke"]) {
            Some(word) => word == "grant",
            None => return Err(self.syntax_error()),
        };
        let mut grant_option = !is_grant && self.accept(&["grant", "option", "for"]);
        let Rights { rights, all_columns } = self.rights()?;
        self.expect(&["on"])?;
        let kind = match self.accept_any(&["tables", "sequences", "functions", "routines", "types", "schemas"]) {
            Some("tables") => 'r',
            Some("sequences") => 'S',
            Some("functions" | "routines") => 'f',
            Some("types") => 'T',
            Some(_) => 'n',
            None => return Err(self.syntax_error()),
        };
        let grantees = self.grantees(is_grant)?;
        if is_grant {
            grant_option = self.accept(&["with", "grant", "option"]);
        }
        let cascade = self.revoke_behavior(is_grant);
        let target = GrantTarget::Default(kind);
        let grant = Grant { is_grant, rights, all_columns, target, grantees, grant_option, granted_by: None, cascade };
        Ok(Ddl::AlterDefaultPrivileges { roles, schemas, grant })
    }
}
