//! SQL/JSON paths: `strict $.a[*] ? (@.b > $x).c`.
//!
//! - `tree`: what a path is. `lexer` and `parser` read one, `printer` writes it in PostgreSQL's words.
//! - `eval` follows a path through a document, depth first, so that a search ends with the first item found; `predicate`
//!   tests filters, `method` has `.size()` and its like, `value` is an item on the way, `identity` the ids of `.keyvalue()`.
//!
//! A `jsonpath` datum is the printed text. It reads back as the same path: where PostgreSQL's output leaves out brackets
//! that matter (`(2 * $).a + 1` is printed `(2 * $."a" + 1)` there) ours keeps them. Parsed paths are kept for the thread.
//!
//! Promises: a document and its parts are read in place; nothing is copied but what is found. Reading and following a path
//! are bounded by `OPERATIONS_MAX`, `NESTING_MAX`, `DEPTH_MAX` and `STEPS_MAX`, with 54001 past them.

mod eval;
mod identity;
mod lexer;
mod method;
mod parser;
mod predicate;
mod printer;
mod tree;
mod value;

pub use eval::{Request, exists, query};
pub use tree::Path;
pub use value::Value;

use crate::{Result, SqlError, SqlState};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// Operators, filters and subscripts in one path; it bounds how deep its tree can be.
pub(super) const OPERATIONS_MAX: usize = 1_000;
/// Expressions inside each other while a path is read.
pub(super) const NESTING_MAX: usize = 200;
/// Steps inside each other while a path is followed.
pub(super) const DEPTH_MAX: usize = 1_500;
/// Steps of following one path through one document; some seconds. Tests need not wait for so many.
pub(super) const STEPS_MAX: u64 = if cfg!(test) { 100_000 } else { 20_000_000 };
/// Parsed paths kept by a thread.
const CACHE_ENTRIES_MAX: usize = 16;

#[cold]
fn too_deep() -> SqlError {
    SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
        .hint("A jsonpath may have 1000 operations, in 200 levels of brackets, and 1500 steps inside each other.")
}

thread_local! {
    /// Paths used lately, the last used in front.
    static CACHE: RefCell<VecDeque<(String, Rc<Path>)>> = const { RefCell::new(VecDeque::new()) };
}

/// A parsed path, from the thread's cache if it has it.
pub fn compiled(text: &str) -> Result<Rc<Path>> {
    let cached = CACHE.with_borrow_mut(|cache| {
        let at = cache.iter().position(|(known, _)| known == text)?;
        if at > 0 {
            let entry = cache.remove(at)?;
            cache.push_front(entry);
        }
        cache.front().map(|(_, path)| Rc::clone(path))
    });
    if let Some(path) = cached {
        return Ok(path);
    }
    let made = Rc::new(Path::parse(text)?);
    CACHE.with_borrow_mut(|cache| {
        cache.truncate(CACHE_ENTRIES_MAX - 1);
        cache.push_front((text.to_owned(), Rc::clone(&made)));
    });
    Ok(made)
}

/// The text form that a path is kept in.
pub fn normalized(text: &str) -> Result<String> {
    Ok(Path::parse(text)?.to_string())
}

#[cfg(test)]
mod tests;
