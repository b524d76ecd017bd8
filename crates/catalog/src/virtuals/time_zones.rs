//! pg_timezone_names and pg_timezone_abbrevs.

use super::row::row;
use super::{RowsFn, Scan};
use types::Datum;
use types::datetime::Interval;
use types::datetime::abbreviations::{ABBREVIATIONS, Abbreviation};
use types::datetime::zone::{self, TimeZone};

pub(super) const RELATIONS: &[(&str, RowsFn)] =
    &[("pg_timezone_abbrevs", pg_timezone_abbrevs), ("pg_timezone_names", pg_timezone_names)];

fn offset(east_s: i32) -> Datum {
    Datum::Interval(Interval { months: 0, days: 0, micros: i64::from(east_s) * 1_000_000 })
}

fn pg_timezone_names(scan: &mut Scan<'_>) {
    for name in zone::names() {
        if !scan.wants_text(1, &name) {
            continue;
        }
        let Some(zone) = TimeZone::lookup(&name) else { continue };
        let now = zone.info_at(scan.context.now);
        scan.push(row![name, now.abbreviation, offset(now.east_s), now.is_dst]);
    }
}

fn pg_timezone_abbrevs(scan: &mut Scan<'_>) {
    for (name, meaning) in ABBREVIATIONS {
        let name = name.to_ascii_uppercase();
        if !scan.wants_text(1, &name) {
            continue;
        }
        let (east_s, is_dst) = match meaning {
            Abbreviation::Fixed { east_s, is_dst } => (*east_s, *is_dst),
            Abbreviation::Zone(zone) => {
                let Some(zone) = TimeZone::lookup(zone) else { continue };
                let now = zone.info_at(scan.context.now);
                let east_s = zone.offset_of_abbreviation(&name, scan.context.now).unwrap_or(now.east_s);
                (east_s, now.is_dst && now.east_s == east_s)
            }
        };
        scan.push(row![name, offset(east_s), is_dst]);
    }
}
