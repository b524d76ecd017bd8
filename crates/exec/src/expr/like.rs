//! LIKE patterns that are no more than a prefix, a suffix, a part or the whole: compared as bytes, without matching.

pub(super) enum Pattern<'a> {
    Equal(&'a str),
    Prefix(&'a str),
    Suffix(&'a str),
    Contains(&'a str),
}

impl<'a> Pattern<'a> {
    /// None: it needs the real matcher.
    pub fn simple(pattern: &'a str) -> Option<Pattern<'a>> {
        let (rest, open_start) = match pattern.strip_prefix('%') {
            Some(rest) => (rest, true),
            None => (pattern, false),
        };
        let (middle, open_end) = match rest.strip_suffix('%') {
            Some(middle) => (middle, true),
            None => (rest, false),
        };
        if middle.contains(['%', '_', '\\']) {
            return None;
        }
        Some(match (open_start, open_end) {
            (false, false) => Pattern::Equal(middle),
            (false, true) => Pattern::Prefix(middle),
            (true, false) if middle.is_empty() => Pattern::Contains(middle),
            (true, false) => Pattern::Suffix(middle),
            (true, true) => Pattern::Contains(middle),
        })
    }

    #[inline]
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Pattern::Equal(p) => text == *p,
            Pattern::Prefix(p) => text.starts_with(p),
            Pattern::Suffix(p) => text.ends_with(p),
            Pattern::Contains(p) => text.contains(p),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn simple_patterns() {
        let check = |pattern: &str, text: &str, expected: Option<bool>| {
            assert_eq!(Pattern::simple(pattern).map(|p| p.matches(text)), expected, "{text} LIKE {pattern}");
        };
        check("abc", "abc", Some(true));
        check("abc", "abcd", Some(false));
        check("ab%", "abcd", Some(true));
        check("%cd", "abcd", Some(true));
        check("%bc%", "abcd", Some(true));
        check("%", "", Some(true));
        check("%%", "x", Some(true));
        check("", "", Some(true));
        check("a_c", "abc", None);
        check("a%c", "abc", None);
        check("a\\%", "a%", None);
    }
}
