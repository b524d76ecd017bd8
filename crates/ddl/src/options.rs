//! `WITH (…)` of tables, collections and materialized views: what is known, what is kept as given, what it means.

use super::context::{DdlContext, error};
use catalog::{Relation, RelationKind};
use sql::utility::ddl::Options;
use std::sync::Arc;
use types::{Oid, Result, SqlState};

/// Kept and shown. `history` is followed by the catalog (`catalog::retention`), the others are hints about storage.
const OF_TABLES: &[&str] = &[
    "fillfactor",
    "history",
    "parallel_workers",
    "toast_tuple_target",
    "user_catalog_table",
    "vacuum_truncate",
    "vacuum_index_cleanup",
    "log_autovacuum_min_duration",
];
/// Not kept: the kind of the relation tells it.
const OPEN: &str = "open";

pub(super) struct TableOptions {
    /// `open`: whether documents may carry fields that are not declared.
    pub is_open: Option<bool>,
    pub stored: Vec<(String, String)>,
}

/// 22023 for what no table has, and for values that are none.
pub(super) fn of_table(options: &Options) -> Result<TableOptions> {
    let is_open = |(name, _): &&(String, Option<String>)| name == OPEN;
    let others: Options = options.iter().filter(|o| !is_open(o)).cloned().collect();
    super::indexes::check_options(&others, OF_TABLES)?;
    for (name, value) in &others {
        if name == "history" {
            catalog::retention::parse(value.as_deref().unwrap_or_default())?;
        }
    }
    let is_open = match options.iter().rfind(is_open) {
        None => None,
        Some((_, value)) => Some(boolean(OPEN, value.as_deref().unwrap_or("true"))?),
    };
    Ok(TableOptions { is_open, stored: stored(&others) })
}

/// 22023 for a value that the option's kind has not. Options that are not listed take any.
pub(super) fn check_value(name: &str, value: &str) -> Result<()> {
    const BOOLEANS: &[&str] = &[
        "autovacuum_enabled",
        "deduplicate_items",
        "fastupdate",
        "security_barrier",
        "security_invoker",
        "user_catalog_table",
        "vacuum_truncate",
    ];
    const INTEGERS: &[(&str, i64, i64)] = &[
        ("autovacuum_vacuum_cost_limit", 1, 10_000),
        ("autovacuum_vacuum_threshold", 0, i32::MAX as i64),
        ("autovacuum_analyze_threshold", 0, i32::MAX as i64),
        ("fillfactor", 10, 100),
        ("parallel_workers", 0, 1_024),
        ("toast_tuple_target", 128, 8_160),
    ];
    const REALS: &[(&str, f64, f64)] = &[
        ("autovacuum_analyze_scale_factor", 0.0, 100.0),
        ("autovacuum_vacuum_cost_delay", -1.0, 100.0),
        ("autovacuum_vacuum_scale_factor", 0.0, 100.0),
    ];
    let option = name.strip_prefix("toast.").unwrap_or(name);
    let invalid = |kind: &str| {
        let message = format!("invalid value for {kind} option \"{option}\": {value}");
        error(SqlState::INVALID_PARAMETER_VALUE, message)
    };
    let out_of_bounds = |least: String, most: String| {
        let message = format!("value {value} out of bounds for option \"{option}\"");
        let detail = format!("Valid values are between \"{least}\" and \"{most}\".");
        error(SqlState::INVALID_PARAMETER_VALUE, message).detail(detail)
    };
    if BOOLEANS.contains(&option) {
        return boolean(option, value).map(drop);
    }
    if let Some((_, min, max)) = INTEGERS.iter().find(|(name, ..)| *name == option) {
        let given: i64 = value.parse().map_err(|_| invalid("integer"))?;
        return if (*min..=*max).contains(&given) {
            Ok(())
        } else {
            Err(out_of_bounds(min.to_string(), max.to_string()))
        };
    }
    if let Some((_, min, max)) = REALS.iter().find(|(name, ..)| *name == option) {
        let given: f64 = value.parse().map_err(|_| invalid("floating point"))?;
        let shown = |bound: f64| format!("{bound:.6}");
        return if (*min..=*max).contains(&given) { Ok(()) } else { Err(out_of_bounds(shown(*min), shown(*max))) };
    }
    Ok(())
}

/// As PostgreSQL reads a switch: a word or the beginning of one, or a digit.
fn boolean(option: &str, value: &str) -> Result<bool> {
    let word = value.trim().to_lowercase();
    let begins = |whole: &str, least: usize| word.len() >= least && whole.starts_with(&word);
    if begins("true", 1) || begins("yes", 1) || word == "on" || word == "1" {
        return Ok(true);
    }
    if begins("false", 1) || begins("no", 1) || begins("off", 2) || word == "0" {
        return Ok(false);
    }
    let message = format!("invalid value for boolean option \"{option}\": {value}");
    Err(error(SqlState::INVALID_PARAMETER_VALUE, message))
}

pub(super) fn stored(options: &Options) -> Vec<(String, String)> {
    options.iter().map(|(name, value)| (name.clone(), value.clone().unwrap_or_else(|| "true".to_owned()))).collect()
}

/// ALTER … SET (…): later values replace earlier ones.
pub(super) fn merge(options: &mut Vec<(String, String)>, more: Vec<(String, String)>) {
    for (name, value) in more {
        options.retain(|(old, _)| *old != name);
        options.push((name, value));
    }
}

pub(super) async fn set(context: &mut DdlContext<'_>, id: Oid, options: &Options) -> Result<()> {
    let relation = context.relation(id)?;
    let (is_open, stored) = match relation.kind {
        RelationKind::View => {
            super::views::check_options(options)?;
            (None, stored(options))
        }
        _ => {
            let options = of_table(options)?;
            (options.is_open, options.stored)
        }
    };
    if let Some(is_open) = is_open {
        open(context, &relation, is_open).await?;
    }
    context
        .change_relation(id, |r| {
            merge(&mut r.options, stored);
            super::views::follow_options(r);
        })
        .map(drop)
}

pub(super) async fn reset(context: &mut DdlContext<'_>, id: Oid, names: &[String]) -> Result<()> {
    let relation = context.relation(id)?;
    if names.iter().any(|name| name == OPEN) {
        open(context, &relation, false).await?;
    }
    context
        .change_relation(id, |r| {
            r.options.retain(|(name, _)| !names.contains(name));
            super::views::follow_options(r);
        })
        .map(drop)
}

/// A table becomes a collection, or a collection whose documents have no undeclared fields a table.
async fn open(context: &mut DdlContext<'_>, relation: &Arc<Relation>, is_open: bool) -> Result<()> {
    let kind = match (relation.kind, is_open) {
        (RelationKind::Table, true) => RelationKind::Collection,
        (RelationKind::Collection, false) => RelationKind::Table,
        (RelationKind::Table | RelationKind::Collection, _) => return Ok(()),
        _ => {
            let message = format!("{} \"{}\" cannot be opened", relation.kind_name(), relation.name);
            return Err(error(SqlState::WRONG_OBJECT_TYPE, message));
        }
    };
    let snapshot = context.snapshot();
    if kind == RelationKind::Table && context.services.has_undeclared_fields(&snapshot, relation).await? {
        let message = format!("collection \"{}\" has documents with undeclared fields", relation.name);
        return Err(error(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
            .hint("Declare the fields as columns, or remove them, before the collection is closed."));
    }
    context.change_relation(relation.id, |r| r.kind = kind).map(drop)
}
