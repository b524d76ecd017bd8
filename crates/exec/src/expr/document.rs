//! Parts of documents: a field read where it lies, a place written, a field removed.

use sql::expr::PathStep;
use types::json::ops::{Change, change_at};
use types::json::{Builder, Jsonb, JsonbRef};
use types::{Datum, Result, SqlError, SqlState};

/// Elements of an array in a document: each takes five bytes at least, and a value has 64 MiB (architecture §9).
const ELEMENTS_MAX: i64 = (64 << 20) / 5;

/// The part at `path`, found without reading the rest; NULL where there is none.
pub(super) fn part(document: &Datum, path: &[PathStep]) -> Result<Datum> {
    let Datum::Jsonb(document) = document else { return Ok(Datum::Null) };
    let mut at = document.as_ref();
    for step in path {
        let next = match step {
            PathStep::Key(key) if at.is_object() => at.get(key),
            PathStep::Key(key) => key.parse().ok().and_then(|index| at.element(index)),
            PathStep::Index(index) if at.is_array() => at.element(i64::from(*index)),
            PathStep::Index(index) => at.get(&index.to_string()),
        };
        match next {
            Some(next) => at = next,
            None => return Ok(Datum::Null),
        }
    }
    Ok(Datum::Jsonb(at.to_owned()))
}

/// The document with the part at `path` replaced, or without it where the value is NULL.
pub(super) fn set(document: &Datum, path: &[PathStep], value: &Datum) -> Result<Datum> {
    if !value.is_null() {
        let steps: Vec<Datum> = path.iter().map(datum_of).collect();
        return assign(document, &steps, value);
    }
    let Datum::Jsonb(old) = document else { return Ok(Datum::Null) };
    if part(document, path)?.is_null() {
        return Ok(document.clone());
    }
    let step = |step: &PathStep| match step {
        PathStep::Key(key) => key.as_str().into(),
        PathStep::Index(index) => index.to_string().into(),
    };
    let steps: Vec<ecow::EcoString> = path.iter().map(step).collect();
    change_at(old.as_ref(), &steps, Change::Delete).map(Datum::Jsonb)
}

fn datum_of(step: &PathStep) -> Datum {
    match step {
        PathStep::Key(key) => Datum::text(key.as_str()),
        PathStep::Index(index) => Datum::Int4(*index),
    }
}

/// `container['a'][1] = value`: what is missing on the way is made.
pub(super) fn assign(container: &Datum, path: &[Datum], value: &Datum) -> Result<Datum> {
    if path.iter().any(Datum::is_null) {
        return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "jsonb subscript in assignment must not be null"));
    }
    let mut builder = Builder::new();
    let old = match container {
        Datum::Jsonb(old) => Some(old.as_ref()),
        _ => None,
    };
    let new = match value {
        Datum::Jsonb(new) => Some(new),
        _ => None,
    };
    put(&mut builder, old, path, new, 1)?;
    Ok(Datum::Jsonb(builder.finish()?))
}

fn is_index(step: &Datum) -> bool {
    matches!(step, Datum::Int2(_) | Datum::Int4(_) | Datum::Int8(_))
}

fn key_of(step: &Datum) -> String {
    match step {
        Datum::Text(key) => key.to_string(),
        other => other.as_i64().to_string(),
    }
}

fn put(
    builder: &mut Builder,
    old: Option<JsonbRef<'_>>,
    path: &[Datum],
    new: Option<&Jsonb>,
    depth: usize,
) -> Result<()> {
    let Some((step, rest)) = path.split_first() else {
        match new {
            Some(new) => builder.value(new.as_ref()),
            None => builder.null(),
        }
        return Ok(());
    };
    match old {
        Some(old) if old.is_object() => {
            let key = key_of(step);
            builder.begin_object();
            for (name, value) in old.members().filter(|(name, _)| *name != key) {
                builder.key(name);
                builder.value(value);
            }
            builder.key(&key);
            put(builder, old.get(&key), rest, new, depth + 1)?;
            builder.end()
        }
        Some(old) if old.is_array() => put_element(builder, old, step, rest, new, depth),
        Some(old) if !(old.is_null() && depth == 1) => {
            let detail = "The path assumes key is a composite object, but it is a scalar value.";
            Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "cannot replace existing key").detail(detail))
        }
        _ if is_index(step) => {
            builder.begin_array();
            let index = step.as_i64();
            if index < 0 {
                return Err(out_of_range(depth, index));
            }
            check_length(index)?;
            (0..index).for_each(|_| builder.null());
            put(builder, None, rest, new, depth + 1)?;
            builder.end()
        }
        _ => {
            builder.begin_object();
            builder.key(&key_of(step));
            put(builder, None, rest, new, depth + 1)?;
            builder.end()
        }
    }
}

fn check_length(last: i64) -> Result<()> {
    match last < ELEMENTS_MAX {
        true => Ok(()),
        false => Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "array is too large")),
    }
}

fn out_of_range(depth: usize, index: i64) -> SqlError {
    let message = format!("path element at position {depth} is out of range: {index}");
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn put_element(
    builder: &mut Builder,
    old: JsonbRef<'_>,
    step: &Datum,
    rest: &[Datum],
    new: Option<&Jsonb>,
    depth: usize,
) -> Result<()> {
    let index = match step {
        Datum::Text(key) => key.parse::<i64>().map_err(|_| {
            let message = format!("path element at position {depth} is not an integer: \"{key}\"");
            SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message)
        })?,
        other => other.as_i64(),
    };
    let count = old.len() as i64;
    let place = if index < 0 { index + count } else { index };
    if place < 0 {
        return Err(out_of_range(depth, index));
    }
    check_length(place)?;
    builder.begin_array();
    for at in 0..count.max(place + 1) {
        if at == place {
            put(builder, old.element(at), rest, new, depth + 1)?;
        } else {
            match old.element(at) {
                Some(value) => builder.value(value),
                None => builder.null(),
            }
        }
    }
    builder.end()
}
