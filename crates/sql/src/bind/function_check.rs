//! A new function's body, checked as if the function were called.

use super::Binder;
use super::callee::UserCall;
use super::function_result::Shape;
use super::sql_function::{FunctionScope, source, value_of};
use crate::expr::Expr;
use crate::parse::{self, Lines};
use crate::{BindContext, Statement};
use catalog::{Function, FunctionBody};
use types::{Oid, Result, SqlError, SqlType};

/// Characters of `SELECT `.
const RETURN_PREFIX: u32 = 7;

/// Checks a new function's body as if it were called: errors with positions within `function.body`'s text. Polymorphic
/// functions are only parsed, as each call has types of its own. Gives the expression of RETURN, if it is a plain one; input n is
/// column n.
pub fn check_function(function: &Function, context: &BindContext) -> Result<Option<Expr>> {
    // Positions are told in the expression alone.
    let before = match &function.body {
        FunctionBody::Text(_) | FunctionBody::Atomic { .. } | FunctionBody::Aggregate(_) => 0,
        FunctionBody::Return { .. } => RETURN_PREFIX,
    };
    let within = |mut error: SqlError| {
        let position = &mut error.fields_mut().position;
        *position = position.map(|p| p.saturating_sub(before));
        error
    };
    let statements = parse::parse(&source(&function.body), true).map_err(within)?;
    let is_open = |ty: Oid| super::coerce::is_polymorphic(ty);
    if function.parameters.iter().any(|p| is_open(p.ty)) {
        return Ok(None);
    }
    let mut binder = Binder::new(context, Lines::default());
    binder.checks_function = true;
    binder.expanding.push(function.id);
    let outputs = function.outputs().map(|p| (p.name.clone(), SqlType::new(p.ty))).collect();
    let result = SqlType::new(function.result);
    let mut values = vec![];
    for parameter in function.inputs() {
        let ty = SqlType::new(parameter.ty);
        let id = binder.new_column(&parameter.name, ty, 0, 0);
        values.push((parameter.name.clone(), Expr::column(id, ty)));
    }
    binder.function = Some(FunctionScope { name: function.name.clone(), parameters: values });
    let function_of = std::sync::Arc::new(function.clone());
    let call = UserCall { function: function_of, args: vec![], result, outputs, position: 0 };
    let shape = binder.shape(&call);
    binder.check_statements(&statements, &shape, function).map_err(within)
}

impl Binder<'_> {
    /// All statements bind, the last one gives what the function returns.
    fn check_statements(
        &mut self,
        statements: &[Statement],
        shape: &Shape,
        function: &Function,
    ) -> Result<Option<Expr>> {
        let named = |error: SqlError| error.context(format!("SQL function \"{}\"", function.name));
        let result = SqlType::new(function.result);
        for statement in statements {
            self.lines = statement.lines.clone();
            let Some(query) = statement.as_query().filter(|_| !statement.is_write()) else { continue };
            let mut bound = self.query(query)?;
            if statements.len() == 1 {
                let expr = value_of(&bound).filter(|_| matches!(function.body, FunctionBody::Return { .. }));
                self.as_result(&mut bound, shape, &function.body).map_err(named)?;
                return Ok(expr);
            }
        }
        let writes = statements.last().is_some_and(Statement::is_write);
        let gives_rows = statements.last().is_some_and(|s| s.is_select()) || writes;
        if !gives_rows && !matches!(shape, Shape::Void) {
            let detail = "Function's final statement must be SELECT or INSERT/UPDATE/DELETE RETURNING.";
            return Err(named(self.mismatch(result, detail)));
        }
        Err(SqlError::unsupported("a function whose body is not one SELECT is not supported"))
    }
}
