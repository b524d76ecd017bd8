use super::*;

fn ty(name: &str) -> SqlType {
    typename::parse(name).unwrap_or_else(|e| panic!("{e}"))
}

/// Text in, text out; binary out and in again gives the same.
#[track_caller]
fn check(type_name: &str, text: &str, expected: &str) {
    let format = FormatSettings::default();
    let ty = ty(type_name);
    let value = input(ty, text, &format).unwrap_or_else(|e| panic!("{type_name} {text}: {e}"));
    assert_eq!(to_text(ty, &value, &format), expected, "{type_name} {text}");
    let mut wire = Vec::new();
    send(ty, &value, &FormatSettings::default(), &mut wire).unwrap_or_else(|e| panic!("{type_name} {text}: {e}"));
    let back = receive(ty, &wire, &FormatSettings::default()).unwrap_or_else(|e| panic!("{type_name} {text}: {e}"));
    assert_eq!(to_text(ty, &back, &format), expected, "{type_name} {text} in binary");
}

#[track_caller]
fn check_error(type_name: &str, text: &str, code: SqlState, message: &str, detail: Option<&str>) {
    let error = input(ty(type_name), text, &FormatSettings::default()).expect_err("the text is bad");
    assert_eq!((error.code(), error.message(), error.fields().detail.as_deref()), (code, message, detail));
}

#[test]
fn texts_come_back_as_postgres_prints_them() {
    for (type_name, text, expected) in [
        ("text", " a ", " a "),
        ("varchar(3)", "abc  ", "abc"),
        ("varchar(3)", "äöü", "äöü"),
        ("char(5)", "ab", "ab   "),
        ("char(2)", "ab   ", "ab"),
        ("name", &"x".repeat(70), &"x".repeat(63)),
        ("\"char\"", "abc", "a"),
        ("bytea", "\\x DE ad", "\\xdead"),
        ("bytea", "a\\\\b\\001", "\\x615c6201"),
        ("uuid", "{A0EEBC99-9C0B4EF8-BB6D6BB9-BD380A11}", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("json", " {\"a\" : 1} ", " {\"a\" : 1} "),
        ("jsonb", " {\"bb\": 1.50, \"a\": [true, \"\\u00e4\\n\"], \"bb\": 2} ", r#"{"a": [true, "ä\n"], "bb": 2}"#),
        ("jsonb", "1e3", "1000"),
        ("bit(3)", "101", "101"),
        ("bit varying", "x5f", "01011111"),
        ("xid", "0x10", "16"),
        ("xid8", "18446744073709551615", "18446744073709551615"),
        ("pg_lsn", "16/B374D848", "16/B374D848"),
        ("regclass", "1259", "1259"),
        ("oidvector", "1 2  3", "1 2 3"),
        ("text[]", "{}", "{}"),
        ("text[]", r#"{ a b , "c,\"d", NULL, "NULL", "" ,e\ }"#, r#"{"a b","c,\"d",NULL,"NULL","","e "}"#),
        ("text[]", "{{a,b},{c,d}}", "{{a,b},{c,d}}"),
        ("text[]", "[0:1][2:3]={{a,b},{c,d}}", "[0:1][2:3]={{a,b},{c,d}}"),
        ("text[]", "[1:2]={a,b}", "{a,b}"),
        ("varchar(2)[]", "{ab}", "{ab}"),
    ] {
        check(type_name, text, expected);
    }
}

#[test]
fn bad_texts_get_postgres_words() {
    let syntax = SqlState::INVALID_TEXT_REPRESENTATION;
    check_error(
        "varchar(3)",
        "abcd",
        SqlState::STRING_DATA_RIGHT_TRUNCATION,
        "value too long for type character varying(3)",
        None,
    );
    check_error(
        "char(3)",
        "abcd",
        SqlState::STRING_DATA_RIGHT_TRUNCATION,
        "value too long for type character(3)",
        None,
    );
    check_error("uuid", "a0eebc99-9c0b", syntax, "invalid input syntax for type uuid: \"a0eebc99-9c0b\"", None);
    check_error(
        "bytea",
        "\\xa",
        SqlState::INVALID_PARAMETER_VALUE,
        "invalid hexadecimal data: odd number of digits",
        None,
    );
    check_error(
        "bit(3)",
        "10",
        SqlState::STRING_DATA_LENGTH_MISMATCH,
        "bit string length 2 does not match type bit(3)",
        None,
    );
    for (text, detail) in [
        ("a", "Array value must start with \"{\" or dimension information."),
        ("{a", "Unexpected end of input."),
        ("{a}}", "Junk after closing right brace."),
        ("{a,}", "Unexpected \"}\" character."),
        ("{,a}", "Unexpected \",\" character."),
        ("{{a},b}", "Unexpected array element."),
        ("{a,{b}}", "Unexpected \"{\" character."),
        ("{{a,b},{c}}", "Multidimensional arrays must have sub-arrays with matching dimensions."),
        ("{\"a\"b}", "Unexpected array element."),
        ("[1:3]={a}", "Specified array dimensions do not match array contents."),
    ] {
        check_error("text[]", text, syntax, &format!("malformed array literal: \"{text}\""), Some(detail));
    }
    check_error(
        "jsonb",
        "{\"a\":1,}",
        syntax,
        "invalid input syntax for type json",
        Some("Expected string, but found \"}\"."),
    );
}

#[test]
fn decimals_are_written_with_their_scale() {
    for (mantissa, scale, expected) in
        [(1250, 2, "12.50"), (-5, 3, "-0.005"), (0, 2, "0.00"), (i64::MIN, 0, "-9223372036854775808"), (100, 0, "100")]
    {
        let mut out = Vec::new();
        write_decimal(mantissa, scale, &mut out);
        assert_eq!(into_string(out), expected);
    }
}
/// Random texts, most of them malformed: value or message, detail and context as PostgreSQL 15 gave them. Lines are type,
/// text and `= text` or `! SQLSTATE message|detail|context`.
#[test]
fn random_texts_answer_as_in_postgres() {
    let format = FormatSettings::default();
    for line in include_str!("texts.golden").lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [type_name, text, expected] = fields.as_slice() else { panic!("a malformed line: {line}") };
        let ty = ty(type_name);
        let found = match input(ty, text, &format) {
            Ok(value) => format!("= {}", to_text(ty, &value, &format)),
            Err(error) => {
                let fields = error.fields();
                let (detail, context) = (fields.detail.as_deref(), fields.context.as_deref());
                format!("! {} {}|{}|{}", error.code(), error.message(), detail.unwrap_or(""), context.unwrap_or(""))
            }
        };
        // Blanks at a line's end do not survive the way here.
        assert_eq!(found.trim_end(), expected.trim_end(), "{type_name} {text}");
    }
}
