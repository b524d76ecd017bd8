//! Column definition lists of functions over JSON: `json_to_record(j) AS t(a integer, b text)`.
//!
//! The function learns its columns from a row of NULLs that bears their names and types: `json_to_record` gets it as one more
//! argument, `json_populate_record` in place of a base that is NULL.

use super::scope::fold;
use super::{Binder, unsupported};
use crate::expr::{Expr, ExprKind};
use sqlparser::ast::TableAliasColumnDef;
use std::sync::Arc;
use types::builtin::Proc;
use types::{Datum, Record, Result, SqlError, SqlState, SqlType};

impl Binder<'_> {
    /// A call whose row comes from JSON, with its fields' domains asked; other calls as they are.
    pub(super) fn populated(&mut self, proc: &Proc, call: Expr, position: u32) -> Result<Expr> {
        match proc.name {
            "json_populate_record" | "jsonb_populate_record" => self.checked_fields(call),
            "json_populate_recordset" | "jsonb_populate_recordset" if self.domains_of_fields(call.ty).is_some() => {
                Err(unsupported(&format!("function {} for a row type with domains", proc.name), position))
            }
            _ => Ok(call),
        }
    }

    /// The columns of a definition list, handed to the function that is called.
    pub(super) fn json_columns(
        &mut self,
        proc: &Proc,
        call: &mut Expr,
        definitions: &[TableAliasColumnDef],
        position: u32,
    ) -> Result<Vec<(String, SqlType)>> {
        let ExprKind::Call { args, .. } = &mut call.kind else {
            return Err(unsupported("a column definition list", position));
        };
        let mut columns = Vec::with_capacity(definitions.len());
        for definition in definitions {
            let Some(ty) = &definition.data_type else { continue };
            columns.push((fold(&definition.name), self.data_type(ty, position)?));
        }
        let row = Expr::constant(Datum::Record(Arc::new(empty_row(&columns))), SqlType::RECORD);
        match (proc.name, args.as_mut_slice()) {
            ("json_to_record" | "json_to_recordset" | "jsonb_to_record" | "jsonb_to_recordset", [_]) => args.push(row),
            (
                "json_populate_record"
                | "json_populate_recordset"
                | "jsonb_populate_record"
                | "jsonb_populate_recordset",
                [base, ..],
            ) => match &base.kind {
                ExprKind::Row { fields, .. } => return Err(mismatch(self, fields, &columns, position)),
                _ if is_null(base) => *base = row,
                _ => return Err(unsupported("a column definition list over a base row", position)),
            },
            _ => return Err(unsupported("a column definition list", position)),
        }
        Ok(columns)
    }
}

fn empty_row(columns: &[(String, SqlType)]) -> Record {
    Record {
        types: columns.iter().map(|(_, ty)| *ty).collect(),
        names: columns.iter().map(|(name, _)| name.as_str().into()).collect(),
        values: vec![Datum::Null; columns.len()],
    }
}

/// Whether an expression is a NULL, whatever type it was given.
fn is_null(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Const(value) => value.is_null(),
        ExprKind::Relabel(arg, _) | ExprKind::InOut(arg, _) => is_null(arg),
        _ => false,
    }
}

/// Why a base row does not have the columns of the list. One that has them is not supported: its fields have other names.
fn mismatch(binder: &Binder<'_>, fields: &[Expr], columns: &[(String, SqlType)], position: u32) -> SqlError {
    let error = |detail: String| {
        SqlError::new(SqlState::DATATYPE_MISMATCH, "function return row and query-specified return row do not match")
            .detail(detail)
    };
    if fields.len() != columns.len() {
        let plural = if fields.len() == 1 { "" } else { "s" };
        return error(format!(
            "Returned row contains {} attribute{plural}, but query expects {}.",
            fields.len(),
            columns.len()
        ));
    }
    let different = fields.iter().zip(columns).position(|(field, (_, ty))| field.ty.oid != ty.oid);
    match different.and_then(|at| fields.get(at).zip(columns.get(at)).map(|pair| (at, pair))) {
        Some((at, (field, (_, ty)))) => error(format!(
            "Returned type {} at ordinal position {}, but query expects {}.",
            binder.type_name(field.ty),
            at + 1,
            binder.type_name(*ty)
        )),
        None => unsupported("a column definition list over a base row", position),
    }
}
