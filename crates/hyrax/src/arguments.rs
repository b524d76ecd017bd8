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

const VERIFY: &str = "\
Looks at everything in the data folder of a node that does not run, and changes nothing in it. The folder stays
locked meanwhile, so no node can start on it.

What is looked at: every record of the log; the checksum of every stored row and older version, and how many there are of each
table; the order of each row's versions; each row against its key; each index against its table, both ways; foreign keys.
What the log has beyond the last flush is applied in memory first, so rows are as the next start would find them.

Each thing that is wrong is a line that begins with FINDING (at most 100, the others are counted).

Exit status: 0 nothing is wrong; 1 something is; 2 the folder can not be looked at (not there, in use, of another version).

What to do about a finding: keep the folder as it is, and copy it before anything else. A damaged log or row means that the disk
has changed what was written to it: restore a backup on another disk. A wrong index is a fault of Hyrax, please report it; the
rows are intact, DROP INDEX and CREATE INDEX make it anew.";

const VERIFY_EXAMPLES: &str = "\
Examples:
  hyrax debug verify /var/lib/hyrax
  cp -a --reflink=auto /var/lib/hyrax /backup/hyrax && hyrax debug verify /backup/hyrax
      A copy of a stopped node's folder is a backup; this says whether it is a good one.";

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
    let folder = Arg::new("folder").value_name("DIR").required(true).value_parser(clap::value_parser!(PathBuf));
    let verify = Command::new("verify")
        .about("Check everything in a stopped node's data folder")
        .long_about(VERIFY)
        .after_help(VERIFY_EXAMPLES)
        .arg(folder.help("The data folder; no node may run on it"));
    let debug = Command::new("debug")
        .about("Look at a node's data without starting it")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(verify);
    Command::new("hyrax")
        .about(ABOUT)
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(EXAMPLES)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(start)
        .subcommand(config)
        .subcommand(crate::simulate::command())
        .subcommand(debug)
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

/// The folder of `debug verify`.
pub fn folder(arguments: &ArgMatches) -> Option<PathBuf> {
    arguments.get_one::<PathBuf>("folder").cloned()
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
