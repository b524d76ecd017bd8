//! Level 8. A bank: transfers move money and make none. Every level keeps the total, in a sum and in single reads alike.

use super::{Work, Workload, number};
use crate::client::{Client, Fate};
use std::time::Duration;

const ACCOUNTS: u64 = 8;
const START: i64 = 100;

const LEVELS: &[&str] = &["SERIALIZABLE", "REPEATABLE READ", "READ COMMITTED"];

pub struct Bank;

impl Bank {
    async fn transfer(&self, client: &mut Client) -> Result<(), Fate> {
        let level = client.dice.pick(LEVELS).copied().unwrap_or("SERIALIZABLE");
        let (from, to, amount) = (client.dice.below(ACCOUNTS), client.dice.below(ACCOUNTS), client.dice.below(20));
        client.run_in(&format!("BEGIN ISOLATION LEVEL {level}"), &[]).await?;
        client.run_in(&format!("UPDATE accounts SET balance = balance - {amount} WHERE id = {from}"), &[]).await?;
        client.pause(Duration::from_millis(5)).await;
        client.run_in(&format!("UPDATE accounts SET balance = balance + {amount} WHERE id = {to}"), &[]).await?;
        client.run_in("COMMIT", &[]).await?;
        Ok(())
    }

    /// Reads a balance and writes what follows from it: safe where reads are validated.
    async fn compute(&self, client: &mut Client) -> Result<(), Fate> {
        let (from, to) = (client.dice.below(ACCOUNTS), client.dice.below(ACCOUNTS));
        client.run_in("BEGIN", &[]).await?;
        let text = format!("SELECT id, balance FROM accounts WHERE id IN ({from}, {to})");
        let rows = client.run_in(&text, &[]).await?;
        let balance = |id: u64| {
            let row = rows.iter().find(|row| number(row, 0) == Some(id as i64));
            row.and_then(|row| number(row, 1)).unwrap_or(0)
        };
        if from != to {
            for (id, balance) in [(from, balance(from) - 1), (to, balance(to) + 1)] {
                client.run_in(&format!("UPDATE accounts SET balance = {balance} WHERE id = {id}"), &[]).await?;
            }
        }
        client.run_in("COMMIT", &[]).await?;
        Ok(())
    }

    async fn sum(&self, client: &mut Client) -> Result<(), Fate> {
        let rows = client.run_in("SELECT count(*), sum(balance) FROM accounts", &[]).await?;
        let row = rows.first().map_or(&[][..], |row| &row[..]);
        self.compare(client, number(row, 0), number(row, 1), "in one sum");
        Ok(())
    }

    async fn read_each(&self, client: &mut Client) -> Result<(), Fate> {
        let level = LEVELS.get(client.dice.index(2)).copied().unwrap_or("SERIALIZABLE");
        client.run_in(&format!("BEGIN ISOLATION LEVEL {level}"), &[]).await?;
        let (mut count, mut total) = (0, 0);
        for id in 0..ACCOUNTS {
            let rows = client.run_in(&format!("SELECT balance FROM accounts WHERE id = {id}"), &[]).await?;
            total += rows.first().and_then(|row| number(row, 0)).unwrap_or(0);
            count += rows.len() as i64;
            client.pause(Duration::from_millis(3)).await;
        }
        client.run_in("COMMIT", &[]).await?;
        self.compare(client, Some(count), Some(total), "account by account");
        Ok(())
    }

    fn compare(&self, client: &Client, count: Option<i64>, total: Option<i64>, how: &str) {
        let expected = (Some(ACCOUNTS as i64), Some(ACCOUNTS as i64 * START));
        if (count, total) != expected {
            client.machine.find(format!("bank: read {how}, accounts and total are {:?}", (count, total)));
        }
    }
}

impl Workload for Bank {
    fn name(&self) -> &'static str {
        "bank"
    }

    fn setup(&self) -> Vec<String> {
        let last = ACCOUNTS - 1;
        vec![
            "CREATE TABLE IF NOT EXISTS accounts (id int PRIMARY KEY, balance bigint NOT NULL)".to_owned(),
            format!("INSERT INTO accounts SELECT n, {START} FROM generate_series(0, {last}) n ON CONFLICT DO NOTHING"),
        ]
    }

    fn step<'a>(&'a self, client: &'a mut Client) -> Work<'a, ()> {
        Box::pin(async move {
            // What becomes of it is seen in the total.
            let _ = match client.dice.below(10) {
                0..5 => self.transfer(client).await,
                5..7 => self.compute(client).await,
                7..9 => self.sum(client).await,
                _ => self.read_each(client).await,
            };
        })
    }

    fn verify<'a>(&'a self, client: &'a mut Client, _: bool) -> Work<'a, ()> {
        Box::pin(async move {
            let _ = self.sum(client).await;
        })
    }
}
