//! Domains at run time: a value is let through, or told why not.

use super::{EvalContext, Node, RowRef, compile};
use sql::expr::DomainChecks;
use std::sync::Arc;
use types::{Datum, Result, SqlError, SqlState};

/// A domain with its checks compiled: each reads the value as input 0.
#[derive(Debug)]
pub(crate) struct DomainNode {
    name: String,
    schema: String,
    not_null: bool,
    checks: Vec<(String, Node)>,
}

impl DomainNode {
    pub(super) fn new(domain: &DomainChecks) -> Result<Arc<DomainNode>> {
        let checks = domain.checks.iter().map(|(name, check)| Ok((name.clone(), compile::node(check)?)));
        Ok(Arc::new(DomainNode {
            name: domain.name.clone(),
            schema: domain.schema.clone(),
            not_null: domain.not_null,
            checks: checks.collect::<Result<_>>()?,
        }))
    }

    /// The value itself. 23502 for a NULL that the domain does not take, 23514 where a check is false (NULL passes).
    pub(super) fn check(&self, context: &EvalContext<'_>, value: Datum) -> Result<Datum> {
        if self.not_null && value.is_null() {
            let message = format!("domain {} does not allow null values", self.shown());
            return Err(self.about(SqlError::new(SqlState::NOT_NULL_VIOLATION, message)));
        }
        let row = [value];
        for (name, check) in &self.checks {
            if let Datum::Bool(false) = check.eval(context, RowRef::Datums(&row), &Datum::Null)? {
                let message = format!("value for domain {} violates check constraint \"{name}\"", self.shown());
                return Err(self.about(SqlError::new(SqlState::CHECK_VIOLATION, message)).constraint(name.clone()));
            }
        }
        let [value] = row;
        Ok(value)
    }

    fn shown(&self) -> ecow::EcoString {
        types::functions::quote_ident(&self.name)
    }

    fn about(&self, error: SqlError) -> SqlError {
        error.schema(self.schema.clone()).datatype(self.name.clone())
    }
}
