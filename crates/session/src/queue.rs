//! The statements of a simple-query string, in their turn.
//!
//! A string is read to its end before any of it runs. Where it holds many statements, only their places are kept, and each is read a
//! second time when it is to run: a dump of a hundred thousand needs the memory of one.

use crate::session::{Queued, Session};
use crate::shared::wall;
use crate::statement::PreparedStatement;
use exec::MemoryBudget;
use exec::budget::Reservation;
use sql::{Parsed, Piece, Statement};
use std::collections::VecDeque;
use std::sync::Arc;
use types::{Result, SqlError, SqlState};

/// Shorter texts are not counted.
const COUNTED_TEXT: usize = 1 << 20;
/// Memory for a byte of a statement's text: its tokens, then its trees.
const MEMORY_OF_BYTE: usize = 32;

/// What is still to be run of a string.
#[derive(Default)]
pub(crate) struct Queue {
    ready: VecDeque<Queued>,
    later: Option<Later>,
    /// What the trees of a long text may take, until the string is through.
    #[expect(dead_code, reason = "held")]
    memory: Option<Reservation>,
}

/// Statements that are known to be right, and are still to be read.
struct Later {
    text: Arc<str>,
    pieces: std::vec::IntoIter<Piece>,
}

impl Queue {
    pub fn of(queued: Queued) -> Queue {
        Queue { ready: VecDeque::from([queued]), ..Queue::default() }
    }

    pub fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.later.as_ref().is_none_or(|later| later.pieces.len() == 0)
    }

    pub fn is_one(&self) -> bool {
        self.ready.len() == 1 && self.later.is_none()
    }

    pub fn clear(&mut self) {
        *self = Queue::default();
    }

    /// The only statement.
    pub fn only(&self) -> Option<&Queued> {
        self.ready.front().filter(|_| self.is_one())
    }
}

impl Session {
    /// All statements of a text.
    pub(crate) async fn queue_of(&mut self, text: Arc<str>) -> Result<Queue> {
        let memory = self.memory_of_text(text.len())?;
        let statements = match self.parse_many_anywhere(&text).await? {
            Parsed::Statements(statements) => statements,
            Parsed::Pieces(pieces) => {
                let later = Some(Later { text, pieces: pieces.into_iter() });
                return Ok(Queue { later, ..Queue::default() });
            }
        };
        let is_one = statements.len() == 1;
        let own = |statement: &Statement| if is_one { text.clone() } else { Arc::from(statement.text()) };
        let ready = statements.into_iter().map(|statement| self.queued(own(&statement), statement)).collect();
        Ok(Queue { ready, later: None, memory })
    }

    /// 53200 where the node has no room for the trees of so long a text.
    pub(crate) fn memory_of_text(&self, bytes: usize) -> Result<Option<Reservation>> {
        if bytes < COUNTED_TEXT {
            return Ok(None);
        }
        let wanted = bytes.saturating_mul(MEMORY_OF_BYTE);
        let mut memory = Reservation::new(&MemoryBudget::new(wanted, self.shared.memory.clone()));
        match memory.try_grow(wanted) {
            true => Ok(Some(memory)),
            false => Err(SqlError::new(SqlState::OUT_OF_MEMORY, "out of memory")
                .detail(format!("Failed on request of size {wanted} for a statement's text of {bytes} bytes."))
                .hint("Send less in one statement (COPY takes any number of rows), or raise max_memory.")),
        }
    }

    fn queued(&self, text: Arc<str>, syntax: Statement) -> Queued {
        let now = wall(&self.shared.host);
        Queued::from(PreparedStatement::new(text, Some(Arc::new(syntax)), vec![], now))
    }

    /// The statement whose turn it is.
    pub(crate) async fn next_queued(&mut self) -> Result<Option<Queued>> {
        loop {
            if let Some(queued) = self.queue.ready.pop_front() {
                return Ok(Some(queued));
            }
            let Some(later) = &mut self.queue.later else { return Ok(None) };
            let Some(piece) = later.pieces.next() else { return Ok(None) };
            let text = later.text.clone();
            if let Some(queued) = self.from_template(piece.text(&text)) {
                return Ok(Some(queued));
            }
            for statement in self.parse_piece_anywhere(&text, piece).await? {
                let queued = self.queued(Arc::from(statement.text()), statement);
                self.queue.ready.push_back(queued);
            }
        }
    }
}
