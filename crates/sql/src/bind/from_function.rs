//! Functions in FROM: `generate_series(1, 3) AS g(n)`, `unnest(a)`, `f(x) WITH ORDINALITY`.

use super::scope::{Name, fold};
use super::{Binder, unsupported};
use crate::expr::{Expr, ExprKind};
use crate::logical::{FunctionCallItem, Node};
use sqlparser::ast::{FunctionArg, FunctionArgExpr, ObjectName, TableAlias, TableFactor};
use types::builtin::{Proc, ProcKind};
use types::{Oid, Result, SqlError, SqlState, SqlType, oid};

/// Whether a FROM item reads columns of the items to its left.
pub(super) fn is_lateral(node: &Node) -> bool {
    let mut is_column = |e: &Expr| matches!(e.kind, ExprKind::Column(_) | ExprKind::Subquery(_));
    match node {
        Node::Functions { calls, .. } => calls.iter().any(|c| c.call.any(&mut is_column)),
        _ => false,
    }
}

impl Binder<'_> {
    pub(super) fn from_function(&mut self, factor: &TableFactor, position: u32) -> Result<Node> {
        match factor {
            TableFactor::Table { name, alias, args: Some(args), with_ordinality, sample: None, .. } => {
                let bound = self.from_arguments(&args.args, position)?;
                self.call_in_from(&function_name(name), bound, *with_ordinality, alias.as_ref(), position)
            }
            TableFactor::Function { name, args, with_ordinality, alias, .. } => {
                let bound = self.from_arguments(args, position)?;
                self.call_in_from(&function_name(name), bound, *with_ordinality, alias.as_ref(), position)
            }
            TableFactor::UNNEST { array_exprs, with_ordinality, alias, with_offset: false, .. } => {
                let bound = array_exprs.iter().map(|a| self.expr(a)).collect::<Result<Vec<_>>>()?;
                if bound.len() != 1 {
                    return Err(unsupported("unnest of several arrays", position));
                }
                self.call_in_from("unnest", bound, *with_ordinality, alias.as_ref(), position)
            }
            _ => Err(unsupported("this kind of FROM item", position)),
        }
    }

    fn from_arguments(&mut self, args: &[FunctionArg], position: u32) -> Result<Vec<Expr>> {
        let mut bound = vec![];
        for arg in args {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) = arg else {
                return Err(unsupported("this kind of argument", position));
            };
            bound.push(self.expr(arg)?);
        }
        Ok(bound)
    }

    fn call_in_from(
        &mut self,
        name: &str,
        args: Vec<Expr>,
        with_ordinality: bool,
        alias: Option<&TableAlias>,
        position: u32,
    ) -> Result<Node> {
        let input: Vec<Oid> = args.iter().map(|a| a.ty.oid).collect();
        let chosen = self.function(name, &input, position)?;
        if chosen.item.kind != ProcKind::Function {
            let message = "aggregate functions are not allowed in functions in FROM";
            return Err(SqlError::new(SqlState::GROUPING_ERROR, message).at(position));
        }
        let call = self.plain_call(&chosen, args, position)?;
        let item = alias.map_or_else(|| name.to_owned(), |a| fold(&a.name));
        let mut names = vec![];
        for (column, ty) in result_columns(chosen.item, &call, &item, position)? {
            names.push(Name { id: self.new_column(&column, ty, 0, 0), name: column, ty });
        }
        let columns = names.iter().map(|n| n.id).collect();
        let ordinality = with_ordinality.then(|| self.new_column("ordinality", SqlType::INT8, 0, 0));
        if let Some(id) = ordinality {
            names.push(Name { name: "ordinality".to_owned(), id, ty: SqlType::INT8 });
        }
        self.add_item(&item, names, alias)?;
        Ok(Node::Functions { calls: vec![FunctionCallItem { call, columns }], ordinality })
    }
}

fn function_name(name: &ObjectName) -> String {
    name.0.last().and_then(|p| p.as_ident()).map(fold).unwrap_or_default()
}

/// Names and types of the columns: the OUT arguments, or one column named like the item.
fn result_columns(proc: &Proc, call: &Expr, item: &str, position: u32) -> Result<Vec<(String, SqlType)>> {
    if call.ty.oid != oid::RECORD {
        return Ok(vec![(item.to_owned(), call.ty)]);
    }
    let mut columns = vec![];
    for (number, _) in proc.modes.iter().enumerate().filter(|(_, mode)| matches!(mode, 'o' | 'b' | 't')) {
        let ty = proc.all_args.get(number).copied().unwrap_or(oid::UNKNOWN);
        let name = proc.arg_names.get(number).map_or_else(|| format!("column{}", number + 1), |n| (*n).to_owned());
        if super::coerce::is_polymorphic(ty) {
            return Err(unsupported("a polymorphic result here", position));
        }
        columns.push((name, SqlType::new(ty)));
    }
    if columns.is_empty() {
        let message = "a column definition list is required for functions returning \"record\"";
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
    }
    Ok(columns)
}
