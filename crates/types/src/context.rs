//! What a function of values may depend on besides its arguments.

use crate::SqlType;
use crate::datetime::TimeZone;
use crate::user_type::UserTypesHandle;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DateStyle {
    Iso,
    Sql,
    Postgres,
    German,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DateOrder {
    Mdy,
    Dmy,
    Ymd,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IntervalStyle {
    Postgres,
    PostgresVerbose,
    SqlStandard,
    Iso8601,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ByteaOutput {
    Hex,
    Escape,
}

/// The session settings that text formats depend on. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FormatSettings {
    pub date_style: DateStyle,
    pub date_order: DateOrder,
    pub interval_style: IntervalStyle,
    pub time_zone: TimeZone,
    pub extra_float_digits: i32,
    pub bytea_output: ByteaOutput,
    /// `transaction_timestamp()` in microseconds since 2000-01-01 UTC: 'now', 'today' and times without a date depend on it.
    pub now: i64,
    /// Where labels and fields of users' types come from.
    pub user_types: UserTypesHandle,
}

impl Default for FormatSettings {
    fn default() -> FormatSettings {
        FormatSettings {
            date_style: DateStyle::Iso,
            date_order: DateOrder::Mdy,
            interval_style: IntervalStyle::Postgres,
            time_zone: TimeZone::utc(),
            extra_float_digits: 1,
            bytea_output: ByteaOutput::Hex,
            now: 0,
            user_types: UserTypesHandle::default(),
        }
    }
}

/// The context of one call site, made once per statement and call site.
#[derive(Clone, Copy)]
pub struct CallContext<'a> {
    pub format: &'a FormatSettings,
    /// Static types of the arguments, for polymorphic functions (`array_append`, `to_jsonb`, …).
    pub arg_types: &'a [SqlType],
    pub result_type: SqlType,
}
