//! `server::verify` sees each kind of damage, and changes nothing in the folder that it looks at.

mod support;

use catalog::Catalog;
use consensus::{NodeOptions, RaftNode};
use host::{Host, TokioSpawn};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use storage::wal::WalOptions;
use support::{Node, connect, run};
use txn::{
    Direction, Gateway, GatewayOptions, Isolation, KeyRange, Limits, LockMode, RelationRef, Transaction, TxnOptions,
    WaitPolicy,
};

const SCHEMA: &str = "
    CREATE TABLE owner (id int PRIMARY KEY, name text UNIQUE);
    CREATE TABLE thing (id int PRIMARY KEY, owner int REFERENCES owner, note text);
    CREATE INDEX thing_note ON thing (note);
    CREATE INDEX thing_even ON thing (lower(note)) INCLUDE (owner) WHERE id % 2 = 0;
    INSERT INTO owner SELECT n, 'owner ' || n FROM generate_series(1, 20) n;
    INSERT INTO thing SELECT n, 1 + n % 20, 'note-of-thing-' || n FROM generate_series(1, 500) n;";

/// A stopped node's folder with rows, indexes, history and foreign keys.
struct Stopped {
    _folder: tempfile::TempDir,
    data: PathBuf,
}

impl Stopped {
    fn new() -> Stopped {
        let mut node = Node::start(&[]);
        run(async {
            let client = connect(&node.config()).await;
            client.batch_execute(SCHEMA).await.expect("the rows");
        });
        node.stop(Duration::ZERO);
        // Changed after a flush: older versions lie in the history.
        node.start_again();
        run(async {
            let client = connect(&node.config()).await;
            let change = "UPDATE thing SET owner = 7 WHERE id <= 50; DELETE FROM thing WHERE id > 490";
            client.batch_execute(change).await.expect("the changes");
        });
        let from = node.server().data_folder().to_owned();
        node.stop(Duration::ZERO);
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        copy(&from, &data);
        Stopped { _folder: folder, data }
    }

    /// What `server::verify` says, findings and the rest, and how many findings it counted.
    fn verify(&self) -> (Vec<String>, Vec<String>, u64) {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let told = lines.clone();
        let say = Box::new(move |line: &str| told.lock().expect("not poisoned").push(line.to_owned()));
        let count = server::verify(&self.data, Host::real(), say).expect("the folder can be looked at");
        let lines = std::mem::take(&mut *lines.lock().expect("not poisoned"));
        let (findings, others) = lines.into_iter().partition(|line| line.starts_with("FINDING"));
        (findings, others, count)
    }

    #[track_caller]
    fn finds(&self, what: &str) {
        let (findings, others, count) = self.verify();
        assert!(
            count > 0 && findings.iter().any(|finding| finding.contains(what)),
            "{what}: {findings:#?} {others:#?}"
        );
    }

    /// Turns a bit of the first place in a file that holds `needle`.
    fn flip(&self, file: &str, needle: &[u8]) {
        let path = self.data.join(file);
        let mut bytes = std::fs::read(&path).expect("the file");
        let places: Vec<usize> =
            bytes.windows(needle.len()).enumerate().filter(|(_, w)| *w == needle).map(|(at, _)| at).collect();
        assert!(!places.is_empty(), "it is in the file");
        places.into_iter().for_each(|at| bytes[at + needle.len() - 1] ^= 4);
        std::fs::write(path, bytes).expect("written");
    }

    /// Writes past all that keeps rows and indexes together: `body` gets a transaction, and how to address a table and its indexes.
    fn write(&self, table: &str, body: impl AsyncFnOnce(&Transaction, RelationRef, Vec<RelationRef>)) {
        run(async {
            let host = Host::real();
            let wal = WalOptions::new(self.data.join("log"));
            let node =
                RaftNode::start(NodeOptions { node_id: 1, host: host.clone(), wal, spawn: None }).expect("the log");
            let gateway = Gateway::start(GatewayOptions {
                host,
                node_id: 1,
                folder: Some(self.data.clone()),
                memory: None,
                groups: Arc::new(node),
                spawn: Arc::new(TokioSpawn(tokio::runtime::Handle::current())),
                bootstrap: Box::new(|| panic!("it is there")),
                limits: Limits::default(),
            })
            .await
            .expect("the gateway");
            tokio::spawn(txn::dispatcher());
            let catalog = Catalog::load(gateway.clone()).await.expect("the catalog").current();
            let relation = catalog.relations().find(|r| r.name == table).expect("the table").clone();
            let indexes = catalog.indexes_of(&relation).filter(|i| !i.is_primary);
            let indexes = indexes.map(|i| relation.index_reference(i)).collect();
            let txn = gateway.begin(TxnOptions { isolation: Isolation::ReadCommitted, ..TxnOptions::default() });
            txn.begin_statement().await.expect("begun");
            txn.enter(&relation.reference()).await.expect("entered");
            body(&txn, relation.reference(), indexes).await;
            txn.commit().await.expect("committed");
            gateway.stop().await.expect("flushed");
        });
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("the folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        match entry.file_type().expect("a type").is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).expect("copied")),
        }
    }
}

fn contents(folder: &Path, all: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => contents(&path, all),
            false => drop(all.insert(path.clone(), std::fs::read(&path).expect("read"))),
        }
    }
}

async fn first(txn: &Transaction, at: &RelationRef) -> (Vec<u8>, Vec<u8>) {
    let mut found = None;
    let mut scan = txn.scan(at, None, KeyRange::all(), Direction::Forward);
    let read = |key: &[u8], value: &[u8], _| {
        found = Some((key.to_vec(), value.to_vec()));
        ControlFlow::Break(())
    };
    scan.next(1, read).await.expect("read");
    found.expect("there is one")
}

async fn lock(txn: &Transaction, at: &RelationRef, key: &[u8]) {
    txn.lock(at, 0, key, LockMode::Update, WaitPolicy::Wait, |_| ()).await.expect("locked");
}

#[test]
fn a_sound_folder_has_no_finding_and_is_left_as_it_was() {
    let stopped = Stopped::new();
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    contents(&stopped.data, &mut before);
    let (findings, others, count) = stopped.verify();
    assert_eq!((findings, count), (vec![], 0), "{others:#?}");
    contents(&stopped.data, &mut after);
    assert!(before == after, "a byte has changed");
    let line = "database postgres: 2 relations, 510 rows, 755 index entries, 1 foreign keys";
    assert!(others.iter().any(|other| other == line), "{others:#?}");
}

#[test]
fn damage_of_each_kind_is_found() {
    let stopped = Stopped::new();
    stopped.flip("data/data.mdb", b"note-of-thing-77");
    stopped.finds("damaged row in relation");

    // Of rows that were deleted since the history alone has something.
    let stopped = Stopped::new();
    stopped.flip("data/data.mdb", b"note-of-thing-495");
    stopped.finds("damaged row in relation");

    let stopped = Stopped::new();
    stopped.flip("meta/data.mdb", b"thing_even");
    stopped.finds("damaged row in relation");

    let stopped = Stopped::new();
    let log = "log/00000000000000000001.log";
    stopped.flip(log, b"note-of-thing-77");
    stopped.finds("the log was synced beyond it");

    let stopped = Stopped::new();
    std::fs::remove_file(stopped.data.join(log)).expect("removed");
    stopped.finds("the segment has entry");
}

#[test]
fn rows_and_indexes_that_differ_are_found() {
    let stopped = Stopped::new();
    stopped.write("thing", async |txn, _, indexes| {
        let (key, _) = first(txn, &indexes[0]).await;
        lock(txn, &indexes[0], &key).await;
        txn.delete(&indexes[0], 0, &key).expect("deleted");
    });
    stopped.finds("has no entry in index \"thing_note\"");

    let stopped = Stopped::new();
    stopped.write("thing", async |txn, table, _| {
        let (key, _) = first(txn, &table).await;
        lock(txn, &table, &key).await;
        txn.delete(&table, 0, &key).expect("deleted");
    });
    stopped.finds("is not there, and index \"thing_note\" has an entry for it");

    let stopped = Stopped::new();
    stopped.write("thing", async |txn, _, indexes| {
        let (mut key, value) = first(txn, &indexes[0]).await;
        key[2] ^= 1;
        lock(txn, &indexes[0], &key).await;
        txn.put(&indexes[0], 0, &key, &value).expect("put");
    });
    stopped.finds("has an entry in index \"thing_note\" that its values do not give");

    let stopped = Stopped::new();
    stopped.write("thing", async |txn, _, indexes| {
        let (key, mut value) = first(txn, &indexes[1]).await;
        if let Some(last) = value.last_mut() {
            *last ^= 1;
        }
        lock(txn, &indexes[1], &key).await;
        txn.put(&indexes[1], 0, &key, &value).expect("put");
    });
    stopped.finds("has an entry in index \"thing_even\" that says something else");
}

#[test]
fn a_row_under_another_key_and_a_foreign_key_to_nothing_are_found() {
    let stopped = Stopped::new();
    stopped.write("thing", async |txn, table, _| {
        let (key, value) = first(txn, &table).await;
        let mut other = key.clone();
        other[1] ^= 0x40;
        lock(txn, &table, &other).await;
        txn.put(&table, 0, &other, &value).expect("put");
    });
    stopped.finds("is stored under a key that is not its own");

    let stopped = Stopped::new();
    stopped.write("owner", async |txn, table, _| {
        let (key, _) = first(txn, &table).await;
        lock(txn, &table, &key).await;
        txn.delete(&table, 0, &key).expect("deleted");
    });
    stopped.finds("name rows of public.owner that are not there (foreign key \"thing_owner_fkey\")");
}

#[test]
fn a_folder_in_use_or_without_data_is_refused() {
    let node = Node::start(&[]);
    let refused = |path: &Path| match server::verify(path, Host::real(), Box::new(|_| ())) {
        Ok(count) => format!("{count} findings"),
        Err(error) => error.to_string(),
    };
    assert!(refused(node.server().data_folder()).ends_with("is in use by another process"));
    let empty = tempfile::tempdir().expect("a folder");
    assert!(refused(empty.path()).ends_with("is no data folder of Hyrax: it has no file `identity`"));
    assert_eq!(std::fs::read_dir(empty.path()).expect("the folder").count(), 0, "nothing was made in it");
}
