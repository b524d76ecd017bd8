//! Dates, times, intervals and zones: PostgreSQL's ranges, arithmetic and formats.

/// `interval`: months, days and microseconds are kept apart.
#[derive(Clone, Copy, Debug, Default)]
pub struct Interval {
    pub months: i32,
    pub days: i32,
    pub micros: i64,
}

/// `timetz`: microseconds since midnight local, and the zone's offset in seconds *west* of UTC, as PostgreSQL stores it.
/// Packed so that a datum stays three words.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, packed(4))]
pub struct TimeTz {
    pub micros: i64,
    pub zone_west_s: i32,
}

/// A time zone by IANA name, POSIX-like spec or fixed offset. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TimeZone(());

impl TimeZone {
    pub fn utc() -> TimeZone {
        TimeZone(())
    }
}
