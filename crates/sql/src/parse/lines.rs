//! Where the lines of a text start: tokens tell line and column, errors need a character index, slices need bytes.

use sqlparser::tokenizer::{Location, Span};
use std::sync::Arc;

/// Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines {
    /// (byte, character) offset of each line's start; then those of the end.
    starts: Arc<[(u32, u32)]>,
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

impl Lines {
    pub(crate) fn new(text: &str) -> Lines {
        let mut starts = vec![(0, 0)];
        let mut characters = 0;
        for (byte, c) in text.char_indices() {
            characters += 1;
            if c == '\n' {
                starts.push((count(byte + 1), characters));
            }
        }
        starts.push((count(text.len()), characters));
        Lines { starts: starts.into() }
    }

    /// 1-based character index of a location; 0 where it has none, or for text that is not the client's.
    pub(crate) fn position(&self, location: Location) -> u32 {
        let line = usize::try_from(location.line).ok().and_then(|line| line.checked_sub(1));
        line.and_then(|line| self.starts.get(line)).map_or(0, |(_, c)| c + u32::try_from(location.column).unwrap_or(0))
    }

    pub(crate) fn of(&self, span: Span) -> u32 {
        self.position(span.start)
    }

    /// 1-based index of the character after the last one.
    pub(crate) fn end(&self) -> u32 {
        self.starts.last().map_or(1, |(_, c)| c + 1)
    }

    /// Byte offset of a location in `text`; its end where it has none.
    pub(crate) fn byte(&self, text: &str, location: Location) -> usize {
        let line = usize::try_from(location.line).ok().and_then(|line| self.starts.get(line.checked_sub(1)?));
        let Some((start, _)) = line else { return text.len() };
        let rest = text.get(*start as usize..).unwrap_or_default();
        let column = usize::try_from(location.column).unwrap_or(1).saturating_sub(1);
        *start as usize + rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at)
    }
}
