//! DDL of functions as data: see `ddl`.

use super::ddl::{Name, ObjectName, RoleSpec, SqlText};

/// A function as statements name it.
#[derive(Clone, Debug)]
pub struct RoutineName {
    pub name: ObjectName,
    /// None: the only one of that name.
    pub parameters: Option<Vec<ParameterDefinition>>,
}

#[derive(Clone, Debug)]
pub struct ParameterDefinition {
    pub name: Option<Name>,
    pub mode: catalog::ParameterMode,
    pub ty: SqlText,
    pub default: Option<SqlText>,
}

#[derive(Clone, Debug)]
pub struct CreateFunction {
    pub name: ObjectName,
    pub or_replace: bool,
    /// With the columns of RETURNS TABLE, which are last.
    pub parameters: Vec<ParameterDefinition>,
    /// `integer`, `SETOF integer`; None: not said, or RETURNS TABLE.
    pub result: Option<SqlText>,
    pub language: Option<Name>,
    pub options: FunctionOptions,
    pub body: Option<BodyDefinition>,
}

/// What is not said is None.
#[derive(Clone, Debug, Default)]
pub struct FunctionOptions {
    pub volatility: Option<catalog::FunctionVolatility>,
    pub strict: Option<bool>,
    pub security_definer: Option<bool>,
    pub leakproof: Option<bool>,
    pub cost: Option<f64>,
    pub rows: Option<f64>,
    pub parallel: Option<String>,
}

#[derive(Clone, Debug)]
pub enum BodyDefinition {
    /// Of the text inside of the quotes.
    Text(SqlText),
    /// AS 'file', 'symbol'.
    Symbols,
    Return(SqlText),
    /// BEGIN ATOMIC … END of one query.
    Atomic(SqlText),
}

#[derive(Clone, Debug)]
pub enum AlterFunction {
    Rename(Name),
    Owner(RoleSpec),
    SetSchema(Name),
    Options(FunctionOptions),
}
