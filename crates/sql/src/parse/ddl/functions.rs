//! CREATE and ALTER FUNCTION, and how functions are named with their parameters.

use super::cursor::{Cursor, Result};
use crate::utility::ddl::*;
use catalog::{FunctionVolatility, ParameterMode};
use sqlparser::tokenizer::Token;
use types::{SqlError, SqlState};

/// Words that begin a type and never name a parameter.
const TYPE_WORDS: &[&str] = &[
    "bigint",
    "bit",
    "boolean",
    "char",
    "character",
    "dec",
    "decimal",
    "float",
    "int",
    "integer",
    "interval",
    "national",
    "nchar",
    "numeric",
    "real",
    "setof",
    "smallint",
    "time",
    "timestamp",
    "varchar",
];

fn redundant(position: u32) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, "conflicting or redundant options").at(position)
}

/// Gives an option its value; it may have one only once.
fn set<T>(option: &mut Option<T>, value: T, position: u32) -> Result<()> {
    match option.replace(value) {
        None => Ok(()),
        Some(_) => Err(redundant(position)),
    }
}

impl Cursor<'_, '_> {
    /// `name` or `name(type, …)`.
    pub(super) fn routine_name(&mut self) -> Result<RoutineName> {
        let name = self.name()?;
        let parameters = if self.peek_token(&Token::LParen) { Some(self.parameters()?) } else { None };
        Ok(RoutineName { name, parameters })
    }

    fn parameters(&mut self) -> Result<Vec<ParameterDefinition>> {
        self.expect_token(&Token::LParen)?;
        if self.accept_token(&Token::RParen) {
            return Ok(vec![]);
        }
        let parameters = self.list(Self::parameter)?;
        self.expect_token(&Token::RParen)?;
        Ok(parameters)
    }

    pub(super) fn parameter(&mut self) -> Result<ParameterDefinition> {
        let mut mode = self.parameter_mode();
        let name = if self.at_parameter_name() { Some(self.label()?) } else { None };
        if mode.is_none() {
            mode = self.parameter_mode();
        }
        let ty = self.type_name()?;
        let has_default = self.accept_word("default") || self.accept_token(&Token::Eq);
        let default = if has_default { Some(self.expression()?) } else { None };
        Ok(ParameterDefinition { name, mode: mode.unwrap_or(ParameterMode::In), ty, default })
    }

    fn parameter_mode(&mut self) -> Option<ParameterMode> {
        // `in` and `variadic` are reserved; the others are words that could name a type, but never do.
        match self.accept_any(&["in", "out", "inout", "variadic"])? {
            "in" if self.accept_word("out") => Some(ParameterMode::InOut),
            "in" => Some(ParameterMode::In),
            "out" => Some(ParameterMode::Out),
            "inout" => Some(ParameterMode::InOut),
            _ => Some(ParameterMode::Variadic),
        }
    }

    /// Whether a name stands before the type.
    fn at_parameter_name(&self) -> bool {
        let next = &self.parser.peek_nth_token_ref(1).token;
        let type_follows = match next {
            Token::Word(word) if word.quote_style.is_none() => {
                !["default", "array"].iter().any(|ends| word.value.eq_ignore_ascii_case(ends))
            }
            Token::Word(_) => true,
            _ => false,
        };
        match self.peek_word().as_deref() {
            Some("double") if self.peek_words(&["double", "precision"]) => false,
            Some(word) => type_follows && !TYPE_WORDS.contains(&word),
            None => type_follows && matches!(self.parser.peek_token_ref().token, Token::Word(_)),
        }
    }

    pub(super) fn create_function(&mut self, or_replace: bool, position: u32) -> Result<Ddl> {
        let name = self.name()?;
        let mut create = CreateFunction {
            name,
            or_replace,
            parameters: self.parameters()?,
            result: None,
            language: None,
            options: FunctionOptions::default(),
            body: None,
        };
        if self.accept_word("returns") {
            self.function_result(&mut create)?;
        }
        while !self.at_end() {
            if let Some(what) = self.function_clause(&mut create)? {
                return self.unsupported(what, position);
            }
        }
        Ok(Ddl::CreateFunction(Box::new(create)))
    }

    fn function_result(&mut self, create: &mut CreateFunction) -> Result<()> {
        if !self.accept_word("table") {
            create.result = Some(self.type_name()?);
            return Ok(());
        }
        let columns = self.parenthesized(|c| {
            let name = Some(c.label()?);
            Ok(ParameterDefinition { name, mode: ParameterMode::Table, ty: c.type_name()?, default: None })
        })?;
        create.parameters.extend(columns);
        Ok(())
    }

    /// One clause behind the result; the name of one that is not done.
    fn function_clause(&mut self, create: &mut CreateFunction) -> Result<Option<&'static str>> {
        let position = self.position();
        if self.accept_word("language") {
            let place = self.position();
            let name = if self.at_string() { self.string()? } else { self.label()?.name };
            set(&mut create.language, Name { name, position: place }, position)?;
        } else if self.accept_word("as") {
            let body = self.function_text()?;
            set(&mut create.body, body, position)?;
        } else if self.accept_word("return") {
            set(&mut create.body, BodyDefinition::Return(self.expression()?), position)?;
            self.expect_end()?;
        } else if self.accept(&["begin", "atomic"]) {
            match self.atomic_query()? {
                Some(query) => set(&mut create.body, BodyDefinition::Atomic(query), position)?,
                None => return Ok(Some("a function body of BEGIN ATOMIC that is not one query")),
            }
            self.expect_end()?;
        } else if self.accept_word("set") {
            return Ok(Some("a function with SET"));
        } else if self.accept_word("transform") {
            return Ok(Some("a function with TRANSFORM"));
        } else if self.accept_word("support") {
            return Ok(Some("a function with SUPPORT"));
        } else if self.accept_word("window") {
            return Ok(Some("CREATE FUNCTION of a window function"));
        } else if !self.function_option(&mut create.options)? {
            return Err(self.syntax_error());
        }
        Ok(None)
    }

    /// AS 'text', or AS 'file', 'symbol'.
    fn function_text(&mut self) -> Result<BodyDefinition> {
        let quote = match &self.parser.peek_token_ref().token {
            Token::DollarQuotedString(body) => 2 + body.tag.as_ref().map_or(0, |tag| tag.chars().count()),
            Token::EscapedStringLiteral(_) => 2,
            _ => 1,
        };
        let position = self.position() + u32::try_from(quote).unwrap_or(0);
        let text = self.string()?;
        if self.accept_token(&Token::Comma) {
            self.string()?;
            return Ok(BodyDefinition::Symbols);
        }
        Ok(BodyDefinition::Text(SqlText { text, position }))
    }

    /// The body of BEGIN ATOMIC, behind END; None where it is not one query.
    fn atomic_query(&mut self) -> Result<Option<SqlText>> {
        let is_query = ["select", "with", "values", "table"].iter().any(|word| self.peek(word));
        if is_query || self.peek_token(&Token::LParen) {
            let query = self.query()?;
            if self.accept_token(&Token::SemiColon) && self.accept_word("end") {
                return Ok(Some(query));
            }
        }
        self.skip_atomic()?;
        Ok(None)
    }

    /// Up to the END of BEGIN ATOMIC, over its semicolons.
    fn skip_atomic(&mut self) -> Result<()> {
        let mut open = 1_usize;
        while open > 0 {
            if self.peek("case") {
                open += 1;
            } else if self.peek("end") {
                open -= 1;
            } else if self.peek_token(&Token::EOF) {
                return Err(self.syntax_error());
            }
            self.advance();
        }
        Ok(())
    }

    /// What ALTER FUNCTION may change as well; false: it is none.
    fn function_option(&mut self, options: &mut FunctionOptions) -> Result<bool> {
        let position = self.position();
        if let Some(word) = self.accept_any(&["immutable", "stable", "volatile"]) {
            let volatility = match word {
                "immutable" => FunctionVolatility::Immutable,
                "stable" => FunctionVolatility::Stable,
                _ => FunctionVolatility::Volatile,
            };
            set(&mut options.volatility, volatility, position)?;
        } else if self.accept_word("strict") || self.accept(&["returns", "null", "on", "null", "input"]) {
            set(&mut options.strict, true, position)?;
        } else if self.accept(&["called", "on", "null", "input"]) {
            set(&mut options.strict, false, position)?;
        } else if self.accept_word("leakproof") {
            set(&mut options.leakproof, true, position)?;
        } else if self.accept(&["not", "leakproof"]) {
            set(&mut options.leakproof, false, position)?;
        } else if self.accept(&["external", "security"]) || self.accept_word("security") {
            let definer = match self.accept_any(&["definer", "invoker"]) {
                Some(word) => word == "definer",
                None => return Err(self.syntax_error()),
            };
            set(&mut options.security_definer, definer, position)?;
        } else if self.accept_word("cost") {
            set(&mut options.cost, self.plain_number()?, position)?;
        } else if self.accept_word("rows") {
            set(&mut options.rows, self.plain_number()?, position)?;
        } else if self.accept_word("parallel") {
            set(&mut options.parallel, self.label()?.name, position)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn plain_number(&mut self) -> Result<f64> {
        let (Token::Number(..) | Token::Minus | Token::Plus) = self.parser.peek_token_ref().token else {
            return Err(self.syntax_error());
        };
        self.option_value()?.parse().map_err(|_| self.syntax_error())
    }

    pub(super) fn alter_function(&mut self, position: u32) -> Result<Ddl> {
        self.expect(&["function"])?;
        let function = self.routine_name()?;
        let action = if self.accept(&["rename", "to"]) {
            AlterFunction::Rename(self.identifier()?)
        } else if self.accept(&["owner", "to"]) {
            AlterFunction::Owner(self.role()?)
        } else if self.accept(&["set", "schema"]) {
            AlterFunction::SetSchema(self.identifier()?)
        } else if self.peek("set")
            || self.peek("reset")
            || self.peek("support")
            || self.peek("depends")
            || self.peek("no")
        {
            return self.unsupported("ALTER FUNCTION with this clause", position);
        } else {
            let mut options = FunctionOptions::default();
            if !self.function_option(&mut options)? {
                return Err(self.syntax_error());
            }
            while self.function_option(&mut options)? {}
            self.accept_word("restrict");
            AlterFunction::Options(options)
        };
        Ok(Ddl::AlterFunction { function, action })
    }
}
