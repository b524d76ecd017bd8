//! Definitions of users' types, asked by OID: what a snapshot knows of enums, domains and composite types.
//!
//! A label of an enum has a sort key that identifies it for ever: rows, keys and indexes hold the key. Keys are given with
//! wide gaps, and a label put between two others gets the middle of their gap, so that ALTER TYPE … ADD VALUE moves
//! nothing that is stored, and RENAME VALUE touches no row.

use crate::Snapshot;
use crate::descriptor::*;
use crate::names::{self, NameScope};
use std::sync::Arc;
use types::oid::FIRST_USER_OID;
use types::user_type::{self, UserTypes};
use types::{Oid, SqlType, builtin};

/// Between the keys of neighbours when the type is made: forty labels fit one after the other at the same place.
const KEY_GAP: i64 = 1 << 40;
/// Domains over domains that are followed.
const DOMAIN_DEPTH_MAX: usize = 32;

/// Where a new label goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LabelPlace {
    Last,
    /// Before the label at this index.
    Before(usize),
    After(usize),
}

/// The key of the n-th label (from 0) of a new type.
pub fn first_key(index: usize) -> i64 {
    (index as i64 + 1).saturating_mul(KEY_GAP)
}

/// pg_enum's order of a label with this key.
pub fn sort_order(key: i64) -> f32 {
    (key as f64 / KEY_GAP as f64) as f32
}

/// A key for a new label, and its index among the labels; None where the gap is used up.
pub fn place_label(labels: &[EnumLabel], place: LabelPlace) -> Option<(usize, i64)> {
    let index = match place {
        LabelPlace::Last => labels.len(),
        LabelPlace::Before(index) => index,
        LabelPlace::After(index) => index + 1,
    };
    let before = index.checked_sub(1).and_then(|i| labels.get(i)).map(|l| l.key);
    let after = labels.get(index).map(|l| l.key);
    let key = match (before, after) {
        (None, None) => KEY_GAP,
        (Some(before), None) => before.checked_add(KEY_GAP)?,
        (None, Some(after)) => after.checked_sub(KEY_GAP)?,
        (Some(before), Some(after)) => before + (after - before) / 2,
    };
    (Some(key) != before).then_some((index, key))
}

impl Snapshot {
    /// The descriptor of an enum, a domain, a composite type or a relation by its type's OID (not its array's).
    pub fn type_descriptor(&self, ty: Oid) -> Option<&Relation> {
        self.relation_of_type(ty).filter(|r| r.row_type == ty).map(|r| &**r)
    }

    pub fn labels(&self, ty: Oid) -> Option<&[EnumLabel]> {
        match &self.type_descriptor(ty)?.definition {
            Some(TypeDefinition::Enum(labels)) => Some(labels),
            _ => None,
        }
    }

    pub fn domain(&self, ty: Oid) -> Option<(&Relation, &DomainDefinition)> {
        let descriptor = self.type_descriptor(ty)?;
        match &descriptor.definition {
            Some(TypeDefinition::Domain(definition)) => Some((descriptor, definition)),
            _ => None,
        }
    }

    /// The nearest default of a domain or of those below it, as stored text.
    pub fn domain_default(&self, ty: Oid) -> Option<&str> {
        let mut next = ty;
        for _ in 0..DOMAIN_DEPTH_MAX {
            let (_, definition) = self.domain(next)?;
            if let Some(text) = &definition.default {
                return Some(text);
            }
            next = definition.base.oid;
        }
        None
    }

    /// What a value of the type is stored as: a domain's base type, an array's over a domain as the base's array.
    pub fn base_type(&self, ty: SqlType) -> SqlType {
        // Asked for every parameter and column: nearly all have built-in types.
        if ty.oid < FIRST_USER_OID {
            return ty;
        }
        let mut base = ty;
        for _ in 0..DOMAIN_DEPTH_MAX {
            let Some((_, definition)) = self.domain(base.oid) else { break };
            base = definition.base.into();
        }
        match user_type::element_of(base.oid) {
            Some(element) if user_type::is_domain(element) => {
                let element = self.base_type(SqlType::new(element));
                // Of an array over arrays PostgreSQL knows nothing: the domain's own array stays one of text forms.
                builtin::array_of(element.oid).map_or(base, |array| SqlType::with_typmod(array, element.typmod))
            }
            _ => base,
        }
    }

    /// pg_type's collation of any type.
    pub fn collation_of(&self, ty: Oid) -> Oid {
        let base = self.base_type(SqlType::new(ty));
        builtin::type_by_oid(base.oid).map_or(0, |t| t.collation)
    }

    /// An enum's label by its key.
    pub fn enum_label(&self, ty: Oid, key: i64) -> Option<&str> {
        let labels = self.labels(ty)?;
        let at = labels.binary_search_by_key(&key, |l| l.key).ok()?;
        labels.get(at).map(|l| l.name.as_str())
    }
}

/// A snapshot as formats ask it, with the search path that types are named by.
pub struct TypesInScope {
    pub catalog: Arc<Snapshot>,
    pub database: Oid,
    pub search_path: Vec<Oid>,
}

impl UserTypes for TypesInScope {
    fn enum_label(&self, ty: Oid, key: i64) -> Option<&str> {
        self.catalog.enum_label(ty, key)
    }

    fn enum_key(&self, ty: Oid, label: &str) -> Option<i64> {
        self.catalog.labels(ty)?.iter().find(|l| l.name == label).map(|l| l.key)
    }

    fn enum_keys(&self, ty: Oid) -> Vec<i64> {
        self.catalog.labels(ty).unwrap_or_default().iter().map(|l| l.key).collect()
    }

    fn fields(&self, ty: Oid) -> Option<Vec<(String, SqlType)>> {
        let relation = self.catalog.type_descriptor(ty).filter(|r| !r.is_scalar_type())?;
        Some(relation.live_columns().map(|c| (c.name.clone(), c.ty.into())).collect())
    }

    fn name(&self, ty: Oid) -> Option<String> {
        let scope = NameScope { database: self.database, search_path: &self.search_path, temporary_schema: None };
        self.catalog.relation_of_type(ty).map(|_| names::format_type(&self.catalog, scope, ty, None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(count: usize) -> Vec<EnumLabel> {
        (0..count).map(|i| EnumLabel { id: 20_000 + i as Oid, key: first_key(i), name: format!("l{i}") }).collect()
    }

    fn insert(labels: &mut Vec<EnumLabel>, place: LabelPlace) -> bool {
        let Some((index, key)) = place_label(labels, place) else { return false };
        labels.insert(index, EnumLabel { id: 1, key, name: String::new() });
        assert!(labels.is_sorted_by(|a, b| a.key < b.key), "{labels:?}");
        true
    }

    #[test]
    fn labels_put_anywhere_keep_the_keys_of_all_others() {
        let mut all = labels(3);
        let keys: Vec<i64> = all.iter().map(|l| l.key).collect();
        for place in [LabelPlace::Last, LabelPlace::Before(0), LabelPlace::After(1), LabelPlace::Before(2)] {
            assert!(insert(&mut all, place));
        }
        assert!(keys.iter().all(|key| all.iter().any(|l| l.key == *key)));
        assert_eq!(all.len(), 7);
    }

    #[test]
    fn a_gap_takes_forty_labels_at_its_narrow_end_and_then_says_no() {
        for end in [false, true] {
            let mut all = labels(2);
            let mut taken = 0;
            loop {
                let place = if end { LabelPlace::Before(all.len() - 1) } else { LabelPlace::After(0) };
                if !insert(&mut all, place) {
                    break;
                }
                taken += 1;
            }
            assert_eq!(taken, 40);
        }
    }

    #[test]
    fn an_empty_type_and_the_ends_have_room() {
        let mut all = vec![];
        for _ in 0..1_000 {
            assert!(insert(&mut all, LabelPlace::Last));
            assert!(insert(&mut all, LabelPlace::Before(0)));
        }
    }
}
