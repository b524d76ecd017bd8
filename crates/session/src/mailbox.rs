//! LISTEN, NOTIFY and UNLISTEN: what a session listens to, what its transaction will tell others, what has come for it.
//!
//! I1  LISTEN, UNLISTEN and NOTIFY take effect when their transaction commits, in the order in which they were said, and not at all
//!     if it does not.
//! I2  A session hears of every NOTIFY on its channels that commits after its LISTEN did, its own included; the same words said
//!     twice in one transaction are heard once.
//!     What comes while a transaction runs is heard after it, if the session still listens then.
//! I3  What waits for slow listeners is bounded for the node: a NOTIFY beyond is refused (54000), never dropped later.
//!
//! Notifications stay within a node and a database, and do not outlive the server, as in PostgreSQL.

use crate::shared::Shared;
use crate::state::SessionState;
use foldhash::HashSet;
use parking_lot::Mutex;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;
use types::{Result, SqlError, SqlState};

/// Bytes of a payload, and of a channel's name. PostgreSQL's limits.
const PAYLOAD_MAX: usize = 7_999;
const CHANNEL_MAX: usize = 63;
/// What LISTEN, UNLISTEN and NOTIFY of one transaction may come to.
const PENDING_MAX: usize = 100_000;
/// The same in bytes, which are added up now and then.
const PENDING_BYTES_MAX: usize = 64 << 20;
const PENDING_COUNTED: usize = 1_024;
/// Bytes that wait for the listeners of a node.
const WAITING_BYTES_MAX: usize = 256 << 20;
/// What a notification takes beside its payload, in each inbox.
const ENTRY_BYTES: usize = 64;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notification {
    /// Of the session that said it.
    pub process_id: i32,
    pub channel: Arc<str>,
    pub payload: Arc<str>,
}

enum Act {
    Listen(Arc<str>),
    /// None: everything.
    Unlisten(Option<Arc<str>>),
    Notify {
        channel: Arc<str>,
        payload: Arc<str>,
    },
}

impl Act {
    fn bytes(&self) -> usize {
        match self {
            Act::Listen(channel) => channel.len(),
            Act::Unlisten(channel) => channel.as_ref().map_or(0, |channel| channel.len()),
            Act::Notify { channel, payload } => channel.len() + payload.len(),
        }
    }
}

#[derive(Default)]
struct Inner {
    channels: BTreeSet<Arc<str>>,
    /// Of the running transaction.
    pending: Vec<Act>,
    /// The notifications in `pending`.
    said: HashSet<(Arc<str>, Arc<str>)>,
    inbox: VecDeque<Notification>,
}

/// How much of the room for notifications is taken.
pub(crate) fn usage(shared: &Shared) -> f64 {
    shared.mail_bytes.load(Ordering::Relaxed) as f64 / WAITING_BYTES_MAX as f64
}

/// One for each session.
#[derive(Default)]
pub(crate) struct Mailbox {
    inner: Mutex<Inner>,
    /// Whether there is anything to do at the end of a transaction.
    has_pending: AtomicBool,
    /// Whether the inbox holds something.
    has_mail: AtomicBool,
    signal: Arc<Notify>,
}

fn limit(message: &str) -> SqlError {
    SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
}

fn invalid(message: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

impl Mailbox {
    /// Fires when mail has come.
    pub fn signal(&self) -> Arc<Notify> {
        self.signal.clone()
    }

    pub fn listen(&self, channel: &str) -> Result<()> {
        self.put_off(Act::Listen(Arc::from(channel)))
    }

    pub fn unlisten(&self, channel: Option<&str>) -> Result<()> {
        self.put_off(Act::Unlisten(channel.map(Arc::from)))
    }

    pub fn notify(&self, shared: &Shared, channel: &str, payload: &str) -> Result<()> {
        match channel.len() {
            0 => return Err(invalid("channel name cannot be empty")),
            length if length > CHANNEL_MAX => return Err(invalid("channel name too long")),
            _ => {}
        }
        if payload.len() > PAYLOAD_MAX {
            return Err(invalid("payload string too long"));
        }
        if shared.mail_bytes.load(Ordering::Relaxed) > WAITING_BYTES_MAX {
            return Err(limit("too many notifications in the NOTIFY queue"));
        }
        let (channel, payload): (Arc<str>, Arc<str>) = (Arc::from(channel), Arc::from(payload));
        if !self.inner.lock().said.insert((channel.clone(), payload.clone())) {
            return Ok(());
        }
        self.put_off(Act::Notify { channel, payload })
    }

    fn put_off(&self, act: Act) -> Result<()> {
        let mut inner = self.inner.lock();
        let count = inner.pending.len();
        let is_much = || inner.pending.iter().map(Act::bytes).sum::<usize>() > PENDING_BYTES_MAX;
        if count >= PENDING_MAX || count % PENDING_COUNTED == PENDING_COUNTED - 1 && is_much() {
            return Err(limit("too many notifications in one transaction"));
        }
        inner.pending.push(act);
        self.has_pending.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The channels that the session listens to, in order.
    pub fn channels(&self) -> Vec<Arc<str>> {
        self.inner.lock().channels.iter().cloned().collect()
    }

    // --- with the transaction

    /// A place to go back to.
    pub fn mark(&self) -> usize {
        if self.has_pending.load(Ordering::Relaxed) { self.inner.lock().pending.len() } else { 0 }
    }

    /// Back to a savepoint; to 0 for the whole transaction.
    pub fn rewind(&self, mark: usize) {
        if !self.has_pending.load(Ordering::Relaxed) {
            return;
        }
        let mut inner = self.inner.lock();
        inner.pending.truncate(mark);
        inner.said = inner
            .pending
            .iter()
            .filter_map(|act| match act {
                Act::Notify { channel, payload } => Some((channel.clone(), payload.clone())),
                _ => None,
            })
            .collect();
        self.has_pending.store(!inner.pending.is_empty(), Ordering::Relaxed);
    }

    /// The transaction has committed.
    pub fn commit(&self, own: &SessionState) {
        if !self.has_pending.swap(false, Ordering::Relaxed) {
            return;
        }
        let mut told = vec![];
        {
            let mut inner = self.inner.lock();
            inner.said.clear();
            for act in std::mem::take(&mut inner.pending) {
                match act {
                    Act::Listen(channel) => _ = inner.channels.insert(channel),
                    Act::Unlisten(Some(channel)) => _ = inner.channels.remove(&channel),
                    Act::Unlisten(None) => inner.channels.clear(),
                    Act::Notify { channel, payload } => {
                        told.push(Notification { process_id: own.process_id, channel, payload });
                    }
                }
            }
        }
        if told.is_empty() {
            return;
        }
        for session in own.shared.sessions().iter().filter(|s| s.database == own.database) {
            session.mailbox.receive(&own.shared, &told);
        }
    }

    fn receive(&self, shared: &Shared, told: &[Notification]) {
        let mut inner = self.inner.lock();
        let before = inner.inbox.len();
        for notification in told {
            if inner.channels.contains(&notification.channel) {
                shared.mail_bytes.fetch_add(ENTRY_BYTES + notification.payload.len(), Ordering::Relaxed);
                inner.inbox.push_back(notification.clone());
            }
        }
        if inner.inbox.len() > before {
            self.has_mail.store(true, Ordering::Release);
            self.signal.notify_one();
        }
    }

    /// What has come, in order.
    pub fn take(&self, shared: &Shared) -> VecDeque<Notification> {
        if !self.has_mail.load(Ordering::Acquire) {
            return VecDeque::new();
        }
        let mut inner = self.inner.lock();
        self.has_mail.store(false, Ordering::Release);
        let mut mail = std::mem::take(&mut inner.inbox);
        let bytes = mail.iter().map(|n| ENTRY_BYTES + n.payload.len()).sum();
        shared.mail_bytes.fetch_sub(bytes, Ordering::Relaxed);
        // The transaction during which it came may have ended with UNLISTEN.
        mail.retain(|notification| inner.channels.contains(&notification.channel));
        mail
    }
}
