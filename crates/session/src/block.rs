//! The state of a session's transaction block, as the protocol's ReadyForQuery tells it, apart from what runs inside.
//!
//! ```text
//!            BEGIN                    error
//!   Idle ------------> InBlock ------------------> Failed
//!     ^                   |                          |
//!     +-- COMMIT/ROLLBACK-+-------- ROLLBACK --------+      (COMMIT in Failed rolls back, too)
//! ```
//!
//! A simple-query string of several statements, and everything between two Syncs, runs in one *implicit* block: it
//! commits at the end, and an error undoes all of it. BEGIN inside makes it an explicit one from there on, with what
//! ran before inside it (PostgreSQL's rule).
//!
//! Pure: takes what happened, says what to do. Owns no transaction.

use types::{Result, Severity, SqlError, SqlState};

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BlockState {
    #[default]
    Idle,
    /// Statements that belong together without a BEGIN.
    Implicit,
    InBlock,
    Failed,
}

/// What the session does with its transaction for a control statement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Nothing to do with the transaction.
    Keep,
    Start,
    Commit,
    Rollback,
}

/// An action, with what to tell the client.
#[derive(Clone, PartialEq, Debug)]
pub struct Verdict {
    pub action: Action,
    pub warning: Option<SqlError>,
    /// The tag, where it is not the statement's own (`ROLLBACK` for a COMMIT of a failed block).
    pub tag: &'static str,
}

fn verdict(action: Action, tag: &'static str) -> Verdict {
    Verdict { action, warning: None, tag }
}

fn warned(action: Action, tag: &'static str, code: SqlState, message: &str) -> Verdict {
    Verdict { action, warning: Some(SqlError::new(code, message).severity(Severity::Warning)), tag }
}

const NONE_IN_PROGRESS: &str = "there is no transaction in progress";

impl BlockState {
    /// The letter of ReadyForQuery.
    pub fn letter(self) -> u8 {
        match self {
            BlockState::Idle | BlockState::Implicit => b'I',
            BlockState::InBlock => b'T',
            BlockState::Failed => b'E',
        }
    }

    pub fn is_in_block(self) -> bool {
        matches!(self, BlockState::InBlock | BlockState::Failed)
    }

    /// 25P02 for a statement that may not run in a failed block. `ends_block`: ROLLBACK, COMMIT, ROLLBACK TO and their like.
    pub fn check_runnable(self, ends_block: bool) -> Result<()> {
        if self == BlockState::Failed && !ends_block {
            return Err(SqlError::new(
                SqlState::IN_FAILED_SQL_TRANSACTION,
                "current transaction is aborted, commands ignored until end of transaction block",
            ));
        }
        Ok(())
    }

    /// 25001 for statements that cannot be part of a block (`CREATE DATABASE`).
    pub fn prevent(self, statement: &str) -> Result<()> {
        match self {
            BlockState::Idle => Ok(()),
            BlockState::Implicit => Err(SqlError::new(
                SqlState::ACTIVE_SQL_TRANSACTION,
                format!("{statement} cannot be executed within a pipeline"),
            )),
            BlockState::InBlock | BlockState::Failed => Err(SqlError::new(
                SqlState::ACTIVE_SQL_TRANSACTION,
                format!("{statement} cannot run inside a transaction block"),
            )),
        }
    }

    /// 25P01 for statements that make sense in a block only (SAVEPOINT, DECLARE without HOLD, LOCK TABLE).
    pub fn require(self, statement: &str) -> Result<()> {
        if self.is_in_block() {
            return Ok(());
        }
        Err(SqlError::new(
            SqlState::NO_ACTIVE_SQL_TRANSACTION,
            format!("{statement} can only be used in transaction blocks"),
        ))
    }

    pub fn begin(&mut self) -> Verdict {
        match self {
            BlockState::Idle => {
                *self = BlockState::InBlock;
                verdict(Action::Start, "BEGIN")
            }
            BlockState::Implicit => {
                *self = BlockState::InBlock;
                verdict(Action::Keep, "BEGIN")
            }
            BlockState::InBlock | BlockState::Failed => warned(
                Action::Keep,
                "BEGIN",
                SqlState::ACTIVE_SQL_TRANSACTION,
                "there is already a transaction in progress",
            ),
        }
    }

    /// COMMIT [AND CHAIN].
    pub fn commit(&mut self, chain: bool) -> Result<Verdict> {
        let (action, tag) = match self {
            BlockState::InBlock => (Action::Commit, "COMMIT"),
            BlockState::Failed => (Action::Rollback, "ROLLBACK"),
            BlockState::Idle | BlockState::Implicit if chain => return Err(no_chain("COMMIT")),
            BlockState::Idle | BlockState::Implicit => {
                *self = BlockState::Idle;
                return Ok(warned(Action::Commit, "COMMIT", SqlState::NO_ACTIVE_SQL_TRANSACTION, NONE_IN_PROGRESS));
            }
        };
        *self = if chain { BlockState::InBlock } else { BlockState::Idle };
        Ok(verdict(action, tag))
    }

    /// ROLLBACK [AND CHAIN].
    pub fn rollback(&mut self, chain: bool) -> Result<Verdict> {
        match self {
            BlockState::InBlock | BlockState::Failed => {
                *self = if chain { BlockState::InBlock } else { BlockState::Idle };
                Ok(verdict(Action::Rollback, "ROLLBACK"))
            }
            BlockState::Idle | BlockState::Implicit if chain => Err(no_chain("ROLLBACK")),
            BlockState::Idle | BlockState::Implicit => {
                *self = BlockState::Idle;
                Ok(warned(Action::Rollback, "ROLLBACK", SqlState::NO_ACTIVE_SQL_TRANSACTION, NONE_IN_PROGRESS))
            }
        }
    }

    /// A statement failed: what becomes of the transaction.
    pub fn fail(&mut self) -> Action {
        match self {
            BlockState::InBlock | BlockState::Failed => {
                *self = BlockState::Failed;
                Action::Keep
            }
            BlockState::Idle | BlockState::Implicit => {
                *self = BlockState::Idle;
                Action::Rollback
            }
        }
    }

    /// ROLLBACK TO SAVEPOINT succeeded: the block goes on.
    pub fn recover(&mut self) {
        if *self == BlockState::Failed {
            *self = BlockState::InBlock;
        }
    }

    /// Before a statement outside a block: starts the implicit one.
    pub fn start_statement(&mut self) -> Action {
        if *self == BlockState::Idle {
            *self = BlockState::Implicit;
            return Action::Start;
        }
        Action::Keep
    }

    /// The end of a simple-query string, or Sync.
    pub fn end_implicit(&mut self) -> Action {
        if *self == BlockState::Implicit {
            *self = BlockState::Idle;
            return Action::Commit;
        }
        Action::Keep
    }
}

fn no_chain(statement: &str) -> SqlError {
    SqlError::new(
        SqlState::NO_ACTIVE_SQL_TRANSACTION,
        format!("{statement} AND CHAIN can only be used in transaction blocks"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_block_takes_only_its_end_and_commit_rolls_back() {
        let mut state = BlockState::Idle;
        assert_eq!(state.begin().action, Action::Start);
        assert_eq!(state.fail(), Action::Keep);
        assert_eq!(state.letter(), b'E');
        assert_eq!(state.check_runnable(false).unwrap_err().code(), SqlState::IN_FAILED_SQL_TRANSACTION);
        assert!(state.check_runnable(true).is_ok());
        assert_eq!(state.commit(false).unwrap(), verdict(Action::Rollback, "ROLLBACK"));
        assert_eq!(state, BlockState::Idle);
    }

    #[test]
    fn an_error_undoes_the_whole_implicit_block() {
        let mut state = BlockState::Idle;
        assert_eq!(state.start_statement(), Action::Start);
        assert_eq!(state.start_statement(), Action::Keep);
        assert_eq!(state.fail(), Action::Rollback);
        assert_eq!(state, BlockState::Idle);
    }

    #[test]
    fn begin_inside_an_implicit_block_takes_over_what_ran_before() {
        let mut state = BlockState::Idle;
        state.start_statement();
        assert_eq!(state.begin().action, Action::Keep);
        assert_eq!(state.end_implicit(), Action::Keep);
        assert_eq!(state, BlockState::InBlock);
    }

    #[test]
    fn control_statements_outside_a_block_warn() {
        let mut state = BlockState::Idle;
        let verdict = state.commit(false).unwrap();
        assert_eq!(verdict.warning.map(|w| w.code()), Some(SqlState::NO_ACTIVE_SQL_TRANSACTION));
        assert_eq!(state.rollback(true).unwrap_err().code(), SqlState::NO_ACTIVE_SQL_TRANSACTION);
        assert_eq!(state.require("SAVEPOINT").unwrap_err().code(), SqlState::NO_ACTIVE_SQL_TRANSACTION);
        state.begin();
        assert_eq!(state.begin().warning.map(|w| w.code()), Some(SqlState::ACTIVE_SQL_TRANSACTION));
        assert_eq!(state.prevent("CREATE DATABASE").unwrap_err().code(), SqlState::ACTIVE_SQL_TRANSACTION);
    }

    #[test]
    fn rollback_to_a_savepoint_revives_a_failed_block() {
        let mut state = BlockState::InBlock;
        state.fail();
        state.recover();
        assert_eq!(state, BlockState::InBlock);
    }
}
