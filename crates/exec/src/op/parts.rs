//! Sorting in parts, between which the caller looks whether it is to stop, or lets others have their turn.

use std::cmp::Ordering;

/// Items that are sorted in one go; more are halved first.
const SORT_AT_ONCE: usize = 1 << 18;

/// A sort under way.
pub(crate) struct Parts<'i, T> {
    open: Vec<&'i mut [T]>,
}

impl<'i, T> Parts<'i, T> {
    pub fn new(items: &'i mut [T]) -> Parts<'i, T> {
        Parts { open: vec![items] }
    }

    /// How many items the next step works at; None: all are sorted.
    pub fn next_len(&self) -> Option<usize> {
        self.open.last().map(|part| part.len())
    }

    /// Sorts a part, or halves it. No two items may be equal, or their order is any.
    pub fn step(&mut self, compare: impl Fn(&T, &T) -> Ordering) {
        let Some(part) = self.open.pop() else { return };
        if part.len() <= SORT_AT_ONCE {
            return part.sort_unstable_by(compare);
        }
        let (below, _, above) = part.select_nth_unstable_by(part.len() / 2, compare);
        self.open.push(below);
        self.open.push(above);
    }
}

#[test]
fn what_is_sorted_in_parts_is_sorted() {
    let mut items: Vec<usize> = (0..SORT_AT_ONCE * 3).map(|n| n * 7919 % (SORT_AT_ONCE * 3)).collect();
    let mut parts = Parts::new(&mut items);
    let mut steps = 0;
    while parts.next_len().is_some() {
        parts.step(usize::cmp);
        steps += 1;
    }
    assert!(items.is_sorted());
    assert!(steps > 3, "{steps}");
}
