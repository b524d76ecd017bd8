//! A rule as the CREATE RULE that would make it: pg_get_ruledef and pg_rules.
//!
//! The condition and the actions are told as they were written.

use crate::definitions::Definitions;
use crate::descriptor::*;
use crate::names;
use crate::virtuals::dependencies::view_of_rule;
use types::Oid;
use types::functions::quote_ident;

/// The name of the rule by which a view is its query.
pub const VIEW_RULE: &str = "_RETURN";

impl Definitions<'_> {
    /// None for an id that is no rule's. `view`: a view's query, as a reader sees it.
    pub fn rule(&self, id: Oid, view: impl Fn(&Relation) -> Option<String>) -> Option<String> {
        let Some(rule) = self.catalog.rule(id) else {
            // The rule that makes a view out of its query.
            let relation = self.catalog.relation(view_of_rule(self.catalog, id)?)?;
            return Some(format!("{} DO INSTEAD {}", self.rule_head(VIEW_RULE, "SELECT", relation), view(relation)?));
        };
        let relation = self.catalog.relation(rule.relation)?;
        let mut text = self.rule_head(&rule.name, rule.event.word(), relation);
        if let Some(condition) = &rule.condition {
            text.push_str(&format!("\n   WHERE ({})", condition.trim()));
        }
        text.push_str(if rule.is_instead { " DO INSTEAD " } else { " DO " });
        match rule.actions.as_slice() {
            [] => text.push_str("NOTHING;"),
            [one] => text.push_str(&format!(" {};", one.text.trim())),
            several => {
                text.push('(');
                several.iter().for_each(|action| text.push_str(&format!(" {};\n", action.text.trim())));
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
