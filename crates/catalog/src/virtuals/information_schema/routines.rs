//! Routines, their parameters and rights: the built-in ones, which all may execute, and those that users made.

use super::super::Scan;
use super::super::routines::LANGUAGE_SQL;
use super::super::row::row;
use super::{Viewer, nulls, type_facts, yes_or_no};
use crate::descriptor::*;
use crate::privileges::{self, Target};
use types::builtin::{self, Proc, ProcKind, Volatility};
use types::{Datum, Oid};

/// What the relations here tell about a routine.
struct Routine<'a> {
    id: Oid,
    schema: &'a str,
    name: &'a str,
    kind: ProcKind,
    owner: Oid,
    grants: Vec<Grant>,
    result: Oid,
    is_sql: bool,
    /// Shown to the owner.
    source: Option<&'a str>,
    is_immutable: bool,
    strict: bool,
    security_definer: bool,
    /// Mode in pg_proc's letters, name or nothing, type, default.
    parameters: Vec<(char, &'a str, Oid, Option<&'a str>)>,
}

impl<'a> Routine<'a> {
    fn builtin(p: &'static Proc) -> Routine<'static> {
        let all = if p.all_args.is_empty() { &p.args } else { &p.all_args };
        let defaults: Vec<&str> = p.default_exprs.split(", ").filter(|d| !d.is_empty()).collect();
        let first_default = p.args.len().saturating_sub(defaults.len());
        let parameter = |(place, ty): (usize, &Oid)| {
            let default = place.checked_sub(first_default).and_then(|at| defaults.get(at)).copied();
            let mode = p.modes.get(place).copied().unwrap_or('i');
            (mode, p.arg_names.get(place).copied().unwrap_or_default(), *ty, default)
        };
        let is_sql = p.language == LANGUAGE_SQL;
        let grant = |grantee| Grant { grantee, grantor: POSTGRES_ROLE, rights: privilege::EXECUTE, grantable: 0 };
        Routine {
            id: p.oid,
            schema: "pg_catalog",
            name: p.name,
            kind: p.kind,
            owner: POSTGRES_ROLE,
            grants: vec![grant(0), grant(POSTGRES_ROLE)],
            result: p.result,
            is_sql,
            source: (!is_sql).then_some(p.symbol),
            is_immutable: p.volatility == Volatility::Immutable,
            strict: p.strict,
            security_definer: false,
            parameters: all.iter().enumerate().map(parameter).collect(),
        }
    }

    fn of_user(scan: &Scan<'a>, f: &'a Function) -> Routine<'a> {
        let parameter = |p: &'a Parameter| (p.mode.letter(), p.name.as_str(), p.ty, p.default.as_deref());
        Routine {
            id: f.id,
            schema: scan.schema_name(f.schema),
            name: &f.name,
            kind: if f.aggregate().is_some() { ProcKind::Aggregate } else { ProcKind::Function },
            owner: f.owner,
            grants: Target::Function(f).list(),
            result: f.result,
            is_sql: true,
            source: match &f.body {
                FunctionBody::Text(text) => Some(text),
                FunctionBody::Return { .. } | FunctionBody::Atomic { .. } | FunctionBody::Aggregate(_) => None,
            },
            is_immutable: f.volatility == FunctionVolatility::Immutable,
            strict: f.strict,
            security_definer: f.security_definer,
            parameters: f.parameters.iter().map(parameter).collect(),
        }
    }

    fn specific_name(&self) -> String {
        format!("{}_{}", self.name, self.id)
    }
}

/// Functions that the viewer owns or may execute, and whose name the query lets through.
fn listed<'a>(scan: &Scan<'a>, viewer: &Viewer<'_>, name_at: Option<i16>) -> Vec<Routine<'a>> {
    let wanted = name_at.and_then(|at| scan.text(at));
    let is_wanted = |name: &str| wanted.is_none_or(|wanted| wanted == name);
    let builtin = builtin::procs().iter().filter(|p| is_wanted(p.name)).map(Routine::builtin);
    let may =
        |f: &Function| privileges::held(viewer.catalog, viewer.role, Target::Function(f), privilege::EXECUTE) != 0;
    let seen = scan.functions().filter(|f| is_wanted(&f.name) && (viewer.is(f.owner) || may(f)));
    let mut all: Vec<Routine<'a>> = builtin.collect();
    all.extend(seen.map(|f| Routine::of_user(scan, f)));
    all
}

fn data_type(viewer: &Viewer<'_>, ty: Oid) -> String {
    match builtin::element_of(ty) {
        Some(_) => "ARRAY".to_owned(),
        None if viewer.catalog.relation_of_type(ty).is_some_and(|r| r.row_array_type == ty) => "ARRAY".to_owned(),
        None if viewer.catalog.relation_of_type(ty).is_some() => "USER-DEFINED".to_owned(),
        None => type_facts::data_type(ty),
    }
}

pub(super) fn routines(scan: &mut Scan<'_>) {
    let viewer = Viewer::new(scan);
    for r in listed(scan, &viewer, Some(6)) {
        let kind = match r.kind {
            ProcKind::Function => Some("FUNCTION"),
            ProcKind::Procedure => Some("PROCEDURE"),
            ProcKind::Aggregate | ProcKind::Window => None,
        };
        let (udt_schema, udt_name) = type_facts::udt(viewer.catalog, r.result);
        let mut row = row![
            viewer.name,
            r.schema,
            r.specific_name(),
            viewer.name,
            r.schema,
            r.name,
            kind,
            (),
            (),
            (),
            (),
            (),
            (),
            data_type(&viewer, r.result),
        ];
        row.extend(nulls(14));
        row.extend(row![viewer.name, udt_schema, udt_name, (), (), (), (), "0"]);
        row.extend(row![
            if r.is_sql { "SQL" } else { "EXTERNAL" },
            r.source.filter(|_| viewer.is(r.owner)),
            (),
            if r.is_sql { "SQL" } else { "INTERNAL" },
            "GENERAL",
            yes_or_no(r.is_immutable),
            "MODIFIES",
            (r.kind != ProcKind::Procedure).then(|| yes_or_no(r.strict)),
            (),
            "YES",
            0i32,
            (),
            (),
            if r.security_definer { "DEFINER" } else { "INVOKER" },
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
    for r in listed(scan, &viewer, None) {
        let specific = r.specific_name();
        if !scan.wants_text(3, &specific) {
            continue;
        }
        for ((mode, name, ty, default), number) in r.parameters.iter().zip(1i32..) {
            let mode = match mode {
                'o' | 't' => "OUT",
                'b' => "INOUT",
                _ => "IN",
            };
            let (udt_schema, udt_name) = type_facts::udt(viewer.catalog, *ty);
            let name = Some(*name).filter(|n| !n.is_empty());
            let ty = data_type(&viewer, *ty);
            let mut row = row![viewer.name, r.schema, &specific, number, mode, "NO", "NO", name, ty];
            row.extend(nulls(14));
            row.extend(row![viewer.name, udt_schema, udt_name, (), (), (), (), number.to_string(), *default]);
            scan.push(row);
        }
    }
}

/// Who may execute what: grants to and by the viewer's roles, and those to PUBLIC.
pub(super) fn privileges(scan: &mut Scan<'_>, with_public: bool) {
    let viewer = Viewer::new(scan);
    for r in listed(scan, &viewer, Some(8)) {
        for grant in r.grants.iter().filter(|g| g.rights & privilege::EXECUTE != 0) {
            let is_public = grant.grantee == 0;
            let is_ours = viewer.is(grant.grantor) || !is_public && viewer.is(grant.grantee);
            let is_shown = is_ours || is_public && with_public;
            if !is_shown {
                continue;
            }
            let grantee = if is_public { Datum::text("PUBLIC") } else { scan.role_name(grant.grantee) };
            let is_grantable = grant.grantee == r.owner || grant.grantable & privilege::EXECUTE != 0;
            scan.push(row![
                scan.role_name(grant.grantor),
                grantee,
                viewer.name,
                r.schema,
                r.specific_name(),
                viewer.name,
                r.schema,
                r.name,
                "EXECUTE",
                yes_or_no(is_grantable),
            ]);
        }
    }
}
