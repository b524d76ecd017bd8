use crate::functions::test_support::call;
use crate::{FormatSettings, SqlType, io};

#[track_caller]
fn check(symbol: &str, args: &[&str], expected: &str) {
    match call(symbol, args) {
        Ok(found) => assert_eq!(found, expected, "{symbol}({args:?})"),
        Err(error) => panic!("{symbol}({args:?}): {error}"),
    }
}

#[track_caller]
fn check_error(symbol: &str, args: &[&str], code: &str, message: &str) {
    let error = call(symbol, args).expect_err("the call is wrong");
    assert_eq!((error.code().as_str(), error.message()), (code, message), "{symbol}({args:?})");
}

const DOC: &str = r#"jsonb:{"b": [1, {"c": "x"}], "aa": null, "a": 1.50}"#;
const TEXT: &str = r#"json:{"b" : [1, {"c" :"\u0078"}], "a":1, "a": 2, "n":null}"#;

/// All results were asked of PostgreSQL 15.
#[test]
fn reading_finds_parts() {
    for (symbol, args, expected) in [
        ("jsonb_object_field", &[DOC, "text:b"][..], r#"[1, {"c": "x"}]"#),
        ("jsonb_object_field", &[DOC, "text:zz"], "NULL"),
        ("jsonb_object_field_text", &[DOC, "text:aa"], "NULL"),
        ("jsonb_object_field_text", &[DOC, "text:a"], "1.50"),
        ("jsonb_array_element", &["jsonb:[1,2,3]", "int:-1"], "3"),
        ("jsonb_array_element", &["jsonb:[1,2,3]", "int:-4"], "NULL"),
        ("jsonb_extract_path_text", &[DOC, "text[]:{b,1,c}"], "x"),
        ("jsonb_extract_path", &[DOC, "text[]:{}"], r#"{"a": 1.50, "b": [1, {"c": "x"}], "aa": null}"#),
        ("json_object_field", &[TEXT, "text:a"], "2"),
        ("json_object_field", &[TEXT, "text:b"], r#"[1, {"c" :"\u0078"}]"#),
        ("json_extract_path_text", &[TEXT, "text[]:{b,1,c}"], "x"),
        ("json_extract_path_text", &[TEXT, "text[]:{b,x}"], "NULL"),
        ("json_array_element", &["json:[1, 2 ]", "int:-1"], "2"),
        ("json_typeof", &["json: null "], "null"),
        ("jsonb_each", &[DOC], r#"a|1.50; b|[1, {"c": "x"}]; aa|null"#),
        ("jsonb_each_text", &[r#"jsonb:{"a":"x","b":null}"#], "a|x; b|NULL"),
        ("json_each_text", &[TEXT], "b|[1, {\"c\" :\"\\u0078\"}]; a|1; a|2; n|NULL"),
        ("jsonb_object_keys", &[DOC], "a; b; aa"),
        ("jsonb_array_elements", &["jsonb:[1,[2]]"], "1; [2]"),
        ("json_array_elements_text", &["json:[\"a,]\", null]"], "a,]; NULL"),
        ("jsonb_array_length", &["jsonb:[1,[2]]"], "2"),
        ("jsonb_pretty", &["jsonb:[]"], "[\n]"),
        ("jsonb_contains", &[DOC, r#"jsonb:{"b":[{"c":"x"}]}"#], "t"),
        ("jsonb_contains", &["jsonb:[\"foo\",\"bar\"]", "jsonb:\"bar\""], "t"),
        ("jsonb_contains", &["jsonb:\"bar\"", "jsonb:[\"bar\"]"], "f"),
        ("jsonb_contains", &["jsonb:[1,2,[1,3]]", "jsonb:[1,3]"], "f"),
        ("jsonb_contains", &["jsonb:[1.0]", "jsonb:[1,1]"], "t"),
        ("jsonb_exists_any", &[DOC, "text[]:{x,NULL,a}"], "t"),
        ("jsonb_exists_all", &[DOC, "text[]:{x,a}"], "f"),
        ("jsonb_exists", &["jsonb:\"foo\"", "text:foo"], "t"),
    ] {
        check(symbol, args, expected);
    }
}

#[test]
fn changing_copies_the_rest() {
    for (symbol, args, expected) in [
        ("jsonb_concat", &["jsonb:{\"a\":1}", "jsonb:{\"a\":2,\"b\":3}"][..], r#"{"a": 2, "b": 3}"#),
        ("jsonb_concat", &["jsonb:[1]", "jsonb:{\"a\":2}"], r#"[1, {"a": 2}]"#),
        ("jsonb_concat", &["jsonb:1", "jsonb:2"], "[1, 2]"),
        ("jsonb_delete", &["jsonb:[\"a\",1]", "text:a"], "[1]"),
        ("jsonb_delete_idx", &["jsonb:[1,2,3]", "int:-1"], "[1, 2]"),
        ("jsonb_delete_array", &["jsonb:{\"a\":1,\"b\":2}", "text[]:{a,x}"], r#"{"b": 2}"#),
        ("jsonb_delete_path", &[DOC, "text[]:{b,1,c}"], r#"{"a": 1.50, "b": [1, {}], "aa": null}"#),
        ("jsonb_set", &["jsonb:[1,2]", "text[]:{-5}", "jsonb:9", "bool:t"], "[9, 1, 2]"),
        ("jsonb_set", &["jsonb:[1,2]", "text[]:{5}", "jsonb:9", "bool:t"], "[1, 2, 9]"),
        ("jsonb_set", &["jsonb:[1,2]", "text[]:{5}", "jsonb:9", "bool:f"], "[1, 2]"),
        ("jsonb_set", &["jsonb:{\"a\":1}", "text[]:{b,c}", "jsonb:9", "bool:t"], r#"{"a": 1}"#),
        ("jsonb_set", &["jsonb:{\"a\":{}}", "text[]:{a,c}", "jsonb:9", "bool:t"], r#"{"a": {"c": 9}}"#),
        ("jsonb_set", &["jsonb:{}", "text[]:{a}", "jsonb:9", "bool:t"], r#"{"a": 9}"#),
        ("jsonb_insert", &["jsonb:[1,2]", "text[]:{1}", "jsonb:9", "bool:t"], "[1, 2, 9]"),
        ("jsonb_insert", &["jsonb:[1,2]", "text[]:{1}", "jsonb:9", "bool:f"], "[1, 9, 2]"),
        ("jsonb_strip_nulls", &["jsonb:{\"a\":null,\"b\":[null,{\"c\":null}]}"], r#"{"b": [null, {}]}"#),
        ("json_strip_nulls", &["json:{\"a\" : null, \"b\": [1, null, {\"c\":null}] }"], r#"{"b":[1,null,{}]}"#),
    ] {
        check(symbol, args, expected);
    }
}

#[test]
fn values_become_json() {
    for (symbol, args, expected) in [
        ("to_json", &["text:a\"b\n"][..], r#""a\"b\n""#),
        ("to_json", &["numeric:1.50"], "1.50"),
        ("to_json", &["numeric:NaN"], "\"NaN\""),
        ("to_json", &["int[]:{{1,2},{3,4}}"], "[[1,2],[3,4]]"),
        ("array_to_json_pretty", &["int[]:{{1,2},{3,4}}", "bool:t"], "[[1,2],\n [3,4]]"),
        ("to_jsonb", &["text[]:{a,NULL}"], r#"["a", null]"#),
        ("json_build_object", &["text:a", "int:1", "text:b", "int[]:{1,2}"], r#"{"a" : 1, "b" : [1,2]}"#),
        ("json_build_array", &["int:1", "text:a", "text:NULL"], r#"[1, "a", null]"#),
        ("jsonb_build_object", &["int:1", "bool:t"], r#"{"1": true}"#),
        ("json_object", &["text[]:{a,1,b,NULL}"], r#"{"a" : "1", "b" : null}"#),
        ("jsonb_object_two_arg", &["text[]:{b,a}", "text[]:{1,NULL}"], r#"{"a": null, "b": "1"}"#),
    ] {
        check(symbol, args, expected);
    }
}

#[test]
fn misuse_gets_postgres_words() {
    check_error("jsonb_array_length", &["jsonb:{}"], "22023", "cannot get array length of a non-array");
    check_error("jsonb_each", &["jsonb:[]"], "22023", "cannot call jsonb_each on a non-object");
    check_error("json_each", &["json:[]"], "22023", "cannot deconstruct an array as an object");
    check_error("jsonb_object_keys", &["jsonb:1"], "22023", "cannot call jsonb_object_keys on a scalar");
    check_error(
        "jsonb_set",
        &["jsonb:[1]", "text[]:{a}", "jsonb:9", "bool:t"],
        "22P02",
        "path element at position 1 is not an integer: \"a\"",
    );
    check_error(
        "jsonb_insert",
        &["jsonb:{\"a\":1}", "text[]:{a}", "jsonb:9", "bool:t"],
        "22023",
        "cannot replace existing key",
    );
    check_error("json_build_object", &["int:1"], "22023", "argument list must have even number of elements");
    check_error("jsonb_int4", &["jsonb:\"a\""], "22023", "cannot cast jsonb string to type integer");
    check_error(
        "json_object_field",
        &["json:{\"a\":\"\\u0000\"}", "text:a"],
        "22P05",
        "unsupported Unicode escape sequence",
    );
}

#[test]
fn depth_is_bounded_however_it_comes() {
    let deep = format!("jsonb:{}1{}", "[".repeat(1_000), "]".repeat(1_000));
    check_error("jsonb_build_array", &[&deep], "54001", "stack depth limit exceeded");
    let format = FormatSettings::default();
    let too_deep = "[".repeat(100_000);
    let error = io::input(SqlType::JSONB, &too_deep, &format).expect_err("too deep");
    assert_eq!(error.code().as_str(), "54001");
}
