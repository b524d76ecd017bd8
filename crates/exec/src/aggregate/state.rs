//! States by group number: typed ones for what plans are made of, `Accumulator`s for the rest.

use super::call::Rows;
use crate::batch::{Column, ColumnData};
use types::aggregates::{Accumulator, FloatAverage, NumericSum};
use types::builtin::Proc;
use types::numeric::Numeric;
use types::{CallContext, Datum, Result, SqlError, SqlState};

/// What a call of an aggregate over one argument (or none) keeps per group, where it is simple.
pub(super) enum Fast {
    /// count(*): no argument; count(x): rows where x is not NULL.
    Count(Vec<i64>),
    /// sum of int2/int4 (bigint out), and whether there was a value.
    SumInt(Vec<(i64, bool)>),
    /// sum(int8) and avg of integers: exact, numeric out.
    SumWide {
        sums: Vec<(i128, i64)>,
        is_average: bool,
    },
    SumFloat(Vec<(f64, bool)>),
    /// sum and avg of numerics.
    SumNumeric {
        sums: Vec<NumericSum>,
        is_average: bool,
    },
    /// avg of floats.
    AverageFloat(Vec<FloatAverage>),
    /// min and max of integers, dates and timestamps.
    Extreme {
        best: Vec<Option<i64>>,
        is_max: bool,
        make: fn(i64) -> Datum,
    },
}

impl Fast {
    /// By the aggregate's OID (pg_proc); None: it needs an `Accumulator`.
    pub fn of(proc: u32) -> Option<Fast> {
        let extreme = |is_max, make| Fast::Extreme { best: vec![], is_max, make };
        Some(match proc {
            2803 | 2147 => Fast::Count(vec![]),
            2108 | 2109 => Fast::SumInt(vec![]),
            2107 => Fast::SumWide { sums: vec![], is_average: false },
            2100..=2102 => Fast::SumWide { sums: vec![], is_average: true },
            2111 => Fast::SumFloat(vec![]),
            2114 => Fast::SumNumeric { sums: vec![], is_average: false },
            2103 => Fast::SumNumeric { sums: vec![], is_average: true },
            2104 | 2105 => Fast::AverageFloat(vec![]),
            2115 | 2131 => extreme(proc == 2115, Datum::Int8),
            2116 | 2132 => extreme(proc == 2116, |v| Datum::Int4(v as i32)),
            2117 | 2133 => extreme(proc == 2117, |v| Datum::Int2(v as i16)),
            2122 | 2138 => extreme(proc == 2122, |v| Datum::Date(v as i32)),
            2126 | 2142 => extreme(proc == 2126, Datum::Timestamp),
            2127 | 2143 => extreme(proc == 2127, Datum::TimestampTz),
            _ => return None,
        })
    }

    /// Whether the values may come in any order: sums of floats round differently.
    pub fn ignores_order(&self) -> bool {
        !matches!(self, Fast::SumFloat(_) | Fast::AverageFloat(_))
    }

    pub fn resize(&mut self, groups: usize) {
        match self {
            Fast::Count(v) => v.resize(groups, 0),
            Fast::SumInt(v) => v.resize(groups, (0, false)),
            Fast::SumWide { sums, .. } => sums.resize(groups, (0, 0)),
            Fast::SumFloat(v) => v.resize(groups, (0.0, false)),
            Fast::SumNumeric { sums, is_average } => sums.resize_with(groups, || NumericSum::new(*is_average)),
            Fast::AverageFloat(v) => v.resize_with(groups, FloatAverage::default),
            Fast::Extreme { best, .. } => best.resize(groups, None),
        }
    }

    pub fn clear(&mut self) {
        match self {
            Fast::Count(v) => v.clear(),
            Fast::SumInt(v) => v.clear(),
            Fast::SumWide { sums, .. } => sums.clear(),
            Fast::SumFloat(v) => v.clear(),
            Fast::SumNumeric { sums, .. } => sums.clear(),
            Fast::AverageFloat(v) => v.clear(),
            Fast::Extreme { best, .. } => best.clear(),
        }
    }

    /// Takes rows.
    pub fn update(&mut self, rows: Rows<'_>, arg: Option<&Column>) -> Result<()> {
        match rows {
            Rows::One(len) => match (self, arg) {
                (Fast::Count(counts), None) => {
                    if let Some(count) = counts.first_mut() {
                        *count += len as i64;
                    }
                    Ok(())
                }
                (fast, arg) => fast.update_by(len, |_| 0, arg),
            },
            Rows::Each(groups) => self.update_by(groups.len(), |row| groups.get(row).copied().unwrap_or(u32::MAX), arg),
        }
    }

    /// `group` of each of `len` rows.
    #[inline]
    fn update_by(&mut self, len: usize, group: impl Fn(usize) -> u32, arg: Option<&Column>) -> Result<()> {
        match self {
            Fast::Count(counts) => count(counts, len, group, arg),
            Fast::SumInt(sums) => {
                let mut overflow = false;
                each_int(group, arg, |group, value| {
                    if let Some((sum, seen)) = sums.get_mut(group as usize) {
                        let (total, over) = sum.overflowing_add(value);
                        (*sum, *seen) = (total, true);
                        overflow |= over;
                    }
                });
                if overflow {
                    return Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "bigint out of range"));
                }
            }
            Fast::SumWide { sums, .. } => each_int(group, arg, |group, value| {
                if let Some((sum, count)) = sums.get_mut(group as usize) {
                    // Below 2^63 rows of 2^63 cannot overflow.
                    *sum += i128::from(value);
                    *count += 1;
                }
            }),
            Fast::SumFloat(sums) => {
                let mut overflow = false;
                each_float(group, arg, |group, value| {
                    if let Some((sum, seen)) = sums.get_mut(group as usize) {
                        let total = *sum + value;
                        overflow |= total.is_infinite() && sum.is_finite() && value.is_finite();
                        (*sum, *seen) = (total, true);
                    }
                });
                if overflow {
                    return Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow"));
                }
            }
            Fast::AverageFloat(averages) => {
                let mut failed = None;
                each_float(group, arg, |group, value| {
                    if let Some(average) = averages.get_mut(group as usize)
                        && let Err(error) = average.add(value)
                    {
                        failed.get_or_insert(error);
                    }
                });
                return failed.map_or(Ok(()), Err);
            }
            Fast::SumNumeric { sums, .. } => {
                let Some(Column { data: ColumnData::Datums(values), .. }) = arg else { return Ok(()) };
                for (row, value) in values.iter().enumerate() {
                    if let Datum::Numeric(value) = value
                        && let Some(sum) = sums.get_mut(group(row) as usize)
                    {
                        sum.add(value);
                    }
                }
            }
            Fast::Extreme { best, is_max, .. } => {
                let is_max = *is_max;
                each_int(group, arg, |group, value| {
                    if let Some(best) = best.get_mut(group as usize) {
                        *best = Some(match *best {
                            None => value,
                            Some(old) if is_max => old.max(value),
                            Some(old) => old.min(value),
                        });
                    }
                });
            }
        }
        Ok(())
    }

    /// Whether `update` can read this argument.
    pub fn takes(&self, arg: Option<&Column>) -> bool {
        match (self, arg.map(|a| &a.data)) {
            (Fast::Count(_), _) => true,
            (Fast::SumFloat(_), Some(ColumnData::Float8(_))) => true,
            (Fast::AverageFloat(_), Some(ColumnData::Float8(_) | ColumnData::Float4(_))) => true,
            (Fast::SumNumeric { .. }, Some(ColumnData::Datums(_))) => true,
            (Fast::SumFloat(_) | Fast::AverageFloat(_) | Fast::SumNumeric { .. }, _) | (_, None) => false,
            (_, Some(data)) => is_int(data),
        }
    }

    pub fn finish(&self, group: usize) -> Result<Datum> {
        Ok(match self {
            Fast::Count(v) => Datum::Int8(v.get(group).copied().unwrap_or(0)),
            Fast::SumInt(v) => match v.get(group) {
                Some((sum, true)) => Datum::Int8(*sum),
                _ => Datum::Null,
            },
            Fast::SumWide { sums, is_average } => match sums.get(group) {
                None | Some((_, 0)) => Datum::Null,
                Some((sum, count)) if *is_average => {
                    Datum::Numeric(Numeric::from_i128(*sum).div(&Numeric::from_i64(*count))?)
                }
                Some((sum, _)) => Datum::Numeric(Numeric::from_i128(*sum)),
            },
            Fast::SumFloat(v) => match v.get(group) {
                Some((sum, true)) => Datum::Float8(*sum),
                _ => Datum::Null,
            },
            Fast::SumNumeric { sums, .. } => sums.get(group).map_or(Ok(Datum::Null), NumericSum::total)?,
            Fast::AverageFloat(v) => v.get(group).map_or(Datum::Null, FloatAverage::value),
            Fast::Extreme { best, make, .. } => best.get(group).copied().flatten().map_or(Datum::Null, make),
        })
    }
}

/// count(*), or count(x) where x is not NULL.
#[inline]
fn count(counts: &mut [i64], len: usize, group: impl Fn(usize) -> u32, arg: Option<&Column>) {
    let mut bump = |group: u32, by: i64| {
        if let Some(count) = counts.get_mut(group as usize) {
            *count += by;
        }
    };
    match arg.map(|a| &a.nulls[..]).filter(|nulls| !nulls.is_empty()) {
        None => (0..len).for_each(|row| bump(group(row), 1)),
        Some(nulls) => nulls.iter().enumerate().for_each(|(row, null)| bump(group(row), i64::from(!*null))),
    }
}

fn is_int(data: &ColumnData) -> bool {
    use ColumnData::*;
    matches!(data, Int2(_) | Int4(_) | Int8(_) | Date(_) | Timestamp(_) | TimestampTz(_))
}

/// Each value that is not NULL, with its group.
#[inline]
fn each<T: Copy>(values: &[T], nulls: &[bool], group: impl Fn(usize) -> u32, mut f: impl FnMut(u32, T)) {
    if nulls.is_empty() {
        values.iter().enumerate().for_each(|(row, value)| f(group(row), *value));
    } else {
        for (row, (value, null)) in values.iter().zip(nulls).enumerate() {
            if !*null {
                f(group(row), *value);
            }
        }
    }
}

#[inline]
fn each_int(group: impl Fn(usize) -> u32, arg: Option<&Column>, mut f: impl FnMut(u32, i64)) {
    let Some(Column { data, nulls }) = arg else { return };
    match data {
        ColumnData::Int2(v) => each(v, nulls, group, |g, v| f(g, v.into())),
        ColumnData::Int4(v) | ColumnData::Date(v) => each(v, nulls, group, |g, v| f(g, v.into())),
        ColumnData::Int8(v) | ColumnData::Timestamp(v) | ColumnData::TimestampTz(v) => each(v, nulls, group, f),
        _ => {}
    }
}

#[inline]
fn each_float(group: impl Fn(usize) -> u32, arg: Option<&Column>, mut f: impl FnMut(u32, f64)) {
    let Some(Column { data, nulls }) = arg else { return };
    match data {
        ColumnData::Float4(v) => each(v, nulls, group, |g, v| f(g, v.into())),
        ColumnData::Float8(v) => each(v, nulls, group, f),
        _ => {}
    }
}

/// A group's accumulator, and its size when it was last asked.
pub(super) struct General {
    pub accumulator: Box<dyn Accumulator>,
}

impl General {
    pub fn new(proc: &'static Proc, context: &CallContext<'_>, direct: &[Datum]) -> Result<General> {
        match types::aggregates::accumulator(proc.oid, context, direct)? {
            Some(accumulator) => Ok(General { accumulator }),
            None => {
                let name = crate::functions::signature(proc);
                Err(SqlError::unsupported(format!("aggregate function {name} is not supported")))
            }
        }
    }
}
