//! Where the lines of a text start: tokens tell line and column, errors need a character index, slices need bytes.

use sqlparser::tokenizer::{Location, Span};
use std::sync::Arc;

/// Characters between two of them whose bytes are known.
const MARK_EVERY: usize = 256;

/// Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines {
    /// (byte, character) offset of each line's start; then those of the end.
    starts: Arc<[(u32, u32)]>,
    /// Byte offset of each `MARK_EVERY`th character; none where all characters are one byte long.
    marks: Arc<[u32]>,
    /// Characters of the client's string before the text.
    before: u32,
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

impl Lines {
    pub(crate) fn new(text: &str) -> Lines {
        Lines::behind(text, 0)
    }

    /// Of a part of the client's string, with so many characters before it.
    pub(crate) fn behind(text: &str, before: u32) -> Lines {
        let mut marks = vec![];
        if !text.is_ascii() {
            marks.extend(text.char_indices().step_by(MARK_EVERY).map(|(byte, _)| count(byte)));
        }
        Lines { starts: starts(text).into(), marks: marks.into(), before }
    }

    /// 1-based character index of a location; 0 where it has none, or for text that is not the client's.
    pub(crate) fn position(&self, location: Location) -> u32 {
        let line = usize::try_from(location.line).ok().and_then(|line| line.checked_sub(1));
        line.and_then(|line| self.starts.get(line))
            .map_or(0, |(_, c)| self.before + c + u32::try_from(location.column).unwrap_or(0))
    }

    pub(crate) fn of(&self, span: Span) -> u32 {
        self.position(span.start)
    }

    /// 1-based index of the character after the last one.
    pub(crate) fn end(&self) -> u32 {
        self.before + self.starts.last().map_or(1, |(_, c)| c + 1)
    }

    /// Byte offset of a location in `text`; its end where it has none.
    pub(crate) fn byte(&self, text: &str, location: Location) -> usize {
        let line = usize::try_from(location.line).ok().and_then(|line| self.starts.get(line.checked_sub(1)?));
        let Some((_, start)) = line else { return text.len() };
        let column = usize::try_from(location.column).unwrap_or(1).saturating_sub(1);
        self.byte_of_character(text, *start as usize + column)
    }

    /// In constant time: a text of many tokens asks for each of them.
    fn byte_of_character(&self, text: &str, character: usize) -> usize {
        if self.marks.is_empty() {
            return character.min(text.len());
        }
        let Some(mark) = self.marks.get(character / MARK_EVERY) else { return text.len() };
        let rest = text.get(*mark as usize..).unwrap_or_default();
        *mark as usize + rest.char_indices().nth(character % MARK_EVERY).map_or(rest.len(), |(at, _)| at)
    }
}

/// (byte, character) offset of each line's start; then those of the end.
fn starts(text: &str) -> Vec<(u32, u32)> {
    let mut starts = vec![(0, 0)];
    let (mut start, mut characters) = (0, 0);
    for line in text.split_inclusive('\n') {
        start += line.len();
        characters += super::pieces::count(line);
        if line.ends_with('\n') {
            starts.push((count(start), characters));
        }
    }
    starts.push((count(text.len()), characters));
    starts
}

#[test]
fn bytes_of_characters_are_found_behind_long_ones() {
    for unit in ["x", "é", "aé\n"] {
        let text = unit.repeat(700);
        let lines = Lines::new(&text);
        for (character, (byte, _)) in text.char_indices().enumerate() {
            assert_eq!(lines.byte_of_character(&text, character), byte);
        }
        assert_eq!(lines.byte_of_character(&text, text.len()), text.len());
    }
    let text = "é\nab";
    assert_eq!(Lines::new(text).byte(text, Location::new(2, 2)), 4);
}
