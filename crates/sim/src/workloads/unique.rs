//! Level 8. A unique constraint: of many who insert one tag, one is told yes, and its row stays.

use super::{Work, Workload, number};
use crate::client::{Client, Fate};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Tags tried at a time, which move on.
const TAGS: u64 = 5;
const TAGS_LAST: Duration = Duration::from_secs(2);
/// Every so many a tag is deleted again, and may have several owners in turn.
const DELETED_EVERY: u64 = 3;
const UNIQUE_VIOLATION: &str = "23505";

#[derive(Default)]
pub struct Unique {
    history: Mutex<History>,
}

#[derive(Default)]
struct History {
    next_id: u64,
    /// Who was told yes.
    owners: BTreeMap<u64, Vec<u64>>,
    aborted: BTreeSet<u64>,
}

impl Unique {
    async fn insert(&self, client: &mut Client, tag: u64) {
        let id = {
            let mut history = self.history.lock();
            history.next_id += 1;
            history.next_id
        };
        let text = match client.dice.percent(30) {
            // The check of the constraint decides, or an own look does.
            true => format!(
                "INSERT INTO claims SELECT {id}, {tag} WHERE NOT EXISTS (SELECT 1 FROM claims WHERE tag = {tag}) RETURNING id"
            ),
            false => format!("INSERT INTO claims VALUES ({id}, {tag}) RETURNING id"),
        };
        match client.run_in(&text, &[UNIQUE_VIOLATION]).await {
            Ok(rows) if rows.is_empty() => {}
            Ok(_) => self.history.lock().owners.entry(tag).or_default().push(id),
            Err(Fate::Aborted) => _ = self.history.lock().aborted.insert(id),
            Err(_) => {}
        }
    }
}

impl Workload for Unique {
    fn name(&self) -> &'static str {
        "unique"
    }

    fn setup(&self) -> Vec<String> {
        vec!["CREATE TABLE IF NOT EXISTS claims (id bigint PRIMARY KEY, tag bigint NOT NULL UNIQUE)".to_owned()]
    }

    fn step<'a>(&'a self, client: &'a mut Client) -> Work<'a, ()> {
        Box::pin(async move {
            let age = client.now().as_micros() / TAGS_LAST.as_micros();
            let tag = age as u64 * TAGS + client.dice.below(TAGS);
            if tag.is_multiple_of(DELETED_EVERY) && client.dice.percent(40) {
                let _ = client.run_in(&format!("DELETE FROM claims WHERE tag = {tag}"), &[]).await;
            } else {
                self.insert(client, tag).await;
            }
        })
    }

    fn verify<'a>(&'a self, client: &'a mut Client, _: bool) -> Work<'a, ()> {
        Box::pin(async move {
            let Ok(rows) = client.run_in("SELECT id, tag FROM claims ORDER BY id", &[]).await else { return };
            let history = self.history.lock();
            let mut holders: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
            for row in &rows {
                let (Some(id), Some(tag)) = (number(row, 0), number(row, 1)) else { continue };
                holders.entry(tag as u64).or_default().push(id as u64);
                if history.aborted.contains(&(id as u64)) {
                    client.machine.find(format!("unique: row {id} was refused, and is there"));
                }
            }
            for (tag, ids) in holders.iter().filter(|(_, ids)| ids.len() > 1) {
                client.machine.find(format!("unique: tag {tag} has the rows {ids:?}"));
            }
            for (tag, owners) in history.owners.iter().filter(|(tag, _)| !tag.is_multiple_of(DELETED_EVERY)) {
                if holders.get(tag) != Some(owners) {
                    client
                        .machine
                        .find(format!("unique: tag {tag} was given to {owners:?}, has {:?}", holders.get(tag)));
                }
            }
        })
    }
}
