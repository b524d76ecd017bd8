//! The table of parameters: PostgreSQL 15's that drivers, ORMs and pg_dump send or ask for, and Hyrax's own.

use foldhash::{HashMap, HashMapExt};
use std::sync::OnceLock;

/// Who may change a parameter, and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Context {
    /// Any session, at any time.
    User,
    /// Shows a fact (`server_version`).
    Internal,
    /// The server's configuration.
    Start,
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

const fn user(name: &'static str, default: &'static str, kind: Kind) -> Parameter {
    Parameter { name, default, kind, context: Context::User, is_reported: false, is_reset_by_all: true }
}
const fn reported(name: &'static str, default: &'static str, kind: Kind) -> Parameter {
    Parameter { is_reported: true, ..user(name, default, kind) }
}
const fn fact(name: &'static str, default: &'static str) -> Parameter {
    Parameter { context: Context::Internal, ..user(name, default, Kind::Text) }
}
const fn reported_fact(name: &'static str, default: &'static str) -> Parameter {
    Parameter { is_reported: true, ..fact(name, default) }
}
const fn start(name: &'static str, default: &'static str) -> Parameter {
    Parameter { context: Context::Start, ..user(name, default, Kind::Text) }
}
/// Belongs to the transaction or the session's identity: RESET ALL leaves it alone.
const fn kept(name: &'static str, default: &'static str, kind: Kind) -> Parameter {
    Parameter { is_reset_by_all: false, ..user(name, default, kind) }
}

const INT_MAX: i64 = i32::MAX as i64;
const MILLISECONDS: Kind = Kind::Time { min: 0, max: INT_MAX };
const COST: Kind = Kind::Real { min: 0.0, max: f64::MAX };
/// A cost; -1 is one that is never reached.
const OR_NEVER: Kind = Kind::Real { min: -1.0, max: f64::MAX };
const LEVELS: &[&str] = &["read uncommitted", "read committed", "repeatable read", "serializable"];
const MESSAGES: &[&str] = &[
    "debug5", "debug4", "debug3", "debug2", "debug1", "debug", "info", "notice", "warning", "error", "log", "fatal",
    "panic",
];

/// What `SHOW server_version` says; `version()` says the same in words.
pub const SERVER_VERSION: &str = concat!("15.18 (Hyrax ", env!("CARGO_PKG_VERSION"), ")");

static PARAMETERS: &[Parameter] = &[
    // --- formats
    reported("DateStyle", "ISO, MDY", Kind::DateStyle),
    reported("IntervalStyle", "postgres", Kind::Enum(&["postgres", "postgres_verbose", "sql_standard", "iso_8601"])),
    reported("TimeZone", "UTC", Kind::TimeZone),
    user("extra_float_digits", "1", Kind::Integer { min: -15, max: 3 }),
    user("bytea_output", "hex", Kind::Enum(&["hex", "escape"])),
    reported("client_encoding", "UTF8", Kind::Encoding),
    user("timezone_abbreviations", "Default", Kind::Text),
    user("xmlbinary", "base64", Kind::Enum(&["base64", "hex"])),
    user("xmloption", "content", Kind::Enum(&["content", "document"])),
    user("lc_messages", "C", Kind::Text),
    user("lc_monetary", "C", Kind::Text),
    user("lc_numeric", "C", Kind::Text),
    user("lc_time", "C", Kind::Text),
    fact("lc_collate", "C"),
    fact("lc_ctype", "C"),
    // --- meaning of text
    reported("standard_conforming_strings", "on", Kind::Bool),
    user("backslash_quote", "safe_encoding", Kind::Enum(&["safe_encoding", "on", "off"])),
    user("escape_string_warning", "on", Kind::Bool),
    user("quote_all_identifiers", "off", Kind::Bool),
    user("transform_null_equals", "off", Kind::Bool),
    user("array_nulls", "on", Kind::Bool),
    user("search_path", "\"$user\", public", Kind::Names),
    user("default_tablespace", "", Kind::Text),
    user("default_table_access_method", "heap", Kind::Text),
    user("default_toast_compression", "pglz", Kind::Text),
    user("temp_tablespaces", "", Kind::Text),
    user("check_function_bodies", "on", Kind::Bool),
    user("row_security", "on", Kind::Bool),
    // --- hints to what works by itself here
    user("effective_io_concurrency", "1", Kind::Integer { min: 0, max: 1000 }),
    user("maintenance_io_concurrency", "10", Kind::Integer { min: 0, max: 1000 }),
    user("gin_fuzzy_search_limit", "0", Kind::Integer { min: 0, max: INT_MAX }),
    user("max_stack_depth", "2MB", Kind::Memory { unit_kb: 1, min: 100, max: 2_147_483 }),
    user("vacuum_cost_limit", "200", Kind::Integer { min: 1, max: 10_000 }),
    user("vacuum_cost_page_hit", "1", Kind::Integer { min: 0, max: 10_000 }),
    user("vacuum_cost_page_miss", "2", Kind::Integer { min: 0, max: 10_000 }),
    user("vacuum_cost_page_dirty", "20", Kind::Integer { min: 0, max: 10_000 }),
    user("vacuum_freeze_min_age", "50000000", Kind::Integer { min: 0, max: 1_000_000_000 }),
    user("vacuum_freeze_table_age", "150000000", Kind::Integer { min: 0, max: 2_000_000_000 }),
    user("vacuum_cost_delay", "0", Kind::FineTime { min: 0, max: 100 }),
    // --- transactions
    reported("default_transaction_read_only", "off", Kind::Bool),
    user("default_transaction_isolation", "serializable", Kind::Enum(LEVELS)),
    user("default_transaction_deferrable", "off", Kind::Bool),
    kept("transaction_isolation", "serializable", Kind::Enum(LEVELS)),
    kept("transaction_read_only", "off", Kind::Bool),
    kept("transaction_deferrable", "off", Kind::Bool),
    user("statement_timeout", "0", MILLISECONDS),
    user("lock_timeout", "0", MILLISECONDS),
    user("idle_in_transaction_session_timeout", "0", MILLISECONDS),
    user("idle_session_timeout", "0", MILLISECONDS),
    user("deadlock_timeout", "1s", MILLISECONDS),
    user("synchronous_commit", "on", Kind::Enum(&["local", "remote_write", "remote_apply", "on", "off"])),
    user("commit_delay", "0", Kind::Integer { min: 0, max: 100_000 }),
    // --- client
    reported("application_name", "", Kind::Text),
    user("client_min_messages", "notice", Kind::Enum(MESSAGES)),
    user("log_min_messages", "warning", Kind::Enum(MESSAGES)),
    user("log_statement", "none", Kind::Enum(&["none", "ddl", "mod", "all"])),
    user("log_min_duration_statement", "-1", Kind::Time { min: -1, max: INT_MAX }),
    user("log_duration", "off", Kind::Bool),
    user("track_activities", "on", Kind::Bool),
    user("track_counts", "on", Kind::Bool),
    user("track_functions", "none", Kind::Enum(&["none", "pl", "all"])),
    user("stats_fetch_consistency", "cache", Kind::Enum(&["none", "cache", "snapshot"])),
    user("compute_query_id", "auto", Kind::Enum(&["auto", "regress", "on", "off"])),
    user("track_io_timing", "off", Kind::Bool),
    user("tcp_keepalives_idle", "0", Kind::Integer { min: 0, max: INT_MAX }),
    user("tcp_keepalives_interval", "0", Kind::Integer { min: 0, max: INT_MAX }),
    user("tcp_keepalives_count", "0", Kind::Integer { min: 0, max: INT_MAX }),
    user("password_encryption", "scram-sha-256", Kind::Enum(&["scram-sha-256"])),
    kept("role", "none", Kind::Text),
    kept("session_authorization", "postgres", Kind::Text),
    reported_fact("is_superuser", "on"),
    // --- planner
    user("enable_bitmapscan", "on", Kind::Bool),
    user("enable_gathermerge", "on", Kind::Bool),
    user("enable_hashagg", "on", Kind::Bool),
    user("enable_hashjoin", "on", Kind::Bool),
    user("enable_incremental_sort", "on", Kind::Bool),
    user("enable_indexonlyscan", "on", Kind::Bool),
    user("enable_indexscan", "on", Kind::Bool),
    user("enable_material", "on", Kind::Bool),
    user("enable_memoize", "on", Kind::Bool),
    user("enable_mergejoin", "on", Kind::Bool),
    user("enable_nestloop", "on", Kind::Bool),
    user("enable_parallel_append", "on", Kind::Bool),
    user("enable_parallel_hash", "on", Kind::Bool),
    user("enable_partition_pruning", "on", Kind::Bool),
    user("enable_partitionwise_aggregate", "off", Kind::Bool),
    user("enable_partitionwise_join", "off", Kind::Bool),
    user("enable_seqscan", "on", Kind::Bool),
    user("enable_sort", "on", Kind::Bool),
    user("enable_tidscan", "on", Kind::Bool),
    user("geqo", "on", Kind::Bool),
    user("geqo_threshold", "12", Kind::Integer { min: 2, max: INT_MAX }),
    user("jit", "on", Kind::Bool),
    user("jit_above_cost", "100000", OR_NEVER),
    user("jit_inline_above_cost", "500000", OR_NEVER),
    user("jit_optimize_above_cost", "500000", OR_NEVER),
    user("force_parallel_mode", "off", Kind::Enum(&["off", "on", "regress"])),
    user("constraint_exclusion", "partition", Kind::Enum(&["partition", "on", "off"])),
    user("cursor_tuple_fraction", "0.1", Kind::Real { min: 0.0, max: 1.0 }),
    user("from_collapse_limit", "8", Kind::Integer { min: 1, max: INT_MAX }),
    user("join_collapse_limit", "8", Kind::Integer { min: 1, max: INT_MAX }),
    user("default_statistics_target", "100", Kind::Integer { min: 1, max: 10_000 }),
    user("plan_cache_mode", "auto", Kind::Enum(&["auto", "force_generic_plan", "force_custom_plan"])),
    user("seq_page_cost", "1", COST),
    user("random_page_cost", "4", COST),
    user("cpu_tuple_cost", "0.01", COST),
    user("cpu_index_tuple_cost", "0.005", COST),
    user("cpu_operator_cost", "0.0025", COST),
    user("parallel_setup_cost", "1000", COST),
    user("parallel_tuple_cost", "0.1", COST),
    user("parallel_leader_participation", "on", Kind::Bool),
    user("max_parallel_workers", "8", Kind::Integer { min: 0, max: 1024 }),
    user("max_parallel_workers_per_gather", "2", Kind::Integer { min: 0, max: 1024 }),
    user("max_parallel_maintenance_workers", "2", Kind::Integer { min: 0, max: 1024 }),
    user("min_parallel_table_scan_size", "8MB", Kind::Memory { unit_kb: 8, min: 0, max: INT_MAX }),
    user("min_parallel_index_scan_size", "512kB", Kind::Memory { unit_kb: 8, min: 0, max: INT_MAX }),
    user("effective_cache_size", "4GB", Kind::Memory { unit_kb: 8, min: 1, max: INT_MAX }),
    // --- memory
    user("work_mem", "64MB", Kind::Memory { unit_kb: 1, min: 64, max: INT_MAX }),
    user("maintenance_work_mem", "64MB", Kind::Memory { unit_kb: 1, min: 1024, max: INT_MAX }),
    user("hash_mem_multiplier", "2", Kind::Real { min: 1.0, max: 1000.0 }),
    user("temp_buffers", "8MB", Kind::Memory { unit_kb: 8, min: 100, max: INT_MAX }),
    // --- facts
    reported_fact("server_version", SERVER_VERSION),
    fact("server_version_num", "150018"),
    reported_fact("server_encoding", "UTF8"),
    reported_fact("integer_datetimes", "on"),
    reported_fact("in_hot_standby", "off"),
    fact("max_identifier_length", "63"),
    fact("max_index_keys", "32"),
    fact("max_function_args", "100"),
    fact("block_size", "8192"),
    fact("data_checksums", "on"),
    fact("server_port", "5433"),
    start("max_connections", "500"),
    start("superuser_reserved_connections", "3"),
    start("max_prepared_transactions", "0"),
    start("max_locks_per_transaction", "64"),
    start("shared_buffers", "128MB"),
    start("fsync", "on"),
    start("full_page_writes", "on"),
    start("wal_level", "replica"),
    start("autovacuum", "on"),
    start("listen_addresses", "localhost"),
    start("port", "5433"),
    start("ssl", "off"),
];

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
