//! What the sessions of a node share, below the wire: the stack they run on, the node's budgets, its settings.

use crate::config::Config;
use crate::threads::Workers;
use host::Host;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use txn::Gateway;

/// 2000-01-01 UTC in microseconds since 1970: PostgreSQL's day zero.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

/// One per node.
pub struct Engine {
    pub host: Host,
    pub gateway: Arc<Gateway>,
    /// What sessions share: the catalog, memory for statements, who is connected.
    pub shared: Arc<session::Shared>,
    pub config: Config,
    /// Where long statements may run.
    pub workers: Workers,
    /// When the process started, in microseconds since 2000-01-01 UTC.
    pub started_at: i64,
    /// Where clients connect, with the port that was taken.
    pub sql_address: SocketAddr,
}

impl Engine {
    /// Logs a statement that took as long as `log_min_duration_statement` or longer.
    pub fn log_slow(&self, text: &str, took: Duration) {
        let milliseconds = took.as_secs_f64() * 1e3;
        tracing::info!(duration_ms = milliseconds, statement = shortened(text), "slow statement");
        metrics::counter!("hyrax_slow_statements_total").increment(1);
    }
}

/// The wall clock, in microseconds since 2000-01-01 UTC.
pub fn postgres_now(host: &Host) -> i64 {
    host.clock.wall().saturating_sub(POSTGRES_EPOCH_MICROS)
}

/// Bytes of a statement's text in the log.
const LOGGED_TEXT_MAX: usize = 2_000;

fn shortened(text: &str) -> &str {
    let end = (0..=LOGGED_TEXT_MAX.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    text.get(..end.unwrap_or(0)).unwrap_or(text)
}

#[test]
fn logged_statements_are_cut_at_a_character() {
    let text = format!("{}é{}", "x".repeat(LOGGED_TEXT_MAX - 1), "y".repeat(10));
    assert_eq!(shortened(&text).len(), LOGGED_TEXT_MAX - 1);
    assert_eq!(shortened("short"), "short");
}
