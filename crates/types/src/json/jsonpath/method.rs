//! Methods of items: `.type()`, `.size()`, `.double()`, `.datetime()` and the like.

use super::eval::{Found, Outcome, Walk};
use super::tree::{Method, Step};
use super::value::{Moment, Value};
use crate::functions::datetime::standard::Template;
use crate::numeric::{Numeric, io::parse_f64};
use crate::{SqlError, SqlState};
use std::rc::Rc;
use std::sync::OnceLock;

/// What `.datetime()` without a template takes, tried in this order.
const TEMPLATES: [&str; 19] = [
    "yyyy-mm-dd",
    "HH24:MI:SS.USTZH:TZM",
    "HH24:MI:SS.USTZH",
    "HH24:MI:SS.US",
    "HH24:MI:SSTZH:TZM",
    "HH24:MI:SSTZH",
    "HH24:MI:SS",
    "yyyy-mm-dd HH24:MI:SS.USTZH:TZM",
    "yyyy-mm-dd HH24:MI:SS.USTZH",
    "yyyy-mm-dd HH24:MI:SS.US",
    "yyyy-mm-dd HH24:MI:SSTZH:TZM",
    "yyyy-mm-dd HH24:MI:SSTZH",
    "yyyy-mm-dd HH24:MI:SS",
    "yyyy-mm-dd\"T\"HH24:MI:SS.USTZH:TZM",
    "yyyy-mm-dd\"T\"HH24:MI:SS.USTZH",
    "yyyy-mm-dd\"T\"HH24:MI:SS.US",
    "yyyy-mm-dd\"T\"HH24:MI:SSTZH:TZM",
    "yyyy-mm-dd\"T\"HH24:MI:SSTZH",
    "yyyy-mm-dd\"T\"HH24:MI:SS",
];

fn templates() -> &'static [Template] {
    static PARSED: OnceLock<Vec<Template>> = OnceLock::new();
    PARSED.get_or_init(|| TEMPLATES.iter().filter_map(|text| Template::parse(text).ok()).collect())
}

impl<'a> Walk<'a> {
    /// A method on an item; one that wants no array has none here in lax mode.
    pub(super) fn method(
        &mut self,
        method: Method,
        rest: &'a [Step],
        value: &Value<'a>,
        found: Found<'_, 'a>,
    ) -> Outcome {
        let result = match method {
            Method::Type => Value::Text(value.type_name()),
            Method::Size => match value.array() {
                Some(array) => Value::Number(Numeric::from_i64(array.len() as i64)),
                None if self.is_lax() => Value::Number(Numeric::ONE),
                None => {
                    return self.misfit(SqlState::SQL_JSON_ARRAY_NOT_FOUND, || {
                        "jsonpath item method .size() can only be applied to an array".into()
                    });
                }
            },
            Method::Keyvalue => return self.keyvalue(rest, value, found),
            Method::Double => self.double(value)?,
            Method::Abs | Method::Floor | Method::Ceiling => {
                let Some(number) = value.number() else {
                    return self.fail(SqlState::NON_NUMERIC_SQL_JSON_ITEM, || {
                        format!("jsonpath item method .{}() can only be applied to a numeric value", method.name())
                    });
                };
                Value::Number(self.settle(match method {
                    Method::Abs => Ok(number.abs()),
                    Method::Floor => number.floor(),
                    _ => number.ceil(),
                })?)
            }
        };
        self.next(rest, &result, found)
    }

    /// A string as the number that a double of it is; a number as itself, if a double can be it.
    fn double(&mut self, value: &Value<'a>) -> std::result::Result<Value<'a>, super::eval::Failure> {
        let finite = |text: &str| parse_f64(text).ok().filter(|double| double.is_finite());
        if let Some(number) = value.number() {
            let mut text = Vec::new();
            number.write(&mut text);
            return match finite(&crate::io::into_string(text)) {
                Some(_) => Ok(value.clone()),
                None => self.fail(SqlState::NON_NUMERIC_SQL_JSON_ITEM, || {
                    "numeric argument of jsonpath item method .double() is out of range for type double precision"
                        .into()
                }),
            };
        }
        let Some(text) = value.text() else {
            return self.fail(SqlState::NON_NUMERIC_SQL_JSON_ITEM, || {
                "jsonpath item method .double() can only be applied to a string or numeric value".into()
            });
        };
        match finite(text) {
            Some(double) => Ok(Value::Number(Numeric::from_f64(double))),
            None => self.fail(SqlState::NON_NUMERIC_SQL_JSON_ITEM, || {
                "string argument of jsonpath item method .double() is not a valid representation of a double precision number".into()
            }),
        }
    }

    pub(super) fn datetime(
        &mut self,
        template: Option<&str>,
        rest: &'a [Step],
        value: &Value<'a>,
        found: Found<'_, 'a>,
    ) -> Outcome {
        let Some(text) = value.text() else {
            return self.fail(SqlState::INVALID_ARGUMENT_FOR_SQL_JSON_DATETIME_FUNCTION, || {
                "jsonpath item method .datetime() can only be applied to a string".into()
            });
        };
        let (value, east_s) = match template {
            Some(template) => self.settle(Template::parse(template)?.read(text))?,
            None => match templates().iter().find_map(|template| template.read(text).ok()) {
                Some(made) => made,
                None => {
                    let error = || {
                        let message = format!("datetime format is not recognized: \"{text}\"");
                        SqlError::new(SqlState::INVALID_ARGUMENT_FOR_SQL_JSON_DATETIME_FUNCTION, message)
                            .hint("Use a datetime template argument to specify the input data format.")
                    };
                    return self.settle(Err(error()));
                }
            },
        };
        self.next(rest, &Value::Moment(Rc::new(Moment { value, east_s })), found)
    }
}
