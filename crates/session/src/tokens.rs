//! Known outcomes: a client names its transaction by `SET hyrax.txn_token`, and asks by `hyrax_txn_status` what became of it.
//!
//! A token belongs to the role that logged in and to the database. It goes with the commit of a transaction that has written
//! something; one that has not leaves no trace, and is `aborted` for who asks: doing it again does no harm.

use crate::session::Session;
use crate::state::SessionState;
use exec::SessionAccess;
use std::sync::Arc;
use txn::{Gateway, Token, TokenOutcome};
use types::{Result, SqlError, SqlState};

pub(crate) const SETTING: &str = "hyrax.txn_token";

impl Session {
    fn token(&self) -> Option<Arc<str>> {
        match self.derived.is_stale(&self.state) {
            true => crate::derived::token(&self.state.settings.lock()),
            false => self.derived.token.clone(),
        }
    }

    /// Before the commit: HX001 or HX002 where the token has had its outcome.
    pub(crate) async fn claim_token(&mut self) -> Result<()> {
        let Some(text) = self.token() else { return Ok(()) };
        let Some(txn) = self.open.as_ref().map(|open| open.txn.clone()).filter(|txn| txn.has_writes()) else {
            return Ok(());
        };
        let token = Token { database: self.state.database, role: self.state.login_user, text: &text };
        match txn.claim_token(&token).await? {
            None => Ok(()),
            Some(TokenOutcome::Committed) => {
                let message = format!("a transaction with token \"{text}\" is committed already");
                Err(SqlError::new(SqlState::TXN_TOKEN_COMMITTED, message)
                    .detail("This transaction was rolled back: its effects are there, from the first time.")
                    .hint("Go on as after a commit. For another transaction SET hyrax.txn_token to another value, or RESET it."))
            }
            Some(TokenOutcome::Aborted) => {
                let message = format!("the transaction with token \"{text}\" was declared aborted");
                Err(SqlError::new(SqlState::TXN_TOKEN_ABORTED, message)
                    .detail(
                        "hyrax_txn_status has answered \"aborted\" for this token: nothing commits under it any more.",
                    )
                    .hint("Do the transaction again under another token."))
            }
        }
    }
}

impl SessionState {
    /// Whether a session's open transaction is to commit under the token. Its own counts once it has written.
    fn is_under_way(&self, token: &str) -> bool {
        let is_of = |other: &SessionState| {
            other.database == self.database
                && other.login_user == self.login_user
                && other.setting(SETTING).as_deref() == Some(token)
        };
        self.shared.sessions().iter().filter(|other| is_of(other)).any(|other| {
            other.transaction_facts().is_some_and(|facts| facts.has_writes || other.id != self.id && facts.has_locks)
        })
    }

    pub(crate) async fn token_status(&self, gateway: &Arc<Gateway>, text: &str) -> Result<&'static str> {
        if text.is_empty() || text.len() > txn::TOKEN_BYTES_MAX {
            let message = format!("a transaction's token has 1 to {} bytes", txn::TOKEN_BYTES_MAX);
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
        if self.is_under_way(text) {
            return Ok("unknown");
        }
        let token = Token { database: self.database, role: self.login_user, text };
        Ok(match gateway.token_outcome(&token).await? {
            Some(TokenOutcome::Committed) => "committed",
            Some(TokenOutcome::Aborted) => "aborted",
            None => "unknown",
        })
    }
}
