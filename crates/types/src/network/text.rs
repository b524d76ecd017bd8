//! `10.1.2.3/8`, `10/8`, `2001:db8::1/64`: the text forms of `inet` and `cidr`.

use super::Network;
use crate::io::invalid_input;
use crate::{Result, SqlError, SqlState};
use std::net::Ipv6Addr;

impl Network {
    pub fn parse(text: &str, is_cidr: bool) -> Result<Network> {
        let name = if is_cidr { "cidr" } else { "inet" };
        let parsed = match (text.contains(':'), is_cidr) {
            (true, _) => parse_v6(text),
            (false, false) => parse_v4(text),
            (false, true) => parse_v4_network(text),
        };
        let network = parsed.ok_or_else(|| invalid_input(name, text))?;
        if is_cidr && !network.is_pure() {
            let message = format!("invalid cidr value: \"{text}\"");
            return Err(SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message)
                .detail("Value has bits set to right of mask."));
        }
        Ok(network)
    }

    /// The address alone.
    pub fn host(&self) -> String {
        match self.is_v6 {
            true => v6_text(self.address),
            false => {
                let [a, b, c, d, ..] = self.address;
                format!("{a}.{b}.{c}.{d}")
            }
        }
    }

    /// With the prefix's length, as `cidr` and casts to text show it.
    pub fn full_text(&self) -> String {
        format!("{}/{}", self.host(), self.bits)
    }

    /// The length is left out where it is all of the address.
    pub fn inet_text(&self) -> String {
        if self.bits == self.bits_max() { self.host() } else { self.full_text() }
    }

    /// `10.1/16`: the bytes that the prefix reaches.
    pub fn abbreviated_cidr(&self) -> String {
        if self.is_v6 {
            return format!("{}/{}", if self.bits == 0 { "::".to_owned() } else { self.host() }, self.bits);
        }
        let count = usize::from(self.bits).div_ceil(8).max(1);
        let shown: Vec<String> = self.bytes().iter().take(count).map(u8::to_string).collect();
        format!("{}/{}", shown.join("."), self.bits)
    }
}

/// Digits up to `max`, in decimal.
fn number(text: &str, max: u32) -> Option<u8> {
    if text.is_empty() || text.len() > 9 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse::<u32>().ok().filter(|n| *n <= max).and_then(|n| u8::try_from(n).ok())
}

/// Up to four bytes between points, and how many there are.
fn octets(text: &str) -> Option<([u8; 16], usize)> {
    let (mut address, mut count) = ([0; 16], 0);
    for part in text.split('.') {
        *address.get_mut(count).filter(|_| count < 4)? = number(part, 255)?;
        count += 1;
    }
    Some((address, count))
}

/// All four bytes, or fewer with a prefix that needs no more.
fn parse_v4(text: &str) -> Option<Network> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(number(bits, 32)?)),
        None => (text, None),
    };
    let (address, count) = octets(address)?;
    let bits = match bits {
        Some(bits) if usize::from(bits / 8) <= count => bits,
        None if count == 4 => 32,
        _ => return None,
    };
    Some(Network::new(false, address, bits))
}

/// Bytes that are missing are zero; a prefix that is not given is that of the address's class, or as long as what is given.
fn parse_v4_network(text: &str) -> Option<Network> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(number(bits, 32)?)),
        None => (text, None),
    };
    let (address, count) = octets(address)?;
    let given = u8::try_from(count * 8).ok()?;
    let bits = bits.unwrap_or_else(|| match address[0] {
        240.. => 32,
        // The multicast addresses' own class.
        224 if given <= 8 => 4,
        224..=239 => given.max(8),
        192..=223 => given.max(24),
        128..=191 => given.max(16),
        _ => given.max(8),
    });
    Some(Network::new(false, address, bits))
}

fn parse_v6(text: &str) -> Option<Network> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let bits = match bits {
        None => 128,
        // No leading zeros here.
        Some(bits) if bits.len() > 1 && bits.starts_with('0') => return None,
        Some(bits) => number(bits, 128)?,
    };
    let address: Ipv6Addr = address.parse().ok()?;
    Some(Network::new(true, address.octets(), bits))
}

/// Groups of hexadecimal digits, the longest run of zeros left out; an embedded IPv4 address in its own form.
fn v6_text(address: [u8; 16]) -> String {
    let mut words = [0_u16; 8];
    for (word, pair) in words.iter_mut().zip(address.chunks_exact(2)) {
        *word = u16::from_be_bytes([pair[0], pair[1]]);
    }
    let (base, len) = longest_zeros(&words);
    let mut out = String::with_capacity(40);
    for (index, word) in words.iter().enumerate() {
        if (base..base + len).contains(&index) {
            if index == base {
                out.push(':');
            }
            continue;
        }
        if index != 0 {
            out.push(':');
        }
        if index == 6 && base == 0 && (len == 6 || (len == 5 && words[5] == 0xffff)) {
            let [.., a, b, c, d] = address;
            out.push_str(&format!("{a}.{b}.{c}.{d}"));
            return out;
        }
        out.push_str(&format!("{word:x}"));
    }
    if len > 0 && base + len == words.len() {
        out.push(':');
    }
    out
}

/// Start and length of the first longest run of two or more zeros.
fn longest_zeros(words: &[u16; 8]) -> (usize, usize) {
    let (mut best, mut at) = ((0, 0), 0);
    while at < words.len() {
        let run = words.iter().skip(at).take_while(|word| **word == 0).count();
        if run > best.1 {
            best = (at, run);
        }
        at += run.max(1);
    }
    if best.1 < 2 { (0, 0) } else { best }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, is_cidr: bool, expected: &str) {
        let shown = match Network::parse(text, is_cidr) {
            Ok(network) if is_cidr => network.full_text(),
            Ok(network) => network.inet_text(),
            Err(error) => format!("{} {}", error.code(), error.message()),
        };
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn texts_are_read_and_shown_as_postgresql_does() {
        check("192.168.1.226/24", false, "192.168.1.226/24");
        check("10.1.2.3/32", false, "10.1.2.3");
        check("10/8", false, "10.0.0.0/8");
        check("10", false, "22P02 invalid input syntax for type inet: \"10\"");
        check("10/32", false, "22P02 invalid input syntax for type inet: \"10/32\"");
        check("1.2.3.256", false, "22P02 invalid input syntax for type inet: \"1.2.3.256\"");
        check("192.168.1", true, "192.168.1.0/24");
        check("10", true, "10.0.0.0/8");
        check("224.1", true, "224.1.0.0/16");
        check("192.168.1.2/30", true, "22P02 invalid cidr value: \"192.168.1.2/30\"");
        check("10:23::8000/113", true, "10:23::8000/113");
        check("::ffff:1.2.3.4", false, "::ffff:1.2.3.4");
        check("::4.3.2.1/24", false, "::4.3.2.1/24");
        check("0:0:1:0:0:0:0:0", false, "0:0:1::");
        check("::", false, "::");
        check("::1", false, "::1");
        check("1::/08", false, "22P02 invalid input syntax for type inet: \"1::/08\"");
    }
}
