//! Bound expressions back to SQL, as PostgreSQL's `pg_get_expr` prints them: every operation in parentheses, every constant
//! with its type where its spelling does not tell it.
//!
//! I1  The text binds again, over the same relation and with `pg_catalog` alone in the search path, to an expression
//!     that computes the same. What has no such text is refused with 0A000.
//!
//! That is the stored form. The form for readers (`Shown`) tells names as the session's search path finds them, and in
//! its pretty variety drops the parentheses that precedence makes needless, by PostgreSQL's rules (`is_simple`).
//!
//! Leaves out queries: views are kept as they were written, with their search path.

use crate::expr::{BoolTest, CallForm, Expr, ExprKind, Inlined, PathStep, RowCompareOp, SubPlanRef, Subscript};
use crate::logical::ColumnId;
use catalog::names::{self, NameScope};
use catalog::operators::{self, AnyOperator};
use catalog::{Relation, Snapshot};
use std::sync::Arc;
use types::array::Array;
use types::builtin;
use types::functions::quote_ident;
use types::user_type;
use types::{Datum, FormatSettings, Result, SqlError, SqlType, oid, typename};

/// What the leaves of a physical plan's expressions are called: EXPLAIN's, whose text nobody binds again.
pub trait PlanNames {
    fn input(&self, position: u32) -> String;
    fn outer(&self, slot: u32) -> String;
    fn subplan(&self, plan: &SubPlanRef) -> String;
}

/// What names are told from.
pub struct Deparser<'a> {
    pub catalog: &'a Snapshot,
    /// Column ids are attribute numbers of this relation, less one.
    pub relation: Option<&'a Relation>,
    /// For a reader; None: to be stored.
    pub shown: Option<Shown<'a>>,
    /// Instead of a relation: the names of a plan node's input.
    pub plan: Option<&'a dyn PlanNames>,
}

/// How a reader sees expressions.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    pub scope: NameScope<'a>,
    pub pretty: bool,
}

fn join(parts: &[String]) -> String {
    parts.join(", ")
}

/// A literal in quotes.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\'', "''");
    if escaped.contains('\\') { format!("E'{}'", escaped.replace('\\', "\\\\")) } else { format!("'{escaped}'") }
}

impl Deparser<'_> {
    pub fn expr(&self, expr: &Expr) -> Result<String> {
        self.show(expr, false)
    }

    /// Where PostgreSQL shows implied casts: in operands, arguments and elements, not at the top and under AND, OR and NOT.
    fn operand(&self, expr: &Expr) -> Result<String> {
        self.show(expr, true)
    }

    fn is_pretty(&self) -> bool {
        self.shown.is_some_and(|s| s.pretty)
    }

    /// An operation in its parentheses, which the pretty form has only where `part` finds them needed.
    fn enclosed(&self, text: String) -> String {
        if self.is_pretty() { text } else { format!("({text})") }
    }

    /// An operand of `parent`.
    fn part(&self, expr: &Expr, parent: &Expr, shows_implied: bool) -> Result<String> {
        let text = self.show(expr, shows_implied)?;
        Ok(if self.is_pretty() && !is_simple(expr, parent) { format!("({text})") } else { text })
    }

    fn show(&self, expr: &Expr, shows_implied: bool) -> Result<String> {
        use ExprKind::*;
        Ok(match &expr.kind {
            Const(value) => self.constant(value, expr.ty),
            Column(id) => self.column(id.0)?,
            Input(position) => match self.plan {
                Some(names) => names.input(*position),
                None => self.column(*position)?,
            },
            Call { proc, args, variadic_array, form } => {
                self.call(expr, proc, args, *variadic_array, *form, shows_implied)?
            }
            Relabel(arg, form) | InOut(arg, form) => self.cast(arg, expr, *form, shows_implied)?,
            ArrayCoerce { array, form, .. } => self.cast(array, expr, *form, shows_implied)?,
            ToDomain { arg, domain, form } => {
                let shown = Expr { ty: SqlType::new(domain.ty), ..expr.clone() };
                self.cast(arg, &shown, *form, shows_implied)?
            }
            And(terms) => self.joined(terms, expr, " AND ")?,
            Or(terms) => self.joined(terms, expr, " OR ")?,
            Not(arg) => self.enclosed(format!("NOT {}", self.part(arg, expr, false)?)),
            IsNull { arg, negated, .. } => {
                let not = if *negated { "NOT " } else { "" };
                self.enclosed(format!("{} IS {not}NULL", self.part(arg, expr, true)?))
            }
            BoolTest { arg, test } => self.enclosed(format!("{} {}", self.part(arg, expr, false)?, bool_test(*test))),
            Distinct { left, right, negated, .. } => {
                let not = if *negated { "NOT " } else { "" };
                let (left, right) = (self.part(left, expr, true)?, self.part(right, expr, true)?);
                self.enclosed(format!("{left} IS {not}DISTINCT FROM {right}"))
            }
            NullIf { left, right, .. } => format!("NULLIF({}, {})", self.operand(left)?, self.operand(right)?),
            Case { operand, branches, otherwise } => {
                self.case(operand.as_deref(), branches, otherwise.as_deref(), expr.ty)?
            }
            Coalesce(args) => format!("COALESCE({})", join(&self.list(args)?)),
            Extremum { greatest, args } => {
                format!("{}({})", if *greatest { "GREATEST" } else { "LEAST" }, join(&self.list(args)?))
            }
            AnyAll { operator, left, array, all, .. } => {
                let word = if *all { "ALL" } else { "ANY" };
                let (left, array) = (self.part(left, expr, true)?, self.part(array, expr, true)?);
                self.enclosed(format!("{left} {} {word} ({array})", operator.name))
            }
            Array { elements, .. } if elements.is_empty() => format!("ARRAY[]::{}", self.type_name(expr.ty)),
            Array { elements, .. } => format!("ARRAY[{}]", join(&self.list(elements)?)),
            Row { fields, .. } => format!("ROW({})", join(&self.list(fields)?)),
            Subscripts { container, subscripts } => self.subscripts(container, subscripts)?,
            RowCompare { op, left, right, .. } => {
                let (left, right) = (join(&self.list(left)?), join(&self.list(right)?));
                self.enclosed(format!("ROW({left}) {} ROW({right})", row_compare(*op)))
            }
            Field { row, index } => self.field(row, *index)?,
            Inlined(call) => self.inlined(call, expr)?,
            DocumentPath { document, path } => self.document_path(document, path)?,
            other => match self.plan.and_then(|names| self.leaf(other, names)) {
                Some(text) => text,
                None => return Err(SqlError::unsupported("this kind of expression cannot be stored").at(expr.position)),
            },
        })
    }

    /// What only plans hold.
    fn leaf(&self, kind: &ExprKind, names: &dyn PlanNames) -> Option<String> {
        use ExprKind::*;
        Some(match kind {
            Parameter(number) => format!("${}", u32::from(*number) + 1),
            Outer(slot) => names.outer(*slot),
            SubPlan(plan) => names.subplan(plan),
            CaseValue => "CASE_TEST_EXPR".to_owned(),
            RowCoerce { row, .. } => self.expr(row).ok()?,
            Grouping { set_id: _, groups } => {
                let groups: Vec<String> = groups.iter().map(|g| names.input(*g as u32)).collect();
                format!("GROUPING({})", join(&groups))
            }
            _ => return None,
        })
    }

    /// A field by its name alone where the document is the row's own.
    fn document_path(&self, document: &Expr, path: &[PathStep]) -> Result<String> {
        let is_stored = match &document.kind {
            ExprKind::Column(ColumnId(index)) | ExprKind::Input(index) => {
                self.relation.is_some_and(|r| *index as usize >= r.columns.len())
            }
            _ => false,
        };
        let mut text = if is_stored { String::new() } else { self.expr(document)? };
        if self.plan.is_some()
            && let Some(qualifier) = text.strip_suffix("_doc")
        {
            text = qualifier.trim_end_matches('.').to_owned();
        }
        for step in path {
            match step {
                PathStep::Key(key) if text.is_empty() => text.push_str(&quote_ident(key)),
                PathStep::Key(key) => text.push_str(&format!(".{}", quote_ident(key))),
                PathStep::Index(index) => text.push_str(&format!("[{index}]")),
            }
        }
        Ok(text)
    }

    fn list(&self, exprs: &[Expr]) -> Result<Vec<String>> {
        exprs.iter().map(|e| self.operand(e)).collect()
    }

    fn joined(&self, terms: &[Expr], parent: &Expr, word: &str) -> Result<String> {
        let terms = terms.iter().map(|e| self.part(e, parent, false)).collect::<Result<Vec<_>>>()?;
        Ok(self.enclosed(terms.join(word)))
    }

    fn column(&self, index: u32) -> Result<String> {
        let column = self.relation.and_then(|r| r.columns.get(index as usize)).filter(|c| !c.is_dropped);
        let missing = || SqlError::internal(format!("an expression reads column {index}, which is not there"));
        column.map(|c| quote_ident(&c.name).to_string()).ok_or_else(missing)
    }

    fn type_name(&self, ty: SqlType) -> String {
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

    fn constant(&self, value: &Datum, ty: SqlType) -> String {
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

    fn text(&self, value: &Datum, ty: SqlType) -> String {
        if let (Datum::Oid(id), oid::REGCLASS) = (value, ty.oid) {
            return self.regclass(*id);
        }
        let (ty, value) = self.labelled(ty, value);
        let mut out = vec![];
        types::io::output(ty, &value, &FormatSettings::default(), &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Of a user's function: qualified where the text is stored, and where the search path does not find it.
    fn function_name(&self, function: &catalog::Function) -> String {
        let is_seen = |scope: names::NameScope<'_>| names::function_is_visible(self.catalog, scope, function);
        match self.shown {
            Some(shown) if is_seen(shown.scope) => quote_ident(&function.name).to_string(),
            _ => names::qualified(self.catalog, function.schema, &function.name),
        }
    }

    /// With the labels of enums in place of their keys, at any depth (arrays and rows of them are built by the binder, which
    /// bounds it).
    fn labelled(&self, ty: SqlType, value: &Datum) -> (SqlType, Datum) {
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
    fn regclass(&self, id: types::Oid) -> String {
        if let Some(shown) = self.shown {
            return names::regclass_text(self.catalog, shown.scope, id);
        }
        match (self.catalog.relation(id), self.catalog.index(id)) {
            (Some(relation), _) => names::qualified(self.catalog, relation.schema, &relation.name),
            (None, Some(index)) => names::qualified(self.catalog, index.schema, &index.name),
            (None, None) => id.to_string(),
        }
    }

    fn call(
        &self,
        expr: &Expr,
        proc: &builtin::Proc,
        args: &[Expr],
        variadic_array: bool,
        form: CallForm,
        shows_implied: bool,
    ) -> Result<String> {
        match (form, args) {
            (CallForm::Operator(operator), args) => self.operator(operator.name, args, expr),
            (CallForm::ExplicitCast | CallForm::ImplicitCast, [arg, ..]) => self.cast(arg, expr, form, shows_implied),
            (_, []) if matches!(proc.name, "current_user" | "session_user" | "current_schema") => {
                Ok(proc.name.to_uppercase())
            }
            _ => {
                let mut parts = self.list(args)?;
                if variadic_array && let Some(last) = parts.last_mut() {
                    *last = format!("VARIADIC {last}");
                }
                // SQL's own words (`position`, `overlay`) take a comma list when they are quoted.
                Ok(format!("{}({})", quote_ident(proc.name), join(&parts)))
            }
        }
    }

    /// A user's function or operator as it was called.
    fn inlined(&self, call: &Inlined, expr: &Expr) -> Result<String> {
        match (&call.operator, &call.function) {
            (Some(operator), _) => self.operator(&self.operator_name(operator), &call.args, expr),
            (None, Some(function)) => {
                Ok(format!("{}({})", self.function_name(function), join(&self.list(&call.args)?)))
            }
            (None, None) => self.expr(&call.body),
        }
    }

    /// Of a user's operator: qualified where the text is stored, and where the search path does not find it.
    fn operator_name(&self, operator: &Arc<catalog::Operator>) -> String {
        let any = AnyOperator::User(operator.clone());
        if self.shown.is_some_and(|shown| operators::is_visible(self.catalog, shown.scope, &any)) {
            return operator.name.clone();
        }
        match self.catalog.schema(operator.schema) {
            Some(schema) => operator.stored_text(&schema.name),
            None => operator.name.clone(),
        }
    }

    fn operator(&self, name: &str, args: &[Expr], expr: &Expr) -> Result<String> {
        match args {
            [arg] => Ok(self.enclosed(format!("{name} {}", self.part(arg, expr, true)?))),
            [left, right] => {
                let (left, right) = (self.part(left, expr, true)?, self.part(right, expr, true)?);
                let space = if right.starts_with('\n') { "" } else { " " };
                Ok(self.enclosed(format!("{left} {name}{space}{right}")))
            }
            _ => Err(SqlError::internal("an operator has one or two operands")),
        }
    }

    /// Implied casts that are not shown are implied again when the text is bound.
    fn cast(&self, arg: &Expr, expr: &Expr, form: CallForm, shows_implied: bool) -> Result<String> {
        let ty = expr.ty;
        if matches!(form, CallForm::ImplicitCast) && !shows_implied {
            return self.expr(arg);
        }
        match &arg.kind {
            // The length of a literal: `'x'::character varying(5)`.
            ExprKind::Const(value) if arg.ty.oid == ty.oid && arg.ty.typmod == -1 && !value.is_null() => {
                Ok(format!("{}::{}", quoted(&self.text(value, arg.ty)), self.type_name(ty)))
            }
            _ => Ok(format!("{}::{}", self.enclosed(self.part(arg, expr, false)?), self.type_name(ty))),
        }
    }

    fn case(
        &self,
        operand: Option<&Expr>,
        branches: &[(Expr, Expr)],
        otherwise: Option<&Expr>,
        ty: SqlType,
    ) -> Result<String> {
        // On lines of its own, as PostgreSQL has it; a plan's line stays one line.
        let (indent, end) = if self.plan.is_some() { (" ", " END") } else { ("\n    ", "\nEND") };
        let mut out = if self.plan.is_some() { "CASE" } else { "\nCASE" }.to_owned();
        if let Some(operand) = operand {
            out.push(' ');
            out.push_str(&self.expr(operand)?);
        }
        for (condition, value) in branches {
            let condition = match operand {
                Some(_) => self.case_value(condition)?,
                None => self.expr(condition)?,
            };
            out.push_str(&format!("{indent}WHEN {condition} THEN{}", behind(&self.operand(value)?)));
        }
        // PostgreSQL writes out the NULL that a CASE without ELSE gives.
        let otherwise = otherwise.map_or_else(|| Ok(self.constant(&Datum::Null, ty)), |e| self.operand(e))?;
        out.push_str(&format!("{indent}ELSE{}{end}", behind(&otherwise)));
        Ok(out)
    }

    /// In a simple CASE each condition is `operand = value`.
    fn case_value(&self, condition: &Expr) -> Result<String> {
        let args = match &condition.kind {
            ExprKind::Call { args, form: CallForm::Operator(_), .. } => &args[..],
            ExprKind::Inlined(call) if call.operator.is_some() => &call.args,
            _ => &[],
        };
        if let [_, value] = args {
            return self.expr(value);
        }
        Err(SqlError::unsupported("this kind of CASE cannot be stored").at(condition.position))
    }

    fn subscripts(&self, container: &Expr, subscripts: &[Subscript]) -> Result<String> {
        let base = self.expr(container)?;
        let mut out = match container.kind {
            ExprKind::Column(_) | ExprKind::Input(_) => base,
            _ => format!("({base})"),
        };
        let bound = |e: &Option<Expr>| e.as_ref().map_or(Ok(String::new()), |e| self.expr(e));
        for subscript in subscripts {
            match subscript {
                Subscript::Index(index) => out.push_str(&format!("[{}]", self.expr(index)?)),
                Subscript::Slice(low, high) => out.push_str(&format!("[{}:{}]", bound(low)?, bound(high)?)),
            }
        }
        Ok(out)
    }

    fn field(&self, row: &Expr, index: usize) -> Result<String> {
        let relation = self.catalog.relation_of_type(row.ty.oid);
        let column = relation.and_then(|r| r.columns.get(index));
        let Some(column) = column else {
            if self.plan.is_some() {
                return Ok(format!("({}).f{}", self.expr(row)?, index + 1));
            }
            return Err(SqlError::unsupported("a field of an anonymous row cannot be stored").at(row.position));
        };
        Ok(format!("({}).{}", self.expr(row)?, quote_ident(&column.name)))
    }
}

/// A CASE's value behind its word: after a space, or (a CASE itself) on its own lines, further in.
fn behind(text: &str) -> String {
    if !text.starts_with('\n') {
        return format!(" {text}");
    }
    let mut out = String::with_capacity(text.len() + 32);
    let mut is_quoted = false;
    for c in text.chars() {
        out.push(c);
        is_quoted ^= c == '\'';
        if c == '\n' && !is_quoted {
            out.push_str("    ");
        }
    }
    out
}

/// Whether an operand of `parent` needs no parentheses.
fn is_simple(expr: &Expr, parent: &Expr) -> bool {
    use ExprKind::*;
    match &expr.kind {
        Relabel(arg, _) | InOut(arg, _) => is_simple(arg, expr),
        ArrayCoerce { array, .. } => is_simple(array, expr),
        ToDomain { arg, .. } => is_simple(arg, expr),
        _ if is_operation(expr) => match as_arithmetic(parent) {
            _ if matches!(parent.kind, And(_) | Or(_) | Not(_)) => true,
            _ if !is_operation(parent) => is_delimited(parent),
            Some((outer, [left, _])) => match as_arithmetic(expr) {
                Some((inner, _)) if inner == outer => std::ptr::eq(expr, left),
                Some((inner, _)) => inner > outer,
                None => false,
            },
            _ => false,
        },
        IsNull { .. } | BoolTest { .. } | Distinct { .. } => {
            matches!(parent.kind, And(_) | Or(_) | Not(_)) || is_delimited(parent)
        }
        And(_) | Not(_) => matches!(parent.kind, And(_) | Or(_)) || is_delimited(parent),
        Or(_) => matches!(parent.kind, Or(_)) || is_delimited(parent),
        Field { .. } => !matches!(parent.kind, Field { .. }),
        AnyAll { .. } | RowCompare { .. } => false,
        _ => true,
    }
}

/// Whether it was written with an operator.
fn is_operation(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Call { form, .. } => matches!(form, CallForm::Operator(_)),
        ExprKind::Inlined(call) => call.operator.is_some(),
        _ => false,
    }
}

/// Whether what stands in this expression has commas, brackets or words around it.
fn is_delimited(parent: &Expr) -> bool {
    use ExprKind::*;
    match &parent.kind {
        Call { form, .. } => !matches!(form, CallForm::Operator(_) | CallForm::ExplicitCast | CallForm::ImplicitCast),
        Inlined(call) => call.operator.is_none(),
        Subscripts { .. } | Array { .. } | Row { .. } | Coalesce(_) | Extremum { .. } | NullIf { .. } | Case { .. } => {
            true
        }
        _ => false,
    }
}

/// The rank of `+ -` (1) and `* / %` (2), with the operands.
fn as_arithmetic(expr: &Expr) -> Option<(u8, &[Expr; 2])> {
    let ExprKind::Call { args, form: CallForm::Operator(operator), .. } = &expr.kind else { return None };
    let rank = match operator.name {
        "+" | "-" => 1,
        "*" | "/" | "%" => 2,
        _ => return None,
    };
    Some((rank, args.as_slice().try_into().ok()?))
}

fn bool_test(test: BoolTest) -> &'static str {
    match test {
        BoolTest::IsTrue => "IS TRUE",
        BoolTest::IsNotTrue => "IS NOT TRUE",
        BoolTest::IsFalse => "IS FALSE",
        BoolTest::IsNotFalse => "IS NOT FALSE",
        BoolTest::IsUnknown => "IS UNKNOWN",
        BoolTest::IsNotUnknown => "IS NOT UNKNOWN",
    }
}

fn row_compare(op: RowCompareOp) -> &'static str {
    match op {
        RowCompareOp::Less => "<",
        RowCompareOp::LessOrEqual => "<=",
        RowCompareOp::Greater => ">",
        RowCompareOp::GreaterOrEqual => ">=",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BindContext;
    use crate::bind::{StoredUse, bind_stored};
    use std::sync::Arc;

    /// Over `(a int, b text, c numeric(8,2), d timestamptz, e int[], f varchar(5), g bool)`; expected: what PostgreSQL 15's
    /// `pg_get_constraintdef` and `pg_get_expr` show. What is shown must show itself again.
    #[track_caller]
    fn check_form(text: &str, expected: &str, pretty: bool) {
        let mut snapshot = Snapshot::with_builtins();
        catalog::bootstrap::objects().into_iter().for_each(|o| snapshot.put(o));
        let mut t = catalog::new_relation(20_000, "t", catalog::RelationKind::Table);
        let types = ["integer", "text", "numeric(8,2)", "timestamptz", "integer[]", "varchar(5)", "boolean"];
        for (i, (name, ty)) in ["a", "b", "c", "d", "e", "f", "g"].iter().zip(types).enumerate() {
            t.columns.push(catalog::new_column(i as i16 + 1, name, typename::parse(ty).expect("a type")));
        }
        let context = BindContext {
            catalog: Arc::new(snapshot),
            database: catalog::POSTGRES_DATABASE,
            search_path: vec![catalog::PG_CATALOG_SCHEMA, catalog::PUBLIC_SCHEMA],
            creation_schema: None,
            temporary_schema: None,
            role: catalog::POSTGRES_ROLE,
            session_role: catalog::POSTGRES_ROLE,
            format: Arc::new(FormatSettings::default()),
            standard_conforming_strings: true,
            is_implemented: |_| true,
        };
        let show = |text: &str| {
            let expr = bind_stored(text, Some(&t), &context, StoredUse::Any).unwrap_or_else(|e| panic!("{text}: {e}"));
            let shown = pretty.then(|| Shown {
                scope: NameScope {
                    database: context.database,
                    search_path: &context.search_path,
                    temporary_schema: None,
                },
                pretty,
            });
            Deparser { catalog: &context.catalog, relation: Some(&t), shown, plan: None }.expr(&expr).expect(text)
        };
        assert_eq!(show(text), expected, "{text}");
        assert_eq!(show(expected), expected, "again: {expected}");
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        check_form(text, expected, false);
    }

    #[track_caller]
    fn check_pretty(text: &str, expected: &str) {
        check_form(text, expected, true);
    }

    /// Expected: `pg_get_constraintdef(oid, true)` of CHECKs in PostgreSQL 15.
    #[test]
    fn the_pretty_form_has_the_parentheses_that_postgresql_leaves() {
        check_pretty("a > 0 and b <> 'x' or not g", "a > 0 AND b <> 'x'::text OR NOT g");
        check_pretty("a + 1 * 2 > 0", "(a + 1 * 2) > 0");
        check_pretty("(a + 1) * 2 > 0", "((a + 1) * 2) > 0");
        check_pretty("a - (1 - 2) > 0", "(a - (1 - 2)) > 0");
        check_pretty("a - 1 - 2 > 0", "(a - 1 - 2) > 0");
        check_pretty("-a > 0", "(- a) > 0");
        check_pretty("lower(b) || 'x' = b", "(lower(b) || 'x'::text) = b");
        check_pretty("c > 1", "c > 1::numeric");
        check_pretty("a::text = b", "a::text = b");
        check_pretty("(a + 1)::text = b", "((a + 1)::text) = b");
        check_pretty("b is null or a is not null", "b IS NULL OR a IS NOT NULL");
        check_pretty("(a > 0) is not true", "(a > 0) IS NOT TRUE");
        check_pretty("a in (1, 2) and g", "(a = ANY (ARRAY[1, 2])) AND g");
        check_pretty("not (a in (1,2))", "NOT (a = ANY (ARRAY[1, 2]))");
        check_pretty("a between 1 and 5", "a >= 1 AND a <= 5");
        check_pretty("coalesce(b, 'x') = 'y'", "COALESCE(b, 'x'::text) = 'y'::text");
        check_pretty(
            "case when a > 0 then 'x' else b end = b",
            "\nCASE\n    WHEN a > 0 THEN 'x'::text\n    ELSE b\nEND = b",
        );
        check_pretty("f = 'x'", "f::text = 'x'::text");
        check_pretty("f in ('x','y')", "f::text = ANY (ARRAY['x'::character varying, 'y'::character varying]::text[])");
        check_pretty("a is distinct from 3", "a IS DISTINCT FROM 3");
        check_pretty("(a + 1) is distinct from 3", "(a + 1) IS DISTINCT FROM 3");
        check_pretty("not (g and a > 1)", "NOT (g AND a > 1)");
        check_pretty("g and (a > 1 or a < 0)", "g AND (a > 1 OR a < 0)");
        check_pretty("b like 'x%' and upper(f) = 'Y'", "b ~~ 'x%'::text AND upper(f::text) = 'Y'::text");
        check_pretty("a % 2 = 0", "(a % 2) = 0");
        check_pretty("a / 2.0 > c * 2", "(a::numeric / 2.0) > (c * 2::numeric)");
        check_pretty("greatest(a, 3) > 1", "GREATEST(a, 3) > 1");
        check_pretty("abs(a + 1) > 1", "abs(a + 1) > 1");
        check_pretty("c > (a + 1)", "c > (a + 1)::numeric");
        check_pretty("(a > 1) = (a < 5)", "(a > 1) = (a < 5)");
        check_pretty("nullif(a, 1) > 0", "NULLIF(a, 1) > 0");
        check_pretty("(a is null) = g", "(a IS NULL) = g");
        check_pretty("2 * (a + 1) / 3 > 1", "(2 * (a + 1) / 3) > 1");
        check_pretty("a * (2 / 3) > 1", "(a * (2 / 3)) > 1");
    }

    #[test]
    fn expressions_are_shown_as_postgresql_shows_them() {
        check("a > 0 and b <> 'x' or not g", "(((a > 0) AND (b <> 'x'::text)) OR (NOT g))");
        check("a + 1 * 2", "(a + (1 * 2))");
        check("-a", "(- a)");
        check("lower(b) || 'é''s'", "(lower(b) || 'é''s'::text)");
        check("c > 1.5", "(c > 1.5)");
        check("c > 1", "(c > (1)::numeric)");
        check("a::text", "(a)::text");
        check("a::bigint > 5000000000", "((a)::bigint > '5000000000'::bigint)");
        check("b is null", "(b IS NULL)");
        check("g is not true", "(g IS NOT TRUE)");
        check("a in (1, 2)", "(a = ANY (ARRAY[1, 2]))");
        check("b not in ('x', 'y')", "(b <> ALL (ARRAY['x'::text, 'y'::text]))");
        check("a between 1 and 5", "((a >= 1) AND (a <= 5))");
        check("coalesce(b, 'x')", "COALESCE(b, 'x'::text)");
        check("case when a > 0 then 'x' else b end", "\nCASE\n    WHEN (a > 0) THEN 'x'::text\n    ELSE b\nEND");
        check("case a when 1 then 2 end", "\nCASE a\n    WHEN 1 THEN 2\n    ELSE NULL::integer\nEND");
        check(
            "case when a > 0 then case when a > 1 then 3 end end",
            "\nCASE\n    WHEN (a > 0) THEN\n    CASE\n        WHEN (a > 1) THEN 3\n        ELSE NULL::integer\n    END\n    ELSE NULL::integer\nEND",
        );
        check("b like 'x%'", "(b ~~ 'x%'::text)");
        check("d > '2000-01-01 00:00:00+00'", "(d > '2000-01-01 00:00:00+00'::timestamp with time zone)");
        check("date '2000-01-01'", "'2000-01-01'::date");
        check("nullif(a, 1)", "NULLIF(a, 1)");
        check("a is distinct from 3", "(a IS DISTINCT FROM 3)");
        check("greatest(a, 3)", "GREATEST(a, 3)");
        check("now()", "now()");
        check("f = 'x'", "((f)::text = 'x'::text)");
        check("f || 'x'", "((f)::text || 'x'::text)");
        check("'abc'::varchar(2)", "'abc'::character varying(2)");
        check("upper(f)", "upper((f)::text)");
        check("a / 2.0", "((a)::numeric / 2.0)");
        check("round(c, 1) + a", "(round(c, 1) + (a)::numeric)");
        check("true", "true");
        check("null::int", "NULL::integer");
    }

    #[test]
    fn what_is_written_reads_back() {
        check("-5", "'-5'::integer");
        check("e'a\\\\b'", "E'a\\\\b'::text");
    }
}
