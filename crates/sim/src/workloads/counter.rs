//! Level 8. Counters and a sequence: no increment is lost, none counts twice, and no number is given out twice.

use super::{Work, Workload, number};
use crate::client::{Client, Fate};
use parking_lot::Mutex;
use std::collections::BTreeSet;

const COUNTERS: usize = 2;

#[derive(Default)]
pub struct Counter {
    history: Mutex<History>,
}

#[derive(Default)]
struct History {
    counters: [Count; COUNTERS],
    given: BTreeSet<i64>,
}

#[derive(Default)]
struct Count {
    /// What the answers said, each its own.
    answers: BTreeSet<i64>,
    sent: i64,
    aborted: i64,
}

impl Counter {
    async fn increment(&self, client: &mut Client, id: usize) {
        self.history.lock().counters[id].sent += 1;
        let text = format!("UPDATE counters SET n = n + 1 WHERE id = {id} RETURNING n");
        let result = client.run_in(&text, &[]).await;
        let count = &mut self.history.lock().counters[id];
        match result {
            Ok(rows) => match rows.first().and_then(|row| number(row, 0)) {
                Some(n) if count.answers.insert(n) => {}
                other => client.machine.find(format!("counter {id}: {other:?} was answered twice, or is no count")),
            },
            Err(Fate::Aborted) => count.aborted += 1,
            Err(_) => {}
        }
    }

    async fn next(&self, client: &mut Client) {
        let Ok(rows) = client.run_in("SELECT nextval('numbers')", &[]).await else { return };
        match rows.first().and_then(|row| number(row, 0)) {
            Some(n) if self.history.lock().given.insert(n) => {}
            other => client.machine.find(format!("sequence: {other:?} was given twice, or is no number")),
        }
    }
}

impl Workload for Counter {
    fn name(&self) -> &'static str {
        "counter"
    }

    fn setup(&self) -> Vec<String> {
        vec![
            "CREATE TABLE IF NOT EXISTS counters (id int PRIMARY KEY, n bigint NOT NULL)".to_owned(),
            "INSERT INTO counters VALUES (0, 0), (1, 0) ON CONFLICT DO NOTHING".to_owned(),
            "CREATE SEQUENCE IF NOT EXISTS numbers".to_owned(),
        ]
    }

    fn step<'a>(&'a self, client: &'a mut Client) -> Work<'a, ()> {
        Box::pin(async move {
            match client.dice.below(4) {
                0 => self.next(client).await,
                other => self.increment(client, other as usize % COUNTERS).await,
            }
        })
    }

    fn verify<'a>(&'a self, client: &'a mut Client, _: bool) -> Work<'a, ()> {
        Box::pin(async move {
            for id in 0..COUNTERS {
                let Ok(rows) = client.run_in(&format!("SELECT n FROM counters WHERE id = {id}"), &[]).await else {
                    return;
                };
                let n = rows.first().and_then(|row| number(row, 0)).unwrap_or(-1);
                let history = self.history.lock();
                let count = &history.counters[id];
                let (least, most) = (count.answers.len() as i64, count.sent - count.aborted);
                let last = count.answers.last().copied().unwrap_or(0);
                if n < least || n > most || n < last {
                    client
                        .machine
                        .find(format!("counter {id} is {n}, not within {least}..{most}; answered last: {last}"));
                }
            }
        })
    }
}
