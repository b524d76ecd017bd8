//! `json` and `jsonb`: strict parser, binary form with sorted keys, paths and operators.
//!
//! - `parse`: one strict RFC 8259 parser, for both types; it drives a `Sink` (nothing for json, a `Builder` for jsonb).
//! - `binary`: the form of `Jsonb` and how to read it in place; `builder` writes it; `compare` orders it.
//! - `text`: json kept as text: finding members and elements without building anything.
//! - `jsonpath`: the SQL/JSON path language.
//! - `ops`: operators and path functions; `build`: SQL values to JSON and back.
//!
//! Promises: a jsonb is read in place, so `doc -> 'a' -> 'b'` costs two binary searches and no parse; numbers are exact;
//! no input makes a function panic or recurse deeper than `DEPTH_MAX`.

pub mod binary;
pub mod build;
mod builder;
mod compare;
pub mod jsonpath;
pub mod ops;
pub mod parse;
pub mod path;
mod pretty;
pub mod text;

pub use binary::{Jsonb, JsonbRef, Kind};
pub use builder::Builder;

use crate::{SqlError, SqlState};

/// Containers inside each other, in text and in binary form. PostgreSQL's bound is its stack; 54001 past it, as there.
pub const DEPTH_MAX: usize = 1_000;

/// Bytes of one jsonb: what PostgreSQL's own form can hold.
pub const SIZE_MAX: usize = 0x0fff_ffff;

#[cold]
pub(crate) fn too_deep() -> SqlError {
    SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
        .hint("JSON values may be nested 1000 levels deep.")
}
