//! sqllogictest files: `sql-tests/slt/**/*.slt`, by the simple protocol, each in a database of its own.

mod support;

use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};
use std::time::Duration;
use support::Place;
use tokio_postgres::{Client, SimpleQueryMessage};

struct Connection(Client);

#[async_trait::async_trait]
impl AsyncDB for Connection {
    type Error = tokio_postgres::Error;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, tokio_postgres::Error> {
        let (mut rows, mut columns, mut count) = (Vec::new(), None, 0);
        for message in self.0.simple_query(sql).await? {
            match message {
                SimpleQueryMessage::RowDescription(described) => columns = Some(described.len()),
                SimpleQueryMessage::Row(row) => rows.push((0..row.len()).map(|at| shown(row.get(at))).collect()),
                SimpleQueryMessage::CommandComplete(affected) => count = affected,
                _ => {}
            }
        }
        Ok(match columns {
            Some(columns) => DBOutput::Rows { types: vec![DefaultColumnType::Any; columns], rows },
            None => DBOutput::StatementComplete(count),
        })
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "postgresql"
    }

    async fn sleep(duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn error_sql_state(error: &tokio_postgres::Error) -> Option<String> {
        error.code().map(|code| code.code().to_owned())
    }
}

fn shown(value: Option<&str>) -> String {
    match value {
        None => "NULL".to_owned(),
        Some("") => "(empty)".to_owned(),
        Some(value) => value.to_owned(),
    }
}

#[test]
fn sqllogictest_files_pass() {
    let place = Place::open();
    let mut failures = Vec::new();
    for path in support::files("slt", "slt") {
        let result = support::run(async {
            let config = place.database().await;
            let mut runner = Runner::new(|| async { Ok(Connection(support::connect(&config).await)) });
            let result = runner.run_file_async(&path).await;
            drop(runner);
            place.drop_database(&config).await;
            result
        });
        if let Err(error) = result {
            failures.push(format!("{}: {error}", path.display()));
        }
    }
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n"));
}
