//! LIKE and ILIKE: a byte matcher without backtracking beyond the last `%`.
//!
//! `%` matches any run, `_` one character (not one byte), a backslash takes the next character as it is; another ESCAPE
//! has been rewritten to the backslash by `like_escape`. The time is bounded by the product of both lengths, the memory by
//! nothing at all.

use crate::{Result, SqlError, SqlState};
use std::borrow::Cow;

#[cold]
fn bad_end() -> SqlError {
    SqlError::new(SqlState::INVALID_ESCAPE_SEQUENCE, "LIKE pattern must not end with escape character")
}

/// How `_` advances and how literals compare.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Text,
    /// ILIKE: ASCII letters in any case, as the C locale has it.
    TextIgnoringCase,
    Bytes,
}

/// Whether `text` matches the whole of `pattern`. 22025 where the pattern ends in its escape character, once matching gets there.
pub fn matches(text: &[u8], pattern: &[u8], mode: Mode) -> Result<bool> {
    let (mut t, mut p) = (0, 0);
    // Where to go on when what follows the last `%` does not fit: one character later in the text.
    let mut resume: Option<(usize, usize)> = None;
    loop {
        let Some(wanted) = pattern.get(p) else {
            if t == text.len() {
                return Ok(true);
            }
            match retry(text, &mut resume, mode) {
                Some(next) => (t, p) = next,
                None => return Ok(false),
            }
            continue;
        };
        match wanted {
            b'%' => {
                p += 1;
                if p == pattern.len() {
                    return Ok(true);
                }
                resume = Some((t, p));
                continue;
            }
            b'_' if t < text.len() => {
                t += width(text, t, mode);
                p += 1;
                continue;
            }
            _ => {}
        }
        let (literal, size) = match wanted {
            b'\\' if t < text.len() => (*pattern.get(p + 1).ok_or_else(bad_end)?, 2),
            b'_' => (0, 0),
            other => (*other, 1),
        };
        if size > 0 && text.get(t).is_some_and(|byte| equal(*byte, literal, mode)) {
            t += 1;
            p += size;
            continue;
        }
        // A text that is used up can only match what is empty, and to begin later leaves even less of it.
        if t >= text.len() {
            return Ok(pattern[p..].iter().all(|byte| *byte == b'%'));
        }
        match retry(text, &mut resume, mode) {
            Some(next) => (t, p) = next,
            None => return Ok(false),
        }
    }
}

fn retry(text: &[u8], resume: &mut Option<(usize, usize)>, mode: Mode) -> Option<(usize, usize)> {
    let (t, p) = (*resume)?;
    if t >= text.len() {
        return None;
    }
    let next = (t + width(text, t, mode), p);
    *resume = Some(next);
    Some(next)
}

fn equal(a: u8, b: u8, mode: Mode) -> bool {
    match mode {
        Mode::TextIgnoringCase => a.eq_ignore_ascii_case(&b),
        _ => a == b,
    }
}

/// Bytes of the character at `at`.
fn width(text: &[u8], at: usize, mode: Mode) -> usize {
    if mode == Mode::Bytes {
        return 1;
    }
    match text.get(at) {
        Some(0xc0..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..) => 4,
        _ => 1,
    }
}

/// Rewrites a pattern with its ESCAPE to one whose escape is the backslash. An empty escape means none. 22025 for a longer one.
pub fn with_escape<'a>(pattern: &'a str, escape: &str) -> Result<Cow<'a, str>> {
    let mut escapes = escape.chars();
    let (first, more) = (escapes.next(), escapes.next());
    if more.is_some() {
        return Err(SqlError::new(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid escape string")
            .hint("Escape string must be empty or one character."));
    }
    let Some(escape) = first else { return Ok(Cow::Owned(pattern.replace('\\', "\\\\"))) };
    if escape == '\\' {
        return Ok(Cow::Borrowed(pattern));
    }
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut after_escape = false;
    for c in pattern.chars() {
        if c == escape && !after_escape {
            out.push('\\');
            after_escape = true;
        } else if c == '\\' {
            out.push('\\');
            if !after_escape {
                out.push('\\');
            }
            after_escape = false;
        } else {
            out.push(c);
            after_escape = false;
        }
    }
    Ok(Cow::Owned(out))
}

/// As `with_escape`, byte by byte.
pub fn with_escape_bytes(pattern: &[u8], escape: &[u8]) -> Result<Vec<u8>> {
    let escape = match escape {
        [] => None,
        [escape] => Some(*escape),
        _ => {
            return Err(SqlError::new(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid escape string")
                .hint("Escape string must be empty or one character."));
        }
    };
    let mut out = Vec::with_capacity(pattern.len() + 8);
    let mut after_escape = false;
    for byte in pattern {
        let is_escape = Some(*byte) == escape && !after_escape;
        match byte {
            _ if is_escape => out.push(b'\\'),
            b'\\' if !after_escape => out.extend_from_slice(b"\\\\"),
            byte => out.push(*byte),
        }
        after_escape = is_escape;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, pattern: &str, expected: bool) {
        let found = matches(text.as_bytes(), pattern.as_bytes(), Mode::Text).expect("a good pattern");
        assert_eq!(found, expected, "{text} LIKE {pattern}");
    }

    #[test]
    fn patterns_match_as_in_postgres() {
        for (text, pattern, expected) in [
            ("abc", "abc", true),
            ("abc", "a%", true),
            ("abc", "_b_", true),
            ("abc", "c", false),
            ("", "%", true),
            ("", "_", false),
            ("äöü", "___", true),
            ("äöü", "__", false),
            ("a%c", "a\\%c", true),
            ("abc", "a\\%c", false),
            ("aXbXc", "a%X%c", true),
            ("mississippi", "%iss%ip%", true),
            ("mississippi", "%iss%ix%", false),
            ("abab", "%ab", true),
            ("abac", "%ab", false),
            ("ab", "ab%%", true),
            ("aab", "%_b", true),
            ("b", "%_b", false),
        ] {
            check(text, pattern, expected);
        }
        assert!(matches(b"ab", b"a\\", Mode::Text).is_err());
        assert!(matches(b"aBc", b"Ab_", Mode::TextIgnoringCase).expect("a good pattern"));
    }

    #[test]
    fn escapes_are_rewritten() {
        assert_eq!(with_escape("a#%b\\", "#").expect("an escape"), "a\\%b\\\\");
        assert_eq!(with_escape("a\\%", "").expect("none"), "a\\\\%");
        assert!(with_escape("a", "ab").is_err());
    }
}
