//! Casts that need no function: types whose values are the same bits in PostgreSQL (`CastMethod::Binary`).

use crate::{Datum, SqlType, io, oid};

/// The value as `target` represents it. PostgreSQL only renames the type there; here an `integer` that becomes an `oid`
/// (or `regclass`, …) changes its datum's variant too, and back. Also for functions whose declared result is only
/// binary-coercible to the cast's target: `smallint::oid` calls `int4(smallint)`. Other values stay as they are.
#[inline]
pub fn relabel(target: SqlType, value: Datum) -> Datum {
    match value {
        Datum::Int4(number) if io::is_oid_like(target.oid) => Datum::Oid(number as u32),
        Datum::Oid(number) if target.oid == oid::INT4 => Datum::Int4(number as i32),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::{self, CastMethod};

    #[test]
    fn integers_and_oids_change_places() {
        assert!(matches!(relabel(SqlType::OID, Datum::Int4(-1)), Datum::Oid(u32::MAX)));
        assert!(matches!(relabel(SqlType::new(oid::REGCLASS), Datum::Int4(7)), Datum::Oid(7)));
        assert!(matches!(relabel(SqlType::INT4, Datum::Oid(u32::MAX)), Datum::Int4(-1)));
        assert!(matches!(relabel(SqlType::INT8, Datum::Int4(7)), Datum::Int4(7)));
    }

    /// All other binary casts are between types of one representation; a new pair would have to be looked at.
    #[test]
    fn binary_casts_are_the_known_ones() {
        let texts = [oid::TEXT, oid::VARCHAR, oid::BPCHAR, oid::XML, oid::PG_NODE_TREE, oid::BIT, oid::VARBIT];
        let kind = |ty: u32| match ty {
            ty if io::is_oid_like(ty) || ty == oid::INT4 => "oid",
            ty if texts.contains(&ty) => "text",
            oid::BYTEA => "bytea",
            oid::INET | oid::CIDR => "network",
            _ => "other",
        };
        // Statistics' own types, never values here, are bytea.
        let is_statistic = |ty: u32| builtin::type_by_oid(ty).is_some_and(|ty| ty.name.starts_with("pg_"));
        for cast in builtin::casts().iter().filter(|cast| cast.method == CastMethod::Binary) {
            let same = kind(cast.source) == kind(cast.target) && kind(cast.source) != "other";
            assert!(same || is_statistic(cast.source), "{} to {}", cast.source, cast.target);
        }
    }
}
