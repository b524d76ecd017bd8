//! What commits cost: `load FOLDER [SECONDS]`. Single-row updates at 1, 8 and 32 sessions, one hot row, point reads, and a
//! bulk insert in one transaction.

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
const ROWS: u64 = 100_000;

async fn update(gateway: &Arc<Gateway>, key: u64) -> Result<()> {
    let txn = gateway.begin(TxnOptions::default());
    txn.begin_statement().await?;
    let mut value = [0u8; 100];
    let seen = |locked: Locked<'_>| {
        if let Locked::Row { value: old, .. } = locked {
            value[..old.len().min(100)].copy_from_slice(&old[..old.len().min(100)]);
        }
    };
    txn.lock(&T, 0, &key.to_be_bytes(), LockMode::NoKeyUpdate, WaitPolicy::Wait, seen).await?;
    value[0] = value[0].wrapping_add(1);
    txn.put(&T, 0, &key.to_be_bytes(), &value)?;
    txn.commit().await.map(|_| ())
}

fn measure(
    threads: &[RuntimeThread],
    gateway: &Arc<Gateway>,
    name: &str,
    clients: u64,
    seconds: u64,
    keys: u64,
    reads: bool,
) {
    let host = Host::real();
    let total = Arc::new(AtomicU64::new(0));
    let (done, finished) = mpsc::channel();
    let end = host.clock.monotonic() + Duration::from_secs(seconds);
    for client in 0..clients {
        let (gateway, total, done, host) = (gateway.clone(), total.clone(), done.clone(), host.clone());
        let task = async move {
            let mut seed = client * 7919 + 1;
            let mut count = 0;
            while host.clock.monotonic() < end {
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let key = (seed >> 33) % keys;
                match reads {
                    true => _ = gateway.get_latest(&T, 0, &key.to_be_bytes(), |value, _| value.is_some()).await,
                    false => update(&gateway, key).await.expect("never fails"),
                }
                count += 1;
                if reads && count % 100 == 0 {
                    tokio::task::yield_now().await;
                }
            }
            total.fetch_add(count, Ordering::Relaxed);
            let _ = done.send(());
        };
        TokioSpawn(threads[client as usize % threads.len()].handle().clone()).spawn("client", Box::pin(task));
    }
    (0..clients).for_each(|_| finished.recv().expect("done"));
    println!("{name}.c{clients}: {} /s", total.load(Ordering::Relaxed) / seconds);
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().expect("a folder"));
    let seconds: u64 = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(2);
    let threads: Vec<RuntimeThread> =
        (0..2).map(|_| RuntimeThread::start("sessions", 1 << 20).expect("a thread")).collect();
    for thread in &threads {
        TokioSpawn(thread.handle().clone()).spawn("dispatcher", Box::pin(dispatcher()));
    }
    let wal = WalOptions { first_zeroed: 64 << 20, ..WalOptions::new(folder.join("log")) };
    let raft = RaftNode::start(NodeOptions { node_id: 1, host: Host::real(), wal, runtime: None }).expect("a log");
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
    let bulk = gateway.clone();
    let task = async move {
        let clock = Host::real().clock;
        for rows in [ROWS, 1_000_000] {
            let txn = bulk.begin(TxnOptions::default());
            txn.begin_statement().await.expect("begins");
            let from = clock.monotonic();
            for key in 0..rows {
                txn.put(&T, 0, &(key + if rows == ROWS { 0 } else { 1 << 40 }).to_be_bytes(), &[7; 100]).expect("put");
            }
            let buffered = clock.monotonic();
            txn.commit().await.expect("committed");
            let committed = clock.monotonic();
            println!("bulk {rows}: put {:?}, commit {:?}", buffered - from, committed - buffered);
        }
        let _ = answer.send(());
    };
    TokioSpawn(threads[0].handle().clone()).spawn("bulk", Box::pin(task));
    got.recv().expect("done");
    for clients in [1, 8, 32] {
        measure(&threads, &gateway, "update1", clients, seconds, ROWS, false);
    }
    measure(&threads, &gateway, "hot", 32, seconds, 1, false);
    measure(&threads, &gateway, "latest", 8, seconds, ROWS, true);
}
