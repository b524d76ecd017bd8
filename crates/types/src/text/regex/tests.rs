use super::*;

fn groups_of(pattern: &str, text: &str) -> Vec<Option<String>> {
    let pattern = Pattern::new(pattern, Options::default()).unwrap_or_else(|e| panic!("{pattern}: {e}"));
    let groups = pattern.captures(text, 0).expect("a match that ends").unwrap_or_default();
    groups.into_iter().map(|g| g.map(|(from, to)| text[from..to].to_owned())).collect()
}

#[track_caller]
fn check(pattern: &str, text: &str, expected: &[&str]) {
    let found = groups_of(pattern, text);
    let found: Vec<&str> = found.iter().map(|g| g.as_deref().unwrap_or("NULL")).collect();
    assert_eq!(found, expected, "{text} ~ {pattern}");
}

#[track_caller]
fn check_error(pattern: &str, message: &str) {
    let error = Pattern::new(pattern, Options::default()).err().expect("a bad pattern");
    assert_eq!(error.message(), format!("invalid regular expression: {message}"), "{pattern}");
    assert_eq!(error.code(), SqlState::INVALID_REGULAR_EXPRESSION);
}

/// All of these were asked of PostgreSQL 15.
#[test]
fn the_match_is_the_one_that_postgres_takes() {
    for (pattern, text, expected) in [
        ("y|yy", "xyyyz", &["yy"][..]),
        ("(a|ab)(c|bcd)", "abcd", &["abcd", "a", "bcd"]),
        ("o(.)b", "foobar", &["oob", "o"]),
        ("Y*([0-9]{1,3})", "XY1234Z", &["Y123", "123"]),
        ("Y*?([0-9]{1,3})", "XY1234Z", &["Y1", "1"]),
        ("(?:(.*?)(\\d+)(.*)){1,1}", "abc01234xyz", &["abc01234xyz", "abc", "01234", "xyz"]),
        ("(.*)(\\d+)(.*)", "abc01234xyz", &["abc01234xyz", "abc0123", "4", "xyz"]),
        ("(.*?)(\\d+)(.*)", "abc01234xyz", &["abc0", "abc", "0", ""]),
        ("(abc)\\1", "abcabc", &["abcabc", "abc"]),
        ("foo(?!baz)", "foobar", &["foo"]),
        ("[[:<:]]foo[[:>:]]", ":foo>", &["foo"]),
        ("\\mbar\\M", "foo bar", &["bar"]),
        ("^b", "a\nb", &[]),
        ("(?w)^b", "a\nb", &["b"]),
        ("a.b", "a\nb", &["a\nb"]),
        ("(?n)a.b", "a\nb", &[]),
        ("(?i)ä", "Ä", &[]),
        ("\\w", "ä", &[]),
        ("(?i)[a-c]+", "aBC", &["aBC"]),
        ("(?x)a\\ b # c", "a b", &["a b"]),
        ("***=a.c", "abc a.c", &["a.c"]),
        ("[]b]+$", "b]", &["b]"]),
        ("[a\\]]+$", "xa]", &["a]"]),
        ("a{x", "a{x", &["a{x"]),
        ("", "abc", &[""]),
        ("a|", "b", &[""]),
        ("(x)?a", "a", &["a", "NULL"]),
        ("\\u0061\\x62\\143", "abc", &["abc"]),
        ("[[:alpha:]_]+", "foo_1", &["foo_"]),
        ("\\Yo", "foo", &["o"]),
    ] {
        check(pattern, text, expected);
    }
}

#[test]
fn bad_patterns_get_postgres_words() {
    for (pattern, message) in [
        ("(", "parentheses () not balanced"),
        (")", "parentheses () not balanced"),
        ("[a", "brackets [] not balanced"),
        ("*a", "quantifier operand invalid"),
        ("a**", "quantifier operand invalid"),
        ("a+?+", "quantifier operand invalid"),
        ("^*", "quantifier operand invalid"),
        ("(?<x>a)", "quantifier operand invalid"),
        ("a|*b", "quantifier operand invalid"),
        ("a{1", "braces {} not balanced"),
        ("a{300}", "invalid repetition count(s)"),
        ("a{2,1}", "invalid repetition count(s)"),
        ("\\1", "invalid backreference number"),
        ("[b-a]", "invalid character range"),
        ("[[:foo:]]", "invalid character class"),
        ("[[.foo.]]", "invalid collating element"),
        ("a\\", "invalid escape \\ sequence"),
        ("\\q", "invalid escape \\ sequence"),
        ("(?z)a", "invalid embedded option"),
    ] {
        check_error(pattern, message);
    }
}

#[test]
fn depth_and_size_are_bounded() {
    check_error(&"(".repeat(100_000), "regular expression is too complex");
    check_error("((a{200}){200}){200}", "regular expression is too complex");
    check_error(&"a".repeat(2_000_000), "regular expression is too complex");
}

/// What is found within a few steps of its start is found in a text of any length.
#[test]
fn a_long_text_is_searched_with_look_around_and_back_references() {
    let text = format!("{}bcbc end", "ab".repeat(500_000));
    check("(bc)\\1", &text, &["bcbc", "bc"]);
    check("b(?=c.*d)", &text, &["b"]);
    check("(?:(?!x)[^ab])+", &text, &["c"]);
    assert!(Pattern::new("(a)\\1", Options::default()).is_ok_and(|p| p.is_match(&text) == Ok(false)));
    let tempered = format!("{}.", "ab".repeat(100_000));
    check("^((?!x).)*\\.$", &tempered, &[&tempered, "b"]);
}

/// A step can not be interrupted: what may read a long text again and again in one is refused at once.
#[test]
fn look_around_of_any_length_in_a_repetition_is_for_short_texts() {
    for (pattern, long) in [("(?:a(?=.*b))*b", 40_000), ("(?:(?=(?:a(?!.*c))*b)a)*b", 2_000), ("a*(?=.*c)a", 40_000)] {
        let pattern = Pattern::new(pattern, Options::default()).expect("a good pattern");
        let text = |length: usize| format!("{}b", "a".repeat(length));
        assert!(pattern.is_match(&text(20)).is_ok());
        let refused = pattern.is_match(&text(long)).expect_err("too much work");
        assert_eq!(refused.code(), SqlState::STATEMENT_TOO_COMPLEX);
    }
}

#[test]
fn similar_patterns_cut_parts_out() {
    let cut = |text: &str, pattern: &str| {
        let regex = similar_to_regex(pattern, Some("#")).expect("a good pattern");
        groups_of(&regex, text).get(1).cloned().flatten()
    };
    assert_eq!(cut("abcdefg", "a#\"%#\"g").as_deref(), Some("bcdef"));
    assert_eq!(cut("abcdefg", "%#\"c_%#\"_").as_deref(), Some("cdef"));
    assert_eq!(cut("abcdefg", "#\"%#\"x"), None);
}
