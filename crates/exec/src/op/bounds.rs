//! Bounds of an index scan, from expressions to key ranges.
//!
//! The columns' encodings stand one behind the other, each ending itself, so equality on the first columns is a prefix and the
//! next column's bounds cut the range behind it. A value is `80 …`, NULL is `00` or `FF`: the not-NULL part of a
//! prefix is `[prefix 80, prefix 81)`.

use crate::expr::Program;
use crate::run::Run;
use sql::physical::{KeyBounds, KeyEqual};
use txn::KeyRange;
use types::key::{self, KeyOrder, prefix_end};
use types::{Datum, Result, SqlError, SqlState, SqlType};

/// Ranges that the IN lists of one scan may make.
const RANGES_MAX: usize = 1_000_000;

#[derive(Debug)]
enum Equal {
    Value(Program),
    AnyOf(Program),
    IsNull,
}

#[derive(Debug)]
pub(crate) struct Bounds {
    equal: Vec<Equal>,
    lower: Option<(Program, bool)>,
    upper: Option<(Program, bool)>,
    not_null: bool,
    types: Vec<SqlType>,
    orders: Vec<KeyOrder>,
}

impl Bounds {
    pub fn new(bounds: &KeyBounds, types: &[SqlType], orders: &[KeyOrder]) -> Result<Bounds> {
        let side = |side: &Option<(sql::Expr, bool)>| -> Result<Option<(Program, bool)>> {
            side.as_ref().map(|(e, inclusive)| Ok((Program::compile(e)?, *inclusive))).transpose()
        };
        let equal = bounds
            .equal
            .iter()
            .map(|e| {
                Ok(match e {
                    KeyEqual::Value(e) => Equal::Value(Program::compile(e)?),
                    KeyEqual::AnyOf(e) => Equal::AnyOf(Program::compile(e)?),
                    KeyEqual::IsNull => Equal::IsNull,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Bounds {
            equal,
            lower: side(&bounds.lower)?,
            upper: side(&bounds.upper)?,
            not_null: bounds.not_null,
            types: types.to_vec(),
            orders: orders.to_vec(),
        })
    }

    /// The ranges in key order, for the outer slots as they are. Empty: no rows.
    pub async fn ranges(&self, run: &mut Run) -> Result<Vec<KeyRange>> {
        let mut prefixes = vec![Vec::new()];
        for (i, equal) in self.equal.iter().enumerate() {
            let (ty, order) = self.column(i);
            let mut values = match equal {
                Equal::IsNull => vec![encoded(ty, &Datum::Null, order)],
                Equal::Value(program) => match program.eval_datums(run, &[]).await? {
                    Datum::Null => return Ok(vec![]),
                    value => vec![encoded(ty, &value, order)],
                },
                Equal::AnyOf(program) => match program.eval_datums(run, &[]).await? {
                    Datum::Array(array) => {
                        array.values.iter().filter(|v| !v.is_null()).map(|v| encoded(ty, v, order)).collect()
                    }
                    _ => return Ok(vec![]),
                },
            };
            values.sort();
            values.dedup();
            if prefixes.len().saturating_mul(values.len()) > RANGES_MAX {
                return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "too many ranges in one index scan"));
            }
            prefixes = prefixes
                .iter()
                .flat_map(|prefix: &Vec<u8>| values.iter().map(move |value| [&prefix[..], &value[..]].concat()))
                .collect();
        }
        let (lower, upper) = (self.side(run, &self.lower).await?, self.side(run, &self.upper).await?);
        let (Some(lower), Some(upper)) = (lower, upper) else { return Ok(vec![]) };
        Ok(prefixes.iter().filter_map(|prefix| self.range(prefix, &lower, &upper)).collect())
    }

    fn column(&self, i: usize) -> (SqlType, KeyOrder) {
        (self.types.get(i).copied().unwrap_or(SqlType::UNKNOWN), self.orders.get(i).copied().unwrap_or(KeyOrder::ASC))
    }

    /// The encoded bound, if there is one; None where it is NULL, so that no row qualifies.
    async fn side(&self, run: &mut Run, side: &Option<(Program, bool)>) -> Result<Option<Option<(Vec<u8>, bool)>>> {
        let Some((program, inclusive)) = side else { return Ok(Some(None)) };
        let (ty, order) = self.column(self.equal.len());
        Ok(match program.eval_datums(run, &[]).await? {
            Datum::Null => None,
            value => Some(Some((encoded(ty, &value, order), *inclusive))),
        })
    }

    fn range(
        &self,
        prefix: &[u8],
        lower: &Option<(Vec<u8>, bool)>,
        upper: &Option<(Vec<u8>, bool)>,
    ) -> Option<KeyRange> {
        let (_, order) = self.column(self.equal.len());
        // In a descending column the upper bound comes first.
        let (first, last) = if order.descending { (upper, lower) } else { (lower, upper) };
        let bounded = first.is_some() || last.is_some() || self.not_null;
        let start = match first {
            None if bounded => Some([prefix, &[0x80]].concat()),
            None => Some(prefix.to_vec()),
            Some((value, true)) => Some([prefix, &value[..]].concat()),
            Some((value, false)) => prefix_end(&[prefix, &value[..]].concat()),
        };
        let end = match last {
            None if bounded => Some([prefix, &[0x81]].concat()),
            None => prefix_end(prefix),
            Some((value, true)) => prefix_end(&[prefix, &value[..]].concat()),
            Some((value, false)) => Some([prefix, &value[..]].concat()),
        };
        let start = start?;
        if end.as_ref().is_some_and(|end| start >= *end) {
            return None;
        }
        Some(KeyRange { start: start.into(), end: end.map(Into::into) })
    }
}

fn encoded(ty: SqlType, value: &Datum, order: KeyOrder) -> Vec<u8> {
    let mut out = Vec::new();
    key::encode(ty, value, order, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values within a range are exactly those whose keys the range contains, in both directions and with NULLs at either end.
    #[test]
    fn ranges_hold_exactly_what_their_bounds_say() {
        let side = |v: Option<(i32, bool)>, order| v.map(|(v, i)| (encoded(SqlType::INT4, &Datum::Int4(v), order), i));
        for order in [
            KeyOrder::ASC,
            KeyOrder::DESC,
            KeyOrder { descending: true, nulls_first: false },
            KeyOrder { descending: false, nulls_first: true },
        ] {
            let bounds = Bounds {
                equal: vec![],
                lower: None,
                upper: None,
                not_null: true,
                types: vec![SqlType::INT4],
                orders: vec![order],
            };
            for lower in [None, Some((2, true)), Some((2, false)), Some((-1, false))] {
                for upper in [None, Some((5, true)), Some((5, false)), Some((2, true))] {
                    let range = bounds.range(&[7], &side(lower, order), &side(upper, order));
                    for value in [None, Some(-5), Some(-1), Some(1), Some(2), Some(3), Some(5), Some(9)] {
                        let mut key = vec![7];
                        let datum = value.map_or(Datum::Null, Datum::Int4);
                        key.extend(encoded(SqlType::INT4, &datum, order));
                        let expected = value.is_some_and(|v| {
                            lower.is_none_or(|(l, i)| v > l || (i && v == l))
                                && upper.is_none_or(|(u, i)| v < u || (i && v == u))
                        });
                        let found = range.as_ref().is_some_and(|r| r.contains(&key));
                        assert_eq!(found, expected, "{value:?} in {lower:?}..{upper:?} {order:?}");
                    }
                }
            }
        }
    }
}
