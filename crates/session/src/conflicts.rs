//! Conflicts that explain themselves: what the client is told of one (DETAIL, HINT), and the node's last ones for
//! `hyrax_catalog.conflicts`.
//!
//! C1  Kept are those that were told and those that the server settled by executing again, the last `KEPT_MAX` of the node.
//! C2  A key is shown to who may read its relation, another session's statement and application name to who may look into it.
//! C3  Statements are kept without their literals.

use crate::session::Session;
use crate::shared::Shared;
use crate::state::SessionState;
use catalog::Snapshot;
use catalog::privileges::{self, Target};
use catalog::{Relation, privilege};
use exec::{SessionAccess, StoragePlace};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use txn::{Met, Party, Place, SessionId};
use types::{FormatSettings, Oid, SqlError, SqlState};

/// Conflicts that a node keeps.
const KEPT_MAX: usize = 1_000;
/// Bytes of a statement that are kept.
const STATEMENT_BYTES_MAX: usize = 1_024;

/// What the server did about a conflict.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Settled {
    /// The client was told.
    Told,
    /// The statement, which was its own transaction, was executed again.
    StatementAgain,
    /// The block was executed again, with the same answers.
    BlockProved,
    /// It was, in vain: an answer differed, or it met others each time. The client was told.
    BlockDiffers,
}

impl Settled {
    /// The view's columns `retried` and `outcome`.
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            Settled::Told => ("no", "told"),
            Settled::StatementAgain => ("statement", "executed again"),
            Settled::BlockProved => ("block", "proved"),
            Settled::BlockDiffers => ("block", "differs"),
        }
    }
}

/// One conflict, as it was.
#[derive(Clone, Debug)]
pub(crate) struct Conflict {
    /// Microseconds since 2000-01-01 UTC.
    pub at: i64,
    pub code: SqlState,
    pub database: Oid,
    /// Who met it.
    pub user: Oid,
    pub process_id: i32,
    pub txn: u64,
    pub place: Option<Place>,
    pub other: Option<Party>,
    /// Of the other's session, if it was still there.
    pub other_process: Option<i32>,
    pub statement: Arc<str>,
    pub settled: Settled,
}

/// The node's last conflicts, oldest first.
#[derive(Default)]
pub(crate) struct Conflicts(Mutex<VecDeque<Conflict>>);

impl Conflicts {
    fn push(&self, conflict: Conflict) {
        let mut kept = self.0.lock();
        if kept.len() >= KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back(conflict);
    }

    pub fn all(&self) -> Vec<Conflict> {
        self.0.lock().iter().cloned().collect()
    }
}

/// A conflict, a deadlock, or a lock that was not to be had.
pub(crate) fn is_conflict(error: &SqlError) -> bool {
    [SqlState::SERIALIZATION_FAILURE, SqlState::DEADLOCK_DETECTED, SqlState::LOCK_NOT_AVAILABLE].contains(&error.code())
}

impl Session {
    /// Whom the statement or the commit that just failed has met.
    pub(crate) fn take_met(&mut self) -> Option<Met> {
        self.met.take().or_else(|| self.open.as_ref()?.txn.take_met())
    }

    /// A conflict that the client is not told of, or not yet.
    pub(crate) fn note_conflict(&mut self, error: &SqlError, settled: Settled) {
        let met = self.take_met();
        self.keep_conflict(error, met.as_ref(), settled);
    }

    pub(crate) fn keep_conflict(&self, error: &SqlError, met: Option<&Met>, settled: Settled) {
        let other = met.and_then(|met| met.others.first()).copied();
        let session = other.and_then(|other| self.shared.session(other.session?));
        self.shared.conflicts.push(Conflict {
            at: crate::shared::wall(&self.shared.host),
            code: error.code(),
            database: self.state.database,
            user: self.state.session_user(),
            process_id: self.state.process_id,
            txn: self.open.as_ref().map_or(0, |open| open.txn.id()),
            place: met.and_then(|met| met.place.clone()),
            other,
            other_process: session.map(|session| session.process_id),
            statement: shape(&self.state.query.lock()).into(),
            settled,
        });
    }

    /// The error as the client gets it: with what was met, where there is something to tell.
    pub(crate) fn explain_conflict(&mut self, mut error: SqlError) -> SqlError {
        if !is_conflict(&error) {
            return error;
        }
        let met = self.take_met();
        let settled = if std::mem::take(&mut self.has_replayed) { Settled::BlockDiffers } else { Settled::Told };
        self.keep_conflict(&error, met.as_ref(), settled);
        let teller = Teller {
            catalog: self.catalog.snapshot(),
            shared: &self.shared,
            format: &self.derived.format,
            me: &self.state,
        };
        let fields = error.fields_mut();
        if let (None, Some(met)) = (&fields.detail, &met) {
            fields.detail = teller.detail(fields.code, &fields.message, met);
        }
        if fields.hint.is_none() {
            fields.hint = teller.hint(fields.code, met.as_ref());
        }
        error
    }
}

/// Puts what was met into words, for one session's eyes.
pub(crate) struct Teller<'a> {
    pub catalog: &'a Arc<Snapshot>,
    pub shared: &'a Shared,
    pub format: &'a FormatSettings,
    pub me: &'a SessionState,
}

impl Teller<'_> {
    fn detail(&self, code: SqlState, message: &str, met: &Met) -> Option<String> {
        if code == SqlState::DEADLOCK_DETECTED && !met.cycle.is_empty() {
            return Some(self.cycle(met));
        }
        let place = met.place.as_ref().map_or_else(|| "Something".to_owned(), |place| self.place(place));
        let others: Vec<String> = met.others.iter().take(OTHERS_TOLD_MAX).map(|other| self.party(*other)).collect();
        let by = if others.is_empty() { "another transaction".to_owned() } else { others.join(" and ") };
        let did = match code {
            SqlState::LOCK_NOT_AVAILABLE => "is locked by",
            _ if matches!(met.place, Some(Place::Relation(_))) => "was redefined by",
            _ if message.contains("read/write") => "which this transaction has read, was changed by",
            _ if message.ends_with("delete") => "was deleted by",
            _ => "was changed by",
        };
        let comma = if did.starts_with("which") { "," } else { "" };
        Some(format!("{}{comma} {did} {by}.", capitalized(&place)))
    }

    /// Who waits for what and whom, a line each, as PostgreSQL has it.
    fn cycle(&self, met: &Met) -> String {
        let line = |index: usize, (party, place): &(Party, Place)| {
            let next = met.cycle.get((index + 1) % met.cycle.len()).map_or(*party, |(next, _)| *next);
            format!(
                "{} waits for {}; blocked by {}.",
                capitalized(&self.process(*party)),
                self.place(place),
                self.process(next)
            )
        };
        met.cycle.iter().enumerate().map(|(index, wait)| line(index, wait)).collect::<Vec<_>>().join("\n")
    }

    fn hint(&self, code: SqlState, met: Option<&Met>) -> Option<String> {
        Some(match code {
            SqlState::SERIALIZATION_FAILURE => "The transaction might succeed if retried.".to_owned(),
            SqlState::DEADLOCK_DETECTED => {
                "Do the transaction again. Transactions that lock in one order do not meet like this.".to_owned()
            }
            _ => {
                let process = met.and_then(|met| self.session(met.others.first()?.session?)).map(|s| s.process_id);
                let end =
                    process.map_or(String::new(), |id| format!(", or end the other with pg_terminate_backend({id})"));
                format!("Do it again later{end}.")
            }
        })
    }

    fn session(&self, id: SessionId) -> Option<Arc<SessionState>> {
        self.shared.session(id)
    }

    fn process(&self, party: Party) -> String {
        match party.session.and_then(|id| self.session(id)) {
            Some(session) => format!("process {}", session.process_id),
            None => format!("transaction {}", party.txn),
        }
    }

    /// `transaction 12 of process 3 (application "x")`.
    fn party(&self, party: Party) -> String {
        let mut text = format!("transaction {}", party.txn);
        if let Some(session) = party.session.and_then(|id| self.session(id)) {
            text += &format!(" of process {}", session.process_id);
            let name = session.setting("application_name").filter(|name| !name.is_empty() && self.may_look(&session));
            text += &name.map_or(String::new(), |name| format!(" (application \"{name}\")"));
        }
        text
    }

    fn may_look(&self, session: &SessionState) -> bool {
        crate::live::may_look_into(self.catalog, self.me.current_user(), self.me.database, session)
    }

    /// `key (id)=(1) of relation "t"`.
    fn place(&self, place: &Place) -> String {
        match place {
            Place::Row { relation, key } => match exec::find_storage(self.catalog, relation.0) {
                None => "something in the catalog".to_owned(),
                Some(found) => {
                    let what = format!("relation \"{}\"", found.relation.name);
                    match self.key(&found, key.as_deref()) {
                        Some(key) => format!("key {key} of {what}"),
                        None => format!("a row of {what}"),
                    }
                }
            },
            Place::Relation(id) => self.relation(*id),
            Place::Name(name) => match txn::named_relation(name) {
                Some(id) => self.relation(id),
                None => "an advisory lock".to_owned(),
            },
        }
    }

    fn relation(&self, id: Oid) -> String {
        self.catalog.relation(id).map_or_else(|| format!("relation {id}"), |r| format!("relation \"{}\"", r.name))
    }

    /// C2.
    pub fn key(&self, place: &StoragePlace, key: Option<&[u8]>) -> Option<String> {
        let may_read = may_read(self.catalog, self.me.current_user(), &place.relation);
        key.filter(|_| may_read).and_then(|key| place.key_text(key, self.format))
    }
}

/// Others that one DETAIL names.
const OTHERS_TOLD_MAX: usize = 3;

fn may_read(catalog: &Snapshot, role: Oid, relation: &Arc<Relation>) -> bool {
    !relation.row_security && privileges::has_privilege(catalog, role, Target::Relation(relation), privilege::SELECT)
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// C3: a statement with `?` in place of its literals and parameters, cut at a bound.
pub(crate) fn shape(text: &str) -> String {
    let mut shape = String::new();
    let mut rest = text.trim();
    while let Some(first) = rest.chars().next() {
        if shape.len() >= STATEMENT_BYTES_MAX {
            shape.push_str("...");
            break;
        }
        let length = match first {
            '-' if rest.starts_with("--") => {
                rest = rest.find('\n').and_then(|end| rest.get(end..)).unwrap_or_default();
                continue;
            }
            '/' if rest.starts_with("/*") => {
                rest = rest.find("*/").and_then(|end| rest.get(end + 2..)).unwrap_or_default();
                continue;
            }
            '\'' => quoted(rest, '\'', false),
            'e' | 'E' if rest.get(1..).is_some_and(|rest| rest.starts_with('\'')) => {
                1 + quoted(rest.get(1..).unwrap_or_default(), '\'', true)
            }
            '"' => {
                let length = quoted(rest, '"', false);
                shape.push_str(rest.get(..length).unwrap_or_default());
                rest = rest.get(length..).unwrap_or_default();
                continue;
            }
            '$' => dollar_quoted(rest),
            '0'..='9' => rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(rest.len()),
            c if c.is_alphabetic() || c == '_' => {
                let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '$').unwrap_or(rest.len());
                shape.push_str(rest.get(..length).unwrap_or_default());
                rest = rest.get(length..).unwrap_or_default();
                continue;
            }
            other => {
                shape.push(other);
                rest = rest.get(other.len_utf8()..).unwrap_or_default();
                continue;
            }
        };
        shape.push('?');
        rest = rest.get(length..).unwrap_or_default();
    }
    shape
}

/// Bytes of what begins with a quote, up to and with the one that ends it.
fn quoted(text: &str, quote: char, has_escapes: bool) -> usize {
    let mut letters = text.char_indices().skip(1).peekable();
    while let Some((at, letter)) = letters.next() {
        if letter == '\\' && has_escapes {
            letters.next();
        } else if letter == quote && letters.next_if(|(_, next)| *next == quote).is_none() {
            return at + 1;
        }
    }
    text.len()
}

/// `$1`, or a string in dollar quotes.
fn dollar_quoted(text: &str) -> usize {
    let tag = text.get(1..).and_then(|rest| rest.find(|c: char| !c.is_alphanumeric() && c != '_')).map(|at| at + 1);
    match tag.filter(|at| text.get(*at..).is_some_and(|rest| rest.starts_with('$'))) {
        Some(end) => {
            let tag = text.get(..=end).unwrap_or_default();
            text.get(end + 1..).and_then(|rest| rest.find(tag)).map_or(text.len(), |at| end + 1 + at + tag.len())
        }
        None => tag.unwrap_or(text.len()).max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_do_not_show_in_a_shape() {
        let check = |text: &str, expected: &str| assert_eq!(shape(text), expected, "{text}");
        check("UPDATE t SET a1 = 'it''s', b = 1.5e3 WHERE k = -12", "UPDATE t SET a1 = ?, b = ? WHERE k = -?");
        check("SELECT \"a'1\", $1, $q$x'$q$ || $$y$$ FROM t2", "SELECT \"a'1\", ?, ? || ? FROM t2");
        check("SELECT E'it\\'s', e FROM t -- it's\n WHERE /* 'a */ a = 'b'", "SELECT ?, e FROM t \n WHERE  a = ?");
        check("SELECT 'unfinished", "SELECT ?");
        check("SELECT $q$unfinished", "SELECT ?");
        assert!(shape(&"x ".repeat(2_000)).len() <= STATEMENT_BYTES_MAX + 8);
    }
}
