//! Text: LIKE and PostgreSQL's regular expressions, and the encodings that it comes in.

pub mod encoding;
pub mod like;
pub mod regex;
