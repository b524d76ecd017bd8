//! Merge join of two sides sorted by the keys. Right rows of one key are kept while left rows of that key pass.
//!
//! An inner join without a further condition runs over two batches at once, and looks at whole groups only where one goes on
//! behind a batch's end.

use super::keys::encode_columns;
use super::nested_loop::{Gatherer, concat, pad_left, pad_right};
use super::{Input, Operator};
use crate::batch::{BATCH_ROWS, Batch};
use crate::context::BoxFuture;
use crate::expr::Program;
use crate::run::Run;
use sql::Expr;
use sql::logical::JoinKind;
use std::cmp::Ordering;
use types::key::KeyOrder;
use types::{Result, SqlType};

pub(crate) struct MergeJoin {
    kind: JoinKind,
    left: Side,
    right: Side,
    residual: Option<Program>,
    group: Option<Group>,
}

/// One input, by runs of rows with equal keys.
struct Side {
    input: Input,
    keys: Vec<Program>,
    types: Vec<SqlType>,
    key_types: Vec<SqlType>,
    orders: Vec<KeyOrder>,
    current: Option<(Batch, super::keys::KeyRows, usize)>,
    is_done: bool,
}

/// Rows with one key.
struct Group {
    key: Vec<u8>,
    has_null: bool,
    rows: Batch,
}

impl Side {
    /// Makes a batch current, unless one is or there is none.
    async fn load(&mut self, run: &mut Run) -> Result<()> {
        while self.current.is_none() && !self.is_done {
            run.pause(0).await?;
            match self.input.next(run).await? {
                None => self.is_done = true,
                Some(batch) if batch.is_empty() => {}
                Some(batch) => {
                    let mut columns = Vec::with_capacity(self.keys.len());
                    for program in &self.keys {
                        columns.push(program.eval(run, &batch).await?);
                    }
                    let keys = encode_columns(&columns, &self.key_types, &self.orders, batch.len);
                    self.current = Some((batch, keys, 0));
                }
            }
        }
        Ok(())
    }

    /// Goes on at this row of the current batch.
    fn go_on(&mut self, at: usize) {
        match &mut self.current {
            Some((batch, _, place)) if at < batch.len => *place = at,
            current => *current = None,
        }
    }

    /// The next run of equal keys.
    async fn group(&mut self, run: &mut Run) -> Result<Option<Group>> {
        let mut parts: Vec<Batch> = vec![];
        let mut key: Option<(Vec<u8>, bool)> = None;
        loop {
            self.load(run).await?;
            let Some((batch, keys, at)) = &mut self.current else { break };
            let start = *at;
            if key.as_ref().is_some_and(|(k, _)| k[..] != *keys.get(start)) {
                break;
            }
            let (first, _) =
                key.get_or_insert_with(|| (keys.get(start).to_vec(), keys.nulls.get(start).copied().unwrap_or(false)));
            while *at < batch.len && keys.get(*at) == &first[..] {
                *at += 1;
            }
            parts.push(batch.slice(start, *at));
            if *at < batch.len {
                break;
            }
            self.current = None;
        }
        Ok(key.map(|(key, has_null)| Group { key, has_null, rows: concat(&parts) }))
    }
    fn rewind(&mut self, run: &mut Run) {
        self.input.rewind(run);
        self.current = None;
        self.is_done = false;
    }
}

impl MergeJoin {
    pub fn new(
        kind: JoinKind,
        (left, right): (Input, Input),
        types: (&[SqlType], &[SqlType]),
        (left_keys, right_keys, key_types): (&[Expr], &[Expr], &[SqlType]),
        (descending, nulls_first): (&[bool], &[bool]),
        residual: Option<&Expr>,
    ) -> Result<MergeJoin> {
        let orders: Vec<KeyOrder> =
            descending.iter().zip(nulls_first).map(|(d, n)| KeyOrder { descending: *d, nulls_first: *n }).collect();
        let side = |input, keys: &[Expr], types: &[SqlType]| -> Result<Side> {
            Ok(Side {
                input,
                keys: Program::compile_all(keys)?,
                types: types.to_vec(),
                key_types: key_types.to_vec(),
                orders: orders.clone(),
                current: None,
                is_done: false,
            })
        };
        Ok(MergeJoin {
            kind,
            left: side(left, left_keys, types.0)?,
            right: side(right, right_keys, types.1)?,
            residual: Program::compile_option(residual)?,
            group: None,
        })
    }

    fn left_alone(&self, rows: Batch) -> Option<Batch> {
        match self.kind {
            JoinKind::Left | JoinKind::Full => Some(pad_right(rows, &self.right.types)),
            JoinKind::Anti => Some(rows),
            _ => None,
        }
    }
    fn right_alone(&self, rows: Batch) -> Option<Batch> {
        match self.kind {
            JoinKind::Right | JoinKind::Full => Some(pad_left(rows, &self.left.types)),
            _ => None,
        }
    }

    /// All pairs of two groups with one key.
    async fn join(&mut self, run: &mut Run, left: &Batch, right: &Batch, out: &mut Gatherer) -> Result<()> {
        let (mut left_matched, mut right_matched) = (vec![false; left.len], vec![false; right.len]);
        for row in 0..left.len {
            run.pause(right.len).await?;
            let rows = vec![row as u32; right.len];
            let mut joined = left.gather(&rows);
            joined.columns.extend(right.columns.iter().cloned());
            let hits = match &self.residual {
                Some(residual) => residual.select(run, &joined).await?,
                None => (0..joined.len as u32).collect(),
            };
            if let (Some(matched), false) = (left_matched.get_mut(row), hits.is_empty()) {
                *matched = true;
            }
            for hit in &hits {
                if let Some(matched) = right_matched.get_mut(*hit as usize) {
                    *matched = true;
                }
            }
            if !hits.is_empty() && !matches!(self.kind, JoinKind::Semi | JoinKind::Anti) {
                out.push(joined.gather(&hits));
            }
        }
        let rows = |matched: &[bool], wanted: bool| -> Vec<u32> {
            (0..matched.len()).filter(|i| matched[*i] == wanted).map(|i| i as u32).collect()
        };
        if self.kind == JoinKind::Semi {
            out.push(left.gather(&rows(&left_matched, true)));
        }
        let alone = [
            self.left_alone(left.gather(&rows(&left_matched, false))),
            self.right_alone(right.gather(&rows(&right_matched, false))),
        ];
        alone.into_iter().flatten().filter(|b| !b.is_empty()).for_each(|b| out.push(b));
        Ok(())
    }

    /// Pairs of the two current batches, as far as the groups lie within them; false: nothing has moved.
    fn merge(&mut self, out: &mut Gatherer) -> bool {
        let (Some((left, left_keys, left_at)), Some((right, right_keys, right_at))) =
            (&self.left.current, &self.right.current)
        else {
            return false;
        };
        let (mut l, mut r) = (*left_at, *right_at);
        let (mut left_rows, mut right_rows) = (vec![], vec![]);
        while l < left.len && r < right.len && left_rows.len() < BATCH_ROWS {
            match left_keys.get(l).cmp(right_keys.get(r)) {
                Ordering::Less => l += 1,
                Ordering::Greater => r += 1,
                // NULL equals nothing.
                Ordering::Equal if left_keys.nulls.get(l) == Some(&true) => l += 1,
                Ordering::Equal => {
                    let (left_end, right_end) = (left_keys.end_of_run(l), right_keys.end_of_run(r));
                    let goes_on = left_end == left.len || right_end == right.len;
                    if goes_on || (left_end - l) * (right_end - r) > BATCH_ROWS {
                        break;
                    }
                    for row in l..left_end {
                        left_rows.extend((r..right_end).map(|_| row as u32));
                        right_rows.extend((r..right_end).map(|row| row as u32));
                    }
                    (l, r) = (left_end, right_end);
                }
            }
        }
        let has_moved = (l, r) != (*left_at, *right_at);
        if !left_rows.is_empty() {
            let mut joined = left.gather(&left_rows);
            joined.columns.extend(right.gather(&right_rows).columns);
            out.push(joined);
        }
        self.left.go_on(l);
        self.right.go_on(r);
        has_moved
    }

    /// One step: what the smaller of the two current groups gives. False when both sides are at their end.
    async fn step(&mut self, run: &mut Run, left: &mut Option<Group>, out: &mut Gatherer) -> Result<bool> {
        if left.is_none() {
            *left = self.left.group(run).await?;
        }
        if self.group.is_none() {
            self.group = self.right.group(run).await?;
        }
        let order = match (&*left, &self.group) {
            (None, None) => return Ok(false),
            (None, _) | (_, None) if self.kind == JoinKind::Inner => return Ok(false),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(l), Some(r)) => match l.key.cmp(&r.key) {
                // NULL equals nothing: both stand alone, one after the other.
                Ordering::Equal if l.has_null => Ordering::Less,
                order => order,
            },
        };
        match order {
            Ordering::Less => {
                let alone = left.take().and_then(|l| self.left_alone(l.rows));
                alone.into_iter().for_each(|b| out.push(b));
            }
            Ordering::Greater => {
                let alone = self.group.take().and_then(|r| self.right_alone(r.rows));
                alone.into_iter().for_each(|b| out.push(b));
            }
            Ordering::Equal => {
                if let (Some(l), Some(r)) = (left.take(), self.group.take()) {
                    self.join(run, &l.rows, &r.rows, out).await?;
                }
            }
        }
        Ok(true)
    }
}

impl Operator for MergeJoin {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            let mut out = Gatherer::new();
            // A left group that was read and not used stays for the next call only through `out`: `step` always uses one.
            let mut left = None;
            let is_plain = self.kind == JoinKind::Inner && self.residual.is_none();
            loop {
                run.pause(0).await?;
                if is_plain && left.is_none() && self.group.is_none() {
                    self.left.load(run).await?;
                    self.right.load(run).await?;
                    let has_moved = self.merge(&mut out);
                    if out.is_full() {
                        break;
                    }
                    if has_moved {
                        continue;
                    }
                }
                let more = self.step(run, &mut left, &mut out).await?;
                if !more || (out.is_full() && left.is_none()) {
                    break;
                }
            }
            Ok(out.take())
        })
    }
    fn rewind(&mut self, run: &mut Run) {
        self.left.rewind(run);
        self.right.rewind(run);
        self.group = None;
    }
}
