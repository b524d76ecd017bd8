//! Bound expressions back to SQL, as PostgreSQL's `pg_get_expr` prints them: every operation in parentheses, every constant
//! with its type where its spelling does not tell it.
//!
//! I1  The text binds again, over the same relation and with `pg_catalog` alone in the search path, to an expression
//!     that computes the same. What has no such text is refused with 0A000.
//!
//! Leaves out queries: views are kept as they were written, with their search path.

use crate::expr::{BoolTest, CallForm, Expr, ExprKind, RowCompareOp, Subscript};
use catalog::{Relation, Snapshot, names};
use types::builtin::{self, Operator};
use types::functions::quote_ident;
use types::{Datum, FormatSettings, Result, SqlError, SqlType, oid, typename};

/// What names are told from.
pub struct Deparser<'a> {
    pub catalog: &'a Snapshot,
    /// Column ids are attribute numbers of this relation, less one.
    pub relation: Option<&'a Relation>,
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

    fn show(&self, expr: &Expr, shows_implied: bool) -> Result<String> {
        use ExprKind::*;
        Ok(match &expr.kind {
            Const(value) => self.constant(value, expr.ty),
            Column(id) => self.column(id.0)?,
            Input(position) => self.column(*position)?,
            Call { proc, args, variadic_array, form } => {
                self.call(expr, proc, args, *variadic_array, *form, shows_implied)?
            }
            Relabel(arg, form) | InOut(arg, form) => self.cast(arg, expr.ty, *form, shows_implied)?,
            ArrayCoerce { array, form, .. } => self.cast(array, expr.ty, *form, shows_implied)?,
            And(terms) => self.joined(terms, " AND ")?,
            Or(terms) => self.joined(terms, " OR ")?,
            Not(arg) => format!("(NOT {})", self.expr(arg)?),
            IsNull { arg, negated, .. } => {
                format!("({} IS {}NULL)", self.operand(arg)?, if *negated { "NOT " } else { "" })
            }
            BoolTest { arg, test } => format!("({} {})", self.expr(arg)?, bool_test(*test)),
            Distinct { left, right, negated, .. } => {
                let not = if *negated { "NOT " } else { "" };
                format!("({} IS {not}DISTINCT FROM {})", self.operand(left)?, self.operand(right)?)
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
                format!("({} {} {word} ({}))", self.operand(left)?, operator.name, self.operand(array)?)
            }
            Array { elements, .. } if elements.is_empty() => format!("ARRAY[]::{}", self.type_name(expr.ty)),
            Array { elements, .. } => format!("ARRAY[{}]", join(&self.list(elements)?)),
            Row { fields, .. } => format!("ROW({})", join(&self.list(fields)?)),
            Subscripts { container, subscripts } => self.subscripts(container, subscripts)?,
            RowCompare { op, left, right, .. } => {
                let (left, right) = (join(&self.list(left)?), join(&self.list(right)?));
                format!("(ROW({left}) {} ROW({right}))", row_compare(*op))
            }
            Field { row, index } => self.field(row, *index)?,
            _ => return Err(SqlError::unsupported("this kind of expression cannot be stored").at(expr.position)),
        })
    }

    fn list(&self, exprs: &[Expr]) -> Result<Vec<String>> {
        exprs.iter().map(|e| self.operand(e)).collect()
    }

    fn joined(&self, terms: &[Expr], word: &str) -> Result<String> {
        let terms = terms.iter().map(|e| self.expr(e)).collect::<Result<Vec<_>>>()?;
        Ok(format!("({})", terms.join(word)))
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
        let mut out = vec![];
        types::io::output(ty, value, &FormatSettings::default(), &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Qualified always: the text is stored.
    fn regclass(&self, id: types::Oid) -> String {
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
            (CallForm::Operator(operator), args) => self.operator(operator, args),
            (CallForm::ExplicitCast | CallForm::ImplicitCast, [arg, ..]) => {
                self.cast(arg, expr.ty, form, shows_implied)
            }
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

    fn operator(&self, operator: &Operator, args: &[Expr]) -> Result<String> {
        match args {
            [arg] => Ok(format!("({} {})", operator.name, self.operand(arg)?)),
            [left, right] => Ok(format!("({} {} {})", self.operand(left)?, operator.name, self.operand(right)?)),
            _ => Err(SqlError::internal("an operator has one or two operands")),
        }
    }

    /// Implied casts that are not shown are implied again when the text is bound.
    fn cast(&self, arg: &Expr, ty: SqlType, form: CallForm, shows_implied: bool) -> Result<String> {
        if matches!(form, CallForm::ImplicitCast) && !shows_implied {
            return self.expr(arg);
        }
        match &arg.kind {
            // The length of a literal: `'x'::character varying(5)`.
            ExprKind::Const(value) if arg.ty.oid == ty.oid && arg.ty.typmod == -1 && !value.is_null() => {
                Ok(format!("{}::{}", quoted(&self.text(value, arg.ty)), self.type_name(ty)))
            }
            _ => Ok(format!("({})::{}", self.expr(arg)?, self.type_name(ty))),
        }
    }

    fn case(
        &self,
        operand: Option<&Expr>,
        branches: &[(Expr, Expr)],
        otherwise: Option<&Expr>,
        ty: SqlType,
    ) -> Result<String> {
        let mut out = "CASE".to_owned();
        if let Some(operand) = operand {
            out.push(' ');
            out.push_str(&self.expr(operand)?);
        }
        for (condition, value) in branches {
            let condition = match operand {
                Some(_) => self.case_value(condition)?,
                None => self.expr(condition)?,
            };
            out.push_str(&format!("\n    WHEN {condition} THEN {}", self.operand(value)?));
        }
        // PostgreSQL writes out the NULL that a CASE without ELSE gives.
        let otherwise = otherwise.map_or_else(|| Ok(self.constant(&Datum::Null, ty)), |e| self.operand(e))?;
        out.push_str(&format!("\n    ELSE {otherwise}"));
        out.push_str("\nEND");
        Ok(out)
    }

    /// In a simple CASE each condition is `operand = value`.
    fn case_value(&self, condition: &Expr) -> Result<String> {
        if let ExprKind::Call { args, form: CallForm::Operator(_), .. } = &condition.kind
            && let [_, value] = &args[..]
        {
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
            return Err(SqlError::unsupported("a field of an anonymous row cannot be stored").at(row.position));
        };
        Ok(format!("({}).{}", self.expr(row)?, quote_ident(&column.name)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BindContext;
    use crate::bind::{StoredUse, bind_stored};
    use std::sync::Arc;

    /// Over `(a int, b text, c numeric(8,2), d timestamptz, e int[], f varchar(5), g bool)`; expected: what PostgreSQL 15's
    /// `pg_get_constraintdef` and `pg_get_expr` show. What is shown must show itself again.
    #[track_caller]
    fn check(text: &str, expected: &str) {
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
            Deparser { catalog: &context.catalog, relation: Some(&t) }.expr(&expr).expect(text)
        };
        assert_eq!(show(text), expected, "{text}");
        assert_eq!(show(expected), expected, "again: {expected}");
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
        check("case when a > 0 then 'x' else b end", "CASE\n    WHEN (a > 0) THEN 'x'::text\n    ELSE b\nEND");
        check("case a when 1 then 2 end", "CASE a\n    WHEN 1 THEN 2\n    ELSE NULL::integer\nEND");
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
