//! Which rows a row's frame holds.
//!
//! A partition's rows are numbered; rows with equal ORDER BY keys are peers and form groups. Frame ends only move forward from row
//! to row (offsets are the same for all rows), so each is found from where the last one was.

use crate::batch::{Batch, Column};
use crate::expr::Program;
use crate::op::SortKeys;
use crate::run::Run;
use sql::logical::{Frame, FrameBound, FrameExclusion, FrameUnits};
use std::ops::Range;
use std::sync::Arc;
use types::functions::ScalarFn;
use types::{CallContext, Datum, Result, SqlError, SqlState, SqlType};

enum Bound {
    UnboundedPreceding,
    Preceding(Program),
    CurrentRow,
    Following(Program),
    UnboundedFollowing,
}

pub(crate) struct FrameSpec {
    units: FrameUnits,
    start: Bound,
    end: Bound,
    pub exclusion: FrameExclusion,
    in_range: Option<ScalarFn>,
}

impl FrameSpec {
    pub fn new(frame: &Frame) -> Result<FrameSpec> {
        let bound = |bound: &FrameBound| -> Result<Bound> {
            Ok(match bound {
                FrameBound::UnboundedPreceding => Bound::UnboundedPreceding,
                FrameBound::Preceding(e) => Bound::Preceding(Program::compile(e)?),
                FrameBound::CurrentRow => Bound::CurrentRow,
                FrameBound::Following(e) => Bound::Following(Program::compile(e)?),
                FrameBound::UnboundedFollowing => Bound::UnboundedFollowing,
            })
        };
        let in_range = match frame.in_range {
            None => None,
            Some(proc) => Some(types::functions::scalar(proc.symbol).ok_or_else(|| {
                let name = crate::functions::signature(proc);
                SqlError::unsupported(format!("RANGE with an offset is not supported for {name}"))
            })?),
        };
        Ok(FrameSpec {
            units: frame.units,
            start: bound(&frame.start)?,
            end: bound(&frame.end)?,
            exclusion: frame.exclusion,
            in_range,
        })
    }
}

/// A partition with everything its calls ask for.
pub(crate) struct Partition {
    pub rows: Batch,
    /// Peer group of each row, and where each group begins (with the end behind the last).
    pub group_of: Vec<u32>,
    pub group_starts: Vec<usize>,
    /// Frame of each row, before exclusion.
    pub frames: Vec<Range<usize>>,
    pub exclusion: FrameExclusion,
    /// Not all frames begin with the partition's first row.
    pub start_moves: bool,
}

impl Partition {
    /// `begins_group`: of each row, whether its ORDER BY key differs from that of the row before.
    pub async fn new(
        run: &mut Run,
        rows: Batch,
        begins_group: &[bool],
        order: &SortKeys,
        spec: &FrameSpec,
    ) -> Result<Partition> {
        let (mut group_of, mut group_starts) = (Vec::with_capacity(rows.len), vec![]);
        for row in 0..rows.len {
            if begins_group.get(row).copied().unwrap_or(true) {
                group_starts.push(row);
            }
            group_of.push(group_starts.len() as u32 - 1);
        }
        group_starts.push(rows.len);
        let start_moves = !matches!(spec.start, Bound::UnboundedPreceding);
        let exclusion = spec.exclusion;
        let mut partition = Partition { rows, group_of, group_starts, frames: vec![], exclusion, start_moves };
        let start = partition.bounds(run, &spec.start, true, order, spec).await?;
        let end = partition.bounds(run, &spec.end, false, order, spec).await?;
        partition.frames = start.into_iter().zip(end).map(|(s, e)| s..e.max(s)).collect();
        Ok(partition)
    }

    pub fn len(&self) -> usize {
        self.rows.len
    }
    pub fn group(&self, row: usize) -> usize {
        self.group_of.get(row).copied().unwrap_or(0) as usize
    }
    pub fn group_start(&self, group: usize) -> usize {
        self.group_starts.get(group).copied().unwrap_or(self.rows.len)
    }
    pub fn groups(&self) -> usize {
        self.group_starts.len().saturating_sub(1)
    }
    /// The row's peers, itself among them.
    pub fn peers(&self, row: usize) -> Range<usize> {
        let group = self.group(row);
        self.group_start(group)..self.group_start(group + 1)
    }

    /// The frame's rows after exclusion: at most three ranges, in order.
    pub fn frame(&self, row: usize) -> [Range<usize>; 3] {
        let frame = self.frames.get(row).cloned().unwrap_or(0..0);
        let peers = self.peers(row);
        let cut = |hole: Range<usize>| {
            let first = frame.start..frame.end.min(hole.start).max(frame.start);
            let last = frame.start.max(hole.end).min(frame.end)..frame.end;
            (first, last)
        };
        match self.exclusion {
            FrameExclusion::None => [frame, 0..0, 0..0],
            FrameExclusion::CurrentRow => {
                let (first, last) = cut(row..row + 1);
                [first, last, 0..0]
            }
            FrameExclusion::Group => {
                let (first, last) = cut(peers);
                [first, last, 0..0]
            }
            FrameExclusion::Ties => {
                let (first, last) = cut(peers);
                let own = if frame.contains(&row) { row..row + 1 } else { 0..0 };
                [first, own, last]
            }
        }
    }

    async fn bounds(
        &self,
        run: &mut Run,
        bound: &Bound,
        is_start: bool,
        order: &SortKeys,
        spec: &FrameSpec,
    ) -> Result<Vec<usize>> {
        let len = self.rows.len;
        let (program, preceding) = match bound {
            Bound::UnboundedPreceding => return Ok(vec![0; len]),
            Bound::UnboundedFollowing => return Ok(vec![len; len]),
            Bound::CurrentRow => {
                let of = |row: usize| match (spec.units, is_start) {
                    (FrameUnits::Rows, true) => row,
                    (FrameUnits::Rows, false) => row + 1,
                    (_, true) => self.peers(row).start,
                    (_, false) => self.peers(row).end,
                };
                return Ok((0..len).map(of).collect());
            }
            Bound::Preceding(program) => (program, true),
            Bound::Following(program) => (program, false),
        };
        let name = if is_start { "starting" } else { "ending" };
        let offset = program.eval_datums(run, &[]).await?;
        if offset.is_null() {
            let message = format!("frame {name} offset must not be null");
            return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, message));
        }
        if spec.units == FrameUnits::Range {
            return self.range_bounds(run, program.ty(), &offset, preceding, is_start, order, spec).await;
        }
        let Ok(offset) = usize::try_from(offset.as_i64()) else {
            let message = format!("frame {name} offset must not be negative");
            return Err(SqlError::new(SqlState::INVALID_PRECEDING_OR_FOLLOWING_SIZE, message));
        };
        let of = |row: usize| match spec.units {
            FrameUnits::Rows => match (is_start, preceding) {
                (true, true) => row.saturating_sub(offset),
                (true, false) => row.saturating_add(offset).min(len),
                (false, true) => (row + 1).saturating_sub(offset),
                (false, false) => (row + 1).saturating_add(offset).min(len),
            },
            _ => {
                let group = self.group(row);
                let group = if is_start { group } else { group + 1 };
                match preceding {
                    true if group < offset => 0,
                    true => self.group_start(group - offset),
                    false => self.group_start(group.saturating_add(offset).min(self.groups())),
                }
            }
        };
        Ok((0..len).map(of).collect())
    }

    /// RANGE with an offset: rows whose ORDER BY value lies within it of the current row's. NULLs are their own frame.
    async fn range_bounds(
        &self,
        run: &mut Run,
        offset_type: SqlType,
        offset: &Datum,
        preceding: bool,
        is_start: bool,
        order: &SortKeys,
        spec: &FrameSpec,
    ) -> Result<Vec<usize>> {
        let (Some(key), Some(direction), Some(in_range)) =
            (order.programs.first(), order.orders.first(), spec.in_range)
        else {
            return Err(SqlError::internal("RANGE with an offset needs one ORDER BY column"));
        };
        let values: Arc<Column> = key.eval(run, &self.rows).await?;
        let arg_types = [key.ty(), key.ty(), offset_type, SqlType::BOOL, SqlType::BOOL];
        // In descending order "preceding" is towards greater values.
        let subtract = preceding != direction.descending;
        let less = is_start == direction.descending;
        let format = run.context.format.clone();
        let call = CallContext { format: &format, arg_types: &arg_types, result_type: SqlType::BOOL };
        let mut bounds = Vec::with_capacity(self.rows.len);
        let mut at = 0;
        for row in 0..self.rows.len {
            if row % 1024 == 0 {
                run.pause(1024).await?;
            }
            let base = values.datum(row);
            if base.is_null() {
                let peers = self.peers(row);
                bounds.push(if is_start { peers.start } else { peers.end });
                continue;
            }
            // Start: the first row within; end: the first row behind the last one within.
            while at < self.rows.len {
                let value = values.datum(at);
                if value.is_null() {
                    // NULLs stand at one end: before all values they are passed, behind them they end the frame.
                    if at < row {
                        at += 1;
                        continue;
                    }
                    break;
                }
                let args = [value, base.clone(), offset.clone(), Datum::Bool(subtract), Datum::Bool(less)];
                let within = matches!(in_range(&call, &args)?, Datum::Bool(true));
                if within == is_start {
                    break;
                }
                at += 1;
            }
            bounds.push(at);
        }
        Ok(bounds)
    }
}
