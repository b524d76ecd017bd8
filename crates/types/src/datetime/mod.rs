//! Dates, times, intervals and zones: PostgreSQL's ranges, arithmetic and formats.
//!
//! Values are plain integers (see `Datum`): days or microseconds from 2000-01-01, with the ends of the integer's range as
//! infinities. `calendar` takes them apart, `zone` knows offsets, `interval` its arithmetic; `tokens`, `fields`, `parse` and
//! `parse_interval` read text, `format` writes it, and `io` is the door for the rest of the crate.

pub mod abbreviations;
pub mod calendar;
pub mod fields;
pub mod format;
pub mod interval;
pub mod io;
mod iso;
pub mod parse;
pub mod parse_interval;
pub mod tokens;
pub mod zone;

pub use interval::Interval;
pub use zone::{NamedZone, TimeZone, ZoneOffset};

use std::cmp::Ordering;

/// `timetz`: microseconds since midnight local, and the zone's offset in seconds *west* of UTC, as PostgreSQL stores it.
/// Packed so that a datum stays three words.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, packed(4))]
pub struct TimeTz {
    pub micros: i64,
    pub zone_west_s: i32,
}

impl TimeTz {
    /// The time of day in UTC, not wrapped at midnight.
    pub fn utc_micros(&self) -> i64 {
        { self.micros }.saturating_add(i64::from(self.zone_west_s) * calendar::MICROS_PER_SECOND)
    }

    /// By the moment in UTC, then by zone: two times are equal only if both agree.
    pub fn compare(&self, other: &TimeTz) -> Ordering {
        let (zone, other_zone) = (self.zone_west_s, other.zone_west_s);
        self.utc_micros().cmp(&other.utc_micros()).then(zone.cmp(&other_zone))
    }
}
