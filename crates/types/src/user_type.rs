//! Types that users make: what their OIDs tell by themselves, and whom to ask for the rest.
//!
//! Formats, keys, rows and the binder's rules dispatch on a type's OID in many places, often once per value and without a
//! catalog at hand. So the facts that never change are in the OID: what kind of type it is, and whose array.
//!
//! ```text
//! bit  31  30     29..28                                27..0
//!      0   array  1 enum, 2 domain, 3 composite         id of the descriptor, from the catalog's counter
//! ```
//!
//! I1  An array's OID is its element's with the array bit; neither is ever reused.
//! I2  An OID is below 2^31: drivers that keep it as a signed number read it rightly.
//!
//! What may change (labels, names, fields) is the catalog's, which hands itself in as `UserTypes` with the
//! `FormatSettings`. A value of an enum is `Datum::Int8`, the sort key of its label (`catalog::user_types`), in memory and
//! on disk, so that nothing but text and binary forms asks for labels. A value of a domain is its base type's; the
//! binder lets no domain below it.

use crate::{Oid, SqlType};
use std::fmt;
use std::sync::Arc;

/// Ids of descriptors are below this: what is above says the kind.
pub const ID_LIMIT: u32 = 1 << 28;

const ARRAY_BIT: u32 = 1 << 30;
const KIND_SHIFT: u32 = 28;
const KIND_MASK: u32 = 0b11;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum UserKind {
    Enum = 1,
    Domain = 2,
    /// Free-standing, or the rows of a relation.
    Composite = 3,
}

/// The OID of the type that the descriptor `id` defines.
pub const fn type_oid(kind: UserKind, id: u32) -> Oid {
    (kind as u32) << KIND_SHIFT | id & (ID_LIMIT - 1)
}

/// What kind of type this is; None for built-in types and for arrays.
pub const fn kind_of(oid: Oid) -> Option<UserKind> {
    if oid & ARRAY_BIT != 0 {
        return None;
    }
    match oid >> KIND_SHIFT & KIND_MASK {
        1 => Some(UserKind::Enum),
        2 => Some(UserKind::Domain),
        3 => Some(UserKind::Composite),
        _ => None,
    }
}

pub const fn is_enum(oid: Oid) -> bool {
    matches!(kind_of(oid), Some(UserKind::Enum))
}

pub const fn is_domain(oid: Oid) -> bool {
    matches!(kind_of(oid), Some(UserKind::Domain))
}

pub const fn is_composite(oid: Oid) -> bool {
    matches!(kind_of(oid), Some(UserKind::Composite))
}

/// The element type of an array over a user's type.
pub const fn element_of(oid: Oid) -> Option<Oid> {
    if oid & ARRAY_BIT != 0 && oid >> KIND_SHIFT & KIND_MASK != 0 { Some(oid & !ARRAY_BIT) } else { None }
}

/// The array type over a user's type.
pub const fn array_of(oid: Oid) -> Option<Oid> {
    if kind_of(oid).is_some() { Some(oid | ARRAY_BIT) } else { None }
}

/// Definitions, as the statement sees them. Cheap to ask: maps in memory.
pub trait UserTypes: Send + Sync {
    fn enum_label(&self, ty: Oid, key: i64) -> Option<&str>;
    fn enum_key(&self, ty: Oid, label: &str) -> Option<i64>;
    /// All keys, in the order of the labels.
    fn enum_keys(&self, ty: Oid) -> Vec<i64>;
    /// Names and types of a composite type's columns; domains among them by their base.
    fn fields(&self, ty: Oid) -> Option<Vec<(String, SqlType)>>;
    /// As error messages call it; None if nobody knows it.
    fn name(&self, ty: Oid) -> Option<String>;
}

/// The catalog behind a `FormatSettings`; none where only built-in types are met.
#[derive(Clone, Default)]
pub struct UserTypesHandle(Option<Arc<dyn UserTypes>>);

impl UserTypesHandle {
    pub fn new(types: Arc<dyn UserTypes>) -> UserTypesHandle {
        UserTypesHandle(Some(types))
    }
    pub fn get(&self) -> Option<&dyn UserTypes> {
        self.0.as_deref()
    }
}

impl fmt::Debug for UserTypesHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "UserTypes" } else { "no UserTypes" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{builtin, oid};

    #[test]
    fn an_oid_tells_kind_and_array() {
        for (kind, id) in [(UserKind::Enum, 16_384), (UserKind::Domain, 20_000), (UserKind::Composite, ID_LIMIT - 1)] {
            let ty = type_oid(kind, id);
            let array = array_of(ty).expect("an array");
            assert_eq!((kind_of(ty), kind_of(array)), (Some(kind), None));
            assert_eq!((element_of(array), element_of(ty)), (Some(ty), None));
            assert!(i32::try_from(array).is_ok(), "I2");
        }
    }

    #[test]
    fn built_in_types_and_plain_objects_are_no_users_types() {
        let plain = [oid::INT4, oid::TEXT_ARRAY, oid::FIRST_USER_OID, ID_LIMIT - 1];
        for oid in builtin::types().iter().map(|t| t.oid).chain(plain) {
            assert_eq!((kind_of(oid), array_of(oid), element_of(oid)), (None, None, None), "{oid}");
        }
    }
}
