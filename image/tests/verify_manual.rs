//! `docs/verify.md` against the codes.

use flob_image::verify::{Code, Severity};

#[test]
fn every_code_is_in_the_manual_as_it_is_here() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/verify.md");
    let page = std::fs::read_to_string(path).expect("the page");
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| V")).collect();
    assert_eq!(rows.len(), Code::ALL.len());
    for (code, row) in Code::ALL.iter().zip(rows) {
        let severity = if code.severity() == Severity::Error { "error" } else { "warning" };
        let beginning = format!("| {} | {severity} | {} |", code.name(), code.title());
        assert!(row.starts_with(&beginning), "{row} is not {beginning}");
    }
}
