//! Tests of functions: a call written in text, and files of calls with the answers that PostgreSQL 15 gave.

use crate::{CallContext, Datum, FormatSettings, Result, SqlType, builtin, functions, io, typename};

/// Calls a function with arguments written as `type:text` (`NULL` for NULL) and gives the result's text; the rows of a set
/// are separated by semicolons, their columns by bars.
pub fn call(symbol: &str, args: &[&str]) -> Result<String> {
    let format = FormatSettings::default();
    let (types, values): (Vec<SqlType>, Vec<Datum>) = args
        .iter()
        .map(|arg| {
            let (name, text) = arg.split_once(':').expect("type:text");
            let ty = typename::parse(name).expect("a type");
            let value = match text {
                "NULL" => Datum::Null,
                text => io::input(ty, text, &format).unwrap_or_else(|e| panic!("{arg}: {e}")),
            };
            (ty, value)
        })
        .unzip();
    let proc = builtin::procs().iter().find(|proc| proc.symbol == symbol).expect("a symbol of pg_proc");
    if proc.strict && values.iter().any(Datum::is_null) {
        return Ok("NULL".to_owned());
    }
    // A polymorphic result is as its arguments are: an array over them, or their array.
    let result_type = match builtin::type_by_oid(proc.result).map(|ty| ty.name) {
        Some("anyarray" | "anycompatiblearray") => {
            types.iter().find(|ty| ty.is_array()).copied().or_else(|| types[0].array()).unwrap_or(SqlType::TEXT)
        }
        _ => SqlType::new(proc.result),
    };
    let result_type = if symbol.starts_with("array_fill") { types[0].array().expect("an array") } else { result_type };
    let context = CallContext { format: &format, arg_types: &types, result_type };
    let show = |value: &Datum| match value {
        Datum::Null => "NULL".to_owned(),
        value => io::to_text(result_type, value, &format).to_string(),
    };
    if let Some(function) = functions::scalar(symbol) {
        return Ok(show(&function(&context, &values)?));
    }
    let rows = functions::set(symbol).unwrap_or_else(|| panic!("{symbol} is not implemented"))(&context, &values)?;
    let rows = rows.collect::<Result<Vec<Vec<Datum>>>>()?;
    let row = |row: &Vec<Datum>| row.iter().map(show).collect::<Vec<_>>().join("|");
    Ok(rows.iter().map(row).collect::<Vec<_>>().join("; "))
}

/// Runs a golden file: each line is a symbol, arguments and `= result` or `! SQLSTATE message`, separated by tabs.
#[track_caller]
pub fn check_golden(golden: &str) {
    let mut failures = Vec::new();
    for line in golden.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [symbol, args @ .., expected] = fields.as_slice() else { panic!("a malformed line: {line}") };
        let found = match call(symbol, args) {
            Ok(text) => format!("= {}", text.replace('\n', "\\n")),
            Err(error) => format!("! {} {}", error.code(), error.message()),
        };
        if found != *expected {
            failures.push(format!("{symbol}({})\n  expected {expected}\n  found    {found}", args.join(", ")));
        }
    }
    assert!(failures.is_empty(), "{} calls differ:\n{}", failures.len(), failures.join("\n"));
}
