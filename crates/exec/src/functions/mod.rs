//! Functions that need the session, the catalog or time: `types::functions` holds all others.
//!
//! By `Proc::symbol`, as there. `SESSION` ones answer at once, `WAITING` ones may wait (sequences, sleep), `SETS` give rows.

mod acl;
mod advisory;
mod catalog_info;
mod definitions;
mod objects;
mod privileges;
mod properties;
pub(crate) mod reg;
mod routines;
mod sequence;
mod session;
mod sizes;

pub(crate) use definitions::{rule_texts, view_text};

use crate::context::BoxFuture;
use crate::expr::EvalContext;
use foldhash::HashMap;
use std::sync::OnceLock;
use types::builtin::{Proc, ProcKind};
use types::functions::RowIter;
use types::{CallContext, Datum, Result, typename};

pub type SessionFn = fn(&EvalContext<'_>, &CallContext<'_>, &[Datum]) -> Result<Datum>;
pub type AsyncFn = for<'a> fn(EvalContext<'a>, Vec<Datum>) -> BoxFuture<'a, Result<Datum>>;
pub type SessionSetFn = fn(&EvalContext<'_>, &CallContext<'_>, &[Datum]) -> Result<RowIter>;

/// 2000-01-01 in microseconds since 1970.
pub(crate) const EPOCH_MICROS: i64 = 946_684_800_000_000;

const SESSION: &[&[(&str, SessionFn)]] = &[
    session::FUNCTIONS,
    sequence::FUNCTIONS,
    acl::FUNCTIONS,
    advisory::FUNCTIONS,
    catalog_info::FUNCTIONS,
    definitions::FUNCTIONS,
    objects::FUNCTIONS,
    privileges::FUNCTIONS,
    properties::FUNCTIONS,
    sizes::FUNCTIONS,
    reg::FUNCTIONS,
    routines::FUNCTIONS,
];
const WAITING: &[&[(&str, AsyncFn)]] = &[sequence::WAITING, session::WAITING, advisory::WAITING];
const SETS: &[&[(&str, SessionSetFn)]] = &[acl::SETS, catalog_info::SETS, objects::SETS, session::SETS];

fn table<F: Copy>(topics: &[&[(&'static str, F)]]) -> HashMap<&'static str, F> {
    topics.iter().flat_map(|topic| topic.iter()).copied().collect()
}

pub(crate) fn session(symbol: &str) -> Option<SessionFn> {
    static TABLE: OnceLock<HashMap<&'static str, SessionFn>> = OnceLock::new();
    TABLE.get_or_init(|| table(SESSION)).get(symbol).copied()
}

pub(crate) fn waiting(symbol: &str) -> Option<AsyncFn> {
    static TABLE: OnceLock<HashMap<&'static str, AsyncFn>> = OnceLock::new();
    TABLE.get_or_init(|| table(WAITING)).get(symbol).copied()
}

pub(crate) fn session_set(symbol: &str) -> Option<SessionSetFn> {
    static TABLE: OnceLock<HashMap<&'static str, SessionSetFn>> = OnceLock::new();
    TABLE.get_or_init(|| table(SETS)).get(symbol).copied()
}

/// Window functions that `op::window` knows, by symbol.
pub(crate) const WINDOW: &[&str] = &[
    "window_row_number",
    "window_rank",
    "window_dense_rank",
    "window_percent_rank",
    "window_cume_dist",
    "window_ntile",
    "window_lag",
    "window_lag_with_offset",
    "window_lag_with_offset_and_default",
    "window_lead",
    "window_lead_with_offset",
    "window_lead_with_offset_and_default",
    "window_first_value",
    "window_last_value",
    "window_nth_value",
];

/// Whether Hyrax can run a function, aggregate or window function; the binder refuses the others with 0A000.
pub fn is_implemented(proc: &Proc) -> bool {
    match proc.kind {
        ProcKind::Aggregate => types::aggregates::is_implemented(proc.oid),
        ProcKind::Window => WINDOW.contains(&proc.symbol),
        _ if proc.returns_set => types::functions::set(proc.symbol).is_some() || session_set(proc.symbol).is_some(),
        _ => {
            types::functions::scalar(proc.symbol).is_some()
                || session(proc.symbol).is_some()
                || waiting(proc.symbol).is_some()
        }
    }
}

/// `name(type, type)`, as messages name a function.
pub(crate) fn signature(proc: &Proc) -> String {
    let args: Vec<String> = proc.args.iter().map(|a| typename::format_type(*a, None)).collect();
    format!("{}({})", proc.name, args.join(", "))
}

/// What a void function gives.
pub(crate) fn void() -> Datum {
    Datum::text("")
}

/// A text argument; empty for NULL (strict functions never see one).
pub(crate) fn arg_str(args: &[Datum], index: usize) -> &str {
    match args.get(index) {
        Some(Datum::Text(text)) => text,
        _ => "",
    }
}

pub(crate) fn arg_oid(args: &[Datum], index: usize) -> u32 {
    match args.get(index) {
        Some(Datum::Oid(oid)) => *oid,
        Some(Datum::Int4(v)) => *v as u32,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::builtin;

    /// Symbols here are ones that PostgreSQL's functions have, and none is implemented twice.
    #[test]
    fn symbols_are_known_and_single() {
        let known: std::collections::BTreeSet<&str> = builtin::procs().iter().map(|p| p.symbol).collect();
        let all = SESSION
            .iter()
            .flat_map(|t| t.iter().map(|(s, _)| *s))
            .chain(WAITING.iter().flat_map(|t| t.iter().map(|(s, _)| *s)))
            .chain(SETS.iter().flat_map(|t| t.iter().map(|(s, _)| *s)))
            .chain(WINDOW.iter().copied());
        let mut seen = std::collections::BTreeSet::new();
        for symbol in all {
            assert!(known.contains(symbol) || symbol == sql::SEQUENCE_ROW, "{symbol} is no function of PostgreSQL");
            assert!(seen.insert(symbol), "{symbol} is implemented twice");
            assert!(types::functions::scalar(symbol).is_none(), "{symbol} is in types, too");
        }
    }
}
