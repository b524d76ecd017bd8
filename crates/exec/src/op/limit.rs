//! LIMIT, OFFSET and WITH TIES.

use super::{Input, Operator, SortKeys};
use crate::batch::Batch;
use crate::context::BoxFuture;
use crate::expr::Program;
use crate::run::Run;
use sql::Expr;
use sql::physical::PlanSortKey;
use types::{Result, SqlError, SqlState};

pub(crate) struct Limit {
    input: Input,
    limit: Option<Program>,
    offset: Option<Program>,
    ties: Option<SortKeys>,
    /// The input is told how many rows are wanted.
    tells: bool,
    state: Option<State>,
}

struct State {
    skip: u64,
    /// None: no limit.
    left: Option<u64>,
    /// Key of the last row within the limit, once it is reached, for WITH TIES.
    last: Option<Vec<u8>>,
    is_done: bool,
}

impl Limit {
    pub fn new(
        input: Input,
        limit: Option<&Expr>,
        offset: Option<&Expr>,
        ties: Option<&[PlanSortKey]>,
    ) -> Result<Limit> {
        Ok(Limit {
            input,
            limit: Program::compile_option(limit)?,
            offset: Program::compile_option(offset)?,
            tells: ties.is_none(),
            ties: ties.map(SortKeys::new).transpose()?,
            state: None,
        })
    }

    /// Whether the input streams.
    pub fn over(mut self, streams: bool) -> Limit {
        self.tells &= streams;
        self
    }

    async fn start(&mut self, run: &mut Run) -> Result<State> {
        let offset = count(run, self.offset.as_ref(), SqlState::INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE, "OFFSET");
        let skip = offset.await?.unwrap_or(0);
        let left = count(run, self.limit.as_ref(), SqlState::INVALID_ROW_COUNT_IN_LIMIT_CLAUSE, "LIMIT").await?;
        Ok(State { skip, left, last: None, is_done: left == Some(0) })
    }
}

async fn count(run: &mut Run, program: Option<&Program>, code: SqlState, name: &str) -> Result<Option<u64>> {
    let Some(program) = program else { return Ok(None) };
    let value = program.eval_datums(run, &[]).await?;
    if value.is_null() {
        return Ok(None);
    }
    u64::try_from(value.as_i64()).map(Some).map_err(|_| SqlError::new(code, format!("{name} must not be negative")))
}

impl Operator for Limit {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            let mut state = match self.state.take() {
                Some(state) => state,
                None => self.start(run).await?,
            };
            let result = self.advance(run, &mut state).await;
            self.state = Some(state);
            result
        })
    }
    fn rewind(&mut self, run: &mut Run) {
        self.state = None;
        self.input.rewind(run);
    }
}

impl Limit {
    async fn advance(&mut self, run: &mut Run, state: &mut State) -> Result<Option<Batch>> {
        while !state.is_done {
            run.pause(0).await?;
            let wanted = state.left.map(|left| usize::try_from(left.saturating_add(state.skip)).unwrap_or(usize::MAX));
            let outer = std::mem::replace(&mut run.wanted, wanted.filter(|_| self.tells));
            let batch = self.input.next(run).await;
            run.wanted = outer;
            let Some(batch) = batch? else { break };
            let start = state.skip.min(batch.len as u64) as usize;
            state.skip -= start as u64;
            let Some(left) = state.left else {
                if start < batch.len {
                    return Ok(Some(batch.slice(start, batch.len)));
                }
                continue;
            };
            let mut end = (start as u64).saturating_add(left).min(batch.len as u64) as usize;
            state.left = Some(left - (end - start) as u64);
            if state.left == Some(0) {
                match &self.ties {
                    None => state.is_done = true,
                    Some(ties) => {
                        let keys = ties.encode(run, &batch).await?;
                        if end > start {
                            state.last = Some(keys.get(end - 1).to_vec());
                        }
                        while end < batch.len && state.last.as_deref() == Some(keys.get(end)) {
                            end += 1;
                        }
                        state.is_done = end < batch.len;
                    }
                }
            }
            if end > start {
                return Ok(Some(batch.slice(start, end)));
            }
        }
        Ok(None)
    }
}
