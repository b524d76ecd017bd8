use super::{Path, compiled, normalized};
use crate::functions::test_support::{call, check_golden};

/// What PostgreSQL 15 makes of a path, one a line: path, tab, `= text` or `! SQLSTATE message`.
#[test]
fn paths_are_read_and_written_as_in_postgres() {
    let mut failures = Vec::new();
    for line in include_str!("paths.golden").lines().filter(|line| !line.starts_with('#')) {
        let (path, expected) = line.split_once('\t').expect("a path and its text");
        let found = match normalized(path) {
            Ok(text) => format!("= {text}"),
            Err(error) => format!("! {} {}", error.code(), error.message()),
        };
        if found != expected {
            failures.push(format!("{path}\n  expected {expected}\n  found    {found}"));
        }
    }
    assert!(failures.is_empty(), "{} paths differ:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn a_written_path_reads_back_as_itself() {
    let paths = include_str!("paths.golden").lines().filter_map(|line| line.split_once('\t')).map(|(path, _)| path);
    // PostgreSQL leaves brackets out of these.
    let hard =
        ["(2 * $).a + 1", "(-$).a + 2", "(!($==1)).type() == 1", "(exists($.a)).type() == 1", "(($==1) is unknown).a"];
    for path in paths.chain(hard) {
        let Ok(read) = Path::parse(path) else { continue };
        let again = Path::parse(&read.to_string()).expect("a written path is a path");
        assert_eq!(format!("{read:?}"), format!("{again:?}"), "{path}");
    }
}

/// What PostgreSQL 15 finds.
#[test]
fn paths_find_what_they_find_in_postgres() {
    check_golden(include_str!("queries.golden"));
}

#[track_caller]
fn check_too_complex(symbol: &str, args: &[&str]) {
    let error = call(symbol, args).expect_err("beyond a bound");
    assert_eq!(error.code().as_str(), "54001");
}

/// None of these may exhaust the stack of a test's thread, which is a server's worker's.
#[test]
fn depth_and_steps_are_bounded() {
    for path in [
        format!("{}1{}", "1 + (".repeat(500), ")".repeat(500)),
        format!("1{}", " + 1".repeat(100_000)),
        format!("1{}", " == 1 && 1".repeat(2_000)),
        "-".repeat(100_000),
        "$[".repeat(100_000),
        format!("$ ? ({}", "@ ? (".repeat(100_000)),
        "!(".repeat(100_000),
    ] {
        let error = Path::parse(&path).expect_err("beyond a bound");
        assert_eq!(error.code().as_str(), "54001", "{}", &path[..10]);
    }
    let steps = format!("jsonpath:$.a{}", ".type()".repeat(10_000));
    check_too_complex("jsonb_path_query", &["jsonb:{\"a\": 1}", &steps, "jsonb:{}", "bool:t"]);
}

#[test]
fn deep_documents_and_paths_are_followed() {
    let deep = format!("jsonb:{}{}", "[".repeat(1_000), "]".repeat(1_000));
    assert_eq!(
        call("jsonb_path_query_array", &[&deep, "jsonpath:$.**{999}.type()", "jsonb:{}", "bool:f"]).unwrap(),
        "[\"array\"]"
    );
    let sum = format!("jsonpath:$ == 901 && 1{} == 901", " + 1".repeat(900));
    assert_eq!(call("jsonb_path_match", &["jsonb:901", &sum, "jsonb:{}", "bool:f"]).unwrap(), "t");
    let any = format!("jsonpath:$ == 0{}", " || $ == 1".repeat(400));
    assert_eq!(call("jsonb_path_match", &["jsonb:1", &any, "jsonb:{}", "bool:f"]).unwrap(), "t");
    let brackets = format!("jsonpath:{}$ == 1{}", "!(".repeat(150), ")".repeat(150));
    assert_eq!(call("jsonb_path_match", &["jsonb:1", &brackets, "jsonb:{}", "bool:f"]).unwrap(), "t");
    let filters = format!("jsonpath:$ {}{}", "? (@ ".repeat(100), "== 1)".repeat(100));
    assert_eq!(call("jsonb_path_exists", &["jsonb:1", &filters, "jsonb:{}", "bool:f"]).unwrap(), "t");
}

#[test]
fn steps_end_a_path_that_multiplies() {
    let list = format!("jsonb:[{}0]", "0,".repeat(300));
    check_too_complex(
        "jsonb_path_exists",
        &[
            &list,
            "jsonpath:strict $[*] ? ($[*] + $[*] == 1 || $[*] == $[*] && $[*] == 2 || $[*] ? ($[*] == 3) == 4)",
            "jsonb:{}",
            "bool:f",
        ],
    );
}

#[test]
fn parsed_paths_are_kept() {
    let first = compiled("$.a").expect("a path");
    assert!(std::rc::Rc::ptr_eq(&first, &compiled("$.a").expect("a path")));
}
