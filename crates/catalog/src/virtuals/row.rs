//! How the relations' files make rows: `row![…]` of plain Rust values, and a `Scan` that collects them.

use super::VirtualContext;
use crate::Snapshot;
use crate::descriptor::*;
use std::ops::Deref;
use std::sync::Arc;
use types::array::{Array, Dimension};
use types::{Datum, Oid, oid};

/// A row of a virtual relation.
pub enum Row {
    /// Compiled in: shared by all scans.
    Fixed(&'static [Datum]),
    Made(Vec<Datum>),
}

impl Deref for Row {
    type Target = [Datum];
    fn deref(&self) -> &[Datum] {
        match self {
            Row::Fixed(row) => row,
            Row::Made(row) => row,
        }
    }
}

/// What a Rust value is as a datum. `()` and None are NULL; numbers keep their width; an `Oid` is a `u32`.
pub(crate) trait Cell {
    fn cell(self) -> Datum;
}

impl Cell for Datum {
    fn cell(self) -> Datum {
        self
    }
}
impl Cell for () {
    fn cell(self) -> Datum {
        Datum::Null
    }
}
impl Cell for bool {
    fn cell(self) -> Datum {
        Datum::Bool(self)
    }
}
impl Cell for i16 {
    fn cell(self) -> Datum {
        Datum::Int2(self)
    }
}
impl Cell for i32 {
    fn cell(self) -> Datum {
        Datum::Int4(self)
    }
}
impl Cell for i64 {
    fn cell(self) -> Datum {
        Datum::Int8(self)
    }
}
impl Cell for Oid {
    fn cell(self) -> Datum {
        Datum::Oid(self)
    }
}
impl Cell for f32 {
    fn cell(self) -> Datum {
        Datum::Float4(self)
    }
}
impl Cell for f64 {
    fn cell(self) -> Datum {
        Datum::Float8(self)
    }
}
impl Cell for char {
    fn cell(self) -> Datum {
        let mut buffer = [0; 4];
        Datum::text(&*self.encode_utf8(&mut buffer))
    }
}
impl Cell for &str {
    fn cell(self) -> Datum {
        Datum::text(self)
    }
}
impl Cell for &String {
    fn cell(self) -> Datum {
        Datum::text(self.as_str())
    }
}
impl Cell for String {
    fn cell(self) -> Datum {
        Datum::text(self)
    }
}
impl<T: Cell> Cell for Option<T> {
    fn cell(self) -> Datum {
        self.map_or(Datum::Null, Cell::cell)
    }
}

/// A row of the values given.
macro_rules! row {
    ($($value:expr),* $(,)?) => { vec![$($crate::virtuals::Cell::cell($value)),*] };
}
pub(crate) use row;

/// One reading of one relation.
pub(crate) struct Scan<'a> {
    pub context: &'a VirtualContext<'a>,
    pub catalog: &'a Snapshot,
    /// The database that the session is connected to.
    pub database: Oid,
    pub role: Oid,
    equal: &'a [(AttributeNumber, Datum)],
    pub rows: Vec<Row>,
}

impl<'a> Scan<'a> {
    pub fn new(context: &'a VirtualContext<'a>, equal: &'a [(AttributeNumber, Datum)]) -> Scan<'a> {
        let (catalog, database) = (&**context.catalog, context.scope.database);
        Scan { context, catalog, database, role: context.role, equal, rows: vec![] }
    }

    pub fn push(&mut self, row: Vec<Datum>) {
        self.rows.push(Row::Made(row));
    }

    /// The OID that an attribute must have, where the query says so.
    pub fn oid(&self, attribute: AttributeNumber) -> Option<Oid> {
        self.equal.iter().find(|(a, _)| *a == attribute).and_then(|(_, value)| match value {
            Datum::Oid(id) => Some(*id),
            _ => None,
        })
    }

    /// The text that an attribute must have, where the query says so.
    pub fn text(&self, attribute: AttributeNumber) -> Option<&'a str> {
        self.equal.iter().find(|(a, _)| *a == attribute).and_then(|(_, value)| match value {
            Datum::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// Adds the rows of a fixed table.
    pub fn push_fixed(&mut self, relation: Oid, table: &str) {
        if let Some(relation) = super::relation(relation) {
            self.rows.extend(super::fixed::rows_of(relation, table, self.equal));
        }
    }

    /// Functions of this database that users made.
    pub fn functions(&self) -> impl Iterator<Item = &'a Arc<Function>> + use<'a> {
        let database = self.database;
        self.catalog.functions().filter(move |f| f.database == database)
    }

    /// Operators of this database that users made.
    pub fn operators(&self) -> impl Iterator<Item = &'a Arc<Operator>> + use<'a> {
        let database = self.database;
        self.catalog.operators().filter(move |o| o.database == database)
    }

    /// Whether rows with this OID there are wanted.
    pub fn wants(&self, attribute: AttributeNumber, id: Oid) -> bool {
        self.oid(attribute).is_none_or(|wanted| wanted == id)
    }

    /// Whether rows with this text there are wanted.
    pub fn wants_text(&self, attribute: AttributeNumber, text: &str) -> bool {
        self.text(attribute).is_none_or(|wanted| wanted == text)
    }

    /// Relations that a session of this database is shown, in order of id; only that of `wanted` where it is given.
    /// Those of `hyrax_catalog` are read by name and not listed: a program that was written for PostgreSQL (pg_dump) takes a schema
    /// that it does not know for a user's.
    pub fn relations(&self, wanted: Option<Oid>) -> Box<dyn Iterator<Item = &'a Arc<Relation>> + 'a> {
        let database = self.database;
        let is_here = move |r: &&Arc<Relation>| {
            (r.database == database || r.database == 0) && !r.is_scalar_type() && r.schema != HYRAX_SCHEMA
        };
        match wanted {
            Some(id) => Box::new(self.catalog.relation(id).into_iter().filter(is_here)),
            None => Box::new(self.catalog.relations().filter(is_here)),
        }
    }

    /// Enums and domains of this database, in order of id.
    pub fn scalar_types(&self) -> impl Iterator<Item = &'a Arc<Relation>> + use<'a> {
        let database = self.database;
        self.catalog.relations().filter(move |r| r.database == database && r.is_scalar_type())
    }

    /// Those that users made.
    pub fn user_relations(&self, wanted: Option<Oid>) -> impl Iterator<Item = &'a Arc<Relation>> + use<'a> {
        self.relations(wanted).filter(|r| r.kind != RelationKind::Virtual)
    }

    /// Indexes of this database with their relations.
    pub fn indexes(&self, wanted: Option<Oid>) -> impl Iterator<Item = (&'a Arc<Index>, &'a Arc<Relation>)> + use<'a> {
        let (database, catalog) = (self.database, self.catalog);
        let one = wanted.and_then(|id| catalog.index(id));
        let all = wanted.is_none().then(|| catalog.indexes()).into_iter().flatten();
        let here = one.into_iter().chain(all).filter(move |i| i.database == database);
        here.filter_map(|i| Some((i, catalog.relation(i.relation)?)))
    }

    /// Schemas of this database, without `hyrax_catalog`.
    pub fn schemas(&self) -> impl Iterator<Item = &'a Arc<Schema>> + use<'a> {
        let database = self.database;
        self.catalog.schemas().filter(move |s| (s.database == database || s.database == 0) && s.id != HYRAX_SCHEMA)
    }

    pub fn schema_name(&self, id: Oid) -> &'a str {
        self.catalog.schema(id).map_or("", |s| s.name.as_str())
    }

    pub fn role_name(&self, id: Oid) -> Datum {
        match self.catalog.role(id) {
            Some(role) => role.name.as_str().cell(),
            None => format!("unknown (OID={id})").cell(),
        }
    }

    /// An access control list as `aclitem[]`.
    pub fn acl(&self, list: Option<&[Grant]>) -> Datum {
        let Some(list) = list else { return Datum::Null };
        array(oid::ACLITEM, list.iter().map(|g| crate::privileges::aclitem(self.catalog, g)))
    }
}

pub(crate) fn array<T: Cell>(element: Oid, values: impl IntoIterator<Item = T>) -> Datum {
    let values = values.into_iter().map(Cell::cell).collect();
    Datum::Array(Arc::new(Array::from_values(element, values)))
}

/// An array, or NULL where there is nothing to put in.
pub(crate) fn array_or_null<T: Cell>(element: Oid, values: impl IntoIterator<Item = T>) -> Datum {
    let values: Vec<Datum> = values.into_iter().map(Cell::cell).collect();
    if values.is_empty() { Datum::Null } else { Datum::Array(Arc::new(Array::from_values(element, values))) }
}

/// `int2vector` and `oidvector` count from 0.
pub(crate) fn vector<T: Cell>(element: Oid, values: impl IntoIterator<Item = T>) -> Datum {
    let values: Vec<Datum> = values.into_iter().map(Cell::cell).collect();
    let dims = vec![Dimension { len: values.len() as i32, lower: 0 }];
    Datum::Array(Arc::new(Array { element, dims, values }))
}

/// `name=value` options as `text[]`.
pub(crate) fn options(list: &[(String, String)]) -> Datum {
    array_or_null(oid::TEXT, list.iter().map(|(name, value)| format!("{name}={value}")))
}

/// An OID for what has none of its own here (a default, a view's rule): the same for the same parts, among the OIDs that
/// the counter reaches last.
pub(crate) fn derived_oid(first: Oid, second: u32) -> Oid {
    let mut hash: u32 = 0x811c_9dc5;
    for byte in first.to_le_bytes().into_iter().chain(second.to_le_bytes()) {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    hash | 0x8000_0000
}
