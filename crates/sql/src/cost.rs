//! The cost model: PostgreSQL's units (1.0 is a sequential page read), shaped for ordered keys in memory maps.

use types::{SqlType, builtin};

pub(crate) const TUPLE: f64 = 0.01;
pub(crate) const OPERATOR: f64 = 0.0025;
const PAGE_BYTES: f64 = 8192.0;
/// Finding one key in a tree.
pub(crate) const DESCENT: f64 = 0.3;
/// Fetching a row by the key that an index entry holds.
const FETCH: f64 = 0.2;
/// Reading values out of an index entry's key, whose form is made for comparing.
pub(crate) const ENTRY: f64 = 0.008;
/// Assumed bytes of a value of variable length.
const VARIABLE_WIDTH: u32 = 32;

/// What a node is thought to yield and cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Cost {
    pub rows: f64,
    pub startup: f64,
    pub total: f64,
}

impl Cost {
    pub fn new(rows: f64, startup: f64, total: f64) -> Cost {
        Cost { rows: rows.max(1.0).round(), startup, total }
    }
}

pub(crate) fn type_width(ty: SqlType) -> u32 {
    builtin::type_by_oid(ty.oid).and_then(|t| u32::try_from(t.len).ok()).unwrap_or(VARIABLE_WIDTH)
}

/// All rows of a relation of `rows` rows of `width` bytes.
pub(crate) fn seq_scan(rows: f64, width: f64, conjuncts: usize, selected: f64) -> Cost {
    let run = rows * width / PAGE_BYTES + rows * (TUPLE + OPERATOR * conjuncts as f64);
    Cost::new(selected, 0.0, run)
}

/// `fetched` entries of an index in `descents` places; `clustered`: the row lies in the entry itself.
pub(crate) fn index_scan(fetched: f64, descents: f64, clustered: bool, conjuncts: usize, selected: f64) -> Cost {
    let per_row = if clustered { TUPLE } else { TUPLE + FETCH };
    Cost::new(selected, DESCENT, DESCENT * descents + fetched * (per_row + OPERATOR * conjuncts as f64))
}

pub(crate) fn sort(input: Cost, top: Option<f64>) -> Cost {
    let kept = top.map_or(input.rows, |n| n.min(input.rows)).max(2.0);
    let compare = input.rows * kept.log2() * 2.0 * OPERATOR;
    let startup = input.total + compare;
    Cost { rows: kept.min(input.rows), startup, total: startup + OPERATOR * kept }
}

pub(crate) fn hash_join(left: Cost, right: Cost, rows: f64) -> Cost {
    let startup = left.startup + right.total + right.rows * (TUPLE + OPERATOR);
    Cost::new(rows, startup, startup + (left.total - left.startup) + left.rows * OPERATOR + rows * TUPLE)
}

/// Two sides that are sorted.
pub(crate) fn merge_join(left: Cost, right: Cost, rows: f64) -> Cost {
    let run = left.total + right.total + (left.rows + right.rows) * OPERATOR;
    Cost::new(rows, left.startup + right.startup, run + rows * TUPLE)
}

/// The right side is kept after the first time, or restarted (`restarted`) with each left row.
pub(crate) fn nested_loop(left: Cost, right: Cost, rows: f64, restarted: bool) -> Cost {
    let again = if restarted { right.total } else { right.rows * OPERATOR };
    let run = left.total + right.total + (left.rows - 1.0).max(0.0) * again + left.rows * right.rows * OPERATOR;
    Cost::new(rows, left.startup + right.startup, run + rows * TUPLE)
}

pub(crate) fn lookup_join(left: Cost, matches: f64, clustered: bool, rows: f64) -> Cost {
    let per_row = DESCENT + matches * if clustered { TUPLE } else { TUPLE + FETCH };
    Cost::new(rows, left.startup + DESCENT, left.total + left.rows * per_row + rows * TUPLE)
}

/// An operator that works off its input row by row.
pub(crate) fn streamed(input: Cost, rows: f64, expressions: usize) -> Cost {
    Cost::new(rows, input.startup, input.total + input.rows * OPERATOR * expressions as f64)
}

/// An operator that reads all of its input first.
pub(crate) fn blocking(input: Cost, rows: f64, expressions: usize) -> Cost {
    let startup = input.total + input.rows * OPERATOR * expressions.max(1) as f64;
    Cost::new(rows, startup, startup + rows * TUPLE)
}
