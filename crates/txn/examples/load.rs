//! What transactions cost without SQL and sockets: `load FOLDER [SECONDS] [reads|writes|bulk …]`. Point reads; single-row
//! updates at 1, 8 and 32 sessions, one hot row, pgbench's transaction; a million rows in one transaction.

use consensus::{NodeOptions, RaftNode};
use host::spawn::RuntimeThread;
use host::{Host, Spawn, TokioSpawn};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use storage::wal::WalOptions;
use txn::*;

const T: RelationRef = RelationRef { storage: StorageId(100), id: 100, schema_version: 1, home: Home::Data };
const TELLERS: RelationRef = RelationRef { storage: StorageId(101), id: 101, ..T };
const BRANCHES: RelationRef = RelationRef { storage: StorageId(102), id: 102, ..T };
const HISTORY: RelationRef = RelationRef { storage: StorageId(103), id: 103, ..T };
const ROWS: u64 = 100_000;

/// One row changed under its lock, as an UPDATE by key does.
async fn change(txn: &Transaction, relation: &RelationRef, key: u64) -> Result<()> {
    let mut value = [0u8; 100];
    let seen = |locked: Locked<'_>| {
        if let Locked::Row { value: old, .. } = locked {
            value[..old.len().min(100)].copy_from_slice(&old[..old.len().min(100)]);
        }
    };
    txn.lock(relation, 0, &key.to_be_bytes(), LockMode::NoKeyUpdate, WaitPolicy::Wait, seen).await?;
    value[0] = value[0].wrapping_add(1);
    txn.put(relation, 0, &key.to_be_bytes(), &value)
}

async fn update(gateway: &Arc<Gateway>, key: u64) -> Result<()> {
    let txn = gateway.begin(TxnOptions::default());
    txn.begin_statement().await?;
    change(&txn, &T, key).await?;
    txn.commit().await.map(|_| ())
}

/// pgbench's transaction: account, read it, teller, branch, history.
async fn tpcb(gateway: &Arc<Gateway>, seed: u64, host: &Host) -> Result<()> {
    let account = seed % ROWS;
    let txn = gateway.begin(TxnOptions::default());
    txn.begin_statement().await?;
    change(&txn, &T, account).await?;
    txn.begin_statement().await?;
    txn.get(&T, 0, &account.to_be_bytes(), |value, _| value.is_some()).await?;
    txn.begin_statement().await?;
    change(&txn, &TELLERS, seed % 100).await?;
    txn.begin_statement().await?;
    change(&txn, &BRANCHES, seed % 10).await?;
    txn.begin_statement().await?;
    txn.enter(&HISTORY).await?;
    let mut key = [0; 16];
    host.random.fill(&mut key);
    txn.put(&HISTORY, 0, &key, &[7; 50])?;
    txn.commit().await.map(|_| ())
}

#[derive(Clone, Copy)]
enum What {
    /// Point reads; updates; the five statements of pgbench: over so many rows.
    Latest,
    Update(u64),
    Tpcb,
}

fn measure(threads: &[RuntimeThread], gateway: &Arc<Gateway>, name: &str, clients: u64, seconds: u64, what: What) {
    let host = Host::real();
    let total = Arc::new(AtomicU64::new(0));
    let failed = Arc::new(AtomicU64::new(0));
    let (done, finished) = mpsc::channel();
    let end = host.clock.monotonic() + Duration::from_secs(seconds);
    let spent = cpu_seconds();
    for client in 0..clients {
        let (gateway, total, failed, done, host) =
            (gateway.clone(), total.clone(), failed.clone(), done.clone(), host.clone());
        let task = async move {
            let mut seed = client * 7919 + 1;
            let mut count = 0;
            while host.clock.monotonic() < end {
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let random = seed >> 33;
                let result = match what {
                    What::Latest => {
                        let key = (random % ROWS).to_be_bytes();
                        gateway.get_latest(&T, 0, &key, |value, _| value.is_some()).await.map(|_| ())
                    }
                    What::Update(keys) => update(&gateway, random % keys).await,
                    What::Tpcb => tpcb(&gateway, random, &host).await,
                };
                match result {
                    Ok(()) => count += 1,
                    Err(_) => _ = failed.fetch_add(1, Ordering::Relaxed),
                }
                if matches!(what, What::Latest) && count % 100 == 0 {
                    tokio::task::yield_now().await;
                }
            }
            total.fetch_add(count, Ordering::Relaxed);
            let _ = done.send(());
        };
        TokioSpawn(threads[client as usize % threads.len()].handle().clone()).spawn("client", Box::pin(task));
    }
    (0..clients).for_each(|_| finished.recv().expect("done"));
    let count = total.load(Ordering::Relaxed);
    let micros = (cpu_seconds() - spent) * 1e6 / count.max(1) as f64;
    let failed = failed.load(Ordering::Relaxed);
    println!("{name}.c{clients}: {} /s, {micros:.1} us of CPU each, {failed} failed", count / seconds);
}

/// User and system time of this process.
fn cpu_seconds() -> f64 {
    let stat = Host::real().files.read(std::path::Path::new("/proc/self/stat")).unwrap_or_default();
    let text = String::from_utf8_lossy(&stat).into_owned();
    let fields: Vec<f64> = text
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .map(|field| field.parse().unwrap_or(0.0))
        .collect();
    (fields.get(11).unwrap_or(&0.0) + fields.get(12).unwrap_or(&0.0)) / 100.0
}

/// Inserts rows with new keys in one transaction, as COPY does.
async fn bulk(gateway: &Arc<Gateway>, first: u64, rows: u64) {
    let clock = Host::real().clock;
    let txn = gateway.begin(TxnOptions::default());
    txn.begin_statement().await.expect("begins");
    let (from, spent) = (clock.monotonic(), cpu_seconds());
    for key in first..first + rows {
        let key = key.to_be_bytes();
        let is_there = txn.claim(&T, 0, &key, |locked| matches!(locked, Locked::Row { .. })).await.expect("claimed");
        assert!(!is_there);
        txn.put(&T, 0, &key, &[7; 100]).expect("put");
    }
    let buffered = clock.monotonic();
    txn.commit().await.expect("committed");
    let committed = clock.monotonic();
    let spent = cpu_seconds() - spent;
    println!("bulk {rows}: put {:?}, commit {:?}, CPU {spent:.2} s", buffered - from, committed - buffered);
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().expect("a folder"));
    let seconds: u64 = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(2);
    let parts: Vec<String> = arguments.collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    let threads: Vec<RuntimeThread> =
        (0..2).map(|_| RuntimeThread::start("sessions", 1 << 20).expect("a thread")).collect();
    for thread in &threads {
        TokioSpawn(thread.handle().clone()).spawn("dispatcher", Box::pin(dispatcher()));
    }
    let wal = WalOptions { first_zeroed: 64 << 20, ..WalOptions::new(folder.join("log")) };
    let raft = RaftNode::start(NodeOptions { node_id: 1, host: Host::real(), wal, spawn: None }).expect("a log");
    let options = GatewayOptions {
        host: Host::real(),
        node_id: 1,
        folder: Some(folder),
        memory: None,
        groups: Arc::new(raft),
        spawn: Arc::new(TokioSpawn(threads[0].handle().clone())),
        bootstrap: Box::new(|| Bootstrap { cluster_id: [1; 16], rows: Vec::new() }),
        limits: Limits::default(),
    };
    let (answer, got) = mpsc::channel();
    let task = async move { _ = answer.send(Gateway::start(options).await) };
    TokioSpawn(threads[1].handle().clone()).spawn("start", Box::pin(task));
    let gateway = got.recv().expect("an answer").expect("starts");

    let (answer, got) = mpsc::channel();
    let node = gateway.clone();
    let task = async move {
        bulk(&node, 0, ROWS).await;
        let _ = answer.send(());
    };
    TokioSpawn(threads[0].handle().clone()).spawn("bulk", Box::pin(task));
    got.recv().expect("done");
    if wanted("reads") {
        measure(&threads, &gateway, "latest", 8, seconds, What::Latest);
    }
    if wanted("writes") {
        for clients in [1, 8, 32] {
            measure(&threads, &gateway, "update1", clients, seconds, What::Update(ROWS));
        }
        measure(&threads, &gateway, "hot", 32, seconds, What::Update(1));
        measure(&threads, &gateway, "tpcb", 8, seconds, What::Tpcb);
        measure(&threads, &gateway, "tpcb", 32, seconds, What::Tpcb);
    }
    if wanted("bulk") {
        let (answer, got) = mpsc::channel();
        let node = gateway.clone();
        let task = async move {
            bulk(&node, 1 << 40, 1_000_000).await;
            let _ = answer.send(());
        };
        TokioSpawn(threads[0].handle().clone()).spawn("bulk", Box::pin(task));
        got.recv().expect("done");
    }
}
