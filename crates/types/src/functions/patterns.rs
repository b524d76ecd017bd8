//! LIKE, SIMILAR TO and the regular expression functions. The matching itself is in `crate::text`.

use super::strings::{STRING_SIZE_MAX, count, int, text, too_large};
use super::{RowIter, ScalarFn, SetFn};
use crate::array::Array;
use crate::io::strings::end_of_chars;
use crate::text::like::{self, Mode};
use crate::text::regex::{self, Groups, Options, Pattern};
use crate::{Datum, Result, SqlError, SqlState, oid};
use ecow::EcoString;
use std::sync::Arc;

fn s(args: &[Datum], index: usize) -> &str {
    args[index].as_str()
}

#[cold]
fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn is_like(args: &[Datum], mode: Mode, expected: bool) -> Result<Datum> {
    let (value, pattern) = match mode {
        Mode::Bytes => (args[0].as_bytes(), args[1].as_bytes()),
        _ => (s(args, 0).as_bytes(), s(args, 1).as_bytes()),
    };
    Ok(Datum::Bool(like::matches(value, pattern, mode)? == expected))
}

fn is_match(args: &[Datum], ignore_case: bool, expected: bool) -> Result<Datum> {
    let options = Options { ignore_case, ..Options::default() };
    Ok(Datum::Bool(regex::compiled(s(args, 1), options)?.is_match(s(args, 0))? == expected))
}

pub const LIKES: &[(&str, ScalarFn)] = &[
    ("textlike", |_, a| is_like(a, Mode::Text, true)),
    ("textnlike", |_, a| is_like(a, Mode::Text, false)),
    ("namelike", |_, a| is_like(a, Mode::Text, true)),
    ("namenlike", |_, a| is_like(a, Mode::Text, false)),
    ("bytealike", |_, a| is_like(a, Mode::Bytes, true)),
    ("byteanlike", |_, a| is_like(a, Mode::Bytes, false)),
    ("texticlike", |_, a| is_like(a, Mode::TextIgnoringCase, true)),
    ("texticnlike", |_, a| is_like(a, Mode::TextIgnoringCase, false)),
    ("nameiclike", |_, a| is_like(a, Mode::TextIgnoringCase, true)),
    ("nameicnlike", |_, a| is_like(a, Mode::TextIgnoringCase, false)),
    ("like_escape", |_, a| text(like::with_escape(s(a, 0), s(a, 1))?.as_ref())),
    ("like_escape_bytea", |_, a| Ok(Datum::bytea(like::with_escape_bytes(a[0].as_bytes(), a[1].as_bytes())?))),
    ("textregexeq", |_, a| is_match(a, false, true)),
    ("textregexne", |_, a| is_match(a, false, false)),
    ("texticregexeq", |_, a| is_match(a, true, true)),
    ("texticregexne", |_, a| is_match(a, true, false)),
    ("nameregexeq", |_, a| is_match(a, false, true)),
    ("nameregexne", |_, a| is_match(a, false, false)),
    ("nameicregexeq", |_, a| is_match(a, true, true)),
    ("nameicregexne", |_, a| is_match(a, true, false)),
    ("similar_to_escape_1", |_, a| text(regex::similar_to_regex(s(a, 0), None)?)),
    ("similar_to_escape_2", |_, a| text(regex::similar_to_regex(s(a, 0), Some(s(a, 1)))?)),
    ("similar_escape", |_, a| {
        if a[0].is_null() {
            return Ok(Datum::Null);
        }
        let escape = if a[1].is_null() { None } else { Some(s(a, 1)) };
        text(regex::similar_to_regex(s(a, 0), escape)?)
    }),
];

pub const REGEXES: &[(&str, ScalarFn)] = &[
    ("textregexsubstr", |_, a| first_part(s(a, 0), s(a, 1))),
    ("substring(text,text,text)", |_, a| first_part(s(a, 0), &regex::similar_to_regex(s(a, 1), Some(s(a, 2)))?)),
    ("regexp_match_no_flags", |_, a| regexp_match(a)),
    ("regexp_match", |_, a| regexp_match(a)),
    ("textregexreplace_noopt", |_, a| Replace::new(s(a, 0), s(a, 1), s(a, 2), "")?.run()),
    ("textregexreplace", |_, a| {
        // A number here was most likely meant as the start.
        if s(a, 3).starts_with(|c: char| c.is_ascii_digit()) {
            return Err(bad_option(s(a, 3).chars().next().unwrap_or(' ')).hint(
                "If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer explicitly.",
            ));
        }
        Replace::new(s(a, 0), s(a, 1), s(a, 2), s(a, 3))?.run()
    }),
    ("textregexreplace_extended", |_, a| {
        let replace = Replace::new(s(a, 0), s(a, 1), s(a, 2), s(a, 5))?;
        replace.at(int(a, 3), Some(int(a, 4)))?.run()
    }),
    ("textregexreplace_extended_no_flags", |_, a| {
        Replace::new(s(a, 0), s(a, 1), s(a, 2), "")?.at(int(a, 3), Some(int(a, 4)))?.run()
    }),
    ("textregexreplace_extended_no_n", |_, a| Replace::new(s(a, 0), s(a, 1), s(a, 2), "")?.at(int(a, 3), None)?.run()),
    ("regexp_split_to_array_no_flags", |_, a| split_array(a)),
    ("regexp_split_to_array", |_, a| split_array(a)),
    ("regexp_count_no_start", |_, a| regexp_count(a)),
    ("regexp_count_no_flags", |_, a| regexp_count(a)),
    ("regexp_count", |_, a| regexp_count(a)),
    ("regexp_instr_no_start", |_, a| regexp_instr(a)),
    ("regexp_instr_no_n", |_, a| regexp_instr(a)),
    ("regexp_instr_no_endoption", |_, a| regexp_instr(a)),
    ("regexp_instr_no_flags", |_, a| regexp_instr(a)),
    ("regexp_instr_no_subexpr", |_, a| regexp_instr(a)),
    ("regexp_instr", |_, a| regexp_instr(a)),
    ("regexp_like_no_flags", |_, a| is_match(a, false, true)),
    ("regexp_like", |_, a| {
        let options = flags(s(a, 2))?.without_global("regexp_like", None)?;
        Ok(Datum::Bool(regex::compiled(s(a, 1), options)?.is_match(s(a, 0))?))
    }),
    ("regexp_substr_no_start", |_, a| regexp_substr(a)),
    ("regexp_substr_no_n", |_, a| regexp_substr(a)),
    ("regexp_substr_no_flags", |_, a| regexp_substr(a)),
    ("regexp_substr_no_subexpr", |_, a| regexp_substr(a)),
    ("regexp_substr", |_, a| regexp_substr(a)),
];

pub const SETS: &[(&str, SetFn)] = &[
    ("regexp_matches_no_flags", |_, a| regexp_matches(a)),
    ("regexp_matches", |_, a| regexp_matches(a)),
    ("regexp_split_to_table_no_flags", |_, a| split_table(a)),
    ("regexp_split_to_table", |_, a| split_table(a)),
];

#[derive(Default)]
struct Flags {
    options: Options,
    is_global: bool,
}

#[cold]
fn bad_option(letter: char) -> SqlError {
    invalid(format!("invalid regular expression option: \"{letter}\""))
}

fn flags(letters: &str) -> Result<Flags> {
    let mut flags = Flags::default();
    for letter in letters.chars() {
        if letter == 'g' {
            flags.is_global = true;
        } else if !flags.options.apply(letter) {
            return Err(bad_option(letter));
        }
    }
    Ok(flags)
}

impl Flags {
    fn without_global(self, function: &str, instead: Option<&str>) -> Result<Options> {
        if !self.is_global {
            return Ok(self.options);
        }
        let error = invalid(format!("{function}() does not support the \"global\" option"));
        Err(match instead {
            Some(instead) => error.hint(format!("Use the {instead} function instead.")),
            None => error,
        })
    }
}

fn optional_flags(args: &[Datum], index: usize) -> Result<Flags> {
    match args.get(index) {
        Some(letters) => flags(letters.as_str()),
        None => Ok(Flags::default()),
    }
}

/// A parameter that counts from 1, or 1 where it was not given.
fn from_one(args: &[Datum], index: usize, name: &str) -> Result<usize> {
    let value = args.get(index).map_or(1, |value| value.as_i64());
    match usize::try_from(value) {
        Ok(value) if value > 0 => Ok(value),
        _ => Err(invalid(format!("invalid value for parameter \"{name}\": {value}"))),
    }
}

/// The byte where character `start` (from 1) is, or none behind the end.
fn start_of(value: &str, start: usize) -> Option<usize> {
    match end_of_chars(value, start - 1) {
        Some(at) => Some(at),
        None => (value.chars().count() == start - 1).then_some(value.len()),
    }
}

fn part(value: &str, place: Option<(usize, usize)>) -> Datum {
    match place.and_then(|(from, to)| value.get(from..to)) {
        Some(part) => Datum::text(part),
        None => Datum::Null,
    }
}

/// The groups of a match, or the whole where the pattern has none.
fn parts(value: &str, groups: &Groups) -> Datum {
    let wanted = if groups.len() > 1 { groups.get(1..) } else { groups.get(..1) };
    let values = wanted.unwrap_or_default().iter().map(|place| part(value, *place)).collect();
    Datum::Array(Arc::new(Array::from_values(oid::TEXT, values)))
}

/// `substring(text from pattern)`: the first group if there is one, else the whole match.
fn first_part(value: &str, pattern: &str) -> Result<Datum> {
    let pattern = regex::compiled(pattern, Options::default())?;
    if pattern.groups == 0 {
        return Ok(part(value, pattern.find(value, 0)?));
    }
    let groups = pattern.captures(value, 0)?;
    Ok(part(value, groups.and_then(|groups| groups.get(1).copied().flatten())))
}

fn regexp_match(args: &[Datum]) -> Result<Datum> {
    let options = optional_flags(args, 2)?.without_global("regexp_match", Some("regexp_matches"))?;
    let groups = regex::compiled(s(args, 1), options)?.captures(s(args, 0), 0)?;
    Ok(groups.map_or(Datum::Null, |groups| parts(s(args, 0), &groups)))
}

/// Calls `found` for each match from `start` on until it says stop. An empty match right behind another one counts,
/// as in PostgreSQL.
fn each_match(
    pattern: &Pattern,
    value: &str,
    start: usize,
    with_groups: bool,
    found: &mut dyn FnMut(Groups) -> Result<bool>,
) -> Result<()> {
    let mut from = Some(start);
    while let Some(at) = from {
        let groups = match with_groups {
            true => pattern.captures(value, at)?,
            false => pattern.find(value, at)?.map(|place| vec![Some(place)]),
        };
        let Some(groups) = groups else { return Ok(()) };
        let Some(place) = groups.first().copied().flatten() else { return Ok(()) };
        if !found(groups)? {
            return Ok(());
        }
        from = regex::next_start(value, place);
    }
    Ok(())
}

fn regexp_matches(args: &[Datum]) -> Result<RowIter> {
    let Flags { options, is_global } = optional_flags(args, 2)?;
    let pattern = regex::compiled(s(args, 1), options)?;
    let mut rows = Vec::new();
    each_match(&pattern, s(args, 0), 0, true, &mut |groups| {
        rows.push(Ok(vec![parts(s(args, 0), &groups)]));
        Ok(is_global)
    })?;
    Ok(Box::new(rows.into_iter()))
}

/// The pieces between matches. Empty matches at the ends and right behind a match separate nothing.
fn split(args: &[Datum], function: &str) -> Result<Vec<Datum>> {
    let options = optional_flags(args, 2)?.without_global(function, None)?;
    let (value, pattern) = (s(args, 0), regex::compiled(s(args, 1), options)?);
    let mut pieces = Vec::new();
    let mut behind = 0;
    each_match(&pattern, value, 0, false, &mut |groups| {
        if let Some((from, to)) = groups.first().copied().flatten() {
            let separates = to > from || (from > behind && from < value.len());
            if separates {
                pieces.push(part(value, Some((behind, from))));
                behind = to;
            }
        }
        Ok(true)
    })?;
    pieces.push(part(value, Some((behind, value.len()))));
    Ok(pieces)
}

fn split_array(args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Array(Arc::new(Array::from_values(oid::TEXT, split(args, "regexp_split_to_array")?))))
}

fn split_table(args: &[Datum]) -> Result<RowIter> {
    let pieces = split(args, "regexp_split_to_table")?;
    Ok(Box::new(pieces.into_iter().map(|piece| Ok(vec![piece]))))
}

fn regexp_count(args: &[Datum]) -> Result<Datum> {
    let start = from_one(args, 2, "start")?;
    let options = optional_flags(args, 3)?.without_global("regexp_count", None)?;
    let pattern = regex::compiled(s(args, 1), options)?;
    let mut total = 0;
    if let Some(at) = start_of(s(args, 0), start) {
        each_match(&pattern, s(args, 0), at, false, &mut |_| {
            total += 1;
            Ok(true)
        })?;
    }
    count(total)
}

/// The groups of the n-th match from a start.
fn nth_match(value: &str, pattern: &Pattern, start: usize, n: usize) -> Result<Option<Groups>> {
    let (mut left, mut wanted) = (n, None);
    if let Some(at) = start_of(value, start) {
        each_match(pattern, value, at, true, &mut |groups| {
            left -= 1;
            if left == 0 {
                wanted = Some(groups);
            }
            Ok(left > 0)
        })?;
    }
    Ok(wanted)
}

fn subexpression(args: &[Datum], index: usize) -> Result<usize> {
    let value = args.get(index).map_or(0, |value| value.as_i64());
    usize::try_from(value).map_err(|_| invalid(format!("invalid value for parameter \"subexpr\": {value}")))
}

fn regexp_instr(args: &[Datum]) -> Result<Datum> {
    let (start, n) = (from_one(args, 2, "start")?, from_one(args, 3, "n")?);
    let wants_end = match args.get(4).map_or(0, |value| value.as_i64()) {
        0 => false,
        1 => true,
        other => return Err(invalid(format!("invalid value for parameter \"endoption\": {other}"))),
    };
    let group = subexpression(args, 6)?;
    let options = optional_flags(args, 5)?.without_global("regexp_instr", None)?;
    let pattern = regex::compiled(s(args, 1), options)?;
    let groups = nth_match(s(args, 0), &pattern, start, n)?;
    let place = groups.and_then(|groups| groups.get(group).copied().flatten());
    count(place.map_or(0, |(from, to)| {
        let at = if wants_end { to } else { from };
        s(args, 0).get(..at).map_or(0, |head| head.chars().count() + 1)
    }))
}

fn regexp_substr(args: &[Datum]) -> Result<Datum> {
    let (start, n) = (from_one(args, 2, "start")?, from_one(args, 3, "n")?);
    let group = subexpression(args, 5)?;
    let options = optional_flags(args, 4)?.without_global("regexp_substr", None)?;
    let pattern = regex::compiled(s(args, 1), options)?;
    let groups = nth_match(s(args, 0), &pattern, start, n)?;
    Ok(part(s(args, 0), groups.and_then(|groups| groups.get(group).copied().flatten())))
}

/// One `regexp_replace`.
struct Replace<'a> {
    value: &'a str,
    pattern: std::rc::Rc<Pattern>,
    replacement: &'a str,
    /// Where to begin; None is behind the end.
    start: Option<usize>,
    /// Which match to replace, 0 for all of them.
    n: usize,
}

impl<'a> Replace<'a> {
    fn new(value: &'a str, pattern: &str, replacement: &'a str, letters: &str) -> Result<Replace<'a>> {
        let Flags { options, is_global } = flags(letters)?;
        let pattern = regex::compiled(pattern, options)?;
        Ok(Replace { value, pattern, replacement, start: Some(0), n: usize::from(!is_global) })
    }

    fn at(mut self, start: i32, n: Option<i32>) -> Result<Replace<'a>> {
        let bad = |name: &str, value: i32| invalid(format!("invalid value for parameter \"{name}\": {value}"));
        let start = usize::try_from(start).ok().filter(|start| *start > 0).ok_or_else(|| bad("start", start))?;
        self.start = start_of(self.value, start);
        if let Some(n) = n {
            self.n = usize::try_from(n).map_err(|_| bad("n", n))?;
        }
        Ok(self)
    }

    fn run(self) -> Result<Datum> {
        let Some(start) = self.start else { return text(self.value) };
        let needs_groups = self.replacement.contains('\\');
        let mut out = String::with_capacity(self.value.len());
        let (mut behind, mut seen) = (0, 0);
        each_match(&self.pattern, self.value, start, needs_groups, &mut |groups| {
            seen += 1;
            let Some((from, to)) = groups.first().copied().flatten() else { return Ok(false) };
            if self.n == 0 || seen == self.n {
                out.push_str(self.value.get(behind..from).unwrap_or_default());
                self.push_replacement(&groups, &mut out);
                behind = to;
            }
            if out.len() > STRING_SIZE_MAX {
                return Err(too_large());
            }
            Ok(self.n == 0 || seen < self.n)
        })?;
        out.push_str(self.value.get(behind..).unwrap_or_default());
        text(EcoString::from(out))
    }

    /// `\1` to `\9` are groups, `\&` the match, `\\` a backslash; another escape stays as it is.
    fn push_replacement(&self, groups: &Groups, out: &mut String) {
        let mut chars = self.replacement.chars();
        while let Some(c) = chars.next() {
            if c != '\\' {
                out.push(c);
                continue;
            }
            let group = match chars.next() {
                Some('&') => 0,
                Some(digit @ '1'..='9') => digit.to_digit(10).unwrap_or(0) as usize,
                Some('\\') | None => {
                    out.push('\\');
                    continue;
                }
                Some(other) => {
                    out.push('\\');
                    out.push(other);
                    continue;
                }
            };
            if let Some((from, to)) = groups.get(group).copied().flatten() {
                out.push_str(self.value.get(from..to).unwrap_or_default());
            }
        }
    }
}
