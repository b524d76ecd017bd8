//! `inet` and `cidr`: an address with the length of its network's prefix; and in `mac` the hardware addresses.
//!
//! A value is a `Datum::Bytea` whose bytes compare as PostgreSQL orders networks (family, then the common bits of the prefix,
//! then its length, then the whole address), so that sorts, keys and hashes need to know nothing of it:
//!
//! ```text
//! [family: 2 or 3][prefix: each bit as 01 or 10, then 00, padded][bits: u8][address: 4 or 16 bytes]
//! ```
//!
//! A prefix that is the beginning of another one ends in 00 where the other goes on, and so comes first.

pub mod mac;
mod text;

use crate::Datum;

/// The family's byte, as PostgreSQL sends it.
const V4: u8 = 2;
const V6: u8 = 3;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    pub is_v6: bool,
    /// Length of the prefix.
    pub bits: u8,
    /// The first four bytes are an IPv4 address.
    pub address: [u8; 16],
}

impl Network {
    pub fn new(is_v6: bool, address: [u8; 16], bits: u8) -> Network {
        Network { is_v6, bits, address }
    }

    /// The value of an end of a connection, as the host names it; NULL for what is no address. The zone of a link-local one
    /// is left out, as `inet` has no place for it.
    pub fn of_host(text: &str) -> Datum {
        let address = text.split_once('%').map_or(text, |(address, _)| address);
        Network::parse(address, false).map_or(Datum::Null, Network::to_datum)
    }

    /// Bits of an address of this family.
    pub fn bits_max(&self) -> u8 {
        if self.is_v6 { 128 } else { 32 }
    }

    pub fn bytes(&self) -> &[u8] {
        if self.is_v6 { &self.address } else { &self.address[..4] }
    }

    /// 4 or 6.
    pub fn version(&self) -> i32 {
        if self.is_v6 { 6 } else { 4 }
    }

    /// The address with each byte and the mask's byte there put through `change`.
    fn mapped(&self, bits: u8, change: impl Fn(u8, u8) -> u8) -> Network {
        let mut address = self.address;
        let size = self.bytes().len();
        for (index, byte) in address.iter_mut().take(size).enumerate() {
            let inside = usize::from(bits).saturating_sub(index * 8).min(8);
            let mask = u8::try_from(0xff_u16 << (8 - inside) & 0xff).unwrap_or(0xff);
            *byte = change(*byte, mask);
        }
        Network { address, ..*self }
    }

    /// With the bits behind the prefix cleared.
    pub fn network(&self) -> Network {
        self.mapped(self.bits, |byte, mask| byte & mask)
    }

    /// With the bits behind the prefix set.
    pub fn broadcast(&self) -> Network {
        self.mapped(self.bits, |byte, mask| byte | !mask)
    }

    pub fn netmask(&self) -> Network {
        Network { bits: self.bits_max(), ..self.mapped(self.bits, |_, mask| mask) }
    }

    pub fn hostmask(&self) -> Network {
        Network { bits: self.bits_max(), ..self.mapped(self.bits, |_, mask| !mask) }
    }

    /// Whether no bit behind the prefix is set, as `cidr` demands.
    pub fn is_pure(&self) -> bool {
        self.network().address == self.address
    }

    /// Whether the first `bits` bits of both are the same.
    pub fn shares(&self, other: &Network, bits: u8) -> bool {
        let cut = |n: &Network| n.mapped(bits, |byte, mask| byte & mask).address;
        self.is_v6 == other.is_v6 && cut(self) == cut(other)
    }

    pub fn to_datum(self) -> Datum {
        let max = usize::from(self.bits_max());
        let mut out = Vec::with_capacity(2 + (2 * max + 2).div_ceil(8) + max / 8);
        out.push(if self.is_v6 { V6 } else { V4 });
        let start = out.len();
        out.resize(start + (2 * max + 2).div_ceil(8), 0);
        for bit in 0..usize::from(self.bits) {
            let is_set = self.address[bit / 8] >> (7 - bit % 8) & 1;
            // The pair's first bit for a 1, its second for a 0.
            let place = 2 * bit + usize::from(is_set == 0);
            out[start + place / 8] |= 0x80 >> (place % 8);
        }
        out.push(self.bits);
        out.extend_from_slice(self.bytes());
        Datum::bytea(&out[..])
    }

    /// The value that `to_datum` made; None for other bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Network> {
        let is_v6 = *bytes.first()? == V6;
        let size = if is_v6 { 16 } else { 4 };
        let at = bytes.len().checked_sub(size + 1)?;
        let mut address = [0; 16];
        address[..size].copy_from_slice(bytes.get(at + 1..)?);
        Some(Network { is_v6, bits: *bytes.get(at)?, address })
    }

    /// PostgreSQL's binary form.
    pub fn send(&self, is_cidr: bool, out: &mut Vec<u8>) {
        let size = u8::try_from(self.bytes().len()).unwrap_or(16);
        out.extend_from_slice(&[if self.is_v6 { V6 } else { V4 }, self.bits, u8::from(is_cidr), size]);
        out.extend_from_slice(self.bytes());
    }

    /// None where the bytes are not what `send` makes.
    pub fn receive(bytes: &[u8], is_cidr: bool) -> Option<Network> {
        let ([family, bits, _, size], rest) = bytes.split_first_chunk::<4>()?;
        let wanted = match *family {
            V4 => 4,
            V6 => 16,
            _ => return None,
        };
        if usize::from(*size) != wanted || rest.len() != wanted {
            return None;
        }
        let mut address = [0; 16];
        address[..wanted].copy_from_slice(rest);
        let network = Network { is_v6: *family == V6, bits: *bits, address };
        (*bits <= network.bits_max() && (!is_cidr || network.is_pure())).then_some(network)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inet(text: &str) -> Network {
        Network::parse(text, false).unwrap()
    }

    #[test]
    fn bytes_compare_as_networks_do() {
        // As PostgreSQL 15 sorts them.
        let sorted = [
            "0.0.0.0/0",
            "9.1.2.3",
            "10.0.0.0/8",
            "10.1.2.3/8",
            "10.1.2.3/9",
            "10.1.0.0/16",
            "10.1.2.3/16",
            "10.1.2.3/24",
            "10.1.2.3",
            "10.1.2.4",
            "11.1.2.3/8",
            "192.168.1.0/24",
            "::/0",
            "::1",
            "10:23::f1/64",
            "10:23::ffff",
        ];
        let keys: Vec<Datum> = sorted.iter().map(|text| inet(text).to_datum()).collect();
        for pair in keys.windows(2) {
            assert!(pair[0].as_bytes() < pair[1].as_bytes());
        }
        for (text, key) in sorted.iter().zip(&keys) {
            assert_eq!(Network::from_bytes(key.as_bytes()), Some(inet(text)));
        }
    }

    #[test]
    fn masks_follow_the_prefix() {
        let shown = |n: Network| n.inet_text();
        let net = inet("192.168.1.226/20");
        assert_eq!(shown(net.network()), "192.168.0.0/20");
        assert_eq!(shown(net.broadcast()), "192.168.15.255/20");
        assert_eq!(shown(net.netmask()), "255.255.240.0");
        assert_eq!(shown(net.hostmask()), "0.0.15.255");
    }

    #[test]
    fn the_binary_form_is_postgresqls() {
        let mut out = vec![];
        inet("10.1.2.3/8").send(false, &mut out);
        assert_eq!(out, [2, 8, 0, 4, 10, 1, 2, 3]);
        assert_eq!(Network::receive(&out, false), Some(inet("10.1.2.3/8")));
        assert_eq!(Network::receive(&out, true), None);
    }
}
