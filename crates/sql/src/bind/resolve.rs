//! Which operator or function is meant: PostgreSQL's overload resolution over `types::builtin`.
//!
//! Exact match first; then candidates whose arguments all coerce implicitly, narrowed by exact matches, preferred types and,
//! for literals of unknown type, by type category. Polymorphic arguments are made concrete at the end.

use super::Binder;
use super::coerce::{can_coerce, category, is_polymorphic, is_preferred};
use crate::expr::{CallForm, Expr, ExprKind};
use types::builtin::{self, Operator, Proc};
use types::{Oid, Result, SqlError, SqlState, SqlType, oid, typename};

/// Arguments that a function may have.
const ARGUMENTS_MAX: usize = 100;

/// A possible callee with its argument types spelled out for this call.
#[derive(Clone)]
pub(super) struct Candidate<T> {
    pub(super) item: T,
    pub(super) args: Vec<Oid>,
    /// How many trailing arguments were gathered into a VARIADIC array.
    pub(super) gathered: Option<usize>,
}

pub(super) enum Choice<T> {
    One(Candidate<T>),
    None,
    Ambiguous,
}

/// The one that fits best.
pub(super) fn choose<T: Clone>(candidates: Vec<Candidate<T>>, input: &[Oid]) -> Choice<T> {
    if let Some(exact) = candidates.iter().find(|c| c.args == input) {
        return Choice::One(exact.clone());
    }
    let fitting: Vec<_> =
        candidates.into_iter().filter(|c| c.args.iter().zip(input).all(|(to, from)| can_coerce(*from, *to))).collect();
    match fitting.len() {
        0 => Choice::None,
        _ => narrow(fitting, input),
    }
}

fn keep_best<T: Clone>(candidates: Vec<Candidate<T>>, score: impl Fn(&Candidate<T>) -> usize) -> Vec<Candidate<T>> {
    let best = candidates.iter().map(&score).max().unwrap_or(0);
    candidates.into_iter().filter(|c| score(c) == best).collect()
}

fn one<T: Clone>(candidates: &[Candidate<T>]) -> Option<Choice<T>> {
    match candidates {
        [only] => Some(Choice::One(only.clone())),
        [] => Some(Choice::None),
        _ => None,
    }
}

fn narrow<T: Clone>(candidates: Vec<Candidate<T>>, input: &[Oid]) -> Choice<T> {
    let pairs = |c: &Candidate<T>| c.args.iter().copied().zip(input.iter().copied()).collect::<Vec<_>>();
    if let Some(choice) = one(&candidates) {
        return choice;
    }
    let candidates =
        keep_best(candidates, |c| pairs(c).iter().filter(|(to, from)| *from != oid::UNKNOWN && to == from).count());
    if let Some(choice) = one(&candidates) {
        return choice;
    }
    let candidates = keep_best(candidates, |c| {
        pairs(c)
            .iter()
            .filter(|(to, from)| {
                *from != oid::UNKNOWN && (to == from || category(*to) == category(*from) && is_preferred(*to))
            })
            .count()
    });
    if let Some(choice) = one(&candidates) {
        return choice;
    }
    if !input.contains(&oid::UNKNOWN) {
        return Choice::Ambiguous;
    }
    by_category(candidates, input)
}

/// For unknown arguments: the string category where a candidate takes it, else the one category that all agree on.
fn by_category<T: Clone>(candidates: Vec<Candidate<T>>, input: &[Oid]) -> Choice<T> {
    let mut kept = candidates.clone();
    let mut wanted: Vec<Option<(char, bool)>> = vec![None; input.len()];
    for (at, _) in input.iter().enumerate().filter(|(_, from)| **from == oid::UNKNOWN) {
        let types: Vec<Oid> = candidates.iter().filter_map(|c| c.args.get(at).copied()).collect();
        let Some(first) = types.first().map(|t| category(*t)) else { continue };
        let chosen = if types.iter().any(|t| category(*t) == 'S') {
            Some('S')
        } else {
            types.iter().all(|t| category(*t) == first).then_some(first)
        };
        let Some(chosen) = chosen else { return last_gasp(candidates, input) };
        let preferred = types.iter().any(|t| category(*t) == chosen && is_preferred(*t));
        if let Some(slot) = wanted.get_mut(at) {
            *slot = Some((chosen, preferred));
        }
    }
    kept.retain(|c| {
        c.args.iter().zip(&wanted).all(|(to, wanted)| {
            wanted.is_none_or(|(chosen, preferred)| category(*to) == chosen && (!preferred || is_preferred(*to)))
        })
    });
    match one(&kept) {
        Some(Choice::One(c)) => Choice::One(c),
        Some(_) => last_gasp(candidates, input),
        None => last_gasp(kept, input),
    }
}

/// If all known arguments are of one type, take the unknown ones as that type.
fn last_gasp<T: Clone>(candidates: Vec<Candidate<T>>, input: &[Oid]) -> Choice<T> {
    let mut known = input.iter().copied().filter(|t| *t != oid::UNKNOWN);
    let Some(first) = known.next() else { return Choice::Ambiguous };
    if known.any(|t| t != first) {
        return Choice::Ambiguous;
    }
    let fitting: Vec<_> = candidates.into_iter().filter(|c| c.args.iter().all(|to| can_coerce(first, *to))).collect();
    match <[_; 1]>::try_from(fitting) {
        Ok([only]) => Choice::One(only),
        Err(_) => Choice::Ambiguous,
    }
}

/// The types that a signature's polymorphic places stand for.
struct Concrete {
    element: Option<Oid>,
    compatible: Option<SqlType>,
}

impl Concrete {
    fn of(&self, declared: Oid) -> Option<Oid> {
        match declared {
            oid::ANYELEMENT | oid::ANYNONARRAY => self.element,
            oid::ANYARRAY => self.element.and_then(builtin::array_of),
            oid::ANYCOMPATIBLE | oid::ANYCOMPATIBLENONARRAY => self.compatible.map(|t| t.oid),
            oid::ANYCOMPATIBLEARRAY => self.compatible.and_then(|t| builtin::array_of(t.oid)),
            other => Some(other),
        }
    }
}

impl Binder<'_> {
    fn concrete(&self, declared: &[Oid], args: &[Expr]) -> Result<Concrete> {
        let mut element: Option<Oid> = None;
        let mut compatible = vec![];
        for (declared, arg) in declared.iter().zip(args) {
            let actual = arg.ty.oid;
            let found = match *declared {
                oid::ANYELEMENT | oid::ANYNONARRAY => (actual != oid::UNKNOWN).then_some(actual),
                oid::ANYARRAY => builtin::element_of(actual),
                oid::ANYCOMPATIBLE | oid::ANYCOMPATIBLENONARRAY => {
                    compatible.push((arg.ty, arg.position));
                    None
                }
                oid::ANYCOMPATIBLEARRAY => {
                    compatible.extend(arg.ty.element().map(|t| (t, arg.position)));
                    None
                }
                _ => None,
            };
            match (element, found) {
                (Some(a), Some(b)) if a != b => {
                    let (a, b) = (typename::format_type(a, None), typename::format_type(b, None));
                    return Err(SqlError::new(
                        SqlState::DATATYPE_MISMATCH,
                        "arguments declared \"anyelement\" are not all alike",
                    )
                    .detail(format!("{a} versus {b}"))
                    .at(arg.position));
                }
                _ => element = element.or(found),
            }
        }
        if declared.iter().any(|d| matches!(*d, oid::ANYELEMENT | oid::ANYARRAY | oid::ANYNONARRAY))
            && element.is_none()
        {
            return Err(SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                "could not determine polymorphic type because input has type unknown",
            ));
        }
        let compatible = match compatible.is_empty() {
            true => None,
            false => Some(self.common_type(&compatible, "arguments of anycompatible family")?),
        };
        Ok(Concrete { element, compatible })
    }

    /// A call of `proc` with its arguments brought to the declared types.
    pub(super) fn call(
        &mut self,
        proc: &'static Proc,
        declared: &[Oid],
        result: Oid,
        args: Vec<Expr>,
        form: CallForm,
        position: u32,
    ) -> Result<Expr> {
        self.require_implemented(proc, position)?;
        let (args, ty) = self.convert_args(declared, result, args)?;
        let kind = ExprKind::Call { proc, args, variadic_array: false, form };
        Ok(Expr::new(kind, ty, position))
    }

    /// Arguments as declared, and the result's concrete type.
    pub(super) fn convert_args(
        &mut self,
        declared: &[Oid],
        result: Oid,
        args: Vec<Expr>,
    ) -> Result<(Vec<Expr>, SqlType)> {
        let concrete = if declared.iter().any(|d| is_polymorphic(*d)) {
            self.concrete(declared, &args)?
        } else {
            Concrete { element: None, compatible: None }
        };
        let mut converted = vec![];
        for (declared, arg) in declared.iter().zip(args) {
            let target = concrete.of(*declared).unwrap_or(oid::TEXT);
            // "any" takes a literal of unknown type as text.
            let arg = if target == oid::ANY { self.known(arg)? } else { self.implicit(arg, SqlType::new(target))? };
            converted.push(arg);
        }
        let result = concrete.of(result).unwrap_or(oid::TEXT);
        Ok((converted, SqlType::new(result)))
    }

    /// `left op right`.
    pub(super) fn binary(&mut self, name: &str, left: Expr, right: Expr, position: u32) -> Result<Expr> {
        let operator = self.binary_operator(name, left.ty, right.ty, position)?;
        self.apply(operator, vec![left, right], position)
    }

    pub(super) fn apply(&mut self, operator: &'static Operator, args: Vec<Expr>, position: u32) -> Result<Expr> {
        let proc = builtin::proc_by_oid(operator.proc)
            .ok_or_else(|| SqlError::internal(format!("operator {} has no function", operator.name)))?;
        let declared: &[Oid] = match operator.left {
            0 => &[operator.right],
            left => &[left, operator.right],
        };
        self.call(proc, declared, operator.result, args, CallForm::Operator(operator), position)
    }

    pub(super) fn binary_operator(
        &self,
        name: &str,
        left: SqlType,
        right: SqlType,
        position: u32,
    ) -> Result<&'static Operator> {
        let mut input = [left.oid, right.oid];
        let all = builtin::operators_by_name(name).iter().filter(|o| o.left != 0);
        let candidates: Vec<_> =
            all.map(|o| Candidate { item: *o, args: vec![o.left, o.right], gathered: None }).collect();
        // One unknown side is first taken to be of the other's type.
        let guess = match input {
            [oid::UNKNOWN, known] | [known, oid::UNKNOWN] => [known, known],
            both => both,
        };
        if let Some(exact) = candidates.iter().find(|c| c.args == guess) {
            return Ok(exact.item);
        }
        // Varchar is text to operators.
        for ty in &mut input {
            if *ty == oid::VARCHAR {
                *ty = oid::TEXT;
            }
        }
        let names = || {
            let (l, r) = (typename::format_type(left.oid, None), typename::format_type(right.oid, None));
            format!("{l} {name} {r}")
        };
        self.operator_choice(choose(candidates, &input), names, position)
    }

    pub(super) fn prefix(&mut self, name: &str, arg: Expr, position: u32) -> Result<Expr> {
        let all = builtin::operators_by_name(name).iter().filter(|o| o.left == 0);
        let candidates: Vec<_> = all.map(|o| Candidate { item: *o, args: vec![o.right], gathered: None }).collect();
        let names = || format!("{name} {}", typename::format_type(arg.ty.oid, None));
        let operator = self.operator_choice(choose(candidates, &[arg.ty.oid]), names, position)?;
        self.apply(operator, vec![arg], position)
    }

    fn operator_choice(
        &self,
        choice: Choice<&'static Operator>,
        names: impl Fn() -> String,
        position: u32,
    ) -> Result<&'static Operator> {
        let (state, what, hint) = match choice {
            Choice::One(c) => return Ok(c.item),
            Choice::None => (
                SqlState::UNDEFINED_FUNCTION,
                "operator does not exist",
                "No operator matches the given name and argument types. You might need to add explicit type casts.",
            ),
            Choice::Ambiguous => (
                SqlState::AMBIGUOUS_FUNCTION,
                "operator is not unique",
                "Could not choose a best candidate operator. You might need to add explicit type casts.",
            ),
        };
        Err(SqlError::new(state, format!("{what}: {}", names())).hint(hint).at(position))
    }

    /// The function of that name for these arguments.
    pub(super) fn function(&self, name: &str, input: &[Oid], position: u32) -> Result<Candidate<&'static Proc>> {
        if input.len() > ARGUMENTS_MAX {
            let message = format!("cannot pass more than {ARGUMENTS_MAX} arguments to a function");
            return Err(SqlError::new(SqlState::TOO_MANY_ARGUMENTS, message).at(position));
        }
        let candidates: Vec<_> =
            builtin::procs_by_name(name).iter().filter_map(|p| candidate(p, input.len())).collect();
        let (state, what, hint) = match choose(candidates, input) {
            Choice::One(c) => return Ok(c),
            Choice::None => (
                SqlState::UNDEFINED_FUNCTION,
                "does not exist",
                "No function matches the given name and argument types. You might need to add explicit type casts.",
            ),
            Choice::Ambiguous => (
                SqlState::AMBIGUOUS_FUNCTION,
                "is not unique",
                "Could not choose a best candidate function. You might need to add explicit type casts.",
            ),
        };
        let types: Vec<_> = input.iter().map(|t| typename::format_type(*t, None)).collect();
        let message = format!("function {name}({}) {what}", types.join(", "));
        Err(SqlError::new(state, message).hint(hint).at(position))
    }
}

/// `proc` as it would take `count` arguments: variadic ones repeated; None if it does not (defaults are not filled in).
fn candidate(proc: &'static Proc, count: usize) -> Option<Candidate<&'static Proc>> {
    if proc.variadic != 0 && count >= proc.args.len() {
        let fixed = proc.args.len().saturating_sub(1);
        let mut args: Vec<Oid> = proc.args.iter().take(fixed).copied().collect();
        args.resize(count, proc.variadic);
        let gathered = (proc.variadic != oid::ANY).then_some(count - fixed);
        return Some(Candidate { item: proc, args, gathered });
    }
    (proc.variadic == 0 && proc.args.len() == count).then(|| Candidate {
        item: proc,
        args: proc.args.to_vec(),
        gathered: None,
    })
}
