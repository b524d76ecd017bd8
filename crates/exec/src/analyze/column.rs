//! What a sample says about a column: PostgreSQL's measures, so that the planner's formulas and readers of pg_stats find what
//! they expect.

use super::sample::Cell;
use catalog::ColumnStatistics;
use std::cmp::Ordering;
use types::{Datum, FormatSettings, SqlType, compare, io};

/// A value must be this many times as frequent as the average of the others to be kept as a common one.
const COMMON_FACTOR: f64 = 1.25;
/// Above this share of the rows, a number of distinct values is taken to grow with the relation.
const GROWING_SHARE: f64 = 0.1;

/// A run of equal values in the sorted sample.
struct Group {
    start: usize,
    count: usize,
}

/// `has_order`: whether values can be compared; `rows`: of the whole relation; `order`: each sampled row's number in it; `target`: how much detail.
pub(super) fn describe(
    number: i16,
    ty: SqlType,
    has_order: bool,
    cells: &[Cell],
    order: &[u64],
    rows: u64,
    target: usize,
) -> ColumnStatistics {
    let (mut nulls, mut wide, mut width) = (0usize, 0usize, 0u64);
    let mut values: Vec<(&Datum, u64)> = vec![];
    for (cell, number) in cells.iter().zip(order) {
        match cell {
            Cell::Null => nulls += 1,
            Cell::Wide(bytes) => {
                wide += 1;
                width += u64::from(*bytes);
            }
            Cell::Value(value, bytes) => {
                width += u64::from(*bytes);
                values.push((value, *number));
            }
        }
    }
    let present = values.len() + wide;
    let mut statistics = ColumnStatistics {
        number,
        null_fraction: share(nulls, cells.len()),
        average_width: if present == 0 { 0.0 } else { width as f64 / present as f64 },
        ..ColumnStatistics::default()
    };
    if present == 0 || !has_order {
        return statistics;
    }
    values.sort_by(|a, b| compare::compare(ty, a.0, b.0).then(a.1.cmp(&b.1)));
    let groups = groups(ty, &values);
    let rows_present = rows as f64 * (1.0 - statistics.null_fraction);
    statistics.distinct = distinct(&groups, present, wide, rows as f64, rows_present);
    let is_whole = cells.len() as u64 == rows;
    let common = common_values(&groups, present, wide, &statistics, is_whole, rows as f64, target);
    let text = |at: usize| {
        let value = values.get(at).map_or(&Datum::Null, |v| v.0);
        io::to_text(ty, value, &FormatSettings::default()).to_string()
    };
    statistics.common = common.iter().map(|g| (text(g.start), share(g.count, cells.len()))).collect();
    statistics.histogram = histogram(&values, &common, &groups, target).into_iter().map(text).collect();
    statistics.correlation = correlation(&values);
    statistics
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn groups(ty: SqlType, values: &[(&Datum, u64)]) -> Vec<Group> {
    let mut groups: Vec<Group> = vec![];
    let mut before: Option<&Datum> = None;
    for (at, (value, _)) in values.iter().enumerate() {
        match (before, groups.last_mut()) {
            (Some(before), Some(group)) if compare::compare(ty, before, value) == Ordering::Equal => group.count += 1,
            _ => groups.push(Group { start: at, count: 1 }),
        }
        before = Some(value);
    }
    groups
}

/// Distinct values of the relation: a number, or as a negative number their share of its rows. Haas and Stokes's Duj1.
fn distinct(groups: &[Group], present: usize, wide: usize, rows: f64, rows_present: f64) -> f64 {
    let once = groups.iter().filter(|g| g.count == 1).count();
    // Wide values are taken to differ from all others.
    if once + wide == present {
        return -(rows_present / rows);
    }
    if once == 0 && wide == 0 {
        return groups.len() as f64;
    }
    let (seen, once, found) = (present as f64, (once + wide) as f64, (groups.len() + wide) as f64);
    let all = rows_present.max(seen);
    let estimate = (seen * found / (seen - once + once * seen / all)).clamp(found, all).round();
    if estimate > GROWING_SHARE * rows { -(estimate / rows) } else { estimate }
}

/// The values worth telling apart, most frequent first.
fn common_values<'g>(
    groups: &'g [Group],
    present: usize,
    wide: usize,
    statistics: &ColumnStatistics,
    is_whole: bool,
    rows: f64,
    target: usize,
) -> Vec<&'g Group> {
    let mut common: Vec<&Group> = groups.iter().filter(|g| g.count > 1).collect();
    common.sort_by(|a, b| b.count.cmp(&a.count).then(a.start.cmp(&b.start)));
    common.truncate(target);
    // All values there are, if they are few: then the list is all there is to know.
    let has_all = wide == 0 && common.len() == groups.len() && (statistics.distinct > 0.0 || is_whole);
    if has_all {
        return common;
    }
    let distinct = match statistics.distinct {
        d if d < 0.0 => -d * rows,
        d => d,
    };
    let average = present as f64 / distinct.max(1.0);
    let least = (average * COMMON_FACTOR).max(2.0);
    common.retain(|g| g.count as f64 >= least);
    common
}

/// Places of the bounds of parts with as many values each, over the values that are not common.
fn histogram(values: &[(&Datum, u64)], common: &[&Group], groups: &[Group], target: usize) -> Vec<usize> {
    if groups.len() - common.len() < 2 {
        return vec![];
    }
    let mut starts: Vec<(usize, usize)> = common.iter().map(|g| (g.start, g.count)).collect();
    starts.sort_unstable();
    let mut rest = Vec::with_capacity(values.len());
    let mut at = 0;
    for (start, count) in starts {
        rest.extend(at..start);
        at = start + count;
    }
    rest.extend(at..values.len());
    let bounds = (target + 1).min(groups.len() - common.len());
    let last = rest.len() - 1;
    (0..bounds).filter_map(|n| rest.get(n * last / (bounds - 1)).copied()).collect()
}

/// How far the order of the values is the order of the rows: 1 the same, -1 the reverse.
fn correlation(values: &[(&Datum, u64)]) -> f64 {
    let count = values.len() as f64;
    if values.len() < 2 {
        return 0.0;
    }
    let mut by_row: Vec<usize> = (0..values.len()).collect();
    by_row.sort_by_key(|at| values.get(*at).map_or(0, |v| v.1));
    // The sums of a rank, of its square, and of its product with the other rank.
    let sum = count * (count - 1.0) / 2.0;
    let squares = (count - 1.0) * count * (2.0 * count - 1.0) / 6.0;
    let products: f64 = by_row.iter().enumerate().map(|(row, at)| row as f64 * *at as f64).sum();
    (count * products - sum * sum) / (count * squares - sum * sum)
}
