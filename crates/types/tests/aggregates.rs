//! Aggregates beside PostgreSQL 15's own answers.
//!
//! `aggregates.tsv` has one call a line: OID and name, result type, direct arguments (`type=text;…` or `-`), types of the
//! columns (`-` for none), rows (their number and `:`, columns parted by `~`, rows by `|`, `\N` is NULL), and PostgreSQL 15's answer: the text, or
//! `!SQLSTATE message`.

use types::compare::compare_ordered;
use types::key::KeyOrder;
use types::{CallContext, Datum, FormatSettings, Result, SqlType, aggregates, builtin, io};

fn of_name(name: &str) -> SqlType {
    SqlType::new(builtin::type_by_name(name).unwrap_or_else(|| panic!("no type {name}")).oid)
}

fn parse(ty: SqlType, text: &str, format: &FormatSettings) -> Datum {
    if text == "\\N" { Datum::Null } else { io::input(ty, text, format).unwrap() }
}

fn run(fields: &[&str], format: &FormatSettings) -> Result<String> {
    let [oid, _, result_type, direct, columns, rows, _] = fields else { panic!("seven fields: {fields:?}") };
    let oid = oid.parse().unwrap();
    let direct: Vec<(SqlType, &str)> = direct
        .split(';')
        .filter_map(|argument| argument.split_once('='))
        .map(|(name, text)| (of_name(name), text))
        .collect();
    let columns: Vec<SqlType> = columns.split(',').filter(|name| *name != "-").map(of_name).collect();
    let (count, rows) = rows.split_once(':').unwrap();
    let row = |row: &str| columns.iter().zip(row.split('~')).map(|(ty, text)| parse(*ty, text, format)).collect();
    let mut rows: Vec<Vec<Datum>> = rows.split('|').take(count.parse().unwrap()).map(row).collect();
    let is_ordered = builtin::aggregate(oid).is_some_and(|aggregate| aggregate.kind != 'n');
    if is_ordered {
        rows.sort_by(|a, b| {
            let pairs = a.iter().zip(b).zip(&columns);
            pairs
                .map(|((a, b), ty)| compare_ordered(*ty, KeyOrder::ASC, a, b))
                .find(|o| o.is_ne())
                .unwrap_or(std::cmp::Ordering::Equal)
        });
    }
    let arg_types: Vec<SqlType> = direct.iter().map(|(ty, _)| *ty).chain(columns.iter().copied()).collect();
    let direct: Vec<Datum> = direct.iter().map(|(ty, text)| parse(*ty, text, format)).collect();
    let context = CallContext { format, arg_types: &arg_types, result_type: of_name(result_type) };
    let mut state = aggregates::accumulator(oid, &context, &direct)?.expect("implemented");
    for row in &rows {
        state.update(&context, row)?;
    }
    let value = state.finish(&context)?;
    assert_eq!(format!("{value:?}"), format!("{:?}", state.finish(&context)?), "finish may be called again");
    Ok(if value.is_null() { "\\N".to_owned() } else { io::to_text(context.result_type, &value, format).to_string() })
}

#[test]
fn aggregates_answer_as_postgres() {
    let format = FormatSettings::default();
    let mut wrong = Vec::new();
    let lines = include_str!("aggregates.tsv");
    for line in lines.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let got = match run(&fields, &format) {
            Ok(text) => text.replace('\n', "\\n"),
            Err(error) => format!("!{} {}", error.code(), error.message()),
        };
        if Some(got.as_str()) != fields.last().copied() {
            wrong.push(format!("{line}\n    got {got}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), lines.lines().count(), wrong.join("\n"));
}
