//! Rows from JSON: `json_populate_record` over a base row, `json_to_record` by a column definition list.
//!
//! The binder hands the columns of a definition list in as a row of NULLs: to `json_to_record` as one more argument, to
//! `json_populate_record` in place of its base. Where neither a row nor its type says what the columns are, it is an error.

use super::{gathered, invalid};
use crate::functions::{RowIter, arg_type};
use crate::json::Kind;
use crate::json::build::{self, Source};
use crate::json::parse;
use crate::json::text::JsonText;
use crate::{CallContext, Datum, Record, Result, SqlError};
use ecow::EcoString;
use std::sync::Arc;

/// What PostgreSQL calls all of these when a document is no object.
const POPULATE: &str = "populate_composite";

#[cold]
fn unknown_row(function: &str) -> SqlError {
    SqlError::unsupported(format!("could not determine row type for result of {function}")).hint(
        "Provide a non-null record argument, or call the function in the FROM clause using a column definition list.",
    )
}

/// The row that json is put over: the base, or an empty row of its type where it is NULL.
fn base_row(context: &CallContext<'_>, base: &Datum, function: &str) -> Result<Arc<Record>> {
    if let Datum::Record(record) = base {
        return Ok(record.clone());
    }
    let ty = arg_type(context, 0);
    let fields = context.format.user_types.get().and_then(|types| types.fields(ty.oid));
    let Some(fields) = fields else {
        return Err(unknown_row(function));
    };
    let values = vec![Datum::Null; fields.len()];
    let (names, types) = fields.into_iter().map(|(name, ty)| (EcoString::from(name), ty)).unzip();
    Ok(Arc::new(Record { types, names, values }))
}

/// The row that the binder made of a column definition list.
fn defined_row(args: &[Datum], function: &str) -> Result<Arc<Record>> {
    match args.get(1) {
        Some(Datum::Record(record)) => Ok(record.clone()),
        _ => Err(unknown_row(function)),
    }
}

/// `json(b)_populate_record(base, json)`.
pub fn populate_record(context: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (base, document) = (&args[0], &args[1]);
    if document.is_null() {
        return Ok(base.clone());
    }
    record(context, &base_row(context, base, "json_populate_record")?, document)
}

/// `json(b)_to_record(json)`, with the columns behind it.
pub fn to_record(context: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    record(context, &defined_row(args, "json_to_record")?, &args[0])
}

/// `json(b)_populate_recordset(base, json)`: a row for each object of an array.
pub fn populate_rows(context: &CallContext<'_>, args: &[Datum], function: &str) -> Result<RowIter> {
    let (base, document) = (&args[0], &args[1]);
    if document.is_null() {
        return Ok(Box::new(std::iter::empty()));
    }
    rows(context, &base_row(context, base, function)?, document, function)
}

/// `json(b)_to_recordset(json)`, with the columns behind it.
pub fn to_rows(context: &CallContext<'_>, args: &[Datum], function: &str) -> Result<RowIter> {
    if args[0].is_null() {
        return Ok(Box::new(std::iter::empty()));
    }
    rows(context, &defined_row(args, function)?, &args[0], function)
}

fn record(context: &CallContext<'_>, base: &Arc<Record>, document: &Datum) -> Result<Datum> {
    let made = build::populate(&base.types, &base.names, Some(base), &source(document)?, POPULATE, context.format)?;
    Ok(Datum::Record(Arc::new(made)))
}

fn rows(context: &CallContext<'_>, base: &Arc<Record>, document: &Datum, function: &str) -> Result<RowIter> {
    let source = source(document)?;
    match source.kind() {
        Kind::Array => {}
        Kind::Object => return Err(invalid(format!("cannot call {function} on an object"))),
        _ => return Err(invalid(format!("cannot call {function} on a scalar"))),
    }
    let row = |element: &Source<'_>| {
        if element.kind() != Kind::Object {
            return Err(invalid(format!("argument of {function} must be an array of objects")));
        }
        Ok(build::populate(&base.types, &base.names, Some(base), element, function, context.format)?.values)
    };
    gathered(source.elements().iter().map(row))
}

/// A json or jsonb argument as what rows are made from.
fn source(document: &Datum) -> Result<Source<'_>> {
    match document {
        Datum::Jsonb(json) => Ok(Source::Binary(json.as_ref())),
        other => {
            parse::check_strings(other.as_str())?;
            Ok(Source::Text(JsonText::new(other.as_str())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user_type::{self, UserKind, UserTypes, UserTypesHandle};
    use crate::{FormatSettings, Oid, SqlType, io};

    /// `CREATE TYPE pair AS (x integer, y text)`.
    struct Pairs;

    fn pair() -> SqlType {
        SqlType::new(user_type::type_oid(UserKind::Composite, 16_384))
    }

    impl UserTypes for Pairs {
        fn enum_label(&self, _: Oid, _: i64) -> Option<&str> {
            None
        }
        fn enum_key(&self, _: Oid, _: &str) -> Option<i64> {
            None
        }
        fn enum_keys(&self, _: Oid) -> Vec<i64> {
            vec![]
        }
        fn fields(&self, ty: Oid) -> Option<Vec<(String, SqlType)>> {
            (ty == pair().oid).then(|| vec![("x".to_owned(), SqlType::INT4), ("y".to_owned(), SqlType::TEXT)])
        }
        fn name(&self, _: Oid) -> Option<String> {
            Some("pair".to_owned())
        }
    }

    /// `json_populate_record` over a row of a pair, an array of pairs and a text.
    fn populated(document: &str, pair_before: Datum) -> Result<String> {
        let format = FormatSettings { user_types: UserTypesHandle::new(Arc::new(Pairs)), ..FormatSettings::default() };
        let base = Datum::Record(Arc::new(Record {
            types: vec![pair(), pair().array().expect("an array"), SqlType::TEXT],
            names: vec!["p".into(), "q".into(), "t".into()],
            values: vec![pair_before, Datum::Null, Datum::text("kept")],
        }));
        let context = CallContext { format: &format, arg_types: &[SqlType::RECORD], result_type: SqlType::RECORD };
        let made = populate_record(&context, &[base, Datum::text(document)])?;
        Ok(io::to_text(SqlType::RECORD, &made, &format).to_string())
    }

    /// Asked of PostgreSQL 15.
    #[test]
    fn objects_fill_fields_that_are_rows() {
        let check = |document: &str, expected: &str| {
            assert_eq!(populated(document, Datum::Null).expect("a row"), expected, "{document}");
        };
        check("{}", "(,,kept)");
        check(r#"{"p": {"x": 1, "z": 2}, "t": null}"#, r#"("(1,)",,)"#);
        check(r#"{"p": "(2,b)"}"#, r#"("(2,b)",,kept)"#);
        check(r#"{"q": [{"y": "a"}, null]}"#, r#"(,"{""(,a)"",NULL}",kept)"#);
        let before = Datum::Record(Arc::new(Record {
            types: vec![SqlType::INT4, SqlType::TEXT],
            names: vec!["x".into(), "y".into()],
            values: vec![Datum::Int4(3), Datum::text("old")],
        }));
        assert_eq!(populated(r#"{"p": {"x": 4}}"#, before).expect("a row"), r#"("(4,old)",,kept)"#);
        let error = populated(r#"{"p": [1]}"#, Datum::Null).expect_err("an array is no row");
        assert_eq!((error.code().as_str(), error.message()), ("22023", "cannot call populate_composite on an array"));
    }
}
