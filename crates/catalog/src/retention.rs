//! `WITH (history = '7 days')`: for how long superseded versions of a relation's rows, and of its index entries, can be read.
//!
//! The option is the catalog's, the keeping is storage's: whoever follows the catalog tells the gateway what has changed.

use crate::Snapshot;
use crate::descriptor::*;
use txn::{Gateway, StorageId, Timestamp};
use types::datetime::Interval;
use types::{Datum, FormatSettings, Oid, SqlError, SqlState, SqlType, io, oid};

const OPTION: &str = "history";
/// Longest history, in days: timestamps of a century ago are still told apart.
const DAYS_MAX: i64 = 36_500;
const DAY_US: i64 = 86_400_000_000;

/// The value of the option in microseconds. 22023 for what is no length of time.
pub fn parse(value: &str) -> Result<u64, SqlError> {
    let invalid = || {
        SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid value for option \"{OPTION}\": \"{value}\""))
            .hint("Give a length of time of at most 100 years, such as '7 days'.")
    };
    let Ok(Datum::Interval(Interval { months, days, micros })) =
        io::input(SqlType::new(oid::INTERVAL), value, &FormatSettings::default())
    else {
        return Err(invalid());
    };
    let days = i64::from(months) * 30 + i64::from(days);
    let micros = days.checked_mul(DAY_US).and_then(|d| d.checked_add(micros));
    let micros = micros.filter(|m| (0..=DAYS_MAX * DAY_US).contains(m));
    micros.and_then(|m| u64::try_from(m).ok()).ok_or_else(invalid)
}

/// What the relation asks for; None: the default.
fn of(relation: &Relation) -> Option<u64> {
    let (_, value) = relation.options.iter().find(|(name, _)| name == OPTION)?;
    parse(value).ok()
}

/// Tells the gateway about an object that is new or has changed at `ts`. `before`: the catalog without the change.
pub(crate) fn follow(gateway: &Gateway, before: &Snapshot, after: &Snapshot, key: ObjectKey, ts: Timestamp) {
    let id = match key.kind {
        ObjectKind::Relation => key.id,
        ObjectKind::Index => match after.index(key.id) {
            Some(index) => index.relation,
            None => return,
        },
        _ => return,
    };
    let Some(relation) = after.relation(id).filter(|r| r.has_rows()) else { return };
    if before.relation(id).is_some_and(|old| old.storage != relation.storage) {
        let indexes = after.indexes_of(relation).filter(|index| !index.is_primary).map(|index| index.storage);
        indexes.chain([relation.storage]).for_each(|storage| gateway.note_replaced(StorageId(storage), ts));
    }
    let had = before.relation(id).is_some_and(|r| of(r).is_some());
    let micros = match of(relation) {
        Some(micros) => micros,
        None if had => txn::RETENTION_US,
        None => return,
    };
    keep(gateway, after, relation, micros);
}

/// All that the catalog asks for, when it is first read; `replaced`: relations whose rows began anew, and when.
pub(crate) fn follow_all(gateway: &Gateway, snapshot: &Snapshot, replaced: &[(Oid, Timestamp)]) {
    for relation in snapshot.relations().filter(|r| r.has_rows()) {
        if let Some(micros) = of(relation) {
            keep(gateway, snapshot, relation, micros);
        }
    }
    for (id, ts) in replaced {
        if let Some(relation) = snapshot.relation(*id) {
            gateway.note_replaced(StorageId(relation.storage), *ts);
        }
    }
}

fn keep(gateway: &Gateway, snapshot: &Snapshot, relation: &Relation, micros: u64) {
    gateway.set_retention(relation.home(), StorageId(relation.storage), micros);
    for index in snapshot.indexes_of(relation).filter(|i| !i.is_primary) {
        gateway.set_retention(relation.home(), StorageId(index.storage), micros);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_is_a_length_of_time() {
        assert_eq!(parse("7 days").ok(), Some(7 * 86_400_000_000));
        assert_eq!(parse("1 month 1 hour").ok(), Some(30 * 86_400_000_000 + 3_600_000_000));
        assert_eq!(parse("0").ok(), Some(0));
        for text in ["", "soon", "-1 day", "110 years", "infinity"] {
            assert_eq!(parse(text).map_err(|e| e.code()), Err(SqlState::INVALID_PARAMETER_VALUE), "{text}");
        }
    }
}
