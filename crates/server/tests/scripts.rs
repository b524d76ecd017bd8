//! Golden scripts: `sql-tests/golden/**/*.test`.
//!
//! ```text
//! -- A comment, or several.
//! SELECT 1 AS one, NULL AS nothing;
//! ---
//! one | nothing
//! 1   | NULL
//!
//! other: BEGIN;              <- by a session of that name; without one, by session `main`
//! ---
//! ok 0
//! ```
//!
//! A statement ends at a line `---`, its answer at an empty line. `HYRAX_REWRITE=1` writes what came; the diff is
//! what a reviewer reads. Recorded from PostgreSQL 15 (see `support`) unless the script lies in a folder `hyrax`.

mod support;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use support::Place;
use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, Client, NoTls, SimpleQueryMessage};

struct Session {
    client: Client,
    notices: mpsc::UnboundedReceiver<String>,
}

impl Session {
    async fn open(config: &tokio_postgres::Config) -> Session {
        let (client, mut connection) = config.connect(NoTls).await.expect("a session");
        let (told, notices) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(Ok(message)) = std::future::poll_fn(|context| connection.poll_message(context)).await {
                if let AsyncMessage::Notice(notice) = message {
                    let _ = told.send(show_error(&notice));
                }
            }
        });
        Session { client, notices }
    }

    /// A statement's answer, in lines.
    async fn ask(&mut self, sql: &str) -> String {
        let mut answer = String::new();
        let result = self.client.simple_query(sql.trim_end()).await;
        while let Ok(notice) = self.notices.try_recv() {
            answer += &notice;
        }
        match result {
            Ok(messages) => show_messages(&messages, &mut answer),
            Err(error) => match error.as_db_error() {
                Some(error) => answer += &show_error(error),
                None => writeln!(answer, "client: {error}").expect("text"),
            },
        }
        answer
    }
}

fn show_error(error: &tokio_postgres::error::DbError) -> String {
    let mut text = format!("{} {}: {}\n", error.severity(), error.code().code(), error.message());
    if let Some(tokio_postgres::error::ErrorPosition::Original(at)) = error.position() {
        writeln!(text, "  at {at}").expect("text");
    }
    // Of a conflict Hyrax tells more than PostgreSQL, and numbers that differ from run to run (tests/conflicts.rs).
    if matches!(error.code().code(), "40001" | "40P01" | "55P03") {
        return text;
    }
    for (name, value) in [("detail", error.detail()), ("hint", error.hint())] {
        if let Some(value) = value {
            writeln!(text, "  {name}: {}", value.replace('\n', "\\n")).expect("text");
        }
    }
    text
}

fn show_messages(messages: &[SimpleQueryMessage], answer: &mut String) {
    let mut table: Vec<Vec<String>> = Vec::new();
    for message in messages {
        match message {
            SimpleQueryMessage::RowDescription(columns) => {
                table = vec![columns.iter().map(|column| column.name().to_owned()).collect()];
            }
            SimpleQueryMessage::Row(row) => {
                let value = |at| row.get(at).unwrap_or("NULL").replace('\\', "\\\\").replace('\n', "\\n");
                table.push((0..row.len()).map(value).collect());
            }
            SimpleQueryMessage::CommandComplete(count) => {
                if table.is_empty() {
                    writeln!(answer, "ok {count}").expect("text");
                } else {
                    show_table(&std::mem::take(&mut table), answer);
                }
            }
            _ => {}
        }
    }
}

fn show_table(table: &[Vec<String>], answer: &mut String) {
    let width = |at: usize| table.iter().filter_map(|row| row.get(at)).map(|v| v.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..table.first().map_or(0, Vec::len)).map(width).collect();
    for row in table {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(value, width)| format!("{value:width$}")).collect();
        writeln!(answer, "{}", if row.is_empty() { "(no columns)".to_owned() } else { cells.join(" | ") }.trim_end())
            .expect("text");
    }
}

/// Runs a script; what it would look like with the answers that came.
async fn replay(text: &str, config: &tokio_postgres::Config) -> String {
    let mut sessions: BTreeMap<String, Session> = BTreeMap::new();
    let (mut replayed, mut statement, mut in_answer) = (String::new(), String::new(), false);
    for line in text.lines() {
        if in_answer {
            in_answer = !line.is_empty();
            if !in_answer {
                replayed.push('\n');
            }
            continue;
        }
        writeln!(replayed, "{line}").expect("text");
        if line != "---" {
            writeln!(statement, "{line}").expect("text");
            continue;
        }
        let sql = std::mem::take(&mut statement);
        let (name, sql) = session_of(&sql);
        if !sessions.contains_key(name) {
            sessions.insert(name.to_owned(), Session::open(config).await);
        }
        if let Some(session) = sessions.get_mut(name) {
            replayed += &session.ask(sql).await;
        }
        in_answer = true;
    }
    replayed
}

/// `name: statement`, behind comments.
fn session_of(statement: &str) -> (&str, &str) {
    let mut rest = statement;
    while let Some((line, after)) = rest.split_once('\n')
        && (line.starts_with("--") || line.trim().is_empty())
    {
        rest = after;
    }
    match rest.split_once(": ") {
        Some((name, sql)) if !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()) => {
            (name, sql)
        }
        _ => ("main", statement),
    }
}

/// The statements whose answers differ, each with the first line that does.
fn differences(expected: &str, found: &str) -> String {
    let mut text = String::new();
    for (expected, found) in expected.split("\n\n").zip(found.split("\n\n")) {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let (expected, found) = (lines(expected), lines(found));
        let count = expected.len().max(found.len());
        let line = |lines: &[String], at: usize| lines.get(at).cloned().unwrap_or_default();
        if let Some(at) = (0..count).find(|&at| line(&expected, at) != line(&found, at)) {
            let statement = expected.iter().find(|line| !line.starts_with("--")).cloned().unwrap_or_default();
            let (expected, found) = (line(&expected, at), line(&found, at));
            write!(text, "\n  {statement}\n    expected {expected}\n    found    {found}").expect("text");
        }
    }
    text
}

#[test]
fn golden_scripts_answer_as_recorded() {
    let is_rewriting = std::env::var_os("HYRAX_REWRITE").is_some();
    let is_elsewhere = std::env::var_os("HYRAX_TEST_SERVER").is_some();
    let place = Place::open();
    let mut failures = Vec::new();
    for path in support::files("golden", "test") {
        let is_ours = path.components().any(|part| part.as_os_str() == "hyrax");
        if is_ours && is_elsewhere {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a script");
        let found = support::run(async {
            let config = place.database().await;
            let found = replay(&text, &config).await;
            place.drop_database(&config).await;
            found
        });
        if is_rewriting {
            std::fs::write(&path, &found).expect("written");
        } else if found != text {
            failures.push(format!("{}: {}", short(&path), differences(&text, &found)));
        }
    }
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n"));
}

fn short(path: &Path) -> String {
    path.display().to_string().rsplit("sql-tests/").next().unwrap_or_default().to_owned()
}
