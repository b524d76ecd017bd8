//! COPY's options: each is read once, then what does not go together is refused in PostgreSQL's order.

use super::copy::{Copied, copied_columns};
use crate::parse::{CopyStatement, GivenOption, OptionValue};
use crate::utility::ddl::Name;
use crate::utility::{CopyFormat, CopyHeader, CopyKind};
use catalog::Relation;
use types::text::encoding::Encoding;
use types::{Result, SqlError, SqlState};

/// What the columns of FORCE_… options are looked for in.
pub(super) enum Columns<'a> {
    Relation { relation: &'a Relation, copied: &'a [Copied<'a>] },
    Query(&'a [&'a str]),
}

/// Options as given.
#[derive(Default)]
struct Options<'o> {
    kind: Option<CopyKind>,
    delimiter: Option<&'o str>,
    null: Option<&'o str>,
    header: Option<CopyHeader>,
    quote: Option<&'o str>,
    escape: Option<&'o str>,
    /// None inside: all columns.
    force_quote: Option<Option<&'o [String]>>,
    force_not_null: Option<&'o [String]>,
    force_null: Option<&'o [String]>,
    encoding: Option<Encoding>,
    freeze: Option<bool>,
}

pub(super) fn copy_format(copy: &CopyStatement, columns: &Columns<'_>) -> Result<CopyFormat> {
    let mut options = Options::default();
    for option in &copy.options {
        options.take(option, copy.is_from)?;
    }
    let kind = options.kind.unwrap_or(CopyKind::Text);
    let (delimiter, null) = options.delimiter_and_null(kind)?;
    let (quote, escape) = options.quote_and_escape(kind, delimiter)?;
    options.check_force(kind, copy.is_from)?;
    if null.as_bytes().contains(&delimiter) {
        return Err(refused("COPY delimiter must not appear in the NULL specification"));
    }
    if kind == CopyKind::Csv && null.as_bytes().contains(&quote) {
        return Err(refused("CSV quote character must not appear in the NULL specification"));
    }
    let encoding = options.encoding(kind)?;
    let force_quote = match options.force_quote {
        None => vec![],
        Some(None) => vec![true; columns.count()],
        Some(Some(names)) => columns.marked(names, "FORCE_QUOTE")?,
    };
    let marked = |names: Option<&[String]>, what| names.map_or(Ok(vec![]), |names| columns.marked(names, what));
    Ok(CopyFormat {
        freeze: options.freeze.unwrap_or(false),
        kind,
        delimiter,
        null: null.to_owned(),
        encoding,
        quote,
        escape,
        header: options.header.unwrap_or(CopyHeader::None),
        force_quote,
        force_not_null: marked(options.force_not_null, "FORCE_NOT_NULL")?,
        force_null: marked(options.force_null, "FORCE_NULL")?,
    })
}

fn refused(message: &str) -> SqlError {
    SqlError::unsupported(message)
}

fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// Keeps the value of an option that was not given before.
fn once<T>(place: &mut Option<T>, value: Result<T>, option: &GivenOption) -> Result<()> {
    if place.is_some() {
        let message = "conflicting or redundant options";
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(option.position));
    }
    *place = Some(value?);
    Ok(())
}

impl<'o> Options<'o> {
    fn take(&mut self, option: &'o GivenOption, is_from: bool) -> Result<()> {
        match option.name.as_str() {
            "format" => once(&mut self.kind, kind(option), option),
            "freeze" => once(&mut self.freeze, option.boolean(), option),
            "delimiter" => once(&mut self.delimiter, option.string(), option),
            "null" => once(&mut self.null, option.string(), option),
            "header" => once(&mut self.header, header(option, is_from), option),
            "quote" => once(&mut self.quote, option.string(), option),
            "escape" => once(&mut self.escape, option.string(), option),
            "force_quote" => {
                let all = matches!(option.value, Some(OptionValue::Star));
                once(&mut self.force_quote, if all { Ok(None) } else { list(option).map(Some) }, option)
            }
            "force_not_null" => once(&mut self.force_not_null, list(option), option),
            "force_null" => once(&mut self.force_null, list(option), option),
            "encoding" => once(&mut self.encoding, encoding(option), option),
            name => {
                let message = format!("option \"{name}\" not recognized");
                Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(option.position))
            }
        }
    }

    fn delimiter_and_null(&self, kind: CopyKind) -> Result<(u8, &'o str)> {
        if kind == CopyKind::Binary {
            for (given, name) in [(self.delimiter, "DELIMITER"), (self.null, "NULL")] {
                if given.is_some() {
                    let message = format!("cannot specify {name} in BINARY mode");
                    return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
                }
            }
        }
        let is_csv = kind == CopyKind::Csv;
        let delimiter = self.delimiter.unwrap_or(if is_csv { "," } else { "\t" });
        let null = self.null.unwrap_or(if is_csv { "" } else { "\\N" });
        let [byte] = delimiter.as_bytes() else {
            return Err(refused("COPY delimiter must be a single one-byte character"));
        };
        if matches!(byte, b'\r' | b'\n') {
            return Err(invalid("COPY delimiter cannot be newline or carriage return"));
        }
        if null.contains(['\r', '\n']) {
            return Err(invalid("COPY null representation cannot use newline or carriage return"));
        }
        // They would be mistaken for what stands behind a backslash.
        if !is_csv && matches!(byte, b'\\' | b'.' | b'a'..=b'z' | b'0'..=b'9') {
            return Err(invalid(format!("COPY delimiter cannot be \"{delimiter}\"")));
        }
        if kind == CopyKind::Binary && self.header.is_some_and(|h| h != CopyHeader::None) {
            return Err(refused("cannot specify HEADER in BINARY mode"));
        }
        Ok((*byte, null))
    }

    fn encoding(&self, kind: CopyKind) -> Result<Encoding> {
        let encoding = self.encoding.unwrap_or(Encoding::UTF8);
        match kind == CopyKind::Binary && encoding.is_foreign() {
            true => Err(refused(&format!("binary COPY in encoding \"{}\" is not supported", encoding.name()))),
            false => Ok(encoding),
        }
    }

    fn quote_and_escape(&self, kind: CopyKind, delimiter: u8) -> Result<(u8, u8)> {
        let is_csv = kind == CopyKind::Csv;
        if !is_csv && self.quote.is_some() {
            return Err(refused("COPY quote available only in CSV mode"));
        }
        let quote = self.quote.unwrap_or("\"");
        let [quote] = quote.as_bytes() else { return Err(refused("COPY quote must be a single one-byte character")) };
        if is_csv && delimiter == *quote {
            return Err(invalid("COPY delimiter and quote must be different"));
        }
        if !is_csv && self.escape.is_some() {
            return Err(refused("COPY escape available only in CSV mode"));
        }
        match self.escape.map(str::as_bytes) {
            None => Ok((*quote, *quote)),
            Some([escape]) => Ok((*quote, *escape)),
            Some(_) => Err(refused("COPY escape must be a single one-byte character")),
        }
    }

    fn check_force(&self, kind: CopyKind, is_from: bool) -> Result<()> {
        let given = [
            (self.force_quote.is_some(), "quote", false),
            (self.force_not_null.is_some(), "not null", true),
            (self.force_null.is_some(), "null", true),
        ];
        for (_, what, of_from) in given.into_iter().filter(|(is_given, ..)| *is_given) {
            if kind != CopyKind::Csv {
                return Err(refused(&format!("COPY force {what} available only in CSV mode")));
            }
            if of_from != is_from {
                let direction = if of_from { "FROM" } else { "TO" };
                return Err(refused(&format!("COPY force {what} only available using COPY {direction}")));
            }
        }
        Ok(())
    }
}

fn kind(option: &GivenOption) -> Result<CopyKind> {
    match option.string()? {
        "text" => Ok(CopyKind::Text),
        "csv" => Ok(CopyKind::Csv),
        "binary" => Ok(CopyKind::Binary),
        other => Err(invalid(format!("COPY format \"{other}\" not recognized")).at(option.position)),
    }
}

fn header(option: &GivenOption, is_from: bool) -> Result<CopyHeader> {
    if let Some(OptionValue::Text(text)) = &option.value
        && text.eq_ignore_ascii_case("match")
    {
        return match is_from {
            true => Ok(CopyHeader::Match),
            false => Err(refused("cannot use \"match\" with HEADER in COPY TO")),
        };
    }
    match option.boolean() {
        Ok(true) => Ok(CopyHeader::Present),
        Ok(false) => Ok(CopyHeader::None),
        Err(_) => {
            let message = format!("{} requires a Boolean value or \"match\"", option.name);
            Err(SqlError::new(SqlState::SYNTAX_ERROR, message))
        }
    }
}

fn list(option: &GivenOption) -> Result<&[String]> {
    match &option.value {
        Some(OptionValue::List(names)) => Ok(names),
        _ => {
            let message = format!("argument to option \"{}\" must be a list of column names", option.name);
            Err(invalid(message).at(option.position))
        }
    }
}

/// 22023 for names that PostgreSQL does not know either, 0A000 for encodings that there is no conversion from and to.
fn encoding(option: &GivenOption) -> Result<Encoding> {
    let given = option.string()?;
    match Encoding::by_name(given) {
        Some(encoding) if encoding.is_supported() => Ok(encoding),
        Some(_) => Err(SqlError::unsupported(format!("COPY in encoding \"{given}\" is not supported"))
            .hint("Convert the data to UTF8.")
            .at(option.position)),
        None => {
            let message = format!("argument to option \"{}\" must be a valid encoding name", option.name);
            Err(invalid(message).at(option.position))
        }
    }
}

impl Columns<'_> {
    fn count(&self) -> usize {
        match self {
            Columns::Relation { copied, .. } => copied.len(),
            Columns::Query(names) => names.len(),
        }
    }

    /// For each copied column whether it is among `names`.
    fn marked(&self, names: &[String], what: &str) -> Result<Vec<bool>> {
        let mut marks = vec![false; self.count()];
        let names: Vec<Name> = names.iter().map(|n| Name { name: n.clone(), position: 0 }).collect();
        if let Columns::Relation { relation, .. } = self {
            copied_columns(relation, &names)?;
        }
        for Name { name, .. } in &names {
            let at = match self {
                Columns::Relation { copied, .. } => copied.iter().position(|c| c.name == *name),
                Columns::Query(columns) => columns.iter().position(|c| c == name),
            };
            match (at, self) {
                (Some(at), _) if marks.get(at) == Some(&true) => {
                    let message = format!("column \"{name}\" specified more than once");
                    return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
                }
                (Some(at), _) => marks.iter_mut().skip(at).take(1).for_each(|mark| *mark = true),
                (None, Columns::Relation { .. }) => {
                    let message = format!("{what} column \"{name}\" not referenced by COPY");
                    return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message));
                }
                (None, Columns::Query(_)) => {
                    let message = format!("column \"{name}\" does not exist");
                    return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message));
                }
            }
        }
        Ok(marks)
    }
}
