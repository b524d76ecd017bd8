//! What stored texts name. Defaults, checks, index expressions and predicates are kept as deparsed text, in which a name has one form:
//! here it is found, and replaced when the thing is renamed.

use catalog::*;
use types::Oid;
use types::functions::quote_ident;

/// Whether a stored expression over a relation reads the column: its text is deparsed, so a column is its quoted name, as a
/// word of its own, outside of literals.
pub(super) fn mentions(relation: &Relation, text: &str, number: AttributeNumber) -> bool {
    let Some(column) = relation.column(number) else { return false };
    let name = quote_ident(&column.name);
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$' || c == '"';
    let mut outside = true;
    for piece in text.split('\'') {
        if outside {
            let found = piece.match_indices(name.as_str()).any(|(at, found)| {
                let before = piece[..at].chars().next_back();
                let after = piece[at + found.len()..].chars().next();
                !before.is_some_and(|c| is_word(c) || c == '.') && !after.is_some_and(|c| is_word(c) || c == '(')
            });
            if found {
                return true;
            }
        }
        outside = !outside;
    }
    false
}

/// How stored defaults name a sequence.
pub(super) fn sequence_literal(snapshot: &Snapshot, sequence: &Relation) -> String {
    let name = names::qualified(snapshot, sequence.schema, &sequence.name).replace('\'', "''");
    format!("'{name}'::regclass")
}

/// How stored texts name a type: every literal and cast has its qualified name behind it.
pub(super) fn type_mention(snapshot: &Snapshot, ty: &Relation) -> String {
    format!("::{}", names::qualified(snapshot, ty.schema, &ty.name))
}

/// Where a text names the type; not where it names one whose name is longer.
fn mentions_of<'t>(text: &'t str, mention: &'t str) -> impl Iterator<Item = usize> + 't {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '"');
    text.match_indices(mention).map(|(at, _)| at).filter(move |at| {
        let after = text.get(at + mention.len()..).and_then(|rest| rest.chars().next());
        !after.is_some_and(is_word)
    })
}

pub(super) fn names_type(text: &str, mention: &str) -> bool {
    mentions_of(text, mention).next().is_some()
}

fn renamed(text: &str, old: &str, new: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for at in mentions_of(text, old) {
        out.push_str(text.get(done..at).unwrap_or_default());
        out.push_str(new);
        done = at + old.len();
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out
}

/// Relations and types whose stored texts name the type.
pub(super) fn relations_mentioning(snapshot: &Snapshot, ty: &Relation) -> Vec<Oid> {
    let mention = type_mention(snapshot, ty);
    let names = |r: &&std::sync::Arc<Relation>| stored_texts(r).any(|text| names_type(text, &mention));
    snapshot.relations().filter(|r| r.database == ty.database).filter(names).map(|r| r.id).collect()
}

/// Indexes whose expressions name the type.
pub(super) fn indexes_mentioning(snapshot: &Snapshot, ty: &Relation) -> Vec<Oid> {
    let mention = type_mention(snapshot, ty);
    let all = snapshot.indexes().filter(|i| i.database == ty.database);
    all.filter(|i| index_texts(i).any(|text| names_type(text, &mention))).map(|i| i.id).collect()
}

fn stored_texts(relation: &Relation) -> impl Iterator<Item = &String> {
    let defaults = relation.columns.iter().filter_map(|c| c.default.as_ref());
    let checks = relation.constraints.iter().filter_map(|c| match &c.kind {
        ConstraintKind::Check { expression, .. } => Some(expression),
        _ => None,
    });
    let of_domain = match &relation.definition {
        Some(TypeDefinition::Domain(definition)) => definition.default.as_ref(),
        _ => None,
    };
    defaults.chain(checks).chain(of_domain)
}

pub(super) fn rename_mentions(relation: &mut Relation, old: &str, new: &str) {
    for text in relation.columns.iter_mut().filter_map(|c| c.default.as_mut()) {
        *text = renamed(text, old, new);
    }
    for constraint in &mut relation.constraints {
        if let ConstraintKind::Check { expression, .. } = &mut constraint.kind {
            *expression = renamed(expression, old, new);
        }
    }
    if let Some(TypeDefinition::Domain(definition)) = &mut relation.definition {
        definition.default = definition.default.as_ref().map(|text| renamed(text, old, new));
    }
}

pub(super) fn rename_index_mentions(index: &mut Index, old: &str, new: &str) {
    for column in &mut index.columns {
        if let IndexSource::Expression(text) = &mut column.source {
            *text = renamed(text, old, new);
        }
    }
    index.predicate = index.predicate.as_ref().map(|text| renamed(text, old, new));
}

/// An index's expressions and its predicate.
pub(super) fn index_texts(index: &Index) -> impl Iterator<Item = &String> {
    let keys = index.columns.iter().filter_map(|c| match &c.source {
        IndexSource::Expression(text) => Some(text),
        IndexSource::Column(_) => None,
    });
    keys.chain(&index.predicate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::SqlType;

    #[test]
    fn a_column_is_found_in_stored_text_as_a_word_outside_of_literals() {
        let mut t = new_relation(1, "t", RelationKind::Table);
        t.columns = vec![new_column(1, "a", SqlType::INT4), new_column(2, "B c", SqlType::INT4)];
        for (text, number, expected) in [
            ("(a > 0)", 1, true),
            ("(ab > 0)", 1, false),
            ("('a'::text = b)", 1, false),
            ("a(1)", 1, false),
            ("(\"B c\" = 1)", 2, true),
            ("lower(a)", 1, true),
        ] {
            assert_eq!(mentions(&t, text, number), expected, "{text}");
        }
    }
}
