//! Reads a path: operators by precedence, everything else by descent.
//!
//! A path knows values and predicates, and each place takes one of them; a predicate in brackets followed by an accessor is
//! a value (`($.a > 1).type()`). What the grammar has no place for is PostgreSQL's "syntax error", shown at the first token
//! that can not go on.

use super::lexer::{Kind, Lexer, Token, syntax_error};
use super::tree::{
    Arithmetic, Chain, Comparison, Flags, LEVEL_LAST, LikeRegex, Method, Path, Predicate, Range, Sign, Step,
};
use super::{NESTING_MAX, OPERATIONS_MAX, too_deep};
use crate::numeric::Numeric;
use crate::{Result, SqlError, SqlState, text};
use ecow::EcoString;

/// What an expression turned out to be.
enum Parsed {
    Value(Chain),
    Test(Predicate),
}

/// How tightly an operator binds.
const OR: u8 = 1;
const AND: u8 = 2;
const COMPARE: u8 = 3;
const SUM: u8 = 4;
const PRODUCT: u8 = 5;

enum Operator {
    Or,
    And,
    Compare(Comparison),
    Arithmetic(Arithmetic),
    StartsWith,
    LikeRegex,
}

impl Operator {
    fn precedence(&self) -> u8 {
        match self {
            Operator::Or => OR,
            Operator::And => AND,
            Operator::Compare(_) | Operator::StartsWith | Operator::LikeRegex => COMPARE,
            Operator::Arithmetic(Arithmetic::Add | Arithmetic::Sub) => SUM,
            Operator::Arithmetic(_) => PRODUCT,
        }
    }
}

impl Path {
    /// 42601, 22P02 and what a string, number or regular expression in it gives.
    pub fn parse(text: &str) -> Result<Path> {
        let mut lexer = Lexer::new(text);
        let token = lexer.next()?;
        if token.kind == Kind::End {
            return Err(crate::io::invalid_input("jsonpath", text));
        }
        let mut parser = Parser { lexer, token, operations: 0, nesting: 0, filters: 0, subscripts: 0, misplaced: None };
        let is_strict = parser.is_word("strict");
        if is_strict || parser.is_word("lax") {
            parser.advance()?;
        }
        let root = match parser.expression(0)? {
            Parsed::Value(chain) => chain,
            Parsed::Test(predicate) => vec![Step::Test(Box::new(predicate))],
        };
        if parser.token.kind != Kind::End {
            return Err(parser.unexpected());
        }
        match parser.misplaced {
            Some(message) => Err(SqlError::new(SqlState::SYNTAX_ERROR, message)),
            None => Ok(Path { is_lax: !is_strict, root }),
        }
    }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    token: Token<'a>,
    /// What `OPERATIONS_MAX` counts.
    operations: usize,
    nesting: usize,
    /// Filters and subscripts that the parser is inside of.
    filters: usize,
    subscripts: usize,
    /// The first `@` or `last` out of place; any other error is reported before it.
    misplaced: Option<&'static str>,
}

impl<'a> Parser<'a> {
    fn advance(&mut self) -> Result<Token<'a>> {
        let next = self.lexer.next()?;
        Ok(std::mem::replace(&mut self.token, next))
    }

    #[cold]
    fn unexpected(&self) -> SqlError {
        syntax_error("syntax error", self.token.shows)
    }

    fn is_sign(&self, sign: u8) -> bool {
        self.token.kind == Kind::Sign(sign)
    }

    /// Whether the token is a keyword. `true`, `false` and `null` are lower case, the others of any.
    fn is_word(&self, keyword: &str) -> bool {
        matches!(&self.token.kind, Kind::Word(word) if is_keyword(word, keyword))
    }

    fn expect_sign(&mut self, sign: u8) -> Result<()> {
        if !self.is_sign(sign) {
            return Err(self.unexpected());
        }
        self.advance().map(drop)
    }

    fn expect_word(&mut self, keyword: &str) -> Result<()> {
        if !self.is_word(keyword) {
            return Err(self.unexpected());
        }
        self.advance().map(drop)
    }

    /// Counts one more part of the tree; brackets are none.
    fn count(&mut self) -> Result<()> {
        self.operations += 1;
        if self.operations > OPERATIONS_MAX { Err(too_deep()) } else { Ok(()) }
    }

    fn operator(&self) -> Option<Operator> {
        Some(match &self.token.kind {
            Kind::Or => Operator::Or,
            Kind::And => Operator::And,
            Kind::Equal => Operator::Compare(Comparison::Equal),
            Kind::NotEqual => Operator::Compare(Comparison::NotEqual),
            Kind::Less => Operator::Compare(Comparison::Less),
            Kind::LessOrEqual => Operator::Compare(Comparison::LessOrEqual),
            Kind::Greater => Operator::Compare(Comparison::Greater),
            Kind::GreaterOrEqual => Operator::Compare(Comparison::GreaterOrEqual),
            Kind::Sign(b'+') => Operator::Arithmetic(Arithmetic::Add),
            Kind::Sign(b'-') => Operator::Arithmetic(Arithmetic::Sub),
            Kind::Sign(b'*') => Operator::Arithmetic(Arithmetic::Mul),
            Kind::Sign(b'/') => Operator::Arithmetic(Arithmetic::Div),
            Kind::Sign(b'%') => Operator::Arithmetic(Arithmetic::Rem),
            Kind::Word(word) if is_keyword(word, "starts") => Operator::StartsWith,
            Kind::Word(word) if is_keyword(word, "like_regex") => Operator::LikeRegex,
            _ => return None,
        })
    }

    /// Operators that bind at least as tightly as `precedence`, and their operands. Brackets that the expression begins with
    /// are kept in a list, not on the stack: a printed path has one for each operator of a sum.
    fn expression(&mut self, precedence: u8) -> Result<Parsed> {
        self.nesting += 1;
        if self.nesting > NESTING_MAX {
            return Err(too_deep());
        }
        let mut precedence = precedence;
        let mut outside = Vec::new();
        while self.is_sign(b'(') {
            self.advance()?;
            outside.push(std::mem::replace(&mut precedence, OR));
        }
        let mut left = self.operand()?;
        loop {
            while let Some(operator) = self.operator().filter(|operator| operator.precedence() >= precedence) {
                left = self.operation(left, operator)?;
            }
            let Some(outer) = outside.pop() else { break };
            left = self.close_bracket(left)?;
            precedence = outer;
        }
        self.nesting -= 1;
        Ok(left)
    }

    /// An operator, the token at hand, and what is right of it.
    fn operation(&mut self, left: Parsed, operator: Operator) -> Result<Parsed> {
        self.count()?;
        let precedence = operator.precedence();
        match (left, operator) {
            (Parsed::Test(left), Operator::Or | Operator::And) => {
                self.advance()?;
                let Parsed::Test(right) = self.expression(precedence + 1)? else { return Err(self.unexpected()) };
                let both = Box::new([left, right]);
                Ok(Parsed::Test(if precedence == OR { Predicate::Or(both) } else { Predicate::And(both) }))
            }
            (Parsed::Value(left), Operator::Compare(comparison)) => {
                self.advance()?;
                let Parsed::Value(right) = self.expression(SUM)? else { return Err(self.unexpected()) };
                Ok(Parsed::Test(Predicate::Compare(comparison, Box::new([left, right]))))
            }
            (Parsed::Value(left), Operator::Arithmetic(arithmetic)) => {
                self.advance()?;
                let Parsed::Value(right) = self.expression(precedence + 1)? else { return Err(self.unexpected()) };
                Ok(Parsed::Value(vec![Step::Arithmetic(arithmetic, Box::new([left, right]))]))
            }
            (Parsed::Value(left), Operator::StartsWith) => {
                self.advance()?;
                self.expect_word("with")?;
                let initial = match &self.token.kind {
                    Kind::String(text) => Step::String(text.clone()),
                    Kind::Variable(name) => Step::Variable(name.clone()),
                    _ => return Err(self.unexpected()),
                };
                self.advance()?;
                Ok(Parsed::Test(Predicate::StartsWith(Box::new([left, vec![initial]]))))
            }
            (Parsed::Value(left), Operator::LikeRegex) => self.like_regex(left),
            _ => Err(self.unexpected()),
        }
    }

    fn like_regex(&mut self, value: Chain) -> Result<Parsed> {
        self.advance()?;
        let pattern = self.string()?;
        let flags = if self.is_word("flag") {
            self.advance()?;
            flags(&self.string()?)?
        } else {
            Flags::default()
        };
        if flags.is_expanded && !flags.is_quoted {
            return Err(SqlError::unsupported("XQuery \"x\" flag (expanded regular expressions) is not implemented"));
        }
        // A pattern that is none is an error of the path, not of its use.
        text::regex::compiled(&pattern, flags.options())?;
        Ok(Parsed::Test(Predicate::LikeRegex(Box::new(LikeRegex { value, pattern, flags }))))
    }

    fn string(&mut self) -> Result<EcoString> {
        match self.advance()? {
            Token { kind: Kind::String(text), .. } => Ok(text),
            other => Err(syntax_error("syntax error", other.shows)),
        }
    }

    fn operand(&mut self) -> Result<Parsed> {
        match &self.token.kind {
            Kind::Sign(b'+') => self.signed(Sign::Plus),
            Kind::Sign(b'-') => self.signed(Sign::Minus),
            Kind::Sign(b'(') => {
                self.advance()?;
                let inner = self.expression(OR)?;
                self.close_bracket(inner)
            }
            Kind::Not => {
                self.count()?;
                self.advance()?;
                let inner = self.delimited_predicate()?;
                Ok(Parsed::Test(Predicate::Not(Box::new(inner))))
            }
            Kind::Word(word) if is_keyword(word, "exists") => self.delimited_predicate().map(Parsed::Test),
            _ => {
                let mut chain = vec![self.primary()?];
                self.accessors(&mut chain)?;
                Ok(Parsed::Value(chain))
            }
        }
    }

    /// A sign and what it belongs to; of a number it is a part.
    fn signed(&mut self, sign: Sign) -> Result<Parsed> {
        self.count()?;
        self.nesting += 1;
        if self.nesting > NESTING_MAX {
            return Err(too_deep());
        }
        self.advance()?;
        let Parsed::Value(value) = self.operand()? else { return Err(self.unexpected()) };
        self.nesting -= 1;
        Ok(Parsed::Value(match (sign, value.as_slice()) {
            (Sign::Plus, [Step::Number(_)]) => value,
            (Sign::Minus, [Step::Number(number)]) => vec![Step::Number(number.neg())],
            _ => vec![Step::Sign(sign, Box::new(value))],
        }))
    }

    /// What follows in brackets: their end, with `is unknown` or accessors behind it.
    fn close_bracket(&mut self, inner: Parsed) -> Result<Parsed> {
        self.expect_sign(b')')?;
        let mut chain = match inner {
            Parsed::Test(predicate) if self.is_word("is") => {
                self.count()?;
                self.advance()?;
                self.expect_word("unknown")?;
                return Ok(Parsed::Test(Predicate::IsUnknown(Box::new(predicate))));
            }
            Parsed::Test(predicate) if !self.is_accessor() => return Ok(Parsed::Test(predicate)),
            Parsed::Test(predicate) => {
                self.count()?;
                vec![Step::Test(Box::new(predicate))]
            }
            Parsed::Value(chain) => chain,
        };
        self.accessors(&mut chain)?;
        Ok(Parsed::Value(chain))
    }

    /// `(predicate)` or `exists (value)`.
    fn delimited_predicate(&mut self) -> Result<Predicate> {
        let is_exists = self.is_word("exists");
        if is_exists {
            self.count()?;
            self.advance()?;
        }
        self.expect_sign(b'(')?;
        let predicate = match (self.expression(if is_exists { SUM } else { OR })?, is_exists) {
            (Parsed::Value(chain), true) => Predicate::Exists(chain),
            (Parsed::Test(predicate), false) => predicate,
            _ => return Err(self.unexpected()),
        };
        self.expect_sign(b')')?;
        Ok(predicate)
    }

    fn primary(&mut self) -> Result<Step> {
        let step = match &self.token.kind {
            Kind::String(text) => Step::String(text.clone()),
            Kind::Variable(name) => Step::Variable(name.clone()),
            Kind::Integer | Kind::Decimal => Step::Number(Numeric::parse(self.token.shows)?),
            Kind::Sign(b'$') => Step::Root,
            Kind::Sign(b'@') => {
                if self.filters == 0 {
                    self.misplaced.get_or_insert("@ is not allowed in root expressions");
                }
                Step::Current
            }
            Kind::Word(word) if is_keyword(word, "null") => Step::Null,
            Kind::Word(word) if is_keyword(word, "true") => Step::Bool(true),
            Kind::Word(word) if is_keyword(word, "false") => Step::Bool(false),
            Kind::Word(word) if is_keyword(word, "last") => {
                if self.subscripts == 0 {
                    self.misplaced.get_or_insert("LAST is allowed only in array subscripts");
                }
                Step::Last
            }
            _ => return Err(self.unexpected()),
        };
        self.advance()?;
        Ok(step)
    }

    fn is_accessor(&self) -> bool {
        self.is_sign(b'.') || self.is_sign(b'[') || self.is_sign(b'?')
    }

    fn accessors(&mut self, chain: &mut Chain) -> Result<()> {
        loop {
            let step = match self.token.kind {
                Kind::Sign(b'.') => self.member()?,
                Kind::Sign(b'[') => self.subscript()?,
                Kind::Sign(b'?') => self.filter()?,
                _ => return Ok(()),
            };
            chain.push(step);
        }
    }

    fn filter(&mut self) -> Result<Step> {
        self.count()?;
        self.advance()?;
        self.expect_sign(b'(')?;
        self.filters += 1;
        let Parsed::Test(predicate) = self.expression(OR)? else { return Err(self.unexpected()) };
        self.filters -= 1;
        self.expect_sign(b')')?;
        Ok(Step::Filter(Box::new(predicate)))
    }

    /// `[*]` or `[1, 2 to last]`.
    fn subscript(&mut self) -> Result<Step> {
        self.advance()?;
        if self.is_sign(b'*') {
            self.advance()?;
            self.expect_sign(b']')?;
            return Ok(Step::AnyElement);
        }
        self.subscripts += 1;
        let mut ranges = Vec::new();
        loop {
            self.count()?;
            let Parsed::Value(from) = self.expression(SUM)? else { return Err(self.unexpected()) };
            let mut range = Range { from, to: None };
            if self.is_word("to") {
                self.advance()?;
                let Parsed::Value(to) = self.expression(SUM)? else { return Err(self.unexpected()) };
                range.to = Some(to);
            }
            ranges.push(range);
            if !self.is_sign(b',') {
                break;
            }
            self.advance()?;
        }
        self.subscripts -= 1;
        self.expect_sign(b']')?;
        Ok(Step::Elements(ranges))
    }

    /// What follows a point: a key, `*`, `**` or a method.
    fn member(&mut self) -> Result<Step> {
        self.advance()?;
        let is_string = matches!(self.token.kind, Kind::String(_));
        let name = match &self.token.kind {
            Kind::Sign(b'*') => {
                self.advance()?;
                return Ok(Step::AnyKey);
            }
            Kind::Any => return self.descendants(),
            Kind::String(name) | Kind::Word(name) => name.clone(),
            _ => return Err(self.unexpected()),
        };
        self.advance()?;
        if is_string || !self.is_sign(b'(') {
            return Ok(Step::Key(name));
        }
        let step = match method(&name) {
            Some(method) => {
                self.advance()?;
                Step::Method(method)
            }
            None if is_keyword(&name, "datetime") => {
                self.advance()?;
                let has_template = matches!(self.token.kind, Kind::String(_));
                Step::Datetime(if has_template { Some(self.string()?) } else { None })
            }
            None => return Err(self.unexpected()),
        };
        self.expect_sign(b')')?;
        Ok(step)
    }

    /// `**`, with levels in braces.
    fn descendants(&mut self) -> Result<Step> {
        self.advance()?;
        if !self.is_sign(b'{') {
            return Ok(Step::Descendants { first: 0, last: LEVEL_LAST });
        }
        self.advance()?;
        let first = self.level()?;
        let mut last = first;
        if self.is_word("to") {
            self.advance()?;
            last = self.level()?;
        }
        self.expect_sign(b'}')?;
        Ok(Step::Descendants { first, last })
    }

    fn level(&mut self) -> Result<u32> {
        if self.is_word("last") {
            self.advance()?;
            return Ok(LEVEL_LAST);
        }
        if self.token.kind != Kind::Integer {
            return Err(self.unexpected());
        }
        let level = crate::numeric::io::parse_integer::<i32>(self.token.shows, "integer")?;
        self.advance()?;
        // The sign is none of an integer's.
        Ok(level.unsigned_abs())
    }
}

fn is_keyword(word: &str, keyword: &str) -> bool {
    match keyword {
        "true" | "false" | "null" => word == keyword,
        _ => word.eq_ignore_ascii_case(keyword),
    }
}

fn method(name: &str) -> Option<Method> {
    use Method::{Abs, Ceiling, Double, Floor, Keyvalue, Size, Type};
    [Type, Size, Abs, Floor, Ceiling, Double, Keyvalue].into_iter().find(|m| is_keyword(name, m.name()))
}

fn flags(letters: &str) -> Result<Flags> {
    let mut flags = Flags::default();
    for letter in letters.chars() {
        match letter {
            'i' => flags.ignores_case = true,
            's' => flags.dot_is_all = true,
            'm' => flags.is_multiline = true,
            'x' => flags.is_expanded = true,
            'q' => flags.is_quoted = true,
            other => {
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, "invalid input syntax for type jsonpath")
                    .detail(format!("Unrecognized flag character \"{other}\" in LIKE_REGEX predicate.")));
            }
        }
    }
    Ok(flags)
}
