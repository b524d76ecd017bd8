//! Functions of numbers beside PostgreSQL 15's own answers.
//!
//! `numbers.tsv` and `pictures.tsv` have one call a line: symbol, result type, arguments as `type=text`, and what PostgreSQL 15 answered: the
//! text, or `!SQLSTATE message`.

use types::{CallContext, Datum, FormatSettings, SqlType, builtin, functions, io, oid};

fn parse(ty: SqlType, text: &str, format: &FormatSettings) -> Datum {
    if ty.oid == oid::MONEY {
        // Money has no input; its cents are the digits.
        return Datum::Int8(text.replace(['$', ',', '.'], "").parse().unwrap());
    }
    io::input(ty, text, format).unwrap()
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
        Ok(value) => io::to_text(context.result_type, &value, &format).to_string(),
    };
    (got, expected.to_owned())
}

#[track_caller]
fn check(lines: &str) {
    let mut wrong = Vec::new();
    for line in lines.lines() {
        let (got, expected) = answer(line);
        if got != expected {
            wrong.push(format!("{line}\n    got {got}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), lines.lines().count(), wrong.join("\n"));
}

#[test]
fn functions_answer_as_postgres() {
    check(include_str!("numbers.tsv"));
}

/// `to_char` and `to_number` with pictures sensible and wild, sizes, window ranges, money.
#[test]
fn pictures_answer_as_postgres() {
    check(include_str!("pictures.tsv"));
}
