//! Writes the binary form of jsonb in one pass.
//!
//! A container's content is appended as it comes; where its parts begin and end is kept on one shared stack and becomes
//! the table behind the content when the container is closed. Nothing is moved, whatever the depth, except in an object
//! with duplicate keys, whose lost values are cut out. Keys need not come in order: only the table is sorted.

use super::binary::{ARRAY, FALSE, Jsonb, JsonbRef, NULL, NUMBER, OBJECT, STRING, TRUE, WIDE, key_order};
use super::parse::Sink;
use super::{DEPTH_MAX, SIZE_MAX, too_deep};
use crate::numeric::Numeric;
use crate::{Result, SqlError, SqlState, row};

/// One element's or member's place, from behind the container's tag.
#[derive(Clone, Copy)]
struct Entry {
    key_start: u32,
    key_end: u32,
    value_end: u32,
}

struct Frame {
    /// Where the container's tag is.
    start: usize,
    /// The first of its entries on the stack.
    entries: usize,
    is_object: bool,
    /// The depth of the deepest value in it so far.
    depth: usize,
}

/// Builds one jsonb value from events: `begin_object`, `key`, a value, …, `end`, `finish`.
#[derive(Default)]
pub struct Builder {
    out: Vec<u8>,
    frames: Vec<Frame>,
    entries: Vec<Entry>,
}

impl Builder {
    pub fn new() -> Builder {
        Builder::default()
    }

    pub fn with_capacity(size: usize) -> Builder {
        Builder { out: Vec::with_capacity(size.min(SIZE_MAX)), ..Builder::default() }
    }

    /// The value; every container must have been ended. 54000 if it is too large.
    pub fn finish(self) -> Result<Jsonb> {
        debug_assert!(self.frames.is_empty(), "every container was ended");
        if self.out.len() > SIZE_MAX {
            return Err(SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("total size of jsonb object elements exceeds the maximum of {SIZE_MAX} bytes"),
            ));
        }
        Ok(Jsonb::from_builder(self.out))
    }

    /// Whether nothing has been written yet.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Notes that an element or a member's value ends here.
    fn end_value(&mut self) {
        if let Some(frame) = self.frames.last() {
            let end = (self.out.len() - frame.start - 1) as u32;
            if frame.is_object {
                // `key` has pushed the entry.
                if let Some(entry) = self.entries.last_mut() {
                    entry.value_end = end;
                }
            } else {
                self.entries.push(Entry { key_start: 0, key_end: 0, value_end: end });
            }
        }
    }

    pub fn null(&mut self) {
        self.out.push(NULL);
        self.end_value();
    }
    pub fn bool(&mut self, value: bool) {
        self.out.push(if value { TRUE } else { FALSE });
        self.end_value();
    }
    pub fn number(&mut self, value: &Numeric) {
        self.out.push(NUMBER);
        row::encode_numeric(value, &mut self.out);
        self.end_value();
    }
    pub fn int(&mut self, value: i64) {
        self.number(&Numeric::Small { mantissa: value, scale: 0 });
    }
    pub fn string(&mut self, value: &str) {
        self.out.push(STRING);
        self.out.extend_from_slice(value.as_bytes());
        self.end_value();
    }
    /// A copy of another value or a part of one.
    pub fn value(&mut self, value: JsonbRef<'_>) {
        if value.as_bytes().is_empty() {
            return self.null();
        }
        self.out.extend_from_slice(value.as_bytes());
        if let Some(frame) = self.frames.last_mut() {
            frame.depth = frame.depth.max(value.depth());
        }
        self.end_value();
    }

    pub fn key(&mut self, key: &str) {
        if let Some(frame) = self.frames.last() {
            let key_start = (self.out.len() - frame.start - 1) as u32;
            self.out.extend_from_slice(key.as_bytes());
            let key_end = (self.out.len() - frame.start - 1) as u32;
            self.entries.push(Entry { key_start, key_end, value_end: key_end });
        }
    }

    pub fn begin_array(&mut self) {
        self.begin(ARRAY);
    }
    pub fn begin_object(&mut self) {
        self.begin(OBJECT);
    }
    fn begin(&mut self, tag: u8) {
        self.frames.push(Frame {
            start: self.out.len(),
            entries: self.entries.len(),
            is_object: tag == OBJECT,
            depth: 0,
        });
        self.out.push(tag);
    }

    /// Ends the innermost container. 54000 if it is too large, 54001 if it nests too deeply.
    pub fn end(&mut self) -> Result<()> {
        let Some(frame) = self.frames.pop() else { return Ok(()) };
        if self.out.len() > SIZE_MAX {
            let what = if frame.is_object { "object" } else { "array" };
            return Err(SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("total size of jsonb {what} elements exceeds the maximum of {SIZE_MAX} bytes"),
            ));
        }
        if frame.is_object {
            self.sort_members(&frame);
        }
        let (out, entries) = (&mut self.out, &self.entries[frame.entries..]);
        let is_wide = out.len() - frame.start - 1 > usize::from(u16::MAX);
        if is_wide {
            out[frame.start] |= WIDE;
        }
        let mut put = |number: u32| match is_wide {
            true => out.extend_from_slice(&number.to_le_bytes()),
            false => out.extend_from_slice(&(number as u16).to_le_bytes()),
        };
        for entry in entries {
            if frame.is_object {
                put(entry.key_start);
                put(entry.key_end);
            }
            put(entry.value_end);
        }
        put(entries.len() as u32);
        let depth = frame.depth + 1;
        if depth > DEPTH_MAX {
            return Err(too_deep());
        }
        out.extend_from_slice(&(depth as u16).to_le_bytes());
        if let Some(parent) = self.frames.last_mut() {
            parent.depth = parent.depth.max(depth);
        }
        self.entries.truncate(frame.entries);
        self.end_value();
        Ok(())
    }

    /// Sorts the members of the frame by key; of equal keys the last written stays.
    fn sort_members(&mut self, frame: &Frame) {
        let content = &self.out[frame.start + 1..];
        let key = |e: &Entry| &content[e.key_start as usize..e.key_end as usize];
        let entries = &mut self.entries[frame.entries..];
        if entries.windows(2).all(|pair| key_order(key(&pair[0]), key(&pair[1])).is_lt()) {
            return;
        }
        entries.sort_by(|a, b| key_order(key(a), key(b)).then(a.key_start.cmp(&b.key_start)));
        if !entries.windows(2).any(|pair| key(&pair[0]) == key(&pair[1])) {
            return;
        }
        // Keep the last of each run, and copy the survivors' content together.
        let mut kept: Vec<Entry> = Vec::with_capacity(entries.len());
        for entry in entries.iter() {
            match kept.last_mut() {
                Some(last) if key(last) == key(entry) => *last = *entry,
                _ => kept.push(*entry),
            }
        }
        let mut packed = Vec::with_capacity(content.len());
        for entry in &mut kept {
            let start = packed.len() as u32;
            packed.extend_from_slice(&content[entry.key_start as usize..entry.value_end as usize]);
            entry.key_end = entry.key_end - entry.key_start + start;
            entry.value_end = entry.value_end - entry.key_start + start;
            entry.key_start = start;
        }
        self.out.truncate(frame.start + 1);
        self.out.extend_from_slice(&packed);
        self.entries.truncate(frame.entries);
        self.entries.extend_from_slice(&kept);
    }

    /// Containers open now.
    pub fn depth(&self) -> usize {
        self.frames.len()
    }

    /// 54001 if a further container would nest too deeply.
    pub fn check_depth(&self) -> Result<()> {
        if self.frames.len() >= DEPTH_MAX { Err(too_deep()) } else { Ok(()) }
    }
}

impl Sink for Builder {
    const NEEDS_VALUES: bool = true;
    fn null(&mut self) {
        Builder::null(self);
    }
    fn bool(&mut self, value: bool) {
        Builder::bool(self, value);
    }
    fn number(&mut self, value: Numeric) {
        Builder::number(self, &value);
    }
    fn string(&mut self, value: &str) -> Result<()> {
        if value.len() > SIZE_MAX {
            return Err(SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                "string too long to represent as jsonb string",
            ));
        }
        Builder::string(self, value);
        Ok(())
    }
    fn key(&mut self, key: &str) {
        Builder::key(self, key);
    }
    fn begin_array(&mut self) {
        Builder::begin_array(self);
    }
    fn begin_object(&mut self) {
        Builder::begin_object(self);
    }
    fn end(&mut self) -> Result<()> {
        Builder::end(self)
    }
}
