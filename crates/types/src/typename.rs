//! Names of types: SQL's spellings in (`double precision`, `varchar(10)`, `int[]`), `format_type`'s out.
//!
//! Knows the built-in types; types of users are the catalog's, which asks here first. `lookup` holds the rules of type
//! modifiers (22023), for the binder, which has the name and the arguments apart, and for `parse`, which reads a whole
//! spelling as `::regtype` does. A precision above 6 of times is taken as 6; PostgreSQL warns, which is the caller's to do.

use crate::{Oid, Result, SqlError, SqlState, SqlType, builtin, oid};

/// Offset of lengths and of numeric's precision in a typmod.
const TYPMOD_OFFSET: i32 = 4;
const VARCHAR_LENGTH_MAX: i32 = 10_485_760;
const BIT_LENGTH_MAX: i32 = 83_886_080;
const NUMERIC_PRECISION_MAX: i32 = 1_000;
const NUMERIC_SCALE_MAX: i32 = 1_000;
pub const TIME_PRECISION_MAX: i32 = 6;

/// Interval typmods: fields in the high half, precision in the low one.
const INTERVAL_FULL_RANGE: i32 = 0x7fff;
const INTERVAL_FULL_PRECISION: i32 = 0xffff;
const YEAR: i32 = 1 << 2;
const MONTH: i32 = 1 << 1;
const DAY: i32 = 1 << 3;
const HOUR: i32 = 1 << 10;
const MINUTE: i32 = 1 << 11;
const SECOND: i32 = 1 << 12;

/// Sets of interval fields with their spelling.
const INTERVAL_FIELDS: &[(&str, i32)] = &[
    ("year", YEAR),
    ("month", MONTH),
    ("day", DAY),
    ("hour", HOUR),
    ("minute", MINUTE),
    ("second", SECOND),
    ("year to month", YEAR | MONTH),
    ("day to hour", DAY | HOUR),
    ("day to minute", DAY | HOUR | MINUTE),
    ("day to second", DAY | HOUR | MINUTE | SECOND),
    ("hour to minute", HOUR | MINUTE),
    ("hour to second", HOUR | MINUTE | SECOND),
    ("minute to second", MINUTE | SECOND),
];

/// What `format_type` says of a type that it does not know; of users' types the catalog's `format_type` knows.
const UNKNOWN_NAME: &str = "???";

/// `format_type(oid, typmod)` for built-in types: `integer`, `character varying(10)`, `timestamp with time zone`, `text[]`.
/// `None` is SQL's NULL typmod, `Some(-1)` an explicit "none": they differ for `character` and `bit`.
pub fn format_type(oid: Oid, typmod: Option<i32>) -> String {
    if oid == 0 {
        return "-".to_owned();
    }
    let Some(ty) = builtin::type_by_oid(oid) else { return UNKNOWN_NAME.to_owned() };
    // int2vector and oidvector are arrays with names of their own.
    if let Some(element) = builtin::element_of(oid).filter(|_| ty.storage != 'p') {
        return format!("{}[]", format_type(element, typmod));
    }
    let modifier = typmod.filter(|m| *m >= 0);
    let name = match oid {
        oid::BOOL => "boolean",
        oid::INT2 => "smallint",
        oid::INT4 => "integer",
        oid::INT8 => "bigint",
        oid::FLOAT4 => "real",
        oid::FLOAT8 => "double precision",
        oid::NUMERIC => "numeric",
        oid::VARCHAR => "character varying",
        oid::VARBIT => "bit varying",
        oid::INTERVAL => return format!("interval{}", modifier.map(interval_modifier).unwrap_or_default()),
        oid::TIME | oid::TIMETZ | oid::TIMESTAMP | oid::TIMESTAMPTZ => {
            let (word, zone) = match oid {
                oid::TIME => ("time", "without"),
                oid::TIMETZ => ("time", "with"),
                oid::TIMESTAMP => ("timestamp", "without"),
                _ => ("timestamp", "with"),
            };
            return format!("{word}{} {zone} time zone", modifier.map(|m| format!("({m})")).unwrap_or_default());
        }
        // Without a length the SQL spelling would mean a length of 1.
        oid::BPCHAR if typmod == Some(-1) => "bpchar",
        oid::BPCHAR => "character",
        oid::BIT if typmod == Some(-1) => "\"bit\"",
        oid::BIT => "bit",
        oid::CHAR => "\"char\"",
        oid::ANY => "\"any\"",
        _ => ty.name,
    };
    match modifier {
        Some(m) => format!("{name}{}", modifier_text(oid, m)),
        None => name.to_owned(),
    }
}

/// What `typmodout` prints: `(10)`, `(8,2)`, or nothing.
pub fn modifier_text(oid: Oid, typmod: i32) -> String {
    match oid {
        _ if typmod < 0 => String::new(),
        oid::VARCHAR | oid::BPCHAR if typmod > TYPMOD_OFFSET => format!("({})", typmod - TYPMOD_OFFSET),
        oid::VARCHAR | oid::BPCHAR => String::new(),
        oid::NUMERIC if typmod >= TYPMOD_OFFSET => {
            let (precision, scale) = numeric_modifier(typmod);
            format!("({precision},{scale})")
        }
        oid::NUMERIC => String::new(),
        oid::INTERVAL => interval_modifier(typmod),
        oid::TIME | oid::TIMESTAMP => format!("({typmod}) without time zone"),
        oid::TIMETZ | oid::TIMESTAMPTZ => format!("({typmod}) with time zone"),
        _ => format!("({typmod})"),
    }
}

/// `(precision, scale)` of a numeric's typmod.
pub fn numeric_modifier(typmod: i32) -> (i32, i32) {
    let packed = typmod - TYPMOD_OFFSET;
    // The scale is eleven bits with a sign.
    (packed >> 16 & 0xffff, ((packed & 0x7ff) ^ 0x400) - 0x400)
}

fn interval_modifier(typmod: i32) -> String {
    let (fields, precision) = (typmod >> 16 & INTERVAL_FULL_RANGE, typmod & INTERVAL_FULL_PRECISION);
    let fields = match INTERVAL_FIELDS.iter().find(|(_, set)| *set == fields) {
        Some((spelling, _)) => format!(" {spelling}"),
        None => String::new(),
    };
    match precision {
        INTERVAL_FULL_PRECISION => fields,
        precision => format!("{fields}({precision})"),
    }
}

/// `format_type` as error messages print a type: without the modifier.
pub fn display(ty: SqlType) -> String {
    format_type(ty.oid, None)
}

fn parameter(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

#[cold]
fn unknown(name: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("type \"{name}\" does not exist"))
}

/// A type by SQL's spelling of its name, in lower case and without modifiers and brackets (`character varying`,
/// `timestamp with time zone`, `interval day to second`, `int4`), and its modifiers. 42704 for an unknown name, 42601 where
/// the type takes no modifier, 22023 for a bad one. SQL's `char` is bpchar(1): for the type `"char"` use `builtin::type_by_name`.
pub fn lookup(name: &str, args: &[i32]) -> Result<SqlType> {
    let known = |oid| with_modifier(oid, name, args);
    match name {
        "int" | "integer" => known(oid::INT4),
        "smallint" => known(oid::INT2),
        "bigint" => known(oid::INT8),
        "real" => known(oid::FLOAT4),
        "double precision" => known(oid::FLOAT8),
        "float" => float(args),
        "decimal" | "dec" | "numeric" => known(oid::NUMERIC),
        "boolean" => known(oid::BOOL),
        "char" | "character" | "nchar" | "national char" | "national character" => match args {
            [] => Ok(SqlType::with_typmod(oid::BPCHAR, TYPMOD_OFFSET + 1)),
            _ => known(oid::BPCHAR),
        },
        "character varying"
        | "char varying"
        | "nchar varying"
        | "national char varying"
        | "national character varying" => known(oid::VARCHAR),
        "bit" if args.is_empty() => Ok(SqlType::with_typmod(oid::BIT, 1)),
        "bit varying" => known(oid::VARBIT),
        "time without time zone" => known(oid::TIME),
        "time with time zone" => known(oid::TIMETZ),
        "timestamp without time zone" => known(oid::TIMESTAMP),
        "timestamp with time zone" => known(oid::TIMESTAMPTZ),
        _ => {
            if let Some(fields) = name.strip_prefix("interval ") {
                return interval(fields, args);
            }
            known(builtin::type_by_name(name).ok_or_else(|| unknown(name))?.oid)
        }
    }
}

/// `float(p)`: p is in bits.
fn float(args: &[i32]) -> Result<SqlType> {
    match args {
        [] => Ok(SqlType::FLOAT8),
        [precision] if *precision < 1 => Err(parameter("precision for type float must be at least 1 bit")),
        [1..=24] => Ok(SqlType::FLOAT4),
        [25..=53] => Ok(SqlType::FLOAT8),
        _ => Err(parameter("precision for type float must be less than 54 bits")),
    }
}

/// A type by OID with modifiers as they are written; what `typmodin` does.
pub fn with_modifier(oid: Oid, name: &str, args: &[i32]) -> Result<SqlType> {
    if args.is_empty() {
        return Ok(SqlType::new(oid));
    }
    let element = builtin::element_of(oid).unwrap_or(oid);
    let typmod = match element {
        oid::VARCHAR => length("varchar", args, VARCHAR_LENGTH_MAX)? + TYPMOD_OFFSET,
        oid::BPCHAR => length("char", args, VARCHAR_LENGTH_MAX)? + TYPMOD_OFFSET,
        oid::BIT => length("bit", args, BIT_LENGTH_MAX)?,
        oid::VARBIT => length("varbit", args, BIT_LENGTH_MAX)?,
        oid::NUMERIC => numeric(args)?,
        oid::TIME | oid::TIMETZ => time_precision("TIME", element == oid::TIMETZ, args)?,
        oid::TIMESTAMP | oid::TIMESTAMPTZ => time_precision("TIMESTAMP", element == oid::TIMESTAMPTZ, args)?,
        oid::INTERVAL => return interval("", args),
        _ => {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                format!("type modifier is not allowed for type \"{name}\""),
            ));
        }
    };
    Ok(SqlType::with_typmod(oid, typmod))
}

fn length(name: &str, args: &[i32], max: i32) -> Result<i32> {
    match args {
        [length] if *length < 1 => Err(parameter(format!("length for type {name} must be at least 1"))),
        [length] if *length > max => Err(parameter(format!("length for type {name} cannot exceed {max}"))),
        [length] => Ok(*length),
        _ => Err(parameter("invalid type modifier")),
    }
}

fn numeric(args: &[i32]) -> Result<i32> {
    let (precision, scale) = match args {
        [precision] => (*precision, 0),
        [precision, scale] => (*precision, *scale),
        _ => return Err(parameter("invalid NUMERIC type modifier")),
    };
    if !(1..=NUMERIC_PRECISION_MAX).contains(&precision) {
        return Err(parameter(format!("NUMERIC precision {precision} must be between 1 and {NUMERIC_PRECISION_MAX}")));
    }
    if !(-NUMERIC_SCALE_MAX..=NUMERIC_SCALE_MAX).contains(&scale) {
        return Err(parameter(format!(
            "NUMERIC scale {scale} must be between -{NUMERIC_SCALE_MAX} and {NUMERIC_SCALE_MAX}"
        )));
    }
    Ok((precision << 16 | scale & 0x7ff) + TYPMOD_OFFSET)
}

fn time_precision(name: &str, has_zone: bool, args: &[i32]) -> Result<i32> {
    match args {
        [precision] if *precision < 0 => {
            let zone = if has_zone { " WITH TIME ZONE" } else { "" };
            Err(parameter(format!("{name}({precision}){zone} precision must not be negative")))
        }
        [precision] => Ok((*precision).min(TIME_PRECISION_MAX)),
        _ => Err(parameter("invalid type modifier")),
    }
}

fn interval(fields: &str, args: &[i32]) -> Result<SqlType> {
    let set = match fields {
        "" => INTERVAL_FULL_RANGE,
        _ => match INTERVAL_FIELDS.iter().find(|(spelling, _)| *spelling == fields) {
            Some((_, set)) => *set,
            None => return Err(unknown(&format!("interval {fields}"))),
        },
    };
    let precision = match args {
        [] => INTERVAL_FULL_PRECISION,
        [precision] if *precision < 0 => {
            return Err(parameter(format!("INTERVAL({precision}) precision must not be negative")));
        }
        [precision] => (*precision).min(TIME_PRECISION_MAX),
        _ => return Err(parameter("invalid INTERVAL type modifier")),
    };
    Ok(SqlType::with_typmod(oid::INTERVAL, set << 16 | precision))
}

/// Parses a whole spelling, as `::regtype` does: `pg_catalog.int4`, `numeric(8,2)[]`, `timestamp(3) with time zone`,
/// `"char"`, `interval day to second(3)`. 42704 or 42601 where it is none.
pub fn parse(text: &str) -> Result<SqlType> {
    let mut reader = Reader { text, rest: text, has_array_word: false };
    let mut words = String::new();
    let mut args = Vec::new();
    let mut is_quoted = false;
    loop {
        reader.skip_space();
        match reader.rest.chars().next() {
            Some('"') => {
                let word = reader.quoted()?;
                // Quoted names are pg_type's own: "char" is not char.
                is_quoted = true;
                words = word;
            }
            Some('.') => {
                reader.rest = &reader.rest[1..];
                if words != "pg_catalog" {
                    return Err(SqlError::new(
                        SqlState::INVALID_SCHEMA_NAME,
                        format!("schema \"{words}\" does not exist"),
                    ));
                }
                words.clear();
                // A qualified name is pg_type's too.
                is_quoted = true;
            }
            Some('(') if args.is_empty() => args = reader.args()?,
            Some(c) if c.is_alphanumeric() || c == '_' => {
                let word = reader.word();
                if word == "array" && !words.is_empty() {
                    reader.has_array_word = true;
                    break;
                }
                if !words.is_empty() {
                    words.push(' ');
                }
                words.push_str(&word);
            }
            _ => break,
        }
    }
    if words.is_empty() {
        return Err(reader.syntax_error());
    }
    let base = match is_quoted {
        true => with_modifier(builtin::type_by_name(&words).ok_or_else(|| unknown(&words))?.oid, &words, &args)?,
        false => lookup(&words, &args)?,
    };
    match reader.dimensions()? {
        false => Ok(base),
        true => base.array().ok_or_else(|| unknown(&format!("{words}[]"))),
    }
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
    has_array_word: bool,
}

impl Reader<'_> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    #[cold]
    fn syntax_error(&self) -> SqlError {
        let token = self.rest.split_whitespace().next().unwrap_or_default();
        let message = match token {
            "" => "syntax error at end of input".to_owned(),
            token => format!("syntax error at or near \"{token}\""),
        };
        SqlError::new(SqlState::SYNTAX_ERROR, message).context(format!("invalid type name \"{}\"", self.text))
    }

    fn word(&mut self) -> String {
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '$').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.to_ascii_lowercase()
    }

    fn quoted(&mut self) -> Result<String> {
        let mut name = String::new();
        let mut chars = self.rest.char_indices().skip(1).peekable();
        while let Some((at, c)) = chars.next() {
            if c != '"' {
                name.push(c);
            } else if chars.next_if(|(_, next)| *next == '"').is_some() {
                name.push('"');
            } else {
                self.rest = &self.rest[at + 1..];
                return Ok(name);
            }
        }
        Err(self.syntax_error())
    }

    /// `(1, -2)`
    fn args(&mut self) -> Result<Vec<i32>> {
        let end = self.rest.find(')').ok_or_else(|| self.syntax_error())?;
        let inside = &self.rest[1..end];
        let args = inside.split(',').map(|arg| arg.trim().parse().map_err(|_| self.syntax_error())).collect();
        self.rest = &self.rest[end + 1..];
        args
    }

    /// `[]`, `[3][]`, or the word ARRAY read before; whether there were any. Their number and sizes mean nothing.
    fn dimensions(&mut self) -> Result<bool> {
        let mut is_array = self.has_array_word;
        loop {
            self.skip_space();
            if self.rest.is_empty() {
                return Ok(is_array);
            }
            let inside = self.rest.strip_prefix('[').ok_or_else(|| self.syntax_error())?;
            let end = inside.find(']').ok_or_else(|| self.syntax_error())?;
            if !inside[..end].trim().bytes().all(|b| b.is_ascii_digit()) {
                return Err(self.syntax_error());
            }
            self.rest = &inside[end + 1..];
            is_array = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(spelling: &str, expected: &str) {
        let ty = parse(spelling).map(|ty| format_type(ty.oid, Some(ty.typmod)));
        assert_eq!(ty.as_deref().map_err(|e| e.message()), Ok(expected));
    }

    #[track_caller]
    fn check_error(spelling: &str, code: SqlState, message: &str) {
        let error = parse(spelling).expect_err("the spelling is wrong");
        assert_eq!((error.code(), error.message()), (code, message));
    }

    #[test]
    fn spellings_come_back_as_postgres_prints_them() {
        for (spelling, expected) in [
            ("int", "integer"),
            ("INT8", "bigint"),
            ("pg_catalog.int4", "integer"),
            ("double  precision", "double precision"),
            ("float(24)", "real"),
            ("char", "character(1)"),
            ("\"char\"", "\"char\""),
            ("pg_catalog.bpchar", "bpchar"),
            ("varchar(3)[]", "character varying(3)[]"),
            ("character varying ( 10 )", "character varying(10)"),
            ("numeric(5,-2)", "numeric(5,-2)"),
            ("decimal(10)[][3]", "numeric(10,0)[]"),
            ("timestamp(3) with time zone", "timestamp(3) with time zone"),
            ("timestamptz", "timestamp with time zone"),
            ("time", "time without time zone"),
            ("interval day to second(3)", "interval day to second(3)"),
            ("interval(2)", "interval(2)"),
            ("interval year", "interval year"),
            ("interval", "interval"),
            ("bit", "bit(1)"),
            ("bit varying", "bit varying"),
            ("_text", "text[]"),
            ("integer array", "integer[]"),
            ("name", "name"),
        ] {
            check(spelling, expected);
        }
        assert_eq!(format_type(oid::BPCHAR, None), "character");
        assert_eq!(format_type(oid::BIT, Some(-1)), "\"bit\"");
        assert_eq!(format_type(99_999, None), "???");
    }

    #[test]
    fn bad_modifiers_are_refused() {
        let parameter = SqlState::INVALID_PARAMETER_VALUE;
        check_error("numeric(0)", parameter, "NUMERIC precision 0 must be between 1 and 1000");
        check_error("numeric(5,1001)", parameter, "NUMERIC scale 1001 must be between -1000 and 1000");
        check_error("varchar(0)", parameter, "length for type varchar must be at least 1");
        check_error("char(10485761)", parameter, "length for type char cannot exceed 10485760");
        check_error("float(54)", parameter, "precision for type float must be less than 54 bits");
        check_error("text(3)", SqlState::SYNTAX_ERROR, "type modifier is not allowed for type \"text\"");
        check_error("foo", SqlState::UNDEFINED_OBJECT, "type \"foo\" does not exist");
        check_error("int)", SqlState::SYNTAX_ERROR, "syntax error at or near \")\"");
    }
}
