//! `to_char(number, picture)` and `to_number(text, picture)`.
//!
//! `picture` reads the template into nodes and a summary (how many digits, which signs); `write` walks the nodes over the
//! digits of a number that is already rounded to the picture; `read` walks them over a text. The rules where blanks, signs
//! and points go are PostgreSQL 15's, with the C locale's signs: `,` groups, `.` is the point, a blank the currency.

mod picture;
mod read;
mod write;

use super::ScalarFn;
use super::integer::out_of_range;
use crate::numeric::Numeric;
use crate::{Datum, Result, SqlError, SqlState};
use picture::Picture;
use write::Prepared;

/// Digits that a double and a single surely hold; `to_char` shows no more.
const DOUBLE_DIGITS: usize = 15;
const SINGLE_DIGITS: usize = 6;
/// Roman numerals end at 3999; other numbers are this many `#`.
const ROMAN_WIDTH: usize = 15;

pub const SCALARS: &[(&str, ScalarFn)] = &[
    ("numeric_to_char", |_, args| with_picture(args, |picture| prepare_numeric(picture, args[0].as_numeric().clone()))),
    ("int4_to_char", |_, args| with_picture(args, |picture| prepare_integer(picture, &args[0]))),
    ("int8_to_char", |_, args| with_picture(args, |picture| prepare_integer(picture, &args[0]))),
    ("float4_to_char", |_, args| with_picture(args, |picture| prepare_float(picture, args[0].as_f64(), SINGLE_DIGITS))),
    ("float8_to_char", |_, args| with_picture(args, |picture| prepare_float(picture, args[0].as_f64(), DOUBLE_DIGITS))),
    ("numeric_to_number", |_, args| read::to_number(args[0].as_str(), args[1].as_str())),
];

fn with_picture(args: &[Datum], prepare: impl FnOnce(&mut Picture) -> Result<Prepared>) -> Result<Datum> {
    let text = args[1].as_str();
    if text.is_empty() {
        return Ok(Datum::text(""));
    }
    let mut picture = Picture::parse(text)?;
    let prepared = prepare(&mut picture)?;
    write::write(&picture, prepared).map(Datum::text)
}

/// Sign and digits apart, blanks counted, `#` where the number has more digits than the picture.
fn fit(picture: &Picture, text: &str) -> Prepared {
    let (sign, number) = match text.strip_prefix('-') {
        Some(rest) => ('-', rest),
        None => ('+', text),
    };
    let digits_before = number.find('.').unwrap_or(number.len());
    match digits_before.cmp(&picture.pre) {
        std::cmp::Ordering::Greater => Prepared {
            number: format!("{}.{}", "#".repeat(picture.pre), "#".repeat(picture.post)),
            blanks: 0,
            sign: Some(sign),
        },
        _ => Prepared { number: number.to_owned(), blanks: picture.pre - digits_before, sign: Some(sign) },
    }
}

/// For pictures whose number is the whole output, or Roman.
fn whole(number: String) -> Prepared {
    Prepared { number, blanks: 0, sign: None }
}

/// What stands for NaN and the infinities in scientific notation.
fn scientific_overflow(picture: &Picture) -> Prepared {
    let mut text = vec![b'#'; picture.pre + picture.post + 6];
    if let Some(first) = text.first_mut() {
        *first = b' ';
    }
    if let Some(point) = text.get_mut(picture.pre + 1) {
        *point = b'.';
    }
    whole(String::from_utf8(text).unwrap_or_default())
}

fn prepare_numeric(picture: &mut Picture, value: Numeric) -> Result<Prepared> {
    if picture.roman {
        return Ok(whole(roman(i64::from(value.round(0)?.to_i32()?))));
    }
    if picture.scientific {
        return Ok(match value.to_scientific(picture.post as u32) {
            None => scientific_overflow(picture),
            Some(text) if text.starts_with('-') => whole(text),
            Some(text) => whole(format!(" {text}")),
        });
    }
    let mut value = value;
    if picture.shifted > 0 {
        let power = Numeric::from_i64(10).power(&Numeric::from_i64(picture.shifted as i64))?;
        value = value.mul(&power)?;
        picture.pre += picture.shifted;
    }
    Ok(fit(picture, &value.round(picture.post as i32)?.to_string()))
}

fn prepare_integer(picture: &mut Picture, value: &Datum) -> Result<Prepared> {
    let is_small = matches!(value, Datum::Int4(_));
    let mut value = value.as_i64();
    if picture.roman {
        return i32::try_from(value).map(|value| whole(roman(i64::from(value)))).map_err(|_| out_of_range("integer"));
    }
    if picture.scientific && is_small {
        // An integer goes by way of a float there, and half-way digits to the even one.
        return prepare_float(picture, value as f64, DOUBLE_DIGITS);
    }
    if picture.scientific {
        return prepare_numeric(picture, Numeric::from_i64(value));
    }
    if picture.shifted > 0 {
        let power = 10i64.checked_pow(picture.shifted as u32);
        let shifted = power.and_then(|power| value.checked_mul(power));
        let in_range = shifted.filter(|shifted| !is_small || i32::try_from(*shifted).is_ok());
        value = in_range.ok_or_else(|| out_of_range(if is_small { "integer" } else { "bigint" }))?;
        picture.pre += picture.shifted;
    }
    let text = match picture.post {
        0 => value.to_string(),
        post => format!("{value}.{}", "0".repeat(post)),
    };
    Ok(fit(picture, &text))
}

fn prepare_float(picture: &mut Picture, value: f64, digits_max: usize) -> Result<Prepared> {
    if picture.roman {
        // What is no integer of four digits has no numeral, NaN included.
        return Ok(whole(roman(value.round_ties_even() as i64)));
    }
    if picture.scientific {
        if !value.is_finite() {
            return Ok(scientific_overflow(picture));
        }
        let text = format!("{value:.*e}", picture.post);
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let blank = if mantissa.starts_with('-') { "" } else { " " };
        let exponent: i32 = exponent.parse().unwrap_or(0);
        return Ok(whole(format!("{blank}{mantissa}e{exponent:+03}")));
    }
    let mut value = value;
    if picture.shifted > 0 {
        value *= 10f64.powi(picture.shifted as i32);
        if digits_max == SINGLE_DIGITS {
            value = f64::from(value as f32);
        }
        picture.pre += picture.shifted;
    }
    let digits_before = c_fixed(value.abs(), 0).len();
    if digits_before >= digits_max {
        picture.post = 0;
    } else {
        picture.post = picture.post.min(digits_max - digits_before);
    }
    Ok(fit(picture, &c_fixed(value, picture.post)))
}

/// C's `%.{places}f`, with SQL's names of the special values.
fn c_fixed(value: f64, places: usize) -> String {
    match value {
        v if v.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        v => format!("{v:.places$}"),
    }
}

fn roman(number: i64) -> String {
    const NUMERALS: [(i64, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    if !(1..=3999).contains(&number) {
        return "#".repeat(ROMAN_WIDTH);
    }
    let mut rest = number;
    let mut text = String::new();
    for (value, numeral) in NUMERALS {
        while rest >= value {
            text.push_str(numeral);
            rest -= value;
        }
    }
    text
}

fn syntax(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, message)
}
