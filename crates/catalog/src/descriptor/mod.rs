//! Descriptors: one object's stored definition. Immutable once in a snapshot; shared by `Arc`.
//!
//! Every id is the object's OID: a counter of the meta shard, never reused; ids below 16,384 are compiled in.

mod aggregate;
mod function;
mod operator;
mod rule;

pub use aggregate::*;
pub use function::*;
pub use operator::*;
pub use rule::*;

use serde::{Deserialize, Serialize};
use types::key::KeyOrder;
use types::user_type::{self, UserKind};
use types::{Oid, SqlType};

pub type AttributeNumber = i16;

/// The role that owns the cluster; PostgreSQL's bootstrap superuser has this OID too.
pub const POSTGRES_ROLE: Oid = 10;
pub const PG_CATALOG_SCHEMA: Oid = 11;
pub const PUBLIC_SCHEMA: Oid = 2200;
pub const TOAST_SCHEMA: Oid = 99;
pub const INFORMATION_SCHEMA: Oid = 13_207;
pub const HYRAX_SCHEMA: Oid = 13_900;
/// Owner of `public`: its members are the current database's owner.
pub const DATABASE_OWNER_ROLE: Oid = 6171;
pub const TEMPLATE1_DATABASE: Oid = 1;
pub const TEMPLATE0_DATABASE: Oid = 4;
pub const POSTGRES_DATABASE: Oid = 5;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Database {
    pub id: Oid,
    pub name: String,
    pub owner: Oid,
    pub privileges: Privileges,
    pub is_template: bool,
    pub allow_connections: bool,
    pub connection_limit: i32,
    /// `ALTER DATABASE … SET`: (role or 0, name, value).
    pub settings: Vec<(Oid, String, String)>,
    pub comment: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Schema {
    pub id: Oid,
    pub database: Oid,
    pub name: String,
    pub owner: Oid,
    pub privileges: Privileges,
    pub comment: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RelationKind {
    /// All fields declared.
    Table,
    /// Open: documents may carry undeclared fields (architecture §6).
    Collection,
    View,
    MaterializedView,
    Sequence,
    /// pg_catalog and information_schema: rows are computed (`virtuals`).
    Virtual,
    /// A free-standing composite type.
    Composite,
    /// Types that are no relations at all, and share with relations what both have: a name in a schema, an owner, rights,
    /// a comment, dependents (decision 0006).
    Enum,
    Domain,
}

/// A table, collection, view, sequence or virtual relation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Relation {
    pub id: Oid,
    pub database: Oid,
    pub schema: Oid,
    pub name: String,
    pub owner: Oid,
    pub privileges: Privileges,
    pub kind: RelationKind,
    pub is_temporary: bool,
    /// pg_type OIDs of the row type and its array.
    pub row_type: Oid,
    pub row_array_type: Oid,
    /// Raised by every change that a planned statement could notice; commits are fenced with it.
    pub schema_version: u32,
    pub storage: u32,
    /// In attribute order, dropped ones included (`columns[n - 1]` is attribute n).
    pub columns: Vec<Column>,
    /// Number of the current stored layout; rows carry the number they were written under. Layout n stores the columns whose
    /// `added_in <= n` and (`dropped_in` is none or `> n`), in attribute order, generated and dropped ones treated alike.
    pub layout: u16,
    /// Attribute numbers of the primary key in key order; empty: a hidden 128-bit row id is the key.
    pub key: Vec<AttributeNumber>,
    /// Attributes whose hash gives the slot; empty: the key.
    pub distribution: Vec<AttributeNumber>,
    pub constraints: Vec<Constraint>,
    /// Ids of its indexes (`Index` descriptors), the primary key's first. The primary key's index has no storage of its own.
    pub indexes: Vec<Oid>,
    pub view: Option<ViewDefinition>,
    pub sequence: Option<SequenceDefinition>,
    /// Of an enum or a domain. A domain's checks are `constraints`.
    pub definition: Option<TypeDefinition>,
    /// `WITH (…)`, as given.
    pub options: Vec<(String, String)>,
    pub comment: Option<String>,
    pub row_security: bool,
    /// TEMP tables only.
    pub on_commit: OnCommit,
    /// Derived from the above on first use; never stored, never copied.
    #[serde(skip)]
    pub layouts: crate::layout::LayoutCell,
}

/// What COMMIT does with a TEMP table's rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum OnCommit {
    #[default]
    PreserveRows,
    DeleteRows,
    Drop,
}

impl Relation {
    /// An attribute that is not dropped.
    pub fn column(&self, number: AttributeNumber) -> Option<&Column> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.columns.get(index).filter(|c| !c.is_dropped)
    }
    pub fn column_by_name(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| !c.is_dropped && c.name == name)
    }
    /// Columns that are not dropped, in attribute order.
    pub fn live_columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|c| !c.is_dropped)
    }
    pub fn constraint_by_name(&self, name: &str) -> Option<&Constraint> {
        self.constraints.iter().find(|c| c.name == name)
    }
    /// Whether it is a type and nothing else: no relation to read from, nor in pg_class.
    pub fn is_scalar_type(&self) -> bool {
        matches!(self.kind, RelationKind::Enum | RelationKind::Domain)
    }
    /// Whether CREATE TYPE or CREATE DOMAIN made it.
    pub fn is_type(&self) -> bool {
        self.is_scalar_type() || self.kind == RelationKind::Composite
    }
    /// Whether rows are stored (and not computed).
    pub fn has_rows(&self) -> bool {
        matches!(self.kind, RelationKind::Table | RelationKind::Collection | RelationKind::MaterializedView)
    }
    /// Not so a materialized view that was made or refreshed WITH NO DATA: reading it is an error.
    pub fn is_populated(&self) -> bool {
        self.kind != RelationKind::MaterializedView || self.view.as_ref().is_some_and(|view| view.is_populated)
    }
    pub fn home(&self) -> txn::Home {
        if self.is_temporary { txn::Home::Temporary } else { txn::Home::Data }
    }
    /// What a transaction addresses it by.
    pub fn reference(&self) -> txn::RelationRef {
        txn::RelationRef {
            storage: txn::StorageId(self.storage),
            id: self.id,
            schema_version: self.schema_version,
            home: self.home(),
        }
    }
    /// The same for one of its indexes: fenced with the relation.
    pub fn index_reference(&self, index: &Index) -> txn::RelationRef {
        txn::RelationRef { storage: txn::StorageId(index.storage), ..self.reference() }
    }
    /// How error messages call this kind of relation.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            RelationKind::Table | RelationKind::Collection | RelationKind::Virtual => "table",
            RelationKind::View => "view",
            RelationKind::MaterializedView => "materialized view",
            RelationKind::Sequence => "sequence",
            RelationKind::Composite | RelationKind::Enum | RelationKind::Domain => "type",
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Column {
    pub number: AttributeNumber,
    pub name: String,
    /// What values are; for a column of a domain the domain's base type.
    pub ty: SqlTypeStored,
    /// The domain, or array over a domain, that the column was declared with.
    pub domain: Option<Oid>,
    pub not_null: bool,
    /// Default (or generation) expression as SQL, deparsed as PostgreSQL prints it.
    pub default: Option<String>,
    pub identity: Option<Identity>,
    /// GENERATED ALWAYS AS (default) STORED.
    pub is_generated: bool,
    pub is_dropped: bool,
    pub added_in: u16,
    pub dropped_in: Option<u16>,
    /// Value of the column for rows written before it was added: text form, None for NULL.
    pub missing: Option<String>,
    pub collation: Oid,
    pub privileges: Option<Privileges>,
    pub statistics_target: i32,
    pub storage: Option<char>,
    pub comment: Option<String>,
}

impl Column {
    /// The type as declared: a domain where it is one.
    pub fn declared(&self) -> SqlType {
        self.domain.map_or(self.ty.into(), SqlType::new)
    }
}

/// What an enum or a domain is. A composite type is its columns.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum TypeDefinition {
    /// In order, which is that of the keys.
    Enum(Vec<EnumLabel>),
    Domain(DomainDefinition),
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EnumLabel {
    /// pg_enum's OID.
    pub id: Oid,
    /// What values of the type hold (`user_types`).
    pub key: i64,
    pub name: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DomainDefinition {
    /// May be a domain itself.
    pub base: SqlTypeStored,
    pub not_null: bool,
    /// As a column's.
    pub default: Option<String>,
    pub collation: Oid,
}

/// `SqlType` in stored form.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SqlTypeStored {
    pub oid: Oid,
    pub typmod: i32,
}

impl From<SqlTypeStored> for SqlType {
    fn from(t: SqlTypeStored) -> SqlType {
        SqlType::with_typmod(t.oid, t.typmod)
    }
}
impl From<SqlType> for SqlTypeStored {
    fn from(t: SqlType) -> SqlTypeStored {
        SqlTypeStored { oid: t.oid, typmod: t.typmod }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Identity {
    Always,
    ByDefault,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Constraint {
    pub id: Oid,
    pub name: String,
    pub kind: ConstraintKind,
    pub deferrable: bool,
    pub initially_deferred: bool,
    pub is_validated: bool,
    pub comment: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ConstraintKind {
    PrimaryKey { index: Oid },
    Unique { index: Oid },
    Check { expression: String, columns: Vec<AttributeNumber>, no_inherit: bool },
    ForeignKey(ForeignKey),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ForeignKey {
    pub columns: Vec<AttributeNumber>,
    pub target: Oid,
    pub target_columns: Vec<AttributeNumber>,
    /// The unique index of the target that proves it.
    pub target_index: Oid,
    pub match_full: bool,
    pub on_delete: ReferentialAction,
    pub on_update: ReferentialAction,
    /// ON DELETE SET NULL/DEFAULT (columns).
    pub delete_set_columns: Vec<AttributeNumber>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ReferentialAction {
    NoAction,
    Restrict,
    Cascade,
    SetNull,
    SetDefault,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Index {
    pub id: Oid,
    pub relation: Oid,
    pub schema: Oid,
    pub database: Oid,
    pub name: String,
    pub storage: u32,
    pub columns: Vec<IndexColumn>,
    /// INCLUDE columns.
    pub included: Vec<AttributeNumber>,
    pub is_unique: bool,
    pub nulls_not_distinct: bool,
    /// It is `Relation::key`, the key that rows are stored by, and has no storage of its own. (A DEFERRABLE primary key and
    /// one made USING INDEX are indexes beside the rows: for pg_index ask `ConstraintKind::PrimaryKey`.)
    pub is_primary: bool,
    /// Access method as given (`btree`, `hash`: both are ordered keys here).
    pub method: String,
    /// Partial index predicate, deparsed.
    pub predicate: Option<String>,
    pub state: IndexState,
    pub options: Vec<(String, String)>,
    pub comment: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum IndexState {
    /// Writers maintain it, nobody reads it, old rows are not in it yet.
    WriteOnly,
    Public,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IndexColumn {
    pub source: IndexSource,
    pub ty: SqlTypeStored,
    pub descending: bool,
    pub nulls_first: bool,
    /// pg_opclass name if not the default.
    pub opclass: Option<String>,
    pub collation: Oid,
}

impl IndexColumn {
    pub fn order(&self) -> KeyOrder {
        KeyOrder { descending: self.descending, nulls_first: self.nulls_first }
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum IndexSource {
    Column(AttributeNumber),
    /// Deparsed expression over the relation's columns (an undeclared field of a collection is one too).
    Expression(String),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ViewDefinition {
    /// The query, as text that binds in any session (names qualified where the text was bound through a search path).
    pub query: String,
    /// The search path under which `query` binds.
    pub search_path: Vec<String>,
    /// `LOCAL` or `CASCADED`.
    pub check_option: Option<String>,
    /// Ids of what it uses, for dependency checks: (object, attribute or 0).
    pub depends_on: Vec<(Oid, AttributeNumber)>,
    /// Of a materialized view: whether its query has been run, so that it can be read.
    pub is_populated: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SequenceDefinition {
    pub ty: Oid,
    pub start: i64,
    pub increment: i64,
    pub min: i64,
    pub max: i64,
    pub cache: i64,
    pub cycle: bool,
    /// The column that owns it (SERIAL, IDENTITY, OWNED BY).
    pub owned_by: Option<(Oid, AttributeNumber)>,
    pub is_identity: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Role {
    pub id: Oid,
    pub name: String,
    pub is_superuser: bool,
    pub inherit: bool,
    pub create_role: bool,
    pub create_database: bool,
    pub can_login: bool,
    pub replication: bool,
    pub bypass_row_security: bool,
    pub connection_limit: i32,
    /// SCRAM-SHA-256 verifier as PostgreSQL stores it.
    pub password: Option<String>,
    /// timestamptz, microseconds since 2000.
    pub valid_until: Option<i64>,
    /// Roles it is a member of: (role, admin option, grantor).
    pub member_of: Vec<(Oid, bool, Oid)>,
    /// `ALTER ROLE … SET`.
    pub settings: Vec<(String, String)>,
    pub comment: Option<String>,
}

/// An access control list. None: PostgreSQL's default for that kind of object.
pub type Privileges = Option<Vec<Grant>>;

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Grant {
    /// 0 is PUBLIC.
    pub grantee: Oid,
    pub grantor: Oid,
    /// Bits of `Privilege`, and those with grant option.
    pub rights: u32,
    pub grantable: u32,
}

/// Bits in PostgreSQL's order (`AclMode`).
pub mod privilege {
    pub const INSERT: u32 = 1 << 0;
    pub const SELECT: u32 = 1 << 1;
    pub const UPDATE: u32 = 1 << 2;
    pub const DELETE: u32 = 1 << 3;
    pub const TRUNCATE: u32 = 1 << 4;
    pub const REFERENCES: u32 = 1 << 5;
    pub const TRIGGER: u32 = 1 << 6;
    pub const EXECUTE: u32 = 1 << 7;
    pub const USAGE: u32 = 1 << 8;
    pub const CREATE: u32 = 1 << 9;
    pub const CREATE_TEMP: u32 = 1 << 10;
    pub const CONNECT: u32 = 1 << 11;

    pub const ALL_TABLE: u32 = INSERT | SELECT | UPDATE | DELETE | TRUNCATE | REFERENCES | TRIGGER;
    pub const ALL_COLUMN: u32 = INSERT | SELECT | UPDATE | REFERENCES;
    pub const ALL_SEQUENCE: u32 = USAGE | SELECT | UPDATE;
    pub const ALL_DATABASE: u32 = CREATE | CREATE_TEMP | CONNECT;
    pub const ALL_SCHEMA: u32 = USAGE | CREATE;
}

/// Statistics of a relation, made by ANALYZE; used by `sql`'s cost model and shown by pg_stats.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Statistics {
    pub relation: Oid,
    pub rows: f64,
    pub average_width: f64,
    pub columns: Vec<ColumnStatistics>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ColumnStatistics {
    pub number: AttributeNumber,
    pub null_fraction: f64,
    pub average_width: f64,
    /// As PostgreSQL: > 0 is a count, < 0 a share of the rows.
    pub distinct: f64,
    /// Most common values (text form) and their frequencies.
    pub common: Vec<(String, f64)>,
    /// Equi-height histogram bounds (text form), ascending.
    pub histogram: Vec<String>,
    pub correlation: f64,
}

/// One object, as stored and as a snapshot holds it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant)]
pub enum Object {
    Database(Database),
    Schema(Schema),
    Relation(Relation),
    Index(Index),
    Role(Role),
    Statistics(Statistics),
    DefaultPrivileges(DefaultPrivileges),
    Function(Function),
    Operator(Operator),
    Rule(Rule),
}

/// `ALTER DEFAULT PRIVILEGES`: what objects made by `role` (in `schema`, or 0) get besides the built-in default.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DefaultPrivileges {
    pub id: Oid,
    pub database: Oid,
    pub role: Oid,
    pub schema: Oid,
    /// pg_default_acl's letter: `r`elations, `S`equences, `f`unctions, `T`ypes, `n` schemas.
    pub kind: char,
    /// Whole list if `schema` is 0, additions otherwise.
    pub grants: Vec<Grant>,
}

/// Kinds of objects that have descriptors of their own; the number is the first byte of a row's key, on disks for ever.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum ObjectKind {
    Database = 1,
    Schema = 2,
    Relation = 3,
    Index = 4,
    Role = 5,
    Statistics = 6,
    DefaultPrivileges = 7,
    Function = 9,
    Operator = 10,
    Rule = 11,
}

/// Names a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ObjectKey {
    pub kind: ObjectKind,
    pub id: Oid,
}

impl ObjectKey {
    pub fn new(kind: ObjectKind, id: Oid) -> ObjectKey {
        ObjectKey { kind, id }
    }
    pub fn relation(id: Oid) -> ObjectKey {
        ObjectKey::new(ObjectKind::Relation, id)
    }
    pub fn index(id: Oid) -> ObjectKey {
        ObjectKey::new(ObjectKind::Index, id)
    }
    pub fn function(id: Oid) -> ObjectKey {
        ObjectKey::new(ObjectKind::Function, id)
    }
    pub fn operator(id: Oid) -> ObjectKey {
        ObjectKey::new(ObjectKind::Operator, id)
    }
    pub fn rule(id: Oid) -> ObjectKey {
        ObjectKey::new(ObjectKind::Rule, id)
    }
}

impl Object {
    pub fn key(&self) -> ObjectKey {
        match self {
            Object::Database(o) => ObjectKey::new(ObjectKind::Database, o.id),
            Object::Schema(o) => ObjectKey::new(ObjectKind::Schema, o.id),
            Object::Relation(o) => ObjectKey::new(ObjectKind::Relation, o.id),
            Object::Index(o) => ObjectKey::new(ObjectKind::Index, o.id),
            Object::Role(o) => ObjectKey::new(ObjectKind::Role, o.id),
            Object::Statistics(o) => ObjectKey::new(ObjectKind::Statistics, o.relation),
            Object::DefaultPrivileges(o) => ObjectKey::new(ObjectKind::DefaultPrivileges, o.id),
            Object::Function(o) => ObjectKey::new(ObjectKind::Function, o.id),
            Object::Operator(o) => ObjectKey::new(ObjectKind::Operator, o.id),
            Object::Rule(o) => ObjectKey::new(ObjectKind::Rule, o.id),
        }
    }
}

/// A column as `name type` declares it.
pub fn new_column(number: AttributeNumber, name: &str, ty: SqlType) -> Column {
    Column {
        number,
        name: name.to_owned(),
        ty: ty.into(),
        domain: None,
        not_null: false,
        default: None,
        identity: None,
        is_generated: false,
        is_dropped: false,
        added_in: 0,
        dropped_in: None,
        missing: None,
        collation: types::builtin::type_by_oid(ty.oid).map_or(0, |t| t.collation),
        privileges: None,
        statistics_target: -1,
        storage: None,
        comment: None,
    }
}

/// A relation without columns, owned by `postgres`; its types' OIDs follow from `id`, its storage is numbered as itself (for
/// tests and for what is compiled in: others take that from the counter).
pub fn new_relation(id: Oid, name: &str, kind: RelationKind) -> Relation {
    Relation {
        id,
        database: 0,
        schema: 0,
        name: name.to_owned(),
        owner: POSTGRES_ROLE,
        privileges: None,
        kind,
        is_temporary: false,
        row_type: user_type::type_oid(UserKind::Composite, id),
        row_array_type: user_type::array_of(user_type::type_oid(UserKind::Composite, id)).unwrap_or(0),
        schema_version: 1,
        storage: id,
        columns: vec![],
        layout: 0,
        key: vec![],
        distribution: vec![],
        constraints: vec![],
        indexes: vec![],
        view: None,
        sequence: None,
        definition: None,
        options: vec![],
        comment: None,
        row_security: false,
        on_commit: OnCommit::PreserveRows,
        layouts: crate::layout::LayoutCell::default(),
    }
}
