//! A row as a document: its declared columns and its undeclared tail in one jsonb (`_doc`).

use crate::rows::Table;
use catalog::layout::LayoutVersion;
use types::json::Builder;
use types::row::RowView;
use types::{CallContext, Datum, FormatSettings, Result, SqlError, SqlType};

/// The whole document. Declared columns that are NULL are left out; the tail's fields follow.
pub(crate) fn whole(table: &Table, view: &RowView<'_>, layout: &LayoutVersion) -> Result<Datum> {
    let mut builder = Builder::new();
    builder.begin_object();
    for column in table.relation.columns.iter().filter(|c| !c.is_dropped) {
        let value = table.attribute(view, layout, column.number)?;
        if value.is_null() {
            continue;
        }
        let value = to_jsonb(column.ty.into(), &value)?;
        builder.key(&column.name);
        if let Datum::Jsonb(value) = &value {
            builder.value(value.as_ref());
        } else {
            builder.null();
        }
    }
    if let Some(tail) = view.tail_ref().filter(|t| t.is_object()) {
        // What became a column after the row was written is read as that.
        let is_declared = |name: &str| table.relation.columns.iter().any(|c| !c.is_dropped && c.name == name);
        for (key, value) in tail.members().filter(|(key, _)| !is_declared(key)) {
            builder.key(key);
            builder.value(value);
        }
    }
    builder.end()?;
    Ok(Datum::Jsonb(builder.finish()?))
}

fn to_jsonb(ty: SqlType, value: &Datum) -> Result<Datum> {
    let function = types::functions::scalar("to_jsonb")
        .ok_or_else(|| SqlError::unsupported("reading a row as a document is not supported"))?;
    let format = FormatSettings::default();
    function(
        &CallContext { format: &format, arg_types: &[ty], result_type: SqlType::JSONB },
        std::slice::from_ref(value),
    )
}
