//! `pg_dump | psql` into a fresh database, and `pg_dump` again: nothing is lost and nothing comes to it.
//!
//! Needs PostgreSQL 15's `pg_dump` and `psql` in the PATH or in Debian's place for them; without them the test says so and passes.
//! With `HYRAX_TEST_POSTGRES="host=… port=… user=…"` the same script is given to that server too: each must read the other's dump, and
//! both must dump the same.

mod support;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use support::{Node, connect, run};

/// Where Debian has version 15's programs.
const DEBIAN: &str = "/usr/lib/postgresql/15/bin";

const SCRIPT: &str = include_str!("../../../sql-tests/dump/shop.sql");

/// A server and its programs.
struct Place {
    programs: PathBuf,
    /// `host=… port=… user=…`
    at: String,
}

fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = [PathBuf::from(DEBIAN)].into_iter().chain(std::env::split_paths(&path));
    let is_15 = |folder: &PathBuf| {
        let version = Command::new(folder.join("pg_dump")).arg("--version").output();
        version.is_ok_and(|out| String::from_utf8_lossy(&out.stdout).contains(" 15."))
    };
    folders.into_iter().find(is_15)
}

impl Place {
    fn command(&self, program: &str, database: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.arg("--dbname").arg(format!("{} dbname={database}", self.at)).env("PGOPTIONS", "-c TimeZone=UTC");
        command
    }

    /// Runs a script in a new database.
    fn load(&self, database: &str, script: &str) {
        run(async {
            let mut config: tokio_postgres::Config = self.at.parse().expect("a connection string");
            let client = connect(config.dbname("postgres")).await;
            let _ = client.batch_execute("CREATE ROLE dump_seller").await;
            let _ = client.batch_execute(&format!("DROP DATABASE {database}")).await;
            client.batch_execute(&format!("CREATE DATABASE {database}")).await.expect("a database");
        });
        let mut command = self.command("psql", database);
        command.args(["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1"]);
        let mut psql =
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("psql");
        psql.stdin.take().expect("a pipe").write_all(script.as_bytes()).expect("psql reads");
        let out = psql.wait_with_output().expect("psql ends");
        assert!(out.status.success(), "{database}: {}", String::from_utf8_lossy(&out.stderr));
    }

    fn dump(&self, database: &str) -> String {
        let out = self.command("pg_dump", database).output().expect("pg_dump");
        assert!(out.status.success(), "{database}: {}", String::from_utf8_lossy(&out.stderr));
        // Each dump is closed with a word of its own against what it holds; and it names the server.
        let is_kept = |line: &&str| {
            !["\\restrict ", "\\unrestrict ", "-- Dumped from"].iter().any(|start| line.starts_with(start))
        };
        let text = String::from_utf8(out.stdout).expect("UTF-8");
        text.lines().filter(is_kept).map(|line| format!("{line}\n")).collect()
    }
}

/// Compares line by line, so that a failure says where.
fn assert_same(left: &str, right: &str, what: &str) {
    for (number, (l, r)) in left.lines().zip(right.lines()).enumerate() {
        assert_eq!(l, r, "{what}: line {}", number + 1);
    }
    assert_eq!(left.lines().count(), right.lines().count(), "{what}");
}

fn hyrax(node: &Node, programs: &Path) -> Place {
    Place { programs: programs.to_owned(), at: format!("host=127.0.0.1 port={} user=postgres", node.port()) }
}

#[test]
fn a_dump_that_is_loaded_dumps_the_same() {
    let Some(programs) = programs() else {
        eprintln!("PostgreSQL 15's pg_dump is not here: nothing is tested");
        return;
    };
    let node = Node::start(&[]);
    let here = hyrax(&node, &programs);
    here.load("dump_first", SCRIPT);
    let first = here.dump("dump_first");
    here.load("dump_second", &first);
    assert_same(&first, &here.dump("dump_second"), "Hyrax twice");
    let Ok(at) = std::env::var("HYRAX_TEST_POSTGRES") else { return };
    let there = Place { programs, at };
    there.load("dump_first", SCRIPT);
    let original = there.dump("dump_first");
    assert_same(&original, &first, "PostgreSQL and Hyrax");
    here.load("dump_third", &original);
    assert_same(&original, &here.dump("dump_third"), "PostgreSQL's in Hyrax");
    there.load("dump_fourth", &first);
    assert_same(&original, &there.dump("dump_fourth"), "Hyrax's in PostgreSQL");
}
