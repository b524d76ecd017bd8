//! The protocol as clients see it, against a whole node.

mod support;

use std::io::{Read, Write};
use std::time::{Duration, Instant};
use support::raw::*;
use support::{Node, code, connect, run, try_connect, value};

#[test]
fn a_query_string_is_one_transaction() {
    let node = Node::start(&[]);
    let mut raw = Raw::login(node.port());
    let mut ask = |sql: &str| {
        raw.send(&[query(sql)]);
        raw.line_until('Z')
    };
    assert_eq!(ask(""), "I Z:I");
    assert_eq!(ask(" ; -- nothing"), "I Z:I");
    assert_eq!(ask("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2)"), "C:CREATE TABLE C:INSERT 0 2 Z:I");
    assert_eq!(ask("INSERT INTO t VALUES (3); SELECT nonsense; SELECT 2"), "C:INSERT 0 1 E:42703 Z:I");
    assert_eq!(ask("SELECT count(*) FROM t"), "T D:2 C:SELECT 1 Z:I");
    assert_eq!(ask("BEGIN; INSERT INTO t VALUES (3)"), "C:BEGIN C:INSERT 0 1 Z:T");
    assert_eq!(ask("SELECT nonsense"), "E:42703 Z:E");
    assert_eq!(ask("SELECT 1"), "E:25P02 Z:E");
    assert_eq!(ask("COMMIT"), "C:ROLLBACK Z:I");
    assert_eq!(ask("SELECT a FROM t ORDER BY a"), "T D:1 D:2 C:SELECT 2 Z:I");
}

#[test]
fn a_string_of_many_statements_runs_none_of_them_when_one_can_not_be_read() {
    let node = Node::start(&[]);
    let mut raw = Raw::login(node.port());
    let mut ask = |sql: &str| {
        raw.send(&[query(sql)]);
        raw.line_until('Z')
    };
    assert_eq!(ask("CREATE TABLE t (a int, b text)"), "C:CREATE TABLE Z:I");
    let many = "INSERT INTO t VALUES (1, ';'); INSERT INTO t (a) SELECT 2; ".repeat(500);
    assert_eq!(ask(&format!("{many} SELECT (1")), "E:42601 Z:I");
    assert_eq!(ask("SELECT count(*) FROM t"), "T D:0 C:SELECT 1 Z:I");
    assert_eq!(ask(&many), format!("{}Z:I", "C:INSERT 0 1 ".repeat(1_000)));
    assert_eq!(
        ask(&format!("{many} SELECT nonsense; SELECT 1")),
        format!("{}E:42703 Z:I", "C:INSERT 0 1 ".repeat(1_000))
    );
    assert_eq!(ask("SELECT count(*), min(b) FROM t"), "T D:1000,; C:SELECT 1 Z:I");
    assert_eq!(ask(&format!("BEGIN; {many} COMMIT")), format!("C:BEGIN {}C:COMMIT Z:I", "C:INSERT 0 1 ".repeat(1_000)));
}

/// DDL that comes between a statement's shape and its run: only the text knows what the statement means then.
#[test]
fn a_statement_of_a_known_shape_follows_the_ddl_that_it_waited_for() {
    let node = Node::start(&[]);
    run(async {
        let config = node.config();
        let (a, b, look) = (connect(&config).await, connect(&config).await, connect(&config).await);
        let set = "CREATE TABLE t (k int PRIMARY KEY, v text); CREATE TABLE noted (k int, v text)";
        a.batch_execute(set).await.expect("tables");
        for at in 0..3 {
            let (row, next) = (2 * at, 2 * at + 1);
            b.batch_execute(&format!("INSERT INTO t VALUES ({row}, 'a'), ({next}, 'b')")).await.expect("rows");
            b.batch_execute(&format!("UPDATE t SET v = 'x' WHERE k = {at}")).await.expect("a row");
        }
        let rule = "CREATE RULE r AS ON INSERT TO t DO ALSO INSERT INTO noted VALUES (new.k, new.v)";
        for (ddl, statement, expected) in [
            (rule, "INSERT INTO t VALUES (10, 'a'), (11, 'b'), (12, 'c')", "ok"),
            (
                "DROP RULE r ON t; ALTER TABLE t ALTER v TYPE int USING 5",
                "INSERT INTO t VALUES (20, '7'), (21, '8')",
                "ok",
            ),
            ("ALTER TABLE t ALTER v TYPE text", "UPDATE t SET v = 8 WHERE k = 1", "ok"),
            (
                "ALTER TABLE t DROP v",
                "INSERT INTO t VALUES (30, '7'), (31, '8')",
                "42601 INSERT has more expressions than target columns",
            ),
        ] {
            a.batch_execute(&format!("BEGIN; {ddl}")).await.expect(ddl);
            let ends = async {
                while look
                    .query_one("SELECT count(*) FROM pg_locks WHERE NOT granted", &[])
                    .await
                    .expect("locks")
                    .get::<_, i64>(0)
                    == 0
                {}
                a.batch_execute("COMMIT").await.expect("committed");
            };
            let (result, ()) = tokio::join!(b.simple_query(statement), ends);
            assert_eq!(code(result), expected, "{ddl}");
        }
        assert_eq!(value(&look, "SELECT string_agg(k::text || v, ' ' ORDER BY k) FROM noted").await, "10a 11b 12c");
        assert_eq!(
            value(&look, "SELECT string_agg(k::text, ' ' ORDER BY k) FROM t WHERE k > 5").await,
            "10 11 12 20 21"
        );
    });
}

#[test]
fn after_an_error_everything_is_skipped_to_sync() {
    let node = Node::start(&[]);
    let mut raw = Raw::login(node.port());
    raw.send(&[parse("", "SELECT 1/$1::int"), bind("", "", &["0"]), execute("", 0), parse("s", "SELECT 7"), sync()]);
    assert_eq!(raw.line_until('Z'), "1 2 E:22012 Z:I");
    raw.send(&[bind("", "s", &[]), execute("", 0), sync()]);
    assert_eq!(raw.line_until('Z'), "E:26000 Z:I", "what was skipped was not prepared");
    // Malformed messages, too.
    raw.send(&[('B', vec![0]), parse("s", "SELECT 7"), sync()]);
    assert_eq!(raw.line_until('Z'), "E:08P01 Z:I");
    raw.send(&[parse("s", "SELECT 7"), sync()]);
    assert_eq!(raw.line_until('Z'), "1 Z:I");
}

#[test]
fn pipelined_batches_are_transactions_of_their_own() {
    let node = Node::start(&[]);
    let mut raw = Raw::login(node.port());
    raw.send(&[query("CREATE TABLE t (a int PRIMARY KEY)")]);
    raw.line_until('Z');
    let insert = |value: &str| [parse("", "INSERT INTO t VALUES ($1)"), bind("", "", &[value]), execute("", 0)];
    let mut messages = Vec::new();
    messages.extend(insert("1"));
    messages.extend(insert("2"));
    messages.push(sync());
    messages.extend(insert("3"));
    messages.extend(insert("1"));
    messages.push(sync());
    messages.extend(insert("4"));
    messages.push(sync());
    raw.send(&messages);
    assert_eq!(raw.line_until('Z'), "1 2 C:INSERT 0 1 1 2 C:INSERT 0 1 Z:I");
    assert_eq!(raw.line_until('Z'), "1 2 C:INSERT 0 1 1 2 E:23505 Z:I");
    assert_eq!(raw.line_until('Z'), "1 2 C:INSERT 0 1 Z:I");
    raw.send(&[query("SELECT a FROM t ORDER BY a")]);
    assert_eq!(raw.line_until('Z'), "T D:1 D:2 D:4 C:SELECT 3 Z:I");
}

#[test]
fn portals_are_suspended_and_go_on() {
    let node = Node::start(&[]);
    let mut raw = Raw::login(node.port());
    raw.send(&[query("BEGIN")]);
    raw.line_until('Z');
    let series = "SELECT g FROM generate_series(1, 5) g";
    raw.send(&[parse("s", series), bind("p", "s", &[]), describe('P', "p"), execute("p", 2), sync()]);
    assert_eq!(raw.line_until('Z'), "1 2 T D:1 D:2 s Z:T");
    raw.send(&[execute("p", 2), execute("p", 0), execute("p", 0), sync()]);
    assert_eq!(raw.line_until('Z'), "D:3 D:4 s D:5 C:SELECT 1 C:SELECT 0 Z:T");
    raw.send(&[close('P', "p"), execute("p", 0), sync()]);
    assert_eq!(raw.line_until('Z'), "3 E:34000 Z:E");
    raw.send(&[query("ROLLBACK")]);
    raw.line_until('Z');
    // A portal does not outlive its transaction; a statement does.
    raw.send(&[bind("q", "s", &[]), sync(), execute("q", 0), sync()]);
    assert_eq!(raw.line_until('Z'), "2 Z:I");
    assert_eq!(raw.line_until('Z'), "E:34000 Z:I");
    raw.send(&[bind("", "s", &[]), execute("", 0), close('S', "s"), close('S', "none"), sync()]);
    assert_eq!(raw.line_until('Z'), "2 D:1 D:2 D:3 D:4 D:5 C:SELECT 5 3 3 Z:I");
}

/// Sync stops the clock, as in PostgreSQL: a statement that was prepared in a batch of its own has all its time when it is run.
#[test]
fn the_time_between_a_statement_and_its_preparation_does_not_count() {
    let node = Node::start(&[]);
    let mut raw = Raw::login(node.port());
    raw.send(&[query("SET statement_timeout = 200")]);
    assert_eq!(raw.line_until('Z'), "C:SET Z:I");
    for (name, before, state) in [("alone", "SELECT 1", "Z:I"), ("in_block", "BEGIN", "Z:T")] {
        raw.send(&[query(before)]);
        raw.until('Z');
        raw.send(&[parse(name, "SELECT count(*) FROM generate_series(1, 10000)"), sync()]);
        assert_eq!(raw.line_until('Z'), format!("1 {state}"));
        std::thread::sleep(Duration::from_millis(400));
        raw.send(&[bind("", name, &[]), execute("", 0), sync()]);
        assert_eq!(raw.line_until('Z'), format!("2 D:10000 C:SELECT 1 {state}"));
    }
}

#[test]
fn statements_are_described_with_their_types() {
    let node = Node::start(&[]);
    run(async {
        let client = connect(&node.config()).await;
        client.batch_execute("CREATE TABLE t (a int4, b numeric(6,2), c varchar(9)[])").await.expect("a table");
        let statement =
            client.prepare("SELECT a, b, c, $1 || 'x' AS d FROM t WHERE a = $2 AND b > $3").await.expect("prepared");
        let parameters: Vec<&str> = statement.params().iter().map(|ty| ty.name()).collect();
        assert_eq!(parameters, ["text", "int4", "numeric"]);
        let columns: Vec<_> = statement.columns().iter().map(|c| (c.name(), c.type_().name())).collect();
        assert_eq!(columns, [("a", "int4"), ("b", "numeric"), ("c", "_varchar"), ("d", "text")]);
        assert_eq!(statement.columns()[0].column_id(), Some(1));
        assert!(statement.columns()[0].table_oid().is_some());
        assert_eq!(statement.columns()[3].table_oid(), None);
        assert_eq!(code(client.prepare("SELECT $1 + nonsense").await), "42703 column \"nonsense\" does not exist");
    });
}

#[test]
fn copy_goes_both_ways_in_every_format() {
    use futures_util::{SinkExt, TryStreamExt};
    let node = Node::start(&[]);
    run(async {
        let client = connect(&node.config()).await;
        client.batch_execute("CREATE TABLE t (a int, b text); CREATE TABLE u (a int, b text)").await.expect("tables");
        let sink = client.copy_in("COPY t FROM STDIN (FORMAT csv, HEADER)").await.expect("copy");
        let mut sink = Box::pin(sink);
        // Pieces end anywhere.
        for piece in ["a,b\n1,\"x", ", y\"\n2,\n3,\"\"", "\n"] {
            sink.send(bytes::Bytes::from(piece)).await.expect("sent");
        }
        assert_eq!(sink.as_mut().finish().await.expect("done"), 3);
        for format in ["text", "csv", "binary"] {
            let out = client
                .copy_out(&format!("COPY (SELECT * FROM t ORDER BY a) TO STDOUT (FORMAT {format})"))
                .await
                .expect("copy");
            let data: Vec<bytes::Bytes> = out.try_collect().await.expect("data");
            if format == "text" {
                assert_eq!(data.concat(), b"1\tx, y\n2\t\\N\n3\t\n");
            }
            client.batch_execute("TRUNCATE u").await.expect("emptied");
            let mut sink =
                Box::pin(client.copy_in(&format!("COPY u FROM STDIN (FORMAT {format})")).await.expect("copy"));
            for piece in data {
                sink.send(piece).await.expect("sent");
            }
            assert_eq!(sink.as_mut().finish().await.expect("done"), 3, "{format}");
            assert_eq!(
                value(&client, "SELECT count(*) FROM t JOIN u ON t.a = u.a AND t.b IS NOT DISTINCT FROM u.b").await,
                "3"
            );
        }
        let mut sink = Box::pin(client.copy_in::<_, bytes::Bytes>("COPY u FROM STDIN").await.expect("copy"));
        sink.send(bytes::Bytes::from("1\tx\nnonsense\ty\n")).await.expect("sent");
        let failed = code(sink.as_mut().finish().await);
        assert_eq!(failed, "22P02 invalid input syntax for type integer: \"nonsense\"");
        assert_eq!(value(&client, "SELECT count(*) FROM u").await, "3", "a COPY is whole or not at all");
    });
}

#[test]
fn a_running_statement_is_cancelled() {
    let node = Node::start(&[]);
    run(async {
        let client = connect(&node.config()).await;
        let token = client.cancel_token();
        let begun = Instant::now();
        let (slept, ()) = tokio::join!(client.batch_execute("SELECT pg_sleep(60)"), async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            token.cancel_query(tokio_postgres::NoTls).await.expect("sent");
        });
        assert_eq!(code(slept), "57014 canceling statement due to user request");
        assert!(begun.elapsed() < Duration::from_secs(10));
        assert_eq!(value(&client, "SELECT 1").await, "1", "the session goes on");
        client.batch_execute("SET statement_timeout = '50ms'").await.expect("set");
        let slept = code(client.batch_execute("SELECT pg_sleep(60)").await);
        assert_eq!(slept, "57014 canceling statement due to statement timeout");
    });
}

/// Its client may be the one that the other waits for: a block that lost is not executed again behind its back.
#[test]
fn the_victim_of_a_deadlock_is_told() {
    let node = Node::start(&[]);
    run(async {
        let (one, two) = (connect(&node.config()).await, connect(&node.config()).await);
        one.batch_execute("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 0), (2, 0)")
            .await
            .unwrap();
        one.batch_execute("BEGIN; UPDATE t SET v = 1 WHERE id = 1").await.unwrap();
        two.batch_execute("BEGIN; UPDATE t SET v = 1 WHERE id = 2").await.unwrap();
        let (a, b) = tokio::join!(
            one.batch_execute("UPDATE t SET v = 2 WHERE id = 2"),
            two.batch_execute("UPDATE t SET v = 2 WHERE id = 1"),
        );
        let told: Vec<_> = [a, b].into_iter().filter_map(Result::err).collect();
        assert_eq!(told.len(), 1, "one goes on");
        assert_eq!(told[0].code().map(|c| c.code()), Some("40P01"));
    });
}

#[test]
fn passwords_are_proven_by_scram() {
    let node = Node::start(&[("auth", "scram"), ("initial_password", "first password")]);
    run(async {
        let mut config = node.config();
        assert!(code(try_connect(&config).await).starts_with("client:"), "a password is asked for");
        assert_eq!(
            code(try_connect(config.clone().password("wrong")).await),
            "28P01 password authentication failed for user \"postgres\""
        );
        let client = connect(config.password("first password")).await;
        client.batch_execute("CREATE ROLE ada LOGIN PASSWORD 'päss'").await.expect("a role");
        client.batch_execute("CREATE ROLE nobody LOGIN").await.expect("a role");
        let ada = connect(config.clone().user("ada").password("päss")).await;
        assert_eq!(value(&ada, "SELECT current_user").await, "ada");
        for user in ["nobody", "missing"] {
            let refused = code(try_connect(config.clone().user(user).password("x")).await);
            assert_eq!(refused, format!("28P01 password authentication failed for user \"{user}\""));
        }
        client.batch_execute("ALTER ROLE postgres PASSWORD 'second'").await.expect("changed");
        assert!(code(try_connect(&config).await).starts_with("28P01"));
        connect(config.clone().password("second")).await;
    });
    // What no password could make good is told without asking for one; whether a role or a database exists is not.
    let (long, port) = ("u".repeat(64), node.port());
    for (settings, expected) in [
        (&[("user", "postgres"), ("nonsense", "1")][..], "E:42704"),
        (&[("user", "missing"), ("options", "-c work_mem=lots")], "E:22023"),
        (&[("user", "postgres"), ("client_encoding", "martian")], "E:22023"),
        (&[("user", &long)], "E:28P01"),
        (&[("user", "missing")], "R"),
        (&[("user", "postgres"), ("database", "missing")], "R"),
    ] {
        let mut raw = Raw::open(port);
        raw.startup(196_608, settings);
        let answer = raw.next().expect("an answer");
        assert_eq!(show(&answer), expected, "{settings:?}");
    }
}

#[test]
fn a_client_that_sends_too_much_is_told_so_before_the_end() {
    let node = Node::start(&[("auth", "scram"), ("initial_password", "sesame")]);
    for tag in ['p', 'w'] {
        let mut raw = Raw::open(node.port());
        raw.startup(196_608, &[("user", "postgres")]);
        assert_eq!(raw.next().map(|message| message.0), Some('R'));
        raw.send(&[(tag, vec![b'x'; 300_000])]);
        let told = raw.next().map(|message| show(&message));
        assert!(told.as_ref().is_some_and(|told| told.starts_with('E')), "{told:?}");
        let rest = std::io::Read::read_to_end(&mut raw.0, &mut Vec::new());
        assert_eq!(rest.map_err(|error| error.kind()), Ok(0), "and then the end");
    }
}

#[test]
fn connections_are_limited_with_a_reserve_for_superusers() {
    let node = Node::start(&[("max_connections", "3"), ("superuser_reserved_connections", "1")]);
    run(async {
        let config = node.config();
        let first = connect(&config).await;
        first.batch_execute("CREATE ROLE plain LOGIN").await.expect("a role");
        let mut plain = config.clone();
        plain.user("plain");
        let _others = (connect(&plain).await, connect(&plain).await);
        let refused = code(try_connect(&plain).await);
        assert!(refused.starts_with("53300 "), "{refused}");
        let reserved = connect(&config).await;
        let refused = code(try_connect(&config).await);
        assert!(refused.starts_with("53300 "), "{refused}");
        drop(first);
        // The place is given back once the server has seen the end.
        let until = Instant::now() + Duration::from_secs(10);
        while try_connect(&config).await.is_err() {
            assert!(Instant::now() < until, "the place is not given back");
        }
        assert_eq!(value(&reserved, "SELECT 1").await, "1");
    });
}

#[test]
fn messages_that_are_too_long_are_read_past() {
    let node = Node::start(&[]);
    let mut raw = Raw::login(node.port());
    let length = wire::MESSAGE_LIMIT + 1;
    raw.0.write_all(&[&b"Q"[..], &((length + 4) as i32).to_be_bytes()].concat()).expect("sent");
    let piece = vec![b' '; 1 << 20];
    let mut left = length;
    while left > 0 {
        let part = left.min(piece.len());
        raw.0.write_all(&piece[..part]).expect("sent");
        left -= part;
    }
    assert_eq!(raw.line_until('Z'), "E:54000 Z:I");
    raw.send(&[query("SELECT 1")]);
    assert_eq!(raw.line_until('Z'), "T D:1 C:SELECT 1 Z:I");
    // Before login the limit is far lower, and the end of the connection.
    let mut raw = Raw::open(node.port());
    raw.0.write_all(&(1i32 << 20).to_be_bytes()).expect("sent");
    assert!(raw.next().is_none());
}

#[test]
fn start_up_is_negotiated() {
    let node = Node::start(&[]);
    let mut raw = Raw::open(node.port());
    raw.startup(196_608 + 9, &[("user", "postgres"), ("_pq_.unknown", "1")]);
    let first = raw.next().expect("an answer");
    assert_eq!((first.0, &first.1[..8]), ('v', &[0, 3, 0, 2, 0, 0, 0, 1][..]));
    let rest = raw.until('Z');
    let key = rest.iter().find(|m| m.0 == 'K').expect("a cancel key");
    assert_eq!(key.1.len(), 4 + 32);
    let status = |name: &str| {
        let wanted = text(name);
        rest.iter().find(|m| m.0 == 'S' && m.1.starts_with(&wanted)).map(|m| m.1[wanted.len()..m.1.len() - 1].to_vec())
    };
    assert_eq!(status("server_encoding").as_deref(), Some(&b"UTF8"[..]));
    assert!(status("server_version").is_some_and(|version| version.starts_with(b"15.")));
    // Settings in the packet hold for the session.
    let mut raw = Raw::open(node.port());
    raw.startup(196_608, &[("user", "postgres"), ("application_name", "mine"), ("options", "-c search_path=a,b")]);
    raw.until('Z');
    raw.send(&[query("SHOW application_name"), query("SHOW search_path")]);
    assert_eq!(raw.line_until('Z'), "T D:mine C:SHOW Z:I");
    assert_eq!(raw.line_until('Z'), "T D:a,b C:SHOW Z:I");
    for (settings, expected) in [
        (&[("user", "missing")][..], "E:28000"),
        (&[("user", "postgres"), ("database", "missing")], "E:3D000"),
        (&[("user", "postgres"), ("nonsense", "1")], "E:42704"),
        (&[("database", "postgres")], "E:28000"),
    ] {
        let mut raw = Raw::open(node.port());
        raw.startup(196_608, settings);
        let line = raw.line_until('E');
        assert!(line.ends_with(expected), "{settings:?}: {line}");
        assert!(raw.next().is_none(), "the connection ends");
    }
}

#[test]
fn connections_are_encrypted_when_asked_for() {
    use std::sync::Arc;
    use tokio_rustls::rustls;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/");
    let (certificate, key) = (format!("{folder}server.crt"), format!("{folder}server.key"));
    let node = Node::start(&[("tls_cert", certificate.as_str()), ("tls_key", key.as_str())]);
    run(async {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", node.port())).await.expect("connected");
        tokio::io::AsyncWriteExt::write_all(&mut stream, &[0, 0, 0, 8, 4, 210, 22, 47]).await.expect("asked");
        let mut answer = [0];
        tokio::io::AsyncReadExt::read_exact(&mut stream, &mut answer).await.expect("answered");
        assert_eq!(&answer, b"S");
        let mut roots = rustls::RootCertStore::empty();
        let pem = std::fs::read(&certificate).expect("read");
        for certificate in rustls_pemfile::certs(&mut pem.as_slice()) {
            roots.add(certificate.expect("a certificate")).expect("added");
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = rustls::pki_types::ServerName::try_from("localhost").expect("a name");
        let stream = tokio_rustls::TlsConnector::from(Arc::new(client)).connect(name, stream).await.expect("encrypted");
        let mut config = node.config();
        config.ssl_mode(tokio_postgres::config::SslMode::Disable);
        let (client, connection) = config.connect_raw(stream, tokio_postgres::NoTls).await.expect("a session");
        tokio::spawn(async move { _ = connection.await });
        assert_eq!(value(&client, "SELECT 40 + 2").await, "42");
        // In the clear is allowed on loopback.
        connect(&node.config()).await;
    });
    // Bytes sent in the clear behind the request are never taken for encrypted ones.
    let mut raw = Raw::open(node.port());
    raw.0
        .write_all(&[&[0, 0, 0, 8, 4, 210, 22, 47][..], b"\0\0\0\x17\0\x03\0\0user\0postgres\0\0"].concat())
        .expect("sent");
    let mut answer = Vec::new();
    let _ = raw.0.read_to_end(&mut answer);
    assert_eq!(answer.first(), Some(&b'S'));
    assert!(!answer.contains(&b'Z') || answer.len() < 16, "no session came of it");
}
