//! gdb in extended mode on a real session: it lists the spaces, attaches to one after the other, begins the program, ends it and
//! begins it anew; who has only attached lets go and ends nothing.
#![allow(missing_docs)]

use flob_tests::{
    World,
    debugged::{assert_has, wordcount},
};

/// Attaches to the space of this name, by the number that `info os processes` has for it.
fn attach_to(name: &str) -> String {
    format!(
        "python rows = gdb.execute('info os processes', to_string=True).splitlines(); \
         gdb.execute('attach ' + [row.split()[0] for row in rows if '{name}' in row][0])"
    )
}

#[test]
fn spaces_are_listed_and_attached_to_by_number() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    world.wait_until("there is a second space", || session.guest.flob_ok(&["tree"]).contains("TALLY_THREAD"));
    let text = session.debug_extended(&[
        "info os processes",
        "detach",
        "echo now alone\\n",
        "info threads",
        &attach_to("TALLY_SPACE"),
        "echo in the second\\n",
        "info threads",
        "bt 100",
        "print $_inferior_thread_count",
        "detach",
        "attach 1",
        "echo in the first\\n",
        "tbreak wordcount::work::add_up",
        "continue",
        "info threads",
        "attach 99999",
        "detach",
    ]);
    assert_has(&text, &["pid ", "space:wordcount", "space:TALLY_SPACE", "wordcount (this one)"]);
    let (_, alone) = text.split_once("now alone").unwrap();
    let (alone, second) = alone.split_once("in the second").unwrap();
    let (second, first) = second.split_once("in the first").unwrap();
    assert_has(alone, &["No threads."]);
    assert_has(second, &["\"tally-thread\" (", "tally_server", "$1 = 1"]);
    assert!(!second.contains("\"worker-0\""), "{text}");
    assert_has(first, &["hit Temporary breakpoint 1, wordcount::work::add_up", "\"worker-0\" ("]);
    assert!(!first.contains("tally-thread"), "{text}");
    session.ends_well();
}

#[test]
fn the_program_is_begun_anew_again_and_again_and_comes_to_its_right_result() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let text = session.debug_extended(&[
        "tbreak wordcount::work::add_up",
        "continue",
        "break wordcount::work::add_up",
        "run",
        "print chunk.bytes",
        "info threads",
        "run",
        "delete",
        "detach",
    ]);
    assert_eq!(text.matches("hit Breakpoint 2, wordcount::work::add_up").count(), 2, "{text}");
    assert_has(&text, &["\"worker-0\" (", "detached]"]);
    session.ends_well();
}

#[test]
fn a_program_that_was_begun_and_ended_by_gdb_stands_at_its_beginning_and_can_be_begun_again() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let text = session.debug_extended(&[
        "tbreak wordcount::work::add_up",
        "run",
        "kill",
        "info threads",
        "monitor threads",
        "monitor catch sleep",
        "tbreak wordcount::work::add_up",
        "run",
        // gdb ends what it has begun when it goes.
    ]);
    assert_has(&text, &["(process 1) killed]", "No threads.", "no space is attached whose calls"]);
    assert_eq!(text.matches("hit Temporary breakpoint").count(), 2, "{text}");
    world.wait_until("it was ended", || session.session()["holders"][0] == "the user");
    let threads = session.guest.json(&["ps", "--json"]);
    assert_eq!(threads.as_array().unwrap().len(), 1, "only its first thread: {threads}");
    session.guest.flob_ok(&["resume"]);
    session.ends_well();
}

#[test]
fn who_has_only_attached_ends_nothing() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let text =
        session.debug_extended(&["tbreak wordcount::work::add_up", "continue", "kill", "info os processes"]);
    assert_has(&text, &["hit Temporary breakpoint 1", "killed]", "space:wordcount"]);
    session.ends_well();
}

#[test]
fn what_gdb_gives_as_arguments_the_program_gets() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let text = session.debug_extended(&[
        "set args --pace 90",
        "tbreak wordcount::work::add_up",
        "run",
        "set remote exec-file /bin/another",
        "run",
        "detach",
    ]);
    assert_has(
        &text,
        &["hit Temporary breakpoint 1", "Running \"/bin/another\" on the remote target failed"],
    );
    let sessions = session.session();
    assert_eq!(sessions["arguments"], serde_json::json!(["--pace", "90"]), "{sessions}");
    session.guest.flob(&["resume"]);
    session.ends_well();
}

#[test]
fn a_breakpoint_stays_where_another_gdb_has_let_go() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    session.stops_again_after("break", || {
        let second =
            session.debug_extended(&["break wordcount::work::add_up", "detach", "attach 1", "detach"]);
        assert_has(&second, &["Breakpoint 1 at", "detached]"]);
    });
    session.ends_well();
}
