//! Lines and indentation, as PostgreSQL lays out a query.
//!
//! A clause begins a line. How far in depends on how deep the query stands; a text that is made on the way (an expression, one of
//! several columns) starts its own lines at the depth that holds when it is made. Blanks that come to stand at the end of a line are
//! taken away when all is done.

use std::cell::Cell;

/// One query inside another.
pub(super) const QUERY: i32 = 8;
/// A join's further sides.
pub(super) const JOIN: i32 = 4;
/// Columns, and the lines of a CASE.
pub(super) const VALUE: i32 = 4;
/// Beyond this depth lines move in more slowly.
const DEPTH_MAX: i32 = 40;

#[derive(Default)]
pub(super) struct Layout {
    depth: Cell<i32>,
    wrap: usize,
}

impl Layout {
    /// `wrap`: the column at which a list goes on in the next line. 0: each item has its line.
    pub(super) fn new(depth: i32, wrap: usize) -> Layout {
        Layout { depth: Cell::new(depth), wrap }
    }

    /// A new line with `words`. The depth changes by `before` first and by `after` then; `plus` counts for this line alone.
    pub(super) fn line(&self, words: &str, before: i32, after: i32, plus: i32) -> String {
        let depth = self.depth.get() + before;
        let amount = match depth < DEPTH_MAX {
            true => depth.max(0),
            false => (DEPTH_MAX + (depth - DEPTH_MAX) / (QUERY / 2)) % DEPTH_MAX,
        };
        self.depth.set((depth + after).max(0));
        let blanks = usize::try_from(amount + plus).unwrap_or(0);
        format!("\n{:blanks$}{words}", "")
    }

    /// A line that begins a clause of the query at hand.
    pub(super) fn clause(&self, words: &str, plus: i32) -> String {
        self.line(words, -QUERY, QUERY, plus)
    }

    pub(super) fn deeper(&self, by: i32) {
        self.depth.set(self.depth.get() + by);
    }

    pub(super) fn depth(&self) -> i32 {
        self.depth.get()
    }

    pub(super) fn back_to(&self, depth: i32) {
        self.depth.set(depth);
    }

    /// Whether an item would make the last line of `text` too long.
    pub(super) fn is_full(&self, text: &str, item: &str) -> bool {
        let line = text.rsplit('\n').next().map_or(0, str::len);
        line + item.len() > self.wrap
    }
}

/// Without blanks before line ends, literals excepted.
pub(super) fn tidy(text: String) -> String {
    if !text.contains('\n') {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut quote = None;
    for c in text.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '\'' || c == '"' => quote = Some(c),
            None if c == '\n' => out.truncate(out.trim_end_matches(' ').len()),
            None => {}
        }
        out.push(c);
    }
    out
}
