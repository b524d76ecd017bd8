//! CREATE RULE and ALTER RULE as data.

use super::ddl::{Name, ObjectName, SqlText};
use catalog::RuleEvent;

#[derive(Clone, Debug)]
pub struct CreateRule {
    pub name: Name,
    pub or_replace: bool,
    pub event: RuleEvent,
    pub relation: ObjectName,
    pub condition: Option<SqlText>,
    pub is_instead: bool,
    /// None for NOTHING.
    pub actions: Vec<SqlText>,
}

/// What ALTER says of a rule that is there.
#[derive(Clone, Debug)]
pub enum AlterRule {
    Rename(Name),
    /// ALTER TABLE … ENABLE RULE and DISABLE RULE.
    Enable(bool),
}
