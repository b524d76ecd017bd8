//! `hyrax debug verify`: looks at everything in a stopped node's folder, and changes nothing in it.
//!
//! ```text
//! lock -> log: every record -> each segment: every row and version -> log applied in memory -> catalog -> each relation
//! ```
//!
//! What is found does not end the check, but for what later steps need: rows are compared with their indexes only where
//! log and segments can be opened. The node's own code does it all: segments are opened for reading, the log's tail is applied to
//! them in memory (`consensus::Rehearsal`), and sessions read the relations as clients would.

use crate::config::Config;
use crate::folder::DataFolder;
use crate::node::StartError;
use crate::parameters;
use crate::tasks::Supervised;
use crate::threads::Threads;
use catalog::Catalog;
use consensus::Rehearsal;
use exec::ddl_services::name_of;
use exec::{NodeBudget, SpillFolder};
use host::Host;
use session::{Login, Session, Shared};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use storage::audit::Audit;
use storage::segment::{Segment, SegmentOptions};
use storage::wal::{self, WalOptions};
use txn::{Gateway, GatewayOptions};

/// Findings that are told one by one; the rest is counted.
const FINDINGS_MAX: u64 = 100;
/// Between two words about a long check.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);
/// Memory for the queries of the check.
const MEMORY_BYTES: usize = 256 << 20;
const SEGMENTS: [&str; 2] = ["meta", "data"];

/// Looks at `data`; `say` gets whole lines, findings among them. How many findings there were.
pub fn verify(data: &Path, host: Host, say: Box<dyn FnMut(&str) + Send>) -> Result<u64, StartError> {
    let folder = DataFolder::open_stopped(&host, data)?;
    let mut report = Report { say, host: host.clone(), findings: 0, looked_at: 0, told: host.clock.monotonic() };
    let groups = log(&host, &folder, &mut report);
    let is_readable = segments(&host, &folder, &mut report);
    match groups {
        Some(groups) if is_readable => relations(&host, &folder, groups, &mut report)?,
        _ => report.line("relations are not looked at: log and segments must be readable for that"),
    }
    report.end();
    Ok(report.findings)
}

struct Report {
    say: Box<dyn FnMut(&str) + Send>,
    host: Host,
    findings: u64,
    looked_at: u64,
    /// When the last word about progress was said.
    told: Duration,
}

impl Report {
    fn line(&mut self, text: &str) {
        (self.say)(text);
    }

    fn end(&mut self) {
        if self.findings > FINDINGS_MAX {
            self.line(&format!("… and {} more findings", self.findings - FINDINGS_MAX));
        }
        match self.findings {
            0 => self.line("nothing is wrong"),
            1 => self.line("1 finding"),
            count => self.line(&format!("{count} findings")),
        }
    }
}

impl Audit for Report {
    fn found(&mut self, finding: String) {
        self.findings += 1;
        if self.findings <= FINDINGS_MAX {
            self.line(&format!("FINDING: {finding}"));
        }
    }

    fn looked_at(&mut self, count: u64) {
        self.looked_at += count;
        let now = self.host.clock.monotonic();
        if now.saturating_sub(self.told) >= PROGRESS_EVERY {
            self.told = now;
            let looked_at = self.looked_at;
            self.line(&format!("… {looked_at} records looked at"));
        }
    }
}

/// Every record; None where the log can not be read.
fn log(host: &Host, folder: &DataFolder, report: &mut Report) -> Option<Rehearsal> {
    let path = folder.log();
    let file_bytes = WalOptions::new(&path).file_bytes;
    match wal::read(host.files.clone(), &path, file_bytes) {
        Ok(log) => {
            let entries: usize = log.groups.values().map(|group| group.entries.len()).sum();
            report.line(&format!("log: {} files, {} records, {entries} entries", log.files, log.records));
            if let Some((file, offset)) = log.torn {
                report.line(&format!(
                    "log: a write was cut off by a crash at byte {offset} of {file}; nothing that was answered"
                ));
            }
            report.looked_at(log.records);
            Some(Rehearsal::new(log.groups))
        }
        Err(error) => {
            report.found(format!("log: {error}"));
            None
        }
    }
}

/// Every checksum, count and history of the segments. Whether all can be opened.
fn segments(host: &Host, folder: &DataFolder, report: &mut Report) -> bool {
    let mut is_readable = true;
    for name in SEGMENTS {
        let options = SegmentOptions { is_read_only: true, ..SegmentOptions::on_disk(folder.path.join(name), name) };
        let looked_at = Segment::open(host.clone(), options).and_then(|(segment, recovered)| {
            let verified = segment.audit(report)?;
            Ok((verified, recovered.applied))
        });
        match looked_at {
            Ok((verified, applied)) => report.line(&format!(
                "segment {name}: {} relations, {} rows, {} older versions, flushed up to entry {applied}",
                verified.relations, verified.rows, verified.history_rows
            )),
            Err(error) => {
                report.found(format!("segment {name}: {error}"));
                is_readable = false;
            }
        }
    }
    is_readable
}

/// Rows against keys, indexes and foreign keys, with the log's tail applied.
fn relations(host: &Host, folder: &DataFolder, groups: Rehearsal, report: &mut Report) -> Result<(), StartError> {
    let (supervised, _events) = Supervised::new();
    let threads = Threads::start(1, 1, &supervised)?;
    let options = GatewayOptions {
        host: host.clone(),
        node_id: folder.identity.node_id,
        folder: Some(folder.path.clone()),
        memory: None,
        groups: Arc::new(groups),
        spawn: supervised.over(threads.node.clone()),
        bootstrap: {
            let cluster_id = folder.identity.cluster_id;
            Box::new(move || txn::Bootstrap { cluster_id, rows: vec![] })
        },
        limits: txn::Limits::default(),
    };
    let result = threads.node.block_on(async {
        let gateway = Gateway::rehearse(options).await?;
        let catalog = Catalog::load(gateway.clone()).await.map_err(StartError::Catalog)?;
        let shared = shared(host, gateway.clone(), catalog.clone());
        for database in catalog.current().databases().filter(|database| database.allow_connections) {
            one_database(&shared, &database.name, report).await;
        }
        gateway.stop().await?;
        Ok(())
    });
    supervised.stopping();
    match result {
        Err(StartError::Shards(error)) => report.found(format!("the log can not be applied: {error}")),
        Err(StartError::Catalog(error)) => report.found(format!("the catalog can not be read: {}", error.message())),
        other => return other,
    }
    Ok(())
}

fn shared(host: &Host, gateway: Arc<Gateway>, catalog: Arc<Catalog>) -> Arc<Shared> {
    // Beside the folder, which is not to change.
    let spill = SpillFolder::new(host.files.clone(), PathBuf::from("/tmp"));
    let settings = parameters::of_sessions(&Config::default(), SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    Shared::new(host.clone(), gateway, catalog, NodeBudget::new(MEMORY_BYTES), spill, None, settings)
}

async fn one_database(shared: &Arc<Shared>, database: &str, report: &mut Report) {
    let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let login = Login {
        user: "postgres".to_owned(),
        database: database.to_owned(),
        // Nothing is committed, so reads need leave no spans.
        settings: vec![
            setting("default_transaction_isolation", "repeatable read"),
            setting("default_transaction_read_only", "on"),
        ],
        process_id: 1,
        client: None,
        server: None,
        encryption: None,
    };
    let opened = Session::new(shared.clone(), login).and_then(|mut session| {
        let relations = session.stored_relations()?;
        Ok((session, relations))
    });
    let (mut session, relations) = match opened {
        Ok(opened) => opened,
        Err(error) => return report.found(format!("database {database}: {}", error.message())),
    };
    let (mut rows, mut entries, mut foreign_keys) = (0, 0, 0);
    for relation in &relations {
        match session.verify(relation, report).await {
            Ok(verified) => {
                rows += verified.rows;
                entries += verified.entries;
                foreign_keys += verified.foreign_keys;
            }
            Err(error) => {
                let name = name_of(&shared.catalog.current(), relation);
                report.found(format!("{name} can not be read further: {}", error.message()));
            }
        }
    }
    session.end().await;
    report.line(&format!(
        "database {database}: {} relations, {rows} rows, {entries} index entries, {foreign_keys} foreign keys",
        relations.len()
    ));
}
