//! INTERSECT and EXCEPT [ALL]: counts of the right side by whole row, then the left side against them.

use super::keys::encode_columns;
use super::{Input, Operator};
use crate::batch::Batch;
use crate::budget::Reservation;
use crate::context::BoxFuture;
use crate::run::Run;
use foldhash::{HashMap, HashMapExt};
use sql::logical::SetOperation;
use types::{Result, SqlType};

pub(crate) struct HashSetOp {
    operation: SetOperation,
    all: bool,
    left: Input,
    right: Input,
    types: Vec<SqlType>,
    /// Rows of the right side with their number; without ALL, also what was handed out already (`used`).
    counts: Option<HashMap<Box<[u8]>, Count>>,
    memory: Option<Reservation>,
}

#[derive(Default)]
struct Count {
    right: u64,
    used: bool,
}

impl HashSetOp {
    pub fn new(operation: SetOperation, all: bool, left: Input, right: Input, types: &[SqlType]) -> HashSetOp {
        HashSetOp { operation, all, left, right, types: types.to_vec(), counts: None, memory: None }
    }

    async fn build(&mut self, run: &mut Run) -> Result<HashMap<Box<[u8]>, Count>> {
        let mut counts: HashMap<Box<[u8]>, Count> = HashMap::new();
        let mut memory = Reservation::new(&run.context.memory);
        while let Some(batch) = self.right.next(run).await? {
            run.pause(0).await?;
            let keys = encode_columns(&batch.columns, &self.types, &[], batch.len);
            for row in 0..batch.len {
                let key = keys.get(row);
                if let Some(count) = counts.get_mut(key) {
                    count.right += 1;
                } else {
                    memory.grow(key.len() + 64)?;
                    counts.insert(key.into(), Count { right: 1, used: false });
                }
            }
        }
        self.memory = Some(memory);
        Ok(counts)
    }

    fn keeps(&mut self, key: &[u8]) -> Result<bool> {
        let Some(counts) = &mut self.counts else { return Ok(false) };
        let count = counts.get_mut(key);
        Ok(match (self.operation, self.all) {
            (SetOperation::Intersect, true) => match count {
                Some(count) if count.right > 0 => {
                    count.right -= 1;
                    true
                }
                _ => false,
            },
            (SetOperation::Intersect, false) => count.is_some_and(|c| !std::mem::replace(&mut c.used, true)),
            (SetOperation::Except, true) => match count {
                Some(count) if count.right > 0 => {
                    count.right -= 1;
                    false
                }
                _ => true,
            },
            // UNION DISTINCT is planned as Append and aggregate; taken here all the same.
            (SetOperation::Except | SetOperation::Union, _) => match count {
                Some(_) => false,
                None => {
                    if let Some(memory) = &mut self.memory {
                        memory.grow(key.len() + 64)?;
                    }
                    counts.insert(key.into(), Count { right: 0, used: true });
                    true
                }
            },
        })
    }
}

impl Operator for HashSetOp {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            if self.counts.is_none() {
                self.counts = Some(self.build(run).await?);
            }
            let Some(batch) = self.left.next(run).await? else { return Ok(None) };
            let keys = encode_columns(&batch.columns, &self.types, &[], batch.len);
            let mut rows = Vec::new();
            for row in 0..batch.len {
                if self.keeps(keys.get(row))? {
                    rows.push(row as u32);
                }
            }
            Ok(Some(batch.gather(&rows)))
        })
    }
    fn rewind(&mut self, run: &mut Run) {
        self.counts = None;
        self.memory = None;
        self.left.rewind(run);
        self.right.rewind(run);
    }
}
