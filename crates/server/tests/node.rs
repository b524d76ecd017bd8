//! A node's life: ready, restarted, drained; what its HTTP port tells.

mod support;

use server::{Exit, Server, StartError};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use support::{Node, connect, run, value};

fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("connected");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    (code, answer.split_once("\r\n\r\n").expect("a body").1.to_owned())
}

#[test]
fn http_tells_of_life_readiness_and_counts() {
    let node = Node::start(&[]);
    let http = node.server().http_address();
    assert_eq!(get(http, "/health"), (200, "ok\n".to_owned()));
    assert_eq!(get(http, "/ready"), (200, "ready\n".to_owned()));
    assert_eq!(get(http, "/elsewhere").0, 404);
    run(async {
        let client = connect(&node.config()).await;
        client.batch_execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1)").await.expect("done");
        let (code, metrics) = get(http, "/metrics");
        assert_eq!(code, 200);
        let number = |name: &str| {
            let line = metrics.lines().find(|line| line.starts_with(name) && !line.starts_with('#'));
            let value = line.and_then(|line| line.rsplit(' ').next()).and_then(|value| value.parse::<f64>().ok());
            value.unwrap_or_else(|| panic!("no {name} in\n{metrics}"))
        };
        for positive in [
            "hyrax_sql_connections ",
            "hyrax_sql_statement_seconds_count",
            "hyrax_txn_commits_total",
            "hyrax_log_written_bytes_total",
            "hyrax_log_syncs_total",
        ] {
            assert!(number(positive) > 0.0, "{positive}");
        }
        assert!(metrics.contains("hyrax_segment_delta_bytes"));
    });
}

#[test]
fn what_was_committed_is_there_after_a_restart() {
    let mut node = Node::start(&[]);
    run(async {
        let client = connect(&node.config()).await;
        client.batch_execute("CREATE TABLE t (a int PRIMARY KEY); INSERT INTO t VALUES (1), (2)").await.expect("done");
    });
    assert_eq!(node.stop(Duration::from_secs(5)), Exit::Clean);
    node.start_again();
    run(async {
        let client = connect(&node.config()).await;
        assert_eq!(value(&client, "SELECT sum(a) FROM t").await, "3");
    });
}

/// What was before TRUNCATE is not there to be read; that must not look like a table that was empty.
#[test]
fn the_past_before_a_truncate_is_refused_after_a_restart_too() {
    let mut node = Node::start(&[]);
    run(async {
        let client = connect(&node.config()).await;
        client.batch_execute("CREATE TABLE t (a int) WITH (history = '1 hour'); INSERT INTO t VALUES (1), (2)").await?;
        client.batch_execute("CREATE TABLE before AS SELECT clock_timestamp() AS at").await?;
        client.batch_execute("SELECT pg_sleep(0.01); TRUNCATE t; INSERT INTO t VALUES (3)").await?;
        // A later change of the table changes nothing about that.
        client.batch_execute("CREATE TABLE after AS SELECT clock_timestamp() AS at").await?;
        client.batch_execute("SELECT pg_sleep(0.01); DELETE FROM t; ALTER TABLE t RENAME TO u").await
    })
    .expect("done");
    assert_eq!(node.stop(Duration::from_secs(5)), Exit::Clean);
    node.start_again();
    run(async {
        let client = connect(&node.config()).await;
        let at = |table: &'static str| {
            let client = &client;
            async move { value(client, &format!("SELECT at FROM {table}")).await }
        };
        let (before, after) = (at("before").await, at("after").await);
        let count = |at: &str| format!("SELECT count(*) FROM u AS OF SYSTEM TIME '{at}'");
        assert_eq!(support::code(client.simple_query(&count(&before)).await), "72000 snapshot too old");
        assert_eq!(value(&client, &count(&after)).await, "1");
    });
}

/// The statement's result, when it is at last as it is wanted.
async fn at_last(client: &tokio_postgres::Client, sql: &str, is_refused: bool) -> String {
    loop {
        let result = client.batch_execute(sql).await;
        if result.is_err() == is_refused {
            return support::code(result);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// `traps.md`: map_full_wrapped_error, seen by a client.
#[test]
fn data_at_max_segment_size_is_53100_by_name_and_deleting_heals_it() {
    let node = Node::start(&[("max_segment_size", "16MB")]);
    run(async {
        let client = connect(&node.config()).await;
        client.batch_execute("CREATE TABLE t (a int, b text) WITH (history = '1 second')").await.expect("made");
        let fill = "INSERT INTO t SELECT n, repeat('x', 1000) FROM generate_series(1, 2000) n";
        let refused = at_last(&client, fill, true).await;
        assert_eq!(refused, "53100 could not extend storage: the data has reached \"max_segment_size\"");
        let rows: u64 = value(&client, "SELECT count(*) FROM t").await.parse().expect("reads go on");
        assert!(rows >= 2000 && rows.is_multiple_of(2000), "{rows}");
        client.batch_execute("DELETE FROM t").await.expect("what makes room is taken");
        at_last(&client, "INSERT INTO t VALUES (0, 'again')", false).await;
        assert_eq!(value(&client, "SELECT b FROM t").await, "again");
    });
}

#[test]
fn a_folder_in_use_is_refused() {
    let node = Node::start(&[]);
    match Server::start(node.settings(), host::Host::real()) {
        Err(error @ StartError::Folder(_)) => {
            assert!(error.to_string().contains("in use by another process"), "{error}");
            assert!(error.hint().is_some());
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("two nodes on one folder"),
    }
}

#[test]
fn a_taken_port_is_refused_and_everything_given_back() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let flags = |sql: &str| {
        let pairs = [
            ("data", folder.path().join("d").display().to_string()),
            ("sql", sql.to_owned()),
            ("http", "127.0.0.1:0".to_owned()),
        ];
        let flags: Vec<_> = pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        server::Config::load(&host::RealFiles, None, std::iter::empty(), &flags).expect("settings").0
    };
    let Err(error) = Server::start(flags(&address), host::Host::real()) else { panic!("the port is taken") };
    assert!(error.to_string().starts_with(&format!("can not listen on {address} (sql)")), "{error}");
    Server::start(flags("127.0.0.1:0"), host::Host::real()).expect("the folder is free again").stop(Duration::ZERO);
}

#[test]
fn passwords_only_needs_an_initial_password() {
    let folder = tempfile::tempdir().expect("a folder");
    let flags = [("data", folder.path().join("d").display().to_string()), ("auth", "scram".to_owned())];
    let flags: Vec<_> = flags.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    for _ in 0..2 {
        let config = server::Config::load(&host::RealFiles, None, std::iter::empty(), &flags).expect("settings").0;
        let Err(error) = Server::start(config, host::Host::real()) else { panic!("nobody could log in") };
        assert!(error.hint().unwrap_or_default().contains("HYRAX_INITIAL_PASSWORD"), "{error}");
    }
}

#[test]
fn draining_ends_idle_sessions_and_waits_for_transactions() {
    let mut node = Node::start(&[]);
    let config = node.config();
    let http = node.server().http_address();
    let (idle, mut busy) = (support::raw::Raw::login(node.port()), support::raw::Raw::login(node.port()));
    busy.send(&[support::raw::query("BEGIN")]);
    busy.line_until('Z');
    let begun = Instant::now();
    let stopping = std::thread::spawn(move || node.stop(Duration::from_secs(20)));
    // The idle one is told at once.
    let mut idle = idle;
    assert_eq!(idle.line_until('E'), "E:57P01");
    assert!(idle.next().is_none());
    assert_eq!(get(http, "/ready"), (503, "draining\n".to_owned()));
    assert!(run(support::try_connect(&config)).is_err(), "no new sessions");
    // The other may finish.
    busy.send(&[support::raw::query("SELECT 1")]);
    assert_eq!(busy.line_until('Z'), "T D:1 C:SELECT 1 Z:T");
    busy.send(&[support::raw::query("COMMIT")]);
    assert_eq!(busy.line_until('Z'), "C:COMMIT Z:I");
    assert_eq!(busy.line_until('E'), "E:57P01");
    assert_eq!(stopping.join().expect("no panic"), Exit::Clean);
    assert!(begun.elapsed() < Duration::from_secs(15), "it waits no longer than it must");
}

#[test]
fn the_grace_is_over_for_those_who_do_not_end() {
    let mut node = Node::start(&[]);
    let mut busy = support::raw::Raw::login(node.port());
    busy.send(&[support::raw::query("BEGIN")]);
    busy.line_until('Z');
    let mut running = support::raw::Raw::login(node.port());
    running.send(&[support::raw::query("SELECT pg_sleep(60)")]);
    assert_eq!(node.stop(Duration::from_millis(100)), Exit::Clean);
    assert_eq!(busy.line_until('E'), "E:57P01");
    let last = running.line_until('~');
    assert!(last.contains("E:57P01") || last.contains("E:57014"), "{last}");
}
