//! Bound expressions and queries back to SQL, as PostgreSQL's `pg_get_expr` and `pg_get_viewdef` print them: every operation in
//! parentheses, every constant with its type where its spelling does not tell it.
//!
//! I1  The text binds again, over the same relation and with `pg_catalog` alone in the search path, to an expression or query
//!     that computes the same. What has no such text is refused with 0A000.
//!
//! That is the stored form. The form for readers (`Shown`) tells names as the session's search path finds them, and in
//! its pretty variety drops the parentheses that precedence makes needless, by PostgreSQL's rules (`pretty`).
//!
//! ```text
//! mod      expressions: operators, casts, CASE      value    constants and names
//! call     functions, aggregates, windows, subqueries   syntax   functions with a syntax of their own (EXTRACT, TRIM, …)
//! query    SELECT, VALUES, set operations, WITH     from     FROM items and joins
//! clause   GROUP BY, ORDER BY, WINDOW               level    what the columns of a query's FROM items are called
//! layout   lines and indentation                           change   INSERT, UPDATE, DELETE, and the rules that they are actions of
//! ```

mod call;
mod change;
mod clause;
mod from;
mod layout;
mod level;
mod pretty;
mod query;
mod syntax;
#[cfg(test)]
mod tests;
mod value;

use crate::expr::{BoolTest, CallForm, Expr, ExprKind, PathStep, RowCompareOp, SubPlanRef, Subscript};
use crate::logical::ColumnId;
use catalog::names::NameScope;
use catalog::{Relation, Snapshot};
use layout::Layout;
use level::QueryNames;
use pretty::is_simple;
use types::functions::quote_ident;
use types::{Datum, FormatSettings, Result, SqlError, SqlType};
use value::quoted;

/// What the leaves of a physical plan's expressions are called: EXPLAIN's, whose text nobody binds again.
pub trait PlanNames {
    fn input(&self, position: u32) -> String;
    fn outer(&self, slot: u32) -> String;
    fn subplan(&self, plan: &SubPlanRef) -> String;
}

/// What names are told from.
pub struct Deparser<'a> {
    catalog: &'a Snapshot,
    relation: Option<&'a Relation>,
    shown: Option<Shown<'a>>,
    plan: Option<&'a dyn PlanNames>,
    query: Option<QueryNames<'a>>,
    /// The function whose body is told, and its inputs' names.
    parameters: Option<(&'a str, Vec<&'a str>)>,
    layout: Layout,
}

/// How a reader sees expressions.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    pub scope: NameScope<'a>,
    pub pretty: bool,
    /// How values are written.
    pub format: &'a FormatSettings,
}

fn join(parts: &[String]) -> String {
    parts.join(", ")
}

impl<'a> Deparser<'a> {
    /// Tells what is to be stored, without names of columns.
    pub fn new(catalog: &'a Snapshot) -> Deparser<'a> {
        Deparser {
            catalog,
            relation: None,
            shown: None,
            plan: None,
            query: None,
            parameters: None,
            layout: Layout::default(),
        }
    }

    /// Column ids are attribute numbers of this relation, less one.
    pub fn over(self, relation: Option<&'a Relation>) -> Deparser<'a> {
        Deparser { relation, ..self }
    }

    /// For a reader; None: to be stored.
    pub fn shown(self, shown: Option<Shown<'a>>) -> Deparser<'a> {
        Deparser { shown, ..self }
    }

    /// Columns are those of a plan node's input.
    pub fn of_plan(self, names: &'a dyn PlanNames) -> Deparser<'a> {
        Deparser { plan: Some(names), ..self }
    }
}

impl Deparser<'_> {
    pub fn expr(&self, expr: &Expr) -> Result<String> {
        Ok(layout::tidy(self.bare(expr)?))
    }

    fn bare(&self, expr: &Expr) -> Result<String> {
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
            Column(id) if self.query.is_some() => self.query_column(*id, expr)?,
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
            Case { operand: Some(operand), branches, .. } if call::is_row_of_query(operand) => {
                self.row_comparison(operand, branches)?
            }
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
            Row { fields, .. } => {
                let row = format!("ROW({})", join(&self.values(fields, true)?));
                let is_typed = self.plan.is_none() && expr.ty.oid != types::oid::RECORD;
                if is_typed { format!("{}::{}", row, self.type_name(expr.ty)) } else { row }
            }
            Subscripts { container, subscripts } => self.subscripts(container, subscripts)?,
            RowCompare { op, left, right, .. } => {
                let (left, right) = (join(&self.list(left)?), join(&self.list(right)?));
                format!("(ROW({left}) {} ROW({right}))", row_compare(*op))
            }
            Field { row, index } => self.field(row, *index)?,
            Inlined(call) => self.inlined(call, expr)?,
            Subquery(subquery) => self.subquery(subquery, expr)?,
            RowCoerce { row, .. } if self.plan.is_none() => {
                format!("{}::{}", self.enclosed(self.operand(row)?), self.type_name(expr.ty))
            }
            Parameter(number) if self.query.is_some() => self.parameter(*number),
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
            RowCoerce { row, .. } => self.bare(row).ok()?,
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
        let mut text = if is_stored { String::new() } else { self.bare(document)? };
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

    fn operator(&self, name: &str, args: &[Expr], expr: &Expr) -> Result<String> {
        match args {
            [arg] => Ok(self.enclosed(format!("{name} {}", self.part(arg, expr, true)?))),
            [left, right] => {
                let (left, right) = (self.part(left, expr, true)?, self.part(right, expr, true)?);
                Ok(self.enclosed(format!("{left} {name} {right}")))
            }
            _ => Err(SqlError::internal("an operator has one or two operands")),
        }
    }

    /// Implied casts that are not shown are implied again when the text is bound.
    fn cast(&self, arg: &Expr, expr: &Expr, form: CallForm, shows_implied: bool) -> Result<String> {
        let ty = expr.ty;
        // Every row is a record.
        let is_hidden = !shows_implied || ty.oid == types::oid::RECORD;
        if matches!(form, CallForm::ImplicitCast) && is_hidden {
            return self.show(arg, shows_implied);
        }
        let arg = without_cast_to(arg, ty);
        match &arg.kind {
            ExprKind::Call { form: CallForm::SqlSyntax, proc, .. } if proc.name == "now" => Ok(syntax::of_now(ty)),
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
        let line = |words: &str, further: i32| match self.plan {
            Some(_) => format!(" {words}"),
            None => self.layout.line(words, 0, further, 0),
        };
        let mut out = if self.plan.is_some() { "CASE".to_owned() } else { line("CASE", layout::VALUE) };
        if let Some(operand) = operand {
            out.push(' ');
            out.push_str(&self.operand(operand)?);
        }
        for (condition, value) in branches {
            out.push_str(&line("WHEN ", 0));
            out.push_str(&match operand {
                Some(_) => self.case_value(condition)?,
                None => self.bare(condition)?,
            });
            out.push_str(" THEN ");
            out.push_str(&self.operand(value)?);
        }
        out.push_str(&line("ELSE ", 0));
        // PostgreSQL writes out the NULL that a CASE without ELSE gives.
        out.push_str(&otherwise.map_or_else(|| Ok(self.constant(&Datum::Null, ty)), |e| self.operand(e))?);
        out.push_str(&match self.plan {
            Some(_) => " END".to_owned(),
            None => self.layout.line("END", -layout::VALUE, 0, 0),
        });
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
            return self.bare(value);
        }
        Err(SqlError::unsupported("this kind of CASE cannot be stored").at(condition.position))
    }

    fn subscripts(&self, container: &Expr, subscripts: &[Subscript]) -> Result<String> {
        let base = self.bare(container)?;
        let mut out = match container.kind {
            ExprKind::Column(_) | ExprKind::Input(_) => base,
            _ => format!("({base})"),
        };
        let bound = |e: &Option<Expr>| e.as_ref().map_or(Ok(String::new()), |e| self.bare(e));
        for subscript in subscripts {
            match subscript {
                Subscript::Index(index) => out.push_str(&format!("[{}]", self.bare(index)?)),
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
                return Ok(format!("({}).f{}", self.bare(row)?, index + 1));
            }
            return Err(SqlError::unsupported("a field of an anonymous row cannot be stored").at(row.position));
        };
        Ok(format!("({}).{}", self.bare(row)?, quote_ident(&column.name)))
    }
}

/// A cast to a type with a length is one to the type and then one to the length, and is told as one.
fn without_cast_to(arg: &Expr, ty: SqlType) -> &Expr {
    if ty.typmod < 0 || arg.ty.oid != ty.oid || arg.ty.typmod >= 0 {
        return arg;
    }
    match &arg.kind {
        ExprKind::Call { args, form: CallForm::ExplicitCast | CallForm::ImplicitCast, .. } => {
            args.first().unwrap_or(arg)
        }
        ExprKind::Relabel(inner, _) | ExprKind::InOut(inner, _) => inner,
        _ => arg,
    }
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
