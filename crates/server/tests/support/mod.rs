//! A node in this process on a free port, and clients of it.
//!
//! With `HYRAX_TEST_SERVER="host=… port=… user=…"` the SQL tests run against that server instead: so expected answers
//! are recorded from PostgreSQL 15 (`HYRAX_REWRITE=1`).

#![allow(dead_code)]

pub mod raw;

use host::Host;
use server::{Config, Exit, Server};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio_postgres::{Client, NoTls};

pub struct Node {
    server: Option<Server>,
    folder: tempfile::TempDir,
    settings: Vec<(String, String)>,
}

impl Node {
    pub fn start(settings: &[(&str, &str)]) -> Node {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut node = Node { server: None, folder, settings };
        node.start_again();
        node
    }

    pub fn settings(&self) -> Config {
        let mut flags = vec![
            ("data".to_owned(), self.folder.path().join("data").display().to_string()),
            ("sql".to_owned(), "127.0.0.1:0".to_owned()),
            ("http".to_owned(), "127.0.0.1:0".to_owned()),
            ("session_threads".to_owned(), "2".to_owned()),
            ("worker_threads".to_owned(), "1".to_owned()),
        ];
        flags.extend(self.settings.iter().cloned());
        Config::load(Host::real().files.as_ref(), None, std::iter::empty(), &flags).expect("settings").0
    }

    pub fn start_again(&mut self) {
        self.server = Some(Server::start(self.settings(), Host::real()).expect("the node starts"));
    }

    pub fn server(&self) -> &Server {
        self.server.as_ref().expect("it runs")
    }

    pub fn stop(&mut self, grace: Duration) -> Exit {
        self.server.take().expect("it runs").stop(grace)
    }

    pub fn config(&self) -> tokio_postgres::Config {
        let address = self.server().sql_address();
        let mut config = tokio_postgres::Config::new();
        config.host(address.ip().to_string()).port(address.port()).user("postgres").dbname("postgres");
        config
    }

    pub fn port(&self) -> u16 {
        self.server().sql_address().port()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop(Duration::ZERO);
        }
    }
}

/// Runs the clients' side.
pub fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(async { tokio::time::timeout(Duration::from_secs(60), work).await.expect("done within a minute") })
}

/// A client whose notices are dropped.
pub async fn connect(config: &tokio_postgres::Config) -> Client {
    try_connect(config).await.expect("a connection")
}

pub async fn try_connect(config: &tokio_postgres::Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(async move { _ = connection.await });
    Ok(client)
}

/// `SQLSTATE message` of a failure.
pub fn code<T>(result: Result<T, tokio_postgres::Error>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(error) => match error.as_db_error() {
            Some(error) => format!("{} {}", error.code().code(), error.message()),
            None => format!("client: {error}"),
        },
    }
}

/// The first column of the first row of a query string.
pub async fn value(client: &Client, sql: &str) -> String {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let row = messages.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("NULL").to_owned()),
        _ => None,
    });
    row.unwrap_or_else(|| panic!("{sql}: no row"))
}

/// Where the SQL tests run: in a database of its own for each caller.
pub struct Place {
    node: Option<Node>,
    config: tokio_postgres::Config,
}

impl Place {
    pub fn open() -> Place {
        match std::env::var("HYRAX_TEST_SERVER") {
            Ok(text) => Place { node: None, config: text.parse().expect("HYRAX_TEST_SERVER is a connection string") },
            Err(_) => {
                let node = Node::start(&[]);
                let config = node.config();
                Place { node: Some(node), config }
            }
        }
    }

    /// A new, empty database; how to connect to it.
    pub async fn database(&self) -> tokio_postgres::Config {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let name = format!("hyrax_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut config = self.config.clone();
        let client = connect(config.dbname("postgres")).await;
        client.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("a database");
        config.dbname(name);
        config
    }

    pub async fn drop_database(&self, config: &tokio_postgres::Config) {
        let name = config.get_dbname().expect("a name").to_owned();
        let client = connect(self.config.clone().dbname("postgres")).await;
        client.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await.expect("dropped");
    }
}

/// Files below `sql-tests` with an ending, sorted. `HYRAX_TEST_FILES` keeps those whose path contains it.
pub fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sql-tests").join(folder), ending, &mut found);
    if let Ok(part) = std::env::var("HYRAX_TEST_FILES") {
        found.retain(|path| path.display().to_string().contains(&part));
    }
    found.sort();
    found
}

fn walk(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, ending, found);
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
}
