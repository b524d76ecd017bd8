//! COPY in and out: what PostgreSQL 15 answers to the same bytes.

use super::support::*;
use crate::copy::{CopyIn, CopyOut};
use catalog::{Object, Relation};
use sql::utility::{CopyFormat, CopyHeader, CopyKind};
use std::sync::Arc;
use txn::Isolation;
use types::text::encoding::Encoding;
use types::{Result, SqlType};

fn format(kind: CopyKind) -> CopyFormat {
    let is_csv = kind == CopyKind::Csv;
    CopyFormat {
        freeze: false,
        kind,
        delimiter: if is_csv { b',' } else { b'\t' },
        null: if is_csv { String::new() } else { "\\N".to_owned() },
        encoding: Encoding::UTF8,
        quote: b'"',
        escape: b'"',
        header: CopyHeader::None,
        force_quote: vec![],
        force_not_null: vec![],
        force_null: vec![],
    }
}

fn t() -> Arc<Relation> {
    Arc::new(table(20_000, "t", &[("a", SqlType::INT4), ("b", SqlType::TEXT), ("c", SqlType::NUMERIC)]))
}

fn columns(relation: &Relation) -> Vec<(String, SqlType)> {
    relation.columns.iter().map(|c| (c.name.clone(), c.ty.into())).collect()
}

/// Copies the bytes in, `piece` at a time, and shows the table; or the error with its context.
async fn copied_in(data: &[u8], format: &CopyFormat, piece: usize) -> String {
    let t = t();
    let node = node(vec![Object::Relation((*t).clone())]).await;
    let txn = node.begin(Isolation::Serializable).await;
    txn.begin_statement().await.expect("begins");
    let mut plan = insert(target(&t, &[]), vec![]);
    plan.input.types = column_types(&t);
    let plan = Arc::new(insert_plan(plan));
    let load = async {
        let context = node.context(&txn, vec![]);
        let mut copy = CopyIn::new(plan, context, format, "t", &columns(&t), None)?;
        for piece in data.chunks(piece) {
            copy.push(piece).await?;
        }
        copy.finish().await
    };
    let result: Result<u64> = load.await;
    match result {
        Err(error) => {
            let context = error.fields().context.clone().unwrap_or_default();
            format!("{} | {context}", show_error(&error))
        }
        Ok(_) => {
            txn.commit().await.expect("commits");
            node.show(all(&t)).await
        }
    }
}

async fn check(kind: CopyKind, data: &[u8], expected: &str) {
    for piece in [1, 3, data.len().max(1)] {
        assert_eq!(copied_in(data, &format(kind), piece).await, expected, "{:?}", String::from_utf8_lossy(data));
    }
}

#[tokio::test]
async fn text_comes_in() {
    use CopyKind::Text;
    check(Text, b"1\tx\t2.50\n2\t\\N\t\\N\n", "1,x,2.50 2,NULL,NULL").await;
    check(Text, b"1\ta\\tb\\x41\\101\\q\t0\n\\.\nrubbish", "1,a\tbAAq,0").await;
    check(Text, b"1\tx\t2\r\n2\ty\t3\r\n", "1,x,2 2,y,3").await;
    check(Text, b"1\tx\t2", "1,x,2").await;
    check(Text, b"1\tx\n", "22P04 missing data for column \"c\" | COPY t, line 1: \"1\tx\"").await;
    check(
        Text,
        b"1\tx\t2\n1\tx\t2\t3\n",
        "22P04 extra data after last expected column | COPY t, line 2: \"1\tx\t2\t3\"",
    )
    .await;
    check(Text, b"x\tx\t2\n", "22P02 invalid input syntax for type integer: \"x\" | COPY t, line 1, column a: \"x\"")
        .await;
    check(
        Text,
        b"1\tx\t2\n2\ty\t2\n1\tx\t2\n",
        "23505 duplicate key value violates unique constraint \"t_pkey\" | Key (a)=(1) already exists. | COPY t, line 3",
    )
    .await;
    check(
        Text,
        b"1\t\xff\t2\n",
        "22021 invalid byte sequence for encoding \"UTF8\": 0xff | COPY t, line 1: \"1\t\u{fffd}\t2\"",
    )
    .await;
}

#[tokio::test]
async fn csv_comes_in() {
    use CopyKind::Csv;
    check(Csv, b"1,\"a,\"\"b\"\"\nc\",2\n2,,\n3,\"\",1\n", "1,a,\"b\"\nc,2 2,NULL,NULL 3,,1").await;
    check(Csv, b"1,\"abc,2\n\\.\n", "22P04 unterminated CSV quoted field | COPY t, line 1: \"1,\"abc,2\n\\.\n\"").await;
    let mut matching = format(Csv);
    matching.header = CopyHeader::Match;
    assert_eq!(copied_in(b"a,b,c\n1,x,2\n", &matching, 4).await, "1,x,2");
    assert_eq!(
        copied_in(b"a,c,b\n1,x,2\n", &matching, 4).await,
        "22P04 column name mismatch in header line field 2: got \"c\", expected \"b\" | COPY t, line 1: \"a,c,b\""
    );
}

/// What goes out in a format comes in as it was.
#[tokio::test]
async fn what_goes_out_comes_in() {
    let t = t();
    let node = node(vec![Object::Relation((*t).clone())]).await;
    let txn = node.begin(Isolation::Serializable).await;
    let context = node.context(&txn, vec![]);
    let rows = vec![
        vec![types::Datum::Int4(1), types::Datum::text("a\tb\\c\n\r,\"\u{8}é\\."), types::Datum::Null],
        vec![
            types::Datum::Int4(-2),
            types::Datum::text(""),
            types::Datum::Numeric(types::numeric::Numeric::from_i64(7)),
        ],
        vec![types::Datum::Int4(3), types::Datum::Null, types::Datum::Null],
    ];
    let batch = crate::Batch::from_rows(&column_types(&t), &rows);
    let expected =
        copied_in(b"-2\t\t7\n1\ta\\tb\\\\c\\n\\r,\"\\b\xc3\xa9\\\\.\t\\N\n3\t\\N\t\\N\n", &format(CopyKind::Text), 7)
            .await;
    for kind in [CopyKind::Text, CopyKind::Csv, CopyKind::Binary] {
        let mut bytes = vec![];
        let mut out = CopyOut::new(&format(kind), &columns(&t), false, context.clone());
        out.begin(&mut bytes).expect("begins");
        out.batch(&batch, &mut bytes).expect("writes");
        out.end(&mut bytes).expect("ends");
        for piece in [1, 5, 1000] {
            assert_eq!(copied_in(&bytes, &format(kind), piece).await, expected, "{kind:?}");
        }
    }
}

#[tokio::test]
async fn bytes_of_another_encoding_come_and_go() {
    let latin1 = |kind| CopyFormat { encoding: Encoding::by_name("latin1").expect("it is known"), ..format(kind) };
    for piece in [1, 3, 100] {
        assert_eq!(copied_in(b"1\t\xe9\xe8\t2\n", &latin1(CopyKind::Text), piece).await, "1,éè,2");
        assert_eq!(copied_in(b"1,\"\xe9\n\",2\n", &latin1(CopyKind::Csv), piece).await, "1,é\n,2");
    }
    let t = t();
    let node = node(vec![Object::Relation((*t).clone())]).await;
    let txn = node.begin(Isolation::Serializable).await;
    let context = node.context(&txn, vec![]);
    let rows = ["é", "€"].map(|text| vec![types::Datum::Int4(1), types::Datum::text(text), types::Datum::Null]);
    for framed in [false, true] {
        let mut out = CopyOut::new(&latin1(CopyKind::Text), &columns(&t), framed, context.clone());
        let mut bytes = vec![];
        let error = out.batch(&crate::Batch::from_rows(&column_types(&t), &rows), &mut bytes).expect_err("no euro");
        assert_eq!(error.code(), types::SqlState::UNTRANSLATABLE_CHARACTER);
        // Of the row that failed nothing is left: a client could not read on behind half a message.
        let row: &[u8] = b"1\t\xe9\t\\N\n";
        let frame: &[u8] = if framed { b"d\0\0\0\x0b" } else { b"" };
        assert_eq!(bytes, [frame, row].concat());
    }
}
