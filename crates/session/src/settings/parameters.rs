//! What a parameter is, and how one is found; `table` has them all.

use super::table::PARAMETERS;
use foldhash::{HashMap, HashMapExt};
use std::sync::OnceLock;

/// Who may change a parameter, and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Context {
    /// Any session, at any time.
    User,
    /// A superuser's session, at any time.
    Superuser,
    /// When a session starts, in PostgreSQL.
    Login,
    /// Shows a fact (`server_version`).
    Internal,
    /// The server's configuration.
    Start,
    /// The same, where PostgreSQL reads it again while it runs.
    Reload,
}

impl Context {
    /// As pg_settings names it.
    pub fn name(self) -> &'static str {
        match self {
            Context::User => "user",
            Context::Superuser => "superuser",
            Context::Login => "superuser-backend",
            Context::Internal => "internal",
            Context::Start => "postmaster",
            Context::Reload => "sighup",
        }
    }

    /// Whether a session may set it at all.
    pub fn is_settable(self) -> bool {
        matches!(self, Context::User | Context::Superuser)
    }
}

/// What values a parameter takes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Kind {
    Bool,
    Integer {
        min: i64,
        max: i64,
    },
    Real {
        min: f64,
        max: f64,
    },
    /// Milliseconds; printed with the largest unit that divides.
    Time {
        min: i64,
        max: i64,
    },
    /// Milliseconds with a fraction; printed with the largest unit that divides, down to microseconds.
    FineTime {
        min: i64,
        max: i64,
    },
    /// Kilobytes (`unit_kb` of them a unit, for numbers without one); printed with the largest unit that divides.
    Memory {
        unit_kb: i64,
        min: i64,
        max: i64,
    },
    Enum(&'static [&'static str]),
    Text,
    /// A list of identifiers (`search_path`).
    Names,
    TimeZone,
    DateStyle,
    /// UTF8 only.
    Encoding,
}

#[derive(Debug)]
pub struct Parameter {
    pub name: &'static str,
    pub default: &'static str,
    pub kind: Kind,
    pub context: Context,
    /// Sent to the client as ParameterStatus when it changes.
    pub is_reported: bool,
    pub is_reset_by_all: bool,
}

/// Every parameter, in no particular order (SHOW ALL sorts by name).
pub fn all() -> &'static [Parameter] {
    PARAMETERS
}

/// By name, whatever its case. `TIME ZONE` and `NAMES` are the parser's business.
pub fn find(name: &str) -> Option<&'static Parameter> {
    static BY_NAME: OnceLock<HashMap<String, &'static Parameter>> = OnceLock::new();
    let map = BY_NAME.get_or_init(|| {
        let mut map = HashMap::new();
        for parameter in PARAMETERS {
            map.insert(parameter.name.to_lowercase(), parameter);
        }
        map
    });
    match map.get(name) {
        Some(parameter) => Some(parameter),
        None => map.get(&name.to_lowercase()).copied(),
    }
}

/// The parameter whose name is at most two letters away.
pub fn nearest(name: &str) -> Option<&'static str> {
    const NAME_MAX: usize = 63;
    if name.len() > NAME_MAX {
        return None;
    }
    let name = name.to_lowercase();
    PARAMETERS
        .iter()
        .map(|p| (distance(&name, &p.name.to_lowercase()), p.name))
        .filter(|(distance, _)| *distance <= 2)
        .min()
        .map(|(_, name)| name)
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (y, above) in b.iter().zip(row.iter_mut().skip(1)) {
            let change = diagonal + usize::from(x != *y);
            diagonal = *above;
            left = change.min(diagonal + 1).min(left + 1);
            *above = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}
