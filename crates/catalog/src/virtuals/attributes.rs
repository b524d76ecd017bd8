//! Columns: pg_attribute (of relations and indexes, dropped ones included) and pg_attrdef.

use super::row::{derived_oid, row};
use super::{RowsFn, Scan};
use crate::descriptor::*;
use types::{Datum, Oid, builtin};

pub(super) const RELATIONS: &[(&str, RowsFn)] = &[("pg_attrdef", pg_attrdef), ("pg_attribute", pg_attribute)];

fn pg_attribute(scan: &mut Scan<'_>) {
    let wanted = scan.oid(1);
    for relation in scan.relations(wanted) {
        if matches!(super::classes::kind_letter(relation), 'r' | 'm' | 'S') {
            system_columns(scan, relation.id);
        }
        for column in &relation.columns {
            if scan.wants_text(2, &column.name) {
                push(scan, relation.id, column);
            }
        }
    }
    for (index, relation) in scan.indexes(wanted) {
        index_columns(scan, index, relation);
    }
}

/// What every stored row has besides. (Which of them a statement may read is the binder's to say.)
fn system_columns(scan: &mut Scan<'_>, relation: Oid) {
    use types::oid::{CID, OID, TID, XID};
    const COLUMNS: [(AttributeNumber, &str, Oid); 6] = [
        (-6, "tableoid", OID),
        (-5, "cmax", CID),
        (-4, "xmax", XID),
        (-3, "cmin", CID),
        (-2, "xmin", XID),
        (-1, "ctid", TID),
    ];
    for (number, name, ty) in COLUMNS {
        if scan.wants_text(2, name) {
            let mut column = new_column(number, name, types::SqlType::new(ty));
            column.not_null = true;
            column.statistics_target = 0;
            push(scan, relation, &column);
        }
    }
}

/// An index's columns are named after what they come from.
fn index_columns(scan: &mut Scan<'_>, index: &Index, relation: &Relation) {
    let keys = index.columns.iter().map(|c| match &c.source {
        IndexSource::Column(number) => (relation.column(*number).map(|c| c.name.clone()), c.ty, c.collation),
        IndexSource::Expression(text) => (function_name(text), c.ty, c.collation),
    });
    let included = index.included.iter().filter_map(|n| relation.column(*n));
    let included = included.map(|c| (Some(c.name.clone()), c.ty, c.collation));
    let mut taken: Vec<String> = vec![];
    for ((name, ty, collation), number) in keys.chain(included).zip(1..) {
        let base = name.unwrap_or_else(|| "expr".to_owned());
        let name = unused(&taken, &base);
        let mut column = new_column(number, &name, ty.into());
        column.collation = collation;
        taken.push(name);
        push(scan, index.id, &column);
    }
}

/// `expr`, `expr1`, `expr2`, … : the first that no column before has.
fn unused(taken: &[String], base: &str) -> String {
    let mut name = base.to_owned();
    let mut number = 0;
    while taken.contains(&name) {
        number += 1;
        name = format!("{base}{number}");
    }
    name
}

/// `lower` of `lower(name)`: PostgreSQL names an index column after the function that gives it.
fn function_name(text: &str) -> Option<String> {
    let (name, _) = text.split_once('(').filter(|_| text.ends_with(')'))?;
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    is_name.then(|| name.to_lowercase())
}

/// pg_attribute.attname: dropped columns lose theirs.
pub(super) fn shown_name(column: &Column) -> String {
    match column.is_dropped {
        true => format!("........pg.dropped.{}........", column.number),
        false => column.name.clone(),
    }
}

fn push(scan: &mut Scan<'_>, relation: Oid, c: &Column) {
    let shape = super::types_of::shape(scan.catalog, c.ty.into());
    let declared = c.declared();
    let letter_or_blank = |c: Option<char>| c.map_or_else(|| Datum::text(""), |c| Datum::text(c.to_string()));
    let identity = c.identity.map(|identity| match identity {
        Identity::Always => 'a',
        Identity::ByDefault => 'd',
    });
    let privileges = scan.acl(c.privileges.as_ref().and_then(|p| p.as_deref()));
    scan.push(row![
        relation,
        shown_name(c),
        if c.is_dropped { 0 } else { declared.oid },
        c.statistics_target,
        shape.len,
        c.number,
        i32::from(builtin::element_of(declared.oid).is_some()),
        -1i32,
        declared.typmod,
        shape.by_value,
        shape.align,
        c.storage.unwrap_or(shape.storage),
        "",
        c.not_null && !c.is_dropped,
        c.default.is_some() && !c.is_dropped,
        c.missing.is_some() && !c.is_dropped,
        letter_or_blank(identity),
        letter_or_blank(c.is_generated.then_some('s')),
        c.is_dropped,
        true,
        0i32,
        c.collation,
        privileges,
        (),
        (),
        (),
    ]);
}

fn pg_attrdef(scan: &mut Scan<'_>) {
    for relation in scan.user_relations(scan.oid(2)) {
        for column in relation.live_columns() {
            let Some(default) = &column.default else { continue };
            let id = default_oid(relation.id, column.number);
            if scan.wants(1, id) {
                scan.push(row![id, relation.id, column.number, default]);
            }
        }
    }
}

/// pg_attrdef's OID of a column's default.
pub(super) fn default_oid(relation: Oid, column: AttributeNumber) -> Oid {
    derived_oid(relation, column as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_columns_are_named_as_postgresql_names_them() {
        assert_eq!(function_name("lower(name)").as_deref(), Some("lower"));
        assert_eq!(function_name("(doc ->> 'a'::text)"), None);
        let taken = ["expr".to_owned(), "expr1".to_owned()];
        assert_eq!(unused(&taken, "expr"), "expr2");
        assert_eq!(unused(&taken, "id"), "id");
    }
}
