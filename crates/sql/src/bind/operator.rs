//! Operators: which one is meant, and what it becomes.
//!
//! A built-in operator is a call of its function. A user's is a call of a function too, expanded where it stands if that is a
//! user's (`sql_function`); `Inlined` keeps the operator to be shown.
//!
//! A name is as it was written: `===`, or `schema.===` of OPERATOR(schema.===), since no operator has a dot in it. Most
//! statements meet no users' operators, which costs them one look at an empty map.

use super::resolve::{Candidate, Choice, choose};
use super::{Binder, unsupported};
use crate::expr::{CallForm, Expr, ExprKind, Inlined};
use catalog::operators::{self, AnyOperator};
use std::sync::Arc;
use types::builtin::{self, Operator};
use types::{Oid, Result, SqlError, SqlState, SqlType, oid};

/// Schema, if there is one, and name.
fn split(name: &str) -> (Option<&str>, &str) {
    name.rsplit_once('.').map_or((None, name), |(schema, bare)| (Some(schema), bare))
}

/// The name without its schema.
pub(super) fn bare(name: &str) -> &str {
    split(name).1
}

/// The types of an operator's operands as a list.
fn declared((left, right): (Oid, Oid)) -> Vec<Oid> {
    if left == 0 { vec![right] } else { vec![left, right] }
}

/// The candidate that two operands of these types mean.
fn choose_binary<T: Clone>(candidates: Vec<Candidate<T>>, mut input: [Oid; 2]) -> Choice<T> {
    // One unknown side is first taken to be of the other's type.
    let guess = match input {
        [oid::UNKNOWN, known] | [known, oid::UNKNOWN] => [known, known],
        both => both,
    };
    if let Some(exact) = candidates.iter().find(|c| c.args == guess) {
        return Choice::One(exact.clone());
    }
    // Varchar is text to operators.
    for ty in &mut input {
        if *ty == oid::VARCHAR {
            *ty = oid::TEXT;
        }
    }
    choose(candidates, &input)
}

impl Binder<'_> {
    /// `left op right`.
    pub(super) fn binary(&mut self, name: &str, left: Expr, right: Expr, position: u32) -> Result<Expr> {
        let (left, right) = self.lifted(name, left, right)?;
        match self.meant(name, Some(left.ty), right.ty, position)? {
            AnyOperator::Builtin(operator) => self.apply(operator, vec![left, right], position),
            AnyOperator::User(operator) => self.apply_users(operator, vec![left, right], position),
        }
    }

    /// `op arg`.
    pub(super) fn prefix(&mut self, name: &str, arg: Expr, position: u32) -> Result<Expr> {
        match self.meant(name, None, arg.ty, position)? {
            AnyOperator::Builtin(operator) => self.apply(operator, vec![arg], position),
            AnyOperator::User(operator) => self.apply_users(operator, vec![arg], position),
        }
    }

    /// The operator that these operands mean; no left one: a prefix operator.
    pub(super) fn meant(
        &self,
        name: &str,
        left: Option<SqlType>,
        right: SqlType,
        position: u32,
    ) -> Result<AnyOperator> {
        let (catalog, scope) = (&self.context.catalog, self.name_scope());
        let (schema, plain) = split(name);
        let is_builtin = schema.map_or_else(|| !operators::has_users(catalog, scope, plain), |s| s == "pg_catalog");
        let choice = if is_builtin {
            // Without a copy of each.
            let all = builtin::operators_by_name(plain).iter().map(|o| ((o.left, o.right), *o));
            match fitting(all, left, right) {
                Choice::One(chosen) => return Ok(AnyOperator::Builtin(chosen.item)),
                Choice::None => Choice::None,
                Choice::Ambiguous => Choice::Ambiguous,
            }
        } else {
            let all = operators::named(catalog, scope, schema, plain).map_err(|e| e.at(position))?;
            fitting(all.into_iter().map(|o| (o.operands(), o)), left, right)
        };
        let written = || {
            let right = self.type_name(right);
            left.map_or_else(|| format!("{name} {right}"), |left| format!("{} {name} {right}", self.type_name(left)))
        };
        let undefined = SqlState::UNDEFINED_FUNCTION;
        let error = match choice {
            Choice::One(Candidate { item: AnyOperator::User(o), .. }) if o.is_shell() => {
                SqlError::new(undefined, format!("operator is only a shell: {}", written()))
            }
            Choice::One(chosen) => return Ok(chosen.item),
            Choice::None => SqlError::new(undefined, format!("operator does not exist: {}", written())).hint(
                "No operator matches the given name and argument types. You might need to add explicit type casts.",
            ),
            Choice::Ambiguous => {
                let message = format!("operator is not unique: {}", written());
                SqlError::new(SqlState::AMBIGUOUS_FUNCTION, message)
                    .hint("Could not choose a best candidate operator. You might need to add explicit type casts.")
            }
        };
        Err(error.at(position))
    }

    /// The same where only a built-in operator can be done: 0A000 for a user's.
    pub(super) fn builtin_operator(
        &self,
        name: &str,
        left: SqlType,
        right: SqlType,
        position: u32,
    ) -> Result<&'static Operator> {
        match self.meant(name, Some(left), right, position)? {
            AnyOperator::Builtin(operator) => Ok(operator),
            AnyOperator::User(operator) => {
                Err(unsupported(&format!("a user's operator {} in this place", operator.name), position))
            }
        }
    }

    /// The operator of that name that PostgreSQL has for these types, whatever users have made: what a type is ordered and
    /// compared by.
    pub(super) fn own_operator(&self, name: &str, left: SqlType, right: SqlType) -> Option<&'static Operator> {
        let all = builtin::operators_by_name(name).iter().map(|o| ((o.left, o.right), *o));
        match fitting(all, Some(left), right) {
            Choice::One(chosen) => Some(chosen.item),
            Choice::None | Choice::Ambiguous => None,
        }
    }

    pub(super) fn apply(&mut self, operator: &'static Operator, args: Vec<Expr>, position: u32) -> Result<Expr> {
        let proc = builtin::proc_by_oid(operator.proc)
            .ok_or_else(|| SqlError::internal(format!("operator {} has no function", operator.name)))?;
        let declared = declared((operator.left, operator.right));
        self.call(proc, &declared, operator.result, args, CallForm::Operator(operator), position)
    }

    fn apply_users(&mut self, operator: Arc<catalog::Operator>, args: Vec<Expr>, position: u32) -> Result<Expr> {
        if !self.depends_on_functions.contains(&operator.id) {
            self.depends_on_functions.push(operator.id);
        }
        let mut value = self.call_by_id(operator.procedure, args, position)?;
        let place = value.position;
        match &mut value.kind {
            ExprKind::Inlined(call) => call.operator = Some(operator),
            ExprKind::Call { args, .. } => {
                self.has_inlined = true;
                let call =
                    Inlined { function: None, operator: Some(operator), args: args.clone(), body: value.clone() };
                value = Expr::new(ExprKind::Inlined(Box::new(call)), value.ty, place);
            }
            // A body that is a query is shown as that.
            _ => {}
        }
        Ok(value)
    }
}

/// The one of these operators that the operands mean. Of two with the same operands the first is meant.
fn fitting<T: Clone>(all: impl Iterator<Item = ((Oid, Oid), T)>, left: Option<SqlType>, right: SqlType) -> Choice<T> {
    let mut candidates: Vec<Candidate<T>> = vec![];
    for (operands, item) in all.filter(|(operands, _)| (operands.0 != 0) == left.is_some()) {
        let args = declared(operands);
        if !candidates.iter().any(|c| c.args == args) {
            candidates.push(Candidate::plain(item, args));
        }
    }
    match left {
        Some(left) => choose_binary(candidates, [left.oid, right.oid]),
        None => choose(candidates, &[right.oid]),
    }
}
