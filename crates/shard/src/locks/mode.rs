//! The four row lock modes.

/// PostgreSQL's four row lock modes, weakest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum LockMode {
    KeyShare = 0,
    Share = 1,
    NoKeyUpdate = 2,
    Update = 3,
}

impl LockMode {
    pub fn from_u8(byte: u8) -> Option<LockMode> {
        [LockMode::KeyShare, LockMode::Share, LockMode::NoKeyUpdate, LockMode::Update].get(usize::from(byte)).copied()
    }

    /// PostgreSQL's matrix (13.3.2, "Conflicting Row-Level Locks").
    pub fn conflicts_with(self, other: LockMode) -> bool {
        use LockMode::*;
        match (self, other) {
            (KeyShare, Update) | (Update, KeyShare) => true,
            (KeyShare, _) | (_, KeyShare) => false,
            (Share, Share) => false,
            _ => true,
        }
    }
}

/// What to do when the lock is held by another.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum WaitPolicy {
    /// Waits, up to `lock_timeout` (55P03) or the statement's deadline (57014).
    Wait,
    /// 55P03 at once.
    NoWait,
    /// The row is left out (`Skipped`).
    Skip,
}

#[cfg(test)]
mod tests {
    use super::LockMode::{self, *};

    #[test]
    fn matrix_is_postgresqls() {
        let conflicts = |a: LockMode| [KeyShare, Share, NoKeyUpdate, Update].map(|b| a.conflicts_with(b));
        assert_eq!(conflicts(KeyShare), [false, false, false, true]);
        assert_eq!(conflicts(Share), [false, false, true, true]);
        assert_eq!(conflicts(NoKeyUpdate), [false, true, true, true]);
        assert_eq!(conflicts(Update), [true, true, true, true]);
    }
}
