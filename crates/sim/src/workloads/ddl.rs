//! Level 8. Tables and rows in one transaction: over both shards, and whole, whenever the power goes.

use super::{Work, Workload, number};
use crate::client::{Client, Fate};
use parking_lot::Mutex;
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Ddl {
    history: Mutex<History>,
}

#[derive(Default)]
struct History {
    next: u64,
    /// Each table's transaction.
    fates: BTreeMap<u64, Fate>,
}

impl Ddl {
    async fn make(&self, client: &mut Client, table: u64) -> Result<(), Fate> {
        client.run_in("BEGIN", &[]).await?;
        client.run_in(&format!("CREATE TABLE made_{table} (n bigint PRIMARY KEY)"), &[]).await?;
        client.run_in(&format!("INSERT INTO made_{table} VALUES ({table})"), &[]).await?;
        client.run_in(&format!("INSERT INTO ledger (n) VALUES ({table})"), &[]).await?;
        if client.dice.percent(20) {
            client.run_in("ALTER TABLE ledger ADD COLUMN IF NOT EXISTS extra int DEFAULT 7", &[]).await?;
        }
        client.run_in("COMMIT", &[]).await?;
        Ok(())
    }
}

impl Workload for Ddl {
    fn name(&self) -> &'static str {
        "ddl"
    }

    fn setup(&self) -> Vec<String> {
        vec!["CREATE TABLE IF NOT EXISTS ledger (n bigint PRIMARY KEY)".to_owned()]
    }

    fn step<'a>(&'a self, client: &'a mut Client) -> Work<'a, ()> {
        Box::pin(async move {
            let table = {
                let mut history = self.history.lock();
                history.next += 1;
                let table = history.next;
                history.fates.insert(table, Fate::Unknown);
                table
            };
            let fate = self.make(client, table).await.err().unwrap_or(Fate::Committed);
            self.history.lock().fates.insert(table, fate);
            client.pause(std::time::Duration::from_millis(400)).await;
        })
    }

    fn verify<'a>(&'a self, client: &'a mut Client, is_last: bool) -> Work<'a, ()> {
        Box::pin(async move {
            let Ok(rows) = client.run_in("SELECT n, to_regclass('made_' || n) IS NOT NULL FROM ledger", &[]).await
            else {
                return;
            };
            let there: BTreeMap<u64, bool> = rows
                .iter()
                .filter_map(|row| Some((number(row, 0)? as u64, row.get(1)?.as_deref() == Some("t"))))
                .collect();
            let fates = self.history.lock().fates.clone();
            for (table, fate) in &fates {
                match (fate, there.get(table)) {
                    (_, Some(false)) => {
                        client.machine.find(format!("ddl: table {table} is missing, its rows are there"))
                    }
                    (Fate::Committed, None) => client.machine.find(format!("ddl: table {table} is lost")),
                    (Fate::Aborted, Some(true)) => {
                        client.machine.find(format!("ddl: table {table} was refused, and is there"))
                    }
                    _ => {}
                }
            }
            let Some(table) = there.keys().nth(client.dice.index(there.len())).filter(|_| !is_last) else { return };
            let Ok(rows) = client.run_in(&format!("SELECT n FROM made_{table}"), &[]).await else { return };
            if rows.first().and_then(|row| number(row, 0)) != Some(*table as i64) {
                client.machine.find(format!("ddl: table {table} is without its row: {rows:?}"));
            }
            let text = "SELECT count(*) FROM pg_class WHERE relname LIKE 'made%' AND relkind = 'r'";
            let Ok(rows) = client.run_in(text, &[]).await else { return };
            if rows.first().and_then(|row| number(row, 0)) != Some(there.len() as i64) {
                client.machine.find(format!("ddl: {rows:?} tables for {} rows", there.len()));
            }
        })
    }
}
