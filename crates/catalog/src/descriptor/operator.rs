//! Operators that users made.

use serde::{Deserialize, Serialize};
use types::Oid;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Operator {
    pub id: Oid,
    pub database: Oid,
    pub schema: Oid,
    pub name: String,
    pub owner: Oid,
    /// 0: a prefix operator.
    pub left: Oid,
    pub right: Oid,
    /// 0 of a shell: an operator that others have named as their commutator or negator, and nobody has made yet.
    pub result: Oid,
    /// A user's function or a built-in one; 0 of a shell.
    pub procedure: Oid,
    pub commutator: Oid,
    pub negator: Oid,
    /// Selectivity estimators: kept and shown, never called.
    pub restrict: Oid,
    pub join: Oid,
    pub can_hash: bool,
    pub can_merge: bool,
    pub comment: Option<String>,
}

impl Operator {
    /// Named by another operator, not made.
    pub fn is_shell(&self) -> bool {
        self.procedure == 0
    }

    /// What tells it from others of its schema: name and types of its operands.
    pub fn signature(&self) -> String {
        format!("{}({},{})", self.name, self.left, self.right)
    }

    /// How a stored expression writes it, between its operands: names there are qualified.
    pub fn stored_text(&self, schema: &str) -> String {
        format!("OPERATOR({}.{})", types::functions::quote_ident(schema), self.name)
    }
}
