//! Domains, which end here: an expression never has a domain's type.
//!
//! What becomes a domain is brought to its base type and checked (`ExprKind::ToDomain`); from there on it is a value of the
//! base type, which is what PostgreSQL makes of it for every operator and function. So nothing below the binder knows
//! domains: layouts, keys and indexes are those of the base type (`catalog::Column::ty`).

use super::Binder;
use super::stored::{StoredUse, bind_stored};
use crate::BindContext;
use crate::expr::{CallForm, DomainChecks, Expr, ExprKind};
use catalog::{Column, ConstraintKind, PG_CATALOG_SCHEMA};
use std::sync::Arc;
use types::builtin::{self, CastContext};
use types::{Datum, Oid, Result, SqlError, SqlState, SqlType, oid, user_type};

/// Domains over domains that are followed, and checks that use other domains.
const DOMAIN_DEPTH_MAX: usize = 32;

/// Whether a type is a domain, or an array over one.
pub(super) fn holds_domain(ty: SqlType) -> bool {
    user_type::is_domain(ty.oid) || user_type::element_of(ty.oid).is_some_and(user_type::is_domain)
}

impl Binder<'_> {
    /// The expression as a value of the domain (or of the array over a domain), of the base type; None where `context` does
    /// not allow it.
    pub(super) fn coerce_to_domain(
        &mut self,
        expr: Expr,
        target: SqlType,
        context: CastContext,
        form: CallForm,
    ) -> Result<Option<Expr>> {
        let base = self.context.catalog.base_type(target);
        let expr = match expr.kind {
            ExprKind::Parameter(number) if expr.ty.oid == oid::UNKNOWN => {
                self.declare_parameter(number, target, expr.position)?;
                Expr { ty: base, ..expr }
            }
            _ => expr,
        };
        let position = expr.position;
        let Some(value) = self.try_coerce(expr, base, context, form)? else { return Ok(None) };
        if user_type::is_domain(target.oid) {
            let checks = self.domain_checks(target.oid)?;
            let kind = ExprKind::ToDomain { arg: Box::new(value), domain: checks, form };
            return Ok(Some(Expr::new(kind, base, position)));
        }
        let Some(element) = builtin::element_of(target.oid) else { return Ok(Some(value)) };
        let of_base = SqlType::with_typmod(builtin::element_of(base.oid).unwrap_or(base.oid), base.typmod);
        let item = Expr::new(ExprKind::CaseValue, of_base, position);
        let kind = ExprKind::ToDomain { arg: Box::new(item), domain: self.domain_checks(element)?, form };
        let element = Box::new(Expr::new(kind, of_base, position));
        Ok(Some(Expr::new(ExprKind::ArrayCoerce { array: Box::new(value), element, form }, base, position)))
    }

    /// A parameter is told to the client as the domain; what comes is read as its base.
    fn declare_parameter(&mut self, number: u16, target: SqlType, position: u32) -> Result<()> {
        let Some(slot) = self.parameters.get_mut(usize::from(number)) else { return Ok(()) };
        let ty = *slot.get_or_insert(SqlType::new(target.oid));
        if ty.oid == target.oid {
            return Ok(());
        }
        let message = format!("inconsistent types deduced for parameter ${}", number + 1);
        let detail = format!("{} versus {}", self.type_name(ty), self.type_name(target));
        Err(SqlError::new(SqlState::AMBIGUOUS_PARAMETER, message).detail(detail).at(position))
    }

    /// What a value must pass, the checks of the domains below first.
    fn domain_checks(&self, domain: Oid) -> Result<Arc<DomainChecks>> {
        let catalog = &self.context.catalog;
        let mut chain = vec![];
        let mut next = domain;
        while let Some((descriptor, definition)) = catalog.domain(next) {
            if chain.len() == DOMAIN_DEPTH_MAX {
                return Err(SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "domains are nested too deeply (limit 32)"));
            }
            chain.push((descriptor, definition));
            next = definition.base.oid;
        }
        let Some((own, _)) = chain.first() else { return Err(SqlError::internal("a domain was expected")) };
        let context = BindContext { search_path: vec![PG_CATALOG_SCHEMA], ..self.context.clone() };
        let mut checks = vec![];
        for (descriptor, _) in chain.iter().rev() {
            for constraint in &descriptor.constraints {
                let ConstraintKind::Check { expression, .. } = &constraint.kind else { continue };
                let mut check = bind_stored(expression, Some(descriptor), &context, StoredUse::Check)?;
                // The domain's one column is the value.
                check.rewrite(&mut |e| {
                    if let ExprKind::Column(id) = e.kind {
                        e.kind = ExprKind::Input(id.0);
                    }
                });
                checks.push((constraint.name.clone(), check));
            }
        }
        Ok(Arc::new(DomainChecks {
            ty: domain,
            name: own.name.clone(),
            schema: catalog.schema(own.schema).map(|s| s.name.clone()).unwrap_or_default(),
            not_null: chain.iter().any(|(_, definition)| definition.not_null),
            checks,
        }))
    }

    /// What a column without a default of its own gets from its domain: the nearest default, or a checked NULL.
    pub(super) fn domain_default(&mut self, column: &Column) -> Result<Expr> {
        let ty = column.declared();
        if let Some(text) = self.context.catalog.domain_default(ty.oid).map(str::to_owned) {
            return self.stored_as(&text, ty);
        }
        self.assign(Expr::constant(Datum::Null, column.ty.into()), ty, &column.name)
    }

    /// What an expression was declared as: a domain where its value comes from a cast to one or from a column of one.
    pub(super) fn declared_type(&self, expr: &Expr) -> SqlType {
        let domain = match &expr.kind {
            ExprKind::ToDomain { domain, .. } => Some(domain.ty),
            ExprKind::ArrayCoerce { element, .. } => match &element.kind {
                ExprKind::ToDomain { domain, .. } => user_type::array_of(domain.ty),
                _ => None,
            },
            ExprKind::Column(_) => {
                let (table, attribute) = self.origin(expr);
                self.context.catalog.relation(table).and_then(|r| r.column(attribute)).and_then(|c| c.domain)
            }
            _ => None,
        };
        domain.map_or(expr.ty, SqlType::new)
    }
}
