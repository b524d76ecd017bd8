//! From settings to what text formats depend on. Derived once per change of a setting, shared by statements.

use crate::settings::Settings;
use types::Result;
use types::context::{ByteaOutput, DateOrder, DateStyle, FormatSettings, IntervalStyle};
use types::datetime::TimeZone;
use types::user_type::UserTypesHandle;

/// The formats of a transaction that began at `now` (microseconds since 2000-01-01 UTC).
pub fn format_settings(settings: &Settings, now: i64) -> Result<FormatSettings> {
    let get = |name| settings.get(name).unwrap_or_default();
    let (style, order) = get("DateStyle").split_once(", ").unwrap_or(("ISO", "MDY"));
    Ok(FormatSettings {
        date_style: match style {
            "SQL" => DateStyle::Sql,
            "Postgres" => DateStyle::Postgres,
            "German" => DateStyle::German,
            _ => DateStyle::Iso,
        },
        date_order: match order {
            "DMY" => DateOrder::Dmy,
            "YMD" => DateOrder::Ymd,
            _ => DateOrder::Mdy,
        },
        interval_style: match get("IntervalStyle") {
            "postgres_verbose" => IntervalStyle::PostgresVerbose,
            "sql_standard" => IntervalStyle::SqlStandard,
            "iso_8601" => IntervalStyle::Iso8601,
            _ => IntervalStyle::Postgres,
        },
        time_zone: TimeZone::parse(get("TimeZone"))?,
        extra_float_digits: get("extra_float_digits").parse().unwrap_or(1),
        bytea_output: if get("bytea_output") == "escape" { ByteaOutput::Escape } else { ByteaOutput::Hex },
        now,
        user_types: UserTypesHandle::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_follows_its_setting() {
        let mut settings = Settings::default();
        for (name, value) in [
            ("DateStyle", "german"),
            ("IntervalStyle", "iso_8601"),
            ("TimeZone", "America/New_York"),
            ("extra_float_digits", "0"),
            ("bytea_output", "escape"),
        ] {
            settings.set(name, &[value.to_owned()], false).unwrap();
        }
        let formats = format_settings(&settings, 7).unwrap();
        assert_eq!((formats.date_style, formats.date_order), (DateStyle::German, DateOrder::Dmy));
        assert_eq!(formats.interval_style, IntervalStyle::Iso8601);
        assert_eq!(formats.time_zone.name(), "America/New_York");
        assert_eq!((formats.extra_float_digits, formats.bytea_output, formats.now), (0, ByteaOutput::Escape, 7));
    }
}
