//! Follows a path through a document.
//!
//! Depth first: the first step is taken, and for each item it gives the rest of the path, before the next item. `Found` is
//! where items are put; without one the only question is whether there is any, and the walk ends with the first.
//!
//! A step may fail (`strict $.a` without that member). Where failures are wanted (`throws`), it is an error for the client;
//! inside a predicate or with `silent` it is a quiet `Failure`, made without a message, which makes the predicate unknown.
//! Errors that are nothing of the document's (a variable that is missing, too many steps) are raised in either case.

use super::super::JsonbRef;
use super::identity::Base;
use super::tree::{Arithmetic, Chain, LEVEL_LAST, Path, Predicate, Range, Sign, Step};
use super::value::{Pair, Value};
use super::{DEPTH_MAX, STEPS_MAX, too_deep};
use crate::numeric::Numeric;
use crate::{FormatSettings, Result, SqlError, SqlState};
use std::rc::Rc;

/// What to follow, where and how.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    pub path: &'a Path,
    pub document: JsonbRef<'a>,
    /// None is of the operators: any variable is null there.
    pub variables: Option<JsonbRef<'a>>,
    pub is_silent: bool,
    /// Whether dates and times may be compared by the session's zone.
    pub uses_zone: bool,
    pub format: &'a FormatSettings,
}

#[derive(Debug)]
pub(super) enum Failure {
    /// Of the document's structure, where nobody wants to know which.
    Quiet,
    Raised(SqlError),
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Failure {
        Failure::Raised(error)
    }
}

/// Whether something was found.
pub(super) type Outcome = std::result::Result<bool, Failure>;
pub(super) type Found<'f, 'a> = Option<&'f mut Vec<Value<'a>>>;

/// All items that a path finds; those before the failure where that is kept silent.
pub fn query<'a>(request: Request<'a>) -> Result<Vec<Value<'a>>> {
    let mut found = Vec::new();
    match Walk::new(request)?.execute(&request.path.root, &Value::Json(request.document), true, Some(&mut found)) {
        Ok(_) | Err(Failure::Quiet) => Ok(found),
        Err(Failure::Raised(error)) => Err(error),
    }
}

/// Whether a path finds anything; None where a failure is kept silent. A strict path is followed to its end, for failures.
pub fn exists(request: Request<'_>) -> Result<Option<bool>> {
    let mut walk = Walk::new(request)?;
    let document = Value::Json(request.document);
    let outcome = if request.path.is_lax {
        walk.execute(&request.path.root, &document, true, None)
    } else {
        let mut found = Vec::new();
        walk.execute(&request.path.root, &document, false, Some(&mut found)).map(|_| !found.is_empty())
    };
    match outcome {
        Ok(is_found) => Ok(Some(is_found)),
        Err(Failure::Quiet) => Ok(None),
        Err(Failure::Raised(error)) => Err(error),
    }
}

pub(super) struct Walk<'a> {
    pub request: Request<'a>,
    pub current: Value<'a>,
    base: Base<'a>,
    /// The number of the next document that `.keyvalue()` makes.
    next_document: i64,
    /// Of the array whose subscript is being worked out.
    array_size: i64,
    /// Steps may be taken where the document has no place for them.
    ignores_structure: bool,
    throws: bool,
    depth: usize,
    steps: u64,
}

impl<'a> Walk<'a> {
    fn new(request: Request<'a>) -> Result<Walk<'a>> {
        if request.variables.is_some_and(|variables| !variables.is_object()) {
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "\"vars\" argument is not an object")
                .detail("Jsonpath parameters should be encoded as key-value pairs of \"vars\" object."));
        }
        Ok(Walk {
            request,
            current: Value::Json(request.document),
            base: Base::document(request.document, 0),
            next_document: if request.variables.is_some() { 2 } else { 1 },
            array_size: 0,
            ignores_structure: request.path.is_lax,
            throws: !request.is_silent,
            depth: 0,
            steps: 0,
        })
    }

    pub fn is_lax(&self) -> bool {
        self.request.path.is_lax
    }

    /// A failure of the document, with its error where one is wanted.
    pub fn fail<T>(&self, code: SqlState, message: impl FnOnce() -> String) -> std::result::Result<T, Failure> {
        Err(if self.throws { Failure::Raised(SqlError::new(code, message())) } else { Failure::Quiet })
    }

    /// An error of a computation as a failure.
    pub fn settle<T>(&self, result: Result<T>) -> std::result::Result<T, Failure> {
        result.map_err(|error| if self.throws { Failure::Raised(error) } else { Failure::Quiet })
    }

    /// A step that the document has no place for: nothing in lax mode, a failure in strict mode.
    pub fn misfit(&self, code: SqlState, message: impl FnOnce() -> String) -> Outcome {
        if self.ignores_structure { Ok(false) } else { self.fail(code, message) }
    }

    /// Runs with failures made quiet. A failure leaves from anywhere: what it may have left behind is put back.
    pub fn quietly<T>(&mut self, run: impl FnOnce(&mut Self) -> T) -> T {
        let throws = std::mem::replace(&mut self.throws, false);
        let (depth, array_size) = (self.depth, self.array_size);
        let result = run(self);
        (self.throws, self.depth, self.array_size) = (throws, depth, array_size);
        result
    }

    pub fn enter(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(too_deep());
        }
        self.count_step()
    }

    pub fn count_step(&mut self) -> Result<()> {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return Err(SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "jsonpath takes too many steps")
                .hint("A path may take 20 million steps through one document."));
        }
        Ok(())
    }

    pub fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Takes the steps of a chain from a value. In lax mode the first is applied to the elements of an array where it wants
    /// no array, if `unwraps`.
    pub fn execute(&mut self, chain: &'a [Step], value: &Value<'a>, unwraps: bool, found: Found<'_, 'a>) -> Outcome {
        let Some((step, rest)) = chain.split_first() else {
            if let Some(found) = found {
                found.push(value.clone());
            }
            return Ok(true);
        };
        self.enter()?;
        let unwraps = unwraps && self.is_lax();
        let outcome = match step {
            Step::Key(_) | Step::AnyKey | Step::Filter(_) | Step::Method(_) | Step::Datetime(_)
                if unwraps && value.is_array() && !takes_arrays(step) =>
            {
                // Elements that are arrays stay so.
                self.children(chain, value, (1, 1, 1), false, found)
            }
            Step::Key(key) => self.key(key, rest, value, found),
            Step::AnyKey if value.is_object() => self.any_child(rest, value, found),
            Step::AnyKey => self.misfit(SqlState::SQL_JSON_OBJECT_NOT_FOUND, || {
                "jsonpath wildcard member accessor can only be applied to an object".into()
            }),
            Step::AnyElement if value.is_array() => self.any_child(rest, value, found),
            Step::AnyElement if self.is_lax() => self.next(rest, value, found),
            Step::AnyElement => self.misfit(SqlState::SQL_JSON_ARRAY_NOT_FOUND, || {
                "jsonpath wildcard array accessor can only be applied to an array".into()
            }),
            Step::Elements(ranges) => self.elements(ranges, rest, value, found),
            Step::Descendants { first, last } => self.descendants(*first, *last, rest, value, found),
            Step::Filter(predicate) => self.filter(predicate, rest, value, found),
            Step::Method(method) => self.method(*method, rest, value, found),
            Step::Datetime(template) => self.datetime(template.as_deref(), rest, value, found),
            _ => self.primary(step, rest, value, found),
        };
        self.leave();
        outcome
    }

    /// The rest of a chain from a value.
    pub fn next(&mut self, rest: &'a [Step], value: &Value<'a>, found: Found<'_, 'a>) -> Outcome {
        self.execute(rest, value, true, found)
    }

    fn primary(&mut self, step: &'a Step, rest: &'a [Step], value: &Value<'a>, found: Found<'_, 'a>) -> Outcome {
        // Whether a constant is there needs no look at it.
        let is_enough = rest.is_empty() && found.is_none();
        let constant = match step {
            Step::Root => {
                let document = self.request.document;
                return self.based(Base::document(document, 0), rest, &Value::Json(document), found);
            }
            Step::Current => {
                let current = self.current.clone();
                return self.next(rest, &current, found);
            }
            Step::Arithmetic(arithmetic, sides) => return self.arithmetic(*arithmetic, sides, rest, value, found),
            Step::Sign(sign, operand) => return self.sign(*sign, operand, rest, value, found),
            Step::Test(predicate) => match self.test(predicate, value)? {
                Some(truth) => Value::Bool(truth),
                None => Value::Null,
            },
            // A variable that is missing is to be noticed.
            Step::Variable(name) => return self.variable(name, rest, found),
            _ if is_enough => return Ok(true),
            Step::Null => Value::Null,
            Step::Bool(truth) => Value::Bool(*truth),
            Step::Number(number) => Value::Number(number.clone()),
            Step::String(text) => Value::Text(text),
            Step::Last => Value::Number(Numeric::from_i64(self.array_size - 1)),
            _ => return Err(SqlError::internal("a jsonpath accessor stands in front").into()),
        };
        self.next(rest, &constant, found)
    }

    /// The rest of a chain, with ids relative to another document.
    fn based(&mut self, base: Base<'a>, rest: &'a [Step], value: &Value<'a>, found: Found<'_, 'a>) -> Outcome {
        let before = std::mem::replace(&mut self.base, base);
        let outcome = self.next(rest, value, found);
        self.base = before;
        outcome
    }

    fn variable(&mut self, name: &str, rest: &'a [Step], found: Found<'_, 'a>) -> Outcome {
        let Some(variables) = self.request.variables else { return self.next(rest, &Value::Null, found) };
        let Some(value) = variables.get(name) else {
            let message = format!("could not find jsonpath variable \"{name}\"");
            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message).into());
        };
        self.based(Base::document(variables, 1), rest, &Value::Json(value), found)
    }

    fn key(&mut self, key: &str, rest: &'a [Step], value: &Value<'a>, found: Found<'_, 'a>) -> Outcome {
        if !value.is_object() {
            return self.misfit(SqlState::SQL_JSON_MEMBER_NOT_FOUND, || {
                "jsonpath member accessor can only be applied to an object".into()
            });
        }
        match value.get(key) {
            Some(member) => self.next(rest, &member, found),
            None => self
                .misfit(SqlState::SQL_JSON_MEMBER_NOT_FOUND, || format!("JSON object does not contain key \"{key}\"")),
        }
    }

    fn any_child(&mut self, rest: &'a [Step], value: &Value<'a>, found: Found<'_, 'a>) -> Outcome {
        self.children(rest, value, (1, 1, 1), true, found)
    }

    /// A chain from each value inside of a container, on levels from `first` to `last`; the children are on `level`.
    fn children(
        &mut self,
        chain: &'a [Step],
        value: &Value<'a>,
        (level, first, last): (u32, u32, u32),
        unwraps: bool,
        mut found: Found<'_, 'a>,
    ) -> Outcome {
        if level > last {
            return Ok(false);
        }
        self.enter()?;
        let mut is_found = false;
        for index in 0..value.count() {
            let Some(child) = value.child(index) else { continue };
            let is_leaf_wanted = (first, last) == (LEVEL_LAST, LEVEL_LAST) && !child.is_container();
            if level >= first || is_leaf_wanted {
                is_found = self.execute(chain, &child, unwraps, found.as_deref_mut())?;
                if is_found && found.is_none() {
                    break;
                }
            }
            if level < last && child.is_container() {
                is_found = self.children(
                    chain,
                    &child,
                    (level.saturating_add(1), first, last),
                    unwraps,
                    found.as_deref_mut(),
                )?;
                if is_found && found.is_none() {
                    break;
                }
            }
        }
        self.leave();
        Ok(is_found)
    }

    /// `.**`: the value itself and all below it. What is missing below is no failure, even in strict mode.
    fn descendants(
        &mut self,
        first: u32,
        last: u32,
        rest: &'a [Step],
        value: &Value<'a>,
        mut found: Found<'_, 'a>,
    ) -> Outcome {
        let ignored = std::mem::replace(&mut self.ignores_structure, true);
        let (depth, array_size) = (self.depth, self.array_size);
        let mut outcome = Ok(false);
        if first == 0 {
            outcome = self.next(rest, value, found.as_deref_mut());
            (self.depth, self.array_size) = (depth, array_size);
        }
        let is_done = match &outcome {
            Ok(is_found) => *is_found && found.is_none(),
            // A quiet failure of the value itself does not keep PostgreSQL from looking below it.
            Err(failure) => matches!(failure, Failure::Raised(_)),
        };
        if !is_done && value.is_container() {
            outcome = self.children(rest, value, (1, first, last), true, found);
        }
        self.ignores_structure = ignored;
        outcome
    }

    fn filter(
        &mut self,
        predicate: &'a Predicate,
        rest: &'a [Step],
        value: &Value<'a>,
        found: Found<'_, 'a>,
    ) -> Outcome {
        let before = std::mem::replace(&mut self.current, value.clone());
        let truth = self.test(predicate, value);
        self.current = before;
        if truth? == Some(true) { self.next(rest, value, found) } else { Ok(false) }
    }

    /// `[…]`. In lax mode a value that is no array is one of one element.
    fn elements(
        &mut self,
        ranges: &'a [Range],
        rest: &'a [Step],
        value: &Value<'a>,
        mut found: Found<'_, 'a>,
    ) -> Outcome {
        let array = value.array();
        if array.is_none() && !self.is_lax() {
            return self.misfit(SqlState::SQL_JSON_ARRAY_NOT_FOUND, || {
                "jsonpath array accessor can only be applied to an array".into()
            });
        }
        let size = array.map_or(1, |array| array.len() as i64);
        let outer_size = std::mem::replace(&mut self.array_size, size);
        let mut is_found = false;
        for range in ranges {
            let (from, to) = self.bounds(range, value, size)?;
            is_found = false;
            for index in from..=to {
                let element = match array {
                    Some(array) => array.element(index).map(Value::Json),
                    None => Some(value.clone()),
                };
                let Some(element) = element else { continue };
                is_found = self.next(rest, &element, found.as_deref_mut())?;
                if is_found && found.is_none() {
                    break;
                }
            }
            if is_found && found.is_none() {
                break;
            }
        }
        self.array_size = outer_size;
        Ok(is_found)
    }

    /// The first and the last index of a subscript, within the array in lax mode.
    fn bounds(&mut self, range: &'a Range, value: &Value<'a>, size: i64) -> std::result::Result<(i64, i64), Failure> {
        let from = self.index(&range.from, value)?;
        let to = match &range.to {
            Some(to) => self.index(to, value)?,
            None => from,
        };
        if !self.ignores_structure && (from < 0 || from > to || to >= size) {
            return self
                .fail(SqlState::INVALID_SQL_JSON_SUBSCRIPT, || "jsonpath array subscript is out of bounds".into());
        }
        Ok((from.max(0), to.min(size - 1)))
    }

    fn index(&mut self, chain: &'a Chain, value: &Value<'a>) -> std::result::Result<i64, Failure> {
        let mut found = Vec::new();
        self.execute(chain, value, true, Some(&mut found))?;
        let Some(number) = single_number(&found) else {
            return self.fail(SqlState::INVALID_SQL_JSON_SUBSCRIPT, || {
                "jsonpath array subscript is not a single numeric value".into()
            });
        };
        match number.trunc(0).and_then(|whole| whole.to_i32()) {
            Ok(index) => Ok(i64::from(index)),
            Err(_) => self.fail(SqlState::INVALID_SQL_JSON_SUBSCRIPT, || {
                "jsonpath array subscript is out of integer range".into()
            }),
        }
    }

    /// What a chain finds; in lax mode the elements of what are arrays.
    pub fn operands(
        &mut self,
        chain: &'a Chain,
        value: &Value<'a>,
        unwraps: bool,
    ) -> std::result::Result<Vec<Value<'a>>, Failure> {
        let mut found = Vec::new();
        self.execute(chain, value, true, Some(&mut found))?;
        if !(unwraps && self.is_lax() && found.iter().any(Value::is_array)) {
            return Ok(found);
        }
        let mut flat = Vec::with_capacity(found.len());
        for item in found {
            match item.array() {
                Some(array) => flat.extend(array.elements().map(Value::Json)),
                None => flat.push(item),
            }
        }
        Ok(flat)
    }

    fn arithmetic(
        &mut self,
        arithmetic: Arithmetic,
        sides: &'a [Chain; 2],
        rest: &'a [Step],
        value: &Value<'a>,
        found: Found<'_, 'a>,
    ) -> Outcome {
        let [left, right] = sides;
        let lefts = self.operands(left, value, true)?;
        let rights = self.operands(right, value, true)?;
        let not_single = |side: &str| {
            format!("{side} operand of jsonpath operator {} is not a single numeric value", arithmetic.symbol())
        };
        let Some(left) = single_number(&lefts) else {
            return self.fail(SqlState::SINGLETON_SQL_JSON_ITEM_REQUIRED, || not_single("left"));
        };
        let Some(right) = single_number(&rights) else {
            return self.fail(SqlState::SINGLETON_SQL_JSON_ITEM_REQUIRED, || not_single("right"));
        };
        let result = self.settle(match arithmetic {
            Arithmetic::Add => left.add(&right),
            Arithmetic::Sub => left.sub(&right),
            Arithmetic::Mul => left.mul(&right),
            Arithmetic::Div => left.div(&right),
            Arithmetic::Rem => left.rem(&right),
        })?;
        self.next(rest, &Value::Number(result), found)
    }

    fn sign(
        &mut self,
        sign: Sign,
        operand: &'a Chain,
        rest: &'a [Step],
        value: &Value<'a>,
        mut found: Found<'_, 'a>,
    ) -> Outcome {
        let mut is_found = false;
        let is_enough = rest.is_empty() && found.is_none();
        for item in self.operands(operand, value, true)? {
            let Some(number) = item.number() else {
                if is_enough {
                    continue;
                }
                return self.fail(SqlState::SQL_JSON_NUMBER_NOT_FOUND, || {
                    format!("operand of unary jsonpath operator {} is not a numeric value", sign.symbol())
                });
            };
            let number = if sign == Sign::Minus { number.neg() } else { number };
            is_found |= self.next(rest, &Value::Number(number), found.as_deref_mut())?;
            if is_found && found.is_none() {
                break;
            }
        }
        Ok(is_found)
    }

    /// A pair for each member of an object; they know which object they are of.
    pub fn keyvalue(&mut self, rest: &'a [Step], value: &Value<'a>, mut found: Found<'_, 'a>) -> Outcome {
        if !value.is_object() {
            return self.fail(SqlState::SQL_JSON_OBJECT_NOT_FOUND, || {
                "jsonpath item method .keyvalue() can only be applied to an object".into()
            });
        }
        let mut is_found = false;
        let id = if value.count() > 0 { self.base.id(value) } else { 0 };
        for (key, value) in (0..value.count()).filter_map(|index| value.member(index)) {
            let pair = Pair { id, key, value };
            let base = Base::pair(&pair, self.next_document);
            self.next_document += 1;
            is_found = self.based(base, rest, &Value::Pair(Rc::new(pair)), found.as_deref_mut())?;
            if is_found && found.is_none() {
                break;
            }
        }
        Ok(is_found)
    }
}

/// Steps that want an array itself, where others are applied to its elements.
fn takes_arrays(step: &Step) -> bool {
    use super::tree::Method::{Size, Type};
    matches!(step, Step::Method(Type | Size))
}

fn single_number(items: &[Value<'_>]) -> Option<Numeric> {
    match items {
        [item] => item.number(),
        _ => None,
    }
}
