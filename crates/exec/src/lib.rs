//! Level 4. Operators that run `sql`'s physical plans over `txn`.
//!
//! Owns expression evaluation, operators, the stored form of rows' keys and of index entries, constraints, COPY. Decides nothing
//! about *what* is computed: the plan says so. Knows no sockets and no sessions but through `SessionAccess`.
//!
//! ```text
//! Prepared (plan + compiled direct path, cached) --execute--> Execution --next--> Batch --output::RowBuffer--> DataRow bytes
//!                                                \--direct::run--> DataRow bytes (one row, no operators)
//! ```
//!
//! Where to start: `context` (what a statement may use), `run` (an execution), `op` (operators), `expr` (evaluation), `dml`
//! (writes), `rows` and `index` (what is stored), `direct` (the short path).

mod admit;
mod aggregate;
pub mod analyze;
pub mod batch;
mod block;
pub mod budget;
pub mod context;
pub mod copy;
pub mod ddl_services;
pub mod direct;
pub mod dml;
mod document;
pub mod explain;
pub mod expr;
mod facet;
pub mod functions;
mod index;
mod op;
pub mod output;
mod place;
mod rows;
mod run;
mod spill;
mod stored;
mod subplan;
#[cfg(test)]
mod tests;
mod walk;
mod window;

pub use admit::{allow, enter};
pub use batch::Batch;
pub use budget::{MemoryBudget, NodeBudget, Seat};
pub use context::{
    AdvisoryKey, AdvisoryRequest, BoxFuture, DirectContext, SessionAccess, Signal, SpillFolder, StatementContext,
};
pub use ddl_services::SqlServices;
pub use dml::{DeferredCheck, run_deferred};
pub use expr::fold;
pub use functions::reg::input_value as input;
pub use op::as_of;
pub use place::{StoragePlace, find_storage};
pub use run::{Execution, NodeMeasure, Prepared, evaluate, execute, execute_measured};
