//! The static type of an expression or column: an OID and a type modifier.

use crate::{Oid, builtin, oid};

/// A type as the binder sees it. Equality of *types* is equality of `oid`; `typmod` refines (varchar(10), numeric(8,2)).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SqlType {
    pub oid: Oid,
    /// PostgreSQL's encoding (`varchar(n)`: n + 4; `numeric(p,s)`: ((p << 16) | (s & 0x7ff)) + 4; `timestamp(p)`: p); -1 for none.
    pub typmod: i32,
}

impl SqlType {
    pub const fn new(oid: Oid) -> SqlType {
        SqlType { oid, typmod: -1 }
    }
    pub const fn with_typmod(oid: Oid, typmod: i32) -> SqlType {
        SqlType { oid, typmod }
    }

    pub const BOOL: SqlType = SqlType::new(oid::BOOL);
    pub const INT2: SqlType = SqlType::new(oid::INT2);
    pub const INT4: SqlType = SqlType::new(oid::INT4);
    pub const INT8: SqlType = SqlType::new(oid::INT8);
    pub const FLOAT4: SqlType = SqlType::new(oid::FLOAT4);
    pub const FLOAT8: SqlType = SqlType::new(oid::FLOAT8);
    pub const NUMERIC: SqlType = SqlType::new(oid::NUMERIC);
    pub const TEXT: SqlType = SqlType::new(oid::TEXT);
    pub const NAME: SqlType = SqlType::new(oid::NAME);
    pub const CHAR: SqlType = SqlType::new(oid::CHAR);
    pub const VARCHAR: SqlType = SqlType::new(oid::VARCHAR);
    pub const BPCHAR: SqlType = SqlType::new(oid::BPCHAR);
    pub const BYTEA: SqlType = SqlType::new(oid::BYTEA);
    pub const DATE: SqlType = SqlType::new(oid::DATE);
    pub const TIME: SqlType = SqlType::new(oid::TIME);
    pub const TIMETZ: SqlType = SqlType::new(oid::TIMETZ);
    pub const TIMESTAMP: SqlType = SqlType::new(oid::TIMESTAMP);
    pub const TIMESTAMPTZ: SqlType = SqlType::new(oid::TIMESTAMPTZ);
    pub const INTERVAL: SqlType = SqlType::new(oid::INTERVAL);
    pub const UUID: SqlType = SqlType::new(oid::UUID);
    pub const JSON: SqlType = SqlType::new(oid::JSON);
    pub const JSONB: SqlType = SqlType::new(oid::JSONB);
    pub const OID: SqlType = SqlType::new(oid::OID);
    pub const UNKNOWN: SqlType = SqlType::new(oid::UNKNOWN);
    pub const RECORD: SqlType = SqlType::new(oid::RECORD);
    pub const VOID: SqlType = SqlType::new(oid::VOID);
    pub const TEXT_ARRAY: SqlType = SqlType::new(oid::TEXT_ARRAY);

    /// The element type of a true array type (`typlen = -1` with an element, as PostgreSQL defines it), with the typmod kept.
    pub fn element(self) -> Option<SqlType> {
        builtin::element_of(self.oid).map(|oid| SqlType { oid, typmod: self.typmod })
    }
    /// The array type over this type.
    pub fn array(self) -> Option<SqlType> {
        builtin::array_of(self.oid).map(|oid| SqlType { oid, typmod: self.typmod })
    }
    pub fn is_array(self) -> bool {
        self.element().is_some()
    }
    pub fn is_string(self) -> bool {
        matches!(self.oid, oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME | oid::CHAR | oid::UNKNOWN)
    }
}
