//! Functions and aggregates as statements name them: looked up along the search path, by kind and argument types.

use super::context::{DdlContext, error};
use super::functions::resolve;
use catalog::names;
use catalog::privileges::{self, Target};
use catalog::*;
use sql::utility::ddl::{ObjectName, ParameterDefinition, RoutineName};
use std::sync::Arc;
use types::{Oid, Result, SqlError, SqlState, builtin};

/// `f(integer, text)`, its types as the session sees them.
pub(super) fn signature(context: &DdlContext<'_>, function: &Function) -> String {
    signature_of(context, &function.name, &function.input_types())
}

pub(super) fn signature_of(context: &DdlContext<'_>, name: &str, types: &[Oid]) -> String {
    let snapshot = context.catalog.snapshot();
    let types: Vec<_> = types.iter().map(|ty| names::format_type(snapshot, context.scope(), *ty, None)).collect();
    format!("{name}({})", types.join(", "))
}

/// The schemas that a name may be found in.
pub(super) fn schemas(context: &DdlContext<'_>, name: &ObjectName) -> Result<Vec<Oid>> {
    let snapshot = context.catalog.snapshot();
    match names::split(snapshot, context.scope(), &name.parts)?.0 {
        Some(schema) => Ok(vec![names::schema(snapshot, context.scope(), schema)?.id]),
        None => Ok(context.search_path.clone()),
    }
}

/// The function that a statement names. 42883 or 42725 where it is none or not one alone.
pub(super) fn find(context: &DdlContext<'_>, named: &RoutineName) -> Result<Arc<Function>> {
    let (snapshot, written) = (context.snapshot(), named.name.parts.join("."));
    let schemas = schemas(context, &named.name)?;
    let all = || schemas.iter().flat_map(|schema| snapshot.functions_by_name(*schema, named.name.object()));
    let Some(parameters) = &named.parameters else {
        let is_builtin =
            schemas.contains(&PG_CATALOG_SCHEMA) && !builtin::procs_by_name(named.name.object()).is_empty();
        let mut found = all();
        return match (found.next(), found.next(), is_builtin) {
            (Some(function), None, false) => Ok(function.clone()),
            (None, _, false) => {
                let message = format!("could not find a function named \"{written}\"");
                Err(error(SqlState::UNDEFINED_FUNCTION, message))
            }
            _ => Err(error(SqlState::AMBIGUOUS_FUNCTION, format!("function name \"{written}\" is not unique"))
                .hint("Specify the argument list to select the function unambiguously.")),
        };
    };
    let types = input_types(context, parameters)?;
    if let Some(function) = all().find(|f| f.input_types() == types) {
        return Ok(function.clone());
    }
    let name = signature_of(context, &written, &types);
    let is_builtin = |p: &&'static builtin::Proc| *p.args == *types;
    if schemas.contains(&PG_CATALOG_SCHEMA) && builtin::procs_by_name(named.name.object()).iter().any(is_builtin) {
        return Err(SqlError::unsupported(format!("changing the built-in function {name} is not supported")));
    }
    Err(error(SqlState::UNDEFINED_FUNCTION, format!("function {name} does not exist")))
}

/// A function, built-in or a user's.
pub(super) enum AnyFunction {
    Builtin(&'static builtin::Proc),
    User(Arc<Function>),
}

impl AnyFunction {
    pub(super) fn id(&self) -> Oid {
        match self {
            AnyFunction::Builtin(proc) => proc.oid,
            AnyFunction::User(function) => function.id,
        }
    }

    pub(super) fn result(&self) -> Oid {
        match self {
            AnyFunction::Builtin(proc) => proc.result,
            AnyFunction::User(function) => function.result,
        }
    }

    pub(super) fn arguments(&self) -> Vec<Oid> {
        match self {
            AnyFunction::Builtin(proc) => proc.args.to_vec(),
            AnyFunction::User(function) => function.input_types(),
        }
    }

    pub(super) fn is_strict(&self) -> bool {
        match self {
            AnyFunction::Builtin(proc) => proc.strict,
            AnyFunction::User(function) => function.strict,
        }
    }

    pub(super) fn returns_set(&self) -> bool {
        match self {
            AnyFunction::Builtin(proc) => proc.returns_set,
            AnyFunction::User(function) => function.returns_set,
        }
    }

    /// 42501 where the session's role may not call it.
    pub(super) fn require_execute(&self, context: &DdlContext<'_>) -> Result<()> {
        match self {
            AnyFunction::Builtin(_) => Ok(()),
            AnyFunction::User(function) => {
                let target = Target::Function(function);
                privileges::require(context.catalog.snapshot(), context.role, target, privilege::EXECUTE)
            }
        }
    }
}

/// All functions of a name, in the search path's order.
pub(super) fn named(context: &DdlContext<'_>, name: &[String]) -> Result<Vec<AnyFunction>> {
    let object = ObjectName { parts: name.to_vec(), position: 0 };
    let mut found = vec![];
    for schema in schemas(context, &object)? {
        if schema == PG_CATALOG_SCHEMA {
            found.extend(builtin::procs_by_name(object.object()).iter().map(|p| AnyFunction::Builtin(p)));
        }
        let users = context.catalog.snapshot().functions_by_name(schema, object.object());
        found.extend(users.map(|f| AnyFunction::User(f.clone())));
    }
    Ok(found)
}

/// The function of just these argument types that a definition names. 42883 where there is none.
pub(super) fn exact(context: &DdlContext<'_>, name: &[String], types: &[Oid]) -> Result<AnyFunction> {
    let missing = || {
        let message = format!("function {} does not exist", written(context, name, types));
        error(SqlState::UNDEFINED_FUNCTION, message)
    };
    named(context, name)?.into_iter().find(|f| f.arguments() == types).ok_or_else(missing)
}

/// `schema.f(integer, text)`, as it was named.
pub(super) fn written(context: &DdlContext<'_>, name: &[String], types: &[Oid]) -> String {
    signature_of(context, &name.join("."), types)
}

/// A type as the session sees it.
pub(super) fn type_name(context: &DdlContext<'_>, ty: Oid) -> String {
    names::format_type(context.catalog.snapshot(), context.scope(), ty, None)
}

/// What a statement says that a function is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Routine {
    Function,
    Aggregate,
}

impl Routine {
    pub(super) fn of(function: &Function) -> Routine {
        if function.aggregate().is_some() { Routine::Aggregate } else { Routine::Function }
    }
}

/// An aggregate that a statement names. 42883, or 42809 for a function that is none.
pub(super) fn find_aggregate(context: &DdlContext<'_>, named: &RoutineName) -> Result<Arc<Function>> {
    let types = input_types(context, named.parameters.as_deref().unwrap_or_default())?;
    let shown = || match types.as_slice() {
        [] => format!("{}(*)", named.name.parts.join(".")),
        types => written(context, &named.name.parts, types),
    };
    match find(context, named) {
        Ok(function) if function.aggregate().is_some() => Ok(function),
        Ok(_) => {
            let message = format!("function {} is not an aggregate", written(context, &named.name.parts, &types));
            Err(error(SqlState::WRONG_OBJECT_TYPE, message))
        }
        Err(missing) if missing.code() == SqlState::UNDEFINED_FUNCTION => {
            Err(error(SqlState::UNDEFINED_FUNCTION, format!("aggregate {} does not exist", shown())))
        }
        Err(other) => Err(other),
    }
}

pub(super) fn find_routine(context: &DdlContext<'_>, kind: Routine, named: &RoutineName) -> Result<Arc<Function>> {
    match kind {
        Routine::Function => find(context, named),
        Routine::Aggregate => find_aggregate(context, named),
    }
}

/// 42809 for an aggregate where functions are altered and dropped.
pub(super) fn refuse_aggregate(function: &Function) -> Result<()> {
    match Routine::of(function) {
        Routine::Function => Ok(()),
        Routine::Aggregate => {
            let message = format!("\"{}\" is an aggregate function", function.name);
            Err(error(SqlState::WRONG_OBJECT_TYPE, message))
        }
    }
}

pub(super) fn input_types(context: &DdlContext<'_>, parameters: &[ParameterDefinition]) -> Result<Vec<Oid>> {
    let inputs = parameters.iter().filter(|p| p.mode.is_input());
    inputs.map(|p| resolve(context, &p.ty).map(|(ty, _)| ty)).collect()
}

/// The same, locked and newest; only its owner may go on.
pub(super) async fn lock_own(
    context: &mut DdlContext<'_>,
    kind: Routine,
    named: &RoutineName,
) -> Result<Arc<Function>> {
    let function = lock(context, find_routine(context, kind, named)?.id).await?;
    context.require_owner(Target::Function(&function))?;
    Ok(function)
}

pub(super) async fn lock(context: &mut DdlContext<'_>, id: Oid) -> Result<Arc<Function>> {
    context.catalog.lock(context.txn, ObjectKey::function(id)).await?;
    let function = context.catalog.snapshot().function(id).cloned();
    function.ok_or_else(|| error(SqlState::UNDEFINED_FUNCTION, format!("function with OID {id} does not exist")))
}

/// Changes a locked function.
pub(super) fn change(context: &mut DdlContext<'_>, function: &Function, f: impl FnOnce(&mut Function)) -> Result<()> {
    let mut changed = function.clone();
    f(&mut changed);
    context.catalog.put(context.txn, Object::Function(changed))
}
