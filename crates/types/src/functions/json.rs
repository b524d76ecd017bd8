//! Functions and operators of json and jsonb. What they compute is in `crate::json`; here are their arguments and errors.
//!
//! Functions over VARIADIC "any" (`json_build_object`) get their arguments spread out, with a type for each in the context.

use super::{RowIter, ScalarFn, SetFn, arg_type};
use crate::json::build;
use crate::json::ops::{self, Change};
use crate::json::text::JsonText;
use crate::json::{Builder, Jsonb, JsonbRef, Kind, parse, path};
use crate::{CallContext, Datum, Oid, Result, SqlError, SqlState, oid, stop, typename};
use ecow::EcoString;

fn jsonb(value: Jsonb) -> Result<Datum> {
    Ok(Datum::Jsonb(value))
}

/// A part of a document as a jsonb of its own; NULL if there is none.
fn part(value: Option<JsonbRef<'_>>) -> Result<Datum> {
    Ok(value.map_or(Datum::Null, |value| Datum::Jsonb(value.to_owned())))
}

fn part_text(value: Option<JsonbRef<'_>>) -> Result<Datum> {
    let text = value.and_then(JsonbRef::to_sql_text);
    stop::whole()?;
    Ok(text.map_or(Datum::Null, Datum::text))
}

fn at(args: &[Datum], index: usize) -> JsonbRef<'_> {
    args[index].as_jsonb().as_ref()
}

/// A json argument whose strings can be read.
fn json(args: &[Datum], index: usize) -> Result<JsonText<'_>> {
    let text = args[index].as_str();
    parse::check_strings(text)?;
    Ok(JsonText::new(text))
}

fn json_part(value: Option<JsonText<'_>>) -> Result<Datum> {
    Ok(value.map_or(Datum::Null, |value| Datum::text(value.as_str())))
}

fn json_part_text(value: Option<JsonText<'_>>) -> Result<Datum> {
    Ok(value.and_then(JsonText::to_sql_text).map_or(Datum::Null, |text| Datum::Text(text.as_ref().into())))
}

#[cold]
fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// The texts of a text[] argument; NULLs are left out, more than one dimension is 2202E where PostgreSQL says so.
fn texts(value: &Datum) -> Vec<EcoString> {
    value.as_array().values.iter().filter(|v| !v.is_null()).map(|v| EcoString::from(v.as_str())).collect()
}

fn flat_texts(value: &Datum) -> Result<Vec<EcoString>> {
    if value.as_array().dims.len() > 1 {
        return Err(SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, "wrong number of array subscripts"));
    }
    Ok(texts(value))
}

pub const SCALARS: &[(&str, ScalarFn)] = &[
    ("jsonb_object_field", |_, a| part(at(a, 0).get(a[1].as_str()))),
    ("jsonb_object_field_text", |_, a| part_text(at(a, 0).get(a[1].as_str()))),
    ("jsonb_array_element", |_, a| part(item(at(a, 0), a[1].as_i64()))),
    ("jsonb_array_element_text", |_, a| part_text(item(at(a, 0), a[1].as_i64()))),
    ("jsonb_extract_path", |_, a| part(path::steps(a[1].as_array()).and_then(|steps| path::get(at(a, 0), &steps)))),
    ("jsonb_extract_path_text", |_, a| {
        part_text(path::steps(a[1].as_array()).and_then(|steps| path::get(at(a, 0), &steps)))
    }),
    ("json_object_field", |_, a| json_part(json(a, 0)?.get(a[1].as_str()))),
    ("json_object_field_text", |_, a| json_part_text(json(a, 0)?.get(a[1].as_str()))),
    ("json_array_element", |_, a| json_part(json(a, 0)?.element(a[1].as_i64()))),
    ("json_array_element_text", |_, a| json_part_text(json(a, 0)?.element(a[1].as_i64()))),
    ("json_extract_path", |_, a| {
        let value = json(a, 0)?;
        json_part(path::steps(a[1].as_array()).and_then(|steps| path::get_text(value, &steps)))
    }),
    ("json_extract_path_text", |_, a| {
        let value = json(a, 0)?;
        json_part_text(path::steps(a[1].as_array()).and_then(|steps| path::get_text(value, &steps)))
    }),
    ("jsonb_contains", |_, a| Ok(Datum::Bool(ops::contains(at(a, 0), at(a, 1))))),
    ("jsonb_contained", |_, a| Ok(Datum::Bool(ops::contains(at(a, 1), at(a, 0))))),
    ("jsonb_exists", |_, a| Ok(Datum::Bool(ops::exists(at(a, 0), a[1].as_str())))),
    ("jsonb_exists_any", |_, a| Ok(Datum::Bool(texts(&a[1]).iter().any(|key| ops::exists(at(a, 0), key))))),
    ("jsonb_exists_all", |_, a| Ok(Datum::Bool(texts(&a[1]).iter().all(|key| ops::exists(at(a, 0), key))))),
    ("jsonb_concat", |_, a| jsonb(ops::concat(at(a, 0), at(a, 1))?)),
    ("jsonb_delete", |_, a| jsonb(ops::delete_keys(at(a, 0), &[EcoString::from(a[1].as_str())])?)),
    ("jsonb_delete_idx", |_, a| jsonb(ops::delete_index(at(a, 0), a[1].as_i64() as i32)?)),
    ("jsonb_delete_array", |_, a| jsonb(ops::delete_keys(at(a, 0), &flat_texts(&a[1])?)?)),
    ("jsonb_delete_path", |_, a| {
        jsonb(ops::change_at(at(a, 0), &path::steps_to_write(a[1].as_array())?, Change::Delete)?)
    }),
    ("jsonb_set", |_, a| jsonb_set(at(a, 0), &a[1], at(a, 2), a[3].as_bool())),
    ("jsonb_set_lax", |_, a| jsonb_set_lax(a)),
    ("jsonb_insert", |_, a| {
        let change = Change::Insert { value: at(a, 2), is_after: a[3].as_bool() };
        jsonb(ops::change_at(at(a, 0), &path::steps_to_write(a[1].as_array())?, change)?)
    }),
    ("jsonb_strip_nulls", |_, a| jsonb(ops::strip_nulls(at(a, 0))?)),
    ("json_strip_nulls", |_, a| json_strip_nulls(json(a, 0)?)),
    ("jsonb_pretty", |_, a| {
        let mut out = Vec::new();
        at(a, 0).write_pretty(&mut out);
        stop::whole()?;
        Ok(Datum::text(crate::io::into_string(out)))
    }),
    ("jsonb_typeof", |_, a| Ok(Datum::text(at(a, 0).kind().name()))),
    ("json_typeof", |_, a| Ok(Datum::text(JsonText::new(a[0].as_str()).kind().name()))),
    ("jsonb_array_length", |_, a| {
        check_length(at(a, 0).kind())?;
        Ok(Datum::Int4(at(a, 0).len() as i32))
    }),
    ("json_array_length", |_, a| {
        let value = JsonText::new(a[0].as_str());
        check_length(value.kind())?;
        Ok(Datum::Int4(value.elements().count() as i32))
    }),
    ("to_json", |c, a| json_text(c, a, false)),
    ("row_to_json", |c, a| json_text(c, a, false)),
    ("row_to_json_pretty", |c, a| json_text(c, a, a[1].as_bool())),
    ("array_to_json", |c, a| json_text(c, a, false)),
    ("array_to_json_pretty", |c, a| json_text(c, a, a[1].as_bool())),
    ("to_jsonb", |c, a| jsonb(build::to_jsonb(arg_type(c, 0), &a[0], c.format)?)),
    ("json_build_array", json_build_array),
    ("json_build_array_noargs", |_, _| Ok(Datum::text("[]"))),
    ("json_build_object", json_build_object),
    ("json_build_object_noargs", |_, _| Ok(Datum::text("{}"))),
    ("jsonb_build_array", jsonb_build_array),
    ("jsonb_build_array_noargs", jsonb_build_array),
    ("jsonb_build_object", jsonb_build_object),
    ("jsonb_build_object_noargs", jsonb_build_object),
    ("json_object", |_, a| Ok(Datum::text(object_text(&pairs_of_one(&a[0])?)))),
    ("json_object_two_arg", |_, a| Ok(Datum::text(object_text(&pairs_of_two(&a[0], &a[1])?)))),
    ("jsonb_object", |_, a| jsonb(object_binary(&pairs_of_one(&a[0])?)?)),
    ("jsonb_object_two_arg", |_, a| jsonb(object_binary(&pairs_of_two(&a[0], &a[1])?)?)),
    ("jsonb_bool", |_, a| match at(a, 0).as_bool() {
        Some(value) => Ok(Datum::Bool(value)),
        None => Err(cannot_cast(at(a, 0), oid::BOOL)),
    }),
    ("jsonb_numeric", |_, a| number(at(a, 0), oid::NUMERIC)),
    ("jsonb_int2", |c, a| cast_number(c, at(a, 0), oid::INT2, "numeric_int2")),
    ("jsonb_int4", |c, a| cast_number(c, at(a, 0), oid::INT4, "numeric_int4")),
    ("jsonb_int8", |c, a| cast_number(c, at(a, 0), oid::INT8, "numeric_int8")),
    ("jsonb_float4", |c, a| cast_number(c, at(a, 0), oid::FLOAT4, "numeric_float4")),
    ("jsonb_float8", |c, a| cast_number(c, at(a, 0), oid::FLOAT8, "numeric_float8")),
    ("jsonb_populate_record", records::populate_record),
    ("json_populate_record", records::populate_record),
    ("jsonb_to_record", records::to_record),
    ("json_to_record", records::to_record),
];

pub const SETS: &[(&str, SetFn)] = &[
    ("jsonb_each", |_, a| {
        if !at(a, 0).is_object() {
            return Err(invalid("cannot call jsonb_each on a non-object"));
        }
        Ok(members(a[0].as_jsonb().clone(), |value| Datum::Jsonb(value.to_owned())))
    }),
    ("jsonb_each_text", |_, a| {
        if !at(a, 0).is_object() {
            return Err(invalid("cannot call jsonb_each_text on a non-object"));
        }
        Ok(members(a[0].as_jsonb().clone(), |value| value.to_sql_text().map_or(Datum::Null, Datum::text)))
    }),
    ("jsonb_object_keys", |_, a| {
        check_keys(at(a, 0).kind(), "jsonb_object_keys")?;
        let json = a[0].as_jsonb().clone();
        let count = json.as_ref().len();
        Ok(Box::new(
            (0..count).map(move |index| Ok(vec![Datum::text(json.as_ref().member(index).map_or("", |(key, _)| key))])),
        ))
    }),
    ("jsonb_array_elements", |_, a| {
        check_elements(at(a, 0).kind())?;
        Ok(elements(a[0].as_jsonb().clone(), |value| Datum::Jsonb(value.to_owned())))
    }),
    ("jsonb_array_elements_text", |_, a| {
        check_elements(at(a, 0).kind())?;
        Ok(elements(a[0].as_jsonb().clone(), |value| value.to_sql_text().map_or(Datum::Null, Datum::text)))
    }),
    ("json_each", |_, a| json_each(json(a, 0)?, |value| json_part(Some(value)))),
    ("json_each_text", |_, a| json_each(json(a, 0)?, |value| json_part_text(Some(value)))),
    ("json_object_keys", |_, a| {
        let value = json(a, 0)?;
        check_keys(value.kind(), "json_object_keys")?;
        gathered(value.members().map(|(key, _)| Ok(vec![Datum::Text(key.as_ref().into())])))
    }),
    ("json_array_elements", |_, a| json_elements(json(a, 0)?, "json_array_elements", |value| json_part(Some(value)))),
    ("jsonb_populate_recordset", |c, a| records::populate_rows(c, a, "jsonb_populate_recordset")),
    ("json_populate_recordset", |c, a| records::populate_rows(c, a, "json_populate_recordset")),
    ("jsonb_to_recordset", |c, a| records::to_rows(c, a, "jsonb_to_recordset")),
    ("json_to_recordset", |c, a| records::to_rows(c, a, "json_to_recordset")),
    ("json_array_elements_text", |_, a| {
        json_elements(json(a, 0)?, "json_array_elements_text", |value| json_part_text(Some(value)))
    }),
];

/// What a row takes that is made and kept.
const ROW_WORK: usize = 256;

/// Rows of one width that had to be made at once: json text is walked from its start. Their values lie in one vector: a million small
/// ones would take long to give back when the statement stops.
pub(super) fn gathered(rows: impl Iterator<Item = Result<Vec<Datum>>>) -> Result<RowIter> {
    let (mut values, mut count, mut width) = (vec![], 0, 0);
    for row in stop::each(rows, ROW_WORK) {
        let row = row??;
        (count, width) = (count + 1, row.len());
        values.extend(row);
    }
    let mut values = values.into_iter();
    Ok(Box::new((0..count).map(move |_: usize| Ok(values.by_ref().take(width).collect()))))
}

fn members(json: Jsonb, value: fn(JsonbRef<'_>) -> Datum) -> RowIter {
    let count = json.as_ref().len();
    Box::new((0..count).map(move |index| {
        let (key, member) = json.as_ref().member(index).unwrap_or(("", JsonbRef::new(&[])));
        Ok(vec![Datum::text(key), value(member)])
    }))
}

/// `-> index`: a scalar is an array of itself.
fn item(json: JsonbRef<'_>, index: i64) -> Option<JsonbRef<'_>> {
    match json.kind() {
        Kind::Array => json.element(index),
        Kind::Object => None,
        _ => matches!(index, 0 | -1).then_some(json),
    }
}

fn elements(json: Jsonb, value: fn(JsonbRef<'_>) -> Datum) -> RowIter {
    let count = json.as_ref().len() as i64;
    Box::new((0..count).map(move |index| Ok(vec![value(json.as_ref().element(index).unwrap_or(JsonbRef::new(&[])))])))
}

fn json_each(value: JsonText<'_>, column: fn(JsonText<'_>) -> Result<Datum>) -> Result<RowIter> {
    match value.kind() {
        Kind::Object => {}
        Kind::Array => return Err(invalid("cannot deconstruct an array as an object")),
        _ => return Err(invalid("cannot deconstruct a scalar")),
    }
    gathered(value.members().map(|(key, member)| Ok(vec![Datum::Text(key.as_ref().into()), column(member)?])))
}

fn json_elements(value: JsonText<'_>, function: &str, column: fn(JsonText<'_>) -> Result<Datum>) -> Result<RowIter> {
    match value.kind() {
        Kind::Array => gathered(value.elements().map(|element| Ok(vec![column(element)?]))),
        Kind::Object => Err(invalid(format!("cannot call {function} on a non-array"))),
        _ => Err(invalid(format!("cannot call {function} on a scalar"))),
    }
}

fn check_length(kind: Kind) -> Result<()> {
    match kind {
        Kind::Array => Ok(()),
        Kind::Object => Err(invalid("cannot get array length of a non-array")),
        _ => Err(invalid("cannot get array length of a scalar")),
    }
}

fn check_keys(kind: Kind, function: &str) -> Result<()> {
    match kind {
        Kind::Object => Ok(()),
        Kind::Array => Err(invalid(format!("cannot call {function} on an array"))),
        _ => Err(invalid(format!("cannot call {function} on a scalar"))),
    }
}

fn check_elements(kind: Kind) -> Result<()> {
    match kind {
        Kind::Array => Ok(()),
        Kind::Object => Err(invalid("cannot extract elements from an object")),
        _ => Err(invalid("cannot extract elements from a scalar")),
    }
}

fn json_text(context: &CallContext<'_>, args: &[Datum], pretty: bool) -> Result<Datum> {
    let mut out = Vec::new();
    build::write(arg_type(context, 0), &args[0], pretty, context.format, &mut out)?;
    Ok(Datum::text(crate::io::into_string(out)))
}

fn json_build_array(context: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let mut out = vec![b'['];
    for (index, value) in args.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(b", ");
        }
        build::write(arg_type(context, index), value, false, context.format, &mut out)?;
    }
    out.push(b']');
    Ok(Datum::text(crate::io::into_string(out)))
}

fn check_even(args: &[Datum], function: &str) -> Result<()> {
    if args.len().is_multiple_of(2) {
        return Ok(());
    }
    Err(invalid("argument list must have even number of elements")
        .hint(format!("The arguments of {function}() must consist of alternating keys and values.")))
}

fn json_build_object(context: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    check_even(args, "json_build_object")?;
    let mut out = vec![b'{'];
    for (index, pair) in args.chunks_exact(2).enumerate() {
        let [key, value] = pair else { continue };
        if key.is_null() {
            return Err(
                invalid(format!("argument {} cannot be null", index * 2 + 1)).hint("Object keys should be text.")
            );
        }
        if index > 0 {
            out.extend_from_slice(b", ");
        }
        let key = build::key_text(arg_type(context, index * 2), key, context.format)?;
        crate::json::text::write_string(&key, &mut out);
        out.extend_from_slice(b" : ");
        build::write(arg_type(context, index * 2 + 1), value, false, context.format, &mut out)?;
    }
    out.push(b'}');
    Ok(Datum::text(crate::io::into_string(out)))
}

fn jsonb_build_array(context: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let mut out = Builder::new();
    out.begin_array();
    for (index, value) in args.iter().enumerate() {
        build::add(arg_type(context, index), value, context.format, &mut out)?;
    }
    out.end()?;
    jsonb(out.finish()?)
}

fn jsonb_build_object(context: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    check_even(args, "jsonb_build_object")?;
    let mut out = Builder::new();
    out.begin_object();
    for (index, pair) in args.chunks_exact(2).enumerate() {
        let [key, value] = pair else { continue };
        if key.is_null() {
            return Err(invalid(format!("argument {}: key must not be null", index * 2 + 1)));
        }
        out.key(&build::key_text(arg_type(context, index * 2), key, context.format)?);
        build::add(arg_type(context, index * 2 + 1), value, context.format, &mut out)?;
    }
    out.end()?;
    jsonb(out.finish()?)
}

type Pair = (EcoString, Option<EcoString>);

fn pair(key: &Datum, value: &Datum) -> Result<Pair> {
    match key {
        Datum::Text(key) => Ok((key.clone(), (!value.is_null()).then(|| EcoString::from(value.as_str())))),
        _ => Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "null value not allowed for object key")),
    }
}

fn subscript_error(message: &str) -> SqlError {
    SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, message)
}

/// `json_object(text[])`: keys and values in turn, or rows of two columns.
fn pairs_of_one(array: &Datum) -> Result<Vec<Pair>> {
    let array = array.as_array();
    match array.dims.as_slice() {
        [] => return Ok(vec![]),
        [only] if only.len % 2 != 0 => return Err(subscript_error("array must have even number of elements")),
        [_] => {}
        [_, columns] if columns.len != 2 => return Err(subscript_error("array must have two columns")),
        [_, _] => {}
        _ => return Err(subscript_error("wrong number of array subscripts")),
    }
    array.values.chunks_exact(2).map(|two| pair(&two[0], &two[1])).collect()
}

fn pairs_of_two(keys: &Datum, values: &Datum) -> Result<Vec<Pair>> {
    let (keys, values) = (keys.as_array(), values.as_array());
    if keys.dims.len() > 1 || values.dims.len() > 1 {
        return Err(subscript_error("wrong number of array subscripts"));
    }
    if keys.values.len() != values.values.len() {
        return Err(subscript_error("mismatched array dimensions"));
    }
    keys.values.iter().zip(&values.values).map(|(key, value)| pair(key, value)).collect()
}

fn object_text(pairs: &[Pair]) -> String {
    let mut out = vec![b'{'];
    for (index, (key, value)) in pairs.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(b", ");
        }
        crate::json::text::write_string(key, &mut out);
        out.extend_from_slice(b" : ");
        match value {
            Some(value) => crate::json::text::write_string(value, &mut out),
            None => out.extend_from_slice(b"null"),
        }
    }
    out.push(b'}');
    crate::io::into_string(out)
}

fn object_binary(pairs: &[Pair]) -> Result<Jsonb> {
    let mut out = Builder::new();
    out.begin_object();
    for (key, value) in pairs {
        out.key(key);
        match value {
            Some(value) => out.string(value),
            None => out.null(),
        }
    }
    out.end()?;
    out.finish()
}

fn jsonb_set(target: JsonbRef<'_>, steps: &Datum, value: JsonbRef<'_>, creates: bool) -> Result<Datum> {
    jsonb(ops::change_at(target, &path::steps_to_write(steps.as_array())?, Change::Set { value, creates })?)
}

/// As `jsonb_set`, with a choice of what an SQL NULL as the new value means.
fn jsonb_set_lax(args: &[Datum]) -> Result<Datum> {
    let [target, steps, value, creates, treatment] = args else {
        return Err(SqlError::internal("jsonb_set_lax takes five arguments"));
    };
    if target.is_null() || steps.is_null() || creates.is_null() {
        return Ok(Datum::Null);
    }
    let unknown = || {
        invalid(
            "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"",
        )
    };
    if treatment.is_null() {
        return Err(unknown());
    }
    let document = target.as_jsonb().as_ref();
    if !value.is_null() {
        return jsonb_set(document, steps, value.as_jsonb().as_ref(), creates.as_bool());
    }
    match treatment.as_str() {
        "use_json_null" => jsonb_set(document, steps, Jsonb::parse("null")?.as_ref(), creates.as_bool()),
        "delete_key" => jsonb(ops::change_at(document, &path::steps_to_write(steps.as_array())?, Change::Delete)?),
        "return_target" => Ok(target.clone()),
        "raise_exception" => Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "JSON value must not be null")
            .detail("Exception was raised because null_value_treatment is \"raise_exception\".")
            .hint(
                "To avoid, either change the null_value_treatment argument or ensure that an SQL NULL is not passed.",
            )),
        _ => Err(unknown()),
    }
}

/// `json_strip_nulls` gives a text without blanks, with strings written anew.
fn json_strip_nulls(value: JsonText<'_>) -> Result<Datum> {
    fn strip(value: JsonText<'_>, out: &mut Vec<u8>) {
        match value.kind() {
            Kind::Object => {
                out.push(b'{');
                for (index, (key, member)) in value.members().filter(|(_, m)| m.kind() != Kind::Null).enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    crate::json::text::write_string(&key, out);
                    out.push(b':');
                    strip(member, out);
                }
                out.push(b'}');
            }
            Kind::Array => {
                out.push(b'[');
                for (index, element) in value.elements().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    strip(element, out);
                }
                out.push(b']');
            }
            Kind::String => {
                crate::json::text::write_string(&value.to_sql_text().unwrap_or_default(), out);
            }
            _ => out.extend_from_slice(value.as_str().as_bytes()),
        }
    }
    let mut out = Vec::with_capacity(value.as_str().len());
    // The parser has bounded the depth when the text became a json.
    strip(value, &mut out);
    Ok(Datum::text(crate::io::into_string(out)))
}

#[cold]
fn cannot_cast(value: JsonbRef<'_>, target: Oid) -> SqlError {
    let kind = match value.kind() {
        Kind::Null => "null",
        Kind::Bool => "boolean",
        Kind::Number => "numeric",
        Kind::String => "string",
        Kind::Array => "array",
        Kind::Object => "object",
    };
    invalid(format!("cannot cast jsonb {kind} to type {}", typename::format_type(target, None)))
}

fn number(value: JsonbRef<'_>, target: Oid) -> Result<Datum> {
    value.as_number().map(Datum::Numeric).ok_or_else(|| cannot_cast(value, target))
}

fn cast_number(context: &CallContext<'_>, value: JsonbRef<'_>, target: Oid, symbol: &str) -> Result<Datum> {
    let number = number(value, target)?;
    match super::scalar(symbol) {
        Some(cast) => cast(context, &[number]),
        None => Err(SqlError::internal(format!("there is no function {symbol}"))),
    }
}

mod records;
#[cfg(test)]
mod tests;
