//! The ids that `.keyvalue()` gives: which object a pair is of.
//!
//! PostgreSQL's id is the object's offset in the stored form of the document, plus 10,000,000,000 times the number of the
//! document among those that a path deals with (0 the document, 1 the variables, from 2 what `.keyvalue()` made). The offset
//! is worked out here from how PostgreSQL lays a container out, so that ids agree:
//!
//! ```text
//! container  [header 4][entry 4: one per element, two per member][keys…][elements or values…]
//! string     its bytes        number  [to 4][4][header 2 or 4][digits: 2 per four decimals]       container  [to 4][…]
//! ```

use super::super::{JsonbRef, Kind};
use super::value::{Pair, Value};
use crate::numeric::Numeric;

/// Factor of a document's number in an id.
const DOCUMENT: i64 = 10_000_000_000;

/// What ids are relative to.
#[derive(Clone, Copy, Debug)]
pub struct Base<'a> {
    root: JsonbRef<'a>,
    /// Where the root lies in the document that is counted.
    shift: i64,
    number: i64,
}

impl<'a> Base<'a> {
    pub fn document(root: JsonbRef<'a>, number: i64) -> Base<'a> {
        Base { root, shift: 0, number }
    }

    /// What lies under a pair that `.keyvalue()` made.
    pub fn pair(pair: &Pair<'a>, number: i64) -> Base<'a> {
        let root = match &pair.value {
            Value::Json(json) => *json,
            _ => JsonbRef::new(&[]),
        };
        // Three keys of 10 bytes together, and the values in front of the last.
        let keys = container_header(6) + 10;
        let key = number_end(keys, &Numeric::from_i64(pair.id)) + pair.key.len() as i64;
        Base { root, shift: aligned(key), number }
    }

    /// The id of an object. One that the base does not contain (a pair itself) is its beginning.
    pub fn id(&self, object: &Value<'a>) -> i64 {
        let offset = match object {
            Value::Json(json) => offset_of(self.root, *json).map_or(0, |offset| offset + self.shift),
            _ => 0,
        };
        self.number.saturating_mul(DOCUMENT).saturating_add(offset)
    }
}

fn aligned(at: i64) -> i64 {
    (at + 3) & !3
}

fn container_header(entries: usize) -> i64 {
    4 + 4 * entries as i64
}

/// Where a number that begins at `at` ends.
fn number_end(at: i64, number: &Numeric) -> i64 {
    let (groups, weight) = if number.is_zero() { (Vec::new(), 0) } else { number.groups() };
    let is_short = number.scale().is_some_and(|scale| scale <= 63) && (-64..=63).contains(&weight);
    aligned(at) + 4 + if is_short { 2 } else { 4 } + 2 * groups.len() as i64
}

/// Where a value that begins at `at` ends. Nesting is bounded as that of every jsonb.
fn end(at: i64, value: JsonbRef<'_>) -> i64 {
    match value.kind() {
        Kind::Null | Kind::Bool => at,
        Kind::String => at + value.as_str().map_or(0, str::len) as i64,
        Kind::Number => value.as_number().map_or(at, |number| number_end(at, &number)),
        Kind::Array => {
            let start = aligned(at);
            value.elements().fold(start + container_header(value.len()), |at, element| end(at, element))
        }
        Kind::Object => {
            let start = aligned(at);
            value.members().fold(start + values_start(value), |at, (_, member)| end(at, member))
        }
    }
}

/// Where the values of an object begin, behind its keys.
fn values_start(object: JsonbRef<'_>) -> i64 {
    let keys: usize = object.members().map(|(key, _)| key.len()).sum();
    container_header(2 * object.len()) + keys as i64
}

/// Where a part of a document lies in it. None if it is no part.
fn offset_of(root: JsonbRef<'_>, part: JsonbRef<'_>) -> Option<i64> {
    let wanted = part.as_bytes().as_ptr_range();
    let contains = |value: JsonbRef<'_>| {
        let range = value.as_bytes().as_ptr_range();
        range.start <= wanted.start && wanted.end <= range.end
    };
    if !contains(root) {
        return None;
    }
    let (mut value, mut start) = (root, 0);
    // Each turn goes one level down.
    while value.as_bytes().as_ptr_range() != wanted {
        let first = match value.kind() {
            Kind::Array => start + container_header(value.len()),
            _ => start + values_start(value),
        };
        let children: Box<dyn Iterator<Item = JsonbRef<'_>>> = match value.kind() {
            Kind::Array => Box::new(value.elements()),
            _ => Box::new(value.members().map(|(_, member)| member)),
        };
        let mut at = first;
        let mut found = None;
        for child in children {
            if contains(child) && !child.as_bytes().is_empty() {
                found = Some(child);
                break;
            }
            at = end(at, child);
        }
        (value, start) = (found?, aligned(at));
    }
    Some(start)
}
