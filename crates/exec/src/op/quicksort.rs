//! Bentley and McIlroy's quicksort ("Engineering a Sort Function", 1993), which is PostgreSQL's too.
//!
//! Of rows that compare equal SQL promises no order, and yet people see one: examples, window frames by rows, and tests of clients show
//! what PostgreSQL happens to give. For a result that somebody reads with his eyes this gives the same; longer ones are
//! sorted by whatever is fastest.

use std::cmp::Ordering;

/// Rows up to which the order of equal ones is PostgreSQL's.
pub(crate) const ROWS_MAX: usize = 1_000;
/// Below it, insertion; above the second and third, the pivot is the median of three and of nine.
const INSERTION: usize = 7;
const NINTHER: usize = 40;

/// Sorts at most a few thousand items: recursion goes into the shorter side, so it is as deep as the logarithm of their number.
pub(crate) fn sort<T>(items: &mut [T], compare: &impl Fn(&T, &T) -> Ordering) {
    let mut items = items;
    loop {
        let n = items.len();
        if items.is_sorted_by(|a, b| compare(a, b) != Ordering::Greater) {
            return;
        }
        if n < INSERTION {
            return insertion(items, compare);
        }
        items.swap(0, pivot(items, compare));
        let (below, above) = partition(items, compare);
        let (left, rest) = items.split_at_mut(below);
        let right_start = rest.len() - above;
        let (_, right) = rest.split_at_mut(right_start);
        if below <= above {
            sort(left, compare);
            items = right;
        } else {
            sort(right, compare);
            items = left;
        }
    }
}

fn insertion<T>(items: &mut [T], compare: &impl Fn(&T, &T) -> Ordering) {
    for from in 1..items.len() {
        let mut at = from;
        while at > 0 && compare(&items[at - 1], &items[at]) == Ordering::Greater {
            items.swap(at - 1, at);
            at -= 1;
        }
    }
}

fn median<T>(items: &[T], [a, b, c]: [usize; 3], compare: &impl Fn(&T, &T) -> Ordering) -> usize {
    let is = |x: usize, y: usize, order| compare(&items[x], &items[y]) == order;
    if is(a, b, Ordering::Less) {
        if is(b, c, Ordering::Less) {
            b
        } else if is(a, c, Ordering::Less) {
            c
        } else {
            a
        }
    } else if is(b, c, Ordering::Greater) {
        b
    } else if is(a, c, Ordering::Less) {
        a
    } else {
        c
    }
}

fn pivot<T>(items: &[T], compare: &impl Fn(&T, &T) -> Ordering) -> usize {
    let n = items.len();
    let (mut low, mut middle, mut high) = (0, n / 2, n - 1);
    if n == INSERTION {
        return middle;
    }
    if n > NINTHER {
        let step = n / 8;
        low = median(items, [low, low + step, low + 2 * step], compare);
        middle = median(items, [middle - step, middle, middle + step], compare);
        high = median(items, [high - 2 * step, high - step, high], compare);
    }
    median(items, [low, middle, high], compare)
}

/// Parts the items by the first one; how many are below it (in front) and above it (behind).
fn partition<T>(items: &mut [T], compare: &impl Fn(&T, &T) -> Ordering) -> (usize, usize) {
    let n = items.len();
    // Equal ones gather at both ends: [0, equal_low) and (equal_high, n). `high` is one more than the place it means.
    let (mut equal_low, mut low, mut high, mut equal_high) = (1, 1, n, n);
    loop {
        while low < high {
            match compare(&items[low], &items[0]) {
                Ordering::Greater => break,
                Ordering::Equal => {
                    items.swap(equal_low, low);
                    equal_low += 1;
                }
                Ordering::Less => {}
            }
            low += 1;
        }
        while low < high {
            match compare(&items[high - 1], &items[0]) {
                Ordering::Less => break,
                Ordering::Equal => {
                    equal_high -= 1;
                    items.swap(high - 1, equal_high);
                }
                Ordering::Greater => {}
            }
            high -= 1;
        }
        if low >= high {
            break;
        }
        items.swap(low, high - 1);
        low += 1;
        high -= 1;
    }
    // They belong between the two sides.
    let (below, above) = (low - equal_low, equal_high - high);
    exchange(items, 0, low, equal_low.min(below));
    exchange(items, low, n, above.min(n - equal_high));
    (below, above)
}

/// Exchanges the `count` items from `start` on with the last ones before `end`.
fn exchange<T>(items: &mut [T], start: usize, end: usize, count: usize) {
    for n in 0..count {
        items.swap(start + n, end - count + n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(items: impl IntoIterator<Item = u32>, key: impl Fn(u32) -> u32) -> Vec<u32> {
        let mut items: Vec<u32> = items.into_iter().collect();
        sort(&mut items, &|a, b| key(*a).cmp(&key(*b)));
        items
    }

    #[test]
    fn whatever_comes_is_sorted() {
        let mut seed = 1_u64;
        for n in (0..80).chain([500, 1_000]) {
            for keys in [2, 7, 1_000_000] {
                let items: Vec<u32> = (0..n)
                    .map(|_| {
                        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        (seed >> 33) as u32 % keys
                    })
                    .collect();
                let mut expected = items.clone();
                expected.sort_unstable();
                assert_eq!(sorted(items, |x| x), expected);
            }
        }
    }

    /// Recorded from PostgreSQL 15: `SELECT … ORDER BY key`.
    #[test]
    fn equal_rows_come_in_postgresqls_order() {
        assert_eq!(sorted([4, 2, 1, 6, 9, 8, 5, 3, 7, 0], |u| u % 4), [0, 8, 4, 5, 9, 1, 6, 2, 3, 7]);
        assert_eq!(sorted(0..12, |u| u * 7 % 3), [0, 3, 6, 9, 10, 1, 7, 4, 11, 5, 8, 2]);
        let by_five = [
            30, 45, 25, 5, 0, 40, 10, 35, 15, 20, 3, 48, 28, 23, 38, 13, 33, 43, 8, 18, 6, 1, 11, 16, 21, 26, 31, 36,
            41, 46, 29, 49, 34, 14, 39, 9, 44, 24, 4, 19, 27, 2, 32, 17, 42, 7, 47, 37, 12, 22,
        ];
        assert_eq!(sorted(0..50, |u| u * 7 % 5), by_five);
    }
}
