//! DDL of aggregates as data: see `ddl`.

use super::ddl::{AlterFunction, Attribute, ObjectName, ParameterDefinition, RoutineName};

#[derive(Clone, Debug)]
pub struct CreateAggregate {
    pub name: ObjectName,
    pub or_replace: bool,
    /// None: the old form, where an attribute `basetype` tells them.
    pub parameters: Option<AggregateParameters>,
    pub attributes: Vec<Attribute>,
}

#[derive(Clone, Debug, Default)]
pub struct AggregateParameters {
    /// `(*)`: none.
    pub plain: Vec<ParameterDefinition>,
    /// Behind ORDER BY, of ordered-set aggregates.
    pub ordered: Option<Vec<ParameterDefinition>>,
}

#[derive(Clone, Debug)]
pub struct AlterAggregate {
    pub aggregate: RoutineName,
    pub action: AlterFunction,
}
