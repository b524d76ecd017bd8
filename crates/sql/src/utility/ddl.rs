//! Bound DDL: what `exec::ddl` carries out. (The DDL work adds the other statements in this shape.)

use types::Oid;

#[derive(Debug)]
pub enum Ddl {
    /// Relations by id, with RESTART IDENTITY and CASCADE.
    Truncate { relations: Vec<Oid>, restart_identity: bool, cascade: bool },
}
