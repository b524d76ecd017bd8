//! Where rows went whose primary key was changed, for who waited for them under the old key (READ COMMITTED follows a row).
//!
//! A row is its key here, so a change of the key is a delete and an insert, and the log knows no more. This is a leader's
//! memory of which went together, and like its locks nothing depends on it: what is forgotten is a row that has gone.
//! One move per place stays, the newest; who made it is checked against who wrote the version that is found.

use crate::locks::{Owner, RowKey};
use crate::recent::Key;
use parking_lot::Mutex;
use storage::StorageId;

/// Moves that are remembered.
const PLACES: usize = 1024;
/// Moves of one row in one transaction that are followed.
const STEPS_MAX: usize = 16;

struct Move {
    owner: Owner,
    relation: StorageId,
    from: Key,
    slot: u16,
    to: Key,
}

pub struct Moves(Box<[Mutex<Option<Move>>]>);

impl Default for Moves {
    fn default() -> Moves {
        Moves((0..PLACES).map(|_| Mutex::new(None)).collect())
    }
}

impl Moves {
    fn place(&self, row: &RowKey) -> &Mutex<Option<Move>> {
        &self.0[row.hash as usize % PLACES]
    }

    /// `owner`, who holds the lock of `row`, is about to give it another key.
    pub fn note(&self, owner: Owner, row: &RowKey, slot: u16, to: &[u8]) {
        let made = Move { owner, relation: row.relation, from: row.key.clone(), slot, to: Key::from_slice(to) };
        *self.place(row).lock() = Some(made);
    }

    /// Slot and key that `owner` gave the row in the end.
    pub fn follow(&self, owner: Owner, row: &RowKey) -> Option<(u16, Key)> {
        let mut found = self.step(owner, row)?;
        for _ in 1..STEPS_MAX {
            match self.step(owner, &RowKey::new(row.relation, &found.1)) {
                Some(next) => found = next,
                None => return Some(found),
            }
        }
        None
    }

    fn step(&self, owner: Owner, row: &RowKey) -> Option<(u16, Key)> {
        let place = self.place(row).lock();
        let made = place.as_ref()?;
        let is_it = made.owner == owner && made.relation == row.relation && made.from == row.key;
        is_it.then(|| (made.slot, made.to.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_followed_to_where_its_last_writer_put_it() {
        let (moves, relation) = (Moves::default(), StorageId(100));
        let row = |key: &str| RowKey::new(relation, key.as_bytes());
        moves.note(Owner(7), &row("a"), 1, b"b");
        moves.note(Owner(7), &row("b"), 2, b"c");
        moves.note(Owner(8), &row("x"), 3, b"y");
        let key = |owner, from| moves.follow(Owner(owner), &row(from)).map(|(slot, key)| (slot, key.to_vec()));
        assert_eq!(key(7, "a"), Some((2, b"c".to_vec())));
        assert_eq!(key(8, "x"), Some((3, b"y".to_vec())));
        assert_eq!(key(8, "a"), None, "another has written it last");
        assert_eq!(key(7, "c"), None);
        // Round and round: no key is the last.
        moves.note(Owner(7), &row("c"), 2, b"b");
        assert_eq!(key(7, "a"), None);
    }
}
