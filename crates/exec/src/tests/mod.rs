//! Plans by hand over a node in memory.

mod laws;
mod statements;
mod support;
