//! Fields of jsonb over whole columns: `doc -> 'a' -> 'b' ->> 'c'` is read where it lies, with no value made on the way, and
//! `doc @> constant` looks at the documents without taking them.
//!
//! As with all kernels, what is not known here is called row by row, and answers the same.

use super::kernel::{Kernel, Vector};
use super::{Call, Kind, Node};
use crate::batch::{Column, ColumnBuilder, ColumnData, ColumnKind};
use smallvec::SmallVec;
use types::Datum;
use types::json::JsonbRef;
use types::json::ops;

/// A chain of `->` over a document, the last of which may be `->>`.
pub(super) struct Fields<'n> {
    /// What gives the document.
    pub document: &'n Node,
    /// From the outermost object to the innermost.
    keys: SmallVec<[&'n str; 4]>,
    is_text: bool,
}

impl<'n> Fields<'n> {
    /// None: the call is none of these, or a key is no constant.
    pub fn of(call: &'n Call) -> Option<Fields<'n>> {
        let Some(Kernel::JsonField { is_text }) = call.kernel else { return None };
        let (document, key) = step(call)?;
        let mut fields = Fields { document, keys: SmallVec::from_slice(&[key]), is_text };
        while let Kind::Call(below) = &fields.document.kind
            && let Some(Kernel::JsonField { is_text: false }) = below.kernel
            && let Some((document, key)) = step(below)
        {
            fields.document = document;
            fields.keys.push(key);
        }
        fields.keys.reverse();
        Some(fields)
    }

    /// The field of each document; None: these are no documents.
    pub fn read(&self, documents: &Vector) -> Option<Column> {
        let Vector::Column(column) = documents else { return None };
        let ColumnData::Datums(documents) = &column.data else { return None };
        let kind = if self.is_text { ColumnKind::Text } else { ColumnKind::Datums };
        let mut builder = ColumnBuilder::with_capacity(kind, documents.len());
        for document in documents {
            let document = match document {
                Datum::Jsonb(document) => document,
                Datum::Null => {
                    builder.push_null();
                    continue;
                }
                _ => return None,
            };
            let field = self.keys.iter().try_fold(document.as_ref(), |at, key| at.get(key));
            match field {
                Some(field) if self.is_text => push_text(&mut builder, field),
                Some(field) => builder.push_owned(Datum::Jsonb(field.to_owned())),
                None => builder.push_null(),
            }
        }
        Some(builder.finish())
    }
}

/// The document and the constant key of one `->`.
fn step(call: &Call) -> Option<(&Node, &str)> {
    match &call.args[..] {
        [document, Node { kind: Kind::Const(Datum::Text(key)), .. }] => Some((document, key)),
        _ => None,
    }
}

fn push_text(builder: &mut ColumnBuilder, field: JsonbRef<'_>) {
    match field.as_str() {
        Some(text) => builder.push_str(text),
        None => match field.to_sql_text() {
            Some(text) => builder.push_str(&text),
            None => builder.push_null(),
        },
    }
}

/// Which documents of a column contain a constant one.
pub(super) fn contains(documents: &Vector, part: &Vector) -> Option<Column> {
    let (Vector::Column(column), Vector::Const(Datum::Jsonb(part))) = (documents, part) else { return None };
    let ColumnData::Datums(documents) = &column.data else { return None };
    let part = part.as_ref();
    let mut hits = Vec::with_capacity(documents.len());
    for document in documents {
        hits.push(match document {
            Datum::Jsonb(document) => ops::contains(document.as_ref(), part),
            Datum::Null => false,
            _ => return None,
        });
    }
    Some(Column { data: ColumnData::Bool(hits), nulls: column.nulls.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use types::json::Jsonb;
    use types::{CallContext, FormatSettings, SqlType};

    fn documents() -> Vec<Datum> {
        let texts = [
            r#"{"a": {"b": {"c": "x"}}, "n": 1.50}"#,
            r#"{"a": {"b": {"c": null}}, "n": null}"#,
            r#"{"a": {"b": [1, {"c": 2}]}, "n": true}"#,
            r#"{"a": "b"}"#,
            r#"[{"a": 1}]"#,
            r#""a""#,
            "null",
            "{}",
        ];
        let parsed = texts.iter().map(|text| Datum::Jsonb(Jsonb::parse(text).expect("json")));
        parsed.chain([Datum::Null]).collect()
    }

    fn column(values: Vec<Datum>) -> Vector {
        let mut builder = ColumnBuilder::new(ColumnKind::Datums);
        values.into_iter().for_each(|value| builder.push_owned(value));
        Vector::Column(Arc::new(builder.finish()))
    }

    /// The function's answers, one by one; it is strict.
    fn called(symbol: &str, args: &[Vec<Datum>]) -> Vec<String> {
        let (format, types) = (FormatSettings::default(), [SqlType::JSONB; 2]);
        let call = CallContext { format: &format, arg_types: &types, result_type: types[0] };
        let function = types::functions::scalar(symbol).expect("known");
        let answer = |args: &Vec<Datum>| match args.iter().any(Datum::is_null) {
            true => Datum::Null,
            false => function(&call, args).expect("an answer"),
        };
        args.iter().map(|args| format!("{:?}", answer(args))).collect()
    }

    fn shown(column: &Column) -> Vec<String> {
        (0..column.len()).map(|row| format!("{:?}", column.datum(row))).collect()
    }

    fn check_fields(keys: &[&'static str], is_text: bool) {
        let document = Node { kind: Kind::Input(0), ty: SqlType::JSONB, waits: false };
        let fields = Fields { document: &document, keys: keys.iter().copied().collect(), is_text };
        let got = shown(&fields.read(&column(documents())).expect("documents"));
        let mut expected = documents();
        for (depth, key) in keys.iter().enumerate() {
            let is_last = depth + 1 == keys.len();
            let (format, types) = (FormatSettings::default(), [SqlType::JSONB; 2]);
            let call = CallContext { format: &format, arg_types: &types, result_type: types[0] };
            let symbol = if is_last && is_text { "jsonb_object_field_text" } else { "jsonb_object_field" };
            let function = types::functions::scalar(symbol).expect("known");
            for value in &mut expected {
                if !value.is_null() {
                    *value = function(&call, &[value.clone(), Datum::text(*key)]).expect("an answer");
                }
            }
        }
        assert_eq!(got, expected.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>(), "{keys:?}");
    }

    #[test]
    fn fields_are_those_that_the_functions_give() {
        for is_text in [false, true] {
            for keys in [&["a"][..], &["n"], &["a", "b"], &["a", "b", "c"], &["none"], &["none", "a"]] {
                check_fields(keys, is_text);
            }
        }
    }

    #[test]
    fn containment_is_what_the_function_says() {
        for part in ["{}", r#"{"a": {"b": {}}}"#, r#"[{"a": 1}]"#, r#""a""#, r#"{"n": 1.5}"#, "null"] {
            let part = Datum::Jsonb(Jsonb::parse(part).expect("json"));
            let got = contains(&column(documents()), &Vector::Const(part.clone())).expect("documents");
            let args: Vec<Vec<Datum>> = documents().into_iter().map(|document| vec![document, part.clone()]).collect();
            assert_eq!(shown(&got), called("jsonb_contains", &args), "{part:?}");
        }
    }
}
