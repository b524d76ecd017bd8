//! Level 8. Foreign keys: no child without its parent, whatever inserts and deletes run beside each other.

use super::{Work, Workload, number};
use crate::client::Client;
use parking_lot::Mutex;
use std::collections::BTreeSet;

const PARENTS: u64 = 6;
const FOREIGN_KEY_VIOLATION: &str = "23503";
const UNIQUE_VIOLATION: &str = "23505";

#[derive(Default)]
pub struct ForeignKeys {
    history: Mutex<History>,
}

#[derive(Default)]
struct History {
    next_child: u64,
    /// Children that were told to be there; nobody deletes them but with their parent's cascade, which is not used.
    children: BTreeSet<u64>,
}

impl Workload for ForeignKeys {
    fn name(&self) -> &'static str {
        "foreign_keys"
    }

    fn setup(&self) -> Vec<String> {
        vec![
            "CREATE TABLE IF NOT EXISTS parents (id bigint PRIMARY KEY, n int NOT NULL)".to_owned(),
            "CREATE TABLE IF NOT EXISTS children (id bigint PRIMARY KEY, parent bigint NOT NULL REFERENCES parents)"
                .to_owned(),
        ]
    }

    fn step<'a>(&'a self, client: &'a mut Client) -> Work<'a, ()> {
        Box::pin(async move {
            // Old parents get children and stay; new ones come and go.
            let parent = client.now().as_secs() / 4 * 2 + client.dice.below(PARENTS);
            let also = &[FOREIGN_KEY_VIOLATION, UNIQUE_VIOLATION];
            match client.dice.below(8) {
                0..3 => _ = client.run_in(&format!("INSERT INTO parents VALUES ({parent}, 0)"), also).await,
                3..5 => _ = client.run_in(&format!("DELETE FROM parents WHERE id = {parent}"), also).await,
                5 => _ = client.run_in(&format!("UPDATE parents SET n = n + 1 WHERE id = {parent}"), also).await,
                _ => {
                    let child = {
                        let mut history = self.history.lock();
                        history.next_child += 1;
                        history.next_child
                    };
                    let text = format!("INSERT INTO children VALUES ({child}, {parent})");
                    if client.run_in(&text, also).await.is_ok() {
                        self.history.lock().children.insert(child);
                    }
                }
            }
        })
    }

    fn verify<'a>(&'a self, client: &'a mut Client, _: bool) -> Work<'a, ()> {
        Box::pin(async move {
            let text = "SELECT c.id, p.id FROM children c LEFT JOIN parents p ON p.id = c.parent ORDER BY c.id";
            let Ok(rows) = client.run_in(text, &[]).await else { return };
            let mut found = BTreeSet::new();
            for row in &rows {
                let child = number(row, 0).unwrap_or(-1);
                found.insert(child as u64);
                if number(row, 1).is_none() {
                    client.machine.find(format!("foreign keys: child {child} has no parent"));
                }
            }
            if let Some(lost) = self.history.lock().children.difference(&found).next() {
                client.machine.find(format!("foreign keys: child {lost} is lost"));
            }
        })
    }
}
