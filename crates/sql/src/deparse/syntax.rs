//! Functions that SQL has a syntax of its own for: `EXTRACT(year FROM d)`, `d AT TIME ZONE 'UTC'`, CURRENT_DATE.

use super::Deparser;
use crate::expr::{Expr, ExprKind};
use types::builtin::Proc;
use types::{Datum, Result, SqlType, oid};

/// The name of the present time as a value of this type: how `CURRENT_DATE` and its like are bound.
pub(super) fn of_now(ty: SqlType) -> String {
    let name = match ty.oid {
        oid::DATE => return "CURRENT_DATE".to_owned(),
        oid::TIMETZ => "CURRENT_TIME",
        oid::TIME => "LOCALTIME",
        oid::TIMESTAMP => "LOCALTIMESTAMP",
        _ => "CURRENT_TIMESTAMP",
    };
    if ty.typmod < 0 { name.to_owned() } else { format!("{name}({})", ty.typmod) }
}

fn word(expr: &Expr) -> Option<&str> {
    match &expr.kind {
        ExprKind::Const(value @ Datum::Text(_)) => Some(value.as_str()),
        _ => None,
    }
}

impl Deparser<'_> {
    /// None where it is to be told as any call.
    pub(super) fn sql_syntax(&self, proc: &Proc, args: &[Expr], expr: &Expr) -> Result<Option<String>> {
        let part = |e: &Expr| self.part(e, expr, false);
        Ok(Some(match (proc.name, args) {
            ("now", []) => of_now(SqlType::TIMESTAMPTZ),
            ("current_database", []) => "CURRENT_CATALOG".to_owned(),
            ("timezone", [zone, time]) => format!("({} AT TIME ZONE {})", part(time)?, part(zone)?),
            ("overlaps", [a, b, c, d]) => {
                let (a, b, c, d) = (self.bare(a)?, self.bare(b)?, self.bare(c)?, self.bare(d)?);
                format!("(({a}, {b}) OVERLAPS ({c}, {d}))")
            }
            ("extract", [field, from]) if word(field).is_some() => {
                format!("EXTRACT({} FROM {})", word(field).unwrap_or_default(), self.bare(from)?)
            }
            ("is_normalized", [text]) => format!("({} IS NORMALIZED)", part(text)?),
            ("is_normalized", [text, form]) if word(form).is_some() => {
                format!("({} IS {} NORMALIZED)", part(text)?, word(form).unwrap_or_default())
            }
            ("normalize", [text]) => format!("NORMALIZE({})", self.bare(text)?),
            ("normalize", [text, form]) if word(form).is_some() => {
                format!("NORMALIZE({}, {})", self.bare(text)?, word(form).unwrap_or_default())
            }
            ("pg_collation_for", [text]) => format!("COLLATION FOR ({})", self.bare(text)?),
            ("overlay", [text, new, from]) => {
                format!("OVERLAY({} PLACING {} FROM {})", self.bare(text)?, self.bare(new)?, self.bare(from)?)
            }
            ("overlay", [text, new, from, count]) => {
                let (text, new, from) = (self.bare(text)?, self.bare(new)?, self.bare(from)?);
                format!("OVERLAY({text} PLACING {new} FROM {from} FOR {})", self.bare(count)?)
            }
            // In parentheses, for IN would be taken for an operator.
            ("position", [text, sought]) => format!("POSITION(({}) IN ({}))", self.bare(sought)?, self.bare(text)?),
            ("substring", [text, pattern, escape]) if escape.ty.is_string() => {
                let (text, pattern) = (self.bare(text)?, self.bare(pattern)?);
                format!("SUBSTRING({text} SIMILAR {pattern} ESCAPE {})", self.bare(escape)?)
            }
            ("substring", [text, from]) => format!("SUBSTRING({} FROM {})", self.bare(text)?, self.bare(from)?),
            ("substring", [text, from, count]) => {
                format!("SUBSTRING({} FROM {} FOR {})", self.bare(text)?, self.bare(from)?, self.bare(count)?)
            }
            ("btrim", args) => self.trim("BOTH", args)?,
            ("ltrim", args) => self.trim("LEADING", args)?,
            ("rtrim", args) => self.trim("TRAILING", args)?,
            _ => return Ok(None),
        }))
    }

    fn trim(&self, side: &str, args: &[Expr]) -> Result<String> {
        Ok(match args {
            [text, characters] => {
                format!("TRIM({side} {} FROM {})", self.bare(characters)?, self.bare(text)?)
            }
            [text] => format!("TRIM({side} FROM {})", self.bare(text)?),
            _ => String::new(),
        })
    }
}
