//! The template of a number: its nodes, and what they say together.

use super::syntax;
use crate::Result;

/// A pattern that stands for something; all else in a template is literal text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pattern {
    Nine,
    Zero,
    Point,
    LocalePoint,
    Comma,
    LocaleGroup,
    Currency,
    Sign,
    Minus,
    Plus,
    PlusMinus,
    Bracket,
    Roman {
        upper: bool,
    },
    Ordinal {
        upper: bool,
    },
    Shift,
    Scientific,
    FillMode,
    Blank,
    /// Known to the grammar and without effect (`C`, `SP`).
    Nothing,
}

pub enum Node {
    Pattern(Pattern),
    Literal(char),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SignPlace {
    None,
    Before,
    After,
}

/// A parsed template.
pub struct Picture {
    pub nodes: Vec<Node>,
    /// Digits before and after the point.
    pub pre: usize,
    pub post: usize,
    /// Digits behind `V`: the number is multiplied by that power of ten.
    pub shifted: usize,
    pub has_shift: bool,
    /// `S` and where it puts the sign; `pre` when it was met.
    pub sign: bool,
    pub sign_place: SignPlace,
    pub sign_at: usize,
    pub minus: bool,
    pub plus: bool,
    pub bracket: bool,
    pub fill: bool,
    pub roman: bool,
    pub scientific: bool,
    pub decimal: bool,
    pub blank: bool,
    /// The first `0` before the point, counted in digits; and how many digits there are up to the last `0`.
    pub zero_from: Option<usize>,
    pub zero_end: usize,
}

/// Longest first where one is the beginning of another. Lower and upper case, but no mixture, are the same.
const PATTERNS: [(&str, Pattern); 20] = [
    ("EEEE", Pattern::Scientific),
    ("FM", Pattern::FillMode),
    ("MI", Pattern::Minus),
    ("PL", Pattern::Plus),
    ("PR", Pattern::Bracket),
    ("RN", Pattern::Roman { upper: true }),
    ("SG", Pattern::PlusMinus),
    ("SP", Pattern::Nothing),
    ("TH", Pattern::Ordinal { upper: true }),
    (",", Pattern::Comma),
    (".", Pattern::Point),
    ("0", Pattern::Zero),
    ("9", Pattern::Nine),
    ("B", Pattern::Blank),
    ("C", Pattern::Nothing),
    ("D", Pattern::LocalePoint),
    ("G", Pattern::LocaleGroup),
    ("L", Pattern::Currency),
    ("S", Pattern::Sign),
    ("V", Pattern::Shift),
];

fn pattern_at(text: &str) -> Option<(Pattern, usize)> {
    for (name, pattern) in PATTERNS {
        let Some(head) = text.get(..name.len()) else { continue };
        if head == name {
            return Some((pattern, name.len()));
        }
        if head == name.to_ascii_lowercase() {
            let pattern = match pattern {
                Pattern::Roman { .. } => Pattern::Roman { upper: false },
                Pattern::Ordinal { .. } => Pattern::Ordinal { upper: false },
                same => same,
            };
            return Some((pattern, name.len()));
        }
    }
    None
}

impl Picture {
    /// 42601 for patterns that do not go together.
    pub fn parse(text: &str) -> Result<Picture> {
        let mut picture = Picture {
            nodes: Vec::new(),
            pre: 0,
            post: 0,
            shifted: 0,
            has_shift: false,
            sign: false,
            sign_place: SignPlace::None,
            sign_at: 0,
            minus: false,
            plus: false,
            bracket: false,
            fill: false,
            roman: false,
            scientific: false,
            decimal: false,
            blank: false,
            zero_from: None,
            zero_end: 0,
        };
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if let Some((pattern, length)) = pattern_at(rest) {
                picture.note(pattern)?;
                picture.nodes.push(Node::Pattern(pattern));
                rest = rest.get(length..).unwrap_or_default();
            } else if first == '"' {
                rest = picture.quoted(rest.get(1..).unwrap_or_default());
            } else {
                // A backslash counts only before a double quote, which it makes literal.
                let escaped = rest.starts_with("\\\"");
                let literal = if escaped { '"' } else { first };
                picture.nodes.push(Node::Literal(literal));
                rest = rest.get(if escaped { 2 } else { first.len_utf8() }..).unwrap_or_default();
            }
        }
        Ok(picture)
    }

    /// Literal text up to the closing quote (or the end); gives what follows.
    fn quoted<'a>(&mut self, text: &'a str) -> &'a str {
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '"' => break,
                '\\' => match chars.next() {
                    Some(next) => self.nodes.push(Node::Literal(next)),
                    None => self.nodes.push(Node::Literal('\\')),
                },
                c => self.nodes.push(Node::Literal(c)),
            }
        }
        chars.as_str()
    }

    fn note(&mut self, pattern: Pattern) -> Result<()> {
        if self.scientific && pattern != Pattern::Scientific {
            return Err(syntax("\"EEEE\" must be the last pattern used"));
        }
        match pattern {
            Pattern::Nine => self.note_digit("9")?,
            Pattern::Zero => {
                if self.zero_from.is_none() && !self.decimal && !self.bracket {
                    self.zero_from = Some(self.pre);
                }
                self.note_digit("0")?;
                self.zero_end = self.pre + self.post;
            }
            Pattern::Point | Pattern::LocalePoint => self.note_point()?,
            Pattern::Blank => self.blank |= self.pre == 0 && self.post == 0 && self.zero_from.is_none(),
            Pattern::FillMode => self.fill = true,
            Pattern::Sign => self.note_sign()?,
            Pattern::Minus => {
                self.refuse_with_sign("MI")?;
                self.minus = true;
            }
            Pattern::Plus => {
                self.refuse_with_sign("PL")?;
                self.plus = true;
            }
            Pattern::PlusMinus => {
                self.refuse_with_sign("SG")?;
                (self.minus, self.plus) = (true, true);
            }
            Pattern::Bracket => {
                if self.sign || self.plus || self.minus {
                    return Err(syntax("cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together"));
                }
                self.bracket = true;
            }
            Pattern::Roman { .. } => self.roman = true,
            Pattern::Shift => {
                if self.decimal {
                    return Err(syntax("cannot use \"V\" and decimal point together"));
                }
                self.has_shift = true;
            }
            Pattern::Scientific => self.note_scientific()?,
            Pattern::Comma | Pattern::LocaleGroup | Pattern::Currency | Pattern::Ordinal { .. } | Pattern::Nothing => {}
        }
        Ok(())
    }

    fn note_digit(&mut self, name: &str) -> Result<()> {
        if self.bracket {
            return Err(syntax(format!("\"{name}\" must be ahead of \"PR\"")));
        }
        if self.has_shift && name == "9" {
            self.shifted += 1;
        } else if self.decimal {
            self.post += 1;
        } else {
            self.pre += 1;
        }
        Ok(())
    }

    fn note_point(&mut self) -> Result<()> {
        if self.decimal {
            return Err(syntax("multiple decimal points"));
        }
        if self.has_shift {
            return Err(syntax("cannot use \"V\" and decimal point together"));
        }
        self.decimal = true;
        Ok(())
    }

    fn note_sign(&mut self) -> Result<()> {
        if self.sign {
            return Err(syntax("cannot use \"S\" twice"));
        }
        if self.plus || self.minus || self.bracket {
            return Err(syntax("cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together"));
        }
        self.sign = true;
        if self.decimal {
            self.sign_place = SignPlace::After;
        } else {
            self.sign_place = SignPlace::Before;
            self.sign_at = self.pre;
        }
        Ok(())
    }

    fn refuse_with_sign(&self, name: &str) -> Result<()> {
        match self.sign {
            true => Err(syntax(format!("cannot use \"S\" and \"{name}\" together"))),
            false => Ok(()),
        }
    }

    fn note_scientific(&mut self) -> Result<()> {
        if self.scientific {
            return Err(syntax("cannot use \"EEEE\" twice"));
        }
        let others = self.blank || self.fill || self.sign || self.bracket || self.minus || self.plus;
        if others || self.roman || self.has_shift {
            return Err(syntax("\"EEEE\" is incompatible with other formats")
                .detail("\"EEEE\" may only be used together with digit and decimal point patterns."));
        }
        self.scientific = true;
        Ok(())
    }
}
