//! Where a running statement computes: in the session's own thread, or, if it will take long, in a worker's, so that the other
//! sessions of the thread go on.

use exec::{Batch, Execution};
use host::Spawn;
use std::sync::Arc;
use tokio::sync::mpsc;
use types::stop::{StopCheck, wanted};
use types::{Result, SqlError};

/// Batches that a worker computes ahead of the client.
const AHEAD: usize = 2;

/// What a worker sends.
pub(crate) enum Piece {
    Rows(Batch),
    /// The number for the command tag.
    End(u64),
}

pub(crate) enum Feed {
    Here(Box<Execution>),
    Away { pieces: mpsc::Receiver<Result<Piece>>, affected: u64 },
}

impl Feed {
    pub fn here(execution: Execution) -> Feed {
        Feed::Here(Box::new(execution))
    }

    /// Hands the execution to a worker. It ends when it is through, or when this feed is dropped.
    pub fn away(mut execution: Execution, stop: StopCheck, workers: &Arc<dyn Spawn>) -> Feed {
        let (sender, pieces) = mpsc::channel(AHEAD);
        let task = async move {
            loop {
                let piece = match wanted(&stop, execution.next()).await {
                    Ok(Some(batch)) => Ok(Piece::Rows(batch)),
                    Ok(None) => Ok(Piece::End(execution.rows_affected())),
                    Err(error) => Err(error),
                };
                let is_last = !matches!(piece, Ok(Piece::Rows(_)));
                if sender.send(piece).await.is_err() || is_last {
                    return;
                }
            }
        };
        workers.spawn("statement", Box::pin(task));
        Feed::Away { pieces, affected: 0 }
    }

    /// `rows`: how many are asked for, if not all; there may be more.
    pub async fn next(&mut self, rows: Option<usize>) -> Result<Option<Batch>> {
        match self {
            Feed::Here(execution) => {
                execution.want(rows);
                execution.next().await
            }
            Feed::Away { pieces, affected } => match pieces.recv().await {
                Some(Ok(Piece::Rows(batch))) => Ok(Some(batch)),
                Some(Ok(Piece::End(count))) => {
                    *affected = count;
                    Ok(None)
                }
                Some(Err(error)) => Err(error),
                None => Err(SqlError::internal("the statement ended in a panic")),
            },
        }
    }

    pub fn rows_affected(&self) -> u64 {
        match self {
            Feed::Here(execution) => execution.rows_affected(),
            Feed::Away { affected, .. } => *affected,
        }
    }
}
