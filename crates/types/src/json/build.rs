//! SQL values to JSON and back: what `to_json`, `json_build_*`, `row_to_json`, the aggregates and `json_populate_record` do.
//!
//! A value becomes JSON by its type: booleans, numbers, json itself, arrays and rows in kind; times in ISO 8601 whatever
//! DateStyle says; everything else as the string of its text form.

use super::text::{JsonText, write_string};
use super::{Builder, Jsonb, JsonbRef, Kind, too_deep};
use crate::array::{Array, Dimension};
use crate::context::DateStyle;
use crate::numeric::Numeric;
use crate::{Datum, FormatSettings, Record, Result, SqlError, SqlState, SqlType, io, oid, stop};
use ecow::EcoString;
use std::sync::Arc;

/// A value that becomes JSON.
const VALUE_WORK: usize = 64;

/// Rows and arrays inside each other on the way to JSON.
const NESTING_MAX: usize = super::DEPTH_MAX;

/// Whether `text` is a JSON number: NaN and infinities are not.
fn is_json_number(text: &[u8]) -> bool {
    text.last().is_some_and(u8::is_ascii_digit)
}

/// The text of a date or time as JSON has it: ISO 8601 with `T`, and a zone with minutes.
fn write_time(ty: SqlType, value: &Datum, format: &FormatSettings, out: &mut Vec<u8>) {
    let iso = FormatSettings { date_style: DateStyle::Iso, ..format.clone() };
    let mut text = Vec::with_capacity(40);
    io::output(ty, value, &iso, &mut text);
    let text = io::into_string(text);
    let Some((date, rest)) = text.split_once(' ').filter(|_| !matches!(value, Datum::Date(_))) else {
        return out.extend_from_slice(text.as_bytes());
    };
    out.extend_from_slice(date.as_bytes());
    out.push(b'T');
    let (time, era) = rest.split_once(' ').map_or((rest, None), |(time, era)| (time, Some(era)));
    out.extend_from_slice(time.as_bytes());
    if matches!(value, Datum::TimestampTz(_)) && time.rfind(['+', '-']).is_some_and(|at| time.len() - at == 3) {
        out.extend_from_slice(b":00");
    }
    if let Some(era) = era {
        out.push(b' ');
        out.extend_from_slice(era.as_bytes());
    }
}

/// The text that a value is as a JSON string.
fn string_text(ty: SqlType, value: &Datum, format: &FormatSettings) -> EcoString {
    match value {
        Datum::Text(text) => text.clone(),
        Datum::Date(_) | Datum::Timestamp(_) | Datum::TimestampTz(_) => {
            let mut out = Vec::new();
            write_time(ty, value, format, &mut out);
            EcoString::from(io::into_string(out))
        }
        _ => io::to_text(ty, value, format),
    }
}

/// Appends a value as json text, as `to_json` gives it. `pretty` breaks lines inside arrays and rows of the first level.
pub fn write(ty: SqlType, value: &Datum, pretty: bool, format: &FormatSettings, out: &mut Vec<u8>) -> Result<()> {
    write_nested(ty, value, pretty, format, out, NESTING_MAX)
}

fn write_nested(
    ty: SqlType,
    value: &Datum,
    pretty: bool,
    format: &FormatSettings,
    out: &mut Vec<u8>,
    depth: usize,
) -> Result<()> {
    let depth = depth.checked_sub(1).ok_or_else(too_deep)?;
    match value {
        Datum::Null => out.extend_from_slice(b"null"),
        Datum::Bool(v) => out.extend_from_slice(if *v { b"true" } else { b"false" }),
        Datum::Int2(_) | Datum::Int4(_) | Datum::Float4(_) | Datum::Float8(_) | Datum::Numeric(_) => {
            write_number(ty, value, format, out);
        }
        Datum::Int8(_) if ty.oid == oid::INT8 => write_number(ty, value, format, out),
        Datum::Text(text) if ty.oid == oid::JSON => out.extend_from_slice(text.as_bytes()),
        Datum::Jsonb(json) => json.as_ref().write_text(out),
        Datum::Array(array) if !matches!(ty.oid, oid::INT2VECTOR | oid::OIDVECTOR) => {
            write_array(array, pretty, format, out, depth)?;
        }
        Datum::Array(array) => write_array(array, false, format, out, depth)?,
        Datum::Record(record) => write_record(record, pretty, format, out, depth)?,
        _ => write_string(&string_text(ty, value, format), out),
    }
    stop::spent(VALUE_WORK)?;
    stop::whole()
}

fn write_number(ty: SqlType, value: &Datum, format: &FormatSettings, out: &mut Vec<u8>) {
    let start = out.len();
    io::output(ty, value, format, out);
    if !is_json_number(out.get(start..).unwrap_or_default()) {
        out.insert(start, b'"');
        out.push(b'"');
    }
}

fn write_array(array: &Array, pretty: bool, format: &FormatSettings, out: &mut Vec<u8>, depth: usize) -> Result<()> {
    if array.values.is_empty() {
        out.extend_from_slice(b"[]");
        return Ok(());
    }
    write_dimension(array, &array.dims, &array.values, pretty, format, out, depth)
}

fn write_dimension(
    array: &Array,
    dims: &[Dimension],
    values: &[Datum],
    pretty: bool,
    format: &FormatSettings,
    out: &mut Vec<u8>,
    depth: usize,
) -> Result<()> {
    let separator: &[u8] = if pretty { b",\n " } else { b"," };
    let element = SqlType::new(array.element);
    out.push(b'[');
    let is_innermost = dims.len() <= 1;
    let count =
        if is_innermost { values.len() } else { dims.first().map_or(0, |d| usize::try_from(d.len).unwrap_or(0)) };
    let size = values.len().checked_div(count).unwrap_or(0);
    for index in 0..count {
        if index > 0 {
            out.extend_from_slice(separator);
        }
        let part = values.get(index * size..(index + 1) * size).unwrap_or_default();
        match (is_innermost, part) {
            (true, [value]) => write_nested(element, value, false, format, out, depth)?,
            _ => write_dimension(array, dims.get(1..).unwrap_or_default(), part, false, format, out, depth)?,
        }
    }
    out.push(b']');
    Ok(())
}

/// The name of a row's column, `f1` and so on for an anonymous one.
pub fn column_name(record: &Record, index: usize) -> EcoString {
    match record.names.get(index) {
        Some(name) if !name.is_empty() => name.clone(),
        _ => EcoString::from(format!("f{}", index + 1)),
    }
}

fn column_type(record: &Record, index: usize) -> SqlType {
    record.types.get(index).copied().unwrap_or(SqlType::TEXT)
}

fn write_record(record: &Record, pretty: bool, format: &FormatSettings, out: &mut Vec<u8>, depth: usize) -> Result<()> {
    out.push(b'{');
    for (index, value) in record.values.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(if pretty { b",\n " } else { b"," });
        }
        write_string(&column_name(record, index), out);
        out.push(b':');
        write_nested(column_type(record, index), value, false, format, out, depth)?;
    }
    out.push(b'}');
    Ok(())
}

#[cold]
fn key_not_scalar() -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "key value must be scalar, not array, composite, or json")
}

/// The text of a value that is a key. 22023 for arrays, rows and json.
pub fn key_text(ty: SqlType, value: &Datum, format: &FormatSettings) -> Result<EcoString> {
    match value {
        Datum::Array(_) | Datum::Record(_) | Datum::Jsonb(_) => Err(key_not_scalar()),
        Datum::Text(_) if ty.oid == oid::JSON => Err(key_not_scalar()),
        Datum::Bool(v) => Ok(EcoString::from(if *v { "true" } else { "false" })),
        _ => Ok(string_text(ty, value, format)),
    }
}

/// Adds a value to a jsonb that is being built, as `to_jsonb` makes it.
pub fn add(ty: SqlType, value: &Datum, format: &FormatSettings, out: &mut Builder) -> Result<()> {
    stop::spent(VALUE_WORK)?;
    match value {
        Datum::Null => out.null(),
        Datum::Bool(v) => out.bool(*v),
        Datum::Int2(v) => out.int(i64::from(*v)),
        Datum::Int4(v) => out.int(i64::from(*v)),
        Datum::Int8(v) if ty.oid == oid::INT8 => out.int(*v),
        Datum::Numeric(v) if v.is_finite() => out.number(v),
        Datum::Float4(_) | Datum::Float8(_) | Datum::Numeric(_) => {
            let text = io::to_text(ty, value, format);
            match is_json_number(text.as_bytes()) {
                true => out.number(&Numeric::parse(&text)?),
                false => out.string(&text),
            }
        }
        Datum::Text(text) if ty.oid == oid::JSON => super::parse::parse(text, out)?,
        Datum::Jsonb(json) => out.value(json.as_ref()),
        Datum::Array(array) => add_dimension(array, &array.dims, &array.values, format, out)?,
        Datum::Record(record) => {
            out.check_depth()?;
            out.begin_object();
            for (index, value) in record.values.iter().enumerate() {
                out.key(&column_name(record, index));
                add(column_type(record, index), value, format, out)?;
            }
            out.end()?;
        }
        _ => out.string(&string_text(ty, value, format)),
    }
    stop::whole()
}

fn add_dimension(
    array: &Array,
    dims: &[Dimension],
    values: &[Datum],
    format: &FormatSettings,
    out: &mut Builder,
) -> Result<()> {
    out.check_depth()?;
    out.begin_array();
    match dims {
        [first, inner @ ..] if !inner.is_empty() => {
            let size = values.len() / usize::try_from(first.len).unwrap_or(1).max(1);
            values.chunks(size.max(1)).try_for_each(|part| add_dimension(array, inner, part, format, out))?;
        }
        _ => {
            let element = SqlType::new(array.element);
            values.iter().try_for_each(|value| add(element, value, format, out))?;
        }
    }
    out.end()
}

/// `to_jsonb(value)`.
pub fn to_jsonb(ty: SqlType, value: &Datum, format: &FormatSettings) -> Result<Jsonb> {
    let mut out = Builder::new();
    add(ty, value, format, &mut out)?;
    out.finish()
}

/// A part of a document that a row is made from, in either type.
#[derive(Clone)]
pub enum Source<'a> {
    Text(JsonText<'a>),
    Binary(JsonbRef<'a>),
}

impl<'a> Source<'a> {
    pub fn kind(&self) -> Kind {
        match self {
            Source::Text(text) => text.kind(),
            Source::Binary(json) => json.kind(),
        }
    }
    fn get(&self, key: &str) -> Option<Source<'a>> {
        match self {
            Source::Text(text) => text.get(key).map(Source::Text),
            Source::Binary(json) => json.get(key).map(Source::Binary),
        }
    }
    /// Elements of an array.
    pub fn elements(&self) -> Vec<Source<'a>> {
        match self {
            Source::Text(text) => text.elements().map(Source::Text).collect(),
            Source::Binary(json) => json.elements().map(Source::Binary).collect(),
        }
    }
    fn text(&self) -> String {
        match self {
            Source::Text(text) => text.to_sql_text().map_or_else(|| "null".to_owned(), |text| text.into_owned()),
            Source::Binary(json) => json.to_sql_text().unwrap_or_else(|| "null".to_owned()),
        }
    }
    fn json_text(&self) -> String {
        match self {
            Source::Text(text) => text.as_str().to_owned(),
            Source::Binary(json) => json.to_text(),
        }
    }
}

/// Makes a row from an object's members, as `jsonb_populate_record` and `jsonb_to_record` do. A member that is missing
/// leaves the base row's value, or NULL. A member that is an object fills a field that is a row.
pub fn populate(
    types: &[SqlType],
    names: &[EcoString],
    base: Option<&Record>,
    source: &Source<'_>,
    function: &str,
    format: &FormatSettings,
) -> Result<Record> {
    if source.kind() != Kind::Object {
        let what = match source.kind() {
            Kind::Array => "an array",
            _ => "a scalar",
        };
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("cannot call {function} on {what}")));
    }
    let mut values = Vec::with_capacity(types.len());
    for (index, ty) in types.iter().enumerate() {
        let name = names.get(index).map_or("", |name| name.as_str());
        let old = base.and_then(|base| base.values.get(index));
        values.push(match source.get(name) {
            Some(member) => from_json(*ty, &member, name, old, format)?,
            None => old.cloned().unwrap_or(Datum::Null),
        });
    }
    Ok(Record { types: types.to_vec(), names: names.to_vec(), values })
}

/// A member as a value of a type. `old` is what it replaces: fields of a row that the document does not have stay.
fn from_json(
    ty: SqlType,
    source: &Source<'_>,
    key: &str,
    old: Option<&Datum>,
    format: &FormatSettings,
) -> Result<Datum> {
    let kind = source.kind();
    match (ty.oid, source) {
        // Not the SQL NULL: a json column holds JSON's null; but PostgreSQL makes it NULL all the same.
        _ if kind == Kind::Null => Ok(Datum::Null),
        (oid::JSONB, Source::Binary(json)) => Ok(Datum::Jsonb((*json).to_owned())),
        (oid::JSONB, Source::Text(text)) => Ok(Datum::Jsonb(Jsonb::parse(text.as_str())?)),
        (oid::JSON, source) => Ok(Datum::Text(source.json_text().into())),
        _ => match ty.element() {
            Some(element) if kind == Kind::Array => array_from_json(element, source, key, format),
            Some(_) if kind != Kind::String => {
                Err(SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "expected JSON array")
                    .hint(format!("See the value of key \"{key}\".")))
            }
            _ if kind == Kind::String => io::input(ty, &source.text(), format),
            _ => match format.user_types.get().and_then(|types| types.fields(ty.oid)) {
                Some(fields) => row_from_json(fields, source, old, format),
                None => io::input(ty, &source.text(), format),
            },
        },
    }
}

fn row_from_json(
    fields: Vec<(String, SqlType)>,
    source: &Source<'_>,
    old: Option<&Datum>,
    format: &FormatSettings,
) -> Result<Datum> {
    let (names, types): (Vec<EcoString>, Vec<SqlType>) =
        fields.into_iter().map(|(name, ty)| (EcoString::from(name), ty)).unzip();
    let base = match old {
        Some(Datum::Record(base)) => Some(&**base),
        _ => None,
    };
    Ok(Datum::Record(Arc::new(populate(&types, &names, base, source, "populate_composite", format)?)))
}

fn array_from_json(element: SqlType, source: &Source<'_>, key: &str, format: &FormatSettings) -> Result<Datum> {
    let mut dims: Vec<Dimension> = Vec::new();
    let mut values = Vec::new();
    gather(element, source, key, 0, &mut dims, &mut values, format)?;
    if values.is_empty() {
        dims.clear();
    }
    Ok(Datum::Array(Arc::new(Array { element: element.oid, dims, values })))
}

/// Collects the values of nested JSON arrays; sub-arrays of one level must have one length.
fn gather(
    element: SqlType,
    source: &Source<'_>,
    key: &str,
    level: usize,
    dims: &mut Vec<Dimension>,
    values: &mut Vec<Datum>,
    format: &FormatSettings,
) -> Result<()> {
    let malformed = || {
        SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "malformed JSON array")
            .detail("Multidimensional arrays must have sub-arrays with matching dimensions.")
    };
    let parts = source.elements();
    match dims.get(level) {
        Some(d) if d.len != parts.len() as i32 => return Err(malformed()),
        Some(_) => {}
        None if level >= crate::array::DIMENSIONS_MAX => return Err(io::array::too_many_dimensions(level + 1)),
        None => dims.push(Dimension { len: parts.len() as i32, lower: 1 }),
    }
    let is_json = matches!(element.oid, oid::JSON | oid::JSONB);
    for (index, part) in parts.iter().enumerate() {
        // The first element says whether this is the innermost level.
        let is_nested = !is_json && part.kind() == Kind::Array;
        let goes_deeper = if index == 0 && values.is_empty() { is_nested } else { dims.len() > level + 1 };
        match (is_nested, goes_deeper) {
            (true, true) => gather(element, part, key, level + 1, dims, values, format)?,
            (false, false) => values.push(from_json(element, part, key, None, format)?),
            _ => return Err(malformed()),
        }
    }
    Ok(())
}
