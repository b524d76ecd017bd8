//! Row values, subscripts and GROUPING.

use super::Node;
use std::sync::Arc;
use types::array::{Array, Dimension};
use types::{Datum, Record, Result, SqlError, SqlState, SqlType, oid};

/// `IS [NOT] NULL`. Of a row: whether all fields are (not) NULL, so that both may be false.
pub(super) fn is_null(value: &Datum, of_row: bool, negated: bool) -> bool {
    match value {
        Datum::Record(record) if of_row => record.values.iter().all(|v| v.is_null() != negated),
        value => value.is_null() != negated,
    }
}

pub(super) fn coerce(
    value: &Datum,
    fields: &[Node],
    mut convert: impl FnMut(&Node, &Datum) -> Result<Datum>,
) -> Result<Datum> {
    let Datum::Record(record) = value else { return Ok(Datum::Null) };
    let values = fields
        .iter()
        .zip(record.values.iter().chain(std::iter::repeat(&Datum::Null)))
        .map(|(field, value)| convert(field, value))
        .collect::<Result<_>>()?;
    Ok(Datum::Record(Arc::new(Record {
        types: fields.iter().map(|f| f.ty).collect(),
        names: record.names.clone(),
        values,
    })))
}

/// GROUPING(…): a bit per argument, 1 where the set does not group by it. `set` is the list of group numbers of the set
/// being output, as the Aggregate hands it out.
pub(super) fn grouping(set: &Datum, groups: &[usize]) -> Result<Datum> {
    // The set id of an Aggregate is a bit mask: bit g is 1 where group g is part of the set.
    let mask = match set {
        Datum::Int4(v) => i64::from(*v),
        Datum::Int8(v) => *v,
        _ => 0,
    };
    let bits = groups.iter().fold(0i32, |bits, g| (bits << 1) | i32::from(*g < 63 && mask >> g & 1 == 0));
    Ok(Datum::Int4(bits))
}

type Subscripts = [(Option<Node>, Option<Node>, bool)];

/// `container[…]`. `bounds`: two values per subscript (index or lower, upper).
pub(super) fn subscript(
    container_type: SqlType,
    _result: SqlType,
    container: &Datum,
    subscripts: &Subscripts,
    bounds: &[Datum],
) -> Result<Datum> {
    if container_type.oid == oid::JSONB {
        return jsonb_subscript(container, bounds);
    }
    let Datum::Array(array) = container else { return Ok(Datum::Null) };
    let is_slice = subscripts.iter().any(|(_, _, slice)| *slice);
    let bounds: Vec<[&Datum; 2]> =
        bounds.chunks(2).map(|c| [c.first().unwrap_or(&Datum::Null), c.get(1).unwrap_or(&Datum::Null)]).collect();
    let given = |i: usize| subscripts.get(i).is_some_and(|(a, b, s)| a.is_some() && (!*s || b.is_some()));
    let null = |i: usize, [a, b]: &[&Datum; 2]| match subscripts.get(i) {
        Some((lower, upper, slice)) => (lower.is_some() && a.is_null()) || (*slice && upper.is_some() && b.is_null()),
        None => false,
    };
    if bounds.iter().enumerate().any(|(i, b)| null(i, b)) {
        return Ok(Datum::Null);
    }
    let _ = given;
    match is_slice {
        false => Ok(element(array, &bounds)),
        true => Ok(slice(array, subscripts, &bounds)),
    }
}

fn element(array: &Array, bounds: &[[&Datum; 2]]) -> Datum {
    if bounds.len() != array.dims.len() {
        return Datum::Null;
    }
    let mut at = 0usize;
    for (dimension, [index, _]) in array.dims.iter().zip(bounds) {
        let place = index.as_i64() - i64::from(dimension.lower);
        if place < 0 || place >= i64::from(dimension.len) {
            return Datum::Null;
        }
        at = at * dimension.len as usize + place as usize;
    }
    array.values.get(at).cloned().unwrap_or_default()
}

fn slice(array: &Array, subscripts: &Subscripts, bounds: &[[&Datum; 2]]) -> Datum {
    let empty = || Datum::Array(Arc::new(Array::from_values(array.element, vec![])));
    if bounds.len() > array.dims.len() || array.dims.is_empty() {
        return empty();
    }
    // (first place, number) per dimension; a subscript without a colon is 1:n, as in PostgreSQL.
    let mut ranges = Vec::with_capacity(array.dims.len());
    for (i, dimension) in array.dims.iter().enumerate() {
        let (low, high) = (i64::from(dimension.lower), i64::from(dimension.lower) + i64::from(dimension.len) - 1);
        let (from, to) = match (subscripts.get(i), bounds.get(i)) {
            (Some((lower, upper, true)), Some([a, b])) => {
                (if lower.is_some() { a.as_i64() } else { low }, if upper.is_some() { b.as_i64() } else { high })
            }
            (Some((_, _, false)), Some([a, _])) => (1, a.as_i64()),
            _ => (low, high),
        };
        let (from, to) = (from.max(low), to.min(high));
        if from > to {
            return empty();
        }
        ranges.push(((from - low) as usize, (to - from + 1) as usize));
    }
    let mut values = Vec::new();
    let mut place = vec![0usize; ranges.len()];
    'all: loop {
        let at = array
            .dims
            .iter()
            .zip(&ranges)
            .zip(&place)
            .fold(0, |at, ((dimension, (from, _)), offset)| at * dimension.len as usize + from + offset);
        values.push(array.values.get(at).cloned().unwrap_or_default());
        for i in (0..place.len()).rev() {
            place[i] += 1;
            if place[i] < ranges[i].1 {
                continue 'all;
            }
            place[i] = 0;
        }
        break;
    }
    let dims = ranges.iter().map(|(_, count)| Dimension { len: *count as i32, lower: 1 }).collect();
    Datum::Array(Arc::new(Array { element: array.element, dims, values }))
}

fn jsonb_subscript(container: &Datum, bounds: &[Datum]) -> Result<Datum> {
    let Datum::Jsonb(document) = container else { return Ok(Datum::Null) };
    let mut at = document.as_ref();
    for subscript in bounds.iter().step_by(2) {
        let next = match subscript {
            Datum::Null => None,
            Datum::Text(key) if at.is_object() => at.get(key),
            Datum::Text(key) if at.is_array() => key.parse().ok().and_then(|i| at.element(i)),
            Datum::Int4(_) | Datum::Int8(_) | Datum::Int2(_) if at.is_array() => at.element(subscript.as_i64()),
            Datum::Int4(_) | Datum::Int8(_) | Datum::Int2(_) if at.is_object() => {
                at.get(&subscript.as_i64().to_string())
            }
            Datum::Text(_) | Datum::Int2(_) | Datum::Int4(_) | Datum::Int8(_) => None,
            _ => {
                return Err(SqlError::new(
                    SqlState::DATATYPE_MISMATCH,
                    "jsonb subscript must be coercible to either integer or text",
                ));
            }
        };
        match next {
            Some(next) => at = next,
            None => return Ok(Datum::Null),
        }
    }
    Ok(Datum::Jsonb(at.to_owned()))
}
