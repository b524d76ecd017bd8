use super::parameters::Kind;
use super::*;
use foldhash::HashMapExt;

#[track_caller]
fn check_set(name: &str, value: &str, shown: &str) {
    let mut settings = Settings::default();
    match settings.set(name, &[value.to_owned()], false) {
        Ok(value) => assert_eq!(value, shown),
        Err(error) => assert_eq!(format!("{} {}", error.code(), error.message()), shown),
    }
}

#[test]
fn values_are_shown_as_postgres_shows_them() {
    check_set("work_mem", "4096", "4MB");
    check_set("work_mem", "65kB", "65kB");
    check_set("WORK_MEM", "1GB", "1GB");
    check_set("statement_timeout", "90s", "90s");
    check_set("statement_timeout", "120000", "2min");
    check_set("statement_timeout", "0", "0");
    check_set("timezone", "europe/berlin", "Europe/Berlin");
    check_set("client_encoding", "utf-8", "UTF8");
    check_set("standard_conforming_strings", "t", "on");
    check_set("synchronous_commit", "yes", "on");
    check_set("datestyle", "german", "German, DMY");
    check_set("search_path", "My Schema", "\"My Schema\"");
    check_set("app.tenant", "7", "7");
}

#[test]
fn values_that_do_not_fit_are_refused() {
    check_set("work_mem", "1", "22023 1 kB is outside the valid range for parameter \"work_mem\" (64 .. 2147483647)");
    check_set("statement_timeout", "x", "22023 invalid value for parameter \"statement_timeout\": \"x\"");
    check_set(
        "standard_conforming_strings",
        "maybe",
        "22023 parameter \"standard_conforming_strings\" requires a Boolean value",
    );
    check_set("server_version", "9", "55P02 parameter \"server_version\" cannot be changed");
    check_set("no_such_thing", "9", "42704 unrecognized configuration parameter \"no_such_thing\"");
}

#[test]
fn every_default_is_a_value_that_set_accepts() {
    for parameter in all().iter().filter(|p| p.context.is_settable()) {
        let items: Vec<String> = match parameter.kind {
            Kind::Names => continue,
            _ => vec![parameter.default.to_owned()],
        };
        let value = values::check(parameter, &items, parameter.default);
        assert_eq!(value.as_deref().ok(), Some(parameter.default), "{}", parameter.name);
    }
}

#[test]
fn a_misspelt_name_is_told_its_neighbour() {
    let error = Settings::default().show("work_men").unwrap_err();
    assert_eq!(error.fields().hint.as_deref(), Some("Perhaps you meant \"work_mem\"."));
}

fn set(settings: &mut Settings, value: &str, local: bool) {
    settings.set("application_name", &[value.to_owned()], local).unwrap();
}

#[test]
fn set_is_undone_by_rollback_and_kept_by_commit() {
    let mut settings = Settings::default();
    set(&mut settings, "a", false);
    settings.commit();
    set(&mut settings, "b", false);
    settings.rollback();
    assert_eq!(settings.get("application_name"), Some("a"));
}

#[test]
fn set_local_ends_with_its_transaction() {
    let mut settings = Settings::default();
    set(&mut settings, "a", false);
    settings.commit();
    set(&mut settings, "b", true);
    assert_eq!(settings.get("application_name"), Some("b"));
    settings.commit();
    assert_eq!(settings.get("application_name"), Some("a"));
}

#[test]
fn rollback_to_a_savepoint_undoes_what_came_after_it() {
    let mut settings = Settings::default();
    set(&mut settings, "a", false);
    let mark = settings.mark();
    set(&mut settings, "b", true);
    set(&mut settings, "c", false);
    settings.rollback_to(mark);
    assert_eq!(settings.get("application_name"), Some("a"));
    settings.rollback();
    assert_eq!(settings.get("application_name"), Some(""));
}

/// `set_config` may be called for each row of a statement.
#[test]
fn what_a_transaction_would_put_back_is_bounded() {
    let mut settings = Settings::default();
    let long = "x".repeat(VALUE_BYTES_MAX);
    for _ in 0..1_000 {
        settings.set("app.user", std::slice::from_ref(&long), true).expect("one value, however often");
    }
    let mut marks = 0;
    let refused = loop {
        settings.mark();
        match settings.set("app.user", std::slice::from_ref(&long), true) {
            Ok(_) => marks += 1,
            Err(refused) => break refused,
        }
        assert!(marks < 100, "100 MB would be put back");
    };
    assert_eq!(refused.code(), SqlState::PROGRAM_LIMIT_EXCEEDED);
    assert!(marks > 10);
    settings.rollback();
    assert_eq!(settings.get("app.user"), None);
    settings.set("app.user", &["clerk".to_owned()], true).expect("it is another transaction");
    for n in 0..100 {
        let set = settings.set(&format!("app.p{n}"), std::slice::from_ref(&long), false);
        settings.commit();
        if let Err(refused) = set {
            assert_eq!(refused.message(), "values of parameters take too much memory");
            return;
        }
    }
    panic!("100 MB are kept");
}

#[test]
fn reset_goes_back_to_what_the_session_started_with() {
    let mut settings = Settings::default();
    settings.set_base("application_name", "psql").unwrap();
    set(&mut settings, "x", false);
    settings.reset("application_name", false).unwrap();
    assert_eq!(settings.get("application_name"), Some("psql"));
}

#[test]
fn changes_of_reported_parameters_are_told_once() {
    let mut settings = Settings::default();
    set(&mut settings, "x", false);
    settings.set("work_mem", &["1MB".to_owned()], false).unwrap();
    assert_eq!(settings.take_reported(), vec![("application_name", "x".to_owned())]);
    assert!(settings.take_reported().is_empty());
}

#[test]
fn a_list_of_names_in_one_text_is_a_list() {
    let mut settings = Settings::default();
    for (text, expected) in [
        ("", Ok("")),
        ("a,b", Ok("a,b")),
        (" A , \"x,\"\"y\" ", Ok(" A , \"x,\"\"y\" ")),
        ("a b", Err("List syntax is invalid.")),
        ("a,", Err("List syntax is invalid.")),
        ("\"a", Err("List syntax is invalid.")),
        ("\"\"", Err("List syntax is invalid.")),
    ] {
        let set = settings.set_text("search_path", text, false);
        let found = set.as_deref().map_err(|error| error.fields().detail.clone().unwrap_or_default());
        assert_eq!(found.map_err(|detail| detail.to_string()), expected.map_err(str::to_owned), "{text}");
    }
    settings.set("search_path", &["a,b".to_owned()], false).unwrap();
    assert_eq!(settings.get("search_path"), Some("\"a,b\""), "SET takes a string for one name");
}

#[test]
fn a_date_style_in_parts_keeps_the_other_part() {
    let mut settings = Settings::default();
    let mut set = |text: &str| settings.set("datestyle", &[text.to_owned()], false).map_err(|e| e.code());
    for (text, expected) in [
        ("SQL", "SQL, MDY"),
        ("dmy", "SQL, DMY"),
        ("german", "German, DMY"),
        ("ymd", "German, YMD"),
        ("ISO, us", "ISO, MDY"),
        ("postgres, european", "Postgres, DMY"),
        ("ymd, german", "German, YMD"),
        ("german, mdy", "German, MDY"),
        ("default", "ISO, MDY"),
    ] {
        assert_eq!(set(text).as_deref(), Ok(expected), "{text}");
    }
    for wrong in ["iso, sql", "dmy, ymd", "martian"] {
        assert_eq!(set(wrong), Err(SqlState::INVALID_PARAMETER_VALUE), "{wrong}");
    }
}

#[test]
fn what_the_node_was_started_with_is_the_default() {
    let mut server = ServerSettings::new();
    server.insert("max_connections", "60".to_owned());
    server.insert("log_min_duration_statement", "5s".to_owned());
    let mut settings = Settings::new(Arc::new(server));
    assert_eq!(settings.get("max_connections"), Some("60"));
    settings.set("log_min_duration_statement", &["0".to_owned()], false).unwrap();
    assert_eq!(settings.get("log_min_duration_statement"), Some("0"));
    settings.reset("log_min_duration_statement", false).unwrap();
    assert_eq!(settings.get("log_min_duration_statement"), Some("5s"));
}

#[test]
fn superusers_parameters_are_theirs() {
    let error = check_right("LOG_STATEMENT", false).unwrap_err();
    assert_eq!(error.message(), "permission denied to set parameter \"log_statement\"");
    assert!(check_right("log_statement", true).is_ok() && check_right("work_mem", false).is_ok());
}
