//! Functions in FROM: `generate_series(1, 3) AS g(n)`, `unnest(a, b)`, `ROWS FROM (f(x), g(y))`, `f(x) WITH ORDINALITY`.

use super::call::schema_of;
use super::callee::UserCall;
use super::function_result::Shape;
use super::resolve::Given;
use super::scope::{Clause, Item, Name, fold};
use super::{Binder, locking, unsupported};
use crate::expr::{Expr, ExprKind};
use crate::logical::{
    Frame, FrameBound, FrameExclusion, FrameUnits, FunctionCallItem, Node, WindowCall, WindowFunction, WindowSpec,
};
use crate::parse::forms;
use crate::tree::{FunctionsTree, Source};
use sqlparser::ast::{self, FunctionArg, FunctionArgExpr, ObjectName, TableAlias, TableAliasColumnDef, TableFactor};
use types::builtin::{Proc, ProcKind};
use types::{Oid, Result, SqlError, SqlState, SqlType, oid};

/// A call with the name that its column gets.
struct Called {
    name: String,
    what: CalledFunction,
}

enum CalledFunction {
    Builtin { proc: &'static Proc, call: Expr },
    User(UserCall),
}

impl Binder<'_> {
    pub(super) fn from_function(&mut self, factor: &TableFactor, position: u32) -> Result<Node> {
        let (called, with_ordinality, alias) = match factor {
            TableFactor::Table { name, alias, args: Some(args), with_ordinality, sample: None, .. } => {
                (self.calls_of(name, &args.args, position)?, *with_ordinality, alias.as_ref())
            }
            TableFactor::Function { name, args, with_ordinality, alias, .. } => {
                (self.calls_of(name, args, position)?, *with_ordinality, alias.as_ref())
            }
            TableFactor::UNNEST { array_exprs, with_ordinality, alias, with_offset: false, .. } => {
                let args: Vec<_> =
                    array_exprs.iter().map(|a| FunctionArg::Unnamed(FunctionArgExpr::Expr(a.clone()))).collect();
                let name = ObjectName::from(vec![ast::Ident::new("unnest")]);
                (self.calls_of(&name, &args, position)?, *with_ordinality, alias.as_ref())
            }
            _ => return Err(unsupported("this kind of FROM item", position)),
        };
        self.function_item(called, with_ordinality, alias, position)
    }

    /// The functions that one FROM item calls.
    fn calls_of(&mut self, name: &ObjectName, args: &[FunctionArg], position: u32) -> Result<Vec<Called>> {
        let ident = name.0.last().and_then(|p| p.as_ident());
        if ident.and_then(forms::marked) == Some(forms::ROWS_FROM) {
            let mut called = vec![];
            for arg in args {
                match arg {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(ast::Expr::Function(call))) => {
                        let ast::FunctionArguments::List(list) = &call.args else {
                            return Err(unsupported("this kind of ROWS FROM item", position));
                        };
                        let at = self.at(ast::Spanned::span(call));
                        called.extend(self.calls_of(&call.name, &list.args, at)?);
                    }
                    _ => return Err(unsupported("this kind of ROWS FROM item", position)),
                }
            }
            return Ok(called);
        }
        let function = ident.map(fold).unwrap_or_default();
        if function == "unnest" && args.len() > 1 {
            let each = args.iter().map(|arg| self.called(None, &function, std::slice::from_ref(arg), position));
            return each.collect();
        }
        Ok(vec![self.called(schema_of(name).as_deref(), &function, args, position)?])
    }

    fn called(&mut self, schema: Option<&str>, name: &str, args: &[FunctionArg], position: u32) -> Result<Called> {
        let clause = self.enter(Clause::FromFunction);
        let bound = self.argument_list(args);
        self.enter(clause);
        let args = bound?;
        if args.star {
            let message = format!("{name}(*) specified, but {name} is not an aggregate function");
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(position));
        }
        let input: Vec<Oid> = args.exprs.iter().map(|a| a.ty.oid).collect();
        let given = Given { types: &input, names: &args.names, variadic_array: args.variadic_array };
        if let Some(user) = self.user_function(schema, name, given, position)? {
            let what = CalledFunction::User(self.user_call(user, args, position)?);
            return Ok(Called { name: name.to_owned(), what });
        }
        let chosen = self.function_for(name, given, position)?;
        match chosen.item.kind {
            ProcKind::Function => {}
            ProcKind::Window => {
                let message = "window functions are not allowed in functions in FROM";
                return Err(SqlError::new(SqlState::WINDOWING_ERROR, message).at(position));
            }
            _ => {
                let message = "aggregate functions are not allowed in functions in FROM";
                return Err(SqlError::new(SqlState::GROUPING_ERROR, message).at(position));
            }
        }
        let call = self.plain_call(&chosen, args.exprs, position)?;
        Ok(Called { name: name.to_owned(), what: CalledFunction::Builtin { proc: chosen.item, call } })
    }

    fn function_item(
        &mut self,
        called: Vec<Called>,
        with_ordinality: bool,
        alias: Option<&TableAlias>,
        position: u32,
    ) -> Result<Node> {
        let first = called.first().map(|c| c.name.clone()).unwrap_or_default();
        let item = alias.map_or(first, |a| fold(&a.name));
        let locks = self.locks_of(&item)?;
        locking::refuse(&locks, "a function")?;
        let is_one = called.len() == 1;
        let definitions = alias.map(|a| a.columns.as_slice()).unwrap_or_default();
        let is_defined = definitions.iter().any(|c| c.data_type.is_some());
        let (mut names, mut calls) = (vec![], vec![]);
        self.record_functions(&called, with_ordinality, alias, position)?;
        if let [Called { what: CalledFunction::User(_), .. }] = called.as_slice() {
            return self.user_item(called, &item, with_ordinality, alias, position);
        }
        for Called { name, what } in called {
            let CalledFunction::Builtin { proc, mut call } = what else {
                return Err(unsupported(&format!("function {name} in ROWS FROM with others"), position));
            };
            let column_name = if is_one { &item } else { &name };
            let mut columns = vec![];
            for (column, ty) in self.result_columns(proc, &mut call, column_name, definitions, position)? {
                let id = self.new_column(&column, ty, 0, 0);
                columns.push(id);
                names.push(Name { id, name: column, ty });
            }
            calls.push(FunctionCallItem { call, columns });
        }
        let ordinality = with_ordinality.then(|| self.new_column("ordinality", SqlType::INT8, 0, 0));
        if let Some(id) = ordinality {
            names.push(Name { name: "ordinality".to_owned(), id, ty: SqlType::INT8 });
        }
        if !is_defined {
            names = self.renamed(&item, names, alias)?;
        }
        self.put_item(Item::new(&item, names))?;
        Ok(Node::Functions { calls, ordinality })
    }

    fn record_functions(
        &mut self,
        called: &[Called],
        with_ordinality: bool,
        alias: Option<&TableAlias>,
        position: u32,
    ) -> Result<()> {
        if !self.is_recording() {
            return Ok(());
        }
        let calls = called.iter().map(|c| match &c.what {
            CalledFunction::Builtin { call, .. } => call.clone(),
            CalledFunction::User(call) => self.recorded_call(call),
        });
        let calls = calls.collect();
        let definitions = self.definition_types(alias, position)?;
        self.record_source(|| Source::Functions(FunctionsTree { calls, with_ordinality, definitions }));
        Ok(())
    }

    /// One user's function.
    fn user_item(
        &mut self,
        called: Vec<Called>,
        item: &str,
        with_ordinality: bool,
        alias: Option<&TableAlias>,
        position: u32,
    ) -> Result<Node> {
        let definitions = alias.map(|a| a.columns.as_slice()).unwrap_or_default();
        let is_defined = definitions.iter().any(|c| c.data_type.is_some());
        let Some(Called { what: CalledFunction::User(call), .. }) = called.into_iter().next() else {
            return Err(SqlError::internal("a user's function was expected"));
        };
        let shape = self.shape(&call);
        let wrong = |message: &str| Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
        match (&shape, is_defined) {
            (Shape::Open, false) => {
                return wrong("a column definition list is required for functions returning \"record\"");
            }
            (Shape::Open, true) | (_, false) => {}
            (Shape::Row { .. }, true) if !call.outputs.is_empty() => {
                return wrong("a column definition list is redundant for a function with OUT parameters");
            }
            (Shape::Row { .. }, true) => {
                return wrong("a column definition list is redundant for a function returning a named composite type");
            }
            _ => return wrong("a column definition list is only allowed for functions returning \"record\""),
        }
        let (mut node, mut names) = self.user_rows(call, item)?;
        if is_defined {
            names = self.defined_columns(names, definitions, position)?;
        }
        if with_ordinality {
            node = self.numbered(node, &mut names)?;
        }
        if !is_defined {
            names = self.renamed(item, names, alias)?;
        }
        self.put_item(Item::new(item, names))?;
        Ok(node)
    }

    /// `AS t(a integer, …)`: the rows must be of these types.
    fn defined_columns(
        &mut self,
        mut names: Vec<Name>,
        definitions: &[TableAliasColumnDef],
        position: u32,
    ) -> Result<Vec<Name>> {
        let mismatch = |detail: String| {
            let message = "function return row and query-specified return row do not match";
            Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message).detail(detail))
        };
        if names.len() != definitions.len() {
            return mismatch(format!(
                "Returned row contains {} attribute{}, but query expects {}.",
                names.len(),
                if names.len() == 1 { "" } else { "s" },
                definitions.len()
            ));
        }
        for (number, (name, definition)) in names.iter_mut().zip(definitions).enumerate() {
            let Some(ty) = &definition.data_type else { continue };
            let ty = self.data_type(ty, position)?;
            if ty.oid != name.ty.oid {
                let (is, wanted) = (self.type_name(name.ty), self.type_name(ty));
                return mismatch(format!(
                    "Returned type {is} at ordinal position {}, but query expects {wanted}.",
                    number + 1
                ));
            }
            name.name = fold(&definition.name);
        }
        Ok(names)
    }

    /// WITH ORDINALITY over rows as they come.
    fn numbered(&mut self, node: Node, names: &mut Vec<Name>) -> Result<Node> {
        let id = self.new_column("ordinality", SqlType::INT8, 0, 0);
        names.push(Name { name: "ordinality".to_owned(), id, ty: SqlType::INT8 });
        let row_number = self.function("row_number", &[], 0)?.item;
        let call = WindowCall {
            function: WindowFunction::Builtin(row_number),
            args: vec![],
            filter: None,
            output: id,
            ty: SqlType::INT8,
        };
        let (start, end) = (FrameBound::UnboundedPreceding, FrameBound::CurrentRow);
        let frame = Frame { units: FrameUnits::Rows, start, end, exclusion: FrameExclusion::None, in_range: None };
        let spec = WindowSpec { partition_by: vec![], order_by: vec![], frame, calls: vec![call] };
        Ok(Node::Window { input: Box::new(node), spec })
    }

    /// Names and types of a function's OUT arguments, called with these.
    pub(super) fn out_columns(&mut self, proc: &Proc, args: &[Expr]) -> Result<Vec<(String, SqlType)>> {
        let mut columns = vec![];
        for (number, _) in proc.modes.iter().enumerate().filter(|(_, mode)| matches!(mode, 'o' | 'b' | 't')) {
            let mut ty = proc.all_args.get(number).copied().unwrap_or(oid::UNKNOWN);
            let name = proc.arg_names.get(number).map_or_else(|| format!("column{}", number + 1), |n| (*n).to_owned());
            if super::coerce::is_polymorphic(ty) {
                let found = self.concrete(&proc.args, args)?.of(ty);
                ty = found.ok_or_else(|| SqlError::unsupported("a polymorphic result here is not supported"))?;
            }
            columns.push((name, SqlType::new(ty)));
        }
        Ok(columns)
    }

    /// Names and types of the columns: the OUT arguments, a column definition list, the fields of a row type, or one column
    /// named like the item.
    fn result_columns(
        &mut self,
        proc: &Proc,
        call: &mut Expr,
        item: &str,
        definitions: &[TableAliasColumnDef],
        position: u32,
    ) -> Result<Vec<(String, SqlType)>> {
        let is_defined = definitions.iter().any(|c| c.data_type.is_some());
        if call.ty.oid != oid::RECORD {
            if is_defined {
                let message = "a column definition list is only allowed for functions returning \"record\"";
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
            }
            if let Some(fields) = self.fields_of_type(call.ty) {
                return Ok(fields);
            }
            // One OUT argument with a name gives it to the column, whatever the item is called.
            let mut outs =
                proc.modes.iter().zip(proc.arg_names.iter()).filter(|(mode, _)| matches!(mode, 'o' | 'b' | 't'));
            let name = match (outs.next(), outs.next()) {
                (Some((_, name)), None) if !name.is_empty() => name,
                _ => item,
            };
            return Ok(vec![(name.to_owned(), call.ty)]);
        }
        let args = match &call.kind {
            ExprKind::Call { args, .. } => args.as_slice(),
            _ => &[],
        };
        let columns = self.out_columns(proc, args).map_err(|e| e.at(position))?;
        if !columns.is_empty() {
            if is_defined {
                let message = "a column definition list is redundant for a function with OUT parameters";
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
            }
            return Ok(columns);
        }
        if !is_defined {
            let message = "a column definition list is required for functions returning \"record\"";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
        }
        self.json_columns(proc, call, definitions, position)
    }
}
