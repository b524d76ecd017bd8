//! What a path is: a primary and what is done with it, step by step.

use crate::numeric::Numeric;
use crate::text::regex::Options;
use ecow::EcoString;

/// A whole path.
#[derive(Debug)]
pub struct Path {
    pub is_lax: bool,
    pub root: Chain,
}

/// A primary followed by accessors: `$`, `.a`, `[*]`. Never empty.
pub type Chain = Vec<Step>;

#[derive(Debug)]
pub enum Step {
    // Primaries.
    Null,
    Bool(bool),
    Number(Numeric),
    String(EcoString),
    Variable(EcoString),
    Root,
    Current,
    Last,
    Arithmetic(Arithmetic, Box<[Chain; 2]>),
    Sign(Sign, Box<Chain>),
    /// A predicate as a value: true, false or null.
    Test(Box<Predicate>),
    // Accessors.
    Key(EcoString),
    AnyKey,
    AnyElement,
    Elements(Vec<Range>),
    /// `.**{first to last}`; `LEVEL_LAST` is the word `last`.
    Descendants {
        first: u32,
        last: u32,
    },
    Filter(Box<Predicate>),
    Method(Method),
    Datetime(Option<EcoString>),
}

/// The bound of levels that `last` stands for.
pub const LEVEL_LAST: u32 = u32::MAX;

/// A subscript: one index, or from one to another.
#[derive(Debug)]
pub struct Range {
    pub from: Chain,
    pub to: Option<Chain>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sign {
    Plus,
    Minus,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    Type,
    Size,
    Abs,
    Floor,
    Ceiling,
    Double,
    Keyvalue,
}

/// A test with three answers.
#[derive(Debug)]
pub enum Predicate {
    And(Box<[Predicate; 2]>),
    Or(Box<[Predicate; 2]>),
    Not(Box<Predicate>),
    IsUnknown(Box<Predicate>),
    Exists(Chain),
    Compare(Comparison, Box<[Chain; 2]>),
    /// The second is a string or a variable.
    StartsWith(Box<[Chain; 2]>),
    LikeRegex(Box<LikeRegex>),
}

#[derive(Debug)]
pub struct LikeRegex {
    pub value: Chain,
    pub pattern: EcoString,
    pub flags: Flags,
}

/// The flags of `like_regex`, which are XQuery's.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Flags {
    pub ignores_case: bool,
    pub dot_is_all: bool,
    pub is_multiline: bool,
    pub is_expanded: bool,
    pub is_quoted: bool,
}

impl Flags {
    /// As the regular expression engine has them.
    pub fn options(self) -> Options {
        Options {
            ignore_case: self.ignores_case,
            literal: self.is_quoted,
            newline_stops: !self.is_quoted && !self.dot_is_all,
            newline_anchors: !self.is_quoted && self.is_multiline,
            ..Options::default()
        }
    }
}

impl Arithmetic {
    pub fn symbol(self) -> &'static str {
        match self {
            Arithmetic::Add => "+",
            Arithmetic::Sub => "-",
            Arithmetic::Mul => "*",
            Arithmetic::Div => "/",
            Arithmetic::Rem => "%",
        }
    }
}

impl Sign {
    pub fn symbol(self) -> &'static str {
        match self {
            Sign::Plus => "+",
            Sign::Minus => "-",
        }
    }
}

impl Comparison {
    pub fn symbol(self) -> &'static str {
        match self {
            Comparison::Equal => "==",
            Comparison::NotEqual => "!=",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
        }
    }
}

impl Method {
    pub fn name(self) -> &'static str {
        match self {
            Method::Type => "type",
            Method::Size => "size",
            Method::Abs => "abs",
            Method::Floor => "floor",
            Method::Ceiling => "ceiling",
            Method::Double => "double",
            Method::Keyvalue => "keyvalue",
        }
    }
}
