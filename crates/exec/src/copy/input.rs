//! COPY FROM: pieces of bytes become batches, batches go through the plan's INSERT.
//!
//! The plan is that of an INSERT whose input begins with an empty `Values`, one column per field; defaults and casts stand
//! above it. Rows are written `BATCH_ROWS` at a time; foreign keys are checked at the end, as for any statement.

use super::binary::BinaryReader;
use super::error::{at_column, at_line, at_line_only, bad_format};
use super::fields::{self, Fields};
use super::lines::{Hiding, Lines};
use super::{csv, text};
use crate::batch::{BATCH_ROWS, Batch, ColumnBuilder};
use crate::context::StatementContext;
use crate::dml::insert::InsertRows;
use crate::expr::Program;
use crate::op;
use crate::run::Run;
use sql::physical::{Op, Plan, PlanBody};
use sql::utility::{CopyFormat, CopyHeader, CopyKind};
use std::sync::Arc;
use types::{FormatSettings, Result, SqlError, SqlState, SqlType};

/// Bytes of a batch after which it is written before it has all its rows.
const BATCH_BYTES: usize = 1 << 20;

/// A COPY FROM under way.
pub struct CopyIn {
    run: Run,
    insert: InsertRows,
    parser: Parser,
}

impl CopyIn {
    /// `table`: as CONTEXT names it. `columns`: of the fields, in file order. `filter`: COPY … WHERE over the new row (attribute n
    /// at `n - 1`).
    pub fn new(
        plan: Arc<Plan>,
        context: Arc<StatementContext>,
        format: &CopyFormat,
        table: &str,
        columns: &[(String, SqlType)],
        filter: Option<&sql::Expr>,
    ) -> Result<CopyIn> {
        crate::admit::admit(&plan, &context.env())?;
        let mut run = Run::new(plan.clone(), context.clone(), false);
        let PlanBody::Tree(tree) = &plan.body else { return Err(SqlError::internal("COPY has no direct plan")) };
        let Op::Insert(insert) = &tree.root.op else { return Err(SqlError::internal("COPY needs an INSERT plan")) };
        run.subplans = tree.subplans.iter().map(crate::subplan::SubPlanState::new).collect();
        let filter = Program::compile_option(filter)?;
        let insert = InsertRows::new(op::build(&insert.input, false)?, insert)?.with_filter(filter);
        Ok(CopyIn { run, insert, parser: Parser::new(format, context.format.clone(), table, columns) })
    }

    /// Takes the next piece of the stream, cut anywhere.
    pub async fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.parser.push(bytes)?;
        self.drain(false).await
    }

    /// The stream has ended: writes what is left; how many rows came in.
    pub async fn finish(mut self) -> Result<u64> {
        self.drain(true).await?;
        self.parser.finish()?;
        self.insert.settle(&mut self.run).await?;
        Ok(self.run.rows_affected)
    }

    async fn drain(&mut self, at_end: bool) -> Result<()> {
        loop {
            self.run.pause(BATCH_ROWS).await?;
            let is_full = self.parser.fill(at_end)?;
            if !is_full && !at_end && !self.parser.is_worth_writing() {
                return Ok(());
            }
            let Some((batch, lines)) = self.parser.take() else { return Ok(()) };
            self.run.feed.push_back(batch);
            self.insert.again(&mut self.run);
            let before = self.insert.taken;
            if let Err(error) = self.insert.load(&mut self.run).await {
                let row = (self.insert.taken - before).saturating_sub(1) as usize;
                let line = lines.get(row).copied().unwrap_or(0);
                return Err(at_line_only(error, &self.parser.table, line));
            }
        }
    }
}

/// From bytes to columns.
struct Parser {
    format: CopyFormat,
    settings: Arc<FormatSettings>,
    table: String,
    names: Vec<String>,
    types: Vec<SqlType>,
    source: Source,
    fields: Fields,
    builders: Vec<ColumnBuilder>,
    /// Line of each row in the builders.
    lines: Vec<u64>,
    bytes: usize,
    needs_header: bool,
}

enum Source {
    Lines(Lines),
    Binary(BinaryReader),
}

impl Parser {
    fn new(format: &CopyFormat, settings: Arc<FormatSettings>, table: &str, columns: &[(String, SqlType)]) -> Parser {
        let types: Vec<SqlType> = columns.iter().map(|c| c.1).collect();
        let source = match format.kind {
            CopyKind::Text => Source::Lines(Lines::new(Hiding::Backslash)),
            CopyKind::Csv => Source::Lines(Lines::new(Hiding::Quotes { quote: format.quote, escape: format.escape })),
            CopyKind::Binary => Source::Binary(BinaryReader::default()),
        };
        Parser {
            needs_header: format.header != CopyHeader::None && format.kind != CopyKind::Binary,
            format: format.clone(),
            settings,
            table: table.to_owned(),
            names: columns.iter().map(|c| c.0.clone()).collect(),
            builders: fields::builders(&types),
            types,
            source,
            fields: Fields::default(),
            lines: vec![],
            bytes: 0,
        }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.source {
            // Characters of one byte each: a piece cuts none of them.
            Source::Lines(lines) if self.format.encoding.is_foreign() => {
                lines.push(self.format.encoding.decode(bytes)?.as_bytes())
            }
            Source::Lines(lines) => lines.push(bytes),
            Source::Binary(reader) => {
                reader.push(bytes);
                Ok(())
            }
        }
    }

    /// Parses rows until the batch is full (true) or the bytes are used up.
    fn fill(&mut self, at_end: bool) -> Result<bool> {
        while self.lines.len() < BATCH_ROWS && self.bytes < BATCH_BYTES {
            let more = match &self.source {
                Source::Lines(_) => self.line(at_end)?,
                Source::Binary(_) => self.tuple()?,
            };
            if !more {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Small pieces are gathered; half a batch is worth a visit to storage.
    fn is_worth_writing(&self) -> bool {
        self.lines.len() >= BATCH_ROWS / 2 || self.bytes >= BATCH_BYTES / 2
    }

    fn take(&mut self) -> Option<(Batch, Vec<u64>)> {
        if self.lines.is_empty() {
            return None;
        }
        let lines = std::mem::take(&mut self.lines);
        self.bytes = 0;
        let builders = std::mem::replace(&mut self.builders, fields::builders(&self.types));
        let columns = builders.into_iter().map(|b| Arc::new(b.finish())).collect();
        Some((Batch::new(columns, lines.len()), lines))
    }

    fn finish(&self) -> Result<()> {
        match &self.source {
            Source::Lines(_) => Ok(()),
            Source::Binary(reader) => reader.finish(),
        }
    }

    fn tuple(&mut self) -> Result<bool> {
        let Source::Binary(reader) = &mut self.source else { return Ok(false) };
        match reader.next(&self.types, &mut self.builders, &self.settings) {
            Ok(more) => {
                if more {
                    self.lines.push(reader.rows);
                }
                Ok(more)
            }
            Err(at) => Err(match at.column.and_then(|c| self.names.get(c)) {
                Some(column) => {
                    let place = format!("COPY {}, line {}, column {column}", self.table, reader.rows + 1);
                    at.error.context(place)
                }
                None => at_line_only(at.error, &self.table, reader.rows + 1),
            }),
        }
    }

    /// Parses one line into the builders.
    fn line(&mut self, at_end: bool) -> Result<bool> {
        let Source::Lines(lines) = &mut self.source else { return Ok(false) };
        let found = match lines.next(at_end) {
            Ok(found) => found,
            Err(error) => return Err(at_line_only(error, &self.table, lines.number + 1)),
        };
        let Some(range) = found else { return Ok(false) };
        let (line, number) = (lines.text(&range), lines.number);
        let placed = |error| at_line(error, &self.table, number, line);
        match self.format.kind {
            CopyKind::Csv => csv::parse(line, &self.format, &mut self.fields).map_err(placed)?,
            _ => text::parse(line, &self.format, &mut self.fields),
        }
        if std::mem::take(&mut self.needs_header) {
            let matched = match self.format.header {
                CopyHeader::Match => match_header(&self.fields, &self.names),
                _ => Ok(()),
            };
            return matched.map(|()| true).map_err(placed);
        }
        // An empty line is a row of no columns.
        let count = if self.types.is_empty() && line.is_empty() { 0 } else { self.fields.len() };
        if count > self.types.len() {
            return Err(placed(bad_format("extra data after last expected column")));
        }
        for (index, (ty, builder)) in self.types.iter().zip(&mut self.builders).enumerate() {
            if index >= count {
                let column = self.names.get(index).map_or("", String::as_str);
                return Err(placed(bad_format(format!("missing data for column \"{column}\""))));
            }
            let Some(bytes) = self.fields.get(index) else {
                builder.push_null();
                continue;
            };
            let result = match std::str::from_utf8(bytes) {
                Ok(text) => fields::push_text(builder, *ty, text, &self.settings),
                Err(error) => return Err(placed(invalid_bytes(bytes, error.valid_up_to()))),
            };
            if let Err(error) = result {
                let column = self.names.get(index).map_or("", String::as_str);
                return Err(at_column(error, &self.table, number, column, Some(bytes)));
            }
        }
        self.lines.push(number);
        self.bytes += range.len();
        Ok(true)
    }
}

fn invalid_bytes(bytes: &[u8], at: usize) -> SqlError {
    // As many bytes as the first one promises, as PostgreSQL shows them.
    let length = match bytes.get(at) {
        Some(0xc0..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf7) => 4,
        _ => 1,
    };
    let shown: Vec<String> = bytes.iter().skip(at).take(length).map(|b| format!("0x{b:02x}")).collect();
    SqlError::new(
        SqlState::CHARACTER_NOT_IN_REPERTOIRE,
        format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" ")),
    )
}

fn match_header(fields: &Fields, names: &[String]) -> Result<()> {
    if fields.len() != names.len() {
        return Err(bad_format(format!(
            "wrong number of fields in header line: got {}, expected {}",
            fields.len(),
            names.len()
        )));
    }
    for (index, name) in names.iter().enumerate() {
        match fields.get(index) {
            None => {
                return Err(bad_format(format!(
                    "column name mismatch in header line field {}: got null value (\"\"), expected \"{name}\"",
                    index + 1
                )));
            }
            Some(field) if field != name.as_bytes() => {
                return Err(bad_format(format!(
                    "column name mismatch in header line field {}: got \"{}\", expected \"{name}\"",
                    index + 1,
                    String::from_utf8_lossy(field)
                )));
            }
            Some(_) => {}
        }
    }
    Ok(())
}
