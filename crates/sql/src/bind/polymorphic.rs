//! Polymorphic signatures: what `anyelement`, `anyarray` and `anycompatible` stand for in one call.

use super::Binder;
use super::coerce::{is_polymorphic, select_common};
use crate::expr::Expr;
use types::{Oid, Result, SqlError, SqlState, SqlType, builtin, oid};

/// Whether the arguments agree on what the polymorphic places stand for; a function whose do not is not the one meant.
pub(super) fn agree(declared: &[Oid], input: &[Oid]) -> bool {
    if !declared.iter().any(|d| is_polymorphic(*d)) {
        return true;
    }
    let (mut element, mut array): (Option<Oid>, Option<Oid>) = (None, None);
    let mut compatible = vec![];
    for (declared, actual) in declared.iter().zip(input) {
        if *actual == oid::UNKNOWN {
            continue;
        }
        let slot = match *declared {
            oid::ANYELEMENT | oid::ANYNONARRAY | oid::ANYENUM => &mut element,
            oid::ANYARRAY => &mut array,
            oid::ANYCOMPATIBLE | oid::ANYCOMPATIBLENONARRAY => {
                compatible.push(*actual);
                continue;
            }
            oid::ANYCOMPATIBLEARRAY => {
                compatible.extend(builtin::element_of(*actual));
                continue;
            }
            _ => continue,
        };
        if slot.is_some_and(|known| known != *actual) {
            return false;
        }
        *slot = Some(*actual);
    }
    let fits = match (element, array.map(builtin::element_of)) {
        (Some(element), Some(of_array)) => of_array == Some(element),
        _ => true,
    };
    fits && select_common(&compatible).is_ok()
}

/// The types that a signature's polymorphic places stand for.
pub(super) struct Concrete {
    pub(super) element: Option<Oid>,
    pub(super) compatible: Option<SqlType>,
}

impl Concrete {
    pub(super) fn of(&self, declared: Oid) -> Option<Oid> {
        match declared {
            oid::ANYELEMENT | oid::ANYNONARRAY | oid::ANYENUM => self.element,
            oid::ANYARRAY => self.element.and_then(builtin::array_of),
            oid::ANYCOMPATIBLE | oid::ANYCOMPATIBLENONARRAY => self.compatible.map(|t| t.oid),
            oid::ANYCOMPATIBLEARRAY => self.compatible.and_then(|t| builtin::array_of(t.oid)),
            other => Some(other),
        }
    }
}

impl Binder<'_> {
    pub(super) fn concrete(&self, declared: &[Oid], args: &[Expr]) -> Result<Concrete> {
        let mut element: Option<Oid> = None;
        let mut compatible = vec![];
        for (declared, arg) in declared.iter().zip(args) {
            let actual = arg.ty.oid;
            let found = match *declared {
                oid::ANYELEMENT | oid::ANYNONARRAY | oid::ANYENUM => (actual != oid::UNKNOWN).then_some(actual),
                oid::ANYARRAY => builtin::element_of(actual),
                oid::ANYCOMPATIBLE | oid::ANYCOMPATIBLENONARRAY => {
                    compatible.push((arg.ty, arg.position));
                    None
                }
                oid::ANYCOMPATIBLEARRAY => {
                    compatible.extend(arg.ty.element().map(|t| (t, arg.position)));
                    None
                }
                _ => None,
            };
            match (element, found) {
                (Some(a), Some(b)) if a != b => {
                    let (a, b) = (self.type_name(SqlType::new(a)), self.type_name(SqlType::new(b)));
                    return Err(SqlError::new(
                        SqlState::DATATYPE_MISMATCH,
                        "arguments declared \"anyelement\" are not all alike",
                    )
                    .detail(format!("{a} versus {b}"))
                    .at(arg.position));
                }
                _ => element = element.or(found),
            }
        }
        if declared.iter().any(|d| matches!(*d, oid::ANYELEMENT | oid::ANYARRAY | oid::ANYNONARRAY | oid::ANYENUM))
            && element.is_none()
        {
            return Err(SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                "could not determine polymorphic type because input has type unknown",
            ));
        }
        let compatible = match compatible.is_empty() {
            true => None,
            false => Some(self.common_type(&compatible, "arguments of anycompatible family")?),
        };
        Ok(Concrete { element, compatible })
    }
}
