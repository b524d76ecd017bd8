//! Definitions of objects as SQL, in the words of PostgreSQL's `pg_get_indexdef` and `pg_get_constraintdef`.
//!
//! Owns no state. Expressions are stored as text in PostgreSQL's full form, every operation in parentheses; the "pretty" form
//! needs them parsed, so whoever can (exec) passes a function for that.

use crate::Snapshot;
use crate::descriptor::*;
use crate::names::{self, NameScope};
use types::Oid;
use types::functions::quote_ident;

/// Rewrites a stored expression over a relation; None where it cannot.
pub type Prettify<'a> = &'a dyn Fn(&Relation, &str) -> Option<String>;

/// How definitions are told.
#[derive(Clone, Copy)]
pub struct Definitions<'a> {
    pub catalog: &'a Snapshot,
    pub scope: NameScope<'a>,
    /// The pretty form: without parentheses that are not needed, and with tables' names qualified only where they are not
    /// in the search path.
    pub pretty: Option<Prettify<'a>>,
}

fn column_name(relation: &Relation, attribute: AttributeNumber) -> String {
    relation.column(attribute).map_or_else(String::new, |c| quote_ident(&c.name).to_string())
}

fn columns(relation: &Relation, attributes: &[AttributeNumber]) -> String {
    attributes.iter().map(|a| column_name(relation, *a)).collect::<Vec<_>>().join(", ")
}

/// Whether an expression needs no parentheses as an index key: a function call.
fn is_call(text: &str) -> bool {
    let Some((name, _)) = text.split_once('(').filter(|_| text.ends_with(')')) else { return false };
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'"');
    !name.is_empty() && name.bytes().all(is_name) && is_wrapped(text.get(name.len()..).unwrap_or_default())
}

/// Whether the first parenthesis closes with the last character.
fn is_wrapped(text: &str) -> bool {
    let mut depth = 0usize;
    let mut quote: Option<char> = None;
    let last = text.len().saturating_sub(1);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at == last && text.starts_with('(');
                }
            }
            (None, _) if at == 0 => return false,
            _ => {}
        }
    }
    false
}

/// A domain's check with its value as it is written: the stored text has it as the column `value`.
fn with_value(text: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '"' | '.');
    let mut out = String::with_capacity(text.len());
    for (number, piece) in text.split('\'').enumerate() {
        if number > 0 {
            out.push('\'');
        }
        // Every other piece is a literal.
        if number % 2 == 1 {
            out.push_str(piece);
            continue;
        }
        let mut rest = piece;
        while let Some(at) = rest.find("value") {
            let (before, after) = (rest.get(..at).unwrap_or_default(), rest.get(at + 5..).unwrap_or_default());
            let is_alone = !before.ends_with(is_word) && !after.starts_with(is_word);
            out.push_str(before);
            out.push_str(if is_alone { "VALUE" } else { "value" });
            rest = after;
        }
        out.push_str(rest);
    }
    out
}

fn wrapped(text: String) -> String {
    if is_wrapped(&text) { text } else { format!("({text})") }
}

fn action(action: ReferentialAction) -> Option<&'static str> {
    Some(match action {
        ReferentialAction::NoAction => return None,
        ReferentialAction::Restrict => "RESTRICT",
        ReferentialAction::Cascade => "CASCADE",
        ReferentialAction::SetNull => "SET NULL",
        ReferentialAction::SetDefault => "SET DEFAULT",
    })
}

impl Definitions<'_> {
    fn expression(&self, relation: &Relation, text: &str) -> String {
        let pretty = self.pretty.and_then(|pretty| pretty(relation, text));
        pretty.unwrap_or_else(|| names::with_visible_names(self.catalog, self.scope, text))
    }

    fn relation_name(&self, relation: &Relation) -> String {
        match self.pretty {
            Some(_) => names::regclass_text(self.catalog, self.scope, relation.id),
            None => names::qualified(self.catalog, relation.schema, &relation.name),
        }
    }

    /// A key column without its direction. Expressions stand in parentheses unless they are function calls.
    fn source(&self, relation: &Relation, source: &IndexSource) -> String {
        match source {
            IndexSource::Column(a) => column_name(relation, *a),
            IndexSource::Expression(text) => {
                let text = self.expression(relation, text);
                if is_call(&text) { text } else { wrapped(text) }
            }
        }
    }

    fn key_column(&self, relation: &Relation, column: &IndexColumn) -> String {
        let mut text = self.source(relation, &column.source);
        let own = types::builtin::type_by_oid(column.ty.oid).map_or(0, |t| t.collation);
        if column.collation != 0 && column.collation != own {
            let name = match column.collation {
                950 => Some("\"C\""),
                951 => Some("\"POSIX\""),
                _ => None,
            };
            if let Some(name) = name {
                text.push_str(" COLLATE ");
                text.push_str(name);
            }
        }
        if let Some(class) = &column.opclass {
            text.push(' ');
            text.push_str(class);
        }
        text.push_str(match (column.descending, column.nulls_first) {
            (false, false) => "",
            (false, true) => " NULLS FIRST",
            (true, true) => " DESC",
            (true, false) => " DESC NULLS LAST",
        });
        text
    }

    /// `CREATE INDEX …`; None for an id that is no index's.
    pub fn index(&self, id: Oid) -> Option<String> {
        let index = self.catalog.index(id)?;
        let relation = self.catalog.relation(index.relation)?;
        let keys: Vec<String> = index.columns.iter().map(|c| self.key_column(relation, c)).collect();
        let is_unique = index.is_unique || index.is_primary;
        let mut text = format!(
            "CREATE {}INDEX {} ON {} USING {} ({})",
            if is_unique { "UNIQUE " } else { "" },
            quote_ident(&index.name),
            self.relation_name(relation),
            index.method,
            keys.join(", "),
        );
        if !index.included.is_empty() {
            text.push_str(&format!(" INCLUDE ({})", columns(relation, &index.included)));
        }
        if index.nulls_not_distinct {
            text.push_str(" NULLS NOT DISTINCT");
        }
        if !index.options.is_empty() {
            let options: Vec<String> = index.options.iter().map(|(n, v)| format!("{n}='{v}'")).collect();
            text.push_str(&format!(" WITH ({})", options.join(", ")));
        }
        if let Some(predicate) = &index.predicate {
            let predicate = self.expression(relation, predicate);
            let shown = if self.pretty.is_some() { predicate } else { wrapped(predicate) };
            text.push_str(&format!(" WHERE {shown}"));
        }
        Some(text)
    }

    /// One column of an index, from 1; empty beyond the last, None for an id that is no index's.
    pub fn index_column(&self, id: Oid, column: i64) -> Option<String> {
        let index = self.catalog.index(id)?;
        let relation = self.catalog.relation(index.relation)?;
        let place = usize::try_from(column - 1).unwrap_or(usize::MAX);
        if let Some(column) = index.columns.get(place) {
            return Some(self.source(relation, &column.source));
        }
        let included = place.checked_sub(index.columns.len()).and_then(|p| index.included.get(p));
        Some(included.map_or_else(String::new, |a| column_name(relation, *a)))
    }

    /// A constraint as ALTER TABLE … ADD CONSTRAINT takes it; None for an id that is none's.
    pub fn constraint(&self, id: Oid) -> Option<String> {
        let all = self.catalog.relations().flat_map(|r| r.constraints.iter().map(move |c| (r, c)));
        let (relation, constraint) = all.into_iter().find(|(_, c)| c.id == id)?;
        Some(self.constraint_of(relation, constraint))
    }

    pub fn constraint_of(&self, relation: &Relation, constraint: &Constraint) -> String {
        let mut text = match &constraint.kind {
            ConstraintKind::PrimaryKey { index } => self.key("PRIMARY KEY", relation, *index),
            ConstraintKind::Unique { index } => self.key("UNIQUE", relation, *index),
            ConstraintKind::Check { expression, no_inherit, .. } => {
                let expression = self.expression(relation, expression);
                let expression = match relation.kind {
                    RelationKind::Domain => with_value(&expression),
                    _ => expression,
                };
                // Even a bare column stands in two pairs in the full form.
                let shown = if self.pretty.is_some() { expression } else { wrapped(expression) };
                format!("CHECK ({shown}){}", if *no_inherit { " NO INHERIT" } else { "" })
            }
            ConstraintKind::ForeignKey(key) => self.foreign_key(relation, key),
        };
        if constraint.deferrable {
            text.push_str(" DEFERRABLE");
        }
        if constraint.initially_deferred {
            text.push_str(" INITIALLY DEFERRED");
        }
        if !constraint.is_validated {
            text.push_str(" NOT VALID");
        }
        text
    }

    fn key(&self, word: &str, relation: &Relation, index: Oid) -> String {
        let Some(index) = self.catalog.index(index) else { return word.to_owned() };
        let names: Vec<String> = index.columns.iter().map(|c| self.source(relation, &c.source)).collect();
        let nulls = if index.nulls_not_distinct { " NULLS NOT DISTINCT" } else { "" };
        let mut text = format!("{word}{nulls} ({})", names.join(", "));
        if !index.included.is_empty() {
            text.push_str(&format!(" INCLUDE ({})", columns(relation, &index.included)));
        }
        text
    }

    fn foreign_key(&self, relation: &Relation, key: &ForeignKey) -> String {
        let (name, target) = match self.catalog.relation(key.target) {
            Some(target) => {
                (names::regclass_text(self.catalog, self.scope, target.id), columns(target, &key.target_columns))
            }
            None => (key.target.to_string(), String::new()),
        };
        let mut text = format!("FOREIGN KEY ({}) REFERENCES {name}({target})", columns(relation, &key.columns));
        if key.match_full {
            text.push_str(" MATCH FULL");
        }
        if let Some(action) = action(key.on_update) {
            text.push_str(&format!(" ON UPDATE {action}"));
        }
        if let Some(action) = action(key.on_delete) {
            text.push_str(&format!(" ON DELETE {action}"));
            if !key.delete_set_columns.is_empty() {
                text.push_str(&format!(" ({})", columns(relation, &key.delete_set_columns)));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parentheses_that_enclose_all_are_told_from_those_that_do_not() {
        let check = |text: &str, whole: bool| assert_eq!(is_wrapped(text), whole, "{text}");
        check("(a > 0)", true);
        check("(a) + (b)", false);
        check("((a) + (b))", true);
        check("(a = ')'::text)", true);
        check("('(' || a)", true);
        check("a", false);
        assert!(is_call("lower(a)") && is_call("f((a) + (b))"));
        assert!(!is_call("lower(a) || lower(b)") && !is_call("(a)"));
    }
}
