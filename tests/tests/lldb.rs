//! Debian's lldb on a real session, through `flob lldb`: it attaches, shows threads, registers, memory and backtraces, stops
//! and steps, and goes without ending the program.
#![allow(missing_docs)]

use flob_tests::{
    World,
    debugged::{Session, assert_has, wordcount},
};

/// `flob lldb` with these commands; what it said.
fn lldb(session: &Session<'_>, commands: &[&str]) -> String {
    let mut arguments = vec!["lldb", "--no-lldbinit", "--batch"];
    arguments.extend(commands.iter().flat_map(|command| ["-o", command]));
    let finished = session.guest.flob(&arguments);
    finished.stdout.clone() + &finished.stderr
}

#[test]
fn lldb_attaches_looks_stops_steps_and_detaches() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let text = lldb(
        &session,
        &[
            "breakpoint set --name add_up",
            "continue",
            "thread list",
            "thread backtrace",
            "register read rip rsp",
            "memory read --size 8 --format x --count 2 $rsp",
            "memory region $rip",
            "thread step-inst",
            "breakpoint delete --force",
            "thread step-over",
            "detach",
        ],
    );
    assert_has(&text, &["stop reason = breakpoint 1.1", "add_up", "work.rs:", "rip = 0x", "rsp = 0x"]);
    assert_has(&text, &["name = 'worker-", "frame #1: ", "r-x", "stop reason = instruction step into"]);
    assert_has(&text, &["stop reason = step over", "detached"]);
    // By the program's name, not by that of its file in the store.
    assert_has(&text, &["wordcount`"]);
    session.ends_well();
}

#[test]
fn a_variable_is_watched_by_lldb() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let text = lldb(
        &session,
        &[
            "breakpoint set --name add_up",
            "continue",
            // First: another worker would come to it meanwhile.
            "breakpoint delete --force",
            "thread step-out",
            "watchpoint set variable chunks_done",
            "continue",
            "watchpoint delete --force",
            "detach",
        ],
    );
    assert_has(&text, &["Watchpoint created", "stop reason = watchpoint 1", "detached"]);
    session.ends_well();
}

#[test]
fn the_program_outlives_an_lldb_that_just_ends() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let text = lldb(&session, &["breakpoint set --name add_up", "continue", "quit"]);
    assert_has(&text, &["stop reason = breakpoint 1.1"]);
    // Nobody holds it any more, and no breakpoint is left.
    session.ends_well();
}
