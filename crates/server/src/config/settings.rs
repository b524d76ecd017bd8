//! The table of settings: the one place that names them. The file's keys, the environment's variables, the command
//! line's flags, their help and `config/hyrax.toml` all come from here.

use super::values::*;
use super::{Auth, Config, LogFormat};
use std::path::PathBuf;

/// How a value is written in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// In quotes.
    Text,
    Number,
    Switch,
}

pub struct Setting {
    /// The key in the file; `HYRAX_` and capitals in the environment, `--` and hyphens on the command line.
    pub name: &'static str,
    pub group: &'static str,
    pub kind: Kind,
    /// What stands for the value in the help.
    pub placeholder: &'static str,
    /// Whole sentences; the first is the short form.
    pub help: &'static str,
    /// Not shown where settings are printed.
    pub is_secret: bool,
    pub get: fn(&Config) -> String,
    pub set: fn(&mut Config, &str) -> Result<(), String>,
}

impl Setting {
    pub fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    pub fn variable(&self) -> String {
        format!("HYRAX_{}", self.name.to_ascii_uppercase())
    }

    /// As the file has it.
    pub fn literal(&self, config: &Config) -> String {
        let value = if self.is_secret { String::new() } else { (self.get)(config) };
        match self.kind {
            Kind::Text => format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")),
            Kind::Number | Kind::Switch => value,
        }
    }
}

pub const GROUPS: &[&str] = &["Where it listens and stores", "Who may connect", "Limits", "Logs", "Stopping"];
const PLACE: &str = "Where it listens and stores";
const ACCESS: &str = "Who may connect";
const LIMITS: &str = "Limits";
const LOGS: &str = "Logs";
const STOPPING: &str = "Stopping";

const CONNECTIONS_MAX: u64 = 100_000;
const THREADS_MAX: u64 = 1_024;

const fn text(
    name: &'static str,
    group: &'static str,
    placeholder: &'static str,
    help: &'static str,
    get: fn(&Config) -> String,
    set: fn(&mut Config, &str) -> Result<(), String>,
) -> Setting {
    Setting { name, group, kind: Kind::Text, placeholder, help, is_secret: false, get, set }
}

const fn number(
    name: &'static str,
    group: &'static str,
    help: &'static str,
    get: fn(&Config) -> String,
    set: fn(&mut Config, &str) -> Result<(), String>,
) -> Setting {
    Setting { kind: Kind::Number, ..text(name, group, "N", help, get, set) }
}

fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}

fn shown(path: &Option<PathBuf>) -> String {
    path.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
}

fn store<T>(place: &mut T, value: Result<T, String>) -> Result<(), String> {
    *place = value?;
    Ok(())
}

fn address(text: &str) -> Result<String, String> {
    let wrong = || format!("\"{text}\" is not an address; write it like 127.0.0.1:5433");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    match port.parse::<u16>() {
        Ok(_) if !host.is_empty() => Ok(text.to_owned()),
        _ => Err(wrong()),
    }
}

pub static SETTINGS: &[Setting] = &[
    text(
        "data",
        PLACE,
        "DIR",
        "The data folder. An empty or absent one becomes a new cluster of one node; a node keeps its identity in it.",
        |c| c.data.display().to_string(),
        |c, v| match path(v) {
            Some(path) => store(&mut c.data, Ok(path)),
            None => Err("the data folder needs a name".to_owned()),
        },
    ),
    text(
        "sql",
        PLACE,
        "ADDR",
        "Where PostgreSQL clients connect. An address that other machines can reach needs TLS and passwords, or `insecure`. Port 0 takes a free one.",
        |c| c.sql.clone(),
        |c, v| store(&mut c.sql, address(v)),
    ),
    text(
        "http",
        PLACE,
        "ADDR",
        "Where /health, /ready and /metrics answer. Off loopback it needs `insecure`.",
        |c| c.http.clone(),
        |c, v| store(&mut c.http, address(v)),
    ),
    text(
        "peer",
        PLACE,
        "ADDR",
        "Where other nodes will reach this one. A cluster of one node opens no port here.",
        |c| c.peer.clone(),
        |c, v| store(&mut c.peer, address(v)),
    ),
    text(
        "auth",
        ACCESS,
        "METHOD",
        "How clients prove who they are: `trust`, `scram` (passwords, SCRAM-SHA-256), or empty: trust on loopback, scram elsewhere.",
        |c| c.auth.name().to_owned(),
        |c, v| store(&mut c.auth, Auth::parse(v)),
    ),
    text(
        "tls_cert",
        ACCESS,
        "FILE",
        "The certificate chain (PEM) that clients see. With it and `tls_key` clients may encrypt; those from other machines must.",
        |c| shown(&c.tls_cert),
        |c, v| store(&mut c.tls_cert, Ok(path(v))),
    ),
    text(
        "tls_key",
        ACCESS,
        "FILE",
        "The private key (PEM) of `tls_cert`.",
        |c| shown(&c.tls_key),
        |c, v| store(&mut c.tls_key, Ok(path(v))),
    ),
    text(
        "tls_client_ca",
        ACCESS,
        "FILE",
        "Clients that encrypt must show a certificate that this authority (PEM) signed.",
        |c| shown(&c.tls_client_ca),
        |c, v| store(&mut c.tls_client_ca, Ok(path(v))),
    ),
    Setting {
        kind: Kind::Switch,
        ..text(
            "insecure",
            ACCESS,
            "BOOL",
            "Lets other machines connect without TLS, and without passwords unless `auth` says scram. For tests and private networks.",
            |c| c.insecure.to_string(),
            |c, v| store(&mut c.insecure, parse_switch(v)),
        )
    },
    Setting {
        is_secret: true,
        ..text(
            "initial_password",
            ACCESS,
            "PASSWORD",
            "The password of role postgres in a new cluster; later it is ALTER ROLE's business. Best given as HYRAX_INITIAL_PASSWORD.",
            |c| c.initial_password.clone().unwrap_or_default(),
            |c, v| store(&mut c.initial_password, Ok((!v.is_empty()).then(|| v.to_owned()))),
        )
    },
    number(
        "max_connections",
        LIMITS,
        "SQL connections at a time (53300 beyond).",
        |c| c.max_connections.to_string(),
        |c, v| store(&mut c.max_connections, parse_number(v, 1, CONNECTIONS_MAX).map(|n| n as usize)),
    ),
    number(
        "superuser_reserved_connections",
        LIMITS,
        "More connections that only superusers get.",
        |c| c.superuser_reserved_connections.to_string(),
        |c, v| store(&mut c.superuser_reserved_connections, parse_number(v, 0, CONNECTIONS_MAX).map(|n| n as usize)),
    ),
    text(
        "max_memory",
        LIMITS,
        "SIZE",
        "What the node's statements, caches and buffers may take together; half of it is for statements (53200 beyond). Empty: half of the machine's memory.",
        |c| c.max_memory.map(show_size).unwrap_or_default(),
        |c, v| store(&mut c.max_memory, if v.is_empty() { Ok(None) } else { parse_size(v).map(Some) }),
    ),
    number(
        "session_threads",
        LIMITS,
        "Threads that serve connections, which are dealt to them in turn. 0: one for each core.",
        |c| c.session_threads.to_string(),
        |c, v| store(&mut c.session_threads, parse_number(v, 0, THREADS_MAX).map(|n| n as usize)),
    ),
    number(
        "worker_threads",
        LIMITS,
        "Threads for long statements, so that these do not hold up short ones. 0: one for each core.",
        |c| c.worker_threads.to_string(),
        |c, v| store(&mut c.worker_threads, parse_number(v, 0, THREADS_MAX).map(|n| n as usize)),
    ),
    number(
        "transaction_spans",
        LIMITS,
        "Key ranges that a transaction's reads are remembered by before neighbours are merged.",
        |c| c.transaction_spans.to_string(),
        |c, v| store(&mut c.transaction_spans, parse_number(v, 16, 10_000_000).map(|n| n as usize)),
    ),
    number(
        "transaction_row_locks",
        LIMITS,
        "Row locks of one transaction in one table before they become one lock on the table.",
        |c| c.transaction_row_locks.to_string(),
        |c, v| store(&mut c.transaction_row_locks, parse_number(v, 16, 10_000_000).map(|n| n as usize)),
    ),
    text(
        "transaction_memory",
        LIMITS,
        "SIZE",
        "What one transaction's uncommitted writes may take (53200 beyond).",
        |c| show_size(c.transaction_memory),
        |c, v| store(&mut c.transaction_memory, parse_size(v)),
    ),
    text(
        "txn_token_retention",
        LIMITS,
        "DURATION",
        "How long `hyrax_txn_status` knows what became of a transaction that its client named by `hyrax.txn_token`.",
        |c| show_duration(c.txn_token_retention),
        |c, v| store(&mut c.txn_token_retention, parse_duration(v)),
    ),
    text(
        "max_segment_size",
        LIMITS,
        "SIZE",
        "What the rows of all tables, their indexes and their history may take on disk (53100 beyond; deleting makes room). Also the address space that is taken, and a gigabyte more.",
        |c| show_size(c.max_segment_size),
        |c, v| store(&mut c.max_segment_size, parse_size(v)),
    ),
    text(
        "log",
        LOGS,
        "FORMAT",
        "`text` for people, `json` for machines. Logs go to standard error.",
        |c| c.log.name().to_owned(),
        |c, v| store(&mut c.log, LogFormat::parse(v)),
    ),
    text(
        "log_filter",
        LOGS,
        "FILTER",
        "Which events are logged: a level, or levels by module (`info,shard=debug`).",
        |c| c.log_filter.clone(),
        |c, v| store(&mut c.log_filter, Ok(v.to_owned())),
    ),
    text(
        "log_min_duration_statement",
        LOGS,
        "DURATION",
        "Statements that take at least so long are logged with their text. `off`: none.",
        |c| c.log_min_duration_statement.map_or_else(|| "off".to_owned(), show_duration),
        |c, v| {
            let value = if matches!(v, "off" | "-1" | "") { Ok(None) } else { parse_duration(v).map(Some) };
            store(&mut c.log_min_duration_statement, value)
        },
    ),
    text(
        "drain_timeout",
        STOPPING,
        "DURATION",
        "How long a stopping node waits for transactions under way before it ends them (57P01).",
        |c| show_duration(c.drain_timeout),
        |c, v| store(&mut c.drain_timeout, parse_duration(v)),
    ),
];
