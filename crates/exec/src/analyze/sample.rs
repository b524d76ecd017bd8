//! A fair sample of a stream of rows of unknown length: each row has the same chance to be in it (Li's Algorithm L, 1994),
//! and only rows that come in are decoded.

use crate::rows::Table;
use std::sync::Arc;
use types::{Datum, Result, SqlType, builtin};

/// Bytes of values that a sample may hold; the sample stays as small as it is when it has as many.
const SAMPLE_BYTES_MAX: usize = 64 << 20;
/// Values wider than this are counted, and told from all others, but not kept.
const KEPT_BYTES_MAX: usize = 1_024;

/// One value in a sample.
#[derive(Clone, Debug)]
pub(super) enum Cell {
    Null,
    Value(Datum, u32),
    /// Too wide to keep: its bytes.
    Wide(u32),
}

#[derive(Debug)]
pub(super) struct Sample {
    /// All rows, and their bytes.
    pub rows: u64,
    pub bytes: u64,
    pub attributes: Vec<i16>,
    /// By attribute, then by place in the sample.
    pub columns: Vec<Vec<Cell>>,
    /// The number of each row in the order of the relation.
    pub order: Vec<u64>,
}

pub(super) struct Sampler {
    table: Arc<Table>,
    types: Vec<SqlType>,
    capacity: usize,
    sample: Sample,
    held_bytes: usize,
    random: Random,
    /// Algorithm L's state, and the number of the next row to take.
    weight: f64,
    next: u64,
}

impl Sampler {
    pub fn new(table: Arc<Table>, attributes: Vec<i16>, capacity: usize, seed: u64) -> Sampler {
        let ty = |a: &i16| table.types.get((*a as usize).wrapping_sub(1)).copied().unwrap_or(SqlType::UNKNOWN);
        let sample = Sample {
            rows: 0,
            bytes: 0,
            columns: attributes.iter().map(|_| vec![]).collect(),
            order: vec![],
            attributes: vec![],
        };
        Sampler {
            types: attributes.iter().map(ty).collect(),
            sample: Sample { attributes, ..sample },
            table,
            capacity: capacity.max(1),
            held_bytes: 0,
            random: Random(seed),
            weight: 1.0,
            next: 0,
        }
    }

    /// Takes notice of the next row.
    #[inline]
    pub fn see(&mut self, row: &[u8]) -> Result<()> {
        let number = self.sample.rows;
        self.sample.rows += 1;
        self.sample.bytes += row.len() as u64;
        if self.sample.order.len() < self.capacity {
            self.take(row, number, None)?;
            if self.held_bytes >= SAMPLE_BYTES_MAX {
                self.capacity = self.sample.order.len();
            }
            if self.sample.order.len() == self.capacity {
                self.skip(number);
            }
        } else if number == self.next {
            let place = (self.random.unit() * self.capacity as f64) as usize;
            self.take(row, number, Some(place.min(self.capacity - 1)))?;
            self.skip(number);
        }
        Ok(())
    }

    /// How many rows pass by until the next one comes in.
    fn skip(&mut self, number: u64) {
        self.weight *= (self.random.unit().ln() / self.capacity as f64).exp();
        let gap = (self.random.unit().ln() / (1.0 - self.weight).ln()).floor();
        // The cast saturates: a gap that long has no end.
        self.next = number.saturating_add(1).saturating_add(gap as u64);
    }

    fn take(&mut self, row: &[u8], number: u64, place: Option<usize>) -> Result<()> {
        let (view, layout) = self.table.view(row)?;
        let columns = self.sample.columns.iter_mut();
        for ((attribute, ty), column) in self.sample.attributes.iter().zip(&self.types).zip(columns) {
            let cell = cell(*ty, self.table.attribute(&view, layout, *attribute)?);
            self.held_bytes +=
                std::mem::size_of::<Cell>() + if let Cell::Value(_, width) = cell { width as usize } else { 0 };
            match place.and_then(|place| column.get_mut(place)) {
                Some(old) => *old = cell,
                None => column.push(cell),
            }
        }
        match place.and_then(|place| self.sample.order.get_mut(place)) {
            Some(old) => *old = number,
            None => self.sample.order.push(number),
        }
        Ok(())
    }

    pub fn finish(self) -> Sample {
        self.sample
    }
}

fn cell(ty: SqlType, value: Datum) -> Cell {
    let width = match &value {
        Datum::Null => return Cell::Null,
        Datum::Text(text) => text.len() + 1,
        Datum::Bytea(bytes) => bytes.len() + 1,
        value => match builtin::type_by_oid(ty.oid).map(|t| t.len) {
            Some(len) if len > 0 => len as usize,
            _ => types::io::to_text(ty, value, &types::FormatSettings::default()).len() + 1,
        },
    };
    let counted = u32::try_from(width).unwrap_or(u32::MAX);
    if width > KEPT_BYTES_MAX { Cell::Wide(counted) } else { Cell::Value(value, counted) }
}

/// SplitMix64: good enough for a sample, and one seed is one sample.
struct Random(u64);

impl Random {
    /// In (0, 1).
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64 + f64::EPSILON / 4.0
    }
}
