//! DDL as data: what `parse::ddl` makes of the text and crate `ddl` carries out.
//!
//! Names are kept as written and looked up when the statement runs, under its locks: a DDL statement is never cached, and
//! what it finds then is what counts. For the same reason expressions and queries are `SqlText`: an ALTER TABLE of several
//! actions binds each against the table as the actions before it left it. Their syntax has been checked by the parser.

pub use super::aggregates::*;
pub use super::functions::*;
pub use super::operators::*;
pub use super::rights::*;
pub use super::rules::*;
pub use super::user_types::*;
use types::SqlError;

/// A piece of the statement's own text.
#[derive(Clone, Debug, PartialEq)]
pub struct SqlText {
    pub text: String,
    /// 1-based character index of its start in the whole query string; 0 if it is nobody's.
    pub position: u32,
}

impl SqlText {
    /// Moves an error's position from this piece to the whole string.
    pub fn relocate(&self, mut error: SqlError) -> SqlError {
        let fields = error.fields_mut();
        fields.position = fields.position.filter(|_| self.position != 0).map(|p| p + self.position - 1);
        error
    }
}

/// A possibly qualified name, parts folded and truncated.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectName {
    pub parts: Vec<String>,
    pub position: u32,
}

impl ObjectName {
    /// The last part.
    pub fn object(&self) -> &str {
        self.parts.last().map(String::as_str).unwrap_or_default()
    }
}

/// One identifier and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Name {
    pub name: String,
    pub position: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub enum RoleSpec {
    Name(String),
    CurrentUser,
    SessionUser,
    /// As grantee only.
    Public,
}

/// `WITH (name = value)`, CREATE DATABASE and CREATE ROLE options: None is a bare name.
pub type Options = Vec<(String, Option<String>)>;

#[derive(Clone, Debug)]
pub enum Ddl {
    CreateDatabase {
        name: Name,
        options: Options,
    },
    AlterDatabase {
        name: Name,
        action: AlterDatabase,
    },
    DropDatabase {
        name: Name,
        if_exists: bool,
        force: bool,
    },
    CreateSchema(CreateSchema),
    AlterSchema {
        name: Name,
        action: AlterSchema,
    },
    CreateTable(Box<CreateTable>),
    CreateTableAs(Box<CreateTableAs>),
    /// ALTER TABLE, INDEX, VIEW, MATERIALIZED VIEW, SEQUENCE with actions that relations share.
    AlterRelation(AlterRelation),
    CreateIndex(Box<CreateIndex>),
    CreateSequence(Box<CreateSequence>),
    AlterSequence {
        name: ObjectName,
        if_exists: bool,
        options: SequenceOptions,
    },
    CreateView(Box<CreateView>),
    RefreshMaterializedView {
        name: ObjectName,
        concurrently: bool,
        with_data: bool,
    },
    CreateType {
        name: ObjectName,
        body: TypeBody,
    },
    CreateDomain(Box<CreateDomain>),
    AlterType {
        name: ObjectName,
        /// ALTER DOMAIN.
        is_domain: bool,
        action: AlterType,
    },
    /// Tables, views, sequences, indexes, schemas; several at once.
    Drop {
        kind: DropKind,
        names: Vec<ObjectName>,
        if_exists: bool,
        cascade: bool,
        concurrently: bool,
    },
    Truncate {
        relations: Vec<ObjectName>,
        restart_identity: bool,
        cascade: bool,
    },
    Comment {
        target: CommentTarget,
        comment: Option<String>,
    },
    CreateRole {
        name: Name,
        kind: RoleKind,
        options: Vec<RoleOption>,
    },
    AlterRole {
        role: RoleSpec,
        options: Vec<RoleOption>,
    },
    AlterRoleSettings {
        role: Option<RoleSpec>,
        database: Option<Name>,
        change: SettingChange,
    },
    RenameRole {
        from: Name,
        to: Name,
    },
    DropRoles {
        roles: Vec<RoleSpec>,
        if_exists: bool,
    },
    GrantRoles(GrantRoles),
    Grant(Grant),
    AlterDefaultPrivileges {
        roles: Vec<RoleSpec>,
        schemas: Vec<Name>,
        grant: Grant,
    },
    ReassignOwned {
        from: Vec<RoleSpec>,
        to: RoleSpec,
    },
    DropOwned {
        roles: Vec<RoleSpec>,
        cascade: bool,
    },
    CreateFunction(Box<CreateFunction>),
    AlterFunction {
        function: RoutineName,
        action: AlterFunction,
    },
    DropFunctions {
        functions: Vec<RoutineName>,
        if_exists: bool,
        cascade: bool,
    },
    CreateAggregate(CreateAggregate),
    AlterAggregate(AlterAggregate),
    DropAggregates {
        aggregates: Vec<RoutineName>,
        if_exists: bool,
        cascade: bool,
    },
    CreateOperator(CreateOperator),
    AlterOperator {
        operator: OperatorName,
        action: AlterOperator,
    },
    DropOperators {
        operators: Vec<OperatorName>,
        if_exists: bool,
        cascade: bool,
    },
    CreateRule(Box<CreateRule>),
    AlterRule {
        name: Name,
        relation: ObjectName,
        action: AlterRule,
    },
    DropRule {
        name: Name,
        relation: ObjectName,
        if_exists: bool,
        cascade: bool,
    },
    /// A statement that PostgreSQL has and Hyrax refuses: 0A000 with `what` and the position.
    Unsupported {
        what: String,
        position: u32,
    },
}

#[derive(Clone, Debug)]
pub enum AlterDatabase {
    Rename(Name),
    Owner(RoleSpec),
    Options(Options),
    Setting(SettingChange),
}

#[derive(Clone, Debug, PartialEq)]
pub enum SettingChange {
    Set(String, Vec<String>),
    /// `SET … TO DEFAULT` and `RESET name`.
    Reset(String),
    ResetAll,
}

#[derive(Clone, Debug)]
pub struct CreateSchema {
    /// None: the role's name.
    pub name: Option<Name>,
    pub if_not_exists: bool,
    pub authorization: Option<RoleSpec>,
    /// CREATE TABLE, VIEW, INDEX, SEQUENCE and GRANT inside it.
    pub elements: Vec<Ddl>,
}

#[derive(Clone, Debug)]
pub enum AlterSchema {
    Rename(Name),
    Owner(RoleSpec),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnCommit {
    #[default]
    PreserveRows,
    DeleteRows,
    Drop,
}

#[derive(Clone, Debug)]
pub struct CreateTable {
    pub name: ObjectName,
    pub if_not_exists: bool,
    pub is_temporary: bool,
    /// CREATE COLLECTION.
    pub is_collection: bool,
    pub elements: Vec<TableElement>,
    pub options: Options,
    pub on_commit: OnCommit,
    /// DISTRIBUTE BY (columns).
    pub distribute_by: Vec<Name>,
    /// COLOCATE WITH table.
    pub colocate_with: Option<ObjectName>,
    /// INHERITS, PARTITION BY, PARTITION OF, OF type: refused.
    pub unsupported: Option<(&'static str, u32)>,
}

#[derive(Clone, Debug)]
pub enum TableElement {
    Column(Box<ColumnDefinition>),
    Constraint(ConstraintDefinition),
    Like { source: ObjectName, including: LikeOptions },
}

/// INCLUDING …
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LikeOptions {
    pub comments: bool,
    pub constraints: bool,
    pub defaults: bool,
    pub generated: bool,
    pub identity: bool,
    pub indexes: bool,
    pub statistics: bool,
    pub storage: bool,
}

#[derive(Clone, Debug)]
pub struct ColumnDefinition {
    pub name: Name,
    pub ty: SqlText,
    pub collation: Option<ObjectName>,
    pub constraints: Vec<ConstraintDefinition>,
    /// STORAGE PLAIN, …
    pub storage: Option<String>,
}

#[derive(Clone, Debug)]
pub struct ConstraintDefinition {
    pub name: Option<Name>,
    pub kind: ConstraintDefinitionKind,
    pub position: u32,
    pub deferrable: Option<bool>,
    pub initially_deferred: Option<bool>,
    /// NOT VALID.
    pub not_valid: bool,
}

#[derive(Clone, Debug)]
pub enum ConstraintDefinitionKind {
    // Of columns only.
    Null,
    NotNull,
    Default(SqlText),
    Generated(SqlText),
    Identity {
        always: bool,
        options: SequenceOptions,
    },
    // Of columns (without a list) and of tables.
    Check {
        expression: SqlText,
        no_inherit: bool,
    },
    Unique {
        columns: Vec<Name>,
        include: Vec<Name>,
        is_primary: bool,
        nulls_not_distinct: bool,
        options: Options,
    },
    /// ADD CONSTRAINT … UNIQUE|PRIMARY KEY USING INDEX.
    UsingIndex {
        index: Name,
        is_primary: bool,
    },
    ForeignKey(Box<ForeignKeyDefinition>),
    Exclude,
}

#[derive(Clone, Debug)]
pub struct ForeignKeyDefinition {
    pub columns: Vec<Name>,
    pub target: ObjectName,
    /// Empty: the target's primary key.
    pub target_columns: Vec<Name>,
    pub match_kind: MatchKind,
    pub on_delete: catalog::ReferentialAction,
    pub on_update: catalog::ReferentialAction,
    pub delete_set_columns: Vec<Name>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MatchKind {
    Simple,
    Full,
    Partial,
}

#[derive(Clone, Debug)]
pub struct CreateTableAs {
    pub name: ObjectName,
    pub if_not_exists: bool,
    pub is_temporary: bool,
    /// CREATE MATERIALIZED VIEW.
    pub is_materialized_view: bool,
    /// SELECT INTO answers with another tag's rules.
    pub is_select_into: bool,
    pub columns: Vec<Name>,
    pub options: Options,
    pub on_commit: OnCommit,
    pub query: SqlText,
    /// `query` is `EXECUTE name (…)`: whoever knows the session's prepared statements puts the one that is meant in its place.
    pub is_execute: bool,
    pub with_data: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RelationWord {
    Table,
    Index,
    View,
    MaterializedView,
    Sequence,
}

#[derive(Clone, Debug)]
pub struct AlterRelation {
    pub word: RelationWord,
    pub name: ObjectName,
    pub if_exists: bool,
    pub actions: Vec<AlterAction>,
}

#[derive(Clone, Debug)]
pub enum AlterAction {
    AddColumn {
        column: Box<ColumnDefinition>,
        if_not_exists: bool,
    },
    DropColumn {
        name: Name,
        if_exists: bool,
        cascade: bool,
    },
    RenameColumn {
        from: Name,
        to: Name,
    },
    AlterColumn {
        name: Name,
        action: AlterColumn,
    },
    AddConstraint(ConstraintDefinition),
    AlterConstraint {
        name: Name,
        deferrable: Option<bool>,
        initially_deferred: Option<bool>,
    },
    ValidateConstraint(Name),
    DropConstraint {
        name: Name,
        if_exists: bool,
        cascade: bool,
    },
    RenameConstraint {
        from: Name,
        to: Name,
    },
    Rename(Name),
    SetSchema(Name),
    Owner(RoleSpec),
    SetOptions(Options),
    ResetOptions(Vec<String>),
    RowSecurity(bool),
    Rule {
        name: Name,
        action: AlterRule,
    },
    /// CLUSTER ON, SET WITHOUT CLUSTER, SET LOGGED, REPLICA IDENTITY, SET WITHOUT OIDS: nothing here depends on it.
    Hint,
    /// ATTACH PARTITION, INHERIT, ENABLE TRIGGER, …: refused.
    Unsupported {
        what: String,
        position: u32,
    },
}

#[derive(Clone, Debug)]
pub enum AlterColumn {
    Type { ty: SqlText, collation: Option<ObjectName>, using: Option<SqlText> },
    SetDefault(SqlText),
    DropDefault,
    SetNotNull,
    DropNotNull,
    DropExpression { if_exists: bool },
    AddIdentity { always: bool, options: SequenceOptions },
    SetIdentity { always: Option<bool>, options: SequenceOptions },
    DropIdentity { if_exists: bool },
    SetStatistics(i32),
    SetStorage(String),
    SetOptions(Options),
    ResetOptions(Vec<String>),
}

#[derive(Clone, Debug)]
pub struct CreateIndex {
    pub name: Option<Name>,
    pub relation: ObjectName,
    pub is_unique: bool,
    pub concurrently: bool,
    pub if_not_exists: bool,
    pub method: String,
    pub method_position: u32,
    pub columns: Vec<IndexElement>,
    pub include: Vec<Name>,
    pub nulls_not_distinct: bool,
    pub options: Options,
    pub predicate: Option<SqlText>,
}

#[derive(Clone, Debug)]
pub struct IndexElement {
    pub source: IndexElementSource,
    pub collation: Option<ObjectName>,
    pub opclass: Option<ObjectName>,
    pub descending: bool,
    pub nulls_first: Option<bool>,
}

#[derive(Clone, Debug)]
pub enum IndexElementSource {
    Column(Name),
    Expression(SqlText),
}

#[derive(Clone, Debug)]
pub struct CreateSequence {
    pub name: ObjectName,
    pub if_not_exists: bool,
    pub is_temporary: bool,
    pub options: SequenceOptions,
}

/// None: not mentioned.
#[derive(Clone, Debug, Default)]
pub struct SequenceOptions {
    pub ty: Option<SqlText>,
    pub start: Option<i64>,
    pub increment: Option<i64>,
    /// Some(None): NO MINVALUE.
    pub min: Option<Option<i64>>,
    pub max: Option<Option<i64>>,
    pub cache: Option<i64>,
    pub cycle: Option<bool>,
    /// Some(None): OWNED BY NONE. The last part is the column.
    pub owned_by: Option<Option<ObjectName>>,
    /// Some(None): RESTART with the start value.
    pub restart: Option<Option<i64>>,
    /// SEQUENCE NAME, for identity columns.
    pub name: Option<ObjectName>,
}

#[derive(Clone, Debug)]
pub struct CreateView {
    pub name: ObjectName,
    pub or_replace: bool,
    pub is_temporary: bool,
    pub columns: Vec<Name>,
    pub options: Options,
    pub query: SqlText,
    /// LOCAL or CASCADED.
    pub check_option: Option<&'static str>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DropKind {
    Table,
    View,
    MaterializedView,
    Sequence,
    Index,
    Schema,
    Type,
    Domain,
    /// Of objects that cannot exist here: only IF EXISTS can succeed.
    Procedure,
    Trigger,
    Policy,
    Extension,
}

#[derive(Clone, Debug)]
pub enum CommentTarget {
    Operator(OperatorName),
    Aggregate(RoutineName),
    Database(Name),
    Schema(Name),
    Relation {
        word: RelationWord,
        name: ObjectName,
    },
    /// The last part is the column.
    Column(ObjectName),
    Constraint {
        name: Name,
        relation: ObjectName,
    },
    Type {
        name: ObjectName,
        is_domain: bool,
    },
    DomainConstraint {
        name: Name,
        domain: ObjectName,
    },
    Role(Name),
    Function(RoutineName),
    Rule {
        name: Name,
        relation: ObjectName,
    },
}

impl Ddl {
    /// The command tag; CREATE TABLE AS and SELECT INTO answer with the row count of a SELECT instead.
    pub fn tag(&self) -> &'static str {
        match self {
            Ddl::CreateDatabase { .. } => "CREATE DATABASE",
            Ddl::AlterDatabase { .. } => "ALTER DATABASE",
            Ddl::DropDatabase { .. } => "DROP DATABASE",
            Ddl::CreateSchema(_) => "CREATE SCHEMA",
            Ddl::AlterSchema { .. } => "ALTER SCHEMA",
            Ddl::CreateTable(_) => "CREATE TABLE",
            Ddl::CreateTableAs(c) if c.is_materialized_view && !c.with_data => "CREATE MATERIALIZED VIEW",
            Ddl::CreateTableAs(c) if c.is_select_into => "SELECT INTO",
            Ddl::CreateTableAs(_) => "CREATE TABLE AS",
            Ddl::AlterRelation(a) => alter_tag(a.word),
            Ddl::CreateIndex(_) => "CREATE INDEX",
            Ddl::CreateSequence(_) => "CREATE SEQUENCE",
            Ddl::AlterSequence { .. } => "ALTER SEQUENCE",
            Ddl::CreateView(_) => "CREATE VIEW",
            Ddl::RefreshMaterializedView { .. } => "REFRESH MATERIALIZED VIEW",
            Ddl::CreateType { .. } => "CREATE TYPE",
            Ddl::CreateDomain(_) => "CREATE DOMAIN",
            Ddl::AlterType { is_domain: true, .. } => "ALTER DOMAIN",
            Ddl::AlterType { .. } => "ALTER TYPE",
            Ddl::Drop { kind, .. } => drop_tag(*kind),
            Ddl::Truncate { .. } => "TRUNCATE TABLE",
            Ddl::Comment { .. } => "COMMENT",
            Ddl::CreateRole { .. } => "CREATE ROLE",
            Ddl::AlterRole { .. } | Ddl::AlterRoleSettings { .. } | Ddl::RenameRole { .. } => "ALTER ROLE",
            Ddl::DropRoles { .. } => "DROP ROLE",
            Ddl::GrantRoles(g) if g.is_grant => "GRANT ROLE",
            Ddl::GrantRoles(_) => "REVOKE ROLE",
            Ddl::Grant(g) if g.is_grant => "GRANT",
            Ddl::Grant(_) => "REVOKE",
            Ddl::AlterDefaultPrivileges { .. } => "ALTER DEFAULT PRIVILEGES",
            Ddl::ReassignOwned { .. } => "REASSIGN OWNED",
            Ddl::DropOwned { .. } => "DROP OWNED",
            Ddl::CreateFunction(_) => "CREATE FUNCTION",
            Ddl::AlterFunction { .. } => "ALTER FUNCTION",
            Ddl::DropFunctions { .. } => "DROP FUNCTION",
            Ddl::CreateAggregate(_) => "CREATE AGGREGATE",
            Ddl::AlterAggregate(_) => "ALTER AGGREGATE",
            Ddl::DropAggregates { .. } => "DROP AGGREGATE",
            Ddl::CreateOperator(_) => "CREATE OPERATOR",
            Ddl::AlterOperator { .. } => "ALTER OPERATOR",
            Ddl::DropOperators { .. } => "DROP OPERATOR",
            Ddl::CreateRule(_) => "CREATE RULE",
            Ddl::AlterRule { .. } => "ALTER RULE",
            Ddl::DropRule { .. } => "DROP RULE",
            Ddl::Unsupported { .. } => "",
        }
    }

    /// Whether PostgreSQL refuses it in a transaction block: "CREATE DATABASE cannot run inside a transaction block".
    pub fn needs_own_transaction(&self) -> Option<&'static str> {
        match self {
            Ddl::CreateDatabase { .. } => Some("CREATE DATABASE"),
            Ddl::DropDatabase { .. } => Some("DROP DATABASE"),
            Ddl::CreateIndex(index) if index.concurrently => Some("CREATE INDEX CONCURRENTLY"),
            Ddl::Drop { kind: DropKind::Index, concurrently: true, .. } => Some("DROP INDEX CONCURRENTLY"),
            _ => None,
        }
    }
}

fn alter_tag(word: RelationWord) -> &'static str {
    match word {
        RelationWord::Table => "ALTER TABLE",
        RelationWord::Index => "ALTER INDEX",
        RelationWord::View => "ALTER VIEW",
        RelationWord::MaterializedView => "ALTER MATERIALIZED VIEW",
        RelationWord::Sequence => "ALTER SEQUENCE",
    }
}

fn drop_tag(kind: DropKind) -> &'static str {
    match kind {
        DropKind::Table => "DROP TABLE",
        DropKind::View => "DROP VIEW",
        DropKind::MaterializedView => "DROP MATERIALIZED VIEW",
        DropKind::Sequence => "DROP SEQUENCE",
        DropKind::Index => "DROP INDEX",
        DropKind::Schema => "DROP SCHEMA",
        DropKind::Type => "DROP TYPE",
        DropKind::Domain => "DROP DOMAIN",
        DropKind::Procedure => "DROP PROCEDURE",
        DropKind::Trigger => "DROP TRIGGER",
        DropKind::Policy => "DROP POLICY",
        DropKind::Extension => "DROP EXTENSION",
    }
}
