//! Level 8. The command line: reads it, calls `server`, says how it ended.
//!
//! Flags of `start` and `config` are made from the server's table of settings, so a setting has one name and one
//! explanation wherever it is given.

mod arguments;
mod simulate;

use arguments::{command, flags, folder, settings_file};
use clap::ArgMatches;
use host::Host;
use server::{Config, Exit, Server, logging};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit codes: a check has found something; the settings or the folder are at fault; a part of the running node failed.
const FOUND: u8 = 1;
const REFUSED: u8 = 2;
const FAILED: u8 = 3;

unsafe extern "C" {
    /// Of the allocator's library, which is linked in whole; its Rust package has no name for it without a further package.
    fn mi_collect(force: bool);
}

/// Memory that this thread has freed goes back to the system.
fn collect() {
    // SAFETY: may be called on any thread at any time; touches only the allocator's own state.
    unsafe { mi_collect(false) }
}

fn main() -> ExitCode {
    host::process::disable_huge_pages();
    host::spawn::give_memory_back_by(collect);
    let matches = command().get_matches();
    match matches.subcommand() {
        Some(("start", arguments)) => start(arguments),
        Some(("config", arguments)) => config(arguments),
        Some(("sim", arguments)) => simulate::run(arguments),
        Some(("debug", arguments)) => debug(arguments),
        Some(("version", _)) => {
            println!("hyrax {} (answers as PostgreSQL {})", env!("CARGO_PKG_VERSION"), server::POSTGRES_VERSION);
            ExitCode::SUCCESS
        }
        _ => ExitCode::from(REFUSED),
    }
}

/// The settings from file, environment and flags; their warnings.
fn load(arguments: &ArgMatches, host: &Host) -> Result<(Config, Vec<String>), ExitCode> {
    let file = settings_file(arguments);
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Config::load(host.files.as_ref(), file.as_deref(), environment, &flags(arguments))
        .map_err(|error| refuse(&error.to_string(), error.hint()))
}

fn refuse(error: &str, hint: Option<String>) -> ExitCode {
    eprintln!("hyrax: {error}");
    if let Some(hint) = hint {
        eprintln!("hint: {hint}");
    }
    ExitCode::from(REFUSED)
}

fn start(arguments: &ArgMatches) -> ExitCode {
    let host = Host::real();
    let (config, warnings) = match load(arguments, &host) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    if let Err(error) = logging::start(&config) {
        return refuse(&format!("log_filter: {error}"), None);
    }
    warnings.iter().for_each(|warning| logging::warn(warning));
    let server = match Server::start(config, host) {
        Ok(server) => server,
        Err(error) => return refuse(&error.to_string(), error.hint()),
    };
    let sql = server.sql_address();
    println!("hyrax is ready: psql -h {} -p {} -U postgres", sql.ip(), sql.port());
    match server.run() {
        Exit::Clean | Exit::Forced => ExitCode::SUCCESS,
        Exit::Failed => ExitCode::from(FAILED),
    }
}

/// `debug verify`.
fn debug(arguments: &ArgMatches) -> ExitCode {
    let Some(("verify", arguments)) = arguments.subcommand() else { return ExitCode::from(REFUSED) };
    let Some(data) = folder(arguments) else { return ExitCode::from(REFUSED) };
    match server::verify(&data, Host::real(), Box::new(|line| println!("{line}"))) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(FOUND),
        Err(error) => refuse(&error.to_string(), error.hint()),
    }
}

/// `config check` and `config print`.
fn config(arguments: &ArgMatches) -> ExitCode {
    let Some((what, arguments)) = arguments.subcommand() else { return ExitCode::from(REFUSED) };
    let (config, warnings) = match load(arguments, &Host::real()) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    match (what, config.check()) {
        (_, Err(error)) => refuse(&error.to_string(), error.hint()),
        ("print", Ok(_)) => {
            print!("{}", config.to_toml());
            ExitCode::SUCCESS
        }
        (_, Ok(_)) => {
            println!("the settings are in order");
            ExitCode::SUCCESS
        }
    }
}
