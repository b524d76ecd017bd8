//! Operators: a tree of them runs a plan. Each is pulled for its next batch; each may be rewound and pulled again, with the
//! outer slots changed in between (nested loops, subplans).

mod basic;
mod bounds;
mod build;
mod cte;
mod filter;
mod function;
mod hash_join;
mod index_scan;
mod kept;
pub(crate) mod keys;
mod limit;
mod lock;
mod lookup_join;
mod materialize;
mod measure;
mod merge_join;
mod nested_loop;
mod packed;
mod parallel;
pub(crate) mod parts;
pub(crate) mod quicksort;
mod recursive;
mod scan;
mod setop;
mod sort;
mod top;
mod unique;
mod versions;
mod virtuals;
mod window;

pub(crate) use build::{build, locks_at_the_end};
#[cfg(test)]
pub(crate) use function::type_of;
pub(crate) use kept::{KeptRows, Place};
pub(crate) use keys::{SortKeys, encode_keys};
pub(crate) use lock::{lock_error, lock_mode, wait_policy};
pub(crate) use lookup_join::scan_type;
pub(crate) use packed::{Key, KeyTable, Packing, RowKeys};
pub use scan::as_of;

use crate::batch::Batch;
use crate::context::BoxFuture;
use crate::run::Run;
use types::Result;

pub(crate) trait Operator: Send {
    /// The next rows; None at the end. A batch may be empty.
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>>;
    /// Back to before the first row, for other values in the outer slots.
    fn rewind(&mut self, run: &mut Run);
}

pub(crate) type Input = Box<dyn Operator>;
