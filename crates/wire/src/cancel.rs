//! Cancel keys: which connection a CancelRequest means.
//!
//! A request comes on a connection of its own and proves itself with the secret that BackendKeyData gave: 4 bytes in
//! protocol 3.0, 32 from 3.2 on. A wrong one is ignored without an answer.

use crate::Cancel;
use hashbrown::HashMap;
use host::Random;
use parking_lot::Mutex;
use std::sync::Arc;

struct Entry {
    secret: Vec<u8>,
    handle: Option<Arc<dyn Cancel>>,
}

/// The connections of a node by process id.
#[derive(Default)]
pub(crate) struct Registry {
    entries: Mutex<HashMap<i32, Entry, foldhash::fast::RandomState>>,
}

/// A connection's place in the registry; leaves it when dropped.
pub(crate) struct Registration {
    registry: Arc<Registry>,
    pub process_id: i32,
    pub secret: Vec<u8>,
}

impl Registry {
    /// A process id that no live connection has, and a secret of `length` bytes.
    pub fn register(self: &Arc<Registry>, random: &dyn Random, length: usize) -> Registration {
        let mut secret = vec![0; length];
        random.fill(&mut secret);
        let mut entries = self.entries.lock();
        let process_id = loop {
            let candidate = (random.next_u64() & 0x7fff_ffff) as i32;
            if candidate != 0 && !entries.contains_key(&candidate) {
                break candidate;
            }
        };
        entries.insert(process_id, Entry { secret: secret.clone(), handle: None });
        Registration { registry: self.clone(), process_id, secret }
    }

    /// Cancels what the connection runs if the secret is right; says whether it was.
    pub async fn cancel(&self, process_id: i32, secret: &[u8]) -> bool {
        let handle = match self.entries.lock().get(&process_id) {
            Some(entry) if same(&entry.secret, secret) => entry.handle.clone(),
            _ => return false,
        };
        if let Some(handle) = handle {
            handle.requested().await;
        }
        true
    }
}

impl Registration {
    pub fn arm(&self, handle: Arc<dyn Cancel>) {
        if let Some(entry) = self.registry.entries.lock().get_mut(&self.process_id) {
            entry.handle = Some(handle);
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.registry.entries.lock().remove(&self.process_id);
    }
}

/// Equality that takes the same time wherever the first difference is.
pub(crate) fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |seen, (a, b)| seen | (a ^ b)) == 0
}

#[tokio::test]
async fn only_the_right_secret_cancels() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    struct Count(AtomicUsize);
    impl Cancel for Count {
        fn requested(&self) -> crate::CancelFuture {
            self.cancel();
            Box::pin(std::future::ready(()))
        }
        fn cancel(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let registry = Arc::new(Registry::default());
    let registration = registry.register(&host::RealRandom, 32);
    let count = Arc::new(Count(AtomicUsize::new(0)));
    registration.arm(count.clone());
    let mut wrong = registration.secret.clone();
    wrong[31] ^= 1;
    assert!(!registry.cancel(registration.process_id, &wrong).await);
    assert!(!registry.cancel(registration.process_id, &registration.secret[..4]).await);
    assert!(registry.cancel(registration.process_id, &registration.secret).await);
    let (id, secret) = (registration.process_id, registration.secret.clone());
    drop(registration);
    assert!(!registry.cancel(id, &secret).await);
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
}
