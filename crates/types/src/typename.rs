//! Names of types: SQL's spellings in (`double precision`, `varchar(10)`, `int[]`), `format_type`'s out.

use crate::{Oid, SqlType};

/// `format_type(oid, typmod)` for built-in types: `integer`, `character varying(10)`, `timestamp with time zone`, `text[]`.
pub fn format_type(oid: Oid, typmod: Option<i32>) -> String {
    let _ = (oid, typmod);
    String::new()
}

/// `format_type` as error messages print a type: without the modifier.
pub fn display(ty: SqlType) -> String {
    format_type(ty.oid, None)
}
