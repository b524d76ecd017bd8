//! CREATE and ALTER DOMAIN. A domain's descriptor has one column, `value`, of its base type: its checks are bound over that
//! as a table's are over its row.

use super::columns;
use super::constraints::{choose_constraint_name, push_constraint, schema_name};
use super::context::{DdlContext, error};
use super::depend;
use super::services::{ExpressionUse, Upkeep};
use super::user_types::{base_of, must_lock, new_type, refuse_if_stored, shown};
use catalog::names;
use catalog::*;
use sql::utility::ddl::*;
use std::sync::Arc;
use types::functions::quote_ident;
use types::{Result, SqlError, SqlState, SqlType, builtin};

/// What VALUE is called in a stored check.
const VALUE: &str = "value";

fn syntax(message: &str) -> SqlError {
    error(SqlState::SYNTAX_ERROR, message)
}

/// What a definition says besides its checks.
#[derive(Default)]
struct Clauses<'d> {
    default: Option<&'d SqlText>,
    not_null: Option<bool>,
    checks: Vec<&'d ConstraintDefinition>,
}

fn clauses(definition: &CreateDomain) -> Result<Clauses<'_>> {
    use ConstraintDefinitionKind as Kind;
    let mut all = Clauses::default();
    for constraint in &definition.constraints {
        match &constraint.kind {
            Kind::Default(text) => {
                if all.default.replace(text).is_some() {
                    return Err(syntax("multiple default expressions"));
                }
            }
            Kind::NotNull | Kind::Null => {
                let not_null = matches!(constraint.kind, Kind::NotNull);
                if all.not_null.is_some_and(|before| before != not_null) {
                    return Err(syntax("conflicting NULL/NOT NULL constraints"));
                }
                all.not_null = Some(not_null);
            }
            Kind::Check { no_inherit: true, .. } => {
                let message = "check constraints for domains cannot be marked NO INHERIT";
                return Err(error(SqlState::INVALID_OBJECT_DEFINITION, message));
            }
            Kind::Check { .. } => all.checks.push(constraint),
            Kind::Unique { is_primary: true, .. } => {
                return Err(syntax("primary key constraints not possible for domains"));
            }
            Kind::Unique { .. } | Kind::UsingIndex { .. } => {
                return Err(syntax("unique constraints not possible for domains"));
            }
            Kind::ForeignKey(_) => return Err(syntax("foreign key constraints not possible for domains")),
            Kind::Exclude => return Err(syntax("exclusion constraints not possible for domains")),
            Kind::Generated(_) | Kind::Identity { .. } => {
                return Err(SqlError::unsupported("specifying GENERATED is not supported for domains"));
            }
        }
    }
    Ok(all)
}

pub(super) async fn create(context: &mut DdlContext<'_>, create: &CreateDomain) -> Result<()> {
    let mut domain = new_type(context, &create.name, RelationKind::Domain).await?;
    // PostgreSQL tells no positions in definitions of types.
    let declared = columns::resolve_type(context, &SqlText { position: 0, ..create.ty.clone() })?;
    let ty = declared.ty;
    if declared.is_serial || builtin::type_by_oid(ty.oid).is_some_and(|t| t.kind == 'p') {
        let message = format!("\"{}\" is not a valid base type for a domain", create.ty.text);
        return Err(error(SqlState::DATATYPE_MISMATCH, message));
    }
    columns::hold_type(context, ty).await?;
    let base = base_of(context, ty);
    columns::check_collation(&create.collation, base)?;
    let clauses = clauses(create)?;
    let mut value = new_column(1, VALUE, base);
    value.collation = context.catalog.snapshot().collation_of(ty.oid);
    let collation = match &create.collation {
        Some(name) if name.object() != "default" => columns::C_COLLATION,
        _ => value.collation,
    };
    domain.columns.push(value);
    domain.definition = Some(TypeDefinition::Domain(DomainDefinition {
        base: ty.into(),
        not_null: clauses.not_null == Some(true),
        default: None,
        collation,
    }));
    if let Some(text) = clauses.default {
        set_default(context, &mut domain, Some(text))?;
    }
    for check in clauses.checks {
        add_check(context, &mut domain, check).await?;
    }
    context.catalog.put(context.txn, Object::Relation(domain))
}

fn definition_mut(domain: &mut Relation) -> Option<&mut DomainDefinition> {
    match &mut domain.definition {
        Some(TypeDefinition::Domain(definition)) => Some(definition),
        _ => None,
    }
}

/// As a column's default. Its value is checked when it is used, not here: a default may fail the domain's own checks.
fn set_default(context: &DdlContext<'_>, domain: &mut Relation, text: Option<&SqlText>) -> Result<()> {
    let snapshot = context.snapshot();
    let Some(base) = definition_mut(domain).map(|d| d.base) else { return Ok(()) };
    let bound = text
        .map(|text| {
            let usage = ExpressionUse::Default(SqlType::from(base));
            context.services.bind_expression(&snapshot, None, text, usage, &domain.name)
        })
        .transpose()?;
    if let Some(definition) = definition_mut(domain) {
        definition.default = bound.map(|b| b.text).filter(|text| !text.eq_ignore_ascii_case("null"));
    }
    Ok(())
}

async fn add_check(
    context: &mut DdlContext<'_>,
    domain: &mut Relation,
    definition: &ConstraintDefinition,
) -> Result<String> {
    let ConstraintDefinitionKind::Check { expression, .. } = &definition.kind else {
        return Err(SqlError::internal("a check was expected"));
    };
    if definition.deferrable == Some(true) || definition.initially_deferred == Some(true) {
        return Err(SqlError::unsupported("specifying constraint deferrability not supported for domains"));
    }
    let snapshot = context.snapshot();
    let mut bound = context.services.bind_expression(&snapshot, Some(domain), expression, ExpressionUse::Check, "");
    if let Err(failed) = &mut bound {
        failed.fields_mut().position = None;
    }
    let bound = bound?;
    let name = match &definition.name {
        Some(name) if domain.constraint_by_name(&name.name).is_some() => {
            let message = format!("constraint \"{}\" for domain \"{}\" already exists", name.name, domain.name);
            return Err(error(SqlState::DUPLICATE_OBJECT, message));
        }
        Some(name) => name.name.clone(),
        None => choose_constraint_name(domain, "", "check", |_| false),
    };
    let kind = ConstraintKind::Check { expression: bound.text, columns: vec![], no_inherit: false };
    push_constraint(context, domain, definition, name.clone(), kind).await?;
    Ok(name)
}

pub(super) async fn alter(context: &mut DdlContext<'_>, domain: &Arc<Relation>, action: &AlterType) -> Result<()> {
    let mut changed = Relation::clone(domain);
    match action {
        AlterType::SetDefault(text) => set_default(context, &mut changed, Some(text))?,
        AlterType::DropDefault => set_default(context, &mut changed, None)?,
        AlterType::SetNotNull(not_null) => {
            if *not_null {
                check_rows(context, domain, None).await?;
            }
            if let Some(definition) = definition_mut(&mut changed) {
                definition.not_null = *not_null;
            }
        }
        AlterType::AddConstraint(definition) => {
            let name = add_check(context, &mut changed, definition).await?;
            if !definition.not_valid {
                check_rows(context, domain, changed.constraint_by_name(&name)).await?;
            }
        }
        AlterType::ValidateConstraint(name) => {
            let constraint = constraint_of(domain, &name.name)?;
            check_rows(context, domain, Some(constraint)).await?;
            changed.constraints.iter_mut().filter(|c| c.name == name.name).for_each(|c| c.is_validated = true);
        }
        AlterType::DropConstraint { name, if_exists } => match constraint_of(domain, &name.name) {
            Ok(_) => changed.constraints.retain(|c| c.name != name.name),
            Err(missing) if *if_exists => context.skipping(SqlState::SUCCESSFUL_COMPLETION, missing.message()),
            Err(missing) => return Err(missing),
        },
        AlterType::RenameConstraint { from, to } => rename_constraint(&mut changed, from, to)?,
        _ => return Err(SqlError::internal("no action of domains")),
    }
    context.put_relation(changed)?;
    // Whoever writes with the checks as they were must not commit.
    for id in depend::relations_with(context.catalog.snapshot(), domain) {
        if context.lock_relation_by_id(id).await?.is_some() {
            context.change_relation(id, |_| ())?;
        }
    }
    Ok(())
}

fn constraint_of<'d>(domain: &'d Relation, name: &str) -> Result<&'d Constraint> {
    domain.constraint_by_name(name).ok_or_else(|| {
        let message = format!("constraint \"{name}\" of domain \"{}\" does not exist", domain.name);
        error(SqlState::UNDEFINED_OBJECT, message)
    })
}

fn rename_constraint(domain: &mut Relation, from: &Name, to: &Name) -> Result<()> {
    if domain.constraint_by_name(&from.name).is_none() {
        let message = format!("constraint \"{}\" for domain {} does not exist", from.name, quote_ident(&domain.name));
        return Err(error(SqlState::UNDEFINED_OBJECT, message));
    }
    if domain.constraint_by_name(&to.name).is_some() {
        let message = format!("constraint \"{}\" for domain {} already exists", to.name, quote_ident(&domain.name));
        return Err(error(SqlState::DUPLICATE_OBJECT, message));
    }
    domain.constraints.iter_mut().filter(|c| c.name == from.name).for_each(|c| c.name = to.name.clone());
    Ok(())
}

/// Rows that exist must satisfy a new check (None: a new NOT NULL).
async fn check_rows(context: &mut DdlContext<'_>, domain: &Relation, check: Option<&Constraint>) -> Result<()> {
    refuse_if_inside(context, domain)?;
    let columns = depend::columns_of_domain(context.catalog.snapshot(), domain);
    for (id, number) in columns {
        let Some(relation) = context.lock_relation_by_id(id).await? else { continue };
        let Some(column) = relation.column(number).filter(|_| relation.has_rows()) else { continue };
        let snapshot = context.snapshot();
        let table = names::qualified(&snapshot, relation.schema, &relation.name);
        let name = quote_ident(&column.name);
        let condition = match check.map(|c| &c.kind) {
            Some(ConstraintKind::Check { expression, .. }) => format!("NOT ({expression})"),
            _ => format!("{VALUE} IS NULL"),
        };
        let query = format!("SELECT 1 FROM (SELECT {name} AS {VALUE} FROM {table}) AS v WHERE {condition} LIMIT 1");
        if context.services.has_rows(&snapshot, query, Upkeep::ByExclusion).await?.is_none() {
            continue;
        }
        let (code, message) = match check {
            Some(_) => (
                SqlState::CHECK_VIOLATION,
                format!(
                    "column \"{}\" of table \"{}\" contains values that violate the new constraint",
                    column.name, relation.name
                ),
            ),
            None => (
                SqlState::NOT_NULL_VIOLATION,
                format!("column \"{}\" of table \"{}\" contains null values", column.name, relation.name),
            ),
        };
        let failed = error(code, message).schema(schema_name(&snapshot, &relation)).table(relation.name.clone());
        return Err(failed.column(column.name.clone()));
    }
    Ok(())
}

/// Values inside of rows and arrays are not looked through.
fn refuse_if_inside(context: &DdlContext<'_>, domain: &Relation) -> Result<()> {
    match depend::is_used_inside(context.catalog.snapshot(), domain) {
        true => refuse_if_stored(context, domain),
        false => Ok(()),
    }
}

/// For COMMENT ON CONSTRAINT … ON DOMAIN.
pub(super) async fn comment_on_constraint(
    context: &mut DdlContext<'_>,
    name: &Name,
    domain: &ObjectName,
    comment: Option<String>,
) -> Result<()> {
    let domain = must_lock(context, domain).await?;
    if domain.constraint_by_name(&name.name).is_none() {
        let domain = shown(context, domain.row_type);
        let message = format!("constraint \"{}\" for domain {domain} does not exist", name.name);
        return Err(error(SqlState::UNDEFINED_OBJECT, message));
    }
    context.change_relation(domain.id, |d| {
        d.constraints.iter_mut().filter(|c| c.name == name.name).for_each(|c| c.comment = comment.clone());
    })?;
    Ok(())
}
