use super::*;
use crate::array::Array;
use crate::numeric::Numeric;
use crate::{Record, oid};
use proptest::prelude::*;

fn number(mantissa: i64, scale: u16) -> Datum {
    Datum::Numeric(Numeric::Small { mantissa, scale })
}

/// Every representation, with a type that has it.
fn samples() -> Vec<(SqlType, Datum)> {
    let ints = Array::from_values(oid::INT4, vec![Datum::Int4(1), Datum::Null, Datum::Int4(-3)]);
    let record = Record {
        types: vec![SqlType::INT4, SqlType::TEXT],
        names: vec!["a".into(), "b".into()],
        values: vec![Datum::Int4(7), Datum::text("x")],
    };
    vec![
        (SqlType::BOOL, Datum::Bool(true)),
        (SqlType::INT2, Datum::Int2(-2)),
        (SqlType::INT4, Datum::Int4(i32::MIN)),
        (SqlType::INT8, Datum::Int8(i64::MAX)),
        (SqlType::FLOAT4, Datum::Float4(-0.5)),
        (SqlType::FLOAT8, Datum::Float8(1e300)),
        (SqlType::NUMERIC, number(1250, 2)),
        (SqlType::NUMERIC, number(-1, 100)),
        (SqlType::NUMERIC, number(i64::MIN, 0)),
        (SqlType::NUMERIC, number(0, 3)),
        (SqlType::NUMERIC, number(-128, 63)),
        (SqlType::TEXT, Datum::text("")),
        (SqlType::TEXT, Datum::text("grün und lang genug, um nicht im Wort zu stehen")),
        (SqlType::BYTEA, Datum::bytea([0_u8, 255])),
        (SqlType::DATE, Datum::Date(i32::MAX)),
        (SqlType::TIME, Datum::Time(86_400_000_000)),
        (SqlType::TIMETZ, Datum::TimeTz(TimeTz { micros: 1, zone_west_s: -3600 })),
        (SqlType::TIMESTAMP, Datum::Timestamp(-5)),
        (SqlType::TIMESTAMPTZ, Datum::TimestampTz(i64::MIN)),
        (SqlType::INTERVAL, Datum::Interval(Interval { months: 1, days: -2, micros: 3 })),
        (SqlType::UUID, Datum::Uuid([9; 16])),
        (SqlType::JSONB, Datum::Jsonb(Jsonb::parse(r#"{"b": [1.50, null], "a": "x"}"#).expect("it is JSON"))),
        (SqlType::new(oid::REGCLASS), Datum::Oid(1259)),
        (SqlType::new(oid::INT4_ARRAY), Datum::Array(Arc::new(ints))),
        (SqlType::new(oid::FIRST_USER_OID), Datum::Record(Arc::new(record))),
    ]
}

fn shown(value: &Datum) -> String {
    match value {
        Datum::Jsonb(json) => json.as_ref().to_text(),
        other => format!("{other:?}"),
    }
}

#[test]
fn every_type_comes_back() {
    let (types, values): (Vec<SqlType>, Vec<Datum>) = samples().into_iter().unzip();
    let layout = RowLayout::new(3, types);
    let tail = Jsonb::parse(r#"{"free": 1}"#).expect("it is JSON");
    let mut bytes = vec![0xaa; 5];
    encode(&layout, 16_383, &values, Some(&tail), &mut bytes);
    let row = RowView::new(&layout, &bytes[5..]).expect("the row was just written");
    assert_eq!(row.slot(), 16_383);
    assert_eq!(RowView::schema_version(&bytes[5..]).expect("a header"), 3);
    for (index, value) in values.iter().enumerate() {
        assert_eq!(shown(&row.column(index).expect("a good column")), shown(value));
    }
    assert_eq!(row.tail().map(|t| t.as_ref().to_text()).as_deref(), Some(r#"{"free": 1}"#));
    assert_eq!(row.tail_ref().and_then(|t| t.get("free")).map(|v| v.to_text()).as_deref(), Some("1"));
}

#[test]
fn typed_access_reads_what_column_reads() {
    let types = vec![SqlType::INT4, SqlType::INT8, SqlType::FLOAT8, SqlType::TEXT, SqlType::BYTEA, SqlType::BOOL];
    let layout = RowLayout::new(0, types);
    let values =
        [Datum::Int4(-7), Datum::Null, Datum::Float8(2.5), Datum::text("abc"), Datum::bytea([1_u8]), Datum::Bool(true)];
    let mut bytes = Vec::new();
    encode(&layout, 0, &values, None, &mut bytes);
    let row = RowView::new(&layout, &bytes).expect("a good row");
    assert_eq!((row.int(0), row.int(1), row.int(3)), (Some(-7), None, None));
    assert_eq!(
        (row.float(2), row.str(3), row.bytes(4), row.bool(5)),
        (Some(2.5), Some("abc"), Some(&[1_u8][..]), Some(true))
    );
    let mut out = Vec::new();
    let format = FormatSettings::default();
    row.write_text(0, SqlType::INT4, &format, &mut out).expect("text");
    row.write_text(3, SqlType::TEXT, &format, &mut out).expect("text");
    row.write_binary(0, SqlType::INT4, &FormatSettings::default(), &mut out).expect("binary");
    assert_eq!(out, b"-7abc\xff\xff\xff\xf9");
    assert!(row.tail().is_none());
}

#[test]
fn a_long_row_gets_wide_ends() {
    let layout = RowLayout::new(0, vec![SqlType::TEXT, SqlType::INT4, SqlType::TEXT]);
    let long = "x".repeat(70_000);
    let values = [Datum::text(long.as_str()), Datum::Int4(5), Datum::text("end")];
    let mut bytes = Vec::new();
    encode(&layout, 1, &values, None, &mut bytes);
    let row = RowView::new(&layout, &bytes).expect("a good row");
    assert_eq!((row.str(0), row.int(1), row.str(2)), (Some(long.as_str()), Some(5), Some("end")));
}

#[test]
fn another_schema_version_or_format_is_refused() {
    let layout = RowLayout::new(1, vec![SqlType::INT4]);
    let mut bytes = Vec::new();
    encode(&layout, 0, &[Datum::Int4(1)], None, &mut bytes);
    assert!(RowView::new(&RowLayout::new(2, vec![SqlType::INT4]), &bytes).is_err());
    bytes[0] = 9;
    let error = RowView::new(&layout, &bytes).err().expect("a row of another format");
    assert_eq!(error.code(), SqlState::DATA_CORRUPTED);
}

proptest! {
    #[test]
    fn rows_round_trip(picks in prop::collection::vec((0_usize..25, any::<bool>()), 0..40)) {
        let samples = samples();
        let (types, values): (Vec<SqlType>, Vec<Datum>) = picks
            .iter()
            .map(|(pick, is_null)| {
                let (ty, value) = samples[pick % samples.len()].clone();
                (ty, if *is_null { Datum::Null } else { value })
            })
            .unzip();
        let layout = RowLayout::new(7, types);
        let mut bytes = Vec::new();
        encode(&layout, 1, &values, None, &mut bytes);
        let row = RowView::new(&layout, &bytes).expect("the row was just written");
        for (index, value) in values.iter().enumerate() {
            prop_assert_eq!(row.is_null(index), value.is_null());
            prop_assert_eq!(shown(&row.column(index).expect("a good column")), shown(value));
        }
    }

    /// I4: whatever is done to the bytes, reading gives a value or XX001.
    #[test]
    fn damage_is_an_error_or_another_value(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8), cut in any::<prop::sample::Index>()) {
        let (types, values): (Vec<SqlType>, Vec<Datum>) = samples().into_iter().unzip();
        let layout = RowLayout::new(7, types.clone());
        let tail = Jsonb::parse(r#"{"free": [1, {"x": "y"}]}"#).expect("it is JSON");
        let mut bytes = Vec::new();
        encode(&layout, 1, &values, Some(&tail), &mut bytes);
        for (at, byte) in &changes {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        if changes.len() % 2 == 0 {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(row) = RowView::new(&layout, &bytes) {
            let format = FormatSettings::default();
            let mut out = Vec::new();
            for (index, ty) in types.iter().enumerate() {
                let _ = row.column(index);
                // A damaged date may be beyond any calendar; what types print is theirs to test.
                if !matches!(layout.fields[index].kind, Kind::Date | Kind::Time | Kind::TimeTz | Kind::Timestamp | Kind::TimestampTz | Kind::Interval) {
                    let _ = row.write_text(index, *ty, &format, &mut out);
                }
                let _ = (row.int(index), row.float(index), row.str(index), row.json(index).map(|j| j.to_text()));
            }
            let _ = row.tail().map(|t| t.as_ref().to_text());
        }
    }
}
