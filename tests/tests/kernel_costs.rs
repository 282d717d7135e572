//! What the kernel costs: every kernel path the same in two runs, to the instruction; no kernel entry longer than its bound,
//! whatever a program does; the kernel no larger than it may be.
#![allow(missing_docs)]

use flob_tests::World;
use serde_json::Value;

/// Instructions that no kernel entry may exceed.
const BOUND: u64 = 20_000;
/// What the program does in which the longest entry is looked for, at least.
const SCENARIOS: [&str; 13] = [
    "bench",
    "mappings",
    "levels",
    "mutex-waiters",
    "condition-waiters",
    "clients",
    "servers",
    "ports",
    "flobs",
    "ceilings",
    "timers",
    "idle",
    "meanwhile",
];

#[test]
fn kernel_paths_cost_the_same_in_two_runs_and_no_entry_exceeds_its_bound() {
    let finished = World::new().flob(&["bench", "kernel", "--json"]);
    assert_eq!(finished.code, Some(0), "{finished}");
    let figures: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    let rows = figures["rows"].as_array().expect("rows");
    assert!(rows.len() > 40, "{} rows", rows.len());
    for row in rows {
        assert!(row["instructions"].is_u64() && row["method"].is_string(), "{row}");
    }
    let work = rows.iter().find(|row| row["name"] == "nesting-level").expect("a row about nesting");
    assert_eq!(work["instructions"], 0, "nesting costs a program that makes no requests something");
    let entries = figures["longest_entries"].as_array().expect("longest entries");
    for scenario in SCENARIOS {
        let entry = entries.iter().find(|entry| entry["scenario"] == scenario);
        let entry = entry.unwrap_or_else(|| panic!("no longest entry of '{scenario}'"));
        let instructions = entry["instructions"].as_u64().expect("a number");
        assert!(instructions > 0 && instructions <= BOUND, "{entry}");
    }
}

#[test]
fn a_profile_accounts_for_every_instruction_of_a_row() {
    let world = World::new();
    let figures = world.flob(&["bench", "kernel", "--json"]);
    let figures: Value = serde_json::from_str(&figures.stdout).expect("JSON");
    let row = figures["rows"].as_array().and_then(|rows| rows.iter().find(|row| row["name"] == "null"));
    let whole = row.and_then(|row| row["instructions"].as_u64()).expect("a row of the null call");
    let profile = world.flob(&["bench", "kernel", "--profile", "null"]);
    assert_eq!(profile.code, Some(0), "{profile}");
    let said =
        profile.stdout.strip_prefix("null: ").and_then(|said| said.split(' ').next()).expect("a figure");
    // The call instruction itself is the program's.
    assert_eq!(said.parse(), Ok(whole - 1), "{profile}");
    let unknown = world.flob(&["bench", "kernel", "--profile", "nothing"]);
    assert!(unknown.code != Some(0) && unknown.stderr.contains("no row 'nothing'"), "{unknown}");
}

#[test]
fn the_kernel_is_no_larger_than_it_may_be() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/kernel-lines.sh");
    let counted = std::process::Command::new(script).output().expect("the script runs");
    assert!(counted.status.success(), "{}", String::from_utf8_lossy(&counted.stdout));
}
