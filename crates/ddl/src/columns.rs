//! Columns of tables: from a definition to a descriptor, with serial, identity, defaults and generation.

use super::context::{DdlContext, error};
use super::sequences;
use super::services::ExpressionUse;
use catalog::names;
use catalog::*;
use sql::utility::ddl::*;
use types::{Result, SqlError, SqlState, SqlType, builtin, oid, typename};

pub(super) const COLUMNS_MAX: usize = 1_600;

const SYSTEM_COLUMNS: &[&str] = &["tableoid", "cmax", "xmax", "cmin", "xmin", "ctid"];

/// What a type's spelling says: a type, and whether it is one of the serials.
pub(super) struct ResolvedType {
    pub ty: SqlType,
    pub is_serial: bool,
}

pub(super) fn resolve_type(context: &DdlContext<'_>, text: &SqlText) -> Result<ResolvedType> {
    let folded = text.text.trim().to_lowercase();
    let serial = match folded.as_str() {
        "serial" | "serial4" => Some(SqlType::INT4),
        "bigserial" | "serial8" => Some(SqlType::INT8),
        "smallserial" | "serial2" => Some(SqlType::INT2),
        _ => None,
    };
    if let Some(ty) = serial {
        return Ok(ResolvedType { ty, is_serial: true });
    }
    let at = |e: SqlError| e.at(text.position);
    if folded.starts_with("setof ") {
        return Err(at(error(SqlState::INVALID_TABLE_DEFINITION, "column cannot be declared SETOF")));
    }
    let ty = names::type_by_text(context.catalog.snapshot(), context.scope(), &text.text).map_err(at)?;
    Ok(ResolvedType { ty, is_serial: false })
}

/// A column declared with the type, which may be a domain: its values are the base type's.
pub(super) fn typed_column(snapshot: &Snapshot, number: AttributeNumber, name: &str, declared: SqlType) -> Column {
    let mut column = new_column(number, name, declared);
    set_column_type(snapshot, &mut column, declared);
    column
}

pub(super) fn set_column_type(snapshot: &Snapshot, column: &mut Column, declared: SqlType) {
    let base = snapshot.base_type(declared);
    column.ty = base.into();
    column.domain = (base.oid != declared.oid).then_some(declared.oid);
    column.collation = match snapshot.domain(declared.oid) {
        Some((_, definition)) => definition.collation,
        None => snapshot.collation_of(base.oid),
    };
}

/// Keeps a user's type from being dropped or changed before this transaction commits what uses it.
pub(super) async fn hold_type(context: &mut DdlContext<'_>, ty: SqlType) -> Result<()> {
    let Some(id) = context.catalog.snapshot().relation_of_type(ty.oid).filter(|r| r.is_type()).map(|r| r.id) else {
        return Ok(());
    };
    match context.catalog.lock(context.txn, ObjectKey::relation(id)).await? {
        true => Ok(()),
        false => Err(error(SqlState::UNDEFINED_OBJECT, "type was dropped concurrently")),
    }
}

/// The same for all columns of a relation in the making.
pub(super) async fn hold_types(context: &mut DdlContext<'_>, relation: &Relation) -> Result<()> {
    for column in relation.live_columns() {
        hold_type(context, column.declared()).await?;
    }
    Ok(())
}

/// A column may not have this type.
pub(super) fn check_type(name: &Name, ty: SqlType) -> Result<()> {
    if builtin::type_by_oid(ty.oid).is_some_and(|t| t.kind == 'p') {
        let message = format!("column \"{}\" has pseudo-type {}", name.name, typename::display(ty));
        return Err(error(SqlState::INVALID_TABLE_DEFINITION, message));
    }
    Ok(())
}

/// Levels of row types in row types that are looked into.
const ROW_DEPTH_MAX: usize = 32;

/// A row cannot hold itself, at any depth.
pub(super) fn check_not_member(context: &DdlContext<'_>, relation: &Relation, ty: SqlType, depth: usize) -> Result<()> {
    if relation.row_type != 0 && (ty.oid == relation.row_type || ty.oid == relation.row_array_type) {
        let message = format!("composite type {} cannot be made a member of itself", relation.name);
        return Err(error(SqlState::INVALID_TABLE_DEFINITION, message));
    }
    let Some(inner) = context.catalog.snapshot().relation_of_type(ty.oid) else { return Ok(()) };
    if depth >= ROW_DEPTH_MAX {
        return Err(error(SqlState::STATEMENT_TOO_COMPLEX, "row types are nested too deeply (limit 32)"));
    }
    inner.live_columns().try_for_each(|c| check_not_member(context, relation, c.ty.into(), depth + 1))
}

pub(super) fn check_name(name: &Name) -> Result<()> {
    if SYSTEM_COLUMNS.contains(&name.name.as_str()) {
        let message = format!("column name \"{}\" conflicts with a system column name", name.name);
        return Err(error(SqlState::DUPLICATE_COLUMN, message));
    }
    Ok(())
}

pub(super) fn undefined_column(column: &str, relation: &str) -> SqlError {
    error(SqlState::UNDEFINED_COLUMN, format!("column \"{column}\" of relation \"{relation}\" does not exist"))
}

/// A collation is the C collation under one of its names.
pub(super) fn check_collation(collation: &Option<ObjectName>, ty: SqlType) -> Result<()> {
    let Some(name) = collation else { return Ok(()) };
    let is_collatable = builtin::type_by_oid(ty.oid).is_some_and(|t| t.collation != 0)
        || builtin::element_of(ty.oid).and_then(builtin::type_by_oid).is_some_and(|t| t.collation != 0);
    if !is_collatable {
        let message = format!("collations are not supported by type {}", typename::display(ty));
        return Err(error(SqlState::DATATYPE_MISMATCH, message).at(name.position));
    }
    if matches!(name.object(), "default" | "C" | "POSIX" | "ucs_basic") {
        return Ok(());
    }
    let message = format!("collation \"{}\" for encoding \"UTF8\" does not exist", name.parts.join("."));
    Err(error(SqlState::UNDEFINED_OBJECT, message).at(name.position))
}

/// What the constraints of a column definition say about the column itself; the others are the table's.
#[derive(Default)]
pub(super) struct ColumnClauses<'d> {
    pub not_null: Option<bool>,
    pub default: Option<&'d SqlText>,
    pub generated: Option<&'d SqlText>,
    pub identity: Option<(bool, &'d SequenceOptions)>,
    /// CHECK, UNIQUE, PRIMARY KEY, REFERENCES.
    pub others: Vec<&'d ConstraintDefinition>,
}

pub(super) fn clauses<'d>(table: &str, definition: &'d ColumnDefinition) -> Result<ColumnClauses<'d>> {
    use ConstraintDefinitionKind as Kind;
    let mut all = ColumnClauses::default();
    let column = &definition.name.name;
    let fail = |message: String, c: &ConstraintDefinition| Err(error(SqlState::SYNTAX_ERROR, message).at(c.position));
    for c in &definition.constraints {
        match &c.kind {
            Kind::NotNull | Kind::Null => {
                let not_null = matches!(c.kind, Kind::NotNull);
                if all.not_null.is_some_and(|before| before != not_null) {
                    let m =
                        format!("conflicting NULL/NOT NULL declarations for column \"{column}\" of table \"{table}\"");
                    return fail(m, c);
                }
                all.not_null = Some(not_null);
            }
            Kind::Default(text) => {
                if all.default.is_some() {
                    return fail(
                        format!("multiple default values specified for column \"{column}\" of table \"{table}\""),
                        c,
                    );
                }
                all.default = Some(text);
            }
            Kind::Generated(text) => {
                if all.generated.is_some() {
                    let m =
                        format!("multiple generation clauses specified for column \"{column}\" of table \"{table}\"");
                    return fail(m, c);
                }
                all.generated = Some(text);
            }
            Kind::Identity { always, options } => {
                if all.identity.is_some() {
                    let m = format!("multiple identity specifications for column \"{column}\" of table \"{table}\"");
                    return fail(m, c);
                }
                all.identity = Some((*always, options));
            }
            _ => all.others.push(c),
        }
        let both = match (all.default.is_some(), all.identity.is_some(), all.generated.is_some()) {
            (true, true, _) => Some("both default and identity"),
            (true, _, true) => Some("both default and generation expression"),
            (_, true, true) => Some("both identity and generation expression"),
            _ => None,
        };
        if let Some(both) = both {
            return fail(format!("{both} specified for column \"{column}\" of table \"{table}\""), c);
        }
    }
    if all.identity.is_some() {
        if all.not_null == Some(false) {
            let m = format!("conflicting NULL/NOT NULL declarations for column \"{column}\" of table \"{table}\"");
            return Err(error(SqlState::SYNTAX_ERROR, m));
        }
        all.not_null = Some(true);
    }
    Ok(all)
}

/// A sequence that a serial or identity column asks for.
pub(super) struct WantedSequence {
    pub column: AttributeNumber,
    pub ty: SqlType,
    pub options: SequenceOptions,
    pub is_identity: bool,
}

/// Adds a column to a relation in the making; defaults are bound later, when all columns are known.
pub(super) fn add_column(
    context: &DdlContext<'_>,
    relation: &mut Relation,
    definition: &ColumnDefinition,
    wanted: &mut Vec<WantedSequence>,
) -> Result<AttributeNumber> {
    let name = &definition.name;
    check_name(name)?;
    if relation.column_by_name(&name.name).is_some() {
        let message = format!("column \"{}\" specified more than once", name.name);
        return Err(error(SqlState::DUPLICATE_COLUMN, message));
    }
    if relation.columns.len() >= COLUMNS_MAX {
        return Err(error(SqlState::TOO_MANY_COLUMNS, "tables can have at most 1600 columns"));
    }
    let ResolvedType { ty, is_serial } = resolve_type(context, &definition.ty)?;
    check_type(name, ty)?;
    check_not_member(context, relation, ty, 0)?;
    check_collation(&definition.collation, context.catalog.snapshot().base_type(ty))?;
    let clauses = clauses(&relation.name, definition)?;
    let number = AttributeNumber::try_from(relation.columns.len() + 1).unwrap_or(AttributeNumber::MAX);
    let mut column = typed_column(context.catalog.snapshot(), number, &name.name, ty);
    column.added_in = relation.layout;
    column.not_null = clauses.not_null == Some(true) || is_serial;
    if definition.collation.as_ref().is_some_and(|c| c.object() != "default") {
        column.collation = C_COLLATION;
    }
    // Known before any expression is bound: one generated column may not read another.
    column.is_generated = clauses.generated.is_some();
    if let Some(storage) = &definition.storage {
        column.storage = Some(storage_letter(storage)?);
    }
    if is_serial {
        if clauses.default.is_some() {
            let m = format!(
                "multiple default values specified for column \"{}\" of table \"{}\"",
                name.name, relation.name
            );
            return Err(error(SqlState::SYNTAX_ERROR, m).at(name.position));
        }
        let options = SequenceOptions::default();
        wanted.push(WantedSequence { column: number, ty, options, is_identity: false });
    }
    if let Some((always, options)) = clauses.identity {
        if !matches!(ty.oid, oid::INT2 | oid::INT4 | oid::INT8) {
            let message = "identity column type must be smallint, integer, or bigint";
            return Err(error(SqlState::INVALID_PARAMETER_VALUE, message));
        }
        column.identity = Some(if always { Identity::Always } else { Identity::ByDefault });
        wanted.push(WantedSequence { column: number, ty, options: options.clone(), is_identity: true });
    }
    relation.columns.push(column);
    Ok(number)
}

/// pg_collation's C.
pub(super) const C_COLLATION: types::Oid = 950;

pub(super) fn storage_letter(word: &str) -> Result<char> {
    match word.to_lowercase().as_str() {
        "plain" => Ok('p'),
        "external" => Ok('e'),
        "extended" => Ok('x'),
        "main" => Ok('m'),
        _ => Err(error(SqlState::INVALID_PARAMETER_VALUE, format!("invalid storage type \"{word}\""))),
    }
}

/// Binds a column's DEFAULT or generation expression into its descriptor.
pub(super) fn bind_default(
    context: &DdlContext<'_>,
    relation: &mut Relation,
    number: AttributeNumber,
    clauses: &ColumnClauses<'_>,
) -> Result<()> {
    let snapshot = context.snapshot();
    let Some(column) = relation.column(number) else { return Ok(()) };
    let (ty, name) = (column.declared(), column.name.clone());
    let (text, usage) = match (clauses.default, clauses.generated) {
        (Some(text), _) => (text, ExpressionUse::Default(ty)),
        (None, Some(text)) => (text, ExpressionUse::Generated(ty)),
        (None, None) => return Ok(()),
    };
    let bound = context.services.bind_expression(&snapshot, Some(relation), text, usage, &name)?;
    let is_generated = clauses.generated.is_some();
    if let Some(position) = is_generated.then(|| first_generated(relation, &bound.columns)).flatten() {
        let message = format!("cannot use generated column \"{position}\" in column generation expression");
        return Err(error(SqlState::INVALID_OBJECT_DEFINITION, message)
            .detail("A generated column cannot reference another generated column.")
            .at(text.position));
    }
    let is_plain = ty.typmod == -1 && relation.column(number).is_some_and(|c| c.domain.is_none());
    let is_null = !is_generated && is_plain && text.text.trim().eq_ignore_ascii_case("null");
    if let Some(column) = column_mut(relation, number) {
        // DEFAULT NULL is no default, as in PostgreSQL.
        column.default = (!is_null).then_some(bound.text);
        column.is_generated = is_generated;
    }
    Ok(())
}

fn first_generated(relation: &Relation, columns: &[AttributeNumber]) -> Option<String> {
    columns.iter().filter_map(|n| relation.column(*n)).find(|c| c.is_generated).map(|c| c.name.clone())
}

pub(super) fn column_mut(relation: &mut Relation, number: AttributeNumber) -> Option<&mut Column> {
    relation.columns.iter_mut().find(|c| c.number == number && !c.is_dropped)
}

/// Makes the sequences of serial and identity columns; the relation must have been put. Gives the relation's defaults.
pub(super) async fn make_sequences(
    context: &mut DdlContext<'_>,
    relation: &mut Relation,
    wanted: Vec<WantedSequence>,
) -> Result<()> {
    for want in wanted {
        let Some(column) = relation.column(want.column) else { continue };
        let name = match &want.options.name {
            Some(name) => {
                context.claim_relation_name(relation.schema, name.object()).await?;
                name.object().to_owned()
            }
            None => {
                let (table, column) = (relation.name.clone(), column.name.clone());
                context.choose_relation_name(relation.schema, &table, &column, "seq").await?
            }
        };
        let sequence = sequences::make_owned(context, relation, &want, &name).await?;
        let snapshot = context.snapshot();
        let reference = names::qualified(&snapshot, sequence.schema, &sequence.name).replace('\'', "''");
        if !want.is_identity
            && let Some(column) = column_mut(relation, want.column)
        {
            column.default = Some(format!("nextval('{reference}'::regclass)"));
        }
    }
    Ok(())
}
