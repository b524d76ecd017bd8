//! COPY: rows in three formats, in (bytes as they come, to rows of the table) and out (rows of a query, to bytes).

mod binary;
mod csv;
mod error;
mod fields;
mod input;
mod lines;
mod output;
mod text;

pub use input::CopyIn;
pub use output::CopyOut;
