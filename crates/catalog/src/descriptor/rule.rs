//! Rules: what is done besides a statement that writes to a relation, or in its place.

use super::AttributeNumber;
use serde::{Deserialize, Serialize};
use types::Oid;

/// What CREATE RULE says. Belongs to its relation and goes with it; whoever changes a rule locks the relation and raises its
/// schema version, so that no plan is used that was made without it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rule {
    pub id: Oid,
    pub relation: Oid,
    /// Unique among the relation's.
    pub name: String,
    pub event: RuleEvent,
    pub is_instead: bool,
    /// ALTER TABLE … DISABLE RULE says no.
    pub is_enabled: bool,
    /// WHERE, with every name qualified; like the actions as it was written, where it cannot be told any other way.
    pub condition: Option<String>,
    /// None for NOTHING.
    pub actions: Vec<RuleAction>,
    /// The search path under which the texts bind.
    pub search_path: Vec<String>,
    /// What the texts use, for dependency checks: (object, attribute or 0).
    pub depends_on: Vec<(Oid, AttributeNumber)>,
    pub comment: Option<String>,
}

/// One statement of a rule.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RuleAction {
    /// With every name qualified, or as it was written.
    pub text: String,
    /// It, or the rule's condition, reads OLD or NEW: it is done for each row, and not once.
    pub reads_rows: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RuleEvent {
    Insert,
    Update,
    Delete,
}

impl RuleEvent {
    pub fn word(self) -> &'static str {
        match self {
            RuleEvent::Insert => "INSERT",
            RuleEvent::Update => "UPDATE",
            RuleEvent::Delete => "DELETE",
        }
    }
    /// pg_rewrite's `ev_type`.
    pub fn letter(self) -> char {
        match self {
            RuleEvent::Update => '2',
            RuleEvent::Insert => '3',
            RuleEvent::Delete => '4',
        }
    }
}

impl Rule {
    /// The condition and the actions.
    pub fn texts(&self) -> impl Iterator<Item = &String> {
        self.condition.iter().chain(self.actions.iter().map(|action| &action.text))
    }

    /// Whether the statement itself is not run where the rule fires.
    pub fn replaces_always(&self) -> bool {
        self.is_instead && self.condition.is_none()
    }
}
