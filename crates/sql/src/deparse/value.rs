//! Constants, and the names of types, relations and functions.

use super::Deparser;
use catalog::names;
use catalog::operators::{self, AnyOperator};
use std::sync::Arc;
use types::array::Array;
use types::functions::quote_ident;
use types::user_type;
use types::{Datum, FormatSettings, Oid, SqlType, builtin, oid, typename};

/// A literal in quotes, as it is read with `standard_conforming_strings`.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl Deparser<'_> {
    pub(super) fn type_name(&self, ty: SqlType) -> String {
        if builtin::type_by_oid(ty.oid).is_some() {
            return typename::format_type(ty.oid, Some(ty.typmod));
        }
        match self.catalog.relation_of_type(ty.oid) {
            Some(_) if let Some(shown) = self.shown => names::format_type(self.catalog, shown.scope, ty.oid, None),
            // EXPLAIN names what the reader of the plan has just named.
            Some(relation) if self.plan.is_some() => {
                let name = quote_ident(&relation.name);
                if relation.row_array_type == ty.oid { format!("{name}[]") } else { name.to_string() }
            }
            Some(relation) => {
                let name = names::qualified(self.catalog, relation.schema, &relation.name);
                if relation.row_array_type == ty.oid { format!("{name}[]") } else { name }
            }
            None => typename::format_type(ty.oid, Some(ty.typmod)),
        }
    }

    pub(super) fn constant(&self, value: &Datum, ty: SqlType) -> String {
        match value {
            Datum::Null => return format!("NULL::{}", self.type_name(ty)),
            Datum::Bool(value) => return value.to_string(),
            Datum::Int4(value) if *value >= 0 && ty.oid == oid::INT4 => return value.to_string(),
            _ => {}
        }
        let text = self.text(value, ty);
        // A numeric that reads back as one needs no cast.
        let is_number = |c: char| c.is_ascii_digit() || c == '.';
        if ty.oid == oid::NUMERIC && text.contains('.') && text.chars().all(is_number) {
            return text;
        }
        format!("{}::{}", quoted(&text), self.type_name(ty))
    }

    pub(super) fn text(&self, value: &Datum, ty: SqlType) -> String {
        if let (Datum::Oid(id), oid::REGCLASS) = (value, ty.oid) {
            return self.regclass(*id);
        }
        let (ty, value) = self.labelled(ty, value);
        let mut out = vec![];
        let usual = FormatSettings::default();
        types::io::output(ty, &value, self.shown.map_or(&usual, |s| s.format), &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Of a user's function: qualified where the text is stored, and where the search path does not find it.
    pub(super) fn function_name(&self, function: &catalog::Function) -> String {
        let is_seen = |scope: names::NameScope<'_>| names::function_is_visible(self.catalog, scope, function);
        match self.shown {
            Some(shown) if is_seen(shown.scope) => quote_ident(&function.name).to_string(),
            _ => names::qualified(self.catalog, function.schema, &function.name),
        }
    }

    /// Of a user's operator: qualified where the text is stored, and where the search path does not find it.
    pub(super) fn operator_name(&self, operator: &Arc<catalog::Operator>) -> String {
        let any = AnyOperator::User(operator.clone());
        if self.shown.is_some_and(|shown| operators::is_visible(self.catalog, shown.scope, &any)) {
            return operator.name.clone();
        }
        match self.catalog.schema(operator.schema) {
            Some(schema) => operator.stored_text(&schema.name),
            None => operator.name.clone(),
        }
    }

    /// With the labels of enums in place of their keys, at any depth (arrays and rows of them are built by the binder, which
    /// bounds it).
    pub(super) fn labelled(&self, ty: SqlType, value: &Datum) -> (SqlType, Datum) {
        match value {
            Datum::Int8(key) => match self.catalog.enum_label(ty.oid, *key) {
                Some(label) => (SqlType::TEXT, Datum::text(label)),
                None => (ty, value.clone()),
            },
            Datum::Array(array) if user_type::kind_of(array.element).is_some() => {
                let element = SqlType::new(array.element);
                let values = array.values.iter().map(|v| self.labelled(element, v));
                let (types, values): (Vec<_>, Vec<_>) = values.unzip();
                let element = types.first().map_or(array.element, |t| t.oid);
                (ty, Datum::Array(Arc::new(Array { element, dims: array.dims.clone(), values })))
            }
            Datum::Record(record) => {
                let fields = record.types.iter().zip(&record.values).map(|(ty, v)| self.labelled(*ty, v));
                let (types, values) = fields.unzip();
                (ty, Datum::Record(Arc::new(types::Record { types, names: record.names.clone(), values })))
            }
            other => (ty, other.clone()),
        }
    }

    /// Qualified where the text is stored, and where the search path does not find it.
    pub(super) fn regclass(&self, id: Oid) -> String {
        if let Some(shown) = self.shown {
            return names::regclass_text(self.catalog, shown.scope, id);
        }
        match (self.catalog.relation(id), self.catalog.index(id)) {
            (Some(relation), _) => names::qualified(self.catalog, relation.schema, &relation.name),
            (None, Some(index)) => names::qualified(self.catalog, index.schema, &index.name),
            (None, None) => id.to_string(),
        }
    }

    /// A constant that cannot be taken for a column's number.
    pub(super) fn labelled_constant(&self, value: &Datum, ty: SqlType) -> String {
        let text = self.constant(value, ty);
        let is_bare = matches!(value, Datum::Int4(_) | Datum::Bool(_) | Datum::Numeric(_)) && !text.contains("::");
        if is_bare { format!("{text}::{}", self.type_name(ty)) } else { text }
    }
}
