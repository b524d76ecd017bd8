//! The workspace keeps its shape.

use tidy::{arrows, root, sources};

#[track_caller]
fn none(findings: Vec<String>) {
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn arrows_between_crates_point_down() {
    none(arrows::wrong_arrows(&root()));
}

#[test]
fn packages_have_their_one_importer() {
    none(arrows::second_importers(&root()));
}

#[test]
fn the_outside_world_is_reached_through_host() {
    none(sources::outside_world(&root()));
}

#[test]
fn decoders_of_outside_bytes_do_not_panic() {
    none(sources::panics_in_decoders(&root()));
}

#[test]
fn nothing_is_a_stub() {
    none(sources::stubs(&root()));
}

#[test]
fn tests_of_known_faults_exist() {
    none(sources::tests_that_are_missing(&root()));
}
