//! The order and the hash of jsonb values, as PostgreSQL's btree and hash operator classes for jsonb have them.
//!
//! Object > Array > Boolean > Number > String > Null. Containers of more members are greater (PostgreSQL's well-known
//! exception: an empty top-level array sorts below null). Objects compare pair by pair in stored key order: key, then
//! value; arrays element by element.

use super::{DEPTH_MAX, JsonbRef, Kind};
use crate::hash::Hasher64;
use crate::key::{self, KeyOrder};
use crate::{Datum, SqlType};
use std::cmp::Ordering;

fn rank(kind: Kind) -> u8 {
    match kind {
        Kind::Null => 0,
        Kind::String => 1,
        Kind::Number => 2,
        Kind::Bool => 3,
        Kind::Array => 4,
        Kind::Object => 5,
    }
}

impl JsonbRef<'_> {
    /// See the module; `Equal` is `=` of jsonb, so 1 and 1.0 are equal.
    pub fn compare(self, other: JsonbRef<'_>) -> Ordering {
        // A top-level scalar is stored inside an array in PostgreSQL, and an array's count is looked at first: the empty
        // array sorts below every scalar, any other array above.
        let is_empty_array = |v: JsonbRef<'_>| v.is_array() && v.is_empty();
        match (is_empty_array(self) && other.is_scalar(), is_empty_array(other) && self.is_scalar()) {
            (true, _) => return Ordering::Less,
            (_, true) => return Ordering::Greater,
            _ => {}
        }
        self.compare_nested(other, DEPTH_MAX + 1)
    }

    fn compare_nested(self, other: JsonbRef<'_>, depth: usize) -> Ordering {
        let Some(depth) = depth.checked_sub(1) else { return Ordering::Equal };
        let (kind, other_kind) = (self.kind(), other.kind());
        if kind != other_kind {
            return rank(kind).cmp(&rank(other_kind));
        }
        match kind {
            Kind::Null => Ordering::Equal,
            Kind::Bool => self.as_bool().cmp(&other.as_bool()),
            Kind::String => self.as_bytes().cmp(other.as_bytes()),
            Kind::Number => compare_numbers(self, other),
            Kind::Array => self.len().cmp(&other.len()).then_with(|| {
                let pairs = self.elements().zip(other.elements());
                first_difference(pairs.map(|(a, b)| a.compare_nested(b, depth)))
            }),
            Kind::Object => self.len().cmp(&other.len()).then_with(|| {
                let pairs = self.members().zip(other.members());
                first_difference(pairs.map(|((key, a), (other_key, b))| {
                    // Keys compare as strings here, not length first: that is only how they are stored.
                    key.as_bytes().cmp(other_key.as_bytes()).then_with(|| a.compare_nested(b, depth))
                }))
            }),
        }
    }

    /// Equality of `compare`, with the common case of equal bytes first.
    pub fn equals(self, other: JsonbRef<'_>) -> bool {
        self.as_bytes() == other.as_bytes() || self.compare(other).is_eq()
    }

    /// A hash that agrees with `equals`, for slots and hash joins; stable for ever.
    pub fn hash_into(self, hasher: &mut Hasher64) {
        self.hash_nested(hasher, DEPTH_MAX + 1);
    }

    fn hash_nested(self, hasher: &mut Hasher64, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else { return };
        let kind = self.kind();
        hasher.write_u64(u64::from(rank(kind)));
        match kind {
            Kind::Null => {}
            Kind::Bool => hasher.write_u64(u64::from(self.as_bool() == Some(true))),
            Kind::String => hasher.write_bytes(self.as_str().unwrap_or_default().as_bytes()),
            Kind::Number => {
                if let Some(number) = self.as_number() {
                    number.hash_into(hasher);
                }
            }
            Kind::Array => {
                hasher.write_u64(self.len() as u64);
                self.elements().for_each(|element| element.hash_nested(hasher, depth));
            }
            Kind::Object => {
                hasher.write_u64(self.len() as u64);
                for (key, value) in self.members() {
                    hasher.write_bytes(key.as_bytes());
                    value.hash_nested(hasher, depth);
                }
            }
        }
    }

    /// Appends bytes whose order is `compare`'s, and which are equal where it says equal: what keys are made of.
    /// Not decodable: numbers have lost their scale.
    pub fn write_ordered(self, out: &mut Vec<u8>) {
        if self.is_array() && self.is_empty() {
            // Below every scalar, see `compare`.
            return out.push(0);
        }
        self.write_ordered_nested(out, DEPTH_MAX + 1);
    }

    fn write_ordered_nested(self, out: &mut Vec<u8>, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else { return };
        let kind = self.kind();
        out.push(rank(kind) + 1);
        match kind {
            Kind::Null => {}
            Kind::Bool => out.push(u8::from(self.as_bool() == Some(true))),
            Kind::String => write_ordered_text(self.as_str().unwrap_or_default(), out),
            Kind::Number => {
                if let Some(number) = self.as_number() {
                    key::encode(SqlType::NUMERIC, &Datum::Numeric(number), KeyOrder::default(), out);
                }
            }
            Kind::Array => {
                out.extend_from_slice(&(self.len() as u32).to_be_bytes());
                self.elements().for_each(|element| element.write_ordered_nested(out, depth));
            }
            Kind::Object => {
                out.extend_from_slice(&(self.len() as u32).to_be_bytes());
                for (key, value) in self.members() {
                    write_ordered_text(key, out);
                    value.write_ordered_nested(out, depth);
                }
            }
        }
    }
}

fn write_ordered_text(text: &str, out: &mut Vec<u8>) {
    key::encode(SqlType::TEXT, &Datum::text(text), KeyOrder::default(), out);
}

fn compare_numbers(a: JsonbRef<'_>, b: JsonbRef<'_>) -> Ordering {
    match (a.as_number(), b.as_number()) {
        (Some(a), Some(b)) => a.cmp(&b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

fn first_difference(mut orders: impl Iterator<Item = Ordering>) -> Ordering {
    orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Jsonb;

    /// In the order that PostgreSQL 15 sorts them.
    const SORTED: &[&str] = &[
        "[]",
        "null",
        "\"a\"",
        "\"ab\"",
        "\"b\"",
        "-1",
        "1",
        "10.50",
        "false",
        "true",
        "[null]",
        "[\"a\"]",
        "[1]",
        "[[]]",
        "[{}]",
        "[1, 2]",
        "{}",
        "{\"a\": 1}",
        "{\"a\": 2}",
        "{\"b\": 0}",
        "{\"a\": 1, \"bb\": 0}",
        "{\"b\": 1, \"aa\": 2}",
    ];

    #[test]
    fn order_keys_and_hashes_agree() {
        let values: Vec<Jsonb> = SORTED.iter().map(|text| Jsonb::parse(text).expect("it is JSON")).collect();
        let keys: Vec<Vec<u8>> = values
            .iter()
            .map(|value| {
                let mut key = Vec::new();
                value.as_ref().write_ordered(&mut key);
                key
            })
            .collect();
        for (i, a) in values.iter().enumerate() {
            for (j, b) in values.iter().enumerate() {
                assert_eq!(a.compare(b), i.cmp(&j), "{} and {}", SORTED[i], SORTED[j]);
                assert_eq!(keys[i].cmp(&keys[j]), i.cmp(&j), "keys of {} and {}", SORTED[i], SORTED[j]);
            }
        }
    }

    #[test]
    fn equal_values_have_one_hash_and_one_key() {
        let made = |text: &str| {
            let value = Jsonb::parse(text).expect("it is JSON");
            let mut hasher = Hasher64::new(0);
            value.as_ref().hash_into(&mut hasher);
            let mut key = Vec::new();
            value.as_ref().write_ordered(&mut key);
            (hasher.finish(), key, value)
        };
        let (a, b) = (made(r#"{"x": [1.0, 2], "y": null}"#), made(r#"{"y": null, "x": [1, 2.00]}"#));
        assert_eq!((a.0, a.1), (b.0, b.1));
        assert!(a.2 == b.2);
    }
}
