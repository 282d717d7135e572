//! Hardware breakpoints and watchpoints in Debian's gdb on a real session: they stop who touches what is watched, old threads
//! and new ones, and nothing of them is left in a checkpoint or after gdb has gone.
#![allow(missing_docs)]

use flob_tests::{
    World,
    debugged::{assert_has, start, wordcount},
};

/// In a worker, after a chunk: `chunks_done` is in scope.
const IN_A_WORKER: &[&str] = &["tbreak wordcount::work::add_up", "continue", "finish"];

fn with<'a>(first: &[&'a str], then: &[&'a str]) -> Vec<&'a str> {
    [first, then].concat()
}

#[test]
fn a_variable_is_watched_and_every_change_of_it_stops_the_program() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let text = session.debug(&with(
        IN_A_WORKER,
        &["delete", "watch chunks_done", "continue", "continue", "info breakpoints", "delete", "detach"],
    ));
    assert_has(
        &text,
        &["Hardware watchpoint 2: chunks_done", "Old value = ", "New value = ", "hw watchpoint"],
    );
    assert_eq!(text.matches("hit Hardware watchpoint 2: chunks_done").count(), 2, "{text}");
    session.ends_well();
}

#[test]
fn reads_and_accesses_are_told_from_writes() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let text = session.debug(&with(
        IN_A_WORKER,
        &[
            "delete",
            "awatch chunks_done",
            "continue",
            "continue",
            "delete",
            "python queue = int(gdb.parse_and_eval('&wordcount::queue::QUEUE')); gdb.execute('set language c')",
            // Where the queue's chunks are: read with each, and never written.
            "python gdb.execute('rwatch *(long *) %d' % (queue + 512 + 16))",
            "continue",
            "delete",
            "detach",
        ],
    ));
    assert_has(&text, &["hit Hardware read watchpoint 3: *(long *)", "Value = "]);
    assert_has(&text, &["hit Hardware access (read/write) watchpoint 2: chunks_done"]);
    session.ends_well();
}

#[test]
fn a_hardware_breakpoint_stops_every_worker_and_leaves_the_code_as_it_is() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let text = session.debug(&[
        "hbreak wordcount::work::add_up",
        "continue",
        "print $_thread",
        "continue",
        "stepi",
        "continue",
        "info breakpoints",
        "delete",
        "detach",
    ]);
    assert_has(&text, &["Hardware assisted breakpoint 1", "hw breakpoint", "already hit 3 times"]);
    session.ends_well();
}

#[test]
fn threads_that_are_made_later_are_watched_too() {
    let world = World::new();
    // Held before its first instruction, until a debugger comes and goes on: no worker has been made.
    let text = flob_tests::random_text(&mut fastrand::Rng::with_seed(9), 100_000);
    let session = start(&world, &["--paused"], "100", text);
    let said =
        session.debug(&["hbreak wordcount::work::add_up", "continue", "print $_thread", "delete", "detach"]);
    assert_has(&said, &["hit Breakpoint 1, wordcount::work::add_up"]);
    session.ends_well();
}

/// A C expression over the address of `chunks_done`.
const C_POINTER: &str =
    "python done = int(gdb.parse_and_eval('&chunks_done')); gdb.execute('set language c')";

#[test]
fn a_range_that_no_register_covers_alone_is_watched_by_several() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let watch = "python gdb.execute('watch *(int *) %d' % (done - 1))";
    let text =
        session.debug(&with(IN_A_WORKER, &["delete", C_POINTER, watch, "continue", "delete", "detach"]));
    assert_has(&text, &["hit Hardware watchpoint 2: *(int *)", "Old value = ", "New value = "]);
    session.ends_well();
}

/// Words of `QUEUE` behind its mutex, of which some change with each chunk: all in one page.
const WATCH_TEN: &str =
    "python for i in range(10): gdb.execute('watch *(long *) %d' % (queue + 512 + 8 * i))";

#[test]
fn ten_watchpoints_are_not_too_many_and_several_may_be_in_a_page() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let text = session.debug(&[
        "python queue = int(gdb.parse_and_eval('&wordcount::queue::QUEUE')); gdb.execute('set language c')",
        WATCH_TEN,
        "continue",
        "continue",
        "continue",
        "continue",
        "continue",
        "continue",
        "info breakpoints",
        "delete",
        "detach",
    ]);
    assert_has(&text, &["Hardware watchpoint 10: *(long *)", "Old value = ", "New value = "]);
    let hits: Vec<&str> = text.lines().filter(|line| line.contains(" hit Hardware watchpoint ")).collect();
    assert_eq!(hits.len(), 6, "{text}");
    // The processor has four registers: the first four watchpoints.
    let by_page = |line: &&&str| (5..=10).any(|number| line.contains(&format!("watchpoint {number}:")));
    assert!(hits.iter().filter(by_page).count() > 0, "{text}");
    session.ends_well();
}

#[test]
fn a_step_tells_what_it_has_changed_as_well() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let (stop, step) = (before_the_change(), "python for i in range(8): gdb.execute('stepi')");
    let text = session.debug(&[&stop, "continue", "watch chunks_done", step, "delete", "detach"]);
    assert_has(&text, &["hit Hardware watchpoint 2: chunks_done", "Old value = ", "New value = "]);
    session.ends_well();
}

/// A place in a worker just before `chunks_done` changes.
fn before_the_change() -> String {
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../programs/wordcount/src/work.rs");
    let source = std::fs::read_to_string(source).unwrap();
    let line = source.lines().position(|line| line.contains("chunks_done += 1;")).unwrap() + 1;
    format!("tbreak work.rs:{line}")
}

#[test]
fn a_range_that_is_larger_than_all_registers_is_watched_all_the_same() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let (stop, watch) = (before_the_change(), "python gdb.execute('watch *(char (*)[40]) %d' % done)");
    let text = session.debug(&[&stop, "continue", C_POINTER, watch, "continue", "delete", "detach"]);
    assert_has(&text, &["hit Hardware watchpoint 2: *(char (*)[40])", "Old value = ", "New value = "]);
    session.ends_well();
}

#[test]
fn a_checkpoint_holds_nothing_of_a_watchpoint() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let text = session.debug(&with(
        IN_A_WORKER,
        &[
            "delete",
            "watch chunks_done",
            "continue",
            "monitor checkpoint watched",
            "monitor show worker-0",
            "delete",
            "detach",
        ],
    ));
    assert_has(&text, &["saved; monitor restore", "debug.dr7"]);
    let shown = session.guest.flob_ok(&["show", "worker-0", "--at", "watched"]);
    assert_has(&shown, &["debug.dr7"]);
    for told in [&text, &shown] {
        let armed: Vec<&str> =
            told.lines().filter(|line| line.contains("debug.dr7") && !line.contains(" 0x400")).collect();
        assert!(armed.is_empty(), "{armed:?}");
    }
    session.ends_well();
}

#[test]
fn what_one_gdb_watches_stays_when_another_one_goes() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    session.stops_again_after("hbreak", || {
        let second = session.debug(&["hbreak wordcount::work::add_up", "detach"]);
        assert_has(&second, &["Hardware assisted breakpoint 1", "detached]"]);
    });
    session.ends_well();
}

#[test]
fn after_a_restore_everything_is_watched_that_was() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let text = session.debug(&[
        "hbreak wordcount::work::add_up",
        "continue",
        "monitor checkpoint there",
        "continue",
        "monitor restore there",
        "continue",
        "echo restored\\n",
        "continue",
        "delete",
        "detach",
    ]);
    let behind = text.split("restored\n").nth(1).unwrap_or_default();
    assert_has(behind, &["hit Breakpoint 1, wordcount::work::add_up"]);
    session.ends_well();
}
