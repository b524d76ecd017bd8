//! Functions of long values end in the middle when their statement must.

use super::scalar;
use crate::array::Array;
use crate::numeric::Numeric;
use crate::stop::{StopCheck, look, while_wanted};
use crate::{CallContext, Datum, FormatSettings, Result, SqlError, SqlState, SqlType, oid};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// What makes every function below ask more than twice.
const LONG: usize = 4 << 20;
const MANY: usize = 1 << 19;

fn text(part: &str) -> Datum {
    Datum::text(part.repeat(LONG / part.len()))
}

fn bytes() -> Datum {
    Datum::bytea(vec![b'x'; LONG])
}

fn ints(element: i32) -> Datum {
    Datum::Array(Arc::new(Array::from_values(oid::INT4, vec![Datum::Int4(element); MANY])))
}

fn call(symbol: &str, args: &[(SqlType, Datum)], result_type: SqlType) -> Result<Datum> {
    let format = FormatSettings::default();
    let (arg_types, values): (Vec<SqlType>, Vec<Datum>) = args.iter().cloned().unzip();
    let context = CallContext { format: &format, arg_types: &arg_types, result_type };
    scalar(symbol).unwrap_or_else(|| panic!("{symbol} is not implemented"))(&context, &values)
}

/// Fails from the third question on.
fn impatient(asked: &Arc<AtomicU32>) -> StopCheck {
    let asked = asked.clone();
    Arc::new(move || match asked.fetch_add(1, Ordering::Relaxed) {
        0..2 => Ok(()),
        _ => Err(SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request")),
    })
}

#[track_caller]
fn check(symbol: &str, args: &[Datum]) {
    let typed: Vec<(SqlType, Datum)> = args
        .iter()
        .map(|value| {
            let ty = match value {
                Datum::Array(_) => SqlType::INT4.array().expect("an array"),
                Datum::Bytea(_) => SqlType::new(oid::BYTEA),
                Datum::Int4(_) => SqlType::INT4,
                _ => SqlType::TEXT,
            };
            (ty, value.clone())
        })
        .collect();
    let result_type = SqlType::INT4.array().expect("an array");
    let asked = Arc::new(AtomicU32::new(0));
    let done = while_wanted(&impatient(&asked), || {
        look()?;
        call(symbol, &typed, result_type)
    });
    let code = done.err().map(|error| error.code());
    assert_eq!(code, Some(SqlState::QUERY_CANCELED), "{symbol} asked {} times", asked.load(Ordering::Relaxed));
}

#[test]
fn functions_of_long_texts_stop() {
    let (t, n) = (|part: &str| text(part), Datum::Int4);
    for (symbol, args) in [
        ("upper", vec![t("aé")]),
        ("initcap", vec![t("aé ")]),
        ("text_reverse", vec![t("aé")]),
        ("lpad", vec![t("é"), n(2 * LONG as i32), t(" ")]),
        ("rpad", vec![Datum::text("a"), n(2 * LONG as i32), Datum::text("éa")]),
        ("repeat", vec![Datum::text("ab"), n(LONG as i32)]),
        ("textcat", vec![t("a"), t("b")]),
        ("textpos", vec![t("a"), Datum::text("b")]),
        ("split_part", vec![t("a,"), Datum::text(","), n(LONG as i32)]),
        ("replace_text", vec![t("ab"), Datum::text("a"), Datum::text("c")]),
        ("replace_text", vec![t("ab"), Datum::text("c"), Datum::text("d")]),
        ("translate", vec![t("ab"), Datum::text("b"), Datum::text("c")]),
        ("btrim", vec![t("a"), Datum::text("a")]),
        ("quote_literal", vec![t("'")]),
        ("text_to_array", vec![t("a,"), Datum::text(",")]),
        ("text_to_array", vec![t("a"), Datum::Null]),
        ("unistr", vec![t("a")]),
        ("unicode_normalize_func", vec![t("é"), Datum::text("nfc")]),
        ("unicode_is_normalized", vec![t("é"), Datum::text("nfc")]),
        ("md5_text", vec![t("a")]),
        ("hashtext", vec![t("a")]),
        ("bitnot", vec![t("01")]),
        ("bit_and", vec![t("01"), t("01")]),
        ("timestamp_to_char", vec![Datum::Timestamp(0), t("YYYY ")]),
        ("to_timestamp", vec![t(" "), t(" ")]),
    ] {
        check(symbol, &args);
    }
}

#[test]
fn functions_of_long_byteas_stop() {
    for symbol in ["md5_bytea", "sha224_bytea", "sha256_bytea", "sha384_bytea", "sha512_bytea"] {
        check(symbol, &[bytes()]);
    }
    for format in ["hex", "escape", "base64"] {
        check("binary_encode", &[bytes(), Datum::text(format)]);
        check("binary_decode", &[text("abcd"), Datum::text(format)]);
    }
    check("byteapos", &[bytes(), Datum::bytea(vec![b'y'])]);
    check("byteatrim", &[bytes(), Datum::bytea(vec![b'x'])]);
}

#[test]
fn functions_of_long_arrays_stop() {
    let (n, comma) = (Datum::Int4, Datum::text(","));
    let size = Datum::Array(Arc::new(Array::from_values(oid::INT4, vec![Datum::Int4(MANY as i32)])));
    for (symbol, args) in [
        ("array_fill", vec![n(1), size]),
        ("array_append", vec![ints(1), n(1)]),
        ("array_prepend", vec![n(1), ints(1)]),
        ("array_cat", vec![ints(1), ints(1)]),
        ("array_position", vec![ints(1), n(2)]),
        ("array_positions", vec![ints(1), n(1)]),
        ("array_remove", vec![ints(1), n(2)]),
        ("array_replace", vec![ints(1), n(1), n(2)]),
        ("trim_array", vec![ints(1), n(1)]),
        ("arraycontains", vec![ints(1), ints(1)]),
        ("arrayoverlap", vec![ints(1), ints(2)]),
        ("array_eq", vec![ints(1), ints(1)]),
        ("hash_array", vec![ints(1)]),
        ("array_to_text", vec![ints(1), comma]),
        ("quote_literal(anyelement)", vec![ints(1)]),
        ("to_json", vec![ints(1)]),
        ("to_jsonb", vec![ints(1)]),
    ] {
        check(symbol, &args);
    }
}

#[test]
fn patterns_that_change_with_each_row_stop() {
    let asked = Arc::new(AtomicU32::new(0));
    let done = while_wanted(&impatient(&asked), || {
        for n in 0..4 {
            crate::text::regex::compiled(&format!("another pattern {n}"), Default::default())?;
        }
        Ok::<(), SqlError>(())
    });
    assert_eq!(done.err().map(|error| error.code()), Some(SqlState::QUERY_CANCELED));
}

#[test]
fn texts_of_long_values_stop() {
    let document = crate::io::input(SqlType::JSONB, &format!("[{}1]", "1,".repeat(MANY)), &FormatSettings::default());
    check("jsonb_pretty", &[document.expect("a document")]);
    let check_input = |ty: SqlType, text: &str| {
        let asked = Arc::new(AtomicU32::new(0));
        let done = while_wanted(&impatient(&asked), || crate::io::input(ty, text, &FormatSettings::default()));
        assert_eq!(done.err().map(|error| error.code()), Some(SqlState::QUERY_CANCELED), "{}", ty.oid);
    };
    check_input(SqlType::JSONB, &format!("[{}1]", "1,".repeat(MANY)));
    check_input(SqlType::JSONB, &format!("[\"{}\"]", "x".repeat(2 * LONG)));
    check_input(SqlType::new(oid::BYTEA), &format!("\\x{}", "ab".repeat(LONG)));
    check_input(SqlType::new(oid::VARBIT), &format!("x{}", "f".repeat(LONG)));
    check_input(SqlType::INT4.array().expect("an array"), &format!("{{{}1}}", "1,".repeat(MANY)));
}

#[test]
fn a_long_search_with_look_around_stops() {
    let asked = Arc::new(AtomicU32::new(0));
    let done = while_wanted(&impatient(&asked), || {
        crate::text::regex::compiled("(?=.*b)(?!.*q)c", Default::default())?.is_match(&"ab".repeat(20_000))
    });
    assert_eq!(done.err().map(|error| error.code()), Some(SqlState::QUERY_CANCELED));
}

/// Each of many is done soon, and says what it took, however small its result is.
#[test]
fn functions_of_long_numbers_stop() {
    let number = |text: String| Datum::Numeric(Numeric::parse(&text).expect("a number"));
    let long = || number("9".repeat(100_000));
    let fine = || number(format!("2.{}7", "0".repeat(900)));
    for (symbol, args) in [
        ("numeric_mod", vec![long(), number(format!("1{}1", "0".repeat(50_000)))]),
        ("numeric_div_trunc", vec![long(), number(format!("8{}", "9".repeat(99_999)))]),
        ("numeric_gcd", vec![long(), number(format!("1{}1", "0".repeat(50_000)))]),
        ("numeric_ln", vec![fine()]),
        ("numeric_exp", vec![fine()]),
    ] {
        let typed: Vec<_> = args.into_iter().map(|value| (SqlType::NUMERIC, value)).collect();
        let done = while_wanted(&impatient(&Arc::default()), || {
            (0..200).try_for_each(|_| call(symbol, &typed, SqlType::NUMERIC).map(|_| ()))
        });
        assert_eq!(done.err().map(|error| error.code()), Some(SqlState::QUERY_CANCELED), "{symbol}");
    }
    let long = long();
    let done = while_wanted(&impatient(&Arc::default()), || {
        (0..20).try_for_each(|_| {
            crate::io::output(SqlType::NUMERIC, &long, &FormatSettings::default(), &mut vec![]);
            crate::stop::whole()
        })
    });
    assert_eq!(done.err().map(|error| error.code()), Some(SqlState::QUERY_CANCELED), "its text");
}
