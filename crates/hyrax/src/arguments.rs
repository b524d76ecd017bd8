//! What the command line may say.

use clap::builder::OsStr;
use clap::{Arg, ArgAction, ArgMatches, Command};
use server::config::{Config, Kind, SETTINGS};
use std::path::PathBuf;

const ABOUT: &str = "Hyrax: a distributed SQL database that speaks PostgreSQL's protocol";

const EXAMPLES: &str = "\
Examples:
  hyrax start
      A node with its data in ./hyrax-data, for clients of this machine:
      psql -h 127.0.0.1 -p 5433 -U postgres
  hyrax start --data /var/lib/hyrax --config /etc/hyrax.toml
      Settings from a file; flags and HYRAX_* of the environment win over it.
  HYRAX_INITIAL_PASSWORD=secret hyrax start --sql 0.0.0.0:5433 --tls-cert server.crt --tls-key server.key
      For clients of other machines: encrypted, with passwords.
  hyrax config print
      Every setting with its value and meaning, as a file to start from.";

const START: &str = "\
Runs a node until SIGTERM or SIGINT. An empty or absent data folder becomes a new cluster of one node, ready in
under a second; the same folder starts again at any address. On SIGTERM no new sessions are taken, transactions under way
may end within `drain_timeout`, then the node flushes and exits with 0. A second signal ends it at once, and loses nothing
that was answered.";

pub fn command() -> Command {
    let start = Command::new("start")
        .about("Run a node")
        .long_about(START)
        .after_help(EXAMPLES)
        .arg(config_file())
        .args(setting_flags())
        .arg(Arg::new("join").long("join").value_name("ADDR").hide(true).value_parser(|_: &str| {
            Err::<String, _>("clusters of more than one node are not supported by this version")
        }));
    let config = Command::new("config")
        .about("Look at the settings without starting anything")
        .subcommand_required(true)
        .subcommand(with_settings("check", "Say whether the settings are in order"))
        .subcommand(with_settings("print", "Print every setting with its meaning, as a settings file"));
    Command::new("hyrax")
        .about(ABOUT)
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(EXAMPLES)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(start)
        .subcommand(config)
        .subcommand(crate::simulate::command())
        .subcommand(Command::new("version").about("Print the version"))
}

fn with_settings(name: &'static str, about: &'static str) -> Command {
    Command::new(name).about(about).arg(config_file()).args(setting_flags())
}

fn config_file() -> Arg {
    Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .help("Settings file (TOML), weaker than the environment and flags [default: none]")
}

/// A flag for each setting, in the table's order.
fn setting_flags() -> impl Iterator<Item = Arg> {
    let defaults = Config::default();
    SETTINGS.iter().map(move |setting| {
        let default = setting.literal(&defaults);
        let default = default.trim_matches('"');
        let default = if default.is_empty() { "none" } else { default };
        let flag: &'static str = setting.flag().leak();
        let mut arg = Arg::new(setting.name)
            .long(flag)
            .value_name(setting.placeholder)
            .action(ArgAction::Set)
            .help(format!("{} [{}] [default: {default}]", setting.help.replace('`', "'"), setting.variable()))
            .help_heading(setting.group);
        if setting.kind == Kind::Switch {
            arg = arg.num_args(0..=1).require_equals(true).default_missing_value(OsStr::from("true"));
        }
        if setting.name == "data" {
            arg = arg.visible_alias("data-dir");
        }
        if setting.name == "sql" {
            arg = arg.visible_alias("listen");
        }
        arg
    })
}

pub fn settings_file(arguments: &ArgMatches) -> Option<PathBuf> {
    arguments.get_one::<PathBuf>("config").cloned()
}

/// The settings that were given as flags.
pub fn flags(arguments: &ArgMatches) -> Vec<(String, String)> {
    SETTINGS
        .iter()
        .filter_map(|setting| Some((setting.name.to_owned(), arguments.get_one::<String>(setting.name)?.clone())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    fn parse(words: &[&str]) -> Result<Vec<(String, String)>, String> {
        let words = ["hyrax", "start"].iter().chain(words);
        match command().try_get_matches_from(words) {
            Ok(matches) => Ok(flags(matches.subcommand_matches("start").unwrap())),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn flags_are_settings() {
        let given = parse(&["--data-dir", "d", "--insecure", "--max-connections", "60"]).unwrap();
        let expected = [("data", "d"), ("insecure", "true"), ("max_connections", "60")];
        assert_eq!(given, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let error = parse(&["--max-conections", "60"]).unwrap_err();
        assert!(error.contains("--max-connections"), "{error}");
        assert!(parse(&["--join", "a:1"]).unwrap_err().contains("more than one node"));
    }
}
