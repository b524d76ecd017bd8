//! Plans by hand over a node in memory.

mod copies;
mod laws;
mod statements;
mod support;
