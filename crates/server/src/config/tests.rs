use super::*;
use host::{Files, RealFiles};

fn load(
    file: Option<&str>,
    environment: &[(&str, &str)],
    flags: &[(&str, &str)],
) -> Result<(Config, Vec<String>), String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hyrax.toml");
    if let Some(text) = file {
        RealFiles.replace(&path, text.as_bytes()).unwrap();
    }
    let owned = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    Config::load(&RealFiles, file.map(|_| path.as_path()), owned(environment).into_iter(), &owned(flags)).map_err(
        |error| {
            let hint = error.hint().map(|hint| format!(" | {hint}")).unwrap_or_default();
            format!("{error}{hint}").replace(&path.display().to_string(), "FILE")
        },
    )
}

#[test]
fn later_layers_win() {
    let file = "max_connections = 10\nlog = \"json\"\ninsecure = true\n";
    let (config, _) = load(Some(file), &[("HYRAX_MAX_CONNECTIONS", "20"), ("PATH", "/")], &[]).unwrap();
    assert_eq!((config.max_connections, config.log, config.insecure), (20, LogFormat::Json, true));
    let (config, _) = load(Some(file), &[("HYRAX_MAX_CONNECTIONS", "20")], &[("max_connections", "30")]).unwrap();
    assert_eq!(config.max_connections, 30);
    assert_eq!(load(None, &[], &[]).unwrap().0, Config::default());
}

#[test]
fn unknown_names_are_refused_with_the_nearest() {
    assert_eq!(
        load(Some("max_conections = 1\n"), &[], &[]).unwrap_err(),
        "FILE sets \"max_conections\", which is no setting | Did you mean \"max_connections\"?"
    );
    assert_eq!(
        load(Some("[a]\nb = 1\n"), &[], &[]).unwrap_err(),
        "FILE sets \"a\", which is no setting | `hyrax config print` lists the settings."
    );
    let (_, warnings) = load(None, &[("HYRAX_BIN", "x"), ("HYRAX_MAX_MEMROY", "1")], &[]).unwrap();
    assert_eq!(
        warnings,
        [
            "HYRAX_BIN is no setting of this program",
            "HYRAX_MAX_MEMROY is no setting of this program (did you mean HYRAX_MAX_MEMORY?)"
        ]
    );
}

#[test]
fn wrong_values_are_refused_with_their_origin() {
    let error = load(None, &[("HYRAX_SQL", "nowhere")], &[]).unwrap_err();
    assert_eq!(error, "HYRAX_SQL sets \"sql\": \"nowhere\" is not an address; write it like 127.0.0.1:5433");
    let error = load(None, &[], &[("max_connections", "0")]).unwrap_err();
    assert_eq!(error, "flag --max-connections sets \"max_connections\": 0 is not between 1 and 100000");
    assert!(load(Some("max_connections = [1]"), &[], &[]).unwrap_err().contains("a number"));
    assert!(load(Some("max_connections"), &[], &[]).unwrap_err().starts_with("the settings file FILE is not TOML"));
}

#[test]
fn an_address_off_loopback_needs_protection() {
    let check = |flags: &[(&str, &str)]| {
        let (config, _) = load(None, &[], flags).unwrap();
        config.check().map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(check(&[]), Ok(()));
    assert_eq!(check(&[("sql", "[::1]:5433")]), Ok(()));
    let open = ("sql", "0.0.0.0:5433");
    assert!(check(&[open]).unwrap_err().contains("no certificate"));
    assert_eq!(check(&[open, ("insecure", "true")]), Ok(()));
    let tls = [open, ("tls_cert", "c"), ("tls_key", "k")];
    assert_eq!(check(&tls), Ok(()));
    assert!(check(&[&tls[..], &[("auth", "trust")]].concat()).unwrap_err().contains("trusts everyone"));
    assert!(check(&[("tls_cert", "c")]).unwrap_err().contains("without its key"));
    assert!(check(&[("http", "0.0.0.0:1")]).unwrap_err().contains("HTTP"));
}

/// `HYRAX_REWRITE=1` writes the file.
#[test]
fn the_shipped_file_has_every_setting_at_its_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/hyrax.toml");
    let expected = Config::default().to_toml();
    if std::env::var_os("HYRAX_REWRITE").is_some() {
        RealFiles.replace(&path, expected.as_bytes()).unwrap();
    }
    let found = String::from_utf8(RealFiles.read(&path).unwrap()).unwrap();
    assert!(found == expected, "config/hyrax.toml differs from the defaults; HYRAX_REWRITE=1 writes it");
    let (config, _) = Config::load(&RealFiles, Some(&path), std::iter::empty(), &[]).unwrap();
    assert_eq!(config, Config::default());
}

#[test]
fn every_setting_is_in_a_group_and_reads_what_it_shows() {
    for setting in SETTINGS {
        assert!(GROUPS.contains(&setting.group), "{}", setting.name);
        let mut config = Config::default();
        (setting.set)(&mut config, &(setting.get)(&Config::default())).unwrap();
        assert_eq!(config, Config::default(), "{}", setting.name);
    }
}
