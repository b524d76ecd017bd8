//! `num_nulls` and `num_nonnulls`.

use super::ScalarFn;
use crate::{Datum, Result};

fn counted(args: &[Datum], is_null: bool) -> Result<Datum> {
    let count = args.iter().filter(|arg| arg.is_null() == is_null).count();
    Ok(Datum::Int4(i32::try_from(count).unwrap_or(i32::MAX)))
}

pub const SCALARS: &[(&str, ScalarFn)] =
    &[("pg_num_nulls", |_, args| counted(args, true)), ("pg_num_nonnulls", |_, args| counted(args, false))];
