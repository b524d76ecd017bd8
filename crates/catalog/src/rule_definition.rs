//! A rule as the CREATE RULE that would make it: pg_get_ruledef and pg_rules.
//!
//! The condition and the actions are kept as `sql::deparse` tells them with every name qualified, and in exotic cases as they were
//! written; a reader's names are the caller's to tell.

use crate::definitions::Definitions;
use crate::descriptor::*;
use crate::names;
use crate::virtuals::dependencies::view_of_rule;
use types::Oid;
use types::functions::quote_ident;

/// The name of the rule by which a view is its query.
pub const VIEW_RULE: &str = "_RETURN";

/// A rule's condition, in parentheses where those are needed, and its actions, each with what parts it from what stands before.
pub struct ToldRule {
    pub condition: Option<String>,
    pub actions: Vec<String>,
}

impl ToldRule {
    fn as_kept(rule: &Rule) -> ToldRule {
        let condition = rule.condition.as_ref().map(|text| format!("({})", text.trim()));
        let actions = rule.actions.iter().map(|action| ToldRule::utility(&action.text));
        ToldRule { condition, actions: actions.collect() }
    }

    /// An action that is told as it is kept.
    pub fn utility(text: &str) -> String {
        let text = text.trim();
        let is_notify = text.get(..6).is_some_and(|word| word.eq_ignore_ascii_case("notify"));
        format!("{}{text}", if is_notify { "\n " } else { " " })
    }
}

impl Definitions<'_> {
    /// None for an id that is no rule's. `view`: a view's query, as a reader sees it; `told`: a rule's texts, None where they cannot
    /// be told.
    pub fn rule(
        &self,
        id: Oid,
        view: impl Fn(&Relation) -> Option<String>,
        told: impl Fn(&Rule, &Relation) -> Option<ToldRule>,
    ) -> Option<String> {
        let Some(rule) = self.catalog.rule(id) else {
            // The rule that makes a view out of its query.
            let relation = self.catalog.relation(view_of_rule(self.catalog, id)?)?;
            return Some(format!("{} DO INSTEAD {}", self.rule_head(VIEW_RULE, "SELECT", relation), view(relation)?));
        };
        let relation = self.catalog.relation(rule.relation)?;
        let mut text = self.rule_head(&rule.name, rule.event.word(), relation);
        let texts = told(rule, relation).unwrap_or_else(|| ToldRule::as_kept(rule));
        if let Some(condition) = &texts.condition {
            text.push_str(&format!("\n   WHERE {condition}"));
        }
        text.push_str(if rule.is_instead { " DO INSTEAD" } else { " DO" });
        match texts.actions.as_slice() {
            [] => text.push_str(" NOTHING;"),
            // One that is no query has a line of its own.
            [one] if one.starts_with('\n') => text.push_str(&format!("{one};")),
            [one] => text.push_str(&format!(" {one};")),
            several => {
                text.push_str(" (");
                several.iter().for_each(|action| text.push_str(&format!("{action};\n")));
                text.push_str(");");
            }
        }
        Some(text)
    }

    fn rule_head(&self, name: &str, event: &str, relation: &Relation) -> String {
        let target = match self.pretty {
            Some(_) => names::regclass_text(self.catalog, self.scope, relation.id),
            None => names::qualified(self.catalog, relation.schema, &relation.name),
        };
        format!("CREATE RULE {} AS\n    ON {event} TO {target}", quote_ident(name))
    }
}
