//! Known outcomes (invariant 10 of the transactions' design): a client's token, stored with the commit that it names.
//!
//! I1  A token is committed at most once: its row is claimed like any key that must be unique, in the transaction it names.
//! I2  `Aborted` is a fact, never a guess (R10): who asks and finds nothing writes it down, and nothing commits under that token
//!     from then on. So a COMMIT that is still on its way when the client asks can not make the answer false.
//! I3  Rows older than the retention go. Who asks later is told `Aborted` whatever there was: clients must ask in time.
//!
//! A row: key = database, role (u32 each), the token; value = format, outcome, microseconds since 1970. It lives on the data shard,
//! so that an ordinary commit stays one of one shard, and is as durable and as replicated as the rows that it speaks of.

use crate::transaction::Transaction;
use crate::{Direction, Gateway, Home, Isolation, KeyRange, LockMode, Locked, RelationRef, Result, StorageId};
use crate::{TxnError, TxnOptions, WaitPolicy};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

const TOKENS: RelationRef = RelationRef { storage: StorageId(5), id: 5, schema_version: 0, home: Home::Data };
const SLOT: u16 = 0;
/// Longest token, in bytes.
pub const TOKEN_BYTES_MAX: usize = 200;
const FORMAT: u8 = 1;
/// Rows looked at, and deleted, at a time.
const COLLECTED_AT_ONCE: usize = 1_000;

/// Whose token it is, and which.
#[derive(Clone, Copy, Debug)]
pub struct Token<'t> {
    pub database: u32,
    pub role: u32,
    pub text: &'t str,
}

impl Token<'_> {
    fn key(&self) -> Vec<u8> {
        let ids = [self.database.to_be_bytes(), self.role.to_be_bytes()];
        [ids.as_flattened(), self.text.as_bytes()].concat()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenOutcome {
    Committed,
    Aborted,
}

/// A row's value: what became of the token, and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Record {
    outcome: TokenOutcome,
    micros: i64,
}

impl Record {
    fn encode(self) -> [u8; 10] {
        let mut bytes = [0; 10];
        let head = [FORMAT, u8::from(self.outcome == TokenOutcome::Aborted)];
        bytes.iter_mut().zip(head.into_iter().chain(self.micros.to_be_bytes())).for_each(|(to, from)| *to = from);
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Record> {
        let damaged = || TxnError::Corrupt("the record of a transaction's token is damaged".to_owned());
        let (head, micros) = bytes.split_first_chunk::<2>().ok_or_else(damaged)?;
        let outcome = match head {
            [FORMAT, 0] => TokenOutcome::Committed,
            [FORMAT, 1] => TokenOutcome::Aborted,
            _ => return Err(damaged()),
        };
        let micros = micros.try_into().map(i64::from_be_bytes).map_err(|_| damaged())?;
        Ok(Record { outcome, micros })
    }
}

fn found(locked: Locked<'_>) -> Result<Option<TokenOutcome>> {
    match locked {
        Locked::Row { value, .. } => Record::decode(value).map(|record| Some(record.outcome)),
        Locked::Absent { .. } | Locked::Moved { .. } | Locked::Skipped => Ok(None),
    }
}

impl Transaction {
    /// Puts a token into what is to be committed. Some: it has its outcome already, and this transaction must not commit.
    pub async fn claim_token(&self, token: &Token<'_>) -> Result<Option<TokenOutcome>> {
        let key = token.key();
        let known = self.claim(&TOKENS, SLOT, &key, found).await??;
        if known.is_none() {
            let micros = self.inner.gateway.host().clock.wall();
            self.put(&TOKENS, SLOT, &key, &Record { outcome: TokenOutcome::Committed, micros }.encode())?;
        }
        Ok(known)
    }
}

impl Gateway {
    /// What became of a token; None: its commit is under way. What has no outcome yet is aborted from now on (I2).
    pub async fn token_outcome(self: &Arc<Self>, token: &Token<'_>) -> Result<Option<TokenOutcome>> {
        let key = token.key();
        loop {
            let txn = self.begin(TxnOptions { isolation: Isolation::ReadCommitted, ..TxnOptions::default() });
            txn.begin_statement().await?;
            let known = match txn.lock(&TOKENS, SLOT, &key, LockMode::Update, WaitPolicy::NoWait, found).await {
                Err(TxnError::LockNotAvailable { .. }) => return Ok(None),
                known => known??,
            };
            if known.is_some() {
                // Not told before it is durable.
                txn.settle().await?;
                return Ok(known);
            }
            let micros = self.host().clock.wall();
            txn.put(&TOKENS, SLOT, &key, &Record { outcome: TokenOutcome::Aborted, micros }.encode())?;
            match txn.commit().await {
                Ok(_) => return Ok(Some(TokenOutcome::Aborted)),
                Err(error) if error.retryable() => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Forgets tokens whose outcome is older. How many went.
    pub async fn collect_tokens(self: &Arc<Self>, retention: Duration) -> Result<usize> {
        let retention = i64::try_from(retention.as_micros()).unwrap_or(i64::MAX);
        let oldest = self.host().clock.wall().saturating_sub(retention);
        let mut range = KeyRange::all();
        let mut collected = 0;
        loop {
            let txn = self.begin(TxnOptions { isolation: Isolation::ReadCommitted, ..TxnOptions::default() });
            txn.begin_statement().await?;
            let mut old: Vec<Vec<u8>> = Vec::new();
            let mut last = None;
            let mut scan = txn.scan(&TOKENS, None, range.clone(), Direction::Forward);
            let visit = |key: &[u8], value: &[u8], _| {
                if Record::decode(value).is_ok_and(|record| record.micros < oldest) {
                    old.push(key.to_vec());
                }
                last = Some(key.to_vec());
                ControlFlow::Continue(())
            };
            let count = scan.next(COLLECTED_AT_ONCE, visit).await?;
            drop(scan);
            for key in &old {
                let is_free = txn.lock(&TOKENS, SLOT, key, LockMode::Update, WaitPolicy::Skip, |locked| {
                    !matches!(locked, Locked::Skipped)
                });
                if is_free.await? {
                    txn.delete(&TOKENS, SLOT, key)?;
                }
            }
            txn.commit().await?;
            collected += old.len();
            match last {
                Some(last) if count >= COLLECTED_AT_ONCE => range.start = [&last[..], &[0]].concat().into(),
                _ => return Ok(collected),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_and_damage_is_seen() {
        for outcome in [TokenOutcome::Committed, TokenOutcome::Aborted] {
            let record = Record { outcome, micros: -5 };
            assert_eq!(Record::decode(&record.encode()), Ok(record));
        }
        for damaged in [&b""[..], &[FORMAT], &[FORMAT, 2, 0, 0, 0, 0, 0, 0, 0, 0], &[FORMAT, 0, 1]] {
            assert!(matches!(Record::decode(damaged), Err(TxnError::Corrupt(_))), "{damaged:?}");
        }
    }
}
