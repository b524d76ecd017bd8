//! `… WITHIN GROUP (ORDER BY …)`: percentiles, mode, and the ranks of hypothetical rows.
//!
//! The executor feeds the ordered columns alone, sorted as the clause says; direct arguments came with the constructor.

use super::Accumulator;
use crate::array::Array;
use crate::compare::{compare, compare_ordered};
use crate::key::KeyOrder;
use crate::{CallContext, Datum, Oid, Result, SqlError, SqlState, SqlType};
use std::cmp::Ordering;
use std::sync::Arc;

/// `percentile_cont` and `percentile_disc`, for one fraction or an array of them.
pub struct Percentile {
    is_continuous: bool,
    /// A float, an array of floats, or NULL.
    fractions: Datum,
    element: Oid,
    values: Vec<Datum>,
    heap_size: usize,
}

impl Percentile {
    pub fn new(is_continuous: bool, fractions: Datum, element: Oid) -> Percentile {
        Percentile { is_continuous, fractions, element, values: Vec::new(), heap_size: 0 }
    }

    fn at(&self, fraction: f64) -> Result<Datum> {
        if self.is_continuous { self.interpolated(fraction) } else { Ok(self.discrete(fraction)) }
    }

    /// The first value whose share of rows up to it is not below the fraction.
    fn discrete(&self, fraction: f64) -> Datum {
        let row = (fraction * self.values.len() as f64).ceil() as usize;
        self.values.get(row.saturating_sub(1)).cloned().unwrap_or_default()
    }

    /// The value at the place `fraction * (n - 1)`, between two rows in proportion.
    fn interpolated(&self, fraction: f64) -> Result<Datum> {
        let place = fraction * (self.values.len() as f64 - 1.0);
        let (first, second) = (place.floor(), place.ceil());
        let (Some(low), Some(high)) = (self.values.get(first as usize), self.values.get(second as usize)) else {
            return Ok(Datum::Null);
        };
        if first == second {
            return Ok(low.clone());
        }
        let proportion = place - first;
        Ok(match (low, high) {
            (Datum::Float8(low), Datum::Float8(high)) => Datum::Float8(low + (high - low) * proportion),
            (Datum::Interval(low), Datum::Interval(high)) => {
                Datum::Interval(high.checked_sub(*low)?.mul_f64(proportion)?.checked_add(*low)?)
            }
            (low, high) => return Err(SqlError::internal(format!("no percentile between {low:?} and {high:?}"))),
        })
    }
}

fn checked(fraction: &Datum) -> Result<Option<f64>> {
    match fraction {
        Datum::Null => Ok(None),
        fraction => match fraction.as_f64() {
            value if (0.0..=1.0).contains(&value) => Ok(Some(value)),
            value => Err(SqlError::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                format!("percentile value {} is not between 0 and 1", crate::numeric::io::general_format(value, 6)),
            )),
        },
    }
}

impl Accumulator for Percentile {
    fn update(&mut self, _context: &CallContext<'_>, args: &[Datum]) -> Result<()> {
        if !args[0].is_null() {
            self.heap_size += args[0].heap_size();
            self.values.push(args[0].clone());
        }
        Ok(())
    }

    fn finish(&mut self, _context: &CallContext<'_>) -> Result<Datum> {
        let Datum::Array(fractions) = &self.fractions else {
            return match checked(&self.fractions)? {
                Some(fraction) if !self.values.is_empty() => self.at(fraction),
                _ => Ok(Datum::Null),
            };
        };
        if self.values.is_empty() {
            return Ok(Datum::Null);
        }
        let values = fractions.values.iter().map(|fraction| match checked(fraction)? {
            Some(fraction) => self.at(fraction),
            None => Ok(Datum::Null),
        });
        let values = values.collect::<Result<Vec<Datum>>>()?;
        Ok(Datum::Array(Arc::new(Array { element: self.element, dims: fractions.dims.clone(), values })))
    }

    fn size_bytes(&self) -> usize {
        96 + self.values.capacity() * size_of::<Datum>() + self.heap_size
    }
}

/// `mode()`: the value that stands most often, of several the first in order.
pub struct Mode {
    ty: SqlType,
    best: Datum,
    best_count: u64,
    current: Datum,
    current_count: u64,
}

impl Mode {
    pub fn new(ty: SqlType) -> Mode {
        Mode { ty, best: Datum::Null, best_count: 0, current: Datum::Null, current_count: 0 }
    }
}

impl Accumulator for Mode {
    fn update(&mut self, _context: &CallContext<'_>, args: &[Datum]) -> Result<()> {
        if args[0].is_null() {
            return Ok(());
        }
        if self.current_count > 0 && compare(self.ty, &self.current, &args[0]) == Ordering::Equal {
            self.current_count += 1;
        } else {
            (self.current, self.current_count) = (args[0].clone(), 1);
        }
        if self.current_count > self.best_count {
            if self.current_count == 1 || compare(self.ty, &self.best, &self.current) != Ordering::Equal {
                self.best = self.current.clone();
            }
            self.best_count = self.current_count;
        }
        Ok(())
    }
    fn finish(&mut self, _context: &CallContext<'_>) -> Result<Datum> {
        Ok(self.best.clone())
    }
    fn size_bytes(&self) -> usize {
        128 + self.best.heap_size() + self.current.heap_size()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum RankResult {
    Rank,
    DenseRank,
    PercentRank,
    CumulativeDistribution,
}

/// `rank(row) WITHIN GROUP (ORDER BY …)` and its kin: where the row would stand if it were among the others.
pub struct HypotheticalRank {
    result: RankResult,
    columns: Vec<(SqlType, KeyOrder)>,
    row: Vec<Datum>,
    count: i64,
    before: i64,
    peers: i64,
    distinct_before: i64,
    last_before: Vec<Datum>,
}

impl HypotheticalRank {
    /// One type and direction for each ordered column, and the hypothetical row's values.
    pub fn new(result: RankResult, columns: Vec<(SqlType, KeyOrder)>, row: Vec<Datum>) -> HypotheticalRank {
        let (count, before, peers, distinct_before) = (0, 0, 0, 0);
        HypotheticalRank { result, columns, row, count, before, peers, distinct_before, last_before: Vec::new() }
    }

    fn order(&self, a: &[Datum], b: &[Datum]) -> Ordering {
        let pairs = a.iter().zip(b).zip(&self.columns);
        let mut orders = pairs.map(|((a, b), (ty, order))| compare_ordered(*ty, *order, a, b));
        orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }
}

impl Accumulator for HypotheticalRank {
    fn update(&mut self, _context: &CallContext<'_>, args: &[Datum]) -> Result<()> {
        self.count += 1;
        match self.order(args, &self.row) {
            Ordering::Less => {
                self.before += 1;
                if self.before == 1 || self.order(&self.last_before, args) != Ordering::Equal {
                    self.distinct_before += 1;
                    self.last_before = args.to_vec();
                }
            }
            Ordering::Equal => self.peers += 1,
            Ordering::Greater => {}
        }
        Ok(())
    }

    fn finish(&mut self, _context: &CallContext<'_>) -> Result<Datum> {
        Ok(match self.result {
            RankResult::Rank => Datum::Int8(self.before + 1),
            RankResult::DenseRank => Datum::Int8(self.distinct_before + 1),
            RankResult::PercentRank if self.count == 0 => Datum::Float8(0.0),
            RankResult::PercentRank => Datum::Float8(self.before as f64 / self.count as f64),
            RankResult::CumulativeDistribution => {
                Datum::Float8((self.before + self.peers + 1) as f64 / (self.count + 1) as f64)
            }
        })
    }
}
