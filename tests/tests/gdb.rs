//! Debian's gdb on a real session: attached by socket or port and without a file name, it shows what is there, stops and
//! steps, and leaves the program's result as it would have been without it.
#![allow(missing_docs)]

use std::path::PathBuf;

use flob_tests::{
    Running, Screen, Signal, World,
    debugged::{assert_has, lazy_wordcount, start, wordcount},
};

/// A place in a worker that it comes to after each chunk, with `chunks_done` and `words_here` in scope.
const AFTER_A_CHUNK: &str = "chunks_done += 1;";

/// Chooses a worker that is not the one at the breakpoint. With long pauses it sleeps in a call.
const ANOTHER_WORKER: &str =
    "python gdb.execute('thread 4' if gdb.selected_thread().num == 3 else 'thread 3')";

/// The last breakpoint does not stop for the first chunk: before the second all workers have begun.
const LATER: &str = "ignore $bpnum 1";

/// The number of the line of a worker's source that contains this.
fn line_of(code: &str) -> usize {
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../programs/wordcount/src/work.rs");
    let source = std::fs::read_to_string(source).unwrap();
    source.lines().position(|line| line.contains(code)).unwrap() + 1
}

#[test]
fn the_threads_of_the_space_are_listed_with_what_they_wait_for() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    // Until all have been made and the first chunk is counted.
    let text = session.debug(&["tbreak wordcount::work::add_up", "continue", "info threads", "detach"]);
    for name in ["main", "reader", "worker-0", "worker-1", "worker-2", "worker-3"] {
        assert!(text.contains(&format!("\"{name}\" (")), "no {name} in\n{text}");
    }
    assert_has(&text, &["\"worker-0\" (", "sleeps on the condition NOT_EMPTY", "add_up (chunk="]);
    assert!(!text.contains("tally"), "a thread of another space in\n{text}");
    session.ends_well();
}

#[test]
fn a_worker_is_stopped_by_line_and_looked_at_stepped_and_finished() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let line = line_of(AFTER_A_CHUNK);
    let text = session.debug(&[
        &format!("break work.rs:{line}"),
        "continue",
        "bt",
        "print chunks_done",
        "x/1gd &chunks_done",
        "print words_here > 0",
        "stepi",
        "x/2i $pc",
        // Or another worker comes to it.
        "delete",
        "next",
        "print chunks_done",
        "tbreak wordcount_core::count::count",
        "continue",
        "finish",
        "print counts.words == $.words",
        "step",
        "info threads",
        "detach",
    ]);
    assert_has(&text, &["hit Breakpoint 1, wordcount::work::worker (number=", AFTER_A_CHUNK]);
    assert_has(&text, &["#1 ", "in wordcount::run::", "flob_runtime::thread::first_function", "$1 = "]);
    assert_has(
        &text,
        &["$2 = true", "=> 0x", "$3 = ", "hit Temporary breakpoint 2, wordcount_core::count::count"],
    );
    assert_has(
        &text,
        &["Value returned is", "Counts {lines: ", "$5 = true", "[Inferior 1 (process 1) detached]"],
    );
    session.ends_well();
}

/// Whatever runs between two lines, gdb asks once and the guest is asked once.
#[test]
fn a_step_to_the_next_line_is_one_step_for_the_guest() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let text = session.debug(&[
        "tbreak wordcount::work::add_up",
        "continue",
        "set scheduler-locking on",
        "set debug remote 1",
        "next",
        "next",
        "next",
        "set debug remote 0",
        "set scheduler-locking off",
        "detach",
    ]);
    let asked = |action: &str| text.matches(&format!("Sending packet: $vCont;{action}")).count();
    let (ranges, single) = (asked("r"), asked("s"));
    let log = world.path(&format!("run/flob/{}.logs/link.log", session.guest.name));
    let steps = std::fs::read_to_string(log).unwrap().matches("request: Step {").count();
    assert!(ranges >= 3, "{text}");
    assert_eq!(steps, ranges + single, "{text}");
    session.ends_well();
}

#[test]
fn a_step_over_a_call_that_blocks_ends_when_the_call_does() {
    let world = World::new();
    let session = lazy_wordcount(&world);
    let text = session.debug(&[
        "tbreak wordcount::work::add_up",
        LATER,
        "continue",
        "delete",
        ANOTHER_WORKER,
        "print/x $flob_call",
        "x/1i $pc",
        "print/x $pc",
        "stepi",
        "print $pc == $2 + 2",
        "print $flob_call",
        "detach",
    ]);
    assert_has(&text, &["$1 = 0x", "syscall", "$3 = true", "$4 = -1"]);
    session.ends_well();
}

#[test]
fn a_step_off_a_breakpoint_at_a_call_that_blocks_does_not_hang() {
    let world = World::new();
    let session = lazy_wordcount(&world);
    let text = session.debug(&[
        "tbreak wordcount::work::add_up",
        LATER,
        "continue",
        "delete",
        ANOTHER_WORKER,
        "break *$pc",
        // Ends behind the call, or with another thread at the breakpoint.
        "stepi",
        "delete",
        "print 41 + 1",
        "detach",
    ]);
    assert_has(&text, &["$1 = 42", "detached]"]);
    session.ends_well();
}

#[test]
fn a_variable_is_set_and_the_program_goes_on_with_it() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let line = line_of(AFTER_A_CHUNK);
    let text = session.debug(&[
        &format!("tbreak work.rs:{line}"),
        "continue",
        "set var chunks_done = 1000",
        "next",
        "print chunks_done",
        "detach",
    ]);
    assert_has(&text, &["$1 = 1001"]);
    session.ends_well();
}

#[test]
fn gdb_attaches_by_port_again_and_again_and_ctrl_c_stops_the_program() {
    let port = free_port();
    let world = World::new();
    let session = wordcount(&world, &["--gdb", &port.to_string()]);
    let target = format!(":{port}");
    let first = session.gdb(&target, &["print $_thread", "detach"]).finish();
    assert_has(&first.stdout, &["$1 = 1", "detached]"]);
    let gdb = session.gdb(&target, &["echo ready\\n", "continue", "info threads", "detach"]);
    gdb.wait_for("ready");
    world.wait_until("gdb lets the program go", || {
        session.session()["holders"].as_array().unwrap().is_empty()
    });
    interrupt(&gdb);
    let second = gdb.finish();
    assert_has(&second.stdout, &["received signal SIGINT", "\"reader\" (", "detached]"]);
    session.ends_well();
}

#[test]
fn the_end_of_the_program_is_told_to_gdb() {
    let world = World::new();
    let session = start(&world, &[], "1000", vec![b'x'; 40_000]);
    let text = session.debug(&["continue", "info threads", "print $_exitcode"]);
    assert_has(&text, &["[Inferior 1 (process 1) exited normally]", "No threads.", "$1 = 0"]);
    session.ends_well();
}

#[test]
fn a_thread_of_a_second_space_is_debugged_in_that_space() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let commands = [
        "-nx",
        "-batch",
        "-ex",
        "info threads",
        "-ex",
        // Whole: it may be deep in what it needs to begin.
        "bt",
        "-ex",
        "x/1i $pc",
        "-ex",
        "print/x *(unsigned char*)0x401000",
        "-ex",
        "detach",
    ];
    let arguments = [&["gdb", "--space", "TALLY_SPACE"][..], &commands].concat();
    world.wait_until("there is a second space", || session.guest.flob_ok(&["tree"]).contains("TALLY_THREAD"));
    let finished = session.guest.flob(&arguments);
    assert_has(&finished.stdout, &["\"tally-thread\" (", "tally_server", "detached]"]);
    assert!(!finished.stdout.contains("\"worker-0\""), "{finished}");
    session.ends_well();
}

#[test]
fn the_screen_stays_right_while_gdb_works() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let mut screen = Screen::start(&world, &["attach"], 120, 40);
    screen.wait_for("worker-3");
    let text = session.debug(&["tbreak wordcount::work::add_up", "continue", "step", "detach"]);
    assert_has(&text, &["hit Temporary breakpoint 1", "detached]"]);
    screen.wait_for("worker-3");
    screen.keys("q");
    session.ends_well();
}

/// Ctrl-C, as a terminal sends it.
fn interrupt(gdb: &Running) {
    flob_tests::send(Signal::INT, gdb.id());
}

fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
