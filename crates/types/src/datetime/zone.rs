//! Time zones: names, offsets at an instant, offsets of a local time.
//!
//! Owns the cache of zones by name. The rules come from the IANA data bundled with jiff, so they are the same on every
//! node whatever the host has installed. jiff ends at year 9999: later years are mapped back by whole 400-year cycles of
//! the calendar, over which the rules repeat exactly.

use super::abbreviations::{Abbreviation, abbreviation};
use super::calendar::{Civil, MICROS_PER_SECOND, SECONDS_PER_DAY, UNIX_EPOCH_DAYS};
use crate::{Result, SqlError, SqlState};
use foldhash::{HashMap, HashMapExt};
use std::sync::{Arc, OnceLock, RwLock};

/// Seconds in 400 years of the Gregorian calendar.
const CYCLE_S: i64 = 146_097 * SECONDS_PER_DAY;
/// Seconds from 1970 after which an instant is mapped back by cycles (in the year 8307, well below jiff's end).
const MAPPED_FROM_S: i64 = 200_000_000_000;
/// Names kept in the cache; beyond, it starts anew. The IANA database has about 600.
const CACHED_NAMES_MAX: usize = 4_096;
/// The longest zone name PostgreSQL takes.
const NAME_LEN_MAX: usize = 255;
/// One week less a second, the most that the setting takes as an offset.
const OFFSET_SETTING_MAX_S: f64 = 604_799.0;
/// The rule a POSIX spec with a summer name but no rule gets: that of the United States since 2007.
const DEFAULT_SUMMER_RULE: &str = ",M3.2.0,M11.1.0";

/// A time zone by IANA name, POSIX-like spec or fixed offset. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TimeZone(Arc<Zone>);

#[derive(Debug)]
struct Zone {
    /// As SHOW prints it.
    name: String,
    rules: Rules,
}

#[derive(Debug)]
enum Rules {
    Fixed {
        east_s: i32,
        abbreviation: String,
    },
    Varying(jiff::tz::TimeZone),
    /// A POSIX spec with summer time: the rule, and its names for standard and summer time.
    Posix {
        zone: jiff::tz::TimeZone,
        standard: String,
        summer: String,
    },
}

/// What a zone's clocks show at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneOffset {
    /// Seconds east of UTC.
    pub east_s: i32,
    pub is_dst: bool,
    pub abbreviation: String,
}

/// What a word means as a zone in `AT TIME ZONE`.
#[derive(Clone, Debug)]
pub enum NamedZone {
    /// An abbreviation with one meaning.
    Fixed {
        east_s: i32,
    },
    /// An abbreviation (in upper case) whose meaning depends on the date.
    Dynamic {
        zone: TimeZone,
        abbreviation: String,
    },
    Zone(TimeZone),
}

impl PartialEq for TimeZone {
    fn eq(&self, other: &TimeZone) -> bool {
        self.0.name == other.0.name
    }
}

fn database() -> &'static jiff::tz::TimeZoneDatabase {
    static DATABASE: OnceLock<jiff::tz::TimeZoneDatabase> = OnceLock::new();
    DATABASE.get_or_init(jiff::tz::TimeZoneDatabase::bundled)
}

/// Names of the bundled database, for `pg_timezone_names`, sorted.
pub fn names() -> Vec<String> {
    let mut names: Vec<String> = database().available().map(|name| name.as_str().to_owned()).collect();
    names.sort();
    names
}

impl TimeZone {
    pub fn utc() -> TimeZone {
        static UTC: OnceLock<TimeZone> = OnceLock::new();
        UTC.get_or_init(|| TimeZone::fixed("UTC".into(), 0, "UTC".into())).clone()
    }

    fn fixed(name: String, east_s: i32, abbreviation: String) -> TimeZone {
        TimeZone(Arc::new(Zone { name, rules: Rules::Fixed { east_s, abbreviation } }))
    }

    /// A fixed offset, named as `SET TIME ZONE -7` names it: `<-07>+07`.
    pub fn from_offset(east_s: i32) -> TimeZone {
        let seconds = east_s.unsigned_abs();
        let mut digits = format!("{:02}", seconds / 3_600);
        if !seconds.is_multiple_of(3_600) {
            digits.push_str(&format!(":{:02}", seconds / 60 % 60));
        }
        if !seconds.is_multiple_of(60) {
            digits.push_str(&format!(":{:02}", seconds % 60));
        }
        let (here, there) = if east_s < 0 { ('-', '+') } else { ('+', '-') };
        TimeZone::fixed(format!("<{here}{digits}>{there}{digits}"), east_s, format!("{here}{digits}"))
    }

    /// The value of the setting `TimeZone`: a number of hours, a zone name, a POSIX spec, or `INTERVAL '…'`. 22023.
    pub fn parse(value: &str) -> Result<TimeZone> {
        let invalid = || {
            SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("invalid value for parameter \"TimeZone\": \"{value}\""),
            )
        };
        let from_seconds = |seconds: f64| {
            // NaN is in no range.
            if !(-OFFSET_SETTING_MAX_S..=OFFSET_SETTING_MAX_S).contains(&seconds) {
                return Err(invalid().detail("UTC timezone offset is out of range."));
            }
            Ok(TimeZone::from_offset(seconds as i32))
        };
        let zone = if let Ok(hours) = value.trim_start().parse::<f64>() {
            from_seconds(hours * 3_600.0)?
        } else if value.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("interval")) {
            // `SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE` reaches the setting as `INTERVAL '-08:00'`.
            let quoted = value.get(8..).and_then(|rest| rest.trim_start().strip_prefix('\'')).ok_or_else(invalid)?;
            let text = quoted.split('\'').next().unwrap_or("");
            let interval = super::parse_interval::parse_interval(text, -1, crate::context::IntervalStyle::Postgres)?;
            if interval.months != 0 {
                return Err(invalid().detail("Cannot specify months in time zone interval."));
            }
            if interval.days != 0 {
                return Err(invalid().detail("Cannot specify days in time zone interval."));
            }
            from_seconds((interval.micros / MICROS_PER_SECOND) as f64)?
        } else {
            TimeZone::lookup(value).ok_or_else(invalid)?
        };
        // PostgreSQL takes odd seconds in the year 2000 for a sign of leap seconds.
        if zone.offset_at(0) % 60 != 0 {
            return Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("time zone \"{value}\" appears to use leap seconds"),
            )
            .detail("PostgreSQL does not support leap seconds."));
        }
        Ok(zone)
    }

    /// A zone by IANA name (any case) or POSIX-like spec. Abbreviations are not looked at.
    pub fn lookup(name: &str) -> Option<TimeZone> {
        static CACHE: OnceLock<RwLock<HashMap<String, TimeZone>>> = OnceLock::new();
        let cache = CACHE.get_or_init(|| RwLock::new(HashMap::new()));
        // A poisoned cache is only skipped: it saves time, nothing else.
        if let Some(zone) = cache.read().ok().and_then(|names| names.get(name).cloned()) {
            return Some(zone);
        }
        let zone = TimeZone::lookup_uncached(name)?;
        if let Ok(mut names) = cache.write() {
            if names.len() >= CACHED_NAMES_MAX {
                names.clear();
            }
            names.insert(name.to_owned(), zone.clone());
        }
        Some(zone)
    }

    fn lookup_uncached(name: &str) -> Option<TimeZone> {
        if name.is_empty() || name.len() > NAME_LEN_MAX {
            return None;
        }
        if let Ok(zone) = database().get(name) {
            let canonical = zone.iana_name().unwrap_or(name).to_owned();
            // jiff knows "Etc/Unknown", which is no zone of IANA's.
            if zone.is_unknown() {
                return None;
            }
            if canonical == "UTC" || canonical == "GMT" {
                return Some(TimeZone::fixed(canonical.clone(), 0, canonical));
            }
            return Some(TimeZone(Arc::new(Zone { name: canonical, rules: Rules::Varying(zone) })));
        }
        parse_posix(&name.to_ascii_uppercase())
    }

    /// As `AT TIME ZONE 'name'` and friends look a name up: abbreviations first. 22023 if there is none.
    pub fn named(name: &str) -> Result<NamedZone> {
        let lower = name.to_ascii_lowercase();
        match abbreviation(&lower) {
            Some(Abbreviation::Fixed { east_s, .. }) => return Ok(NamedZone::Fixed { east_s }),
            Some(Abbreviation::Zone(zone_name)) => {
                if let Some(zone) = TimeZone::lookup(zone_name) {
                    return Ok(NamedZone::Dynamic { zone, abbreviation: lower.to_ascii_uppercase() });
                }
            }
            None => {}
        }
        TimeZone::lookup(name).map(NamedZone::Zone).ok_or_else(|| not_recognized(name))
    }

    /// The name as SHOW prints it.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Seconds east of UTC at an instant (microseconds since 2000-01-01 UTC).
    pub fn offset_at(&self, micros: i64) -> i32 {
        match &self.0.rules {
            Rules::Fixed { east_s, .. } => *east_s,
            Rules::Varying(zone) | Rules::Posix { zone, .. } => zone.to_offset(instant(micros)).seconds(),
        }
    }

    /// Offset, summer time and abbreviation at an instant.
    pub fn info_at(&self, micros: i64) -> ZoneOffset {
        match &self.0.rules {
            Rules::Fixed { east_s, abbreviation } => {
                ZoneOffset { east_s: *east_s, is_dst: false, abbreviation: abbreviation.clone() }
            }
            Rules::Varying(zone) => {
                let info = zone.to_offset_info(instant(micros));
                ZoneOffset {
                    east_s: info.offset().seconds(),
                    is_dst: info.dst().is_dst(),
                    abbreviation: info.abbreviation().to_owned(),
                }
            }
            Rules::Posix { zone, standard, summer } => {
                let info = zone.to_offset_info(instant(micros));
                let is_dst = info.dst().is_dst();
                let abbreviation = if is_dst { summer.clone() } else { standard.clone() };
                ZoneOffset { east_s: info.offset().seconds(), is_dst, abbreviation }
            }
        }
    }

    /// Seconds east of UTC that a local time has. A time in a spring gap takes the offset before it, an ambiguous one in
    /// autumn the offset after: so the result moves forward in the first case and is standard time in the second.
    pub fn offset_of_local(&self, local: &Civil) -> i32 {
        let zone = match &self.0.rules {
            Rules::Fixed { east_s, .. } => return *east_s,
            Rules::Varying(zone) | Rules::Posix { zone, .. } => zone,
        };
        let seconds = local.local_seconds() + i64::from(UNIX_EPOCH_DAYS.unsigned_abs()) * SECONDS_PER_DAY;
        let mapped = map_into_cycle(seconds);
        let civil = Civil::from_timestamp((mapped - i64::from(-UNIX_EPOCH_DAYS) * SECONDS_PER_DAY) * MICROS_PER_SECOND);
        let Ok(datetime) = jiff::civil::DateTime::new(
            civil.year as i16,
            civil.month as i8,
            civil.day as i8,
            civil.hour as i8,
            civil.minute as i8,
            civil.second as i8,
            0,
        ) else {
            return 0;
        };
        match zone.to_ambiguous_timestamp(datetime).offset() {
            jiff::tz::AmbiguousOffset::Unambiguous { offset } => offset.seconds(),
            jiff::tz::AmbiguousOffset::Gap { before, .. } => before.seconds(),
            jiff::tz::AmbiguousOffset::Fold { after, .. } => after.seconds(),
        }
    }

    /// The offset if the zone never had another one.
    pub fn constant_offset(&self) -> Option<i32> {
        match &self.0.rules {
            Rules::Fixed { east_s, .. } => Some(*east_s),
            Rules::Varying(zone) | Rules::Posix { zone, .. } => {
                let first = zone.to_offset(jiff::Timestamp::MIN);
                // The first few changes tell: a zone that ever moved has one with another offset.
                let moved = zone.following(jiff::Timestamp::MIN).take(8).any(|change| change.offset() != first);
                (!moved).then(|| first.seconds())
            }
        }
    }

    /// What an abbreviation (in upper case) meant in this zone at an instant: the latest use up to then, or else the first
    /// after. None if the zone never used it.
    pub fn offset_of_abbreviation(&self, abbreviation: &str, micros: i64) -> Option<i32> {
        /// Changes looked at on either side; zones have some 200 in all.
        const CHANGES_MAX: usize = 512;
        match &self.0.rules {
            Rules::Fixed { east_s, abbreviation: own } => (own == abbreviation).then_some(*east_s),
            // Table abbreviations name IANA zones only; a POSIX spec is no such zone.
            Rules::Posix { .. } => None,
            Rules::Varying(zone) => {
                let at = instant(micros);
                let now = zone.to_offset_info(at);
                if now.abbreviation() == abbreviation {
                    return Some(now.offset().seconds());
                }
                // The local mean time before the first change is not a change, and PostgreSQL does not look at it either.
                let before = zone.preceding(at).take(CHANGES_MAX).find(|change| change.abbreviation() == abbreviation);
                let found = before.map(|change| change.offset().seconds());
                found.or_else(|| {
                    let mut after = zone.following(at).take(CHANGES_MAX);
                    after.find(|change| change.abbreviation() == abbreviation).map(|change| change.offset().seconds())
                })
            }
        }
    }

    /// The offset of a local time that was written with an abbreviation of this zone's: the abbreviation's meaning about
    /// then, or the zone's own rule if it never used it.
    pub fn offset_of_local_abbreviation(&self, local: &Civil, abbreviation: &str) -> i32 {
        let east_s = self.offset_of_local(local);
        let instant = (local.local_seconds() - i64::from(east_s)).saturating_mul(MICROS_PER_SECOND);
        self.offset_of_abbreviation(abbreviation, instant).unwrap_or(east_s)
    }

    /// A UTC instant as local time. The caller has excluded infinities.
    pub fn local(&self, micros: i64) -> Civil {
        Civil::from_timestamp(micros + i64::from(self.offset_at(micros)) * MICROS_PER_SECOND)
    }

    /// The UTC instant of a local time; None outside of timestamptz's range.
    pub fn instant_of(&self, local: &Civil) -> Option<i64> {
        if !super::calendar::is_valid_julian(local.year, local.month) {
            return None;
        }
        local.to_timestamp(self.offset_of_local(local))
    }
}

impl NamedZone {
    /// Seconds east of UTC at an instant.
    pub fn offset_at(&self, micros: i64) -> i32 {
        match self {
            NamedZone::Fixed { east_s } => *east_s,
            NamedZone::Zone(zone) => zone.offset_at(micros),
            NamedZone::Dynamic { zone, abbreviation } => {
                zone.offset_of_abbreviation(abbreviation, micros).unwrap_or_else(|| zone.offset_at(micros))
            }
        }
    }

    /// Seconds east of UTC of a local time.
    pub fn offset_of_local(&self, local: &Civil) -> i32 {
        match self {
            NamedZone::Fixed { east_s } => *east_s,
            NamedZone::Zone(zone) => zone.offset_of_local(local),
            NamedZone::Dynamic { zone, abbreviation } => zone.offset_of_local_abbreviation(local, abbreviation),
        }
    }
}

pub fn not_recognized(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("time zone \"{name}\" not recognized"))
}

/// Maps seconds since 1970 of late years back by whole cycles.
fn map_into_cycle(seconds: i64) -> i64 {
    if seconds < MAPPED_FROM_S {
        return seconds;
    }
    MAPPED_FROM_S - CYCLE_S + (seconds - MAPPED_FROM_S) % CYCLE_S
}

fn instant(micros: i64) -> jiff::Timestamp {
    let seconds = micros.div_euclid(MICROS_PER_SECOND) + i64::from(-UNIX_EPOCH_DAYS) * SECONDS_PER_DAY;
    // The first timestamp is in 4714 BC, jiff begins in 9999 BC: only a caller's mistake could leave the range.
    jiff::Timestamp::from_second(map_into_cycle(seconds)).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}

/// `std offset [dst [offset] [,start[/time],end[/time]]]`, in upper case. Offsets count west of Greenwich.
fn parse_posix(spec: &str) -> Option<TimeZone> {
    let (standard_name, after_name) = posix_name(spec)?;
    let (west_s, rest) = posix_offset(after_name)?;
    if rest.is_empty() {
        return Some(TimeZone::fixed(spec.to_owned(), -west_s, standard_name.to_owned()));
    }
    let (summer_name, rule) = posix_name(rest).filter(|(name, _)| !name.is_empty())?;
    let rule = if rule.contains(',') { rule.to_owned() } else { format!("{rule}{DEFAULT_SUMMER_RULE}") };
    // jiff asks names to have three letters at least, so it gets others, and ours stay here.
    let offset = after_name.get(..after_name.len() - rest.len())?;
    let zone = jiff::tz::TimeZone::posix(&format!("STD{offset}DST{rule}")).ok()?;
    let (standard, summer) = (standard_name.to_owned(), summer_name.to_owned());
    Some(TimeZone(Arc::new(Zone { name: spec.to_owned(), rules: Rules::Posix { zone, standard, summer } })))
}

/// A zone's name (it may be empty), up to what can not be part of one, and what follows.
fn posix_name(spec: &str) -> Option<(&str, &str)> {
    if let Some(quoted) = spec.strip_prefix('<') {
        return quoted.split_once('>');
    }
    let end = spec.find(|c: char| c.is_ascii_digit() || matches!(c, ',' | '-' | '+')).unwrap_or(spec.len());
    spec.split_at_checked(end)
}

/// `[+-]hh[:mm[:ss]]` in seconds, up to a week.
fn posix_offset(text: &str) -> Option<(i32, &str)> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut seconds = 0;
    for (unit, max) in [(3_600, 167), (60, 59), (1, 59)] {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, after) = rest.split_at_checked(end)?;
        let value: i32 = digits.parse().ok().filter(|value| *value <= max)?;
        seconds += value * unit;
        rest = after;
        match rest.strip_prefix(':') {
            Some(more) if unit > 1 => rest = more,
            _ => break,
        }
    }
    Some((sign * seconds, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn civil(year: i32, month: i32, day: i32, hour: i32, minute: i32) -> Civil {
        Civil { year, month, day, hour, minute, second: 0, micros: 0 }
    }

    #[test]
    fn gap_takes_the_offset_before_and_fold_the_one_after() {
        let zone = TimeZone::lookup("america/new_york").unwrap();
        assert_eq!(zone.name(), "America/New_York");
        assert_eq!(zone.offset_of_local(&civil(2024, 3, 10, 2, 30)), -18_000);
        assert_eq!(zone.offset_of_local(&civil(2024, 11, 3, 1, 30)), -18_000);
        assert_eq!(zone.offset_of_local(&civil(2024, 7, 1, 12, 0)), -14_400);
        // Far years follow the last rule, through the calendar's cycle.
        assert_eq!(zone.offset_of_local(&civil(294_000, 7, 1, 12, 0)), -14_400);
        assert_eq!(zone.offset_of_local(&civil(294_000, 1, 1, 12, 0)), -18_000);
        assert_eq!(zone.offset_of_local(&civil(-4_000, 1, 1, 12, 0)), -17_762);
    }

    #[test]
    fn settings_are_named_as_postgresql_names_them() {
        let check = |value: &str, name: &str, east_s: i32| {
            let zone = TimeZone::parse(value).unwrap();
            assert_eq!((zone.name(), zone.offset_at(0)), (name, east_s), "{value}");
        };
        check("-7.5", "<-07:30>+07:30", -27_000);
        check("0", "<+00>-00", 0);
        check("u5", "U5", -18_000);
        check("<foo>5", "<FOO>5", -18_000);
        check("foo5bar", "FOO5BAR", -18_000);
        check("utc", "UTC", 0);
        check("INTERVAL '-08:00'", "<-08>+08", -28_800);
        assert!(TimeZone::parse("foo").is_err());
        assert!(TimeZone::parse("-168.5").is_err());
    }
}
