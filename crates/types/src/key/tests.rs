use super::*;
use crate::Record;
use crate::compare::{compare, compare_ordered};
use crate::datetime::Interval;
use proptest::prelude::*;
use std::cmp::Ordering;

fn int8s() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), -300i64..300, Just(i64::MIN), Just(i64::MAX)]
}

fn floats() -> impl Strategy<Value = f64> {
    let special =
        [0.0, -0.0, f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, 5e-324, -5e-324];
    prop_oneof![any::<f64>(), (-20i32..20).prop_map(f64::from), proptest::sample::select(special.to_vec())]
}

fn numerics() -> impl Strategy<Value = Numeric> {
    let parse = |text: String| Numeric::parse(&text).unwrap();
    prop_oneof![
        (int8s(), 0u16..25).prop_map(|(mantissa, scale)| Numeric::Small { mantissa, scale }),
        (-12i64..12, 0u16..4).prop_map(|(mantissa, scale)| Numeric::Small { mantissa, scale }),
        "-?[0-9]{1,50}(\\.[0-9]{0,40})?".prop_map(parse),
        "-?[1-9]0{0,6}e-?[0-9]{1,3}".prop_map(parse),
        proptest::sample::select(vec![Numeric::NaN, Numeric::PosInfinity, Numeric::NegInfinity]),
    ]
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof!["[ab\\x01\u{0}\u{7f}é ]{0,6}", ".{0,12}"]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(prop_oneof![Just(0u8), Just(1), Just(0xFE), Just(0xFF), any::<u8>()], 0..6)
}

fn element() -> impl Strategy<Value = Datum> {
    prop_oneof![4 => (-3i32..3).prop_map(Datum::Int4), 1 => Just(Datum::Null)]
}

fn arrays() -> impl Strategy<Value = Datum> {
    let flat = (proptest::collection::vec(element(), 0..4), 0..3i32).prop_map(|(values, lower)| {
        let mut array = Array::from_values(oid::INT4, values);
        array.dims.iter_mut().for_each(|d| d.lower = lower);
        array
    });
    let square = (proptest::collection::vec(element(), 4), any::<bool>()).prop_map(|(values, wide)| {
        let lengths = if wide { [1, 4] } else { [2, 2] };
        let dims = lengths.map(|len| Dimension { len, lower: 1 }).to_vec();
        Array { element: oid::INT4, dims, values }
    });
    prop_oneof![flat, square].prop_map(|array| Datum::Array(Arc::new(array)))
}

fn records() -> impl Strategy<Value = Datum> {
    (element(), texts(), arrays()).prop_map(|(a, b, c)| {
        let types = vec![SqlType::INT4, SqlType::TEXT, SqlType::new(oid::INT4_ARRAY)];
        Datum::Record(Arc::new(Record { types, names: vec![], values: vec![a, Datum::text(b), c] }))
    })
}

/// A type and two of its values, near one another often enough to meet the edges.
fn pairs() -> impl Strategy<Value = (SqlType, Datum, Datum)> {
    fn pair<V: std::fmt::Debug + 'static>(
        ty: SqlType,
        values: impl Strategy<Value = V> + 'static,
        datum: impl Fn(V) -> Datum + Copy + 'static,
    ) -> BoxedStrategy<(SqlType, Datum, Datum)> {
        let values = values.boxed();
        let or_null = move |values: BoxedStrategy<V>| prop_oneof![12 => values.prop_map(datum), 1 => Just(Datum::Null)];
        (or_null(values.clone()), or_null(values)).prop_map(move |(a, b)| (ty, a, b)).boxed()
    }
    let interval = (-3i32..3, -90i32..90, -3i64..3).prop_map(|(months, days, half_days)| Interval {
        months,
        days,
        micros: half_days * 43_200_000_000,
    });
    let any_interval =
        (any::<i32>(), any::<i32>(), any::<i64>()).prop_map(|(months, days, micros)| Interval { months, days, micros });
    let timetz =
        (0i64..4, -2i32..3).prop_map(|(hour, zone)| TimeTz { micros: hour * 3_600_000_000, zone_west_s: zone * 3_600 });
    proptest::strategy::Union::new([
        pair(SqlType::BOOL, any::<bool>(), Datum::Bool),
        pair(SqlType::INT2, any::<i16>(), Datum::Int2),
        pair(SqlType::INT4, any::<i32>(), Datum::Int4),
        pair(SqlType::INT8, int8s(), Datum::Int8),
        pair(SqlType::new(oid::PG_LSN), int8s(), Datum::Int8),
        pair(SqlType::FLOAT4, floats(), |v| Datum::Float4(v as f32)),
        pair(SqlType::FLOAT8, floats(), Datum::Float8),
        pair(SqlType::NUMERIC, numerics(), Datum::Numeric),
        pair(SqlType::TEXT, texts(), Datum::text),
        pair(SqlType::BPCHAR, texts(), Datum::text),
        pair(SqlType::NAME, texts(), Datum::text),
        pair(SqlType::BYTEA, bytes(), Datum::bytea),
        pair(SqlType::DATE, any::<i32>(), Datum::Date),
        pair(SqlType::TIME, int8s(), Datum::Time),
        pair(SqlType::TIMESTAMP, int8s(), Datum::Timestamp),
        pair(SqlType::TIMESTAMPTZ, int8s(), Datum::TimestampTz),
        pair(SqlType::TIMETZ, timetz, Datum::TimeTz),
        pair(SqlType::INTERVAL, prop_oneof![interval, any_interval], Datum::Interval),
        pair(SqlType::UUID, any::<[u8; 16]>(), Datum::Uuid),
        pair(SqlType::OID, any::<u32>(), Datum::Oid),
        pair(SqlType::new(oid::INT4_ARRAY), arrays(), |v| v),
        pair(SqlType::RECORD, records(), |v| v),
    ])
}

fn orders() -> impl Strategy<Value = KeyOrder> {
    (any::<bool>(), any::<bool>()).prop_map(|(descending, nulls_first)| KeyOrder { descending, nulls_first })
}

fn key(ty: SqlType, value: &Datum, order: KeyOrder) -> Vec<u8> {
    let mut out = Vec::new();
    encode(ty, value, order, &mut out);
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6_000, ..ProptestConfig::default() })]

    /// I1 and I2, and that equal values hash alike.
    #[test]
    fn byte_order_is_value_order((ty, a, b) in pairs(), order in orders()) {
        let (x, y) = (key(ty, &a, order), key(ty, &b, order));
        let expected = compare_ordered(ty, order, &a, &b);
        prop_assert_eq!(x.cmp(&y), expected, "{:?} {:?}", x, y);
        prop_assert_eq!(x.starts_with(&y), expected == Ordering::Equal);
        if expected == Ordering::Equal {
            prop_assert_eq!(crate::compare::hash(ty, &a, 7), crate::compare::hash(ty, &b, 7));
        }
    }

    /// Two columns in one key order as a row compares.
    #[test]
    fn concatenations_order_column_by_column(
        (ty, a, b) in pairs(), first in orders(), (other, c, d) in pairs(), second in orders()
    ) {
        let left = [key(ty, &a, first), key(other, &c, second)].concat();
        let right = [key(ty, &b, first), key(other, &d, second)].concat();
        let expected = compare_ordered(ty, first, &a, &b).then(compare_ordered(other, second, &c, &d));
        prop_assert_eq!(left.cmp(&right), expected);
    }

    #[test]
    fn skip_and_decode_end_where_the_value_ends((ty, a, b) in pairs(), order in orders()) {
        let bytes = [key(ty, &a, order), key(ty, &b, order)].concat();
        let mut input = bytes.as_slice();
        skip(ty, order, &mut input)?;
        prop_assert_eq!(input, key(ty, &b, order));
        let mut input = bytes.as_slice();
        if let Ok(decoded) = decode(ty, order, &mut input) {
            prop_assert_eq!(input, key(ty, &b, order));
            prop_assert_eq!(compare(ty, &decoded, &a), Ordering::Equal);
            if is_decodable(ty) {
                prop_assert_eq!(format!("{decoded:?}"), format!("{a:?}"));
            }
        } else {
            prop_assert!(!is_decodable(ty));
        }
    }

    #[test]
    fn no_bytes_panic(bytes in bytes(), (ty, a, _) in pairs(), order in orders(), cut in 0usize..20) {
        let mut long = bytes.clone();
        long.insert(0, TAG_VALUE);
        let own = key(ty, &a, order);
        for input in [&bytes, &long, &own[..cut.min(own.len())].to_vec()] {
            let _ = decode(ty, order, &mut input.as_slice());
            let _ = skip(ty, order, &mut input.as_slice());
        }
    }
}

/// These bytes are on disks.
#[test]
fn the_form_is_what_it_always_was() {
    let numeric = |text: &str| Datum::Numeric(Numeric::parse(text).unwrap());
    let check = |ty: SqlType, value: Datum, expected: &[u8]| assert_eq!(key(ty, &value, KeyOrder::ASC), expected);
    check(SqlType::INT4, Datum::Int4(-1), &[0x80, 0x7F, 0xFF, 0xFF, 0xFF]);
    check(SqlType::NUMERIC, numeric("12345.60"), &[0x80, 4, 0x80, 0x01, 1, 2, 24, 46, 61, 0]);
    check(SqlType::NUMERIC, numeric("-1"), &[0x80, 2, 0x7F, 0xFF, 0xFE, 0xFD, 0xFF]);
    check(SqlType::TEXT, Datum::text("a\0b"), &[0x80, b'a', 0, 0xFF, b'b', 0, 0]);
    assert_eq!(key(SqlType::INT4, &Datum::Null, KeyOrder::DESC), [0]);
    assert_eq!(slot(b"hyrax"), 430);
}
