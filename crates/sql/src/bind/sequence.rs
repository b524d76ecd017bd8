//! A sequence in FROM: one row with its state, `last_value`, `log_cnt` and `is_called`, as pg_dump reads it.
//!
//! The row comes from a function of the executor that has no name in SQL.

use super::Binder;
use super::scope::{Item, Name};
use crate::expr::{CallForm, Expr, ExprKind};
use crate::logical::{FunctionCallItem, Node};
use catalog::Relation;
use sqlparser::ast::TableAlias;
use std::sync::OnceLock;
use types::builtin::{Proc, ProcKind, Volatility};
use types::{Datum, Result, SqlType, oid};

/// What the executor knows the function by.
pub const SEQUENCE_ROW: &str = "sequence row";

fn row_function() -> &'static Proc {
    static FUNCTION: OnceLock<Proc> = OnceLock::new();
    FUNCTION.get_or_init(|| Proc {
        oid: 0,
        name: SEQUENCE_ROW,
        kind: ProcKind::Function,
        strict: true,
        returns_set: false,
        volatility: Volatility::Volatile,
        parallel: 'u',
        leakproof: false,
        variadic: 0,
        defaults: 0,
        result: oid::RECORD,
        args: Box::new([oid::REGCLASS]),
        all_args: Box::new([]),
        modes: Box::new([]),
        arg_names: Box::new([]),
        symbol: SEQUENCE_ROW,
        cost: 1.0,
        rows: 1.0,
        language: 12,
        default_exprs: "",
    })
}

impl Binder<'_> {
    pub(super) fn sequence(&mut self, sequence: &Relation, name: &str, alias: Option<&TableAlias>) -> Result<Node> {
        let fields = [("last_value", SqlType::INT8), ("log_cnt", SqlType::INT8), ("is_called", SqlType::BOOL)];
        let mut names = vec![];
        for (number, (field, ty)) in (1..).zip(fields) {
            let id = self.new_column(field, ty, sequence.id, number);
            names.push(Name { name: field.to_owned(), id, ty });
        }
        let columns = names.iter().map(|name| name.id).collect();
        let argument = Expr::constant(Datum::Oid(sequence.id), SqlType::new(oid::REGCLASS));
        let kind = ExprKind::Call {
            proc: row_function(),
            args: vec![argument],
            variadic_array: false,
            form: CallForm::Function,
        };
        let names = self.renamed(name, names, alias)?;
        self.put_item(Item::new(name, names))?;
        let call = Expr::new(kind, SqlType::RECORD, 0);
        Ok(Node::Functions { calls: vec![FunctionCallItem { call, columns }], ordinality: None })
    }
}
