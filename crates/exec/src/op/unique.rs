//! First row of each run of equal keys.

use super::{Input, Operator, encode_keys};
use crate::batch::Batch;
use crate::context::BoxFuture;
use crate::expr::Program;
use crate::run::Run;
use sql::Expr;
use types::{Result, SqlType};

pub(crate) struct Unique {
    input: Input,
    keys: Vec<Program>,
    types: Vec<SqlType>,
    last: Option<Vec<u8>>,
}

impl Unique {
    pub fn new(input: Input, keys: &[Expr]) -> Result<Unique> {
        Ok(Unique { input, keys: Program::compile_all(keys)?, types: keys.iter().map(|k| k.ty).collect(), last: None })
    }
}

impl Operator for Unique {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            let Some(batch) = self.input.next(run).await? else { return Ok(None) };
            let keys = encode_keys(run, &self.keys, &self.types, &batch).await?;
            let mut rows = Vec::new();
            for row in 0..batch.len {
                let previous = if row == 0 { self.last.as_deref() } else { Some(keys.get(row - 1)) };
                if previous != Some(keys.get(row)) {
                    rows.push(row as u32);
                }
            }
            if batch.len > 0 {
                self.last = Some(keys.get(batch.len - 1).to_vec());
            }
            Ok(Some(batch.gather(&rows)))
        })
    }
    fn rewind(&mut self, run: &mut Run) {
        self.last = None;
        self.input.rewind(run);
    }
}
