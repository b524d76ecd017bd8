//! The forms in which settings are written: sizes, durations, switches.

use std::time::Duration;

/// `64MB`, `1GB`, `512kB`, `4096` (bytes). Units are powers of 1024; their case does not matter.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(format!("\"{text}\" is not a size; write it like 512kB, 64MB or 8GB")),
    };
    let number: u64 =
        number.parse().map_err(|_| format!("\"{text}\" is not a size; write it like 512kB, 64MB or 8GB"))?;
    number.checked_mul(1 << shift).ok_or_else(|| format!("\"{text}\" is too large"))
}

/// With the largest unit that divides.
pub fn show_size(bytes: u64) -> String {
    let units = [(40, "TB"), (30, "GB"), (20, "MB"), (10, "kB")];
    match units.iter().find(|(shift, _)| bytes != 0 && bytes.is_multiple_of(1 << shift)) {
        Some((shift, unit)) => format!("{}{unit}", bytes >> shift),
        None => bytes.to_string(),
    }
}

/// `250ms`, `10s`, `5min`, `1h`, `7d`, `0`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("\"{text}\" is not a duration; write it like 250ms, 10s, 5min or 1h");
    let (number, unit) = split(text);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" if number == 0 => 1,
        _ => return Err(wrong()),
    };
    number.checked_mul(milliseconds).map(Duration::from_millis).ok_or_else(|| format!("\"{text}\" is too long"))
}

pub fn show_duration(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")];
    match units.iter().find(|(length, _)| milliseconds != 0 && milliseconds.is_multiple_of(*length)) {
        Some((length, unit)) => format!("{}{unit}", milliseconds / length),
        None if milliseconds == 0 => "0".to_owned(),
        None => format!("{milliseconds}ms"),
    }
}

pub fn parse_switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" | "1" => Ok(true),
        "false" | "off" | "no" | "0" => Ok(false),
        _ => Err(format!("\"{text}\" is neither true nor false")),
    }
}

/// A whole number in a range.
pub fn parse_number(text: &str, least: u64, most: u64) -> Result<u64, String> {
    match text.parse::<u64>() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        Ok(_) => Err(format!("{text} is not between {least} and {most}")),
        Err(_) => Err(format!("\"{text}\" is not a whole number")),
    }
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim())
}

/// The name that is fewest letters away, if it is near enough to be meant.
pub fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const FAR: usize = 4;
    const NAME_MAX: usize = 64;
    if name.len() > NAME_MAX {
        return None;
    }
    let near = |(distance, known): &(usize, &str)| *distance < FAR && *distance < known.len().max(name.len()) / 2 + 1;
    names.map(|known| (distance(name, known), known)).filter(near).min().map(|(_, known)| known)
}

/// Levenshtein's distance.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, letter) in from.chars().enumerate() {
        let mut left = line + 1;
        let mut diagonal = line;
        for (other, above) in to.iter().zip(row.iter_mut().skip(1)) {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = *above;
            left = replaced.min(diagonal + 1).min(left + 1);
            *above = left;
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_shown() {
        let cases =
            [("64MB", 64 << 20, "64MB"), ("1 gb", 1 << 30, "1GB"), ("1536kB", 1536 << 10, "1536kB"), ("7", 7, "7")];
        for (text, bytes, shown) in cases {
            assert_eq!(parse_size(text), Ok(bytes));
            assert_eq!(show_size(bytes), shown);
        }
        assert!(parse_size("MB").is_err());
        assert!(parse_size("1PB").is_err());
        assert!(parse_size("99999999999TB").is_err());
    }

    #[test]
    fn durations_are_read_and_shown() {
        for (text, milliseconds) in [("250ms", 250), ("10s", 10_000), ("5min", 300_000), ("1h", 3_600_000), ("0", 0)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)));
            assert_eq!(show_duration(Duration::from_millis(milliseconds)), text);
        }
        assert!(parse_duration("10").is_err(), "a unit must be said");
        assert!(parse_duration("-1s").is_err());
    }

    #[test]
    fn the_nearest_name_is_found() {
        let names = ["max_connections", "max_memory", "sql"];
        assert_eq!(nearest("max_conections", names.into_iter()), Some("max_connections"));
        assert_eq!(nearest("sqk", names.into_iter()), Some("sql"));
        assert_eq!(nearest("colour", names.into_iter()), None);
    }
}
