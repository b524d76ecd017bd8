//! Functions that users made.

use super::Privileges;
use serde::{Deserialize, Serialize};
use types::{Oid, oid};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Function {
    pub id: Oid,
    pub database: Oid,
    pub schema: Oid,
    pub name: String,
    pub owner: Oid,
    pub privileges: Privileges,
    /// In order of declaration, the columns of RETURNS TABLE last.
    pub parameters: Vec<Parameter>,
    pub result: Oid,
    pub returns_set: bool,
    pub body: FunctionBody,
    pub volatility: FunctionVolatility,
    /// NULL in, NULL out, without a call.
    pub strict: bool,
    pub security_definer: bool,
    pub leakproof: bool,
    /// pg_proc's letter: `u`nsafe, `r`estricted, `s`afe.
    pub parallel: char,
    pub cost: f32,
    /// Rows expected; 0 where it returns no set.
    pub rows: f32,
    pub comment: Option<String>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Parameter {
    /// Empty: it has none.
    pub name: String,
    pub mode: ParameterMode,
    pub ty: Oid,
    /// Deparsed, as a column's default is.
    pub default: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ParameterMode {
    In,
    Out,
    InOut,
    Variadic,
    /// A column of RETURNS TABLE.
    Table,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum FunctionBody {
    /// AS '…': names are looked up in the caller's search path.
    Text(String),
    /// RETURN …: as it was written, with the search path that it was made with.
    Return { expression: String, search_path: Vec<String> },
    /// No function but an aggregate.
    Aggregate(Box<super::AggregateDefinition>),
    /// BEGIN ATOMIC … END of one query: with every name qualified, or as it was written, with the search path that it was made with.
    Atomic { query: String, search_path: Vec<String>, depends_on: Vec<(Oid, super::AttributeNumber)> },
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum FunctionVolatility {
    Immutable,
    Stable,
    Volatile,
}

impl ParameterMode {
    /// Whether a call gives it a value.
    pub fn is_input(self) -> bool {
        matches!(self, ParameterMode::In | ParameterMode::InOut | ParameterMode::Variadic)
    }

    /// Whether it is a column of the result.
    pub fn is_output(self) -> bool {
        matches!(self, ParameterMode::Out | ParameterMode::InOut | ParameterMode::Table)
    }

    /// pg_proc's letter.
    pub fn letter(self) -> char {
        match self {
            ParameterMode::In => 'i',
            ParameterMode::Out => 'o',
            ParameterMode::InOut => 'b',
            ParameterMode::Variadic => 'v',
            ParameterMode::Table => 't',
        }
    }
}

impl Function {
    /// What a call gives values to, in order.
    pub fn inputs(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().filter(|p| p.mode.is_input())
    }

    /// The columns of a result of several, or of RETURNS TABLE.
    pub fn outputs(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().filter(|p| p.mode.is_output())
    }

    pub fn input_types(&self) -> Vec<Oid> {
        self.inputs().map(|p| p.ty).collect()
    }

    /// Element type of a VARIADIC last parameter (`ANY` for VARIADIC "any"), or 0.
    pub fn variadic(&self) -> Oid {
        let last = self.inputs().last().filter(|p| p.mode == ParameterMode::Variadic);
        last.map_or(0, |p| match p.ty {
            oid::ANY => oid::ANY,
            oid::ANYARRAY => oid::ANYELEMENT,
            oid::ANYCOMPATIBLEARRAY => oid::ANYCOMPATIBLE,
            ty => types::builtin::element_of(ty).unwrap_or(0),
        })
    }

    /// What tells it from others of its schema: name and types of its inputs.
    pub fn signature(&self) -> String {
        let types: Vec<String> = self.inputs().map(|p| p.ty.to_string()).collect();
        format!("{}({})", self.name, types.join(","))
    }

    /// How a stored expression calls it, up to the parenthesis: names there are qualified.
    pub fn call_text(&self, schema: &str) -> String {
        let quote = types::functions::quote_ident;
        format!("{}.{}(", quote(schema), quote(&self.name))
    }
}
