//! Routines, their parameters and rights. All may execute the built-in functions.

use super::super::Scan;
use super::super::row::row;
use super::{Viewer, nulls, type_facts, yes_or_no};
use crate::descriptor::POSTGRES_ROLE;
use types::builtin::{self, Proc, ProcKind, Volatility};
use types::{Datum, Oid};

const LANGUAGE_SQL: Oid = 14;

fn specific_name(p: &Proc) -> String {
    format!("{}_{}", p.name, p.oid)
}

/// Functions whose name the query lets through.
fn listed(scan: &Scan<'_>, name_at: i16) -> impl Iterator<Item = &'static Proc> + use<> {
    let wanted = scan.text(name_at).map(str::to_owned);
    builtin::procs().iter().filter(move |p| wanted.as_ref().is_none_or(|name| name == p.name))
}

fn data_type(ty: Oid) -> String {
    if builtin::element_of(ty).is_some() { "ARRAY".to_owned() } else { type_facts::data_type(ty) }
}

pub(super) fn routines(scan: &mut Scan<'_>) {
    let viewer = Viewer::new(scan);
    for p in listed(scan, 6) {
        let specific = specific_name(p);
        let kind = match p.kind {
            ProcKind::Function => Some("FUNCTION"),
            ProcKind::Procedure => Some("PROCEDURE"),
            ProcKind::Aggregate | ProcKind::Window => None,
        };
        let (udt_schema, udt_name) = type_facts::udt(viewer.catalog, p.result);
        let mut row = row![
            viewer.name,
            "pg_catalog",
            specific,
            viewer.name,
            "pg_catalog",
            p.name,
            kind,
            (),
            (),
            (),
            (),
            (),
            (),
            data_type(p.result),
        ];
        row.extend(nulls(14));
        row.extend(row![viewer.name, udt_schema, udt_name, (), (), (), (), "0"]);
        let is_sql = p.language == LANGUAGE_SQL;
        row.extend(row![
            if is_sql { "SQL" } else { "EXTERNAL" },
            Some(p.symbol).filter(|_| !is_sql && viewer.is(POSTGRES_ROLE)),
            (),
            if is_sql { "SQL" } else { "INTERNAL" },
            "GENERAL",
            yes_or_no(p.volatility == Volatility::Immutable),
            "MODIFIES",
            (p.kind != ProcKind::Procedure).then(|| yes_or_no(p.strict)),
            (),
            "YES",
            0i32,
            (),
            (),
            "INVOKER",
            (),
            (),
            (),
            "NO",
            (),
            (),
            (),
            "NO",
        ]);
        row.extend(nulls(24));
        scan.push(row);
    }
}

pub(super) fn parameters(scan: &mut Scan<'_>) {
    let viewer = Viewer::new(scan);
    for p in builtin::procs() {
        let specific = specific_name(p);
        if !scan.wants_text(3, &specific) {
            continue;
        }
        let all = if p.all_args.is_empty() { &p.args } else { &p.all_args };
        let defaults: Vec<&str> = p.default_exprs.split(", ").filter(|d| !d.is_empty()).collect();
        for (ty, place) in all.iter().zip(0usize..) {
            let mode = match p.modes.get(place).copied().unwrap_or('i') {
                'o' | 't' => "OUT",
                'b' => "INOUT",
                _ => "IN",
            };
            let (udt_schema, udt_name) = type_facts::udt(viewer.catalog, *ty);
            let number = i32::try_from(place + 1).unwrap_or(i32::MAX);
            let name = p.arg_names.get(place).copied().filter(|n| !n.is_empty());
            let first_default = p.args.len().saturating_sub(defaults.len());
            let default = place.checked_sub(first_default).and_then(|at| defaults.get(at)).copied();
            let mut row = row![viewer.name, "pg_catalog", &specific, number, mode, "NO", "NO", name, data_type(*ty),];
            row.extend(nulls(14));
            row.extend(row![viewer.name, udt_schema, udt_name, (), (), (), (), number.to_string(), default]);
            scan.push(row);
        }
    }
}

pub(super) fn privileges(scan: &mut Scan<'_>, with_public: bool) {
    let viewer = Viewer::new(scan);
    let is_owner = viewer.is(POSTGRES_ROLE);
    for p in listed(scan, 8) {
        let grantor: Datum = scan.role_name(POSTGRES_ROLE);
        let mut add = |grantee: Datum, option: &str| {
            scan.push(row![
                grantor.clone(),
                grantee,
                viewer.name,
                "pg_catalog",
                specific_name(p),
                viewer.name,
                "pg_catalog",
                p.name,
                "EXECUTE",
                option,
            ]);
        };
        if with_public || is_owner {
            add(Datum::text("PUBLIC"), "NO");
        }
        if is_owner {
            add(grantor.clone(), "YES");
        }
    }
}
