//! `interval`: months, days and microseconds, kept apart; arithmetic, order, justification and typmods.
//!
//! Order and equality take a month as 30 days and a day as 24 hours, so `1 month` equals `30 days` though they are stored
//! differently. Arithmetic that leaves a field's range is 22008.

use super::calendar::{DAYS_PER_MONTH, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND};
use crate::{Result, SqlError, SqlState};
use std::cmp::Ordering;

/// `interval`: months, days and microseconds are kept apart. Derives no equality: see [`Interval::compare`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Interval {
    pub months: i32,
    pub days: i32,
    pub micros: i64,
}

/// Fields of `interval` typmods: `interval(p) hour to second` is `fields << 16 | precision`.
pub mod typmod {
    pub const MONTH: i32 = 1 << 1;
    pub const YEAR: i32 = 1 << 2;
    pub const DAY: i32 = 1 << 3;
    pub const HOUR: i32 = 1 << 10;
    pub const MINUTE: i32 = 1 << 11;
    pub const SECOND: i32 = 1 << 12;
    pub const FULL_RANGE: i32 = 0x7fff;
    pub const FULL_PRECISION: i32 = 0xffff;

    /// `precision` is 0..=6 or `FULL_PRECISION`.
    pub const fn encode(precision: i32, fields: i32) -> i32 {
        ((fields & FULL_RANGE) << 16) | (precision & FULL_PRECISION)
    }
    pub const fn precision(typmod: i32) -> i32 {
        typmod & FULL_PRECISION
    }
    pub const fn fields(typmod: i32) -> i32 {
        (typmod >> 16) & FULL_RANGE
    }
}

pub fn interval_out_of_range() -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range")
}

/// Rounds microseconds to `precision` (0..=6) digits of a second, halves away from zero.
pub fn round_micros(micros: i64, precision: i32) -> i64 {
    let Ok(precision @ 0..=5) = u32::try_from(precision) else { return micros };
    let scale = 10_i64.pow(6 - precision);
    let half = scale / 2;
    if micros >= 0 { micros.saturating_add(half) / scale * scale } else { micros.saturating_sub(half) / scale * scale }
}

impl Interval {
    pub const fn new(months: i32, days: i32, micros: i64) -> Interval {
        Interval { months, days, micros }
    }

    /// The linear value in microseconds that order, equality and hashes go by: 30-day months, 24-hour days.
    pub fn cmp_value(&self) -> i128 {
        let days = i64::from(self.months) * i64::from(DAYS_PER_MONTH) + i64::from(self.days);
        i128::from(self.micros) + i128::from(days) * i128::from(MICROS_PER_DAY)
    }

    pub fn compare(&self, other: &Interval) -> Ordering {
        self.cmp_value().cmp(&other.cmp_value())
    }

    /// Whether all three fields agree (`1 month` and `30 days` are equal but not identical).
    pub fn is_identical(&self, other: &Interval) -> bool {
        (self.months, self.days, self.micros) == (other.months, other.days, other.micros)
    }

    pub fn checked_add(self, other: Interval) -> Result<Interval> {
        let add = || {
            Some(Interval {
                months: self.months.checked_add(other.months)?,
                days: self.days.checked_add(other.days)?,
                micros: self.micros.checked_add(other.micros)?,
            })
        };
        add().ok_or_else(interval_out_of_range)
    }

    pub fn checked_sub(self, other: Interval) -> Result<Interval> {
        let sub = || {
            Some(Interval {
                months: self.months.checked_sub(other.months)?,
                days: self.days.checked_sub(other.days)?,
                micros: self.micros.checked_sub(other.micros)?,
            })
        };
        sub().ok_or_else(interval_out_of_range)
    }

    pub fn checked_neg(self) -> Result<Interval> {
        let neg = || {
            Some(Interval {
                months: self.months.checked_neg()?,
                days: self.days.checked_neg()?,
                micros: self.micros.checked_neg()?,
            })
        };
        neg().ok_or_else(interval_out_of_range)
    }

    /// `interval * factor`: a fraction of a month becomes days, a fraction of a day time (never the other way).
    pub fn mul_f64(self, factor: f64) -> Result<Interval> {
        self.scale(|field| field * factor)
    }

    /// `interval / divisor`; 22012 for zero.
    pub fn div_f64(self, divisor: f64) -> Result<Interval> {
        if divisor == 0.0 {
            return Err(SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero"));
        }
        self.scale(|field| field / divisor)
    }

    fn scale(self, apply: impl Fn(f64) -> f64) -> Result<Interval> {
        const SECONDS_PER_DAY: f64 = 86_400.0;
        let months = to_i32(apply(f64::from(self.months)))?;
        let days = to_i32(apply(f64::from(self.days)))?;
        // What the months and days lost to truncation goes down: month to days, day to seconds. Binary fractions are
        // cleaned to a microsecond first, or 30 days times a tenth would be 2 days 23:59:60.
        let month_rest = clean((apply(f64::from(self.months)) - f64::from(months)) * f64::from(DAYS_PER_MONTH));
        let day_rest = apply(f64::from(self.days)) - f64::from(days) + month_rest - month_rest.trunc();
        let mut rest_seconds = clean(day_rest * SECONDS_PER_DAY);
        let mut days = i64::from(days);
        if rest_seconds.abs() >= SECONDS_PER_DAY {
            let whole = (rest_seconds / SECONDS_PER_DAY).trunc();
            days += whole as i64;
            rest_seconds -= whole * SECONDS_PER_DAY;
        }
        days += month_rest.trunc() as i64;
        let micros = (apply(self.micros as f64) + rest_seconds * MICROS_PER_SECOND as f64).round_ties_even();
        // The bounds as floats: 2^63 itself does not fit.
        if !(micros >= i64::MIN as f64 && micros < i64::MAX as f64) {
            return Err(interval_out_of_range());
        }
        let days = i32::try_from(days).map_err(|_| interval_out_of_range())?;
        Ok(Interval { months, days, micros: micros as i64 })
    }

    /// Whole 24-hour periods of the time become days (`justify_hours`).
    pub fn justify_hours(self) -> Result<Interval> {
        let whole = self.micros / MICROS_PER_DAY;
        let mut micros = self.micros % MICROS_PER_DAY;
        let mut days = i64::from(self.days) + whole;
        if days > 0 && micros < 0 {
            micros += MICROS_PER_DAY;
            days -= 1;
        } else if days < 0 && micros > 0 {
            micros -= MICROS_PER_DAY;
            days += 1;
        }
        let days = i32::try_from(days).map_err(|_| interval_out_of_range())?;
        Ok(Interval { days, micros, ..self })
    }

    /// Whole 30-day periods of the days become months (`justify_days`).
    pub fn justify_days(self) -> Result<Interval> {
        let mut days = self.days % DAYS_PER_MONTH;
        let mut months = i64::from(self.months) + i64::from(self.days / DAYS_PER_MONTH);
        if months > 0 && days < 0 {
            days += DAYS_PER_MONTH;
            months -= 1;
        } else if months < 0 && days > 0 {
            days -= DAYS_PER_MONTH;
            months += 1;
        }
        let months = i32::try_from(months).map_err(|_| interval_out_of_range())?;
        Ok(Interval { months, days, ..self })
    }

    /// Both, and all signs made equal (`justify_interval`).
    pub fn justify_interval(self) -> Result<Interval> {
        let mut days = i64::from(self.days);
        let mut months = i64::from(self.months);
        let mut micros = self.micros;
        let per_month = i64::from(DAYS_PER_MONTH);
        // Days that already agree in sign with the time go to months first, so that they can not overflow below.
        if (days > 0 && micros > 0) || (days < 0 && micros < 0) {
            months += days / per_month;
            days %= per_month;
        }
        days += micros / MICROS_PER_DAY;
        micros %= MICROS_PER_DAY;
        months += days / per_month;
        days %= per_month;
        if months > 0 && (days < 0 || (days == 0 && micros < 0)) {
            days += per_month;
            months -= 1;
        } else if months < 0 && (days > 0 || (days == 0 && micros > 0)) {
            days -= per_month;
            months += 1;
        }
        if days > 0 && micros < 0 {
            micros += MICROS_PER_DAY;
            days -= 1;
        } else if days < 0 && micros > 0 {
            micros -= MICROS_PER_DAY;
            days += 1;
        }
        let months = i32::try_from(months).map_err(|_| interval_out_of_range())?;
        Ok(Interval { months, days: days as i32, micros })
    }

    /// Cuts the fields a typmod leaves out and rounds to its precision. -1 changes nothing.
    pub fn with_typmod(self, typmod: i32) -> Interval {
        use typmod::{DAY, FULL_RANGE, HOUR, MINUTE, SECOND, YEAR};
        if typmod < 0 {
            return self;
        }
        let fields = typmod::fields(typmod);
        let mut value = self;
        if fields != FULL_RANGE {
            // The lowest field kept decides: what is below it is dropped.
            if fields & (DAY | HOUR | MINUTE | SECOND) == 0 {
                value.days = 0;
                value.micros = 0;
                if fields == YEAR {
                    value.months = value.months / 12 * 12;
                }
            } else if fields == DAY {
                value.micros = 0;
            } else if fields & (MINUTE | SECOND) == 0 {
                value.micros = value.micros / MICROS_PER_HOUR * MICROS_PER_HOUR;
            } else if fields & SECOND == 0 {
                value.micros = value.micros / MICROS_PER_MINUTE * MICROS_PER_MINUTE;
            }
        }
        let precision = typmod::precision(typmod);
        if precision != typmod::FULL_PRECISION {
            value.micros = round_micros(value.micros, precision);
        }
        value
    }
}

/// Rounds to a microsecond's worth of digits, to hide the error of binary fractions.
fn clean(value: f64) -> f64 {
    (value * 1_000_000.0).round_ties_even() / 1_000_000.0
}

fn to_i32(value: f64) -> Result<i32> {
    // NaN fails both comparisons.
    if value >= f64::from(i32::MIN) && value <= f64::from(i32::MAX) {
        Ok(value as i32)
    } else {
        Err(interval_out_of_range())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_takes_months_as_thirty_days() {
        let month = Interval::new(1, 0, 0);
        assert_eq!(month.compare(&Interval::new(0, 30, 0)), Ordering::Equal);
        assert_eq!(month.compare(&Interval::new(0, 29, MICROS_PER_DAY + 1)), Ordering::Less);
        assert!(!month.is_identical(&Interval::new(0, 30, 0)));
        let greatest = Interval::new(i32::MAX, i32::MAX, i64::MAX);
        assert_eq!(greatest.compare(&Interval::new(i32::MIN, i32::MIN, i64::MIN)), Ordering::Greater);
    }

    #[test]
    fn fractions_go_down_never_up() {
        let half = Interval::new(1, 1, 0).div_f64(2.0).unwrap();
        assert!(half.is_identical(&Interval::new(0, 15, MICROS_PER_HOUR * 12)), "{half:?}");
        let tenth = Interval::new(0, 30, 0).mul_f64(0.1).unwrap();
        assert!(tenth.is_identical(&Interval::new(0, 3, 0)), "{tenth:?}");
        assert!(Interval::new(1, 0, 0).mul_f64(f64::NAN).is_err());
        assert!(Interval::new(1, 0, 0).div_f64(0.0).is_err());
    }

    #[test]
    fn typmods_cut_and_round() {
        let value = Interval::new(14, 3, MICROS_PER_HOUR + 61_555_555);
        let check = |fields, precision, expected: Interval| {
            let got = value.with_typmod(typmod::encode(precision, fields));
            assert!(got.is_identical(&expected), "{got:?}");
        };
        check(typmod::YEAR, typmod::FULL_PRECISION, Interval::new(12, 0, 0));
        check(typmod::YEAR | typmod::MONTH, typmod::FULL_PRECISION, Interval::new(14, 0, 0));
        check(typmod::DAY | typmod::HOUR, typmod::FULL_PRECISION, Interval::new(14, 3, MICROS_PER_HOUR));
        check(typmod::FULL_RANGE, 2, Interval::new(14, 3, MICROS_PER_HOUR + 61_560_000));
    }
}
