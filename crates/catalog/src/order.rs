//! Which types have an order: what can be a key, be sorted, and has a histogram.

use crate::Snapshot;
use types::{Oid, SqlType, builtin, oid};

/// Types that are compared by `<` but have no order of their own (areas, lengths).
const UNORDERED: &[Oid] = &[600, 601, 602, 603, 604, 628, 718];

/// Whether values of the type can be keys.
pub fn has_order(snapshot: &Snapshot, ty: SqlType) -> bool {
    if types::user_type::is_enum(ty.oid) {
        return true;
    }
    if let Some(relation) = snapshot.type_descriptor(ty.oid) {
        return relation.live_columns().all(|c| has_order(snapshot, c.ty.into()));
    }
    if let Some(element) = ty.element() {
        return has_order(snapshot, element);
    }
    match ty.oid {
        // Compared as text and inet.
        oid::VARCHAR | oid::CIDR | oid::RECORD => true,
        other if UNORDERED.contains(&other) => false,
        other => builtin::operators_by_name("<").iter().any(|o| o.left == other && o.right == other),
    }
}
