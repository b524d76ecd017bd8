//! Expressions that the catalog will keep: defaults, generated columns, checks, index expressions and predicates.
//!
//! They are bound over one relation's row, must not hold what depends on more than the row, and become a type that their
//! place demands.

use super::Binder;
use super::scope::{Clause, Item, Name, Scope};
use crate::expr::{CallForm, Expr, ExprKind};
use crate::logical::ScanColumn;
use crate::parse::{self, Lines};
use crate::{BindContext, Statement};
use catalog::{Relation, RelationKind};
use types::builtin::{self, CastContext, ProcKind, Volatility};
use types::{Oid, Result, SqlError, SqlState, SqlType, oid};

/// What an expression is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StoredUse<'a> {
    /// DEFAULT of the column: no columns, by assignment.
    Default {
        column: &'a str,
        ty: SqlType,
    },
    /// GENERATED ALWAYS AS of the column.
    Generated {
        column: &'a str,
        ty: SqlType,
    },
    Check,
    IndexPredicate,
    Index,
    /// ALTER COLUMN TYPE … USING.
    Using {
        column: &'a str,
        ty: SqlType,
    },
    /// A partition of none of these: any expression as it is.
    Any,
    /// Not stored: COPY … FROM … WHERE, which takes as little.
    CopyFilter,
}

impl StoredUse<'_> {
    pub(super) fn clause(self) -> Clause {
        Clause::Stored { place: self.place(), places: self.places() }
    }

    /// "cannot use subquery in check constraint".
    fn place(self) -> &'static str {
        match self {
            StoredUse::Default { .. } => "DEFAULT expression",
            StoredUse::Generated { .. } => "column generation expression",
            StoredUse::Check => "check constraint",
            StoredUse::IndexPredicate => "index predicate",
            StoredUse::Index => "index expression",
            StoredUse::Using { .. } => "transform expression",
            StoredUse::Any => "expression",
            StoredUse::CopyFilter => "COPY FROM WHERE condition",
        }
    }

    /// "aggregate functions are not allowed in check constraints".
    fn places(self) -> &'static str {
        match self {
            StoredUse::Default { .. } => "DEFAULT expressions",
            StoredUse::Generated { .. } => "column generation expressions",
            StoredUse::Check => "check constraints",
            StoredUse::IndexPredicate => "index predicates",
            StoredUse::Index => "index expressions",
            StoredUse::Using { .. } => "transform expressions",
            StoredUse::Any => "expressions",
            StoredUse::CopyFilter => "COPY FROM WHERE conditions",
        }
    }
}

/// Binds an expression over a relation's row: attribute n is column n - 1, an open collection's undeclared part the one behind
/// them. Positions count within `text`.
pub fn bind_stored(
    text: &str,
    relation: Option<&Relation>,
    context: &BindContext,
    usage: StoredUse<'_>,
) -> Result<Expr> {
    let syntax = parse::expression(text)?;
    let mut binder = Binder::new(context, Lines::new(text));
    let mut scope = Scope::of(usage.clause());
    if let Some(relation) = relation {
        scope.push(binder.stored_item(relation));
    }
    binder.scopes.push(scope);
    let expr = binder.expr(&syntax)?;
    binder.check_parts(&expr, usage)?;
    binder.as_used(expr, usage)
}

/// `text || value` and `value || text`.
const CONCATENATIONS: &[&str] = &["anytextcat(anynonarray,text)", "textanycat(text,anynonarray)"];

/// How far a bound expression's value can be relied on.
pub fn volatility(expr: &Expr) -> Volatility {
    let own = match &expr.kind {
        // Written in SQL, they are as stable as the cast in them.
        ExprKind::Call { proc, args, .. } if CONCATENATIONS.contains(&proc.symbol) => {
            match args.iter().any(|arg| reads_settings(arg.ty.oid)) {
                true => proc.volatility,
                false => Volatility::Immutable,
            }
        }
        ExprKind::Call { proc, .. } => proc.volatility,
        // As it was declared, whatever its body does.
        ExprKind::Inlined(call) => return call.volatility(),
        ExprKind::InOut(arg, _) if reads_settings(arg.ty.oid) || reads_settings(expr.ty.oid) => Volatility::Stable,
        ExprKind::AnyAll { operator, .. } => of_operator(operator.proc),
        ExprKind::Distinct { equal, .. } | ExprKind::NullIf { equal, .. } => of_operator(equal.proc),
        ExprKind::RowCompare { operators, .. } => {
            operators.iter().map(|o| of_operator(o.proc)).max().unwrap_or(Volatility::Immutable)
        }
        ExprKind::Subquery(_) | ExprKind::SubPlan(_) => Volatility::Volatile,
        _ => Volatility::Immutable,
    };
    expr.children().into_iter().map(volatility).fold(own, Ord::max)
}

fn of_operator(proc: Oid) -> Volatility {
    builtin::proc_by_oid(proc).map_or(Volatility::Volatile, |p| p.volatility)
}

/// Text forms that follow DateStyle, TimeZone, the search path and their like.
fn reads_settings(ty: Oid) -> bool {
    let ty = builtin::element_of(ty).unwrap_or(ty);
    matches!(
        ty,
        oid::DATE
            | oid::TIME
            | oid::TIMETZ
            | oid::TIMESTAMP
            | oid::TIMESTAMPTZ
            | oid::INTERVAL
            | oid::REGCLASS
            | oid::REGTYPE
            | oid::MONEY
            | oid::RECORD
    )
}

impl Statement {
    /// The query of a statement that is one, bound alone: see `bind`.
    pub fn is_select(&self) -> bool {
        self.as_query().is_some()
    }
}

impl Binder<'_> {
    /// A row that expressions of the catalog are bound over, before anything else has a column.
    pub(super) fn stored_item(&mut self, relation: &Relation) -> Item {
        let mut columns = vec![];
        for column in &relation.columns {
            let id = self.new_column(&column.name, column.ty.into(), relation.id, column.number);
            if !column.is_dropped {
                columns.push(Name { name: column.name.clone(), id, ty: column.ty.into() });
            }
        }
        let hidden = match relation.kind {
            RelationKind::Collection => vec![self.hidden(ScanColumn::Tail, SqlType::JSONB)],
            _ => vec![],
        };
        Item { hidden, ..Item::new(&relation.name, columns) }
    }

    pub(super) fn check_parts(&self, expr: &Expr, usage: StoredUse<'_>) -> Result<()> {
        let (place, places) = (usage.place(), usage.places());
        if let Some(scope) = self.scopes.last()
            && !scope.aggregates.is_empty()
        {
            let message = format!("aggregate functions are not allowed in {places}");
            return Err(SqlError::new(SqlState::GROUPING_ERROR, message).at(expr.position));
        }
        let mut failed = None;
        expr.any(&mut |e| {
            let error = match &e.kind {
                ExprKind::Subquery(_) => SqlError::unsupported(format!("cannot use subquery in {place}")),
                ExprKind::Column(_) if matches!(usage, StoredUse::Default { .. }) => {
                    SqlError::unsupported(format!("cannot use column reference in {place}"))
                }
                ExprKind::Parameter(n) => {
                    let message = format!("there is no parameter ${}", n + 1);
                    SqlError::new(SqlState::UNDEFINED_PARAMETER, message)
                }
                ExprKind::Call { proc, .. } if proc.returns_set && proc.kind == ProcKind::Function => {
                    SqlError::unsupported(format!("set-returning functions are not allowed in {places}"))
                }
                _ => return false,
            };
            failed = Some(error.at(e.position));
            true
        });
        failed.map_or(Ok(()), Err)
    }

    fn as_used(&mut self, expr: Expr, usage: StoredUse<'_>) -> Result<Expr> {
        match usage {
            StoredUse::Default { column, ty } => self.assign_as(expr, ty, column, "default"),
            StoredUse::Generated { column, ty } => {
                let expr = self.assign_as(expr, ty, column, "generation")?;
                immutable(expr, "generation expression is not immutable")
            }
            StoredUse::Check => self.boolean(expr, "CHECK"),
            StoredUse::IndexPredicate => {
                let expr = self.boolean(expr, "WHERE")?;
                immutable(expr, "functions in index predicate must be marked IMMUTABLE")
            }
            StoredUse::Index => {
                let expr = self.known(expr)?;
                immutable(expr, "functions in index expression must be marked IMMUTABLE")
            }
            StoredUse::Using { column, ty } => {
                let position = expr.position;
                let cast = self.try_coerce(expr, ty, CastContext::Assignment, CallForm::ImplicitCast)?;
                cast.ok_or_else(|| {
                    let ty = self.type_name(ty);
                    let message = format!(
                        "result of USING clause for column \"{column}\" cannot be cast automatically to type {ty}"
                    );
                    SqlError::new(SqlState::DATATYPE_MISMATCH, message)
                        .hint("You might need to add an explicit cast.")
                        .at(position)
                })
            }
            StoredUse::Any | StoredUse::CopyFilter => self.known(expr),
        }
    }

    /// `column "a" is of type integer but default expression is of type text`.
    fn assign_as(&mut self, expr: Expr, target: SqlType, column: &str, what: &str) -> Result<Expr> {
        let source = expr.ty;
        // PostgreSQL tells no position here.
        let cast = self.try_coerce(expr, target, CastContext::Assignment, CallForm::ImplicitCast)?;
        cast.ok_or_else(|| {
            let message = format!(
                "column \"{column}\" is of type {} but {what} expression is of type {}",
                self.type_name(target),
                self.type_name(source)
            );
            SqlError::new(SqlState::DATATYPE_MISMATCH, message).hint("You will need to rewrite or cast the expression.")
        })
    }
}

fn immutable(expr: Expr, message: &str) -> Result<Expr> {
    match volatility(&expr) {
        Volatility::Immutable => Ok(expr),
        _ => Err(SqlError::new(SqlState::INVALID_OBJECT_DEFINITION, message)),
    }
}
