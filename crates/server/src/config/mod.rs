//! The node's settings: defaults, then the file, then `HYRAX_*` of the environment, then flags.
//!
//! I1  A key of the file or a flag that is no setting is an error that names the nearest one; a `HYRAX_*` variable that is
//!     none is a warning (others use the prefix, too).
//! I2  What `check` accepts, `Server::start` can act on: what an address off loopback needs is there.
//!
//! `settings` is the table; everything that names a setting is made from it.

mod settings;
mod values;

pub use settings::{GROUPS, Kind, SETTINGS, Setting};

use std::fmt::Write;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How clients prove who they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Auth {
    /// Trust on loopback, SCRAM elsewhere.
    Automatic,
    Trust,
    Scram,
}

impl Auth {
    fn name(self) -> &'static str {
        match self {
            Auth::Automatic => "",
            Auth::Trust => "trust",
            Auth::Scram => "scram",
        }
    }

    fn parse(text: &str) -> Result<Auth, String> {
        match text {
            "" => Ok(Auth::Automatic),
            "trust" => Ok(Auth::Trust),
            "scram" | "scram-sha-256" => Ok(Auth::Scram),
            _ => Err(format!("\"{text}\" is neither trust nor scram")),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    Text,
    Json,
}

impl LogFormat {
    fn name(self) -> &'static str {
        match self {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        }
    }

    fn parse(text: &str) -> Result<LogFormat, String> {
        match text {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err(format!("\"{text}\" is neither text nor json")),
        }
    }
}

/// All settings of a node; `settings` says what each means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    pub data: PathBuf,
    pub sql: String,
    pub http: String,
    pub peer: String,
    pub auth: Auth,
    pub tls_cert: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
    pub tls_client_ca: Option<PathBuf>,
    pub insecure: bool,
    pub initial_password: Option<String>,
    pub max_connections: usize,
    pub superuser_reserved_connections: usize,
    pub max_memory: Option<u64>,
    pub session_threads: usize,
    pub worker_threads: usize,
    pub transaction_spans: usize,
    pub transaction_row_locks: usize,
    pub transaction_memory: u64,
    pub txn_token_retention: Duration,
    pub max_segment_size: u64,
    pub log: LogFormat,
    pub log_filter: String,
    pub log_min_duration_statement: Option<Duration>,
    pub drain_timeout: Duration,
}

impl Default for Config {
    fn default() -> Config {
        let limits = txn::Limits::default();
        Config {
            data: "./hyrax-data".into(),
            sql: "127.0.0.1:5433".to_owned(),
            http: "127.0.0.1:8433".to_owned(),
            peer: "127.0.0.1:7433".to_owned(),
            auth: Auth::Automatic,
            tls_cert: None,
            tls_key: None,
            tls_client_ca: None,
            insecure: false,
            initial_password: None,
            max_connections: 500,
            superuser_reserved_connections: 3,
            max_memory: None,
            session_threads: 0,
            worker_threads: 0,
            transaction_spans: limits.spans,
            transaction_row_locks: limits.row_locks,
            transaction_memory: limits.buffer_bytes as u64,
            txn_token_retention: Duration::from_secs(24 * 60 * 60),
            max_segment_size: limits.segment_bytes as u64,
            log: LogFormat::Text,
            log_filter: "info,openraft=warn".to_owned(),
            log_min_duration_statement: None,
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// Why settings can not be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    #[error("the settings file {path} can not be read: {reason}")]
    Unreadable { path: String, reason: String },
    #[error("the settings file {path} is not TOML: {reason}")]
    NotToml { path: String, reason: String },
    #[error("{origin} sets \"{name}\", which is no setting")]
    Unknown { origin: String, name: String, nearest: Option<&'static str> },
    #[error("{origin} sets \"{name}\": {reason}")]
    Value { origin: String, name: String, reason: String },
    #[error("{reason}")]
    Unsafe { reason: String, hint: &'static str },
}

impl ConfigError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            ConfigError::Unknown { nearest: Some(nearest), .. } => Some(format!("Did you mean \"{nearest}\"?")),
            ConfigError::Unknown { .. } => Some("`hyrax config print` lists the settings.".to_owned()),
            ConfigError::Unsafe { hint, .. } => Some((*hint).to_owned()),
            _ => None,
        }
    }
}

pub fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

/// The setting that a wrong name is nearest to.
pub fn nearest(name: &str) -> Option<&'static str> {
    values::nearest(name, SETTINGS.iter().map(|setting| setting.name))
}

impl Config {
    /// The layers in their order. `flags` are names of settings and what was written. Returns warnings beside.
    pub fn load(
        files: &dyn host::Files,
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        flags: &[(String, String)],
    ) -> Result<(Config, Vec<String>), ConfigError> {
        let mut config = Config::default();
        if let Some(path) = file {
            config.read_file(files, path)?;
        }
        let mut warnings = Vec::new();
        for (variable, value) in environment {
            let Some(name) = variable.strip_prefix("HYRAX_").map(str::to_ascii_lowercase) else { continue };
            match find(&name) {
                Some(setting) => config.set(setting, &value, &variable)?,
                None => {
                    let hint =
                        nearest(&name).map(|near| format!(" (did you mean HYRAX_{}?)", near.to_ascii_uppercase()));
                    warnings.push(format!("{variable} is no setting of this program{}", hint.unwrap_or_default()));
                }
            }
        }
        for (name, value) in flags {
            let origin = format!("flag --{}", name.replace('_', "-"));
            match find(name) {
                Some(setting) => config.set(setting, value, &origin)?,
                None => {
                    let origin = "the command line".to_owned();
                    return Err(ConfigError::Unknown { origin, name: name.clone(), nearest: nearest(name) });
                }
            }
        }
        Ok((config, warnings))
    }

    fn read_file(&mut self, files: &dyn host::Files, path: &Path) -> Result<(), ConfigError> {
        let shown = path.display().to_string();
        let unreadable = |reason: String| ConfigError::Unreadable { path: shown.clone(), reason };
        let bytes = files.read(path).map_err(|error| unreadable(error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8".to_owned()))?;
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| ConfigError::NotToml {
            path: shown.clone(),
            reason: error.to_string(),
        })?;
        for (name, value) in &table {
            let Some(setting) = find(name) else {
                return Err(ConfigError::Unknown { origin: shown.clone(), name: name.clone(), nearest: nearest(name) });
            };
            let value = match value {
                toml::Value::String(text) => text.clone(),
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Boolean(switch) => switch.to_string(),
                _ => {
                    let reason = "a text, a number or true/false is expected".to_owned();
                    return Err(ConfigError::Value { origin: shown.clone(), name: name.clone(), reason });
                }
            };
            self.set(setting, &value, &shown)?;
        }
        Ok(())
    }

    fn set(&mut self, setting: &Setting, value: &str, origin: &str) -> Result<(), ConfigError> {
        (setting.set)(self, value).map_err(|reason| ConfigError::Value {
            origin: origin.to_owned(),
            name: setting.name.to_owned(),
            reason,
        })
    }

    /// Whether the settings go together, and the addresses they name.
    pub fn check(&self) -> Result<Addresses, ConfigError> {
        let refused = |reason: &str, hint| Err(ConfigError::Unsafe { reason: reason.to_owned(), hint });
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            return refused(
                "a certificate without its key, or the other way round",
                "Set both `tls_cert` and `tls_key`.",
            );
        }
        if self.tls_client_ca.is_some() && self.tls_cert.is_none() {
            return refused("`tls_client_ca` without a certificate of the server", "Set `tls_cert` and `tls_key` too.");
        }
        let addresses = Addresses { sql: resolve("sql", &self.sql)?, http: resolve("http", &self.http)? };
        if !self.insecure && !is_loopback(&addresses.sql) {
            if self.tls_cert.is_none() {
                let reason = format!("{} can be reached by other machines, and there is no certificate", self.sql);
                let hint = "Set `tls_cert` and `tls_key`, or listen on 127.0.0.1, or say `insecure` where the network is trusted.";
                return refused(&reason, hint);
            }
            if self.auth == Auth::Trust {
                let reason = format!("{} can be reached by other machines, and `auth` trusts everyone", self.sql);
                return refused(&reason, "Set `auth` to scram, or say `insecure` where the network is trusted.");
            }
        }
        if !self.insecure && !is_loopback(&addresses.http) {
            let reason =
                format!("{} can be reached by other machines, and HTTP has neither TLS nor passwords", self.http);
            return refused(&reason, "Listen on 127.0.0.1, or say `insecure` where the network is trusted.");
        }
        Ok(addresses)
    }

    /// A file with these settings, each with what it means.
    pub fn to_toml(&self) -> String {
        let mut file = String::from(
            "# Hyrax's settings. Each may also be given as HYRAX_NAME in the environment or as --name on the command line;\n\
             # flags win over the environment, the environment over this file. An unknown name is an error.\n",
        );
        for group in GROUPS {
            let _ = write!(file, "\n# --- {group}\n");
            for setting in SETTINGS.iter().filter(|setting| setting.group == *group) {
                let _ = write!(file, "\n{}{} = {}\n", comment(setting.help), setting.name, setting.literal(self));
            }
        }
        file
    }
}

/// Where the node listens, resolved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Addresses {
    pub sql: SocketAddr,
    pub http: SocketAddr,
}

pub fn is_loopback(address: &SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

fn resolve(name: &str, address: &str) -> Result<SocketAddr, ConfigError> {
    let wrong =
        |reason: String| ConfigError::Value { origin: "the configuration".to_owned(), name: name.to_owned(), reason };
    let mut found = address.to_socket_addrs().map_err(|error| wrong(format!("{address}: {error}")))?;
    found.next().ok_or_else(|| wrong(format!("{address} is no address of any machine")))
}

/// Sentences as comment lines of at most 110 columns.
fn comment(text: &str) -> String {
    const WIDTH: usize = 110;
    let mut lines = String::new();
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            lines.push_str(&line);
            lines.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    lines.push_str(&line);
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests;
