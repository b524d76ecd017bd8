//! FOR UPDATE, FOR NO KEY UPDATE, FOR SHARE, FOR KEY SHARE: which relations of FROM they fall on, and where they may stand.
//!
//! A lock on a subquery or view falls on the relations inside.

use super::Binder;
use super::scope::{Scope, fold};
use crate::logical::locking::{LockMode, WaitPolicy};
use crate::logical::{LockTarget, Node, Scan, ScanColumn};
use crate::parse::forms;
use crate::plan::columns::output_set;
use sqlparser::ast::{LockClause, LockType, NonBlock};
use types::{Result, SqlError, SqlState, SqlType};

/// One locking clause, as far as it is still to find its relations.
#[derive(Clone, Debug)]
pub(super) struct LockWish {
    pub(super) mode: LockMode,
    pub(super) wait: WaitPolicy,
    /// OF: (name, its position, whether it was found). None: everything in FROM.
    names: Option<Vec<(String, u32, bool)>>,
    /// Where the item at hand was named, so that it is an error if it can not be locked.
    named_at: Option<u32>,
}

impl LockWish {
    fn words(&self) -> &'static str {
        words(self.mode)
    }
}

fn words(mode: LockMode) -> &'static str {
    match mode {
        LockMode::KeyShare => "FOR KEY SHARE",
        LockMode::Share => "FOR SHARE",
        LockMode::NoKeyUpdate => "FOR NO KEY UPDATE",
        LockMode::Update => "FOR UPDATE",
    }
}

fn order(wait: WaitPolicy) -> u8 {
    match wait {
        WaitPolicy::Wait => 0,
        WaitPolicy::Skip => 1,
        WaitPolicy::NoWait => 2,
    }
}

/// The one of several waits that holds.
pub(super) fn strictest(wishes: &[LockWish]) -> WaitPolicy {
    wishes.iter().map(|w| w.wait).max_by_key(|w| order(*w)).unwrap_or(WaitPolicy::Wait)
}

/// The error for a named item that has no rows to lock; one that was not named is passed over.
pub(super) fn refuse(wishes: &[LockWish], what: &str) -> Result<()> {
    match wishes.iter().find_map(|w| w.named_at.map(|at| (w, at))) {
        None => Ok(()),
        Some((wish, at)) => Err(SqlError::unsupported(format!("{} cannot be applied to {what}", wish.words())).at(at)),
    }
}

/// The error for a query whose rows are no relation's.
pub(super) fn not_with(wishes: &[LockWish], what: &str) -> Result<()> {
    match wishes.first() {
        None => Ok(()),
        Some(wish) => Err(SqlError::unsupported(format!("{} is not allowed with {what}", wish.words()))),
    }
}

/// Rows that an outer join pads can not be locked.
pub(super) fn refuse_padded(scope: &Scope, padded: &Node) -> Result<()> {
    if scope.lock_targets.is_empty() {
        return Ok(());
    }
    let offered = output_set(padded);
    match scope.lock_targets.iter().find(|t| offered.contains(&t.row_key)) {
        None => Ok(()),
        Some(target) => {
            let message = format!("{} cannot be applied to the nullable side of an outer join", words(target.mode));
            Err(SqlError::unsupported(message))
        }
    }
}

/// `input` with its rows locked, where any relation of the query is to be.
pub(super) fn locked(input: Node, scope: &mut Scope) -> Node {
    match std::mem::take(&mut scope.lock_targets) {
        targets if targets.is_empty() => input,
        targets => Node::LockRows { input: Box::new(input), targets },
    }
}

impl Binder<'_> {
    pub(super) fn lock_wishes(&self, clauses: &[LockClause]) -> Result<Vec<LockWish>> {
        let mut wishes = vec![];
        for clause in clauses {
            let mut mode = match clause.lock_type {
                LockType::Share => LockMode::Share,
                LockType::Update => LockMode::Update,
            };
            let wait = match clause.nonblock {
                None => WaitPolicy::Wait,
                Some(NonBlock::Nowait) => WaitPolicy::NoWait,
                Some(NonBlock::SkipLocked) => WaitPolicy::Skip,
            };
            let mut names = vec![];
            for ident in clause.of.iter().flat_map(|of| &of.0).filter_map(|part| part.as_ident()) {
                match forms::marked(ident) {
                    Some(forms::NO_KEY_UPDATE) => mode = LockMode::NoKeyUpdate,
                    Some(forms::KEY_SHARE) => mode = LockMode::KeyShare,
                    Some(forms::QUALIFIED) => {
                        let message = "FOR UPDATE must specify unqualified relation names";
                        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(self.at(ident.span)));
                    }
                    _ => names.push((fold(ident), self.at(ident.span), false)),
                }
            }
            let names = (!names.is_empty()).then_some(names);
            wishes.push(LockWish { mode, wait, names, named_at: None });
        }
        Ok(wishes)
    }

    /// The innermost query's locks on the FROM item of that name.
    pub(super) fn locks_of(&mut self, name: &str) -> Result<Vec<LockWish>> {
        let mut found = vec![];
        for wish in &mut self.scope()?.lock_wishes {
            let named_at = match &mut wish.names {
                None => None,
                Some(names) => match names.iter_mut().find(|(n, ..)| n == name) {
                    None => continue,
                    Some(entry) => {
                        entry.2 = true;
                        Some(entry.1)
                    }
                },
            };
            found.push(LockWish { names: None, named_at, ..wish.clone() });
        }
        Ok(found)
    }

    /// After FROM: every name of OF must have been met.
    pub(super) fn check_locked_names(&mut self) -> Result<()> {
        let scope = self.scope()?;
        for wish in &scope.lock_wishes {
            let Some((name, position, _)) = wish.names.iter().flatten().find(|(.., found)| !found) else { continue };
            if scope.items.iter().any(|i| i.name_visible && i.alias == *name) {
                let message = format!("{} cannot be applied to a join", wish.words());
                return Err(SqlError::unsupported(message).at(*position));
            }
            let message = format!("relation \"{name}\" in {} clause not found in FROM clause", wish.words());
            return Err(SqlError::new(SqlState::UNDEFINED_TABLE, message).at(*position));
        }
        Ok(())
    }

    /// Makes a scan yield its rows' keys, and notes them as to be locked by the strongest of the wishes.
    pub(super) fn lock_scan(&mut self, scan: &mut Scan, wishes: &[LockWish]) -> Result<()> {
        let Some(mode) = wishes.iter().map(|w| w.mode).max() else { return Ok(()) };
        let wait = strictest(wishes);
        let columns = scan.columns.clone();
        let row_key = self.new_column("row key", SqlType::BYTEA, 0, 0);
        scan.columns.push((ScanColumn::RowKey, row_key));
        self.is_read_only = false;
        let relation = scan.relation.clone();
        self.scope()?.lock_targets.push(LockTarget { relation, row_key, mode, wait, columns });
        Ok(())
    }
}
