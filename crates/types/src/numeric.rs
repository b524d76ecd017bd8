//! `numeric`: PostgreSQL's whole range, its display scale, rounding and special values.

/// An exact decimal, 16 bytes: an `i64` mantissa with its scale where that fits, else shared big digits.
#[derive(Clone, Debug)]
pub enum Numeric {
    /// `mantissa / 10^scale`; the scale is the display scale.
    Small {
        mantissa: i64,
        scale: u16,
    },
    NaN,
    PosInfinity,
    NegInfinity,
}

impl Numeric {
    pub fn heap_size(&self) -> usize {
        0
    }
}
