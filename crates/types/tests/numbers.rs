//! Functions of numbers beside PostgreSQL 15's own answers.
//!
//! `numbers.tsv` has one call a line: symbol, result type, arguments as `type=text`, and what PostgreSQL 15 answered: the
//! text, or `!SQLSTATE message`.

use types::numeric::io;
use types::{CallContext, Datum, FormatSettings, SqlType, builtin, functions, oid};

fn parse(ty: SqlType, text: &str, format: &FormatSettings) -> Datum {
    match ty.oid {
        oid::TEXT | oid::NAME | oid::BPCHAR | oid::CHAR => Datum::text(text),
        oid::BYTEA => {
            let digits: Vec<u8> = text.bytes().skip(2).map(|c| (c as char).to_digit(16).unwrap() as u8).collect();
            Datum::bytea(digits.chunks(2).map(|pair| pair[0] * 16 + pair[1]).collect::<Vec<u8>>())
        }
        oid::UUID => Datum::Uuid(*uuid::Uuid::parse_str(text).unwrap().as_bytes()),
        _ => io::input(ty, text, format).unwrap(),
    }
}

fn answer(line: &str) -> (String, String) {
    let format = FormatSettings::default();
    let fields: Vec<&str> = line.split('\t').collect();
    let (symbol, result_type, args, expected) =
        (fields[0], fields[1], &fields[2..fields.len() - 1], fields[fields.len() - 1]);
    let of_name = |name: &str| SqlType::new(builtin::type_by_name(name).unwrap().oid);
    let typed: Vec<(SqlType, &str)> =
        args.iter().map(|arg| arg.split_once('=').unwrap()).map(|(name, text)| (of_name(name), text)).collect();
    let arg_types: Vec<SqlType> = typed.iter().map(|(ty, _)| *ty).collect();
    let values: Vec<Datum> = typed.iter().map(|(ty, text)| parse(*ty, text, &format)).collect();
    let context = CallContext { format: &format, arg_types: &arg_types, result_type: of_name(result_type) };
    let function = functions::scalar(symbol).unwrap_or_else(|| panic!("{symbol} is missing"));
    let got = match function(&context, &values) {
        Err(error) => format!("!{} {}", error.code(), error.message()),
        Ok(Datum::Null) => "\\N".to_owned(),
        Ok(Datum::Text(text)) => text.to_string(),
        Ok(value) => {
            let mut out = Vec::new();
            io::output(context.result_type, &value, &format, &mut out);
            String::from_utf8(out).unwrap()
        }
    };
    (got, expected.to_owned())
}

#[test]
fn functions_answer_as_postgres() {
    let mut wrong = Vec::new();
    let lines = include_str!("numbers.tsv");
    for line in lines.lines() {
        let (got, expected) = answer(line);
        if got != expected {
            wrong.push(format!("{line}\n    got {got}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), lines.lines().count(), wrong.join("\n"));
}
