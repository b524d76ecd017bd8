//! DDL of users' types as data: see `ddl`.

use super::ddl::{ColumnDefinition, ConstraintDefinition, Name, ObjectName, RoleSpec, SqlText};

#[derive(Clone, Debug)]
pub enum TypeBody {
    /// Labels in order.
    Enum(Vec<String>),
    /// Columns without constraints.
    Composite(Vec<ColumnDefinition>),
}

#[derive(Clone, Debug)]
pub struct CreateDomain {
    pub name: ObjectName,
    pub ty: SqlText,
    pub collation: Option<ObjectName>,
    pub constraints: Vec<ConstraintDefinition>,
}

#[derive(Clone, Debug)]
pub enum AlterType {
    Rename(Name),
    Owner(RoleSpec),
    SetSchema(Name),
    // Of enums.
    AddValue {
        label: String,
        if_not_exists: bool,
        /// Whether before (or after) which label.
        place: Option<(bool, String)>,
    },
    RenameValue {
        from: String,
        to: String,
    },
    // Of composite types.
    Attributes(Vec<AlterAttribute>),
    RenameAttribute {
        from: Name,
        to: Name,
    },
    // Of domains.
    SetDefault(SqlText),
    DropDefault,
    SetNotNull(bool),
    AddConstraint(ConstraintDefinition),
    DropConstraint {
        name: Name,
        if_exists: bool,
    },
    RenameConstraint {
        from: Name,
        to: Name,
    },
    ValidateConstraint(Name),
}

#[derive(Clone, Debug)]
pub enum AlterAttribute {
    Add(Box<ColumnDefinition>),
    Drop { name: Name, if_exists: bool },
    Type { name: Name, ty: SqlText },
}
