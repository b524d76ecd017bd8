//! Statements by full primary key, which need no operator tree.

use super::Planner;
use super::Result;
use crate::logical::Query;
use crate::physical::Direct;

impl Planner<'_> {
    /// None where the statement is more than one key's row.
    pub(super) fn direct(&mut self, _query: &Query) -> Result<Option<Direct>> {
        Ok(None)
    }
}
