//! Level 0. SQL types and values: what a value is, how it is written, compared, keyed and stored, and what
//! the functions of values compute. PostgreSQL 15's semantics (C collation, UTF-8) throughout.
//!
//! Owns no state but caches of compiled patterns and zones. Knows no storage, no catalog, no session: what a
//! function needs of those comes in a `CallContext` or lives in `exec`.
//!
//! Where to start: `datum` (a value), `sqltype` (its static type), `builtin` (PostgreSQL's tables of types,
//! functions, operators and casts), `io` (text and binary formats), `functions` (implementations by symbol),
//! `key` and `row` (order-preserving and stored forms).

pub mod aggregates;
pub mod array;
pub mod builtin;
pub mod cast;
pub mod compare;
pub mod context;
pub mod datetime;
pub mod datum;
pub mod error;
pub mod functions;
pub mod hash;
pub mod io;
pub mod json;
pub mod key;
pub mod network;
pub mod numeric;
pub mod oid;
pub mod row;
pub mod sqlstate;
pub mod sqltype;
pub mod stop;
pub mod table_lock;
pub mod text;
pub mod typename;
pub mod user_type;

pub use context::{CallContext, FormatSettings};
pub use datum::{Datum, Record};
pub use error::{Result, Severity, SqlError};
pub use oid::Oid;
pub use sqlstate::SqlState;
pub use sqltype::SqlType;
pub use table_lock::TableLock;
