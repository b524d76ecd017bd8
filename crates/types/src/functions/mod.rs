//! Implementations of built-in functions, by `Proc::symbol` (operators and casts are functions too).
//!
//! Each topic file exports `SCALARS: &[(&str, ScalarFn)]` and, where it has any, `SETS: &[(&str, SetFn)]`.
//! A strict function is never called with a NULL argument: the caller has looked at `Proc::strict`.
//! Functions that need a session or the catalog (`nextval`, `current_user`, `pg_get_indexdef`) are in `exec`.

use crate::{CallContext, Datum, Result};
use foldhash::{HashMap, HashMapExt};
use std::sync::OnceLock;

/// One value from the arguments.
pub type ScalarFn = fn(&CallContext<'_>, &[Datum]) -> Result<Datum>;

/// The rows of a set-returning function, produced one at a time; each row has one datum per result column.
pub type RowIter = Box<dyn Iterator<Item = Result<Vec<Datum>>> + Send>;
pub type SetFn = fn(&CallContext<'_>, &[Datum]) -> Result<RowIter>;

/// Topic files, in no order that matters. A symbol may appear once (a test checks it).
const SCALARS: &[&[(&str, ScalarFn)]] = &[];
const SETS: &[&[(&str, SetFn)]] = &[];

fn table<F: Copy>(topics: &[&[(&'static str, F)]]) -> HashMap<&'static str, F> {
    let mut map = HashMap::new();
    for topic in topics {
        for (symbol, function) in *topic {
            map.insert(*symbol, *function);
        }
    }
    map
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
