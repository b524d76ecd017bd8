//! Level 8. Index = table: what an index finds is what the table has, while rows move and indexes come and go.

use super::{Work, Workload, number};
use crate::client::Client;

const ROWS: u64 = 30;
const VALUES: u64 = 6;
/// What an index that is made or dropped beside us may cost.
const ALSO: &[&str] = &["42P07", "42704", "55006"];

pub struct Index;

impl Index {
    /// The same question to the index and to the table, in one statement and so at one moment.
    async fn compare(&self, client: &mut Client, column: &str, value: u64) {
        let text = format!(
            "SELECT (SELECT count(*) FROM items WHERE {column} = {value}), \
             (SELECT count(*) FROM items WHERE {column} + 0 = {value}), \
             (SELECT coalesce(sum(id), 0) FROM items WHERE {column} = {value}), \
             (SELECT coalesce(sum(id), 0) FROM items WHERE {column} + 0 = {value})"
        );
        let Ok(rows) = client.run_in(&text, ALSO).await else { return };
        let row = rows.first().map_or(&[][..], |row| &row[..]);
        let [a, b, c, d] = [0, 1, 2, 3].map(|column| number(row, column));
        if a.is_none() || (a, c) != (b, d) {
            client
                .machine
                .find(format!("index: of {column} = {value} the index has {a:?} ({c:?}), the table {b:?} ({d:?})"));
        }
    }
}

impl Workload for Index {
    fn name(&self) -> &'static str {
        "index"
    }

    fn setup(&self) -> Vec<String> {
        vec![
            "CREATE TABLE IF NOT EXISTS items (id int PRIMARY KEY, v int NOT NULL, w int NOT NULL)".to_owned(),
            "CREATE INDEX IF NOT EXISTS items_v ON items (v)".to_owned(),
        ]
    }

    fn step<'a>(&'a self, client: &'a mut Client) -> Work<'a, ()> {
        Box::pin(async move {
            let (id, v, w) = (client.dice.below(ROWS), client.dice.below(VALUES), client.dice.below(VALUES));
            let text = match client.dice.below(24) {
                0..8 => {
                    format!("INSERT INTO items VALUES ({id}, {v}, {w}) ON CONFLICT (id) DO UPDATE SET v = {v}, w = {w}")
                }
                8..12 => format!("UPDATE items SET w = {w} WHERE v = {v}"),
                12..14 => format!("UPDATE items SET v = {v} WHERE w = {w}"),
                14..17 => format!("DELETE FROM items WHERE id = {id}"),
                17 => "CREATE INDEX IF NOT EXISTS items_w ON items (w)".to_owned(),
                18 => "DROP INDEX IF EXISTS items_w".to_owned(),
                19..22 => return self.compare(client, "v", v).await,
                _ => return self.compare(client, "w", w).await,
            };
            // What becomes of it is seen when index and table are compared.
            let _ = client.run_in(&text, ALSO).await;
        })
    }

    fn verify<'a>(&'a self, client: &'a mut Client, _: bool) -> Work<'a, ()> {
        Box::pin(async move {
            for value in 0..VALUES {
                self.compare(client, "v", value).await;
                self.compare(client, "w", value).await;
            }
        })
    }
}
