//! An item on the way through a document: a part of it, read in place, or something computed.

use super::super::{Builder, Jsonb, JsonbRef, Kind};
use crate::context::DateStyle;
use crate::datetime::{TimeZone, format};
use crate::numeric::Numeric;
use crate::{Datum, FormatSettings, Result};
use std::rc::Rc;

/// Cheap to clone.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// A part of the document or of the variables.
    Json(JsonbRef<'a>),
    Null,
    Bool(bool),
    Number(Numeric),
    Text(&'a str),
    /// What `.datetime()` made.
    Moment(Rc<Moment>),
    /// What `.keyvalue()` made.
    Pair(Rc<Pair<'a>>),
}

/// A date or time, shown with the zone that its text had.
#[derive(Debug)]
pub struct Moment {
    pub value: Datum,
    pub east_s: i32,
}

/// `{"id": …, "key": …, "value": …}`.
#[derive(Debug)]
pub struct Pair<'a> {
    pub id: i64,
    pub key: &'a str,
    pub value: Value<'a>,
}

/// What comparisons tell apart. The two kinds of containers are one: neither compares with anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    Null,
    Bool,
    Number,
    Text,
    Moment,
    Container,
}

impl<'a> Value<'a> {
    pub fn class(&self) -> Class {
        match self {
            Value::Json(json) => match json.kind() {
                Kind::Null => Class::Null,
                Kind::Bool => Class::Bool,
                Kind::Number => Class::Number,
                Kind::String => Class::Text,
                Kind::Array | Kind::Object => Class::Container,
            },
            Value::Null => Class::Null,
            Value::Bool(_) => Class::Bool,
            Value::Number(_) => Class::Number,
            Value::Text(_) => Class::Text,
            Value::Moment(_) => Class::Moment,
            Value::Pair(_) => Class::Container,
        }
    }

    /// As `.type()` names it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Json(json) => json.kind().name(),
            Value::Null => Kind::Null.name(),
            Value::Bool(_) => Kind::Bool.name(),
            Value::Number(_) => Kind::Number.name(),
            Value::Text(_) => Kind::String.name(),
            Value::Pair(_) => Kind::Object.name(),
            Value::Moment(moment) => match moment.value {
                Datum::Date(_) => "date",
                Datum::Time(_) => "time without time zone",
                Datum::TimeTz(_) => "time with time zone",
                Datum::Timestamp(_) => "timestamp without time zone",
                _ => "timestamp with time zone",
            },
        }
    }

    pub fn is_null(&self) -> bool {
        self.class() == Class::Null
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Json(json) => json.as_bool(),
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    pub fn number(&self) -> Option<Numeric> {
        match self {
            Value::Json(json) => json.as_number(),
            Value::Number(number) => Some(number.clone()),
            _ => None,
        }
    }

    pub fn text(&self) -> Option<&'a str> {
        match self {
            Value::Json(json) => json.as_str(),
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn array(&self) -> Option<JsonbRef<'a>> {
        match self {
            Value::Json(json) if json.is_array() => Some(*json),
            _ => None,
        }
    }

    pub fn is_array(&self) -> bool {
        self.array().is_some()
    }

    pub fn is_object(&self) -> bool {
        match self {
            Value::Json(json) => json.is_object(),
            Value::Pair(_) => true,
            _ => false,
        }
    }

    pub fn is_container(&self) -> bool {
        self.class() == Class::Container
    }

    /// A member of an object.
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        match self {
            Value::Json(json) => json.get(key).map(Value::Json),
            Value::Pair(pair) => match key {
                "id" => Some(Value::Number(Numeric::from_i64(pair.id))),
                "key" => Some(Value::Text(pair.key)),
                "value" => Some(pair.value.clone()),
                _ => None,
            },
            _ => None,
        }
    }

    /// Elements of an array or members of an object.
    pub fn count(&self) -> usize {
        match self {
            Value::Json(json) => json.len(),
            Value::Pair(_) => 3,
            _ => 0,
        }
    }

    /// The member of an object at a place in key order.
    pub fn member(&self, index: usize) -> Option<(&'a str, Value<'a>)> {
        match self {
            Value::Json(json) => json.member(index).map(|(key, value)| (key, Value::Json(value))),
            Value::Pair(_) => {
                let key = ["id", "key", "value"].get(index).copied()?;
                self.get(key).map(|value| (key, value))
            }
            _ => None,
        }
    }

    /// The element of an array, or the value of a member, at a place.
    pub fn child(&self, index: usize) -> Option<Value<'a>> {
        match self.array() {
            Some(array) => array.element(index as i64).map(Value::Json),
            None => self.member(index).map(|(_, value)| value),
        }
    }

    /// Appends it as jsonb.
    pub fn add_to(&self, out: &mut Builder) -> Result<()> {
        match self {
            Value::Json(json) => out.value(*json),
            Value::Null => out.null(),
            Value::Bool(value) => out.bool(*value),
            Value::Number(number) => out.number(number),
            Value::Text(text) => out.string(text),
            Value::Moment(moment) => out.string(&moment.text()),
            Value::Pair(pair) => {
                out.check_depth()?;
                out.begin_object();
                out.key("id");
                out.int(pair.id);
                out.key("key");
                out.string(pair.key);
                out.key("value");
                pair.value.add_to(out)?;
                out.end()?;
            }
        }
        Ok(())
    }

    pub fn to_jsonb(&self) -> Result<Jsonb> {
        if let Value::Json(json) = self {
            return Ok(JsonbRef::to_owned(*json));
        }
        let mut out = Builder::new();
        self.add_to(&mut out)?;
        out.finish()
    }
}

impl Moment {
    /// ISO 8601, with `T` between date and time and minutes in every offset.
    fn text(&self) -> String {
        let iso = FormatSettings {
            date_style: DateStyle::Iso,
            time_zone: TimeZone::from_offset(self.east_s),
            ..FormatSettings::default()
        };
        let mut out = Vec::with_capacity(32);
        match &self.value {
            Datum::Date(days) => format::date(*days, &iso, &mut out),
            Datum::Time(micros) => format::time(*micros, &mut out),
            Datum::TimeTz(time) => format::timetz(*time, &mut out),
            Datum::Timestamp(micros) => format::timestamp(*micros, &iso, &mut out),
            other => format::timestamptz(other.as_i64(), &iso, &mut out),
        }
        let text = crate::io::into_string(out);
        let (mut text, era) = match text.strip_suffix(" BC") {
            Some(text) => (text.replacen(' ', "T", 1), " BC"),
            None => (text.replacen(' ', "T", 1), ""),
        };
        if matches!(self.value, Datum::TimeTz(_) | Datum::TimestampTz(_)) && self.east_s % 3_600 == 0 {
            text.push_str(":00");
        }
        text.push_str(era);
        text
    }
}
