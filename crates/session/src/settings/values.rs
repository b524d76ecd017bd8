//! Values of parameters: what SET accepts and how SHOW prints it, by kind, with PostgreSQL's errors.

use super::parameters::{Kind, Parameter};
use types::datetime::TimeZone;
use types::{Result, SqlError, SqlState};

/// The value to keep, in SHOW's form. 22023 where PostgreSQL says so.
pub fn check(parameter: &Parameter, items: &[String], current: &str) -> Result<String> {
    let text = match (parameter.kind, items) {
        (Kind::Names, _) => return Ok(names(items)),
        (Kind::DateStyle, _) => return date_style(parameter, items, current),
        (_, [one]) => one.as_str(),
        _ => return Err(one_argument(parameter.name)),
    };
    match parameter.kind {
        Kind::Bool => match parse_bool(text) {
            Some(value) => Ok(if value { "on" } else { "off" }.to_owned()),
            None => Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("parameter \"{}\" requires a Boolean value", parameter.name),
            )),
        },
        Kind::Integer { min, max } => {
            let value = parse_number(text).ok_or_else(|| invalid(parameter, text))?;
            in_range(parameter, value.round() as i64, min, max).map(|v| v.to_string())
        }
        Kind::Real { min, max } => real(parameter, text, min, max),
        Kind::Time { min, max } => {
            let value = time_ms(text, 1.0).ok_or_else(|| unit_error(parameter, text, TIME_HINT))?;
            let value = in_range(parameter, value.round() as i64, min, max)?;
            Ok(print_units(value, TIME_UNITS))
        }
        Kind::FineTime { min, max } => {
            let value = time_ms(text, 1.0).ok_or_else(|| unit_error(parameter, text, TIME_HINT))?;
            in_range(parameter, value.ceil() as i64, min, max)?;
            Ok(print_units((value * 1_000.0).round() as i64, FINE_TIME_UNITS))
        }
        Kind::Memory { unit_kb, min, max } => {
            let kilobytes = memory_kb(text, unit_kb as f64).ok_or_else(|| unit_error(parameter, text, MEMORY_HINT))?;
            let units = in_range(parameter, (kilobytes / unit_kb as f64).round() as i64, min, max)?;
            Ok(print_units(units.saturating_mul(unit_kb), MEMORY_UNITS))
        }
        Kind::Enum(values) => enumerated(parameter, text, values),
        Kind::TimeZone => Ok(TimeZone::parse(text)?.name().to_owned()),
        Kind::Encoding => encoding(parameter, text),
        Kind::Text if parameter.name == "application_name" => Ok(printable(text)),
        Kind::Text | Kind::Names | Kind::DateStyle => Ok(text.to_owned()),
    }
}

pub fn one_argument(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("SET {name} takes only one argument"))
}

/// What is shown to others holds printable ASCII only: `?` for each other byte.
fn printable(text: &str) -> String {
    text.bytes().map(|b| if matches!(b, 32..=126) { char::from(b) } else { '?' }).collect()
}

fn invalid(parameter: &Parameter, text: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("invalid value for parameter \"{}\": \"{text}\"", parameter.name),
    )
}

fn unit_error(parameter: &Parameter, text: &str, hint: &str) -> SqlError {
    let error = invalid(parameter, text);
    // PostgreSQL names the units only where a number was understood.
    if text.trim_start_matches(['-', '+']).starts_with(|c: char| c.is_ascii_digit()) { error.hint(hint) } else { error }
}

fn in_range(parameter: &Parameter, value: i64, min: i64, max: i64) -> Result<i64> {
    if (min..=max).contains(&value) {
        return Ok(value);
    }
    let unit = match parameter.kind {
        Kind::Time { .. } | Kind::FineTime { .. } => " ms",
        Kind::Memory { unit_kb: 1, .. } => " kB",
        Kind::Memory { .. } => " 8kB",
        _ => "",
    };
    Err(SqlError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("{value}{unit} is outside the valid range for parameter \"{}\" ({min} .. {max})", parameter.name),
    ))
}

fn real(parameter: &Parameter, text: &str, min: f64, max: f64) -> Result<String> {
    let value = parse_number(text).ok_or_else(|| invalid(parameter, text))?;
    if value < min || value > max {
        return Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("{value} is outside the valid range for parameter \"{}\" ({min} .. {max})", parameter.name),
        ));
    }
    Ok(value.to_string())
}

/// `on`, `off` and prefixes of `true`, `false`, `yes`, `no`, and 1, 0.
pub fn parse_bool(text: &str) -> Option<bool> {
    let text = text.to_ascii_lowercase();
    if text.is_empty() {
        return None;
    }
    match text.as_str() {
        "1" | "on" => return Some(true),
        "0" | "off" | "of" => return Some(false),
        _ => {}
    }
    if "true".starts_with(&text) || "yes".starts_with(&text) {
        Some(true)
    } else if "false".starts_with(&text) || "no".starts_with(&text) {
        Some(false)
    } else {
        None
    }
}

fn parse_number(text: &str) -> Option<f64> {
    text.trim().parse::<f64>().ok().filter(|v| v.is_finite())
}

/// (unit, how many of the smallest), largest first.
const TIME_UNITS: &[(&str, i64)] = &[("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1)];
const FINE_TIME_UNITS: &[(&str, i64)] =
    &[("d", 86_400_000_000), ("h", 3_600_000_000), ("min", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1)];
const MEMORY_UNITS: &[(&str, i64)] = &[("TB", 1 << 30), ("GB", 1 << 20), ("MB", 1 << 10), ("kB", 1)];
const TIME_HINT: &str = "Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\".";
const MEMORY_HINT: &str = "Valid units for this parameter are \"B\", \"kB\", \"MB\", \"GB\", and \"TB\".";

/// A number and its unit, which may be empty.
fn split_unit(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+'))).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((parse_number(number)?, unit.trim()))
}

fn time_ms(text: &str, default_unit: f64) -> Option<f64> {
    let (number, unit) = split_unit(text)?;
    match unit {
        "" => Some(number * default_unit),
        "us" => Some(number / 1_000.0),
        unit => TIME_UNITS.iter().find(|(name, _)| *name == unit).map(|(_, ms)| number * *ms as f64),
    }
}

fn memory_kb(text: &str, default_unit: f64) -> Option<f64> {
    let (number, unit) = split_unit(text)?;
    match unit {
        "" => Some(number * default_unit),
        "B" => Some(number / 1_024.0),
        unit => MEMORY_UNITS.iter().find(|(name, _)| *name == unit).map(|(_, kb)| number * *kb as f64),
    }
}

fn print_units(value: i64, units: &[(&str, i64)]) -> String {
    if value <= 0 {
        return value.to_string();
    }
    units
        .iter()
        .find(|(_, size)| value % size == 0)
        .map_or_else(|| value.to_string(), |(name, size)| format!("{}{name}", value / size))
}

/// A printed time, back in milliseconds.
pub fn parse_milliseconds(text: &str) -> Option<u64> {
    time_ms(text, 1.0).filter(|ms| *ms >= 0.0).map(|ms| ms as u64)
}

/// A printed size, back in bytes.
pub fn parse_bytes(text: &str) -> Option<u64> {
    memory_kb(text, 1.0).filter(|kb| *kb >= 0.0).map(|kb| (kb * 1_024.0) as u64)
}

fn enumerated(parameter: &Parameter, text: &str, values: &[&str]) -> Result<String> {
    let lower = text.to_ascii_lowercase();
    if let Some(value) = values.iter().find(|v| **v == lower) {
        return Ok((*value).to_owned());
    }
    // Enumerations with `on` and `off` take the other spellings of a truth value, too.
    if values.contains(&"on")
        && let Some(value) = parse_bool(&lower)
    {
        return Ok(if value { "on" } else { "off" }.to_owned());
    }
    let listed: Vec<&str> = values.iter().copied().filter(|v| *v != "debug").collect();
    Err(invalid(parameter, text).hint(format!("Available values: {}.", listed.join(", "))))
}

fn encoding(parameter: &Parameter, text: &str) -> Result<String> {
    let plain: String = text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    match plain.as_str() {
        "utf8" | "unicode" => Ok("UTF8".to_owned()),
        "sqlascii" | "latin1" | "iso88591" | "win1252" | "windows1252" => {
            Err(SqlError::unsupported(format!("client encoding \"{text}\" is not supported"))
                .hint("Hyrax speaks UTF8 only."))
        }
        _ => Err(invalid(parameter, text)),
    }
}

/// `search_path`: items quoted where they must be, as SHOW prints them.
/// A list of names as one text, kept as it is written; 22023 where it is none.
pub fn check_names(parameter: &Parameter, text: &str) -> Result<String> {
    if !is_name_list(text) {
        return Err(invalid(parameter, text).detail("List syntax is invalid."));
    }
    Ok(text.to_owned())
}

/// Names divided by commas, in quotes or without blanks; or nothing at all.
fn is_name_list(text: &str) -> bool {
    let mut rest = text.trim();
    if rest.is_empty() {
        return true;
    }
    loop {
        let after = if let Some(mut quoted) = rest.strip_prefix('"') {
            let mut length = 0;
            loop {
                let Some(end) = quoted.find('"') else { return false };
                length += end;
                quoted = quoted.get(end + 1..).unwrap_or_default();
                match quoted.strip_prefix('"') {
                    Some(more) => quoted = more,
                    None if length == 0 => return false,
                    None => break quoted,
                }
            }
        } else {
            let end = rest.find(|c: char| c == ',' || c.is_whitespace()).unwrap_or(rest.len());
            if end == 0 {
                return false;
            }
            rest.get(end..).unwrap_or_default()
        };
        match after.trim_start() {
            "" => return true,
            more => match more.strip_prefix(',') {
                Some(more) => rest = more.trim_start(),
                None => return false,
            },
        }
    }
}

fn names(items: &[String]) -> String {
    let is_plain = |name: &str| {
        let mut letters = name.chars();
        letters.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_')
            && letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '$'))
    };
    let quoted: Vec<String> = items
        .iter()
        .map(|name| if is_plain(name) { name.clone() } else { format!("\"{}\"", name.replace('"', "\"\"")) })
        .collect();
    quoted.join(", ")
}

/// `ISO`, `SQL, DMY`, `German`, `European`, …; a part that is not said stays as it is in `now`.
fn date_style(parameter: &Parameter, items: &[String], now: &str) -> Result<String> {
    let error = || invalid(parameter, &items.join(", "));
    let (mut style, mut order) = (None, None);
    let (mut style_else, mut order_else) = now.split_once(", ").unwrap_or((now, "MDY"));
    for word in items.iter().flat_map(|item| item.split(',')) {
        let (part, value) = match word.trim().to_ascii_lowercase().as_str() {
            "iso" => (&mut style, "ISO"),
            "sql" => (&mut style, "SQL"),
            w if w.starts_with("postgres") => (&mut style, "Postgres"),
            w if w.starts_with("german") => {
                order_else = "DMY";
                (&mut style, "German")
            }
            "ymd" => (&mut order, "YMD"),
            w if w == "dmy" || w.starts_with("euro") => (&mut order, "DMY"),
            w if w == "mdy" || w == "us" || w.starts_with("noneuro") => (&mut order, "MDY"),
            "default" => {
                (style_else, order_else) = parameter.default.split_once(", ").unwrap_or((style_else, order_else));
                continue;
            }
            _ => return Err(error()),
        };
        if part.is_some_and(|said| said != value) {
            return Err(error().detail("Conflicting \"datestyle\" specifications."));
        }
        *part = Some(value);
    }
    Ok(format!("{}, {}", style.unwrap_or(style_else), order.unwrap_or(order_else)))
}
