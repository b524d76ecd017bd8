//! CREATE AGGREGATE. An aggregate is a function whose body is other functions: the rest of its DDL is that of `functions`.

use super::context::{DdlContext, error};
use super::functions;
use super::operators::{name_of, require_usage, truth_of, type_of};
use super::routines::{self, AnyFunction, Routine};
use catalog::operators as catalog_operators;
use catalog::rows::NameSpace;
use catalog::*;
use sql::utility::ddl::*;
use types::{Oid, Result, Severity, SqlError, SqlState, SqlType, builtin, oid, typename};

/// What PostgreSQL expects of an aggregate's row in pg_proc.
const COST: f32 = 1.0;

fn invalid(message: impl Into<String>) -> SqlError {
    error(SqlState::INVALID_FUNCTION_DEFINITION, message)
}

/// Steps as written: names and texts, not looked up.
#[derive(Default)]
struct WrittenSteps {
    transition: Option<Vec<String>>,
    inverse: Option<Vec<String>>,
    state: Option<SqlText>,
    finish: Option<Vec<String>>,
    finish_extra: bool,
    finish_modify: Option<char>,
    initial: Option<String>,
    space: i32,
}

/// What CREATE AGGREGATE says.
#[derive(Default)]
struct Written {
    plain: WrittenSteps,
    moving: WrittenSteps,
    combine: Option<Vec<String>>,
    serialize: Option<Vec<String>>,
    deserialize: Option<Vec<String>>,
    sort_operator: Option<Vec<String>>,
    parallel: Option<String>,
    base_type: Option<SqlText>,
    is_hypothetical: bool,
}

/// A value as plain text.
fn text_of(attribute: &Attribute) -> Result<String> {
    match &attribute.value {
        Some(AttributeValue::Text(text) | AttributeValue::Number(text)) => Ok(text.clone()),
        _ => Ok(name_of(attribute)?.join(".")),
    }
}

fn number_of(attribute: &Attribute) -> Result<i32> {
    text_of(attribute)?.parse().map_err(|_| {
        let message = format!("{} requires an integer value", attribute.name.name);
        error(SqlState::SYNTAX_ERROR, message)
    })
}

fn modify_of(attribute: &Attribute) -> Result<char> {
    match text_of(attribute)?.as_str() {
        "read_only" => Ok('r'),
        "shareable" => Ok('s'),
        "read_write" => Ok('w'),
        _ => {
            let message = format!("parameter \"{}\" must be READ_ONLY, SHAREABLE, or READ_WRITE", attribute.name.name);
            Err(error(SqlState::SYNTAX_ERROR, message))
        }
    }
}

impl Written {
    fn read(context: &DdlContext<'_>, attributes: &[Attribute]) -> Result<Written> {
        let mut written = Written::default();
        for attribute in attributes {
            let name = attribute.name.name.as_str();
            // sfunc and msfunc, finalfunc and mfinalfunc, …: the same of both kinds of steps.
            let is_moving = matches!(
                name,
                "msfunc" | "mfinalfunc" | "mfinalfunc_extra" | "mfinalfunc_modify" | "mstype" | "msspace" | "minitcond"
            );
            let steps = if is_moving { &mut written.moving } else { &mut written.plain };
            match if is_moving { &name[1..] } else { name } {
                "sfunc" | "sfunc1" => steps.transition = Some(name_of(attribute)?),
                "finalfunc" => steps.finish = Some(name_of(attribute)?),
                "finalfunc_extra" => steps.finish_extra = truth_of(attribute)?,
                "finalfunc_modify" => steps.finish_modify = Some(modify_of(attribute)?),
                "stype" | "stype1" => steps.state = Some(type_of(attribute)?),
                "sspace" => steps.space = number_of(attribute)?,
                "initcond" | "initcond1" => steps.initial = Some(text_of(attribute)?),
                "minvfunc" => written.moving.inverse = Some(name_of(attribute)?),
                "combinefunc" => written.combine = Some(name_of(attribute)?),
                "serialfunc" => written.serialize = Some(name_of(attribute)?),
                "deserialfunc" => written.deserialize = Some(name_of(attribute)?),
                "sortop" => written.sort_operator = Some(name_of(attribute)?),
                "parallel" => written.parallel = Some(text_of(attribute)?),
                "basetype" => written.base_type = Some(type_of(attribute)?),
                "hypothetical" => written.is_hypothetical = truth_of(attribute)?,
                other => {
                    let message = format!("aggregate attribute \"{other}\" not recognized");
                    context.services.notice(error(SqlState::SYNTAX_ERROR, message).severity(Severity::Warning));
                }
            }
        }
        written.check()?;
        Ok(written)
    }

    /// What must be said, and what must not.
    fn check(&self) -> Result<()> {
        if self.plain.state.is_none() {
            return Err(invalid("aggregate stype must be specified"));
        }
        if self.plain.transition.is_none() {
            return Err(invalid("aggregate sfunc must be specified"));
        }
        let moving = &self.moving;
        if moving.state.is_some() {
            let needed = [("msfunc", moving.transition.is_some()), ("minvfunc", moving.inverse.is_some())];
            return match needed.iter().find(|(_, is_given)| !is_given) {
                Some((name, _)) => Err(invalid(format!("aggregate {name} must be specified when mstype is specified"))),
                None => Ok(()),
            };
        }
        let refused = [
            ("msfunc", moving.transition.is_some()),
            ("minvfunc", moving.inverse.is_some()),
            ("mfinalfunc", moving.finish.is_some()),
            ("msspace", moving.space != 0),
            ("minitcond", moving.initial.is_some()),
        ];
        match refused.iter().find(|(_, is_given)| *is_given) {
            Some((name, _)) => Err(invalid(format!("aggregate {name} must not be specified without mstype"))),
            None => Ok(()),
        }
    }
}

// --- the functions that it names

fn is_open(ty: Oid) -> bool {
    functions::is_open(ty) || ty == oid::ANYENUM
}

/// Whether a value of the one type is one of the other as it is.
fn is_binary(from: Oid, to: Oid) -> bool {
    let by_cast = || {
        builtin::cast(from, to)
            .is_some_and(|c| c.method == builtin::CastMethod::Binary && c.context == builtin::CastContext::Implicit)
    };
    from == to || to == oid::ANY || by_cast()
}

/// The result of a function declared so for these types; None: it does not take them.
fn result_for(declared: &[Oid], result: Oid, given: &[Oid]) -> Option<Oid> {
    if declared.len() != given.len() {
        return None;
    }
    let mut element = None;
    for (to, from) in declared.iter().zip(given) {
        let of = match *to {
            to if to == *from => continue,
            oid::ANYARRAY | oid::ANYCOMPATIBLEARRAY => builtin::element_of(*from)?,
            to if is_open(to) => *from,
            to if is_binary(*from, to) => continue,
            _ => return None,
        };
        if *element.get_or_insert(of) != of {
            return None;
        }
    }
    match (result, element) {
        (oid::ANYARRAY | oid::ANYCOMPATIBLEARRAY, Some(element)) => builtin::array_of(element),
        (result, Some(element)) if is_open(result) => Some(element),
        (result, _) => Some(result),
    }
}

/// A function of an aggregate, and what it returns for the types that it is called with.
fn lookup(context: &DdlContext<'_>, name: &[String], given: &[Oid]) -> Result<(AnyFunction, Oid)> {
    let found = match routines::exact(context, name, given) {
        Ok(exact) => {
            let result = exact.result();
            Some((exact, result))
        }
        Err(missing) => {
            let all = routines::named(context, name)?.into_iter();
            let mut fitting = all.filter_map(|f| {
                let result = result_for(&f.arguments(), f.result(), given)?;
                Some((f, result))
            });
            Some(fitting.next().ok_or(missing)?)
        }
    };
    let Some((function, result)) = found else { return Err(SqlError::internal("a function was found or is missing")) };
    function.require_execute(context)?;
    if function.returns_set() {
        let message = format!("function {} returns a set", routines::written(context, name, given));
        return Err(error(SqlState::DATATYPE_MISMATCH, message));
    }
    Ok((function, result))
}

/// The same, which must return `wanted`.
fn lookup_returning(
    context: &DdlContext<'_>,
    what: &str,
    name: &[String],
    given: &[Oid],
    wanted: Oid,
) -> Result<AnyFunction> {
    let (function, result) = lookup(context, name, given)?;
    if result != wanted {
        let wanted = routines::type_name(context, wanted);
        let message = format!("return type of {what} function {} is not {wanted}", name.join("."));
        return Err(error(SqlState::DATATYPE_MISMATCH, message));
    }
    Ok(function)
}

/// The type of a state. Of pseudo-types only the polymorphic ones can be, and `internal` for a superuser's own functions.
fn state_type(context: &DdlContext<'_>, written: &WrittenSteps, arguments: &[Oid]) -> Result<Oid> {
    let Some(text) = &written.state else { return Err(invalid("aggregate stype must be specified")) };
    let (ty, _) = functions::resolve(context, text)?;
    let is_pseudo = builtin::type_by_oid(ty).is_some_and(|t| t.kind == 'p');
    if is_open(ty) && !arguments.iter().any(|a| is_open(*a)) {
        let detail = format!(
            "A result of type {} requires at least one input of type anyelement, anyarray, anynonarray, anyenum, anyrange, or anymultirange.",
            typename::format_type(ty, None)
        );
        return Err(invalid("cannot determine transition data type").detail(detail));
    }
    if is_pseudo && !is_open(ty) && !(ty == oid::INTERNAL && context.is_superuser()) {
        let message = format!("aggregate transition data type cannot be {}", typename::format_type(ty, None));
        return Err(invalid(message));
    }
    Ok(ty)
}

/// Steps looked up, and the type of their value.
fn steps(context: &DdlContext<'_>, written: &WrittenSteps, arguments: &[Oid]) -> Result<(AggregateSteps, Oid)> {
    let state = state_type(context, written, arguments)?;
    if let Some(text) = written.initial.as_ref().filter(|_| !is_open(state) && state != oid::INTERNAL) {
        context.services.input(SqlType::new(state), text)?;
    }
    let mut taken = vec![state];
    taken.extend(arguments);
    let name = written.transition.as_deref().unwrap_or_default();
    let transition = lookup_returning(context, "transition", name, &taken, state)?;
    let first_fits = arguments.first().is_some_and(|first| is_binary(*first, state));
    if transition.is_strict() && written.initial.is_none() && !first_fits {
        return Err(invalid(
            "must not omit initial value when transition function is strict and transition type is not compatible with input type",
        ));
    }
    let inverse = match &written.inverse {
        None => 0,
        Some(name) => {
            let inverse = lookup_returning(context, "inverse transition", name, &taken, state)?;
            if inverse.is_strict() != transition.is_strict() {
                let message = "strictness of aggregate's forward and inverse transition functions must match";
                return Err(invalid(message));
            }
            inverse.id()
        }
    };
    let (finish, result) = match &written.finish {
        None => (0, state),
        Some(name) => {
            let given = if written.finish_extra { &taken[..] } else { &taken[..1] };
            let (finish, result) = lookup(context, name, given)?;
            if written.finish_extra && finish.is_strict() {
                return Err(invalid("final function with extra arguments must not be declared STRICT"));
            }
            (finish.id(), result)
        }
    };
    let steps = AggregateSteps {
        transition: transition.id(),
        inverse,
        state,
        finish,
        finish_extra: written.finish_extra,
        finish_modify: written.finish_modify.unwrap_or('r'),
        initial: written.initial.clone(),
        space: written.space,
    };
    Ok((steps, result))
}

fn definition(context: &DdlContext<'_>, written: &Written, arguments: &[Oid]) -> Result<(AggregateDefinition, Oid)> {
    let (plain, result) = steps(context, &written.plain, arguments)?;
    let both = [plain.state, plain.state];
    let combine = match &written.combine {
        None => 0,
        Some(name) => lookup_returning(context, "combine", name, &both, plain.state)?.id(),
    };
    let helper = |what: &str, name: &Option<Vec<String>>, given: &[Oid], wanted| match name {
        None => Ok(0),
        Some(_) if plain.state != oid::INTERNAL => Err(invalid(
            "serialization functions may be specified only when the aggregate transition data type is internal",
        )),
        Some(name) => lookup_returning(context, what, name, given, wanted).map(|f| f.id()),
    };
    if written.serialize.is_some() != written.deserialize.is_some() {
        return Err(invalid("must specify both or neither of serialization and deserialization functions"));
    }
    let serialize = helper("serialization", &written.serialize, &[oid::INTERNAL], oid::BYTEA)?;
    let taken = [oid::BYTEA, oid::INTERNAL];
    let deserialize = helper("deserialization", &written.deserialize, &taken, oid::INTERNAL)?;
    let moving = match &written.moving.state {
        None => None,
        Some(_) => {
            let (moving, of_moving) = steps(context, &written.moving, arguments)?;
            if of_moving != result {
                let (a, b) = (routines::type_name(context, of_moving), routines::type_name(context, result));
                let message = format!(
                    "moving-aggregate implementation returns type {a}, but plain implementation returns type {b}"
                );
                return Err(invalid(message));
            }
            Some(moving)
        }
    };
    let sort_operator = sort_operator(context, written, arguments)?;
    Ok((AggregateDefinition { plain, moving, combine, serialize, deserialize, sort_operator }, result))
}

fn sort_operator(context: &DdlContext<'_>, written: &Written, arguments: &[Oid]) -> Result<Oid> {
    let Some(name) = &written.sort_operator else { return Ok(0) };
    let [argument] = arguments else {
        return Err(invalid("sort operator can only be specified for single-argument aggregates"));
    };
    let (snapshot, scope) = (context.catalog.snapshot(), context.scope());
    let operands = (*argument, *argument);
    match catalog_operators::exact(snapshot, scope, name, operands)? {
        Some(operator) => Ok(operator.id()),
        None => {
            let what = catalog_operators::written(snapshot, scope, name, operands);
            Err(error(SqlState::UNDEFINED_FUNCTION, format!("operator does not exist: {what}")))
        }
    }
}

// --- CREATE

/// Its parameters: of the new form, or by the old form's `basetype`.
fn parameters(context: &DdlContext<'_>, create: &CreateAggregate, written: &Written) -> Result<Vec<Parameter>> {
    let definitions = match (&create.parameters, &written.base_type) {
        (Some(AggregateParameters { ordered: Some(_), .. }), _) => {
            return Err(SqlError::unsupported("ordered-set aggregates of users are not supported"));
        }
        (Some(_), _) if written.is_hypothetical => {
            return Err(invalid("only ordered-set aggregates can be hypothetical"));
        }
        (Some(_), Some(_)) => {
            return Err(invalid("basetype is redundant with aggregate input type specification"));
        }
        (Some(parameters), None) => parameters.plain.clone(),
        (None, None) => return Err(invalid("aggregate input type must be specified")),
        (None, Some(text)) if text.text.eq_ignore_ascii_case("any") || text.text == "\"any\"" => vec![],
        (None, Some(text)) => {
            vec![ParameterDefinition { name: None, mode: ParameterMode::In, ty: text.clone(), default: None }]
        }
    };
    if definitions.iter().any(|p| p.default.is_some()) {
        return Err(invalid("aggregates cannot have default arguments"));
    }
    if definitions.iter().any(|p| !p.mode.is_input() || p.mode == ParameterMode::InOut) {
        return Err(invalid("aggregates cannot have output arguments"));
    }
    functions::parameters(context, &definitions, "aggregates")
}

pub(super) async fn create(context: &mut DdlContext<'_>, create: &CreateAggregate) -> Result<()> {
    let (schema, _) = context.creation_schema(&create.name, false).await?;
    let written = Written::read(context, &create.attributes)?;
    let parameters = parameters(context, create, &written)?;
    let arguments: Vec<Oid> = parameters.iter().map(|p| p.ty).collect();
    let (definition, result) = definition(context, &written, &arguments)?;
    if is_open(result) && !arguments.iter().any(|a| is_open(*a)) {
        return Err(invalid("cannot determine result data type"));
    }
    for ty in arguments.iter().chain([&definition.plain.state, &result]) {
        require_usage(context, *ty)?;
    }
    let mut made = Function {
        id: 0,
        database: context.database,
        schema: schema.id,
        name: create.name.object().to_owned(),
        owner: context.role,
        privileges: None,
        parameters,
        result,
        returns_set: false,
        body: FunctionBody::Aggregate(Box::new(definition)),
        volatility: FunctionVolatility::Immutable,
        strict: false,
        security_definer: false,
        leakproof: false,
        parallel: match &written.parallel {
            None => 'u',
            Some(word) => functions::parallel(word)?,
        },
        cost: COST,
        rows: 0.0,
        comment: None,
    };
    match context.catalog.claim_name(context.txn, NameSpace::Functions, schema.id, &made.signature()).await? {
        Some(old) => {
            let old = routines::lock(context, old).await?;
            functions::check_replacement(context, create.or_replace, &old, &made, Routine::Aggregate)?;
            (made.id, made.owner) = (old.id, old.owner);
            (made.privileges, made.comment) = (old.privileges.clone(), old.comment.clone());
        }
        None => made.id = context.catalog.allocate_id().await?,
    }
    context.catalog.put(context.txn, Object::Function(made))
}
