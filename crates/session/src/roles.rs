//! SET ROLE, SET SESSION AUTHORIZATION, SET CONSTRAINTS, and the session's TEMP objects at the end of transactions.

use crate::session::Session;
use crate::utility::DdlWork;
use catalog::{OnCommit, Relation, privileges};
use sql::utility::ddl::{Ddl, DropKind, ObjectName};
use std::sync::Arc;
use types::{Result, SqlError, SqlState};

impl Session {
    fn role_named(&self, name: &str) -> Result<Arc<catalog::Role>> {
        self.catalog
            .snapshot()
            .role_by_name(name)
            .cloned()
            .ok_or_else(|| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("role \"{name}\" does not exist")))
    }

    pub(crate) fn set_role(&mut self, role: Option<&str>, local: bool) -> Result<()> {
        use exec::SessionAccess;
        let value = match role {
            None => "none".to_owned(),
            Some(name) => {
                let role = self.role_named(name)?;
                if !privileges::is_member(self.catalog.snapshot(), self.state.session_user(), role.id) {
                    let message = format!("permission denied to set role \"{name}\"");
                    return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message));
                }
                role.name.clone()
            }
        };
        self.state.settings.lock().set("role", &[value], local)?;
        self.follow_roles();
        Ok(())
    }

    pub(crate) fn set_session_authorization(&mut self, role: Option<&str>, local: bool) -> Result<()> {
        let login = self.role_name(self.state.login_user);
        let name = match role {
            None => login,
            Some(name) => {
                let role = self.role_named(name)?;
                let may = privileges::is_superuser(self.catalog.snapshot(), self.state.login_user);
                if !may && role.id != self.state.login_user {
                    let message = "permission denied to set session authorization";
                    return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message));
                }
                role.name.clone()
            }
        };
        let mut settings = self.state.settings.lock();
        settings.set("session_authorization", &[name], local)?;
        settings.set("role", &["none".to_owned()], local)?;
        drop(settings);
        self.follow_roles();
        Ok(())
    }

    /// The roles are what the settings say: they go back with them.
    pub(crate) fn follow_roles(&self) {
        let (role, session) = {
            let settings = self.state.settings.lock();
            let get = |name| settings.get(name).unwrap_or_default().to_owned();
            (get("role"), get("session_authorization"))
        };
        let catalog = self.catalog.snapshot();
        let session = catalog.role_by_name(&session).map_or(self.state.login_user, |r| r.id);
        self.state.set_session_user(session);
        let current = catalog.role_by_name(&role).filter(|_| role != "none").map_or(session, |r| r.id);
        self.state.set_current_user(current);
    }

    /// SET CONSTRAINTS. What becomes immediate is checked at once.
    pub(crate) async fn set_constraints(&mut self, names: Option<&[Vec<String>]>, deferred: bool) -> Result<()> {
        if !self.block.is_in_block() {
            let message = "SET CONSTRAINTS can only be used in transaction blocks";
            self.warn(Some(crate::utility::warning(SqlState::NO_ACTIVE_SQL_TRANSACTION, message)));
        }
        let ids = match names {
            None => None,
            Some(names) => Some(self.constraints_named(names, deferred)?),
        };
        self.state.put_off.lock().set_modes(|modes| match &ids {
            None => {
                modes.all = Some(deferred);
                modes.by_id.clear();
            }
            Some(ids) => modes.by_id.extend(ids.iter().map(|id| (*id, deferred))),
        });
        if deferred || !self.state.put_off.lock().has_waiting() {
            return Ok(());
        }
        let is_cut_back = self.open.as_ref().is_some_and(|open| !open.savepoints.is_empty());
        let checks = self.state.put_off.lock().take(is_cut_back, |check| match &ids {
            None => true,
            Some(ids) => ids.contains(&check.constraint),
        })?;
        self.begin_statement().await?;
        let context = self.statement_context(Arc::from([]))?;
        exec::run_deferred(&context, checks).await
    }

    fn schema_of_constraint(&self, name: &[String]) -> Result<u32> {
        if let [database, _, _] = name
            && *database != self.state.database_name
        {
            let message = format!("cross-database references are not implemented: \"{}\"", name.join("."));
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
        }
        let schema = name.iter().rev().nth(1).map_or("", String::as_str);
        let found = self.catalog.snapshot().schema_by_name(self.state.database, schema).map(|s| s.id);
        let missing = || SqlError::new(SqlState::INVALID_SCHEMA_NAME, format!("schema \"{schema}\" does not exist"));
        found.ok_or_else(missing)
    }

    /// Those that can be deferred: SET CONSTRAINTS … IMMEDIATE changes nothing of the others.
    fn constraints_named(&self, names: &[Vec<String>], deferred: bool) -> Result<Vec<u32>> {
        let catalog = self.catalog.snapshot();
        let mut ids = vec![];
        for name in names {
            let Some(own) = name.last() else { continue };
            let schemas: Vec<u32> = match name.len() {
                1 => self.derived.path.schemas.clone(),
                _ => vec![self.schema_of_constraint(name)?],
            };
            let mut is_known = false;
            for relation in catalog.relations().filter(|r| schemas.contains(&r.schema)) {
                for constraint in relation.constraints.iter().filter(|c| c.name == *own) {
                    is_known = true;
                    if constraint.deferrable {
                        ids.push(constraint.id);
                    } else if deferred {
                        let message = format!("constraint \"{own}\" is not deferrable");
                        return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
                    }
                }
            }
            if !is_known {
                let message = format!("constraint \"{own}\" does not exist");
                return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
            }
        }
        Ok(ids)
    }

    // --- TEMP objects

    fn object_name(&self, relation: &Relation) -> ObjectName {
        ObjectName { parts: vec!["pg_temp".to_owned(), relation.name.clone()], position: 0 }
    }

    /// ON COMMIT of the session's TEMP tables, before the commit itself.
    pub(crate) async fn on_commit(&mut self, temporary: Vec<Arc<Relation>>) -> Result<()> {
        // It has neither made a table nor filled one.
        if self.transaction()?.is_read_only() {
            return Ok(());
        }
        let of = |on_commit| temporary.iter().filter(move |relation| relation.on_commit == on_commit);
        let emptied: Vec<&Arc<Relation>> = of(OnCommit::DeleteRows).collect();
        if !emptied.is_empty() {
            self.check_emptied(&emptied)?;
            let relations = emptied.iter().map(|relation| self.object_name(relation)).collect();
            self.do_at_commit(&Ddl::Truncate { relations, restart_identity: false, cascade: false }).await?;
        }
        for relation in of(OnCommit::Drop) {
            // It may have gone with another.
            if self.catalog.snapshot().relation(relation.id).is_some() {
                self.do_at_commit(&drop_table(self.object_name(relation))).await?;
            }
        }
        Ok(())
    }

    /// In the transaction that is ending: for the block it is over, and a statement would begin another.
    async fn do_at_commit(&mut self, ddl: &Ddl) -> Result<()> {
        self.derived.refresh(&self.state, self.catalog.snapshot())?;
        self.transaction()?.begin_statement().await?;
        self.do_ddl(&DdlWork::AtCommit(ddl)).await.map(drop)
    }

    /// 0A000 where rows would stay that refer to rows which go.
    fn check_emptied(&self, emptied: &[&Arc<Relation>]) -> Result<()> {
        for relation in emptied {
            let mut others = self.catalog.snapshot().foreign_keys_to(relation.id).map(|(other, ..)| other);
            if let Some(other) = others.find(|other| !emptied.iter().any(|relation| relation.id == other.id)) {
                return Err(SqlError::unsupported("unsupported ON COMMIT and foreign key combination").detail(
                    format!(
                        "Table \"{}\" references \"{}\", but they do not have the same ON COMMIT setting.",
                        other.name, relation.name
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Drops all TEMP objects: DISCARD, and the session's end.
    pub(crate) async fn drop_temporary(&mut self) {
        if self.catalog.temporary_relations().is_empty() {
            return;
        }
        for relation in self.catalog.temporary_relations() {
            self.shared.gateway.drop_temporary(self.state.id, txn::StorageId(relation.storage));
        }
        self.catalog.forget_temporary();
        self.state.set_temporary_schema(None);
    }
}

fn drop_table(name: ObjectName) -> Ddl {
    Ddl::Drop { kind: DropKind::Table, names: vec![name], if_exists: true, cascade: true, concurrently: false }
}
