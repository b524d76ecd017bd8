//! Comments that follow an operator without a space: `a <=/* why */ b`.
//!
//! sqlparser's tokenizer takes `/*` for a part of the operator. To PostgreSQL an operator ends where a comment begins, so such
//! comments are blanked before the text is cut into tokens, character by character, so that every place stays.

/// The text with those comments blanked; None where there are none, which is nearly always.
pub(super) fn blanked(text: &str) -> Option<String> {
    if !text.contains("/*") && !text.contains("--") {
        return None;
    }
    let bytes = text.as_bytes();
    let follows = |pair: &[u8; 2]| bytes.windows(3).any(|w| w.ends_with(pair) && w.first().is_some_and(is_operator));
    if !follows(b"/*") && !follows(b"--") {
        return None;
    }
    let letters: Vec<char> = text.chars().collect();
    let mut out = letters.clone();
    let (mut at, mut is_blanked) = (0, false);
    while at < letters.len() {
        let end = piece_end(&letters, at);
        let is_comment = matches!(letters.get(at..at + 2), Some(['/', '*'] | ['-', '-']));
        let is_behind = at > 0 && letters.get(at - 1).is_some_and(|c| u8::try_from(*c).is_ok_and(|b| is_operator(&b)));
        if is_comment && is_behind {
            is_blanked = true;
            let comment = out.get_mut(at..end).unwrap_or_default();
            comment.iter_mut().filter(|c| **c != '\n').for_each(|c| *c = ' ');
        }
        at = end;
    }
    is_blanked.then(|| out.into_iter().collect())
}

fn is_operator(byte: &u8) -> bool {
    b"~!@#^&|`?+-*/%<>=".contains(byte)
}

/// Where what begins at `at` ends: a literal, a quoted name, a comment, a word, or one character.
fn piece_end(letters: &[char], at: usize) -> usize {
    let rest = letters.get(at..).unwrap_or_default();
    let length = match rest {
        ['E' | 'e', '\'', ..] => 1 + quoted(rest.get(1..).unwrap_or_default(), true),
        ['\'' | '"', ..] => quoted(rest, false),
        ['-', '-', ..] => rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
        ['/', '*', ..] => block(rest),
        ['$', ..] => dollar(rest),
        [c, ..] if is_word(*c) => rest.iter().take_while(|c| is_word(**c) || **c == '$').count(),
        _ => 1,
    };
    at + length.max(1)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of a literal or name in quotes; a doubled quote does not end it.
fn quoted(rest: &[char], has_escapes: bool) -> usize {
    let Some(quote) = rest.first() else { return 0 };
    let mut at = 1;
    while let Some(c) = rest.get(at) {
        at += match c {
            '\\' if has_escapes => 2,
            c if c == quote && rest.get(at + 1) == Some(quote) => 2,
            c if c == quote => return at + 1,
            _ => 1,
        };
    }
    rest.len()
}

/// The length of `/* … */`, with those inside of it.
fn block(rest: &[char]) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while at < rest.len() {
        match rest.get(at..at + 2) {
            Some(['/', '*']) => (depth, at) = (depth + 1, at + 2),
            Some(['*', '/']) if depth <= 1 => return at + 2,
            Some(['*', '/']) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    rest.len()
}

/// The length of `$tag$ … $tag$`; 1 where it is none.
fn dollar(rest: &[char]) -> usize {
    let tag = 1 + rest.iter().skip(1).take_while(|c| is_word(**c)).count();
    if rest.get(tag) != Some(&'$') || rest.get(1).is_some_and(char::is_ascii_digit) {
        return 1;
    }
    let mark = rest.get(..=tag).unwrap_or_default();
    let body = rest.get(tag + 1..).unwrap_or_default();
    let end = body.windows(mark.len()).position(|window| window == mark);
    end.map_or(rest.len(), |end| tag + 1 + end + mark.len())
}

#[cfg(test)]
mod tests {
    use super::blanked;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(blanked(text).as_deref(), expected, "{text}");
    }

    #[test]
    fn comments_behind_operators_are_blanked_and_nothing_else() {
        check("1 <= 2", None);
        check("1 /* a */ <= 2", None);
        check("1<=/**/2", Some("1<=    2"));
        check("1 =/* é\n/* b */ */ 2", Some("1 =    \n           2"));
        check("2 !=-- one\n 1", Some("2 !=      \n 1"));
        check("'<=/**/'", None);
        check("e'\\'=/**/'", None);
        check("\"a=/**/\"", None);
        check("$x$=/**/$x$", None);
        check("-- a=/**/", None);
        check("/* =/* */ */ 1", None);
    }
}
