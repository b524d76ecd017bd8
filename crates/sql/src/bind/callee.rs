//! Calls of functions that users made: which one is meant, and with which arguments.
//!
//! They stand beside the built-in ones: all of a name along the search path are candidates, and of two with the same
//! arguments the one found first is meant. Most names are of built-in functions alone, which costs one look-up per schema.

use super::call::{Arguments, schema_of};
use super::resolve::{Candidate, Choice, Given, Signature, candidate, choose, without_doubles};
use super::scope::{Clause, Scope, fold};
use super::{Binder, unsupported};
use crate::expr::{CallForm, Expr, ExprKind};
use catalog::privileges::{self, Target};
use catalog::{Function, PG_CATALOG_SCHEMA, privilege};
use sqlparser::ast::{self, FunctionArguments, Spanned};
use std::sync::Arc;
use types::builtin::{self, Proc, ProcKind};
use types::{Oid, Result, SqlError, SqlState, SqlType};

/// What a call may mean.
#[derive(Clone)]
enum Callee {
    Builtin(&'static Proc),
    User(UserFunction),
}

/// A user's function with its input types as a list.
#[derive(Clone)]
pub(super) struct UserFunction {
    pub(super) function: Arc<Function>,
    args: Vec<Oid>,
}

impl UserFunction {
    pub(super) fn new(function: Arc<Function>) -> UserFunction {
        UserFunction { args: function.input_types(), function }
    }
}

impl Signature for Callee {
    fn args(&self) -> &[Oid] {
        match self {
            Callee::Builtin(proc) => proc.args(),
            Callee::User(user) => &user.args,
        }
    }
    fn variadic(&self) -> Oid {
        match self {
            Callee::Builtin(proc) => proc.variadic(),
            Callee::User(user) => user.function.variadic(),
        }
    }
    fn defaults(&self) -> usize {
        match self {
            Callee::Builtin(proc) => proc.defaults(),
            Callee::User(user) => user.function.inputs().filter(|p| p.default.is_some()).count(),
        }
    }
    fn names(&self) -> Vec<&str> {
        match self {
            Callee::Builtin(proc) => proc.names(),
            Callee::User(user) => user.function.inputs().map(|p| p.name.as_str()).collect(),
        }
    }
    fn schema(&self) -> Oid {
        match self {
            Callee::Builtin(_) => PG_CATALOG_SCHEMA,
            Callee::User(user) => user.function.schema,
        }
    }
}

/// A call that has been decided: the function, its arguments as declared, and what its polymorphic types stand for.
pub(super) struct UserCall {
    pub(super) function: Arc<Function>,
    pub(super) args: Vec<Expr>,
    pub(super) result: SqlType,
    /// Names and types of the output parameters.
    pub(super) outputs: Vec<(String, SqlType)>,
    pub(super) position: u32,
}

impl Binder<'_> {
    fn user_functions(&self, schema: Oid, name: &str) -> impl Iterator<Item = Callee> {
        let found = self.context.catalog.functions_by_name(schema, name);
        found.map(|f| Callee::User(UserFunction::new(f.clone())))
    }

    /// The user's function that a call means; None: a built-in one, or none at all.
    pub(super) fn user_function(
        &self,
        schema: Option<&str>,
        name: &str,
        given: Given<'_>,
        position: u32,
    ) -> Result<Option<Candidate<UserFunction>>> {
        let mut callees: Vec<Callee> = vec![];
        let mut has_users = false;
        match schema {
            Some(schema) => {
                let id = catalog::names::schema(&self.context.catalog, self.name_scope(), schema)
                    .map_err(|e| e.at(position))?
                    .id;
                callees.extend(self.user_functions(id, name));
                has_users = true;
            }
            None => {
                for id in &self.context.search_path {
                    if *id == PG_CATALOG_SCHEMA {
                        callees.extend(builtin::procs_by_name(name).iter().map(|p| Callee::Builtin(p)));
                        continue;
                    }
                    // Functions of the temporary schema are called by its name alone.
                    if self.context.temporary_schema == Some(*id) {
                        continue;
                    }
                    let before = callees.len();
                    callees.extend(self.user_functions(*id, name));
                    has_users |= callees.len() > before;
                }
            }
        }
        if !has_users {
            return Ok(None);
        }
        let candidates = callees.into_iter().filter_map(|callee| candidate(callee, given)).collect();
        match choose(without_doubles(candidates), given.types) {
            Choice::One(chosen) => Ok(match chosen.item {
                Callee::Builtin(_) => None,
                Callee::User(item) => Some(Candidate {
                    item,
                    args: chosen.args,
                    gathered: chosen.gathered,
                    places: chosen.places,
                    variadic_array: chosen.variadic_array,
                    has_double: false,
                }),
            }),
            Choice::None if schema.is_none() => Ok(None),
            Choice::None => Err(self.no_function(&qualified(schema, name), given, false).at(position)),
            Choice::Ambiguous => Err(self.no_function(&qualified(schema, name), given, true).at(position)),
        }
    }

    /// What is wrong with a CALL, as there are no procedures: 42809 for a function, 42883 for what is not there at all.
    pub(super) fn refused_call(&mut self, call: &ast::Function) -> SqlError {
        match self.not_a_procedure(call) {
            Ok(error) | Err(error) => error,
        }
    }

    fn not_a_procedure(&mut self, call: &ast::Function) -> Result<SqlError> {
        let position = self.at(call.name.span());
        let parts: Vec<String> = call.name.0.iter().filter_map(|p| p.as_ident().map(fold)).collect();
        let (Some(name), FunctionArguments::List(list)) = (parts.last(), &call.args) else {
            return Err(unsupported("this kind of CALL", position));
        };
        self.scopes.push(Scope::of(Clause::Call));
        let args = self.call_arguments(list);
        self.scopes.pop();
        let args = args?;
        let types: Vec<Oid> = args.exprs.iter().map(|a| a.ty.oid).collect();
        let given = Given { types: &types, names: &args.names, variadic_array: args.variadic_array };
        let written = parts.join(".");
        let schema = schema_of(&call.name);
        let found = match self.user_function(schema.as_deref(), name, given, position) {
            Ok(None) if schema.is_none() => self.function_for(name, given, position).map(|_| true),
            found => found.map(|user| user.is_some()),
        };
        let error = match found {
            Ok(true) => {
                let message = format!("{} is not a procedure", self.called_with(&written, given));
                SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).hint("To call a function, use SELECT.")
            }
            Ok(false) => self.no_routine("procedure", &written, given, false),
            Err(error) => match error.code() {
                SqlState::UNDEFINED_FUNCTION => self.no_routine("procedure", &written, given, false),
                SqlState::AMBIGUOUS_FUNCTION => self.no_routine("procedure", &written, given, true),
                _ => error,
            },
        };
        Ok(error.at(position))
    }

    /// The call with its arguments in order, defaults filled in and VARIADIC ones gathered. 42501 without EXECUTE.
    pub(super) fn user_call(
        &mut self,
        chosen: Candidate<UserFunction>,
        args: Arguments,
        position: u32,
    ) -> Result<UserCall> {
        let function = chosen.item.function.clone();
        let target = Target::Function(&function);
        privileges::require(&self.context.catalog, self.context.role, target, privilege::EXECUTE)?;
        if !self.depends_on_functions.contains(&function.id) {
            self.depends_on_functions.push(function.id);
        }
        let mut exprs = args.exprs;
        if let Some(count) = chosen.gathered {
            let tail = exprs.split_off(exprs.len().saturating_sub(count));
            exprs.push(self.gathered(function.variadic(), tail, position)?);
        }
        let exprs = self.complete_arguments(&function, &chosen.places, exprs)?;
        let declared = &chosen.item.args;
        let concrete = self.concrete_if_open(declared, &exprs)?;
        let of = |ty: Oid| {
            let ty = concrete.of(ty).map(SqlType::new);
            ty.ok_or_else(|| unsupported("a polymorphic result that the arguments do not tell", position))
        };
        let outputs = function.outputs().map(|p| Ok((p.name.clone(), of(p.ty)?))).collect::<Result<_>>()?;
        let result = of(function.result)?;
        let (args, _) = self.convert_args(declared, function.result, exprs)?;
        Ok(UserCall { function, args, result, outputs, position })
    }

    /// A call of the function with this OID, built-in or a user's, with all of its arguments.
    pub(super) fn call_by_id(&mut self, id: Oid, args: Vec<Expr>, position: u32) -> Result<Expr> {
        if let Some(function) = self.context.catalog.function(id).cloned() {
            let declared = function.input_types();
            let chosen = Candidate::plain(UserFunction::new(function), declared);
            let call = self.user_call(chosen, Arguments { exprs: args, ..Arguments::default() }, position)?;
            return self.user_value(call);
        }
        let proc = builtin::proc_by_oid(id)
            .ok_or_else(|| SqlError::internal(format!("there is no function with OID {id}")))?;
        if proc.kind != ProcKind::Function || proc.returns_set {
            return Err(unsupported(&format!("{} as a function of an operator or aggregate", proc.name), position));
        }
        self.call(proc, &proc.args, proc.result, args, CallForm::Function, position)
    }

    /// Arguments in the parameters' order, those left out by their defaults.
    fn complete_arguments(&mut self, function: &Function, places: &[usize], args: Vec<Expr>) -> Result<Vec<Expr>> {
        let mut slots: Vec<Option<Expr>> = function.inputs().map(|_| None).collect();
        for (number, arg) in args.into_iter().enumerate() {
            let place = places.get(number).copied().unwrap_or(number);
            if let Some(slot) = slots.get_mut(place) {
                *slot = Some(arg);
            }
        }
        let mut complete = vec![];
        for (parameter, slot) in function.inputs().zip(slots) {
            complete.push(match (slot, &parameter.default) {
                (Some(arg), _) => arg,
                (None, Some(text)) => Expr { position: 0, ..self.stored(text)? },
                (None, None) => return Err(SqlError::internal("a parameter left out has a default")),
            });
        }
        Ok(complete)
    }

    /// The items of a VARIADIC parameter of this element type as an array.
    pub(super) fn gathered(&mut self, element: Oid, items: Vec<Expr>, position: u32) -> Result<Expr> {
        let element = match element {
            types::oid::ANYELEMENT | types::oid::ANYCOMPATIBLE => {
                let types: Vec<_> = items.iter().map(|e| (e.ty, e.position)).collect();
                self.common_type(&types, "VARIADIC")?
            }
            element => SqlType::new(element),
        };
        let elements = items.into_iter().map(|e| self.implicit(e, element)).collect::<Result<_>>()?;
        let array = element.array().ok_or_else(|| unsupported("an array of this type", position))?;
        Ok(Expr::new(ExprKind::Array { elements, nested: false }, SqlType::new(array.oid), 0))
    }
}

fn qualified(schema: Option<&str>, name: &str) -> String {
    schema.map_or_else(|| name.to_owned(), |schema| format!("{schema}.{name}"))
}
