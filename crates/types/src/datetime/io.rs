//! Text and binary formats of `date`, `time`, `timetz`, `timestamp`, `timestamptz` and `interval`, and the coercion of
//! their values to a typmod. Crate `io` dispatches here.

use super::calendar::{self, MICROS_PER_DAY};
use super::fields::{self, ParseError};
use super::interval::round_micros;
use super::parse::{self, DateTime};
use super::parse_interval::parse_interval;
use super::{Interval, TimeTz, format, iso};
use crate::{Datum, FormatSettings, Result, SqlError, SqlState, SqlType, oid};

/// Seconds of offset from UTC that `timetz` can hold: below 16 hours.
const ZONE_LIMIT_S: i32 = 16 * 3_600;

/// Whether a type is this module's.
pub fn is_datetime(ty: SqlType) -> bool {
    matches!(ty.oid, oid::DATE | oid::TIME | oid::TIMETZ | oid::TIMESTAMP | oid::TIMESTAMPTZ | oid::INTERVAL)
}

/// Parses text into a value of `ty`, rounded to its typmod.
pub fn input(ty: SqlType, text: &str, format: &FormatSettings) -> Result<Datum> {
    let value = match ty.oid {
        oid::DATE => Datum::Date(input_date(text, format)?),
        oid::TIME => Datum::Time(match iso::time(text) {
            Some(micros) => micros,
            None => parse::time(text, format).map_err(|e| e.into_sql("time", text))?.0,
        }),
        oid::TIMETZ => {
            let (micros, east_s) = parse::time(text, format).map_err(|e| e.into_sql("time with time zone", text))?;
            Datum::TimeTz(TimeTz { micros, zone_west_s: -east_s })
        }
        oid::TIMESTAMP => Datum::Timestamp(input_timestamp(text, false, format)?),
        oid::TIMESTAMPTZ => Datum::TimestampTz(input_timestamp(text, true, format)?),
        oid::INTERVAL => return Ok(Datum::Interval(parse_interval(text, ty.typmod, format.interval_style)?)),
        _ => return Err(SqlError::internal("not a date or time type")),
    };
    apply_typmod(ty, value)
}

fn input_date(text: &str, format: &FormatSettings) -> Result<i32> {
    // A four-digit year is always in range, and a zone does not matter here.
    if let Some((civil, _)) = iso::datetime(text) {
        return Ok(civil.days() as i32);
    }
    match parse::datetime(text, format).map_err(|e| e.into_sql("date", text))? {
        DateTime::Civil(civil, _) => {
            let days = civil.days();
            if !calendar::is_valid_julian(civil.year, civil.month) || !calendar::is_valid_date(days) {
                return Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("date out of range: \"{text}\"")));
            }
            Ok(days as i32)
        }
        DateTime::Epoch => Ok(calendar::UNIX_EPOCH_DAYS),
        DateTime::Infinity => Ok(calendar::DATE_INFINITY),
        DateTime::NegInfinity => Ok(calendar::DATE_NEG_INFINITY),
    }
}

fn input_timestamp(text: &str, with_zone: bool, format: &FormatSettings) -> Result<i64> {
    if let Some((civil, _)) = iso::datetime(text).filter(|_| !with_zone) {
        return civil.to_timestamp(0).ok_or_else(calendar::timestamp_out_of_range);
    }
    let type_name = if with_zone { "timestamp with time zone" } else { "timestamp" };
    match parse::datetime(text, format).map_err(|e| e.into_sql(type_name, text))? {
        DateTime::Civil(civil, east_s) => civil.to_timestamp(if with_zone { east_s } else { 0 }).ok_or_else(|| {
            SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("timestamp out of range: \"{text}\""))
        }),
        DateTime::Epoch => Ok(calendar::UNIX_EPOCH_MICROS),
        DateTime::Infinity => Ok(calendar::TIMESTAMP_INFINITY),
        DateTime::NegInfinity => Ok(calendar::TIMESTAMP_NEG_INFINITY),
    }
}

/// Reads the text of a zone offset or name for functions that take one (`make_timestamptz`): the local time decides.
pub fn parse_zone_text(text: &str, local: &calendar::Civil) -> Result<i32> {
    match fields::zone_offset(text) {
        Ok(east_s) => Ok(east_s),
        Err(ParseError::ZoneOverflow) => {
            Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("numeric time zone \"{text}\" out of range")))
        }
        Err(_) => Ok(super::TimeZone::named(text)?.offset_of_local(local)),
    }
}

/// Appends the text form of a non-NULL value.
pub fn output(_ty: SqlType, value: &Datum, format: &FormatSettings, out: &mut Vec<u8>) {
    match value {
        Datum::Date(days) => format::date(*days, format, out),
        Datum::Time(micros) => format::time(*micros, out),
        Datum::TimeTz(value) => format::timetz(*value, out),
        Datum::Timestamp(micros) => format::timestamp(*micros, format, out),
        Datum::TimestampTz(micros) => format::timestamptz(*micros, format, out),
        Datum::Interval(value) => format::interval(*value, format, out),
        _ => {}
    }
}

/// Reads the binary form: counts from 2000-01-01 in big-endian integers. 08P01 on a wrong length, 22008 out of range.
pub fn receive(ty: SqlType, bytes: &[u8]) -> Result<Datum> {
    let value = match ty.oid {
        oid::DATE => {
            let days = i32::from_be_bytes(exactly(bytes)?);
            if calendar::is_finite_date(days) && !calendar::is_valid_date(i64::from(days)) {
                return Err(calendar::date_out_of_range());
            }
            Datum::Date(days)
        }
        oid::TIME => Datum::Time(receive_time(exactly(bytes)?)?),
        oid::TIMETZ => {
            let [m0, m1, m2, m3, m4, m5, m6, m7, zone @ ..] = exactly::<12>(bytes)?;
            let micros = receive_time([m0, m1, m2, m3, m4, m5, m6, m7])?;
            let zone_west_s = i32::from_be_bytes(zone);
            if zone_west_s <= -ZONE_LIMIT_S || zone_west_s >= ZONE_LIMIT_S {
                return Err(SqlError::new(
                    SqlState::INVALID_TIME_ZONE_DISPLACEMENT_VALUE,
                    "time zone displacement out of range",
                ));
            }
            Datum::TimeTz(TimeTz { micros, zone_west_s })
        }
        oid::TIMESTAMP => Datum::Timestamp(receive_timestamp(exactly(bytes)?)?),
        oid::TIMESTAMPTZ => Datum::TimestampTz(receive_timestamp(exactly(bytes)?)?),
        oid::INTERVAL => {
            let [m0, m1, m2, m3, m4, m5, m6, m7, d0, d1, d2, d3, months @ ..] = exactly::<16>(bytes)?;
            Datum::Interval(Interval {
                micros: i64::from_be_bytes([m0, m1, m2, m3, m4, m5, m6, m7]),
                days: i32::from_be_bytes([d0, d1, d2, d3]),
                months: i32::from_be_bytes(months),
            })
        }
        _ => return Err(SqlError::internal("not a date or time type")),
    };
    apply_typmod(ty, value)
}

fn exactly<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| {
        if bytes.len() < N {
            SqlError::new(SqlState::PROTOCOL_VIOLATION, "insufficient data left in message")
        } else {
            SqlError::new(SqlState::INVALID_BINARY_REPRESENTATION, "incorrect binary data format")
        }
    })
}

fn receive_time(bytes: [u8; 8]) -> Result<i64> {
    let micros = i64::from_be_bytes(bytes);
    if (0..=MICROS_PER_DAY).contains(&micros) {
        Ok(micros)
    } else {
        Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "time out of range"))
    }
}

fn receive_timestamp(bytes: [u8; 8]) -> Result<i64> {
    let micros = i64::from_be_bytes(bytes);
    if calendar::is_finite_timestamp(micros) {
        return calendar::check_timestamp(Some(micros));
    }
    Ok(micros)
}

/// Appends the binary form of a non-NULL value.
pub fn send(_ty: SqlType, value: &Datum, out: &mut Vec<u8>) -> Result<()> {
    match value {
        Datum::Date(days) => out.extend_from_slice(&days.to_be_bytes()),
        Datum::Time(micros) | Datum::Timestamp(micros) | Datum::TimestampTz(micros) => {
            out.extend_from_slice(&micros.to_be_bytes());
        }
        Datum::TimeTz(value) => {
            out.extend_from_slice(&{ value.micros }.to_be_bytes());
            out.extend_from_slice(&{ value.zone_west_s }.to_be_bytes());
        }
        Datum::Interval(value) => {
            out.extend_from_slice(&value.micros.to_be_bytes());
            out.extend_from_slice(&value.days.to_be_bytes());
            out.extend_from_slice(&value.months.to_be_bytes());
        }
        _ => return Err(SqlError::internal("not a date or time value")),
    }
    Ok(())
}

/// Coerces a value to the precision (and, for intervals, the fields) of `ty`'s typmod. NULL and typmod -1 pass.
pub fn apply_typmod(ty: SqlType, value: Datum) -> Result<Datum> {
    if ty.typmod < 0 {
        return Ok(value);
    }
    Ok(match value {
        Datum::Time(micros) => Datum::Time(round_micros(micros, ty.typmod)),
        Datum::TimeTz(v) => Datum::TimeTz(TimeTz { micros: round_micros(v.micros, ty.typmod), ..v }),
        Datum::Timestamp(micros) => Datum::Timestamp(round_timestamp(micros, ty.typmod)?),
        Datum::TimestampTz(micros) => Datum::TimestampTz(round_timestamp(micros, ty.typmod)?),
        Datum::Interval(v) => Datum::Interval(v.with_typmod(ty.typmod)),
        other => other,
    })
}

fn round_timestamp(micros: i64, precision: i32) -> Result<i64> {
    if !calendar::is_finite_timestamp(micros) {
        return Ok(micros);
    }
    if !(0..=6).contains(&precision) {
        return Err(bad_precision(precision));
    }
    Ok(round_micros(micros, precision))
}

pub fn bad_precision(precision: i32) -> SqlError {
    SqlError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("timestamp({precision}) precision must be between 0 and 6"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::{DateOrder, DateStyle, IntervalStyle};

    fn text(ty: SqlType, input_text: &str, format: &FormatSettings) -> String {
        match input(ty, input_text, format) {
            Ok(value) => {
                let mut out = Vec::new();
                output(ty, &value, format, &mut out);
                let mut bytes = Vec::new();
                send(ty, &value, &mut bytes).unwrap();
                let mut again = Vec::new();
                output(ty, &receive(SqlType::new(ty.oid), &bytes).unwrap(), format, &mut again);
                assert_eq!(out, again, "binary form of {input_text}");
                String::from_utf8(out).unwrap()
            }
            Err(error) => format!("{} {}", error.code(), error.message()),
        }
    }

    fn check(ty: SqlType, input_text: &str, expected: &str) {
        assert_eq!(text(ty, input_text, &FormatSettings::default()), expected, "{input_text}");
    }

    #[test]
    fn dates_and_timestamps() {
        check(SqlType::DATE, "January 8, 1999", "1999-01-08");
        check(SqlType::DATE, "99-08-Jan", "22007 invalid input syntax for type date: \"99-08-Jan\"");
        check(SqlType::DATE, "J2451187", "1999-01-08");
        check(SqlType::DATE, "4713-11-24 BC", "4713-11-24 BC");
        check(SqlType::DATE, "5874898-01-01", "22008 date out of range: \"5874898-01-01\"");
        check(SqlType::DATE, "13/13/2020", "22008 date/time field value out of range: \"13/13/2020\"");
        check(SqlType::TIMESTAMP, "1999-01-08T04:05:06.789-8", "1999-01-08 04:05:06.789");
        check(SqlType::TIMESTAMPTZ, "1999-01-08 04:05:06.789-8", "1999-01-08 12:05:06.789+00");
        check(SqlType::TIMESTAMPTZ, "2024-07-01 12:00 America/New_York", "2024-07-01 16:00:00+00");
        check(SqlType::TIMESTAMPTZ, "2024-07-01 12:00 EST", "2024-07-01 17:00:00+00");
        check(SqlType::TIMESTAMPTZ, "infinity", "infinity");
        check(SqlType::TIMESTAMP, "20010102 030405", "2001-01-02 03:04:05");
        check(SqlType::with_typmod(oid::TIMESTAMP, 2), "2000-01-01 00:00:00.995", "2000-01-01 00:00:01");
        check(SqlType::TIMETZ, "04:05:06 PM PST", "16:05:06-08");
        check(SqlType::TIME, "24:00:01", "22008 date/time field value out of range: \"24:00:01\"");
        let beyond = "1999-01-08 04:05+16";
        check(SqlType::TIMESTAMPTZ, beyond, &format!("22009 time zone displacement out of range: \"{beyond}\""));
    }

    #[test]
    fn styles() {
        let mut format = FormatSettings { date_style: DateStyle::Postgres, ..FormatSettings::default() };
        format.time_zone = crate::datetime::TimeZone::lookup("America/New_York").unwrap();
        assert_eq!(text(SqlType::TIMESTAMPTZ, "2024-07-01 12:00", &format), "Mon Jul 01 12:00:00 2024 EDT");
        format.date_style = DateStyle::German;
        assert_eq!(text(SqlType::TIMESTAMPTZ, "2024-07-01 12:00", &format), "01.07.2024 12:00:00 EDT");
        (format.date_style, format.date_order) = (DateStyle::Sql, DateOrder::Dmy);
        assert_eq!(text(SqlType::DATE, "02/01/2024", &format), "02/01/2024");
        let mixed = "1 year -2 months 3 days -04:05:06.7";
        for (style, expected) in [
            (IntervalStyle::Postgres, "10 mons 3 days -04:05:06.7"),
            (IntervalStyle::PostgresVerbose, "@ 10 mons 3 days -4 hours -5 mins -6.7 secs"),
            (IntervalStyle::SqlStandard, "+0-10 +3 -4:05:06.7"),
            (IntervalStyle::Iso8601, "P10M3DT-4H-5M-6.7S"),
        ] {
            format.interval_style = style;
            assert_eq!(text(SqlType::INTERVAL, mixed, &format), expected);
        }
    }
}
