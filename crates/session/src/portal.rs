//! Portals: a statement with its parameters, and how far its rows have been read. SQL cursors are portals, too.

use crate::row_store::RowStore;
use crate::statement::{Planned, PreparedStatement, Work};
use exec::budget::Reservation;
use exec::output::ValueFormat;
use sql::physical::{Op, PlanBody, PlanNode};
use std::sync::Arc;
use types::{Datum, Result};

pub(crate) struct Portal {
    /// Grows with every portal of the session.
    pub number: u64,
    pub statement: Arc<PreparedStatement>,
    pub planned: Arc<Planned>,
    pub parameters: Arc<[Datum]>,
    /// Of the result's columns: none (text), one for all, or one each.
    pub formats: Vec<ValueFormat>,
    pub source: Source,
    /// Of a cursor that DECLARE made.
    pub cursor: Option<Cursor>,
    /// Microseconds since 2000.
    pub created: i64,
    /// Of what is kept for it.
    pub kept: Option<Reservation>,
}

pub(crate) enum Source {
    /// Not started.
    Fresh,
    Rows(Box<RowStore>),
    /// Ran to its end; a portal runs once.
    Done,
}

/// What DECLARE said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cursor {
    pub scroll: Option<bool>,
    pub hold: bool,
    pub binary: bool,
    /// Its transaction has committed, and it lives on.
    pub is_held: bool,
}

impl Portal {
    pub fn new(
        number: u64,
        statement: Arc<PreparedStatement>,
        planned: Arc<Planned>,
        parameters: Arc<[Datum]>,
        formats: Vec<ValueFormat>,
    ) -> Portal {
        Portal {
            number,
            statement,
            planned,
            parameters,
            formats,
            source: Source::Fresh,
            cursor: None,
            created: 0,
            kept: None,
        }
    }

    /// Whether rows can be read backward although DECLARE did not say SCROLL: where PostgreSQL would not have to keep them.
    pub fn reads_backward(&self) -> bool {
        match &self.planned.work {
            Work::Query(prepared) => match &prepared.plan.body {
                PlanBody::Direct(_) => true,
                PlanBody::Tree(tree) => tree.subplans.is_empty() && goes_backward(&tree.root),
            },
            _ => false,
        }
    }

    /// A cursor WITH HOLD whose transaction has committed.
    pub fn is_held(&self) -> bool {
        self.cursor.is_some_and(|c| c.is_held)
    }
    pub fn wants_hold(&self) -> bool {
        self.cursor.is_some_and(|c| c.hold && !c.is_held)
    }
    pub fn hold(&mut self) {
        if let Some(cursor) = &mut self.cursor {
            cursor.is_held = true;
        }
    }

    /// Computes the rows that are left, so that nothing done later can be seen in them.
    pub async fn store_all(&mut self) -> Result<()> {
        match &mut self.source {
            Source::Rows(rows) => rows.complete().await,
            Source::Fresh | Source::Done => Ok(()),
        }
    }

    pub fn is_running(&self) -> bool {
        matches!(&self.source, Source::Rows(rows) if rows.is_running())
    }
}

/// Rows from storage, a sort or a function are there to be read again; others would have to be computed anew.
fn goes_backward(node: &PlanNode) -> bool {
    match &node.op {
        Op::SeqScan { .. } | Op::IndexScan { .. } | Op::VirtualScan { .. } => true,
        Op::FunctionScan { .. } | Op::CteScan { .. } | Op::Sort { .. } | Op::Materialize { .. } => true,
        Op::Limit { input, .. } | Op::Project { input, .. } => goes_backward(input),
        _ => false,
    }
}
