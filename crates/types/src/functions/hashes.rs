//! PostgreSQL's own hash functions by name: `hashtext('x')` as the key of an advisory lock is the usual caller.
//!
//! The bytes go through Bob Jenkins' public `lookup3` with PostgreSQL's start values; the "extended" forms take a seed and
//! give 64 bits, the lower half of which is the plain hash where the seed is 0. What hashes alike across types there
//! (integers, floats) does here. Nothing else in Hyrax uses these.

use super::{ScalarFn, arg_type};
use crate::compare::{interval_order, without_blanks};
use crate::network::Network;
use crate::numeric::Numeric;
use crate::{CallContext, Datum, Result, SqlError, SqlState, SqlType, oid, stop, typename};

/// Twelve bytes that go into a hash.
const CHUNK_WORK: usize = 12;

/// The state of `lookup3`.
struct Mixer {
    a: u32,
    b: u32,
    c: u32,
}

impl Mixer {
    fn new(size: usize, seed: Option<u64>) -> Mixer {
        // The golden ratio, and a number that PostgreSQL adds.
        let start = 0x9e37_79b9_u32.wrapping_add(size as u32).wrapping_add(3_923_095);
        let mut mixer = Mixer { a: start, b: start, c: start };
        if let Some(seed) = seed.filter(|seed| *seed != 0) {
            mixer.a = mixer.a.wrapping_add((seed >> 32) as u32);
            mixer.b = mixer.b.wrapping_add(seed as u32);
            mixer.mix();
        }
        mixer
    }

    fn mix(&mut self) {
        let Mixer { a, b, c } = self;
        for (shift_a, shift_b, shift_c) in [(4, 6, 8), (16, 19, 4)] {
            *a = a.wrapping_sub(*c) ^ c.rotate_left(shift_a);
            *c = c.wrapping_add(*b);
            *b = b.wrapping_sub(*a) ^ a.rotate_left(shift_b);
            *a = a.wrapping_add(*c);
            *c = c.wrapping_sub(*b) ^ b.rotate_left(shift_c);
            *b = b.wrapping_add(*a);
        }
    }

    /// The upper half is of use only with a seed.
    fn finish(mut self) -> u64 {
        let Mixer { a, b, c } = &mut self;
        *c = (*c ^ *b).wrapping_sub(b.rotate_left(14));
        *a = (*a ^ *c).wrapping_sub(c.rotate_left(11));
        *b = (*b ^ *a).wrapping_sub(a.rotate_left(25));
        *c = (*c ^ *b).wrapping_sub(b.rotate_left(16));
        *a = (*a ^ *c).wrapping_sub(c.rotate_left(4));
        *b = (*b ^ *a).wrapping_sub(a.rotate_left(14));
        *c = (*c ^ *b).wrapping_sub(b.rotate_left(24));
        u64::from(*b) << 32 | u64::from(*c)
    }
}

fn of_bytes(bytes: &[u8], seed: Option<u64>) -> Result<u64> {
    let mut mixer = Mixer::new(bytes.len(), seed);
    let (whole, rest) = bytes.as_chunks::<12>();
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
    for chunk in stop::each(whole.iter(), CHUNK_WORK) {
        let chunk = chunk?;
        mixer.a = mixer.a.wrapping_add(word(&chunk[..4]));
        mixer.b = mixer.b.wrapping_add(word(&chunk[4..8]));
        mixer.c = mixer.c.wrapping_add(word(&chunk[8..]));
        mixer.mix();
    }
    let part = |from: usize, to: usize| word(rest.get(from.min(rest.len())..to.min(rest.len())).unwrap_or_default());
    mixer.a = mixer.a.wrapping_add(part(0, 4));
    mixer.b = mixer.b.wrapping_add(part(4, 8));
    // The lowest byte of the last word is the length's.
    mixer.c = mixer.c.wrapping_add(part(8, 12) << 8);
    Ok(mixer.finish())
}

fn of_u32(value: u32, seed: Option<u64>) -> u64 {
    let mut mixer = Mixer::new(size_of::<u32>(), seed);
    mixer.a = mixer.a.wrapping_add(value);
    mixer.finish()
}

/// As the 32-bit hash of the same number, if it is that small.
fn of_i64(value: i64, seed: Option<u64>) -> u64 {
    let high = (value >> 32) as u32;
    of_u32(value as u32 ^ if value >= 0 { high } else { !high }, seed)
}

fn of_f64(value: f64, seed: Option<u64>) -> Result<u64> {
    if value == 0.0 {
        return Ok(seed.unwrap_or(0));
    }
    let value = if value.is_nan() { f64::NAN } else { value };
    of_bytes(&value.to_le_bytes(), seed)
}

fn of_numeric(value: &Numeric, seed: Option<u64>) -> Result<u64> {
    if value.is_nan() || value.is_infinite() {
        return Ok(seed.unwrap_or(0));
    }
    let (groups, weight) = value.groups();
    if groups.is_empty() {
        return Ok(seed.map_or(u64::MAX, |seed| seed.wrapping_sub(1)));
    }
    let bytes: Vec<u8> = groups.iter().flat_map(|group| group.to_le_bytes()).collect();
    Ok(of_bytes(&bytes, seed)? ^ i64::from(weight) as u64)
}

/// The items' hashes put together, each after a multiplication by 31.
fn of_items<'v>(items: impl Iterator<Item = (SqlType, &'v Datum)>, start: u64, seed: Option<u64>) -> Result<u64> {
    let mut result = start;
    for item in stop::each(items, CHUNK_WORK) {
        let (ty, value) = item?;
        let hash = if value.is_null() { 0 } else { of(ty, value, seed)? };
        // The plain form is computed in 32 bits.
        let hash = if seed.is_none() { hash & u64::from(u32::MAX) } else { hash };
        result = (result << 5).wrapping_sub(result).wrapping_add(hash);
    }
    Ok(result)
}

/// The hash of a value, as the default hash operator class of its type has it.
fn of(ty: SqlType, value: &Datum, seed: Option<u64>) -> Result<u64> {
    Ok(match value {
        Datum::Bool(value) => of_u32(u32::from(*value), seed),
        Datum::Int2(value) => of_u32(i32::from(*value) as u32, seed),
        Datum::Int4(value) | Datum::Date(value) => of_u32(*value as u32, seed),
        Datum::Oid(value) => of_u32(*value, seed),
        Datum::Int8(value) | Datum::Time(value) | Datum::Timestamp(value) | Datum::TimestampTz(value) => {
            of_i64(*value, seed)
        }
        Datum::Float4(value) => of_f64(f64::from(*value), seed)?,
        Datum::Float8(value) => of_f64(*value, seed)?,
        Datum::Numeric(value) => of_numeric(value, seed)?,
        Datum::Text(text) if ty.oid == oid::CHAR => {
            of_u32(text.bytes().next().map_or(0, |byte| i32::from(byte as i8) as u32), seed)
        }
        Datum::Text(text) if ty.oid == oid::BPCHAR => of_bytes(without_blanks(text).as_bytes(), seed)?,
        Datum::Text(text) => of_bytes(text.as_bytes(), seed)?,
        Datum::Uuid(bytes) => of_bytes(bytes, seed)?,
        Datum::TimeTz(value) => of_i64(value.micros, seed) ^ of_u32(value.zone_west_s as u32, seed),
        Datum::Interval(value) => of_i64(interval_order(*value) as i64, seed),
        Datum::Bytea(bytes) => match Network::from_bytes(bytes).filter(|_| matches!(ty.oid, oid::INET | oid::CIDR)) {
            Some(network) => {
                let mut stored = vec![if network.is_v6 { 3 } else { 2 }, network.bits];
                stored.extend_from_slice(network.bytes());
                of_bytes(&stored, seed)?
            }
            None => of_bytes(bytes, seed)?,
        },
        Datum::Array(array) if ty.oid == oid::OIDVECTOR => {
            let bytes: Vec<u8> = array.values.iter().flat_map(|v| v.as_oid().to_le_bytes()).collect();
            of_bytes(&bytes, seed)?
        }
        Datum::Array(array) => {
            let element = SqlType::new(array.element);
            of_items(array.values.iter().map(|value| (element, value)), 1, seed)?
        }
        Datum::Record(record) => of_items(record.types.iter().copied().zip(&record.values), 0, seed)?,
        Datum::Jsonb(_) | Datum::Null => {
            let message = format!("could not identify a hash function for type {}", typename::display(ty));
            return Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, message));
        }
    })
}

fn plain(context: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    of(arg_type(context, 0), &args[0], None).map(|hash| Datum::Int4(hash as u32 as i32))
}

fn seeded(context: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    of(arg_type(context, 0), &args[0], Some(args[1].as_i64() as u64)).map(|hash| Datum::Int8(hash as i64))
}

pub const PLAIN: &[(&str, ScalarFn)] = &[
    ("hashint2", plain),
    ("hashint4", plain),
    ("hashint8", plain),
    ("hashoid", plain),
    ("hashoidvector", plain),
    ("hashfloat4", plain),
    ("hashfloat8", plain),
    ("hash_numeric", plain),
    ("hashchar", plain),
    ("hashname", plain),
    ("hashtext", plain),
    ("hashbpchar", plain),
    ("hashmacaddr", plain),
    ("hashmacaddr8", plain),
    ("hashinet", plain),
    ("hash_array", plain),
    ("hash_record", plain),
    ("time_hash", plain),
    ("timetz_hash", plain),
    ("timestamp_hash", plain),
    ("interval_hash", plain),
    ("uuid_hash", plain),
    ("pg_lsn_hash", plain),
];

pub const SEEDED: &[(&str, ScalarFn)] = &[
    ("hashint2extended", seeded),
    ("hashint4extended", seeded),
    ("hashint8extended", seeded),
    ("hashoidextended", seeded),
    ("hashoidvectorextended", seeded),
    ("hashfloat4extended", seeded),
    ("hashfloat8extended", seeded),
    ("hash_numeric_extended", seeded),
    ("hashcharextended", seeded),
    ("hashnameextended", seeded),
    ("hashtextextended", seeded),
    ("hashbpcharextended", seeded),
    ("hashmacaddrextended", seeded),
    ("hashmacaddr8extended", seeded),
    ("hashinetextended", seeded),
    ("hash_array_extended", seeded),
    ("hash_record_extended", seeded),
    ("time_hash_extended", seeded),
    ("timetz_hash_extended", seeded),
    ("timestamp_hash_extended", seeded),
    ("interval_hash_extended", seeded),
    ("uuid_hash_extended", seeded),
    ("pg_lsn_hash_extended", seeded),
];

#[cfg(test)]
mod tests {
    use crate::functions::test_support::call;

    /// As PostgreSQL 15 answers.
    #[test]
    fn hashes_are_postgresqls() {
        for (symbol, args, expected) in [
            ("hashtext", &["text:abc"][..], "-785388649"),
            ("hashtext", &["text:"], "-1477818771"),
            ("hashtext", &["text:hello world, this is long"], "-1137652777"),
            ("hashtextextended", &["text:abc", "int8:0"], "-6747756470228489321"),
            ("hashtextextended", &["text:abc", "int8:7"], "1967049030278966041"),
            ("hashtextextended", &["text:twelve bytes", "int8:-1"], "-2842946457677575389"),
            ("hashint4", &["int4:-1"], "385747274"),
            ("hashint8", &["int8:-1"], "385747274"),
            ("hashint8", &["int8:12345678901234"], "-336417066"),
            ("hashint8extended", &["int8:-5", "int8:3"], "4566310048417840633"),
            ("hashfloat8", &["float8:1.5"], "630860146"),
            ("hashfloat4", &["float4:1.5"], "630860146"),
            ("hashfloat8", &["float8:NaN"], "-1275764840"),
            ("hashfloat8extended", &["float8:0", "int8:9"], "9"),
            ("hash_numeric", &["numeric:123.4500"], "258302971"),
            ("hash_numeric", &["numeric:0"], "-1"),
            ("hash_numeric", &["numeric:0.00012"], "1267246686"),
            ("hash_numeric_extended", &["numeric:123.45", "int8:5"], "6866336061372600872"),
            ("hash_array", &["int4[]:{1,2,NULL}"], "-297298961"),
            ("hash_array_extended", &["int4[]:{1,2}", "int8:3"], "767507061441494476"),
            ("hash_array", &["text[]:{a,b}"], "-1103066928"),
            ("timetz_hash", &["timetz:10:20+02"], "-1061453221"),
            ("interval_hash", &["interval:1 month"], "1574789525"),
            ("uuid_hash", &["uuid:a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"], "1154666245"),
            ("hashinet", &["inet:10.1.2.3/8"], "1966931979"),
            ("hashmacaddr", &["macaddr:08:00:2b:01:02:03"], "294987870"),
            ("hashbpchar", &["bpchar:ab  "], "1718550461"),
        ] {
            assert_eq!(call(symbol, args).unwrap(), expected, "{symbol} {args:?}");
        }
    }
}
