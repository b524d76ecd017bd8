//! Operators and functions that make a jsonb from jsonb, or ask about one.
//!
//! Each is one walk of the operand into a `Builder`; parts that do not change are copied as bytes.

use super::{Builder, DEPTH_MAX, Jsonb, JsonbRef, Kind, too_deep};
use crate::{Result, SqlError, SqlState};
use ecow::EcoString;

#[cold]
fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn builder_for(values: &[JsonbRef<'_>]) -> Builder {
    Builder::with_capacity(values.iter().map(|v| v.as_bytes().len()).sum::<usize>() + 16)
}

/// `||`: objects merge (the right one wins), anything else becomes one array.
pub fn concat(a: JsonbRef<'_>, b: JsonbRef<'_>) -> Result<Jsonb> {
    let mut out = builder_for(&[a, b]);
    if a.is_object() && b.is_object() {
        out.begin_object();
        for (key, value) in a.members().chain(b.members()) {
            out.key(key);
            out.value(value);
        }
    } else {
        out.begin_array();
        for side in [a, b] {
            if side.is_array() {
                side.elements().for_each(|element| out.value(element));
            } else {
                out.value(side);
            }
        }
    }
    out.end()?;
    out.finish()
}

/// `- key` and `- keys`: members of those names, or string elements of an array.
pub fn delete_keys(value: JsonbRef<'_>, keys: &[EcoString]) -> Result<Jsonb> {
    let is_named = |name: &str| keys.iter().any(|key| key == name);
    let mut out = builder_for(&[value]);
    match value.kind() {
        Kind::Object => {
            out.begin_object();
            for (key, member) in value.members().filter(|(key, _)| !is_named(key)) {
                out.key(key);
                out.value(member);
            }
        }
        Kind::Array => {
            out.begin_array();
            let kept = value.elements().filter(|element| !element.as_str().is_some_and(is_named));
            kept.for_each(|element| out.value(element));
        }
        _ => return Err(invalid("cannot delete from scalar")),
    }
    out.end()?;
    out.finish()
}

/// `- index`: an element of an array; negative counts from the end.
pub fn delete_index(value: JsonbRef<'_>, index: i32) -> Result<Jsonb> {
    match value.kind() {
        Kind::Array => {}
        Kind::Object => return Err(invalid("cannot delete from object using integer index")),
        _ => return Err(invalid("cannot delete from scalar")),
    }
    let index = if index < 0 { i64::from(index) + value.len() as i64 } else { i64::from(index) };
    let mut out = builder_for(&[value]);
    out.begin_array();
    for (at, element) in value.elements().enumerate() {
        if at as i64 != index {
            out.value(element);
        }
    }
    out.end()?;
    out.finish()
}

/// What to do at the end of a path.
#[derive(Clone, Copy)]
pub enum Change<'a> {
    Delete,
    /// `jsonb_set`; `creates` what is missing, in the last step only.
    Set {
        value: JsonbRef<'a>,
        creates: bool,
    },
    /// `jsonb_insert`: before or after an element, or a member that is not there yet.
    Insert {
        value: JsonbRef<'a>,
        is_after: bool,
    },
}

/// `#-`, `jsonb_set`, `jsonb_insert`.
pub fn change_at(value: JsonbRef<'_>, path: &[EcoString], change: Change<'_>) -> Result<Jsonb> {
    if value.is_scalar() {
        return Err(invalid(match change {
            Change::Delete => "cannot delete path in scalar",
            _ => "cannot set path in scalar",
        }));
    }
    let creates = !matches!(change, Change::Delete | Change::Set { creates: false, .. });
    if path.is_empty() || (value.is_empty() && !creates) {
        return Ok(value.to_owned());
    }
    let mut out = builder_for(&[value]);
    change_nested(value, path, 0, change, &mut out)?;
    out.finish()
}

fn change_nested(
    value: JsonbRef<'_>,
    path: &[EcoString],
    level: usize,
    change: Change<'_>,
    out: &mut Builder,
) -> Result<()> {
    if level > DEPTH_MAX {
        return Err(too_deep());
    }
    match value.kind() {
        Kind::Object => change_object(value, path, level, change, out),
        Kind::Array => change_array(value, path, level, change, out),
        // The path goes on where the document ends: nothing changes.
        _ => {
            out.value(value);
            Ok(())
        }
    }
}

fn change_object(
    value: JsonbRef<'_>,
    path: &[EcoString],
    level: usize,
    change: Change<'_>,
    out: &mut Builder,
) -> Result<()> {
    let Some(step) = path.get(level) else { return Ok(()) };
    let is_last = level + 1 == path.len();
    let mut is_found = false;
    out.begin_object();
    for (key, member) in value.members() {
        if key != step.as_str() {
            out.key(key);
            out.value(member);
            continue;
        }
        is_found = true;
        match change {
            _ if !is_last => {
                out.key(key);
                change_nested(member, path, level + 1, change, out)?;
            }
            Change::Delete => {}
            Change::Set { value, .. } => {
                out.key(key);
                out.value(value);
            }
            Change::Insert { .. } => {
                return Err(invalid("cannot replace existing key")
                    .hint("Try using the function jsonb_set to replace key value."));
            }
        }
    }
    if let (false, true, Change::Set { value, creates: true } | Change::Insert { value, .. }) =
        (is_found, is_last, change)
    {
        out.key(step);
        out.value(value);
    }
    out.end()
}

fn change_array(
    value: JsonbRef<'_>,
    path: &[EcoString],
    level: usize,
    change: Change<'_>,
    out: &mut Builder,
) -> Result<()> {
    let Some(step) = path.get(level) else { return Ok(()) };
    let is_last = level + 1 == path.len();
    let count = value.len() as i64;
    let index = super::path::index(step).map(i64::from).ok_or_else(|| {
        SqlError::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            format!("path element at position {} is not an integer: \"{step}\"", level + 1),
        )
    })?;
    // Before the first stays before the first, whatever it is called.
    let index = if index < 0 { (index + count).max(-1) } else { index };
    let new = match change {
        Change::Set { value, creates: true } | Change::Insert { value, .. } => Some(value),
        _ => None,
    };
    out.begin_array();
    if let (true, true, Some(new)) = (is_last, index < 0, new) {
        out.value(new);
    }
    for (at, element) in value.elements().enumerate() {
        if at as i64 != index {
            out.value(element);
            continue;
        }
        match change {
            _ if !is_last => change_nested(element, path, level + 1, change, out)?,
            Change::Delete => {}
            Change::Set { value, .. } => out.value(value),
            Change::Insert { value, is_after: false } => {
                out.value(value);
                out.value(element);
            }
            Change::Insert { value, is_after: true } => {
                out.value(element);
                out.value(value);
            }
        }
    }
    if let (true, true, Some(new)) = (is_last, index >= count, new) {
        out.value(new);
    }
    out.end()
}

/// `@>`: every part of `part` is found in `whole`, at its place; order and repetition in arrays do not matter.
pub fn contains(whole: JsonbRef<'_>, part: JsonbRef<'_>) -> bool {
    if whole.is_object() != part.is_object() {
        return false;
    }
    match (whole.is_scalar(), part.is_scalar()) {
        (true, true) => whole.equals(part),
        // As a special case an array may contain a scalar that stands alone, but not the other way round.
        (false, true) => whole.elements().any(|element| element.is_scalar() && element.equals(part)),
        (true, false) => false,
        (false, false) => contains_nested(whole, part, DEPTH_MAX + 1),
    }
}

fn contains_nested(whole: JsonbRef<'_>, part: JsonbRef<'_>, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    if whole.kind() != part.kind() {
        return false;
    }
    match part.kind() {
        Kind::Object => {
            whole.len() >= part.len()
                && part
                    .members()
                    .all(|(key, value)| whole.get(key).is_some_and(|own| contains_nested(own, value, depth)))
        }
        Kind::Array => part.elements().all(|wanted| whole.elements().any(|own| contains_nested(own, wanted, depth))),
        _ => whole.equals(part),
    }
}

/// `?`: a key of an object, a string element of an array, or the string itself.
pub fn exists(value: JsonbRef<'_>, key: &str) -> bool {
    match value.kind() {
        Kind::Object => value.get(key).is_some(),
        Kind::Array => value.elements().any(|element| element.as_str() == Some(key)),
        _ => value.as_str() == Some(key),
    }
}

/// `jsonb_strip_nulls`: members that are null go, at every level; elements stay.
pub fn strip_nulls(value: JsonbRef<'_>) -> Result<Jsonb> {
    let mut out = builder_for(&[value]);
    strip_nested(value, &mut out)?;
    out.finish()
}

fn strip_nested(value: JsonbRef<'_>, out: &mut Builder) -> Result<()> {
    out.check_depth()?;
    match value.kind() {
        Kind::Object => {
            out.begin_object();
            for (key, member) in value.members().filter(|(_, member)| !member.is_null()) {
                out.key(key);
                strip_nested(member, out)?;
            }
            out.end()
        }
        Kind::Array => {
            out.begin_array();
            value.elements().try_for_each(|element| strip_nested(element, out))?;
            out.end()
        }
        _ => {
            out.value(value);
            Ok(())
        }
    }
}
