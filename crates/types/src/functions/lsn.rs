//! `pg_lsn`: differences in bytes, and numbers of bytes added and taken away. A position is the 64 bits of an Int8, unsigned.

use super::ScalarFn;
use crate::numeric::Numeric;
use crate::{Datum, Result, SqlError, SqlState};

fn position(datum: &Datum) -> i128 {
    i128::from(datum.as_i64() as u64)
}

fn out_of_range() -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "pg_lsn out of range")
}

/// The position that a number is, rounded.
fn from_number(number: &Numeric) -> Result<Datum> {
    match number {
        Numeric::NaN => Err(SqlError::unsupported("cannot convert NaN to pg_lsn")),
        Numeric::PosInfinity | Numeric::NegInfinity => Err(SqlError::unsupported("cannot convert infinity to pg_lsn")),
        finite => {
            let position: u64 = finite.round(0)?.to_string().parse().map_err(|_| out_of_range())?;
            Ok(Datum::Int8(position as i64))
        }
    }
}

/// `by` bytes further on, or back.
fn moved(lsn: &Datum, by: &Datum, is_back: bool) -> Result<Datum> {
    let (position, by) = (Numeric::from_i128(position(lsn)), by.as_numeric());
    if by.is_nan() {
        let what = if is_back { "subtract NaN from" } else { "add NaN to" };
        return Err(SqlError::unsupported(format!("cannot {what} pg_lsn")));
    }
    from_number(&if is_back { position.sub(by)? } else { position.add(by)? })
}

pub const SCALARS: &[(&str, ScalarFn)] = &[
    ("pg_lsn_mi", |_, args| Ok(Datum::Numeric(Numeric::from_i128(position(&args[0]) - position(&args[1]))))),
    ("pg_lsn_pli", |_, args| moved(&args[0], &args[1], false)),
    ("numeric_pl_pg_lsn(numeric,pg_lsn)", |_, args| moved(&args[1], &args[0], false)),
    ("pg_lsn_mii", |_, args| moved(&args[0], &args[1], true)),
    ("numeric_pg_lsn", |_, args| from_number(args[0].as_numeric())),
];
