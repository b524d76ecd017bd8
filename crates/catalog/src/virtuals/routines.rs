//! pg_proc, pg_operator and pg_cast, from the tables that the binder resolves calls with.

use super::row::{array_or_null, row, vector};
use crate::descriptor::{INFORMATION_SCHEMA, PG_CATALOG_SCHEMA, POSTGRES_ROLE};
use types::builtin::{self, CastContext, CastMethod, Proc, ProcKind, Volatility};
use types::{Datum, Oid, oid};

const LANGUAGE_INTERNAL: Oid = 12;

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
