//! `min` and `max`, over every type that has an order.

use super::Accumulator;
use crate::compare::{check_comparable, compare};
use crate::{CallContext, Datum, Result, SqlType};
use std::cmp::Ordering;

/// Keeps the least or greatest value; of equal ones (1.0 and 1.00) the last, as PostgreSQL does.
pub struct Extreme {
    ty: SqlType,
    /// How the kept value must stand to the next to stay.
    stays: Ordering,
    best: Datum,
}

impl Extreme {
    pub fn new(ty: SqlType, is_max: bool) -> Extreme {
        let stays = if is_max { Ordering::Greater } else { Ordering::Less };
        Extreme { ty, stays, best: Datum::Null }
    }
}

impl Accumulator for Extreme {
    #[inline]
    fn update(&mut self, _context: &CallContext<'_>, args: &[Datum]) -> Result<()> {
        let next = &args[0];
        if next.is_null() {
            return Ok(());
        }
        if self.best.is_null() {
            self.best = next.clone();
            return Ok(());
        }
        if let Datum::Array(_) = next {
            check_comparable(&self.best, next)?;
        }
        if compare(self.ty, &self.best, next) != self.stays {
            self.best = next.clone();
        }
        Ok(())
    }
    fn finish(&mut self, _context: &CallContext<'_>) -> Result<Datum> {
        Ok(self.best.clone())
    }
    fn size_bytes(&self) -> usize {
        64 + self.best.heap_size()
    }
}
