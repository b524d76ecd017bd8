//! CREATE, ALTER, DROP and COMMENT ON OPERATOR; and finding an operator by how a statement names it.
//!
//! An operator may name a commutator or a negator that is not there yet: that one is put as a *shell*, which has operands and
//! a name alone, and which CREATE OPERATOR later fills in. The two point at each other; who goes is no longer pointed at.

use super::context::{DdlContext, error};
use super::depend::{self, Part};
use super::drop::drop_parts;
use super::{functions, routines};
use catalog::names;
use catalog::operators::{self, AnyOperator};
use catalog::privileges::{self, Target};
use catalog::rows::NameSpace;
use catalog::*;
use sql::utility::ddl::*;
use std::sync::Arc;
use types::{Oid, Result, Severity, SqlError, SqlState, oid};

/// What estimators take, and what they return.
const RESTRICT_ARGUMENTS: &[Oid] = &[oid::INTERNAL, oid::OID, oid::INTERNAL, oid::INT4];
const JOIN_ARGUMENTS: &[Oid] = &[oid::INTERNAL, oid::OID, oid::INTERNAL, oid::INT2, oid::INTERNAL];

fn invalid(message: impl Into<String>) -> SqlError {
    error(SqlState::INVALID_FUNCTION_DEFINITION, message)
}

// --- naming

/// Types of a named operator's operands.
fn operands(context: &DdlContext<'_>, named: &OperatorName) -> Result<(Oid, Oid)> {
    let resolve = |text: &Option<SqlText>| match text {
        Some(text) => functions::resolve(context, text).map(|(ty, _)| ty),
        None => Ok(0),
    };
    let operands = (resolve(&named.left)?, resolve(&named.right)?);
    match operands.1 {
        0 => Err(error(SqlState::SYNTAX_ERROR, "postfix operators are not supported")),
        _ => Ok(operands),
    }
}

/// The operator that a statement names. 42883 where there is none, 0A000 for one of PostgreSQL's.
fn find(context: &DdlContext<'_>, named: &OperatorName) -> Result<Arc<Operator>> {
    let operands = operands(context, named)?;
    let (snapshot, scope) = (context.catalog.snapshot(), context.scope());
    let written = operators::written(snapshot, scope, &named.name.parts, operands);
    match operators::exact(snapshot, scope, &named.name.parts, operands)? {
        Some(AnyOperator::User(operator)) => Ok(operator),
        Some(AnyOperator::Builtin(_)) if !context.is_superuser() => {
            let message = format!("must be owner of operator {}", named.name.object());
            Err(error(SqlState::INSUFFICIENT_PRIVILEGE, message))
        }
        Some(AnyOperator::Builtin(_)) => {
            Err(SqlError::unsupported(format!("changing the built-in operator {written} is not supported")))
        }
        None => Err(error(SqlState::UNDEFINED_FUNCTION, format!("operator does not exist: {written}"))),
    }
}

/// The same, locked and newest; only its owner may go on.
async fn lock_own(context: &mut DdlContext<'_>, named: &OperatorName) -> Result<Arc<Operator>> {
    let operator = lock(context, find(context, named)?.id).await?;
    context.require_owner(Target::Operator(&operator))?;
    Ok(operator)
}

async fn lock(context: &mut DdlContext<'_>, id: Oid) -> Result<Arc<Operator>> {
    context.catalog.lock(context.txn, ObjectKey::operator(id)).await?;
    let operator = context.catalog.snapshot().operator(id).cloned();
    operator.ok_or_else(|| error(SqlState::UNDEFINED_FUNCTION, format!("operator with OID {id} does not exist")))
}

fn change(context: &mut DdlContext<'_>, operator: &Operator, f: impl FnOnce(&mut Operator)) -> Result<()> {
    let mut changed = operator.clone();
    f(&mut changed);
    context.catalog.put(context.txn, Object::Operator(changed))
}

// --- attributes

/// A value that is a name: of a function or an operator.
pub(super) fn name_of(attribute: &Attribute) -> Result<Vec<String>> {
    match &attribute.value {
        Some(AttributeValue::Type(text)) => names::parse_qualified(&text.text),
        Some(AttributeValue::Operator(name)) => Ok(name.parts.clone()),
        Some(AttributeValue::Text(text) | AttributeValue::Number(text)) => Ok(vec![text.clone()]),
        Some(AttributeValue::None) => Ok(vec!["none".to_owned()]),
        None => {
            let message = format!("{} requires a parameter", attribute.name.name);
            Err(error(SqlState::SYNTAX_ERROR, message))
        }
    }
}

/// A value that is a type.
pub(super) fn type_of(attribute: &Attribute) -> Result<SqlText> {
    match &attribute.value {
        Some(AttributeValue::Type(text)) => Ok(text.clone()),
        _ => Ok(SqlText { text: name_of(attribute)?.join("."), position: 0 }),
    }
}

/// A value that is true or false; true where there is none.
pub(super) fn truth_of(attribute: &Attribute) -> Result<bool> {
    let word = match &attribute.value {
        None => return Ok(true),
        Some(AttributeValue::Type(text)) => text.text.to_lowercase(),
        Some(AttributeValue::Text(text) | AttributeValue::Number(text)) => text.to_lowercase(),
        Some(AttributeValue::Operator(_) | AttributeValue::None) => String::new(),
    };
    match word.as_str() {
        "true" | "on" | "1" => Ok(true),
        "false" | "off" | "0" => Ok(false),
        _ => {
            let message = format!("{} requires a Boolean value", attribute.name.name);
            Err(error(SqlState::SYNTAX_ERROR, message))
        }
    }
}

/// What CREATE OPERATOR says, before anything is looked up.
#[derive(Default)]
struct Definition {
    left: Option<SqlText>,
    right: Option<SqlText>,
    function: Option<Vec<String>>,
    commutator: Option<Vec<String>>,
    negator: Option<Vec<String>>,
    restrict: Option<Vec<String>>,
    join: Option<Vec<String>>,
    can_hash: bool,
    can_merge: bool,
}

impl Definition {
    fn read(context: &DdlContext<'_>, attributes: &[Attribute]) -> Result<Definition> {
        let mut definition = Definition::default();
        let operand = |attribute: &Attribute| {
            let text = type_of(attribute)?;
            match text.text.get(..6).is_some_and(|word| word.eq_ignore_ascii_case("setof ")) {
                true => Err(invalid("SETOF type not allowed for operator argument")),
                false => Ok(Some(text)),
            }
        };
        for attribute in attributes {
            match attribute.name.name.as_str() {
                "leftarg" => definition.left = operand(attribute)?,
                "rightarg" => definition.right = operand(attribute)?,
                "function" | "procedure" => definition.function = Some(name_of(attribute)?),
                "commutator" => definition.commutator = Some(name_of(attribute)?),
                "negator" => definition.negator = Some(name_of(attribute)?),
                "restrict" => definition.restrict = Some(name_of(attribute)?),
                "join" => definition.join = Some(name_of(attribute)?),
                "hashes" => definition.can_hash = truth_of(attribute)?,
                "merges" => definition.can_merge = truth_of(attribute)?,
                // Of long ago, when they named operators.
                "sort1" | "sort2" | "ltcmp" | "gtcmp" => definition.can_merge = true,
                other => {
                    let message = format!("operator attribute \"{other}\" not recognized");
                    context.services.notice(error(SqlState::SYNTAX_ERROR, message).severity(Severity::Warning));
                }
            }
        }
        Ok(definition)
    }
}

/// Its rows may be told about by whoever may use it.
pub(super) fn require_usage(context: &DdlContext<'_>, ty: Oid) -> Result<()> {
    let snapshot = context.catalog.snapshot();
    match snapshot.relation_of_type(ty) {
        Some(relation) => privileges::require(snapshot, context.role, Target::Relation(relation), privilege::USAGE),
        None => Ok(()),
    }
}

/// The estimator of that name.
fn estimator(context: &DdlContext<'_>, name: &[String], arguments: &[Oid], what: &str) -> Result<Oid> {
    let function = routines::exact(context, name, arguments)?;
    if function.result() != oid::FLOAT8 {
        let message = format!("{what} estimator function {} must return type double precision", name.join("."));
        return Err(error(SqlState::INVALID_OBJECT_DEFINITION, message));
    }
    function.require_execute(context)?;
    Ok(function.id())
}

/// What only some operators can have.
fn check_abilities(operator: &Operator, has_commutator: bool, has_negator: bool) -> Result<()> {
    let (restrict, join) = (operator.restrict != 0, operator.join != 0);
    let only = |is_given: bool, message: &str| if is_given { Err(invalid(message)) } else { Ok(()) };
    if operator.left == 0 {
        only(has_commutator, "only binary operators can have commutators")?;
        only(join, "only binary operators can have join selectivity")?;
        only(operator.can_merge, "only binary operators can merge join")?;
        only(operator.can_hash, "only binary operators can hash")?;
    }
    if operator.result != oid::BOOL {
        only(has_negator, "only boolean operators can have negators")?;
        only(restrict, "only boolean operators can have restriction selectivity")?;
        only(join, "only boolean operators can have join selectivity")?;
        only(operator.can_merge, "only boolean operators can merge join")?;
        only(operator.can_hash, "only boolean operators can hash")?;
    }
    Ok(())
}

// --- CREATE

pub(super) async fn create(context: &mut DdlContext<'_>, create: &CreateOperator) -> Result<()> {
    let (schema, _) = context.creation_schema(&create.name, false).await?;
    let definition = Definition::read(context, &create.attributes)?;
    let mut made = resolved(context, &schema, create.name.object(), &definition)?;
    check_abilities(&made, definition.commutator.is_some(), definition.negator.is_some())?;
    match context.catalog.claim_name(context.txn, NameSpace::Operators, schema.id, &made.signature()).await? {
        Some(old) => {
            let old = lock(context, old).await?;
            if !old.is_shell() {
                let message = format!("operator {} already exists", made.name);
                return Err(error(SqlState::DUPLICATE_FUNCTION, message));
            }
            context.require_owner(Target::Operator(&old))?;
            (made.id, made.commutator, made.negator) = (old.id, old.commutator, old.negator);
        }
        None => made.id = context.catalog.allocate_id().await?,
    }
    if let Some(name) = &definition.commutator {
        made.commutator = partner(context, &made, name, (made.right, made.left), true).await?;
    }
    if let Some(name) = &definition.negator {
        made.negator = partner(context, &made, name, (made.left, made.right), false).await?;
    }
    context.catalog.put(context.txn, Object::Operator(made.clone()))?;
    link(context, &made).await
}

/// The operator with its types and functions looked up, without an id and without its partners.
fn resolved(context: &DdlContext<'_>, schema: &Schema, name: &str, definition: &Definition) -> Result<Operator> {
    let Some(function_name) = &definition.function else { return Err(invalid("operator function must be specified")) };
    let resolve = |text: &Option<SqlText>| match text {
        Some(text) => functions::resolve(context, text).map(|(ty, _)| ty),
        None => Ok(0),
    };
    let (left, right) = (resolve(&definition.left)?, resolve(&definition.right)?);
    match (left, right) {
        (0, 0) => return Err(invalid("operator argument types must be specified")),
        (_, 0) => {
            return Err(invalid("operator right argument type must be specified")
                .detail("Postfix operators are not supported."));
        }
        _ => {}
    }
    let types = if left == 0 { vec![right] } else { vec![left, right] };
    types.iter().try_for_each(|ty| require_usage(context, *ty))?;
    let function = routines::exact(context, function_name, &types)?;
    function.require_execute(context)?;
    require_usage(context, function.result())?;
    let named = |name: &Option<Vec<String>>, arguments, what| match name {
        Some(name) => estimator(context, name, arguments, what),
        None => Ok(0),
    };
    Ok(Operator {
        id: 0,
        database: context.database,
        schema: schema.id,
        name: name.to_owned(),
        owner: context.role,
        left,
        right,
        result: function.result(),
        procedure: function.id(),
        commutator: 0,
        negator: 0,
        restrict: named(&definition.restrict, RESTRICT_ARGUMENTS, "restriction")?,
        join: named(&definition.join, JOIN_ARGUMENTS, "join")?,
        can_hash: definition.can_hash,
        can_merge: definition.can_merge,
        comment: None,
    })
}

/// The id of a commutator or negator: itself, one that is there, or a shell that is made now.
async fn partner(
    context: &mut DdlContext<'_>,
    made: &Operator,
    name: &[String],
    operands: (Oid, Oid),
    is_commutator: bool,
) -> Result<Oid> {
    let object = ObjectName { parts: name.to_vec(), position: 0 };
    let found = operators::exact(context.catalog.snapshot(), context.scope(), name, operands)?;
    if let Some(found) = found.filter(|f| f.id() != made.id) {
        return Ok(found.id());
    }
    let (schema, _) = context.creation_schema(&object, false).await?;
    if schema.id == made.schema && object.object() == made.name && operands == (made.left, made.right) {
        return match is_commutator {
            true => Ok(made.id),
            false => Err(invalid("operator cannot be its own negator or sort operator")),
        };
    }
    let shell = Operator {
        id: context.catalog.allocate_id().await?,
        schema: schema.id,
        name: object.object().to_owned(),
        left: operands.0,
        right: operands.1,
        result: 0,
        procedure: 0,
        commutator: 0,
        negator: 0,
        restrict: 0,
        join: 0,
        can_hash: false,
        can_merge: false,
        ..made.clone()
    };
    context.catalog.claim_name(context.txn, NameSpace::Operators, schema.id, &shell.signature()).await?;
    let id = shell.id;
    context.catalog.put(context.txn, Object::Operator(shell))?;
    Ok(id)
}

/// The partners point back, unless they point at others already.
async fn link(context: &mut DdlContext<'_>, made: &Operator) -> Result<()> {
    for (partner, is_commutator) in [(made.commutator, true), (made.negator, false)] {
        if partner == made.id || context.catalog.snapshot().operator(partner).is_none() {
            continue;
        }
        let partner = lock(context, partner).await?;
        change(context, &partner, |p| {
            let back = if is_commutator { &mut p.commutator } else { &mut p.negator };
            if *back == 0 {
                *back = made.id;
            }
        })?;
    }
    Ok(())
}

// --- ALTER

pub(super) async fn alter(context: &mut DdlContext<'_>, named: &OperatorName, action: &AlterOperator) -> Result<()> {
    match action {
        AlterOperator::Owner(role) => {
            let operator = lock_own(context, named).await?;
            let owner = context.role_id(role)?;
            context.require_may_become(owner)?;
            give(context, &operator, owner)
        }
        AlterOperator::SetSchema(to) => {
            let operator = lock_own(context, named).await?;
            let schema = context.schema_named(&to.name)?;
            if schema.id == operator.schema {
                return Ok(());
            }
            privileges::require(context.catalog.snapshot(), context.role, Target::Schema(&schema), privilege::CREATE)?;
            move_to(context, &operator, &schema).await
        }
        AlterOperator::Set(attributes) => set(context, named, attributes).await,
    }
}

pub(super) fn give(context: &mut DdlContext<'_>, operator: &Operator, owner: Oid) -> Result<()> {
    change(context, operator, |o| o.owner = owner)
}

pub(super) async fn give_by_id(context: &mut DdlContext<'_>, id: Oid, owner: Oid) -> Result<()> {
    let operator = lock(context, id).await?;
    give(context, &operator, owner)
}

/// Stored expressions name operators with their schema, so that one which they use stays where it is.
async fn move_to(context: &mut DdlContext<'_>, operator: &Arc<Operator>, schema: &Schema) -> Result<()> {
    let mut changed = Operator::clone(operator);
    changed.schema = schema.id;
    let signature = changed.signature();
    if context.catalog.claim_name(context.txn, NameSpace::Operators, schema.id, &signature).await?.is_some() {
        let message = format!("operator {} already exists in schema \"{}\"", operator.name, schema.name);
        return Err(error(SqlState::DUPLICATE_FUNCTION, message));
    }
    check_not_stored(context, operator)?;
    let before = context.snapshot();
    context.catalog.put(context.txn, Object::Operator(changed))?;
    super::rename::rename_in_views(context, &before, operator.id).await
}

/// 0A000 for an operator that stored expressions use, before it gets another schema.
pub(super) fn check_not_stored(context: &DdlContext<'_>, operator: &Operator) -> Result<()> {
    let snapshot = context.catalog.snapshot();
    match depend::stored_operations(snapshot, operator).first() {
        None => Ok(()),
        Some(part) => {
            let what = depend::describe(snapshot, context.scope(), *part);
            let message = format!("moving operator {}, which {what} uses, is not supported", operator.name);
            Err(SqlError::unsupported(message))
        }
    }
}

/// SET (RESTRICT = …, JOIN = …).
async fn set(context: &mut DdlContext<'_>, named: &OperatorName, attributes: &[Attribute]) -> Result<()> {
    let operator = find(context, named)?;
    let (mut restrict, mut join) = (None, None);
    for attribute in attributes {
        let name = match &attribute.value {
            Some(AttributeValue::None) => None,
            _ => Some(name_of(attribute)?),
        };
        match attribute.name.name.as_str() {
            "restrict" => restrict = Some(name),
            "join" => join = Some(name),
            "leftarg" | "rightarg" | "function" | "procedure" | "commutator" | "negator" | "hashes" | "merges" => {
                let message = format!("operator attribute \"{}\" cannot be changed", attribute.name.name);
                return Err(error(SqlState::SYNTAX_ERROR, message));
            }
            other => {
                let message = format!("operator attribute \"{other}\" not recognized");
                return Err(error(SqlState::SYNTAX_ERROR, message));
            }
        }
    }
    let operator = lock(context, operator.id).await?;
    context.require_owner(Target::Operator(&operator))?;
    let mut changed = Operator::clone(&operator);
    if let Some(name) = restrict {
        changed.restrict = name.map_or(Ok(0), |n| estimator(context, &n, RESTRICT_ARGUMENTS, "restriction"))?;
    }
    if let Some(name) = join {
        changed.join = name.map_or(Ok(0), |n| estimator(context, &n, JOIN_ARGUMENTS, "join"))?;
    }
    check_abilities(&changed, false, false)?;
    context.catalog.put(context.txn, Object::Operator(changed))
}

// --- COMMENT and DROP

pub(super) async fn comment(context: &mut DdlContext<'_>, named: &OperatorName, comment: Option<String>) -> Result<()> {
    let operator = lock_own(context, named).await?;
    change(context, &operator, |o| o.comment = comment)
}

pub(super) async fn drop(
    context: &mut DdlContext<'_>,
    named: &[OperatorName],
    if_exists: bool,
    cascade: bool,
) -> Result<()> {
    let mut targets = vec![];
    for name in named {
        match find(context, name) {
            Ok(found) => {
                let operator = lock(context, found.id).await?;
                require_droppable(context, &operator)?;
                if !targets.contains(&Part::Operator(operator.id)) {
                    targets.push(Part::Operator(operator.id));
                }
            }
            Err(missing) if if_exists && functions::is_missing(&missing) => {
                let what = match missing.code() {
                    SqlState::UNDEFINED_FUNCTION => format!("operator {} does not exist", name.name.parts.join(".")),
                    _ => missing.message().to_owned(),
                };
                context.skipping(SqlState::SUCCESSFUL_COMPLETION, &what);
            }
            Err(other) => return Err(other),
        }
    }
    drop_parts(context, &targets, cascade).await
}

/// The operator's owner, or the schema's.
fn require_droppable(context: &DdlContext<'_>, operator: &Operator) -> Result<()> {
    let snapshot = context.catalog.snapshot();
    let schema = snapshot.schema(operator.schema);
    if schema.is_some_and(|s| privileges::is_owner(snapshot, context.role, Target::Schema(s))) {
        return Ok(());
    }
    context.require_owner(Target::Operator(operator))
}

/// Takes the operator out, and its partners' pointers at it.
pub(super) async fn remove(context: &mut DdlContext<'_>, id: Oid) -> Result<()> {
    let key = ObjectKey::operator(id);
    if !context.catalog.lock(context.txn, key).await? {
        return Ok(());
    }
    let Some(operator) = context.catalog.snapshot().operator(id).cloned() else { return Ok(()) };
    for partner in [operator.commutator, operator.negator] {
        if partner == id || context.catalog.snapshot().operator(partner).is_none() {
            continue;
        }
        let partner = lock(context, partner).await?;
        change(context, &partner, |p| {
            for back in [&mut p.commutator, &mut p.negator].into_iter().filter(|back| **back == id) {
                *back = 0;
            }
        })?;
    }
    context.catalog.remove(context.txn, key)
}
