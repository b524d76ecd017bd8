//! The table of parameters: PostgreSQL 15's that drivers, ORMs, pg_dump and monitors send or ask for, and Hyrax's own.
//!
//! What a session can set and nothing here listens to (costs of a planner that works otherwise, VACUUM's pace, what a log would
//! say) is taken, shown and undone as any other. What would change an answer or a promise and is not there is missing from the
//! table, and so refused.

use super::parameters::{Context, Kind, Parameter};

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
const fn preset(name: &'static str, default: &'static str, kind: Kind) -> Parameter {
    Parameter { context: Context::Internal, ..user(name, default, kind) }
}
const fn start(name: &'static str, default: &'static str, kind: Kind) -> Parameter {
    Parameter { context: Context::Start, ..user(name, default, kind) }
}
const fn reload(name: &'static str, default: &'static str, kind: Kind) -> Parameter {
    Parameter { context: Context::Reload, ..user(name, default, kind) }
}
const fn login(name: &'static str, default: &'static str, kind: Kind) -> Parameter {
    Parameter { context: Context::Login, ..user(name, default, kind) }
}
const fn superuser(name: &'static str, default: &'static str, kind: Kind) -> Parameter {
    Parameter { context: Context::Superuser, ..user(name, default, kind) }
}
/// Belongs to the transaction or the session's identity: RESET ALL leaves it alone.
const fn kept(name: &'static str, default: &'static str, kind: Kind) -> Parameter {
    Parameter { is_reset_by_all: false, ..user(name, default, kind) }
}

const INT_MAX: i64 = i32::MAX as i64;
const MILLISECONDS: Kind = Kind::Time { min: 0, max: INT_MAX };
const COUNT: Kind = Kind::Integer { min: 0, max: INT_MAX };
const COST: Kind = Kind::Real { min: 0.0, max: f64::MAX };
/// A cost; -1 is one that is never reached.
const OR_NEVER: Kind = Kind::Real { min: -1.0, max: f64::MAX };
const LEVELS: &[&str] = &["serializable", "repeatable read", "read committed", "read uncommitted"];
const MESSAGES: &[&str] = &[
    "debug5", "debug4", "debug3", "debug2", "debug1", "debug", "info", "notice", "warning", "error", "log", "fatal",
    "panic",
];

/// What `SHOW server_version` says; `version()` says the same in words.
pub const SERVER_VERSION: &str = concat!("15.18 (Hyrax ", env!("CARGO_PKG_VERSION"), ")");

pub(super) static PARAMETERS: &[Parameter] = &[
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
    user("default_text_search_config", "pg_catalog.english", Kind::Text),
    superuser("session_replication_role", "origin", Kind::Enum(&["origin", "local"])),
    // --- hints to what works by itself here
    user("synchronize_seqscans", "on", Kind::Bool),
    user("backend_flush_after", "0", Kind::Memory { unit_kb: 8, min: 0, max: 256 }),
    user("effective_io_concurrency", "1", Kind::Integer { min: 0, max: 1000 }),
    user("maintenance_io_concurrency", "10", Kind::Integer { min: 0, max: 1000 }),
    user("gin_fuzzy_search_limit", "0", COUNT),
    user("gin_pending_list_limit", "4MB", Kind::Memory { unit_kb: 1, min: 64, max: INT_MAX }),
    user("logical_decoding_work_mem", "64MB", Kind::Memory { unit_kb: 1, min: 64, max: INT_MAX }),
    user("stats_fetch_consistency", "cache", Kind::Enum(&["none", "cache", "snapshot"])),
    user("vacuum_cost_limit", "200", Kind::Integer { min: 1, max: 10_000 }),
    user("vacuum_cost_page_dirty", "20", Kind::Integer { min: 0, max: 10_000 }),
    user("vacuum_cost_page_hit", "1", Kind::Integer { min: 0, max: 10_000 }),
    user("vacuum_cost_page_miss", "2", Kind::Integer { min: 0, max: 10_000 }),
    user("vacuum_failsafe_age", "1600000000", Kind::Integer { min: 0, max: 2_100_000_000 }),
    user("vacuum_freeze_min_age", "50000000", Kind::Integer { min: 0, max: 1_000_000_000 }),
    user("vacuum_freeze_table_age", "150000000", Kind::Integer { min: 0, max: 2_000_000_000 }),
    user("vacuum_multixact_failsafe_age", "1600000000", Kind::Integer { min: 0, max: 2_100_000_000 }),
    user("vacuum_multixact_freeze_min_age", "5000000", Kind::Integer { min: 0, max: 1_000_000_000 }),
    user("vacuum_multixact_freeze_table_age", "150000000", Kind::Integer { min: 0, max: 2_000_000_000 }),
    user("wal_skip_threshold", "2MB", Kind::Memory { unit_kb: 1, min: 0, max: INT_MAX }),
    superuser("wal_compression", "off", Kind::Enum(&["pglz", "lz4", "zstd", "on", "off"])),
    superuser("max_stack_depth", "2MB", Kind::Memory { unit_kb: 1, min: 100, max: 2_147_483 }),
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
    superuser("deadlock_timeout", "1s", MILLISECONDS),
    user("synchronous_commit", "on", Kind::Enum(&["local", "remote_write", "remote_apply", "on", "off"])),
    superuser("commit_delay", "0", Kind::Integer { min: 0, max: 100_000 }),
    user(crate::tokens::SETTING, "", Kind::Text),
    reload("hyrax.txn_token_retention", "1d", MILLISECONDS),
    user("commit_siblings", "5", Kind::Integer { min: 0, max: 1000 }),
    // --- client
    user("client_connection_check_interval", "0", MILLISECONDS),
    user("tcp_user_timeout", "0", MILLISECONDS),
    reported("application_name", "", Kind::Text),
    user("client_min_messages", "notice", Kind::Enum(MESSAGES)),
    superuser("log_min_messages", "warning", Kind::Enum(MESSAGES)),
    superuser("log_statement", "none", Kind::Enum(&["none", "ddl", "mod", "all"])),
    superuser("log_min_duration_statement", "-1", Kind::Time { min: -1, max: INT_MAX }),
    superuser("log_duration", "off", Kind::Bool),
    superuser("log_error_verbosity", "default", Kind::Enum(&["terse", "default", "verbose"])),
    superuser("log_executor_stats", "off", Kind::Bool),
    superuser("log_lock_waits", "off", Kind::Bool),
    superuser("log_min_duration_sample", "-1", Kind::Time { min: -1, max: INT_MAX }),
    superuser("log_min_error_statement", "error", Kind::Enum(MESSAGES)),
    superuser("log_parser_stats", "off", Kind::Bool),
    superuser("log_planner_stats", "off", Kind::Bool),
    superuser("log_replication_commands", "off", Kind::Bool),
    superuser("log_statement_sample_rate", "1", Kind::Real { min: 0.0, max: 1.0 }),
    superuser("log_statement_stats", "off", Kind::Bool),
    superuser("log_temp_files", "-1", Kind::Memory { unit_kb: 1, min: -1, max: INT_MAX }),
    superuser("log_transaction_sample_rate", "0", Kind::Real { min: 0.0, max: 1.0 }),
    superuser("compute_query_id", "auto", Kind::Enum(&["auto", "regress", "on", "off"])),
    superuser("update_process_title", "on", Kind::Bool),
    user("debug_pretty_print", "on", Kind::Bool),
    user("debug_print_parse", "off", Kind::Bool),
    user("debug_print_plan", "off", Kind::Bool),
    user("debug_print_rewritten", "off", Kind::Bool),
    superuser("track_activities", "on", Kind::Bool),
    superuser("track_counts", "on", Kind::Bool),
    superuser("track_io_timing", "off", Kind::Bool),
    superuser("track_functions", "none", Kind::Enum(&["none", "pl", "all"])),
    superuser("track_wal_io_timing", "off", Kind::Bool),
    user("tcp_keepalives_idle", "0", Kind::Integer { min: 0, max: INT_MAX }),
    user("tcp_keepalives_interval", "0", Kind::Integer { min: 0, max: INT_MAX }),
    user("tcp_keepalives_count", "0", Kind::Integer { min: 0, max: INT_MAX }),
    user("password_encryption", "scram-sha-256", Kind::Enum(&["scram-sha-256"])),
    kept("role", "none", Kind::Text),
    kept("session_authorization", "postgres", Kind::Text),
    reported_fact("is_superuser", "on"),
    // --- planner
    user("enable_async_append", "on", Kind::Bool),
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
    user("geqo_effort", "5", Kind::Integer { min: 1, max: 10 }),
    user("geqo_generations", "0", COUNT),
    user("geqo_pool_size", "0", COUNT),
    user("geqo_seed", "0", Kind::Real { min: 0.0, max: 1.0 }),
    user("geqo_selection_bias", "2", Kind::Real { min: 1.5, max: 2.0 }),
    user("jit", "on", Kind::Bool),
    user("jit_expressions", "on", Kind::Bool),
    user("jit_tuple_deforming", "on", Kind::Bool),
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
    user("recursive_worktable_factor", "10", Kind::Real { min: 0.001, max: 1e6 }),
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
    preset("block_size", "8192", COUNT),
    preset("data_checksums", "on", Kind::Bool),
    preset("data_directory_mode", "0700", Kind::Text),
    preset("debug_assertions", "off", Kind::Bool),
    preset("segment_size", "1GB", Kind::Memory { unit_kb: 8, min: 131_072, max: 131_072 }),
    fact("ssl_library", "rustls"),
    preset("wal_block_size", "8192", COUNT),
    preset("wal_segment_size", "16MB", Kind::Memory { unit_kb: 1, min: 1024, max: 1 << 20 }),
    // --- how the server was started; the node puts its own values in place of some
    start("cluster_name", "", Kind::Text),
    start("listen_addresses", "localhost", Kind::Text),
    start("port", "5433", Kind::Integer { min: 1, max: 65_535 }),
    start("unix_socket_directories", "", Kind::Text),
    start("max_connections", "500", Kind::Integer { min: 1, max: 262_143 }),
    start("superuser_reserved_connections", "3", Kind::Integer { min: 0, max: 262_143 }),
    start("max_prepared_transactions", "0", Kind::Integer { min: 0, max: 262_143 }),
    start("max_locks_per_transaction", "64", Kind::Integer { min: 10, max: INT_MAX }),
    start("max_pred_locks_per_transaction", "64", Kind::Integer { min: 10, max: INT_MAX }),
    start("max_worker_processes", "8", Kind::Integer { min: 0, max: 262_143 }),
    start("max_files_per_process", "1000", Kind::Integer { min: 64, max: INT_MAX }),
    start("shared_buffers", "128MB", Kind::Memory { unit_kb: 8, min: 16, max: 1_073_741_823 }),
    start("huge_pages", "off", Kind::Enum(&["off", "on", "try"])),
    start("dynamic_shared_memory_type", "posix", Kind::Enum(&["posix", "sysv", "mmap"])),
    start("shared_preload_libraries", "", Kind::Text),
    start("track_activity_query_size", "1024", COUNT),
    start("track_commit_timestamp", "off", Kind::Bool),
    start("logging_collector", "off", Kind::Bool),
    reload("log_destination", "stderr", Kind::Text),
    reload("log_line_prefix", "", Kind::Text),
    reload("log_timezone", "UTC", Kind::Text),
    reload("log_checkpoints", "off", Kind::Bool),
    reload("log_hostname", "off", Kind::Bool),
    login("log_connections", "off", Kind::Bool),
    login("log_disconnections", "off", Kind::Bool),
    reload("authentication_timeout", "1min", Kind::Time { min: 1000, max: 600_000 }),
    reload("ssl", "off", Kind::Bool),
    reload("ssl_ca_file", "", Kind::Text),
    reload("ssl_cert_file", "", Kind::Text),
    reload("ssl_key_file", "", Kind::Text),
    reload("ssl_min_protocol_version", "TLSv1.2", Kind::Enum(&["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"])),
    reload("ssl_max_protocol_version", "", Kind::Text),
    // --- the log, and what PostgreSQL does with its own
    reload("fsync", "on", Kind::Bool),
    reload("full_page_writes", "on", Kind::Bool),
    start("wal_level", "replica", Kind::Enum(&["minimal", "replica", "logical"])),
    reload("wal_sync_method", "fdatasync", Kind::Text),
    start("wal_log_hints", "off", Kind::Bool),
    reload("wal_keep_size", "0", Kind::Memory { unit_kb: 1024, min: 0, max: INT_MAX }),
    reload("max_wal_size", "1GB", Kind::Memory { unit_kb: 1024, min: 2, max: INT_MAX }),
    reload("min_wal_size", "80MB", Kind::Memory { unit_kb: 1024, min: 2, max: INT_MAX }),
    reload("checkpoint_timeout", "5min", Kind::Time { min: 30_000, max: 86_400_000 }),
    reload("checkpoint_completion_target", "0.9", Kind::Real { min: 0.0, max: 1.0 }),
    start("archive_mode", "off", Kind::Enum(&["always", "on", "off"])),
    reload("archive_command", "(disabled)", Kind::Text),
    reload("archive_timeout", "0", MILLISECONDS),
    start("hot_standby", "on", Kind::Bool),
    reload("hot_standby_feedback", "off", Kind::Bool),
    start("max_replication_slots", "0", Kind::Integer { min: 0, max: 262_143 }),
    start("max_wal_senders", "0", Kind::Integer { min: 0, max: 262_143 }),
    start("max_logical_replication_workers", "0", Kind::Integer { min: 0, max: 262_143 }),
    reload("primary_conninfo", "", Kind::Text),
    reload("primary_slot_name", "", Kind::Text),
    reload("synchronous_standby_names", "", Kind::Text),
    reload("autovacuum", "on", Kind::Bool),
    reload("autovacuum_naptime", "1min", Kind::Time { min: 1000, max: 2_147_483_000 }),
    start("autovacuum_max_workers", "3", Kind::Integer { min: 1, max: 262_143 }),
    start("old_snapshot_threshold", "-1", Kind::Time { min: -1, max: INT_MAX }),
    reload("restart_after_crash", "on", Kind::Bool),
];
