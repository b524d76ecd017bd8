//! Days, Julian days and the clock: the arithmetic below every date and time.
//!
//! The calendar is the proleptic Gregorian one, astronomically numbered inside (year 0 is 1 BC). All of it is
//! exact integer arithmetic over `i64`, so no input can overflow on the way to its range check.

use crate::{Result, SqlError, SqlState};

pub const MICROS_PER_SECOND: i64 = 1_000_000;
pub const MICROS_PER_MINUTE: i64 = 60 * MICROS_PER_SECOND;
pub const MICROS_PER_HOUR: i64 = 60 * MICROS_PER_MINUTE;
pub const MICROS_PER_DAY: i64 = 24 * MICROS_PER_HOUR;
pub const SECONDS_PER_DAY: i64 = 86_400;
pub const DAYS_PER_MONTH: i32 = 30;
pub const MONTHS_PER_YEAR: i32 = 12;

/// The Julian day of 2000-01-01, day 0 of `date` and `timestamp`.
pub const EPOCH_JULIAN: i32 = 2_451_545;
/// 1970-01-01 in days and microseconds from 2000-01-01.
pub const UNIX_EPOCH_DAYS: i32 = -10_957;
pub const UNIX_EPOCH_MICROS: i64 = UNIX_EPOCH_DAYS as i64 * MICROS_PER_DAY;

/// 4713-11-24 BC (Julian day 0), the first `date`.
pub const DATE_MIN: i32 = -EPOCH_JULIAN;
/// One past 5874897-12-31, the last `date`.
pub const DATE_END: i32 = 2_147_483_494 - EPOCH_JULIAN;
/// 4713-11-24 00:00 BC, the first `timestamp`.
pub const TIMESTAMP_MIN: i64 = DATE_MIN as i64 * MICROS_PER_DAY;
/// One past 294276-12-31 23:59:59.999999, the last `timestamp`.
pub const TIMESTAMP_END: i64 = (109_203_528 - EPOCH_JULIAN) as i64 * MICROS_PER_DAY;
/// The day of `TIMESTAMP_END`: a date from here on has no timestamp.
pub const TIMESTAMP_END_DATE: i32 = 109_203_528 - EPOCH_JULIAN;

pub const DATE_NEG_INFINITY: i32 = i32::MIN;
pub const DATE_INFINITY: i32 = i32::MAX;
pub const TIMESTAMP_NEG_INFINITY: i64 = i64::MIN;
pub const TIMESTAMP_INFINITY: i64 = i64::MAX;

pub const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// From Sunday, as PostgreSQL counts `dow`.
pub const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A point in time taken apart. Year 0 is 1 BC. Seconds may be 60 and `micros` 1,000,000 while input is being read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Civil {
    pub year: i32,
    pub month: i32,
    pub day: i32,
    pub hour: i32,
    pub minute: i32,
    pub second: i32,
    pub micros: i32,
}

/// Days from 2000-01-01 to a date of the proleptic Gregorian calendar.
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March put the leap day last; an era is the calendar's 400-year cycle.
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    // 730,425 days lie between 0000-03-01 and 2000-01-01.
    era * 146_097 + day_of_era - 730_425
}

/// Year, month and day of a day counted from 2000-01-01. Years beyond `i32` saturate; no valid date has one.
pub fn civil_from_days(days: i64) -> (i32, i32, i32) {
    let shifted = days.saturating_add(730_425);
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32, month as i32, day as i32)
}

/// Julian day number of a civil date.
pub fn julian(year: i32, month: i32, day: i32) -> i64 {
    days_from_civil(i64::from(year), i64::from(month), i64::from(day)) + i64::from(EPOCH_JULIAN)
}

pub fn civil_from_julian(julian: i64) -> (i32, i32, i32) {
    civil_from_days(julian - i64::from(EPOCH_JULIAN))
}

pub fn is_leap(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// `month` is 1..=12; anything else has 0 days.
pub fn days_in_month(year: i32, month: i32) -> i32 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i32::from(is_leap(year)),
        _ => 0,
    }
}

/// Day of the week of a day counted from 2000-01-01 (a Saturday); 0 is Sunday.
pub fn weekday(days: i64) -> i32 {
    (days + 6).rem_euclid(7) as i32
}

/// Whether a civil date lies where `date` can have it (coarse bound, by month).
pub fn is_valid_julian(year: i32, month: i32) -> bool {
    (year > -4713 || (year == -4713 && month >= 11)) && (year < 5_874_898 || (year == 5_874_898 && month < 6))
}

pub fn is_valid_date(days: i64) -> bool {
    (i64::from(DATE_MIN)..i64::from(DATE_END)).contains(&days)
}

pub fn is_valid_timestamp(micros: i64) -> bool {
    (TIMESTAMP_MIN..TIMESTAMP_END).contains(&micros)
}

pub fn is_finite_timestamp(micros: i64) -> bool {
    micros != TIMESTAMP_INFINITY && micros != TIMESTAMP_NEG_INFINITY
}

pub fn is_finite_date(days: i32) -> bool {
    days != DATE_INFINITY && days != DATE_NEG_INFINITY
}

pub fn timestamp_out_of_range() -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range")
}

pub fn date_out_of_range() -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "date out of range")
}

/// A computed timestamp, or 22008.
pub fn check_timestamp(micros: Option<i64>) -> Result<i64> {
    micros.filter(|m| is_valid_timestamp(*m)).ok_or_else(timestamp_out_of_range)
}

/// Microseconds since midnight.
pub fn time_of_day(hour: i32, minute: i32, second: i32, micros: i32) -> i64 {
    ((i64::from(hour) * 60 + i64::from(minute)) * 60 + i64::from(second)) * MICROS_PER_SECOND + i64::from(micros)
}

/// Whether a clock reading passes 24:00:00 or has a part out of its range (second 60 and a full million of micros pass,
/// as they round up).
pub fn time_overflows(hour: i32, minute: i32, second: i32, micros: i32) -> bool {
    !(0..=24).contains(&hour)
        || !(0..60).contains(&minute)
        || !(0..=60).contains(&second)
        || !(0..=1_000_000).contains(&micros)
        || time_of_day(hour, minute, second, micros) > MICROS_PER_DAY
}

impl Civil {
    /// Takes a finite timestamp apart (no zone involved).
    pub fn from_timestamp(micros: i64) -> Civil {
        let (year, month, day) = civil_from_days(micros.div_euclid(MICROS_PER_DAY));
        Civil { year, month, day, ..Civil::default() }.with_time(micros.rem_euclid(MICROS_PER_DAY))
    }

    pub fn from_date(days: i32) -> Civil {
        let (year, month, day) = civil_from_days(i64::from(days));
        Civil { year, month, day, ..Civil::default() }
    }

    /// Sets the clock from microseconds since midnight (24:00:00 stays hour 24).
    pub fn with_time(mut self, micros: i64) -> Civil {
        self.hour = (micros / MICROS_PER_HOUR) as i32;
        self.minute = (micros / MICROS_PER_MINUTE % 60) as i32;
        self.second = (micros / MICROS_PER_SECOND % 60) as i32;
        self.micros = (micros % MICROS_PER_SECOND) as i32;
        self
    }

    pub fn days(&self) -> i64 {
        days_from_civil(i64::from(self.year), i64::from(self.month), i64::from(self.day))
    }

    pub fn time(&self) -> i64 {
        time_of_day(self.hour, self.minute, self.second, self.micros)
    }

    /// The timestamp of this local time at `east_s` seconds east of UTC; None outside of the type's range.
    pub fn to_timestamp(&self, east_s: i32) -> Option<i64> {
        if !is_valid_julian(self.year, self.month) {
            return None;
        }
        let micros = self.days().checked_mul(MICROS_PER_DAY)?.checked_add(self.time())?;
        let micros = micros.checked_sub(i64::from(east_s) * MICROS_PER_SECOND)?;
        is_valid_timestamp(micros).then_some(micros)
    }

    /// Seconds from 2000-01-01 00:00 as if the clock were UTC; for zone lookups.
    pub fn local_seconds(&self) -> i64 {
        self.days() * SECONDS_PER_DAY + time_of_day(self.hour, self.minute, self.second, 0) / MICROS_PER_SECOND
    }

    /// 1 for 1 January.
    pub fn day_of_year(&self) -> i32 {
        (self.days() - days_from_civil(i64::from(self.year), 1, 1) + 1) as i32
    }

    pub fn weekday(&self) -> i32 {
        weekday(self.days())
    }

    /// ISO 8601's year and week of this date.
    pub fn iso_week(&self) -> (i32, i32) {
        let days = self.days();
        // The Thursday of a week decides its year.
        let thursday = days - i64::from((weekday(days) + 6) % 7) + 3;
        let (year, _, _) = civil_from_days(thursday);
        let first = days_from_civil(i64::from(year), 1, 1);
        (year, ((thursday - first) / 7) as i32 + 1)
    }
}

/// The Monday of week 1 of an ISO year, in days from 2000-01-01.
pub fn iso_year_start(year: i32) -> i64 {
    let fourth = days_from_civil(i64::from(year), 1, 4);
    fourth - i64::from((weekday(fourth) + 6) % 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_and_days_are_inverse_over_the_whole_range() {
        for days in (i64::from(DATE_MIN)..i64::from(DATE_END)).step_by(9_973) {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(i64::from(year), i64::from(month), i64::from(day)), days);
            assert!((1..=days_in_month(year, month)).contains(&day), "{year}-{month}-{day}");
        }
        assert_eq!(civil_from_julian(0), (-4713, 11, 24));
        assert_eq!(civil_from_days(i64::from(DATE_END) - 1), (5_874_897, 12, 31));
        assert_eq!(julian(1970, 1, 1) - i64::from(EPOCH_JULIAN), i64::from(UNIX_EPOCH_DAYS));
    }

    #[test]
    fn iso_weeks_at_year_ends() {
        let week = |y, m, d| Civil { year: y, month: m, day: d, ..Civil::default() }.iso_week();
        assert_eq!(week(2005, 1, 1), (2004, 53));
        assert_eq!(week(2005, 1, 3), (2005, 1));
        assert_eq!(week(2008, 12, 29), (2009, 1));
        assert_eq!(weekday(0), 6);
    }
}
