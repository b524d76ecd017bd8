//! Laws of all virtual relations.

use super::*;
use crate::test_support::{column, snapshot, table};

/// A table of each kind of constraint, a view and a sequence.
fn catalog() -> Arc<Snapshot> {
    let mut catalog = snapshot();
    let mut parent = table(20_000, "parent", vec![column(1, "id", SqlType::INT4), column(2, "b", SqlType::TEXT)]);
    parent.columns[0].not_null = true;
    parent.columns[1].default = Some("'x'::text".to_owned());
    let constraint = |id: Oid, name: &str, kind| Constraint {
        id,
        name: name.to_owned(),
        kind,
        deferrable: false,
        initially_deferred: false,
        is_validated: true,
        comment: Some("why".to_owned()),
    };
    parent.constraints.push(constraint(20_011, "parent_pkey", ConstraintKind::PrimaryKey { index: 20_010 }));
    let check = ConstraintKind::Check { expression: "(id > 0)".to_owned(), columns: vec![1], no_inherit: false };
    parent.constraints.push(constraint(20_012, "parent_check", check));
    parent.indexes.push(20_010);
    let mut child = table(20_100, "child", vec![column(1, "parent", SqlType::INT4)]);
    let key = ForeignKey {
        columns: vec![1],
        target: 20_000,
        target_columns: vec![1],
        target_index: 20_010,
        match_full: false,
        on_delete: ReferentialAction::Cascade,
        on_update: ReferentialAction::NoAction,
        delete_set_columns: vec![],
    };
    child.constraints.push(constraint(20_111, "child_fkey", ConstraintKind::ForeignKey(key)));
    let mut view = table(20_200, "seen", vec![column(1, "id", SqlType::INT4)]);
    view.kind = RelationKind::View;
    view.view = Some(ViewDefinition {
        query: "SELECT id FROM public.parent".to_owned(),
        search_path: vec![],
        check_option: None,
        depends_on: vec![(20_000, 1)],
        is_populated: false,
    });
    let mut sequence = table(20_300, "counter", vec![]);
    sequence.kind = RelationKind::Sequence;
    sequence.sequence = Some(SequenceDefinition {
        ty: types::oid::INT8,
        start: 1,
        increment: 1,
        min: 1,
        max: 10,
        cache: 1,
        cycle: false,
        owned_by: Some((20_100, 1)),
        is_identity: false,
    });
    let index = Index {
        id: 20_010,
        relation: 20_000,
        schema: PUBLIC_SCHEMA,
        database: POSTGRES_DATABASE,
        name: "parent_pkey".to_owned(),
        storage: 20_010,
        columns: vec![IndexColumn {
            source: IndexSource::Column(1),
            ty: SqlType::INT4.into(),
            descending: false,
            nulls_first: false,
            opclass: None,
            collation: 0,
        }],
        included: vec![],
        is_unique: true,
        nulls_not_distinct: false,
        is_primary: true,
        method: "btree".to_owned(),
        predicate: None,
        state: IndexState::Public,
        options: vec![],
        comment: None,
    };
    for relation in [parent, child, view, sequence] {
        catalog.put(Object::Relation(relation));
    }
    catalog.put(Object::Index(index));
    Arc::new(catalog)
}

fn read(catalog: &Arc<Snapshot>, id: Oid, equal: &[(AttributeNumber, Datum)]) -> Vec<Vec<Datum>> {
    let context = VirtualContext {
        catalog,
        scope: NameScope {
            database: POSTGRES_DATABASE,
            search_path: &[PG_CATALOG_SCHEMA, PUBLIC_SCHEMA],
            temporary_schema: None,
        },
        role: POSTGRES_ROLE,
        size: &|_| (3, 100),
        last_value: &|_| None,
        updatable: &|_| None,
        view: &|_| None,
        rule: &|_, _| None,
        now: 0,
        source: None,
    };
    rows(id, &context, equal).iter().map(|row| row.to_vec()).collect()
}

fn named(schema: Oid, name: &str) -> &'static VirtualRelation {
    relations().iter().find(|r| r.schema == schema && r.name == name).expect("a relation")
}

/// Whether a datum may stand in a column of that type.
fn fits(value: &Datum, ty: SqlType) -> bool {
    use types::oid;
    match value {
        Datum::Null => true,
        Datum::Bool(_) => ty.oid == oid::BOOL,
        Datum::Int2(_) => ty.oid == oid::INT2,
        Datum::Int4(_) => ty.oid == oid::INT4,
        Datum::Int8(_) => ty.oid == oid::INT8,
        Datum::Float4(_) => ty.oid == oid::FLOAT4,
        Datum::Float8(_) => ty.oid == oid::FLOAT8,
        Datum::TimestampTz(_) => ty.oid == oid::TIMESTAMPTZ,
        Datum::Interval(_) => ty.oid == oid::INTERVAL,
        Datum::Oid(_) => types::io::is_oid_like(ty.oid),
        Datum::Array(array) => match ty.oid {
            oid::INT2VECTOR => array.element == oid::INT2,
            oid::OIDVECTOR => array.element == oid::OID,
            oid::ANYARRAY => true,
            _ => types::builtin::element_of(ty.oid) == Some(array.element),
        },
        Datum::Text(_) => {
            let texts = [oid::TEXT, oid::NAME, oid::CHAR, oid::VARCHAR, oid::PG_NODE_TREE, oid::INET];
            texts.contains(&ty.oid)
        }
        _ => false,
    }
}

#[test]
fn every_row_has_a_datum_of_the_right_type_for_each_column() {
    let catalog = catalog();
    for relation in relations() {
        for row in read(&catalog, relation.id, &[]) {
            assert_eq!(row.len(), relation.columns.len(), "{}", relation.name);
            for (value, column) in row.iter().zip(&relation.columns) {
                assert!(fits(value, column.ty), "{}.{}: {value:?}", relation.name, column.name);
                assert!(!value.is_null() || !column.not_null, "{}.{} is NULL", relation.name, column.name);
            }
        }
    }
}

#[test]
fn a_hint_gives_the_rows_that_a_whole_reading_has() {
    let catalog = catalog();
    for relation in relations() {
        let all = read(&catalog, relation.id, &[]);
        if all.len() > 2_000 {
            continue;
        }
        for number in 0..relation.columns.len() {
            // The middle row's value: the first ones' often are special.
            let Some(value) = all.get(all.len() / 2).and_then(|row| row.get(number)) else { continue };
            if !matches!(value, Datum::Oid(_) | Datum::Text(_)) {
                continue;
            }
            let same = |row: &&Vec<Datum>| format!("{:?}", row[number]) == format!("{value:?}");
            let expected = all.iter().filter(same).count();
            let hinted = read(&catalog, relation.id, &[(number as i16 + 1, value.clone())]);
            let found = hinted.iter().filter(same).count();
            assert_eq!(found, expected, "{}.{} = {value:?}", relation.name, relation.columns[number].name);
        }
    }
}

#[test]
fn lookups_by_key_do_not_read_all() {
    let catalog = catalog();
    let count = |name: &str, attribute: i16, value: Datum| {
        read(&catalog, named(PG_CATALOG_SCHEMA, name).id, &[(attribute, value)]).len()
    };
    assert_eq!(count("pg_class", 1, Datum::Oid(20_000)), 1);
    assert_eq!(count("pg_class", 2, Datum::text("parent_pkey")), 1);
    assert_eq!(count("pg_class", 4, Datum::Oid(83)), 1);
    assert_eq!(count("pg_attribute", 1, Datum::Oid(20_000)), 2 + 6);
    assert_eq!(count("pg_index", 2, Datum::Oid(20_000)), 1);
    assert_eq!(count("pg_proc", 1, Datum::Oid(870)), 1);
    assert_eq!(count("pg_proc", 2, Datum::text("lower")), 3);
    assert_eq!(count("pg_type", 1, Datum::Oid(23)), 1);
    assert_eq!(count("pg_constraint", 8, Datum::Oid(20_000)), 2);
}

#[test]
fn shapes_are_postgresqls() {
    assert_eq!(relations().len(), 209);
    let class = named(PG_CATALOG_SCHEMA, "pg_class");
    assert_eq!((class.id, class.row_type, class.row_array_type, class.kind), (1259, 83, 273, 'r'));
    assert_eq!(class.columns.len(), 33);
    assert_eq!(named(PG_CATALOG_SCHEMA, "pg_authid").public_rights, 0);
    assert_eq!(named(INFORMATION_SCHEMA, "columns").kind, 'v');
    // A name that no relation has would be a function that no one calls.
    let topics: &[&[(&str, RowsFn)]] = &[
        activity::RELATIONS,
        attributes::RELATIONS,
        classes::RELATIONS,
        comments::RELATIONS,
        constraints::RELATIONS,
        databases::RELATIONS,
        dependencies::RELATIONS,
        listings::RELATIONS,
        roles::RELATIONS,
        statistics::RELATIONS,
        time_zones::RELATIONS,
        types_of::RELATIONS,
    ];
    for (name, _) in topics.iter().flat_map(|t| t.iter()) {
        named(PG_CATALOG_SCHEMA, name);
    }
    for (name, _) in information_schema::RELATIONS {
        named(INFORMATION_SCHEMA, name);
    }
}

#[test]
fn fixed_tables_are_read_whole() {
    let catalog = catalog();
    let count = |name: &str| read(&catalog, named(PG_CATALOG_SCHEMA, name).id, &[]).len();
    assert_eq!(count("pg_amop"), 945);
    assert_eq!(count("pg_aggregate"), 148);
    assert_eq!(count("pg_opclass"), 177);
    assert_eq!(count("pg_proc"), types::builtin::procs().len());
}
