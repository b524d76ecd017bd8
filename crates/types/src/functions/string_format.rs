//! Functions that put strings together or take them apart: `format`, `concat`, quoting, `string_to_array`, identifiers,
//! Unicode forms. Functions over VARIADIC "any" get their arguments spread out.

use super::strings::{CHAR_WORK, STRING_SIZE_MAX, check_size, mapped, places_of, shown, text, too_large};
use super::{RowIter, ScalarFn, SetFn};
use crate::array::Array;
use crate::io::strings::{push, push_repeated};
use crate::{CallContext, Datum, FormatSettings, Result, SqlError, SqlState, SqlType, io, oid, stop};
use ecow::EcoString;
use std::sync::Arc;
use unicode_normalization::UnicodeNormalization;

fn s(args: &[Datum], index: usize) -> &str {
    args[index].as_str()
}

#[cold]
fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

pub const SCALARS: &[(&str, ScalarFn)] = &[
    ("text_concat", |c, a| {
        let mut out = EcoString::new();
        for index in (0..a.len()).filter(|index| !a[*index].is_null()) {
            add_shown(c, a, index, &mut out)?;
        }
        text(out)
    }),
    ("text_concat_ws", |c, a| {
        if a[0].is_null() {
            return Ok(Datum::Null);
        }
        let mut out = EcoString::new();
        let mut is_first = true;
        for index in (1..a.len()).filter(|index| !a[*index].is_null()) {
            if !std::mem::take(&mut is_first) {
                out.push_str(s(a, 0));
            }
            add_shown(c, a, index, &mut out)?;
        }
        text(out)
    }),
    ("text_format", format),
    ("text_format_nv", format),
    ("quote_ident", |_, a| text(quote_ident(s(a, 0)))),
    ("quote_literal", |_, a| text(quote_literal(s(a, 0))?)),
    ("quote_literal(anyelement)", |c, a| text(quote_literal(&shown(c, a, 0)?)?)),
    ("quote_nullable", |_, a| text(if a[0].is_null() { "NULL".into() } else { quote_literal(s(a, 0))? })),
    ("quote_nullable(anyelement)", |c, a| {
        text(if a[0].is_null() { "NULL".into() } else { quote_literal(&shown(c, a, 0)?)? })
    }),
    ("text_to_array", |_, a| split_array(a, None)),
    ("text_to_array_null", |_, a| split_array(a, a[2].as_str_or_null())),
    ("array_to_text", |c, a| array_to_text(a[0].as_array(), s(a, 1), None, c.format)),
    ("array_to_text_null", |c, a| {
        if a[0].is_null() || a[1].is_null() {
            return Ok(Datum::Null);
        }
        array_to_text(a[0].as_array(), s(a, 1), a[2].as_str_or_null(), c.format)
    }),
    ("parse_ident", |_, a| parse_ident(s(a, 0), a[1].as_bool())),
    ("unistr", |_, a| unistr(s(a, 0))),
    ("unicode_normalize_func", |_, a| {
        let value = s(a, 0);
        match Form::parse(s(a, 1))? {
            Form::Nfc => in_form(value.nfc()),
            Form::Nfd => in_form(value.nfd()),
            Form::Nfkc => in_form(value.nfkc()),
            Form::Nfkd => in_form(value.nfkd()),
        }
    }),
    ("unicode_is_normalized", |_, a| {
        let value = s(a, 0);
        Ok(Datum::Bool(match Form::parse(s(a, 1))? {
            _ if value.is_ascii() => true,
            Form::Nfc => is_same(value, value.nfc())?,
            Form::Nfd => is_same(value, value.nfd())?,
            Form::Nfkc => is_same(value, value.nfkc())?,
            Form::Nfkd => is_same(value, value.nfkd())?,
        }))
    }),
];

pub const SETS: &[(&str, SetFn)] = &[
    ("text_to_table", |_, a| split_rows(a, None)),
    ("text_to_table_null", |_, a| split_rows(a, a[2].as_str_or_null())),
];

trait OrNull {
    /// The text of a `Text` datum, None for NULL.
    fn as_str_or_null(&self) -> Option<&str>;
}

impl OrNull for Datum {
    fn as_str_or_null(&self) -> Option<&str> {
        if self.is_null() { None } else { Some(self.as_str()) }
    }
}

enum Form {
    Nfc,
    Nfd,
    Nfkc,
    Nfkd,
}

impl Form {
    fn parse(name: &str) -> Result<Form> {
        match name.to_ascii_lowercase().as_str() {
            "nfc" => Ok(Form::Nfc),
            "nfd" => Ok(Form::Nfd),
            "nfkc" => Ok(Form::Nfkc),
            "nfkd" => Ok(Form::Nfkd),
            _ => Err(invalid(format!("invalid normalization form: {name}"))),
        }
    }
}

/// A character that is brought into a normal form.
const FORM_WORK: usize = 64;

fn in_form(chars: impl Iterator<Item = char>) -> Result<Datum> {
    let mut out = String::new();
    for c in stop::each(chars, FORM_WORK) {
        out.push(c?);
    }
    text(out)
}

fn is_same(value: &str, chars: impl Iterator<Item = char>) -> Result<bool> {
    let mut own = value.chars();
    for c in stop::each(chars, FORM_WORK) {
        if Some(c?) != own.next() {
            return Ok(false);
        }
    }
    Ok(own.next().is_none())
}

/// Words that need quotes as identifiers though they are spelled like one: PostgreSQL's keywords but the unreserved ones.
const QUOTED_KEYWORDS: &str = "\
 all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case cast char \
 character check coalesce collate collation column concurrently constraint create cross current_catalog current_date \
 current_role current_schema current_time current_timestamp current_user dec decimal default deferrable desc distinct do \
 else end except exists extract false fetch float for foreign freeze from full grant greatest group grouping having ilike \
 in initially inner inout int integer intersect interval into is isnull join lateral leading least left like limit \
 localtime localtimestamp national natural nchar none normalize not notnull null nullif numeric offset on only or order \
 out outer overlaps overlay placing position precision primary real references returning right row select session_user \
 setof similar smallint some substring symmetric table tablesample then time timestamp to trailing treat trim true union \
 unique user using values varchar variadic verbose when where window with xmlattributes xmlconcat xmlelement xmlexists \
 xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable ";

/// An identifier, in quotes where it would not read back as itself.
pub fn quote_ident(name: &str) -> EcoString {
    let is_plain = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !QUOTED_KEYWORDS.split(' ').any(|word| word == name);
    if is_plain {
        return EcoString::from(name);
    }
    let mut out = EcoString::with_capacity(name.len() + 2);
    out.push('"');
    for c in name.chars() {
        if c == '"' {
            out.push('"');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// A string literal; with backslashes in it an `E''` one.
fn quote_literal(value: &str) -> Result<EcoString> {
    let inside = mapped(value, |piece, out| {
        for c in piece.chars() {
            if matches!(c, '\'' | '\\') {
                out.push(c);
            }
            out.push(c);
        }
    })?;
    let mut out = EcoString::with_capacity(inside.len() + 3);
    out.push_str(if value.contains('\\') { "E'" } else { "'" });
    push(&mut out, &inside)?;
    out.push('\'');
    Ok(out)
}

/// Appends the text form of an argument.
fn add_shown(context: &CallContext<'_>, args: &[Datum], index: usize, out: &mut EcoString) -> Result<()> {
    let value = shown(context, args, index)?;
    check_size(out.len() + value.len())?;
    push(out, &value)
}

/// The characters of a format string, read one by one.
struct Specifiers<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
}

#[cold]
fn unterminated() -> SqlError {
    invalid("unterminated format() type specifier").hint("For a single \"%\" use \"%%\".")
}

impl Specifiers<'_> {
    fn next(&mut self) -> Result<char> {
        self.rest.next().ok_or_else(unterminated)
    }
    fn number(&mut self) -> Result<Option<i32>> {
        let mut value: Option<i32> = None;
        while let Some(digit) = self.rest.peek().and_then(|c| c.to_digit(10)) {
            let wider = value.unwrap_or(0).checked_mul(10).and_then(|v| v.checked_add(digit as i32));
            value = Some(
                wider.ok_or_else(|| SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "number is out of range"))?,
            );
            self.rest.next();
        }
        if self.rest.peek().is_none() { Err(unterminated()) } else { Ok(value) }
    }
}

#[cold]
fn argument_zero() -> SqlError {
    invalid("format specifies argument 0, but arguments are numbered from 1")
}

/// `format(text, …)`: `%s %I %L %%`, positions `1$`, widths, `-` for left-justified.
fn format(context: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    if args[0].is_null() {
        return Ok(Datum::Null);
    }
    let mut input = Specifiers { rest: s(args, 0).chars().peekable() };
    let mut out = EcoString::new();
    // The argument used last; positions do not count from 0, which is the format itself.
    let mut last = 0_usize;
    while let Some(c) = input.rest.next() {
        stop::spent(CHAR_WORK)?;
        if c != '%' {
            out.push(c);
            continue;
        }
        if input.rest.peek().is_none() {
            return Err(unterminated());
        }
        if input.rest.next_if_eq(&'%').is_some() {
            out.push('%');
            continue;
        }
        let spec = specifier(&mut input)?;
        let width = match spec.width {
            Width::None => 0,
            Width::Given(width) => width,
            Width::Argument(position) => width_argument(args, position, &mut last)?,
        };
        let is_left = spec.is_left || width < 0;
        let kind = input.next()?;
        if !matches!(kind, 's' | 'I' | 'L') {
            return Err(invalid(format!("unrecognized format() type specifier \"{kind}\""))
                .hint("For a single \"%\" use \"%%\"."));
        }
        let index = argument(args, spec.position, &mut last)?;
        let value = match (args[index].is_null(), kind) {
            (true, 's') => EcoString::new(),
            (true, 'L') => EcoString::from("NULL"),
            (true, _) => {
                return Err(SqlError::new(
                    SqlState::NULL_VALUE_NOT_ALLOWED,
                    "null values cannot be formatted as an SQL identifier",
                ));
            }
            (false, 's') => shown(context, args, index)?,
            (false, 'I') => quote_ident(&shown(context, args, index)?),
            (false, _) => quote_literal(&shown(context, args, index)?)?,
        };
        let missing = (width.unsigned_abs() as usize).saturating_sub(value.chars().count());
        check_size(out.len() + missing + value.len())?;
        if !is_left {
            push_repeated(&mut out, " ", missing)?;
        }
        push(&mut out, &value)?;
        if is_left {
            push_repeated(&mut out, " ", missing)?;
        }
    }
    text(out)
}

enum Width {
    None,
    Given(i32),
    /// `*` or `*n$`.
    Argument(Option<usize>),
}

struct Specifier {
    position: Option<usize>,
    is_left: bool,
    width: Width,
}

fn specifier(input: &mut Specifiers<'_>) -> Result<Specifier> {
    let mut spec = Specifier { position: None, is_left: false, width: Width::None };
    if let Some(number) = input.number()? {
        if input.rest.next_if_eq(&'$').is_none() {
            // A number without `$` is the width, and nothing may follow it but the type.
            spec.width = Width::Given(number);
            return Ok(spec);
        }
        if number == 0 {
            return Err(argument_zero());
        }
        spec.position = usize::try_from(number).ok();
        if input.rest.peek().is_none() {
            return Err(unterminated());
        }
    }
    while input.rest.next_if_eq(&'-').is_some() {
        spec.is_left = true;
        if input.rest.peek().is_none() {
            return Err(unterminated());
        }
    }
    if input.rest.next_if_eq(&'*').is_some() {
        if input.rest.peek().is_none() {
            return Err(unterminated());
        }
        let number = input.number()?;
        match number {
            None => spec.width = Width::Argument(None),
            Some(number) => {
                if number == 0 {
                    return Err(argument_zero());
                }
                if input.rest.next_if_eq(&'$').is_none() {
                    return Err(invalid("width argument position must be ended by \"$\""));
                }
                spec.width = Width::Argument(usize::try_from(number).ok());
                if input.rest.peek().is_none() {
                    return Err(unterminated());
                }
            }
        }
    } else if let Some(width) = input.number()? {
        spec.width = Width::Given(width);
    }
    Ok(spec)
}

/// The index of the argument to use: the one named, or the one behind the last.
fn argument(args: &[Datum], position: Option<usize>, last: &mut usize) -> Result<usize> {
    let index = position.unwrap_or(*last + 1);
    if index >= args.len() {
        return Err(invalid("too few arguments for format()"));
    }
    *last = index;
    Ok(index)
}

fn width_argument(args: &[Datum], position: Option<usize>, last: &mut usize) -> Result<i32> {
    let index = argument(args, position, last)?;
    match &args[index] {
        Datum::Null => Ok(0),
        Datum::Int4(width) => Ok(*width),
        Datum::Int2(width) => Ok(i32::from(*width)),
        Datum::Int8(width) => i32::try_from(*width)
            .map_err(|_| SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range")),
        Datum::Text(width) => match io::input(SqlType::INT4, width, &FormatSettings::default())? {
            Datum::Int4(width) => Ok(width),
            _ => Ok(0),
        },
        _ => Err(invalid("width of format() must be an integer")),
    }
}

/// A part of a string as a value of its own.
const PART_WORK: usize = 32;

/// Hands over the parts of a string; an empty delimiter gives the whole, none (NULL) every character. None for an empty string.
fn split<'v>(value: &'v str, delimiter: Option<&'v str>, mut add: impl FnMut(&'v str) -> Result<()>) -> Result<()> {
    match delimiter {
        _ if value.is_empty() => Ok(()),
        None => value.char_indices().try_for_each(|(at, c)| add(&value[at..at + c.len_utf8()])),
        Some(delimiter) => {
            let mut start = 0;
            for place in places_of(delimiter, value) {
                let end = place?;
                add(&value[start..end])?;
                start = end + delimiter.len();
            }
            add(&value[start..])
        }
    }
}

fn split_values(args: &[Datum], null: Option<&str>) -> Result<Option<Vec<Datum>>> {
    let Some(value) = args[0].as_str_or_null() else { return Ok(None) };
    let mut parts = Vec::new();
    split(value, args[1].as_str_or_null(), |part| {
        stop::spent(PART_WORK + part.len())?;
        parts.push(if Some(part) == null { Datum::Null } else { Datum::text(part) });
        Ok(())
    })?;
    Ok(Some(parts))
}

fn split_array(args: &[Datum], null: Option<&str>) -> Result<Datum> {
    Ok(match split_values(args, null)? {
        Some(values) => Datum::Array(Arc::new(Array::from_values(oid::TEXT, values))),
        None => Datum::Null,
    })
}

fn split_rows(args: &[Datum], null: Option<&str>) -> Result<RowIter> {
    let values = split_values(args, null)?.unwrap_or_default();
    Ok(Box::new(values.into_iter().map(|value| Ok(vec![value]))))
}

fn array_to_text(array: &Array, delimiter: &str, null: Option<&str>, format: &FormatSettings) -> Result<Datum> {
    let ty = SqlType::new(array.element);
    let mut out = Vec::new();
    let mut is_first = true;
    for value in stop::each(array.values.iter(), PART_WORK) {
        let value = value?;
        let null = match (value.is_null(), null) {
            (true, None) => continue,
            (true, Some(null)) => Some(null),
            (false, _) => None,
        };
        if !std::mem::take(&mut is_first) {
            out.extend_from_slice(delimiter.as_bytes());
        }
        match null {
            Some(null) => out.extend_from_slice(null.as_bytes()),
            None => io::output(ty, value, format, &mut out),
        }
        if out.len() > STRING_SIZE_MAX {
            return Err(too_large());
        }
    }
    stop::whole()?;
    text(io::into_string(out))
}

/// The parts of a qualified name, folded to lower case where they have no quotes.
fn parse_ident(name: &str, is_strict: bool) -> Result<Datum> {
    let bad = || invalid(format!("string is not a valid identifier: \"{name}\""));
    let is_space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}');
    let mut rest = name.trim_start_matches(is_space);
    let mut parts: Vec<Datum> = Vec::new();
    let mut is_after_dot = false;
    loop {
        stop::spent(PART_WORK)?;
        let Some(first) = rest.chars().next() else {
            return Err(if is_after_dot { bad().detail("No valid identifier after \".\".") } else { bad() });
        };
        if first == '"' {
            let mut part = String::new();
            let mut chars = rest.char_indices().skip(1).peekable();
            let end = loop {
                match chars.next() {
                    None => return Err(bad().detail("String has unclosed double quotes.")),
                    Some((_, '"')) if chars.next_if(|(_, c)| *c == '"').is_some() => part.push('"'),
                    Some((at, '"')) => break at + 1,
                    Some((_, c)) => part.push(c),
                }
            };
            if part.is_empty() {
                return Err(bad().detail("Quoted identifier must not be empty."));
            }
            parts.push(Datum::text(part));
            rest = &rest[end..];
        } else if first.is_ascii_alphabetic() || first == '_' || !first.is_ascii() {
            let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$') || !c.is_ascii();
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            parts.push(Datum::text(rest[..end].to_ascii_lowercase()));
            rest = &rest[end..];
        } else {
            return Err(match first {
                '.' => bad().detail("No valid identifier before \".\"."),
                _ if is_after_dot => bad().detail("No valid identifier after \".\"."),
                _ => bad(),
            });
        }
        rest = rest.trim_start_matches(is_space);
        match rest.strip_prefix('.') {
            Some(more) => {
                rest = more.trim_start_matches(is_space);
                is_after_dot = true;
            }
            None if rest.is_empty() || !is_strict => break,
            None => return Err(bad()),
        }
    }
    Ok(Datum::Array(Arc::new(Array::from_values(oid::TEXT, parts))))
}

/// Resolves `\XXXX`, `\uXXXX`, `\+XXXXXX`, `\UXXXXXXXX` and `\\`.
fn unistr(value: &str) -> Result<Datum> {
    let syntax = |message: &str| SqlError::new(SqlState::SYNTAX_ERROR, message);
    let bad_escape =
        || syntax("invalid Unicode escape").hint("Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.");
    let bad_pair = || syntax("invalid Unicode surrogate pair");
    let mut out = EcoString::with_capacity(value.len());
    let mut high: Option<u32> = None;
    let mut rest = value;
    while let Some(c) = rest.chars().next() {
        stop::spent(CHAR_WORK)?;
        if c != '\\' || rest.starts_with("\\\\") {
            if high.is_some() {
                return Err(bad_pair());
            }
            out.push(c);
            rest = &rest[if c == '\\' { 2 } else { c.len_utf8() }..];
            continue;
        }
        let (start, digits) = match rest.as_bytes().get(1) {
            Some(b'u') => (2, 4),
            Some(b'+') => (2, 6),
            Some(b'U') => (2, 8),
            _ => (1, 4),
        };
        let text = rest.get(start..start + digits).filter(|t| t.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = text.and_then(|t| u32::from_str_radix(t, 16).ok()).ok_or_else(bad_escape)?;
        rest = &rest[start + digits..];
        match (code, high.take()) {
            (0xd800..=0xdbff, None) => high = Some(code),
            (0xdc00..=0xdfff, Some(first)) => {
                out.extend(char::from_u32(0x10000 + ((first - 0xd800) << 10) + (code - 0xdc00)));
            }
            (0xd800..=0xdfff, _) | (_, Some(_)) => return Err(bad_pair()),
            (0, _) => return Err(invalid("invalid Unicode code point: 0000")),
            (code, None) => {
                out.push(
                    char::from_u32(code).ok_or_else(|| invalid(format!("invalid Unicode code point: {code:04X}")))?,
                );
            }
        }
    }
    if high.is_some() { Err(bad_pair()) } else { text(out) }
}
