//! PostgreSQL's advanced regular expressions, rewritten in the syntax of crate `regex`.
//!
//! The two look alike and differ: `\m \M \y \Y`, `[[:<:]]`, `\A \Z`, `***:` and `(?i)` in front, classes that know ASCII only
//! (the C locale), `.` and `$` without a thought for lines unless asked, back references. Each construct is parsed by
//! PostgreSQL's rules (2201B with its words) and written out in a form that means just that; letters are expanded by case
//! here, so that nothing of Unicode's folding comes in.
//!
//! On the way the parser works out the *preference* of every part: an expression takes the longest match unless its first
//! quantifier is a lazy one; an alternation always takes the longest.

use super::backtrack::Rereads;
use super::tree::Node;
use crate::{Result, SqlError, SqlState};

/// Groups inside each other.
const NESTING_MAX: usize = 200;
/// The greatest number in `{m,n}`, as in PostgreSQL.
const REPETITIONS_MAX: u32 = 255;
/// Bytes of a pattern.
const PATTERN_SIZE_MAX: usize = 1 << 20;

/// Which of several possible matches from one start counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Preference {
    /// There is only one.
    None,
    Longest,
    Shortest,
}

/// What the flags of a function and the options in front of the pattern say.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Options {
    pub ignore_case: bool,
    /// `.` and negated brackets stop at newlines.
    pub newline_stops: bool,
    /// `^` and `$` match at lines.
    pub newline_anchors: bool,
    pub expanded: bool,
    pub literal: bool,
    /// Basic or extended syntax was asked for.
    pub other_syntax: bool,
}

impl Options {
    /// Applies one letter; false if it is none of them.
    pub fn apply(&mut self, letter: char) -> bool {
        match letter {
            'i' => self.ignore_case = true,
            'c' => self.ignore_case = false,
            'n' | 'm' => (self.newline_stops, self.newline_anchors) = (true, true),
            'p' => (self.newline_stops, self.newline_anchors) = (true, false),
            'w' => (self.newline_stops, self.newline_anchors) = (false, true),
            's' => (self.newline_stops, self.newline_anchors) = (false, false),
            'x' => self.expanded = true,
            't' => self.expanded = false,
            'q' => self.literal = true,
            'b' | 'e' => self.other_syntax = true,
            _ => return false,
        }
        true
    }
}

#[derive(Debug)]
pub struct Translated {
    pub pattern: String,
    pub tree: Node,
    /// Capturing groups.
    pub groups: usize,
    /// Look-around and back references need the backtracking engine.
    pub backtracking: Option<Rereads>,
}

#[cold]
pub(super) fn invalid(what: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_REGULAR_EXPRESSION, format!("invalid regular expression: {what}"))
}

const UNBALANCED: &str = "parentheses () not balanced";
const NO_OPERAND: &str = "quantifier operand invalid";
const BAD_ESCAPE: &str = "invalid escape \\ sequence";
const BAD_REPETITION: &str = "invalid repetition count(s)";
const BAD_BRACKET: &str = "brackets [] not balanced";

pub fn translate(pattern: &str, mut options: Options) -> Result<Translated> {
    if pattern.len() > PATTERN_SIZE_MAX {
        return Err(invalid("regular expression is too complex"));
    }
    let mut rest = pattern;
    if let Some(directed) = rest.strip_prefix("***") {
        rest = match directed.chars().next() {
            Some('=') => {
                options.literal = true;
                &directed[1..]
            }
            Some(':') => {
                options.literal = false;
                &directed[1..]
            }
            _ => return Err(invalid(NO_OPERAND)),
        };
    }
    if options.other_syntax {
        return Err(SqlError::unsupported("basic and extended regular expressions are not supported"));
    }
    if !options.literal && rest.starts_with("(?") {
        rest = embedded_options(rest, &mut options)?;
    }
    let mut parser = Parser {
        input: rest.chars().collect(),
        at: 0,
        options,
        out: String::with_capacity(rest.len() + 16),
        groups: 0,
        closed_groups: 0,
        backtracking: None,
        endless: 0,
        in_lookaround: 0,
    };
    let tree = if options.literal {
        let input = std::mem::take(&mut parser.input);
        input.iter().for_each(|c| parser.literal(*c));
        Node::leaf((0, parser.out.len()))
    } else {
        let tree = parser.alternation(NESTING_MAX)?;
        if parser.at < parser.input.len() {
            return Err(invalid(UNBALANCED));
        }
        tree
    };
    Ok(Translated { pattern: parser.out, tree, groups: parser.groups, backtracking: parser.backtracking })
}

/// `(?i)` and the like, in front only.
fn embedded_options<'a>(pattern: &'a str, options: &mut Options) -> Result<&'a str> {
    let inside = &pattern[2..];
    if !inside.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Ok(pattern);
    }
    for (at, c) in inside.char_indices() {
        if c == ')' {
            if options.other_syntax {
                return Err(SqlError::unsupported("basic and extended regular expressions are not supported"));
            }
            return Ok(&inside[at + 1..]);
        }
        if !options.apply(c) {
            return Err(invalid("invalid embedded option"));
        }
    }
    Err(invalid("invalid embedded option"))
}

struct Parser {
    input: Vec<char>,
    at: usize,
    options: Options,
    out: String,
    groups: usize,
    closed_groups: usize,
    /// Of what has been read of the innermost atom.
    backtracking: Option<Rereads>,
    /// Repetitions without an end so far.
    endless: usize,
    in_lookaround: usize,
}

/// What an atom was, for the quantifier behind it.
enum Atom {
    /// Can not be repeated: `^`, `\y`, a look-around.
    Constraint,
    Plain(Node),
}

/// What an escape means.
enum Escape {
    Char(char),
    Class(&'static str, bool),
    Constraint(&'static str),
    BackReference(usize),
}

const DIGIT: &str = "0-9";
const SPACE: &str = "\\t\\n\\x0B\\f\\r ";
const WORD: &str = "0-9A-Za-z_";

impl Parser {
    fn peek(&self) -> Option<char> {
        self.input.get(self.at).copied()
    }
    fn peek_at(&self, offset: usize) -> Option<char> {
        self.input.get(self.at + offset).copied()
    }
    fn take_if(&mut self, c: char) -> bool {
        let is_next = self.peek() == Some(c);
        self.at += usize::from(is_next);
        is_next
    }
    fn starts_with(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(offset, c)| self.peek_at(offset) == Some(c))
    }

    /// Comments, and blanks in expanded syntax.
    fn skip_ignored(&mut self) -> Result<()> {
        loop {
            if self.starts_with("(?#") {
                while !self.take_if(')') {
                    if self.peek().is_none() {
                        return Err(invalid(UNBALANCED));
                    }
                    self.at += 1;
                }
                continue;
            }
            match self.peek() {
                Some(c) if self.options.expanded && c.is_ascii_whitespace() => self.at += 1,
                Some('#') if self.options.expanded => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                }
                _ => return Ok(()),
            }
        }
    }

    /// The node of what was written from `start` on.
    fn written(&self, start: usize) -> (usize, usize) {
        (start, self.out.len())
    }

    /// Branches up to the end or a closing parenthesis.
    fn alternation(&mut self, depth: usize) -> Result<Node> {
        let Some(depth) = depth.checked_sub(1) else { return Err(invalid("regular expression is too complex")) };
        let start = self.out.len();
        let first = self.branch(depth)?;
        if self.peek() != Some('|') {
            return Ok(first);
        }
        let mut branches = vec![first];
        while self.take_if('|') {
            self.out.push('|');
            branches.push(self.branch(depth)?);
        }
        Ok(Node::alternation(branches, self.written(start)))
    }

    fn branch(&mut self, depth: usize) -> Result<Node> {
        let start = self.out.len();
        let mut parts = Vec::new();
        loop {
            self.skip_ignored()?;
            match self.peek() {
                None | Some('|' | ')') => break,
                Some(_) => {}
            }
            let start = self.out.len();
            // What the atom needs alone, so that a repetition of it is told from one of what stands in front.
            let before = self.backtracking.take();
            let atom = self.atom(depth)?;
            parts.push(self.quantified(atom, start)?);
            self.backtracking = self.backtracking.max(before);
        }
        match parts.is_empty() {
            true => Ok(Node::leaf(self.written(start))),
            false => Ok(Node::concat(parts, self.written(start))),
        }
    }

    /// Reads what repeats the atom that was written from `start`.
    fn quantified(&mut self, atom: Atom, start: usize) -> Result<Node> {
        self.skip_ignored()?;
        let Some((low, high, is_exact)) = self.repetition()? else {
            return Ok(match atom {
                Atom::Plain(node) => node,
                Atom::Constraint => Node::leaf(self.written(start)),
            });
        };
        let Atom::Plain(inner) = atom else { return Err(invalid(NO_OPERAND)) };
        let is_lazy = self.take_if('?');
        if matches!(self.peek(), Some('*' | '+' | '?')) || self.at_repetition() {
            return Err(invalid(NO_OPERAND));
        }
        match (low, high) {
            (0, None) => self.out.push('*'),
            (1, None) => self.out.push('+'),
            (0, Some(1)) => self.out.push('?'),
            (low, None) => self.out.push_str(&format!("{{{low},}}")),
            (low, Some(high)) => self.out.push_str(&format!("{{{low},{high}}}")),
        }
        if is_lazy {
            self.out.push('?');
        }
        if high.is_none() {
            self.endless += 1;
            self.backtracking = self.backtracking.map(|rereads| if rereads > 0 { rereads + 1 } else { 0 });
        }
        let preference = match (is_exact, is_lazy) {
            (true, _) => inner.preference,
            (false, true) => Preference::Shortest,
            (false, false) => Preference::Longest,
        };
        Ok(Node::repeat(inner, low, high, preference, self.written(start)))
    }

    fn at_repetition(&self) -> bool {
        self.peek() == Some('{') && self.peek_at(1).is_some_and(|c| c.is_ascii_digit())
    }

    /// `*`, `+`, `?`, `{m}`, `{m,}`, `{m,n}` as (least, most, whether it is `{m}`).
    fn repetition(&mut self) -> Result<Option<(u32, Option<u32>, bool)>> {
        let simple = match self.peek() {
            Some('*') => (0, None, false),
            Some('+') => (1, None, false),
            Some('?') => (0, Some(1), false),
            Some('{') if self.at_repetition() => {
                self.at += 1;
                let low = self.count()?;
                let (high, is_exact) = match self.take_if(',') {
                    false => (Some(low), true),
                    true if self.peek().is_some_and(|c| c.is_ascii_digit()) => (Some(self.count()?), false),
                    true => (None, false),
                };
                if !self.take_if('}') {
                    return Err(invalid(if self.peek().is_none() { "braces {} not balanced" } else { BAD_REPETITION }));
                }
                if high.is_some_and(|high| high < low) {
                    return Err(invalid(BAD_REPETITION));
                }
                return Ok(Some((low, high, is_exact)));
            }
            _ => return Ok(None),
        };
        self.at += 1;
        Ok(Some(simple))
    }

    fn count(&mut self) -> Result<u32> {
        let mut value = 0;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
            value = value * 10 + digit;
            if value > REPETITIONS_MAX {
                return Err(invalid(BAD_REPETITION));
            }
            self.at += 1;
        }
        Ok(value)
    }

    fn atom(&mut self, depth: usize) -> Result<Atom> {
        let Some(c) = self.peek() else { return Err(invalid(NO_OPERAND)) };
        self.at += 1;
        let start = self.out.len();
        let mut literal = None;
        match c {
            '(' => return self.group(depth),
            '[' => return self.bracket(),
            '\\' => return self.escape_atom(),
            '*' | '+' | '?' => return Err(invalid(NO_OPERAND)),
            '{' if self.peek().is_some_and(|c| c.is_ascii_digit()) => return Err(invalid(NO_OPERAND)),
            '.' => self.out.push_str(if self.options.newline_stops { "[^\\n]" } else { "(?s:.)" }),
            '^' => {
                self.out.push_str(if self.options.newline_anchors { "(?m:^)" } else { "\\A" });
                return Ok(Atom::Constraint);
            }
            '$' => {
                self.out.push_str(if self.options.newline_anchors { "(?m:$)" } else { "\\z" });
                return Ok(Atom::Constraint);
            }
            other => {
                self.literal(other);
                literal = Some(other).filter(|_| !self.options.ignore_case);
            }
        }
        Ok(Atom::Plain(Node::char(self.written(start), literal)))
    }

    /// One character that stands for itself, in both cases where case does not matter.
    fn literal(&mut self, c: char) {
        if self.options.ignore_case && c.is_ascii_alphabetic() {
            self.out.push('[');
            self.out.push(c.to_ascii_lowercase());
            self.out.push(c.to_ascii_uppercase());
            self.out.push(']');
        } else if c.is_ascii_alphanumeric() || !c.is_ascii() {
            self.out.push(c);
        } else {
            self.out.push_str(&format!("\\x{{{:X}}}", u32::from(c)));
        }
    }

    fn group(&mut self, depth: usize) -> Result<Atom> {
        let start = self.out.len();
        let mut is_capturing = false;
        let mut is_lookaround = false;
        if self.peek() == Some('?') {
            let looks = ["?=", "?!", "?<=", "?<!"];
            if self.starts_with("?:") {
                self.at += 2;
                self.out.push_str("(?:");
            } else if let Some(look) = looks.into_iter().find(|look| self.starts_with(look)) {
                self.at += look.len();
                self.out.push('(');
                self.out.push_str(look);
                is_lookaround = true;
            } else {
                return Err(invalid(NO_OPERAND));
            }
        } else if self.in_lookaround > 0 {
            self.out.push_str("(?:");
        } else {
            is_capturing = true;
            self.groups += 1;
            self.out.push('(');
        }
        let number = self.groups;
        self.in_lookaround += usize::from(is_lookaround);
        let endless = self.endless;
        let inner = self.alternation(depth)?;
        self.in_lookaround -= usize::from(is_lookaround);
        if is_lookaround {
            self.backtracking = self.backtracking.max(Some(Rereads::from(self.endless > endless)));
        }
        if !self.take_if(')') {
            return Err(invalid(UNBALANCED));
        }
        self.out.push(')');
        self.closed_groups += usize::from(is_capturing);
        let range = self.written(start);
        Ok(match (is_lookaround, is_capturing) {
            (true, _) => Atom::Constraint,
            (false, true) => Atom::Plain(Node::group(number, inner, range)),
            (false, false) => Atom::Plain(Node::enclosed(inner, range)),
        })
    }

    fn escape_atom(&mut self) -> Result<Atom> {
        let start = self.out.len();
        let mut literal = None;
        match self.escape()? {
            Escape::Char(c) => {
                self.literal(c);
                literal = Some(c).filter(|_| !self.options.ignore_case);
            }
            Escape::Class(set, is_negated) => {
                self.out.push_str(if is_negated { "[^" } else { "[" });
                self.out.push_str(set);
                self.out.push(']');
            }
            Escape::Constraint(text) => {
                self.out.push_str(text);
                return Ok(Atom::Constraint);
            }
            Escape::BackReference(group) => {
                if group > self.closed_groups {
                    return Err(invalid("invalid backreference number"));
                }
                self.backtracking = self.backtracking.max(Some(0));
                let ignoring = if self.options.ignore_case { "i" } else { "" };
                self.out.push_str(&format!("(?{ignoring}:\\{group})"));
            }
        }
        Ok(Atom::Plain(Node::char(self.written(start), literal)))
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result<Escape> {
        let Some(c) = self.peek() else { return Err(invalid(BAD_ESCAPE)) };
        self.at += 1;
        Ok(match c {
            'a' => Escape::Char('\u{7}'),
            'b' => Escape::Char('\u{8}'),
            'B' => Escape::Char('\\'),
            'e' => Escape::Char('\u{1b}'),
            'f' => Escape::Char('\u{c}'),
            'n' => Escape::Char('\n'),
            'r' => Escape::Char('\r'),
            't' => Escape::Char('\t'),
            'v' => Escape::Char('\u{b}'),
            'c' => {
                let Some(next) = self.peek() else { return Err(invalid(BAD_ESCAPE)) };
                self.at += 1;
                Escape::Char(char::from((u32::from(next) & 0x1f) as u8))
            }
            'u' => self.hexadecimal(4, 4)?,
            'U' => self.hexadecimal(8, 8)?,
            'x' => self.hexadecimal(1, 255)?,
            'd' => Escape::Class(DIGIT, false),
            'D' => Escape::Class(DIGIT, true),
            's' => Escape::Class(SPACE, false),
            'S' => Escape::Class(SPACE, true),
            'w' => Escape::Class(WORD, false),
            'W' => Escape::Class(WORD, true),
            'A' => Escape::Constraint("\\A"),
            'Z' => Escape::Constraint("\\z"),
            'm' => Escape::Constraint("(?-u:\\b{start})"),
            'M' => Escape::Constraint("(?-u:\\b{end})"),
            'y' => Escape::Constraint("(?-u:\\b)"),
            'Y' => Escape::Constraint("(?-u:\\B)"),
            '0' => {
                self.at -= 1;
                self.octal()?
            }
            '1'..='9' => {
                self.at -= 1;
                self.number_escape()?
            }
            c if c.is_ascii_alphabetic() => return Err(invalid(BAD_ESCAPE)),
            other => Escape::Char(other),
        })
    }

    fn hexadecimal(&mut self, least: usize, most: usize) -> Result<Escape> {
        let mut value = 0_u32;
        let mut count = 0;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(16)) {
            if count == most {
                break;
            }
            value = value.checked_mul(16).and_then(|v| v.checked_add(digit)).ok_or_else(|| invalid(BAD_ESCAPE))?;
            count += 1;
            self.at += 1;
        }
        match char::from_u32(value) {
            Some(c) if count >= least => Ok(Escape::Char(c)),
            _ => Err(invalid(BAD_ESCAPE)),
        }
    }

    fn octal(&mut self) -> Result<Escape> {
        let mut value = 0;
        for _ in 0..3 {
            let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) else { break };
            value = value * 8 + digit;
            self.at += 1;
        }
        char::from_u32(value).map(Escape::Char).ok_or_else(|| invalid(BAD_ESCAPE))
    }

    /// One digit is a back reference; more are one if there are so many groups, else an octal number.
    fn number_escape(&mut self) -> Result<Escape> {
        let digits: String = self.input[self.at..].iter().take_while(|c| c.is_ascii_digit()).take(4).collect();
        let number: usize = digits.parse().unwrap_or(usize::MAX);
        if digits.len() == 1 || number <= self.closed_groups {
            self.at += digits.len();
            return Ok(Escape::BackReference(number));
        }
        if digits.chars().take(2).all(|c| c.is_digit(8)) {
            return self.octal();
        }
        self.at += 1;
        Ok(Escape::BackReference(digits[..1].parse().unwrap_or(usize::MAX)))
    }

    fn bracket(&mut self) -> Result<Atom> {
        for (text, meaning) in [("[:<:]]", "(?-u:\\b{start})"), ("[:>:]]", "(?-u:\\b{end})")] {
            if self.starts_with(text) {
                self.at += text.len();
                self.out.push_str(meaning);
                return Ok(Atom::Constraint);
            }
        }
        let start = self.out.len();
        let is_negated = self.take_if('^');
        let mut set = String::new();
        let mut is_first = true;
        loop {
            match self.peek() {
                None => return Err(invalid(BAD_BRACKET)),
                Some(']') if !is_first => {
                    self.at += 1;
                    break;
                }
                Some(_) => self.bracket_item(&mut set)?,
            }
            is_first = false;
        }
        if is_negated && self.options.newline_stops {
            set.push_str("\\n");
        }
        self.out.push_str(if is_negated { "[^" } else { "[" });
        self.out.push_str(&set);
        self.out.push(']');
        Ok(Atom::Plain(Node::char(self.written(start), None)))
    }

    fn bracket_item(&mut self, set: &mut String) -> Result<()> {
        if self.starts_with("[:") {
            let name = self.bracket_name(':')?;
            set.push_str(match (name.as_str(), self.options.ignore_case) {
                ("upper" | "lower", true) => "a-zA-Z",
                ("alpha", _) => "a-zA-Z",
                ("upper", _) => "A-Z",
                ("lower", _) => "a-z",
                ("digit", _) => DIGIT,
                ("alnum", _) => "0-9A-Za-z",
                ("punct", _) => "!-/:-@\\[-`{-~",
                ("space", _) => SPACE,
                ("blank", _) => " \\t",
                ("cntrl", _) => "\\x00-\\x1F\\x7F",
                ("print", _) => " -~",
                ("graph", _) => "!-~",
                ("xdigit", _) => "0-9A-Fa-f",
                ("word", _) => WORD,
                _ => return Err(invalid("invalid character class")),
            });
            return Ok(());
        }
        if self.starts_with("[=") {
            let c = self.collating('=')?;
            self.add_range(c, c, set);
            return Ok(());
        }
        let first = match self.bracket_char()? {
            Ok(c) => c,
            Err(class) => {
                set.push_str(class);
                return Ok(());
            }
        };
        let is_range = self.peek() == Some('-') && self.peek_at(1).is_some_and(|c| c != ']');
        if !is_range {
            self.add_range(first, first, set);
            return Ok(());
        }
        self.at += 1;
        match self.bracket_char()? {
            Ok(last) if first <= last => self.add_range(first, last, set),
            _ => return Err(invalid("invalid character range")),
        }
        Ok(())
    }

    /// One character of a bracket, or the set that a class escape stands for.
    fn bracket_char(&mut self) -> Result<std::result::Result<char, &'static str>> {
        if self.starts_with("[.") {
            return self.collating('.').map(Ok);
        }
        match self.peek() {
            None => Err(invalid(BAD_BRACKET)),
            Some('\\') => {
                self.at += 1;
                match self.escape()? {
                    Escape::Char(c) => Ok(Ok(c)),
                    Escape::Class(set, false) => Ok(Err(set)),
                    _ => Err(invalid(BAD_ESCAPE)),
                }
            }
            Some(c) => {
                self.at += 1;
                Ok(Ok(c))
            }
        }
    }

    /// The name between `[:` and `:]`.
    fn bracket_name(&mut self, mark: char) -> Result<String> {
        self.at += 2;
        let mut name = String::new();
        loop {
            match self.peek() {
                None => return Err(invalid(BAD_BRACKET)),
                Some(c) if c == mark && self.peek_at(1) == Some(']') => {
                    self.at += 2;
                    return Ok(name);
                }
                Some(c) => {
                    name.push(c);
                    self.at += 1;
                }
            }
        }
    }

    fn collating(&mut self, mark: char) -> Result<char> {
        let name = self.bracket_name(mark)?;
        let mut chars = name.chars();
        match (chars.next(), chars.next()) {
            (Some(c), None) => Ok(c),
            _ => Err(invalid("invalid collating element")),
        }
    }

    fn add_range(&self, first: char, last: char, set: &mut String) {
        let mut add = |first: char, last: char| {
            set.push_str(&format!("\\x{{{:X}}}", u32::from(first)));
            if first != last {
                set.push_str(&format!("-\\x{{{:X}}}", u32::from(last)));
            }
        };
        add(first, last);
        if !self.options.ignore_case {
            return;
        }
        let other_case = |c: char| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
        for (low, high) in [('a', 'z'), ('A', 'Z')] {
            let (from, to) = (first.max(low), last.min(high));
            if from <= to {
                add(other_case(from), other_case(to));
            }
        }
    }
}
