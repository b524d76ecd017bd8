//! `inet`, `cidr`, `macaddr` and `macaddr8`: containment, parts, masks, arithmetic on addresses.
//!
//! The six comparisons are those of the values' bytes (see `network`).

use super::ScalarFn;
use crate::network::{Network, mac};
use crate::{Datum, Result, SqlError, SqlState};
use std::cmp::Ordering;

fn network(datum: &Datum) -> Result<Network> {
    match datum {
        Datum::Bytea(bytes) => Network::from_bytes(bytes).ok_or_else(|| SqlError::internal("a malformed inet value")),
        // What the server knows of its connections is text.
        other => Network::parse(other.as_str(), false),
    }
}

fn pair(args: &[Datum]) -> Result<(Network, Network)> {
    Ok((network(&args[0])?, network(&args[1])?))
}

fn compared(args: &[Datum], is_wanted: fn(Ordering) -> bool) -> Result<Datum> {
    Ok(Datum::Bool(is_wanted(args[0].as_bytes().cmp(args[1].as_bytes()))))
}

fn sign(args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Int4(args[0].as_bytes().cmp(args[1].as_bytes()) as i32))
}

/// Whether `a` is in the network of `b`, as far as their prefixes' lengths are as wanted.
fn inside(a: Network, b: Network, are_lengths_fit: fn(u8, u8) -> bool) -> Result<Datum> {
    Ok(Datum::Bool(are_lengths_fit(a.bits, b.bits) && a.shares(&b, b.bits)))
}

fn text(value: impl Into<ecow::EcoString>) -> Result<Datum> {
    Ok(Datum::text(value))
}

fn with_mask(args: &[Datum], is_cidr: bool) -> Result<Datum> {
    let (of, length) = (network(&args[0])?, args[1].as_i64());
    let bits = if length == -1 { i64::from(of.bits_max()) } else { length };
    let bits = u8::try_from(bits)
        .ok()
        .filter(|bits| *bits <= of.bits_max())
        .ok_or_else(|| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid mask length: {length}")))?;
    let changed = Network { bits, ..of };
    Ok(if is_cidr { changed.network() } else { changed }.to_datum())
}

fn merged(args: &[Datum]) -> Result<Datum> {
    let (a, b) = pair(args)?;
    if a.is_v6 != b.is_v6 {
        let message = "cannot merge addresses from different families";
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    let bits = (0..=a.bits.min(b.bits)).rev().find(|bits| a.shares(&b, *bits)).unwrap_or(0);
    Ok(Network { bits, ..a }.network().to_datum())
}

fn combined(args: &[Datum], what: &str, combine: fn(u8, u8) -> u8) -> Result<Datum> {
    let (a, b) = pair(args)?;
    if a.is_v6 != b.is_v6 {
        let message = format!("cannot {what} inet values of different sizes");
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    let mut address = a.address;
    address.iter_mut().zip(b.address).for_each(|(x, y)| *x = combine(*x, y));
    Ok(Network { bits: a.bits.max(b.bits), address, ..a }.to_datum())
}

/// The address as a number.
fn as_number(of: &Network) -> u128 {
    of.bytes().iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
}

fn out_of_range() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "result is out of range")
}

fn moved(of: &Datum, by: i128) -> Result<Datum> {
    let of = network(of)?;
    let number = match by {
        0.. => as_number(&of).checked_add(by.unsigned_abs()),
        _ => as_number(&of).checked_sub(by.unsigned_abs()),
    };
    let number = number.filter(|n| of.is_v6 || *n <= u128::from(u32::MAX)).ok_or_else(out_of_range)?;
    let mut address = [0; 16];
    match of.is_v6 {
        true => address = number.to_be_bytes(),
        false => address[..4].copy_from_slice(&number.to_be_bytes()[12..]),
    }
    Ok(Network { address, ..of }.to_datum())
}

fn distance(args: &[Datum]) -> Result<Datum> {
    let (a, b) = pair(args)?;
    if a.is_v6 != b.is_v6 {
        let message = "cannot subtract inet values of different sizes";
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    let (a, b) = (as_number(&a), as_number(&b));
    let distance = i64::try_from(a.abs_diff(b)).map_err(|_| out_of_range())?;
    Ok(Datum::Int8(if a < b { -distance } else { distance }))
}

fn of_one(args: &[Datum], change: fn(&Network) -> Network) -> Result<Datum> {
    Ok(change(&network(&args[0])?).to_datum())
}

pub const NETWORKS: &[(&str, ScalarFn)] = &[
    ("network_lt", |_, args| compared(args, Ordering::is_lt)),
    ("network_le", |_, args| compared(args, Ordering::is_le)),
    ("network_eq", |_, args| compared(args, Ordering::is_eq)),
    ("network_ge", |_, args| compared(args, Ordering::is_ge)),
    ("network_gt", |_, args| compared(args, Ordering::is_gt)),
    ("network_ne", |_, args| compared(args, Ordering::is_ne)),
    ("network_cmp", |_, args| sign(args)),
    ("network_larger", |_, args| Ok(args[usize::from(args[0].as_bytes() < args[1].as_bytes())].clone())),
    ("network_smaller", |_, args| Ok(args[usize::from(args[0].as_bytes() > args[1].as_bytes())].clone())),
    ("network_sub", |_, args| pair(args).and_then(|(a, b)| inside(a, b, |a, b| a > b))),
    ("network_subeq", |_, args| pair(args).and_then(|(a, b)| inside(a, b, |a, b| a >= b))),
    ("network_sup", |_, args| pair(args).and_then(|(a, b)| inside(b, a, |b, a| b > a))),
    ("network_supeq", |_, args| pair(args).and_then(|(a, b)| inside(b, a, |b, a| b >= a))),
    ("network_overlap", |_, args| {
        let (a, b) = pair(args)?;
        Ok(Datum::Bool(a.shares(&b, a.bits.min(b.bits))))
    }),
    ("inet_same_family", |_, args| pair(args).map(|(a, b)| Datum::Bool(a.is_v6 == b.is_v6))),
    ("network_host", |_, args| text(network(&args[0])?.host())),
    ("network_show", |_, args| text(network(&args[0])?.full_text())),
    ("inet_abbrev", |_, args| text(network(&args[0])?.inet_text())),
    ("cidr_abbrev", |_, args| text(network(&args[0])?.abbreviated_cidr())),
    ("network_family", |_, args| network(&args[0]).map(|n| Datum::Int4(n.version()))),
    ("network_masklen", |_, args| network(&args[0]).map(|n| Datum::Int4(i32::from(n.bits)))),
    ("network_network", |_, args| of_one(args, Network::network)),
    ("network_broadcast", |_, args| of_one(args, Network::broadcast)),
    ("network_netmask", |_, args| of_one(args, Network::netmask)),
    ("network_hostmask", |_, args| of_one(args, Network::hostmask)),
    ("inet_to_cidr", |_, args| of_one(args, Network::network)),
    ("inet_set_masklen", |_, args| with_mask(args, false)),
    ("cidr_set_masklen", |_, args| with_mask(args, true)),
    ("inet_merge", |_, args| merged(args)),
    ("inetnot", |_, args| {
        let mut of = network(&args[0])?;
        of.address.iter_mut().for_each(|byte| *byte = !*byte);
        // Behind an IPv4 address there is nothing.
        let size = of.bytes().len();
        of.address.iter_mut().skip(size).for_each(|byte| *byte = 0);
        Ok(of.to_datum())
    }),
    ("inetand", |_, args| combined(args, "AND", |a, b| a & b)),
    ("inetor", |_, args| combined(args, "OR", |a, b| a | b)),
    ("inetpl", |_, args| moved(&args[0], i128::from(args[1].as_i64()))),
    ("int8pl_inet(int8,inet)", |_, args| moved(&args[1], i128::from(args[0].as_i64()))),
    ("inetmi_int8", |_, args| moved(&args[0], -i128::from(args[1].as_i64()))),
    ("inetmi", |_, args| distance(args)),
];

fn bytewise(args: &[Datum], combine: fn(u8, u8) -> u8) -> Result<Datum> {
    let (a, b) = (args[0].as_bytes(), args[1].as_bytes());
    Ok(Datum::bytea(a.iter().zip(b).map(|(a, b)| combine(*a, *b)).collect::<Vec<u8>>()))
}

/// The maker's part: the first three bytes.
fn truncated(args: &[Datum]) -> Result<Datum> {
    let bytes = args[0].as_bytes().iter().enumerate();
    Ok(Datum::bytea(bytes.map(|(index, byte)| if index < 3 { *byte } else { 0 }).collect::<Vec<u8>>()))
}

fn inverted(args: &[Datum]) -> Result<Datum> {
    Ok(Datum::bytea(args[0].as_bytes().iter().map(|byte| !byte).collect::<Vec<u8>>()))
}

fn exactly<const N: usize>(datum: &Datum) -> Result<[u8; N]> {
    datum.as_bytes().try_into().map_err(|_| SqlError::internal("a malformed macaddr value"))
}

pub const HARDWARE: &[(&str, ScalarFn)] = &[
    ("macaddr_lt", |_, args| compared(args, Ordering::is_lt)),
    ("macaddr_le", |_, args| compared(args, Ordering::is_le)),
    ("macaddr_eq", |_, args| compared(args, Ordering::is_eq)),
    ("macaddr_ge", |_, args| compared(args, Ordering::is_ge)),
    ("macaddr_gt", |_, args| compared(args, Ordering::is_gt)),
    ("macaddr_ne", |_, args| compared(args, Ordering::is_ne)),
    ("macaddr_cmp", |_, args| sign(args)),
    ("macaddr_not", |_, args| inverted(args)),
    ("macaddr_and", |_, args| bytewise(args, |a, b| a & b)),
    ("macaddr_or", |_, args| bytewise(args, |a, b| a | b)),
    ("macaddr_trunc", |_, args| truncated(args)),
    ("macaddr8_lt", |_, args| compared(args, Ordering::is_lt)),
    ("macaddr8_le", |_, args| compared(args, Ordering::is_le)),
    ("macaddr8_eq", |_, args| compared(args, Ordering::is_eq)),
    ("macaddr8_ge", |_, args| compared(args, Ordering::is_ge)),
    ("macaddr8_gt", |_, args| compared(args, Ordering::is_gt)),
    ("macaddr8_ne", |_, args| compared(args, Ordering::is_ne)),
    ("macaddr8_cmp", |_, args| sign(args)),
    ("macaddr8_not", |_, args| inverted(args)),
    ("macaddr8_and", |_, args| bytewise(args, |a, b| a & b)),
    ("macaddr8_or", |_, args| bytewise(args, |a, b| a | b)),
    ("macaddr8_trunc", |_, args| truncated(args)),
    ("macaddr8_set7bit", |_, args| {
        let mut bytes: [u8; mac::SIZE8] = exactly(&args[0])?;
        bytes[0] |= 0x02;
        Ok(Datum::bytea(&bytes[..]))
    }),
    ("macaddrtomacaddr8", |_, args| Ok(Datum::bytea(&mac::widened(exactly(&args[0])?)[..]))),
    ("macaddr8tomacaddr", |_, args| Ok(Datum::bytea(&mac::narrowed(exactly(&args[0])?)?[..]))),
];
