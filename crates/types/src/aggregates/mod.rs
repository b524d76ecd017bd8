//! Aggregate functions: a state that takes rows and yields a value.

use crate::{CallContext, Datum, Oid, Result};

/// The running state of one aggregate in one group.
pub trait Accumulator: Send {
    /// Takes one row's arguments. NULLs are passed in; strict aggregates skip them themselves.
    fn update(&mut self, context: &CallContext<'_>, args: &[Datum]) -> Result<()>;
    /// The value so far. May be called many times (window frames that only grow).
    fn finish(&mut self, context: &CallContext<'_>) -> Result<Datum>;
    /// Bytes held, for the memory budget.
    fn size_bytes(&self) -> usize {
        64
    }
}

/// Makes the state of an aggregate by its pg_proc OID (`sum(int4)` is 2108); None where Hyrax has no implementation.
/// Ordered-set aggregates get their direct arguments in `direct`.
pub fn accumulator(_proc: Oid, _context: &CallContext<'_>, _direct: &[Datum]) -> Result<Option<Box<dyn Accumulator>>> {
    Ok(None)
}

/// Whether `accumulator` knows this aggregate; asked by the binder.
pub fn is_implemented(_proc: Oid) -> bool {
    false
}
