//! What a relation's rows have besides declared columns: `tableoid`, `_ts`, `_doc`, the period of a version, the row as a whole, and the undeclared
//! fields of an open collection.
//!
//! A name is taken for one of these only where PostgreSQL would have no column of it, so no statement changes its meaning. A
//! field is jsonb, NULL where the document has none; compared with an SQL value, that value is lifted to jsonb.

use super::Binder;
use super::scope::{Item, fold};
use super::unsupported;
use crate::expr::{CallForm, Expr, ExprKind, PathStep};
use crate::logical::{ColumnId, Scan, ScanColumn};
use catalog::{Relation, RelationKind};
use sqlparser::ast::{self, Ident, Subscript};
use types::{CallContext, Datum, FormatSettings, Result, SqlError, SqlState, SqlType, oid};

/// Steps of one path.
const STEPS_MAX: usize = 100;

/// System columns of PostgreSQL that rows here do not have.
const NO_SUCH_SYSTEM_COLUMN: &[&str] = &["ctid", "xmin", "xmax", "cmin", "cmax"];

#[derive(Clone, Copy, Debug)]
pub(super) struct Hidden {
    pub(super) what: ScanColumn,
    pub(super) id: ColumnId,
    pub(super) ty: SqlType,
}

impl Binder<'_> {
    /// Lets a scan offer them; the planner leaves out those that nobody reads.
    pub(super) fn hide(&mut self, scan: &mut Scan) -> Vec<Hidden> {
        let row = SqlType::new(scan.relation.row_type);
        let mut hidden = vec![];
        if row.oid != 0 {
            hidden.push(self.hidden(ScanColumn::WholeRow, row));
        }
        hidden.extend(self.hidden_parts(&scan.relation));
        scan.columns.extend(hidden.iter().map(|h| (h.what, h.id)));
        hidden
    }

    /// All but the row as a whole, which a row that is written is put together for.
    pub(super) fn hidden_parts(&mut self, relation: &Relation) -> Vec<Hidden> {
        let is_stored = relation.kind != RelationKind::Virtual;
        let is_open = relation.kind == RelationKind::Collection;
        let all = [
            (ScanColumn::TableOid, SqlType::OID, true),
            (ScanColumn::CommitTimestamp, SqlType::INT8, is_stored),
            (ScanColumn::Document, SqlType::JSONB, is_stored),
            (ScanColumn::Tail, SqlType::JSONB, is_open),
        ];
        all.into_iter().filter(|(.., is_offered)| *is_offered).map(|(what, ty, _)| self.hidden(what, ty)).collect()
    }

    pub(super) fn hidden(&mut self, what: ScanColumn, ty: SqlType) -> Hidden {
        Hidden { what, id: self.new_column("", ty, 0, 0), ty }
    }

    /// What a name means that is no declared column: `name`, `table.name`, or a path of fields. None if it is nothing here, either.
    pub(super) fn hidden_column(&self, parts: &[Ident], position: u32) -> Result<Option<Expr>> {
        let names: Vec<String> = parts.iter().map(fold).collect();
        for scope in self.scopes.iter().rev() {
            let named = match names.as_slice() {
                [table, _, ..] => scope.tables(table).first().copied(),
                _ => None,
            };
            let (items, path): (Vec<&Item>, &[String]) = match named {
                Some(item) => (vec![item], names.get(1..).unwrap_or_default()),
                None => {
                    let visible = scope
                        .items
                        .iter()
                        .filter(|i| i.columns_visible && (i.relation.is_some() || !i.hidden.is_empty()));
                    (visible.collect(), &names)
                }
            };
            let found: Vec<Expr> = items
                .into_iter()
                .filter_map(|item| self.hidden_of(item, path, position).transpose())
                .collect::<Result<_>>()?;
            match <[Expr; 1]>::try_from(found) {
                Ok([one]) => return Ok(Some(one)),
                Err(none) if none.is_empty() => {}
                Err(_) => {
                    let message = format!("column reference \"{}\" is ambiguous", names.join("."));
                    return Err(SqlError::new(SqlState::AMBIGUOUS_COLUMN, message).at(position));
                }
            }
        }
        Ok(None)
    }

    fn hidden_of(&self, item: &Item, path: &[String], position: u32) -> Result<Option<Expr>> {
        let column = |what: ScanColumn| item.hidden.iter().find(|h| h.what == what);
        let read = |hidden: &Hidden| Expr { position, ..Expr::column(hidden.id, hidden.ty) };
        let Some((first, rest)) = path.split_first() else { return Ok(None) };
        if item.relation.is_some() && rest.is_empty() && NO_SUCH_SYSTEM_COLUMN.contains(&first.as_str()) {
            return Err(unsupported(&format!("system column {first}"), position));
        }
        let what = match first.as_str() {
            "tableoid" => Some(ScanColumn::TableOid),
            "_ts" => Some(ScanColumn::CommitTimestamp),
            "_doc" => Some(ScanColumn::Document),
            "_valid_from" => Some(ScanColumn::ValidFrom),
            "_valid_to" => Some(ScanColumn::ValidTo),
            _ => None,
        };
        if let Some(hidden) = what.and_then(column) {
            return match rest {
                [] => Ok(Some(read(hidden))),
                _ if hidden.what == ScanColumn::Document => document_path(read(hidden), rest, position).map(Some),
                _ => Ok(None),
            };
        }
        let Some(tail) = column(ScanColumn::Tail) else { return Ok(None) };
        // A declared column of jsonb is a document of its own.
        if let Some(declared) = item.columns.iter().find(|c| c.name == *first) {
            let is_document = declared.ty.oid == oid::JSONB && !rest.is_empty();
            let document = Expr { position, ..Expr::column(declared.id, declared.ty) };
            return match is_document {
                true => document_path(document, rest, position).map(Some),
                false => Ok(None),
            };
        }
        document_path(read(tail), path, position).map(Some)
    }

    /// An SQL value to be compared with a field of a document.
    pub(super) fn lift(&mut self, value: Expr) -> Result<Expr> {
        if value.ty.oid == oid::JSONB {
            return Ok(value);
        }
        let value = self.known(value)?;
        let position = value.position;
        if value.ty.oid == oid::JSON {
            return self.explicit_cast(value, SqlType::JSONB, position);
        }
        if let Some(constant) = lifted_constant(&value) {
            return Ok(Expr { position, ..Expr::constant(constant, SqlType::JSONB) });
        }
        let chosen = self.function("to_jsonb", &[value.ty.oid], position)?;
        self.complete_call(&chosen, vec![value], CallForm::Function, position)
    }

    /// Both sides of an operator, where one is a field of a document.
    pub(super) fn lifted(&mut self, name: &str, left: Expr, right: Expr) -> Result<(Expr, Expr)> {
        let is_comparison = matches!(super::operator::bare(name), "=" | "<>" | "<" | "<=" | ">" | ">=");
        if !is_comparison || !(is_field(&left) || is_field(&right)) {
            return Ok((left, right));
        }
        Ok((self.lift(left)?, self.lift(right)?))
    }
}

/// A constant of a type whose JSON form depends on no setting: stored expressions and indexes can rely on it.
fn lifted_constant(value: &Expr) -> Option<Datum> {
    let ExprKind::Const(datum) = &value.kind else { return None };
    match value.ty.oid {
        _ if datum.is_null() => Some(Datum::Null),
        oid::BOOL | oid::INT2 | oid::INT4 | oid::INT8 | oid::NUMERIC | oid::TEXT | oid::VARCHAR => {
            let format = FormatSettings::default();
            let call = CallContext { format: &format, arg_types: &[value.ty], result_type: SqlType::JSONB };
            types::functions::scalar("to_jsonb")?(&call, std::slice::from_ref(datum)).ok()
        }
        _ => None,
    }
}

pub(super) fn is_field(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::DocumentPath { .. })
}

fn document_path(document: Expr, names: &[String], position: u32) -> Result<Expr> {
    let path = names.iter().map(|name| PathStep::Key(name.clone())).collect();
    let kind = ExprKind::DocumentPath { document: Box::new(document), path };
    Ok(Expr::new(kind, SqlType::JSONB, position))
}

/// A further step of a path: `.name`, or a subscript that is a literal. Gives the step back where it is no path that it goes on.
pub(super) fn further(expr: &mut Expr, step: PathStep) -> Option<PathStep> {
    match &mut expr.kind {
        ExprKind::DocumentPath { path, .. } if path.len() < STEPS_MAX => {
            path.push(step);
            None
        }
        _ => Some(step),
    }
}

/// `[1]` and `['a']`.
pub(super) fn literal_step(subscript: &Subscript) -> Option<PathStep> {
    let Subscript::Index { index: ast::Expr::Value(value) } = subscript else { return None };
    match &value.value {
        ast::Value::Number(digits, _) => digits.parse().ok().map(PathStep::Index),
        ast::Value::SingleQuotedString(key) => Some(PathStep::Key(key.clone())),
        _ => None,
    }
}

/// Names that a row's own parts have, which no field can be written by.
pub(super) fn is_own_name(name: &str) -> bool {
    NO_SUCH_SYSTEM_COLUMN.contains(&name) || matches!(name, "tableoid" | "_ts" | "_doc")
}
