//! CREATE, ALTER and DROP FUNCTION; ALTER and DROP AGGREGATE. How they are found is `routines`' business.

use super::columns;
use super::context::{DdlContext, error};
use super::depend::{self, Part};
use super::drop::drop_parts;
use super::routines::{Routine, change, find_routine, lock, lock_own, refuse_aggregate, signature};
use super::services::ExpressionUse;
use catalog::names;
use catalog::privileges::{self, Target};
use catalog::rows::NameSpace;
use catalog::*;
use sql::utility::ddl::*;
use std::sync::Arc;
use types::{Oid, Result, SqlError, SqlState, SqlType, builtin, oid, typename};

/// Parameters of one function, as in PostgreSQL.
const PARAMETERS_MAX: usize = 100;
/// What PostgreSQL expects of SQL functions that say nothing.
const COST: f32 = 100.0;
const ROWS: f32 = 1_000.0;

fn invalid(message: impl Into<String>) -> SqlError {
    error(SqlState::INVALID_FUNCTION_DEFINITION, message)
}

// --- types

/// A parameter's or result's type without its modifier, and whether it says SETOF.
pub(super) fn resolve(context: &DdlContext<'_>, text: &SqlText) -> Result<(Oid, bool)> {
    let trimmed = text.text.trim_start();
    let (of, is_set) = match trimmed.get(..6).filter(|word| word.eq_ignore_ascii_case("setof ")) {
        Some(_) => (trimmed.get(6..).unwrap_or_default(), true),
        None => (trimmed, false),
    };
    let plain = SqlText { text: of.trim().to_owned(), position: text.position };
    // The pseudo-types are no columns' types, but may be a function's.
    let resolved = columns::resolve_type(context, &plain).map_err(|mut e| {
        e.fields_mut().position = None;
        e
    })?;
    if resolved.is_serial {
        return Err(error(SqlState::UNDEFINED_OBJECT, format!("type \"{}\" does not exist", plain.text)));
    }
    Ok((resolved.ty.oid, is_set))
}

pub(super) fn is_open(ty: Oid) -> bool {
    matches!(
        ty,
        oid::ANYELEMENT
            | oid::ANYARRAY
            | oid::ANYNONARRAY
            | oid::ANYCOMPATIBLE
            | oid::ANYCOMPATIBLEARRAY
            | oid::ANYCOMPATIBLENONARRAY
    )
}

fn check_types(parameters: &[Parameter], result: Oid) -> Result<()> {
    let is_pseudo = |ty: Oid| builtin::type_by_oid(ty).is_some_and(|t| t.kind == 'p');
    let name = |ty: Oid| typename::format_type(ty, None);
    let open = |family: &[Oid]| parameters.iter().any(|p| p.mode.is_input() && family.contains(&p.ty));
    let plain = [oid::ANYELEMENT, oid::ANYARRAY, oid::ANYNONARRAY];
    let compatible = [oid::ANYCOMPATIBLE, oid::ANYCOMPATIBLEARRAY, oid::ANYCOMPATIBLENONARRAY];
    let outputs = parameters.iter().filter(|p| p.mode.is_output()).map(|p| p.ty);
    for ty in outputs.chain([result]) {
        let family = if compatible.contains(&ty) { &compatible } else { &plain };
        if is_open(ty) && !open(family) {
            let detail = match compatible.contains(&ty) {
                false => {
                    "requires at least one input of type anyelement, anyarray, anynonarray, anyenum, anyrange, or anymultirange."
                }
                true => {
                    "requires at least one input of type anycompatible, anycompatiblearray, anycompatiblenonarray, anycompatiblerange, or anycompatiblemultirange."
                }
            };
            return Err(
                invalid("cannot determine result data type").detail(format!("A result of type {} {detail}", name(ty)))
            );
        }
    }
    if is_pseudo(result) && !is_open(result) && !matches!(result, oid::RECORD | oid::VOID) {
        return Err(invalid(format!("SQL functions cannot return type {}", name(result))));
    }
    match parameters.iter().find(|p| p.mode.is_input() && is_pseudo(p.ty) && !is_open(p.ty)) {
        Some(p) => Err(invalid(format!("SQL functions cannot have arguments of type {}", name(p.ty)))),
        None => Ok(()),
    }
}

// --- CREATE

pub(super) async fn create(context: &mut DdlContext<'_>, create: &CreateFunction) -> Result<()> {
    let (schema, _) = context.creation_schema(&create.name, false).await?;
    check_language(create)?;
    let parameters = parameters(context, &create.parameters, "functions")?;
    let (result, returns_set) = result(context, create, &parameters)?;
    let body = body(context, create)?;
    if matches!(body, FunctionBody::Return { .. }) && parameters.iter().any(|p| is_open(p.ty)) {
        return Err(invalid("SQL function with unquoted function body cannot have polymorphic arguments"));
    }
    check_types(&parameters, result)?;
    let made = Function {
        id: 0,
        database: context.database,
        schema: schema.id,
        name: create.name.object().to_owned(),
        owner: context.role,
        privileges: None,
        parameters,
        result,
        returns_set,
        body,
        volatility: FunctionVolatility::Volatile,
        strict: false,
        security_definer: false,
        leakproof: false,
        parallel: 'u',
        cost: COST,
        rows: if returns_set { ROWS } else { 0.0 },
        comment: None,
    };
    let mut made = with_options(context, made, &create.options)?;
    match context.catalog.claim_name(context.txn, NameSpace::Functions, schema.id, &made.signature()).await? {
        Some(old) => {
            let old = lock(context, old).await?;
            check_replacement(context, create.or_replace, &old, &made, Routine::Function)?;
            (made.id, made.owner) = (old.id, old.owner);
            (made.privileges, made.comment) = (old.privileges.clone(), old.comment.clone());
        }
        None => made.id = context.catalog.allocate_id().await?,
    }
    context.catalog.put(context.txn, Object::Function(made.clone()))?;
    let text = match &create.body {
        Some(BodyDefinition::Text(text) | BodyDefinition::Return(text) | BodyDefinition::Atomic(text)) => text,
        _ => return Ok(()),
    };
    // A body may call the function itself, so that it is checked when the function is there.
    let shown = context.services.check_function(&context.snapshot(), &made, text)?;
    if matches!(made.body, FunctionBody::Atomic { .. }) {
        made.body = context.services.store_body(&context.snapshot(), &made)?;
        return context.catalog.put(context.txn, Object::Function(made));
    }
    match (shown, &mut made.body) {
        (Some(shown), FunctionBody::Return { expression, .. }) => {
            *expression = shown;
            context.catalog.put(context.txn, Object::Function(made))
        }
        _ => Ok(()),
    }
}

fn check_language(create: &CreateFunction) -> Result<()> {
    let Some(language) = &create.language else {
        return match create.body {
            Some(BodyDefinition::Return(_) | BodyDefinition::Atomic(_)) => Ok(()),
            _ => Err(invalid("no language specified")),
        };
    };
    match language.name.as_str() {
        "sql" => Ok(()),
        "plpgsql" | "c" | "internal" => {
            Err(SqlError::unsupported(format!("language {} is not supported", language.name)).at(language.position))
        }
        name => Err(error(SqlState::UNDEFINED_OBJECT, format!("language \"{name}\" does not exist"))),
    }
}

fn search_path(context: &DdlContext<'_>) -> Vec<String> {
    let snapshot = context.catalog.snapshot();
    context.search_path.iter().filter_map(|id| snapshot.schema(*id)).map(|s| s.name.clone()).collect()
}

fn body(context: &DdlContext<'_>, create: &CreateFunction) -> Result<FunctionBody> {
    match &create.body {
        None => Err(invalid("no function body specified")),
        Some(BodyDefinition::Symbols) => Err(invalid("only one AS item needed for language \"sql\"")),
        Some(BodyDefinition::Text(text)) => Ok(FunctionBody::Text(text.text.clone())),
        Some(BodyDefinition::Return(text)) => {
            Ok(FunctionBody::Return { expression: text.text.clone(), search_path: search_path(context) })
        }
        Some(BodyDefinition::Atomic(text)) => {
            Ok(FunctionBody::Atomic { query: text.text.clone(), search_path: search_path(context), depends_on: vec![] })
        }
    }
}

/// `of`: functions or aggregates, as messages call them.
pub(super) fn parameters(
    context: &DdlContext<'_>,
    definitions: &[ParameterDefinition],
    of: &str,
) -> Result<Vec<Parameter>> {
    let mut made: Vec<Parameter> = vec![];
    let mut has_defaults = false;
    for definition in definitions {
        let (ty, is_set) = resolve(context, &definition.ty).map_err(|mut e| {
            // Of a parameter it is told without quotes.
            let message = &mut e.fields_mut().message;
            *message =
                message.replace(&format!("type \"{}\"", definition.ty.text), &format!("type {}", definition.ty.text));
            e
        })?;
        if is_set {
            return Err(invalid(format!("{of} cannot accept set arguments")));
        }
        let is_input = definition.mode.is_input();
        if is_input && made.iter().any(|p| p.mode == ParameterMode::Variadic) {
            return Err(invalid("VARIADIC parameter must be the last input parameter"));
        }
        let is_array =
            builtin::element_of(ty).is_some() || matches!(ty, oid::ANY | oid::ANYARRAY | oid::ANYCOMPATIBLEARRAY);
        if definition.mode == ParameterMode::Variadic && !is_array {
            return Err(invalid("VARIADIC parameter must be an array"));
        }
        let name = definition.name.as_ref().map(|n| n.name.clone()).unwrap_or_default();
        let clashes = |p: &&Parameter| {
            let both_ways = |in_: ParameterMode, out: ParameterMode| {
                matches!(in_, ParameterMode::In | ParameterMode::Variadic)
                    && matches!(out, ParameterMode::Out | ParameterMode::Table)
            };
            // An input and an output may have one name, but for RETURNS TABLE.
            let apart = both_ways(p.mode, definition.mode) || both_ways(definition.mode, p.mode);
            p.name == name && (!apart || definition.mode == ParameterMode::Table)
        };
        if !name.is_empty() && made.iter().any(|p| clashes(&p)) {
            return Err(invalid(format!("parameter name \"{name}\" used more than once")));
        }
        let default = match &definition.default {
            Some(_) if !is_input => return Err(invalid("only input parameters can have default values")),
            Some(text) => Some(default(context, text, ty)?),
            None if is_input && has_defaults => {
                return Err(invalid("input parameters after one with a default value must also have defaults"));
            }
            None => None,
        };
        has_defaults |= default.is_some();
        made.push(Parameter { name, mode: definition.mode, ty, default });
    }
    if made.iter().filter(|p| p.mode.is_input()).count() > PARAMETERS_MAX {
        let message = format!("{of} cannot have more than {PARAMETERS_MAX} arguments");
        return Err(error(SqlState::TOO_MANY_ARGUMENTS, message));
    }
    Ok(made)
}

/// The default's text as it is kept.
fn default(context: &DdlContext<'_>, text: &SqlText, ty: Oid) -> Result<String> {
    let target = SqlType::new(if is_open(ty) { oid::UNKNOWN } else { ty });
    let bound = context.services.bind_expression(&context.snapshot(), None, text, ExpressionUse::Default(target), "");
    bound.map(|bound| bound.text).map_err(|mut e| {
        let fields = e.fields_mut();
        match fields.code {
            SqlState::DATATYPE_MISMATCH => {
                let source = fields.message.rsplit(" is of type ").next().unwrap_or_default().to_owned();
                fields.message =
                    format!("argument of DEFAULT must be type {}, not type {source}", typename::format_type(ty, None));
                fields.hint = None;
            }
            SqlState::FEATURE_NOT_SUPPORTED if fields.message.starts_with("cannot use column reference") => {
                fields.code = SqlState::INVALID_COLUMN_REFERENCE;
                fields.message = "cannot use table references in parameter default value".to_owned();
            }
            _ => {}
        }
        e
    })
}

/// The result's type, and whether it is a set.
fn result(context: &DdlContext<'_>, create: &CreateFunction, parameters: &[Parameter]) -> Result<(Oid, bool)> {
    let outputs: Vec<&Parameter> = parameters.iter().filter(|p| p.mode.is_output()).collect();
    let of_outputs = match outputs.as_slice() {
        [] => None,
        [one] => Some(one.ty),
        _ => Some(oid::RECORD),
    };
    let is_table = outputs.iter().any(|p| p.mode == ParameterMode::Table);
    if is_table && outputs.iter().any(|p| p.mode != ParameterMode::Table) {
        return Err(error(SqlState::SYNTAX_ERROR, "OUT and INOUT arguments aren't allowed in TABLE functions"));
    }
    let written =
        create.result.as_ref().map(|text| resolve(context, text).map_err(|e| e.at(text.position))).transpose();
    let written = written.map_err(|mut e| {
        e.fields_mut().position = None;
        e
    })?;
    match (written, of_outputs) {
        (Some((ty, _)), Some(wanted)) if ty != wanted => {
            let wanted = names::format_type(context.catalog.snapshot(), context.scope(), wanted, None);
            Err(invalid(format!("function result type must be {wanted} because of OUT parameters")))
        }
        (Some((ty, is_set)), _) => Ok((ty, is_set)),
        (None, Some(ty)) => Ok((ty, is_table)),
        (None, None) => Err(invalid("function result type must be specified")),
    }
}

/// Options as CREATE and ALTER give them; what they do not say stays.
fn with_options(context: &DdlContext<'_>, mut function: Function, options: &FunctionOptions) -> Result<Function> {
    let out_of_range = |message: &str| error(SqlState::INVALID_PARAMETER_VALUE, message);
    function.volatility = options.volatility.unwrap_or(function.volatility);
    function.strict = options.strict.unwrap_or(function.strict);
    function.security_definer = options.security_definer.unwrap_or(function.security_definer);
    if let Some(leakproof) = options.leakproof {
        if leakproof && !context.is_superuser() {
            return Err(error(SqlState::INSUFFICIENT_PRIVILEGE, "only superuser can define a leakproof function"));
        }
        function.leakproof = leakproof;
    }
    if let Some(parallel) = &options.parallel {
        function.parallel = self::parallel(parallel)?;
    }
    if let Some(cost) = options.cost {
        if cost <= 0.0 {
            return Err(out_of_range("COST must be positive"));
        }
        function.cost = cost as f32;
    }
    if let Some(rows) = options.rows {
        if rows <= 0.0 {
            return Err(out_of_range("ROWS must be positive"));
        }
        if !function.returns_set {
            return Err(out_of_range("ROWS is not applicable when function does not return a set"));
        }
        function.rows = rows as f32;
    }
    Ok(function)
}

/// pg_proc's letter.
pub(super) fn parallel(word: &str) -> Result<char> {
    match word {
        "safe" => Ok('s'),
        "restricted" => Ok('r'),
        "unsafe" => Ok('u'),
        _ => {
            let message = "parameter \"parallel\" must be SAFE, RESTRICTED, or UNSAFE";
            Err(error(SqlState::SYNTAX_ERROR, message))
        }
    }
}

/// What CREATE OR REPLACE may not change: whoever calls the function relies on it.
pub(super) fn check_replacement(
    context: &DdlContext<'_>,
    or_replace: bool,
    old: &Function,
    new: &Function,
    kind: Routine,
) -> Result<()> {
    if !or_replace {
        let message = format!("function \"{}\" already exists with same argument types", new.name);
        return Err(error(SqlState::DUPLICATE_FUNCTION, message));
    }
    context.require_owner(Target::Function(old))?;
    if Routine::of(old) != kind {
        let is = if kind == Routine::Function { "an aggregate" } else { "a" };
        let detail = format!("\"{}\" is {is} function.", old.name);
        return Err(error(SqlState::WRONG_OBJECT_TYPE, "cannot change routine kind").detail(detail));
    }
    let word = if kind == Routine::Function { "FUNCTION" } else { "AGGREGATE" };
    let hint = |e: SqlError| e.hint(format!("Use DROP {word} {} first.", signature(context, old)));
    if old.result != new.result || old.returns_set != new.returns_set {
        let error = invalid("cannot change return type of existing function");
        return Err(hint(error));
    }
    let outputs = |f: &Function| f.outputs().map(|p| (p.name.clone(), p.ty)).collect::<Vec<_>>();
    if new.result == oid::RECORD && outputs(old) != outputs(new) {
        let error = invalid("cannot change return type of existing function");
        return Err(hint(error.detail("Row type defined by OUT parameters is different.")));
    }
    for (before, after) in old.inputs().zip(new.inputs()) {
        if !before.name.is_empty() && before.name != after.name {
            return Err(hint(invalid(format!("cannot change name of input parameter \"{}\"", before.name))));
        }
        if before.default.is_some() && after.default.is_none() {
            return Err(hint(invalid("cannot remove parameter defaults from existing function")));
        }
    }
    Ok(())
}

// --- ALTER

pub(super) async fn alter(
    context: &mut DdlContext<'_>,
    kind: Routine,
    named: &RoutineName,
    action: &AlterFunction,
) -> Result<()> {
    let function = lock_own(context, kind, named).await?;
    match action {
        AlterFunction::Rename(to) => {
            let Some(schema) = context.catalog.snapshot().schema(function.schema).cloned() else { return Ok(()) };
            privileges::require(context.catalog.snapshot(), context.role, Target::Schema(&schema), privilege::CREATE)?;
            move_to(context, &function, &schema, &to.name).await
        }
        AlterFunction::SetSchema(to) => {
            let schema = context.schema_named(&to.name)?;
            if schema.id == function.schema {
                return Ok(());
            }
            privileges::require(context.catalog.snapshot(), context.role, Target::Schema(&schema), privilege::CREATE)?;
            move_to(context, &function, &schema, &function.name).await
        }
        AlterFunction::Owner(role) => {
            let owner = context.role_id(role)?;
            context.require_may_become(owner)?;
            give(context, &function, owner)
        }
        AlterFunction::Options(options) => {
            refuse_aggregate(&function)?;
            let changed = with_options(context, Function::clone(&function), options)?;
            context.catalog.put(context.txn, Object::Function(changed))
        }
    }
}

pub(super) fn give(context: &mut DdlContext<'_>, function: &Function, owner: Oid) -> Result<()> {
    change(context, function, |f| {
        super::rename::change_grantor(&mut f.privileges, f.owner, owner);
        f.owner = owner;
    })
}

/// Another name or schema. Stored expressions name functions, so that one which they call stays where it is.
async fn move_to(context: &mut DdlContext<'_>, function: &Arc<Function>, schema: &Schema, name: &str) -> Result<()> {
    let mut changed = Function::clone(function);
    changed.name = name.to_owned();
    changed.schema = schema.id;
    if changed.signature() == function.signature() && schema.id == function.schema
        || context
            .catalog
            .claim_name(context.txn, NameSpace::Functions, schema.id, &changed.signature())
            .await?
            .is_some()
    {
        let what = signature(context, &changed);
        let message = format!("function {what} already exists in schema \"{}\"", schema.name);
        return Err(error(SqlState::DUPLICATE_FUNCTION, message));
    }
    check_not_stored(context, function)?;
    let before = context.snapshot();
    context.catalog.put(context.txn, Object::Function(changed))?;
    super::rename::rename_in_views(context, &before, function.id).await
}

/// 0A000 for a function that stored expressions call, before it gets another name.
pub(super) fn check_not_stored(context: &DdlContext<'_>, function: &Function) -> Result<()> {
    let snapshot = context.catalog.snapshot();
    match depend::stored_calls(snapshot, function).first() {
        None => Ok(()),
        Some(part) => {
            let what = depend::describe(snapshot, context.scope(), *part);
            let message =
                format!("renaming function {}, which {what} calls, is not supported", signature(context, function));
            Err(SqlError::unsupported(message))
        }
    }
}

// --- DROP

pub(super) async fn drop(
    context: &mut DdlContext<'_>,
    kind: Routine,
    functions: &[RoutineName],
    if_exists: bool,
    cascade: bool,
) -> Result<()> {
    let mut targets = vec![];
    for named in functions {
        match find_routine(context, kind, named) {
            Ok(found) => {
                let function = lock(context, found.id).await?;
                if kind == Routine::Function {
                    let hint = "Use DROP AGGREGATE to drop aggregate functions.";
                    refuse_aggregate(&function).map_err(|e| e.hint(hint))?;
                }
                require_droppable(context, &function)?;
                if !targets.contains(&Part::Function(function.id)) {
                    targets.push(Part::Function(function.id));
                }
            }
            Err(missing) if if_exists && is_missing(&missing) => {
                let word = if kind == Routine::Function { "function" } else { "aggregate" };
                let mut what = missing.message().to_owned();
                if named.parameters.is_none() && missing.code() == SqlState::UNDEFINED_FUNCTION {
                    what = format!("function {}() does not exist", named.name.parts.join("."));
                }
                if let (Some(parameters), SqlState::UNDEFINED_FUNCTION) = (&named.parameters, missing.code()) {
                    let types: Vec<String> = parameters.iter().map(|p| written_type(&p.ty.text)).collect();
                    what = format!("{word} {}({}) does not exist", named.name.parts.join("."), types.join(","));
                }
                context.skipping(SqlState::SUCCESSFUL_COMPLETION, &what);
            }
            Err(other) => return Err(other),
        }
    }
    drop_parts(context, &targets, cascade).await
}

/// A type as PostgreSQL's parser keeps it: SQL's own words become names of pg_catalog.
fn written_type(text: &str) -> String {
    const WORDS: &[&str] = &[
        "int",
        "integer",
        "bigint",
        "smallint",
        "real",
        "float",
        "double precision",
        "boolean",
        "numeric",
        "decimal",
        "dec",
        "char",
        "character",
        "character varying",
        "varchar",
        "bit",
        "time",
        "timestamp",
        "interval",
    ];
    let folded = text.to_lowercase();
    let known = WORDS.contains(&folded.as_str()).then(|| typename::parse(&folded).ok()).flatten();
    match known.and_then(|ty| builtin::type_by_oid(ty.oid)) {
        Some(ty) => format!("pg_catalog.{}", ty.name),
        None => folded,
    }
}

pub(super) fn is_missing(error: &SqlError) -> bool {
    matches!(error.code(), SqlState::UNDEFINED_FUNCTION | SqlState::UNDEFINED_OBJECT | SqlState::INVALID_SCHEMA_NAME)
}

/// The function's owner, or the schema's.
fn require_droppable(context: &DdlContext<'_>, function: &Function) -> Result<()> {
    let snapshot = context.catalog.snapshot();
    let schema = snapshot.schema(function.schema);
    if schema.is_some_and(|s| privileges::is_owner(snapshot, context.role, Target::Schema(s))) {
        return Ok(());
    }
    context.require_owner(Target::Function(function))
}
