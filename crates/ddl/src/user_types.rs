//! CREATE, ALTER and DROP of types: enums and composite types; what domains share with them.
//!
//! A type is a descriptor like a relation's (decision 0006): it has a name in the same space, an owner, rights, dependents.

use super::columns::{self, check_type, column_mut};
use super::context::{DdlContext, error};
use super::depend::{self, Part};
use super::drop::drop_parts;
use super::mentions;
use super::{domains, rename};
use catalog::names;
use catalog::privileges::{self, Target};
use catalog::user_types::{LabelPlace, first_key, place_label};
use catalog::*;
use sql::utility::ddl::*;
use std::sync::Arc;
use types::functions::quote_ident;
use types::{Oid, Result, SqlError, SqlState, SqlType, builtin};

/// Bytes of a label: PostgreSQL keeps it as a name.
const LABEL_BYTES_MAX: usize = 63;

fn undefined(message: String) -> SqlError {
    error(SqlState::UNDEFINED_OBJECT, message)
}

fn wrong_kind(message: String) -> SqlError {
    error(SqlState::WRONG_OBJECT_TYPE, message)
}

fn no_type(name: &ObjectName) -> SqlError {
    undefined(format!("type \"{}\" does not exist", name.parts.join(".")))
}

// --- finding

/// The descriptor that a type's name means, or a built-in type's name in PostgreSQL's spelling.
enum Found {
    Type(Arc<Relation>),
    BuiltIn(String),
}

fn find(context: &DdlContext<'_>, name: &ObjectName) -> Result<Option<Found>> {
    let snapshot = context.catalog.snapshot();
    if let [bare] | [_, bare] = &name.parts[..]
        && builtin::type_by_name(bare).is_some()
        && (name.parts.len() == 1 || name.parts.first().is_some_and(|s| s == "pg_catalog"))
    {
        let ty = builtin::type_by_name(bare).map_or(0, |t| t.oid);
        return Ok(Some(Found::BuiltIn(types::typename::format_type(ty, None))));
    }
    let found = names::user_type(snapshot, context.scope(), &name.parts)?;
    Ok(found.and_then(|ty| snapshot.relation_of_type(ty.oid)).cloned().map(Found::Type))
}

/// The type, locked, its newest version, and the caller's own.
pub(super) async fn must_lock(context: &mut DdlContext<'_>, name: &ObjectName) -> Result<Arc<Relation>> {
    let ty = lock(context, name).await?;
    context.require_owner(Target::Relation(&ty))?;
    Ok(ty)
}

/// The same, whoever owns it.
pub(super) async fn lock(context: &mut DdlContext<'_>, name: &ObjectName) -> Result<Arc<Relation>> {
    let ty = match find(context, name)? {
        Some(Found::Type(ty)) => ty,
        Some(Found::BuiltIn(shown)) => {
            let message = format!("must be owner of type {shown}");
            return Err(error(SqlState::INSUFFICIENT_PRIVILEGE, message));
        }
        None => return Err(no_type(name)),
    };
    let ty = context.lock_relation_by_id(ty.id).await?.ok_or_else(|| no_type(name))?;
    if !ty.is_type() {
        let message = format!("{} is a table's row type", quote_ident(&ty.name));
        return Err(wrong_kind(message).hint("Use ALTER TABLE instead."));
    }
    Ok(ty)
}

/// 42809 unless it is a domain. Quoted as some statements of PostgreSQL's have it.
pub(super) fn require_domain(ty: &Relation, name: &ObjectName) -> Result<()> {
    if ty.kind == RelationKind::Domain {
        return Ok(());
    }
    Err(wrong_kind(format!("\"{}\" is not a domain", name.parts.join("."))))
}

pub(super) fn shown(context: &DdlContext<'_>, ty: Oid) -> String {
    names::format_type(context.catalog.snapshot(), context.scope(), ty, None)
}

fn already_exists(name: &str) -> SqlError {
    error(SqlState::DUPLICATE_OBJECT, format!("type \"{name}\" already exists"))
}

/// A descriptor for a new type, its name taken.
pub(super) async fn new_type(context: &mut DdlContext<'_>, name: &ObjectName, kind: RelationKind) -> Result<Relation> {
    let (schema, is_temporary) = context.creation_schema(name, false).await?;
    let object = name.object();
    let taken = context.catalog.claim_name(context.txn, rows::NameSpace::Relations, schema.id, object).await?;
    if taken.is_some() {
        return Err(already_exists(object));
    }
    context.new_relation(&schema, object, kind, is_temporary).await
}

// --- creating

pub(super) async fn create(context: &mut DdlContext<'_>, name: &ObjectName, body: &TypeBody) -> Result<()> {
    match body {
        TypeBody::Enum(labels) => create_enum(context, name, labels).await,
        TypeBody::Composite(attributes) => create_composite(context, name, attributes).await,
    }
}

fn check_label(label: &str) -> Result<()> {
    if label.len() <= LABEL_BYTES_MAX {
        return Ok(());
    }
    let message = format!("invalid enum label \"{label}\"");
    Err(error(SqlState::INVALID_NAME, message).detail("Labels must be 63 bytes or less."))
}

async fn create_enum(context: &mut DdlContext<'_>, name: &ObjectName, labels: &[String]) -> Result<()> {
    let mut ty = new_type(context, name, RelationKind::Enum).await?;
    let mut all: Vec<EnumLabel> = vec![];
    for (index, label) in labels.iter().enumerate() {
        check_label(label)?;
        if all.iter().any(|l| l.name == *label) {
            let constraint = "pg_enum_typid_label_index";
            let message = format!("duplicate key value violates unique constraint \"{constraint}\"");
            let detail = format!("Key (enumtypid, enumlabel)=({}, {label}) already exists.", ty.row_type);
            let failed = error(SqlState::UNIQUE_VIOLATION, message).detail(detail);
            return Err(failed.schema("pg_catalog").table("pg_enum").constraint(constraint));
        }
        let id = context.catalog.allocate_id().await?;
        all.push(EnumLabel { id, key: first_key(index), name: label.clone() });
    }
    ty.definition = Some(TypeDefinition::Enum(all));
    context.catalog.put(context.txn, Object::Relation(ty))
}

async fn create_composite(
    context: &mut DdlContext<'_>,
    name: &ObjectName,
    attributes: &[ColumnDefinition],
) -> Result<()> {
    let mut ty = new_type(context, name, RelationKind::Composite).await?;
    for attribute in attributes {
        add_attribute(context, &mut ty, attribute).await?;
    }
    context.catalog.put(context.txn, Object::Relation(ty))
}

async fn add_attribute(context: &mut DdlContext<'_>, ty: &mut Relation, attribute: &ColumnDefinition) -> Result<()> {
    let name = &attribute.name;
    if ty.column_by_name(&name.name).is_some() {
        let message = match ty.columns.iter().any(|c| c.added_in < ty.layout) {
            true => format!("column \"{}\" of relation \"{}\" already exists", name.name, ty.name),
            false => format!("column \"{}\" specified more than once", name.name),
        };
        return Err(error(SqlState::DUPLICATE_COLUMN, message));
    }
    if ty.columns.len() >= columns::COLUMNS_MAX {
        return Err(error(SqlState::TOO_MANY_COLUMNS, "tables can have at most 1600 columns"));
    }
    // PostgreSQL tells no positions in definitions of types.
    let resolved = columns::resolve_type(context, &SqlText { position: 0, ..attribute.ty.clone() })?;
    if resolved.is_serial {
        return Err(undefined(format!("type \"{}\" does not exist", attribute.ty.text)));
    }
    check_type(name, resolved.ty)?;
    columns::check_not_member(context, ty, resolved.ty, 0)?;
    columns::hold_type(context, resolved.ty).await?;
    let number = AttributeNumber::try_from(ty.columns.len() + 1).unwrap_or(AttributeNumber::MAX);
    let column = columns::typed_column(context.catalog.snapshot(), number, &name.name, resolved.ty);
    ty.columns.push(column);
    Ok(())
}

// --- altering

pub(super) async fn alter(
    context: &mut DdlContext<'_>,
    name: &ObjectName,
    is_domain: bool,
    action: &AlterType,
) -> Result<()> {
    let ty = must_lock(context, name).await?;
    if is_domain {
        match action {
            AlterType::Rename(_) | AlterType::Owner(_) | AlterType::SetSchema(_) => require_domain(&ty, name)?,
            _ if ty.kind == RelationKind::Domain => {}
            _ => return Err(wrong_kind(format!("{} is not a domain", shown(context, ty.row_type)))),
        }
    }
    match action {
        AlterType::Rename(to) => move_type(context, &ty, ty.schema, &to.name).await,
        AlterType::SetSchema(to) => set_schema(context, &ty, to).await,
        AlterType::Owner(role) => {
            let owner = context.role_id(role)?;
            rename::set_owner(context, ty.id, owner).await
        }
        AlterType::AddValue { label, if_not_exists, place } => {
            add_value(context, &ty, label, *if_not_exists, place.as_ref()).await
        }
        AlterType::RenameValue { from, to } => rename_value(context, &ty, from, to),
        AlterType::Attributes(actions) => alter_attributes(context, &ty, actions).await,
        AlterType::RenameAttribute { from, to } => {
            require_composite(context, &ty)?;
            refuse_if_stored(context, &ty)?;
            rename::rename_column(context, ty.id, from, to).await
        }
        _ => domains::alter(context, &ty, action).await,
    }
}

async fn set_schema(context: &mut DdlContext<'_>, ty: &Arc<Relation>, to: &Name) -> Result<()> {
    let schema = context.schema_named(&to.name)?;
    if ty.schema == schema.id {
        return Ok(());
    }
    if ty.is_temporary || schema.name.starts_with("pg_temp_") {
        let message = "cannot move objects into or out of temporary schemas";
        return Err(error(SqlState::FEATURE_NOT_SUPPORTED, message));
    }
    privileges::require(context.catalog.snapshot(), context.role, Target::Schema(&schema), privilege::CREATE)?;
    move_type(context, ty, schema.id, &ty.name).await
}

/// Another name or schema. Stored texts that name the type go on meaning it.
async fn move_type(context: &mut DdlContext<'_>, ty: &Arc<Relation>, schema: Oid, name: &str) -> Result<()> {
    let taken = context.catalog.claim_name(context.txn, rows::NameSpace::Relations, schema, name).await?;
    if taken.is_some() {
        return Err(already_exists(name));
    }
    let before = context.snapshot();
    let (name, new_schema) = (name.to_owned(), schema);
    context.change_relation(ty.id, |t| {
        t.name = name;
        t.schema = new_schema;
    })?;
    let after = context.relation(ty.id)?;
    let (old, new) = (mentions::type_mention(&before, ty), mentions::type_mention(&context.snapshot(), &after));
    for id in mentions::relations_mentioning(&before, ty) {
        if context.lock_relation_by_id(id).await?.is_some() {
            context.change_relation(id, |r| mentions::rename_mentions(r, &old, &new))?;
        }
    }
    for id in mentions::indexes_mentioning(&before, ty) {
        let mut index = Index::clone(&*context.lock_index_by_id(id).await?);
        mentions::rename_index_mentions(&mut index, &old, &new);
        context.catalog.put(context.txn, Object::Index(index))?;
    }
    let old_name = ty.name.clone();
    super::rename::rename_mentions(context, &before, &old_name).await
}

// --- enums

fn labels<'t>(context: &DdlContext<'_>, ty: &'t Relation) -> Result<&'t [EnumLabel]> {
    match &ty.definition {
        Some(TypeDefinition::Enum(labels)) => Ok(labels),
        _ => Err(wrong_kind(format!("{} is not an enum", shown(context, ty.row_type)))),
    }
}

fn label_index(labels: &[EnumLabel], name: &str) -> Result<usize> {
    labels
        .iter()
        .position(|l| l.name == name)
        .ok_or_else(|| error(SqlState::INVALID_PARAMETER_VALUE, format!("\"{name}\" is not an existing enum label")))
}

async fn add_value(
    context: &mut DdlContext<'_>,
    ty: &Arc<Relation>,
    label: &str,
    if_not_exists: bool,
    place: Option<&(bool, String)>,
) -> Result<()> {
    let labels = labels(context, ty)?;
    check_label(label)?;
    if labels.iter().any(|l| l.name == label) {
        let message = format!("enum label \"{label}\" already exists");
        if !if_not_exists {
            return Err(error(SqlState::DUPLICATE_OBJECT, message));
        }
        context.skipping(SqlState::DUPLICATE_OBJECT, &message);
        return Ok(());
    }
    let place = match place {
        None => LabelPlace::Last,
        Some((true, neighbour)) => LabelPlace::Before(label_index(labels, neighbour)?),
        Some((false, neighbour)) => LabelPlace::After(label_index(labels, neighbour)?),
    };
    let Some((index, key)) = place_label(labels, place) else {
        let message = format!("no room for another label at this place of enum {}", shown(context, ty.row_type));
        return Err(error(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
            .detail("Forty labels fit between two that were neighbours when the type was made."));
    };
    let id = context.catalog.allocate_id().await?;
    context.change_relation(ty.id, |t| {
        if let Some(TypeDefinition::Enum(labels)) = &mut t.definition {
            labels.insert(index, EnumLabel { id, key, name: label.to_owned() });
        }
    })?;
    Ok(())
}

fn rename_value(context: &mut DdlContext<'_>, ty: &Arc<Relation>, from: &str, to: &str) -> Result<()> {
    let labels = labels(context, ty)?;
    check_label(to)?;
    let index = label_index(labels, from)?;
    if labels.iter().any(|l| l.name == to) {
        return Err(error(SqlState::DUPLICATE_OBJECT, format!("enum label \"{to}\" already exists")));
    }
    context.change_relation(ty.id, |t| {
        if let Some(TypeDefinition::Enum(labels)) = &mut t.definition
            && let Some(label) = labels.get_mut(index)
        {
            label.name = to.to_owned();
        }
    })?;
    Ok(())
}

// --- composite types

fn require_composite(context: &DdlContext<'_>, ty: &Relation) -> Result<()> {
    if ty.kind == RelationKind::Composite {
        return Ok(());
    }
    Err(wrong_kind(format!("{} is not a composite type", shown(context, ty.row_type))))
}

/// Rows hold values of the type as it was when they were written.
pub(super) fn refuse_if_stored(context: &DdlContext<'_>, ty: &Relation) -> Result<()> {
    let snapshot = context.catalog.snapshot();
    let Some((relation, column)) = depend::stored_use(snapshot, ty) else { return Ok(()) };
    let message =
        format!("cannot alter type \"{}\" because column \"{}.{}\" uses it", ty.name, relation.name, column.name);
    Err(error(SqlState::FEATURE_NOT_SUPPORTED, message))
}

async fn alter_attributes(context: &mut DdlContext<'_>, ty: &Arc<Relation>, actions: &[AlterAttribute]) -> Result<()> {
    require_composite(context, ty)?;
    refuse_if_stored(context, ty)?;
    let mut changed = Relation::clone(ty);
    changed.layout = super::alter_table::next_layout(ty)?;
    for action in actions {
        match action {
            AlterAttribute::Add(attribute) => add_attribute(context, &mut changed, attribute).await?,
            AlterAttribute::Drop { name, if_exists } => drop_attribute(context, &mut changed, name, *if_exists)?,
            AlterAttribute::Type { name, ty: new } => {
                let new = columns::resolve_type(context, new)?.ty;
                check_type(name, new)?;
                columns::check_not_member(context, &changed, new, 0)?;
                let Some(number) = changed.column_by_name(&name.name).map(|c| c.number) else {
                    return Err(columns::undefined_column(&name.name, &changed.name));
                };
                let column = columns::typed_column(context.catalog.snapshot(), number, &name.name, new);
                if let Some(old) = column_mut(&mut changed, number) {
                    *old = column;
                }
            }
        }
    }
    context.put_relation(changed)
}

fn drop_attribute(context: &DdlContext<'_>, ty: &mut Relation, name: &Name, if_exists: bool) -> Result<()> {
    let Some(number) = ty.column_by_name(&name.name).map(|c| c.number) else {
        let missing = columns::undefined_column(&name.name, &ty.name);
        if !if_exists {
            return Err(missing);
        }
        context.skipping(SqlState::SUCCESSFUL_COMPLETION, missing.message());
        return Ok(());
    };
    let layout = ty.layout;
    if let Some(column) = column_mut(ty, number) {
        column.is_dropped = true;
        column.dropped_in = Some(layout);
    }
    Ok(())
}

// --- dropping

pub(super) async fn drop(
    context: &mut DdlContext<'_>,
    is_domain: bool,
    type_names: &[ObjectName],
    if_exists: bool,
    cascade: bool,
) -> Result<()> {
    let mut targets = vec![];
    for name in type_names {
        if let Some(part) = target(context, is_domain, name, if_exists).await?
            && !targets.contains(&part)
        {
            targets.push(part);
        }
    }
    drop_parts(context, &targets, cascade).await
}

async fn target(
    context: &mut DdlContext<'_>,
    is_domain: bool,
    name: &ObjectName,
    if_exists: bool,
) -> Result<Option<Part>> {
    let required = |shown: &str, hint: Option<String>| {
        let failed = error(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, format!("cannot drop type {shown}"));
        hint.map_or_else(|| failed.clone(), |hint| failed.clone().hint(hint))
    };
    let ty = match find(context, name)? {
        Some(Found::Type(ty)) => ty,
        Some(Found::BuiltIn(shown)) => {
            return Err(required(&format!("{shown} because it is required by the database system"), None));
        }
        None => return missing(context, name, if_exists),
    };
    if is_domain {
        require_domain(&ty, name)?;
    }
    let Some(ty) = context.lock_relation_by_id(ty.id).await? else { return missing(context, name, if_exists) };
    super::drop::require_owner(context, &ty, None)?;
    if !ty.is_type() {
        let owner =
            format!("{} {}", ty.kind_name(), names::regclass_text(context.catalog.snapshot(), context.scope(), ty.id));
        let hint = format!("You can drop {owner} instead.");
        return Err(required(&format!("{} because {owner} requires it", shown(context, ty.row_type)), Some(hint)));
    }
    Ok(Some(Part::Relation(ty.id)))
}

fn missing(context: &DdlContext<'_>, name: &ObjectName, if_exists: bool) -> Result<Option<Part>> {
    let snapshot = context.catalog.snapshot();
    let (qualifier, _) = names::split(snapshot, context.scope(), &name.parts)?;
    let what = match qualifier {
        Some(schema) if names::schema(snapshot, context.scope(), schema).is_err() => names::no_schema(schema),
        _ => no_type(name),
    };
    if !if_exists {
        return Err(what);
    }
    context.skipping(SqlState::SUCCESSFUL_COMPLETION, what.message());
    Ok(None)
}

/// For COMMENT ON TYPE and DOMAIN.
pub(super) async fn comment(
    context: &mut DdlContext<'_>,
    name: &ObjectName,
    is_domain: bool,
    comment: Option<String>,
) -> Result<()> {
    let ty = must_lock(context, name).await?;
    if is_domain {
        require_domain(&ty, name)?;
    }
    context.change_relation(ty.id, |t| t.comment = comment).map(std::mem::drop)
}

/// The base type of a domain, or the type itself.
pub(super) fn base_of(context: &DdlContext<'_>, ty: SqlType) -> SqlType {
    context.catalog.snapshot().base_type(ty)
}
