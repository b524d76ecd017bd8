//! The numbers of `docs/limits.md` are the program's.

use server::Config;
use server::config::SETTINGS;

const PAGE: &str = include_str!("../../../docs/limits.md");

#[test]
fn settings_have_the_defaults_that_the_page_says() {
    let defaults = Config::default();
    let mut compared = 0;
    for line in PAGE.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let code = |cell: &str| cell.strip_prefix('`').and_then(|cell| cell.strip_suffix('`')).map(str::to_owned);
        let (Some(name), Some(value)) = (cells.get(2).and_then(|c| code(c)), cells.get(3).and_then(|c| code(c))) else {
            continue;
        };
        let setting =
            SETTINGS.iter().find(|setting| setting.name == name).unwrap_or_else(|| panic!("no setting {name}"));
        assert_eq!(setting.literal(&defaults).trim_matches('"'), value, "{name}");
        compared += 1;
    }
    assert!(compared >= 7, "{compared} settings");
}

#[test]
fn storage_has_the_bounds_that_the_page_says() {
    let says = |text: &str| assert!(PAGE.contains(text), "{text}");
    says(&format!("| free space of the disk | {} MB |", storage::segment::FREE_MIN >> 20));
    says(&format!("| history without `WITH (history = …)` | {} s |", txn::RETENTION_US / 1_000_000));
    let relations = storage::segment::RELATIONS_MAX;
    says(&format!("dropped ones whose history is kept | {},{:03} |", relations / 1000, relations % 1000));
    says(&format!("| SQL connections | `max_connections` | `{}` |", Config::default().max_connections));
}
