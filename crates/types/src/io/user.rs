//! Formats of users' types: an enum's value is its label, a composite's a row with its type's columns.

use super::record;
use crate::user_type::UserTypes;
use crate::{Datum, FormatSettings, Result, SqlError, SqlState, SqlType};
use ecow::EcoString;

/// The catalog; a value of a user's type without one is a fault of ours.
fn definitions(format: &FormatSettings) -> Result<&dyn UserTypes> {
    format.user_types.get().ok_or_else(|| SqlError::internal("a user's type is read without a catalog"))
}

fn name(ty: SqlType, format: &FormatSettings) -> String {
    format.user_types.get().and_then(|types| types.name(ty.oid)).unwrap_or_else(|| ty.oid.to_string())
}

/// 22P02 for what is no label.
pub(super) fn enum_input(ty: SqlType, text: &str, format: &FormatSettings) -> Result<Datum> {
    let key = definitions(format)?.enum_key(ty.oid, text);
    key.map(Datum::Int8).ok_or_else(|| {
        let message = format!("invalid input value for enum {}: \"{text}\"", name(ty, format));
        SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message)
    })
}

/// The label. Text and binary form are the same.
pub(super) fn enum_output(ty: SqlType, key: i64, format: &FormatSettings, out: &mut Vec<u8>) {
    match format.user_types.get().and_then(|types| types.enum_label(ty.oid, key)) {
        Some(label) => out.extend_from_slice(label.as_bytes()),
        // Labels never go; a statement that has lost its catalog shows the key.
        None => super::write_int(key, out),
    }
}

fn columns(ty: SqlType, format: &FormatSettings) -> Result<(Vec<SqlType>, Vec<EcoString>)> {
    let fields = definitions(format)?.fields(ty.oid);
    let fields = fields.ok_or_else(|| SqlError::internal(format!("type {} has no columns", name(ty, format))))?;
    Ok(fields.into_iter().map(|(name, ty)| (ty, EcoString::from(name))).unzip())
}

pub(super) fn composite_input(ty: SqlType, text: &str, format: &FormatSettings) -> Result<Datum> {
    let (types, names) = columns(ty, format)?;
    record::input(&types, &names, text, &mut |ty, part| super::input(ty, part, format))
}

pub(super) fn composite_receive(ty: SqlType, bytes: &[u8], format: &FormatSettings) -> Result<Datum> {
    let (types, names) = columns(ty, format)?;
    record::receive(&types, &names, bytes, format)
}
