//! A user's aggregate over frames whose first row moves, with the functions that it has for that: rows that a frame leaves
//! are taken out of the state by the inverse function, where that can be done.
//!
//! Which rows are added and taken out, and in which order, is PostgreSQL's: what the functions give may tell.

use super::frame::Partition;
use crate::aggregate::{Removed, UserState};
use crate::batch::{Column, ColumnBuilder};
use crate::run::Run;
use std::ops::Range;
use std::sync::Arc;
use types::{Datum, Result};

pub(super) struct Moving<'p> {
    state: UserState,
    args: &'p [Arc<Column>],
    /// Rows that pass the FILTER; None: all.
    counted: Option<&'p [bool]>,
    /// Rows that are in the state.
    rows: Range<usize>,
    values: Vec<Datum>,
}

impl<'p> Moving<'p> {
    pub fn new(state: UserState, args: &'p [Arc<Column>], counted: Option<&'p [bool]>) -> Moving<'p> {
        Moving { state, args, counted, rows: 0..0, values: vec![] }
    }

    /// The arguments of a row that counts.
    fn read(&mut self, row: usize) -> bool {
        if self.counted.is_some_and(|c| !c.get(row).copied().unwrap_or(false)) {
            return false;
        }
        self.values.clear();
        self.values.extend(self.args.iter().map(|arg| arg.datum(row)));
        true
    }

    /// Brings the state to the frame's rows.
    fn advance(&mut self, frame: &Range<usize>) -> Result<()> {
        let mut begins = self.rows.is_empty() || self.rows.end <= frame.start;
        while !begins && self.rows.start < frame.start {
            if self.read(self.rows.start) {
                begins = matches!(self.state.remove(&self.values)?, Removed::Unknown);
            }
            self.rows.start += 1;
        }
        if begins {
            self.state.reset();
            self.rows = frame.start..frame.start;
        }
        while self.rows.end < frame.end {
            if self.read(self.rows.end) {
                self.state.add(&self.values)?;
            }
            self.rows.end += 1;
        }
        Ok(())
    }

    /// The value for each row of the partition.
    pub async fn compute(mut self, run: &mut Run, partition: &Partition, out: &mut ColumnBuilder) -> Result<()> {
        let (mut last, mut work): (Option<(Range<usize>, Datum)>, usize) = (None, 0);
        for row in 0..partition.len() {
            let [frame, ..] = partition.frame(row);
            let value = match last {
                Some((of, value)) if of == frame => value,
                _ => {
                    work += self.rows.len().abs_diff(frame.len()) + 2;
                    self.advance(&frame)?;
                    self.state.value(self.args.len())?
                }
            };
            out.push(&value);
            last = Some((frame, value));
            if work > 4096 {
                run.pause(work).await?;
                work = 0;
            }
        }
        Ok(())
    }
}
