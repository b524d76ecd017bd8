//! The whole stack below SQL on a real disk: sessions on two threads, the real log, flushes, a restart.

use consensus::{NodeOptions, RaftNode};
use host::spawn::RuntimeThread;
use host::{Host, Spawn, TokioSpawn};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use storage::wal::WalOptions;
use txn::*;

const ACCOUNTS: RelationRef = RelationRef { storage: StorageId(100), id: 100, schema_version: 1, home: Home::Data };
const NAMES: RelationRef = RelationRef { storage: StorageId(2), id: 2, schema_version: 1, home: Home::Meta };
const COUNT: u64 = 20;
const START: i64 = 100;

struct Node {
    gateway: Arc<Gateway>,
    sessions: [RuntimeThread; 2],
}

fn start(folder: &Path) -> Node {
    try_start(folder).expect("starts")
}

fn try_start(folder: &Path) -> Result<Node> {
    let sessions = [0, 1].map(|_| RuntimeThread::start("sessions", 1 << 20).expect("a thread"));
    for session in &sessions {
        TokioSpawn(session.handle().clone()).spawn("dispatcher", Box::pin(dispatcher()));
    }
    let wal = WalOptions { first_zeroed: 1 << 20, file_bytes: 4 << 20, ..WalOptions::new(folder.join("log")) };
    let raft = RaftNode::start(NodeOptions { node_id: 1, host: Host::real(), wal, spawn: None }).expect("a log");
    let options = GatewayOptions {
        host: Host::real(),
        node_id: 1,
        folder: Some(folder.to_owned()),
        memory: None,
        groups: Arc::new(raft),
        spawn: Arc::new(TokioSpawn(sessions[0].handle().clone())),
        bootstrap: Box::new(|| Bootstrap { cluster_id: [1; 16], rows: Vec::new() }),
        limits: Limits::default(),
    };
    let gateway = run(&sessions[1], Gateway::start(options))?;
    Ok(Node { gateway, sessions })
}

/// Runs a future on a session thread and waits for it here.
fn run<T: Send + 'static>(thread: &RuntimeThread, work: impl Future<Output = T> + Send + 'static) -> T {
    let (answer, got) = mpsc::channel();
    let task = async move { _ = answer.send(work.await) };
    TokioSpawn(thread.handle().clone()).spawn("work", Box::pin(task));
    got.recv().expect("an answer")
}

fn key(account: u64) -> [u8; 8] {
    account.to_be_bytes()
}

fn number(bytes: &[u8]) -> i64 {
    i64::from_be_bytes(bytes.try_into().expect("eight bytes"))
}

async fn balance(txn: &Transaction, account: u64) -> Result<i64> {
    let seen = |locked: Locked<'_>| match locked {
        Locked::Row { value, .. } => number(value),
        _ => panic!("the account is there"),
    };
    txn.lock(&ACCOUNTS, 0, &key(account), LockMode::NoKeyUpdate, WaitPolicy::Wait, seen).await
}

async fn transfer(gateway: &Arc<Gateway>, isolation: Isolation, from: u64, to: u64, also_meta: bool) -> Result<()> {
    let txn = gateway.begin(TxnOptions { isolation, ..TxnOptions::default() });
    txn.begin_statement().await?;
    let left = balance(&txn, from).await? - 1;
    txn.put(&ACCOUNTS, 0, &key(from), &left.to_be_bytes())?;
    txn.begin_statement().await?;
    if from != to {
        let right = balance(&txn, to).await? + 1;
        txn.put(&ACCOUNTS, 0, &key(to), &right.to_be_bytes())?;
    } else {
        txn.put(&ACCOUNTS, 0, &key(to), &(left + 1).to_be_bytes())?;
    }
    if also_meta {
        txn.put(&NAMES, 0, &key(from), &left.to_be_bytes())?;
    }
    txn.commit().await.map(|_| ())
}

async fn total(gateway: &Arc<Gateway>) -> Result<(i64, usize)> {
    let txn = gateway.begin(TxnOptions { read_only: true, ..TxnOptions::default() });
    txn.begin_statement().await?;
    let mut scan = txn.scan(&ACCOUNTS, None, KeyRange::all(), Direction::Forward);
    let (mut sum, mut count) = (0, 0);
    let mut visit = |_: &[u8], value: &[u8], _: Timestamp| {
        sum += number(value);
        count += 1;
        ControlFlow::Continue(())
    };
    while scan.next(7, &mut visit).await? > 0 {
        tokio::task::yield_now().await;
    }
    Ok((sum, count))
}

async fn open_accounts(gateway: &Arc<Gateway>) {
    let txn = gateway.begin(TxnOptions::default());
    txn.begin_statement().await.expect("begins");
    for account in 0..COUNT {
        txn.put(&ACCOUNTS, 0, &key(account), &START.to_be_bytes()).expect("put");
    }
    txn.commit().await.expect("committed");
}

/// The log alone can not tell damage of its last record from a torn write. The segments can, and until they have been asked
/// nothing may be cut off: a start makes a folder no worse.
#[test]
fn damage_of_the_last_record_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = start(folder.path());
    let gateway = node.gateway.clone();
    run(&node.sessions[0], async move { open_accounts(&gateway).await });
    node.gateway.flush().expect("flushed");
    drop(node);
    let path = folder.path().join("log/00000000000000000001.log");
    let sound = std::fs::read(&path).expect("the log");
    let last = sound.iter().rposition(|byte| *byte != 0).expect("records");
    let mut damaged = sound.clone();
    damaged[last] ^= 1;
    std::fs::write(&path, &damaged).expect("written");
    for _ in 0..2 {
        let refused = try_start(folder.path()).err().expect("damage is refused");
        assert!(matches!(refused, TxnError::Corrupt(_)), "{refused:?}");
        assert!(std::fs::read(&path).expect("the log") == damaged, "and not a byte is changed");
    }
    std::fs::write(&path, &sound).expect("restored");
    let node = start(folder.path());
    let gateway = node.gateway.clone();
    assert_eq!(run(&node.sessions[0], async move { total(&gateway).await }).expect("read").0, COUNT as i64 * START);
}

#[test]
fn bank_total_never_changes_and_survives_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = start(folder.path());
    let gateway = node.gateway.clone();
    run(&node.sessions[0], async move { open_accounts(&gateway).await });
    let committed = Arc::new(AtomicU64::new(0));
    let (done, finished) = mpsc::channel();
    let clients = 16u64;
    for client in 0..clients {
        let (gateway, committed, done) = (node.gateway.clone(), committed.clone(), done.clone());
        let task = async move {
            let mut seed: u64 = client + 1;
            let mut next = move |below: u64| {
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (seed >> 33) % below
            };
            for round in 0..60 {
                if client % 4 == 3 {
                    assert_eq!(total(&gateway).await.expect("read"), (COUNT as i64 * START, COUNT as usize));
                    continue;
                }
                let isolation = [Isolation::Serializable, Isolation::ReadCommitted][(client % 2) as usize];
                match transfer(&gateway, isolation, next(COUNT), next(COUNT), round % 20 == 0).await {
                    Ok(()) => _ = committed.fetch_add(1, Ordering::Relaxed),
                    Err(error) => assert!(error.retryable(), "{error:?}"),
                }
            }
            let _ = done.send(client);
        };
        TokioSpawn(node.sessions[(client % 2) as usize].handle().clone()).spawn("client", Box::pin(task));
    }
    for _ in 0..clients {
        finished.recv_timeout(std::time::Duration::from_secs(60)).expect("no client hangs or panics");
    }
    assert!(committed.load(Ordering::Relaxed) > 300, "{committed:?}");
    let gateway = node.gateway.clone();
    assert_eq!(run(&node.sessions[0], async move { total(&gateway).await }).expect("read").0, COUNT as i64 * START);
    drop(node); // as a crash would: nothing is flushed
    let node = start(folder.path());
    let gateway = node.gateway.clone();
    assert_eq!(run(&node.sessions[0], async move { total(&gateway).await }).expect("read").0, COUNT as i64 * START);
    let gateway = node.gateway.clone();
    run(&node.sessions[0], async move { gateway.stop().await.expect("flushed") });
    drop(node);
    let node = start(folder.path());
    let gateway = node.gateway.clone();
    assert_eq!(run(&node.sessions[0], async move { total(&gateway).await }).expect("read").0, COUNT as i64 * START);
}
