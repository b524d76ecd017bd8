//! Row values: ROW(…), `(a, b)`, whole rows of FROM items, their fields, and comparisons of them.

use super::expr::leftmost;
use super::hidden::{further, is_field, literal_step};
use super::scope::fold;
use super::subquery::query_of;
use super::{Binder, unsupported};
use crate::expr::{BoolTest, CallForm, Expr, ExprKind, PathStep};
use crate::logical::{ColumnId, ScanColumn, SubqueryKind};
use sqlparser::ast::{self, Expr as Ast, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectName, Spanned};
use types::builtin::CastContext;
use types::{Datum, Result, SqlError, SqlState, SqlType, oid};

/// Fields of a row value: as many as a relation has columns.
const FIELDS_MAX: usize = 1_664;

/// Row types inside of row types.
const ROWS_IN_ROWS_MAX: usize = 32;

/// One field as written.
pub(super) enum Field<'s> {
    Expr(&'s Ast),
    /// `t.*`.
    All(&'s ObjectName),
}

impl Binder<'_> {
    /// The fields of a row constructor: `(a, b)` or `ROW(…)`.
    pub(super) fn row_fields<'s>(&self, syntax: &'s Ast) -> Option<Vec<Field<'s>>> {
        match syntax {
            Ast::Prefixed { value, .. } => self.row_fields(value),
            Ast::Nested(inner) => self.row_fields(inner),
            Ast::Tuple(fields) => Some(fields.iter().map(field).collect()),
            Ast::Function(call) if is_row(call) => match &call.args {
                FunctionArguments::List(list) => Some(list.args.iter().filter_map(argument).collect()),
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) fn expr_list(&mut self, fields: &[Field<'_>]) -> Result<Vec<Expr>> {
        let mut bound = vec![];
        for field in fields {
            match field {
                Field::Expr(expr) => bound.push(self.expr(expr)?),
                Field::All(name) => {
                    bound.extend(self.columns_of(name)?.into_iter().map(|(_, column)| column));
                }
            }
        }
        if bound.len() > FIELDS_MAX {
            let message = format!("ROW expressions can have at most {FIELDS_MAX} entries");
            return Err(SqlError::new(SqlState::TOO_MANY_COLUMNS, message));
        }
        Ok(bound)
    }

    pub(super) fn row(&mut self, fields: &[Ast], position: u32) -> Result<Expr> {
        let fields: Vec<_> = fields.iter().map(field).collect();
        self.row_of_fields(&fields, position)
    }

    pub(super) fn row_of_fields(&mut self, fields: &[Field<'_>], position: u32) -> Result<Expr> {
        let fields = self.expr_list(fields)?;
        let fields = fields.into_iter().map(|f| self.known(f)).collect::<Result<Vec<_>>>()?;
        let names = (1..=fields.len()).map(|n| format!("f{n}")).collect();
        Ok(Expr::new(ExprKind::Row { fields, names }, SqlType::RECORD, position))
    }

    /// `left op right`: by fields where both are row constructors.
    pub(super) fn comparison(&mut self, left: &Ast, name: &str, right: &Ast, position: u32) -> Result<Expr> {
        match (self.row_fields(left), self.row_fields(right)) {
            (Some(left), Some(right)) => {
                let (left, right) = self.row_pair(&left, &right, position)?;
                self.compare_rows(name, left, right, position)
            }
            (Some(left), None) if query_of(right).is_some() => self.row_with_query(&left, name, right, position),
            _ => {
                let (left, right) = (self.expr(left)?, self.expr(right)?);
                self.binary(name, left, right, position)
            }
        }
    }

    pub(super) fn row_pair(
        &mut self,
        left: &[Field<'_>],
        right: &[Field<'_>],
        position: u32,
    ) -> Result<(Vec<Expr>, Vec<Expr>)> {
        let (left, right) = (self.expr_list(left)?, self.expr_list(right)?);
        if left.len() != right.len() {
            let message = "unequal number of entries in row expressions";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
        }
        Ok((left, right))
    }

    /// `(a, b) op (SELECT c, d …)` with one row at most: the query's row is read once, as a record.
    fn row_with_query(&mut self, left: &[Field<'_>], name: &str, right: &Ast, position: u32) -> Result<Expr> {
        let left = self.expr_list(left)?;
        let Some(query) = query_of(right) else { return Err(SqlError::internal("a subquery was expected")) };
        let (row, types) = self.row_subquery(query, position)?;
        if left.len() != types.len() {
            let message =
                if left.len() < types.len() { "subquery has too many columns" } else { "subquery has too few columns" };
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
        }
        // The record is the operand of a CASE, so that its fields can be read without running the query for each.
        if left.iter().any(|l| l.any(&mut |n| matches!(n.kind, ExprKind::CaseValue))) {
            return Err(unsupported("comparing a CASE with a subquery's row", position));
        }
        let start = leftmost(position, &left);
        let record = |(index, ty): (usize, &SqlType)| {
            let row = Box::new(Expr::new(ExprKind::CaseValue, SqlType::RECORD, 0));
            Expr::new(ExprKind::Field { row, index }, *ty, 0)
        };
        let test = self.compare_rows(name, left, types.iter().enumerate().map(record).collect(), position)?;
        let branch = |wanted: BoolTest| {
            let arg = Box::new(test.clone());
            let condition = Expr::new(ExprKind::BoolTest { arg, test: wanted }, SqlType::BOOL, 0);
            (condition, Expr::constant(Datum::Bool(wanted == BoolTest::IsTrue), SqlType::BOOL))
        };
        let branches = vec![branch(BoolTest::IsTrue), branch(BoolTest::IsFalse)];
        Ok(Expr::new(ExprKind::Case { operand: Some(Box::new(row)), branches, otherwise: None }, SqlType::BOOL, start))
    }

    // --- fields

    /// `.f`, `[i]` and `.*` behind an operand, one after the other.
    pub(super) fn indirection(&mut self, root: &Ast, chain: &[ast::AccessExpr]) -> Result<Expr> {
        let mut value = self.expr(root)?;
        let mut rest = chain;
        while let Some((step, after)) = rest.split_first() {
            match step {
                ast::AccessExpr::Dot(Ast::Identifier(name)) => {
                    let field = fold(name);
                    if further(&mut value, PathStep::Key(field.clone())).is_some() {
                        value = self.field(value, &field)?;
                    }
                    rest = after;
                }
                ast::AccessExpr::Subscript(subscript) if is_field(&value) && literal_step(subscript).is_some() => {
                    if let Some(step) = literal_step(subscript) {
                        further(&mut value, step);
                    }
                    rest = after;
                }
                ast::AccessExpr::Subscript(_) => {
                    let count = rest.iter().take_while(|s| matches!(s, ast::AccessExpr::Subscript(_))).count();
                    let (subscripts, after) = rest.split_at(count);
                    let subscripts = subscripts.iter().filter_map(|s| match s {
                        ast::AccessExpr::Subscript(s) => Some(s),
                        ast::AccessExpr::Dot(_) => None,
                    });
                    value = self.subscripted(value, subscripts)?;
                    rest = after;
                }
                ast::AccessExpr::Dot(other) => {
                    let message = "row expansion via \"*\" is not supported here";
                    return Err(SqlError::unsupported(message).at(self.at(other.span())));
                }
            }
        }
        Ok(value)
    }

    /// `(row).name`.
    pub(super) fn field(&mut self, row: Expr, name: &str) -> Result<Expr> {
        let item = self.item_of_row(&row);
        let row = self.spelled_out(row);
        let ty = row.ty;
        let start = row.position;
        if self.is_recording()
            && let ExprKind::Row { fields, names } = &row.kind
            && let Some(column) = names.iter().position(|n| n == name).and_then(|i| fields.get(i))
        {
            return Ok(column.clone());
        }
        let fields = match self.fields_of_type(ty) {
            Some(fields) => Some(fields),
            None => self.fields_of_record(&row)?.filter(|fields| fields.iter().any(|(field, _)| field == name)),
        };
        if let Some(fields) = fields {
            let Some(index) = fields.iter().position(|(field, _)| field == name) else {
                let type_name = self.type_name(ty);
                let message = match item {
                    Some(alias) => format!("column {alias}.{name} does not exist"),
                    None => format!("column \"{name}\" not found in data type {type_name}"),
                };
                return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message).at(start));
            };
            let field_type = fields.get(index).map_or(SqlType::UNKNOWN, |(_, ty)| *ty);
            return Ok(Expr::new(ExprKind::Field { row: Box::new(row), index }, field_type, start));
        }
        if let ExprKind::Row { fields, names } = &row.kind {
            let found = names.iter().position(|n| n == name).and_then(|i| fields.get(i));
            if let Some(field) = found {
                return Ok(field.clone());
            }
        }
        if ty.oid == oid::RECORD {
            let message = format!("could not identify column \"{name}\" in record data type");
            return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message).at(start));
        }
        let type_name = self.type_name(ty);
        let message = format!("column notation .{name} applied to type {type_name}, which is not a composite type");
        Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(start))
    }

    /// Names and types of all fields of a row value, with the expressions that read them: `(row).*`.
    pub(super) fn all_fields(&mut self, row: Expr, position: u32) -> Result<Vec<(String, Expr)>> {
        let row = self.spelled_out(row);
        if let ExprKind::Row { fields, names } = row.kind {
            return Ok(names.into_iter().zip(fields).collect());
        }
        let fields = match self.fields_of_type(row.ty) {
            Some(fields) => Some(fields),
            None => self.fields_of_record(&row)?,
        };
        let Some(fields) = fields else {
            let type_name = self.type_name(row.ty);
            let message = match row.ty.oid {
                oid::RECORD => "record type has not been registered".to_owned(),
                _ => format!("type {type_name} is not composite"),
            };
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(position));
        };
        let read = |(index, (name, ty)): (usize, (String, SqlType))| {
            let row = Box::new(row.clone());
            (name, Expr::new(ExprKind::Field { row, index }, ty, position))
        };
        Ok(fields.into_iter().enumerate().map(read).collect())
    }

    /// The whole row of an item that an outer join pads, as its columns: one field of it is that column.
    fn spelled_out(&self, row: Expr) -> Expr {
        let ExprKind::Column(id) = row.kind else { return row };
        let items = self.scopes.iter().rev().flat_map(|s| &s.items);
        let is_row_of = |i: &&super::scope::Item| {
            let has_none = self.is_recording() && i.hidden.iter().any(|h| h.what == ScanColumn::WholeRow && h.id == id);
            has_none || i.padded_row.is_some_and(|(row, _)| row == id)
        };
        let Some(item) = items.into_iter().find(is_row_of) else { return row };
        let names = item.columns.iter().map(|c| c.name.clone()).collect();
        let fields = item.columns.iter().map(|c| Expr { position: row.position, ..Expr::column(c.id, c.ty) }).collect();
        Expr { kind: ExprKind::Row { fields, names }, ..row }
    }

    /// The alias of the item whose whole row it is.
    fn item_of_row(&self, row: &Expr) -> Option<String> {
        let ExprKind::Column(id) = row.kind else { return None };
        let mut items = self.scopes.iter().flat_map(|s| &s.items);
        let is_row = |item: &&super::scope::Item| {
            item.hidden.iter().any(|h| h.id == id) || item.padded_row.is_some_and(|(row, _)| row == id)
        };
        items.find(is_row).map(|item| item.alias.clone())
    }

    /// Fields of a named row type, dropped columns left out of a row's value as well.
    pub(super) fn fields_of_type(&self, ty: SqlType) -> Option<Vec<(String, SqlType)>> {
        let relation = self.context.catalog.type_descriptor(ty.oid).filter(|r| !r.is_scalar_type())?;
        Some(relation.live_columns().map(|c| (c.name.clone(), c.ty.into())).collect())
    }

    /// The same with the domains that the fields were declared with; None where there are none.
    pub(super) fn domains_of_fields(&self, ty: SqlType) -> Option<Vec<SqlType>> {
        let relation = self.context.catalog.type_descriptor(ty.oid).filter(|r| !r.is_scalar_type())?;
        let has_domains = relation.live_columns().any(|c| c.domain.is_some());
        has_domains.then(|| relation.live_columns().map(catalog::Column::declared).collect())
    }

    /// A row that was read from text, with its fields' domains asked.
    pub(super) fn checked_fields(&mut self, row: Expr) -> Result<Expr> {
        let (Some(declared), Some(fields)) = (self.domains_of_fields(row.ty), self.fields_of_type(row.ty)) else {
            return Ok(row);
        };
        let mut checked = vec![];
        for (index, ((_, ty), declared)) in fields.iter().zip(declared).enumerate() {
            let field = Expr::new(ExprKind::Field { row: Box::new(row.clone()), index }, *ty, row.position);
            checked.push(self.explicit_cast(field, declared, row.position)?);
        }
        let names = fields.into_iter().map(|(name, _)| name).collect();
        Ok(Expr::new(ExprKind::Row { fields: checked, names }, row.ty, row.position))
    }

    /// Fields of a record that a function with several OUT arguments gives.
    fn fields_of_record(&mut self, row: &Expr) -> Result<Option<Vec<(String, SqlType)>>> {
        match &row.kind {
            ExprKind::Column(id) => {
                Ok(self.records.iter().find(|(column, _)| column == id).map(|(_, fields)| fields.clone()))
            }
            // The row of a function whose body is a query.
            ExprKind::Subquery(subquery) if matches!(subquery.kind, SubqueryKind::Row) => {
                let column = |id: &ColumnId| self.columns.get(id.0 as usize).map(|c| (c.name.clone(), c.ty));
                Ok(subquery.output.iter().map(column).collect())
            }
            ExprKind::Call { proc, args, .. } => {
                let columns = self.out_columns(proc, args)?;
                Ok(Some(columns).filter(|columns| !columns.is_empty()))
            }
            _ => Ok(None),
        }
    }

    /// As error messages call a type.
    pub(super) fn type_name(&self, ty: SqlType) -> String {
        catalog::names::format_type(&self.context.catalog, self.name_scope(), ty.oid, None)
    }

    // --- conversions

    /// A row as a record, or a record as a row of a named type; None where it is neither.
    pub(super) fn coerce_row(
        &mut self,
        row: &Expr,
        target: SqlType,
        context: CastContext,
        form: CallForm,
    ) -> Result<Option<Expr>> {
        if row.ty.oid == target.oid || target.oid == oid::UNKNOWN {
            return Ok(None);
        }
        if target.oid == oid::RECORD && super::coerce::is_composite(row.ty.oid) {
            let kind = ExprKind::Relabel(Box::new(row.clone()), form);
            return Ok(Some(Expr::new(kind, SqlType::RECORD, row.position)));
        }
        let (ExprKind::Row { fields, .. }, Some(wanted)) = (&row.kind, self.fields_of_type(target)) else {
            return Ok(None);
        };
        let target_name = self.type_name(target);
        let cannot = |detail: String, position: u32| {
            let message = format!("cannot cast type record to {target_name}");
            SqlError::new(SqlState::CANNOT_COERCE, message).detail(detail).at(position)
        };
        if fields.len() != wanted.len() {
            let what = if fields.len() < wanted.len() { "few" } else { "many" };
            return Err(cannot(format!("Input has too {what} columns."), 0));
        }
        let mut converted = vec![];
        let declared = self.domains_of_fields(target).unwrap_or_else(|| wanted.iter().map(|(_, ty)| *ty).collect());
        for (number, (field, ty)) in fields.iter().zip(&declared).enumerate() {
            let source = field.ty;
            // A literal has become text only because a record's field must be of some type.
            let mut field = field.clone();
            if matches!(field.kind, ExprKind::Const(Datum::Text(_) | Datum::Null)) && source.oid == oid::TEXT {
                field.ty = SqlType::UNKNOWN;
            }
            let at = field.position;
            match self.try_coerce(field, *ty, context, form)? {
                Some(field) => converted.push(field),
                None => {
                    let (from, to) = (self.type_name(source), self.type_name(*ty));
                    let detail = format!("Cannot cast type {from} to {to} in column {}.", number + 1);
                    return Err(cannot(detail, at));
                }
            }
        }
        let names = wanted.into_iter().map(|(name, _)| name).collect();
        let kind = ExprKind::Row { fields: converted, names };
        Ok(Some(Expr::new(kind, SqlType::new(target.oid), row.position)))
    }

    /// `(1,"a b",)` as a row of a named type.
    pub(super) fn row_literal(&self, ty: SqlType, text: &str, depth: usize) -> Result<Datum> {
        let Some(fields) = self.fields_of_type(ty).filter(|_| depth < ROWS_IN_ROWS_MAX) else {
            let name = self.type_name(ty);
            return Err(SqlError::unsupported(format!("input of type {name} is not supported")));
        };
        let types: Vec<SqlType> = fields.iter().map(|(_, ty)| *ty).collect();
        let names: Vec<_> = fields.iter().map(|(name, _)| name.as_str().into()).collect();
        let mut parse = |ty: SqlType, text: &str| match super::coerce::is_composite(ty.oid) {
            true => self.row_literal(ty, text, depth + 1),
            false => types::io::input(ty, text, &self.context.format),
        };
        types::io::record::input(&types, &names, text, &mut parse)
    }

    // --- whole rows

    /// The row of the innermost FROM item of that name. Of the type of the relation whose columns the item has, if they are all of them.
    pub(super) fn whole_row(&mut self, alias: &str, position: u32) -> Result<Option<Expr>> {
        for depth in (0..self.scopes.len()).rev() {
            let Some(item) = self.scopes.get(depth).and_then(|s| s.items.iter().find(|i| i.alias == alias)) else {
                continue;
            };
            if let Some(row) = item.hidden.iter().find(|h| h.what == ScanColumn::WholeRow)
                && (self.is_recording()
                    || item
                        .relation
                        .as_ref()
                        .is_some_and(|r| r.live_columns().zip(&item.columns).all(|(a, b)| a.name == b.name)))
            {
                return Ok(Some(Expr { position, ..Expr::column(row.id, row.ty) }));
            }
            if let Some((id, ty)) = item.padded_row {
                return Ok(Some(Expr { position, ..Expr::column(id, ty) }));
            }
            let columns = item.columns.clone();
            let ty = self.row_type_of(&columns);
            let names = columns.iter().map(|c| c.name.clone()).collect();
            let fields = columns.iter().map(|c| Expr { position, ..Expr::column(c.id, c.ty) }).collect();
            return Ok(Some(Expr::new(ExprKind::Row { fields, names }, ty, position)));
        }
        Ok(None)
    }

    pub(super) fn row_type_of(&self, columns: &[super::scope::Name]) -> SqlType {
        let origin =
            |c: &super::scope::Name| self.columns.get(c.id.0 as usize).map_or((0, 0), |i| (i.table, i.attribute));
        let table = columns.first().map_or(0, |c| origin(c).0);
        let Some(relation) = self.context.catalog.relation(table) else { return SqlType::RECORD };
        let is_whole = relation.live_columns().count() == columns.len()
            && relation.live_columns().zip(columns).all(|(a, b)| origin(b) == (table, a.number));
        if is_whole && relation.row_type != 0 { SqlType::new(relation.row_type) } else { SqlType::RECORD }
    }

    /// `t.*` as one value.
    pub(super) fn whole_row_of(&mut self, name: &ObjectName) -> Result<Expr> {
        let position = self.at(name.span());
        let alias = name.0.last().and_then(|p| p.as_ident()).map(fold).unwrap_or_default();
        match self.whole_row(&alias, position)? {
            Some(row) => Ok(row),
            None => {
                let message = format!("missing FROM-clause entry for table \"{alias}\"");
                Err(SqlError::new(SqlState::UNDEFINED_TABLE, message).at(position))
            }
        }
    }

    /// The columns that `t.*` stands for.
    pub(super) fn columns_of(&mut self, name: &ObjectName) -> Result<Vec<(String, Expr)>> {
        let position = self.at(name.span());
        let row = self.whole_row_of(name)?;
        self.all_fields(row, position)
    }
}

fn field(syntax: &Ast) -> Field<'_> {
    match syntax {
        Ast::QualifiedWildcard(name, _) => Field::All(name),
        other => Field::Expr(other),
    }
}

pub(super) fn argument(arg: &FunctionArg) -> Option<Field<'_>> {
    match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(field(expr)),
        FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(name)) => Some(Field::All(name)),
        _ => None,
    }
}

/// `ROW(…)`.
pub(super) fn is_row(call: &ast::Function) -> bool {
    match call.name.0.as_slice() {
        [name] => name.as_ident().is_some_and(|i| i.quote_style.is_none() && i.value.eq_ignore_ascii_case("row")),
        _ => false,
    }
}
