//! pg_proc, pg_operator and pg_cast, from the tables that the binder resolves calls with; pg_proc also has users' functions.

use super::row::{array_or_null, row, vector};
use super::{RowsFn, Scan};
use crate::descriptor::*;
use types::builtin::{self, CastContext, CastMethod, Proc, ProcKind, Volatility};
use types::{Datum, Oid, oid};

pub(super) const RELATIONS: &[(&str, RowsFn)] =
    &[("pg_proc", pg_proc), ("pg_operator", pg_operator), ("pg_aggregate", pg_aggregate)];

/// The fixed part of pg_proc.
pub(super) const BUILTIN: &str = "pg_proc: built-in";

const PG_PROC: Oid = 1255;
const PG_OPERATOR: Oid = 2617;
const PG_AGGREGATE: Oid = 2600;
const LANGUAGE_INTERNAL: Oid = 12;
pub(super) const LANGUAGE_SQL: Oid = 14;

fn pg_proc(scan: &mut Scan<'_>) {
    scan.push_fixed(PG_PROC, BUILTIN);
    for f in scan.functions() {
        if scan.wants(1, f.id) && scan.wants_text(2, &f.name) {
            let row = function(scan, f);
            scan.push(row);
        }
    }
}

fn function(scan: &Scan<'_>, f: &Function) -> Vec<Datum> {
    let inputs = f.input_types();
    let has_modes = f.parameters.iter().any(|p| p.mode != ParameterMode::In);
    let has_names = f.parameters.iter().any(|p| !p.name.is_empty());
    let defaults: Vec<&str> = f.inputs().filter_map(|p| p.default.as_deref()).collect();
    let all = |of: bool| f.parameters.iter().filter(move |_| of);
    let (source, sql_body) = match &f.body {
        FunctionBody::Text(text) => (text.as_str(), None),
        FunctionBody::Return { expression, .. } => ("", Some(format!("RETURN {expression}"))),
        FunctionBody::Aggregate(_) => ("aggregate_dummy", None),
        FunctionBody::Atomic { query, .. } => ("", Some(format!("BEGIN ATOMIC {query}; END"))),
    };
    row![
        f.id,
        &f.name,
        f.schema,
        f.owner,
        if f.aggregate().is_some() { LANGUAGE_INTERNAL } else { LANGUAGE_SQL },
        f.cost,
        f.rows,
        f.variadic(),
        0u32,
        if f.aggregate().is_some() { 'a' } else { 'f' },
        f.security_definer,
        f.leakproof,
        f.strict,
        f.returns_set,
        match f.volatility {
            FunctionVolatility::Immutable => 'i',
            FunctionVolatility::Stable => 's',
            FunctionVolatility::Volatile => 'v',
        },
        f.parallel,
        inputs.len() as i16,
        defaults.len() as i16,
        f.result,
        vector(oid::OID, inputs.iter().copied()),
        array_or_null(oid::OID, all(has_modes).map(|p| p.ty)),
        array_or_null(oid::CHAR, all(has_modes).map(|p| p.mode.letter())),
        array_or_null(oid::TEXT, all(has_names).map(|p| &p.name)),
        Some(defaults.join(", ")).filter(|text| !text.is_empty()),
        (),
        source,
        (),
        sql_body,
        (),
        scan.acl(f.privileges.as_deref()),
    ]
}

pub(super) fn procs() -> Vec<Vec<Datum>> {
    builtin::procs().iter().map(proc).collect()
}

fn proc(p: &Proc) -> Vec<Datum> {
    let kind = match p.kind {
        ProcKind::Function => 'f',
        ProcKind::Aggregate => 'a',
        ProcKind::Window => 'w',
        ProcKind::Procedure => 'p',
    };
    let volatility = match p.volatility {
        Volatility::Immutable => 'i',
        Volatility::Stable => 's',
        Volatility::Volatile => 'v',
    };
    // Helpers of information_schema's views have OIDs after it.
    let schema = if p.oid > INFORMATION_SCHEMA { INFORMATION_SCHEMA } else { PG_CATALOG_SCHEMA };
    let defaults = Some(p.default_exprs).filter(|d| !d.is_empty());
    // Functions that PostgreSQL has in SQL are native here; their symbol is not one of its.
    let source = if p.language == LANGUAGE_INTERNAL { p.symbol } else { "" };
    row![
        p.oid,
        p.name,
        schema,
        POSTGRES_ROLE,
        p.language,
        p.cost,
        p.rows,
        p.variadic,
        0u32,
        kind,
        false,
        p.leakproof,
        p.strict,
        p.returns_set,
        volatility,
        p.parallel,
        p.args.len() as i16,
        p.defaults as i16,
        p.result,
        vector(oid::OID, p.args.iter().copied()),
        array_or_null(oid::OID, p.all_args.iter().copied()),
        array_or_null(oid::CHAR, p.modes.iter().copied()),
        array_or_null(oid::TEXT, p.arg_names.iter().copied()),
        defaults,
        (),
        source,
        (),
        (),
        (),
        (),
    ]
}

fn pg_aggregate(scan: &mut Scan<'_>) {
    scan.push_fixed(PG_AGGREGATE, "pg_aggregate");
    for f in scan.functions() {
        if let Some(definition) = f.aggregate().filter(|_| scan.wants(1, f.id)) {
            scan.push(aggregate(f.id, definition));
        }
    }
}

fn aggregate(id: Oid, a: &AggregateDefinition) -> Vec<Datum> {
    let (plain, moving) = (&a.plain, a.moving.as_ref());
    let of_moving = |part: fn(&AggregateSteps) -> Oid| moving.map_or(0, part);
    row![
        id,
        'n',
        0i16,
        plain.transition,
        plain.finish,
        a.combine,
        a.serialize,
        a.deserialize,
        of_moving(|m| m.transition),
        of_moving(|m| m.inverse),
        of_moving(|m| m.finish),
        plain.finish_extra,
        moving.is_some_and(|m| m.finish_extra),
        plain.finish_modify,
        moving.map_or('r', |m| m.finish_modify),
        a.sort_operator,
        plain.state,
        plain.space,
        of_moving(|m| m.state),
        moving.map_or(0, |m| m.space),
        plain.initial.as_ref(),
        moving.and_then(|m| m.initial.as_ref()),
    ]
}

fn pg_operator(scan: &mut Scan<'_>) {
    scan.push_fixed(PG_OPERATOR, "pg_operator");
    for o in scan.operators() {
        if scan.wants(1, o.id) && scan.wants_text(2, &o.name) {
            scan.push(row![
                o.id,
                &o.name,
                o.schema,
                o.owner,
                if o.left == 0 { 'l' } else { 'b' },
                o.can_merge,
                o.can_hash,
                o.left,
                o.right,
                o.result,
                o.commutator,
                o.negator,
                o.procedure,
                o.restrict,
                o.join,
            ]);
        }
    }
}

/// The fixed part of pg_operator.
pub(super) fn operators() -> Vec<Vec<Datum>> {
    let make = |o: &builtin::Operator| {
        row![
            o.oid,
            o.name,
            PG_CATALOG_SCHEMA,
            POSTGRES_ROLE,
            if o.left == 0 { 'l' } else { 'b' },
            o.can_merge,
            o.can_hash,
            o.left,
            o.right,
            o.result,
            o.commutator,
            o.negator,
            o.proc,
            o.restrict,
            o.join,
        ]
    };
    builtin::operators().iter().map(make).collect()
}

pub(super) fn casts() -> Vec<Vec<Datum>> {
    let make = |c: &builtin::Cast| {
        let context = match c.context {
            CastContext::Implicit => 'i',
            CastContext::Assignment => 'a',
            CastContext::Explicit => 'e',
        };
        let method = match c.method {
            CastMethod::Function => 'f',
            CastMethod::InOut => 'i',
            CastMethod::Binary => 'b',
        };
        row![c.oid, c.source, c.target, c.function, context, method]
    };
    builtin::casts().iter().map(make).collect()
}
