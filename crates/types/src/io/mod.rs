//! Text and binary formats of every type: what `typinput`, `typoutput`, `typreceive` and `typsend` do.
//!
//! Here is the dispatch by type and what strings, oids and vectors need; numbers are in `numeric::io`, dates and times in
//! `datetime::io`, the rest in the files of this folder. Labels and fields of users' types come through `FormatSettings`
//! (`user`). The names of `reg*` values are the catalog's; here they are numbers.

pub mod array;
pub mod bits;
pub mod bytea;
mod money;
pub mod record;
mod small;
pub mod strings;
mod user;

pub use small::{into_string, write_decimal, write_int};

use crate::array::Array;
use crate::json::{Jsonb, jsonpath};
use crate::network::{Network, mac};
use crate::user_type::{self, UserKind};
use crate::{
    Datum, FormatSettings, Oid, Result, SqlError, SqlState, SqlType, builtin, datetime, numeric, oid, typename,
};
use ecow::EcoString;
use std::sync::Arc;

/// The byte in front of a jsonb's binary form.
pub const JSONB_VERSION: u8 = 1;
/// The byte in front of a jsonpath's binary form.
pub const JSONPATH_VERSION: u8 = 1;

/// Longest text form of a value: a bytea of full size (64 MiB) in hex, and room for signs around it.
pub const TEXT_FORM_MAX: usize = 160 << 20;

/// 54000 for a text form that is longer than any may be; the error of the statement if it was cut short because that must stop.
pub fn check_text_form(bytes: usize) -> Result<()> {
    crate::stop::whole()?;
    match bytes > TEXT_FORM_MAX {
        true => Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "the text form of a value is too long")),
        false => Ok(()),
    }
}

/// Which part of the crate knows a type's formats.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Numeric,
    Datetime,
    Text,
    Json,
    Jsonb,
    Jsonpath,
    Bytea,
    Uuid,
    Bits,
    OidLike,
    Xid8,
    Lsn,
    Money,
    Network,
    Mac,
    Vector,
    Array,
    Record,
    Void,
    Enum,
    /// A row of a type that has a name.
    Composite,
    Other,
}

fn family(oid: Oid) -> Family {
    match oid {
        oid::INT2 | oid::INT4 | oid::INT8 | oid::FLOAT4 | oid::FLOAT8 | oid::NUMERIC | oid::OID | oid::BOOL => {
            Family::Numeric
        }
        oid::DATE | oid::TIME | oid::TIMETZ | oid::TIMESTAMP | oid::TIMESTAMPTZ | oid::INTERVAL => Family::Datetime,
        oid::TEXT
        | oid::VARCHAR
        | oid::BPCHAR
        | oid::NAME
        | oid::CHAR
        | oid::UNKNOWN
        | oid::CSTRING
        | oid::REFCURSOR => Family::Text,
        oid::JSON => Family::Json,
        oid::JSONB => Family::Jsonb,
        oid::JSONPATH => Family::Jsonpath,
        oid::BYTEA => Family::Bytea,
        oid::UUID => Family::Uuid,
        oid::BIT | oid::VARBIT => Family::Bits,
        oid::XID8 => Family::Xid8,
        oid::PG_LSN => Family::Lsn,
        oid::MONEY => Family::Money,
        oid::INET | oid::CIDR => Family::Network,
        oid::MACADDR | oid::MACADDR8 => Family::Mac,
        oid::INT2VECTOR | oid::OIDVECTOR => Family::Vector,
        oid::RECORD => Family::Record,
        oid::VOID => Family::Void,
        other if is_oid_like(other) => Family::OidLike,
        other if builtin::element_of(other).is_some() => Family::Array,
        other => match user_type::kind_of(other) {
            Some(UserKind::Enum) => Family::Enum,
            Some(UserKind::Composite) => Family::Composite,
            Some(UserKind::Domain) | None => Family::Other,
        },
    }
}

/// Whether a type is represented by `Datum::Oid`.
pub fn is_oid_like(oid: Oid) -> bool {
    matches!(
        oid,
        oid::OID
            | oid::XID
            | oid::CID
            | oid::REGPROC
            | oid::REGPROCEDURE
            | oid::REGOPER
            | oid::REGOPERATOR
            | oid::REGCLASS
            | oid::REGTYPE
            | oid::REGROLE
            | oid::REGNAMESPACE
            | oid::REGCONFIG
            | oid::REGDICTIONARY
            | oid::REGCOLLATION
    )
}

/// 22P02 with the type's name and the text.
#[cold]
pub fn invalid_input(type_name: &str, text: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_TEXT_REPRESENTATION,
        format!("invalid input syntax for type {type_name}: \"{text}\""),
    )
}

/// Parses text into a value of `ty`, with the typmod applied as an *explicit* cast would not: input checks length
/// (22001) and rounds numerics. Errors have no position; the caller knows it.
pub fn input(ty: SqlType, text: &str, format: &FormatSettings) -> Result<Datum> {
    match family(ty.oid) {
        Family::Numeric => numeric::io::input(ty, text, format),
        Family::Datetime => datetime::io::input(ty, text, format),
        Family::Text => strings::input(ty, text),
        Family::Json => {
            crate::json::parse::validate(text)?;
            Ok(Datum::text(text))
        }
        Family::Jsonb => Ok(Datum::Jsonb(Jsonb::parse(text)?)),
        Family::Jsonpath => Ok(Datum::text(jsonpath::normalized(text)?)),
        Family::Bytea => Ok(Datum::bytea(bytea::parse(text)?)),
        Family::Uuid => small::parse_uuid(text).map(Datum::Uuid),
        Family::Bits => Ok(Datum::Text(bits::fit(ty, bits::parse(text)?, false)?)),
        Family::OidLike => small::parse_oid_like(ty, text).map(Datum::Oid),
        Family::Xid8 => Ok(Datum::Int8(small::parse_c_unsigned(text) as i64)),
        Family::Lsn => small::parse_lsn(text).map(Datum::Int8),
        Family::Money => money::parse(text).map(Datum::Int8),
        Family::Network => Ok(Network::parse(text, ty.oid == oid::CIDR)?.to_datum()),
        Family::Mac if ty.oid == oid::MACADDR => Ok(Datum::bytea(&mac::parse(text)?[..])),
        Family::Mac => Ok(Datum::bytea(&mac::parse8(text)?[..])),
        Family::Vector => vector_input(ty, text, format),
        Family::Array => {
            let element = ty.element().unwrap_or(SqlType::TEXT);
            array::input_with(element.oid, text, &mut |part| input(element, part, format))
        }
        Family::Record => Err(SqlError::unsupported("input of anonymous composite types is not implemented")),
        Family::Void => Ok(Datum::Text(EcoString::new())),
        Family::Enum => user::enum_input(ty, text, format),
        Family::Composite => user::composite_input(ty, text, format),
        Family::Other => Err(cannot("accept a value of", "input of", ty)),
    }
}

/// What PostgreSQL says of pseudo-types, and we of types that are not there yet.
#[cold]
fn cannot(pseudo: &str, ours: &str, ty: SqlType) -> SqlError {
    let name = typename::display(ty);
    match builtin::type_by_oid(ty.oid) {
        Some(known) if known.kind == 'p' => SqlError::unsupported(format!("cannot {pseudo} type {name}")),
        _ => SqlError::unsupported(format!("{ours} type {name} is not supported")),
    }
}

/// Appends the text form of a non-NULL value.
pub fn output(ty: SqlType, value: &Datum, format: &FormatSettings, out: &mut Vec<u8>) {
    match value {
        Datum::Text(text) => out.extend_from_slice(text.as_bytes()),
        Datum::Int4(v) => write_int(i64::from(*v), out),
        Datum::Int2(v) => write_int(i64::from(*v), out),
        Datum::Int8(v) => match ty.oid {
            oid::XID8 => out.extend_from_slice((*v as u64).to_string().as_bytes()),
            oid::PG_LSN => small::write_lsn(*v, out),
            oid::MONEY => money::write(*v, out),
            user if user_type::is_enum(user) => user::enum_output(ty, *v, format, out),
            _ => write_int(*v, out),
        },
        Datum::Oid(v) => write_int(i64::from(*v), out),
        Datum::Numeric(number) => number.write(out),
        Datum::Bool(v) => out.push(if *v { b't' } else { b'f' }),
        Datum::Float4(_) | Datum::Float8(_) => numeric::io::output(ty, value, format, out),
        Datum::Date(_)
        | Datum::Time(_)
        | Datum::TimeTz(_)
        | Datum::Timestamp(_)
        | Datum::TimestampTz(_)
        | Datum::Interval(_) => datetime::io::output(ty, value, format, out),
        Datum::Bytea(bytes) => match family(ty.oid) {
            Family::Network => network_output(ty, bytes, out),
            Family::Mac => mac::write(bytes, out),
            _ => bytea::write(bytes, format.bytea_output, out),
        },
        Datum::Uuid(bytes) => small::write_uuid(bytes, out),
        Datum::Jsonb(json) => json.as_ref().write_text(out),
        Datum::Array(values) if matches!(ty.oid, oid::INT2VECTOR | oid::OIDVECTOR) => {
            vector_output(values, format, out);
        }
        Datum::Array(values) => array::output(values, format, out),
        Datum::Record(record) => record::output(record, format, out),
        // The caller has looked; a NULL has no text.
        Datum::Null => {}
    }
}

fn network_output(ty: SqlType, bytes: &[u8], out: &mut Vec<u8>) {
    let Some(network) = Network::from_bytes(bytes) else { return };
    let text = if ty.oid == oid::CIDR { network.full_text() } else { network.inet_text() };
    out.extend_from_slice(text.as_bytes());
}

/// The text form of a non-NULL value as a string, for casts to text and for messages.
pub fn to_text(ty: SqlType, value: &Datum, format: &FormatSettings) -> EcoString {
    if let Datum::Text(text) = value {
        return text.clone();
    }
    let mut out = Vec::with_capacity(32);
    output(ty, value, format, &mut out);
    match std::str::from_utf8(&out) {
        Ok(text) => EcoString::from(text),
        Err(_) => EcoString::from(String::from_utf8_lossy(&out).as_ref()),
    }
}

/// Reads the binary form (22P03, 08P01 on malformed bytes).
pub fn receive(ty: SqlType, bytes: &[u8], format: &FormatSettings) -> Result<Datum> {
    match family(ty.oid) {
        Family::Numeric => numeric::io::receive(ty, bytes),
        Family::Datetime => datetime::io::receive(ty, bytes),
        Family::Text => strings::input(ty, utf8(bytes)?),
        Family::Json => input(ty, utf8(bytes)?, format),
        Family::Jsonb => match bytes.split_first() {
            Some((&JSONB_VERSION, text)) => Ok(Datum::Jsonb(Jsonb::parse(utf8(text)?)?)),
            Some((version, _)) => Err(SqlError::internal(format!("unsupported jsonb version number {version}"))),
            None => Err(insufficient()),
        },
        Family::Network => {
            let network = Network::receive(bytes, ty.oid == oid::CIDR);
            let invalid = || {
                let message = format!("invalid external \"{}\" value", typename::display(ty));
                SqlError::new(SqlState::INVALID_BINARY_REPRESENTATION, message)
            };
            network.map(Network::to_datum).ok_or_else(invalid)
        }
        Family::Mac if ty.oid == oid::MACADDR => Ok(Datum::bytea(&fixed::<{ mac::SIZE }>(bytes)?[..])),
        Family::Mac if bytes.len() == mac::SIZE => Ok(Datum::bytea(&mac::widened(fixed(bytes)?)[..])),
        Family::Mac => Ok(Datum::bytea(&fixed::<{ mac::SIZE8 }>(bytes)?[..])),
        Family::Jsonpath => match bytes.split_first() {
            Some((&JSONPATH_VERSION, text)) => Ok(Datum::text(jsonpath::normalized(utf8(text)?)?)),
            Some((version, _)) => Err(SqlError::internal(format!("unsupported jsonpath version number: {version}"))),
            None => Err(insufficient()),
        },
        Family::Bytea => Ok(Datum::bytea(bytes)),
        Family::Uuid => fixed(bytes).map(Datum::Uuid),
        Family::Bits => Ok(Datum::Text(bits::receive(ty, bytes)?)),
        Family::OidLike => fixed(bytes).map(|b| Datum::Oid(u32::from_be_bytes(b))),
        Family::Xid8 | Family::Lsn | Family::Money => fixed(bytes).map(|b| Datum::Int8(i64::from_be_bytes(b))),
        Family::Vector => {
            let element = if ty.oid == oid::INT2VECTOR { SqlType::INT2 } else { SqlType::OID };
            array::receive_with(element.oid, bytes, &mut |part| receive(element, part, format))
        }
        Family::Array => {
            let element = ty.element().unwrap_or(SqlType::TEXT);
            array::receive_with(element.oid, bytes, &mut |part| receive(element, part, format))
        }
        Family::Record => Err(SqlError::unsupported("input of anonymous composite types is not implemented")),
        Family::Void => Ok(Datum::Text(EcoString::new())),
        Family::Enum => user::enum_input(ty, utf8(bytes)?, format),
        Family::Composite => user::composite_receive(ty, bytes, format),
        Family::Other => Err(cannot("accept a value of", "binary input of", ty)),
    }
}

/// Appends the binary form of a non-NULL value; 0A000/42883 where PostgreSQL has none.
pub fn send(ty: SqlType, value: &Datum, format: &FormatSettings, out: &mut Vec<u8>) -> Result<()> {
    match value {
        Datum::Text(text) => match ty.oid {
            oid::BIT | oid::VARBIT => bits::send(text, out)?,
            oid::JSONPATH => {
                out.push(JSONPATH_VERSION);
                out.extend_from_slice(text.as_bytes());
            }
            oid::ACLITEM | oid::XML => return Err(no_binary_output(ty)),
            _ => out.extend_from_slice(text.as_bytes()),
        },
        Datum::Int4(v) => out.extend_from_slice(&v.to_be_bytes()),
        Datum::Int2(v) => out.extend_from_slice(&v.to_be_bytes()),
        Datum::Int8(v) if user_type::is_enum(ty.oid) => user::enum_output(ty, *v, format, out),
        Datum::Int8(v) => out.extend_from_slice(&v.to_be_bytes()),
        Datum::Oid(v) => out.extend_from_slice(&v.to_be_bytes()),
        Datum::Numeric(number) => number.send(out),
        Datum::Bool(v) => out.push(u8::from(*v)),
        Datum::Float4(v) => out.extend_from_slice(&v.to_bits().to_be_bytes()),
        Datum::Float8(v) => out.extend_from_slice(&v.to_bits().to_be_bytes()),
        Datum::Date(_)
        | Datum::Time(_)
        | Datum::TimeTz(_)
        | Datum::Timestamp(_)
        | Datum::TimestampTz(_)
        | Datum::Interval(_) => return datetime::io::send(ty, value, out),
        Datum::Bytea(bytes) => match Network::from_bytes(bytes).filter(|_| family(ty.oid) == Family::Network) {
            Some(network) => network.send(ty.oid == oid::CIDR, out),
            None => out.extend_from_slice(bytes),
        },
        Datum::Uuid(bytes) => out.extend_from_slice(bytes),
        Datum::Jsonb(json) => {
            out.push(JSONB_VERSION);
            json.as_ref().write_text(out);
        }
        Datum::Array(values) => return array::send(values, format, out),
        Datum::Record(record) => return record::send(record, format, out),
        Datum::Null => {}
    }
    Ok(())
}

#[cold]
fn no_binary_output(ty: SqlType) -> SqlError {
    SqlError::new(
        SqlState::UNDEFINED_FUNCTION,
        format!("no binary output function available for type {}", typename::display(ty)),
    )
}

/// 08P01: a message ended early.
#[cold]
pub(crate) fn insufficient() -> SqlError {
    SqlError::new(SqlState::PROTOCOL_VIOLATION, "insufficient data left in message")
}

/// A value of exactly `N` bytes. 08P01 if it is shorter, 22P03 if longer.
pub(crate) fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    if bytes.len() < N {
        return Err(insufficient());
    }
    bytes.try_into().map_err(|_| SqlError::new(SqlState::INVALID_BINARY_REPRESENTATION, "incorrect binary data format"))
}

/// Text from a client. 22021 where it is not UTF-8 or holds a zero byte.
pub fn utf8(bytes: &[u8]) -> Result<&str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !bytes.contains(&0) => Ok(text),
        Ok(_) => Err(bad_encoding("UTF8", &[0])),
        Err(error) => {
            let rest = bytes.get(error.valid_up_to()..).unwrap_or_default();
            // As many bytes as the first one announces.
            let announced = match rest.first() {
                Some(0xc0..=0xdf) => 2,
                Some(0xe0..=0xef) => 3,
                Some(0xf0..=0xf7) => 4,
                _ => 1,
            };
            Err(bad_encoding("UTF8", rest.get(..announced).unwrap_or(rest)))
        }
    }
}

#[cold]
pub(crate) fn bad_encoding(encoding: &str, bytes: &[u8]) -> SqlError {
    let shown: Vec<String> = bytes.iter().map(|b| format!("0x{b:02x}")).collect();
    SqlError::new(
        SqlState::CHARACTER_NOT_IN_REPERTOIRE,
        format!("invalid byte sequence for encoding \"{encoding}\": {}", shown.join(" ")),
    )
}

/// `int2vector` and `oidvector`: numbers with blanks between, counted from 0.
fn vector_input(ty: SqlType, text: &str, format: &FormatSettings) -> Result<Datum> {
    let element = if ty.oid == oid::INT2VECTOR { SqlType::INT2 } else { SqlType::OID };
    let values =
        text.split_ascii_whitespace().map(|part| input(element, part, format)).collect::<Result<Vec<Datum>>>()?;
    let dims = vec![crate::array::Dimension { len: values.len() as i32, lower: 0 }];
    Ok(Datum::Array(Arc::new(Array { element: element.oid, dims, values })))
}

fn vector_output(values: &Array, format: &FormatSettings, out: &mut Vec<u8>) {
    for (index, value) in values.values.iter().enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        output(SqlType::new(values.element), value, format, out);
    }
}

#[cfg(test)]
mod tests;
