//! LOCK, ANALYZE, VACUUM, CLUSTER, REINDEX, CHECKPOINT: names are resolved and rights asked for, with PostgreSQL's answers to what
//! is none of the kind.

use super::Binder;
use crate::parse::{GivenOption, Maintenance, Named, OptionValue, Reindexed};
use crate::utility::ddl::{Name, ObjectName};
use crate::utility::{Maintain, Utility};
use catalog::privileges::{self, Target};
use catalog::{Index, IndexState, Relation, RelationKind, Snapshot, privilege};
use std::sync::Arc;
use types::error::Severity;
use types::{Oid, Result, SqlError, SqlState, TableLock};

fn maintain(tag: &'static str) -> Maintain {
    Maintain { tag, analyze: vec![], reindex: vec![], concurrently: false, notices: vec![], outside_block: false }
}

impl Binder<'_> {
    pub(super) fn maintenance(&mut self, statement: &Maintenance) -> Result<Utility> {
        let maintain = match statement {
            Maintenance::Lock { relations, mode, nowait } => {
                return self.lock_table(relations, *mode, *nowait);
            }
            Maintenance::Gather { is_vacuum: false, options, relations } => self.analyze(options, relations)?,
            Maintenance::Gather { is_vacuum: true, options, relations } => self.vacuum(options, relations)?,
            Maintenance::Cluster { options, relation, index } => {
                self.cluster(options, relation.as_ref(), index.as_ref())?
            }
            Maintenance::Reindex { options, what, name } => self.reindex(options, *what, name)?,
            Maintenance::Checkpoint => self.checkpoint()?,
        };
        Ok(Utility::Maintain(Box::new(maintain)))
    }

    /// The relation of that name. PostgreSQL tells no position for the names of utility statements.
    pub(super) fn relation_by_name(&mut self, name: &ObjectName) -> Result<Arc<Relation>> {
        let relation = catalog::names::relation(&self.context.catalog, self.name_scope(), &name.parts)?.clone();
        if !self.depends_on.iter().any(|(id, _)| *id == relation.id) {
            self.depends_on.push((relation.id, relation.schema_version));
        }
        Ok(relation)
    }

    /// Relation or index.
    fn id_by_name(&self, name: &ObjectName) -> Result<Oid> {
        let found = catalog::names::find(&self.context.catalog, self.name_scope(), &name.parts)?;
        found.ok_or_else(|| catalog::names::no_relation(&name.parts))
    }

    fn lock_table(&mut self, names: &[ObjectName], mode: TableLock, nowait: bool) -> Result<Utility> {
        let mut relations = vec![];
        for name in names {
            let id = self.id_by_name(name)?;
            let Some(relation) = self.context.catalog.relation(id).cloned() else {
                return Err(cannot_lock(name, "indexes"));
            };
            match relation.kind {
                RelationKind::Table | RelationKind::Collection | RelationKind::View => {}
                RelationKind::Virtual => return Err(super::unsupported("locking a system catalog", name.position)),
                RelationKind::Sequence => return Err(cannot_lock(name, "sequences")),
                RelationKind::MaterializedView => return Err(cannot_lock(name, "materialized views")),
                RelationKind::Composite | RelationKind::Enum | RelationKind::Domain => {
                    return Err(cannot_lock(name, "composite types"));
                }
            }
            let write = privilege::UPDATE | privilege::DELETE | privilege::TRUNCATE;
            let rights = match mode {
                TableLock::AccessShare => privilege::SELECT,
                TableLock::RowExclusive => privilege::INSERT | write,
                _ => write,
            };
            let target = Target::Relation(&relation);
            if privileges::held(&self.context.catalog, self.context.role, target, rights) == 0 {
                return Err(privileges::denied(target));
            }
            relations.push(id);
        }
        Ok(Utility::LockTable { relations, mode, nowait })
    }

    fn analyze(&mut self, options: &[GivenOption], relations: &[Named]) -> Result<Maintain> {
        for option in options {
            match option.name.as_str() {
                "verbose" | "skip_locked" => _ = option.boolean()?,
                _ => return Err(unrecognized("ANALYZE", option)),
            }
        }
        let mut maintain = maintain("ANALYZE");
        self.gather(relations, "analyze", &mut maintain)?;
        Ok(maintain)
    }

    fn vacuum(&mut self, options: &[GivenOption], relations: &[Named]) -> Result<Maintain> {
        let (mut analyze, mut full, mut parallel) = (false, false, false);
        for option in options {
            match option.name.as_str() {
                "analyze" | "analyse" => analyze = option.boolean()?,
                "full" => full = option.boolean()?,
                "verbose" | "skip_locked" | "freeze" | "disable_page_skipping" | "process_toast" | "truncate" => {
                    _ = option.boolean()?;
                }
                "index_cleanup" if matches!(&option.value, Some(OptionValue::Text(text)) if text.eq_ignore_ascii_case("auto")) =>
                    {}
                "index_cleanup" => _ = option.boolean()?,
                "parallel" => {
                    let Some(OptionValue::Number(workers)) = &option.value else {
                        let message = "parallel option requires a value between 0 and 1024";
                        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(option.position));
                    };
                    let workers = workers.parse::<i32>().ok().filter(|n| (0..=1024).contains(n));
                    let Some(workers) = workers else {
                        let message = "parallel workers for vacuum must be between 0 and 1024";
                        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(option.position));
                    };
                    parallel = workers > 0;
                }
                _ => return Err(unrecognized("VACUUM", option)),
            }
        }
        if full && parallel {
            return Err(SqlError::unsupported("VACUUM FULL cannot be performed in parallel"));
        }
        if !analyze && relations.iter().any(|r| !r.columns.is_empty()) {
            return Err(SqlError::unsupported("ANALYZE option must be specified when a column list is provided"));
        }
        let mut maintain = Maintain { outside_block: true, ..maintain("VACUUM") };
        self.gather(relations, "vacuum", &mut maintain)?;
        if !analyze {
            maintain.analyze.clear();
        }
        Ok(maintain)
    }

    /// The relations named, or all that the role may look after; others are skipped with a warning.
    fn gather(&mut self, named: &[Named], verb: &str, into: &mut Maintain) -> Result<()> {
        let skipped = |name: &str, why: &str| {
            let message = format!("skipping \"{name}\" --- {why}");
            SqlError::new(SqlState::WARNING, message).severity(Severity::Warning)
        };
        if named.is_empty() {
            let catalog = &self.context.catalog;
            let mine = catalog.relations().filter(|r| r.database == self.context.database && r.has_rows());
            into.analyze = mine.filter(|r| self.may_maintain(r)).map(|r| (r.id, vec![])).collect();
            return Ok(());
        }
        for Named { name, columns } in named {
            let id = self.id_by_name(name)?;
            let relation = self.context.catalog.relation(id).filter(|r| r.has_rows()).cloned();
            let Some(relation) = relation else {
                let why = format!("cannot {verb} non-tables or special system tables");
                into.notices.push(skipped(name.object(), &why));
                continue;
            };
            if !self.may_maintain(&relation) {
                let why = format!("only table or database owner can {verb} it");
                into.notices.push(skipped(&relation.name, &why));
                continue;
            }
            into.analyze.push((relation.id, listed_columns(&relation, columns)?));
        }
        Ok(())
    }

    fn may_maintain(&self, relation: &Relation) -> bool {
        let catalog = &self.context.catalog;
        let of_database = catalog
            .database(self.context.database)
            .is_some_and(|d| privileges::has_rights_of(catalog, self.context.role, d.owner, d.id));
        of_database || privileges::is_owner(catalog, self.context.role, Target::Relation(relation))
    }

    fn must_own(&self, relation: &Relation) -> Result<()> {
        let target = Target::Relation(relation);
        if privileges::is_owner(&self.context.catalog, self.context.role, target) {
            return Ok(());
        }
        let message = format!("must be owner of {}", target.describe());
        Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message))
    }

    fn cluster(
        &mut self,
        options: &[GivenOption],
        name: Option<&ObjectName>,
        index: Option<&Name>,
    ) -> Result<Maintain> {
        for option in options {
            match option.name.as_str() {
                "verbose" => _ = option.boolean()?,
                _ => return Err(unrecognized("CLUSTER", option)),
            }
        }
        let Some(name) = name else { return Ok(Maintain { outside_block: true, ..maintain("CLUSTER") }) };
        let relation = self.relation_by_name(name)?;
        if !relation.has_rows() {
            let message = format!("\"{}\" is not a table or materialized view", relation.name);
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
        }
        self.must_own(&relation)?;
        if let Some(Name { name, .. }) = index
            && !self.context.catalog.indexes_of(&relation).any(|i| i.name == *name)
        {
            let message = format!("index \"{name}\" for table \"{}\" does not exist", relation.name);
            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
        }
        Ok(maintain("CLUSTER"))
    }

    fn reindex(&mut self, options: &[GivenOption], what: Reindexed, name: &ObjectName) -> Result<Maintain> {
        let mut concurrently = false;
        for option in options {
            match option.name.as_str() {
                "verbose" => _ = option.boolean()?,
                "concurrently" => concurrently = option.boolean()?,
                "tablespace" => return Err(super::unsupported("TABLESPACE", option.position)),
                _ => return Err(unrecognized("REINDEX", option)),
            }
        }
        let catalog = self.context.catalog.clone();
        let wrong = |message| Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
        let unfilled = |is_meant: &dyn Fn(&Index) -> bool| -> Vec<Oid> {
            let indexes = catalog.indexes().filter(|i| i.state == IndexState::WriteOnly && is_meant(i));
            indexes.map(|i| i.id).collect()
        };
        let (is_wide, mut reindex) = match what {
            Reindexed::Index => {
                let Some(index) = catalog.index(self.id_by_name(name)?) else {
                    return wrong(format!("\"{}\" is not an index", name.object()));
                };
                if let Some(relation) = catalog.relation(index.relation) {
                    self.must_own(relation)?;
                }
                (false, unfilled(&|i| i.id == index.id))
            }
            Reindexed::Table => {
                let Some(relation) = catalog.relation(self.id_by_name(name)?).filter(|r| r.has_rows()) else {
                    return wrong(format!("\"{}\" is not a table or materialized view", name.object()));
                };
                self.must_own(relation)?;
                (false, unfilled(&|i| i.relation == relation.id))
            }
            Reindexed::Schema => {
                let schema = catalog::names::schema(&catalog, self.name_scope(), name.object())?.id;
                (true, unfilled(&|i| i.schema == schema))
            }
            Reindexed::Database | Reindexed::System => {
                if catalog.database(self.context.database).is_none_or(|d| d.name != name.object()) {
                    return Err(SqlError::unsupported("can only reindex the currently open database"));
                }
                (true, unfilled(&|i| i.database == self.context.database))
            }
        };
        let mut notices = vec![];
        if concurrently && !matches!(what, Reindexed::Index) {
            notices = reindex.drain(..).filter_map(|id| catalog.index(id)).map(|i| left_invalid(&catalog, i)).collect();
        }
        let outside_block = is_wide || concurrently;
        Ok(Maintain { reindex, concurrently, notices, outside_block, ..maintain("REINDEX") })
    }

    fn checkpoint(&self) -> Result<Maintain> {
        if !privileges::is_superuser(&self.context.catalog, self.context.role) {
            let message = "must be superuser or have privileges of pg_checkpoint to do CHECKPOINT";
            return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message));
        }
        Ok(maintain("CHECKPOINT"))
    }
}

/// PostgreSQL fills those by name alone: they may be what failed for good.
fn left_invalid(catalog: &Snapshot, index: &Index) -> SqlError {
    let schema = catalog.schema(index.schema).map_or("", |s| &s.name);
    let message = format!("cannot reindex invalid index \"{schema}.{}\" concurrently, skipping", index.name);
    SqlError::new(SqlState::INDEX_CORRUPTED, message).severity(Severity::Warning)
}

fn cannot_lock(name: &ObjectName, kinds: &str) -> SqlError {
    let message = format!("cannot lock relation \"{}\"", name.object());
    SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).detail(format!("This operation is not supported for {kinds}."))
}

fn unrecognized(statement: &str, option: &GivenOption) -> SqlError {
    let message = format!("unrecognized {statement} option \"{}\"", option.name);
    SqlError::new(SqlState::SYNTAX_ERROR, message).at(option.position)
}

fn listed_columns(relation: &Relation, names: &[Name]) -> Result<Vec<i16>> {
    let mut attributes = vec![];
    for Name { name, .. } in names {
        let Some(column) = relation.column_by_name(name) else {
            let message = format!("column \"{name}\" of relation \"{}\" does not exist", relation.name);
            return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message));
        };
        if attributes.contains(&column.number) {
            let message = format!("column \"{name}\" of relation \"{}\" appears more than once", relation.name);
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
        }
        attributes.push(column.number);
    }
    Ok(attributes)
}
