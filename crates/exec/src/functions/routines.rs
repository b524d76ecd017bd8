//! Functions told in words: pg_get_function_arguments and its relatives, pg_get_functiondef.

use super::{SessionFn, arg_oid};
use types::builtin::{self, Proc, ProcKind, Volatility};
use types::functions::quote_ident;
use types::{Datum, Oid, SqlError, SqlState, oid, typename};

pub(crate) const FUNCTIONS: &[(&str, SessionFn)] = &[
    ("pg_get_function_arguments", |_, _, args| Ok(of(args, |p| arguments(p, true)))),
    ("pg_get_function_identity_arguments", |_, _, args| Ok(of(args, |p| arguments(p, false)))),
    ("pg_get_function_result", |_, _, args| {
        let proc = builtin::proc_by_oid(arg_oid(args, 0)).filter(|p| p.kind != ProcKind::Procedure);
        Ok(proc.map_or(Datum::Null, |p| Datum::text(result(p))))
    }),
    ("pg_get_function_sqlbody", |_, _, _| Ok(Datum::Null)),
    ("pg_get_function_arg_default", |_, _, args| {
        let Some(proc) = builtin::proc_by_oid(arg_oid(args, 0)) else { return Ok(Datum::Null) };
        let place = usize::try_from(args.get(1).map_or(0, Datum::as_i64)).ok().and_then(|n| n.checked_sub(1));
        Ok(place.and_then(|at| default_of(proc, at)).map_or(Datum::Null, Datum::text))
    }),
    ("pg_get_functiondef", |_, _, args| match builtin::proc_by_oid(arg_oid(args, 0)) {
        None => Ok(Datum::Null),
        Some(p) if p.kind == ProcKind::Aggregate => {
            let message = format!("\"{}\" is an aggregate function", p.name);
            Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message))
        }
        Some(p) => Ok(Datum::text(definition(p))),
    }),
];

const LANGUAGE_INTERNAL: Oid = 12;
const LANGUAGE_C: Oid = 13;

fn of(args: &[Datum], f: impl FnOnce(&Proc) -> String) -> Datum {
    builtin::proc_by_oid(arg_oid(args, 0)).map_or(Datum::Null, |p| Datum::text(f(p)))
}

/// The default of an input argument, by its place among those.
fn default_of(proc: &Proc, place: usize) -> Option<&'static str> {
    let defaults: Vec<&str> = proc.default_exprs.split(", ").filter(|d| !d.is_empty()).collect();
    defaults.get(place.checked_sub(proc.args.len().checked_sub(defaults.len())?)?).copied()
}

/// Types and modes of all arguments.
fn all_arguments(proc: &Proc) -> Vec<(Oid, char)> {
    if proc.all_args.is_empty() {
        let last = proc.args.len().saturating_sub(1);
        let mode = |at: usize| if proc.variadic != 0 && at == last { 'v' } else { 'i' };
        return proc.args.iter().enumerate().map(|(at, ty)| (*ty, mode(at))).collect();
    }
    proc.all_args.iter().copied().zip(proc.modes.iter().copied()).collect()
}

fn argument(proc: &Proc, at: usize, ty: Oid) -> String {
    let name = proc.arg_names.get(at).filter(|n| !n.is_empty());
    let ty = typename::format_type(ty, None);
    name.map_or_else(|| ty.clone(), |name| format!("{} {ty}", quote_ident(name)))
}

/// All but the columns of RETURNS TABLE; those of an ordered-set aggregate behind ORDER BY.
fn arguments(proc: &Proc, with_defaults: bool) -> String {
    let ordered_from = builtin::aggregate(proc.oid).filter(|a| a.kind != 'n').map(|a| a.direct_args);
    let mut out = String::new();
    let (mut shown, mut inputs) = (0, 0);
    for (at, (ty, mode)) in all_arguments(proc).into_iter().enumerate().filter(|(_, (_, mode))| *mode != 't') {
        let is_input = mode != 'o';
        match () {
            () if ordered_from == Some(shown) => out.push_str(if shown == 0 { "ORDER BY " } else { " ORDER BY " }),
            () if shown > 0 => out.push_str(", "),
            () => {}
        }
        out.push_str(match mode {
            'o' => "OUT ",
            'b' => "INOUT ",
            'v' => "VARIADIC ",
            _ => "",
        });
        out.push_str(&argument(proc, at, ty));
        if let Some(default) = default_of(proc, inputs).filter(|_| with_defaults && is_input) {
            out.push_str(" DEFAULT ");
            out.push_str(default);
        }
        inputs += usize::from(is_input);
        shown += 1;
    }
    // A VARIADIC "any" that is direct is ordered, too.
    let last = proc.args.last().copied();
    if ordered_from == Some(shown) && proc.variadic == oid::ANY && last.is_some() {
        out.push_str(" ORDER BY VARIADIC \"any\"");
    }
    out
}

fn result(proc: &Proc) -> String {
    let all = all_arguments(proc);
    let columns: Vec<String> = all
        .into_iter()
        .enumerate()
        .filter(|(_, (_, mode))| *mode == 't')
        .map(|(at, (ty, _))| argument(proc, at, ty))
        .collect();
    if !columns.is_empty() {
        return format!("TABLE({})", columns.join(", "));
    }
    let name = typename::format_type(proc.result, None);
    if proc.returns_set { format!("SETOF {name}") } else { name }
}

/// `CREATE OR REPLACE FUNCTION …`, as it would make the function in PostgreSQL.
fn definition(proc: &Proc) -> String {
    let (what, tag) = match proc.kind {
        ProcKind::Procedure => ("PROCEDURE", "$procedure$"),
        _ => ("FUNCTION", "$function$"),
    };
    let mut out =
        format!("CREATE OR REPLACE {what} pg_catalog.{}({})\n", quote_ident(proc.name), arguments(proc, true));
    if proc.kind != ProcKind::Procedure {
        out.push_str(&format!(" RETURNS {}\n", result(proc)));
    }
    let language = match proc.language {
        LANGUAGE_INTERNAL => "internal",
        LANGUAGE_C => "c",
        _ => "sql",
    };
    out.push_str(&format!(" LANGUAGE {language}\n"));
    let mut traits = vec![];
    if proc.kind == ProcKind::Window {
        traits.push("WINDOW".to_owned());
    }
    match proc.volatility {
        Volatility::Immutable => traits.push("IMMUTABLE".to_owned()),
        Volatility::Stable => traits.push("STABLE".to_owned()),
        Volatility::Volatile => {}
    }
    match proc.parallel {
        's' => traits.push("PARALLEL SAFE".to_owned()),
        'r' => traits.push("PARALLEL RESTRICTED".to_owned()),
        _ => {}
    }
    if proc.strict {
        traits.push("STRICT".to_owned());
    }
    if proc.leakproof {
        traits.push("LEAKPROOF".to_owned());
    }
    let usual_cost = if proc.language == LANGUAGE_INTERNAL || proc.language == LANGUAGE_C { 1.0 } else { 100.0 };
    if proc.cost != usual_cost {
        traits.push(format!("COST {}", proc.cost));
    }
    if proc.returns_set && proc.rows != 1000.0 && proc.rows != 0.0 {
        traits.push(format!("ROWS {}", proc.rows));
    }
    if !traits.is_empty() {
        out.push_str(&format!(" {}\n", traits.join(" ")));
    }
    let body = if language == "sql" { "" } else { proc.symbol };
    out.push_str(&format!("AS {tag}{body}{tag}\n"));
    out
}
