//! The lengths and precisions that information_schema tells of a type.

use crate::Snapshot;
use crate::descriptor::*;
use types::{Datum, Oid, SqlType, builtin, oid, typename};

/// Bytes that a character takes at most, in UTF-8.
const CHARACTER_BYTES: i32 = 4;
/// Octets of a string without a limit: PostgreSQL's 1 GB.
const OCTETS_UNLIMITED: i32 = 1 << 30;
/// Added to the length in the typmod of character types.
const TYPMOD_HEADER: i32 = 4;

/// All None where the type has no such measure.
#[derive(Default)]
pub(super) struct Facts {
    pub character_length: Option<i32>,
    pub octet_length: Option<i32>,
    pub numeric_precision: Option<i32>,
    pub numeric_radix: Option<i32>,
    pub numeric_scale: Option<i32>,
    pub datetime_precision: Option<i32>,
    pub interval_type: Option<String>,
}

impl Facts {
    pub fn of(ty: SqlType) -> Facts {
        let typmod = (ty.typmod >= 0).then_some(ty.typmod);
        let mut facts = Facts::default();
        match ty.oid {
            oid::BPCHAR | oid::VARCHAR => {
                facts.character_length = typmod.map(|t| t - TYPMOD_HEADER);
                let octets = |length: i32| length.saturating_mul(CHARACTER_BYTES);
                facts.octet_length = Some(facts.character_length.map_or(OCTETS_UNLIMITED, octets));
            }
            oid::TEXT => facts.octet_length = Some(OCTETS_UNLIMITED),
            oid::BIT | oid::VARBIT => facts.character_length = typmod,
            oid::INT2 => facts.binary(16),
            oid::INT4 => facts.binary(32),
            oid::INT8 => facts.binary(64),
            oid::FLOAT4 => facts.approximate(24),
            oid::FLOAT8 => facts.approximate(53),
            oid::NUMERIC => {
                let modifier = typmod.map(|t| t - TYPMOD_HEADER);
                facts.numeric_precision = modifier.map(|m| (m >> 16) & 0xffff);
                // Eleven bits with a sign: scales may be negative.
                facts.numeric_scale = modifier.map(|m| ((m & 0x7ff) ^ 1024) - 1024);
                facts.numeric_radix = Some(10);
            }
            oid::DATE => facts.datetime_precision = Some(0),
            oid::TIME | oid::TIMETZ | oid::TIMESTAMP | oid::TIMESTAMPTZ => {
                facts.datetime_precision = Some(typmod.unwrap_or(6));
            }
            oid::INTERVAL => {
                let precision = typmod.map(|t| t & 0xffff).filter(|p| *p != 0xffff);
                facts.datetime_precision = Some(precision.unwrap_or(6));
                let name = typename::format_type(ty.oid, Some(ty.typmod));
                let fields =
                    name.strip_prefix("interval").map(str::trim_start).filter(|f| f.starts_with(char::is_alphabetic));
                facts.interval_type = fields.map(str::to_uppercase);
            }
            _ => {}
        }
        facts
    }

    fn binary(&mut self, bits: i32) {
        self.approximate(bits);
        self.numeric_scale = Some(0);
    }

    fn approximate(&mut self, bits: i32) {
        self.numeric_precision = Some(bits);
        self.numeric_radix = Some(2);
    }
}

/// How information_schema calls a type: `ARRAY` and `USER-DEFINED` instead of a name of its own.
pub(super) fn data_type(ty: Oid) -> String {
    match builtin::type_by_oid(ty) {
        _ if builtin::element_of(ty).is_some() => "ARRAY".to_owned(),
        Some(_) => typename::format_type(ty, None),
        None => "USER-DEFINED".to_owned(),
    }
}

/// Whether the type is an array, of a built-in type or of rows.
pub(super) fn element(catalog: &Snapshot, ty: Oid) -> Option<Oid> {
    let of_rows = || catalog.relation_of_type(ty).filter(|r| r.row_array_type == ty).map(|r| r.row_type);
    builtin::element_of(ty).or_else(of_rows)
}

/// Schema and pg_type name.
pub(super) fn udt(catalog: &Snapshot, ty: Oid) -> (Datum, Datum) {
    if let Some(ty) = builtin::type_by_oid(ty) {
        return (Datum::text("pg_catalog"), Datum::text(ty.name));
    }
    let Some(relation) = catalog.relation_of_type(ty) else { return (Datum::Null, Datum::Null) };
    let schema = catalog.schema(relation.schema).map_or(Datum::Null, |s| Datum::text(s.name.as_str()));
    let name = match relation.row_array_type == ty {
        true => format!("_{}", relation.name),
        false => relation.name.clone(),
    };
    (schema, Datum::text(name))
}

/// The collation's name, where it is not the default one.
pub(super) fn collation(column: &Column) -> Option<&'static str> {
    match column.collation {
        950 => Some("C"),
        951 => Some("POSIX"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_come_from_the_typmod() {
        let numeric = |precision: i32, scale: i32| {
            let typmod = (precision << 16 | scale & 0x7ff) + TYPMOD_HEADER;
            let facts = Facts::of(SqlType::with_typmod(oid::NUMERIC, typmod));
            assert_eq!((facts.numeric_precision, facts.numeric_scale), (Some(precision), Some(scale)));
        };
        numeric(10, 2);
        numeric(3, -2);
        let text = Facts::of(SqlType::with_typmod(oid::VARCHAR, 9));
        assert_eq!((text.character_length, text.octet_length), (Some(5), Some(20)));
        assert_eq!(Facts::of(SqlType::new(oid::INTERVAL)).interval_type, None);
    }
}
