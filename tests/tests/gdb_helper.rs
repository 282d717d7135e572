//! The `flob …` commands and pretty printers that gdb gets, through `flob gdb` and by `source`, on a real session.
#![allow(missing_docs)]

use std::path::PathBuf;

use flob_tests::{
    World,
    debugged::{Session, assert_has, wordcount},
};

const AT_A_CHUNK: &[&str] = &["tbreak wordcount::work::add_up", "continue"];

/// `flob gdb` with these commands; what it said.
fn flob_gdb(session: &Session<'_>, commands: &[&str]) -> String {
    let mut arguments = vec!["gdb", "-nx", "-batch", "-ex", "set width 0", "-ex", "set pagination off"];
    arguments.extend(commands.iter().flat_map(|command| ["-ex", command]));
    let finished = session.guest.flob(&arguments);
    finished.stdout.clone() + &finished.stderr
}

#[test]
fn the_tree_shows_every_flob_in_its_space_and_what_threads_do() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let commands =
        [AT_A_CHUNK, &["help flob", "flob tree", "flob why worker-0", "flob graph", "detach"]].concat();
    let text = flob_gdb(&session, &commands);
    assert_has(&text, &["flob tree --", "flob checkpoint --", "flob why --"]);
    assert_has(&text, &["\nwordcount\n", "\n  thread     WORKER[0] ", "\n  condition  NOT_EMPTY"]);
    assert_has(&text, &["\n  space      ", " worker-0: ", " → "]);
    session.ends_well();
}

#[test]
fn a_flob_is_printed_as_the_kernel_has_it() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let commands = [
        AT_A_CHUNK,
        &[
            "print wordcount::READER",
            "print wordcount::WORKER[1]",
            "flob show READER",
            "flob set READER priority=4",
            "flob show READER",
            "flob show nobody-at-all",
            "detach",
        ],
    ]
    .concat();
    let text = flob_gdb(&session, &commands);
    assert_has(&text, &["$1 = thread:wordcount/READER", "$2 = thread:wordcount/WORKER[1]"]);
    assert_has(&text, &["registers.rip = 0x", "priority: ", " -> 4", "nobody-at-all"]);
    session.ends_well();
}

#[test]
fn checkpoints_are_saved_and_restored_by_a_gdb_that_sources_the_helper() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let helper = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../gdb/flob.py");
    let source = format!("source {}", helper.display());
    let commands = [
        &[source.as_str()],
        AT_A_CHUNK,
        &[
            "set $before = $pc",
            "flob checkpoint here",
            "flob checkpoints",
            "stepi 3",
            "flob diff here",
            "flob restore here",
            "print $pc == $before",
            "flob restore nowhere",
            "detach",
        ],
    ]
    .concat();
    let text = session.debug(&commands);
    assert_has(&text, &[" saved; ", "here ", "registers.rip: ", "restored", "$1 = true", "nowhere"]);
    session.ends_well();
}

#[test]
fn kernel_calls_are_caught_by_name() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let commands = [
        AT_A_CHUNK,
        &[
            "flob catch condition_signal",
            "continue",
            "flob catch no_such_call",
            "flob catch off",
            "flob checkpoint caught",
            "output $checkpoint",
            "detach",
        ],
    ]
    .concat();
    let text = flob_gdb(&session, &commands);
    assert_has(&text, &["caught: condition_signal", " is about to call condition_signal", "no_such_call"]);
    assert_has(&text, &["no calls are caught", " saved; ", "\""]);
    session.ends_well();
}

#[test]
fn an_exported_state_is_printed_without_what_is_reserved() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let state = "print *($sp as *mut flob_abi::state::RegionState)";
    let text = flob_gdb(&session, &[AT_A_CHUNK, &[state, "detach"]].concat());
    assert_has(&text, &["$1 = RegionState", "start = ", "hash = "]);
    assert!(!text.contains("reserved"), "{text}");
    session.ends_well();
}
