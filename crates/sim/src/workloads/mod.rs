//! Level 8. What clients do, and what must hold of it.
//!
//! A workload owns its tables and the history of what its clients were told. It promises nothing of the database: it says
//! what was seen, and `Machine::find` takes note where that breaks a promise.

mod append;
mod bank;
mod counter;
mod ddl;
mod foreign_keys;
mod graph;
mod index;
mod unique;

use crate::client::Client;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

pub type Work<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

pub trait Workload: Send + Sync {
    fn name(&self) -> &'static str;
    /// Makes what it needs; may be run again from the beginning after a crash.
    fn setup(&self) -> Vec<String>;
    /// One operation of a client. Returns early when the node is gone.
    fn step<'a>(&'a self, client: &'a mut Client) -> Work<'a, ()>;
    /// Looks at everything. After every start; `is_last`: nothing runs beside it, and nothing comes after it.
    fn verify<'a>(&'a self, client: &'a mut Client, is_last: bool) -> Work<'a, ()>;
}

/// The names of `--scenario`.
pub const NAMES: &[&str] = &["append", "register", "bank", "counter", "unique", "foreign_keys", "index", "ddl"];

pub fn by_name(name: &str) -> Option<Arc<dyn Workload>> {
    Some(match name {
        "append" => Arc::new(append::Append::transactions()),
        "register" => Arc::new(append::Append::registers()),
        "bank" => Arc::new(bank::Bank),
        "counter" => Arc::new(counter::Counter::default()),
        "unique" => Arc::new(unique::Unique::default()),
        "foreign_keys" => Arc::new(foreign_keys::ForeignKeys::default()),
        "index" => Arc::new(index::Index),
        "ddl" => Arc::new(ddl::Ddl::default()),
        _ => return None,
    })
}

/// A number in a row; what is not there is none.
fn number(row: &[Option<String>], column: usize) -> Option<i64> {
    row.get(column)?.as_ref()?.parse().ok()
}
