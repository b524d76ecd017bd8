//! Plans by hand, and DDL with queries from text to rows, over a node in memory.

mod catalogs;
mod copies;
mod ddl;
mod explain;
mod golden;
mod laws;
mod operators;
mod parallel;
mod queries;
mod statements;
pub(crate) mod support;
mod turns;
