//! SQL cursors: DECLARE, FETCH, MOVE and CLOSE over portals.
//!
//! A cursor stands before the first row (0), on a row (1 …), or behind the last (count + 1). Rows are computed as they are asked
//! for, and kept unless it was declared NO SCROLL; before this session writes, the rest is computed, so that a cursor never sees
//! what was written after DECLARE.

use crate::portal::{Cursor, Portal, Source};
use crate::row_store::RowStore;
use crate::session::Session;
use crate::shared::wall;
use crate::sink::Sink;
use crate::statement::PreparedStatement;
use exec::output::{RowBuffer, ValueFormat};
use sql::ResultColumn;
use sql::logical::Query;
use sql::utility::FetchDirection;
use std::sync::Arc;
use types::{Result, SqlError, SqlState, SqlType};

fn missing(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_CURSOR_NAME, format!("cursor \"{name}\" does not exist"))
}

/// A way through the rows, from where the cursor stands.
enum Walk {
    Forward(u64),
    Backward(u64),
    /// To one row, which is returned: from the front, or from the end.
    To(i64),
}

fn walk(direction: FetchDirection, position: u64) -> Walk {
    let forward = |n: i64| match n {
        0 => Walk::To(i64::try_from(position).unwrap_or(i64::MAX)),
        n if n > 0 => Walk::Forward(n.unsigned_abs()),
        n => Walk::Backward(n.unsigned_abs()),
    };
    match direction {
        FetchDirection::Next => Walk::Forward(1),
        FetchDirection::Prior => Walk::Backward(1),
        FetchDirection::First => Walk::To(1),
        FetchDirection::Last => Walk::To(-1),
        FetchDirection::Absolute(n) => Walk::To(n),
        FetchDirection::Relative(n) => {
            let to = i64::try_from(position).unwrap_or(i64::MAX).saturating_add(n);
            // Before the first row is 0, whatever the distance.
            Walk::To(to.max(0))
        }
        FetchDirection::Count(n) => forward(n),
        FetchDirection::All => Walk::Forward(u64::MAX),
        FetchDirection::BackwardAll => Walk::Backward(u64::MAX),
    }
}

impl Session {
    pub(crate) async fn declare(
        &mut self,
        name: &str,
        query: &Query,
        scroll: Option<bool>,
        hold: bool,
        binary: bool,
        statement: &Arc<PreparedStatement>,
    ) -> Result<()> {
        if !hold {
            self.block.require("DECLARE CURSOR")?;
        }
        if self.portals.contains_key(name) {
            let message = format!("cursor \"{name}\" already exists");
            return Err(SqlError::new(SqlState::DUPLICATE_CURSOR, message));
        }
        self.check_count(self.portals.len(), "cursors")?;
        let kept = self.portal_memory(name, statement.text.len())?;
        let planned = self.planned_query(query)?;
        self.next_portal += 1;
        let formats = if binary { vec![ValueFormat::Binary] } else { vec![] };
        let mut portal = Portal::new(self.next_portal, statement.clone(), planned, Arc::from([]), formats);
        portal.cursor = Some(Cursor { scroll, hold, binary, is_held: false });
        portal.created = wall(&self.shared.host);
        portal.kept = kept;
        // The snapshot is DECLARE's.
        self.start_portal(&mut portal).await?;
        self.portals.insert(name.to_owned(), portal);
        Ok(())
    }

    pub(crate) fn close_cursor(&mut self, name: Option<&str>) -> Result<&'static str> {
        match name {
            None => {
                self.portals.retain(|name, portal| portal.cursor.is_none() && name.is_empty());
                Ok("CLOSE CURSOR ALL")
            }
            Some(name) => match self.portals.remove(name) {
                Some(_) => Ok("CLOSE CURSOR"),
                None => Err(missing(name)),
            },
        }
    }

    pub(crate) fn cursor_columns(&self, name: &str) -> Vec<ResultColumn> {
        self.portals.get(name).map_or(vec![], |portal| portal.planned.columns.clone())
    }

    pub(crate) fn cursor_shape(&self, name: &str) -> Result<(Vec<ResultColumn>, Vec<ValueFormat>)> {
        let portal = self.portals.get(name).ok_or_else(|| missing(name))?;
        Ok((portal.planned.columns.clone(), portal.formats.clone()))
    }

    /// FETCH and MOVE; the tag. `formats`: of the FETCH statement's own portal, where the protocol asked for some.
    pub(crate) async fn fetch(
        &mut self,
        name: &str,
        direction: FetchDirection,
        is_move: bool,
        formats: &[ValueFormat],
        sink: &mut dyn Sink,
    ) -> Result<String> {
        let mut portal = self.portals.remove(name).ok_or_else(|| missing(name))?;
        self.set_limits()?;
        if portal.cursor.is_none() {
            self.start_portal(&mut portal).await?;
        }
        let formats = if formats.is_empty() { portal.formats.clone() } else { formats.to_vec() };
        let types: Vec<SqlType> = portal.planned.columns.iter().map(|c| c.ty).collect();
        let scrolls = portal.cursor.is_some_and(|c| c.scroll != Some(false));
        let fetched = match &mut portal.source {
            Source::Rows(rows) => {
                let mut reader = Reader { rows, scrolls, types: &types, formats: &formats, is_move };
                reader.go(self, direction, sink).await
            }
            Source::Fresh | Source::Done => Ok(0),
        };
        self.portals.insert(name.to_owned(), portal);
        let word = if is_move { "MOVE" } else { "FETCH" };
        Ok(format!("{word} {}", fetched?))
    }
}

/// One FETCH over a cursor's rows.
struct Reader<'a> {
    rows: &'a mut RowStore,
    scrolls: bool,
    types: &'a [SqlType],
    formats: &'a [ValueFormat],
    is_move: bool,
}

impl Reader<'_> {
    async fn go(&mut self, session: &mut Session, direction: FetchDirection, sink: &mut dyn Sink) -> Result<u64> {
        match walk(direction, self.rows.position) {
            Walk::Forward(count) => self.forward(session, count, sink).await,
            Walk::Backward(count) => self.backward(session, count, sink).await,
            Walk::To(row) => self.to(session, row, sink).await,
        }
    }

    fn require_scroll(&self) -> Result<()> {
        if self.scrolls {
            return Ok(());
        }
        Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, "cursor can only scan forward")
            .hint("Declare it with SCROLL option to enable backward scan."))
    }

    /// Sends at most `count` rows after the position; ends behind the last row if there are fewer.
    async fn forward(&mut self, session: &mut Session, count: u64, sink: &mut dyn Sink) -> Result<u64> {
        let mut sent = 0;
        while sent < count {
            let max = usize::try_from(count - sent).unwrap_or(usize::MAX);
            let Some(batch) = self.rows.next(max.min(1_024)).await? else {
                self.rows.go_behind();
                break;
            };
            sent += batch.len as u64;
            if !self.is_move && !self.types.is_empty() {
                RowBuffer::new(sink.buffer(), self.formats, &session.derived.format)
                    .with_names(session.catalog.snapshot(), &*session.state)
                    .batch(&batch, self.types)?;
                if sink.is_full() {
                    session.settle().await?;
                    sink.flow().await?;
                }
            }
        }
        Ok(sent)
    }

    /// Sends at most `count` rows before the position, nearest first.
    async fn backward(&mut self, session: &mut Session, count: u64, sink: &mut dyn Sink) -> Result<u64> {
        self.require_scroll()?;
        let mut sent = 0;
        while sent < count {
            let on = self.rows.position;
            if on <= 1 {
                self.rows.position = 0;
                break;
            }
            self.rows.position = on - 2;
            sent += self.forward(session, 1, sink).await?;
        }
        Ok(sent)
    }

    /// Goes to one row and sends it, if it is there. Negative: counted from the end.
    async fn to(&mut self, session: &mut Session, row: i64, sink: &mut dyn Sink) -> Result<u64> {
        let on = self.rows.position;
        let target = if row >= 0 {
            row.unsigned_abs()
        } else {
            self.rows.complete().await?;
            self.rows.total().saturating_add(1).saturating_sub(row.unsigned_abs())
        };
        if target <= on && !(target == on && row >= 0 && on == 0) {
            self.require_scroll()?;
        }
        if target == 0 {
            self.rows.position = 0;
            return Ok(0);
        }
        if target > on + 1 || target <= on {
            if target > on {
                // What lies between is computed, and dropped where rows are not kept.
                while self.rows.position < target - 1 {
                    let gap = usize::try_from(target - 1 - self.rows.position).unwrap_or(usize::MAX);
                    if self.rows.next(gap).await?.is_none() {
                        self.rows.go_behind();
                        return Ok(0);
                    }
                }
            } else {
                self.rows.position = target - 1;
            }
        }
        self.forward(session, 1, sink).await
    }
}
