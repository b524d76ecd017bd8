//! Which function is meant, and which of several candidates: PostgreSQL's overload resolution over `types::builtin`.
//!
//! Exact match first; then candidates whose arguments all coerce implicitly, narrowed by exact matches, preferred types and,
//! for literals of unknown type, by type category. Polymorphic arguments are made concrete at the end.

use super::Binder;
use super::coerce::{can_coerce, category, is_polymorphic, is_preferred};
use super::expr::leftmost;
use super::polymorphic::{self, Concrete};
use crate::expr::{CallForm, Expr, ExprKind};
use types::builtin::{self, Proc, ProcKind};
use types::{Datum, Oid, Result, SqlError, SqlState, SqlType, oid};

/// Arguments that a function may have.
const ARGUMENTS_MAX: usize = 100;

/// A possible callee with its argument types spelled out for this call.
#[derive(Clone)]
pub(super) struct Candidate<T> {
    pub(super) item: T,
    pub(super) args: Vec<Oid>,
    /// How many trailing arguments were gathered into a VARIADIC array.
    pub(super) gathered: Option<usize>,
    /// Which parameter each argument is for; empty where they are given in order.
    pub(super) places: Vec<usize>,
    /// The last argument was written `VARIADIC array`.
    pub(super) variadic_array: bool,
    /// There is another of the same schema that would be called just so.
    pub(super) has_double: bool,
}

impl<T> Candidate<T> {
    pub(super) fn plain(item: T, args: Vec<Oid>) -> Candidate<T> {
        Candidate { item, args, gathered: None, places: vec![], variadic_array: false, has_double: false }
    }
}

/// What a function is called with.
#[derive(Clone, Copy)]
pub(super) struct Given<'g> {
    pub(super) types: &'g [Oid],
    /// Names of the arguments that have one; these come last.
    pub(super) names: &'g [Option<String>],
    pub(super) variadic_array: bool,
}

pub(super) enum Choice<T> {
    One(Candidate<T>),
    None,
    Ambiguous,
}

/// The one that fits best.
pub(super) fn choose<T: Clone>(candidates: Vec<Candidate<T>>, input: &[Oid]) -> Choice<T> {
    match choose_fitting(candidates, input) {
        Choice::One(chosen) if chosen.has_double => Choice::Ambiguous,
        choice => choice,
    }
}

fn choose_fitting<T: Clone>(candidates: Vec<Candidate<T>>, input: &[Oid]) -> Choice<T> {
    if let Some(exact) = candidates.iter().find(|c| c.args == input) {
        return Choice::One(exact.clone());
    }
    let fits = |c: &Candidate<T>| {
        c.args.iter().zip(input).all(|(to, from)| can_coerce(*from, *to)) && polymorphic::agree(&c.args, input)
    };
    let fitting: Vec<_> = candidates.into_iter().filter(fits).collect();
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
    let alike = vec![first; input.len()];
    let fits = |c: &Candidate<T>| c.args.iter().all(|to| can_coerce(first, *to)) && polymorphic::agree(&c.args, &alike);
    let fitting: Vec<_> = candidates.into_iter().filter(fits).collect();
    match <[_; 1]>::try_from(fitting) {
        Ok([only]) => Choice::One(only),
        Err(_) => Choice::Ambiguous,
    }
}

impl Binder<'_> {
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
        // The one function that sees a domain.
        if let ("pg_typeof", [arg]) = (proc.symbol, &args[..]) {
            let ty = self.declared_type(arg);
            if ty.oid != arg.ty.oid {
                return Ok(Expr::new(ExprKind::Const(Datum::Oid(ty.oid)), SqlType::new(oid::REGTYPE), position));
            }
        }
        // What takes one value of any type is told the type as it was written, be it unknown.
        let keeps_unknown = proc.kind == ProcKind::Function && proc.variadic == 0;
        let (args, ty) = self.converted(declared, result, args, keeps_unknown)?;
        let start = leftmost(position, &args);
        let kind = ExprKind::Call { proc, args, variadic_array: false, form };
        Ok(Expr::new(kind, ty, start))
    }

    /// Arguments as declared, and the result's concrete type.
    pub(super) fn convert_args(
        &mut self,
        declared: &[Oid],
        result: Oid,
        args: Vec<Expr>,
    ) -> Result<(Vec<Expr>, SqlType)> {
        self.converted(declared, result, args, false)
    }

    /// `keeps_unknown`: a literal of unknown type stays one where "any" type is taken. A parameter always does, so that it is
    /// told from what stands beside it, or not at all (42P18).
    fn converted(
        &mut self,
        declared: &[Oid],
        result: Oid,
        args: Vec<Expr>,
        keeps_unknown: bool,
    ) -> Result<(Vec<Expr>, SqlType)> {
        let concrete = self.concrete_if_open(declared, &args)?;
        let mut converted = vec![];
        for (declared, arg) in declared.iter().zip(args) {
            let target = concrete.of(*declared).unwrap_or(oid::TEXT);
            let arg = match target {
                oid::ANY if keeps_unknown || matches!(arg.kind, ExprKind::Parameter(_)) => arg,
                oid::ANY => self.known(arg)?,
                _ => self.implicit(arg, SqlType::new(target))?,
            };
            converted.push(arg);
        }
        let result = concrete.of(result).unwrap_or(oid::TEXT);
        Ok((converted, SqlType::new(result)))
    }

    pub(super) fn concrete_if_open(&self, declared: &[Oid], args: &[Expr]) -> Result<Concrete> {
        match declared.iter().any(|d| is_polymorphic(*d)) {
            true => self.concrete(declared, args),
            false => Ok(Concrete { element: None, compatible: None }),
        }
    }

    /// The function of that name for these arguments.
    pub(super) fn function(&self, name: &str, input: &[Oid], position: u32) -> Result<Candidate<&'static Proc>> {
        self.function_for(name, Given { types: input, names: &[], variadic_array: false }, position)
    }

    pub(super) fn function_for(&self, name: &str, given: Given<'_>, position: u32) -> Result<Candidate<&'static Proc>> {
        if given.types.len() > ARGUMENTS_MAX {
            let message = format!("cannot pass more than {ARGUMENTS_MAX} arguments to a function");
            return Err(SqlError::new(SqlState::TOO_MANY_ARGUMENTS, message).at(position));
        }
        let candidates = builtin::procs_by_name(name).iter().filter_map(|p| candidate(*p, given)).collect();
        match choose(without_doubles(candidates), given.types) {
            Choice::One(c) => Ok(c),
            Choice::None => Err(self.no_function(name, given, false).at(position)),
            Choice::Ambiguous => Err(self.no_function(name, given, true).at(position)),
        }
    }

    /// 42883, or 42725 where several fit.
    pub(super) fn no_function(&self, name: &str, given: Given<'_>, is_ambiguous: bool) -> SqlError {
        self.no_routine("function", name, given, is_ambiguous)
    }

    /// The same of a function or a procedure.
    pub(super) fn no_routine(&self, kind: &str, name: &str, given: Given<'_>, is_ambiguous: bool) -> SqlError {
        let (state, what, reason) = match is_ambiguous {
            false => {
                let reason = format!("No {kind} matches the given name and argument types.");
                (SqlState::UNDEFINED_FUNCTION, "does not exist", reason)
            }
            true => {
                let reason = format!("Could not choose a best candidate {kind}.");
                (SqlState::AMBIGUOUS_FUNCTION, "is not unique", reason)
            }
        };
        let called = self.called_with(name, given);
        SqlError::new(state, format!("{kind} {called} {what}"))
            .hint(format!("{reason} You might need to add explicit type casts."))
    }

    /// `name(integer, b => text)`: a call by the types of its arguments.
    pub(super) fn called_with(&self, name: &str, given: Given<'_>) -> String {
        let names = given.names.iter().chain(std::iter::repeat(&None));
        let types = given.types.iter().zip(names).map(|(ty, name)| {
            let ty = self.type_name(SqlType::new(*ty));
            name.as_ref().map_or_else(|| ty.clone(), |name| format!("{name} => {ty}"))
        });
        format!("{name}({})", types.collect::<Vec<_>>().join(", "))
    }
}

/// What overload resolution asks of a function.
pub(super) trait Signature {
    fn args(&self) -> &[Oid];
    /// Element type of a VARIADIC last argument (`ANY` for VARIADIC "any"), or 0.
    fn variadic(&self) -> Oid;
    /// How many of the last arguments have defaults.
    fn defaults(&self) -> usize;
    /// Names of the arguments, as far as they have one.
    fn names(&self) -> Vec<&str>;
    fn schema(&self) -> Oid;
}

impl Signature for &'static Proc {
    fn args(&self) -> &[Oid] {
        &self.args
    }
    fn variadic(&self) -> Oid {
        self.variadic
    }
    fn defaults(&self) -> usize {
        self.defaults
    }
    fn names(&self) -> Vec<&str> {
        let is_input = |n: usize| self.modes.get(n).is_none_or(|mode| matches!(mode, 'i' | 'b' | 'v'));
        self.arg_names.iter().enumerate().filter(|(n, _)| is_input(*n)).map(|(_, name)| *name).collect()
    }
    fn schema(&self) -> Oid {
        catalog::PG_CATALOG_SCHEMA
    }
}

/// `item` as it would take what is given; None if it does not.
pub(super) fn candidate<T: Signature>(item: T, given: Given<'_>) -> Option<Candidate<T>> {
    let count = given.types.len();
    if given.names.iter().any(Option::is_some) {
        return by_name(item, given);
    }
    if given.variadic_array {
        let fits = item.variadic() != 0 && item.args().len() == count;
        let args = item.args().to_vec();
        return fits.then(|| Candidate { variadic_array: true, ..Candidate::plain(item, args) });
    }
    if item.variadic() != 0 && count >= item.args().len() {
        let (element, fixed) = (item.variadic(), item.args().len().saturating_sub(1));
        let mut args: Vec<Oid> = item.args().iter().take(fixed).copied().collect();
        args.resize(count, element);
        let gathered = (element != oid::ANY).then_some(count - fixed);
        return Some(Candidate { gathered, ..Candidate::plain(item, args) });
    }
    let missing = item.args().len().checked_sub(count)?;
    let fits = item.variadic() == 0 && missing <= item.defaults();
    let args = item.args().iter().take(count).copied().collect();
    fits.then(|| Candidate::plain(item, args))
}

/// Some arguments are named: each goes to the parameter of its name, the others have defaults.
fn by_name<T: Signature>(item: T, given: Given<'_>) -> Option<Candidate<T>> {
    if given.variadic_array != (item.variadic() != 0) {
        return None;
    }
    let (mut places, mut args) = (vec![], vec![]);
    for (n, _) in given.types.iter().enumerate() {
        let place = match given.names.get(n) {
            Some(Some(name)) => item.names().iter().position(|i| i == name)?,
            _ => n,
        };
        if places.contains(&place) {
            return None;
        }
        args.push(*item.args().get(place)?);
        places.push(place);
    }
    let required = item.args().len().saturating_sub(item.defaults());
    let all_given = (0..required).all(|place| places.contains(&place));
    all_given.then(|| Candidate { places, variadic_array: given.variadic_array, ..Candidate::plain(item, args) })
}

/// Of two that are called alike, the one found first along the search path; of those of one schema the one without VARIADIC,
/// and if that does not tell them apart, neither.
pub(super) fn without_doubles<T: Signature>(candidates: Vec<Candidate<T>>) -> Vec<Candidate<T>> {
    let mut kept: Vec<Candidate<T>> = vec![];
    for candidate in candidates {
        let Some(known) = kept.iter_mut().find(|k| k.args == candidate.args) else {
            kept.push(candidate);
            continue;
        };
        if known.item.schema() != candidate.item.schema() {
            continue;
        }
        match (known.gathered.is_some(), candidate.gathered.is_some()) {
            (true, false) => *known = candidate,
            (false, true) => {}
            _ => known.has_double = true,
        }
    }
    kept
}
