//! Pattern matching over text: LIKE and PostgreSQL's regular expressions.

pub mod like;
pub mod regex;
