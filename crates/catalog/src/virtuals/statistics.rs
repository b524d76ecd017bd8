//! pg_stats: what ANALYZE found, of columns that the user may read.

use super::row::{array, row};
use super::{RowsFn, Scan};
use crate::descriptor::*;
use crate::privileges;
use std::sync::Arc;
use types::array::Array;
use types::{Datum, FormatSettings, Oid, SqlType, oid};

pub(super) const RELATIONS: &[(&str, RowsFn)] = &[("pg_stats", pg_stats)];

fn pg_stats(scan: &mut Scan<'_>) {
    for relation in scan.user_relations(None) {
        let schema = scan.schema_name(relation.schema);
        let is_wanted = scan.wants_text(1, schema) && scan.wants_text(2, &relation.name) && !relation.row_security;
        let Some(statistics) = scan.catalog.statistics(relation.id).filter(|_| is_wanted) else { continue };
        for s in &statistics.columns {
            let Some(column) = relation.column(s.number).filter(|c| scan.wants_text(3, &c.name)) else { continue };
            let may_read =
                privileges::has_column_privilege(scan.catalog, scan.role, relation, &[s.number], privilege::SELECT);
            if may_read {
                push(scan, schema, relation, column, s);
            }
        }
    }
}

fn push(scan: &mut Scan<'_>, schema: &str, relation: &Relation, column: &Column, s: &ColumnStatistics) {
    let (common, frequencies) = match s.common.is_empty() {
        true => (Datum::Null, Datum::Null),
        false => (
            values(column.ty.oid, s.common.iter().map(|(value, _)| value.as_str())),
            array(oid::FLOAT4, s.common.iter().map(|(_, share)| *share as f32)),
        ),
    };
    let histogram = match s.histogram.is_empty() {
        true => Datum::Null,
        false => values(column.ty.oid, s.histogram.iter().map(String::as_str)),
    };
    scan.push(row![
        schema,
        &relation.name,
        &column.name,
        false,
        s.null_fraction as f32,
        s.average_width as i32,
        s.distinct as f32,
        common,
        frequencies,
        histogram,
        s.correlation as f32,
        (),
        (),
        (),
    ]);
}

/// An array of the column's type; of text where the text form has no reading without a session.
fn values<'a>(ty: Oid, texts: impl Iterator<Item = &'a str>) -> Datum {
    let format = FormatSettings::default();
    let texts: Vec<&str> = texts.collect();
    let read = |text: &&str| types::io::input(SqlType::new(ty), text, &format).ok();
    let array = match texts.iter().map(read).collect::<Option<Vec<Datum>>>() {
        Some(values) => Array::from_values(ty, values),
        None => Array::from_values(oid::TEXT, texts.into_iter().map(Datum::text).collect()),
    };
    Datum::Array(Arc::new(array))
}
