//! DDL of operators as data: see `ddl`.

use super::ddl::{Name, ObjectName, RoleSpec, SqlText};

/// An operator as statements name it: `schema.===(integer, NONE)`.
#[derive(Clone, Debug)]
pub struct OperatorName {
    pub name: ObjectName,
    /// None: NONE, of a prefix operator.
    pub left: Option<SqlText>,
    /// None: NONE, of the postfix operators that there are no more.
    pub right: Option<SqlText>,
}

/// An attribute of CREATE OPERATOR, CREATE AGGREGATE and their like: `name = value`.
#[derive(Clone, Debug)]
pub struct Attribute {
    pub name: Name,
    pub value: Option<AttributeValue>,
}

/// What an attribute may be given; which of them it takes is its own business.
#[derive(Clone, Debug)]
pub enum AttributeValue {
    /// A type, or the name of a function: told apart by who reads it.
    Type(SqlText),
    Operator(ObjectName),
    Number(String),
    Text(String),
    /// ALTER OPERATOR … SET (RESTRICT = NONE).
    None,
}

#[derive(Clone, Debug)]
pub struct CreateOperator {
    pub name: ObjectName,
    pub attributes: Vec<Attribute>,
}

#[derive(Clone, Debug)]
pub enum AlterOperator {
    Owner(RoleSpec),
    SetSchema(Name),
    Set(Vec<Attribute>),
}
