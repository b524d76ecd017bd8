//! Level 8. Append lists: the workload that shows the most (`SERIALIZABLE`, strict).
//!
//! Transactions read lists by key and append elements that are never used twice. The order of a list's elements is the
//! order of its writers, so from what was read follows who came before whom: *ww* (next element), *wr* (the writer of the
//! last element read), *rw* (the reader of what the next element's writer changed), and *time* (one had been answered
//! before the other began). A cycle is a history that no order of transactions explains.
//!
//! What a client was shown counts even where its transaction came to nothing: rows are not sent before they are durable, so
//! every list ever read is the beginning of what the list is now.
//!
//! `register` is the same one operation at a time, without BEGIN: a linearizable register per key.

use super::graph::Graph;
use super::{Work, Workload, number};
use crate::client::{Client, Fate, Rows};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

/// Keys in use at a time. They change every few seconds, so that absent ones are read and written, too.
const KEYS: u64 = 6;
const KEYS_LAST: Duration = Duration::from_secs(4);

pub struct Append {
    name: &'static str,
    table: &'static str,
    is_single: bool,
    history: Mutex<History>,
}

#[derive(Default)]
struct History {
    next_element: u64,
    transactions: Vec<Transaction>,
}

struct Transaction {
    client: u64,
    began: Duration,
    ended: Duration,
    fate: Fate,
    operations: Vec<Operation>,
}

#[derive(Clone)]
enum Operation {
    Read { key: u64, list: Vec<u64> },
    Append { key: u64, element: u64 },
}

impl fmt::Display for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {} {:?}..{:?} {:?}:", self.client, self.began, self.ended, self.fate)?;
        for operation in &self.operations {
            match operation {
                Operation::Read { key, list } => write!(f, " read {key}={list:?}")?,
                Operation::Append { key, element } => write!(f, " append {key}<-{element}")?,
            }
        }
        Ok(())
    }
}

/// `1,2,3`; what is no list of numbers is None.
fn list_of(text: &str) -> Option<Vec<u64>> {
    text.split(',').map(|element| element.parse().ok()).collect()
}

impl Append {
    pub fn transactions() -> Append {
        Append { name: "append", table: "lists", is_single: false, history: Mutex::default() }
    }

    pub fn registers() -> Append {
        Append { name: "register", table: "registers", is_single: true, history: Mutex::default() }
    }

    fn key(&self, client: &mut Client) -> u64 {
        let age = client.now().as_micros() / KEYS_LAST.as_micros();
        age as u64 * KEYS / 2 + client.dice.below(KEYS)
    }

    fn append_text(&self, key: u64, element: u64) -> String {
        let table = self.table;
        format!(
            "INSERT INTO {table} VALUES ({key}, '{element}') ON CONFLICT (k) DO UPDATE SET v = {table}.v || ',{element}'"
        )
    }

    fn note(&self, at: usize, operation: Operation) {
        if let Some(transaction) = self.history.lock().transactions.get_mut(at) {
            transaction.operations.push(operation);
        }
    }

    /// One operation of the transaction at this place of the history.
    async fn operate(&self, client: &mut Client, at: usize) -> Result<(), Fate> {
        let (key, table) = (self.key(client), self.table);
        match client.dice.below(10) {
            0..4 => {
                let element = {
                    let mut history = self.history.lock();
                    history.next_element += 1;
                    history.next_element
                };
                // Before it is sent: nobody knows what becomes of it.
                self.note(at, Operation::Append { key, element });
                // Its answer shows what was read under the lock, perhaps of a transaction that is not durable yet.
                let is_shown = client.dice.percent(50);
                let returning = if is_shown { " RETURNING k, v" } else { "" };
                let rows = client.run_in(&format!("{}{returning}", self.append_text(key, element)), &[]).await?;
                if is_shown {
                    self.note_reads(client, key..key + 1, &rows, at);
                }
            }
            4..7 => {
                let lock = if client.dice.percent(20) { " FOR UPDATE" } else { "" };
                let rows = client.run_in(&format!("SELECT k, v FROM {table} WHERE k = {key}{lock}"), &[]).await?;
                self.note_reads(client, key..key + 1, &rows, at);
            }
            _ => {
                let end = key + 1 + client.dice.below(3);
                let text = format!("SELECT k, v FROM {table} WHERE k >= {key} AND k < {end} ORDER BY k");
                let rows = client.run_in(&text, &[]).await?;
                self.note_reads(client, key..end, &rows, at);
            }
        }
        Ok(())
    }

    /// Lists that are not there are empty.
    fn note_reads(&self, client: &Client, keys: Range<u64>, rows: &Rows, at: usize) {
        for key in keys {
            let row = rows.iter().find(|row| number(row, 0) == Some(key as i64));
            let text = row.and_then(|row| row.get(1).cloned().flatten());
            match text.map_or(Some(Vec::new()), |text| list_of(&text)) {
                Some(list) => self.note(at, Operation::Read { key, list }),
                None => client.machine.find(format!("{}: list {key} is no list: {rows:?}", self.name)),
            }
        }
    }

    async fn transaction(&self, client: &mut Client, at: usize) -> Result<(), Fate> {
        if self.is_single {
            return self.operate(client, at).await;
        }
        client.run_in("BEGIN", &[]).await?;
        for _ in 0..=client.dice.below(4) {
            self.operate(client, at).await?;
            if client.dice.percent(30) {
                client.pause(Duration::from_millis(20)).await;
            }
        }
        client.run_in("COMMIT", &[]).await?;
        Ok(())
    }

    /// Everything that was acknowledged must be explained by the lists as they are now.
    fn check(&self, client: &Client, lists: &BTreeMap<u64, Vec<u64>>) {
        let history = self.history.lock();
        let find = |what: String| client.machine.find(format!("{}: {what}", self.name));
        let mut writers: BTreeMap<u64, usize> = BTreeMap::new();
        for (at, transaction) in history.transactions.iter().enumerate() {
            for operation in &transaction.operations {
                if let Operation::Append { element, .. } = operation {
                    writers.insert(*element, at);
                }
            }
        }
        let mut places: BTreeMap<u64, u64> = BTreeMap::new();
        for (key, list) in lists {
            for element in list {
                match writers.get(element).map(|at| &history.transactions[*at]) {
                    None => return find(format!("list {key} has {element}, which nobody appended")),
                    Some(writer) if writer.fate == Fate::Aborted => {
                        return find(format!("list {key} has {element} of an aborted transaction: {writer}"));
                    }
                    Some(_) if places.insert(*element, *key).is_some() => {
                        return find(format!("{element} is there twice, in list {key}: {list:?}"));
                    }
                    Some(_) => {}
                }
            }
        }
        let mut counts = Vec::new();
        for (at, transaction) in history.transactions.iter().enumerate() {
            let appended = transaction.operations.iter().filter_map(|operation| match operation {
                Operation::Append { element, key } => Some(places.get(element) == Some(key)),
                Operation::Read { .. } => None,
            });
            let (there, missing): (Vec<bool>, Vec<bool>) = appended.partition(|is_there| *is_there);
            match transaction.fate {
                Fate::Committed if !missing.is_empty() => return find(format!("lost: {transaction}")),
                Fate::Unknown if !there.is_empty() && !missing.is_empty() => {
                    return find(format!("half there: {transaction}"));
                }
                _ => {}
            }
            if transaction.fate == Fate::Committed || !there.is_empty() {
                counts.push(at);
            }
        }
        let explained = shown(&history.transactions, lists);
        let explained = explained.and_then(|()| explain(&history.transactions, &counts, lists, &writers));
        if let Err(what) = explained {
            find(what);
        }
    }
}

/// What transactions without an effect have read, their own appends aside, is there.
fn shown(transactions: &[Transaction], lists: &BTreeMap<u64, Vec<u64>>) -> Result<(), String> {
    for transaction in transactions.iter().filter(|transaction| transaction.fate != Fate::Committed) {
        let mut own: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for operation in &transaction.operations {
            match operation {
                Operation::Append { key, element } => own.entry(*key).or_default().push(*element),
                Operation::Read { key, list } => {
                    let own = own.get(key).map_or(&[][..], |own| &own[..]);
                    let seen = list.strip_suffix(own).unwrap_or(list);
                    let whole = lists.get(key).map_or(&[][..], |list| &list[..]);
                    if !whole.starts_with(seen) {
                        return Err(format!("list {key} is {whole:?} and was shown otherwise: {transaction}"));
                    }
                }
            }
        }
    }
    Ok(())
}

/// Orders the transactions in `counts`, or says why there is no order.
fn explain(
    transactions: &[Transaction],
    counts: &[usize],
    lists: &BTreeMap<u64, Vec<u64>>,
    writers: &BTreeMap<u64, usize>,
) -> Result<(), String> {
    let mut graph = Graph::new(transactions.len());
    for list in lists.values() {
        for pair in list.windows(2) {
            graph.add(writers[&pair[0]], writers[&pair[1]], "ww");
        }
    }
    for at in counts {
        let transaction = &transactions[*at];
        let is_known = transaction.fate == Fate::Committed;
        let mut own: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for operation in &transaction.operations {
            match operation {
                Operation::Append { key, element } => own.entry(*key).or_default().push(*element),
                Operation::Read { key, list } if is_known => {
                    let whole = lists.get(key).map_or(&[][..], |list| &list[..]);
                    let own = own.get(key).map_or(&[][..], |own| &own[..]);
                    let Some(seen) = list.strip_suffix(own) else {
                        return Err(format!("own appends are not seen in list {key}: {transaction}"));
                    };
                    if !whole.starts_with(seen) {
                        return Err(format!("list {key} is {whole:?} and was read otherwise: {transaction}"));
                    }
                    if let Some(last) = seen.last() {
                        graph.add(writers[last], *at, "wr");
                    }
                    if let Some(next) = whole.get(seen.len()) {
                        graph.add(*at, writers[next], "rw");
                    }
                }
                Operation::Read { .. } => {}
            }
        }
    }
    add_time(&mut graph, transactions, counts);
    let Some(cycle) = graph.cycle() else { return Ok(()) };
    let mut text = String::from("no order explains");
    for (node, reason) in cycle {
        if let Some(transaction) = transactions.get(node) {
            text.push_str(&format!("\n    {transaction}\n      then, by {reason},"));
        }
    }
    Err(text)
}

/// Who had been answered before another began comes before it: through a chain of moments, so that edges stay few.
fn add_time(graph: &mut Graph, transactions: &[Transaction], counts: &[usize]) {
    let known = counts.iter().filter(|at| transactions[**at].fate == Fate::Committed);
    let mut ends: Vec<(Duration, usize)> = known.map(|at| (transactions[*at].ended, *at)).collect();
    ends.sort();
    let mut moments: Vec<(Duration, usize)> = Vec::new();
    for (ended, at) in ends {
        let moment = graph.add_node();
        graph.add(at, moment, "time");
        if let Some((_, before)) = moments.last() {
            graph.add(*before, moment, "time");
        }
        moments.push((ended, moment));
    }
    for at in counts {
        let earlier = moments.partition_point(|(ended, _)| *ended < transactions[*at].began);
        if let Some((_, moment)) = earlier.checked_sub(1).and_then(|last| moments.get(last)) {
            graph.add(*moment, *at, "time");
        }
    }
}

impl Workload for Append {
    fn name(&self) -> &'static str {
        self.name
    }

    fn setup(&self) -> Vec<String> {
        vec![format!("CREATE TABLE IF NOT EXISTS {} (k bigint PRIMARY KEY, v text NOT NULL)", self.table)]
    }

    fn step<'a>(&'a self, client: &'a mut Client) -> Work<'a, ()> {
        Box::pin(async move {
            let at = {
                let began = client.now();
                let (fate, ended) = (Fate::Unknown, Duration::MAX);
                let mut history = self.history.lock();
                history.transactions.push(Transaction {
                    client: client.id,
                    began,
                    ended,
                    fate,
                    operations: Vec::new(),
                });
                history.transactions.len() - 1
            };
            // A crash may end it anywhere here: it stays unknown.
            let fate = self.transaction(client, at).await.err().unwrap_or(Fate::Committed);
            if let Some(transaction) = self.history.lock().transactions.get_mut(at) {
                (transaction.fate, transaction.ended) = (fate, client.now());
            }
        })
    }

    fn verify<'a>(&'a self, client: &'a mut Client, is_last: bool) -> Work<'a, ()> {
        Box::pin(async move {
            let text = format!("SELECT k, v FROM {} ORDER BY k", self.table);
            let Ok(rows) = client.run_in(&text, &[]).await else { return };
            let mut lists = BTreeMap::new();
            for row in &rows {
                let list = row.get(1).cloned().flatten().and_then(|text| list_of(&text));
                match (number(row, 0), list) {
                    (Some(key), Some(list)) => _ = lists.insert(key as u64, list),
                    _ => return client.machine.find(format!("{}: {row:?} is no list", self.name)),
                }
            }
            // Before others start: what was read then is in no transaction's way.
            let _ = is_last;
            self.check(client, &lists);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transaction(began: u64, ended: u64, operations: &[Operation]) -> Transaction {
        let time = Duration::from_millis;
        let operations = operations.to_vec();
        Transaction { client: 0, began: time(began), ended: time(ended), fate: Fate::Committed, operations }
    }

    fn read(key: u64, list: &[u64]) -> Operation {
        Operation::Read { key, list: list.to_vec() }
    }

    fn append(key: u64, element: u64) -> Operation {
        Operation::Append { key, element }
    }

    fn verdict(transactions: &[Transaction], lists: &[(u64, &[u64])]) -> String {
        let lists: BTreeMap<u64, Vec<u64>> = lists.iter().map(|(key, list)| (*key, list.to_vec())).collect();
        let mut writers = BTreeMap::new();
        for (at, transaction) in transactions.iter().enumerate() {
            for operation in &transaction.operations {
                if let Operation::Append { element, .. } = operation {
                    writers.insert(*element, at);
                }
            }
        }
        let counts: Vec<usize> = (0..transactions.len()).collect();
        match explain(transactions, &counts, &lists, &writers) {
            Ok(()) => "explained".to_owned(),
            Err(what) => what.split_whitespace().take(3).collect::<Vec<_>>().join(" "),
        }
    }

    #[test]
    fn anomalies_are_told_from_histories_with_an_order() {
        let apart = [transaction(0, 1, &[append(1, 1)]), transaction(2, 3, &[read(1, &[1]), append(1, 2)])];
        assert_eq!(verdict(&apart, &[(1, &[1, 2])]), "explained");
        let stale = [transaction(0, 1, &[append(1, 1)]), transaction(2, 3, &[read(1, &[])])];
        assert_eq!(verdict(&stale, &[(1, &[1])]), "no order explains");
        let beside = [transaction(0, 5, &[append(1, 1)]), transaction(2, 3, &[read(1, &[])])];
        assert_eq!(verdict(&beside, &[(1, &[1])]), "explained");
        let skew = [transaction(0, 9, &[read(1, &[]), append(2, 1)]), transaction(0, 9, &[read(2, &[]), append(1, 2)])];
        assert_eq!(verdict(&skew, &[(1, &[2]), (2, &[1])]), "no order explains");
        let lost = [transaction(0, 9, &[read(1, &[]), append(1, 1)]), transaction(0, 9, &[read(1, &[]), append(1, 2)])];
        assert_eq!(verdict(&lost, &[(1, &[1, 2])]), "no order explains");
        let other = [transaction(0, 1, &[append(1, 1)]), transaction(2, 3, &[read(1, &[7])])];
        assert_eq!(verdict(&other, &[(1, &[1])]), "list 1 is");
    }

    #[test]
    fn what_was_shown_to_a_transaction_that_came_to_nothing_must_be_there() {
        let lists = BTreeMap::from([(1, vec![1, 2])]);
        let aborted = |operations: &[Operation]| Transaction { fate: Fate::Aborted, ..transaction(0, 1, operations) };
        let own = aborted(&[append(1, 3), read(1, &[1, 3])]);
        assert_eq!(shown(&[own, aborted(&[read(1, &[1, 2])])], &lists), Ok(()));
        assert!(shown(&[aborted(&[read(1, &[1, 2, 3])])], &lists).is_err(), "3 was never there");
    }
}
