//! Named bounds, and who may have a connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use types::Severity;
use types::{SqlError, SqlState};

/// A message before login, in bytes of its body.
pub const STARTUP_LIMIT: usize = 16 << 10;
/// A message after login: a value of full size (64 MiB) and its frame.
pub const MESSAGE_LIMIT: usize = 65 << 20;
/// A longer one can be nothing that a client means: the connection ends. PostgreSQL's limit.
pub(crate) const LENGTH_MAX: usize = 0x3fff_ffff;
/// A start-up packet, in bytes. PostgreSQL's limit.
pub(crate) const STARTUP_PACKET_LIMIT: usize = 10_000;
/// How full the output buffer may get before the socket is written.
pub const OUTPUT_BUFFER: usize = 64 << 10;
/// How much is read ahead of a running statement.
pub(crate) const READ_AHEAD: usize = 64 << 10;
/// What a client that has been told goodbye may still send, how long it may pause in it, and how long it may take in all.
pub(crate) const FAREWELL_BYTES: usize = 1 << 20;
pub(crate) const FAREWELL_PAUSE: Duration = Duration::from_millis(100);
pub(crate) const FAREWELL_TIME: Duration = Duration::from_secs(1);
/// A client that has not logged in by then is dropped.
pub(crate) const LOGIN_TIMEOUT: Duration = Duration::from_secs(60);

/// Counts connections: those still logging in, and those that are in.
#[derive(Debug)]
pub(crate) struct Slots {
    ordinary: usize,
    reserved: usize,
    taken: AtomicUsize,
    pending: AtomicUsize,
}

/// A place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Arc<Slots>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Pending,
    Taken,
}

impl Slots {
    pub fn new(ordinary: usize, reserved: usize) -> Arc<Slots> {
        Arc::new(Slots { ordinary, reserved, taken: AtomicUsize::new(0), pending: AtomicUsize::new(0) })
    }

    /// A place to log in from. As many as there are connections, so that clients who never log in use bounded memory.
    pub fn pending(self: &Arc<Slots>) -> Option<Slot> {
        self.take(Kind::Pending, self.ordinary + self.reserved)
    }

    /// A connection for an authenticated role.
    pub fn login(self: &Arc<Slots>, superuser: bool) -> Result<Slot, SqlError> {
        let limit = if superuser { self.ordinary + self.reserved } else { self.ordinary };
        let message = if superuser || self.reserved == 0 {
            "sorry, too many clients already"
        } else {
            "remaining connection slots are reserved for non-replication superuser connections"
        };
        self.take(Kind::Taken, limit)
            .ok_or_else(|| SqlError::new(SqlState::TOO_MANY_CONNECTIONS, message).severity(Severity::Fatal))
    }

    /// Connections that are in.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    fn counter(&self, kind: Kind) -> &AtomicUsize {
        match kind {
            Kind::Pending => &self.pending,
            Kind::Taken => &self.taken,
        }
    }

    fn take(self: &Arc<Slots>, kind: Kind, limit: usize) -> Option<Slot> {
        self.counter(kind)
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| (now < limit).then_some(now + 1))
            .ok()
            .map(|_| Slot { slots: self.clone(), kind })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.counter(self.kind).fetch_sub(1, Ordering::AcqRel);
    }
}

#[test]
fn the_reserve_is_for_superusers() {
    let slots = Slots::new(2, 1);
    let first = slots.login(false).unwrap();
    let _second = slots.login(false).unwrap();
    assert_eq!(slots.login(false).unwrap_err().code(), SqlState::TOO_MANY_CONNECTIONS);
    let _third = slots.login(true).unwrap();
    assert!(slots.login(true).is_err());
    drop(first);
    assert_eq!(slots.taken(), 2);
    assert!(slots.login(false).is_err(), "the place that is left is the reserve");
    assert!(slots.login(true).is_ok());
}
