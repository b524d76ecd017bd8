//! Implementations of built-in functions, by `Proc::symbol` (operators and casts are functions too).
//!
//! Each topic file exports `SCALARS: &[(&str, ScalarFn)]` (or several lists by theme) and, where it has any, `SETS: &[(&str, SetFn)]`.
//! A strict function is never called with a NULL argument: the caller has looked at `Proc::strict`.
//! Functions that need a session or the catalog (`nextval`, `current_user`, `pg_get_indexdef`) are in `exec`.

mod arrays;
mod bits;
mod bytes;
mod compare;
pub(crate) mod datetime;
mod enums;
pub(crate) mod float;
mod format_number;
mod hashes;
mod integer;
mod json;
mod jsonpath;
mod lsn;
mod money;
mod network;
mod nulls;
mod numeric;
mod patterns;
mod size;
#[cfg(test)]
mod stop_tests;
mod string_format;
mod strings;
#[cfg(test)]
pub(crate) mod test_support;
mod transition;
mod window_range;

pub use string_format::quote_ident;

use crate::{CallContext, Datum, Result, SqlType};
use foldhash::HashMap;
use std::sync::OnceLock;

/// One value from the arguments.
pub type ScalarFn = fn(&CallContext<'_>, &[Datum]) -> Result<Datum>;

/// The rows of a set-returning function, produced one at a time; each row has one datum per result column.
pub type RowIter = Box<dyn Iterator<Item = Result<Vec<Datum>>> + Send>;
pub type SetFn = fn(&CallContext<'_>, &[Datum]) -> Result<RowIter>;

/// Topic files, in no order that matters. A symbol may appear once (a test checks it).
const SCALARS: &[&[(&str, ScalarFn)]] = &[
    arrays::SCALARS,
    bits::SCALARS,
    bytes::PARTS,
    bytes::CODES,
    compare::MADE_OF_PREFIX,
    compare::OTHERWISE_NAMED,
    compare::SINGLE,
    compare::THREE_WAY,
    compare::EXTREMES,
    datetime::ARITHMETIC,
    datetime::SAME_TYPE,
    datetime::ACROSS_TYPES,
    datetime::THREE_WAY,
    datetime::EXTREMES,
    datetime::IN_RANGE,
    datetime::CONVERT,
    datetime::EXTRACT,
    datetime::FROM_CHAR,
    datetime::MAKE,
    datetime::OVERLAPS,
    datetime::TO_CHAR,
    datetime::TRUNCATE,
    enums::SCALARS,
    float::ARITHMETIC,
    float::PLAIN,
    float::CHECKED,
    float::CASTS,
    float::OTHERS,
    format_number::SCALARS,
    hashes::PLAIN,
    hashes::SEEDED,
    integer::ARITHMETIC,
    integer::BITS,
    integer::OTHERS,
    integer::CASTS,
    json::SCALARS,
    jsonpath::SCALARS,
    lsn::SCALARS,
    money::SCALARS,
    network::NETWORKS,
    network::HARDWARE,
    nulls::SCALARS,
    numeric::OPERATORS,
    numeric::CASTS,
    numeric::FUNCTIONS,
    patterns::LIKES,
    patterns::REGEXES,
    size::SCALARS,
    window_range::SCALARS,
    string_format::SCALARS,
    strings::LENGTHS,
    strings::CUTS,
    strings::MAPS,
    strings::CASTS,
    transition::SCALARS,
];
const SETS: &[&[(&str, SetFn)]] = &[
    arrays::SETS,
    datetime::SETS,
    integer::SETS,
    json::SETS,
    jsonpath::SETS,
    numeric::SETS,
    patterns::SETS,
    string_format::SETS,
];

fn table<F: Copy>(topics: &[&[(&'static str, F)]]) -> HashMap<&'static str, F> {
    topics.iter().flat_map(|topic| topic.iter()).copied().collect()
}

/// The static type of an argument. A VARIADIC "any" function called with more arguments than types has the last one's.
pub(crate) fn arg_type(context: &CallContext<'_>, index: usize) -> SqlType {
    let types = context.arg_types;
    types.get(index).or(types.last()).copied().unwrap_or(SqlType::UNKNOWN)
}

/// The implementation of a scalar function, if Hyrax has it.
pub fn scalar(symbol: &str) -> Option<ScalarFn> {
    static TABLE: OnceLock<HashMap<&'static str, ScalarFn>> = OnceLock::new();
    TABLE.get_or_init(|| table(SCALARS)).get(symbol).copied()
}

/// The implementation of a set-returning function, if Hyrax has it.
pub fn set(symbol: &str) -> Option<SetFn> {
    static TABLE: OnceLock<HashMap<&'static str, SetFn>> = OnceLock::new();
    TABLE.get_or_init(|| table(SETS)).get(symbol).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin;

    /// Strings, patterns, bytes, bits and arrays against the answers of PostgreSQL 15.
    #[test]
    fn texts_answer_as_postgres_does() {
        test_support::check_golden(include_str!("golden/texts.golden"));
    }

    /// How groups share a match, by random patterns.
    #[test]
    fn regexes_divide_as_in_postgres() {
        test_support::check_golden(include_str!("golden/regexes.golden"));
    }

    #[test]
    fn every_symbol_is_one_of_postgres_and_stands_once() {
        let known: foldhash::HashSet<&str> = builtin::procs().iter().map(|proc| proc.symbol).collect();
        let scalars = SCALARS.iter().flat_map(|topic| topic.iter()).map(|entry| entry.0);
        let sets = SETS.iter().flat_map(|topic| topic.iter()).map(|entry| entry.0);
        let mut seen = foldhash::HashSet::default();
        for symbol in scalars.chain(sets) {
            assert!(known.contains(symbol), "{symbol} is no symbol of pg_proc");
            assert!(seen.insert(symbol), "{symbol} stands twice");
        }
    }
}
