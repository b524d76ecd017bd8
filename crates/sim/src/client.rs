//! Level 8. A client: a session without a socket, and what its answers mean.

use crate::dice::Dice;
use crate::machine::{Machine, Node};
use exec::BoxFuture;
use exec::output::ValueFormat;
use session::{Login, Session, Sink, SinkMark};
use sql::ResultColumn;
use std::sync::Arc;
use std::time::Duration;
use types::{Result, SqlError};

/// Rows as text.
pub type Rows = Vec<Vec<Option<String>>>;

/// SQLSTATEs that a client has to expect. Any other is a finding.
const EXPECTED: &[&str] = &["40001", "40P01", "40003", "53100", "55P03", "57014", "72000"];

/// Why there is no answer.
#[derive(Debug)]
pub enum Failed {
    /// The node is gone: nothing is known of the statement.
    Lost,
    Error(SqlError),
}

/// What became of a transaction, as far as its client can know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    Committed,
    /// It never happened, and never will.
    Aborted,
    Unknown,
}

pub struct Client {
    pub id: u64,
    pub dice: Dice,
    pub machine: Arc<Machine>,
    session: Session,
    sink: Collected,
}

impl Client {
    pub fn connect(node: &Node, machine: Arc<Machine>, id: u64, dice: Dice) -> Result<Client> {
        let login = Login {
            user: "postgres".into(),
            database: "postgres".into(),
            settings: vec![("application_name".into(), format!("client {id}"))],
            process_id: id as i32 + 1,
            client: None,
            server: None,
            encryption: None,
        };
        let session = Session::new(node.clone(), login)?;
        Ok(Client { id, dice, machine, session, sink: Collected::default() })
    }

    pub fn now(&self) -> Duration {
        self.machine.now()
    }

    /// Sleeps, mostly briefly.
    pub async fn pause(&mut self, most: Duration) {
        let pause = self.dice.pause(most);
        host::clock::sleep(pause).await;
    }

    /// One string of statements.
    pub async fn run(&mut self, text: &str) -> Result<Rows, Failed> {
        self.sink.bytes.clear();
        self.machine.waits(self.id, Some(text));
        let result = self.session.simple(text, &mut self.sink).await;
        self.machine.waits(self.id, None);
        self.session.idle();
        if self.machine.power.is_down() {
            return Err(Failed::Lost);
        }
        let (id, now) = (self.id, self.now());
        match result {
            Ok(_) => {
                let rows = rows_of(&self.sink.bytes);
                self.machine.trace.tell(|| format!("{now:?} client {id}: {text} -> {rows:?}"));
                Ok(rows)
            }
            Err(error) => {
                let code = error.code().as_str().to_owned();
                self.machine.trace.tell(|| format!("{now:?} client {id}: {text} -> {code} {}", error.message()));
                Err(Failed::Error(error))
            }
        }
    }

    /// Takes note of an error that no client should see. Of those in `also` it knows why.
    pub fn expect(&self, failed: &Failed, also: &[&str], text: &str) {
        if let Failed::Error(error) = failed
            && !EXPECTED.iter().chain(also).any(|code| *code == error.code().as_str())
        {
            let error = format!("{} {}", error.code().as_str(), error.message());
            self.machine.find(format!("unexpected error: client {}: {text} -> {error}", self.id));
        }
    }

    /// Runs a statement whose error ends the transaction, if there is one: back to idle.
    pub async fn run_in(&mut self, text: &str, also: &[&str]) -> Result<Rows, Fate> {
        match self.run(text).await {
            Ok(rows) => Ok(rows),
            Err(failed) => {
                self.expect(&failed, also, text);
                Err(self.give_up(failed).await)
            }
        }
    }

    /// A statement by itself, or COMMIT: what the failure means for the transaction.
    pub async fn give_up(&mut self, failed: Failed) -> Fate {
        let Failed::Error(error) = failed else { return Fate::Unknown };
        let fate = if error.code().as_str() == "40003" { Fate::Unknown } else { Fate::Aborted };
        match self.session.block().letter() {
            b'I' => fate,
            _ => match self.run("ROLLBACK").await {
                Ok(_) => fate,
                Err(_) => Fate::Unknown,
            },
        }
    }

    pub async fn end(mut self) {
        self.session.end().await;
    }
}

/// An answer's rows, as DataRow frames.
#[derive(Default)]
struct Collected {
    bytes: Vec<u8>,
}

/// The rows of DataRow frames.
fn rows_of(mut bytes: &[u8]) -> Rows {
    let mut rows = Vec::new();
    while let Some((row, rest)) = frame(bytes) {
        rows.extend(row);
        bytes = rest;
    }
    rows
}

fn frame(bytes: &[u8]) -> Option<(Option<Vec<Option<String>>>, &[u8])> {
    let (kind, rest) = bytes.split_first()?;
    let length = i32::from_be_bytes(*rest.first_chunk::<4>()?) as usize;
    let (body, rest) = rest.split_at_checked(length)?;
    if *kind != b'D' {
        return Some((None, rest));
    }
    let mut body = body.get(6..)?;
    let mut row = Vec::new();
    while let Some((length, values)) = body.split_first_chunk::<4>() {
        let length = i32::from_be_bytes(*length);
        let size = usize::try_from(length).unwrap_or(0);
        let (value, values) = values.split_at_checked(size)?;
        row.push((length >= 0).then(|| String::from_utf8_lossy(value).into_owned()));
        body = values;
    }
    Some((Some(row), rest))
}

impl Sink for Collected {
    fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
    fn row_description(&mut self, _: &[ResultColumn], _: &[ValueFormat]) {}
    fn command_complete(&mut self, _: &str) {}
    fn empty_query(&mut self) {}
    fn notice(&mut self, _: &SqlError) {}
    fn copy_in(&mut self, _: bool, _: usize) {}
    fn copy_out(&mut self, _: bool, _: usize) {}
    fn copy_done(&mut self) {}
    fn is_full(&mut self) -> bool {
        false
    }
    fn flow(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }
    fn mark(&mut self) -> SinkMark {
        SinkMark { flushes: 0, bytes: self.bytes.len() }
    }
    fn rewind(&mut self, mark: SinkMark) -> bool {
        self.bytes.truncate(mark.bytes);
        true
    }
}
