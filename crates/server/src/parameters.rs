//! What the node's own settings are to its sessions: the run-time parameters whose values an operator has chosen.

use crate::config::Config;
use session::settings::{ServerSettings, shown};
use std::net::SocketAddr;
use std::path::PathBuf;

/// In SHOW's form, by PostgreSQL's names.
pub fn of_sessions(config: &Config, sql: SocketAddr) -> ServerSettings {
    let file = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let is_encrypted = config.tls_cert.is_some() && config.tls_key.is_some();
    let slow = config.log_min_duration_statement.map_or("-1".to_owned(), |least| least.as_millis().to_string());
    let values = [
        ("listen_addresses", sql.ip().to_string()),
        ("port", sql.port().to_string()),
        ("max_connections", config.max_connections.to_string()),
        ("superuser_reserved_connections", config.superuser_reserved_connections.to_string()),
        ("ssl", if is_encrypted { "on" } else { "off" }.to_owned()),
        ("ssl_cert_file", file(&config.tls_cert)),
        ("ssl_key_file", file(&config.tls_key)),
        ("ssl_ca_file", file(&config.tls_client_ca)),
        ("log_min_duration_statement", slow),
        ("hyrax.txn_token_retention", config.txn_token_retention.as_millis().to_string()),
    ];
    // A value that is no parameter's stays out: the parameter shows its default.
    values.into_iter().filter_map(|(name, value)| Some((name, shown(name, &value).ok()?))).collect()
}

#[test]
fn operators_choices_are_shown_to_sessions() {
    let config = Config {
        max_connections: 60,
        log_min_duration_statement: Some(std::time::Duration::from_secs(90)),
        ..Config::default()
    };
    let shown = of_sessions(&config, "127.0.0.1:5544".parse().unwrap());
    let value = |name: &str| shown.get(name).map(String::as_str);
    assert_eq!(value("port"), Some("5544"));
    assert_eq!(value("max_connections"), Some("60"));
    assert_eq!(value("ssl"), Some("off"));
    assert_eq!(value("log_min_duration_statement"), Some("90s"));
    assert_eq!(shown.len(), 10);
}
