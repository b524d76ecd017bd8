//! EXPLAIN.

use crate::session::Session;
use sql::utility::{ExplainOptions, Explained};
use types::{Result, SqlError};

impl Session {
    pub(crate) async fn explain(&mut self, explained: &Explained, options: &ExplainOptions) -> Result<Vec<String>> {
        let _ = (explained, options);
        Err(SqlError::unsupported("EXPLAIN is not supported"))
    }
}
