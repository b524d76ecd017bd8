//! Character sets: PostgreSQL's list of them, with its numbers and names, and those that text can be converted from and to.
//!
//! Databases are UTF-8 and so is what a session speaks. Others come and go by COPY's ENCODING, `convert_from` and `convert_to`;
//! of them the sets of one byte that are met in files are known here: LATIN1, LATIN9 and WIN1252. SQL_ASCII asks for no
//! conversion. The rest have names and no conversion.

use crate::{Result, SqlError, SqlState, io, stop};

/// One of PostgreSQL's encodings, by its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Encoding(usize);

/// By number: the name, and the most bytes of a character.
const ENCODINGS: &[(&str, i32)] = &[
    ("SQL_ASCII", 1),
    ("EUC_JP", 3),
    ("EUC_CN", 3),
    ("EUC_KR", 3),
    ("EUC_TW", 4),
    ("EUC_JIS_2004", 3),
    ("UTF8", 4),
    ("MULE_INTERNAL", 4),
    ("LATIN1", 1),
    ("LATIN2", 1),
    ("LATIN3", 1),
    ("LATIN4", 1),
    ("LATIN5", 1),
    ("LATIN6", 1),
    ("LATIN7", 1),
    ("LATIN8", 1),
    ("LATIN9", 1),
    ("LATIN10", 1),
    ("WIN1256", 1),
    ("WIN1258", 1),
    ("WIN866", 1),
    ("WIN874", 1),
    ("KOI8R", 1),
    ("WIN1251", 1),
    ("WIN1252", 1),
    ("ISO_8859_5", 1),
    ("ISO_8859_6", 1),
    ("ISO_8859_7", 1),
    ("ISO_8859_8", 1),
    ("WIN1250", 1),
    ("WIN1253", 1),
    ("WIN1254", 1),
    ("WIN1255", 1),
    ("WIN1257", 1),
    ("KOI8U", 1),
    ("SJIS", 2),
    ("BIG5", 2),
    ("GBK", 2),
    ("UHC", 2),
    ("GB18030", 4),
    ("JOHAB", 3),
    ("SHIFT_JIS_2004", 2),
];

/// Other names, without what a look-up skips over. `windows…` is `win…` with any number.
const ALIASES: &[(&str, &str)] = &[
    ("unicode", "UTF8"),
    ("iso88591", "LATIN1"),
    ("iso88592", "LATIN2"),
    ("iso88593", "LATIN3"),
    ("iso88594", "LATIN4"),
    ("iso88599", "LATIN5"),
    ("iso885910", "LATIN6"),
    ("iso885913", "LATIN7"),
    ("iso885914", "LATIN8"),
    ("iso885915", "LATIN9"),
    ("iso885916", "LATIN10"),
    ("abc", "WIN1258"),
    ("tcvn", "WIN1258"),
    ("tcvn5712", "WIN1258"),
    ("vscii", "WIN1258"),
    ("alt", "WIN866"),
    ("win", "WIN1251"),
    ("koi8", "KOI8R"),
    ("mskanji", "SJIS"),
    ("shiftjis", "SJIS"),
    ("win932", "SJIS"),
    ("win936", "GBK"),
    ("win949", "UHC"),
    ("win950", "BIG5"),
];

/// LATIN9 where it differs from LATIN1.
const LATIN9: &[(u8, char)] =
    &[(0xa4, '€'), (0xa6, 'Š'), (0xa8, 'š'), (0xb4, 'Ž'), (0xb8, 'ž'), (0xbc, 'Œ'), (0xbd, 'œ'), (0xbe, 'Ÿ')];

/// WIN1252 where it differs from LATIN1; of 0x80 to 0x9f what is not here has no character.
const WIN1252: &[(u8, char)] = &[
    (0x80, '€'),
    (0x82, '‚'),
    (0x83, 'ƒ'),
    (0x84, '„'),
    (0x85, '…'),
    (0x86, '†'),
    (0x87, '‡'),
    (0x88, 'ˆ'),
    (0x89, '‰'),
    (0x8a, 'Š'),
    (0x8b, '‹'),
    (0x8c, 'Œ'),
    (0x8e, 'Ž'),
    (0x91, '‘'),
    (0x92, '’'),
    (0x93, '“'),
    (0x94, '”'),
    (0x95, '•'),
    (0x96, '–'),
    (0x97, '—'),
    (0x98, '˜'),
    (0x99, '™'),
    (0x9a, 'š'),
    (0x9b, '›'),
    (0x9c, 'œ'),
    (0x9e, 'ž'),
    (0x9f, 'Ÿ'),
];

/// A character that is looked up among those that differ, in nanoseconds.
const CHARACTER_WORK: usize = 32;

fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
}

impl Encoding {
    pub const SQL_ASCII: Encoding = Encoding(0);
    pub const UTF8: Encoding = Encoding(6);
    const LATIN1: Encoding = Encoding(8);
    const LATIN9: Encoding = Encoding(16);
    const WIN1252: Encoding = Encoding(24);

    /// By any of its names, whatever the case and the signs between letters.
    pub fn by_name(name: &str) -> Option<Encoding> {
        let wanted = plain(name);
        let wanted = match wanted.strip_prefix("windows") {
            Some(number) if !number.is_empty() => format!("win{number}"),
            _ => wanted,
        };
        let alias = ALIASES.iter().find(|(alias, _)| *alias == wanted).map_or(wanted.as_str(), |(_, name)| name);
        let alias = plain(alias);
        ENCODINGS.iter().position(|(name, _)| plain(name) == alias).map(Encoding)
    }

    pub fn by_number(number: i64) -> Option<Encoding> {
        usize::try_from(number).ok().filter(|n| *n < ENCODINGS.len()).map(Encoding)
    }

    pub fn number(self) -> i32 {
        i32::try_from(self.0).unwrap_or(-1)
    }

    pub fn name(self) -> &'static str {
        ENCODINGS.get(self.0).map_or("", |(name, _)| name)
    }

    /// The most bytes that a character has.
    pub fn max_length(self) -> i32 {
        ENCODINGS.get(self.0).map_or(1, |(_, length)| *length)
    }

    /// Whether text can be converted from and to it.
    pub fn is_supported(self) -> bool {
        !self.is_foreign() || self.differences().is_some()
    }

    /// Whether bytes in it are other than those of UTF-8.
    pub fn is_foreign(self) -> bool {
        !matches!(self, Encoding::UTF8 | Encoding::SQL_ASCII)
    }

    /// Of an encoding of one byte that is converted: where it differs from LATIN1.
    fn differences(self) -> Option<&'static [(u8, char)]> {
        match self {
            Encoding::LATIN1 => Some(&[]),
            Encoding::LATIN9 => Some(LATIN9),
            Encoding::WIN1252 => Some(WIN1252),
            _ => None,
        }
    }

    fn unsupported(self) -> SqlError {
        SqlError::unsupported(format!("encoding \"{}\" is not supported", self.name()))
    }

    fn character(self, differences: &[(u8, char)], byte: u8) -> Option<char> {
        match differences.iter().find(|(b, _)| *b == byte) {
            Some((_, character)) => Some(*character),
            None if self == Encoding::WIN1252 && matches!(byte, 0x80..=0x9f) => None,
            None => Some(char::from(byte)),
        }
    }

    fn byte(self, differences: &[(u8, char)], character: char) -> Option<u8> {
        match differences.iter().find(|(_, c)| *c == character) {
            Some((byte, _)) => Some(*byte),
            // A place that means something else here.
            None => u8::try_from(character).ok().filter(|byte| self.character(differences, *byte) == Some(character)),
        }
    }

    /// Checks that bytes are text of this encoding; how many characters. 22021 where they are not.
    pub fn length(self, bytes: &[u8]) -> Result<usize> {
        match self {
            Encoding::UTF8 => Ok(io::utf8(bytes)?.chars().count()),
            _ if self.max_length() > 1 => Err(self.unsupported()),
            _ if bytes.contains(&0) => Err(io::bad_encoding(self.name(), &[0])),
            _ => Ok(bytes.len()),
        }
    }

    /// Text from bytes of this encoding. 22021 for bytes that are none of its, 22P05 for characters that UTF-8 does not have.
    pub fn decode(self, bytes: &[u8]) -> Result<String> {
        if !self.is_foreign() {
            return io::utf8(bytes).map(str::to_owned);
        }
        let differences = self.differences().ok_or_else(|| self.unsupported())?;
        self.length(bytes)?;
        let mut text = String::with_capacity(bytes.len());
        for piece in stop::pieces(bytes, CHARACTER_WORK) {
            for byte in piece? {
                let character = self.character(differences, *byte);
                text.push(character.ok_or_else(|| untranslatable(self, &[*byte], Encoding::UTF8))?);
            }
        }
        Ok(text)
    }

    /// Bytes of this encoding. 22P05 for characters that it does not have.
    pub fn encode(self, text: &str) -> Result<Vec<u8>> {
        if !self.is_foreign() {
            return Ok(text.as_bytes().to_vec());
        }
        let differences = self.differences().ok_or_else(|| self.unsupported())?;
        let mut bytes = Vec::with_capacity(text.len());
        for piece in stop::text_pieces(text, CHARACTER_WORK) {
            for character in piece?.chars() {
                let byte = self.byte(differences, character);
                let missing = || untranslatable(Encoding::UTF8, character.encode_utf8(&mut [0; 4]).as_bytes(), self);
                bytes.push(byte.ok_or_else(missing)?);
            }
        }
        Ok(bytes)
    }

    /// Bytes of this encoding as those of another. 42883 for two that have no conversion between them.
    pub fn convert(self, bytes: &[u8], to: Encoding) -> Result<Vec<u8>> {
        // SQL_ASCII says nothing of what the bytes mean.
        if self == to || self == Encoding::SQL_ASCII || to == Encoding::SQL_ASCII {
            let meant = if self == Encoding::SQL_ASCII { to } else { self };
            return meant.length(bytes).map(|_| bytes.to_vec());
        }
        if self != Encoding::UTF8 && to != Encoding::UTF8 {
            let (from, to) = (self.name(), to.name());
            let message = format!("default conversion function for encoding \"{from}\" to \"{to}\" does not exist");
            return Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, message));
        }
        to.encode(&self.decode(bytes)?)
    }
}

#[cold]
fn untranslatable(from: Encoding, bytes: &[u8], to: Encoding) -> SqlError {
    let shown: Vec<String> = bytes.iter().map(|b| format!("0x{b:02x}")).collect();
    let (from, to) = (from.name(), to.name());
    let message = format!(
        "character with byte sequence {} in encoding \"{from}\" has no equivalent in encoding \"{to}\"",
        shown.join(" ")
    );
    SqlError::new(SqlState::UNTRANSLATABLE_CHARACTER, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, text: &str, bytes: &[u8]) {
        let encoding = Encoding::by_name(name).expect(name);
        assert_eq!(encoding.encode(text).expect(text), bytes, "{name} {text}");
        assert_eq!(encoding.decode(bytes).expect(text), text, "{name} {text}");
    }

    #[test]
    fn text_comes_and_goes_as_postgresql_converts_it() {
        check("latin1", "é", b"\xe9");
        check("ISO 8859-15", "é€", b"\xe9\xa4");
        check("windows-1252", "é€", b"\xe9\x80");
        check("sql_ascii", "é", b"\xc3\xa9");
        check("unicode", "é", b"\xc3\xa9");
    }

    #[track_caller]
    fn check_error<T: std::fmt::Debug>(found: Result<T>, expected: &str) {
        let error = found.expect_err(expected);
        assert_eq!(format!("{} {}", error.code(), error.message()), expected);
    }

    #[test]
    fn what_has_no_equivalent_is_told() {
        let [latin1, latin9, win1252] = [Encoding::LATIN1, Encoding::LATIN9, Encoding::WIN1252];
        let none = "22P05 character with byte sequence";
        check_error(
            latin1.encode("€"),
            &format!("{none} 0xe2 0x82 0xac in encoding \"UTF8\" has no equivalent in encoding \"LATIN1\""),
        );
        check_error(
            win1252.decode(b"\x81"),
            &format!("{none} 0x81 in encoding \"WIN1252\" has no equivalent in encoding \"UTF8\""),
        );
        check_error(
            latin9.encode("¤"),
            &format!("{none} 0xc2 0xa4 in encoding \"UTF8\" has no equivalent in encoding \"LATIN9\""),
        );
        check_error(latin1.decode(b"\0"), "22021 invalid byte sequence for encoding \"LATIN1\": 0x00");
        check_error(
            latin1.convert(b"\xe9", latin9),
            "42883 default conversion function for encoding \"LATIN1\" to \"LATIN9\" does not exist",
        );
    }

    #[test]
    fn names_have_postgresqls_numbers() {
        let numbers = |names: &[&str]| -> Vec<i32> {
            names.iter().map(|name| Encoding::by_name(name).map_or(-1, Encoding::number)).collect()
        };
        assert_eq!(numbers(&["UTF-8", "unicode", "koi8", "win", "windows1257", "windows950"]), [6, 6, 22, 23, 33, 36]);
        assert_eq!(numbers(&["mule", "iso8859", "latin0", "windows", "", "iso885916"]), [-1, -1, -1, -1, -1, 17]);
        assert_eq!(Encoding::by_number(41).map(Encoding::name), Some("SHIFT_JIS_2004"));
        assert_eq!(Encoding::by_number(42), None);
    }
}
