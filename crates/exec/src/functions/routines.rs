//! Functions told in words: pg_get_function_arguments and its relatives, pg_get_functiondef.
//!
//! A built-in function and one that a user made are first brought into one form, `Routine`.

use super::reg::with_scope;
use super::{SessionFn, arg_oid};
use crate::expr::EvalContext;
use catalog::names::{self, NameScope};
use catalog::{Function, FunctionBody, FunctionVolatility, Snapshot};
use sql::{Deparser, Shown};
use std::borrow::Cow;
use types::builtin::{self, Proc, ProcKind, Volatility};
use types::functions::quote_ident;
use types::{Datum, Oid, SqlError, SqlState, oid};

pub(crate) const FUNCTIONS: &[(&str, SessionFn)] = &[
    ("pg_get_function_arguments", |env, _, args| Ok(of(env, args, |r| Some(r.arguments(true))))),
    ("pg_get_function_identity_arguments", |env, _, args| Ok(of(env, args, |r| Some(r.arguments(false))))),
    ("pg_get_function_result", |env, _, args| {
        Ok(of(env, args, |r| (r.kind != ProcKind::Procedure).then(|| r.result())))
    }),
    ("pg_get_function_sqlbody", |env, _, args| Ok(of(env, args, |r| r.sql_body()))),
    ("pg_get_function_arg_default", |env, _, args| {
        let place = usize::try_from(args.get(1).map_or(0, Datum::as_i64)).ok().and_then(|n| n.checked_sub(1));
        Ok(of(env, args, |r| r.inputs().nth(place?)?.default.as_deref().map(str::to_owned)))
    }),
    ("pg_get_functiondef", |env, _, args| {
        let id = arg_oid(args, 0);
        let builtin = builtin::proc_by_oid(id).filter(|p| p.kind == ProcKind::Aggregate).map(|p| p.name);
        let user = env.catalog.function(id).filter(|f| f.aggregate().is_some()).map(|f| f.name.as_str());
        if let Some(name) = builtin.or(user) {
            let message = format!("\"{name}\" is an aggregate function");
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
        }
        Ok(of(env, args, |r| Some(r.definition())))
    }),
];

const LANGUAGE_INTERNAL: Oid = 12;
const LANGUAGE_C: Oid = 13;

struct Argument<'a> {
    name: &'a str,
    /// pg_proc's letter.
    mode: char,
    ty: Oid,
    default: Option<Cow<'a, str>>,
}

impl Argument<'_> {
    fn is_input(&self) -> bool {
        matches!(self.mode, 'i' | 'b' | 'v')
    }
}

/// What is told about a function.
struct Routine<'a> {
    catalog: &'a Snapshot,
    scope: NameScope<'a>,
    oid: Oid,
    schema: &'a str,
    name: &'a str,
    kind: ProcKind,
    arguments: Vec<Argument<'a>>,
    variadic: Oid,
    result: Oid,
    returns_set: bool,
    language: &'static str,
    volatility: Volatility,
    parallel: char,
    strict: bool,
    security_definer: bool,
    leakproof: bool,
    cost: f32,
    rows: f32,
    body: Cow<'a, FunctionBody>,
}

/// What `tell` says of the function whose OID is the first argument; NULL where there is none.
fn of(env: &EvalContext<'_>, args: &[Datum], tell: impl FnOnce(&Routine<'_>) -> Option<String>) -> Datum {
    let id = arg_oid(args, 0);
    with_scope(env.session, |scope| {
        let routine = match env.catalog.function(id) {
            Some(function) => {
                let mut routine = Routine::of_user(env.catalog, scope, function);
                routine.body = shown_body(env, scope, function);
                Some(routine)
            }
            None => builtin::proc_by_oid(id).map(|proc| Routine::builtin(env.catalog, scope, proc)),
        };
        routine.and_then(|routine| tell(&routine)).map_or(Datum::Null, Datum::text)
    })
}

/// A body with names as a reader sees them.
fn shown_body<'f>(env: &EvalContext<'_>, scope: NameScope<'_>, function: &'f Function) -> Cow<'f, FunctionBody> {
    let told = sql::written_body(function, &crate::stored::bind_context(env)).and_then(|written| {
        Deparser::new(env.catalog)
            .shown(Some(Shown { scope, pretty: false, format: env.format }))
            .body(&written, function)
    });
    match (&function.body, told) {
        (FunctionBody::Atomic { .. }, Ok(query)) => {
            Cow::Owned(FunctionBody::Atomic { query, search_path: vec![], depends_on: vec![] })
        }
        (body, _) => Cow::Borrowed(body),
    }
}

impl<'a> Routine<'a> {
    fn builtin(catalog: &'a Snapshot, scope: NameScope<'a>, proc: &'a Proc) -> Routine<'a> {
        let language = match proc.language {
            LANGUAGE_INTERNAL => "internal",
            LANGUAGE_C => "c",
            _ => "sql",
        };
        let body = if language == "sql" { "" } else { proc.symbol };
        Routine {
            catalog,
            scope,
            oid: proc.oid,
            schema: "pg_catalog",
            name: proc.name,
            kind: proc.kind,
            arguments: builtin_arguments(proc),
            variadic: proc.variadic,
            result: proc.result,
            returns_set: proc.returns_set,
            language,
            volatility: proc.volatility,
            parallel: proc.parallel,
            strict: proc.strict,
            security_definer: false,
            leakproof: proc.leakproof,
            cost: proc.cost,
            rows: proc.rows,
            body: Cow::Owned(FunctionBody::Text(body.to_owned())),
        }
    }

    fn of_user(catalog: &'a Snapshot, scope: NameScope<'a>, function: &'a Function) -> Routine<'a> {
        let argument = |p: &'a catalog::Parameter| Argument {
            name: &p.name,
            mode: p.mode.letter(),
            ty: p.ty,
            default: p.default.as_deref().map(Cow::Borrowed),
        };
        Routine {
            catalog,
            scope,
            oid: function.id,
            schema: catalog.schema(function.schema).map_or("", |s| s.name.as_str()),
            name: &function.name,
            kind: if function.aggregate().is_some() { ProcKind::Aggregate } else { ProcKind::Function },
            arguments: function.parameters.iter().map(argument).collect(),
            variadic: function.variadic(),
            result: function.result,
            returns_set: function.returns_set,
            language: "sql",
            volatility: match function.volatility {
                FunctionVolatility::Immutable => Volatility::Immutable,
                FunctionVolatility::Stable => Volatility::Stable,
                FunctionVolatility::Volatile => Volatility::Volatile,
            },
            parallel: function.parallel,
            strict: function.strict,
            security_definer: function.security_definer,
            leakproof: function.leakproof,
            cost: function.cost,
            rows: function.rows,
            body: Cow::Borrowed(&function.body),
        }
    }

    fn inputs(&self) -> impl Iterator<Item = &Argument<'a>> {
        self.arguments.iter().filter(|a| a.is_input())
    }

    fn type_name(&self, ty: Oid) -> String {
        names::format_type(self.catalog, self.scope, ty, None)
    }

    fn argument(&self, argument: &Argument<'_>) -> String {
        let ty = self.type_name(argument.ty);
        match argument.name {
            "" => ty,
            name => format!("{} {ty}", quote_ident(name)),
        }
    }

    /// All but the columns of RETURNS TABLE; those of an ordered-set aggregate behind ORDER BY.
    fn arguments(&self, with_defaults: bool) -> String {
        let ordered_from = builtin::aggregate(self.oid).filter(|a| a.kind != 'n').map(|a| a.direct_args);
        let mut out = String::new();
        let mut shown = 0;
        for argument in self.arguments.iter().filter(|a| a.mode != 't') {
            match () {
                () if ordered_from == Some(shown) => out.push_str(if shown == 0 { "ORDER BY " } else { " ORDER BY " }),
                () if shown > 0 => out.push_str(", "),
                () => {}
            }
            out.push_str(match argument.mode {
                'o' => "OUT ",
                'b' => "INOUT ",
                'v' => "VARIADIC ",
                _ => "",
            });
            out.push_str(&self.argument(argument));
            if let Some(default) = argument.default.as_deref().filter(|_| with_defaults) {
                out.push_str(" DEFAULT ");
                out.push_str(default);
            }
            shown += 1;
        }
        // A VARIADIC "any" that is direct is ordered, too.
        if ordered_from == Some(shown) && self.variadic == oid::ANY && shown > 0 {
            out.push_str(" ORDER BY VARIADIC \"any\"");
        }
        out
    }

    fn result(&self) -> String {
        let columns: Vec<String> = self.arguments.iter().filter(|a| a.mode == 't').map(|a| self.argument(a)).collect();
        if !columns.is_empty() {
            return format!("TABLE({})", columns.join(", "));
        }
        let name = self.type_name(self.result);
        if self.returns_set { format!("SETOF {name}") } else { name }
    }

    /// The body of a function that has it in SQL's own syntax.
    fn sql_body(&self) -> Option<String> {
        match &*self.body {
            FunctionBody::Return { expression, .. } => Some(format!("RETURN {expression}")),
            FunctionBody::Atomic { query, .. } => Some(format!("BEGIN ATOMIC\n{query};\nEND")),
            FunctionBody::Text(_) | FunctionBody::Aggregate(_) => None,
        }
    }

    /// IMMUTABLE, STRICT and their like, as far as they are not the default.
    fn traits(&self) -> Vec<String> {
        let mut traits = vec![];
        let mut add = |is: bool, word: &str| {
            if is {
                traits.push(word.to_owned());
            }
        };
        add(self.kind == ProcKind::Window, "WINDOW");
        add(self.volatility == Volatility::Immutable, "IMMUTABLE");
        add(self.volatility == Volatility::Stable, "STABLE");
        add(self.parallel == 's', "PARALLEL SAFE");
        add(self.parallel == 'r', "PARALLEL RESTRICTED");
        add(self.strict, "STRICT");
        add(self.security_definer, "SECURITY DEFINER");
        add(self.leakproof, "LEAKPROOF");
        let usual_cost = if self.language == "sql" { 100.0 } else { 1.0 };
        add(self.cost != usual_cost, &format!("COST {}", self.cost));
        add(self.returns_set && self.rows != 1000.0 && self.rows != 0.0, &format!("ROWS {}", self.rows));
        traits
    }

    /// `CREATE OR REPLACE FUNCTION …`, as it would make the function in PostgreSQL.
    fn definition(&self) -> String {
        let (what, tag) = match self.kind {
            ProcKind::Procedure => ("PROCEDURE", "procedure"),
            _ => ("FUNCTION", "function"),
        };
        let (schema, name) = (quote_ident(self.schema), quote_ident(self.name));
        let mut out = format!("CREATE OR REPLACE {what} {schema}.{name}({})\n", self.arguments(true));
        if self.kind != ProcKind::Procedure {
            out.push_str(&format!(" RETURNS {}\n", self.result()));
        }
        out.push_str(&format!(" LANGUAGE {}\n", self.language));
        let traits = self.traits();
        if !traits.is_empty() {
            out.push_str(&format!(" {}\n", traits.join(" ")));
        }
        match &*self.body {
            FunctionBody::Return { .. } | FunctionBody::Atomic { .. } => {
                out.extend(self.sql_body());
                out.push('\n');
            }
            // Asked for by nobody: `pg_get_functiondef` refuses aggregates.
            FunctionBody::Aggregate(_) => {}
            FunctionBody::Text(text) => {
                let mut tag = tag.to_owned();
                while text.contains(&format!("${tag}$")) {
                    tag.push('x');
                }
                out.push_str(&format!("AS ${tag}${text}${tag}$\n"));
            }
        }
        out
    }
}

fn builtin_arguments(proc: &Proc) -> Vec<Argument<'_>> {
    let last = proc.args.len().saturating_sub(1);
    let all: Vec<(Oid, char)> = match proc.all_args.is_empty() {
        true => {
            let mode = |at: usize| if proc.variadic != 0 && at == last { 'v' } else { 'i' };
            proc.args.iter().enumerate().map(|(at, ty)| (*ty, mode(at))).collect()
        }
        false => proc.all_args.iter().copied().zip(proc.modes.iter().copied()).collect(),
    };
    let defaults: Vec<&str> = proc.default_exprs.split(", ").filter(|d| !d.is_empty()).collect();
    let first_default = proc.args.len().saturating_sub(defaults.len());
    let mut inputs = 0;
    let argument = |(at, (ty, mode)): (usize, (Oid, char))| {
        let mut argument =
            Argument { name: proc.arg_names.get(at).copied().unwrap_or_default(), mode, ty, default: None };
        if argument.is_input() {
            let default = usize::checked_sub(inputs, first_default).and_then(|n| defaults.get(n));
            argument.default = default.map(|text| Cow::Borrowed(*text));
            inputs += 1;
        }
        argument
    };
    all.into_iter().enumerate().map(argument).collect()
}
