//! What a relation's rows have besides declared columns: `tableoid`, `_ts`, `_doc`, the row as a whole, and the undeclared
//! fields of an open collection.
//!
//! A name is taken for one of these only where PostgreSQL would have no column of it, so no statement changes its meaning. A
//! field is jsonb, NULL where the document has none; compared with an SQL value, that value is lifted to jsonb.

use super::Binder;
use super::scope::{Item, fold};
use super::unsupported;
use crate::expr::{CallForm, Expr, ExprKind, PathStep};
use crate::logical::{ColumnId, Scan, ScanColumn};
use catalog::RelationKind;
use sqlparser::ast::Ident;
use types::{Result, SqlError, SqlState, SqlType, oid};

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
        let is_stored = scan.relation.kind != RelationKind::Virtual;
        let is_open = scan.relation.kind == RelationKind::Collection;
        let all = [
            (ScanColumn::WholeRow, row, scan.relation.row_type != 0),
            (ScanColumn::TableOid, SqlType::OID, true),
            (ScanColumn::CommitTimestamp, SqlType::INT8, is_stored),
            (ScanColumn::Document, SqlType::JSONB, is_stored),
            (ScanColumn::Tail, SqlType::JSONB, is_open),
        ];
        let mut hidden = vec![];
        for (what, ty, _) in all.into_iter().filter(|(_, _, is_offered)| *is_offered) {
            let id = self.new_column("", ty, 0, 0);
            scan.columns.push((what, id));
            hidden.push(Hidden { what, id, ty });
        }
        hidden
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
                    let visible = scope.items.iter().filter(|i| i.columns_visible && i.relation.is_some());
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
        let chosen = self.function("to_jsonb", &[value.ty.oid], position)?;
        self.complete_call(&chosen, vec![value], CallForm::ImplicitCast, position)
    }

    /// Both sides of an operator, where one is a field of a document.
    pub(super) fn lifted(&mut self, name: &str, left: Expr, right: Expr) -> Result<(Expr, Expr)> {
        let is_comparison = matches!(name, "=" | "<>" | "<" | "<=" | ">" | ">=");
        if !is_comparison || !(is_field(&left) || is_field(&right)) {
            return Ok((left, right));
        }
        Ok((self.lift(left)?, self.lift(right)?))
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
