//! Run-time parameters: SHOW, SET, SET LOCAL, RESET, and their roll-back with transactions and savepoints.
//!
//! I1  `SET` survives only if its transaction commits; `SET LOCAL` ends with its transaction either way.
//! I2  A value that SHOW prints is one that SET accepts.
//! I3  A name that PostgreSQL does not know is 42704, unless it has a prefix (`app.user`): those are free text.
//!
//! Values are kept as text in the form SHOW prints; `table` has their names, kinds and defaults.

mod parameters;
mod table;
mod values;

pub use parameters::{Context, Kind, Parameter, all, find};
pub use values::{parse_bytes, parse_milliseconds};

use foldhash::HashMap;
use std::sync::Arc;
use types::{Result, SqlError, SqlState};

/// Longest value of one parameter.
const VALUE_BYTES_MAX: usize = 1 << 20;
/// Parameters with a prefix that one session may make.
const CUSTOM_MAX: usize = 1_000;
/// Bytes of a session's values, and of what its transaction would have to put back.
const VALUES_BYTES_MAX: usize = 64 << 20;
const UNDO_BYTES_MAX: usize = 64 << 20;
/// A shorter value is let pass: `CUSTOM_MAX` of them are little.
const SHORT_VALUE: usize = 4 << 10;
/// Memory of an entry of the undo list beside its texts.
const UNDO_ENTRY_BYTES: usize = 128;

/// What the node was started with, in place of the built-in defaults: by the parameters' own names, in SHOW's form.
pub type ServerSettings = HashMap<&'static str, String>;

/// Where RESET and the session's start take values from, weakest first.
#[derive(Clone, Debug, Default)]
struct Stack {
    /// Start of the session: defaults, then database, role and start-up packet.
    base: String,
    /// Set by a committed or running SET.
    session: Option<String>,
    /// Set by SET LOCAL in the running transaction.
    local: Option<String>,
}

impl Stack {
    fn value(&self) -> &str {
        self.local.as_deref().or(self.session.as_deref()).unwrap_or(&self.base)
    }

    fn bytes(&self) -> usize {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        self.base.len() + length(&self.session) + length(&self.local)
    }
}

/// How a parameter stood before the transaction (or savepoint level) changed it.
#[derive(Clone, Debug)]
struct Undo {
    name: String,
    /// None: a parameter with a prefix that did not exist.
    before: Option<Stack>,
}

impl Undo {
    fn bytes(&self) -> usize {
        UNDO_ENTRY_BYTES + self.name.len() + self.before.as_ref().map_or(0, Stack::bytes)
    }
}

/// A point to roll back to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SettingsMark(usize);

/// All parameters of one session.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    server: Arc<ServerSettings>,
    /// By lower-case name. Only those that differ from the built-in default, or did once.
    values: HashMap<String, Stack>,
    undo: Vec<Undo>,
    undo_bytes: usize,
    /// How long the undo list was when it was marked last: what comes behind it need not name a parameter twice.
    marked: usize,
    /// Names that changed since the wire last asked (ParameterStatus).
    reported: Vec<&'static str>,
    /// Raised by every change: what was derived from settings is void.
    generation: u64,
}

impl Settings {
    pub fn new(server: Arc<ServerSettings>) -> Settings {
        Settings { server, ..Settings::default() }
    }

    /// The value before any session, database or role has a word.
    pub fn default_of(&self, parameter: &Parameter) -> &str {
        self.server.get(parameter.name).map_or(parameter.default, String::as_str)
    }

    /// The value as SHOW prints it; None: no such parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        let parameter = find(name);
        match (self.values.get(key(parameter, name).as_ref()), parameter) {
            (Some(stack), _) => Some(stack.value()),
            (None, Some(parameter)) => Some(self.default_of(parameter)),
            (None, None) => None,
        }
    }

    /// SHOW; 42704 with PostgreSQL's text.
    pub fn show(&self, name: &str) -> Result<&str> {
        self.get(name).ok_or_else(|| unrecognized(name))
    }

    /// A boolean parameter; false where there is none.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name) == Some("on")
    }

    /// A parameter with a unit of time, in milliseconds; 0 where there is none.
    pub fn milliseconds(&self, name: &str) -> u64 {
        self.get(name).and_then(values::parse_milliseconds).unwrap_or(0)
    }

    /// A parameter with a unit of memory, in bytes; 0 where there is none.
    pub fn bytes(&self, name: &str) -> u64 {
        self.get(name).and_then(values::parse_bytes).unwrap_or(0)
    }

    /// What RESET goes back to.
    pub fn base(&self, parameter: &Parameter) -> String {
        self.values
            .get(parameter.name)
            .map_or_else(|| self.default_of(parameter).to_owned(), |stack| stack.base.clone())
    }

    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// SET or SET LOCAL, with what was written; returns the value as SHOW prints it.
    /// 42704 unknown, 55P02 read-only, 22023 a value that does not fit.
    pub fn set(&mut self, name: &str, items: &[String], local: bool) -> Result<String> {
        let parameter = find(name);
        check_settable(parameter, name)?;
        let value = match parameter {
            Some(parameter) => values::check(parameter, items, self.get(parameter.name).unwrap_or_default())?,
            None => match items {
                [one] => one.clone(),
                _ => return Err(values::one_argument(name)),
            },
        };
        self.keep(parameter, name, value, local)
    }

    /// Whether SET would take this value: for those that roles and databases keep.
    pub fn check(&self, name: &str, items: &[String], is_superuser: bool) -> Result<()> {
        let parameter = find(name);
        check_settable(parameter, name)?;
        check_right(name, is_superuser)?;
        if let Some(parameter) = parameter {
            values::check(parameter, items, self.get(parameter.name).unwrap_or_default())?;
        }
        Ok(())
    }

    /// RESET, and SET … TO DEFAULT.
    pub fn reset(&mut self, name: &str, local: bool) -> Result<()> {
        let parameter = find(name);
        check_settable(parameter, name)?;
        let key = key(parameter, name).into_owned();
        let Some(stack) = self.values.get(&key) else {
            return if parameter.is_some() || name.contains('.') { Ok(()) } else { Err(unrecognized(name)) };
        };
        let base = stack.base.clone();
        self.store(parameter, name, base, local)
    }

    /// RESET ALL: every parameter that a session may set.
    pub fn reset_all(&mut self) -> Result<()> {
        let mut names: Vec<String> = self.values.keys().cloned().collect();
        names.sort();
        for name in names {
            if find(&name).is_none_or(|p| p.context.is_settable() && p.is_reset_by_all) {
                self.reset(&name, false)?;
            }
        }
        Ok(())
    }

    /// A value from before the session: the role's, the database's or the start-up packet's. RESET goes back to it.
    pub fn set_base(&mut self, name: &str, text: &str) -> Result<()> {
        let value = self.set_text(name, text, false)?;
        self.forget_undo();
        if let Some(stack) = self.values.get_mut(key(find(name), name).as_ref()) {
            stack.base = value;
            stack.session = None;
        }
        Ok(())
    }

    /// The same from one text that has the form SHOW prints: `set_config`, the start-up packet, stored settings. A list of names is
    /// a list here, where SET takes a string for one name.
    pub fn set_text(&mut self, name: &str, text: &str, local: bool) -> Result<String> {
        match find(name) {
            Some(parameter) if parameter.kind == Kind::Names => {
                check_settable(Some(parameter), name)?;
                let value = values::check_names(parameter, text)?;
                self.keep(Some(parameter), name, value, local)
            }
            _ => self.set(name, &[text.to_owned()], local),
        }
    }

    /// What the server knows and nobody sets (`is_superuser`), or sets by a statement of its own (`session_authorization`).
    pub fn set_fact(&mut self, name: &'static str, value: &str) {
        let parameter = find(name);
        let stack = Stack { base: value.to_owned(), ..Stack::default() };
        self.values.insert(key(parameter, name).into_owned(), stack);
        self.changed(parameter);
    }

    fn keep(
        &mut self,
        parameter: Option<&'static Parameter>,
        name: &str,
        value: String,
        local: bool,
    ) -> Result<String> {
        let is_token = parameter.is_some_and(|parameter| parameter.name == crate::tokens::SETTING);
        let most = if is_token { txn::TOKEN_BYTES_MAX } else { VALUE_BYTES_MAX };
        if value.len() > most {
            return Err(SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("value of parameter \"{name}\" is too long"),
            ));
        }
        self.store(parameter, name, value.clone(), local)?;
        Ok(value)
    }

    fn store(&mut self, parameter: Option<&'static Parameter>, name: &str, value: String, local: bool) -> Result<()> {
        let key = key(parameter, name).into_owned();
        let before = self.values.get(&key).cloned();
        if before.is_none() && parameter.is_none() && self.values.len() >= CUSTOM_MAX {
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "too many parameters in this session"));
        }
        let others = || self.values.values().map(Stack::bytes).sum::<usize>();
        if value.len() > SHORT_VALUE && others().saturating_add(value.len()) > VALUES_BYTES_MAX {
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "values of parameters take too much memory"));
        }
        self.note_before(&key, before)?;
        let base = || parameter.map_or(String::new(), |p| self.server.get(p.name).map_or(p.default, |v| v).to_owned());
        let stack = self.values.entry(key).or_insert_with(|| Stack { base: base(), ..Stack::default() });
        if local {
            stack.local = Some(value);
        } else {
            stack.session = Some(value);
            stack.local = None;
        }
        self.changed(parameter);
        Ok(())
    }

    /// What a roll-back to the newest mark would need to know.
    fn note_before(&mut self, key: &str, before: Option<Stack>) -> Result<()> {
        if self.undo.iter().skip(self.marked).any(|undo| undo.name == key) {
            return Ok(());
        }
        let undo = Undo { name: key.to_owned(), before };
        if self.undo_bytes.saturating_add(undo.bytes()) > UNDO_BYTES_MAX {
            let message = "too many changes of parameters in one transaction";
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
        }
        self.undo_bytes += undo.bytes();
        self.undo.push(undo);
        Ok(())
    }

    fn forget_undo(&mut self) {
        self.undo.clear();
        self.undo_bytes = 0;
        self.marked = 0;
    }

    fn changed(&mut self, parameter: Option<&'static Parameter>) {
        self.generation += 1;
        if let Some(parameter) = parameter.filter(|p| p.is_reported && !self.reported.contains(&p.name)) {
            self.reported.push(parameter.name);
        }
    }

    /// Names and values to tell the client (ParameterStatus), once each.
    pub fn take_reported(&mut self) -> Vec<(&'static str, String)> {
        let names = std::mem::take(&mut self.reported);
        names.into_iter().filter_map(|name| Some((name, self.get(name)?.to_owned()))).collect()
    }

    // --- transactions

    pub fn mark(&mut self) -> SettingsMark {
        self.marked = self.undo.len();
        SettingsMark(self.marked)
    }

    /// ROLLBACK TO SAVEPOINT.
    pub fn rollback_to(&mut self, mark: SettingsMark) {
        while self.undo.len() > mark.0 {
            let Some(undo) = self.undo.pop() else { break };
            self.undo_bytes = self.undo_bytes.saturating_sub(undo.bytes());
            let Undo { name, before } = undo;
            match before {
                Some(stack) => drop(self.values.insert(name.clone(), stack)),
                None => drop(self.values.remove(&name)),
            }
            self.changed(find(&name));
        }
        self.marked = self.marked.min(mark.0);
    }

    pub fn rollback(&mut self) {
        self.rollback_to(SettingsMark(0));
    }

    /// SET stays, SET LOCAL ends.
    pub fn commit(&mut self) {
        let mut names: Vec<String> = self.undo.drain(..).map(|undo| undo.name).collect();
        self.forget_undo();
        names.sort();
        names.dedup();
        for name in names {
            let had_local = self.values.get_mut(&name).is_some_and(|stack| stack.local.take().is_some());
            if had_local {
                self.changed(find(&name));
            }
        }
    }
}

/// A value in the form that SHOW prints.
pub fn shown(name: &str, text: &str) -> Result<String> {
    let parameter = find(name).ok_or_else(|| unrecognized(name))?;
    values::check(parameter, &[text.to_owned()], parameter.default)
}

/// The key of a parameter: its own spelling where it is known (`TimeZone`), lower case else.
fn key<'a>(parameter: Option<&'static Parameter>, name: &'a str) -> std::borrow::Cow<'a, str> {
    match parameter {
        Some(parameter) => parameter.name.into(),
        None => name.to_lowercase().into(),
    }
}

fn check_settable(parameter: Option<&'static Parameter>, name: &str) -> Result<()> {
    match parameter {
        None if name.contains('.') && !name.starts_with('.') && !name.ends_with('.') => Ok(()),
        None => Err(unrecognized(name)),
        Some(parameter) => match parameter.context {
            Context::User | Context::Superuser => Ok(()),
            Context::Internal => Err(unchangeable(parameter, "cannot be changed")),
            Context::Login => Err(unchangeable(parameter, "cannot be set after connection start")),
            Context::Start => Err(unchangeable(parameter, "cannot be changed without restarting the server")),
            Context::Reload => Err(unchangeable(parameter, "cannot be changed now")),
        },
    }
}

fn unchangeable(parameter: &Parameter, why: &str) -> SqlError {
    SqlError::new(SqlState::CANT_CHANGE_RUNTIME_PARAM, format!("parameter \"{}\" {why}", parameter.name))
}

/// 42501 for a parameter that only superusers may set.
pub fn check_right(name: &str, is_superuser: bool) -> Result<()> {
    match find(name) {
        Some(parameter) if parameter.context == Context::Superuser && !is_superuser => {
            let message = format!("permission denied to set parameter \"{}\"", parameter.name);
            Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message))
        }
        _ => Ok(()),
    }
}

fn unrecognized(name: &str) -> SqlError {
    let error = SqlError::new(SqlState::UNDEFINED_OBJECT, format!("unrecognized configuration parameter \"{name}\""));
    match parameters::nearest(name) {
        Some(near) => error.hint(format!("Perhaps you meant \"{near}\".")),
        None => error,
    }
}

#[cfg(test)]
mod tests;
