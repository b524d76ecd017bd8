//! Where the pieces of a text end, without making tokens of them: literals, names, comments, words.
//!
//! It knows just so much of PostgreSQL's lexical rules that no semicolon or comma inside of a piece is taken for one between two. One
//! walk over the bytes, in order: nothing is looked at twice.

use std::ops::Range;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// One character of white space.
    Blank,
    /// `-- …`, with its line's end.
    LineComment,
    /// `/* … */`, with those inside of it.
    BlockComment,
    /// `'…'`
    Text,
    /// `E'…'`
    Escaped,
    /// `"…"`
    Name,
    /// `$tag$…$tag$`
    Dollar,
    /// Letters, digits and their like; numbers are words here.
    Word,
    /// A run of operator characters.
    Operator,
    /// Any other character.
    Mark,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Item {
    pub kind: Kind,
    /// In bytes of the text.
    pub place: Range<usize>,
    /// Not so, where the text ends inside of a literal or comment.
    pub is_whole: bool,
}

/// The item that begins at this byte, which is a character's first; None at the end.
pub(super) fn item(text: &str, at: usize) -> Option<Item> {
    let rest = text.as_bytes().get(at..)?;
    let next = rest.get(1).copied();
    let (kind, length) = match *rest.first()? {
        b' ' | b'\t' | b'\n' | b'\r' | 11 | 12 => (Kind::Blank, Some(1)),
        b'-' if next == Some(b'-') => {
            let end = find(rest, |byte| byte == b'\n').map_or(rest.len(), |end| end + 1);
            (Kind::LineComment, Some(end))
        }
        b'/' if next == Some(b'*') => (Kind::BlockComment, comment(rest)),
        b'\'' => (Kind::Text, quoted(rest, b'\'')),
        b'E' | b'e' if next == Some(b'\'') => (Kind::Escaped, escaped(rest)),
        b'"' => (Kind::Name, quoted(rest, b'"')),
        b'$' => dollar(text.get(at..)?),
        byte if is_word(byte) => (Kind::Word, Some(rest.iter().take_while(|b| is_word(**b) || **b == b'$').count())),
        byte if is_operator(byte) => (Kind::Operator, Some(operator(rest))),
        _ => (Kind::Mark, Some(1)),
    };
    Some(Item { kind, place: at..at + length.unwrap_or(rest.len()), is_whole: length.is_some() })
}

fn find(bytes: &[u8], is: impl Fn(u8) -> bool) -> Option<usize> {
    bytes.iter().position(|byte| is(*byte))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

pub(super) fn is_operator(byte: u8) -> bool {
    b"~!@#^&|`?+-*/%<>=".contains(&byte)
}

/// Up to the next character that is none, or to a comment.
fn operator(rest: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = rest.get(at).filter(|byte| is_operator(**byte)) {
        let starts_comment = matches!((byte, rest.get(at + 1)), (b'-', Some(b'-')) | (b'/', Some(b'*')));
        if starts_comment {
            break;
        }
        at += 1;
    }
    at
}

/// The length of a literal or name in quotes, where it ends; a doubled quote does not end it.
fn quoted(rest: &[u8], quote: u8) -> Option<usize> {
    let mut at = 1;
    loop {
        at += find(rest.get(at..)?, |byte| byte == quote)? + 1;
        if rest.get(at) != Some(&quote) {
            return Some(at);
        }
        at += 1;
    }
}

/// The same of `E'…'`, where a backslash takes the next character with it.
fn escaped(rest: &[u8]) -> Option<usize> {
    let mut at = 2;
    loop {
        at += find(rest.get(at..)?, |byte| matches!(byte, b'\'' | b'\\'))? + 1;
        let is_escape = rest.get(at - 1) == Some(&b'\\');
        if !is_escape && rest.get(at) != Some(&b'\'') {
            return Some(at);
        }
        at += 1;
    }
}

fn comment(rest: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (2, 1_usize);
    while depth > 0 {
        at += find(rest.get(at..)?, |byte| matches!(byte, b'*' | b'/'))?;
        match rest.get(at..at + 2)? {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    Some(at)
}

/// A literal between two equal tags, a parameter's place, or a lone character.
fn dollar(rest: &str) -> (Kind, Option<usize>) {
    let bytes = rest.as_bytes();
    let length = bytes.iter().skip(1).take_while(|b| is_word(**b)).count();
    let starts_name = bytes.get(1).is_some_and(|b| !b.is_ascii_digit());
    match rest.get(..length + 2).filter(|tag| tag.ends_with('$') && starts_name) {
        Some(tag) => {
            let body = rest.get(tag.len()..).unwrap_or_default();
            (Kind::Dollar, body.find(tag).map(|end| end + 2 * tag.len()))
        }
        None => (Kind::Mark, Some(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let (mut found, mut at) = (vec![], 0);
        while let Some(item) = item(text, at) {
            at = item.place.end;
            found.push(&text[item.place]);
        }
        assert_eq!(found, expected);
    }

    #[test]
    fn items_end_where_postgresql_ends_them() {
        check("select a$1,'b''c;'", &["select", " ", "a$1", ",", "'b''c;'"]);
        check("e'\\';' \"x\"\";\" é", &["e'\\';'", " ", "\"x\"\";\"", " ", "é"]);
        check("$a$;$b$;$a$;$1 $$;$$", &["$a$;$b$;$a$", ";", "$", "1", " ", "$$;$$"]);
        check("1--;\n/*;/*;*/;*/;", &["1", "--;\n", "/*;/*;*/;*/", ";"]);
        check("a<=/*;*/b+--;", &["a", "<=", "/*;*/", "b", "+", "--;"]);
        check("'open ; ", &["'open ; "]);
        check("/* /* */ ;", &["/* /* */ ;"]);
    }

    #[test]
    fn what_does_not_end_is_told() {
        for (text, is_whole) in [("'a'", true), ("'a", false), ("/*", false), ("$$ $", false), ("\"", false)] {
            assert_eq!(item(text, 0).map(|item| item.is_whole), Some(is_whole), "{text}");
        }
    }
}
