//! Roles, and GRANT and REVOKE, as data.

use super::ddl::{Name, ObjectName, RoleSpec, RoutineName};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RoleKind {
    Role,
    User,
    Group,
}

#[derive(Clone, Debug, PartialEq)]
pub enum RoleOption {
    Superuser(bool),
    CreateDatabase(bool),
    CreateRole(bool),
    Inherit(bool),
    Login(bool),
    Replication(bool),
    BypassRowSecurity(bool),
    ConnectionLimit(i32),
    /// None: PASSWORD NULL.
    Password(Option<String>),
    ValidUntil(String),
    /// IN ROLE, IN GROUP.
    InRoles(Vec<RoleSpec>),
    /// ROLE, USER.
    Members(Vec<RoleSpec>),
    Admins(Vec<RoleSpec>),
    /// ALTER GROUP … ADD/DROP USER.
    AddMembers(Vec<RoleSpec>),
    DropMembers(Vec<RoleSpec>),
}

#[derive(Clone, Debug)]
pub struct GrantRoles {
    pub is_grant: bool,
    pub roles: Vec<Name>,
    pub members: Vec<RoleSpec>,
    /// GRANT: WITH ADMIN OPTION. REVOKE: ADMIN OPTION FOR.
    pub admin_option: bool,
    pub granted_by: Option<RoleSpec>,
    pub cascade: bool,
}

#[derive(Clone, Debug)]
pub struct Grant {
    pub is_grant: bool,
    /// Empty: ALL. (right in lower case, columns, position)
    pub rights: Vec<(String, Vec<Name>, u32)>,
    /// ALL (columns).
    pub all_columns: Vec<Name>,
    pub target: GrantTarget,
    pub grantees: Vec<RoleSpec>,
    /// GRANT: WITH GRANT OPTION. REVOKE: GRANT OPTION FOR.
    pub grant_option: bool,
    pub granted_by: Option<RoleSpec>,
    pub cascade: bool,
}

#[derive(Clone, Debug)]
pub enum GrantTarget {
    /// TABLE (which may be sequences and views too, as in PostgreSQL).
    Tables(Vec<ObjectName>),
    Sequences(Vec<ObjectName>),
    AllTablesIn(Vec<Name>),
    AllSequencesIn(Vec<Name>),
    Databases(Vec<Name>),
    Schemas(Vec<Name>),
    Functions(Vec<RoutineName>),
    AllFunctionsIn(Vec<Name>),
    Types {
        names: Vec<ObjectName>,
        is_domain: bool,
    },
    /// PROCEDURE, LANGUAGE, …: nothing of that kind is a user's.
    Unsupported {
        what: String,
        position: u32,
    },
    /// In ALTER DEFAULT PRIVILEGES: TABLES, SEQUENCES, FUNCTIONS, TYPES, SCHEMAS as pg_default_acl's letter.
    Default(char),
}
